"""Asynchronous dynamics: +-1 units updated one at a time, in random order, until none changes; compiled.

Three kinds of network share the dynamics:

* OVERLAPS is Hopfield's network with the weights sum_mu x_mu x_mu^T, which are never formed. With the overlaps
  m_mu = x_mu . s the local field of unit i is sum_mu x_mu_i m_mu, less P s_i where the diagonal is 0. A unit costs P
  steps in whole numbers, so ties are exact, and a flip changes P overlaps instead of N fields.
* WEIGHTS is any symmetric matrix. The local fields are kept, and only a flip changes them.
* ENERGIES is a dense memory: a unit compares the energies of its two states by tables over the overlaps, which are
  whole numbers (see :mod:`memory.dense_hopfield`).

The order of a sweep is drawn once per seed and shared by its cues, so the recall of a cue does not depend on the cues
beside it. A unit is evaluated again only if another one has flipped since.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

from memory.common.kernels import shuffle
from simulator.core.jit import jit, jit_inline, jit_reassociate, parallel_for
from simulator.core.protocols import Array

OVERLAPS, WEIGHTS, ENERGIES = range(3)
_BLOCK_SIZE = 8  # cues updated side by side: a unit's column is read once for all of them


class EnergyTable(NamedTuple):
    """Functions of the overlap m of a dense memory, float64 [2 N + 1] each; see :mod:`memory.dense_hopfield`.

    Entry k is for m = k - N, or for m = max(m) - k where ``from_largest``.
    """

    height: Array  # F(m)
    even: Array  # (G(m - 1) + G(m + 1)) / 2
    odd: Array  # (G(m - 1) - G(m + 1)) / 2
    slope: Array  # G(m)


NO_TABLE = EnergyTable(np.zeros(1), np.zeros(1), np.zeros(1), np.zeros(1))
NO_WEIGHTS = np.zeros((1, 1, 1), np.float32)


class AsyncNetwork(NamedTuple):
    """S networks of one kind; arrays that the kind does not need have length 1, or 0 patterns."""

    kind: int  # OVERLAPS, WEIGHTS or ENERGIES
    columns: Array  # int8 [S, N, P], patterns by unit
    weights: Array  # float32 or float64 [S, N, N], symmetric (WEIGHTS)
    zero_diagonal: bool  # units do not act on themselves (OVERLAPS)
    table: EnergyTable  # (ENERGIES)
    from_largest: bool  # F = exp, and the table is relative to the largest overlap (ENERGIES)


class AsyncState(NamedTuple):
    """Q cues of S seeds and their recall so far, updated in place."""

    states: Array  # int8 [S, Q, N]
    clamped: Array  # bool [S, Q, N], units that keep their state
    external_field: Array  # float64 [S, Q or 1, N], in units of the weights
    local_field: Array  # [S, Q, N], states times weights, like them (WEIGHTS)
    energy: Array  # float64 [S, Q, 1 + T], written from the cue to the fixed point
    n_iters: Array  # int64 [S, Q], sweeps in which a unit changed


class AsyncWorkspace(NamedTuple):
    """Buffers of S seeds for blocks of B cues."""

    initial_streams: Array  # uint64 [S, 4], where the orders of every block begin
    streams: Array  # uint64 [S, 4]
    order: Array  # int32 [S, N]
    evaluated_at: Array  # int64 [S, B, N], the cue's number of flips when the unit was last evaluated
    n_flips: Array  # int64 [S, B], -1 at a fixed point
    n_flips_before: Array  # int64 [S, B], when the sweep began
    overlaps: Array  # int16 or int32 [S, B, P]
    slopes: Array  # float64 [S, B, P], sum over patterns of x times it is the field of a unit of +-1 (ENERGIES)
    slopes_at_zero: Array  # float64 [S, B, P], the same for a unit of 0 (ENERGIES)
    self_field: Array  # float64 [S, B], a unit's own contribution to its field, times its state (ENERGIES)


class UnitFlip(NamedTuple):
    """The cue, one unit that has changed, or the end of a sweep."""

    unit: int  # -1: the cue, or the end of a sweep
    iteration: int  # the sweep, from 1 on; 0: the cue
    energy: float  # of the state, in units of the weights


def one_seed(net: AsyncNetwork, i: int) -> AsyncNetwork:
    """Return the network of seed i alone, S = 1."""
    weights = net.weights[i : i + 1] if net.kind == WEIGHTS else net.weights
    return net._replace(columns=net.columns[i : i + 1], weights=weights)


def settle(net: AsyncNetwork, state: AsyncState, streams: Array) -> None:
    """Update every cue to a fixed point, or for T sweeps; ``streams`` uint64 [S, 4] are not advanced."""
    workspace = _make_workspace(net, state, streams)
    parallel_for(lambda first, last: _settle_seeds(net, state, workspace, first, last), len(state.states))


def flips(net: AsyncNetwork, state: AsyncState, streams: Array) -> Iterator[UnitFlip]:
    """Settle one cue of one seed (S = Q = 1) as :func:`settle` does, unit by unit.

    ``state`` is up to date whenever a flip is yielded.

    Yields:
        The cue, every unit that changed, and the end of every sweep in which one did.
    """
    workspace = _make_workspace(net, state, streams)
    _begin(net, state, workspace)
    yield UnitFlip(-1, 0, float(state.energy[0, 0, 0]))
    max_iters = state.energy.shape[2] - 1
    for sweep in range(1, 1 + max_iters):
        _begin_sweep(workspace)
        place = 0
        while (place := _next_flip(net, state, workspace, place)) >= 0:
            yield UnitFlip(int(workspace.order[0, place]), sweep, float(_energy_now(net, state, workspace)))
            place += 1
        if _finish_sweep(net, state, workspace, sweep) == 0:
            return
        yield UnitFlip(-1, sweep, float(state.energy[0, 0, sweep]))


def _make_workspace(net: AsyncNetwork, state: AsyncState, streams: Array) -> AsyncWorkspace:
    n_seeds, _, n = state.states.shape
    n_patterns = net.columns.shape[2]
    n_slopes = n_patterns if net.kind == ENERGIES else 1
    return AsyncWorkspace(
        initial_streams=streams,
        streams=streams.copy(),
        order=np.empty((n_seeds, n), np.int32),
        evaluated_at=np.empty((n_seeds, _BLOCK_SIZE, n), np.int64),
        n_flips=np.empty((n_seeds, _BLOCK_SIZE), np.int64),
        n_flips_before=np.empty((n_seeds, _BLOCK_SIZE), np.int64),
        overlaps=np.empty((n_seeds, _BLOCK_SIZE, n_patterns), np.int16 if n < 2**15 else np.int32),
        slopes=np.empty((n_seeds, _BLOCK_SIZE, n_slopes)),
        slopes_at_zero=np.empty((n_seeds, _BLOCK_SIZE, n_slopes)),
        self_field=np.empty((n_seeds, _BLOCK_SIZE)),
    )


@jit
def _begin(net, state, workspace):
    """Begin at the only cue, as :func:`_settle_block` does."""
    for k in range(workspace.order.shape[1]):
        workspace.order[0, k] = k
    _begin_cue(net, state, workspace, 0, 0, 0)


@jit
def _begin_sweep(workspace):
    """Draw the order of a sweep."""
    shuffle(workspace.streams, 0, workspace.order[0])


@jit
def _next_flip(net, state, workspace, place):
    """Update units in order from ``place`` on until one changes, and return its place; -1: none does."""
    for k in range(place, workspace.order.shape[1]):
        before = workspace.n_flips[0, 0]
        _update_unit(net, state, workspace, 0, 0, 0, workspace.order[0, k])
        if workspace.n_flips[0, 0] != before:
            return k
    return -1


@jit
def _energy_now(net, state, workspace):
    """Compute the energy of the only cue's state."""
    return _energy(net, state, workspace, 0, 0, 0)


