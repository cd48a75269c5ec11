"""Tests of the Bayes-optimal ceiling: by hand, and against every other answer on a tiny case."""

from __future__ import annotations

from itertools import product

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from envs.common.corruption.parse import parse
from envs.patterns import digits, random_bits
from simulator.core import rng
from simulator.core.memories import Cues, PatternSpec
from simulator.recall import bayes_optimal as module
from simulator.recall import metrics
from simulator.recall.bayes_optimal import ceiling, posterior
from tests.oracles.corruption import law

THREE = np.array([[[1, 1, -1, 1], [1, -1, -1, -1], [-1, 1, 1, 1]]], np.float32)


def _all_cues(n):
    return np.array(list(product((-1, 1), repeat=n)), np.float32)


@pytest.mark.parametrize("block_rows", [module.BLOCK_ROWS, 1])
def test_posterior_of_two_patterns_by_hand(block_rows, monkeypatch):
    monkeypatch.setattr(module, "BLOCK_ROWS", block_rows)
    stored = np.array([[[1, 1, 1], [-1, -1, -1]]], np.float32)
    cues = Cues(np.array([[[1, 1, -1], [-1, -1, -1]]], np.float32))
    # .8 .8 .2 against .2 .2 .8 is 4 to 1; .2^3 against .8^3 is 1 to 64
    found = ceiling(parse("flip:0.2", PatternSpec((3,))), cues, stored)
    np.testing.assert_allclose(found.restored[0, 0], 0.6, rtol=1e-6)
    np.testing.assert_allclose(found.restored[0, 1], -63 / 65, rtol=1e-6)
    assert found.best.tolist() == [[0, 1]]
    assert (found.restored.dtype, found.best.dtype) == (np.float32, np.int64)


def test_posterior_is_the_softmax_of_beta_times_overlap():
    cues, beta = _all_cues(4)[None], np.log(0.7 / 0.3) / 2
    found = posterior(parse("flip:0.3", PatternSpec((4,))).log_likelihood(Cues(cues), THREE))
    weights = np.exp(beta * (cues @ THREE.transpose(0, 2, 1)))
    np.testing.assert_allclose(found, weights / weights.sum(axis=2, keepdims=True), rtol=1e-6)


@pytest.mark.parametrize(
    ("name", "amount"), [("flip", 0.3), ("flips", 1), ("hide", 0.4), ("shift", 1), ("mix", 0.4), ("replace", 0.4)]
)
def test_no_answer_beats_the_ceiling(name, amount):
    """Over all patterns, cues and answers: overlap of sign vectors, exact recall, squared error."""
    stored = tuple(map(tuple, THREE[0].tolist()))
    laws = [law(name, amount, pattern, (2, 2), stored) for pattern in stored]
    cues = sorted({cue for each in laws for cue in each})
    joint = np.array([[each.get(cue, 0.0) for each in laws] for cue in cues]) / 3  # [Q, P]
    channel = parse(f"{name}:{amount}", PatternSpec((2, 2)))
    found = ceiling(channel, Cues(np.array([cues], np.float32)), THREE)
    answers = _all_cues(4)
    overlap = joint @ THREE[0] @ answers.T / 4  # [Q, answers], each cue's share of the expected overlap
    mine = np.where(found.restored[0] >= 0, 1.0, -1.0)
    np.testing.assert_allclose(((joint @ THREE[0]) * mine).sum(axis=1) / 4, overlap.max(axis=1), rtol=1e-6, atol=1e-9)
    np.testing.assert_allclose(joint[np.arange(len(cues)), found.best[0]], joint.max(axis=1))
    chance = joint.sum(axis=1)  # of each cue
    np.testing.assert_allclose(found.overlap[0] * chance, overlap.max(axis=1), rtol=1e-6, atol=1e-9)
    np.testing.assert_allclose(found.exact[0] * chance, joint.max(axis=1), rtol=1e-6, atol=1e-9)
    error = (joint[:, :, None] * (THREE[0] - found.restored[0][:, None]) ** 2).sum()
    for answer in (mine, THREE[0][found.best[0]], 0.9 * found.restored[0], np.zeros_like(mine)):
        assert error < (joint[:, :, None] * (THREE[0] - answer[:, None]) ** 2).sum() + 1e-9


GREY = ((0.9, -0.4, 0.2), (-0.9, 0.5, -0.3))


class KnownPosterior:
    """A corruption model whose evidence is each cue's posterior."""

    def __init__(self, weights):
        self._log = np.log(weights)[None]

    def log_likelihood(self, cues, patterns):
        return self._log


@pytest.mark.parametrize(
    ("apart", "more"),
    [(0.5, False), (0.05, False), (0.15, True), (0.0, False)],
    ids=["far", "the-same-to-the-eye", "an-answer-between", "equal"],
)
def test_no_answer_beats_the_ceiling_of_grey_patterns(apart, more):
    """Any posterior, and all answers on a grid that holds every value and what is between."""
    patterns = np.array([GREY[0], (GREY[0][0] - apart, *GREY[0][1:]), GREY[1]], np.float32)
    weights = np.random.Generator(np.random.PCG64(1)).dirichlet(np.ones(3), 40)
    cues, near = Cues(np.zeros((1, 40, 3), np.float32)), 0.1
    found = ceiling(KnownPosterior(weights), cues, patterns[None], median=True, near=near)
    values = np.unique(np.concatenate([np.linspace(-1, 1, 41), patterns.ravel()])).astype(np.float32)
    off = np.abs(values[:, None, None] - patterns)  # [values, P, N]
    best = 1.0 - np.einsum("qp,vpn->qvn", weights, off).min(axis=1).mean(axis=1)
    np.testing.assert_allclose(found.overlap[0], best, atol=1e-6)
    fits = (off <= near).transpose(2, 0, 1).astype(np.float64)  # [N, values, P]
    answers = np.einsum("ap,bp,cp->abcp", *fits).reshape(-1, 3)
    chance = (np.unique(answers, axis=0) @ weights.T).max(axis=0)
    assert found.more == more
    if more:
        assert (found.exact[0] <= chance + 1e-9).all()
        assert (found.exact[0] < chance - 0.01).any()
    else:
        np.testing.assert_allclose(found.exact[0], chance, rtol=1e-6)


