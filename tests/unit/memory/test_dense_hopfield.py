"""Tests of dense Hopfield memories: against plain energies and the Hopfield network, and their capacity."""

from __future__ import annotations

from math import log

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from memory import dense_hopfield
from simulator.core import rng
from simulator.core.memories import PatternSpec
from tests.helpers.hopfield import hopfield_with
from tests.helpers.patterns import random_patterns
from tests.helpers.seeding import FIRST_SEED


def make(stored, seed_list=None, **config):
    seed_list = list(range(len(stored))) if seed_list is None else seed_list
    memory = dense_hopfield.make(PatternSpec((stored.shape[2],)), seed_list, dense_hopfield.Config(**config))
    memory.store(stored)
    return memory


def plain_energy(stored, state, config):
    overlaps = stored.astype(np.float64) @ state
    if config["kind"] == "exponential":
        return -(overlaps.max() + np.log(np.exp(overlaps - overlaps.max()).sum()))
    rectified = np.maximum(overlaps, 0.0) if config["rectified"] else overlaps
    return -((rectified / len(state)) ** config["degree"]).sum()


def loop(stored, cue, seed, held, config):
    """Recall by computing both energies of every unit afresh."""
    stream = np.random.Generator(rng.unpack_state(rng.pcg64_states([seed], "recall")[0]))
    state, order = cue.astype(np.float64), list(range(len(cue)))
    energies = [plain_energy(stored, state, config)]
    for _ in range(100):
        for k in range(len(cue) - 1, 0, -1):
            other = int(stream.random() * (k + 1))
            order[k], order[other] = order[other], order[k]
        before = state.copy()
        for unit in order:
            up, down = (np.where(np.arange(len(cue)) == unit, s, state) for s in (1.0, -1.0))
            gap = plain_energy(stored, down, config) - plain_energy(stored, up, config)
            if config["kind"] == "exponential" and abs(gap) < 1e-9 and not held[unit]:
                return None  # sums of exponentials tie but for rounding, which is another one here
            if abs(gap) > 1e-13 and not held[unit]:
                state[unit] = np.sign(gap)
        if (state == before).all():
            break
        energies.append(plain_energy(stored, state, config))
    return state, energies


@settings(max_examples=30, deadline=None)
@given(
    seed=st.integers(0, 2**20),
    n=st.integers(4, 17),
    n_patterns=st.integers(1, 12),
    degree=st.integers(2, 6),
    rectified=st.booleans(),
    kind=st.sampled_from(["polynomial", "exponential"]),
)
def test_recall_is_the_plain_loop(seed, n, n_patterns, degree, rectified, kind):
    config = {"degree": degree, "rectified": rectified, "kind": kind}
    stored, cues = random_patterns(seed, 1, n_patterns, n), random_patterns(seed + 1, 1, 9, n)
    cues[:, ::3, ::2] = 0.0
    known = (random_patterns(seed + 2, *cues.shape) > 0.5) & (cues != 0.0)
    found = make(stored, [5], **config).recall(cues, known)
    for q in range(9):
        walked = loop(stored[0], cues[0, q], 5, known[0, q], config)
        if walked is None:
            continue
        state, energies = walked
        np.testing.assert_array_equal(found.patterns[0, q], state)
        np.testing.assert_allclose(found.energy[0, q, : len(energies)], energies, rtol=1e-12, atol=1e-13)
        assert np.isnan(found.energy[0, q, len(energies) :]).all()


def test_degree_two_is_hopfield_without_a_diagonal():
    stored, cues = random_patterns(0, 2, 10, 60), random_patterns(1, 2, 20, 60)
    dense, plain = make(stored, degree=2).recall(cues), hopfield_with(stored).recall(cues)
    np.testing.assert_array_equal(dense.patterns, plain.patterns)
    np.testing.assert_array_equal(dense.n_iters, plain.n_iters)
    # -sum m^2 / N^2 against -(sum m^2 - N P) / 2 N
    np.testing.assert_allclose(30 * dense.energy + 5, plain.energy, atol=1e-9)


@pytest.mark.learning
@pytest.mark.parametrize("degree", [3, 4])
def test_capacity_without_errors(degree):
    """N^(n - 1) / (2 (2 n - 3)!! ln N): half as many patterns stay as they are, four times as many do not."""
    n = {3: 100, 4: 40}[degree]
    most = n ** (degree - 1) / (2 * {3: 3, 4: 15}[degree] * log(n))
    shares = {}
    for times in (0.5, 4.0):
        stored = random_patterns(FIRST_SEED, 4, round(times * most), n)
        shares[times] = (make(stored, degree=degree, recall_mode="single_pass").recall(stored).n_iters == 0).mean()
    assert shares[0.5] > 0.97
    assert shares[4.0] < 0.5


@pytest.mark.learning
def test_exponentials_hold_more_than_units():
    stored = random_patterns(FIRST_SEED, 2, 1_000, 40)
    cues = stored[:, :100].copy()
    cues[:, :, :4] *= -1
    assert (make(stored, kind="exponential").recall(cues).patterns == stored[:, :100]).all(2).mean() > 0.9
    assert not (hopfield_with(stored, rule="hebb").recall(cues).patterns == stored[:, :100]).all(2).any()


def test_an_even_degree_keeps_negatives_unless_rectified():
    stored = random_patterns(0, 1, 3, 40)
    np.testing.assert_array_equal(make(stored, degree=4).recall(-stored).patterns, -stored)
    rectified = make(stored, degree=4, rectified=True)
    assert (rectified.recall(-stored).patterns != -stored).any()
    np.testing.assert_array_equal(rectified.recall(stored).patterns, stored)


@pytest.mark.parametrize("kind", ["polynomial", "exponential"])
def test_large_networks_overflow_nowhere(kind):
    stored = random_patterns(0, 1, 20, 3_000)
    memory = make(stored, kind=kind, degree=100)
    cues = stored * np.where(np.arange(3_000) % 5 == 0, -1, 1).astype(np.float32)
    found = memory.recall(cues)
    np.testing.assert_array_equal(found.patterns, stored)
    np.testing.assert_allclose(memory.energy(stored), -1.0 if kind == "polynomial" else -3_000.0, rtol=1e-12)


@pytest.mark.parametrize("kind", ["polynomial", "exponential"])
def test_seeds_and_cues_are_independent(kind):
    stored, cues = random_patterns(0, 3, 30, 24), random_patterns(1, 3, 20, 24)
    together = make(stored, [4, 7, 2], kind=kind, degree=3).recall(cues)
    for i, seed in enumerate([4, 7, 2]):
        memory = make(stored[[i]], [seed], kind=kind, degree=3)
        for a, b in zip(together, memory.recall(cues[[i]]), strict=True):
            np.testing.assert_array_equal(a[[i]], b)
        for a, b in zip(together, memory.recall(cues[[i], 11:12]), strict=True):
            np.testing.assert_array_equal(a[[i], 11:12], b)


def test_state_and_refusals():
    stored = random_patterns(0, 1, 3, 10)
    memory, other = make(stored), dense_hopfield.make(PatternSpec((10,)), [0], dense_hopfield.Config())
    with pytest.raises(ValueError, match="dense_hopfield: nothing is stored yet"):
        other.recall(stored)
    other.restore(memory.state())
    np.testing.assert_array_equal(
        other.energy(random_patterns(1, 1, 9, 10)), memory.energy(random_patterns(1, 1, 9, 10))
    )
    assert other.n_parameters == 30
    with pytest.raises(ValueError, match=r"expected -1 or \+1"):
        memory.store(stored * 0.5)
