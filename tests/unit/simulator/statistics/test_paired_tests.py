"""Tests of paired comparisons: by hand, against scipy's permutation test and enumeration, and exact sums."""

import itertools
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from scipy import stats

from simulator.statistics.bootstrap import resample_counts
from simulator.statistics.paired_tests import (
    differences,
    holm,
    means,
    pair_index,
    permutation_test,
    proportion_ci,
    quantize,
    resampled_means,
    resampled_sums,
    seeds_needed,
    wins,
)


def rng(seed=0):
    return np.random.Generator(np.random.PCG64(seed))


def test_wins_of_pairs_by_hand():
    scores = np.array([[[1.0, 2.0, 3.0]], [[1.0 + 1e-12, 3.0, np.nan]], [[0.0, 0.0, 9.0]]])
    of = pair_index(3)
    assert of.tolist() == [[0, 1], [0, 2], [1, 2]]
    np.testing.assert_array_equal(wins(scores, of)[:, 0], [[0.5, 0.0, np.nan], [1.0, 1.0, 0.0], [1.0, 1.0, np.nan]])
    assert means(wins(scores, of)).tolist() == [0.25, pytest.approx(2 / 3), 1.0]
    assert means(differences(scores, of))[1] == pytest.approx(-1.0)
    assert pair_index(1).shape == (0, 2)


def test_the_probability_of_improvement_is_averaged_over_challenges():
    won = np.array([[[1.0, 1.0, 0.5, np.nan], [0.0, np.nan, np.nan, np.nan], [np.nan] * 4]])
    assert means(won).tolist() == [pytest.approx((2.5 / 3 + 0.0) / 2)]
    assert np.isnan(means(np.full((1, 2, 3), np.nan))).all()


def test_resampled_means_are_means_of_the_seeds_resample_counts():
    values = rng().normal(size=(3, 2, 5))
    values[1, 0, 2] = values[2, 1] = np.nan
    counts = resample_counts(np.ones((2, 5), bool), 40)
    for part in (values, values[:1]):
        found = resampled_means(part, counts)
        for q, b in itertools.product(range(len(part)), range(40)):
            again = [np.repeat(part[q, m], counts[m, b]) for m in range(2)]
            again = [x[np.isfinite(x)] for x in again]
            expected = np.mean([x.mean() for x in again if len(x)])
            assert found[q, b] == pytest.approx(expected, rel=1e-9, abs=1e-12)


@settings(max_examples=40, deadline=None)
@given(st.lists(st.floats(-1e6, 1e6), min_size=1, max_size=20), st.permutations(range(20)))
@example([5e-324, -2e-311], list(range(20)))
def test_sums_on_the_grid_have_no_rounding_error(values, order):
    row = quantize(np.array([values]), 20)[0]
    total = sum(Fraction(x) for x in row)
    shuffled = [row[i] for i in order if i < len(row)]
    assert Fraction(float(np.sum(shuffled))) == total == Fraction(float(row @ np.ones(len(row))))
    np.testing.assert_allclose(row, values, atol=np.abs(values).max() * 2.0**-40)


def test_resampled_sums_by_hand():
    counts = np.array([[[2, 0]], [[0, 2]]], np.uint16)
    assert resampled_sums(np.array([[[1.0, 5.0], [7.0, np.nan]], [[1.0, 1.0], [1.0, 3.0]]]), counts).tolist() == [
        [2.0],
        [8.0],
    ]


def test_proportions_have_agresti_and_coulls_interval_in_one_challenge():
    n_won, n, z = 7, 10, stats.norm.ppf(0.975)
    value, low, high = proportion_ci(np.array([[[1.0] * n_won + [0.0] * (n - n_won)]]), 0.95)
    middle = (n_won + z * z / 2) / (n + z * z)
    half = z * np.sqrt(middle * (1 - middle) / (n + z * z))
    assert (value[0], low[0], high[0]) == pytest.approx((0.7, middle - half, middle + half))


def test_proportions_over_two_challenges_have_price_and_bonetts_interval():
    z = stats.norm.ppf(0.975)
    value, low, high = proportion_ci(np.array([[[1.0, 1.0, 0.0, 1.0], [0.0, 0.0, 1.0, np.nan]]]), 0.95)
    credit = z * z / 4
    p = np.array([3 + credit, 1 + credit]) / (np.array([4, 3]) + 2 * credit)
    half = z * np.sqrt((p * (1 - p) / (np.array([4, 3]) + 2 * credit)).sum()) / 2
    assert (value[0], low[0], high[0]) == pytest.approx(((3 / 4 + 1 / 3) / 2, p.mean() - half, p.mean() + half))


