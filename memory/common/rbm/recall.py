"""Recall by stacks of restricted Boltzmann machines, compiled: passes up and down with many cues at once.

A sweep draws (or, in mean field, computes) the units of every layer from those below, and then from the top down those
of every layer from above: for one machine it is block Gibbs sampling; for a deep belief network the top machine's Gibbs
step between an upward and a downward pass (Hinton, Osindero and Teh 2006, section 5). What a cue says of a unit by
itself is a field on the visible units; units that can be trusted are held.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from memory.common.rbm.layers import Stack, copy, draw, product, sigmoid, softplus_sum, squash, visible_energy
from simulator.core.jit import jit, jit_inline
from simulator.core.protocols import Array
from simulator.core.rng_compiled import normal

POLISH, FADE, SHARP = 10, 5, 1.5  # passes at the end, those in which the evidence fades, and their inverse temperature
REST = 1e-3  # the largest change of a unit at rest


class Room(NamedTuple):
    """Space for R states of a stack of L machines."""

    states: tuple[Array, ...]  # L + 1 of float32 [R, units]
    codes: tuple[Array, ...]  # L of float32 [R, hidden units], for energies
    back: tuple[Array, ...]  # L of float32 [R, visible units]
    cues: Array  # float32 [R, N]
    known: Array  # bool [R, N]
    field: Array  # float32 [R, N]: added to the log odds of a binary unit; to a Gaussian unit's mean times precision
    grip: Array  # float32 [R, N]: added to a Gaussian unit's precision
    before: Array  # float32 [R, N], the units before a pass
    spare: Array  # float32 [R, widest]
    energy: Array  # float64 [R]
    trace: Array  # float64 [R, 1 + T]
    used: Array  # int64 [R]


def make_room(stack: Stack, n_rows: int, n_sweeps: int) -> Room:
    """Space for so many states and sweeps."""
    sizes = [stack.deviation.shape[1], *(layer.hidden.shape[1] for layer in stack.layers)]
    states, codes, back = (
        tuple(np.zeros((n_rows, n), np.float32) for n in wide) for wide in (sizes, sizes[1:], sizes[:-1])
    )
    cues, field, grip, before = (np.zeros((n_rows, sizes[0]), np.float32) for _ in range(4))
    known, spare = np.zeros(cues.shape, np.bool_), np.zeros((n_rows, max(sizes)), np.float32)
    counts = np.zeros(n_rows), np.full((n_rows, 1 + n_sweeps), np.nan), np.zeros(n_rows, np.int64)
    return Room(states, codes, back, cues, known, field, grip, before, spare, *counts)


@jit
def _up(layers, room, how, stream):
    """Every layer from the one below; how = (inverse temperature, share of the field, 1 to draw units, 0 for means)."""
    for at in range(len(layers)):
        above = room.states[at + 1]
        product(room.states[at], layers[at].weights, above)
        squash(above, layers[at].hidden, np.float32(how[0]))
        if how[2] > 0.0:
            draw(above, above, stream, 0)


@jit
def _down(layers, gaussian, room, how, stream):
    """Every layer from the one above; how as in ``_up``."""
    for back in range(1, len(layers)):
        at = len(layers) - back
        below = room.states[at]
        product(room.states[at + 1], layers[at].weights.T, below)
        squash(below, layers[at].visible, np.float32(how[0]))
        if how[2] > 0.0:
            draw(below, below, stream, 0)
    product(room.states[1], layers[0].weights.T, room.states[0])
    if gaussian:
        _gaussian_bottom(layers[0].visible, room, how, stream)
    else:
        _binary_bottom(layers[0].visible, room, how, stream)


@jit
def _binary_bottom(bias, room, how, stream):
    """Visible units from their inputs, the field and what is known."""
    units, sharp, share = room.states[0], np.float32(how[0]), np.float32(how[1])
    for r in range(len(units)):
        row, field = units[r], room.field[r]
        for c in range(len(row)):
            row[c] = sigmoid(sharp * (row[c] + bias[c]) + share * field[c])
    if how[2] > 0.0:
        draw(units, units, stream, 0)
    _hold(room)


@jit
def _gaussian_bottom(bias, room, how, stream):
    """The same for Gaussian units: two estimates, each weighted by its precision."""
    units, sharp, share = room.states[0], np.float32(how[0]), np.float32(how[1])
    for r in range(len(units)):
        for c in range(units.shape[1]):
            precision = sharp + share * room.grip[r, c]
            units[r, c] = (sharp * (units[r, c] + bias[c]) + share * room.field[r, c]) / precision
            if how[2] > 0.0:
                units[r, c] += np.float32(normal(stream, 0)) / np.sqrt(precision)
    _hold(room)


@jit
def _hold(room):
    units = room.states[0]
    for r in range(len(units)):
        for c in range(units.shape[1]):
            if room.known[r, c]:
                units[r, c] = room.cues[r, c]


@jit_inline
def _note(room, column):
    for r in range(len(room.energy)):
        room.trace[r, column] = room.energy[r]


@jit
def anneal(layers, gaussian, room, schedule, stream):
    """Gibbs sweeps while the temperature falls; schedule = (sweeps, first temperature)."""
    n, hot = schedule
    energies(layers, gaussian, room)
    _note(room, 0)
    for t in range(n):
        sharp = hot ** (t / max(n - 1, 1) - 1.0)
        _up(layers, room, (sharp, 1.0, 1.0), stream)
        _down(layers, gaussian, room, (sharp, 1.0, 1.0), stream)
        energies(layers, gaussian, room)
        _note(room, 1 + t)


@jit
def polish(layers, gaussian, room, at, stream):
    """Mean field while the evidence fades: the end is a state of the machine's own. Its energy includes the field."""
    (begun, rounded), units = at, room.states[0]
    for t in range(POLISH):
        _up(layers, room, (SHARP, 0.0, 0.0), stream)
        _down(layers, gaussian, room, (SHARP, max(0.0, 1.0 - (t + 1) / FADE), 0.0), stream)
        if rounded and t == POLISH - 1:
            for r in range(len(units)):
                for c in range(units.shape[1]):
                    units[r, c] = np.float32(units[r, c] >= np.float32(0.5))
        energies(layers, gaussian, room)
        _note(room, 1 + begun + t)
    for r in range(len(units)):
        for c in range(units.shape[1]):
            value = units[r, c]
            room.energy[r] += value * (np.float32(0.5) * room.grip[r, c] * value - room.field[r, c])


