"""Contrastive divergence for restricted Boltzmann machines: compiled, with seeds as the outer loop.

The update, in the order of Hinton 2012, "A practical guide to training restricted Boltzmann machines":

    positive phase   v0 = batch, p(h0 = 1 | v0) = sigmoid(c + v0 W)
    negative phase   k Gibbs sweeps from h0 (CD-k, Hinton 2002) or from chains that persist (Tieleman 2008)
    gradient         <v h>_data - <v h>_chains
    step             velocity <- momentum velocity + rate (gradient - weight_decay W);  W <- W + velocity,
                     or that of another rule (:mod:`simulator.core.optimizers`)

Departures, each switched by a setting:

* ``centered``: the units' means are subtracted in the gradient of the weights (Montavon and Mueller 2012; Melchior,
  Fischer and Wiskott 2016), which makes learning the same whichever value of a unit is called 1.
* ``batch_likelihood_weight``: contrastive divergence, whose chains stay near the pattern where they begin, is blind to
  how probability is divided among distant patterns. The missing part is the gradient of each stored pattern's
  likelihood among all K, log softmax(-F), which needs no chain: pattern k gets the weight 1 - K p_k, which is
  F_k - mean(F) where free energies are nearly equal. This difference is used always, cut off at 1 nat either way. A
  batch estimates the mean of F well, but not a softmax, whose largest p_k may be anywhere: with a softmax, learning
  fails where a batch holds some of the patterns only. Without the term the free energies of stored patterns differ by
  several nats, and recall prefers some of them.
* ``input_noise``: chains begin at patterns some of whose units are flipped, which widens the basins (walkback, Bengio
  et al. 2013).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Annotated, NamedTuple

import numpy as np
from msgspec import Meta

from memory.common.kernels import copy_row, matmul, shuffle
from memory.common.phase_learning import PhaseLearning, momentum_of
from memory.common.rbm.layers import (
    RBMParams,
    add_normal_noise,
    axpy,
    binary_matmul,
    inputs_to_probs,
    sample_binary,
    softplus_sum,
    visible_energy,
)
from memory.common.sizing import SizeRule
from simulator.core.field_types import Count, CountOfSize, NonNegative, RateOfSize, Share
from simulator.core.jit import jit, jit_inline, parallel_for
from simulator.core.optimizers import Rule, apply_rule, compiled_coefficients, rule_of
from simulator.core.protocols import Array
from simulator.core.rng_compiled import below, uniform

LR_REFERENCE_UNITS = 64  # visible units up to which the learning rate is used as given
GAUSSIAN_LR_SCALE = 0.1  # Gaussian units are unbounded: Hinton 2012, section 13.2
HIDDEN_MEAN_RATE = 0.01  # of the running mean of the hidden units


@dataclass(frozen=True)
class RBMLearning(PhaseLearning):
    """Learning of a restricted Boltzmann machine."""

    updates: CountOfSize = 0
    """gradient steps, each on one batch; 0: follows the number of patterns"""
    k: Count = 2
    """Gibbs sweeps of each chain per update, the k of CD-k"""
    batch_size: Count = 100
    """patterns per batch; all of them where there are fewer"""
    learning_rate: RateOfSize = 0.0
    """learning rate, per mean log likelihood of a pattern; multiplied by 64 / N where a layer has N > 64 visible units,
    as energies change by so much more, and by 0.1 where they are Gaussian; 0: 0.2 (N / 64)^0.37, or
    0.05 (N / 64)^0.55 where gradients are not centred"""
    batch_likelihood_weight: NonNegative = 1.0
    """weight of each pattern's log likelihood among the stored ones beside the two phases, which draws their free
    energies together; multiplied by 100 / K beyond 100 patterns; 0: off"""
    lr_end: Share = 0.1
    """learning rate at the last update, as a fraction of learning_rate; it falls linearly"""
    persistent: bool = False
    """chains continue from the previous update (PCD) instead of beginning at the batch (CD)"""
    centered: bool = True
    """the units' means are subtracted in the gradient of the weights"""
    input_noise: Annotated[float, Meta(ge=0.0, le=0.5)] = 0.02
    """noise on the batch where chains begin: probability of flipping a binary unit, standard deviation added to a
    Gaussian one"""


