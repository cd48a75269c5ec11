"""Tests of restricted Boltzmann machines' recall: restoration, samples, errors, and independence of seeds."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.special import softmax

from memory import deep_belief, rbm
from memory.common.rbm.contrastive_divergence import RBMLearning
from memory.common.rbm.layers import make_stack, seed_params
from memory.common.rbm.recall import RBMRecall, combine_chains, make_workspace
from simulator.core.jit import set_threads
from simulator.core.memories import PatternSpec
from tests.helpers.patterns import flipped, learned_patterns
from tests.helpers.seeding import FIRST_SEED, seed_list

pytestmark = pytest.mark.learning

FLIP = 0.2
BETA = 0.5 * np.log((1.0 - FLIP) / FLIP)
QUICK = RBMRecall(max_iters=20, n_chains=4)
SHORT = RBMLearning(updates=60)
KINDS = pytest.mark.parametrize(
    ("player", "layers"), [(rbm, {"n_hidden": 24}), (deep_belief, {"hidden": (24, 16)})], ids=["rbm", "deep_belief"]
)


def _stored(player, patterns, is_bipolar=True, **config):
    memory = player.make(
        PatternSpec(patterns.shape[2:], is_bipolar),
        seed_list(len(patterns)),
        player.Config(**{"recall": QUICK, **config}),
    )
    memory.store(patterns)
    return memory


def _exact(memory, patterns):
    cues = flipped(patterns, FLIP)
    found = memory.recall(cues, None, BETA * cues if memory.recall_mode == "noise_aware" else None).patterns
    return (found == patterns).all(2).mean(), (found * patterns).mean()


@pytest.mark.slow
@pytest.mark.parametrize(
    ("player", "layers"), [(rbm, {"n_hidden": 64}), (deep_belief, {"hidden": (64, 64)})], ids=["rbm", "deep_belief"]
)
def test_corrupted_patterns_are_restored_and_the_evidence_helps(player, layers):
    patterns = learned_patterns(4, 20, 64)
    memory = _stored(player, patterns, **layers)
    assert _exact(memory, patterns)[0] > 0.9
    once, settled = (
        player.make(PatternSpec((64,)), range(4), player.Config(**layers, recall_mode=w))
        for w in ("single_pass", "fixed_point")
    )
    for other in (once, settled):
        other.restore(memory.state())
    assert 0.5 < _exact(once, patterns)[1] < _exact(settled, patterns)[1] + 0.02
    assert _exact(settled, patterns)[1] < _exact(memory, patterns)[1] + 0.02  # they may be equal


def test_the_batch_likelihood_makes_stored_patterns_equally_likely():
    patterns = learned_patterns(4, 12, 48)
    spread = []
    for weight in (0.0, 1.0):
        memory = _stored(rbm, patterns, n_hidden=48, learn=RBMLearning(updates=600, batch_likelihood_weight=weight))
        spread.append(memory.energy(patterns).std(1).mean())
    assert spread[1] < 0.3 * spread[0]


@KINDS
@pytest.mark.parametrize("recall_mode", ["single_pass", "fixed_point", "noise_aware"])
@pytest.mark.parametrize("visible", ["binary", "gaussian"])
def test_known_units_are_held_in_every_way(player, layers, recall_mode, visible):
    patterns = learned_patterns(2, 4, 15)
    memory = _stored(player, patterns, **layers, recall_mode=recall_mode, visible=visible, learn=SHORT)
    known = np.random.Generator(np.random.PCG64(FIRST_SEED + 5)).random(patterns.shape) < 0.4
    cues = np.where(known, -patterns, 0.0).astype(np.float32)
    found = memory.recall(cues, known, 4.0 * cues if recall_mode == "noise_aware" else None)
    np.testing.assert_array_equal(found.patterns[known], cues[known])
    assert np.isfinite(found.energy[:, :, 0]).all()
    np.testing.assert_allclose(found.energy[:, :, 0], memory.energy(cues), atol=1e-3)


def test_half_a_pattern_restores_the_rest():
    patterns = learned_patterns(4, 10, 64)
    known = np.zeros(patterns.shape, bool)
    known[:, :, ::2] = True
    cues = np.where(known, patterns, 0.0)
    found = _stored(rbm, patterns, n_hidden=64).recall(cues, known, 20.0 * cues)
    assert (found.patterns == patterns).all(2).mean() > 0.95


def test_iterations_lower_the_energy_and_end_with_nan():
    patterns = learned_patterns(2, 6, 32)
    memory = _stored(rbm, patterns, n_hidden=32, recall_mode="fixed_point")
    found = memory.recall(flipped(patterns, FLIP))
    for trace, used in zip(found.energy.reshape(12, -1), found.n_iters.ravel(), strict=True):
        assert np.isfinite(trace[: 1 + used]).all()
        assert np.isnan(trace[1 + used :]).all()
        rises = np.diff(trace[: 1 + used])  # what surely falls is the mean field's bound, not the energy itself
        assert rises.max() < 0.02 * (trace[0] - trace[used]) + 1e-3
    assert found.n_iters.max() < QUICK.max_iters


@pytest.mark.parametrize("recall_mode", ["fixed_point", "noise_aware"])
def test_gaussian_units_restore_real_patterns(recall_mode):
    draws = np.random.Generator(np.random.PCG64(FIRST_SEED + 8))
    patterns = draws.uniform(-0.9, 0.9, (3, 8, 40)).astype(np.float32)
    cues = np.clip(patterns + 0.4 * draws.standard_normal(patterns.shape), -1.0, 1.0).astype(np.float32)
    memory = _stored(rbm, patterns, is_bipolar=False, n_hidden=64, recall_mode=recall_mode)
    found = memory.recall(cues, None, cues / 0.4**2 if recall_mode == "noise_aware" else None).patterns
    assert ((found - patterns) ** 2).mean() < 0.5 * ((cues - patterns) ** 2).mean()


@KINDS
def test_generated_patterns_resemble_stored_ones(player, layers):
    patterns = learned_patterns(2, 4, 32)
    made = _stored(player, patterns, **layers).generate(20)
    assert made.shape == (2, 20, 32)
    nearest = np.einsum("sgn,spn->sgp", made, patterns).max(2) / 32.0
    chance = np.einsum("sgn,spn->sgp", learned_patterns(2, 20, 32, seed=6), patterns).max(2) / 32.0
    assert nearest.mean() > chance.mean() + 0.3


@KINDS
@pytest.mark.parametrize("batch_size", [4, 100])
def test_a_seed_does_not_see_the_others_or_the_threads(player, layers, batch_size):
    patterns = learned_patterns(3, 9, 20)
    cues = flipped(patterns, FLIP)
    config = player.Config(**layers, recall=QUICK, learn=RBMLearning(updates=60, batch_size=batch_size))
    together = player.make(PatternSpec((20,)), [5, 6, 7], config)
    set_threads(2)
    try:
        together.store(patterns)
        found = together.recall(cues, None, BETA * cues)
        made = together.generate(3)
    finally:
        set_threads(1)
    for i, seed in enumerate((5, 6, 7)):
        alone = player.make(PatternSpec((20,)), [seed], config)
        alone.store(patterns[i : i + 1])
        single = alone.recall(cues[i : i + 1], None, BETA * cues[i : i + 1])
        np.testing.assert_array_equal(single.patterns[0], found.patterns[i])
        np.testing.assert_array_equal(single.energy[0], found.energy[i])
        np.testing.assert_array_equal(alone.generate(3)[0], made[i])


@KINDS
def test_a_restored_memory_continues_with_the_same_bits(player, layers):
    patterns = learned_patterns(2, 4, 20)
    memory, cues = _stored(player, patterns, **layers, learn=SHORT), flipped(patterns, FLIP)
    other = player.make(PatternSpec((20,)), [0, 1], player.Config(**layers, recall=QUICK))
    other.restore(memory.state())
    first, second = (each.recall(cues, None, BETA * cues) for each in (memory, other))
    np.testing.assert_array_equal(first.patterns, second.patterns)
    np.testing.assert_array_equal(memory.generate(2), other.generate(2))
    memory.store(patterns)  # in place of what was kept: the same again
    np.testing.assert_array_equal(memory.energy(cues), other.energy(cues))


@KINDS
def test_chains_beyond_a_full_load_are_averaged_and_the_answer_is_the_last_step(player, layers):
    patterns = learned_patterns(2, 200, 16)
    memory, cues = _stored(player, patterns, **layers, learn=RBMLearning(updates=600)), flipped(patterns, FLIP)
    other = player.make(PatternSpec((16,)), [0, 1], player.Config(**layers, recall=QUICK))
    other.restore(memory.state())
    best = player.make(PatternSpec((16,)), [0, 1], player.Config(**layers, recall=QUICK))
    best.restore({**memory.state(), "chain_temperature": np.array(0.0)})
    found, again, lowest = (one.recall(cues, None, 0.3 * BETA * cues) for one in (memory, other, best))
    np.testing.assert_array_equal(found.patterns, again.patterns)
    np.testing.assert_allclose(found.energy[:, :, -1], memory.energy(found.patterns), atol=1e-3)
    assert (found.patterns != lowest.patterns).any()
    alone = _stored(player, patterns[:1], **layers, learn=RBMLearning(updates=600))
    for cue in cues[0, :20]:
        last = list(alone.trajectory(0, cue, None, 0.3 * BETA * cue))[-1]
        answer = alone.recall(cue[None, None], None, 0.3 * BETA * cue[None, None])
        np.testing.assert_array_equal(last.pattern, answer.patterns[0, 0])
        assert last.energy == answer.energy[0, 0, -1]


@pytest.mark.parametrize("temperature", [0.0, 1e-6, 0.7, 1e9])
def test_the_answer_is_the_mean_of_the_chains_by_their_weights(temperature):
    draws = np.random.Generator(np.random.PCG64(FIRST_SEED + 9))
    n_cues, n_chains, n_units = 3, 5, 6
    stack = make_stack((n_units, 4), gaussian=False, n_seeds=1)
    stack.layers[0].weights[...] = draws.standard_normal((1, n_units, 4))
    workspace = make_workspace(stack, n_cues * n_chains, 2)
    ends = draws.random((n_cues, n_chains, n_units)).astype(np.float32)
    workspace.units[0][...] = ends.reshape(-1, n_units)
    energies = draws.standard_normal((n_cues, n_chains))
    workspace.energy[...] = energies.ravel()
    layers = seed_params(stack, 0)
    answer = workspace.units[0][combine_chains(layers, False, workspace, n_chains, temperature, binarize=False)]
    if temperature:
        expected = [
            np.average(end, axis=0, weights=softmax(-e / temperature)) for end, e in zip(ends, energies, strict=True)
        ]
    else:
        expected = [end[e.argmin()] for end, e in zip(ends, energies, strict=True)]
    np.testing.assert_allclose(answer, expected, atol=1e-6)


def test_without_evidence_recall_equals_the_fixed_point():
    patterns = learned_patterns(1, 3, 16)
    noise_aware, fixed_point = (
        _stored(rbm, patterns, n_hidden=8, learn=SHORT, recall_mode=recall_mode)
        for recall_mode in ("noise_aware", "fixed_point")
    )
    cues = flipped(patterns, FLIP)
    np.testing.assert_array_equal(noise_aware.recall(cues).patterns, fixed_point.recall(cues).patterns)


def test_bad_input_is_refused():
    patterns = learned_patterns(1, 3, 16)
    memory = _stored(rbm, patterns, n_hidden=8, learn=SHORT)
    with pytest.raises(ValueError, match=r"pattern 0 of seed number 0: unit 0 is 0\.5, expected -1 or \+1"):
        memory.store(patterns * 0.5 * np.sign(patterns[:, :, :1]))
    with pytest.raises(ValueError, match="cues of shape"):
        memory.recall(patterns[:, :, :5])
    with pytest.raises(ValueError, match="rbm: weights of"):
        rbm.make(PatternSpec((784,)), range(1_000), rbm.Config(n_hidden=4_096))
