"""Tests of what ``engram show RUN --values`` prints: Q, values and policy beside the exact ones."""

from __future__ import annotations

import numpy as np
import pytest

QUICK = ("--seeds", "2", "--eval-episodes", "1", "--view", "none", "--json")


def learned(engram, *words):
    found = engram("show", "latest", "--values", *words, "--json").json
    return {name: np.array(value, float) if isinstance(value, list) else value for name, value in found.items()}


@pytest.fixture(autouse=True)
def _clean(clean_folder):
    pass


def test_the_planner_has_the_exact_values(engram):
    engram("run", "planner", "rooms", "--env.layout", "cliff", "--steps", "10", *QUICK)
    found = engram("show", "r1", "--values", "--json").json
    reachable = np.array(found["reachable"])
    np.testing.assert_allclose(np.array(found["values"])[reachable], np.array(found["exact_values"])[reachable])
    assert reachable.sum() == 37
    assert np.sum(found["met"]) >= 13  # the shortest way has 13 steps
    start = found["places"].index([4, 1])
    assert found["q"][start][found["actions"].index("right")] == pytest.approx(-100.0)
    assert found["values"][start] == pytest.approx(-(1 - 0.99**13) / 0.01)
    out = engram("show", "r1", "--values").out
    assert "37 of 37 states" in out
    assert "36     4,1    -12.25  -100" in out


def test_a_seed_of_a_learner_is_chosen(engram):
    engram("run", "q_learning", "FrozenLake-v1", "--steps", "2000", *QUICK)
    first, second = (engram("show", "latest", "--values", "--seed", str(seed), "--json").json for seed in (0, 1))
    assert first == engram("show", "latest", "--values", "--json").json
    assert first["q"] != second["q"]
    assert first["exact_values"] == second["exact_values"]
    policy = np.array(first["policy"])
    assert (policy.argmax(axis=1) == np.array(first["q"]).argmax(axis=1))[np.array(first["reachable"])].all()


def test_without_action_values_the_policy_is_evaluated(engram):
    engram("run", "random_walk", "rooms", "--env.layout", "cliff", "--steps", "50", *QUICK)
    found = engram("show", "latest", "--values", "--json").json
    assert found["q"] is None
    assert set(np.ravel(found["policy"])) <= {0.0, 0.25}
    start = found["places"].index([4, 1])
    assert -100 < found["values"][start] < found["exact_values"][start]
    assert "probabilities of actions" in engram("show", "latest", "--values").out


def test_a_graph_has_actions_that_do_not_exist_everywhere(engram):
    engram("run", "q_learning", "rooms", "--steps", "500", *QUICK)
    found = engram("show", "latest", "--values", "--json").json
    assert found["places"] is None
    illegal = ~np.array(found["legal"])
    assert np.array([[x is None for x in row] for row in found["q"]])[illegal].all()


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("show", "r1", "--values", "--seed", "7"), "--seed 7: expected one of 0, 1"),
        (("show", "r1", "--seed", "1"), "--seed: expected --values or --inside too"),
        (("show", "r9", "--values"), "lab lab has no run 'r9'"),
    ],
)
def test_what_cannot_be_shown_is_one_line(engram, words, said):
    engram("run", "q_learning", "rooms", "--steps", "20", *QUICK)
    assert engram(*words, code=2).error.startswith(said)


def test_an_environment_without_states_names_the_export(engram):
    engram("run", "random_walk", "CartPole-v1", "--steps", "20", *QUICK)
    error = engram("show", "r1", "--values", code=2).error
    assert error.startswith("--values: CartPole-v1 has no table of states")
    assert "engram export r1" in error


def test_a_recall_benchmark_is_refused(engram):
    engram("recall", "identity", "random_bits", "--patterns", "2", "--seeds", "1", "--view", "none", "--json")
    assert engram("show", "r1", "--values", code=2).error.startswith("--values: r1 is a recall benchmark")
