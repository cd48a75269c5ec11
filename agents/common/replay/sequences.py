"""Replay of sequences, for networks with a recurrence: a ring buffer of M sequences for every seed.

Kapturowski et al. 2019 (R2D2): a sequence keeps the state that the network had before its first step when it acted, and
overlaps with the one before it. Each is a piece of one episode: it ends where the episode does, or after L steps.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from agents.common.networks.compiled import begin_episode, carry_reward
from agents.common.networks.recurrent import Carry
from agents.common.replay.buffer import add_step
from simulator.core.field_types import Count, CountOrZero, Share
from simulator.core.jit import jit_implementation, jit_inline
from simulator.core.protocols import Array, State


@dataclass(frozen=True)
class SequenceSettings:
    """Sequences in the replay of a network with a recurrence."""

    length: Count = 32
    """steps of a sequence; one that an episode's end cuts is shorter"""
    overlap: CountOrZero = 16
    """steps that a sequence shares with the one before it in its episode"""
    burn_in: CountOrZero = 8
    """first steps of a sequence that only bring its state up to date; none where an episode begins"""
    max_share: Share = 0.9
    """share of the largest TD error of a sequence in its priority; the rest is of the mean"""


class SequenceReplay(NamedTuple):
    """Ring buffers of M sequences of up to L steps per seed, and the steps that wait for their sequence's end."""

    gamma: float
    overlap: int
    max_share: float
    carry: Carry  # of the network that acts, whose ``before`` is the state before the step that is added
    obs: Array  # [S, M, L + 1, F] float32, or int64 positions of frames; the last one is what the last step led to
    action: Array  # int32 [S, M, L]
    reward: Array  # float32 [S, M, L]
    state: Array  # float32 [S, M, C], before the first step
    last_action: Array  # int32 [S, M], of the step before the first one; -1: an episode begins
    last_reward: Array  # float32 [S, M]
    length: Array  # int32 [S, M], steps
    terminated: Array  # bool [S, M], after its last step
    n_added: Array  # int64 [S], sequences since the beginning
    pending_obs: Array  # [S, L + 1, F]
    pending_action: Array  # int32 [S, L]
    pending_reward: Array  # float32 [S, L]
    pending_state: Array  # float32 [S, L, C], before every step
    pending_last_action: Array  # int32 [S]
    pending_last_reward: Array  # float32 [S]
    n_pending: Array  # int64 [S]


_RING = ("obs", "action", "reward", "state", "last_action", "last_reward", "length", "terminated")
_REST = (
    *("n_added", "pending_obs", "pending_action", "pending_reward", "pending_state", "pending_last_action"),
    *("pending_last_reward", "n_pending"),
)


