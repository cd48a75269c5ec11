"""Tests of ``engram show RUN --inside``."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.helpers.commands import Engram


@pytest.fixture
def run(clean_folder: Path, engram: Engram) -> str:
    done = engram("run", "q_learning", "rooms", "--seeds", "2", "--steps", "200", "--env.layout", "cliff", "--json")
    return done.json["run"]


def test_the_inside_is_printed_panel_by_panel(engram: Engram, run: str) -> None:
    lines = engram("show", run, "--inside").out.splitlines()
    assert lines[0] == f"{run}: inside q_learning in rooms, seed 0, after 200 steps"
    table = lines.index("Q-table")
    assert lines[table + 1].split() == ["up", "right", "down", "left"]
    assert lines[lines.index("exploration") + 1] == "epsilon: 0.1, constant"


def test_json_has_the_panels_as_arrays(engram: Engram, run: str) -> None:
    shown = engram("show", run, "--inside", "--seed", "1", "--json").json
    assert (shown["agent"], shown["env"], shown["seed"], shown["step"]) == ("q_learning", "rooms", 1, 200)
    table = shown["panels"][0]
    assert (table["kind"], table["title"], table["columns"]) == ("heat", "Q-table", ["up", "right", "down", "left"])
    values = engram("show", run, "--values", "--seed", "1", "--json").json
    learned = [row for row, legal in zip(values["q"], values["legal"], strict=True) if all(legal)]
    assert table["values"][: len(learned)] == learned


def test_what_cannot_be_shown_is_refused_in_one_line(engram: Engram, run: str) -> None:
    for words, said in (
        ((run, "--inside", "--seed", "7"), "--seed 7: expected one of 0, 1"),
        ((run, "--inside", "--values"), "--values --inside: expected one of them"),
        ((run, "--seed", "1"), "--seed: expected --values or --inside too, of which it chooses the seed"),
        (("r9", "--inside"), "r9"),
    ):
        assert said in engram("show", *words, code=2).error
    walk = engram("run", "random_walk", "rooms", "--seeds", "1", "--steps", "50", "--json").json["run"]
    refused = engram("show", walk, "--inside", code=2).error
    assert refused == "--inside: random_walk shows nothing of its inside, expected an agent with panels"
