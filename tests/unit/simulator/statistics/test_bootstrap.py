"""Tests of the bootstrap: against scipy on the same resamples, rliable's formulas by hand, and coverage."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from simulator.statistics.bootstrap import STATISTICS, percentile_interval, resample_counts, resampled_statistics
from simulator.statistics.estimates import expanded_tail


def rng(seed=0):
    return np.random.Generator(np.random.PCG64(seed))


def test_counts_sum_to_the_seeds_that_are_there():
    present = np.array([[True] * 5, [True, False, True, False, True], [False] * 5])
    counts = resample_counts(present, 300)
    assert counts.shape == (3, 300, 5)
    assert counts.sum(axis=2).tolist() == [[5] * 300, [3] * 300, [0] * 300]
    assert not counts[:, :, :][:, :, 1][1].any()
    assert np.array_equal(counts, resample_counts(present, 300))
    assert not np.array_equal(counts, resample_counts(present, 300, seed=1))


def test_resample_counts_are_binomial():
    counts = resample_counts(np.ones((1, 4), bool), 40_000)[0]
    for k in range(5):
        share, expected = (counts == k).mean(), stats.binom.pmf(k, 4, 0.25)
        assert share == pytest.approx(expected, abs=4 * np.sqrt(expected / 160_000) + 1e-9)


def test_blocks_of_draws_follow_one_stream(monkeypatch):
    whole = resample_counts(np.ones((2, 6), bool), 50)
    monkeypatch.setattr("simulator.statistics.bootstrap._DRAWS_AT_ONCE", 60)
    assert np.array_equal(resample_counts(np.ones((2, 6), bool), 50), whole)


@pytest.mark.parametrize("n", [1, 2, 3, 7, 32])
def test_statistics_of_resamples_equal_scipys(n):
    values = rng(n).normal(size=(3, n))
    values[1] = np.round(values[1])  # ties
    counts = resample_counts(np.ones((1, n), bool), 300)[0]
    found = resampled_statistics(values, counts, goal=0.5)
    for p in range(3):
        np.testing.assert_allclose(found.value[:, p], by_scipy(values[p], 0.5), rtol=1e-12, atol=1e-14)
        for b in (0, 127, 128, 299):
            again = np.repeat(values[p], counts[b])
            np.testing.assert_allclose(found.resampled[:, p, b], by_scipy(again, 0.5), rtol=1e-12, atol=1e-14)


def by_scipy(x, goal):
    return [x.mean(), stats.trim_mean(x, 0.25), np.median(x), np.maximum(goal - x, 0.0).mean()]


def test_missing_seeds_are_excluded_from_every_resample():
    values = np.array([[3.0, np.nan, 1.0, np.nan], [np.nan] * 4])
    counts = np.array([[2, 1, 1, 0], [0, 3, 0, 1]], np.uint16)
    found = resampled_statistics(values, counts)
    assert found.value[:, 0].tolist() == [2.0, 2.0, 2.0, 0.0]
    assert found.resampled[:, 0, 0].tolist() == [7 / 3, 7 / 3, 3.0, 0.0]
    assert np.isnan(found.resampled[:, 0, 1]).all()
    assert np.isnan(found.value[:, 1]).all()


def test_aggregates_by_hand_as_rliable_defines_them():
    """Two tasks, four runs: IQM of all runs, mean and optimality gap over all."""
    runs = np.array([[0.0, 0.2, 0.4, 0.6], [0.8, 1.0, 1.2, 1.4]]).T  # runs x tasks
    value = dict(
        zip(STATISTICS, resampled_statistics(runs.reshape(1, -1), np.ones((1, 8), np.uint16)).value[:, 0], strict=True)
    )
    assert value["iqm"] == pytest.approx((0.4 + 0.6 + 0.8 + 1.0) / 4)
    assert value["mean"] == pytest.approx(0.7)
    assert value["optimality_gap"] == pytest.approx((1.0 + 0.8 + 0.6 + 0.4 + 0.2) / 8)


@pytest.mark.parametrize("value", [0.1, 3.3, -1e300])
def test_equal_scores_have_no_rounding_error(value):
    found = resampled_statistics(np.full((1, 7), value), resample_counts(np.ones((1, 7), bool), 100)[0], goal=4.0)
    assert set(found.resampled[:3].ravel().tolist()) == {value}
    assert set(found.resampled[3].ravel().tolist()) == {4.0 - value}


@settings(max_examples=30, deadline=None)
@given(st.lists(st.floats(-100, 100), min_size=2, max_size=40), st.floats(0.001, 0.5))
def test_interval_ends_are_numpys_quantiles(values, share):
    level = 1.0 - 2.0 * share
    row = np.array([values])
    if not 0.0 < level < 1.0:
        return
    cut = expanded_tail(level, 9.0, 8.0)
    low, high = percentile_interval(row, level, 9, trimmed=1.0)
    np.testing.assert_allclose([low[0], high[0]], np.quantile(values, [cut, 1.0 - cut]), rtol=1e-12, atol=1e-12)


def test_few_equal_seeds_have_no_ends():
    rows = np.array([[2.0, 2.0, 2.0], [2.0, np.nan, 2.0], [2.0, 2.0, 2.5]])
    low, high = percentile_interval(rows, 0.95, [12, 12, 12])
    assert np.isnan(low[:2]).all()
    assert np.isnan(high[:2]).all()
    assert low[2] == 2.0 < high[2]
    for statistic, ignores, least in (("iqm", 0.25, 13), ("median", 0.5, 6)):
        found = [percentile_interval(rows[:1], 0.95, n, trimmed=ignores)[0][0] for n in (least - 1, least)]
        np.testing.assert_array_equal(found, [np.nan, 2.0], err_msg=statistic)


def test_the_tail_by_hand():
    """Hesterberg 2015, section 4.3: Phi(-sqrt(n / (n - 1)) t) of n = 10 is 0.0086."""
    assert expanded_tail(0.95, 10, 9) == pytest.approx(stats.norm.cdf(-np.sqrt(10 / 9) * 2.262157), rel=1e-6)
    assert expanded_tail(0.95, 10, 9) == pytest.approx(0.0086, abs=5e-5)
    assert expanded_tail(0.95, 1e9, 1e9) == pytest.approx(0.025, rel=1e-6)


def test_one_seed_or_none_has_no_interval():
    rows = np.array([[1.0, 1.0, 1.0], [np.nan, 2.0, 4.0], [np.nan] * 3])
    low, high = percentile_interval(rows, 0.5, np.array([1, 3, 3]))
    assert np.isnan(low).tolist() == np.isnan(high).tolist() == [True, False, True]
    assert 2.0 < low[1] < high[1] < 4.0


@pytest.mark.parametrize(("n", "challenges"), [(8, 1), (32, 1), (8, 6)])
def test_intervals_of_the_interquartile_mean_cover_their_level(n, challenges):
    """Of normal scores, whose interquartile mean is 0; four standard errors around 92 to 98 %."""
    tries = 600
    values = rng(n + challenges).normal(size=(tries, challenges * n))
    counts = np.concatenate(list(resample_counts(np.ones((challenges, n), bool), 1_000)), axis=1)
    low, high = percentile_interval(resampled_statistics(values, counts).resampled[1], 0.95, n, challenges * (n - 1))
    assert 0.92 - 0.03 <= np.mean((low <= 0.0) & (high >= 0.0)) <= 0.98 + 0.01
