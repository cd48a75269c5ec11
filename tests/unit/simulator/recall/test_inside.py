"""Tests of what is inside a memory: P(x) by enumeration, ROC and cost by hand, neighbours, feature maps by torch."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from simulator.config.codec import PlayerEntry
from simulator.config.inside import InsideConfig
from simulator.core import registry
from simulator.recall import states
from simulator.recall.inside import SECTIONS, inside, subject_of, subject_of_vectors
from simulator.recall.vectors import parse_vectors

TWO = parse_vectors("1,-1,1,-1,1,1; 1,1,1,-1,-1,-1")


def entry_of(name, **changes):
    player = registry.load("memories", name)
    return PlayerEntry(name, player.name, dataclasses.replace(player.defaults(), **changes))


def digits_of(name, config=None, **changes):
    challenge = PlayerEntry("digits", "digits", registry.load("challenges", "digits").defaults())
    return subject_of(entry_of(name, **changes), challenge, 0, config or InsideConfig(patterns=6, novel=12))


def section_of(subject, name, config=None):
    return inside(subject, config or InsideConfig(), [name]).sections[name]


def test_weights_of_the_two_vectors_are_0_and_thirds():
    weights = section_of(subject_of_vectors(entry_of("hopfield"), TWO, 0), "weights").facts["weights"]
    expected = (TWO.T @ TWO - 2.0 * np.eye(6)) / 6.0
    np.testing.assert_allclose(weights, expected)
    assert sorted(set(np.round(weights.ravel(), 6))) == [-0.333333, 0.0, 0.333333]


def test_states_of_the_two_vectors_synchronously():
    facts = section_of(subject_of_vectors(entry_of("hopfield"), TWO, 0), "states").facts
    assert facts["synchronous"]["fixed_points"] == 4
    assert not facts["synchronous"]["cycles"]
    assert facts["kinds"]["stored"] == {"count": 2, "share": 0.5}


def test_two_vectors_that_agree_nowhere_else_have_a_cycle_of_two():
    """Two units with a negative weight flip together from + + to - - and back."""
    facts = section_of(subject_of_vectors(entry_of("hopfield"), parse_vectors("1,-1"), 0), "states").facts
    (cycle,) = facts["synchronous"]["listed"]
    assert sorted(map(tuple, cycle["states"])) == [(-1, -1), (1, 1)]
    assert (cycle["length"], cycle["basin"]) == (2, 2)


def test_perceptrons_without_symmetry_have_the_cycles_of_a_plain_loop():
    subject = subject_of_vectors(entry_of("perceptron"), parse_vectors("1,-1,-1,1; 1,1,-1,-1; -1,1,1,1"), 0)
    weights = subject.memory.receptive_fields(0)
    ends = []
    for state in states.every_state(4):
        for _ in range(16):
            field = weights @ state
            state = np.where(field == 0, state, np.sign(field))
        ends.append(bool((np.where((field := weights @ state) == 0, state, np.sign(field)) == state).all()))
    found = section_of(subject, "states").facts["synchronous"]
    assert found["in_cycles"] == ends.count(False) > 0
    assert len([*found["listed"]]) == sum(found["cycles"].values())


@pytest.mark.parametrize(
    ("name", "changes", "is_same"),
    [
        ("hopfield", {}, True),
        ("hopfield", {"bias": True}, False),
        ("dense_hopfield", {}, True),
        ("dense_hopfield", {"degree": 3}, False),
        ("rbm", {"n_hidden": 2}, False),
    ],
)
def test_a_vector_beside_its_inverse_is_told_where_both_are_learned_alike(name, changes, is_same):
    notes = subject_of_vectors(entry_of(name, **changes), np.concatenate([TWO, -TWO[:1]]), 0).notes
    assert [note.startswith("vectors 1 and 3 are each other's inverse") for note in notes] == [True] * is_same
    assert not subject_of_vectors(entry_of(name, **changes), TWO, 0).notes


@pytest.mark.parametrize("name", ["boltzmann", "rbm"])
def test_probabilities_are_those_of_plain_sums(name):
    n_hidden = {"n_hidden": 3}
    subject = subject_of_vectors(entry_of(name, **n_hidden), TWO, 0)
    facts = section_of(subject, "distribution").facts
    assert facts["sum"] == pytest.approx(1.0, abs=1e-9)
    p = np.exp(-subject.memory.energy(states.every_state(6)[None])[0])
    np.testing.assert_allclose(facts["p"], p / p.sum(), rtol=1e-6)
    assert facts["log_likelihood"] == pytest.approx(np.log(facts["p"][states.numbers_of(TWO)]).mean())
    assert facts["log_likelihood"] <= -np.log(2.0) + 1e-9


def test_what_is_no_distribution_says_why():
    found = inside(subject_of_vectors(entry_of("rbm", n_hidden=30), TWO, 0), InsideConfig())
    assert found.left_out["distribution"].startswith("log Z: 30 hidden units: expected at most 20")
    assert found.left_out["states"].startswith("it is a distribution")
    grey = dataclasses.replace(found.subject, spec=found.subject.spec._replace(is_bipolar=False))
    with pytest.raises(ValueError, match="--what distribution: rbm: grey patterns have no probabilities"):
        inside(grey, InsideConfig(), ["distribution"])
    with pytest.raises(ValueError, match="--what distribution: hopfield: it is no distribution"):
        inside(subject_of_vectors(entry_of("hopfield"), TWO, 0), InsideConfig(), ["distribution"])


class _Codes:
    """A memory whose learning diverged."""

    def codes(self, patterns):
        return np.full((*patterns.shape[:2], 3), np.nan)


def test_a_memory_that_diverged_has_no_neighbours_by_code():
    subject = dataclasses.replace(digits_of("nearest_neighbor"), memory=_Codes())
    with pytest.raises(ValueError, match=r"--what nearest: nearest_neighbor: its codes are not finite$"):
        section_of(subject, "nearest")


class _Energies:
    """A memory with given energies: of two stored and of three new patterns."""

    def energy(self, patterns):
        return patterns[..., 0].astype(float)

    def state(self):
        return {}

    def restore(self, state):
        pass


def _recognition(config):
    subject = digits_of("nearest_neighbor")
    stored = np.array([[[1.0], [4.0]]], np.float32)
    new = np.array([[[2.0], [5.0], [6.0]]], np.float32)
    patterns = subject.patterns._replace(stored=stored, held_out=new)
    return section_of(dataclasses.replace(subject, memory=_Energies(), patterns=patterns), "recognition", config).facts


def test_recognition_by_hand():
    """Of six pairs the stored pattern is lower in five; up to 4 both are found, with one false alarm."""
    facts = _recognition(InsideConfig(cost_miss=2.0))
    assert facts["auc"] == pytest.approx(5 / 6)
    assert (facts["threshold"], facts["cost"]) == (4.0, 1.0)
    assert list(facts["confusion"].values()) == [2, 0, 1, 2]


def test_dear_false_alarms_and_a_given_threshold():
    assert _recognition(InsideConfig(cost_false_alarm=3.0))["threshold"] == 1.0
    facts = _recognition(InsideConfig(threshold=5.0, cost_miss=7.0, cost_false_alarm=2.0))
    assert list(facts["confusion"].values()) == [2, 0, 2, 1]
    assert facts["cost"] == 4.0


def test_a_reconstruction_is_one_pass_through_the_code():
    subject = digits_of("autoencoder", hidden=(16, 2), updates=40)
    facts = section_of(subject, "reconstruction").facts
    memory = subject.memory
    for name, patterns in (("stored", subject.patterns.stored), ("held_out", subject.patterns.held_out)):
        decoded = np.where(memory.decode(memory.codes(patterns)) >= 0.0, 1.0, -1.0)
        expected = (decoded != patterns).mean(axis=2)[0]
        np.testing.assert_allclose(facts["per_pattern"][name], expected)
        assert facts["error"][name] == pytest.approx(expected.mean())
        squares = ((memory.decode(memory.codes(patterns)) - patterns) / 2.0) ** 2
        assert facts["squared_error"][name] == pytest.approx(squares.sum(axis=2).mean())
    mean = subject.stored.mean(0)
    axes = np.linalg.svd(subject.stored - mean)[2][: facts["code_size"]]
    projected = (mean + (subject.held_out - mean) @ axes.T @ axes).clip(-1.0, 1.0)
    linear = (((projected - subject.held_out) / 2.0) ** 2).sum(axis=1).mean()
    assert (facts["code_size"], facts["pca_squared_error"]["held_out"]) == (2, pytest.approx(linear, rel=1e-4))


def test_neighbours_are_those_of_plain_distances():
    subject = digits_of("autoencoder", hidden=(8, 4), updates=20)
    facts = section_of(subject, "nearest").facts
    for found, query in zip(facts["by_pixel"], subject.held_out, strict=False):
        distance = ((subject.stored - query) ** 2).sum(axis=1)
        np.testing.assert_allclose(np.sort(distance)[:5], distance[found - 1])
    codes = subject.memory.codes(subject.patterns.stored)[0]
    query = subject.memory.codes(subject.patterns.held_out)[0][0]
    distance = ((codes - query) ** 2).sum(axis=1)
    np.testing.assert_allclose(np.sort(distance)[:5], distance[facts["by_code"][0] - 1], rtol=1e-5)
    labels, own = subject.patterns.labels[0], subject.patterns.held_out_labels[0]
    distances = ((subject.stored[None] - subject.held_out[:, None]) ** 2).sum(axis=2)
    of_class = labels[np.argsort(distances, axis=1, kind="stable")[:, :5]] == own[:, None]
    assert facts["precision"]["pixel"] == pytest.approx(of_class.mean())


def test_feature_maps_are_torchs():
    torch = pytest.importorskip("torch")
    subject = digits_of("conv_autoencoder", channels=(3,), updates=5)
    stages = section_of(subject, "filters").facts
    assert list(stages) == [
        *("kernels of layer 1", "after the convolution of layer 1", "after the ReLU of layer 1"),
        "after the max pooling of layer 1",
    ]
    weights = subject.memory.state()["weights"]
    x = torch.tensor(subject.stored[0].reshape(1, 1, 8, 8))
    kernel, bias = (torch.tensor(weights[f"encoder.0.{name}"][0]) for name in ("weight", "bias"))
    convolved = torch.nn.functional.conv2d(x, kernel, bias, padding=1)
    pooled = torch.nn.functional.max_pool2d(convolved.relu(), 2)
    np.testing.assert_allclose(stages["after the convolution of layer 1"], convolved[0], atol=1e-5)
    np.testing.assert_allclose(stages["after the max pooling of layer 1"], pooled[0], atol=1e-5)
    codes = torch.relu(
        pooled.flatten() @ torch.tensor(weights["code.0.weight"][0]) + torch.tensor(weights["code.0.bias"][0])
    )
    np.testing.assert_allclose(subject.memory.codes(subject.patterns.stored)[0, 0], codes[0], atol=1e-4)


def test_every_memory_shows_something_and_stays_as_it_was():
    for name in ("hopfield", "dense_hopfield", "modern_hopfield", "nearest_neighbor", "identity"):
        subject = digits_of(name)
        before = str(subject.memory.state())
        found = inside(subject, InsideConfig())
        assert {*found.sections, *found.left_out} == set(SECTIONS)
        assert {"energies", "reconstruction", "recognition"} <= set(found.sections)
        assert str(subject.memory.state()) == before
