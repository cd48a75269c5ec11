"""Inputs of torch networks, and what batches store of observations: vectors, or images frame by frame."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from agents.common.networks.conv import ConvSettings, conv_builder, make_body
from agents.common.networks.dense import NetworkSettings
from agents.common.networks.modules_torch import dense
from agents.common.replay.frames import (
    FrameRing,
    FrameStack,
    frame_bytes,
    frame_shape,
    gather,
    keep_step,
    load_frames,
    make_frames,
    newest_of,
    save_frames,
)
from agents.reinforce.space_adapter import SpaceAdapter
from simulator.core.protocols import Array, EnvSpec, State, Step


class EvaluationInput(NamedTuple):
    """Input of one step of evaluation."""

    stored: Array  # [S, K], which says what actions exist
    x: Array  # [S, 1, *in]


class VectorInputs:
    """Vectors and classes, stored as they are.

    Args:
        adapter: between the environment's spaces and the networks.
        settings: of the dense networks.
    """

    obs_dtype: type = np.float32

    def __init__(self, adapter: SpaceAdapter, settings: NetworkSettings) -> None:
        self._adapter = adapter
        self._settings = settings

    def build(self, n_outputs: int) -> Callable[[], Any]:
        """The function that makes a network's module."""
        sizes = (self._adapter.obs_dim, *self._settings.hidden, n_outputs)
        return lambda: dense(sizes, self._settings.activation == "tanh")

    def encode_obs(self, obs: Array) -> Array:
        """Convert obs [B, *obs] to what a batch stores, float32 [B, K]."""
        return self._adapter.encode_obs(obs)

    def encode_final_obs(self, step: Step) -> Array:
        """Convert the observation that a step led to, float32 [S, K]."""
        return self._adapter.encode_obs(step.final_obs)

    def network_input(self, stored: Array) -> Array:
        """Inputs [S, 1, in] of the networks at stored observations [S, K]."""
        return self._expanded(stored)[:, None]

    def batch_input(self, seeds: slice, stored: Array, used: Array) -> Array:
        """Inputs [G, B, in] at stored observations [G, B, K] of some seeds; 0 where not ``used`` bool [G, B]."""
        return np.where(used[..., None], self._expanded(stored), np.float32(0.0))

    def evaluation_input(self) -> Callable[[Array, Array], EvaluationInput]:
        """The function (obs, first) -> inputs for evaluation."""

        def at(obs: Array, first: Array) -> EvaluationInput:
            stored = self.encode_obs(obs)
            return EvaluationInput(stored, self.network_input(stored))

        return at

    def _expanded(self, stored: Array) -> Array:
        if not self._adapter.one_hot_obs:
            return stored
        return (stored == np.arange(self._adapter.obs_dim)).astype(np.float32)

    def pass_bytes(self) -> int:
        """Memory that one row takes on its way through both networks, in bytes."""
        return 8 * (self._adapter.obs_dim + 3 * sum(self._settings.hidden))

    def stored_bytes(self, n_seeds: int) -> int:
        """Memory of what is stored beside the batches, in bytes."""
        return 0

    def allocate(self, n_seeds: int) -> None:
        """Allocate what is stored beside the batches: nothing."""

    def state(self) -> State:
        """Nothing beside the batches."""
        return {}

    def restore(self, state: State) -> None:
        """Nothing to restore."""


class FrameInputs:
    """Images: every frame is stored once, and batches store positions of frames.

    Args:
        spec: the environment.
        settings: of the convolutional networks.
        n_frames: that a batch can need.
    """

    obs_dtype: type = np.int64

    def __init__(self, spec: EnvSpec, settings: ConvSettings, n_frames: int) -> None:
        self._settings = settings
        self._shape = frame_shape(spec)
        self._capacity = n_frames + settings.frames + 2
        self._body = make_body(settings, self._shape)
        self._frames = make_frames(0, self._shape, self._capacity, settings.frames)

    def allocate(self, n_seeds: int) -> None:
        """Allocate the frames of S seeds."""
        self._frames = make_frames(n_seeds, self._shape, self._capacity, self._settings.frames)

    def build(self, n_outputs: int) -> Callable[[], Any]:
        """The function that makes a network's module."""
        return conv_builder(self._settings, self._shape, n_outputs)

    def encode_obs(self, obs: Array) -> Array:
        """Positions int64 [S, 1] of the newest frames; obs [S, H, W] or [S, H, W, C] is stored if it is the first."""
        return newest_of(self._frames, obs)

    def encode_final_obs(self, step: Step) -> Array:
        """Store what a step led to and what is seen next; positions int64 [S, 1] of the former, if it was no end."""
        return keep_step(self._frames, step)

    def network_input(self, stored: Array) -> Array:
        """Inputs uint8 [S, 1, k * C, H, W] of the networks at positions [S, 1]."""
        return gather(self._frames, stored)

    def batch_input(self, seeds: slice, stored: Array, used: Array) -> Array:
        """Inputs uint8 [G, B, k * C, H, W] at positions [G, B, 1] of some seeds; ``used`` is bool [G, B]."""
        ring = self._frames
        rows = FrameRing(ring.frames[seeds], ring.n_before[seeds], ring.n_added[seeds], ring.depth)
        return gather(rows, np.where(used, stored[..., 0], rows.n_added[:, None] - 1))

    def evaluation_input(self) -> Callable[[Array, Array], EvaluationInput]:
        """The function (obs, first) -> inputs for evaluation, with frames of its own."""
        n_seeds = len(self._frames.n_added)
        stack = FrameStack(n_seeds, self._shape, self._frames.depth)
        stored = np.zeros((n_seeds, 1), np.int64)  # every action exists, whatever is seen

        def at(obs: Array, first: Array) -> EvaluationInput:
            return EvaluationInput(stored, stack.see(obs, first)[:, None])

        return at

    def pass_bytes(self) -> int:
        """Memory that one row takes on its way through both networks, in bytes."""
        height, width = self._shape[1:]
        units = sum(self._body.hidden)
        pixels = self._body.inputs * height * width
        for layer in self._body.layers:
            height = (height - layer.kernel) // layer.stride + 1
            width = (width - layer.kernel) // layer.stride + 1
            units += layer.channels * height * width
        return 2 * (6 * pixels + 12 * units)

    def stored_bytes(self, n_seeds: int) -> int:
        """Memory of the frames, in bytes."""
        return frame_bytes(n_seeds, self._shape, self._capacity)

    def state(self) -> State:
        """The frames."""
        return {"frames": save_frames(self._frames)}

    def restore(self, state: State) -> None:
        """Go on from ``state``."""
        load_frames(self._frames, state["frames"])
