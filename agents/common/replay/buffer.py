"""Experience replay: a ring buffer of n-step transitions for every seed.

Lin 1992; Mnih et al. 2015; n steps as in Sutton 1988 and Hessel et al. 2018. A transition is (observation, action,
return of the steps really taken, discount, next observation). Its discount is gamma**k after k steps, 0 after a
termination: truncation bootstraps, termination does not, and nothing crosses an episode's end.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from simulator.core.jit import compiled_only, jit_implementation, jit_inline
from simulator.core.protocols import Array, State


class ReplayBuffer(NamedTuple):
    """Ring buffers of N transitions per seed, and the last steps that are not n steps old yet."""

    gamma: float
    obs: Array  # [S, N, F] float32, or int64 positions of frames
    next_obs: Array  # [S, N, F], n steps later, or at the episode's end
    action: Array  # int32 [S, N]
    n_step_return: Array  # float32 [S, N], discounted sum of the rewards in between
    discount: Array  # float32 [S, N]
    n_added: Array  # int64 [S], transitions since the beginning
    window_obs: Array  # [S, n, F], pending steps, the oldest first
    window_action: Array  # int32 [S, n]
    window_reward: Array  # float32 [S, n]
    n_pending: Array  # int64 [S]


_RING = ("obs", "next_obs", "action", "n_step_return", "discount")
_REST = ("n_added", "window_obs", "window_action", "window_reward", "n_pending")


def make_replay(
    n_seeds: int, capacity: int, n_features: int, n_step: int, gamma: float, dtype: type = np.float32
) -> ReplayBuffer:
    """Make an empty replay.

    Args:
        n_seeds: S.
        capacity: N, transitions.
        n_features: F, of a stored observation.
        n_step: steps in a transition.
        gamma: discount per step.
        dtype: of a stored observation's features; int64 where they are positions of frames.
    """
    return ReplayBuffer(
        gamma=gamma,
        obs=np.zeros((n_seeds, capacity, n_features), dtype),
        next_obs=np.zeros((n_seeds, capacity, n_features), dtype),
        action=np.zeros((n_seeds, capacity), np.int32),
        n_step_return=np.zeros((n_seeds, capacity), np.float32),
        discount=np.zeros((n_seeds, capacity), np.float32),
        n_added=np.zeros(n_seeds, np.int64),
        window_obs=np.zeros((n_seeds, n_step, n_features), dtype),
        window_action=np.zeros((n_seeds, n_step), np.int32),
        window_reward=np.zeros((n_seeds, n_step), np.float32),
        n_pending=np.zeros(n_seeds, np.int64),
    )


def replay_bytes(capacity: int, n_step: int, obs_bytes: int) -> int:
    """Return the memory of one seed's replay in bytes; a stored observation takes ``obs_bytes``."""
    return capacity * (2 * obs_bytes + 12) + n_step * (obs_bytes + 8)


def save_replay(replay: ReplayBuffer) -> State:
    """Copy the ring, seed by seed, and the window; slots never written are left out."""
    sizes = np.minimum(replay.n_added, replay.action.shape[1])
    ring = {name: [row[:n].copy() for row, n in zip(getattr(replay, name), sizes, strict=True)] for name in _RING}
    return ring | {name: getattr(replay, name).copy() for name in _REST}


def load_replay(replay: ReplayBuffer, state: State) -> None:
    """Continue from :func:`save_replay`'s copies."""
    for name in _RING:
        for row, saved in zip(getattr(replay, name), state[name], strict=True):
            row[: len(saved)] = saved
    for name in _REST:
        getattr(replay, name)[...] = state[name]


@jit_inline
def replay_size(replay, i):
    """Number of transitions of seed i that can be sampled."""
    return min(replay.n_added[i], replay.action.shape[1])


@compiled_only
def add_step(
    replay: Any,
    i: int,
    obs: Array,
    action: int,
    reward: float,
    terminated: bool,
    truncated: bool,
    next_obs: Array,
) -> None:
    """Add one environment step of seed i to a replay of its kind: ``obs`` [F], and ``next_obs`` [F] that it led to.

    It completes one transition once n steps are pending, and one for every pending step where an episode ends.
    """


@jit_implementation(add_step, inline=True, of=ReplayBuffer)
def _add_step(replay, i, obs, action, reward, terminated, truncated, next_obs):
    length = replay.n_pending[i]
    n_step = replay.window_action.shape[1]
    for f in range(replay.obs.shape[2]):
        replay.window_obs[i, length, f] = obs[f]
    replay.window_action[i, length] = action
    replay.window_reward[i, length] = reward
    length += 1
    if terminated or truncated:
        for oldest in range(length):
            _add_transition(replay, i, oldest, length, terminated, next_obs)
        length = 0
    elif length == n_step:
        _add_transition(replay, i, 0, length, terminated, next_obs)
        length -= 1
        for k in range(length):
            for f in range(replay.obs.shape[2]):
                replay.window_obs[i, k, f] = replay.window_obs[i, k + 1, f]
            replay.window_action[i, k] = replay.window_action[i, k + 1]
            replay.window_reward[i, k] = replay.window_reward[i, k + 1]
    replay.n_pending[i] = length


@jit_inline
def _add_transition(replay, i, oldest, end, terminated, next_obs):
    """Make a transition of the pending steps from ``oldest`` to before ``end``."""
    slot = replay.n_added[i] % replay.action.shape[1]
    n_step_return = 0.0
    discount = 1.0
    for k in range(oldest, end):
        n_step_return += discount * replay.window_reward[i, k]
        discount *= replay.gamma
    for f in range(replay.obs.shape[2]):
        replay.obs[i, slot, f] = replay.window_obs[i, oldest, f]
        replay.next_obs[i, slot, f] = next_obs[f]
    replay.action[i, slot] = replay.window_action[i, oldest]
    replay.n_step_return[i, slot] = n_step_return
    replay.discount[i, slot] = 0.0 if terminated else discount
    replay.n_added[i] += 1