@jit
def _finish_sweep(net, state, workspace, sweep):
    """Record the energy, and return whether the only cue changed in this sweep."""
    return _end_sweep(net, state, workspace, 0, 0, 1, sweep)


@jit
def _settle_seeds(net, state, workspace, first, last):
    """Settle all cues of seeds first to last, block by block."""
    n_cues = state.states.shape[1]
    block_size = workspace.n_flips.shape[1]
    for i in range(first, last):
        for start in range(0, n_cues, block_size):
            _settle_block(net, state, workspace, i, start, min(block_size, n_cues - start))


@jit
def _settle_block(net, state, workspace, i, start, width):
    """Settle cues start to start + width of seed i, sweep by sweep."""
    for k in range(4):
        workspace.streams[i, k] = workspace.initial_streams[i, k]
    for k in range(workspace.order.shape[1]):
        workspace.order[i, k] = k
    for b in range(width):
        _begin_cue(net, state, workspace, i, b, start + b)
    for sweep in range(state.energy.shape[2] - 1):
        shuffle(workspace.streams, i, workspace.order[i])
        for k in range(workspace.order.shape[1]):
            unit = workspace.order[i, k]
            for b in range(width):
                _update_unit(net, state, workspace, i, b, start + b, unit)
        if _end_sweep(net, state, workspace, i, start, width, sweep + 1) == 0:
            return


