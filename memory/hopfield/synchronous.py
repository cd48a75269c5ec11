"""Units that all turn at single_pass: whole batches of cues by two products a sweep, or one with weights.

All states at once come to rest or into a cycle of two (Goles, Fogelman and Pellegrin 1985), for symmetric weights.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from memory.common.asynchronous import OVERLAPS, WEIGHTS, Net, Walk
from simulator.core.jit import jit, jit_reassociate, parallel_for
from simulator.core.protocols import Array

_CHUNK = 256  # cues at a time
_EXACT = 2**24  # whole numbers up to here are exact in float32
_GOES_ON, _RESTS, _CYCLES = range(3)  # what became of a cue


class _Batch(NamedTuple):
    """Cues of one seed that are still on their way."""

    states: Array  # float32 [Q, N]
    older: Array  # float32 [Q, N], the states before
    overlaps: Array  # float32 [Q, P], or [Q, 0] where there are weights
    held: Array  # bool [Q, N]
    push: Array  # float64 [Q, N], or [Q, 0] where there is none


def settle(net: Net, walk: Walk) -> None:
    """Move every cue, all units at once, until it rests, cycles, or has had T sweeps.

    Of two states that follow each other for ever the one is left that is met first when this is seen. The energy is
    that of the states, and need not fall.
    """

    def work(first: int, last: int) -> None:
        for i in range(first, last):
            matrix, own = _matrix(net, i)
            for start in range(0, walk.states.shape[1], _CHUNK):
                cues = np.arange(walk.states.shape[1])[start : start + _CHUNK]
                _chunk((matrix, own, net.columns[i]), walk, i, cues)

    parallel_for(work, walk.states.shape[0])


def energies(net: Net, states: Array) -> Array:
    """Energies float64 [S, Q] at states int8 [S, Q, N]."""
    found = np.empty(states.shape[:2])
    for i, row in enumerate(states):
        matrix, own = _matrix(net, i)
        batch = _begin(row, matrix, np.ones(row.shape, np.bool_), np.zeros((len(row), 0)))
        _turn_all(batch, _fields(batch, matrix), net.columns[i], own, np.empty(len(row), np.int64), found[i])
    return found


def _matrix(net: Net, i: int) -> tuple[Array, float]:
    """Patterns by unit, or weights, of seed i, and what units have too much of themselves in their fields."""
    if net.kind != OVERLAPS:
        return net.weights[i], 0.0
    return net.columns[i].astype(np.float32), float(net.columns.shape[2] * net.free)


def _begin(states: Array, matrix: Array, held: Array, push: Array) -> _Batch:
    real = states.astype(np.float32)
    overlaps = real[:, :0] if _square(matrix) else real @ matrix
    return _Batch(real, np.full_like(real, 2.0), overlaps, held, push)  # 2: no state at all


def _square(matrix: Array) -> bool:
    """These are weights: patterns are kept only where they are fewer than half the units."""
    return matrix.shape[0] == matrix.shape[1]


def _fields(batch: _Batch, matrix: Array) -> Array:
    """Fields [Q, N] at the states; by patterns they are exact for whole states, and the diagonal is in them.

    Sums of whole numbers are exact in any order where no part of them can reach 2**24.
    """
    if _square(matrix):
        return np.asarray(batch.states @ matrix, np.float32)
    if np.abs(batch.overlaps).sum(1, dtype=np.float64).max() < _EXACT:
        return np.asarray(batch.overlaps @ matrix.T)
    return np.asarray(batch.overlaps.astype(np.float64) @ matrix.T.astype(np.float64))


def fields(net: Net, states: Array) -> Array:
    """Fields [S, Q, N] at states [S, Q, N], where a walk keeps them."""
    if net.kind != WEIGHTS:
        return np.zeros((1, 1, 1), np.float32)
    return states.astype(net.weights.dtype) @ net.weights


def formed(net: Net, constant: bool) -> Array:
    """Weights float64 [S, N, N] of a network that may be kept as patterns; ``constant``: the last unit is one."""
    if net.kind == WEIGHTS:
        return net.weights.astype(np.float64)
    real = net.columns.astype(np.float32)
    full = (real @ real.transpose(0, 2, 1)).astype(np.float64)
    every = np.arange(full.shape[1])
    if net.free:
        full[:, every, every] = 0.0
    elif constant:
        full[:, -1, -1] = 0.0
    return full


def _chunk(of: tuple[Array, float, Array], walk: Walk, i: int, at: Array) -> None:
    """Settle cues number ``at`` of one seed; those that have ended leave the batch."""
    matrix, own, columns = of
    last, pushed = walk.energy.shape[2] - 1, walk.push.shape[1] > 1
    walk.sweeps[i, at] = 0
    push = walk.push[i, at] if pushed else np.zeros((len(at), 0))
    batch = _begin(walk.states[i, at], matrix, walk.held[i, at], push)
    for sweep in range(last + 1):
        if sweep == last:
            batch.held[:] = True
        ended, energy = np.empty(len(at), np.int64), np.empty(len(at))
        _turn_all(batch, _fields(batch, matrix), columns, own, ended, energy)
        walk.energy[i, at, sweep] = energy
        walk.sweeps[i, at[ended != _RESTS]] = sweep + 1
        cycles, done = at[ended == _CYCLES], ended != _GOES_ON
        if len(cycles):
            walk.energy[i, cycles, sweep + 1] = walk.energy[i, cycles, sweep - 1]
        if done.any():
            walk.states[i, at[done]] = batch.states[done]
            at, batch = at[~done], _Batch(*(part[~done] for part in batch))
        if not len(at):
            return


@jit
def _turn_all(batch, fields, columns, own, ended, energy):
    """Replace the states by the signs of their fields [Q, N]; the older ones become those from before.

    ``own`` is taken off the fields for every unit's own state. Writes what became of every cue [Q] and the energy
    [Q] from before. Overlaps follow the units that turned, which are few, instead of being multiplied out again.
    """
    for q in range(fields.shape[0]):
        states, older, push = batch.states[q], batch.older[q], batch.push[q]
        energy[q] = _row_energy(states, fields[q], push, own)
        moved, away = _turn_row(states, older, fields[q], batch.held[q], push, own)
        ended[q] = _RESTS if moved == 0 else (_CYCLES if away == 0 else _GOES_ON)
        overlaps = batch.overlaps[q]
        if len(overlaps) > 0 and moved > 0:
            for unit in range(len(states)):
                change = states[unit] - older[unit]
                if change != 0.0:
                    for k in range(len(overlaps)):
                        overlaps[k] += change * columns[unit, k]


@jit_reassociate
def _row_energy(state, field, push, own):
    """The energy of one state [N]."""
    total = 0.0
    for k in range(len(state)):
        total -= 0.5 * state[k] * (np.float64(field[k]) - own * state[k])
    for k in range(len(push)):
        total -= state[k] * push[k]
    return total


@jit_reassociate
def _turn_row(state, older, field, held, push, own):
    """Turn one state [N]; how many units are not as they were, and not as they were before that."""
    moved, away, pushed = 0, 0, len(push) > 0
    for k in range(len(state)):
        old = state[k]
        force = np.float64(field[k]) - own * old + (push[k] if pushed else 0.0)
        sign = np.float32(np.float32(force > 0.0) - np.float32(force < 0.0))
        new = old if (sign == 0.0) | held[k] else sign
        moved += new != old
        away += new != older[k]
        older[k], state[k] = old, new
    return moved, away
