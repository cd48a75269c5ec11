"""Pictures as networks see them: the last k frames at once, and a ring in which every frame is stored once, as bytes.

Mnih et al. 2015 (frame stacking). An environment shows one frame at a time, uint8 [H, W] or [H, W, C]; a stacked
observation is [k * C, H, W], the newest frame last. Frames before an episode's start are zeros, as in the papers' own
programs.

A frame's position counts the frames of its seed, from 0; its place in the ring is the position modulo the capacity N.
A replay keeps two positions per transition instead of two stacks of k frames. Where an episode ends, the environment
shows two frames: the true last one, which is appended like any other, and the next episode's, appended with ``first``.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from gymnasium import spaces

from simulator.core.jit import jit, jit_inline, parallel_for
from simulator.core.protocols import Array, EnvSpec, State, Step

DEEPEST = 64  # frames in a stack
MOST_COLOURS = 4


class FrameStore(NamedTuple):
    """The last N frames of every seed."""

    frames: Array  # uint8 [S, N, C, H, W]
    since: Array  # uint8 [S, N], frames of the same episode before this one, at most k - 1
    pushed: Array  # int64 [S], frames since the beginning
    depth: int  # k


def frame_shape(spec: EnvSpec) -> tuple[int, int, int]:
    """Colours, height and width (C, H, W) of an environment's frames.

    Raises:
        ValueError: an environment that does not show one picture at a time.
    """
    space = spec.observation
    shape = space.shape if isinstance(space, spaces.Box) and space.dtype == np.uint8 else ()
    if len(shape) not in (2, 3) or 0 in shape or (len(shape) == 3 and shape[2] > MOST_COLOURS):
        raise ValueError(
            f"{spec.id}: observation space {space}, expected one picture of bytes, [height, width] or "
            f"[height, width, colours up to {MOST_COLOURS}]; stacks of frames are made by the agent"
        )
    return (*shape[2:], *shape[:2]) if len(shape) == 3 else (1, *shape)


def frame_bytes(n_seeds: int, shape: tuple[int, int, int], capacity: int) -> int:
    """Memory of a store of ``capacity`` frames (C, H, W) per seed, in bytes."""
    return n_seeds * (capacity * (int(np.prod(shape)) + 1) + 8)


def make_frames(n_seeds: int, shape: tuple[int, int, int], capacity: int, depth: int) -> FrameStore:
    """An empty store; memory is taken as frames come.

    Raises:
        ValueError: a depth or a capacity that cannot be.
    """
    if not 1 <= depth <= DEEPEST:
        raise ValueError(f"frames = {depth}: expected 1 to {DEEPEST} frames at once")
    if capacity < depth:
        raise ValueError(f"room for {capacity} frames, expected at least the {depth} that are seen at once")
    frames = np.zeros((n_seeds, capacity, *shape), np.uint8)
    return FrameStore(frames, np.zeros((n_seeds, capacity), np.uint8), np.zeros(n_seeds, np.int64), depth)


@jit_inline
def _copy(source, target):
    """Copy a frame, byte by byte for the compiler to widen: slices would be copied by way of fresh memory."""
    flat, room = source.reshape(source.size), target.reshape(source.size)
    for d in range(len(flat)):
        room[np.uint64(d)] = flat[np.uint64(d)]


@jit_inline
def push(store, i, frame, first):
    """Append a frame, uint8 [C, H, W], to seed i; its position. ``first``: an episode begins with it."""
    position, n = store.pushed[i], store.frames.shape[1]
    slot = position % n
    _copy(frame, store.frames[i, slot])
    if first or position == 0:
        store.since[i, slot] = 0
    else:
        store.since[i, slot] = min(np.int64(store.since[i, (position - 1) % n]) + 1, store.depth - 1)
    store.pushed[i] = position + 1
    return position


@jit_inline
def oldest(store, i):
    """The first position of seed i whose stack is whole: every later one is, up to the newest."""
    overwritten = store.pushed[i] - store.frames.shape[1]
    return max(overwritten + store.depth - 1, 0) if overwritten > 0 else 0


@jit_inline
def stack(store, i, position, out):
    """The stacked observation at a position of seed i, written to ``out``, uint8 [k * C, H, W]."""
    n, depth = store.frames.shape[1], store.depth
    known, rows = np.int64(store.since[i, position % n]), out.reshape((depth, out.size // depth))
    for back in range(depth):
        row = rows[depth - 1 - back]
        if back <= known:
            _copy(store.frames[i, (position - back) % n], row)
        else:
            row[:] = 0


@jit
def _append_all(store, frames, first, mask):
    for i in range(len(first)):
        if mask[i]:
            push(store, i, frames[i], first[i])


@jit
def _gather_block(block, store, positions, out):
    for i in range(block[0], block[1]):
        for b in range(positions.shape[1]):
            stack(store, i, positions[i, b], out[i, b])


@jit
def _oldest_all(store, out):
    for i in range(len(out)):
        out[i] = oldest(store, i)


def append(store: FrameStore, obs: Array, first: Array, mask: Array | None = None) -> Array:
    """Append what every seed sees, or the seeds of ``mask``; the newest position of every seed, int64 [S].

    Args:
        store: where to.
        obs: uint8 [S, H, W] or [S, H, W, C].
        first: bool [S], seeds in which an episode begins with this frame.
        mask: bool [S]; None: all.
    """
    colours_first = obs[:, None] if obs.ndim == 3 else np.moveaxis(obs, -1, 1)
    chosen = np.ones(len(obs), np.bool_) if mask is None else mask
    _append_all(store, np.ascontiguousarray(colours_first, np.uint8), np.asarray(first, np.bool_), chosen)
    return store.pushed - 1


def gather(store: FrameStore, positions: Array, out: Array | None = None) -> Array:
    """Stacked observations uint8 [S, B, k * C, H, W] at positions int64 [S, B].

    Raises:
        IndexError: a position whose frames are overwritten, or that is not there yet.
    """
    least = oldest_positions(store)[:, None]
    wrong = (positions < least) | (positions >= store.pushed[:, None])
    if wrong.any():
        i, b = np.argwhere(wrong)[0]
        raise IndexError(
            f"seed number {i}: frame {positions[i, b]}, expected {least[i, 0]} to {store.pushed[i] - 1}, those kept"
        )
    colours, height, width = store.frames.shape[2:]
    if out is None:
        out = np.empty((*positions.shape, store.depth * colours, height, width), np.uint8)
    parallel_for(lambda first, last: _gather_block((first, last), store, positions, out), len(positions))
    return out


def newest_of(store: FrameStore, obs: Array) -> Array:
    """Positions [S, 1] of what is seen now; obs [S, H, W] or [S, H, W, C] is appended where nothing was seen yet."""
    if store.pushed[0] == 0:
        append(store, obs, np.ones(len(obs), np.bool_))
    return (store.pushed - 1)[:, None]


def keep_step(store: FrameStore, step: Step) -> Array:
    """Keep what a step led to and what is seen next; positions [S, 1] of the former.

    A true end needs no frame: nothing is bootstrapped from it.
    """
    ended = step.terminated | step.truncated
    if step.truncated.any():
        append(store, step.final_obs, ~ended, step.truncated)
    cut = store.pushed - 1
    newest = append(store, step.obs, ended)
    return np.where(ended, cut, newest)[:, None]


def oldest_positions(store: FrameStore) -> Array:
    """The first position of every seed whose stack is whole, int64 [S]."""
    out = np.zeros(len(store.pushed), np.int64)
    _oldest_all(store, out)
    return out


def save_frames(store: FrameStore) -> State:
    """What was seen, seed by seed; places never written are left out."""
    fill = np.minimum(store.pushed, store.frames.shape[1])
    kept = {name: [row[:n].copy() for row, n in zip(getattr(store, name), fill, strict=True)] for name in _RINGS}
    return kept | {"pushed": store.pushed.copy()}


def load_frames(store: FrameStore, state: State) -> None:
    """Go on from :func:`save_frames`."""
    store.pushed[:] = state["pushed"]
    for name in _RINGS:
        for row, kept in zip(getattr(store, name), state[name], strict=True):
            row[: len(kept)] = kept


_RINGS = ("frames", "since")


class FrameStack:
    """The last k frames of every seed and nothing more: for acting without a replay, and for evaluation.

    Args:
        n_seeds: S.
        shape: a frame's (C, H, W).
        depth: k.
    """

    def __init__(self, n_seeds: int, shape: tuple[int, int, int], depth: int) -> None:
        self._store = make_frames(n_seeds, shape, depth, depth)

    def see(self, obs: Array, first: Array) -> Array:
        """Stacked observations uint8 [S, k * C, H, W] once obs [S, H, W] or [S, H, W, C] is seen.

        ``first`` bool [S] marks the seeds whose episode begins with it.
        """
        newest = append(self._store, obs, first)
        return gather(self._store, newest[:, None])[:, 0]

    def state(self) -> State:
        """The frames held."""
        return save_frames(self._store)

    def restore(self, state: State) -> None:
        """Go on from ``state``."""
        load_frames(self._store, state)
