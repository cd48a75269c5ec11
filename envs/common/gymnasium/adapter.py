"""Adapter of Gymnasium ids: S environments, each seeded by its own stream.

Never an environment's own vector version, whose slots may share one generator. Environments that have a compiled
equivalent here (classic control, toy text) run as that, with the same bits, unless ``native`` is off.

Observations are Discrete or Box; a ``MultiDiscrete`` or a ``Tuple`` of ``Discrete`` (Blackjack) is seen as the one
index that counts its values in row-major order. Of any other ``Dict`` or ``Tuple`` the setting ``keys`` chooses what
is seen (:mod:`envs.common.gymnasium.wrappers`). Actions are Discrete or Box. Both count from 0.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from functools import partial
from operator import le
from typing import Any, NamedTuple

import numpy as np
from gymnasium import spaces
from gymnasium.envs.registration import EnvSpec as GymSpec

from envs.common.gymnasium import atari, wrappers
from envs.common.gymnasium.atari import Atari
from envs.common.gymnasium.ids import (
    SingleEnv,
    create,
    files_of,
    find,
    id_in_file,
    instead_of_file,
    is_known,
    known_ids,
    load_file,
    only_env,
)
from envs.common.gymnasium.single_env import Refused, Slot, brief
from simulator.core import rng as streams
from simulator.core.episodes import naming_run_seeds
from simulator.core.field_types import CountOrZero
from simulator.core.foreign.casts import held
from simulator.core.foreign.faults import FOREIGN, PlayerError, guarded, player_error
from simulator.core.notices import notice
from simulator.core.protocols import Array, Env, EnvSpec, State, Step
from simulator.core.scene import Scene

__all__ = [
    "Config",
    "GymnasiumEnv",
    "files",
    "files_of",
    "find",
    "id_in_file",
    "instead_of_file",
    "is_known",
    "known_ids",
    "load_file",
    "make",
    "only_env",
]
MAX_REWARD = float(np.finfo(np.float32).max)  # the largest reward that a learner can take
MAX_TURN_FRAMES = 10  # frames per second up to which an environment waits for its player
MAX_FRAMES = 120  # more are not drawn
SMALL_SIZE = 256  # numbers that a list sums faster than an array
MASKED = "its action_mask is not used, every action may be chosen; masks = true uses it"
MASKS = "its info has an action_mask, which no agent looks at: every action may be chosen"


@dataclass(frozen=True)
class Config:
    """Settings of a Gymnasium id."""

    native: bool = True
    """Classic control and toy text run compiled, with the same numbers; off: the original is stepped."""
    kwargs: dict[str, bool | int | float | str] = field(default_factory=dict)
    """Settings of the environment itself, as its ``gymnasium.make`` takes them."""
    max_steps: CountOrZero = 0
    """Environment steps after which an episode is truncated; 0: as registered."""
    masks: bool = False
    """Agents choose among the actions of the environment's ``action_mask(state)`` only (Taxi); masks that are known
    from ``info`` alone are not used."""
    keys: tuple[str, ...] = ()
    """Parts of a Dict or Tuple observation that are seen, by key or number; one alone stays as it is (a picture is a
    picture), several become one vector; all: every part of numbers."""
    wrappers: tuple[str, ...] = ()
    """Wrappers around each environment, ``module:Wrapper`` or ``./file.py:Wrapper``, the first the innermost."""
    atari: Atari = field(default_factory=Atari)
    """Preprocessing of Atari games (ids of ALE/)."""


def files(config: Config) -> list[str]:
    """List the files of wrappers: their content is part of a run's settings."""
    return wrappers.files(config.wrappers)


class Spaces(NamedTuple):
    """The spaces that a Gymnasium environment declares; the spec has those that agents see."""

    observation: spaces.Space[Any]
    action: spaces.Space[Any]


