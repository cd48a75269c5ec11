"""Our own worlds as Gymnasium environments, one at a time and in vectors.

``gymnasium.make("engram/Rooms-v0", layout="four", slip=0.1)`` takes every setting of :class:`envs.rooms.Config`. A seed
gives the episodes of the same seed in the simulator, and slot i of a vector gives those of one environment with slot i's
seed. Where not all actions exist, ``info["action_mask"]`` marks those that do.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import fields
from typing import Any

import gymnasium
import numpy as np
from gymnasium.vector import AutoresetMode
from gymnasium.vector.utils import batch_space

from envs.parts.pictures import letters, picture
from simulator.core import plugins, seeds
from simulator.core.protocols import Array, Spec, World

RENDER_MODES = ["ansi", "rgb_array"]
_FRAME_PIXELS = 512  # a frame's longer side is about that


class RoomsEnv(gymnasium.Env[Any, Any]):
    """One walker in the rooms.

    Args:
        render_mode: None, "ansi" or "rgb_array".
        settings: those of :class:`envs.rooms.Config`.

    Raises:
        ValueError: an unknown setting or a bad value; one line.
    """

    metadata = {"render_modes": RENDER_MODES, "render_fps": 8}  # noqa: RUF012 - Gymnasium's own form

    def __init__(self, render_mode: str | None = None, **settings: Any) -> None:
        self.render_mode = _known_mode(render_mode)
        self._world = _make([0], settings)
        self.observation_space, self.action_space = self._world.spec.observation, self._world.spec.action
        self._seeded = self._begun = False

    def reset(self, *, seed: int | None = None, options: Mapping[str, Any] | None = None) -> tuple[Any, dict[str, Any]]:
        """Start an episode; without a seed, the next one of the same stream."""
        super().reset(seed=seed)
        if seed is not None or not self._seeded:
            reseed(self._world, [_entropy(self)])
            self._seeded, self._begun = True, False
        obs = self._world.observe() if self._begun else self._world.reset()
        self._begun = self._over = False
        return _single(obs), _info(self._world.spec, obs)

    def step(self, action: Any) -> tuple[Any, float, bool, bool, dict[str, Any]]:
        """Move; the world has the next episode ready as soon as one has ended."""
        step = self._world.step(np.array([action]))
        self._begun = bool(step.terminated[0] or step.truncated[0])
        ends = bool(step.terminated[0]), bool(step.truncated[0])
        return _single(step.final_obs), float(step.reward[0]), *ends, _info(self._world.spec, step.final_obs)

    def render(self) -> Any:
        """The map as text or as pixels, uint8 [height, width, 3]; after an episode's end, where it ended."""
        return _frame(self._world.last_scene(0), self.render_mode)
