"""Learning of a Boltzmann machine: the positive minus the negative phase, exactly or by sampling.

Ackley, Hinton and Sejnowski 1985. The sampled negative phase has chains of its own that go on from one update to the
next (Tieleman 2008), or that begin at the patterns each time (Hinton 2002); see ``persistent``. Gradients are centred
(Montavon and Mueller 2012). Beside it a pattern's likelihood among the stored ones is raised (``balance``), as in
:mod:`memory.common.rbm.contrastive_divergence`; hidden units count as they were drawn in the positive phase, which is
exact where there are none and near where a pattern leaves them little choice.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, NamedTuple

import numpy as np

from memory.boltzmann.enumeration import MOST_UNITS, clamped, moments
from memory.boltzmann.gibbs import make_chains, product, sweep
from simulator.core.field_types import Count, NonNegative, PartShare, Positive
from simulator.core.jit import jit, jit_inline
from simulator.core.protocols import Array
from simulator.core.rng_compiled import uniform

USUAL = 64  # units for which the learning rate is meant


@dataclass(frozen=True)
class LearnSettings:
    """How a Boltzmann machine learns."""

    phases: Literal["auto", "exact", "sampled"] = "auto"
    """exact: all states are enumerated; auto: exactly with 20 units or fewer in all, else by sampling"""
    updates: Count = 500
    """steps along the gradient of the likelihood of all patterns"""
    learning_rate: Positive = 0.005
    """length of a step, in gradients of the mean log likelihood of a pattern; of it, (64 / n)^2 where there are n > 64
    units in all, as energies are sums over pairs"""
    momentum: PartShare = 0.9
    """share of the running step that is kept"""
    decay: NonNegative = 0.0
    """pull of the weights to 0, per step, as a share of the learning rate"""
    k: Count = 1
    """sweeps of a chain in every update"""
    chains: Count = 100
    """chains of the negative phase"""
    persistent: bool = True
    """chains go on from where they were; off: they begin at the patterns in every update"""
    balance: NonNegative = 1.0
    """weight of a pattern's log likelihood among the stored ones, beside the two phases; by sampling only"""


class Machine(NamedTuple):
    """Parameters of S machines of n units, or without the first axis of one; visible units come first."""

    weights: Array  # float32 [S, n, n], symmetric, zero diagonal
    bias: Array  # float32 [S, n]


class Rule(NamedTuple):
    """Settings as compiled code takes them."""

    updates: int
    rate: float
    momentum: float
    decay: float
    k: int
    persistent: bool
    balance: float
    n_visible: int


class Room(NamedTuple):
    """What learning remembers of one seed, and space for it."""

    weighted: Array  # float32 [P + C, n]
    all: Array  # float32 [P + C, n], states of both phases
    slope: Array  # float32 [n, n]
    pull: Array  # float32 [n]
    moved: Array  # float32 [n, n]
    moved_bias: Array  # float32 [n]
    mean: Array  # float32 [n], of the patterns; 0 for hidden units
    shares: Array  # float64 [P]


def is_exact(settings: LearnSettings, n: int) -> bool:
    """Whether all states are enumerated.

    Raises:
        ValueError: they should be, and there are too many.
    """
    if settings.phases == "exact" and n > MOST_UNITS:
        raise ValueError(f"boltzmann.learn.phases = exact with {n} units: expected at most {MOST_UNITS} in all")
    return settings.phases != "sampled" and n <= MOST_UNITS


def learn(machine: Machine, patterns: Array, stream: Array, settings: LearnSettings) -> None:
    """Train the machine of one seed on patterns [P, N], in place; ``stream`` uint64 [1, 4] is moved on."""
    n, n_visible = len(machine.bias), patterns.shape[1]
    mean = np.zeros(n, np.float32)
    mean[:n_visible] = patterns.mean(0)
    if is_exact(settings, n):
        _learn_exactly(machine, patterns.astype(np.float64), mean.astype(np.float64), settings)
        return
    n_rows, begin = len(patterns) + settings.chains, patterns[np.arange(settings.chains) % len(patterns)]
    positive, negative = make_chains(len(patterns), n), make_chains(settings.chains, n)
    positive.held[:, :n_visible] = True
    positive.states[:, :n_visible], negative.states[:, :n_visible] = patterns, begin
    spaces = [np.zeros(shape, np.float32) for shape in ((n_rows, n), (n_rows, n), (n, n), (n,), (n, n), (n,))]
    rate = settings.learning_rate * min(1.0, USUAL / n) ** 2
    numbers = (float(rate), float(settings.momentum), float(settings.decay))
    balance = float(settings.balance)
    rule = Rule(settings.updates, *numbers, settings.k, settings.persistent, balance, n_visible)
    _learn(machine, rule, Room(*spaces, mean, np.zeros(len(patterns))), positive, negative, stream)