def make(env_id: str, seeds: Sequence[int], config: Config, name: str = "") -> Env:
    """Make the environment ``env_id`` (``CartPole-v1``, ``module:EnvId``), one environment per seed.

    ``name`` replaces the id in the spec.

    Raises:
        ValueError: the id is not registered, cannot be made as asked, or has a space that is not supported.
    """
    gym_spec = find(env_id)
    env_id = name or env_id
    build = _builder(env_id, gym_spec, config)
    first = build()
    with guarded(f"environment {env_id}: its spaces cannot be read"):
        slot = Slot(first, env_id, 0)
    limit = first.spec.max_episode_steps if first.spec else None
    if limit is None and atari.is_atari(gym_spec):
        limit = atari.longest(gym_spec, config.atari)
    spec = EnvSpec(
        env_id,
        slot.observation_space,
        slot.action_space,
        limit,
        reward_threshold=gym_spec.reward_threshold,
        steps_per_second=_pace(first, slot.observation_space),
    )
    mask = getattr(first.unwrapped, "action_mask", None)
    if config.masks:
        spec = replace(spec, legal_actions=_legal(env_id, spec, mask))
    is_wrapped = bool(config.wrappers or config.keys)
    spec, native = (spec, None) if is_wrapped else _describe(spec, first)
    notes = (MASKED,) if callable(mask) and not config.masks else ()
    declared = Spaces(first.observation_space, first.action_space)
    if native and config.native:
        env = native(seeds)
        env.notes = notes  # type: ignore[attr-defined]
        env.spaces = declared  # type: ignore[attr-defined]
        return env
    with suppress(*FOREIGN):  # an error of close changes nothing
        first.close()
    singles = [build() for _ in seeds]
    machines = [atari.Emulator(single) if atari.is_atari(gym_spec) else None for single in singles]
    numbers = streams.derived_seeds(seeds, "env")
    slots = [Slot(*parts) for parts in zip(singles, [env_id] * len(singles), numbers, machines, strict=True)]
    env = GymnasiumEnv(spec, slots, seeds)
    env.notes = notes
    env.spaces = declared
    outermost: Any = singles[0]
    if config.keys:
        env.chosen_parts = outermost.chosen
    return env


def _pace(env: SingleEnv, observation: spaces.Space[Any]) -> float | None:
    """Return the steps per second of an environment in real time: one of vectors or images that is drawn fast enough.

    Grids and card games declare a frame rate too, of a few frames, but wait for the player.
    """
    frames = getattr(env.unwrapped, "metadata", {}).get("render_fps")
    if not isinstance(frames, int | float) or isinstance(frames, bool):
        return None
    if frames <= MAX_TURN_FRAMES or isinstance(observation, spaces.Discrete):
        return None
    return float(min(frames, MAX_FRAMES))


def _legal(env_id: str, spec: EnvSpec, mask: Any) -> Array:
    """Ask the environment's own ``action_mask(state)`` for the legal actions at each observation, bool [n, A]."""
    place = f"environment {env_id}: masks = true"
    numbered = isinstance(spec.observation, spaces.Discrete) and isinstance(spec.action, spaces.Discrete)
    if not callable(mask) or not numbered:
        raise ValueError(f"{place}: expected an environment with a method action_mask(state) of Discrete states")
    space: Any = spec.observation
    with guarded(place):
        legal = np.array([mask(state) for state in range(space.n)], np.bool_)
    if legal.shape != (space.n, spec.action.n) or not legal.any(axis=1).all():  # type: ignore[attr-defined]
        raise ValueError(f"{place}: its masks have the shape {legal.shape}, expected an action at least in every state")
    return legal


def _builder(env_id: str, spec: GymSpec, config: Config) -> Callable[[], SingleEnv]:
    atari.checked(env_id, config.atari, spec, config.kwargs)
    if not atari.is_atari(spec):
        return _wrapping(env_id, partial(create, env_id, spec, config.kwargs, config.max_steps), config)
    kwargs = {**config.kwargs, **atari.make_kwargs(config.atari)}
    finish = partial(atari.preprocessed, settings=config.atari, max_steps=config.max_steps)
    return _wrapping(env_id, partial(create, env_id, spec, kwargs, 0, finish), config)


