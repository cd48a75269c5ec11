"""Tests of classes: folds, balanced labels, the network from scratch, and scores against scikit-learn."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from envs.tasks import classes
from envs.tasks.classes import Config, balanced, evaluate, make, network_torch
from memory import deep_belief
from memory.autoencoder import Config as AutoencoderConfig
from memory.autoencoder import make as make_autoencoder
from simulator.core import rng
from simulator.core.memories import DenseLayer, HasEncoder, PatternSpec
from simulator.core.tasks import Predictor

QUICK = Config(labels=(20, 50), updates=20)


def _deep_belief(spec, seed_list):
    config = deep_belief.Config(hidden=(12, 8))
    return deep_belief.make(spec, seed_list, replace(config, learn=replace(config.learn, updates=20)))


def test_no_test_row_is_ever_trained_on_and_every_row_is_tested_once():
    task = make(range(10), QUICK)
    for repetition in (task.folds[:5], task.folds[5:]):
        tested = np.concatenate([fold.test for fold in repetition])
        assert sorted(tested) == list(range(len(task._y)))
    for fold in task.folds:
        assert not set(fold.test) & set(fold.train)
        assert set(fold.labelled) == set(fold.train)
        shares = np.bincount(task._y[fold.test]) / np.bincount(task._y)
        assert (np.abs(shares - 0.2) < 0.02).all()  # stratified
    assert not np.array_equal(task.folds[0].test, task.folds[5].test)


class Spy:
    """A memory that keeps what it is given."""

    def __init__(self):
        self.seen = None

    def store(self, patterns):
        self.seen = patterns

    def encoder(self, index):
        n = self.seen.shape[2]
        return [DenseLayer(np.eye(n, dtype=np.float32), np.zeros(n, np.float32), "linear")]


def test_what_is_learned_from_holds_no_test_row():
    spy = Spy()
    task = make([0, 1], QUICK)
    assert isinstance(spy, HasEncoder)
    seen = []
    original = network_torch.train_and_predict

    def watched(layers, data, *rest, **options):
        seen.append(data[:2])
        return original(layers, data, *rest, **options)

    network_torch.train_and_predict = watched
    try:
        task.play(Predictor("spy", lambda spec, seed_list: spy), 50.0)
    finally:
        network_torch.train_and_predict = original
    for i, fold in enumerate(task.folds):
        test = {row.tobytes() for row in task._x[fold.test]}
        assert not test & {row.tobytes() for row in spy.seen[i]}
        for x, _ in seen[3 * i : 3 * i + 3]:
            assert len(x) == 50
            assert not test & {row.tobytes() for row in x}
        assert np.array_equal(seen[3 * i][0], seen[3 * i + 1][0])  # all three nets learn the same


def test_labels_are_balanced_and_fewer_are_a_part_of_more():
    y = np.repeat(np.arange(4), (30, 20, 10, 5))
    rows = balanced(np.arange(65), y, rng.generators([1], "permutation")[0])
    assert sorted(rows) == list(range(65))
    assert np.bincount(y[rows[:12]]).tolist() == [3, 3, 3, 3]
    assert np.bincount(y[rows[:35]]).tolist() == [10, 10, 10, 5]


def test_encoders_give_the_codes_of_their_memories():
    x = make([0], QUICK)._x[:30]
    for spec in (PatternSpec((64,)), PatternSpec((64,), is_bipolar=False)):
        values = x if spec.is_bipolar else (0.5 * x + 0.1).astype(np.float32)
        for memory in (_deep_belief(spec, [3, 4]), make_autoencoder(spec, [3, 4], AutoencoderConfig(updates=5))):
            memory.store(np.stack([values, values[::-1]]))
            for i, own in enumerate((values, values)):
                h = own
                for weight, bias, activation in memory.encoder(i):
                    a = h @ weight + bias
                    h = 1 / (1 + np.exp(-a)) if activation == "sigmoid" else np.maximum(a, 0.0)
                codes = memory.codes(np.stack([own, own]))[i]
                np.testing.assert_allclose(h, codes, rtol=1e-3, atol=1e-5)


def test_scores_are_scikit_learns():
    from sklearn.metrics import confusion_matrix, roc_auc_score

    stream = rng.generators([5], "patterns")[0]
    y = stream.integers(3, size=200)
    probs = stream.dirichlet(np.ones(3), 200) + 0.4 * np.eye(3)[y]
    probs /= probs.sum(axis=1, keepdims=True)
    found = evaluate(probs, y)
    assert found.accuracy == (probs.argmax(axis=1) == y).mean()
    assert found.auc == pytest.approx(roc_auc_score(y, probs, multi_class="ovr"))
    np.testing.assert_array_equal(found.confusion, confusion_matrix(y, probs.argmax(axis=1)))


def test_a_seed_that_diverges_has_no_accuracy_and_no_part_in_the_curve(monkeypatch):
    """Of seed 0 the fresh net diverges, of seed 1 the one that begins with the encoder."""
    task = make([0, 1], QUICK)
    task._kept = (contestant := Predictor("spy", lambda spec, seed_list: None), [[], []])
    monkeypatch.setattr(network_torch, "random_layers", lambda layers, stream: [])
    calls = iter([True, False, False, False, False, True])  # fresh, linear probe, encoder, of both seeds

    def trained(layers, data, n_classes, *rest, **options):
        return np.full((len(data[2]), n_classes), np.nan if next(calls) else 0.1)

    monkeypatch.setattr(network_torch, "train_and_predict", trained)
    found = task.play(contestant, 20.0)
    assert np.isnan(found.scores["from_scratch"]).tolist() == [True, False]
    assert np.isnan(found.scores["gain"]).tolist() == [True, True]
    assert np.isnan(found.scores["accuracy"]).tolist() == [False, True]
    np.testing.assert_allclose(found.facts["roc"][1], np.linspace(0.0, 1.0, classes.N_ROC))  # by chance, of seed 0
    assert np.sum(found.facts["confusion"]) == len(task.folds[0].test)


def test_frozen_layers_stay_and_a_linear_probe_is_a_softmax_regression():
    """On codes that are the classes themselves, a linear probe comes to be right."""
    code = np.eye(3, dtype=np.float32)
    x, y = np.tile(code, (10, 1)), np.tile(np.arange(3), 10)
    layers = [DenseLayer(np.eye(3, dtype=np.float32), np.zeros(3, np.float32), "linear")]
    config = Config(updates=300, learning_rate=0.05, dropout=0.0, weight_decay=0.0)
    streams = [np.random.Generator(np.random.PCG64(k)) for k in range(2)]
    probs = network_torch.train_and_predict(layers, (x, y, code), 3, config, tuple(streams), frozen=True)
    assert (probs.argmax(axis=1) == np.arange(3)).all()
    assert probs.max(axis=1).min() > 0.9
    assert np.array_equal(layers[0].weight, np.eye(3))


def test_pretraining_is_the_same_beside_a_fold_of_another_size():
    """Of 1,750 different digits in four folds, fold 1 leaves 1,312 to train on and fold 2 1,313."""
    tasks = [make(seeds, replace(QUICK, folds=4)) for seeds in ((1, 2), (2,))]
    assert [len(fold.train) for fold in tasks[0].folds] == [1_312, 1_313]
    seen = []
    for task in tasks:
        spy = Spy()
        task._pretrained(Predictor("spy", lambda spec, seed_list, spy=spy: spy))
        seen.append(spy.seen[-1])
    np.testing.assert_array_equal(*seen)


@pytest.mark.parametrize("name", ["deep_belief", "logistic_regression", "nearest"])
def test_a_seed_is_the_same_alone(name):
    contestant = Predictor(name, _deep_belief if name == "deep_belief" else None)
    together, alone = (make(seeds, QUICK).play(contestant, 20.0) for seeds in ((1, 6), (6,)))
    for score, values in together.scores.items():
        np.testing.assert_array_equal(values[1], alone.scores[score][0])
    if name == "deep_belief":
        np.testing.assert_allclose(
            together.scores["gain"], together.scores["accuracy"] - together.scores["from_scratch"]
        )


@pytest.mark.parametrize(
    ("changes", "line"),
    [
        ({"labels": (5,)}, r"classes: labels = 5: expected from 10, one of each class, to 1,4\d\d"),
        ({"labels": (20, 2_000)}, r"classes: labels = 2,000: expected from 10"),
        ({"path": "x"}, "classes: path = 'x': digits come with scikit-learn"),
        ({"challenge": "idx"}, "classes: path = '': expected where the pictures of idx are: --task.path PATH"),
    ],
)
def test_bad_settings_are_refused_in_one_line(changes, line):
    with pytest.raises(ValueError, match=line):
        make([0], replace(QUICK, **changes))


def test_a_memory_without_an_encoder_is_refused():
    from memory import nearest_neighbor

    contestant = Predictor(
        "nearest_neighbor", lambda spec, seeds: nearest_neighbor.make(spec, seeds, nearest_neighbor.Config())
    )
    with pytest.raises(ValueError, match=r"^nearest_neighbor: it has no encoder of dense layers"):
        make([0], QUICK).check(contestant)
    assert classes.DEFAULT[0] == "deep_belief"
