"""Tests of descents: what theory says of each rule, all at once equals one by one, the choice of the step size."""

from __future__ import annotations

from itertools import islice

import numpy as np
import pytest

from simulator.config.race import RaceConfig
from simulator.core.optimizers import KINDS, RuleConfig, rule_of
from simulator.race.descent import Descents, best_step_size, descend, path, race, starting_points
from simulator.race.objectives import OBJECTIVES

RAVINE = OBJECTIVES["ravine"]
LARGEST, SMALLEST = 100.0, 1.0  # curvatures of the ravine
STARTS = starting_points(RAVINE, range(4))


def _norms(kind, step_size, n, **constants):
    """Return the distance from the minimum after each step, [n, 4]."""
    rule = rule_of(RuleConfig(kind, **constants))
    points = islice(path(RAVINE, rule, np.full((4, 1), step_size), STARTS), n)
    return np.array([np.linalg.norm(point, axis=1) for point in points])


def test_sgd_diverges_beyond_2_over_the_largest_curvature_and_converges_below():
    assert (_norms("sgd", 2.02 / LARGEST, 3_000)[-1] > 1e6).all()
    assert (_norms("sgd", 1.98 / LARGEST, 3_000)[-1] < 1e-10).all()


def test_sgds_best_rate_is_that_of_the_textbook():
    """Step 2 / (L + mu): the distance shrinks by (L - mu) / (L + mu) at least, and by that in the end."""
    norms = _norms("sgd", 2.0 / (LARGEST + SMALLEST), 200)
    rate = (LARGEST - SMALLEST) / (LARGEST + SMALLEST)
    np.testing.assert_allclose(norms[1:] / norms[:-1], rate, rtol=1e-9)


def test_momentums_best_rate_is_polyaks():
    """Rate (2 / (sqrt L + sqrt mu))^2 and beta ((sqrt k - 1) / (sqrt k + 1))^2: sqrt(beta) a step (Polyak 1964)."""
    step_size = (2.0 / (np.sqrt(LARGEST) + np.sqrt(SMALLEST))) ** 2
    beta = ((np.sqrt(LARGEST / SMALLEST) - 1.0) / (np.sqrt(LARGEST / SMALLEST) + 1.0)) ** 2
    norms = _norms("momentum", step_size, 150, beta1=beta)
    found = (norms[149] / norms[99]) ** (1.0 / 50.0)
    np.testing.assert_allclose(found, np.sqrt(beta), rtol=0.02)  # double roots: t sqrt(beta)^t
    worse = _norms("momentum", step_size, 150, beta1=0.9)
    assert (worse[149] > 10.0 * norms[149]).all()


def test_adagrads_step_shrinks_as_one_over_the_root_of_t():
    slope = OBJECTIVES["ravine"]._replace(gradient=lambda points: np.full_like(points, 3.0))
    points = np.array(list(islice(path(slope, rule_of(RuleConfig("adagrad")), np.full((1, 1), 0.5), STARTS[:1]), 50)))
    steps = points[:-1, 0, 0] - points[1:, 0, 0]
    np.testing.assert_allclose(steps, 0.5 / np.sqrt(np.arange(1, 50)))


def test_adams_first_step_is_the_step_size_whatever_the_gradient():
    points = list(islice(path(RAVINE, rule_of(RuleConfig("adam")), np.full((4, 1), 0.25), STARTS), 2))
    np.testing.assert_allclose(np.abs(points[1] - points[0]), 0.25, rtol=1e-6)


@pytest.mark.parametrize("kind", KINDS)
def test_all_at_once_equals_one_by_one(kind):
    rule = rule_of(RuleConfig(kind))
    step_sizes = np.array([0.001, 0.015, 0.05, 0.3])
    together = descend(RAVINE, rule, step_sizes, STARTS, 300, 1e-2)
    for k, step_size in enumerate(step_sizes):
        for m in range(len(STARTS)):
            alone = descend(RAVINE, rule, np.array([step_size]), STARTS[m : m + 1], 300, 1e-2)
            assert alone.steps[0, 0] == together.steps[k, m]
            assert alone.excess[0, 0] == together.excess[k, m]
    by_hand = _norms(kind, 0.015, 301)
    for m, norms in enumerate(by_hand.T):
        if np.isfinite(together.steps[1, m]):
            assert norms[int(together.steps[1, m])] < np.sqrt(2e-2)


def test_a_start_does_not_depend_on_those_beside_it():
    np.testing.assert_array_equal(starting_points(RAVINE, [3, 1]), STARTS[[3, 1]])


def test_the_best_step_size_has_the_lowest_median_and_lucky_paths_decide_nothing():
    inf = np.inf
    steps = np.array([[9.0, 9.0, 9.0], [1.0, inf, inf], [8.0, 8.0, inf]])
    assert best_step_size(Descents(steps, np.zeros((3, 3)))) == 2
    assert (
        best_step_size(Descents(np.array([[1.0, inf, inf], [inf, inf, inf]]), np.array([[0.0, 5.0, 5.0], [1.0] * 3])))
        == 1
    )


def test_a_race_is_judged_on_other_starting_points_than_those_that_chose():
    config = RaceConfig(objectives=("ravine",), steps=200, seeds=8, chosen_on=3, step_sizes=(0.02, 0.005, 0.01))
    found = race(("sgd", "nesterov"), config)
    assert found["step_sizes"] == [0.005, 0.01, 0.02]
    (ravine,) = found["objectives"]
    nesterov = ravine["rules"][1]
    assert nesterov["step_size"] == 0.005
    assert nesterov["at_the_edge"]
    assert len(nesterov["per_seed"]) == 8
    assert nesterov["reached"]["share"] == 1.0
    assert nesterov["median_steps"]["low"] <= nesterov["median_steps"]["median"] <= nesterov["median_steps"]["high"]
    np.testing.assert_array_equal(nesterov["path"][0], starting_points(RAVINE, [0])[0])
    with pytest.raises(ValueError, match="expected other starting points than those of the result, seeds 0 to 4"):
        race(("sgd",), RaceConfig(seeds=5, chosen_first_seed=4))


def test_of_a_long_path_the_first_steps_are_drawn():
    config = RaceConfig(objectives=("saddle",), steps=3_000, seeds=2, chosen_on=2, step_sizes=(1e-3, 1e-2))
    row = race(("adam",), config)["objectives"][0]["rules"][0]
    assert row["median_steps"]["median"] > 101
    assert len(row["path"]) == 101  # the starting point and 100 steps
