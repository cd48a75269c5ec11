"""Learning of a Boltzmann machine (Ackley, Hinton and Sejnowski 1985, equation 6).

The gradient of the log likelihood by a weight is <s_i s_j>_clamped - <s_i s_j>_free, the positive minus the negative
phase. Both are computed by enumeration for few units, otherwise by Gibbs sampling: the chains of the negative phase
continue from one update to the next (Tieleman 2008) or begin at the patterns each time (Hinton 2002); see
``persistent``.

Departures: gradients are centred (Montavon and Mueller 2012); by sampling also each pattern's likelihood among the
stored ones, log softmax(-F), is raised (``batch_likelihood_weight``), for what
:mod:`memory.common.rbm.contrastive_divergence` says. There hidden units count as sampled in the positive phase, which
is exact without hidden units, and close where a pattern determines them.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal, NamedTuple

import numpy as np

from memory.boltzmann.enumeration import MAX_ENUMERATED_UNITS, clamped_phase, free_moments
from memory.boltzmann.gibbs import gibbs_sweep, make_chains
from memory.common.kernels import copy_row, matmul
from memory.common.phase_learning import PhaseLearning, momentum_of
from memory.common.sizing import SizeRule
from simulator.core.field_types import Count, CountOfSize, RateOfSize
from simulator.core.jit import jit, jit_inline
from simulator.core.optimizers import Rule, apply_rule, coefficients, compiled_coefficients, rule_of
from simulator.core.optimizers import update as rule_update
from simulator.core.protocols import Array
from simulator.core.rng_compiled import uniform

LR_REFERENCE_UNITS = 64  # units up to which the learning rate is used as given


@dataclass(frozen=True)
class BoltzmannLearning(PhaseLearning):
    """Learning of a Boltzmann machine; each update uses all patterns."""

    phases: Literal["auto", "exact", "sampled"] = "auto"
    """exact: all states are enumerated; sampled: Gibbs sampling; auto: exact with 20 units or fewer in all"""
    updates: CountOfSize = 0
    """gradient steps; 0: follows the number of units"""
    learning_rate: RateOfSize = 0.0
    """learning rate, per mean log likelihood of a pattern; multiplied by 64 / n where there are n > 64 units in all, as
    the field of a unit is a sum over all others; 0: follows the number of units"""
    n_chains: Count = 100
    """chains of the negative phase"""
    persistent: bool = True
    """chains continue from the previous update instead of beginning at the patterns"""


RULES = {"updates": SizeRule(500, by_units=0.575), "learning_rate": SizeRule(5e-3, by_units=-0.5)}


class BoltzmannParams(NamedTuple):
    """Parameters of S machines of n units, or of one without the first axis; visible units come first."""

    weights: Array  # float32 [S, n, n], symmetric, diagonal 0
    bias: Array  # float32 [S, n]


class BoltzmannHyperparams(NamedTuple):
    """:class:`BoltzmannLearning` as compiled code takes it."""

    learning_rate: float
    rule: Rule
    is_plain: bool  # steps by sgd or momentum
    momentum: float  # of plain steps
    weight_decay: float
    k: int
    persistent: bool
    batch_likelihood_weight: float
    n_visible: int


class BoltzmannTrainState(NamedTuple):
    """State and buffers of learning one seed, from P patterns and C chains of n units."""

    weights_velocity: Array  # float32 [n, n], or the first moment of another rule
    bias_velocity: Array  # float32 [n]
    weights_second: Array  # float32 [n, n], the second moment of another rule
    bias_second: Array  # float32 [n]
    data_mean: Array  # float32 [n], of the patterns; 0 for hidden units
    energies: Array  # float64 [P], of the clamped states
    pattern_probs: Array  # float64 [P], exp(-E) among the patterns, not normalised
    pattern_weights: Array  # float64 [P], in the positive phase
    states: Array  # float32 [P + C, n], of both phases
    weighted_states: Array  # float32 [P + C, n], times their weights, negative in the negative phase
    weights_grad: Array  # float32 [n, n], not centred
    bias_grad: Array  # float32 [n], not centred
    weights_descent: Array  # float32 [n, n], minus the centred gradient, for another rule
    bias_descent: Array  # float32 [n]


def is_exact(settings: BoltzmannLearning, n: int) -> bool:
    """Tell whether the phases of n units are enumerated.

    Raises:
        ValueError: phases = exact with more than 20 units.
    """
    if settings.phases == "exact" and n > MAX_ENUMERATED_UNITS:
        raise ValueError(
            f"boltzmann.learn.phases = exact with {n} units: expected at most {MAX_ENUMERATED_UNITS} in all"
        )
    return settings.phases != "sampled" and n <= MAX_ENUMERATED_UNITS


def train(
    params: BoltzmannParams, patterns: Array, stream: Array, settings: BoltzmannLearning, piece: int
) -> Iterator[int]:
    """Train the machine of one seed on patterns [P, N], in place; ``stream`` uint64 [1, 4] is advanced.

    Yields:
        The number of updates so far, after every ``piece`` of them and after the last.
    """
    data_mean = np.zeros(len(params.bias), np.float32)
    data_mean[: patterns.shape[1]] = patterns.mean(0)
    if is_exact(settings, len(params.bias)):
        yield from _train_exactly(params, patterns.astype(np.float64), data_mean.astype(np.float64), settings, piece)
    else:
        yield from _train_by_sampling(params, patterns, data_mean, stream, settings, piece)


def _train_exactly(
    params: BoltzmannParams, patterns: Array, data_mean: Array, settings: BoltzmannLearning, piece: int
) -> Iterator[int]:
    weights = params.weights.astype(np.float64)
    bias = params.bias.astype(np.float64)
    weights_velocity = np.zeros_like(weights)
    bias_velocity = np.zeros_like(bias)
    weights_second = np.zeros_like(weights)
    bias_second = np.zeros_like(bias)
    rate = settings.learning_rate
    momentum = momentum_of(settings)
    rule = rule_of(settings.optimizer)
    for update in range(1, settings.updates + 1):
        positive = clamped_phase(weights, bias, patterns).moments
        negative = free_moments(weights, bias)
        bias_grad = positive.mean - negative.mean
        centering = np.outer(bias_grad, data_mean)
        weights_grad = positive.second - negative.second - centering - centering.T
        np.fill_diagonal(weights_grad, 0.0)
        bias_grad = bias_grad - weights_grad @ data_mean
        weights_grad = weights_grad - settings.weight_decay * weights
        if momentum is not None:
            weights_velocity = momentum * weights_velocity + rate * weights_grad
            bias_velocity = momentum * bias_velocity + rate * bias_grad
            weights = weights + weights_velocity
            bias = bias + bias_velocity
        else:  # the rule goes down
            c = coefficients(rule, rate, update)
            step, weights_velocity, weights_second = rule_update(
                rule, -weights_grad, weights_velocity, weights_second, c
            )
            weights = weights - step
            step, bias_velocity, bias_second = rule_update(rule, -bias_grad, bias_velocity, bias_second, c)
            bias = bias - step
        if update % piece == 0 or update == settings.updates:
            params.weights[...] = weights
            params.bias[...] = bias
            yield update


def _train_by_sampling(
    params: BoltzmannParams,
    patterns: Array,
    data_mean: Array,
    stream: Array,
    settings: BoltzmannLearning,
    piece: int,
) -> Iterator[int]:
    n = len(params.bias)
    n_patterns, n_visible = patterns.shape
    n_rows = n_patterns + settings.n_chains
    positive = make_chains(n_patterns, n)
    positive.clamped[:, :n_visible] = True
    positive.states[:, :n_visible] = patterns
    negative = make_chains(settings.n_chains, n)
    negative.states[:, :n_visible] = patterns[np.arange(settings.n_chains) % n_patterns]
    momentum = momentum_of(settings)
    hyper = BoltzmannHyperparams(
        learning_rate=float(settings.learning_rate * min(1.0, LR_REFERENCE_UNITS / n)),
        rule=rule_of(settings.optimizer),
        is_plain=momentum is not None,
        momentum=float(momentum or 0.0),
        weight_decay=float(settings.weight_decay),
        k=settings.k,
        persistent=settings.persistent,
        batch_likelihood_weight=float(settings.batch_likelihood_weight),
        n_visible=n_visible,
    )
    state = BoltzmannTrainState(
        weights_velocity=np.zeros((n, n), np.float32),
        bias_velocity=np.zeros(n, np.float32),
        weights_second=np.zeros((n, n), np.float32),
        bias_second=np.zeros(n, np.float32),
        data_mean=data_mean,
        energies=np.zeros(n_patterns),
        pattern_probs=np.zeros(n_patterns),
        pattern_weights=np.zeros(n_patterns),
        states=np.zeros((n_rows, n), np.float32),
        weighted_states=np.zeros((n_rows, n), np.float32),
        weights_grad=np.zeros((n, n), np.float32),
        bias_grad=np.zeros(n, np.float32),
        weights_descent=np.zeros((n, n), np.float32),
        bias_descent=np.zeros(n, np.float32),
    )
    _begin_chains(positive, negative, hyper, stream)
    for first in range(0, settings.updates, piece):
        last = min(first + piece, settings.updates)
        _run_updates(params, hyper, state, positive, negative, stream, first, last)
        yield last


@jit
def _begin_chains(positive, negative, hyper, stream):
    """Draw the hidden units of all chains."""
    _randomize_hidden(positive, hyper.n_visible, stream)
    _randomize_hidden(negative, hyper.n_visible, stream)


@jit
def _run_updates(params, hyper, state, positive, negative, stream, n_done, n_next):
    """Run updates n_done to n_next of one seed by sampling."""
    n_patterns = len(positive.states)
    for update in range(n_done, n_next):
        for _ in range(hyper.k):
            gibbs_sweep(params.weights, params.bias, positive, 1.0, stream)
        if not hyper.persistent:
            for r in range(len(negative.states)):
                copy_row(positive.states[r % n_patterns], negative.states[r])
        for _ in range(hyper.k):
            gibbs_sweep(params.weights, params.bias, negative, 1.0, stream)
        _compute_pattern_weights(params, hyper, state, positive)
        _collect_phases(state, positive, negative)
        matmul(state.weighted_states.T, state.states, state.weights_grad)
        if hyper.is_plain:
            _apply_gradient(params, hyper, state)
        else:
            _follow_rule(params, hyper, state, update + 1)


@jit_inline
def _randomize_hidden(chains, n_visible, stream):
    """Set the hidden units to -1 or +1 with equal probability."""
    for r in range(len(chains.states)):
        for i in range(n_visible, chains.states.shape[1]):
            chains.states[r, i] = np.float32(1.0) if uniform(stream, 0) < 0.5 else np.float32(-1.0)


@jit_inline
def _compute_pattern_weights(params, hyper, state, positive):
    """Compute the weight of each pattern in the positive phase: 1 / P, and the gradient of log softmax(-E)."""
    n_patterns = len(positive.states)
    lowest = np.inf
    total = 0.0
    for r in range(n_patterns):
        state.energies[r] = 0.0
        for i in range(len(params.bias)):
            state.energies[r] -= positive.states[r, i] * (0.5 * positive.inputs[r, i] + params.bias[i])
        lowest = min(lowest, state.energies[r])
    for r in range(n_patterns):
        state.pattern_probs[r] = np.exp(lowest - state.energies[r])
        total += state.pattern_probs[r]
    extra = hyper.batch_likelihood_weight
    for r in range(n_patterns):
        state.pattern_weights[r] = (1.0 + extra) / n_patterns - extra * state.pattern_probs[r] / total


@jit_inline
def _collect_phases(state, positive, negative):
    """Gather the states of both phases, as they are and weighted, and sum the latter: the gradient of the biases."""
    n_patterns = len(positive.states)
    state.bias_grad[:] = np.float32(0.0)
    for r in range(len(state.states)):
        if r < n_patterns:
            copy_row(positive.states[r], state.states[r])
        else:
            copy_row(negative.states[r - n_patterns], state.states[r])
        weight = np.float32(state.pattern_weights[r] if r < n_patterns else -1.0 / len(negative.states))
        for i in range(state.states.shape[1]):
            state.weighted_states[r, i] = weight * state.states[r, i]
            state.bias_grad[i] += state.weighted_states[r, i]


@jit_inline
def _apply_gradient(params, hyper, state):
    """Step along the centred gradient; both places of a weight get the same numbers."""
    momentum = np.float32(hyper.momentum)
    rate = np.float32(hyper.learning_rate)
    weight_decay = np.float32(hyper.weight_decay)
    n = len(params.bias)
    for i in range(n):
        centering = np.float32(0.0)
        for j in range(n):
            if i != j:
                gradient = state.weights_grad[min(i, j), max(i, j)]
                gradient -= state.bias_grad[i] * state.data_mean[j] + state.bias_grad[j] * state.data_mean[i]
                centering += gradient * state.data_mean[j]
                state.weights_velocity[i, j] = momentum * state.weights_velocity[i, j] + rate * (
                    gradient - weight_decay * params.weights[i, j]
                )
                params.weights[i, j] += state.weights_velocity[i, j]
        state.bias_velocity[i] = momentum * state.bias_velocity[i] + rate * (state.bias_grad[i] - centering)
    for i in range(n):
        params.bias[i] += state.bias_velocity[i]


@jit_inline
def _follow_rule(params, hyper, state, count):
    """Step along the centred gradient by a rule that goes down: it is given minus the gradient."""
    weight_decay = np.float32(hyper.weight_decay)
    c = compiled_coefficients(hyper.rule, hyper.learning_rate, count)
    n = len(params.bias)
    for i in range(n):
        state.bias_descent[i] = -state.bias_grad[i]
        for j in range(n):
            if i != j:
                gradient = state.weights_grad[min(i, j), max(i, j)]
                gradient -= state.bias_grad[i] * state.data_mean[j] + state.bias_grad[j] * state.data_mean[i]
                state.bias_descent[i] += gradient * state.data_mean[j]
                state.weights_descent[i, j] = weight_decay * params.weights[i, j] - gradient
    for i in range(n):
        apply_rule(
            hyper.rule,
            c,
            params.weights[i],
            state.weights_descent[i],
            state.weights_velocity[i],
            state.weights_second[i],
        )
    apply_rule(hyper.rule, c, params.bias, state.bias_descent, state.bias_velocity, state.bias_second)
