"""Tests of the Hopfield network: by hand, and against plain loops."""

from __future__ import annotations

from itertools import product

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from simulator.core import rng
from tests.helpers.hopfield import hopfield_with
from tests.helpers.patterns import random_patterns

X = np.array([[[1, -1, 1, -1, 1, 1], [1, 1, 1, -1, -1, -1]]], np.float32)
EVERY = np.array([list(product([1.0, -1.0], repeat=6))], np.float32)
UPDATES = ("asynchronous", "synchronous")


def test_two_vectors_by_hand():
    weights = hopfield_with(X, scale="none", zero_diagonal=False).weights()[0]
    block = np.array([[1, 0, 1, 1, 0, 0]]).T * [1, 0, 1, 1, 0, 0] + np.array([[0, 1, 0, 0, 1, 1]]).T * [
        0,
        1,
        0,
        0,
        1,
        1,
    ]
    np.testing.assert_array_equal(abs(weights), 2 * block)
    np.testing.assert_allclose(hopfield_with(X).weights()[0], (weights - 2 * np.eye(6)) / 6)
    np.testing.assert_allclose(hopfield_with(X, scale="patterns").weights()[0], (weights - 2 * np.eye(6)) / 2)
    np.testing.assert_allclose(hopfield_with(X).energy(X), [[-2, -2]])
    np.testing.assert_allclose(hopfield_with(X, zero_diagonal=False).energy(X), [[-3, -3]])


@pytest.mark.parametrize("update", UPDATES)
def test_the_four_fixed_points_and_their_basins(update):
    memory = hopfield_with(X, update=update)
    found = memory.recall(EVERY)
    expected = np.concatenate([X[0], -X[0]])
    at_rest = EVERY[0][found.n_iters[0] == 0]
    assert {tuple(x) for x in at_rest} == {tuple(x) for x in expected}
    assert [int((found.patterns[0] == x).all(1).sum()) for x in expected] == [16] * 4
    flips = np.where(np.eye(6, dtype=bool), -X[0][:, None], X[0][:, None]).reshape(1, 12, 6)
    np.testing.assert_array_equal(memory.recall(flips).patterns[0], np.repeat(X[0], 6, axis=0))


def loop(weights, cue, seed, push, held, n_sweeps=100):
    """Recall by the textbook: units one by one in the seed's order, float64, every field computed afresh."""
    stream = np.random.Generator(rng.unpack_state(rng.pcg64_states([seed], "recall")[0]))
    state, order, n = cue.astype(np.float64), list(range(len(cue))), len(cue)
    energies = [-0.5 * state @ weights @ state - push @ state]
    for _ in range(n_sweeps):
        for k in range(n - 1, 0, -1):
            other = int(stream.random() * (k + 1))
            order[k], order[other] = order[other], order[k]
        before = state.copy()
        for unit in order:
            field = weights[unit] @ state + push[unit]
            if field != 0.0 and not held[unit]:
                state[unit] = np.sign(field)
        if (state == before).all():
            break
        energies.append(-0.5 * state @ weights @ state - push @ state)
    return state, energies


def synchronous_loop(weights, cue, push, held, n_sweeps=100):
    states, energies = [cue.astype(np.float64)], []
    for _ in range(n_sweeps):
        field = weights @ states[-1] + push
        new = np.where((field == 0.0) | held, states[-1], np.sign(field))
        if (new == states[-1]).all():
            break
        states.append(new)
        if len(states) > 2 and (new == states[-3]).all():
            break
    energies = [-0.5 * s @ weights @ s - push @ s for s in states]
    return states[-1], energies


