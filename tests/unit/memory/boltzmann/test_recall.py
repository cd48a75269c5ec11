"""Tests of the Boltzmann machine's recall: restoration, fixed points, samples, errors, and independence of seeds."""

from __future__ import annotations

import numpy as np
import pytest

from memory import boltzmann
from memory.boltzmann.memory import BoltzmannRecall
from memory.boltzmann.training import BoltzmannLearning
from simulator.core.jit import set_threads
from simulator.core.memories import PatternSpec
from tests.helpers.patterns import flipped, learned_patterns
from tests.helpers.seeding import seed_list

pytestmark = pytest.mark.learning

SMALL = BoltzmannRecall(max_iters=30, n_chains=2)
FLIP = 0.15
BETA = 0.5 * np.log((1.0 - FLIP) / FLIP)


def _stored(patterns, **config):
    memory = boltzmann.make(
        PatternSpec(patterns.shape[2:]), seed_list(len(patterns)), boltzmann.Config(recall=SMALL, **config)
    )
    memory.store(patterns)
    return memory


@pytest.mark.slow
@pytest.mark.parametrize(("recall_mode", "least"), [("noise_aware", 0.9), ("fixed_point", 0.5)])
def test_corrupted_patterns_are_restored(recall_mode, least):
    patterns = learned_patterns(4, 8, 48)
    memory, cues = _stored(patterns, recall_mode=recall_mode), flipped(patterns, FLIP)
    found = memory.recall(cues, None, BETA * cues if recall_mode == "noise_aware" else None)
    assert set(np.unique(found.patterns)) == {-1.0, 1.0}
    assert (found.patterns == patterns).all(2).mean() > least
    assert found.energy.shape == (4, 8, 1 + SMALL.max_iters)
    np.testing.assert_allclose(found.energy[:, :, 0], memory.energy(cues), atol=1e-4)
    np.testing.assert_allclose(found.energy[:, :, -1], memory.energy(found.patterns), rtol=1e-4, atol=1e-3)


def test_known_units_are_held_and_unknown_ones_filled_in():
    patterns = learned_patterns(2, 5, 40)
    memory = _stored(patterns, recall_mode="fixed_point")
    known = np.zeros(patterns.shape, bool)
    known[:, :, :20] = True
    cues = np.where(known, patterns, 0.0)
    cues[:, :, 0] *= -1.0  # held, though it is wrong
    found = memory.recall(cues, known).patterns
    np.testing.assert_array_equal(found[known], cues[known])
    assert (found[:, :, 20:] == patterns[:, :, 20:]).mean() > 0.85


def test_familiar_patterns_have_less_energy():
    patterns = learned_patterns(3, 8, 48)
    memory = _stored(patterns)
    assert (memory.energy(patterns).max(1) < memory.energy(learned_patterns(3, 8, 48, seed=7)).min(1)).all()


def test_generated_patterns_are_mostly_stored_ones():
    patterns = learned_patterns(2, 3, 40)
    made = _stored(patterns).generate(30)
    assert made.shape == (2, 30, 40)
    best = np.abs(np.einsum("sgn,spn->sgp", made, patterns)).max(2) / 40.0
    assert best.mean() > 0.8


@pytest.mark.parametrize("n_hidden", [0, 4])
def test_a_seed_does_not_see_the_others_or_the_threads(n_hidden):
    patterns = learned_patterns(3, 6, 24)
    cues = flipped(patterns, FLIP)
    config = boltzmann.Config(n_hidden=n_hidden, recall=SMALL, learn=BoltzmannLearning(updates=50))
    together = boltzmann.make(PatternSpec((24,)), [5, 6, 7], config)
    set_threads(2)
    try:
        together.store(patterns)
        found = together.recall(cues, None, BETA * cues)
    finally:
        set_threads(1)
    for i, seed in enumerate((5, 6, 7)):
        alone = boltzmann.make(PatternSpec((24,)), [seed], config)
        alone.store(patterns[i : i + 1])
        single = alone.recall(cues[i : i + 1], None, BETA * cues[i : i + 1])
        np.testing.assert_array_equal(single.patterns[0], found.patterns[i])
        np.testing.assert_array_equal(single.energy[0], found.energy[i])
        np.testing.assert_array_equal(alone.generate(3)[0], _made(together, config, i))


def _made(memory, config, i):
    """Return the next samples of seed i, without changing the memory."""
    restored = boltzmann.make(PatternSpec((24,)), [5, 6, 7], config)
    restored.restore(memory.state())
    return restored.generate(3)[i]


def test_a_restored_memory_continues_with_the_same_bits():
    patterns = learned_patterns(2, 4, 24)
    memory, cues = _stored(patterns), flipped(patterns, FLIP)
    other = boltzmann.make(PatternSpec((24,)), [0, 1], boltzmann.Config(recall=SMALL))
    other.restore(memory.state())
    first, second = (each.recall(cues, None, BETA * cues) for each in (memory, other))
    np.testing.assert_array_equal(first.patterns, second.patterns)
    np.testing.assert_array_equal(memory.generate(2), other.generate(2))


def test_storing_replaces_what_was_stored():
    first, second = learned_patterns(2, 4, 24), learned_patterns(2, 6, 24, seed=9)
    memory = _stored(first)
    memory.store(second)
    np.testing.assert_array_equal(memory.state()["weights"], _stored(second).state()["weights"])


def test_bad_input_is_refused():
    with pytest.raises(ValueError, match="expected bipolar units"):
        boltzmann.make(PatternSpec((8,), is_bipolar=False), [0], boltzmann.Config())
    with pytest.raises(ValueError, match="phases = exact with 30 units: expected at most 20"):
        boltzmann.make(PatternSpec((30,)), [0], boltzmann.Config(learn=BoltzmannLearning(phases="exact")))
    with pytest.raises(ValueError, match="expected at most 2"):
        boltzmann.make(PatternSpec((50_000,)), [0], boltzmann.Config())
    patterns = learned_patterns(1, 3, 24)
    memory = _stored(patterns)
    with pytest.raises(ValueError, match=r"pattern 1 of seed number 0: unit 4 is 0, expected -1 or \+1"):
        memory.store(np.where(np.arange(72).reshape(1, 3, 24) == 28, 0.0, patterns))


def test_without_evidence_recall_equals_the_fixed_point():
    patterns = learned_patterns(1, 3, 24)
    noise_aware, fixed_point = _stored(patterns), _stored(patterns, recall_mode="fixed_point")
    np.testing.assert_array_equal(noise_aware.recall(patterns).patterns, fixed_point.recall(patterns).patterns)


def test_recall_of_few_large_patterns_ends_without_the_evidence():
    config = boltzmann.Config(recall=SMALL, learn=BoltzmannLearning(updates=60))
    memory = boltzmann.make(PatternSpec((72,)), [0, 1], config)
    patterns = learned_patterns(2, 3, 72)
    memory.store(patterns)
    cues = patterns.copy()
    cues[..., :3] *= -1.0
    stubborn = memory.recall(cues, None, 100.0 * cues)  # evidence that outweighs all couplings
    np.testing.assert_array_equal(stubborn.patterns, patterns)
    assert (stubborn.n_iters == SMALL.max_iters + 5).all()
    memory.store(learned_patterns(2, 20, 72))  # more than a fourth of the units
    assert (memory.recall(cues, None, cues).n_iters == SMALL.max_iters).all()
