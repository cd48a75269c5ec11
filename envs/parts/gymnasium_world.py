"""Any Gymnasium id as a world: S environments side by side, each seeded by itself, none by its neighbour's stream.

``SyncVectorEnv`` with same-step reset and a list of seeds; never an environment's own vector version, whose slots may
share one generator. Worlds of Gymnasium's toy-text family run by table instead, with the same bits, unless
``native`` is off.

Observations are Discrete or Box; a ``MultiDiscrete`` or a ``Tuple`` of ``Discrete`` (Blackjack) is seen as the one
index that counts its values in row-major order. Actions are Discrete or Box. Both count from 0.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any

import numpy as np
from gymnasium import spaces
from gymnasium.vector import AutoresetMode, SyncVectorEnv

from envs.parts.gymnasium_ids import create, find, is_known, known_ids
from envs.parts.gymnasium_slot import Slot, brief
from simulator.core import seeds as streams
from simulator.core.protocols import Array, Spec, State, Step, World
from simulator.core.ranges import CountOrZero
from simulator.core.scene import Scene

__all__ = ["Config", "GymnasiumWorld", "is_known", "known_ids", "make"]


@dataclass(frozen=True)
class Config:
    """Settings of a Gymnasium id."""

    native: bool = True
    """Toy-text worlds run compiled, by table, with the same numbers; off: the original is stepped."""
    kwargs: dict[str, bool | int | float | str] = field(default_factory=dict)
    """Settings of the environment itself, as its ``gymnasium.make`` takes them."""
    max_steps: CountOrZero = 0
    """Environment steps after which an episode is cut; 0: as registered."""


def make(env_id: str, seeds: Sequence[int], config: Config) -> World:
    """The world ``env_id`` (``CartPole-v1``, ``module:EnvId``), one environment per seed.

    Raises:
        ValueError: the id is not registered, cannot be made as asked, or has a space that is not supported.
    """
    found = find(env_id)
    build = partial(create, env_id, found, config.kwargs, config.max_steps)
    first = build()
    slot = Slot(first, env_id, 0)
    limit = first.spec.max_episode_steps if first.spec else None
    spec = Spec(env_id, slot.observation_space, slot.action_space, limit, solved=found.reward_threshold)

    from envs.parts import toy_text  # loads the exact solvers

    if toy_text.fits(first):
        spec = toy_text.describe(spec, first)
        if config.native:
            return toy_text.world(spec, first, seeds)
    known = getattr(first.unwrapped, "world_spec", None)
    if known is not None and known.max_steps == (limit or known.max_steps):
        facts = ("max_steps", "floor", "solved", "mdp", "state_obs", "legal", "gamma")
        spec = replace(spec, **{name: getattr(known, name) for name in facts})
    first.close()
    return GymnasiumWorld(spec, [Slot(build(), env_id, n) for n in streams.integers(seeds, "world")])


class GymnasiumWorld:
    """S Gymnasium environments as one world.

    Args:
        spec: what they are.
        slots: one environment per seed.
    """

    def __init__(self, spec: Spec, slots: Sequence[Slot]) -> None:
        self.spec, self.slots = spec, list(slots)
        makers = [partial(_itself, slot) for slot in self.slots]
        self._envs = SyncVectorEnv(makers, copy=False, autoreset_mode=AutoresetMode.SAME_STEP)
        shape = (len(self.slots), *(spec.observation.shape or ()))
        self._steps = tuple(_buffers(shape, spec.observation.dtype) for _ in range(2))
        self._obs, self._turn, self._taken = np.zeros(shape, spec.observation.dtype), 0, 0

    def reset(self) -> Array:
        """Start an episode in every seed; [S, *obs]."""
        self._obs[...] = self._envs.reset()[0]
        self._refuse("observed", self._obs, _nan(self._obs))
        return self._obs.copy()

    def step(self, actions: Array) -> Step:
        """Move every seed by its action; see :class:`simulator.core.protocols.Step`.

        Raises:
            ValueError: an action outside the action space; nan from the world.
        """
        chosen = self._checked(actions)
        self._turn, self._taken = self._turn ^ 1, self._taken + 1
        step = self._steps[self._turn]
        try:
            obs, reward, step.terminated[:], step.truncated[:], infos = self._envs.step(chosen)
        except Exception as error:  # a foreign world may raise anything
            said = " ".join(str(error).split())[:200]
            raise ValueError(f"{self.spec.id} failed in step {self._taken}: {type(error).__name__}: {said}") from error
        step.obs[...] = step.final_obs[...] = obs
        with np.errstate(over="ignore"):
            step.reward[:] = reward
        if "_final_obs" in infos:
            for i in np.flatnonzero(infos["_final_obs"]):
                step.final_obs[i] = infos["final_obs"][i]
            self._refuse("observed", step.obs, _nan(step.obs))
        self._refuse("observed", step.final_obs, _nan(step.final_obs))
        self._refuse("earned", reward, ~np.isfinite(step.reward))
        self._obs[...] = step.obs
        return step

    def observe(self) -> Array:
        """What is seen now, [S, *obs]."""
        return self._obs.copy()

    def scene(self, index: int) -> Scene:
        """A picture where the environment can draw itself, and the step of the episode."""
        slot = self.slots[index]
        return Scene(self.spec.id, image=_picture(slot), facts={"step": str(len(slot.actions))})

    def state(self) -> State:
        """How every episode began, what was done since, and what is seen now."""
        return {"slots": [slot.note() for slot in self.slots], "taken": self._taken}

    def restore(self, state: State) -> bool:
        """Play every seed's episode again; False if one came out differently and a new one began there."""
        exact, self._taken = True, int(state["taken"])
        for i, (slot, note) in enumerate(zip(self.slots, state["slots"], strict=True)):
            self._obs[i], same = slot.play(note)
            exact &= same
        return exact

    def _checked(self, actions: Array) -> Array:
        space = self.spec.action
        given = np.asarray(actions)
        expected = (len(self.slots), *(space.shape or ()))
        if given.shape != expected:
            raise ValueError(f"{self.spec.id}: actions have the shape {given.shape}, expected {expected}")
        if isinstance(space, spaces.Discrete):
            within, say = (given >= 0) & (given < space.n), f"0 to {space.n - 1}"
            if given.dtype.kind == "f":
                within &= given == np.floor(given)
        else:
            given, say = given.astype(space.dtype), "values within the bounds of the action space"
            within = ((given >= space.low) & (given <= space.high)).reshape(len(given), -1).all(axis=1)
        if not within.all():
            wrong = int(np.argmin(within))
            shown = brief(given[wrong])
            raise ValueError(f"{self.spec.id}: seed number {wrong} was given action {shown}, expected {say}")
        return given.astype(space.dtype)

    def _refuse(self, what: str, values: Array, wrong: Array) -> None:
        """Stop at numbers that no learner can use; ``wrong`` is [S, ...]."""
        if not wrong.any():
            return
        i = int(np.argmax(wrong.reshape(len(wrong), -1).any(axis=1)))
        shown = brief(values[i])
        raise ValueError(f"{self.spec.id}: seed number {i} {what} {shown} in step {self._taken}, expected numbers")


def _itself(slot: Slot) -> Slot:
    return slot


def _buffers(shape: tuple[int, ...], kind: Any) -> Step:
    flags = [np.zeros(shape[0], np.bool_) for _ in range(2)]
    return Step(np.zeros(shape, kind), np.zeros(shape[0], np.float32), *flags, np.zeros(shape, kind))


def _nan(values: Array) -> Array:
    return np.isnan(values) if values.dtype.kind == "f" else np.zeros(len(values), bool)


def _picture(slot: Slot) -> Array | None:
    """uint8 [H, W, 3], or None. Some worlds open a display for it: without a screen, a dummy one."""
    if slot.render_mode != "rgb_array":
        return None
    os.environ.setdefault("PYGAME_HIDE_SUPPORT_PROMPT", "1")
    if not any(name in os.environ for name in ("DISPLAY", "WAYLAND_DISPLAY")):
        os.environ.setdefault("SDL_VIDEODRIVER", "dummy")
    try:
        image = np.asarray(slot.render())
    except Exception:  # drawing is a courtesy: a world that fails at it still runs
        return None
    return image if image.ndim == 3 and image.dtype == np.uint8 else None
