"""Any Gymnasium id as a world: S environments side by side, each seeded by itself, none by its neighbour's stream.

Never an environment's own vector version, whose slots may share one generator. Worlds that have a compiled twin here
(classic control, toy text) run as that, with the same bits, unless ``native`` is off.

Observations are Discrete or Box; a ``MultiDiscrete`` or a ``Tuple`` of ``Discrete`` (Blackjack) is seen as the one
index that counts its values in row-major order. Actions are Discrete or Box. Both count from 0.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from operator import le
from typing import Any

import numpy as np
from gymnasium import spaces
from gymnasium.envs.registration import EnvSpec

from envs.parts import atari
from envs.parts.atari import Atari
from envs.parts.gymnasium_ids import (
    Env,
    create,
    files_of,
    find,
    id_in_file,
    instead_of_file,
    is_known,
    known_ids,
    load_file,
)
from envs.parts.gymnasium_slot import Slot, brief
from simulator.core import seeds as streams
from simulator.core.protocols import Array, Spec, State, Step, World
from simulator.core.ranges import CountOrZero
from simulator.core.scene import Scene

__all__ = [
    "Config",
    "GymnasiumWorld",
    "files_of",
    "find",
    "id_in_file",
    "instead_of_file",
    "is_known",
    "known_ids",
    "load_file",
    "make",
]
_MOST = float(np.finfo(np.float32).max)  # the largest reward that a learner can take
_FEW = 256


@dataclass(frozen=True)
class Config:
    """Settings of a Gymnasium id."""

    native: bool = True
    """Classic control and toy text run compiled, with the same numbers; off: the original is stepped."""
    kwargs: dict[str, bool | int | float | str] = field(default_factory=dict)
    """Settings of the environment itself, as its ``gymnasium.make`` takes them."""
    max_steps: CountOrZero = 0
    """Environment steps after which an episode is cut; 0: as registered."""
    atari: Atari = field(default_factory=Atari)
    """How Atari games (ids of ALE/) are seen and played."""


def make(env_id: str, seeds: Sequence[int], config: Config, name: str = "") -> World:
    """The world ``env_id`` (``CartPole-v1``, ``module:EnvId``), one environment per seed.

    ``name`` is what it goes by, where not by its id.

    Raises:
        ValueError: the id is not registered, cannot be made as asked, or has a space that is not supported.
    """
    found = find(env_id)
    env_id = name or env_id
    build = _builder(env_id, found, config)
    first = build()
    slot = Slot(first, env_id, 0)
    limit = first.spec.max_episode_steps if first.spec else None
    if limit is None and atari.is_atari(found):
        limit = atari.longest(found, config.atari)
    spec = Spec(env_id, slot.observation_space, slot.action_space, limit, solved=found.reward_threshold)
    spec, native = _described(spec, first)
    if native and config.native:
        return native(seeds)
    first.close()
    envs = [build() for _ in seeds]
    machines = [atari.Emulator(env) if atari.is_atari(found) else None for env in envs]
    numbers = streams.integers(seeds, "world")
    slots = [Slot(*each) for each in zip(envs, [env_id] * len(envs), numbers, machines, strict=True)]
    return GymnasiumWorld(spec, slots, seeds)


def _builder(env_id: str, found: EnvSpec, config: Config) -> Callable[[], Env]:
    atari.checked(env_id, config.atari, found, config.kwargs)
    if not atari.is_atari(found):
        return partial(create, env_id, found, config.kwargs, config.max_steps)
    kwargs = {**config.kwargs, **atari.make_kwargs(config.atari)}
    finish = partial(atari.preprocessed, settings=config.atari, max_steps=config.max_steps)
    return partial(create, env_id, found, kwargs, 0, finish)


def _described(spec: Spec, first: Env) -> tuple[Spec, Callable[[Sequence[int]], World] | None]:
    """What is known of the world beside its id, and what makes its compiled twin."""
    from envs.parts import native_ids, toy_text  # loads the exact solvers

    if toy_text.fits(first):
        spec = toy_text.describe(spec, first)
        return spec, lambda seeds: toy_text.world(spec, first, seeds)
    twin = native_ids.twin(first, spec.max_steps)
    if twin is not None:
        spec = replace(twin.module.describe(twin.config), id=spec.id)
        return spec, lambda seeds: twin.make(seeds, spec)
    known = getattr(first.unwrapped, "world_spec", None)
    if known is not None and known.max_steps == (spec.max_steps or known.max_steps):
        facts = ("max_steps", "floor", "solved", "mdp", "state_obs", "legal", "gamma")
        spec = replace(spec, **{name: getattr(known, name) for name in facts})
    return spec, None


class GymnasiumWorld:
    """S Gymnasium environments as one world.

    Args:
        spec: what they are.
        slots: one environment per seed.
        seeds: the seeds, for what errors say.
    """

    def __init__(self, spec: Spec, slots: Sequence[Slot], seeds: Sequence[int]) -> None:
        self.spec, self.slots, self._seeds = spec, list(slots), list(seeds)
        shape, kind = (len(self.slots), *(spec.observation.shape or ())), spec.observation.dtype
        self._expected = (len(self.slots), *(spec.action.shape or ()))
        self._steps = tuple(_buffers(shape, kind) for _ in range(2))
        self._obs, self._turn, self._taken = np.zeros(shape, kind), 0, 0
        space, n = spec.action, len(self.slots)
        box = isinstance(space, spaces.Box)
        self._bounds = (space.low.ravel().tolist() * n, space.high.ravel().tolist() * n) if box else ([], [])
        self._may_be_nan = np.dtype(kind).kind == "f"

    def reset(self) -> Array:
        """Start an episode in every seed; [S, *obs]."""
        self._obs = np.zeros_like(self._obs)
        for i, slot in enumerate(self.slots):
            self._obs[i] = slot.reset()
            if self._may_be_nan and _has_nan(self._obs[i]):
                raise self._sick(i, "observed", self._obs[i])
        return self._obs.copy()

    def step(self, actions: Array) -> Step:
        """Move every seed by its action; see :class:`simulator.core.protocols.Step`.

        Raises:
            ValueError: an action outside the action space; nan from the world.
        """
        chosen = self._checked(np.asarray(actions))
        self._turn, self._taken = self._turn ^ 1, self._taken + 1
        step = self._steps[self._turn]
        obs, reward, terminated, truncated, final_obs = step
        for i, slot in enumerate(self.slots):
            try:
                seen, earned, terminated[i], truncated[i] = slot.step(chosen[i])
                final_obs[i] = seen
                next_seen = slot.reset() if terminated[i] or truncated[i] else seen
                obs[i] = next_seen
            except Exception as error:  # a foreign world may raise anything
                raise self._failure(i, error) from error
            if not -_MOST <= earned <= _MOST:
                raise self._sick(i, "earned", earned)
            reward[i] = earned
            if self._may_be_nan and (_has_nan(final_obs[i]) or _has_nan(next_seen)):
                raise self._sick(i, "observed", final_obs[i] if _has_nan(final_obs[i]) else next_seen)
        self._obs = obs
        return step

    def observe(self) -> Array:
        """What is seen now, [S, *obs]."""
        return self._obs.copy()

    def scene(self, index: int) -> Scene:
        """A picture where the environment can draw itself, and the step of the episode."""
        slot = self.slots[index]
        return Scene(self.spec.id, image=_picture(slot.env), facts={"step": str(len(slot.actions))})

    def state(self) -> State:
        """How every episode began, what was done since, and what is seen now."""
        return {"slots": [slot.note() for slot in self.slots], "taken": self._taken}

    def restore(self, state: State) -> bool:
        """Play every seed's episode again; False if one came out differently and a new one began there."""
        exact, self._taken, self._obs = True, int(state["taken"]), np.zeros_like(self._obs)
        for i, (slot, note) in enumerate(zip(self.slots, state["slots"], strict=True)):
            self._obs[i], same = slot.play(note)
            exact &= same
        return exact

    def _checked(self, given: Array) -> Array:
        """The actions, as new memory in the space's own type."""
        space = self.spec.action
        if given.shape != self._expected:
            raise ValueError(f"{self.spec.id}: actions have the shape {given.shape}, expected {self._expected}")
        if isinstance(space, spaces.Discrete):
            if given.dtype.kind in "iu" and all(0 <= action < space.n for action in given.tolist()):
                return given.astype(space.dtype)
            within = (given >= 0) & (given < space.n) & (given == np.floor(given))
            say = f"0 to {space.n - 1}"
        else:
            given, say = given.astype(space.dtype), "values within the bounds of the action space"
            flat = given.ravel().tolist()
            if all(map(le, self._bounds[0], flat)) and all(map(le, flat, self._bounds[1])):
                return given
            within = ((given >= space.low) & (given <= space.high)).reshape(len(given), -1).all(axis=1)
        if not within.all():
            wrong = int(np.argmin(within))
            shown = brief(given[wrong])
            raise ValueError(f"{self.spec.id}: seed {self._seeds[wrong]} was given action {shown}, expected {say}")
        return given.astype(space.dtype)

    def _failure(self, i: int, error: Exception) -> ValueError:
        said = " ".join(str(error).split())[:200]
        place = f"{self.spec.id}: seed {self._seeds[i]} failed in step {self._taken}"
        return ValueError(f"{place}: {type(error).__name__}: {said}")

    def _sick(self, i: int, what: str, value: Any) -> ValueError:
        said = f"seed {self._seeds[i]} {what} {brief(value)} in step {self._taken}"
        return ValueError(f"{self.spec.id}: {said}, expected numbers")


