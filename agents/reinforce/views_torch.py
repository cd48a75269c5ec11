"""What torch policies see of an environment, and what their batches keep of it: vectors, or pictures frame by frame."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from agents.common.networks.conv import ConvSettings, conv_builder, make_body
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
from agents.reinforce.border import Border
from simulator.core.protocols import Array, EnvSpec, State, Step


class Vectors:
    """Vectors and classes, kept as they are.

    Args:
        border: how observations come in.
        settings: of the dense networks.
    """

    kind: type = np.float32

    def __init__(self, border: Border, settings: Any) -> None:
        self.border, self._settings = border, settings

    def build(self, n_outputs: int) -> Callable[[], Any]:
        """What makes a network's module."""
        sizes = (self.border.n_inputs, *self._settings.hidden, n_outputs)
        return lambda: dense(sizes, self._settings.activation == "tanh")

    def enter(self, obs: Array) -> tuple[Array, Array]:
        """What is kept of obs [S, *obs], [S, K], and the networks' input [S, 1, in]."""
        kept = self.border.encode(obs)
        return kept, self._inputs(kept)[:, None]

    def leave(self, step: Step) -> Array:
        """What is kept of what a step led to, [S, K]."""
        return self.border.encode(step.final_obs)

    def batch(self, members: slice, kept: Array, used: Array) -> Array:
        """The networks' inputs [G, B, in] from what was kept of some seeds, [G, B, K]; ``used`` bool [G, B]."""
        return np.where(used[..., None], self._inputs(kept), np.float32(0.0))

    def watcher(self) -> Callable[[Array, Array], tuple[Array, Array]]:
        """For evaluation: (obs, first) -> what is kept, and the networks' input."""
        return lambda obs, first: self.enter(obs)

    def _inputs(self, kept: Array) -> Array:
        if not self.border.one_hot:
            return kept
        return (kept == np.arange(self.border.n_inputs)).astype(np.float32)

    def row_bytes(self) -> int:
        """Memory that one row takes on its way through both networks, in bytes."""
        return 8 * (self.border.n_inputs + 3 * sum(self._settings.hidden))

    def kept_bytes(self, n_seeds: int) -> int:
        """Memory of what is kept beside the batches, in bytes."""
        return 0

    def begin(self, n_seeds: int) -> None:
        """Make room for what is kept beside the batches: nothing."""

    def state(self) -> State:
        """Nothing beside the batches."""
        return {}

    def restore(self, state: State) -> None:
        """Nothing to restore."""


class Pictures:
    """Pictures: every frame is kept once, and batches keep positions of frames.

    Args:
        spec: the environment.
        border: how actions go out.
        settings: of the convolutional networks.
        n_frames: that a batch can need.
    """

    kind: type = np.int64

    def __init__(self, spec: EnvSpec, border: Border, settings: ConvSettings, n_frames: int) -> None:
        self.border, self._settings, self._shape = border._replace(n_kept=1, n_inputs=1), settings, frame_shape(spec)
        self._room, self._body = n_frames + settings.frames + 2, make_body(settings, self._shape)
        self._frames = make_frames(0, self._shape, self._room, settings.frames)

    def begin(self, n_seeds: int) -> None:
        """Make room for the frames of S seeds."""
        self._frames = make_frames(n_seeds, self._shape, self._room, self._settings.frames)

    def build(self, n_outputs: int) -> Callable[[], Any]:
        """What makes a network's module."""
        return conv_builder(self._settings, self._shape, n_outputs)

    def enter(self, obs: Array) -> tuple[Array, Array]:
        """Positions [S, 1] of the newest frames, and the networks' input uint8 [S, 1, k * C, H, W]."""
        newest = newest_of(self._frames, obs)
        return newest, gather(self._frames, newest)

    def leave(self, step: Step) -> Array:
        """Keep what a step led to and what is seen next; positions [S, 1] of the former, where it did not truly end."""
        return keep_step(self._frames, step)

    def batch(self, members: slice, kept: Array, used: Array) -> Array:
        """The networks' inputs uint8 [G, B, k * C, H, W] at positions [G, B, 1] of some seeds; ``used`` bool [G, B]."""
        frames, n_before, n_added, depth = self._frames
        store = FrameRing(frames[members], n_before[members], n_added[members], depth)
        return gather(store, np.where(used, kept[..., 0], store.n_added[:, None] - 1))

    def watcher(self) -> Callable[[Array, Array], tuple[Array, Array]]:
        """For evaluation, with frames of its own: (obs, first) -> nothing, and the networks' input."""
        n = len(self._frames.n_added)
        stack, nothing = FrameStack(n, self._shape, self._frames.depth), np.zeros((n, 1), np.int64)
        return lambda obs, first: (nothing, stack.see(obs, first)[:, None])

    def row_bytes(self) -> int:
        """Memory that one row takes on its way through both networks, in bytes."""
        (height, width), units = self._shape[1:], sum(self._body.hidden)
        pixels = self._body.inputs * height * width
        for layer in self._body.layers:
            height, width = ((side - layer.kernel) // layer.stride + 1 for side in (height, width))
            units += layer.channels * height * width
        return 2 * (6 * pixels + 12 * units)

    def kept_bytes(self, n_seeds: int) -> int:
        """Memory of the frames, in bytes."""
        return frame_bytes(n_seeds, self._shape, self._room)

    def state(self) -> State:
        """The frames."""
        return {"frames": save_frames(self._frames)}

    def restore(self, state: State) -> None:
        """Go on from ``state``."""
        load_frames(self._frames, state["frames"])