UPDATES_RULE = SizeRule(2_000, by_patterns=0.3)
LEARNING_RATE_RULE = SizeRule(0.2, by_units=0.37)
LEARNING_RATE_PLAIN = SizeRule(0.05, by_units=0.55)  # where gradients are not centred: 0.5 ruins learning of 64 units
LIKELIHOOD_RULE = SizeRule(1.0, by_patterns=-1.0)  # factor of batch_likelihood_weight: as many nats for all patterns
MAX_NATS = 1.0  # of a free energy's distance from the mean, in the gradient of likelihoods


def learning_for(learning: RBMLearning, n_units: int, n_patterns: int) -> RBMLearning:
    """Return the settings of learning, with those filled in that follow the numbers of visible units and patterns."""
    learning_rate = LEARNING_RATE_RULE if learning.centered else LEARNING_RATE_PLAIN
    return replace(
        learning,
        updates=learning.updates or UPDATES_RULE.value(n_units, n_patterns),
        learning_rate=learning.learning_rate or learning_rate.value(n_units, n_patterns),
        batch_likelihood_weight=learning.batch_likelihood_weight * LIKELIHOOD_RULE.value(n_units, n_patterns),
    )


class CDHyperparams(NamedTuple):
    """:class:`RBMLearning` as compiled code takes it."""

    updates: int
    batch_size: int
    learning_rate: float
    lr_end: float
    rule: Rule
    is_plain: bool  # steps by sgd or momentum
    momentum: float  # of plain steps
    weight_decay: float
    k: int
    persistent: bool
    centered: bool
    batch_likelihood_weight: float
    input_noise: float


class CDState(NamedTuple):
    """State and buffers of learning one layer of one seed; rows 0 to B are the batch's, rows B to 2 B the chains'."""

    weights_velocity: Array  # float32 [N, H], or the first moment of another rule
    visible_velocity: Array  # float32 [N]
    hidden_velocity: Array  # float32 [H]
    weights_second: Array  # float32 [N, H], the second moment of another rule
    visible_second: Array  # float32 [N]
    hidden_second: Array  # float32 [H]
    visible_mean: Array  # float32 [N], of the data; 0 if not centred
    hidden_mean: Array  # float32 [H], running mean of the batch's; 0 if not centred
    chains: Array  # float32 [B, H], hidden units of persistent chains
    order: Array  # int64 [P], permutation of the patterns
    visible: Array  # float32 [2 B, N]
    hidden_probs: Array  # float32 [2 B, H]
    hidden_sample: Array  # float32 [B, H], of the chains
    free_energies: Array  # float64 [B], of the batch, then their distances from the mean
    batch_weights: Array  # float64 [B], of each pattern in the positive phase
    weighted_hidden: Array  # float32 [2 B, H], hidden_probs times the rows' weights, negative for chains
    weights_grad: Array  # float32 [H], of one visible unit's weights
    visible_grad: Array  # float32 [N]
    hidden_grad: Array  # float32 [H]
    visible_descent: Array  # float32 [N], minus the centred gradient, for another rule
    hidden_descent: Array  # float32 [H]
    scratch: Array  # float32 [H]


def make_cd_state(n: int, m: int, n_patterns: int, batch_size: int) -> CDState:
    """Make the state for N visible and M hidden units, all 0."""

    def zeros(*shape: int) -> Array:
        return np.zeros(shape, np.float32)

    return CDState(
        weights_velocity=zeros(n, m),
        visible_velocity=zeros(n),
        hidden_velocity=zeros(m),
        weights_second=zeros(n, m),
        visible_second=zeros(n),
        hidden_second=zeros(m),
        visible_mean=zeros(n),
        hidden_mean=zeros(m),
        chains=zeros(batch_size, m),
        order=np.arange(n_patterns),
        visible=zeros(2 * batch_size, n),
        hidden_probs=zeros(2 * batch_size, m),
        hidden_sample=zeros(batch_size, m),
        free_energies=np.zeros(batch_size),
        batch_weights=np.zeros(batch_size),
        weighted_hidden=zeros(2 * batch_size, m),
        weights_grad=zeros(m),
        visible_grad=zeros(n),
        hidden_grad=zeros(m),
        visible_descent=zeros(n),
        hidden_descent=zeros(m),
        scratch=zeros(m),
    )


