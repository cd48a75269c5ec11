"""Experience replay of one seed beside another: a ring of n-step transitions.

Lin 1992; Mnih et al. 2015; n steps as in Sutton 1988 and Hessel et al. 2018. A transition is (observation, action,
return of the steps really taken, discount, what they led to). Its discount is gamma**k after k steps, 0 after a true
end: truncation bootstraps, termination does not, and nothing crosses an episode's end.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from simulator.core.jit import jit_inline
from simulator.core.protocols import Array, State


class Replay(NamedTuple):
    """N transitions per seed, and the last steps that are not n steps old yet."""

    gamma: float
    obs: Array  # float32 [S, N, F]
    following: Array  # float32 [S, N, F]
    action: Array  # int32 [S, N]
    earned: Array  # float32 [S, N], discounted return of the steps in between
    discount: Array  # float32 [S, N]
    pushed: Array  # int64 [S], transitions since the beginning
    window_obs: Array  # float32 [S, n, F], steps waiting, the oldest first
    window_action: Array  # int32 [S, n]
    window_reward: Array  # float32 [S, n]
    waiting: Array  # int64 [S]


def make_replay(shape: tuple[int, int, int], n_step: int, gamma: float, kind: type = np.float32) -> Replay:
    """An empty replay.

    Args:
        shape: seeds S, capacity N, features F of an observation.
        n_step: steps in a transition.
        gamma: discount per step.
        kind: of a stored observation's features; int64 where they are places of frames.
    """
    n, capacity, width = shape
    rows = [np.zeros(shape, kind) for _ in range(2)]
    numbers = [np.zeros((n, capacity), kind) for kind in (np.int32, np.float32, np.float32)]
    window = (np.zeros((n, n_step, width), kind), np.zeros((n, n_step), np.int32))
    counts = (np.zeros(n, np.int64), np.zeros(n, np.int64))
    return Replay(gamma, *rows, *numbers, counts[0], *window, np.zeros((n, n_step), np.float32), counts[1])


def replay_bytes(capacity: int, n_step: int, width: int) -> int:
    """Memory of one seed's replay, in bytes; an observation takes ``width``."""
    return capacity * (2 * width + 12) + n_step * (width + 8)


def save_replay(replay: Replay) -> State:
    """What is in the ring, seed by seed, and in the window; slots never written are left out."""
    fill = np.minimum(replay.pushed, replay.action.shape[1])
    ring = {name: [row[:n].copy() for row, n in zip(getattr(replay, name), fill, strict=True)] for name in _RING}
    return ring | {name: getattr(replay, name).copy() for name in _REST}


def load_replay(replay: Replay, state: State) -> None:
    """Go on from :func:`save_replay`'s copies."""
    for name in _RING:
        for row, kept in zip(getattr(replay, name), state[name], strict=True):
            row[: len(kept)] = kept
    for name in _REST:
        getattr(replay, name)[...] = state[name]


_RING = ("obs", "following", "action", "earned", "discount")
_REST = ("pushed", "window_obs", "window_action", "window_reward", "waiting")


@jit_inline
def fill_of(replay, i):
    """How many transitions of seed i can be drawn."""
    return min(replay.pushed[i], replay.action.shape[1])


@jit_inline
def push(replay, i, seen, action, result):
    """Add one step of seed i: what was seen, done, and (reward, terminated, truncated, what it led to).

    It makes one transition once n steps wait, and one of every waiting step where an episode ends.
    """
    reward, terminated, truncated, led_to = result
    length, n = replay.waiting[i], replay.window_action.shape[1]
    for f in range(replay.obs.shape[2]):
        replay.window_obs[i, length, f] = seen[f]
    replay.window_action[i, length], replay.window_reward[i, length] = action, reward
    length += 1
    if terminated or truncated:
        for oldest in range(length):
            _emit(replay, i, (oldest, length), terminated, led_to)
        length = 0
    elif length == n:
        _emit(replay, i, (0, length), terminated, led_to)
        length -= 1
        for k in range(length):
            for f in range(replay.obs.shape[2]):
                replay.window_obs[i, k, f] = replay.window_obs[i, k + 1, f]
            replay.window_action[i, k] = replay.window_action[i, k + 1]
            replay.window_reward[i, k] = replay.window_reward[i, k + 1]
    replay.waiting[i] = length


@jit_inline
def _emit(replay, i, steps, terminated, led_to):
    """Make a transition of the waiting steps from ``steps[0]`` to before ``steps[1]``."""
    oldest, end = steps
    at = replay.pushed[i] % replay.action.shape[1]
    total, discount = 0.0, 1.0
    for k in range(oldest, end):
        total += discount * replay.window_reward[i, k]
        discount *= replay.gamma
    for f in range(replay.obs.shape[2]):
        replay.obs[i, at, f], replay.following[i, at, f] = replay.window_obs[i, oldest, f], led_to[f]
    replay.action[i, at], replay.earned[i, at] = replay.window_action[i, oldest], total
    replay.discount[i, at] = 0.0 if terminated else discount
    replay.pushed[i] += 1


@jit_inline
def expand(stored, n_classes, x):
    """Stored features [F] as a network's input [in]: as they are, or the class they name as one-hot."""
    if n_classes == 0:
        for f in range(len(stored)):
            x[f] = stored[f]
    else:
        x[:] = np.float32(0.0)
        x[np.int64(stored[0])] = np.float32(1.0)