@jit_inline
def _begin_cue(net, state, workspace, i, b, q):
    """Compute the overlaps, the slopes and the energy of cue q, in place b of the block."""
    workspace.n_flips[i, b] = 0
    workspace.n_flips_before[i, b] = 0
    workspace.evaluated_at[i, b, :] = -1
    state.n_iters[i, q] = 0
    if net.kind != WEIGHTS:
        overlaps = workspace.overlaps[i, b]
        overlaps[:] = 0
        for unit in range(state.states.shape[2]):
            if state.states[i, q, unit] != 0:
                _add_column(overlaps, net.columns[i, unit], state.states[i, q, unit])
    if net.kind == ENERGIES:
        _read_slopes(net, workspace, i, b)
    state.energy[i, q, 0] = _energy(net, state, workspace, i, b, q)


@jit_inline
def _update_unit(net, state, workspace, i, b, q, unit):
    """Set a unit to the sign of its field; a field of exactly 0 leaves it as it is."""
    n_flips = workspace.n_flips[i, b]
    if n_flips < 0 or workspace.evaluated_at[i, b, unit] == n_flips or state.clamped[i, q, unit]:
        return
    workspace.evaluated_at[i, b, unit] = n_flips
    old = state.states[i, q, unit]
    external_field = state.external_field[i, q if state.external_field.shape[1] > 1 else 0, unit]
    field = _field(net, state, workspace, i, b, q, unit) + external_field
    new = np.int8(1) if field > 0.0 else (np.int8(-1) if field < 0.0 else old)
    if new != old:
        state.states[i, q, unit] = new
        workspace.n_flips[i, b] = n_flips + 1
        _propagate_flip(net, state, workspace, i, b, q, unit, new - old)


@jit_inline
def _field(net, state, workspace, i, b, q, unit):
    """Compute the local field of a unit: half the energy gap between its two states."""
    own_state = state.states[i, q, unit]
    if net.kind == WEIGHTS:
        return np.float64(state.local_field[i, q, unit])
    column = net.columns[i, unit]
    if net.kind == OVERLAPS:
        return np.float64(
            _dot_integers(column, workspace.overlaps[i, b]) - (len(column) * own_state if net.zero_diagonal else 0)
        )
    if own_state == 0:
        return _dot_floats(column, workspace.slopes_at_zero[i, b])
    return _dot_floats(column, workspace.slopes[i, b]) + own_state * workspace.self_field[i, b]


