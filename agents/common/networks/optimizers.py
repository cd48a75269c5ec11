"""Optimisers of flat parameters, one seed at a time, in the forms of ``torch.optim`` (to 1e-6 over 100 steps).

Polyak 1964 (momentum); Nesterov 1983, as Sutskever et al. 2013; Duchi et al. 2011 (AdaGrad); Zeiler 2012 (AdaDelta);
Tieleman and Hinton 2012 (RMSProp); Kingma and Ba 2015 (Adam). Clipping is by the seed's own gradient norm
(Pascanu et al. 2013): no number crosses seeds.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, NamedTuple

import numpy as np

from simulator.core.field_types import CountOrZero, NonNegative, PartShare, Positive
from simulator.core.jit import jit, jit_blas, jit_inline
from simulator.core.protocols import Array

KINDS = ("sgd", "momentum", "nesterov", "adagrad", "adadelta", "rmsprop", "adam")
_SGD, _MOMENTUM, _NESTEROV, _ADAGRAD, _ADADELTA, _RMSPROP, _ADAM = range(7)
_DECAY = {"adadelta": 0.9, "rmsprop": 0.99, "adam": 0.999}
_EPSILON = {"adagrad": 1e-10, "adadelta": 1e-6}


@dataclass(frozen=True)
class OptimizerSettings:
    """How a network's weights follow their gradient."""

    kind: Literal["sgd", "momentum", "nesterov", "adagrad", "adadelta", "rmsprop", "adam"] = "adam"
    """the rule"""
    learning_rate: Positive = 1e-3
    """step size of the rule, at the first environment step"""
    last: NonNegative = 0.0
    """learning rate from environment step `steps` on; counts only where steps is above 0"""
    steps: CountOrZero = 0
    """environment steps in which the learning rate falls, linearly, to `last`; 0 keeps it"""
    momentum: PartShare = 0.9
    """share of the running direction that is kept by momentum, nesterov and adam (beta 1)"""
    decay: PartShare | None = None
    """share of the running squares that is kept by adadelta (none: .9), rmsprop (.99) and adam (.999, beta 2)"""
    epsilon: Positive | None = None
    """added to the root of the running squares, with adadelta below it; none: 1e-8, adagrad 1e-10, adadelta 1e-6"""
    max_norm: NonNegative = 0.0
    """longest gradient of a seed, as a Euclidean norm; longer ones are shortened; 0: any"""


class Optimizer(NamedTuple):
    """A rule and what it remembers of every seed."""

    kind: int
    rate: float
    momentum: float
    decay: float
    epsilon: float
    max_norm: float
    slots: Array  # float32 [S, 2, P]
    updates: Array  # int64 [S], per seed: a masked seed does not count


def make_optimizer(settings: OptimizerSettings, n_seeds: int, n_params: int) -> Optimizer:
    """The rule as compiled code takes it, with nothing remembered yet."""
    decay = _DECAY.get(settings.kind, 0.0) if settings.decay is None else settings.decay
    epsilon = _EPSILON.get(settings.kind, 1e-8) if settings.epsilon is None else settings.epsilon
    numbers = (float(settings.learning_rate), float(settings.momentum), float(decay), float(epsilon))
    slots = np.zeros((n_seeds, 2, n_params), np.float32)
    kind = KINDS.index(settings.kind)
    return Optimizer(kind, *numbers, float(settings.max_norm), slots, np.zeros(n_seeds, np.int64))


def rate_after(settings: OptimizerSettings, clock: int) -> float:
    """The learning rate after ``clock`` environment steps, as a share of the first; ends exactly at its last."""
    rate: float = faded(clock, settings.steps, float(settings.learning_rate), float(settings.last))
    return rate


@jit
def faded(clock, steps, first, last):
    """A rate after ``clock`` of the steps in which it goes from ``first`` to ``last``, as a share of the first."""
    if steps == 0:
        return 1.0
    share = min(clock / steps, 1.0)
    return (1.0 - share) + share * last / first


@jit_blas
def squared_norm(gradient):
    """The sum of squares of a flat gradient."""
    return np.dot(gradient, gradient)


