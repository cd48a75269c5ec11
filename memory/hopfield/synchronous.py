"""Synchronous dynamics of Hopfield networks: all units updated at once, for whole batches of cues.

An iteration costs two matrix products with the patterns, or one with the weights. With symmetric weights every cue
ends at a fixed point or in a cycle of two (Goles, Fogelman and Pellegrin 1985).
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from memory.common.asynchronous import OVERLAPS, WEIGHTS, AsyncNetwork, AsyncState
from simulator.core.jit import jit, jit_reassociate, parallel_for
from simulator.core.protocols import Array

_BATCH_SIZE = 256  # cues at a time
_EXACT_FLOAT32 = 2**24  # whole numbers up to here are exact in float32
_MOVING, _FIXED_POINT, _CYCLE = range(3)  # status of a cue


class SeedNetwork(NamedTuple):
    """The network of one seed, for products with whole batches."""

    matrix: Array  # weights [N, N], or patterns by unit float32 [N, P]
    columns: Array  # int8 [N, P], patterns by unit; P is 0 where there are weights
    self_coupling: float  # contribution of a unit's own state to the matrix product, absent in its field


class SyncBatch(NamedTuple):
    """Cues of one seed that still move."""

    states: Array  # float32 [Q, N]
    previous: Array  # float32 [Q, N], the states before
    overlaps: Array  # float32 [Q, P], or [Q, 0] where there are weights
    clamped: Array  # bool [Q, N]
    external_field: Array  # float64 [Q, N], or [Q, 0] where there is none


def settle(net: AsyncNetwork, state: AsyncState) -> None:
    """Update every cue until it is at a fixed point or in a cycle, or for T iterations.

    Of the two states of a cycle the one is left that is reached first when the cycle is seen. The energy is that of the
    states, and need not fall.
    """

    def work(first: int, last: int) -> None:
        n_cues = state.states.shape[1]
        for i in range(first, last):
            seed_net = _seed_network(net, i)
            for start in range(0, n_cues, _BATCH_SIZE):
                _settle_batch(seed_net, state, i, np.arange(start, min(start + _BATCH_SIZE, n_cues)))

    parallel_for(work, state.states.shape[0])


def energies(net: AsyncNetwork, states: Array) -> Array:
    """Compute energies float64 [S, Q] at states int8 [S, Q, N]."""
    energy = np.empty(states.shape[:2])
    for i, seed_states in enumerate(states):
        seed_net = _seed_network(net, i)
        clamped = np.ones(seed_states.shape, np.bool_)
        batch = _make_batch(seed_net, seed_states, clamped, np.zeros((len(seed_states), 0)))
        status = np.empty(len(seed_states), np.int64)
        _update_batch(batch, _fields(seed_net, batch), seed_net.columns, seed_net.self_coupling, status, energy[i])
    return energy


def local_fields(net: AsyncNetwork, states: Array) -> Array:
    """Compute the local fields [S, Q, N] at states [S, Q, N] of a network kept as WEIGHTS, else a placeholder."""
    if net.kind != WEIGHTS:
        return np.zeros((1, 1, 1), np.float32)
    return states.astype(net.weights.dtype) @ net.weights


def dense_weights(net: AsyncNetwork, constant_unit: bool) -> Array:
    """Compute the weights float64 [S, N, N] of a network, which may be kept as patterns."""
    if net.kind == WEIGHTS:
        return net.weights.astype(np.float64)
    columns = net.columns.astype(np.float32)
    weights = (columns @ columns.transpose(0, 2, 1)).astype(np.float64)
    units = np.arange(weights.shape[1])
    if net.zero_diagonal:
        weights[:, units, units] = 0.0
    elif constant_unit:
        weights[:, -1, -1] = 0.0
    return weights


def _seed_network(net: AsyncNetwork, i: int) -> SeedNetwork:
    columns = net.columns[i]
    if net.kind != OVERLAPS:
        return SeedNetwork(net.weights[i], columns, 0.0)
    return SeedNetwork(columns.astype(np.float32), columns, float(columns.shape[1] * net.zero_diagonal))


def _has_weights(seed_net: SeedNetwork) -> bool:
    """Tell weights from patterns, which are kept only where they are fewer than half the units."""
    return seed_net.matrix.shape[0] == seed_net.matrix.shape[1]


def _make_batch(seed_net: SeedNetwork, states: Array, clamped: Array, external_field: Array) -> SyncBatch:
    real = states.astype(np.float32)
    overlaps = real[:, :0] if _has_weights(seed_net) else real @ seed_net.matrix
    impossible_state = np.full_like(real, 2.0)
    return SyncBatch(real, impossible_state, overlaps, clamped, external_field)


def _fields(seed_net: SeedNetwork, batch: SyncBatch) -> Array:
    """Compute the fields [Q, N] at the states, self-coupling included; exact where they are products with patterns.

    Sums of whole numbers are exact in any order where no part of them can reach 2**24.
    """
    matrix = seed_net.matrix
    if _has_weights(seed_net):
        return np.asarray(batch.states @ matrix, np.float32)
    if np.abs(batch.overlaps).sum(1, dtype=np.float64).max() < _EXACT_FLOAT32:
        return np.asarray(batch.overlaps @ matrix.T)
    return np.asarray(batch.overlaps.astype(np.float64) @ matrix.T.astype(np.float64))


def _settle_batch(seed_net: SeedNetwork, state: AsyncState, i: int, cues: Array) -> None:
    """Settle cues, by number, of seed i; those that have ended leave the batch."""
    max_iters = state.energy.shape[2] - 1
    state.n_iters[i, cues] = 0
    has_external_field = state.external_field.shape[1] > 1
    external_field = state.external_field[i, cues] if has_external_field else np.zeros((len(cues), 0))
    batch = _make_batch(seed_net, state.states[i, cues], state.clamped[i, cues], external_field)
    for iteration in range(max_iters + 1):
        if iteration == max_iters:
            batch.clamped[:] = True
        status = np.empty(len(cues), np.int64)
        energy = np.empty(len(cues))
        _update_batch(batch, _fields(seed_net, batch), seed_net.columns, seed_net.self_coupling, status, energy)
        state.energy[i, cues, iteration] = energy
        state.n_iters[i, cues[status != _FIXED_POINT]] = iteration + 1
        cycling = cues[status == _CYCLE]
        if len(cycling):
            state.energy[i, cycling, iteration + 1] = state.energy[i, cycling, iteration - 1]
        done = status != _MOVING
        if done.any():
            state.states[i, cues[done]] = batch.states[done]
            cues = cues[~done]
            batch = SyncBatch(*(array[~done] for array in batch))
        if not len(cues):
            return


@jit
def _update_batch(batch, fields, columns, self_coupling, status, energy):
    """Replace the states by the signs of their fields [Q, N], and keep the states before.

    Writes the status of each cue [Q], and the energy [Q] of the states before. Overlaps are corrected by the units that
    flipped, which are few, instead of being multiplied out again.
    """
    for q in range(fields.shape[0]):
        states = batch.states[q]
        previous = batch.previous[q]
        external_field = batch.external_field[q]
        energy[q] = _state_energy(states, fields[q], external_field, self_coupling)
        n_flipped, n_off_cycle = _update_state(
            states, previous, fields[q], batch.clamped[q], external_field, self_coupling
        )
        status[q] = _FIXED_POINT if n_flipped == 0 else (_CYCLE if n_off_cycle == 0 else _MOVING)
        overlaps = batch.overlaps[q]
        if len(overlaps) > 0 and n_flipped > 0:
            for unit in range(len(states)):
                change = states[unit] - previous[unit]
                if change != 0.0:
                    for k in range(len(overlaps)):
                        overlaps[k] += change * columns[unit, k]


@jit_reassociate
def _state_energy(state, field, external_field, self_coupling):
    """Compute the energy of one state [N]."""
    total = 0.0
    for k in range(len(state)):
        total -= 0.5 * state[k] * (np.float64(field[k]) - self_coupling * state[k])
    for k in range(len(external_field)):
        total -= state[k] * external_field[k]
    return total


@jit_reassociate
def _update_state(state, previous, field, clamped, external_field, self_coupling):
    """Update one state [N]; return how many units differ from the state before, and from the one before that."""
    n_flipped = 0
    n_off_cycle = 0
    has_external_field = len(external_field) > 0
    for k in range(len(state)):
        old = state[k]
        force = np.float64(field[k]) - self_coupling * old + (external_field[k] if has_external_field else 0.0)
        sign = np.float32(np.float32(force > 0.0) - np.float32(force < 0.0))
        new = old if (sign == 0.0) | clamped[k] else sign
        n_flipped += new != old
        n_off_cycle += new != previous[k]
        previous[k] = old
        state[k] = new
    return n_flipped, n_off_cycle
