"""Stores of observations, between an environment, a replay or a batch of episodes, and a network.

These keep vectors and classes themselves, and positions of frames, each of which is stored once, for images.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from agents.common.replay.frames import (
    FrameRing,
    append,
    frame_shape,
    gather,
    keep_step,
    load_frames,
    make_frames,
    newest_of,
    oldest_positions,
    save_frames,
)
from agents.common.spaces import ObservationAdapter
from simulator.core.jit import jit_inline
from simulator.core.protocols import Array, EnvSpec, State, Step

ALL = slice(None)  # seeds


class VectorEncoding(NamedTuple):
    """The way from an observation [F] to a network's input [in], as compiled code takes it."""

    n_classes: int  # of a discrete observation, which a network gets as one-hot; 0: a vector
    scale: Array  # float32 [2, F], see :class:`agents.common.spaces.ObservationAdapter`


@jit_inline
def encode_vector(encoding, obs, stored):
    """Write the stored form of a vector observation [F]."""
    for f in range(len(stored)):
        stored[f] = (obs[f] - encoding.scale[0, f]) * encoding.scale[1, f]


@jit_inline
def expand_vector(encoding, stored, x):
    """Write the network's input x [in] of a stored observation [F]: itself, or its class as one-hot."""
    if encoding.n_classes == 0:
        for f in range(len(stored)):
            x[f] = stored[f]
    else:
        x[:] = np.float32(0.0)
        x[np.int64(stored[0])] = np.float32(1.0)


class VectorStore:
    """Observations that are vectors or classes; see :class:`FrameStore`.

    Args:
        adapter: between the environment's observations and the network's input.
    """

    dtype: type = np.float32
    input_dtype: type = np.float32

    def __init__(self, adapter: ObservationAdapter) -> None:
        self._adapter = adapter
        self.n_stored = adapter.n_stored
        self.input_shape: tuple[int, ...] = (adapter.n_inputs,)
        self.encoding = VectorEncoding(adapter.n_classes, adapter.scale)

    def current(self, obs: Array) -> Array:
        """Stored form of obs [S, *obs], float32 [S, F]."""
        return self._adapter.encode(obs)

    def add_step(self, step: Step) -> Array:
        """Stored form of the observations that a step led to, float32 [S, F]."""
        return self._adapter.encode(step.final_obs)

    def observe(self, obs: Array, first: Array) -> Array:
        """Stored form of obs [S, *obs], float32 [S, F]."""
        return self._adapter.encode(obs)

    def inputs(self, stored: Array, seeds: slice = ALL) -> Array:
        """Network inputs float32 [S, B, in] of stored observations [S, B, F] of these seeds."""
        if self.encoding.n_classes == 0:
            return stored
        return (stored == np.arange(self.encoding.n_classes)).astype(np.float32)

    def oldest(self) -> None:
        """None: nothing is overwritten before the replay overwrites it."""

    def for_evaluation(self) -> VectorStore:
        """A store for a policy that is evaluated: this one, which remembers nothing."""
        return self

    def arrays(self) -> dict[str, Array | str]:
        """Return the way from an observation to the network's input, for exports."""
        return self._adapter.arrays()

    def state(self) -> State:
        """Nothing beside the replay."""
        return {}

    def restore(self, state: State) -> None:
        """Nothing to restore."""


class FrameStore:
    """Observations that are images, as stacks of frames; what is stored of one is the position of its newest frame.

    Args:
        spec: the environment.
        n_seeds: S.
        depth: frames in a stack.
        capacity: frames per seed.
    """

    dtype: type = np.int64
    input_dtype: type = np.uint8
    n_stored = 1
    encoding = VectorEncoding(0, np.zeros((2, 1), np.float32))

    def __init__(self, spec: EnvSpec, n_seeds: int, depth: int, capacity: int) -> None:
        self._spec = spec
        self._ring: FrameRing = make_frames(n_seeds, frame_shape(spec), capacity, depth)
        colours, height, width = frame_shape(spec)
        self.input_shape: tuple[int, ...] = (depth * colours, height, width)

    def current(self, obs: Array) -> Array:
        """Positions int64 [S, 1] of the current frames; obs [S, H, W] or [S, H, W, C] is added to an empty store."""
        return newest_of(self._ring, obs)

    def add_step(self, step: Step) -> Array:
        """Add the frames that a step led to; positions int64 [S, 1] of them.

        A terminal frame is not stored: nothing is bootstrapped from it.
        """
        return keep_step(self._ring, step)

    def observe(self, obs: Array, first: Array) -> Array:
        """Add obs, without a step; its positions int64 [S, 1]. ``first`` bool [S] marks where episodes begin."""
        return append(self._ring, obs, first)[:, None]

    def inputs(self, stored: Array, seeds: slice = ALL) -> Array:
        """Network inputs uint8 [S, B, k * C, H, W] of stored observations [S, B, 1] of these seeds.

        An observation that is overwritten becomes the oldest one.
        """
        ring = self._ring
        rows = FrameRing(ring.frames[seeds], ring.n_before[seeds], ring.n_added[seeds], ring.depth)
        return gather(rows, np.maximum(stored[..., 0], oldest_positions(rows)[:, None]))

    def single(self, obs: Array) -> Array | None:
        """Network inputs uint8 [B, C, H, W] of obs [B, H, W] or [B, H, W, C]; None with several frames in a stack."""
        if self._ring.depth > 1:
            return None
        store = FrameStore(self._spec, len(obs), 1, 1)
        return store.inputs(store.observe(obs, np.ones(len(obs), np.bool_))[:, None])[:, 0]

    def oldest(self) -> Array:
        """First position of every seed whose stack is complete, int64 [S]."""
        return oldest_positions(self._ring)

    def for_evaluation(self) -> FrameStore:
        """A store with frames of its own, for a policy that is evaluated."""
        return FrameStore(self._spec, len(self._ring.n_added), self._ring.depth, self._ring.depth)

    def arrays(self) -> dict[str, Array | str]:
        """Return the way from observations to the network's input, for exports."""
        return {"encoding": "frames", "frames": np.array(self._ring.depth)}

    def state(self) -> State:
        """The frames."""
        return {"frames": save_frames(self._ring)}

    def restore(self, state: State) -> None:
        """Go on from ``state``."""
        load_frames(self._ring, state["frames"])