def _wrapping(env_id: str, build: Callable[[], SingleEnv], config: Config) -> Callable[[], SingleEnv]:
    """Return a builder of wrapped environments."""
    return lambda: wrappers.wrapped(build(), env_id, config.wrappers, config.keys)


def _describe(spec: EnvSpec, first: SingleEnv) -> tuple[EnvSpec, Callable[[Sequence[int]], Env] | None]:
    """Describe the environment beyond its id, and return the maker of its compiled equivalent, if there is one."""
    from envs.common.gymnasium import compiled_equivalents, export, toy_text  # loads the exact solvers

    if toy_text.fits(first):
        spec = toy_text.describe(spec, first)
        return spec, lambda seeds: toy_text.env(spec, first, seeds)
    equivalent = compiled_equivalents.compiled_equivalent(first, spec.max_steps)
    if equivalent is not None:
        spec = replace(equivalent.module.describe(equivalent.config), id=spec.id)
        return spec, lambda seeds: equivalent.make(seeds, spec)
    exported = export.spec_of(first)
    if exported is not None and exported.max_steps == (spec.max_steps or exported.max_steps):
        facts = ("max_steps", "random_score", "reward_threshold", "mdp", "state_obs", "legal_actions", "gamma")
        spec = replace(spec, **{name: getattr(exported, name) for name in facts})
    return spec, None


