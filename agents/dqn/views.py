"""Observation stores: network inputs and replay entries of vectors, and of pictures frame by frame."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from agents.common.replay.frames import (
    FrameStack,
    frame_bytes,
    frame_shape,
    gather,
    keep_step,
    load_frames,
    make_frames,
    newest_of,
    oldest_positions,
    save_frames,
)
from agents.common.spaces import Inputs
from agents.dqn.blocks import gather_all, places_all
from simulator.core.protocols import Array, EnvSpec, State, Step


class VectorView:
    """Vectors and classes: the replay keeps them as they are.

    Args:
        inputs: how observations become inputs.
    """

    kind: type = np.float32

    def __init__(self, inputs: Inputs) -> None:
        self._inputs, self.n_stored = inputs, inputs.n_stored
        self.n_classes, self.width = inputs.n_classes, inputs.width

    def enter(self, obs: Array) -> tuple[Array, Array]:
        """What is stored of obs [S, *obs], [S, F], and the network's input [S, 1, in]."""
        stored = self._inputs.store(obs)
        return stored, self._input(stored)[:, None]

    def leave(self, step: Step) -> Array:
        """What is stored of what a step led to, [S, F]."""
        return self._inputs.store(step.final_obs)

    def batch(self, replay: Any, rule: Any, batch: Any) -> tuple[Array, Array]:
        """The network's inputs [S, B, in]: the drawn observations, and what they led to."""
        gather_all(replay, rule, batch)
        return batch.x, batch.following

    def watcher(self) -> Callable[[Array, Array], tuple[Array, Array]]:
        """For evaluation: (obs, first) -> what is stored, and the network's input."""
        return lambda obs, first: self.enter(obs)

    def _input(self, stored: Array) -> Array:
        return (stored == np.arange(self.width)).astype(np.float32) if self.n_classes else stored

    def state(self) -> State:
        """Nothing beside the replay."""
        return {}

    def restore(self, state: State) -> None:
        """Nothing to restore."""


class PictureView:
    """Pictures, one frame at a time: every frame is kept once, the replay keeps their positions.

    Args:
        spec: the environment.
        n_seeds: S.
        depth: frames that are seen at once.
        capacity: transitions that are kept.
        n_step: steps of a transition.
    """

    kind: type = np.int64
    n_stored, n_classes, width = 1, 0, 0

    def __init__(self, spec: EnvSpec, n_seeds: int, depth: int, capacity: int, n_step: int) -> None:
        self.shape, self._depth, self._n = frame_shape(spec), depth, n_seeds
        self._room = room(spec, depth, capacity, n_step)
        self._frames = make_frames(n_seeds, self.shape, self._room, depth)

    def enter(self, obs: Array) -> tuple[Array, Array]:
        """Positions [S, 1] of the newest frames, and the network's input uint8 [S, 1, k * C, H, W]."""
        newest = newest_of(self._frames, obs)
        return newest, gather(self._frames, newest)

    def leave(self, step: Step) -> Array:
        """Keep what a step led to and what is seen next; the positions [S, 1] of what it led to.

        A true end needs no frame: nothing is bootstrapped from it.
        """
        return keep_step(self._frames, step)

    def batch(self, replay: Any, rule: Any, batch: Any) -> tuple[Array, Array]:
        """The network's inputs uint8 [S, B, k * C, H, W]: the drawn observations, and what they led to.

        Draws whose frames are overwritten are replaced first; see :func:`replace_lost`.
        """
        n, least = batch.picked.shape[1], oldest_positions(self._frames)
        replace_lost(replay, batch, least)
        places = np.zeros((self._n, 2 * n), np.int64)
        places_all(replay, batch, least, places)
        both = gather(self._frames, places)
        return both[:, :n], both[:, n:]

    def watcher(self) -> Callable[[Array, Array], tuple[Array, Array]]:
        """For evaluation, with frames of its own: (obs, first) -> nothing, and the network's input."""
        stack, nothing = FrameStack(self._n, self.shape, self._depth), np.zeros((self._n, 1), np.int64)
        return lambda obs, first: (nothing, stack.see(obs, first)[:, None])

    def state(self) -> State:
        """The frames."""
        return {"frames": save_frames(self._frames)}

    def restore(self, state: State) -> None:
        """Go on from ``state``."""
        load_frames(self._frames, state["frames"])


def replace_lost(replay: Any, batch: Any, least: Array) -> None:
    """Let draws whose frames are overwritten give way to other draws of their batch, evenly spread over it.

    What stays is distributed like draws from the transitions that are whole, since it was drawn by the same rule. Where
    nothing stays, the newest transition is taken, which is always whole.

    Args:
        replay: the transitions, as positions of frames.
        batch: the draws; ``picked`` and ``weights`` are written.
        least: int64 [S], the first position of every seed whose stack is whole.
    """
    lost = np.take_along_axis(replay.obs[..., 0], batch.picked, axis=1) < least[:, None]
    for i in np.flatnonzero(lost.any(axis=1)):
        whole, n_lost = np.flatnonzero(~lost[i]), int(lost[i].sum())
        if len(whole):
            taken = whole[np.arange(n_lost) * len(whole) // n_lost]
            batch.picked[i, lost[i]], batch.weights[i, lost[i]] = batch.picked[i, taken], batch.weights[i, taken]
        else:
            batch.picked[i], batch.weights[i] = (replay.pushed[i] - 1) % replay.obs.shape[1], 1.0


def room(spec: EnvSpec, depth: int, capacity: int, n_step: int) -> int:
    """Frames that hold every transition: one each, and one more for every cut, whose last frame is its own.

    Cuts are expected at the environment's limit, or at every eighth step without one. Where they come more often, the
    oldest transitions lose their frames and are no longer learned from.
    """
    cuts = capacity // spec.max_steps + 1 if spec.max_steps else capacity // 8
    return capacity + cuts + depth + n_step + 1


def picture_bytes(spec: EnvSpec, n_seeds: int, depth: int, capacity: int, n_step: int) -> int:
    """Memory of the frames of all seeds, in bytes."""
    return frame_bytes(n_seeds, frame_shape(spec), room(spec, depth, capacity, n_step))
