"""Contrastive divergence for restricted Boltzmann machines, compiled, seeds as the outer loop.

CD-k: Hinton 2002; persistent chains: Tieleman 2008; momentum and weight decay as in Hinton 2012, "A practical guide to
training restricted Boltzmann machines". Beside them, each by a field:

* centred gradients (Montavon and Mueller 2012; Melchior, Fischer and Wiskott 2016): the units' means are taken off in
  the gradient of the weights, which makes learning the same whichever value of a unit is called 1;
* balance: contrastive divergence, whose chains stay near the pattern where they begin, cannot see how probability is
  shared between patterns that lie far apart. Its missing part is the gradient of every pattern's likelihood among those
  of its batch, log softmax(-F), which needs no chain at all. Without it the free energies of stored patterns differ by
  several nats, and recall prefers some of them for no reason;
* noise: chains begin at data some of whose units are flipped, so that basins grow (Bengio et al. 2013: walkback).
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from memory.common.rbm.config import LearnSettings
from memory.common.rbm.layers import (
    Layer,
    add,
    ahead,
    copy,
    draw,
    draw_normal,
    product,
    softplus_sum,
    squash,
    visible_energy,
)
from simulator.core.jit import jit, jit_inline, parallel_for
from simulator.core.protocols import Array
from simulator.core.rng_compiled import below, uniform

GAUSSIAN_RATE = 0.1


class Rule(NamedTuple):
    """The settings as compiled code takes them."""

    updates: int
    batch: int
    rate: float
    last: float
    momentum: float
    decay: float
    k: int
    persistent: bool
    centered: bool
    balance: float
    noise: float


class Learner(NamedTuple):
    """What learning one layer remembers, and room for it, of a block of seeds; begins anew for each layer."""

    moved: Array  # float32 [N, H], the running step of the weights
    moved_visible: Array  # float32 [N]
    moved_hidden: Array  # float32 [H]
    mean_visible: Array  # float32 [N], of the data; 0 if not centred
    mean_hidden: Array  # float32 [H], running
    chains: Array  # float32 [B, H], hidden units of persistent chains
    order: Array  # int64 [P], patterns as they will come
    units: Array  # float32 [2 B, N], the batch and then the chains
    codes: Array  # float32 [2 B, H], their hidden probabilities
    drawn: Array  # float32 [B, H]
    slope: Array  # float32 [H], of the weights of one visible unit
    sums: Array  # float32 [2, max(N, H)]
    shares: Array  # float64 [B]


def rule_of(settings: LearnSettings, n_patterns: int) -> Rule:
    """The settings for so many patterns."""
    steps = (settings.learning_rate, settings.last, settings.momentum, settings.decay)
    chains = (settings.k, settings.persistent, settings.centered, float(settings.balance), float(settings.noise))
    return Rule(settings.updates, min(settings.batch, n_patterns), *(float(number) for number in steps), *chains)


def train(layer: Layer, gaussian: bool, data: Array, streams: Array, settings: LearnSettings) -> None:
    """Train the machines of every seed on their own data, in place.

    Args:
        layer: the machines.
        gaussian: their visible units are.
        data: float32 [S, P, N], what the visible units hold.
        streams: uint64 [S, 4], moved on in place.
        settings: how.
    """
    rule = rule_of(settings, data.shape[1])
    if gaussian:  # whose size nothing bounds: Hinton 2012, section 13.2
        rule = rule._replace(rate=GAUSSIAN_RATE * rule.rate)
    n, m = layer.weights.shape[1:]

    def work(first: int, last: int) -> None:
        for i in range(first, last):
            machine = Layer(*(array[i] for array in layer))
            learner = _learner(n, m, data.shape[1], rule.batch)
            _train(machine, gaussian, rule, learner, data[i], streams[i : i + 1])

    parallel_for(work, len(data))


def _learner(n: int, m: int, n_patterns: int, batch: int) -> Learner:
    shapes = [(n, m), (n,), (m,), (n,), (m,), (batch, m)]
    rooms = [(2 * batch, n), (2 * batch, m), (batch, m), (m,), (2, max(n, m))]
    kept = [np.zeros(shape, np.float32) for shape in shapes]
    return Learner(*kept, np.arange(n_patterns), *(np.zeros(shape, np.float32) for shape in rooms), np.zeros(batch))


@jit
def _train(layer, gaussian, rule, learner, data, stream):
    """All updates of one machine on data [P, N]."""
    n_batches = max(len(data) // rule.batch, 1)
    _begin(layer, learner, rule, data, stream)
    for update in range(rule.updates):
        if update % n_batches == 0 and rule.batch < len(data):
            _shuffle(learner.order, stream)
        start = update % n_batches * rule.batch
        for r in range(rule.batch):
            copy(data[learner.order[start + r]], learner.units[r])
        _positive(layer, gaussian, rule, learner)
        _negative(layer, gaussian, rule, learner, stream)
        share = 1.0 + (rule.last - 1.0) * update / max(rule.updates - 1, 1)
        _step(layer, rule, learner, rule.rate * share)


@jit
def _begin(layer, learner, rule, data, stream):
    """Means of the data, and chains at patterns drawn at random."""
    if rule.centered:
        for r in range(len(data)):
            for c in range(data.shape[1]):
                learner.mean_visible[c] += data[r, c] / np.float32(len(data))
        learner.mean_hidden[:] = np.float32(0.5)
    if rule.persistent:
        for r in range(rule.batch):
            copy(data[below(stream, 0, len(data))], learner.units[r])
        ahead(learner.units[: rule.batch], layer.weights, learner.chains)
        squash(learner.chains, layer.hidden, np.float32(1.0))
        draw(learner.chains, learner.chains, stream, 0)


@jit
def _shuffle(order, stream):
    """Fisher and Yates."""
    for last in range(len(order) - 1, 0, -1):
        other = below(stream, 0, last + 1)
        order[last], order[other] = order[other], order[last]


@jit
def _positive(layer, gaussian, rule, learner):
    """Hidden probabilities of the batch, and how much each of its patterns counts."""
    batch = rule.batch
    units, codes = learner.units[:batch], learner.codes[:batch]
    ahead(units, layer.weights, codes)
    if rule.balance > 0.0:
        _balance(layer, gaussian, learner, units, codes)
    for r in range(batch):
        learner.shares[r] = (1.0 + rule.balance) / batch - rule.balance * learner.shares[r]
    squash(codes, layer.hidden, np.float32(1.0))


@jit
def _balance(layer, gaussian, learner, units, inputs):
    """The probability of each pattern of the batch among them, softmax(-F), to ``learner.shares``."""
    top, total, shares = -np.inf, 0.0, learner.shares
    for r in range(len(units)):
        shares[r] = softplus_sum(inputs[r], layer.hidden, learner.drawn[r])
        shares[r] -= visible_energy(units[r], layer.visible, gaussian)
        top = max(top, shares[r])
    for r in range(len(units)):
        shares[r] = np.exp(shares[r] - top)
        total += shares[r]
    for r in range(len(units)):
        shares[r] /= total


@jit
def _negative(layer, gaussian, rule, learner, stream):
    """Chains k sweeps on, and their hidden probabilities."""
    units, codes = learner.units[rule.batch :], learner.codes[rule.batch :]
    if rule.persistent:
        _copy_rows(learner.chains, learner.drawn)
    elif rule.noise > 0.0:
        _disturb(learner, rule, units, stream, gaussian)
        ahead(units, layer.weights, codes)
        squash(codes, layer.hidden, np.float32(1.0))
    else:
        _copy_rows(learner.codes[: rule.batch], codes)
    for step in range(rule.k):
        if step > 0 or not rule.persistent:
            draw(codes, learner.drawn, stream, 0)
        product(learner.drawn, layer.weights.T, units)
        if gaussian:
            for r in range(len(units)):
                for c in range(units.shape[1]):
                    units[r, c] += layer.visible[c]
            draw_normal(units, 1.0, stream, 0)
        else:
            squash(units, layer.visible, np.float32(1.0))
            draw(units, units, stream, 0)
        ahead(units, layer.weights, codes)
        squash(codes, layer.hidden, np.float32(1.0))
    if rule.persistent:
        draw(codes, learner.chains, stream, 0)


@jit_inline
def _copy_rows(source, out):
    for r in range(len(out)):
        copy(source[r], out[r])


@jit
def _disturb(learner, rule, units, stream, gaussian):
    """Chains begin at the batch, disturbed a little."""
    _copy_rows(learner.units[: rule.batch], units)
    if gaussian:
        draw_normal(units, rule.noise, stream, 0)
        return
    for r in range(len(units)):
        for c in range(units.shape[1]):
            if uniform(stream, 0) < rule.noise:
                units[r, c] = np.float32(1.0) - units[r, c]


@jit
def _sums(learner, batch):
    """Gradients of the biases by themselves; hidden probabilities are weighted in place."""
    sums, n, m = learner.sums, learner.units.shape[1], learner.codes.shape[1]
    sums[:] = np.float32(0.0)
    for r in range(2 * batch):
        weight = np.float32(learner.shares[r] if r < batch else -1.0 / batch)
        for j in range(m):
            learner.codes[r, j] *= weight
            sums[1, j] += learner.codes[r, j]
        for c in range(n):
            sums[0, c] += weight * learner.units[r, c]


@jit
def _step(layer, rule, learner, rate):
    """One step along the (centred) gradient, with momentum and decay."""
    if rule.centered:
        for j in range(len(learner.mean_hidden)):
            mean = np.float32(0.0)
            for r in range(rule.batch):
                mean += learner.codes[r, j]
            learner.mean_hidden[j] += np.float32(0.01) * (mean / np.float32(rule.batch) - learner.mean_hidden[j])
    _sums(learner, rule.batch)
    keep, size, sums, means = np.float32(rule.momentum), np.float32(rate), learner.sums, learner.mean_hidden
    for j in range(len(means)):
        learner.moved_hidden[j] = keep * learner.moved_hidden[j] + size * sums[1, j]
    for c in range(len(layer.visible)):
        _slope(learner, c)
        _move(layer.weights[c], learner.moved[c], learner.slope, (keep, size, np.float32(rule.decay)))
        back = np.float32(0.0)
        if rule.centered:
            for j in range(len(means)):
                back += learner.slope[j] * means[j]
                learner.moved_hidden[j] -= size * learner.mean_visible[c] * learner.slope[j]
        learner.moved_visible[c] = keep * learner.moved_visible[c] + size * (sums[0, c] - back)
        layer.visible[c] += learner.moved_visible[c]
    for j in range(len(means)):
        layer.hidden[j] += learner.moved_hidden[j]


@jit_inline
def _slope(learner, c):
    """The gradient of one visible unit's weights, to ``learner.slope``."""
    slope, sums, means = learner.slope, learner.sums, learner.mean_hidden
    for j in range(len(slope)):
        slope[j] = -(learner.mean_visible[c] * sums[1, j] + sums[0, c] * means[j])
    for r in range(len(learner.units)):
        add(learner.units[r, c], learner.codes[r], slope)


@jit_inline
def _move(row, moved, slope, how):
    """One visible unit's weights along their gradient; how = (momentum, rate, decay)."""
    keep, size, decay = how
    if keep == np.float32(0.0):
        for j in range(len(row)):
            row[j] += size * (slope[j] - decay * row[j])
        return
    for j in range(len(row)):
        moved[j] = keep * moved[j] + size * (slope[j] - decay * row[j])
        row[j] += moved[j]
