"""Frame stacking: a ring in which every frame of an environment of images is stored once, as bytes.

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

MAX_DEPTH = 64  # frames in a stack
MAX_COLOURS = 4


class FrameRing(NamedTuple):
    """The last N frames of every seed."""

    frames: Array  # uint8 [S, N, C, H, W]
    n_before: Array  # uint8 [S, N], frames of the same episode before this one, at most k - 1
    n_added: Array  # int64 [S], frames since the beginning
    depth: int  # k


def frame_shape(spec: EnvSpec) -> tuple[int, int, int]:
    """Return colours, height and width (C, H, W) of an environment's frames.

    Raises:
        ValueError: an environment that does not show one image at a time.
    """
    space = spec.observation
    shape = space.shape if isinstance(space, spaces.Box) and space.dtype == np.uint8 else ()
    if len(shape) not in (2, 3) or 0 in shape or (len(shape) == 3 and shape[2] > MAX_COLOURS):
        raise ValueError(
            f"{spec.id}: observation space {space}, expected one image of bytes, [height, width] or "
            f"[height, width, colours up to {MAX_COLOURS}]; stacks of frames are made by the agent"
        )
    return (shape[2], shape[0], shape[1]) if len(shape) == 3 else (1, shape[0], shape[1])


def frame_bytes(n_seeds: int, shape: tuple[int, int, int], capacity: int) -> int:
    """Return the memory per seed of a ring of ``capacity`` frames (C, H, W), in bytes."""
    return n_seeds * (capacity * (int(np.prod(shape)) + 1) + 8)


def make_frames(n_seeds: int, shape: tuple[int, int, int], capacity: int, depth: int) -> FrameRing:
    """Make an empty ring; memory is taken as frames come.

    Raises:
        ValueError: a depth or a capacity out of range.
    """
    if not 1 <= depth <= MAX_DEPTH:
        raise ValueError(f"frames = {depth}: expected 1 to {MAX_DEPTH} frames at once")
    if capacity < depth:
        raise ValueError(f"capacity of {capacity} frames, expected at least the {depth} of a stack")
    return FrameRing(
        frames=np.zeros((n_seeds, capacity, *shape), np.uint8),
        n_before=np.zeros((n_seeds, capacity), np.uint8),
        n_added=np.zeros(n_seeds, np.int64),
        depth=depth,
    )


@jit_inline
def _copy(source, target):
    """Copy a frame, byte by byte for the compiler to widen: slices would be copied by way of fresh memory."""
    source = source.reshape(source.size)
    target = target.reshape(source.size)
    for d in range(len(source)):
        target[np.uint64(d)] = source[np.uint64(d)]


@jit_inline
def add_frame(ring, i, frame, first):
    """Append a frame, uint8 [C, H, W], to seed i; its position. ``first``: an episode begins with it."""
    position = ring.n_added[i]
    n = ring.frames.shape[1]
    slot = position % n
    _copy(frame, ring.frames[i, slot])
    if first or position == 0:
        ring.n_before[i, slot] = 0
    else:
        ring.n_before[i, slot] = min(np.int64(ring.n_before[i, (position - 1) % n]) + 1, ring.depth - 1)
    ring.n_added[i] = position + 1
    return position


@jit_inline
def oldest(ring, i):
    """Return the first position of seed i whose stack is complete."""
    overwritten = ring.n_added[i] - ring.frames.shape[1]
    return max(overwritten + ring.depth - 1, 0) if overwritten > 0 else 0


@jit_inline
def stack(ring, i, position, out):
    """Write the stacked observation at a position of seed i to ``out``, uint8 [k * C, H, W]."""
    n = ring.frames.shape[1]
    depth = ring.depth
    n_before = np.int64(ring.n_before[i, position % n])
    rows = out.reshape((depth, out.size // depth))
    for back in range(depth):
        row = rows[depth - 1 - back]
        if back <= n_before:
            _copy(ring.frames[i, (position - back) % n], row)
        else:
            row[:] = 0


@jit
def _append_all(ring, frames, first, mask):
    for i in range(len(first)):
        if mask[i]:
            add_frame(ring, i, frames[i], first[i])


@jit
def _gather_block(first, last, ring, positions, out):
    for i in range(first, last):
        for b in range(positions.shape[1]):
            stack(ring, i, positions[i, b], out[i, b])


@jit
def _oldest_all(ring, out):
    for i in range(len(out)):
        out[i] = oldest(ring, i)


def append(ring: FrameRing, obs: Array, first: Array, mask: Array | None = None) -> Array:
    """Append the frames of every seed, or of the seeds of ``mask``; the newest position of every seed, int64 [S].

    Args:
        ring: the frames.
        obs: uint8 [S, H, W] or [S, H, W, C].
        first: bool [S], seeds in which an episode begins with this frame.
        mask: bool [S]; None: all.
    """
    colours_first = obs[:, None] if obs.ndim == 3 else np.moveaxis(obs, -1, 1)
    chosen = np.ones(len(obs), np.bool_) if mask is None else mask
    _append_all(ring, np.ascontiguousarray(colours_first, np.uint8), np.asarray(first, np.bool_), chosen)
    return ring.n_added - 1


def gather(ring: FrameRing, positions: Array, out: Array | None = None) -> Array:
    """Gather stacked observations uint8 [S, B, k * C, H, W] at positions int64 [S, B].

    Raises:
        IndexError: a position whose frames are overwritten, or that is not there yet.
    """
    oldest_complete = oldest_positions(ring)[:, None]
    invalid = (positions < oldest_complete) | (positions >= ring.n_added[:, None])
    if invalid.any():
        i, b = np.argwhere(invalid)[0]
        raise IndexError(
            f"seed number {i}: frame {positions[i, b]}, expected {oldest_complete[i, 0]} to "
            f"{ring.n_added[i] - 1}, those stored"
        )
    colours, height, width = ring.frames.shape[2:]
    if out is None:
        out = np.empty((*positions.shape, ring.depth * colours, height, width), np.uint8)
    parallel_for(lambda first, last: _gather_block(first, last, ring, positions, out), len(positions))
    return out


def newest_of(ring: FrameRing, obs: Array) -> Array:
    """Return positions [S, 1] of the current frames; obs [S, H, W] or [S, H, W, C] is appended to an empty ring."""
    if ring.n_added[0] == 0:
        append(ring, obs, np.ones(len(obs), np.bool_))
    return (ring.n_added - 1)[:, None]


def keep_step(ring: FrameRing, step: Step) -> Array:
    """Append the frames that a step led to; positions [S, 1] of them.

    A terminal frame is not stored: nothing is bootstrapped from it.
    """
    ended = step.terminated | step.truncated
    if step.truncated.any():
        append(ring, step.final_obs, ~ended, step.truncated)
    cut = ring.n_added - 1
    newest = append(ring, step.obs, ended)
    return np.where(ended, cut, newest)[:, None]


def oldest_positions(ring: FrameRing) -> Array:
    """Return the first position of every seed whose stack is complete, int64 [S]."""
    out = np.zeros(len(ring.n_added), np.int64)
    _oldest_all(ring, out)
    return out


def save_frames(ring: FrameRing) -> State:
    """Copy the frames, seed by seed; slots never written are left out."""
    sizes = np.minimum(ring.n_added, ring.frames.shape[1])
    saved = {name: [row[:n].copy() for row, n in zip(getattr(ring, name), sizes, strict=True)] for name in _RINGS}
    return saved | {"n_added": ring.n_added.copy()}


def load_frames(ring: FrameRing, state: State) -> None:
    """Continue from :func:`save_frames`."""
    ring.n_added[:] = state["n_added"]
    for name in _RINGS:
        for row, saved in zip(getattr(ring, name), state[name], strict=True):
            row[: len(saved)] = saved


_RINGS = ("frames", "n_before")