def train(layer: RBMParams, gaussian: bool, data: Array, streams: Array, settings: RBMLearning) -> None:
    """Train the machines of every seed on their own data, in place; see :func:`train_in_pieces`."""
    for _ in train_in_pieces(layer, gaussian, data, streams, settings, n_pieces=1):
        pass


def train_in_pieces(
    layer: RBMParams, gaussian: bool, data: Array, streams: Array, settings: RBMLearning, n_pieces: int
) -> Iterator[float]:
    """Train the machines of every seed on their own data, in place, some updates at a time.

    Args:
        layer: parameters of S machines.
        gaussian: visible units are Gaussian.
        data: float32 [S, P, N], visible units.
        streams: uint64 [S, 4], advanced in place.
        settings: learning settings.
        n_pieces: yields, about.

    Yields:
        The share of the updates that is over.
    """
    _, n_patterns, n = data.shape
    settings = learning_for(settings, n, n_patterns)
    m = layer.hidden_bias.shape[1]
    momentum = momentum_of(settings)
    lr_scale = min(1.0, LR_REFERENCE_UNITS / n) * (GAUSSIAN_LR_SCALE if gaussian else 1.0)
    hyper = CDHyperparams(
        updates=settings.updates,
        batch_size=min(settings.batch_size, n_patterns),
        learning_rate=float(settings.learning_rate) * lr_scale,
        lr_end=float(settings.lr_end),
        rule=rule_of(settings.optimizer),
        is_plain=momentum is not None,
        momentum=float(momentum or 0.0),
        weight_decay=float(settings.weight_decay),
        k=settings.k,
        persistent=settings.persistent,
        centered=settings.centered,
        batch_likelihood_weight=float(settings.batch_likelihood_weight),
        input_noise=float(settings.input_noise),
    )

    states: dict[int, CDState] = {}

    def work(first: int, last: int) -> None:
        for i in range(first, last):
            params = RBMParams(*(array[i] for array in layer))
            if n_done == 0:
                states[i] = make_cd_state(n, m, n_patterns, hyper.batch_size)
                _init_means_and_chains(params, hyper, states[i], data[i], streams[i : i + 1])
            _train(params, gaussian, hyper, states[i], data[i], streams[i : i + 1], n_done, n_next)
            if n_next == hyper.updates:
                del states[i]

    n_done = 0
    piece = max(1, hyper.updates // n_pieces)
    while n_done < hyper.updates:
        n_next = min(n_done + piece, hyper.updates)
        parallel_for(work, len(data))
        n_done = n_next
        yield n_done / hyper.updates


@jit
def _train(params, gaussian, hyper, state, data, stream, n_done, n_next):
    """Run updates n_done to n_next of one machine on data [P, N]."""
    n_batches = max(len(data) // hyper.batch_size, 1)
    for update in range(n_done, n_next):
        if update % n_batches == 0 and hyper.batch_size < len(data):
            shuffle(stream, 0, state.order)
        start = update % n_batches * hyper.batch_size
        for r in range(hyper.batch_size):
            copy_row(data[state.order[start + r]], state.visible[r])
        _positive_phase(params, gaussian, hyper, state)
        _negative_phase(params, gaussian, hyper, state, stream)
        _compute_bias_gradients(hyper, state)
        lr_fraction = 1.0 + (hyper.lr_end - 1.0) * update / max(hyper.updates - 1, 1)
        if hyper.is_plain:
            _apply_gradient(params, hyper, state, hyper.learning_rate * lr_fraction)
        else:
            _follow_rule(params, hyper, state, hyper.learning_rate * lr_fraction, update + 1)


@jit
def _init_means_and_chains(params, hyper, state, data, stream):
    """Set the means of the data, and begin persistent chains at patterns drawn at random."""
    if hyper.centered:
        for r in range(len(data)):
            for c in range(data.shape[1]):
                state.visible_mean[c] += data[r, c] / np.float32(len(data))
        state.hidden_mean[:] = np.float32(0.5)
    if hyper.persistent:
        for r in range(hyper.batch_size):
            copy_row(data[below(stream, 0, len(data))], state.visible[r])
        binary_matmul(state.visible[: hyper.batch_size], params.weights, state.chains)
        inputs_to_probs(state.chains, params.hidden_bias, np.float32(1.0))
        sample_binary(state.chains, state.chains, stream, 0)


@jit
def _positive_phase(params, gaussian, hyper, state):
    """Compute p(h | batch) and the weight of each pattern of the batch."""
    batch_size = hyper.batch_size
    visible = state.visible[:batch_size]
    hidden = state.hidden_probs[:batch_size]
    binary_matmul(visible, params.weights, hidden)
    state.batch_weights[:] = 1.0 / batch_size
    if hyper.batch_likelihood_weight > 0.0:
        for r in range(batch_size):
            state.free_energies[r] = visible_energy(visible[r], params.visible_bias, gaussian)
            state.free_energies[r] -= softplus_sum(hidden[r], params.hidden_bias, state.scratch)
        _add_likelihood_weights(hyper, state)
    inputs_to_probs(hidden, params.hidden_bias, np.float32(1.0))


@jit
def _add_likelihood_weights(hyper, state):
    """Add the weights of likelihoods: they raise patterns of high free energy and lower others, and their sum is 0."""
    distances = state.free_energies
    mean = distances.mean()
    for r in range(len(distances)):
        distances[r] = min(max(distances[r] - mean, -MAX_NATS), MAX_NATS)
    mean = distances.mean()
    for r in range(len(distances)):
        state.batch_weights[r] += hyper.batch_likelihood_weight / len(distances) * (distances[r] - mean)


@jit
def _negative_phase(params, gaussian, hyper, state, stream):
    """Run the chains for k Gibbs sweeps, and compute p(h | their visible units)."""
    visible = state.visible[hyper.batch_size :]
    hidden = state.hidden_probs[hyper.batch_size :]
    if hyper.persistent:
        _copy_rows(state.chains, state.hidden_sample)
    elif hyper.input_noise > 0.0:
        _corrupt_batch(hyper, state, visible, stream, gaussian)
        binary_matmul(visible, params.weights, hidden)
        inputs_to_probs(hidden, params.hidden_bias, np.float32(1.0))
    else:
        _copy_rows(state.hidden_probs[: hyper.batch_size], hidden)
    for step in range(hyper.k):
        if step > 0 or not hyper.persistent:
            sample_binary(hidden, state.hidden_sample, stream, 0)
        _sample_visible(params, gaussian, state.hidden_sample, visible, stream)
        binary_matmul(visible, params.weights, hidden)
        inputs_to_probs(hidden, params.hidden_bias, np.float32(1.0))
    if hyper.persistent:
        sample_binary(hidden, state.chains, stream, 0)


@jit_inline
def _copy_rows(source, out):
    for r in range(len(out)):
        copy_row(source[r], out[r])


@jit
def _corrupt_batch(hyper, state, out, stream, gaussian):
    """Write the batch with noise to ``out`` [B, N]."""
    _copy_rows(state.visible[: hyper.batch_size], out)
    if gaussian:
        add_normal_noise(out, hyper.input_noise, stream, 0)
        return
    for r in range(len(out)):
        for c in range(out.shape[1]):
            if uniform(stream, 0) < hyper.input_noise:
                out[r, c] = np.float32(1.0) - out[r, c]


@jit
def _sample_visible(params, gaussian, hidden, visible, stream):
    """Sample visible units [B, N] given hidden ones [B, H]."""
    matmul(hidden, params.weights.T, visible)
    if gaussian:
        for r in range(len(visible)):
            for c in range(visible.shape[1]):
                visible[r, c] += params.visible_bias[c]
        add_normal_noise(visible, 1.0, stream, 0)
    else:
        inputs_to_probs(visible, params.visible_bias, np.float32(1.0))
        sample_binary(visible, visible, stream, 0)


@jit
def _compute_bias_gradients(hyper, state):
    """Compute the gradients of the biases, not centred, and the weighted hidden probabilities of both phases.

    Also moves the running mean of the hidden units towards that of the batch.
    """
    batch_size = hyper.batch_size
    if hyper.centered:
        for j in range(len(state.hidden_mean)):
            mean = np.float32(0.0)
            for r in range(batch_size):
                mean += state.hidden_probs[r, j]
            state.hidden_mean[j] += np.float32(HIDDEN_MEAN_RATE) * (
                mean / np.float32(batch_size) - state.hidden_mean[j]
            )
    state.visible_grad[:] = np.float32(0.0)
    state.hidden_grad[:] = np.float32(0.0)
    for r in range(2 * batch_size):
        weight = np.float32(state.batch_weights[r] if r < batch_size else -1.0 / batch_size)
        for j in range(len(state.hidden_grad)):
            state.weighted_hidden[r, j] = state.hidden_probs[r, j] * weight
            state.hidden_grad[j] += state.weighted_hidden[r, j]
        for c in range(len(state.visible_grad)):
            state.visible_grad[c] += weight * state.visible[r, c]


@jit
def _apply_gradient(params, hyper, state, learning_rate):
    """Step along the (centred) gradient, with momentum and weight decay."""
    momentum = np.float32(hyper.momentum)
    rate = np.float32(learning_rate)
    weight_decay = np.float32(hyper.weight_decay)
    n_hidden = len(params.hidden_bias)
    for j in range(n_hidden):
        state.hidden_velocity[j] = momentum * state.hidden_velocity[j] + rate * state.hidden_grad[j]
    for c in range(len(params.visible_bias)):
        _compute_weights_gradient(state, c)
        _step_weights(params.weights[c], state.weights_velocity[c], state.weights_grad, momentum, rate, weight_decay)
        centering = np.float32(0.0)
        if hyper.centered:
            for j in range(n_hidden):
                centering += state.weights_grad[j] * state.hidden_mean[j]
                state.hidden_velocity[j] -= rate * state.visible_mean[c] * state.weights_grad[j]
        state.visible_velocity[c] = momentum * state.visible_velocity[c] + rate * (state.visible_grad[c] - centering)
        params.visible_bias[c] += state.visible_velocity[c]
    for j in range(n_hidden):
        params.hidden_bias[j] += state.hidden_velocity[j]


@jit
def _follow_rule(params, hyper, state, learning_rate, count):
    """Step along the (centred) gradient by a rule that goes down: it is given minus the gradient."""
    weight_decay = np.float32(hyper.weight_decay)
    c = compiled_coefficients(hyper.rule, learning_rate, count)
    for j in range(len(params.hidden_bias)):
        state.hidden_descent[j] = -state.hidden_grad[j]
    for i in range(len(params.visible_bias)):
        _compute_weights_gradient(state, i)
        state.visible_descent[i] = -state.visible_grad[i]
        for j in range(len(params.hidden_bias)):
            gradient = state.weights_grad[j]
            if hyper.centered:
                state.visible_descent[i] += gradient * state.hidden_mean[j]
                state.hidden_descent[j] += gradient * state.visible_mean[i]
            state.weights_grad[j] = weight_decay * params.weights[i, j] - gradient
        apply_rule(
            hyper.rule, c, params.weights[i], state.weights_grad, state.weights_velocity[i], state.weights_second[i]
        )
    apply_rule(hyper.rule, c, params.visible_bias, state.visible_descent, state.visible_velocity, state.visible_second)
    apply_rule(hyper.rule, c, params.hidden_bias, state.hidden_descent, state.hidden_velocity, state.hidden_second)


@jit_inline
def _compute_weights_gradient(state, c):
    """Compute <(v - mean v)(h - mean h)> of both phases for the weights of visible unit c."""
    gradient = state.weights_grad
    for j in range(len(gradient)):
        gradient[j] = -(state.visible_mean[c] * state.hidden_grad[j] + state.visible_grad[c] * state.hidden_mean[j])
    for r in range(len(state.visible)):
        axpy(state.visible[r, c], state.weighted_hidden[r], gradient)


@jit_inline
def _step_weights(weights, velocity, gradient, momentum, rate, weight_decay):
    """Step one visible unit's weights [H] along their gradient."""
    if momentum == np.float32(0.0):
        for j in range(len(weights)):
            weights[j] += rate * (gradient[j] - weight_decay * weights[j])
        return
    for j in range(len(weights)):
        velocity[j] = momentum * velocity[j] + rate * (gradient[j] - weight_decay * weights[j])
        weights[j] += velocity[j]