def test_equal_patterns_share_their_mass():
    stored = np.array([[[1, 1, -1], [-1, -1, 1], [1, 1, -1]]], np.float32)
    found = ceiling(parse("flip:0.5", PatternSpec((3,))), Cues(stored), stored)
    np.testing.assert_allclose(found.exact, 2 / 3)
    assert found.best.tolist() == [[0, 0, 0]]
    assert not found.more


@pytest.mark.parametrize(("text", "levels"), [("flip:0.25", "two"), ("gauss:1.0", "grey"), ("erase:0.9", "two")])
def test_the_expected_overlap_equals_the_simulated_one(text, levels):
    """Over 2,000 cues, to four standard errors; and what is expected varies less."""
    seed_list, two = range(100), levels == "two"
    challenge = digits.make(seed_list, digits.Config(levels=levels))
    stored = challenge.draw(20, 0).stored
    channel = parse(text, challenge.spec)
    cues = channel.corrupt(stored, stored, rng.generators(seed_list, "corruption"))
    found = ceiling(channel, cues, stored, median=not two, near=0.0 if two else metrics.TOLERANCE)
    guess = np.take_along_axis(stored, found.best[..., None], axis=1)
    overlap = 1.0 - np.abs(metrics.decided(found.restored, two).astype(np.float64) - stored).mean(axis=2)
    exact = metrics.same(guess, stored, two)
    for expected, came in ((found.overlap, overlap), (found.exact, exact)):
        less = (came - expected).ravel()
        assert abs(less.mean()) < 4.0 * less.std() / np.sqrt(less.size)
        assert expected.mean(axis=1).std() < came.mean(axis=1).std()


def test_an_impossible_cue_leaves_all_patterns_equally_likely():
    cues = Cues(np.array([[[1, 1, 1, 1]]], np.float32))
    found = ceiling(parse("none", PatternSpec((4,))), cues, THREE)
    np.testing.assert_allclose(found.restored[0, 0], THREE[0].mean(axis=0), rtol=1e-6)
    assert found.best[0, 0] == 0


@settings(deadline=None)
@given(st.lists(st.floats(-1e5, 0.0), min_size=1, max_size=6), st.floats(-1e4, 1e4))
def test_posterior_is_stable_and_forgets_a_constant(values, constant):
    weights = posterior(np.array(values))
    assert weights.sum() == pytest.approx(1.0)
    assert (weights >= 0).all()
    np.testing.assert_allclose(posterior(np.array(values) + constant), weights, atol=1e-9)


def test_many_units_and_certain_channels_stay_finite():
    drawn = random_bits.make([0, 1], random_bits.Config(n_units=784)).draw(30, 0)
    for text in ("flip:0.001", "erase:0.9", "gauss:0.001", "mix:0.01", "flips:784"):
        channel = parse(text, PatternSpec((784,)))
        cues = channel.corrupt(drawn.stored, drawn.stored, rng.generators([0, 1], "corruption"))
        found = ceiling(channel, cues, drawn.stored)
        np.testing.assert_array_equal(found.restored, drawn.stored)
        assert (found.best == np.arange(30)).all()


def test_blocks_and_other_seeds_change_nothing(monkeypatch):
    drawn = random_bits.make(range(3), random_bits.Config(n_units=16)).draw(8, 0)
    channel = parse("erase:0.6", PatternSpec((4, 4)))
    cues = channel.corrupt(drawn.stored, drawn.stored, rng.generators(range(3), "corruption"))
    whole = ceiling(channel, cues, drawn.stored)
    monkeypatch.setattr(module, "_BLOCK", 24)  # three cues at a time
    split = ceiling(channel, cues, drawn.stored)
    np.testing.assert_array_equal(split.best, whole.best)
    np.testing.assert_allclose(split.overlap, whole.overlap, atol=1e-12)
    np.testing.assert_allclose(split.exact, whole.exact, atol=1e-12)
    np.testing.assert_allclose(split.restored, whole.restored, atol=1e-7)
    monkeypatch.undo()
    alone = ceiling(channel, Cues(cues.values[2:], cues.known[2:]), drawn.stored[2:])
    np.testing.assert_array_equal(alone.restored[0], whole.restored[2])


def test_nearest_restores_digits_as_often_as_it_must():
    """20 digits, 20 % flips, 32 seeds: overlap .97, exact .90, with 640 cues to an error of about .012."""
    seed_list = range(32)
    challenge = digits.make(seed_list, digits.Config())
    stored = challenge.draw(20, 0).stored
    channel = parse("flip:0.2", challenge.spec)
    cues = channel.corrupt(stored, stored, rng.generators(seed_list, "corruption"))
    found = ceiling(channel, cues, stored)
    nearest = (cues.values @ stored.transpose(0, 2, 1)).argmax(axis=2)
    np.testing.assert_array_equal(found.best, nearest)
    recalled = np.take_along_axis(stored, found.best[..., None], axis=1)
    assert (recalled * stored).mean() == pytest.approx(0.97, abs=0.01)
    assert (recalled == stored).all(axis=2).mean() == pytest.approx(0.90, abs=0.035)
