"""Tests of the Hopfield network's properties: seeds, blocks of cues, exactness, states, errors."""

from __future__ import annotations

import numpy as np
import pytest

from memory import hopfield
from simulator.core.jit import set_threads
from simulator.core.memories import PatternSpec
from tests.helpers.hopfield import hopfield_with
from tests.helpers.patterns import random_patterns

UPDATES = ("asynchronous", "synchronous")
RULES = ("hebb", "storkey", "pseudo_inverse", "perceptron", "flow")


def _same(one, other):
    for a, b in zip(one, other, strict=True):
        np.testing.assert_array_equal(a, b)


@pytest.mark.parametrize("update", UPDATES)
@pytest.mark.parametrize("rule", RULES)
def test_seeds_are_independent(rule, update):
    stored, cues = random_patterns(0, 3, 8, 24), random_patterns(1, 3, 20, 24)
    together = hopfield_with(stored, [4, 7, 2], rule=rule, update=update).recall(cues)
    for i, seed in enumerate([4, 7, 2]):
        _same(
            [part[[i]] for part in together],
            hopfield_with(stored[[i]], [seed], rule=rule, update=update).recall(cues[[i]]),
        )
    set_threads(2)
    try:
        _same(together, hopfield_with(stored, [4, 7, 2], rule=rule, update=update).recall(cues))
    finally:
        set_threads(1)


@pytest.mark.parametrize("update", UPDATES)
def test_cues_are_independent_and_recall_changes_nothing(update):
    memory, cues = hopfield_with(random_patterns(0, 1, 9, 40), update=update), random_patterns(1, 1, 30, 40)
    together = memory.recall(cues)
    _same(together, memory.recall(cues))
    for q in (0, 7, 8, 29):
        _same([part[:, [q]] for part in together], memory.recall(cues[:, [q]]))


@pytest.mark.parametrize("update", UPDATES)
def test_through_overlaps_and_through_weights_is_the_same(update):
    stored, cues = random_patterns(0, 2, 15, 31), random_patterns(1, 2, 20, 31)
    memory = hopfield_with(stored, update=update)
    by_weights = hopfield_with(np.concatenate([stored, stored], axis=1), update=update, scale="patterns")  # 30 > 31 / 2
    assert memory.state()["columns"].size
    assert not by_weights.state()["columns"].size
    one, other = memory.recall(cues), by_weights.recall(cues)
    np.testing.assert_array_equal(one.patterns, other.patterns)
    np.testing.assert_array_equal(one.n_iters, other.n_iters)
    np.testing.assert_allclose(one.energy * 31 * 2, other.energy * 30, rtol=1e-12)


@pytest.mark.slow
def test_sums_that_float32_cannot_hold_are_exact_all_the_same():
    """Overlaps of 9,000 in 9,000 units, two thousand times; the fields are whole, and beyond 2**24 in parts."""
    stored = np.ones((1, 2_000, 9_000), np.float32)
    stored[0, 1_001:] = -1.0
    stored[0, 0, 0] = -1.0  # its overlap with a row of ones is 8,998, of the next thousand 9,000, of the rest -9,000
    memory = hopfield_with(stored, zero_diagonal=False, scale="none")
    state = np.ones((1, 1, 9_000), np.float32)
    assert memory.energy(state)[0, 0] == -0.5 * (8_998**2 + 1_999 * 9_000**2)
    assert memory.recall(state).energy[0, 0, 0] == memory.energy(state)[0, 0]


def test_ties_are_real():
    """With N even and P even many fields are exactly 0, and none with P odd."""
    for n_patterns, least, most in ((10, 0.05, 0.3), (11, 0.0, 0.0)):
        memory = hopfield_with(random_patterns(0, 1, n_patterns, 100), scale="none")
        fields = random_patterns(1, 1, 50, 100)[0] @ memory.weights()[0]
        share = (fields == 0.0).mean()
        assert least <= share <= most
        once = hopfield_with(
            random_patterns(0, 1, n_patterns, 100), scale="none", recall_mode="single_pass", update="synchronous"
        )
        cues = random_patterns(1, 1, 50, 100)
        stay = once.recall(cues).patterns[0][fields == 0.0]
        np.testing.assert_array_equal(stay, cues[0][fields == 0.0])