class GymnasiumEnv:
    """S Gymnasium environments as one environment.

    Args:
        spec: description of the environments.
        slots: one environment per seed.
        seeds: the seeds, for what errors say.
    """

    def __init__(self, spec: EnvSpec, slots: Sequence[Slot], seeds: Sequence[int]) -> None:
        self.spec = spec
        self.slots = list(slots)
        self._seeds = list(seeds)
        shape = (len(self.slots), *(spec.observation.shape or ()))
        kind = spec.observation.dtype
        self._expected = (len(self.slots), *(spec.action.shape or ()))
        self._steps = tuple(_buffers(shape, kind) for _ in range(2))
        self._obs = np.zeros(shape, kind)
        self._turn = 0
        self._taken = 0
        self._looked_at: set[int] = set()  # seeds whose scene somebody asked for in this episode
        self._ends: dict[int, Scene | None] = {}  # of seed numbers: how the latest episode ended
        space: Any = spec.action
        n = len(self.slots)
        box = isinstance(space, spaces.Box)
        low, high = (_inside(space.low), _inside(space.high)) if box else ([0], [int(space.n) - 1])
        self._bounds = (low * n, high * n)
        self._told_of_masks = self._told_of_bounds = False
        self.notes: tuple[str, ...] = ()  # notices, printed when a run begins
        self.spaces = Spaces(spec.observation, spec.action)
        self.chosen_parts: Callable[[Any], Any] = lambda raw_obs: raw_obs  # of an observation of the setting keys
        self._may_be_nan = np.dtype(kind).kind == "f"

    def reset(self) -> Array:
        """Start an episode in every seed; [S, *obs]."""
        self._obs = np.zeros_like(self._obs)
        for i, slot in enumerate(self.slots):
            self._obs[i] = self._begin(i, slot)
            if self._may_be_nan and _has_nan(self._obs[i]):
                raise self._not_finite(i, "observed", self._obs[i])
        return self._obs.copy()

    def step(self, actions: Array) -> Step:
        """Move every seed by its action; see :class:`simulator.core.protocols.Step`.

        Raises:
            ValueError: an action outside the action space; NaN from the environment.
        """
        chosen = self._checked(np.asarray(actions))
        self._turn ^= 1
        self._taken += 1
        step = self._steps[self._turn]
        obs, reward, terminated, truncated, final_obs = step
        for i, slot in enumerate(self.slots):
            try:
                slot_obs, slot_reward, terminated[i], truncated[i] = slot.step(chosen[i])
            except FOREIGN as error:
                raise self._failure(i, "step", error) from error
            final_obs[i] = slot_obs
            next_obs = slot_obs
            if terminated[i] or truncated[i]:
                self._ends[i] = self.scene(i) if i in self._looked_at else None
                self._looked_at.discard(i)
                next_obs = self._begin(i, slot)
            obs[i] = next_obs
            if not -MAX_REWARD <= slot_reward <= MAX_REWARD:
                raise self._not_finite(i, "got reward", slot_reward)
            reward[i] = slot_reward
            if self._may_be_nan and (_has_nan(final_obs[i]) or _has_nan(next_obs)):
                raise self._not_finite(i, "observed", final_obs[i] if _has_nan(final_obs[i]) else next_obs)
        np.copyto(self._obs, obs)  # callers may change what they get
        return step

    def observe(self) -> Array:
        """Return current observations, [S, *obs]."""
        return self._obs.copy()

    def scene(self, index: int) -> Scene:
        """Make a scene of the rendered image, if there is one, and the step of the episode."""
        self._looked_at.add(index)
        slot = self.slots[index]
        return Scene(self.spec.id, image=_picture(slot.env), facts={"step": str(len(slot.actions))})

    def last_scene(self, index: int) -> Scene:
        """Return how the latest episode of a seed ended, if it was looked at; else the scene of now."""
        return self._ends.get(index) or self.scene(index)

    def state(self) -> State:
        """Return the seeds of every episode, the actions since, and the current observations."""
        for slot in self.slots:
            self._tell(slot)  # also of episodes that never end
        return {"slots": [slot.note() for slot in self.slots], "taken": self._taken}

    def restore(self, state: State) -> bool:
        """Play every seed's episode again; False if one came out differently and a new one began there."""
        exact = True
        self._taken = int(state["taken"])
        self._obs = np.zeros_like(self._obs)
        for i, (slot, note) in enumerate(zip(self.slots, state["slots"], strict=True)):
            try:
                self._obs[i], same = slot.play(note)
            except FOREIGN as error:
                raise self._failure(i, "reset", error) from error
            exact &= same
        return exact

    def _checked(self, actions_array: Array) -> Array:
        """Check actions and copy them in the space's own type."""
        space: Any = self.spec.action
        if actions_array.shape != self._expected:
            raise ValueError(f"{self.spec.id}: actions have the shape {actions_array.shape}, expected {self._expected}")
        if isinstance(space, spaces.Discrete):
            if actions_array.dtype.kind in "iu" and all(0 <= action < space.n for action in actions_array.tolist()):
                return actions_array.astype(space.dtype)
            expected = f"0 to {space.n - 1}"
        else:
            expected = "values within the bounds of the action space"
        exact = held(actions_array, np.dtype(space.dtype))
        if exact is not None and self._within(exact):
            return exact
        for seed, action in zip(self._seeds, actions_array, strict=True):
            alone = held(action, np.dtype(space.dtype))
            if alone is None or not self._within(np.broadcast_to(alone, actions_array.shape)):
                raise ValueError(f"{self.spec.id}: seed {seed} was given action {brief(action)}, expected {expected}")
        raise ValueError(f"{self.spec.id}: actions {brief(actions_array)}, expected {expected} for every seed")

    def _within(self, actions: Array) -> bool:
        """Return whether actions of the space's own type are all within its bounds."""
        flat = actions.ravel().tolist()
        return all(map(le, self._bounds[0], flat)) and all(map(le, flat, self._bounds[1]))

    def _begin(self, i: int, slot: Slot) -> Array:
        """Start an episode in one slot."""
        try:
            obs = slot.reset()
        except FOREIGN as error:
            raise self._failure(i, "reset", error) from error
        self._tell(slot)
        return obs

    def _tell(self, slot: Slot) -> None:
        """Say once what of an environment is not used, or not as declared."""
        if slot.masked and not self._told_of_masks and self.spec.legal_actions is None:
            self._told_of_masks = True
            notice(self.spec.id, MASKS)
        if slot.left_bounds and not self._told_of_bounds:
            self._told_of_bounds = True
            notice(self.spec.id, f"it shows what is outside of its {brief(self.spec.observation)}; taken as it is")

    def _failure(self, i: int, call: str, error: BaseException) -> PlayerError:
        """Describe the failure of one seed's environment in one line."""
        when = f"in step {self._taken}"
        if call == "reset":
            when = f"in the reset after step {self._taken}" if self._taken else "in its first reset"
        place = f"{self.spec.id}: seed {self._seeds[i]}"
        if isinstance(error, Refused):
            return PlayerError(f"{place}, {when}: {error}")
        failure = player_error(f"{place} failed {when}", error, _hint(error))
        number = self.slots[i].seed  # the environment's own words name it
        failure.args = (naming_run_seeds(failure.args[0], [number], [self._seeds[i]]),)
        return failure

    def _not_finite(self, i: int, verb: str, value: Any) -> PlayerError:
        said = f"seed {self._seeds[i]} {verb} {brief(value)} in step {self._taken}"
        return PlayerError(f"{self.spec.id}: {said}, expected numbers")


