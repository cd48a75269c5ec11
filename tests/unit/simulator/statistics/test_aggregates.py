"""Tests of normalised scores, areas under curves and steps to threshold: by hand."""

import numpy as np
import pytest

from simulator.statistics.estimates import area_under_curve, normalise, reaches_threshold, threshold_times


def test_scores_are_normalised_by_hand():
    found = normalise(np.array([[0.0, 5.0, 20.0], [np.nan, 10.0, -10.0]]), np.array([0.0, 5.0, 10.0]), np.full(3, 10.0))
    np.testing.assert_array_equal(found, [[0.0, 0.0, 1.0], [np.nan, 1.0, 0.0]])  # the last column has no scale


def test_without_a_scale_scores_reach_the_ceiling_or_not():
    found = normalise([1.0, 2.0, 3.0, np.nan], np.full(4, 2.0), np.full(4, 2.0))
    np.testing.assert_array_equal(found, [0.0, 1.0, 1.0, np.nan])


@pytest.mark.parametrize(
    ("steps", "curve", "height"),
    [
        ([10, 20, 30], [0.0, 1.0, 1.0], 0.75),  # (5 + 10) / 20
        ([0, 10, 40], [1.0, 1.0, 0.0], 0.625),  # (10 + 15) / 40
        ([100], [0.3], 0.3),
        ([5, 6], [0.25, np.nan], np.nan),
    ],
)
def test_areas_by_hand(steps, curve, height):
    both = area_under_curve(np.array(steps), np.array([curve, curve]))
    np.testing.assert_allclose(both, [height, height], rtol=1e-15)


def test_a_curve_without_evaluations_has_no_area():
    assert np.isnan(area_under_curve(np.array([]), np.zeros((3, 0)))).tolist() == [True] * 3


def test_steps_to_threshold_and_fraction_above_it_by_hand():
    scores = np.array([[0, 5, 4, 6], [0, 0, 0, 5], [0, 1, 2, 3], [5, 5, 5, 5], [np.nan] * 4])
    first, stayed = threshold_times(np.array([10, 20, 30, 40]), reaches_threshold(scores, 5.0))
    np.testing.assert_array_equal(first, [20, 40, np.nan, 10, np.nan])
    np.testing.assert_array_equal(stayed, [0.5, np.nan, np.nan, 1.0, np.nan])


def test_a_rounding_error_does_not_undo_a_solve():
    assert reaches_threshold(np.array([0.3, 0.1 + 0.2 - 1e-12, 0.299, np.nan]), 0.1 + 0.2).tolist() == [
        True,
        True,
        False,
        False,
    ]
    assert not reaches_threshold(np.array([1.0, 1e300]), np.nan).any()
