"""Classes: recognise pictures from few labels, after pre-training on all of them without labels.

Hinton and Salakhutdinov 2006 and Hinton, Osindero and Teh 2006: a memory (an autoencoder, a stack of restricted
Boltzmann machines) learns the pictures of the training part, labels unseen; its layers begin a classifier, on top of
which a softmax layer is put, and all of it is trained on the labelled pictures. Beside it stand a linear probe, a
softmax on the memory's codes, which stay as they are, and **the same network from random weights**, trained on the
same pictures, by the same steps, with the same dropout: what pre-training is worth is the paired difference of the two.

Every seed is one fold of a stratified k-fold cross-validation: seed s tests on fold s modulo ``folds``, of a split that
s // ``folds`` shuffles. Pre-training and labels come from the other folds alone. Labels are as many of each class as
can be, and fewer are a part of more. Folds share most of what they learn from, so a plain interval over them would be
too narrow (Bengio and Grandvalet 2004); intervals, of paired differences too, are widened by the correction of Nadeau
and Bengio 2003, which takes 1/n + test rows / training rows in place of 1/n in the variance of a mean.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property, partial
from typing import Annotated, Any, Literal, NamedTuple

import numpy as np
from msgspec import Meta

from simulator.core import registry, rng
from simulator.core.field_types import Count, NonNegative, PartShare, Positive
from simulator.core.memories import DenseLayer, HasEncoder, PatternSpec
from simulator.core.protocols import Array
from simulator.core.stopping import raise_if_stopped
from simulator.core.tasks import Prediction, Predictor, ScoreSpec, TaskSpec

METHODS = {
    "logistic_regression": "multinomial logistic regression on the pixels",
    "nearest": "the class of the nearest labelled picture",
}
DEFAULT = ("deep_belief", *METHODS)
N_ROC = 51  # points of a ROC curve


@dataclass(frozen=True)
class Config:
    """Settings of the classes."""

    challenge: Literal["digits", "idx", "images"] = "digits"
    """pictures with classes: scikit-learn's digits, or files of your own (engram show idx, engram show images)"""
    path: str = ""
    """of idx and images: the file or folder of pictures"""
    levels: Literal["two", "grey"] = "two"
    """two: pixels are -1 or +1; grey: scaled to -1 to 1"""
    labels: Annotated[tuple[Annotated[int, Meta(ge=1)], ...], Meta(min_length=1)] = (20, 100, 1_000)
    """numbers of labelled pictures, each a condition"""
    folds: Annotated[int, Meta(ge=2, le=100)] = 5
    """folds of the cross-validation"""
    updates: Count = 400
    """gradient steps of fine-tuning, and of the same network from random weights"""
    batch_size: Count = 32
    """pictures in a gradient step"""
    learning_rate: Positive = 0.002
    """step size of Adam"""
    dropout: PartShare = 0.2
    """probability of a hidden unit being dropped in fine-tuning"""
    weight_decay: NonNegative = 1e-4
    """weight of half the squared weights in the loss"""


def files(config: Config) -> list[str]:
    """Return the files that the pictures are read from."""
    module = registry.load("challenges", config.challenge).module
    return list(module.files(_challenge_config(config))) if hasattr(module, "files") else []


def make(seed_list: Sequence[int], config: Config) -> Classes:
    """Make the pictures and the folds of every seed.

    Raises:
        ValueError: pictures that cannot be read or have no classes, or too few of a class for the folds; one line.
    """
    return Classes(seed_list, config)


def _challenge_config(config: Config) -> Any:
    plugin = registry.load("challenges", config.challenge)
    path = {"path": config.path} if config.path else {}
    if path and config.challenge == "digits":
        raise ValueError(
            f"classes: path = {config.path!r}: digits come with scikit-learn, expected challenge = idx or images"
        )
    if not path and config.challenge != "digits":
        raise ValueError(f"classes: path = '': expected where the pictures of {config.challenge} are: --task.path PATH")
    return plugin.Config(levels=config.levels, **path)


class Fold(NamedTuple):
    """Rows of the pictures of one seed."""

    train: Array  # int64 [M], labels of which are not all seen
    test: Array  # int64 [T]
    labelled: Array  # int64 [M], the training rows in the order in which they are labelled