@jit_inline
def shortened(optimizer, gradient):
    """Scale a flat gradient down to the longest norm allowed; the norm it had, float64."""
    norm = np.sqrt(np.float64(squared_norm(gradient)))
    if optimizer.max_norm > 0.0 and norm > optimizer.max_norm:
        share = np.float32(optimizer.max_norm / norm)
        for k in range(len(gradient)):
            gradient[k] *= share
    return norm


@jit
def step_down(optimizer, net, i, w, share):
    """Shorten the gradient in row ``w`` of a ``Net`` and let seed i follow it; its norm.

    A norm that is not finite leaves weights and optimiser as they were.
    """
    norm = shortened(optimizer, net.gradient[w])
    if np.isfinite(norm):
        descend(optimizer, i, net.params[i], net.gradient[w], share)
    return norm


@jit_inline
def descend(optimizer, i, weights, gradient, share):
    """One step of seed i: ``weights`` [P] follow ``gradient`` [P]; ``share`` scales the learning rate."""
    optimizer.updates[i] += 1
    first, second, rate = optimizer.slots[i, 0], optimizer.slots[i, 1], np.float32(optimizer.rate * share)
    if optimizer.kind == _ADAM:
        _adam(optimizer, i, weights, gradient, optimizer.rate * share)
    elif optimizer.kind <= _NESTEROV:
        _along(optimizer, first, weights, gradient, rate)
    else:
        _by_squares(optimizer, (first, second), weights, gradient, rate)


@jit_inline
def _along(optimizer, first, weights, gradient, rate):
    """SGD, momentum and Nesterov's look ahead."""
    keep, ahead = np.float32(optimizer.momentum), optimizer.kind == _NESTEROV
    if optimizer.kind == _SGD:
        for k in range(len(weights)):
            weights[k] -= rate * gradient[k]
        return
    for k in range(len(weights)):
        first[k] = keep * first[k] + gradient[k]
        weights[k] -= rate * (gradient[k] + keep * first[k] if ahead else first[k])


@jit_inline
def _by_squares(optimizer, slots, weights, gradient, rate):
    """AdaGrad, RMSProp and AdaDelta: steps in units of the gradient's own size."""
    first, second = slots
    keep, epsilon, rest = np.float32(optimizer.decay), np.float32(optimizer.epsilon), np.float32(1.0 - optimizer.decay)
    if optimizer.kind == _ADAGRAD:
        for k in range(len(weights)):
            first[k] += gradient[k] * gradient[k]
            weights[k] -= rate * gradient[k] / (np.sqrt(first[k]) + epsilon)
    elif optimizer.kind == _RMSPROP:
        for k in range(len(weights)):
            first[k] = keep * first[k] + rest * gradient[k] * gradient[k]
            weights[k] -= rate * gradient[k] / (np.sqrt(first[k]) + epsilon)
    else:
        for k in range(len(weights)):
            first[k] = keep * first[k] + rest * gradient[k] * gradient[k]
            step = np.sqrt(second[k] + epsilon) / np.sqrt(first[k] + epsilon) * gradient[k]
            second[k] = keep * second[k] + rest * step * step
            weights[k] -= rate * step


@jit_inline
def _adam(optimizer, i, weights, gradient, rate):
    """Adam with the bias correction of the seed's own count."""
    first, second, count = optimizer.slots[i, 0], optimizer.slots[i, 1], optimizer.updates[i]
    size = np.float32(rate / (1.0 - optimizer.momentum**count))
    scale = np.float32(1.0 / np.sqrt(1.0 - optimizer.decay**count))
    keep, hold, epsilon = np.float32(optimizer.momentum), np.float32(optimizer.decay), np.float32(optimizer.epsilon)
    new, fresh = np.float32(1.0 - optimizer.momentum), np.float32(1.0 - optimizer.decay)
    for k in range(len(weights)):
        first[k] = keep * first[k] + new * gradient[k]
        second[k] = hold * second[k] + fresh * gradient[k] * gradient[k]
        weights[k] -= size * first[k] / (np.sqrt(second[k]) * scale + epsilon)
