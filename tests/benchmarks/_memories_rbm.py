"""The restricted Boltzmann machine beside scikit-learn's BernoulliRBM: speed of learning, and the likelihood reached.

Both learn by persistent chains (one sweep an update), the same learning rate, batches of 10, as many updates, and
no momentum; ours twice: plain, all biases from 0 as the peer's, and with the centred gradient and biases that begin at
the data's means. Speed is updates per CPU-second of the plain one, in turn with the peer's, on the 8x8 digits with 64
inputs and on the same drawn large, with 784. Likelihoods are of held-out digits and exact: 16 hidden units have 65,536
states. scikit-learn is no dependency: without it nothing is measured.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from importlib.util import find_spec
from statistics import mean
from typing import Any

import numpy as np

from memory.common.rbm.contrastive_divergence import RBMLearning, train
from memory.common.rbm.layers import RBMParams, init_visible_bias, init_weights, make_stack
from memory.common.rbm.likelihood import annealed_log_z, exact_log_z, log_likelihood
from simulator.core import rng
from simulator.core.optimizers import RuleConfig
from simulator.core.protocols import Array
from tests.benchmarks._clock import alternate, ratio

RATE, BATCH, HIDDEN, EPOCHS, SEEDS, N_TRAIN = 0.1, 10, 16, 20, 8, 1_500
SPEED_EPOCHS, SPEED_HIDDEN = 2, {64: 64, 784: 256}
PLAIN = RBMLearning(
    batch_size=BATCH,
    learning_rate=RATE,
    optimizer=RuleConfig("sgd"),
    persistent=True,
    centered=False,
    batch_likelihood_weight=0.0,
    input_noise=0.0,
)


def rbm_speed() -> dict[str, Any]:
    """Updates per CPU-second and how many times the peer's; test log likelihoods, and the AIS estimate of one."""
    if find_spec("sklearn") is None:
        return {}
    images = _digits()
    return {"speed": _speed(images), "test log likelihood, nats": _likelihood(images)}


def _digits() -> Array:
    """All 8x8 digits as units of 0 and 1, float32 [1797, 64], in an order of their own."""
    from sklearn.datasets import load_digits

    images = (load_digits().data >= 8.0).astype(np.float32)
    order = rng.generators([0], "patterns")[0].permutation(len(images))
    return images[order]


def _large(images: Array) -> Array:
    """The same in 28 by 28."""
    at = np.arange(28) * 8 // 28
    return np.ascontiguousarray(images.reshape(-1, 8, 8)[:, at][:, :, at].reshape(len(images), 784))


def _ours(data: Array, hidden: int, updates: int, seed: int, **learn: Any) -> RBMParams:
    stack = make_stack((data.shape[1], hidden), False, 1)
    init_weights(stack, [seed], 0.01)
    if learn.get("centered"):
        init_visible_bias(stack.layers[0], False, data[None])
    settings = RBMLearning(**{**PLAIN.__dict__, "updates": updates, **learn})
    train(stack.layers[0], False, data[None], rng.pcg64_states([seed], "training"), settings)
    return RBMParams(*(array[0] for array in stack.layers[0]))


def _theirs(data: Array, hidden: int, epochs: int, seed: int) -> RBMParams:
    from sklearn.neural_network import BernoulliRBM

    found = BernoulliRBM(hidden, learning_rate=RATE, batch_size=BATCH, n_iter=epochs, random_state=seed).fit(data)
    return RBMParams(found.components_.T, found.intercept_visible_, found.intercept_hidden_)


def _speed(images: Array) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for n, hidden in SPEED_HIDDEN.items():
        data = (images if n == 64 else _large(images))[:N_TRAIN]
        updates = SPEED_EPOCHS * (len(data) // BATCH)
        works: dict[str, tuple[Callable[[], Any], int]] = {
            "ours": (partial(_ours, data, hidden, updates, 0), updates),
            "scikit-learn": (partial(_theirs, data, hidden, SPEED_EPOCHS, 0), updates),
        }
        rates = alternate(works, 5)
        found[f"{n} inputs, {hidden} hidden"] = {**rates, "times scikit-learn": ratio(rates, "ours", "scikit-learn")}
    return found


def _likelihood(images: Array) -> dict[str, Any]:
    learned, held_out = images[:N_TRAIN], images[N_TRAIN:]
    updates = EPOCHS * (N_TRAIN // BATCH)
    makers: dict[str, Callable[[int], RBMParams]] = {
        "ours, plain": lambda seed: _ours(learned, HIDDEN, updates, seed),
        "ours, centred": lambda seed: _ours(learned, HIDDEN, updates, seed, centered=True),
        "scikit-learn": lambda seed: _theirs(learned, HIDDEN, EPOCHS, seed),
    }
    found: dict[str, Any] = {}
    for name, make in makers.items():
        layers = [make(seed) for seed in range(SEEDS)]
        values = [log_likelihood(layer, False, held_out, exact_log_z(layer, False)) for layer in layers]
        found[name] = {"mean of seeds": mean(values), "lowest": min(values), "highest": max(values)}
    layer = makers["ours, plain"](0)
    start = np.log(learned.mean(0) + 1e-3) - np.log(1.0 - learned.mean(0) + 1e-3)
    estimate = annealed_log_z(layer, False, start, rng.generators([0], "evaluation")[0])
    found["log Z of one"] = {
        "enumerated": exact_log_z(layer, False),
        "annealed": estimate.value,
        "its error": estimate.error,
    }
    return found