class Classes:
    """A task; see :class:`simulator.core.tasks.Task`."""

    def __init__(self, seed_list: Sequence[int], config: Config) -> None:
        self._seeds = list(seed_list)
        self._config = config
        challenge = registry.load("challenges", config.challenge).make([0], _challenge_config(config))
        everything = challenge.draw(challenge.max_patterns, 0)
        self._unit_spec: PatternSpec = challenge.spec
        self._x: Array = everything.stored[0]
        raw = everything.labels[0]
        if (raw < 0).any() or len(np.unique(raw)) < 2:
            raise ValueError(f"classes: {config.challenge}: expected pictures of two classes and more, with labels")
        self._classes, self._y = np.unique(raw, return_inverse=True)
        least = int(np.bincount(self._y).min())
        if least < config.folds:
            raise ValueError(f"classes: found {least} pictures of a class, expected at least folds = {config.folds}")
        self.conditions: tuple[float, ...] = tuple(map(float, dict.fromkeys(config.labels)))
        n_tested = -(-len(self._y) // config.folds)  # of the largest fold
        self._n_train = len(self._y) - n_tested  # of every fold: which ones are asked for must not matter
        most = max(config.labels)
        if most > self._n_train or min(config.labels) < len(self._classes):
            raise ValueError(
                f"classes: labels = {most if most > self._n_train else min(config.labels):,}: expected from "
                f"{len(self._classes)}, one of each class, to {self._n_train:,}, as there are pictures to train on"
            )
        share = partial(ScoreSpec, low=0.0, high=1.0)
        self.spec = TaskSpec(
            "labels",
            (
                share("accuracy", "accuracy"),
                share("from_scratch", "from scratch"),
                ScoreSpec("gain", "gain by pre-training (paired)", -1.0, 1.0, is_drawn=True),
                share("linear_probe", "linear probe"),
                share("auc", "ROC AUC"),
            ),
            higher_is_better=True,
            note=f"every seed is a fold of a stratified {config.folds}-fold cross-validation; gain: accuracy less that "
            "of the same net from random weights, on the same pictures; intervals are widened for what folds share",
            test_ratios=(1.0 / (config.folds - 1),) * len(self.conditions),
        )

    @cached_property
    def folds(self) -> list[Fold]:
        """The rows of every seed."""
        from sklearn.model_selection import StratifiedKFold  # takes a second

        n_folds = self._config.folds
        folds = []
        for seed, stream in zip(self._seeds, rng.generators(self._seeds, "permutation"), strict=True):
            shuffle = rng.derived_seeds([seed // n_folds], "layout")[0] % 2**32
            splits = StratifiedKFold(n_folds, shuffle=True, random_state=shuffle).split(self._x, self._y)
            train, test = list(splits)[seed % n_folds]
            folds.append(Fold(train, test, balanced(train, self._y, stream)))
        return folds

    def check(self, contestant: Predictor) -> None:
        """Refuse a memory without an encoder of dense layers.

        Raises:
            ValueError: it cannot begin a classifier; one line.
        """
        if contestant.make is None:
            return
        memory = contestant.make(self._unit_spec, self._seeds[:1])
        if not isinstance(memory, HasEncoder):
            raise ValueError(
                f"{contestant.name}: it has no encoder of dense layers to go on with, expected autoencoder, rbm, "
                "deep_belief or another that has"
            )

    def play(self, contestant: Predictor, condition: float) -> Prediction:
        """Learn from so many labels, and recognise the test fold of every seed."""
        n_labels = int(condition)
        encoders = self._pretrained(contestant) if contestant.make is not None else None
        names = [score.name for score in self.spec.scores]
        scores = {name: np.full(len(self._seeds), np.nan) for name in names}
        evaluated = []
        for i, fold in enumerate(self.folds):
            raise_if_stopped()
            rows = fold.labelled[:n_labels]
            x, y, test = self._x[rows], self._y[rows], self._x[fold.test]
            if encoders is None:
                probs = _by_method(contestant.name, x, y, test, len(self._classes))
            else:
                probs = self._fine_tuned(encoders[i], x, y, test, i, scores)
            own = evaluate(probs, self._y[fold.test])
            scores["accuracy"][i] = own.accuracy
            scores["auc"][i] = own.auc
            evaluated.append(own)
        if encoders is not None:
            scores["gain"] = scores["accuracy"] - scores["from_scratch"]
        confusion = np.sum([own.confusion for own in evaluated], axis=0)
        curves = [own.roc for own in evaluated if np.isfinite(own.auc)]  # of a seed that failed there is none
        roc = [np.linspace(0.0, 1.0, N_ROC), np.mean(curves, axis=0)] if curves else []
        facts = {
            "classes": self._classes.tolist(),
            "confusion": confusion.astype(int).tolist(),
            "roc": [points.round(4).tolist() for points in roc],
            "test_rows": [len(fold.test) for fold in self.folds],
        }
        return Prediction(scores, facts)

    def _pretrained(self, contestant: Predictor) -> list[list[DenseLayer]]:
        """Let a memory store the pictures of every seed's training part, and return its encoders."""
        assert contestant.make is not None
        if self._kept is None or self._kept[0] != contestant:  # the next number of labels begins with the same
            memory: Any = contestant.make(self._unit_spec, self._seeds)
            memory.store(np.stack([self._x[fold.labelled[: self._n_train]] for fold in self.folds]))
            self._kept = (contestant, [memory.encoder(i) for i in range(len(self._seeds))])
        return self._kept[1]

    _kept: tuple[Predictor, list[list[DenseLayer]]] | None = None

    def _fine_tuned(
        self, encoder: list[DenseLayer], x: Array, y: Array, test: Array, at: int, scores: dict[str, Array]
    ) -> Array:
        """Train the three networks of one seed; the probabilities of the one that begins with the encoder.

        Each draws the same batches and dropout masks.
        """
        from envs.tasks.classes import network_torch as network

        truth = self._y[self.folds[at].test]
        seed = self._seeds[at : at + 1]
        n_classes = len(self._classes)

        def trained(layers: list[DenseLayer], *, frozen: bool = False) -> Array:
            streams = (rng.generators(seed, "weights")[0], rng.generators(seed, "training")[0])
            return network.train_and_predict(layers, (x, y, test), n_classes, self._config, streams, frozen=frozen)

        fresh = network.random_layers(encoder, rng.generators(seed, "first")[0])
        scores["from_scratch"][at] = accuracy(trained(fresh), truth)
        scores["linear_probe"][at] = accuracy(trained(encoder, frozen=True), truth)
        return trained(encoder)


def balanced(rows: Array, y: Array, stream: np.random.Generator) -> Array:
    """Order rows at random so that the first ones of any number have as many of each class as can be."""
    shuffled = stream.permutation(rows)
    turn = np.empty(len(rows), np.int64)  # which of its class each is
    for label in np.unique(y[rows]):
        own = np.flatnonzero(y[shuffled] == label)
        turn[own] = np.arange(len(own))
    return shuffled[np.argsort(turn, kind="stable")]


class FoldScores(NamedTuple):
    """Scores of the probabilities of one test fold."""

    accuracy: float
    auc: float  # each class against the others, mean over classes
    confusion: Array  # int64 [C, C], true class by predicted one
    roc: Array  # float64 [N_ROC], true positive rates at equal steps of the false ones, mean over classes


def accuracy(probs: Array, y: Array) -> float:
    """Return the share of rows whose most probable class is right; NaN where probabilities are not finite."""
    return float((probs.argmax(axis=1) == y).mean()) if np.isfinite(probs).all() else np.nan


def evaluate(probs: Array, y: Array) -> FoldScores:
    """Score the probabilities [T, C] of rows of the classes y [T]; NaN where they are not finite."""
    from sklearn.metrics import auc, confusion_matrix, roc_curve

    n_classes = probs.shape[1]
    if not np.isfinite(probs).all():
        return FoldScores(np.nan, np.nan, np.zeros((n_classes, n_classes)), np.full(N_ROC, np.nan))
    curves = [roc_curve(y == label, probs[:, label])[:2] for label in range(n_classes)]
    confusion = confusion_matrix(y, probs.argmax(axis=1), labels=np.arange(n_classes))
    false_rates = np.linspace(0.0, 1.0, N_ROC)
    mean_roc = np.mean([np.interp(false_rates, *curve) for curve in curves], axis=0)
    return FoldScores(accuracy(probs, y), float(np.mean([auc(*curve) for curve in curves])), confusion, mean_roc)


def _by_method(name: str, x: Array, y: Array, test: Array, n_classes: int) -> Array:
    """Return the probabilities [T, C] of scikit-learn's classifiers."""
    if name == "nearest":
        from sklearn.neighbors import KNeighborsClassifier

        model = KNeighborsClassifier(1)
    else:
        from sklearn.linear_model import LogisticRegression

        model = LogisticRegression(max_iter=500)
    model.fit(x, y)
    probs = np.zeros((len(test), n_classes))
    probs[:, model.classes_] = model.predict_proba(test)
    return probs
