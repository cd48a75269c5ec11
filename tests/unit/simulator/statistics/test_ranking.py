"""Tests of ranking: strengths against choix, lotteries against linear programming, cycles against enumeration."""

import itertools

import choix
import numpy as np
import pytest
from scipy.optimize import linprog

from simulator.statistics.ranking import bradley_terry, credited, majority_cycles, maximal_lottery, refit, tiers


def rng(seed=0):
    return np.random.Generator(np.random.PCG64(seed))


def played(strengths, n, seed=0):
    """Return wins of n comparisons of every pair, drawn by the strengths."""
    c, draws = len(strengths), rng(seed)
    wins = np.zeros((c, c))
    for i, j in itertools.combinations(range(c), 2):
        wins[i, j] = draws.binomial(n, 1.0 / (1.0 + np.exp(strengths[j] - strengths[i])))
        wins[j, i] = n - wins[i, j]
    return wins


@pytest.mark.parametrize("c", [2, 3, 6, 20])
def test_strengths_equal_choix(c):
    true = np.linspace(-2.0, 2.0, c)
    wins = played(true, 40, seed=c)
    ours = bradley_terry(wins)
    np.testing.assert_allclose(ours, choix.ilsr_pairwise_dense(credited(wins), max_iter=1_000), atol=1e-6)
    assert ours.sum() == pytest.approx(0.0, abs=1e-9)
    again = refit(np.stack([wins, played(true, 40, seed=99)]), np.zeros(c))
    np.testing.assert_allclose(again[0], ours, atol=1e-6)
    np.testing.assert_allclose(again[1], bradley_terry(played(true, 40, seed=99)), atol=1e-6)


def test_strengths_equal_another_algorithm_of_choix():
    """Doubled credits as whole comparisons, by minorization-maximization."""
    wins = played(np.array([0.0, 1.0]), 20)
    data = [(i, j) for i, j in ((0, 1), (1, 0)) for _ in range(int(2 * credited(wins)[i, j]))]
    np.testing.assert_allclose(bradley_terry(wins), choix.mm_pairwise(2, data), atol=1e-6)


def test_synthetic_strengths_are_found_again():
    true = np.array([-1.5, -0.5, 0.3, 1.7])
    np.testing.assert_allclose(bradley_terry(played(true, 100_000)), true, atol=0.05)


def test_two_contestants_by_hand():
    strengths = bradley_terry(np.array([[0.0, 7.0], [3.0, 0.0]]))
    assert strengths[0] - strengths[1] == pytest.approx(np.log(7.5 / 3.5))


def test_a_constant_winner_has_finite_strength():
    wins = np.triu(np.full((4, 4), 32.0), 1)
    strengths = bradley_terry(wins)
    assert np.isfinite(strengths).all()
    assert (np.diff(strengths) < -1.0).all()
    resampled = refit(np.tile(wins, (500, 1, 1)), strengths, rng())
    assert np.isfinite(resampled).all()
    assert (resampled.std(axis=0) > 0.1).all()  # never known exactly
    np.testing.assert_allclose(refit(np.tile(wins, (2, 1, 1)), strengths), [strengths] * 2, atol=1e-6)


def test_groups_without_common_matches_are_centred_at_zero():
    wins = np.zeros((4, 4))
    wins[0, 1] = wins[2, 3] = 10.0
    strengths = bradley_terry(wins)
    np.testing.assert_allclose(strengths[:2], strengths[2:], atol=1e-6)
    assert strengths[0] > 1.0


@pytest.mark.parametrize("c", [0, 1])
def test_a_single_contestant_has_no_pairs(c):
    assert bradley_terry(np.zeros((c, c))).tolist() == [0.0] * c
    assert refit(np.zeros((3, c, c)), np.zeros(c)).shape == (3, c)
    assert maximal_lottery(np.zeros((c, c))).tolist() == [1.0] * c
    assert majority_cycles(np.zeros((c, c), bool)) == []
    assert tiers(np.zeros((c, c), bool)) == [1] * c


