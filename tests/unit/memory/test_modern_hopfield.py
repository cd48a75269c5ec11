"""Tests of the modern Hopfield network: equal to attention, and with evidence to Bayes' rule."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from memory import modern_hopfield
from simulator.core.memories import PatternSpec
from tests.helpers.patterns import random_patterns


def make(stored, **config):
    units = PatternSpec((stored.shape[2],))
    memory = modern_hopfield.make(units, list(range(len(stored))), modern_hopfield.Config(**config))
    memory.store(stored)
    return memory


def reals(seed, *shape):
    return np.random.Generator(np.random.PCG64(seed)).uniform(-1, 1, shape).astype(np.float32)


def test_one_step_is_torch_s_attention():
    import torch
    from torch.nn.functional import scaled_dot_product_attention as attention

    stored, cues = reals(0, 3, 50, 32), reals(1, 3, 300, 32)
    found = make(stored, recall_mode="single_pass", beta=1.5).recall(cues).patterns
    keys = torch.from_numpy(stored)
    expected = attention(torch.from_numpy(cues), keys, keys, scale=1.5).numpy()
    np.testing.assert_allclose(found, expected, atol=2e-6)


@pytest.mark.parametrize("flip", [0.1, 0.3])
def test_with_evidence_it_is_the_posterior_mean(flip):
    stored, cues = random_patterns(0, 2, 6, 12), random_patterns(1, 2, 20, 12)
    beta = 0.5 * np.log((1 - flip) / flip)
    found = make(stored).recall(cues, None, (beta * cues).astype(np.float32)).patterns
    wrong = (cues[:, :, None] != stored[:, None]).sum(3)
    likelihood = flip**wrong * (1 - flip) ** (12 - wrong)
    mean = np.einsum("sqp,spn->sqn", likelihood / likelihood.sum(2, keepdims=True), stored)
    np.testing.assert_allclose(found, mean, atol=1e-5)
    np.testing.assert_allclose(
        make(stored, recall_mode="single_pass", beta=beta).recall(cues).patterns, mean, atol=1e-5
    )


def test_without_evidence_it_falls_back_to_beta():
    stored, cues = random_patterns(0, 1, 6, 12), random_patterns(1, 1, 5, 12)
    for one, other in zip(make(stored).recall(cues), make(stored, recall_mode="single_pass").recall(cues), strict=True):
        np.testing.assert_array_equal(one, other)


def test_the_energy_by_hand():
    stored = np.array([[[1, 1], [1, -1]]], np.float32)
    beta, q = 2.0, np.array([0.5, -0.25])
    fits = stored[0] @ q
    expected = -np.log(np.exp(beta * fits).sum()) / beta + 0.5 * q @ q + np.log(2) / beta + 0.5 * 2
    np.testing.assert_allclose(make(stored, beta=beta).energy(q[None, None]), [[expected]], rtol=1e-6)


@given(st.integers(0, 2**20), st.floats(0.05, 5.0))
def test_no_step_raises_the_energy(seed, beta):
    memory = make(reals(seed, 1, 5, 8), recall_mode="fixed_point", beta=beta)
    found = memory.recall(reals(seed + 1, 1, 6, 8))
    falls = np.diff(found.energy[0], axis=1)
    assert (falls[np.isfinite(falls)] < 1e-5).all()
    at = found.n_iters[0]
    ends = np.take_along_axis(found.energy[0], at[:, None], 1)[:, 0]
    np.testing.assert_allclose(ends, memory.energy(found.patterns)[0], atol=1e-5)
    assert np.isfinite(found.energy[0]).sum() == (at + 1).sum()


def test_the_fixed_point_is_reached_by_repeated_steps():
    stored, q = reals(0, 1, 5, 8), reals(1, 1, 1, 8)
    found = make(stored, recall_mode="fixed_point", beta=3.0, tol=1e-3, max_iters=500).recall(q)
    once, steps = make(stored, recall_mode="single_pass", beta=3.0), 0
    while True:
        new = once.recall(q).patterns
        if abs(new - q).max() <= 1e-3:
            break
        q, steps = new, steps + 1
    assert found.n_iters[0, 0] == steps > 1
    np.testing.assert_allclose(found.patterns, q, atol=1e-6)


def test_known_units_are_held():
    stored, cues = random_patterns(0, 1, 6, 12), random_patterns(1, 1, 5, 12)
    known = random_patterns(2, 1, 5, 12) > 0
    for recall_mode in ("single_pass", "fixed_point"):
        found = make(stored, recall_mode=recall_mode).recall(cues, known).patterns
        np.testing.assert_array_equal(found[known], cues[known])


def test_seeds_are_independent():
    stored, cues = reals(0, 3, 7, 16), reals(1, 3, 20, 16)
    together = make(stored, recall_mode="fixed_point").recall(cues)
    for i in range(3):
        for a, b in zip(together, make(stored[[i]], recall_mode="fixed_point").recall(cues[[i]]), strict=True):
            np.testing.assert_array_equal(a[[i]], b)


def test_large_overlaps_overflow_nowhere_and_state_comes_back():
    stored = random_patterns(0, 1, 4, 3_000)
    memory = make(stored, recall_mode="single_pass", beta=50.0)
    np.testing.assert_array_equal(memory.recall(stored).patterns, stored)
    other = modern_hopfield.make(
        PatternSpec((3_000,)), [0], modern_hopfield.Config(recall_mode="single_pass", beta=50.0)
    )
    with pytest.raises(ValueError, match="modern_hopfield: nothing is stored yet"):
        other.recall(stored)
    other.restore(memory.state())
    np.testing.assert_array_equal(other.energy(stored), memory.energy(stored))
    assert other.n_parameters == 12_000
