"""Optimisers of flat parameters, one seed at a time, in the forms of ``torch.optim`` (to 1e-6 over 100 steps).

Polyak 1964 (momentum); Nesterov 1983, as Sutskever et al. 2013; Duchi et al. 2011 (AdaGrad); Zeiler 2012 (AdaDelta);
Tieleman and Hinton 2012 (RMSProp); Kingma and Ba 2015 (Adam). Clipping is by the seed's own gradient norm
(Pascanu et al. 2013): no number crosses seeds.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal, NamedTuple

import numpy as np

from simulator.core.field_types import CountOrZero, NonNegative, PartShare, Positive
from simulator.core.jit import jit, jit_blas, jit_inline
from simulator.core.protocols import Array

KINDS = ("sgd", "momentum", "nesterov", "adagrad", "adadelta", "rmsprop", "adam")
_SGD, _MOMENTUM, _NESTEROV, _ADAGRAD, _ADADELTA, _RMSPROP, _ADAM = range(7)
_BETA2 = {"adadelta": 0.9, "rmsprop": 0.99, "adam": 0.999}
DEFAULT_RATE = 1e-3  # learning rate where neither settings nor agent give one
_EPS = {"adagrad": 1e-10, "adadelta": 1e-6}


@dataclass(frozen=True)
class OptimizerSettings:
    """Rule, learning rate and gradient clipping."""

    kind: Literal["sgd", "momentum", "nesterov", "adagrad", "adadelta", "rmsprop", "adam"] = "adam"
    """the rule"""
    learning_rate: Positive | None = None
    """step size of the rule, at the first environment step; none: the agent's own, see `engram show`"""
    lr_end: NonNegative = 0.0
    """learning rate from environment step `lr_decay_steps` on; counts only where that is above 0"""
    lr_decay_steps: CountOrZero = 0
    """environment steps in which the learning rate falls, linearly, to `lr_end`; 0 keeps it constant"""
    beta1: PartShare = 0.9
    """decay of the running mean of gradients: momentum, nesterov and adam"""
    beta2: PartShare | None = None
    """decay of the running mean of squared gradients; none: adadelta 0.9, rmsprop 0.99, adam 0.999"""
    eps: Positive | None = None
    """added to the root of the running squares, with adadelta below it; none: 1e-8, adagrad 1e-10, adadelta 1e-6"""
    max_grad_norm: NonNegative | None = None
    """Euclidean norm to which each seed's gradient is clipped; 0: no clipping; none: the agent's own"""

    def filled(self, learning_rate: float, max_grad_norm: float = 0.0) -> OptimizerSettings:
        """Return the settings with these where they are none."""
        rate = learning_rate if self.learning_rate is None else self.learning_rate
        norm = max_grad_norm if self.max_grad_norm is None else self.max_grad_norm
        return replace(self, learning_rate=rate, max_grad_norm=norm)


class Optimizer(NamedTuple):
    """An optimiser with the moments and step counts of every seed."""

    kind: int
    learning_rate: float
    beta1: float
    beta2: float
    eps: float
    max_grad_norm: float
    moments: Array  # float32 [S, 2, P]
    step_count: Array  # int64 [S], per seed: a masked seed does not count


def make_optimizer(settings: OptimizerSettings, n_seeds: int, n_params: int) -> Optimizer:
    """Give the rule as compiled code takes it, with an empty memory."""
    beta2 = _BETA2.get(settings.kind, 0.0) if settings.beta2 is None else settings.beta2
    eps = _EPS.get(settings.kind, 1e-8) if settings.eps is None else settings.eps
    settings = settings.filled(DEFAULT_RATE)
    return Optimizer(
        kind=KINDS.index(settings.kind),
        learning_rate=float(settings.learning_rate or 0.0),
        beta1=float(settings.beta1),
        beta2=float(beta2),
        eps=float(eps),
        max_grad_norm=float(settings.max_grad_norm or 0.0),
        moments=np.zeros((n_seeds, 2, n_params), np.float32),
        step_count=np.zeros(n_seeds, np.int64),
    )


def lr_scale_at(settings: OptimizerSettings, clock: int) -> float:
    """Return the learning rate after ``clock`` environment steps, as a fraction of the first."""
    first = float(settings.learning_rate or DEFAULT_RATE)
    scale: float = linear_decay(clock, settings.lr_decay_steps, first, float(settings.lr_end))
    return scale


@jit
def linear_decay(clock, decay_steps, start, end):
    """Return a linear schedule from ``start`` to ``end``, after ``clock`` steps, as a fraction of ``start``."""
    if decay_steps == 0:
        return 1.0
    fraction = min(clock / decay_steps, 1.0)
    return (1.0 - fraction) + fraction * end / start


@jit_blas
def squared_norm(gradient):
    """Sum of squares of a flat gradient."""
    return np.dot(gradient, gradient)


