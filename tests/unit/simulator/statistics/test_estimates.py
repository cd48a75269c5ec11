"""Tests of statistics over seeds: by hand, against enumerated bootstrap distributions, and reproducible."""

import itertools
import subprocess
import sys

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from scipy.stats import binom

from simulator.statistics.estimates import Estimate, confidence_interval, estimate, expanded_tail, iqm

SCORES = np.array([3.0, 9.0, 4.0, 1.0, 7.0])


@pytest.mark.parametrize(
    ("values", "mean"),
    [
        ([5.0], 5.0),
        ([1.0, 2.0], 1.5),  # a quarter of 2, 3 is rounded down to none
        ([0.0, 1.0, 5.0], 2.0),
        ([100.0, 1.0, 3.0, -100.0], 2.0),
        (range(8), 3.5),
        ([0, 1, 2, 3, 4, 5, 6, 7, 8, 900], 4.5),  # 2 of 10 on either side
        ([1.0, 2.0, 3.0, np.inf], 2.5),
    ],
)
def test_the_interquartile_mean_by_hand(values, mean):
    assert iqm(values) == mean
    assert iqm(np.array([values, values]).T).tolist() == [mean, mean]
    assert iqm(np.array([values, values]), axis=1).tolist() == [mean, mean]


def test_missing_seeds_are_not_dropped_silently():
    assert np.isnan(iqm([0, 1, 2, 3, 4, 5, 6, np.nan]))
    both = estimate(np.array([[1.0, np.nan], [2.0, 3.0], [4.0, 5.0]]))
    assert both.value.tolist()[0] == 7 / 3
    for column in both:
        assert np.isnan(column).tolist() == [False, True]


def test_scores_without_a_mean_have_none():
    assert np.isnan(iqm([-np.inf, np.inf]))
    assert np.isnan(confidence_interval([-np.inf, np.inf, 1.0])).all()
    assert np.isnan(confidence_interval([1.0, 2.0, 3.0, np.inf])).all()


def enumerated(values, statistic):
    """Return the statistic of every possible resample, sorted."""
    return np.sort([statistic(np.array(drawn)) for drawn in itertools.product(values, repeat=len(values))])


@pytest.mark.slow
@pytest.mark.parametrize("statistic", [iqm, np.median])
@pytest.mark.parametrize("level", [0.5, 0.8, 0.95])
def test_the_interval_covers_its_level_of_the_enumerated_bootstrap_distribution(statistic, level):
    every = enumerated(SCORES, statistic)
    low, high = confidence_interval(SCORES, statistic, level, n_bootstrap=20_000)
    out = expanded_tail(level, len(SCORES), len(SCORES) - 1)
    margin = 4.0 * np.sqrt(out * (1.0 - out) / 20_000)  # four standard errors of a share of the resamples
    for end, share in ((low, out), (high, 1.0 - out)):
        assert np.mean(every < end - 1e-9) <= share + margin
        assert np.mean(every <= end + 1e-9) >= share - margin


def test_the_interval_of_many_seeds_is_that_of_the_normal_distribution():
    values = np.random.Generator(np.random.PCG64(1)).normal(10.0, 2.0, 400)
    low, high = confidence_interval(values, np.mean)
    half = 1.96 * values.std() / 20.0
    assert low == pytest.approx(values.mean() - half, abs=0.1 * half)
    assert high == pytest.approx(values.mean() + half, abs=0.1 * half)


@pytest.mark.parametrize(("n", "statistic"), [(8, np.mean), (16, np.mean), (8, iqm), (16, iqm)])
def test_intervals_of_few_seeds_cover_their_level(n, statistic):
    """Of 400 samples of normal scores, up to four standard errors; of 8 seeds plain percentiles hold 87 to 92 %."""
    samples = np.random.Generator(np.random.PCG64(5)).normal(size=(n, 400))
    low, high = confidence_interval(samples, statistic, n_bootstrap=500)
    held = np.mean((low <= 0.0) & (high >= 0.0))
    assert 0.95 - 4.0 * np.sqrt(0.95 * 0.05 / 400) < held < 0.99


def test_a_single_seed_has_no_interval():
    found = estimate([4.0])
    assert found.value == 4.0
    assert np.isnan([found.low, found.high]).all()
    band = estimate([[4.0, 5.0, 6.0]])
    assert band.value.tolist() == [4.0, 5.0, 6.0]
    assert np.isnan([band.low, band.high]).all()
    assert np.shape(band.low) == (3,)


@pytest.mark.parametrize("value", [0.0, 3.3, -1e300, 5e-324])
def test_equal_scores_without_bounds_have_no_interval_unless_they_are_many(value):
    few = estimate(np.full(12, value))
    assert few.value == pytest.approx(value, rel=1e-15)
    assert np.isnan([few.low, few.high]).all()
    many = estimate(np.full(13, value))  # of which the middle half does not change
    assert many.low == many.high == value
    assert np.isnan(confidence_interval(np.full(1_000, value), np.mean)).all()
    assert np.isnan(confidence_interval(np.full(5, value), np.median)).all()
    assert confidence_interval(np.full(6, value), np.median) == (value, value)


