"""Tests of generation: modes of known samplers, samples that leave the training alone, ends of walks, planes."""

from __future__ import annotations

import math

import numpy as np
import pytest

from simulator.config.codec import PlayerEntry
from simulator.config.generation import GenerationConfig
from simulator.config.presets import find_memory
from simulator.config.validation import merge
from simulator.core import registry
from simulator.recall.generation import PLANE_SIDE, distances, effective_modes, generative, score, study

STORED = np.array([[1, 1, 1, 1], [-1, -1, -1, -1], [1, 1, -1, -1]], np.float32)
SMALL = {"autoencoder": {"hidden": (8, 2), "updates": 20}, "rbm": {}, "vae": {"hidden": (8,), "updates": 40}}


def entry_of(name, **changes):
    player, defaults = find_memory(name)
    return PlayerEntry(name, player.name, merge(defaults, changes))


def study_of(*entries, codes_only=False, **settings):
    config = GenerationConfig(**{"seeds": 2, "patterns": 4, "novel": 5, "samples": 40, "moments": 2, **settings})
    challenge = PlayerEntry("glyphs", "glyphs", registry.load("challenges", "glyphs").defaults())
    return study(config, entries, challenge, codes_only=codes_only)


def test_distances_are_shares_of_units():
    np.testing.assert_array_equal(distances(STORED[:1], STORED), [[0.0, 1.0, 0.5]])


@pytest.mark.parametrize(
    ("numbers", "expected"),
    [
        ([0, 0, 0, 0], 1.0),
        ([0, 1, 2], 3.0),
        ([0, 0, 1, 2], 2.0**1.5),  # shares 1/2, 1/4, 1/4: entropy 1.5 ln 2
        ([0, 0, 0, 1], math.exp(-0.75 * math.log(0.75) - 0.25 * math.log(0.25))),
    ],
)
def test_modes_of_known_samplers(numbers, expected):
    assert effective_modes(distances(STORED[numbers], STORED)) == pytest.approx(expected)


def test_a_tie_counts_for_all_that_tie():
    between = np.array([[1, 1, 1, -1]], np.float32)  # one unit from the first and from the third
    assert effective_modes(distances(between, STORED)) == pytest.approx(2.0)


def test_scores_of_samples_by_hand():
    samples = np.stack([STORED[[0, 0, 1, 1]], np.array([[1, 1, 1, -1]] * 4, np.float32)])
    scores = score(samples, np.stack([STORED, STORED]), is_bipolar=True)
    np.testing.assert_allclose(scores.modes, [2.0, 2.0])
    np.testing.assert_array_equal(scores.novel, [0.0, 1.0])
    np.testing.assert_array_equal(scores.distance, [0.0, 0.25])


def test_grey_samples_equal_a_pattern_within_a_tolerance():
    scores = score(0.95 * STORED[None], STORED[None], is_bipolar=False)
    np.testing.assert_array_equal(scores.novel, [0.0])
    assert scores.distance == pytest.approx(0.025)


def test_samples_on_the_way_leave_the_training_alone():
    entry = entry_of("vae", **SMALL["vae"])
    watched = study_of(entry, moments=4).memories[0].moments
    alone = study_of(entry, moments=1).memories[0].moments
    assert len(watched) == 4
    assert watched[-1].share == alone[-1].share == 1.0
    np.testing.assert_array_equal(watched[-1].shown, alone[-1].shown)
    assert (watched[0].shown != watched[-1].shown).any()


def test_a_seed_does_not_depend_on_those_beside_it():
    entry = entry_of("vae", **SMALL["vae"])
    both = study_of(entry)
    second = study_of(entry, seeds=1, first_seed=1)
    for together, alone in zip(both.memories[0].moments, second.memories[0].moments, strict=True):
        np.testing.assert_allclose([own[1] for own in together.scores], [own[0] for own in alone.scores], rtol=1e-6)
    assert both.uniform.modes[1] == second.uniform.modes[0]


def test_a_walk_begins_and_ends_at_the_reconstructions_of_its_patterns():
    entry = entry_of("autoencoder", **SMALL["autoencoder"])
    whole = study_of(entry, codes_only=True, walk=(2, 4))
    found = whole.memories[0]
    assert found.walk_between_patterns
    assert not found.moments
    memory = registry.load("memories", "autoencoder").make(whole.spec, whole.seeds, entry.settings)
    memory.store(whole.stored)
    reconstructed = memory.decode(memory.codes(whole.stored))[0]
    np.testing.assert_allclose(found.walk[[0, -1]], reconstructed[[1, 3]], atol=1e-6)


def test_the_plane_spans_the_codes_of_the_stored_patterns():
    plane = study_of(entry_of("autoencoder", **SMALL["autoencoder"]), codes_only=True).memories[0].plane
    assert plane.patterns.shape == (PLANE_SIDE, PLANE_SIDE, 64)
    np.testing.assert_allclose([plane.across[0], plane.down[-1]], plane.stored.min(axis=0))
    np.testing.assert_allclose([plane.across[-1], plane.down[0]], plane.stored.max(axis=0))


def test_what_generates_nothing_is_refused_with_the_list():
    with pytest.raises(ValueError, match=r"hopfield generates no patterns, expected adversarial_autoencoder, .*, vae$"):
        study_of(entry_of("hopfield"))
    with pytest.raises(ValueError, match="--codes shows what its codes decode to"):
        study_of(entry_of("autoencoder", **SMALL["autoencoder"]))
    with pytest.raises(ValueError, match="hopfield: it decodes no codes"):
        study_of(entry_of("hopfield"), codes_only=True)
    with pytest.raises(ValueError, match="--walk 5: expected at most --patterns, 4"):
        study_of(entry_of("rbm"), walk=(1, 5))


def test_every_generative_memory_is_found():
    spec = registry.load("challenges", "glyphs").make([0], registry.load("challenges", "glyphs").defaults()).spec
    expected = {"adversarial_autoencoder", "autoregressive", "boltzmann", "deep_belief", "gan", "rbm", "vae"}
    assert expected <= set(generative(spec))