def _has_nan(obs: Array) -> bool:
    """Sums of lists are the quickest way to look at few numbers; infinities of both signs need the second look."""
    if obs.size <= _FEW:
        total = sum(obs.ravel().tolist())
        if total == total:
            return False
    return bool(np.isnan(obs).any())


def _buffers(shape: tuple[int, ...], kind: Any) -> Step:
    flags = [np.zeros(shape[0], np.bool_) for _ in range(2)]
    return Step(np.zeros(shape, kind), np.zeros(shape[0], np.float32), *flags, np.zeros(shape, kind))


def _picture(env: Env) -> Array | None:
    """uint8 [H, W, 3], or None. Some worlds open a display for it: without a screen, a dummy one."""
    core: Any = env.unwrapped
    if env.render_mode not in (None, "rgb_array") or "rgb_array" not in core.metadata.get("render_modes", ()):
        return None
    os.environ.setdefault("PYGAME_HIDE_SUPPORT_PROMPT", "1")
    if not any(name in os.environ for name in ("DISPLAY", "WAYLAND_DISPLAY")):
        os.environ.setdefault("SDL_VIDEODRIVER", "dummy")
    asked = getattr(core, "render_mode", None)
    try:
        core.render_mode = "rgb_array"  # for worlds that draw along as soon as they may
        image = np.asarray(env.render())
    except Exception:  # drawing is a courtesy: a world that fails at it still runs
        return None
    finally:
        core.render_mode = asked
    return image if image.ndim == 3 and image.dtype == np.uint8 else None
