"""Tests of interactive recall: cues of the benchmark, the exact posterior, painting, temperatures, samples, walks."""

from __future__ import annotations

import dataclasses
import itertools

import numpy as np
import pytest

from simulator.config.codec import PlayerEntry
from simulator.config.recall import build
from simulator.core import registry
from simulator.recall.benchmark import Condition, RecallBenchmark
from simulator.recall.stepping import InteractiveRecall, RecallSetup


def recall_of(name="hopfield", challenge="digits", *, n_patterns=6, corruption="flip:0.2", seed=3, **changes):
    """Return an interactive recall that has stored its patterns."""
    player = registry.load("memories", name)
    settings = dataclasses.replace(player.Config(), **changes)
    own = registry.load("challenges", challenge).defaults()
    entry = PlayerEntry(name, player.name, settings)
    recall = InteractiveRecall(RecallSetup(entry, challenge, own, seed, n_patterns, corruption))
    assert list(recall.learn())[-1] == 1.0
    return recall


@pytest.mark.parametrize("corruption", ["flip:0.2", "erase:0.4", "gauss:0.5", "block:0.3"])
def test_cues_and_the_best_answers_are_those_of_a_benchmark(corruption):
    recall = recall_of("nearest", corruption=corruption)
    settings = {"memory": {"nearest": {}}, "challenge": {"name": "digits"}, "patterns": [6], "corruption": [corruption]}
    benchmark = RecallBenchmark(build({**settings, "first_seed": 3, "seeds": 1}), [3])
    picture = benchmark.play(Condition(0, 6, corruption)).picture
    for q in range(3):
        recall.choose(q)
        np.testing.assert_array_equal(recall.cue.values, picture.cue[q])
        np.testing.assert_array_equal(list(recall.moments())[-1].step.pattern, picture.restored[q])


def test_the_posterior_is_bayes_rule():
    recall = recall_of()
    n_wrong = (recall.stored != recall.cue.values).sum(axis=1)
    likelihood = 0.2**n_wrong * 0.8 ** (recall.spec.n - n_wrong)
    np.testing.assert_allclose(recall.cue.posterior, likelihood / likelihood.sum(), rtol=1e-9)
    expected = np.abs((likelihood / likelihood.sum()) @ recall.stored).mean()
    assert recall.cue.best.overlap[0, 0] == pytest.approx(expected)


def test_painting_a_stored_pattern_makes_it_certain():
    recall = recall_of()
    for unit, value in enumerate(recall.stored[4]):
        recall.paint(unit, float(value))
    assert recall.cue.posterior.argmax() == 4
    assert recall.cue.posterior[4] > 0.999
    np.testing.assert_array_equal(recall.best() > 0, recall.stored[4] > 0)
    moments = list(recall.moments())
    assert moments[0].overlaps[4] == 1.0


def test_a_painted_cue_that_the_corruption_cannot_make_is_named_so():
    recall = recall_of("nearest", corruption="erase:0.4")
    assert recall.cue.is_possible
    unit = int(np.flatnonzero((recall.stored == recall.stored[0]).all(axis=0))[0])
    recall.paint(unit, -float(recall.stored[0, unit]))
    assert recall.cue.known[unit]
    assert not recall.cue.is_possible
    np.testing.assert_allclose(recall.cue.posterior, 1 / 6)
    recall.paint(unit, 0.0)
    assert not recall.cue.known[unit]
    assert recall.cue.is_possible


def test_overlaps_and_energies_of_a_hopfield_network():
    recall = recall_of()
    moments = list(recall.moments())
    energies = [moment.step.energy for moment in moments]
    assert all(after <= before for before, after in itertools.pairwise(energies))
    for moment in moments:
        np.testing.assert_allclose(moment.overlaps, recall.stored @ moment.step.pattern / recall.spec.n)
    assert [moment.n for moment in moments] == list(range(len(moments)))


