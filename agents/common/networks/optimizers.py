"""Optimisers of flat parameters, one seed at a time, in the forms of ``torch.optim`` (to 1e-6 over 100 steps).

The rules are those of :mod:`simulator.core.optimizers`. Clipping is by the seed's own gradient norm (Pascanu et al.
2013): no number crosses seeds.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np

from simulator.core.field_types import CountOrZero, NonNegative, Positive
from simulator.core.jit import jit, jit_blas, jit_inline
from simulator.core.optimizers import Rule, RuleConfig, apply_rule, compiled_coefficients, rule_of
from simulator.core.protocols import Array

DEFAULT_RATE = 1e-3  # learning rate where neither settings nor agent give one


@dataclass(frozen=True)
class OptimizerSettings(RuleConfig):
    """Rule, learning rate and gradient clipping."""

    learning_rate: Positive | None = None
    """step size of the rule, at the first environment step; none: the agent's own, see `engram show`"""
    lr_end: NonNegative = 0.0
    """learning rate from environment step `lr_decay_steps` on; counts only where that is above 0"""
    lr_decay_steps: CountOrZero = 0
    """environment steps in which the learning rate falls, linearly, to `lr_end`; 0 keeps it constant"""
    max_grad_norm: NonNegative | None = None
    """Euclidean norm to which each seed's gradient is clipped; 0: no clipping; none: the agent's own"""

    def filled(self, learning_rate: float, max_grad_norm: float = 0.0) -> OptimizerSettings:
        """Return the settings with these where they are none."""
        rate = learning_rate if self.learning_rate is None else self.learning_rate
        norm = max_grad_norm if self.max_grad_norm is None else self.max_grad_norm
        return replace(self, learning_rate=rate, max_grad_norm=norm)


class OptimizerState(NamedTuple):
    """An optimiser with the moments and step counts of every seed."""

    rule: Rule
    learning_rate: float
    max_grad_norm: float
    moments: Array  # float32 [S, 2, P]
    step_count: Array  # int64 [S], per seed: a masked seed does not count


def make_optimizer(settings: OptimizerSettings, n_seeds: int, n_params: int) -> OptimizerState:
    """Give the rule as compiled code takes it, with an empty memory."""
    settings = settings.filled(DEFAULT_RATE)
    return OptimizerState(
        rule=rule_of(settings),
        learning_rate=float(settings.learning_rate or 0.0),
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
    c = compiled_coefficients(optimizer.rule, optimizer.learning_rate * lr_scale, optimizer.step_count[i])
    apply_rule(optimizer.rule, c, weights, gradient, optimizer.moments[i, 0], optimizer.moments[i, 1])


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
