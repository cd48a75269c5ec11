"""Tests of ``engram atlas``: its JSON, its text, its picture, and what it refuses."""

from __future__ import annotations

import re

import numpy as np
import pytest

from tests.helpers.commands import Engram

FOUR = ("atlas", "rooms", "--env.layout", "four")
pytestmark = pytest.mark.slow


def test_maps_of_the_four_rooms(engram: Engram):
    data = engram(*FOUR, "--method", "laplacian", "hac", "skip_gram", "cooccurrence", "--json").json
    assert (data["kind"], data["of"], data["states"], data["color"]) == ("env", "successor", 104, "room")
    maps = {found["method"]: found for found in data["maps"]}
    assert list(maps) == ["laplacian", "hac", "skip_gram", "cooccurrence"]
    for name in ("laplacian", "hac", "skip_gram"):
        assert maps[name]["agreement"] == 1.0  # four clusters are the four rooms
    assert maps["laplacian"]["neighbours"]["trustworthiness"] > 0.95
    assert np.shape(maps["skip_gram"]["points"]) == (104, 16)
    assert np.shape(maps["hac"]["tree"]) == (103, 4)
    assert maps["hac"]["points"] is None
    assert np.shape(data["map"]["walls"]) == (13, 13)
    assert sum(data["visits"]) > 10_000
    assert maps["cooccurrence"]["facts"]["relative_error"] < 0.6  # one walk of 10,000 steps
    assert engram(*FOUR, "--method", "laplacian", "hac", "skip_gram", "cooccurrence", "--json").json == data


def test_the_text_has_the_same_signs_on_the_map(engram: Engram):
    out = engram(*FOUR, "--method", "hac").out
    assert "all 104 states; a state is its row of the successor representation, coloured by room" in out
    assert "0000000000##1111111111" in out.replace("█", "#")
    assert re.search(r"cluster 1, \d+ states", out)
    assert re.search(r"hac +4 +1 ", out)


def test_a_picture_is_the_same_each_time(engram: Engram, tmp_path):
    words = (*FOUR, "--method", "hac", "pca", "--steps", "100", "--color", "value", "--picture")
    pages = []
    for name in ("a.svg", "b.svg"):
        engram(*words, str(tmp_path / name))
        pages.append((tmp_path / name).read_bytes())
    assert pages[0] == pages[1]
    assert b"<svg" in pages[0]
    assert "expected a file that ends in" in engram(*words, str(tmp_path / "a.txt"), code=2).error


@pytest.mark.parametrize("color", ["value", "action", "cluster", "step", "visits"])
def test_colours_of_a_graph_of_rooms(engram: Engram, color):
    data = engram("atlas", "rooms", "--color", color, "--method", "pca", "--steps", "200", "--json").json
    assert data["states"] == 6
    assert data["map"]["walls"] is None
    assert data["values"] == pytest.approx([1900, 2000, 1805, 1900, 2000, 2000])  # gamma .95
    assert engram("atlas", "rooms", "--color", color, "--method", "pca", "--steps", "200").out


def test_a_run_and_what_its_policy_carries(engram: Engram, tmp_path):
    lab = ("--lab", str(tmp_path / "lab"))
    quiet = ("--view", "none", *lab)
    engram("run", "q_learning", "rooms", "--env.layout", "four", "--seeds", "2", "--steps", "2000", *quiet)
    data = engram("atlas", "latest", "--steps", "300", "--seed", "1", *lab, "--json").json
    assert (data["kind"], data["of"]) == ("run", "successor")
    assert "seed 1" in data["atlas"]
    assert len(data["values"]) == data["states"]
    assert data["actions"].count(-1) == 1  # at the goal
    agent = ("--agent.encoder", "true_state", "--agent.encoder.laplacian", "3", "--agent.network.hidden", "4")
    engram("run", "dqn", "rooms", "--env.layout", "four", "--seeds", "1", "--steps", "300", *agent, *quiet)
    data = engram("atlas", "latest", "--steps", "60", "--method", "pca", *lab, "--json").json
    assert (data["kind"], data["of"]) == ("run", "features")
    assert "expected" in engram("atlas", "latest", "--of", "hidden", *lab, code=2).error


def test_the_codes_of_a_memory(engram: Engram):
    data = engram(
        "atlas", "hopfield", "digits", "--patterns", "30", "--of", "patterns", "--method", "kmeans", "--json"
    ).json
    assert (data["kind"], data["of"], data["color"], data["states"]) == ("memory", "patterns", "class", 30)
    assert data["maps"][0]["n_clusters"] == len(set(data["classes"]))
    assert data["maps"][0]["agreement"] > 0.2


def test_states_that_are_not_finitely_many(engram: Engram):
    data = engram("atlas", "CartPole-v1", "--method", "laplacian", "--steps", "100", "--json").json
    assert data["color"] == "step"
    assert data["map"] is None
    error = engram("atlas", "CartPole-v1", "--method", "skip_gram", "--steps", "100", code=2).error
    assert "no state is met twice" in error


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("q_learning",), "q_learning is an agent, expected a run, an environment or a memory"),
        (("nothing",), "unknown name 'nothing'"),
        (("rooms", "digits"), "digits: a second name is the challenge of a memory, and rooms is none"),
        (("rooms", "--patterns", "5"), "--patterns: of a memory alone"),
        (("rooms", "--memory.rule", "hebb"), "--memory.rule: of a memory alone"),
        (("hopfield", "--steps", "9"), "--steps: of an environment or a run alone"),
        (("rooms", "--dims", "6"), "--dims 6"),
        (("rooms", "--clusters", "7"), "--clusters 7"),
        (("rooms", "--color", "class"), "--color class: not known of"),
        (("rooms", "--of", "hidden"), "--of hidden: expected observations, successor, place"),
        (("rooms", "--perplexity", "5"), "--perplexity: not for --method laplacian, expected tsne"),
        (
            ("rooms", "--method", "cbow", "--objective", "softmax", "--power", "1"),
            "--power: not with --objective softmax",
        ),
        (("rooms", "--method", "foo"), "--method foo: expected a list"),
    ],
)
def test_bad_input_gets_one_line(engram: Engram, words, said):
    assert said in engram("atlas", *words, code=2).error
