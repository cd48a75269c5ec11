"""Tests of the references: nearest neighbor and identity."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from memory import identity, nearest_neighbor
from simulator.core.memories import PatternSpec

STORED = np.array([[[1, 1, 1, 1], [1, 1, -1, -1], [-1, 1, -1, 1]]], np.float32)


def _nearest(stored=STORED, recall_mode="single_pass"):
    memory = nearest_neighbor.make(
        PatternSpec((stored.shape[2],)), list(range(len(stored))), nearest_neighbor.Config(recall_mode=recall_mode)
    )
    memory.store(stored)
    return memory


def test_by_hand():
    found = _nearest().recall([[[1, 1, 1, -1], [-1, 1, -1, -1], [-1, -1, -1, 1]]])
    # 1 1 1 -1 is one flip from the first two: the first is given; -1 1 -1 -1 likewise from the last two
    np.testing.assert_array_equal(found.patterns[0], STORED[0, [0, 1, 2]])
    np.testing.assert_array_equal(found.energy[0], [[1, 0], [1, 0], [1, 0]])
    np.testing.assert_array_equal(found.n_iters, [[1, 1, 1]])


def test_unknown_units_count_nothing():
    memory = _nearest()
    np.testing.assert_array_equal(memory.recall([[[0, 0, -1, 1]]]).patterns[0, 0], STORED[0, 2])
    known = np.array([[[True, False, True, False]]])
    # only units 0 and 2 are trusted: -1 and -1 are the third pattern's
    np.testing.assert_array_equal(memory.recall([[[-1, -1, -1, -1]]], known).patterns[0, 0], [-1, 1, -1, 1])


def test_evidence_weighs_the_units():
    evidence = np.array([[[0.1, 0.1, -3.0, 0.2]]], np.float32)
    memory = _nearest(recall_mode="noise_aware")
    scores = STORED[0] @ evidence[0, 0]
    found = memory.recall([[[1, 1, 1, 1]]], None, evidence).patterns[0, 0]
    np.testing.assert_array_equal(found, STORED[0, scores.argmax()])
    assert scores.argmax() == 2
    np.testing.assert_array_equal(memory.recall(STORED).patterns, STORED)  # without evidence, by the cue alone


@pytest.mark.slow
@given(st.integers(0, 2**32 - 1))
def test_recall_has_the_least_squared_distance(seed):
    draws = np.random.Generator(np.random.PCG64(seed))
    stored = np.round(draws.uniform(-1, 1, (2, 4, 6)), 1).astype(np.float32)
    cues = np.round(draws.uniform(-1, 1, (2, 5, 6)), 1).astype(np.float32)
    memory = _nearest(stored)
    found = memory.recall(cues)
    known = cues != 0.0
    far = 0.25 * (known[:, :, None] * (cues[:, :, None] - stored[:, None]) ** 2).sum(3)
    given_by = np.abs(found.patterns[:, :, None] - stored[:, None]).sum(3).argmin(2)
    np.testing.assert_allclose(np.take_along_axis(far, given_by[:, :, None], 2)[:, :, 0], far.min(2), atol=1e-6)
    np.testing.assert_allclose(found.energy[:, :, 0], far.min(2), atol=1e-6)


def test_familiarity_counts_the_units_that_differ():
    np.testing.assert_array_equal(_nearest().energy([[[1, 1, 1, -1], [1, 1, -1, -1], [-1, -1, 1, -1]]]), [[1, 0, 3]])


def test_many_cues_are_no_different_from_few():
    draws = np.random.Generator(np.random.PCG64(3))
    stored = draws.choice(np.array([-1.0, 1.0], np.float32), (2, 7, 20))
    cues = draws.choice(np.array([-1.0, 1.0], np.float32), (2, 300, 20))
    memory = _nearest(stored)
    every = memory.recall(cues)
    for at in (0, 255, 256, 299):
        np.testing.assert_array_equal(every.patterns[:, at], memory.recall(cues[:, [at]]).patterns[:, 0])


def test_state_and_its_absence():
    memory = _nearest()
    other = nearest_neighbor.make(PatternSpec((4,)), [0], nearest_neighbor.Config())
    with pytest.raises(ValueError, match="nearest_neighbor: nothing is stored yet"):
        other.recall(STORED)
    other.restore(memory.state())
    np.testing.assert_array_equal(other.recall(STORED).patterns, STORED)
    assert other.n_parameters == 12


def test_keeping_the_cue():
    memory = identity.make(PatternSpec((4,)), [0], identity.Config())
    memory.store(STORED)
    cue = np.array([[[1, 0, -1, 0.5]]], np.float32)
    found = memory.recall(cue)
    np.testing.assert_array_equal(found.patterns, cue)
    assert found.energy.shape == (1, 1, 1)
    assert list(found.n_iters[0]) == [0]
    assert memory.n_parameters == 0
    np.testing.assert_array_equal(memory.energy(STORED), [[0, 0, 0]])