def n_sequences(settings: SequenceSettings, buffer_size: int) -> int:
    """Return the sequences that hold ``buffer_size`` steps, each counted once."""
    return max(1, buffer_size // max(1, settings.length - settings.overlap))


def make_sequence_replay(
    settings: SequenceSettings,
    carry: Carry,
    buffer_size: int,
    n_features: int,
    gamma: float,
    dtype: type = np.float32,
) -> SequenceReplay:
    """Make an empty replay of ``buffer_size`` steps per seed, for a network that carries ``carry`` while it acts.

    ``dtype`` is that of a stored observation's features; int64 where they are positions of frames.
    """
    n_seeds, n_state = carry.state.shape
    ring = (n_seeds, n_sequences(settings, buffer_size))
    length = settings.length
    return SequenceReplay(
        gamma=gamma,
        overlap=settings.overlap,
        max_share=float(settings.max_share),
        carry=carry,
        obs=np.zeros((*ring, length + 1, n_features), dtype),
        action=np.zeros((*ring, length), np.int32),
        reward=np.zeros((*ring, length), np.float32),
        state=np.zeros((*ring, n_state), np.float32),
        last_action=np.zeros(ring, np.int32),
        last_reward=np.zeros(ring, np.float32),
        length=np.zeros(ring, np.int32),
        terminated=np.zeros(ring, np.bool_),
        n_added=np.zeros(n_seeds, np.int64),
        pending_obs=np.zeros((n_seeds, length + 1, n_features), dtype),
        pending_action=np.zeros((n_seeds, length), np.int32),
        pending_reward=np.zeros((n_seeds, length), np.float32),
        pending_state=np.zeros((n_seeds, length, n_state), np.float32),
        pending_last_action=np.full(n_seeds, -1, np.int32),
        pending_last_reward=np.zeros(n_seeds, np.float32),
        n_pending=np.zeros(n_seeds, np.int64),
    )


def sequence_replay_bytes(settings: SequenceSettings, buffer_size: int, n_features: int, n_state: int) -> int:
    """Return the memory of one seed's replay in bytes."""
    step = 4 * (n_features + 2)
    ring = n_sequences(settings, buffer_size) * ((settings.length + 1) * step + 4 * n_state + 13)
    return ring + settings.length * (step + 4 * n_state)


def save_sequences(replay: SequenceReplay) -> State:
    """Copy the ring, seed by seed, and the steps that wait; slots never written are left out."""
    sizes = np.minimum(replay.n_added, replay.length.shape[1])
    ring = {name: [row[:n].copy() for row, n in zip(getattr(replay, name), sizes, strict=True)] for name in _RING}
    return ring | {name: getattr(replay, name).copy() for name in _REST}


def load_sequences(replay: SequenceReplay, state: State) -> None:
    """Continue from :func:`save_sequences`' copies."""
    for name in _RING:
        for row, saved in zip(getattr(replay, name), state[name], strict=True):
            row[: len(saved)] = saved
    for name in _REST:
        getattr(replay, name)[...] = state[name]


def begin_in_episode(replay: SequenceReplay) -> None:
    """Let the next sequences of an empty replay begin where the network that acts is in its episodes."""
    carry = replay.carry
    is_inside = carry.state.any(axis=1)
    last_action = carry.action.argmax(axis=1) if carry.action.shape[1] else 0  # 0 where no cell sees it
    replay.pending_last_action[:] = np.where(is_inside, last_action, -1)
    if carry.reward.shape[1]:
        replay.pending_last_reward[:] = carry.reward[:, 0]


@jit_implementation(add_step, inline=True, of=SequenceReplay)
def _add_step(replay, i, obs, action, reward, terminated, truncated, next_obs):
    n = replay.n_pending[i]
    for f in range(len(obs)):
        replay.pending_obs[i, n, f] = obs[f]
        replay.pending_obs[i, n + 1, f] = next_obs[f]
    replay.pending_action[i, n] = action
    replay.pending_reward[i, n] = reward
    for k in range(replay.pending_state.shape[2]):
        replay.pending_state[i, n, k] = replay.carry.before[i, k]
    carry_reward(replay.carry, i, reward)
    n += 1
    if terminated or truncated:
        _add_sequence(replay, i, n, terminated)
        n = 0
        replay.pending_last_action[i] = -1
        replay.pending_last_reward[i] = np.float32(0.0)
        begin_episode(replay.carry, i)
    elif n == replay.action.shape[2]:
        _add_sequence(replay, i, n, terminated)
        n = _keep_overlap(replay, i)
    replay.n_pending[i] = n


@jit_inline
def _add_sequence(replay, i, n, terminated):
    """Store the n steps that wait."""
    slot = replay.n_added[i] % replay.length.shape[1]
    for t in range(n + 1):
        for f in range(replay.obs.shape[3]):
            replay.obs[i, slot, t, f] = replay.pending_obs[i, t, f]
    for t in range(n):
        replay.action[i, slot, t] = replay.pending_action[i, t]
        replay.reward[i, slot, t] = replay.pending_reward[i, t]
    for k in range(replay.state.shape[2]):
        replay.state[i, slot, k] = replay.pending_state[i, 0, k]
    replay.last_action[i, slot] = replay.pending_last_action[i]
    replay.last_reward[i, slot] = replay.pending_last_reward[i]
    replay.length[i, slot] = n
    replay.terminated[i, slot] = terminated
    replay.n_added[i] += 1


@jit_inline
def _keep_overlap(replay, i):
    """Begin the next sequence with the last steps of the one that is stored; return their number."""
    n = replay.overlap
    skipped = replay.action.shape[2] - n
    replay.pending_last_action[i] = replay.pending_action[i, skipped - 1]
    replay.pending_last_reward[i] = replay.pending_reward[i, skipped - 1]
    for t in range(n):
        replay.pending_action[i, t] = replay.pending_action[i, t + skipped]
        replay.pending_reward[i, t] = replay.pending_reward[i, t + skipped]
        for f in range(replay.obs.shape[3]):
            replay.pending_obs[i, t, f] = replay.pending_obs[i, t + skipped, f]
        for k in range(replay.state.shape[2]):
            replay.pending_state[i, t, k] = replay.pending_state[i, t + skipped, k]
    return n
