"""Units that turn one at a time, in random order, until none does: compiled, and without weights where it can be.

Three kinds of network share the walk. OVERLAPS is Hopfield's with the weights sum x x^T: with the overlaps
m_mu = x_mu . s the field of unit i is sum_mu x_mu_i m_mu, less P s_i where the diagonal is 0. A unit costs P steps in
whole numbers, so ties are exact, and one that turns moves P overlaps and no N fields. WEIGHTS is any symmetric matrix:
fields are kept, and only a unit that turns moves them. ENERGIES is a dense memory: a unit compares the energies of its
two states by tables over the overlaps, which are whole numbers (see :mod:`memory.dense_hopfield`).

The order of a sweep is drawn once per seed and shared by its cues, so what becomes of a cue does not depend on its
neighbours. A unit is looked at again only if another one has turned since.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from simulator.core.jit import jit, jit_inline, jit_reassociate, parallel_for
from simulator.core.protocols import Array
from simulator.core.rng_compiled import below

OVERLAPS, WEIGHTS, ENERGIES = range(3)
F, EVEN, ODD, SLOPE = range(4)  # the rows of a table
_BLOCK = 8  # cues that walk side by side: a unit's column is read once for all of them


class Net(NamedTuple):
    """S networks of one kind; what a kind does not need has length 1 along every axis."""

    kind: int  # OVERLAPS, WEIGHTS or ENERGIES
    columns: Array  # int8 [S, N, P], patterns by unit
    weights: Array  # float32 or float64 [S, N, N], symmetric
    free: bool  # the diagonal counts as 0 (OVERLAPS)
    table: Array  # float64 [4, 2 N + 1], see :mod:`memory.dense_hopfield` (ENERGIES)
    shifts: bool  # the table is for exp and counts down from the largest overlap; else up from -N (ENERGIES)


class Walk(NamedTuple):
    """Cues of S seeds, moved on in place."""

    states: Array  # int8 [S, Q, N]
    held: Array  # bool [S, Q, N]
    push: Array  # float64 [S, Q or 1, N], a field from outside, in units of the weights
    fields: Array  # [S, Q, N] at the start, like the weights (WEIGHTS)
    energy: Array  # float64 [S, Q, 1 + T], written from the cue to where it comes to rest
    sweeps: Array  # int64 [S, Q], written


class _Room(NamedTuple):
    """Working space of S seeds for blocks of B cues."""

    streams: Array  # uint64 [S, 4], where the orders of every block begin
    stream: Array  # uint64 [S, 4]
    order: Array  # int32 [S, N]
    seen: Array  # int64 [S, B, N], units that had turned in a cue when this one was last looked at
    turned: Array  # int64 [S, B, 2], units that have turned, and had before this sweep; -1: at rest
    overlaps: Array  # int16 or int32 [S, B, P]
    slopes: Array  # float64 [S, B, 2, P], of the energy for a unit that is known, and for one that is 0
    tilt: Array  # float64 [S, B], what a known unit has of its own (ENERGIES)


def settle(net: Net, walk: Walk, streams: Array) -> None:
    """Walk every cue to rest, or for T sweeps; ``streams`` uint64 [S, 4] are left where they are."""
    n_seeds, _, n = walk.states.shape
    n_patterns = net.columns.shape[2]
    lifted = n_patterns if net.kind == ENERGIES else 1
    room = _Room(
        streams=streams,
        stream=streams.copy(),
        order=np.empty((n_seeds, n), np.int32),
        seen=np.empty((n_seeds, _BLOCK, n), np.int64),
        turned=np.empty((n_seeds, _BLOCK, 2), np.int64),
        overlaps=np.empty((n_seeds, _BLOCK, n_patterns), np.int16 if n < 2**15 else np.int32),
        slopes=np.empty((n_seeds, _BLOCK, 2, lifted)),
        tilt=np.empty((n_seeds, _BLOCK)),
    )
    parallel_for(lambda first, last: _settle(net, walk, room, first, last), n_seeds)


@jit
def _settle(net, walk, room, first, last):
    """All cues of seeds first to last, block by block."""
    n_cues, n_blocks = walk.states.shape[1], room.turned.shape[1]
    for i in range(first, last):
        for start in range(0, n_cues, n_blocks):
            _block(net, walk, room, i, start, min(n_blocks, n_cues - start))


@jit
def _block(net, walk, room, i, start, width):
    """Cues start to start + width of seed i, sweep by sweep."""
    for k in range(4):
        room.stream[i, k] = room.streams[i, k]
    for k in range(room.order.shape[1]):
        room.order[i, k] = k
    for b in range(width):
        _begin(net, walk, room, i, b, start + b)
    for sweep in range(walk.energy.shape[2] - 1):
        shuffle(room.stream, i, room.order[i])
        for k in range(room.order.shape[1]):
            unit = room.order[i, k]
            for b in range(width):
                _visit(net, walk, room, (i, b, start + b), unit)
        if _close(net, walk, room, (i, start, width), sweep + 1) == 0:
            return


@jit_inline
def shuffle(streams, i, order):
    """Put ``order`` [N] into random order, in place (Fisher and Yates)."""
    for k in range(len(order) - 1, 0, -1):
        other = below(streams, i, k + 1)
        order[k], order[other] = order[other], order[k]


@jit_inline
def _begin(net, walk, room, i, b, q):
    """Overlaps, slopes and the energy at the cue."""
    room.turned[i, b, 0], room.turned[i, b, 1] = 0, 0
    room.seen[i, b, :] = -1
    walk.sweeps[i, q] = 0
    if net.kind != WEIGHTS:
        m = room.overlaps[i, b]
        m[:] = 0
        for unit in range(walk.states.shape[2]):
            if walk.states[i, q, unit] != 0:
                _add(m, net.columns[i, unit], walk.states[i, q, unit])
    if net.kind == ENERGIES:
        _climb(net, room, i, b)
    walk.energy[i, q, 0] = _energy(net, walk, room, i, b, q)


@jit_inline
def _add(m, column, times):
    """Overlaps m [P] += times column [P]."""
    for k in range(len(m)):
        m[k] += times * column[k]


@jit_inline
def _climb(net, room, i, b):
    """Read the slopes of the energy [P] off the table, at the overlaps as they are."""
    m, tilt = room.overlaps[i, b], 0.0
    origin = largest(m) if net.shifts else -(net.table.shape[1] // 2)
    for k in range(len(m)):
        at = abs(np.int64(m[k]) - origin)
        room.slopes[i, b, 0, k] = net.table[EVEN, at]
        room.slopes[i, b, 1, k] = net.table[SLOPE, at]
        tilt += net.table[ODD, at]
    room.tilt[i, b] = tilt


@jit_inline
def largest(m):
    """The largest of the overlaps [P]."""
    found = np.int64(m[0])
    for k in range(1, len(m)):
        found = max(found, np.int64(m[k]))
    return found


@jit_inline
def _dot(column, m):
    """Whole numbers: column [P] . m [P], below 2**31."""
    total = np.int32(0)
    for k in range(len(m)):
        total = np.int32(total + np.int32(column[k]) * np.int32(m[k]))
    return total


@jit_reassociate
def _weighted(column, slopes):
    """Sum over patterns of column [P] times slopes [P]."""
    total = 0.0
    for k in range(len(slopes)):
        total += column[k] * slopes[k]
    return total


@jit_inline
def _visit(net, walk, room, at, unit):
    """Let a unit of one cue follow its field; a field of exactly 0 leaves it."""
    i, b, q = at
    turned = room.turned[i, b, 0]
    if turned < 0 or room.seen[i, b, unit] == turned or walk.held[i, q, unit]:
        return
    room.seen[i, b, unit] = turned
    old = walk.states[i, q, unit]
    field = _field(net, walk, room, at, unit) + walk.push[i, q if walk.push.shape[1] > 1 else 0, unit]
    new = np.int8(1) if field > 0.0 else (np.int8(-1) if field < 0.0 else old)
    if new != old:
        walk.states[i, q, unit] = new
        room.turned[i, b, 0] = turned + 1
        _turn(net, walk, room, at, unit, new - old)


@jit_inline
def _field(net, walk, room, at, unit):
    """What the other units, and the unit itself where there is a diagonal, say to a unit."""
    i, b, q = at
    state = walk.states[i, q, unit]
    if net.kind == WEIGHTS:
        return np.float64(walk.fields[i, q, unit])
    column = net.columns[i, unit]
    if net.kind == OVERLAPS:
        return np.float64(_dot(column, room.overlaps[i, b]) - (len(column) * state if net.free else 0))
    if state == 0:
        return _weighted(column, room.slopes[i, b, 1])
    return _weighted(column, room.slopes[i, b, 0]) + state * room.tilt[i, b]


@jit_inline
def _turn(net, walk, room, at, unit, change):
    """What follows from a unit that has changed."""
    i, b, q = at
    if net.kind == WEIGHTS:
        fields, row = walk.fields[i, q], net.weights[i, unit]
        for k in range(len(fields)):
            fields[k] += change * row[k]
        return
    _add(room.overlaps[i, b], net.columns[i, unit], change)
    if net.kind == ENERGIES:
        _climb(net, room, i, b)


@jit_inline
def _close(net, walk, room, block, sweep):
    """End a sweep: energies of the cues that moved; how many did."""
    i, start, width = block
    moved = 0
    for b in range(width):
        if room.turned[i, b, 0] == room.turned[i, b, 1]:
            room.turned[i, b, 0] = -1
        if room.turned[i, b, 0] >= 0:
            moved += 1
            room.turned[i, b, 1] = room.turned[i, b, 0]
            walk.sweeps[i, start + b] = sweep
            walk.energy[i, start + b, sweep] = _energy(net, walk, room, i, b, start + b)
    return moved


@jit_inline
def _energy(net, walk, room, i, b, q):
    """The energy of a cue's state, its push included."""
    total, known = 0.0, 0
    for unit in range(walk.states.shape[2]):
        state = walk.states[i, q, unit]
        known += state != 0
        total -= state * walk.push[i, q if walk.push.shape[1] > 1 else 0, unit]
        if net.kind == WEIGHTS:
            total -= 0.5 * state * walk.fields[i, q, unit]
    if net.kind == WEIGHTS:
        return total
    m = room.overlaps[i, b]
    if net.kind == OVERLAPS:
        squares = -float(known * len(m)) if net.free else 0.0
        for k in range(len(m)):
            squares += np.float64(m[k]) * m[k]
        return total - 0.5 * squares
    origin, heights = largest(m) if net.shifts else -(net.table.shape[1] // 2), 0.0
    for k in range(len(m)):
        heights += net.table[F, abs(np.int64(m[k]) - origin)]
    return total - (origin + np.log(heights) if net.shifts else heights)