@jit_inline
def clip_grad_norm(optimizer, gradient):
    """Scale a flat gradient down to ``max_grad_norm``; the norm that it had, float64."""
    norm = np.sqrt(np.float64(squared_norm(gradient)))
    if optimizer.max_grad_norm > 0.0 and norm > optimizer.max_grad_norm:
        scale = np.float32(optimizer.max_grad_norm / norm)
        for k in range(len(gradient)):
            gradient[k] *= scale
    return norm


@jit
def clip_and_update(optimizer, i, weights, gradient, lr_scale):
    """Clip a gradient [P] and let the weights [P] of seed i follow it; its norm before clipping.

    A norm that is not finite leaves weights and optimiser as they were.
    """
    norm = clip_grad_norm(optimizer, gradient)
    if np.isfinite(norm):
        apply_update(optimizer, i, weights, gradient, lr_scale)
    return norm


@jit_inline
def apply_update(optimizer, i, weights, gradient, lr_scale):
    """Move ``weights`` [P] of seed i along ``gradient`` [P], with the learning rate times ``lr_scale``."""
    optimizer.step_count[i] += 1
    if optimizer.kind == _ADAM:
        _adam(optimizer, i, weights, gradient, optimizer.learning_rate * lr_scale)
    elif optimizer.kind <= _NESTEROV:
        _momentum(optimizer, i, weights, gradient, np.float32(optimizer.learning_rate * lr_scale))
    else:
        _adaptive(optimizer, i, weights, gradient, np.float32(optimizer.learning_rate * lr_scale))


@jit_inline
def _momentum(optimizer, i, weights, gradient, rate):
    """Apply SGD, heavy-ball momentum, or Nesterov momentum."""
    velocity = optimizer.moments[i, 0]
    beta1 = np.float32(optimizer.beta1)
    nesterov = optimizer.kind == _NESTEROV
    if optimizer.kind == _SGD:
        for k in range(len(weights)):
            weights[k] -= rate * gradient[k]
        return
    for k in range(len(weights)):
        velocity[k] = beta1 * velocity[k] + gradient[k]
        weights[k] -= rate * (gradient[k] + beta1 * velocity[k] if nesterov else velocity[k])


@jit_inline
def _adaptive(optimizer, i, weights, gradient, rate):
    """Apply AdaGrad, RMSProp or AdaDelta."""
    squares = optimizer.moments[i, 0]
    step_squares = optimizer.moments[i, 1]
    beta2 = np.float32(optimizer.beta2)
    one_minus_beta2 = np.float32(1.0 - optimizer.beta2)
    eps = np.float32(optimizer.eps)
    if optimizer.kind == _ADAGRAD:
        for k in range(len(weights)):
            squares[k] += gradient[k] * gradient[k]
            weights[k] -= rate * gradient[k] / (np.sqrt(squares[k]) + eps)
    elif optimizer.kind == _RMSPROP:
        for k in range(len(weights)):
            squares[k] = beta2 * squares[k] + one_minus_beta2 * gradient[k] * gradient[k]
            weights[k] -= rate * gradient[k] / (np.sqrt(squares[k]) + eps)
    else:
        for k in range(len(weights)):
            squares[k] = beta2 * squares[k] + one_minus_beta2 * gradient[k] * gradient[k]
            step = np.sqrt(step_squares[k] + eps) / np.sqrt(squares[k] + eps) * gradient[k]
            step_squares[k] = beta2 * step_squares[k] + one_minus_beta2 * step * step
            weights[k] -= rate * step


@jit_inline
def _adam(optimizer, i, weights, gradient, rate):
    """Apply Adam with the bias correction of the seed's own step count."""
    mean = optimizer.moments[i, 0]
    squares = optimizer.moments[i, 1]
    count = optimizer.step_count[i]
    step_size = np.float32(rate / (1.0 - optimizer.beta1**count))
    root_scale = np.float32(1.0 / np.sqrt(1.0 - optimizer.beta2**count))
    beta1 = np.float32(optimizer.beta1)
    beta2 = np.float32(optimizer.beta2)
    rest1 = np.float32(1.0 - optimizer.beta1)
    rest2 = np.float32(1.0 - optimizer.beta2)
    eps = np.float32(optimizer.eps)
    for k in range(len(weights)):
        mean[k] = beta1 * mean[k] + rest1 * gradient[k]
        squares[k] = beta2 * squares[k] + rest2 * gradient[k] * gradient[k]
        weights[k] -= step_size * mean[k] / (np.sqrt(squares[k]) * root_scale + eps)


@jit_inline
def polyak_update(weights, others, i, tau):
    """Move weights [S, P] of seed i towards other ones by the fraction ``tau``; 1 copies them."""
    mine = weights[i]
    theirs = others[i]
    part = np.float32(tau)
    if tau == 1.0:
        for k in range(len(mine)):
            mine[k] = theirs[k]
    else:
        for k in range(len(mine)):
            mine[k] += part * (theirs[k] - mine[k])