def test_a_memory_without_steps_goes_from_the_cue_to_its_answer():
    recall = recall_of("nearest")
    moments = list(recall.moments())
    assert len(moments) == 2
    np.testing.assert_array_equal(moments[0].step.pattern, recall.cue.values)
    assert moments[1].overlaps.max() == 1.0
    assert recall.temperature is None
    with pytest.raises(ValueError, match="no temperature"):
        recall.temperature = 2.0
    assert recall.samples(3) is None
    assert recall.walk(0, 1) is None


def test_a_low_temperature_sharpens_and_a_high_one_blurs():
    recall = recall_of("modern_hopfield", seed=0, recall_mode="fixed_point", beta=0.5)
    recall.temperature = 0.2
    assert recall.memory.temperature == pytest.approx(0.2)
    sharp = list(recall.moments())[-1].overlaps.max()
    recall.temperature = 200.0
    blurred = list(recall.moments())[-1].overlaps.max()
    assert blurred < 0.9 < sharp


def test_withheld_evidence_changes_the_recall_of_a_memory_that_uses_it():
    recall = recall_of("modern_hopfield")
    energy = next(recall.moments()).step.energy
    recall.uses_evidence = False
    assert next(recall.moments()).step.energy != energy


def test_samples_leave_recall_as_it_is():
    recall = recall_of("boltzmann", n_patterns=3)
    before = [moment.step.pattern.tobytes() for moment in recall.moments()]
    first, second = recall.samples(5), recall.samples(5)
    assert first.shape == (5, recall.spec.n)
    np.testing.assert_array_equal(first, second)
    assert [moment.step.pattern.tobytes() for moment in recall.moments()] == before


def test_samples_come_before_the_end_of_training():
    player = registry.load("memories", "vae")
    entry = PlayerEntry("vae", "vae", dataclasses.replace(player.Config(), updates=60))
    recall = InteractiveRecall(RecallSetup(entry, "digits", registry.load("challenges", "digits").defaults(), 0, 4))
    shares = []
    samples = []
    for share in recall.learn():
        shares.append(share)
        samples.append(recall.samples(4))
    assert shares[0] < 0.1
    assert any((early != samples[-1]).any() for early in samples[:-1])


def test_a_walk_goes_from_one_pattern_to_another():
    recall = recall_of("autoencoder", n_patterns=3, updates=400)
    walk = recall.walk(0, 2, 5)
    assert walk.shape == (5, recall.spec.n)
    ends = [recall.overlaps(np.sign(picture)).argmax() for picture in (walk[0], walk[-1])]
    assert ends == [0, 2]
    assert recall.code_panel(0, 2) is not None


def test_another_load_and_another_corruption():
    recall = recall_of()
    patterns = recall.stored.copy()
    recall.choose(5)
    recall.load(4)
    assert recall.is_learning
    np.testing.assert_array_equal(recall.stored, patterns[:4])
    assert recall.truth == 3
    recall.corrupt("flip:0")
    np.testing.assert_array_equal(recall.cue.values, recall.stored[3])
    assert recall.cue.evidence is None
    cue = recall.cue.values
    recall.corrupt("flip:0.3")
    first = recall.cue.values
    recall.redraw()
    assert (recall.cue.values != first).any()
    assert (first != cue).any()
    with pytest.raises(ValueError, match="expected"):
        recall.corrupt("flip:7")
    with pytest.raises(ValueError, match="digits"):
        recall.load(10**6)
    np.testing.assert_array_equal(recall.stored, patterns[:4])


@pytest.mark.parametrize("name", ["hopfield", "dense_hopfield", "rbm", "identity"])
def test_panels_hold_what_they_name(name):
    recall = recall_of(name, n_patterns=4)
    moments = list(recall.moments())
    panels = {panel.title: panel for panel in recall.panels(moments)}
    np.testing.assert_array_equal(panels["recall"].images[1].ravel(), recall.cue.values)
    bars = panels["overlap with each stored pattern"]
    np.testing.assert_array_equal(bars.values, moments[-1].overlaps)
    np.testing.assert_array_equal(bars.beside, recall.cue.posterior)
    assert bars.chosen == recall.truth
    weights = recall.weights_panel()
    if name == "identity":
        assert weights is None
    else:
        assert weights.fields.shape == (len(weights.values), *recall.spec.shape)
        assert weights.values.shape[1] == recall.spec.n