@jit_inline
def _propagate_flip(net, state, workspace, i, b, q, unit, change):
    """Update what depends on a unit that has changed."""
    if net.kind == WEIGHTS:
        fields = state.local_field[i, q]
        row = net.weights[i, unit]
        for k in range(len(fields)):
            fields[k] += change * row[k]
        return
    _add_column(workspace.overlaps[i, b], net.columns[i, unit], change)
    if net.kind == ENERGIES:
        _read_slopes(net, workspace, i, b)


@jit_inline
def _end_sweep(net, state, workspace, i, start, width, sweep):
    """Record the energies of the cues that changed, and return how many did."""
    n_changed = 0
    for b in range(width):
        if workspace.n_flips[i, b] == workspace.n_flips_before[i, b]:
            workspace.n_flips[i, b] = -1
        if workspace.n_flips[i, b] >= 0:
            n_changed += 1
            workspace.n_flips_before[i, b] = workspace.n_flips[i, b]
            state.n_iters[i, start + b] = sweep
            state.energy[i, start + b, sweep] = _energy(net, state, workspace, i, b, start + b)
    return n_changed


@jit_inline
def _energy(net, state, workspace, i, b, q):
    """Compute the energy of a cue's state, in the external field."""
    total = 0.0
    n_known = 0
    for unit in range(state.states.shape[2]):
        own_state = state.states[i, q, unit]
        n_known += own_state != 0
        total -= own_state * state.external_field[i, q if state.external_field.shape[1] > 1 else 0, unit]
        if net.kind == WEIGHTS:
            total -= 0.5 * own_state * state.local_field[i, q, unit]
    if net.kind == WEIGHTS:
        return total
    overlaps = workspace.overlaps[i, b]
    if net.kind == OVERLAPS:
        squares = -float(n_known * len(overlaps)) if net.zero_diagonal else 0.0
        for k in range(len(overlaps)):
            squares += np.float64(overlaps[k]) * overlaps[k]
        return total - 0.5 * squares
    origin = _table_origin(net, overlaps)
    heights = 0.0
    for k in range(len(overlaps)):
        heights += net.table.height[abs(np.int64(overlaps[k]) - origin)]
    return total - (origin + np.log(heights) if net.from_largest else heights)


@jit_inline
def _read_slopes(net, workspace, i, b):
    """Read the slopes of the energy [P] off the table, at the overlaps as they are."""
    overlaps = workspace.overlaps[i, b]
    self_field = 0.0
    origin = _table_origin(net, overlaps)
    for k in range(len(overlaps)):
        entry = abs(np.int64(overlaps[k]) - origin)
        workspace.slopes[i, b, k] = net.table.even[entry]
        workspace.slopes_at_zero[i, b, k] = net.table.slope[entry]
        self_field += net.table.odd[entry]
    workspace.self_field[i, b] = self_field


@jit_inline
def _table_origin(net, overlaps):
    """Return the overlap of the table's first entry."""
    if not net.from_largest:
        return -(len(net.table.height) // 2)
    largest = np.int64(overlaps[0])
    for k in range(1, len(overlaps)):
        largest = max(largest, np.int64(overlaps[k]))
    return largest


@jit_inline
def _add_column(overlaps, column, factor):
    """Add factor times ``column`` [P] to ``overlaps`` [P]."""
    for k in range(len(overlaps)):
        overlaps[k] += factor * column[k]


@jit_inline
def _dot_integers(column, overlaps):
    """Compute column [P] . overlaps [P] in int32; it must stay below 2**31."""
    total = np.int32(0)
    for k in range(len(overlaps)):
        total = np.int32(total + np.int32(column[k]) * np.int32(overlaps[k]))
    return total


@jit_reassociate
def _dot_floats(column, slopes):
    """Compute column [P] . slopes [P]."""
    total = 0.0
    for k in range(len(slopes)):
        total += column[k] * slopes[k]
    return total