@settings(max_examples=40, deadline=None)
@given(
    seed=st.integers(0, 2**20),
    n=st.integers(4, 23),
    n_patterns=st.integers(1, 14),
    bias=st.booleans(),
    zero_diagonal=st.booleans(),
    update=st.sampled_from(UPDATES),
)
def test_recall_is_the_plain_loop(seed, n, n_patterns, bias, zero_diagonal, update):
    stored, cues = random_patterns(seed, 2, n_patterns, n), random_patterns(seed + 1, 2, 11, n)
    cues[:, ::3, ::2] = 0.0
    known = random_patterns(seed + 2, *cues.shape) > 0.5
    known &= cues != 0.0
    evidence = np.round(random_patterns(seed + 3, *cues.shape) * 0.5, 2)
    memory = hopfield_with(
        stored,
        [5, 9],
        bias=bias,
        zero_diagonal=zero_diagonal,
        update=update,
        recall_mode="noise_aware",
        scale="none",
        cue_field=1.5,
    )
    found, weights = memory.recall(cues, known, evidence), memory.weights()
    for i, q in product(range(2), range(11)):
        w, push = weights[i], 1.5 * evidence[i, q]
        cue, held = cues[i, q], known[i, q]
        if bias:
            cue, push, held = np.append(cue, 1), np.append(push, 0), np.append(held, True)
        if update == "asynchronous":
            state, energies = loop(w, cue, [5, 9][i], push, held)
        else:
            state, energies = synchronous_loop(w, cue, push, held)
        np.testing.assert_array_equal(found.patterns[i, q], state[:n])
        assert found.n_iters[i, q] == len(energies) - 1
        np.testing.assert_allclose(found.energy[i, q, : len(energies)], energies, atol=1e-9)
        assert np.isnan(found.energy[i, q, len(energies) :]).all()


@pytest.mark.parametrize("rule", ["storkey", "pseudo_inverse", "perceptron", "flow"])
def test_weights_of_any_kind_recall_like_the_plain_loop(rule):
    stored, cues = random_patterns(1, 1, 6, 30), random_patterns(2, 1, 10, 30)
    memory = hopfield_with(stored, [3], rule=rule)
    found, weights = memory.recall(cues), memory.weights()[0]
    np.testing.assert_allclose(weights, weights.T, atol=1e-6)
    for q in range(10):
        state, energies = loop(weights, cues[0, q], 3, np.zeros(30), np.zeros(30, bool))
        np.testing.assert_array_equal(found.patterns[0, q], state)
        np.testing.assert_allclose(found.energy[0, q, : len(energies)], energies, rtol=1e-5, atol=1e-6)


def test_a_flip_changes_the_energy_by_twice_its_field():
    memory, states = hopfield_with(random_patterns(0, 1, 5, 20)), random_patterns(1, 1, 50, 20)
    fields = states[0].astype(np.float64) @ memory.weights()[0]
    before = memory.energy(states)[0]
    for unit in range(20):
        follows = states.copy()
        follows[0, :, unit] = np.where(fields[:, unit] > 0, 1, -1)
        turned = (follows != states).any(2)[0]
        change = memory.energy(follows)[0] - before
        np.testing.assert_allclose(change, -2 * abs(fields[:, unit]) * turned, atol=1e-12)


@given(st.integers(0, 2**20), st.integers(1, 8))
def test_the_energy_falls_strictly_to_a_fixed_point(seed, n_patterns):
    memory = hopfield_with(random_patterns(seed, 1, n_patterns, 15))
    found = memory.recall(random_patterns(seed + 1, 1, 20, 15))
    falls = np.diff(found.energy[0], axis=1)
    assert (falls[np.isfinite(falls)] < 0).all()
    assert (memory.recall(found.patterns).n_iters == 0).all()


@given(st.integers(0, 2**20), st.integers(1, 8))
def test_all_at_once_the_period_is_at_most_two(seed, n_patterns):
    memory = hopfield_with(random_patterns(seed, 1, n_patterns, 15), update="synchronous")
    found = memory.recall(random_patterns(seed + 1, 1, 20, 15))
    assert (found.n_iters < 100).all()
    once = hopfield_with(random_patterns(seed, 1, n_patterns, 15), update="synchronous", recall_mode="single_pass")
    twice = once.recall(once.recall(found.patterns).patterns).patterns
    np.testing.assert_array_equal(twice, found.patterns)


def test_a_cycle_of_two_is_seen():
    memory = hopfield_with(np.ones((1, 1, 2), np.float32), update="synchronous")  # each of two units copies the other
    found = memory.recall([[[1, -1]]])
    assert found.n_iters[0, 0] == 2
    np.testing.assert_array_equal(found.patterns[0, 0], [1, -1])
    np.testing.assert_array_equal(found.energy[0, 0, :3], [0.5, 0.5, 0.5])


@pytest.mark.parametrize("update", UPDATES)
def test_a_field_of_zero_keeps_the_unit(update):
    stored = np.array([[[1, 1, 1, 1], [1, 1, -1, -1]]], np.float32)  # units 0, 1 and 2, 3 know nothing of each other
    found = hopfield_with(stored, update=update).recall([[[1, 0, -1, -1], [0, 0, 1, 0]]])
    np.testing.assert_array_equal(found.patterns[0], [[1, 1, -1, -1], [0, 0, 1, 1]])