def _learn_exactly(machine: Machine, patterns: Array, mean: Array, settings: LearnSettings) -> None:
    weights, bias = machine.weights.astype(np.float64), machine.bias.astype(np.float64)
    moved, moved_bias = np.zeros_like(weights), np.zeros_like(bias)
    for _ in range(settings.updates):
        up, down = clamped(weights, bias, patterns)[1], moments(weights, bias)
        pull = up.mean - down.mean
        slope = up.second - down.second - np.outer(pull, mean) - np.outer(mean, pull)
        np.fill_diagonal(slope, 0.0)
        moved = settings.momentum * moved + settings.learning_rate * (slope - settings.decay * weights)
        moved_bias = settings.momentum * moved_bias + settings.learning_rate * (pull - slope @ mean)
        weights, bias = weights + moved, bias + moved_bias
    machine.weights[...], machine.bias[...] = weights, bias


@jit
def _learn(machine, rule, room, positive, negative, stream):
    """All updates of one seed by sampling."""
    n_seen = len(positive.states)
    _scatter(positive, rule.n_visible, stream)
    _scatter(negative, rule.n_visible, stream)
    for _ in range(rule.updates):
        for _ in range(rule.k):
            sweep(machine.weights, machine.bias, positive, 1.0, stream)
        if not rule.persistent:
            for r in range(len(negative.states)):
                _copy(positive.states[r % n_seen], negative.states[r])
        for _ in range(rule.k):
            sweep(machine.weights, machine.bias, negative, 1.0, stream)
        _shares(machine, rule, room, positive)
        _phases(room, positive, negative)
        product(room.weighted.T, room.all, room.slope)
        _step(machine, rule, room)


@jit_inline
def _copy(source, out):
    for c in range(len(out)):
        out[c] = source[c]


@jit_inline
def _scatter(chains, n_visible, stream):
    """Hidden units, which stand at -1, are drawn evenly."""
    for r in range(len(chains.states)):
        for i in range(n_visible, chains.states.shape[1]):
            chains.states[r, i] = np.float32(1.0) if uniform(stream, 0) < 0.5 else np.float32(-1.0)


@jit_inline
def _shares(machine, rule, room, positive):
    """How much each pattern counts in the positive phase."""
    n_seen, least, total = len(positive.states), np.inf, 0.0
    for r in range(n_seen):
        room.shares[r] = 0.0
        for i in range(len(machine.bias)):
            room.shares[r] -= positive.states[r, i] * (0.5 * positive.inputs[r, i] + machine.bias[i])
        least = min(least, room.shares[r])
    for r in range(n_seen):
        room.shares[r] = np.exp(least - room.shares[r])
        total += room.shares[r]
    for r in range(n_seen):
        room.shares[r] = (1.0 + rule.balance) / n_seen - rule.balance * room.shares[r] / total


@jit_inline
def _phases(room, positive, negative):
    """States of both phases, as they are and weighted, and the sum of the latter."""
    n_seen = len(positive.states)
    room.pull[:] = np.float32(0.0)
    for r in range(len(room.all)):
        if r < n_seen:
            _copy(positive.states[r], room.all[r])
        else:
            _copy(negative.states[r - n_seen], room.all[r])
        weight = np.float32(room.shares[r] if r < n_seen else -1.0 / len(negative.states))
        for i in range(room.all.shape[1]):
            room.weighted[r, i] = weight * room.all[r, i]
            room.pull[i] += room.weighted[r, i]


@jit_inline
def _step(machine, rule, room):
    """One step along the centred gradient; both places of a weight get the same numbers."""
    keep, size, decay = np.float32(rule.momentum), np.float32(rule.rate), np.float32(rule.decay)
    for i in range(len(machine.bias)):
        back = np.float32(0.0)
        for j in range(len(machine.bias)):
            if i != j:
                slope = room.slope[min(i, j), max(i, j)]
                slope -= room.pull[i] * room.mean[j] + room.pull[j] * room.mean[i]
                back += slope * room.mean[j]
                room.moved[i, j] = keep * room.moved[i, j] + size * (slope - decay * machine.weights[i, j])
                machine.weights[i, j] += room.moved[i, j]
        room.moved_bias[i] = keep * room.moved_bias[i] + size * (room.pull[i] - back)
    for i in range(len(machine.bias)):
        machine.bias[i] += room.moved_bias[i]