@pytest.mark.parametrize("update", UPDATES)
def test_single_pass_is_the_first_sweep(update):
    stored, cues = random_patterns(0, 1, 9, 40), random_patterns(1, 1, 30, 40)
    once, settled = (
        hopfield_with(stored, update=update, recall_mode=recall_mode).recall(cues)
        for recall_mode in ("single_pass", "fixed_point")
    )
    assert once.energy.shape == (1, 30, 2)
    np.testing.assert_array_equal(once.energy, settled.energy[:, :, :2])
    assert settled.n_iters.max() > once.n_iters.max() == 1


@pytest.mark.parametrize("update", UPDATES)
def test_strong_evidence_wins_and_none_changes_nothing(update):
    stored, cues, evidence = random_patterns(0, 1, 4, 40), random_patterns(1, 1, 10, 40), random_patterns(2, 1, 10, 40)
    settled = hopfield_with(stored, update=update).recall(cues)
    free = hopfield_with(stored, update=update, recall_mode="noise_aware", cue_field=0.0).recall(cues, None, evidence)
    _same(settled, free)
    bound = hopfield_with(stored, update=update, recall_mode="noise_aware", cue_field=100.0).recall(
        cues, None, evidence
    )
    np.testing.assert_array_equal(bound.patterns, evidence)
    _same(settled, hopfield_with(stored, update=update, recall_mode="noise_aware").recall(cues))


@pytest.mark.parametrize("rule", RULES)
@pytest.mark.parametrize("bias", [False, True])
def test_a_restored_network_recalls_the_same(rule, bias):
    stored, cues = random_patterns(0, 2, 7, 24), random_patterns(1, 2, 9, 24)
    memory = hopfield_with(stored, rule=rule, bias=bias)
    other = hopfield.make(PatternSpec((24,)), [0, 1], hopfield.Config(rule=rule, bias=bias))
    with pytest.raises(ValueError, match="hopfield: nothing is stored yet"):
        other.recall(cues)
    other.restore(memory.state())
    _same(memory.recall(cues), other.recall(cues))
    np.testing.assert_array_equal(memory.energy(cues), other.energy(cues))
    assert memory.n_parameters == 24 * 23 // 2 + 24 * bias


def test_biases_are_the_patterns_sum():
    stored = random_patterns(0, 1, 5, 12)
    memory = hopfield_with(stored, bias=True, scale="none", zero_diagonal=False)
    np.testing.assert_array_equal(memory.weights()[0, -1, :-1], stored[0].sum(0))
    assert memory.weights()[0, -1, -1] == 0.0
    states = random_patterns(1, 1, 6, 12)
    sums = states[0] @ stored[0].T
    np.testing.assert_allclose(memory.energy(states)[0], -0.5 * (sums**2).sum(1) - states[0] @ stored[0].sum(0))


def test_invalid_input_is_refused():
    memory = hopfield.make(PatternSpec((5,)), [0], hopfield.Config(rule="pseudo_inverse"))
    with pytest.raises(ValueError, match=r"pattern 0 of seed number 0: unit 1 is 0, expected -1 or \+1"):
        memory.store([[[1, 0, -1, 0, 1]]])
    with pytest.raises(
        ValueError, match="hopfield: 5 patterns, expected fewer than the 5 units with rule = pseudo_inve"
    ):
        memory.store([1 - 2 * np.eye(5)])  # linearly independent
    memory.store(random_patterns(0, 1, 4, 5))
    memory.store(random_patterns(0, 1, 4, 5)[:, [0, 1, 2, 3, 0, 1]])  # six, of which four are independent
    with pytest.raises(ValueError, match=r"cue 0 of seed number 0: unit 0 is 0.5, expected -1, 0 or \+1"):
        memory.recall([[[0.5, 0, -1, 0, 1]]])