@jit
def settle(layers, gaussian, room, n, stream):
    """Mean field until each state rests; one at rest is not touched any more."""
    units, before = room.states[0], room.before
    energies(layers, gaussian, room)
    _note(room, 0)
    for t in range(n):
        for r in range(len(units)):
            copy(units[r], before[r])
        _up(layers, room, (1.0, 1.0, 0.0), stream)
        _down(layers, gaussian, room, (1.0, 1.0, 0.0), stream)
        if _still(room, t) == len(units):
            break
        energies(layers, gaussian, room)
        for r in range(len(units)):
            if room.used[r] == t + 1:
                room.trace[r, 1 + t] = room.energy[r]


@jit
def _still(room, t):
    """Count the pass for states that move, put the others back, and say how many those are."""
    units, n_still = room.states[0], 0
    for r in range(len(units)):
        change = np.float32(0.0)
        for c in range(units.shape[1]):
            change = max(change, abs(units[r, c] - room.before[r, c]))
        if room.used[r] == t and (change >= REST or t == 0):
            room.used[r] = t + 1
        else:
            n_still += 1
            copy(room.before[r], units[r])
    return n_still


@jit
def energies(layers, gaussian, room):
    """Energies of the visible units in ``room.states[0]``, to ``room.energy``.

    The free energy of the top machine at the mean codes, plus what the layers below need to say what is under them
    (the variational bound of Hinton, Osindero and Teh 2006, section 4); for one machine exactly its free energy.
    """
    room.energy[:] = 0.0
    for at in range(len(layers)):
        units = room.states[0] if at == 0 else room.codes[at - 1]
        product(units, layers[at].weights, room.codes[at])
        if at == len(layers) - 1:
            for r in range(len(units)):
                room.energy[r] += visible_energy(units[r], layers[at].visible, gaussian and at == 0)
                room.energy[r] -= softplus_sum(room.codes[at][r], layers[at].hidden, room.states[at + 1][r])
        else:
            _code_cost(layers[at], gaussian and at == 0, units, room, at)


@jit
def _code_cost(layer, gaussian, units, room, at):
    """What units need beside their code, -log p(units | code) - entropy of the code, added to ``room.energy``."""
    codes, back = room.codes[at], room.back[at]
    for r in range(len(units)):
        room.energy[r] -= softplus_sum(codes[r], layer.hidden, room.states[at + 1][r])
        for j in range(codes.shape[1]):
            value = codes[r, j] + layer.hidden[j]
            room.energy[r] += value * sigmoid(value)
    squash(codes, layer.hidden, np.float32(1.0))
    product(codes, layer.weights.T, back)
    for r in range(len(units)):
        if not gaussian:
            room.energy[r] += softplus_sum(back[r], layer.visible, room.spare[r])
        for c in range(units.shape[1]):
            value = back[r, c] + layer.visible[c]
            room.energy[r] += 0.5 * (units[r, c] - value) ** 2 if gaussian else -units[r, c] * value