def test_equal_scores_within_bounds_by_hand():
    other = 1.0 - 0.025 ** (1 / 5)  # of 5 equal ones: 52 % of all can differ
    np.testing.assert_allclose(
        confidence_interval(np.full(5, 1.0), np.mean, bounds=(0.0, 1.0)), [1.0 - other, 1.0], atol=1e-3
    )
    np.testing.assert_allclose(
        confidence_interval(np.full(5, 0.0), np.mean, bounds=(-1.0, 1.0)), [-other, other], atol=1e-3
    )
    low, high = confidence_interval(np.full(5, 1.0), iqm, bounds=(0.0, 1.0))
    np.testing.assert_allclose([low, high], [1.0 - (other - 0.25) / 0.5, 1.0], atol=3e-3)
    low, high = confidence_interval(np.full((16, 2), [0.25, 1.0]), np.mean, bounds=(0.0, 1.0))
    other = 1.0 - 0.025 ** (1 / 16)
    np.testing.assert_allclose(low, [0.25 * (1.0 - other), 1.0 - other], atol=1e-3)
    np.testing.assert_allclose(high, [0.25 + 0.75 * other, 1.0], atol=1e-3)


@pytest.mark.parametrize("n", [2, 3, 5, 8, 16, 32])
def test_intervals_of_solved_fractions_cover_their_level(n):
    """The coverage of every share, summed over everything that n seeds can show."""
    shares = np.linspace(0.005, 0.995, 199)
    bands = [confidence_interval(np.arange(n) < k, np.mean, n_bootstrap=1_000, bounds=(0.0, 1.0)) for k in range(n + 1)]
    hold = np.array([(low - 1e-12 <= shares) & (shares <= high + 1e-12) for low, high in bands])  # [n + 1, shares]
    weights = np.array([binom.pmf(k, n, shares) for k in range(n + 1)])
    assert (hold * weights).sum(axis=0).min() >= 0.95


def test_the_interval_of_an_interquartile_mean_of_few_seeds_covers_its_level():
    shares = np.linspace(0.005, 0.995, 199)
    of_all = np.clip((shares - 0.25) / 0.5, 0.0, 1.0)
    for n in (3, 5):
        bands = [confidence_interval(np.arange(n) < k, n_bootstrap=1_000, bounds=(0.0, 1.0)) for k in range(n + 1)]
        hold = np.array([(low - 3e-3 <= of_all) & (of_all <= high + 3e-3) for low, high in bands])
        weights = np.array([binom.pmf(k, n, shares) for k in range(n + 1)])
        assert (hold * weights).sum(axis=0).min() >= 0.95


def test_a_band_is_the_interval_of_each_point():
    values = np.random.Generator(np.random.PCG64(2)).normal(size=(6, 4))
    band = estimate(values)
    for point in range(4):
        alone = estimate(values[:, point])
        np.testing.assert_allclose([alone.value, alone.low, alone.high], [part[point] for part in band], rtol=1e-12)


def test_the_size_of_a_batch_changes_nothing(monkeypatch):
    values = np.random.Generator(np.random.PCG64(3)).normal(size=(5, 3))
    before = confidence_interval(values)
    monkeypatch.setattr("simulator.statistics.estimates._BATCH", 40)
    assert np.array_equal(confidence_interval(values), before)


def test_the_same_numbers_every_time_and_plain_floats():
    found = estimate(SCORES)
    assert found == estimate(list(SCORES))
    assert isinstance(found, Estimate)
    assert all(isinstance(part, float) for part in found)
    assert found.low <= found.value <= found.high


def test_a_curve_without_points_has_an_empty_band():
    assert [part.shape for part in estimate(np.zeros((3, 0)))] == [(0,)] * 3


@settings(max_examples=40, deadline=None)
@given(
    values=st.lists(st.floats(-1e6, 1e6), min_size=2, max_size=9),
    shift=st.floats(-100, 100),
    scale=st.floats(0.01, 100),
)
def test_intervals_lie_inside_the_scores_and_move_with_them(values, shift, scale):
    values = np.array(values)
    assume(len(set((values * scale + shift).tolist())) > 1)  # nor may what is moved round to one value
    assume(len(set(values.tolist())) > 1)  # else they are equal, and have no interval
    low, high = confidence_interval(values, n_bootstrap=200)
    size = np.abs(values).max() + 200.0
    assert values.min() - 1e-9 * size <= low <= high + 1e-9 * size <= values.max() + 2e-9 * size
    np.testing.assert_allclose(
        confidence_interval(values * scale + shift, n_bootstrap=200),
        (low * scale + shift, high * scale + shift),
        atol=1e-9 * size * scale + 1e-6,
    )


@pytest.mark.parametrize("values", [[], [[]] * 0, 3.0, np.zeros((2, 2, 2))])
def test_no_scores_are_refused(values):
    with pytest.raises(ValueError, match=r"values of shape .*: expected \[S\] or \[S, P\] with at least one seed"):
        confidence_interval(values)


@pytest.mark.parametrize("level", [0.0, 1.0, 95.0, float("nan")])
def test_a_level_outside_zero_to_one_is_refused(level):
    with pytest.raises(ValueError, match=f"confidence {level}: expected a fraction between 0 and 1"):
        confidence_interval(SCORES, confidence=level)


def test_scipy_is_not_loaded_before_it_is_needed():
    code = (
        "import simulator.statistics.estimates, simulator.store.run_store, sys; "
        "print({'scipy', 'torch', 'filelock'} & set(sys.modules))"
    )
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True).stdout == "set()\n"