@pytest.mark.parametrize("level", [0.5, 0.95, 0.999])
def test_a_proportion_of_one_has_an_interval(level):
    value, low, high = proportion_ci(np.ones((1, 3, 4)), level)
    assert value[0] == high[0] == 1.0
    assert 0.4 < low[0] < 1.0


@pytest.mark.parametrize("chance", [0.5, 0.88, 0.98])
@pytest.mark.parametrize(("n", "challenges"), [(8, 1), (32, 1), (8, 5)])
def test_intervals_of_proportions_cover_their_level(chance, n, challenges):
    """Enumerated: the sum over all outcomes of their chance, where the interval holds the truth."""
    n_wins = np.arange(n * challenges + 1)
    if challenges > 1:  # by simulation
        values = (rng(n).random((4_000, challenges, n)) < chance).astype(float)
        _, low, high = proportion_ci(values, 0.95)
        assert 0.92 <= np.mean((low <= chance) & (chance <= high)) <= 1.0
        return
    values = (np.arange(n) < n_wins[:, None]).astype(float)[:, None]
    _, low, high = proportion_ci(values, 0.95)
    covered = stats.binom.pmf(n_wins, n, chance)[(low <= chance) & (chance <= high)].sum()
    assert 0.92 <= covered <= 1.0


@pytest.mark.parametrize("n", [1, 2, 6, 11])
def test_sign_flips_are_enumerated_where_there_are_few(n):
    gaps = rng(n).normal(0.3, 1.0, n)
    flipped = [abs(np.dot(signs, gaps)) for signs in itertools.product((1, -1), repeat=n)]
    expected = np.mean(np.array(flipped) >= abs(gaps.sum()) - 1e-12)
    assert permutation_test(gaps[None, None], 10)[0] == pytest.approx(expected, abs=1e-15)


@pytest.mark.slow
def test_sign_flips_are_scipys_permutation_test():
    gaps = rng(5).normal(0.4, 1.0, 9)
    exact = stats.permutation_test((gaps,), np.mean, permutation_type="samples", n_resamples=np.inf)
    assert permutation_test(gaps[None, None], 10)[0] == pytest.approx(exact.pvalue)
    many = np.concatenate([gaps, gaps - 0.2])
    p = permutation_test(many[None, None], 50_000)[0]
    exact = stats.permutation_test((many,), np.mean, permutation_type="samples", n_resamples=np.inf)
    assert p == pytest.approx(exact.pvalue, abs=4 * np.sqrt(exact.pvalue / 50_000))


def test_sign_flips_weigh_challenges_alike_whatever_their_seeds():
    """Two seeds of +1 in one challenge and one of -3 in another: mean difference -1, as large in 4 of 8 flips."""
    gaps = np.array([[[1.0, 1.0], [-3.0, np.nan]]])
    assert means(gaps).tolist() == [-1.0]
    statistic = [abs((a + b) / 4 + c * 1.5) for a, b, c in itertools.product((1, -1), repeat=3)]
    assert permutation_test(gaps, 10)[0] == np.mean(np.array(statistic) >= 1.0)


def test_equal_scores_do_not_differ_significantly():
    gaps = np.array([np.zeros((2, 20)), np.full((2, 20), np.nan), np.full((2, 20), 1e-13)])
    np.testing.assert_array_equal(permutation_test(gaps, 100), [1.0, np.nan, 1.0])


def test_random_sign_flips_never_say_zero():
    assert permutation_test(np.ones((1, 1, 40)), 99)[0] == 0.01


def test_holms_correction_by_hand():
    p = np.array([0.01, 0.04, np.nan, 0.03, 0.005])
    np.testing.assert_allclose(holm(p), [0.03, 0.06, np.nan, 0.06, 0.02])
    assert holm(np.array([0.5, 0.6])).tolist() == [1.0, 1.0]
    assert holm(np.array([])).shape == (0,)


def test_seeds_needed_by_hand():
    """Differences of mean 0.5 and variance 1: (1.96 + 0.84)**2 / 0.25 = 31.4 seeds."""
    gaps = 0.5 + np.array([-1.0, 1.0] * 4) * np.sqrt(7 / 8)
    assert seeds_needed(gaps[None, None]) == [32]
    assert seeds_needed(gaps[None, None], effect=1.0) == [8]
    assert seeds_needed(np.stack([gaps, gaps])[None]) == [16]  # two challenges share the work
    assert seeds_needed(np.zeros((1, 1, 4))) == [None]
    assert seeds_needed(np.array([[[1.0]], [[np.nan]]])) == [None, None]
    assert seeds_needed(np.array([[[2.0, 2.0, 2.0]]])) == [6]  # 2 / 2**6 < 0.05: no test says more with fewer