def _hint(error: BaseException) -> str:
    """Return a hint where an error shows that an environment is written for another API."""
    text = str(error)
    if isinstance(error, TypeError) and "unexpected keyword argument 'seed'" in text:
        return "expected reset(*, seed=None, options=None), the API of gym before 0.26 has no seed there"
    if isinstance(error, ValueError) and text.startswith("not enough values to unpack (expected 5, got 4"):
        return "its step gives four values, that is the API of gym before 0.26, expected five"
    return ""


def _has_nan(obs: Array) -> bool:
    """Tell whether values hold NaN, fast: sum first, and check infinities of both signs again."""
    if obs.size <= SMALL_SIZE:
        total = sum(obs.ravel().tolist())
        if total == total:
            return False
    return bool(np.isnan(obs).any())


def _inside(bound: Array) -> list[float]:
    """Return one bound of a Box of actions as numbers; the largest finite one where there is none."""
    if bound.dtype.kind == "f":
        most = np.finfo(bound.dtype).max
        bound = np.clip(bound, -most, most)
    return list(bound.ravel().tolist())


def _buffers(shape: tuple[int, ...], kind: Any) -> Step:
    return Step(
        obs=np.zeros(shape, kind),
        reward=np.zeros(shape[0], np.float32),
        terminated=np.zeros(shape[0], np.bool_),
        truncated=np.zeros(shape[0], np.bool_),
        final_obs=np.zeros(shape, kind),
    )


def _picture(env: SingleEnv) -> Array | None:
    """Render uint8 [H, W, 3], or None. Without a screen, environments that open a display get a dummy one."""
    try:
        core: Any = env.unwrapped
        draws = env.render_mode in (None, "rgb_array") and "rgb_array" in core.metadata.get("render_modes", ())
    except FOREIGN:
        return None
    if not draws:
        return None
    os.environ.setdefault("PYGAME_HIDE_SUPPORT_PROMPT", "1")
    if not any(name in os.environ for name in ("DISPLAY", "WAYLAND_DISPLAY")):
        os.environ.setdefault("SDL_VIDEODRIVER", "dummy")
    asked = getattr(core, "render_mode", None)
    try:
        core.render_mode = "rgb_array"  # for environments that draw along as soon as they may
        image = np.asarray(env.render())
    except FOREIGN:  # drawing is a courtesy: an environment that fails at it still runs
        return None
    finally:
        core.render_mode = asked
    return image if image.ndim == 3 and image.dtype == np.uint8 else None
