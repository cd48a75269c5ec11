"""Tests of states: the two-vector exercise by hand, mixtures, and cycles beside plain loops."""

from __future__ import annotations

import numpy as np
import pytest

from simulator.core import registry, rng
from simulator.core.memories import PatternSpec
from simulator.recall import states
from simulator.recall.vectors import parse_vectors

TWO = parse_vectors("1,-1,1,-1,1,1; 1,1,1,-1,-1,-1")


def hopfield(stored, **changes):
    player = registry.load("memories", "hopfield")
    memory = player.make(PatternSpec((stored.shape[1],)), [0], player.Config(**changes))
    memory.store(stored[None])
    return memory


def random_patterns(n_patterns, n_units, seed=0):
    stream = rng.generators([seed], "patterns")[0]
    return np.where(stream.random((n_patterns, n_units)) < 0.5, -1.0, 1.0).astype(np.float32)


def test_states_are_numbered_with_unit_0_fastest():
    np.testing.assert_array_equal(states.every_state(2), [[-1, -1], [1, -1], [-1, 1], [1, 1]])
    np.testing.assert_array_equal(states.numbers_of(states.every_state(4)), np.arange(16))


def test_the_two_vectors_of_the_lecture_notes(monkeypatch):
    found = states.landscape(hopfield(TWO), TWO)
    assert found.is_complete
    assert (found.n_starts, found.n_unsettled) == (64, 0)
    assert [point.basin for point in found.fixed_points] == [16] * 4
    assert [point.kind.of for point in found.fixed_points] == [(1,), (2,), (-2,), (-1,)]
    assert [point.energy for point in found.fixed_points] == pytest.approx([-2.0] * 4)
    assert states.corrected(hopfield(TWO), TWO) == (12, 12)
    monkeypatch.setattr(states, "BATCH", 6)  # a pattern at a time
    assert states.corrected(hopfield(TWO), np.concatenate([TWO, -TWO[:1]])) == (18, 18)


def test_with_a_diagonal_its_energy_is_lower_by_one():
    found = states.landscape(hopfield(TWO, zero_diagonal=False), TWO)
    stored = [point for point in found.fixed_points if point.kind.kind == states.STORED]
    assert [point.energy for point in stored] == pytest.approx([-3.0, -3.0])


def test_mixtures_are_signs_of_sums():
    stored = random_patterns(6, 40)
    find = states.kind_finder(stored)
    three = np.sign(stored[0] - stored[2] + stored[5])
    assert find(three) == (states.MIXTURE_3, (1, -3, 6))
    assert find(-three) == (states.MIXTURE_3, (-1, 3, -6))
    five = np.sign(stored[0] + stored[1] + stored[2] - stored[3] + stored[4])
    assert find(five) == (states.MIXTURE_5, (1, 2, 3, -4, 5))
    assert find(stored[3]) == (states.STORED, (4,))
    assert find(-stored[3]) == (states.INVERSE, (-4,))
    assert find(stored[0] * np.where(np.arange(40) < 20, 1, -1)).kind == states.OTHER


def test_a_stored_inverse_is_a_stored_pattern():
    find = states.kind_finder(np.concatenate([TWO, -TWO[:1]]))
    assert find(TWO[0]) == (states.STORED, (1,))
    assert find(-TWO[0]) == (states.STORED, (3,))
    assert find(-TWO[1]) == (states.INVERSE, (-2,))


def test_too_many_mixtures_are_not_told_from_other_states():
    assert list(states.mixtures_told(3, 100)) == [1, 3, 5]
    assert list(states.mixtures_told(40, 100)) == [1, 3]
    stored = random_patterns(40, 100)
    assert states.kind_finder(stored)(np.sign(stored[:5].sum(axis=0))).kind == states.OTHER


def test_three_patterns_have_their_symmetric_mixture_as_a_fixed_point():
    """In a large network the mixture of three is stable (Amit, Gutfreund and Sompolinsky 1985)."""
    stored = random_patterns(3, 400)
    memory = hopfield(stored)
    mixture = np.sign(stored.sum(axis=0))[None].astype(np.float32)
    found = states.landscape(memory, stored, mixture)
    assert [point.kind.kind for point in found.fixed_points] == [states.MIXTURE_3]


def test_fixed_points_are_those_of_the_signs_of_the_fields():
    stored = random_patterns(4, 9, seed=3)
    memory = hopfield(stored)
    weights = stored.T @ stored
    np.fill_diagonal(weights, 0.0)
    every = states.every_state(9)
    fields = every @ weights
    fixed = ((fields == 0.0) | (np.sign(fields) == every)).all(axis=1)
    found = states.landscape(memory, stored)
    listed = sorted(states.numbers_of(np.stack([point.state for point in found.fixed_points])))
    assert listed == list(np.flatnonzero(fixed))
    assert sum(point.basin for point in found.fixed_points) + found.n_unsettled == 512


def test_synchronous_updates_end_in_fixed_points_and_cycles_of_two():
    weights = np.array([[0.0, 1.0], [1.0, 0.0]])  # each unit takes the state of the other

    def step(every):
        return np.sign(every @ weights).astype(np.float32)

    found = states.synchronous(step, 2)
    assert found.n_fixed_points == 2
    (cycle,) = found.cycles
    assert cycle.basin == 2
    assert sorted(states.numbers_of(cycle.states)) == [1, 2]


def test_cycles_of_a_permutation_are_found_with_their_lengths():
    order = np.array([1, 2, 0, 4, 3, 5, 5, 5])  # a cycle of 3, one of 2, and 5 with 6 and 7 before it

    def step(every):
        return states.states_of(order[states.numbers_of(every)], 3)

    found = states.synchronous(step, 3)
    assert found.n_fixed_points == 1
    assert [(len(cycle.states), cycle.basin) for cycle in found.cycles] == [(3, 3), (2, 2)]


def test_recalling_leaves_the_streams_of_a_memory():
    stored = random_patterns(3, 10)
    memory = hopfield(stored)
    twice = [states.landscape(memory, stored) for _ in range(2)]
    assert str(twice[0]) == str(twice[1])
