"""Tests of proposals: they lie in the space, and are functions of the settings and the trials before alone."""

from __future__ import annotations

import math

import numpy as np
import pytest

from simulator.config.tune import Dimension, build
from simulator.tuning.proposals import Tried, grid, levels_of, n_trials, propose, random_point
from tests.helpers.tunings import SMALL

SPACE = {"agent": {"step_size": {"low": 1e-3, "high": 1.0, "log": True}, "gamma": [0.5, 0.9], "planning_steps": [1, 5]}}


def _config(**changes):
    return build({**SMALL, "space": {"agent": {**SPACE["agent"]}}, **changes})


def _tried(config, n):
    """Return trials whose value is best near step size 0.1 and gamma 0.9; some pruned, one failed."""
    found = []
    for number in range(n):
        point = random_point(config, number)
        value = -abs(math.log10(point["agent.step_size"]) + 1.0) + (point["agent.gamma"] == 0.9)
        state = "failed" if number == 2 else "pruned" if number % 3 == 0 else "complete"
        found.append(Tried(point, state, () if state == "failed" else (value,)))
    return found


@pytest.mark.parametrize("search", ["grid", "random", "tpe"])
def test_points_lie_in_the_space_and_a_round_has_a_batch(search):
    config = _config(search=search, trials=30, batch=8)
    rounds = [propose(config, k, _tried(config, 8 * k)) for k in range(-(-n_trials(config) // 8))]
    assert [len(points) for points in rounds] == {"grid": [8, 8, 4], "random": [8, 8, 8, 6], "tpe": [8, 8, 8, 6]}[
        search
    ]
    for point in (point for points in rounds for point in points):
        assert 1e-3 <= point["agent.step_size"] <= 1.0
        assert point["agent.gamma"] in (0.5, 0.9)
        assert point["agent.planning_steps"] in (1, 5)


@pytest.mark.parametrize("search", ["random", "tpe"])
def test_a_round_is_a_function_of_the_trials_before_and_of_the_seed(search):
    config = _config(search=search, trials=40, batch=5)
    tried = _tried(config, 20)
    assert propose(config, 4, tried) == propose(config, 4, list(tried))
    assert propose(config, 4, tried) != propose(config, 5, tried)
    assert propose(config, 4, tried) != propose(_config(search=search, trials=40, batch=5, search_seed=1), 4, tried)
    turned = [trial._replace(values=tuple(-value for value in trial.values)) for trial in tried]
    assert (propose(config, 4, tried) == propose(config, 4, turned)) == (search == "random")


def test_a_random_point_does_not_depend_on_the_batch_or_the_budget():
    few, many = _config(trials=4, batch=2), _config(trials=40, batch=7)
    assert propose(few, 0, []) + propose(few, 1, []) == propose(many, 0, [])[:4]


def test_the_parzen_estimator_draws_where_trials_were_good():
    config = _config(search="tpe", trials=200, batch=30)
    points = propose(config, 3, _tried(config, 90))
    near = [abs(math.log10(point["agent.step_size"]) + 1.0) < 0.5 and point["agent.gamma"] == 0.9 for point in points]
    assert sum(near) > len(points) // 3  # of random points a sixth


def test_levels_of_a_grid():
    assert levels_of(Dimension("a", 1e-3, 1.0, log=True), 4) == pytest.approx([1e-3, 1e-2, 1e-1, 1.0])
    assert levels_of(Dimension("a", 0.0, 1.0), 3) == [0.0, 0.5, 1.0]
    assert levels_of(Dimension("a", 1.0, 4.0, whole=True), 7) == [1, 2, 3, 4]
    assert levels_of(Dimension("a", values=("x", None)), 9) == ["x", None]
    few = build(
        {
            **SMALL,
            "search": "grid",
            "levels": 9,
            "trials": 3,
            "space": {"agent": {"planning_steps": {"low": 1, "high": 3}}},
        }
    )
    assert grid(few) == [{"agent.planning_steps": n} for n in (1, 2, 3)]  # nine levels of three whole numbers
    points = grid(_config(search="grid", levels=3, trials=12))
    assert len(points) == 12
    assert [point["agent.step_size"] for point in points[:4]] == [1e-3, pytest.approx(10**-1.5), 1.0, 1e-3]


def test_random_ranges_are_evenly_spread():
    config = build({**SMALL, "space": {"agent": {"step_size": {"low": 1e-3, "high": 1.0, "log": True}}}})
    logs = [math.log10(random_point(config, number)["agent.step_size"]) for number in range(300)]
    assert np.mean(logs) == pytest.approx(-1.5, abs=0.2)  # four standard errors