def margins_of(c, seed):
    upper = np.triu(np.round(rng(seed).normal(size=(c, c)), 2), 1)
    return upper - upper.T


def test_a_condorcet_winner_has_the_whole_lottery():
    margins = margins_of(6, 0)
    margins[2], margins[:, 2] = 0.1, -0.1
    margins[2, 2] = 0.0
    assert maximal_lottery(margins).tolist() == [0, 0, 1, 0, 0, 0]


def test_lotteries_by_hand():
    paper = np.array([[0.0, 1.0, -1.0], [-1.0, 0.0, 1.0], [1.0, -1.0, 0.0]])
    np.testing.assert_allclose(maximal_lottery(paper), [1 / 3] * 3)
    weighted = np.array([[0.0, 3.0, -1.0], [-3.0, 0.0, 2.0], [1.0, -2.0, 0.0]])
    np.testing.assert_allclose(maximal_lottery(weighted), [2 / 6, 1 / 6, 3 / 6])  # opposite margins over their sum
    np.testing.assert_allclose(maximal_lottery(np.zeros((4, 4))), [0.25] * 4)


@pytest.mark.parametrize("seed", range(8))
def test_no_contestant_beats_a_maximal_lottery_and_it_is_the_most_even_one(seed):
    margins = margins_of(5, seed) if seed % 2 else np.sign(np.round(margins_of(5, seed)))
    p = maximal_lottery(margins)
    assert p.sum() == pytest.approx(1.0)
    assert (p @ margins).min() >= -1e-9
    for aim in rng(seed).normal(size=(6, 5)):  # corners of the set of all maximal lotteries
        other = linprog(aim, A_ub=-margins.T, b_ub=np.zeros(5), A_eq=np.ones((1, 5)), b_eq=[1.0]).x
        assert p @ p <= p @ other + 1e-9  # the nearest point to 0 of a convex set


@pytest.mark.parametrize("seed", range(5))
def test_a_clone_leaves_the_lottery_of_the_others(seed):
    margins = margins_of(5, seed)
    at = [0, 1, 2, 3, 4, int(np.argmax(maximal_lottery(margins)))]
    cloned, alone = maximal_lottery(margins[at][:, at]), maximal_lottery(margins)
    np.testing.assert_allclose(cloned[:5][np.arange(5) != at[5]], alone[np.arange(5) != at[5]], atol=1e-9)
    assert cloned[5] == pytest.approx(cloned[at[5]], abs=1e-9)
    assert cloned[5] + cloned[at[5]] == pytest.approx(alone[at[5]], abs=1e-9)


@pytest.mark.parametrize("seed", range(12))
def test_cycles_equal_those_of_an_enumeration(seed):
    beats = margins_of(5, seed) > (0.5 if seed % 3 == 0 else 0.0)
    found = majority_cycles(beats)
    for cycle in found:
        assert len(set(cycle)) == len(cycle) >= 3
        assert all(beats[a, b] for a, b in zip(cycle, [*cycle[1:], cycle[0]], strict=True))
    inside = {
        i
        for n in (3, 4, 5)
        for path in itertools.permutations(range(5), n)
        if all(beats[a, b] for a, b in zip(path, [*path[1:], path[0]], strict=True))
        for i in path
    }
    assert {i for cycle in found for i in cycle} == inside


def test_an_order_has_no_cycles():
    assert majority_cycles(np.triu(np.ones((6, 6), bool), 1)) == []


def test_tiers_by_hand():
    worse = np.zeros((5, 5), bool)
    worse[:2, 2:] = True  # 0 and 1 above all others
    assert tiers(worse) == [1, 1, 2, 2, 2]
    worse[2, 3:] = True
    assert tiers(worse) == [1, 1, 2, 3, 3]
    worse[0, 4] = False  # the last does not differ from the first: nor does any contestant between them
    assert tiers(worse) == [1, 1, 1, 1, 1]
    assert tiers(np.triu(np.ones((3, 3), bool), 1)) == [1, 2, 3]
