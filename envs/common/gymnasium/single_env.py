"""One Gymnasium environment of a batch: flat spaces, and a log of its episode for replay.

Between its start and now an episode is a function of the generator's state before the reset and of the actions since,
for every environment that draws from its ``np_random`` only. A checksum over all that was seen tells whether it was.

Nothing is shared with the environment: it gets copies of actions and may change them, what it shows is copied at once.
Nothing is bent to fit either. What a space of whole numbers cannot hold exactly is refused, because what would be
learned from it is something else (floats from 0 to 1 in bytes are all 0). Floats may be rounded to the space's own
precision but not overflow. Floats outside of the bounds of their Box are taken as they are: many environments in use
leave their declared bounds by a little, Gymnasium's own checker only warns, and no learner here depends on them; it is
said once.
"""

from __future__ import annotations

import textwrap
import zlib
from operator import le
from typing import Any, Protocol

import gymnasium
import numpy as np
from gymnasium import spaces

from envs.common.gymnasium.wrappers import is_numeric, parts_of
from simulator.core import rng as streams
from simulator.core.foreign.casts import held
from simulator.core.foreign.faults import FOREIGN, PlayerError
from simulator.core.protocols import Array

MAX_STATES = 10_000_000  # of an index
SMALL_SIZE = 256  # numbers that a list compares faster than an array
Moved = tuple[Array, float, bool, bool]  # observation, reward, terminated, truncated


class Refused(ValueError):  # noqa: N818 - the value is refused, nothing broke
    """Invalid value of an environment, in words that follow "seed 3"."""


class EmulatorState(Protocol):
    """Emulator inside an environment, with random numbers of its own."""

    def save(self) -> Array:
        """Return the whole state between two episodes, uint8 [n]."""

    def load(self, saved: Array) -> None:
        """Go back there."""


class Slot:
    """An environment with indices from 0 for finite spaces, and arrays of the space's own type and shape.

    A ``Tuple`` of ``Discrete`` and a ``MultiDiscrete`` are seen as one ``Discrete``: the index in row-major order.

    Args:
        env: the environment.
        name: what errors call it.
        seed: what its first episode is seeded with.
        machine: what else an episode begins with, where it draws beside its generator.

    Raises:
        ValueError: a space that no agent here can handle.
    """

    def __init__(
        self, env: gymnasium.Env[Any, Any], name: str, seed: int, machine: EmulatorState | None = None
    ) -> None:
        self.env = env
        self._name = name
        self.seed = seed
        self._fresh = True
        self._machine = machine
        self._sizes, self._first = _finite(env.observation_space)
        self._one = int(self._first[0]) if self._sizes and len(self._sizes) == 1 else None  # where one Discrete begins
        self.observation_space = _seen(env.observation_space, self._sizes, name)
        self.action_space, self._action_first = _actions(env.action_space, name)
        self._kind = np.dtype(self.observation_space.dtype)
        self._shape = self.observation_space.shape or ()
        self._bounds = _bounds(self.observation_space)
        self._low, self._high = (bound.ravel().tolist() for bound in self._bounds) if self._bounds else ([], [])
        self._origin: dict[str, Any] = self._beginning(seed)
        self._obs = np.zeros(self._shape, self._kind)
        self._trace = 0
        self._return = 0.0
        self.actions: list[Any] = []
        self.masked = False  # whether its info has had a mask of actions
        self.left_bounds = False  # whether an observation has left the bounds of its Box

    @property
    def unwrapped(self) -> gymnasium.Env[Any, Any]:
        """Return the unwrapped environment."""
        return self.env.unwrapped

    def reset(self) -> Array:
        """Start an episode: the first one from the slot's seed, later ones from the generator's current state."""
        first = self._fresh
        self._fresh = False
        self._origin = self._beginning(self.seed if first else -1)
        return self._begin(self.seed if first else None)

    def step(self, action: Any) -> Moved:
        """Take a step; terminated and truncated are never both true. The observation is valid until the next step."""
        self.actions.append(action)
        env_action = np.array(action) if self._action_first is None else action + self._action_first
        result = self.env.step(env_action)
        if not isinstance(result, tuple) or len(result) != 5:
            raise Refused(_wrong_step(result))
        raw_obs, raw_reward, terminated, truncated, info = result
        if self.masked is False and isinstance(info, dict) and "action_mask" in info:
            self.masked = True
        reward = raw_reward if type(raw_reward) is float else _number(raw_reward)
        ended = terminated if type(terminated) is bool else _flag("terminated", terminated)
        cut = truncated if type(truncated) is bool else _flag("truncated", truncated)
        self._return += reward
        return self._see(raw_obs), reward, ended, cut and not ended

    def note(self) -> dict[str, Any]:
        """Record everything needed to return to this moment."""
        empty = np.zeros((0, *(self.action_space.shape or ())), self.action_space.dtype)
        actions = np.stack(self.actions) if self.actions else empty
        outcome = {"obs": self._obs.copy(), "trace": self._trace, "return": self._return}
        return {**self._origin, "actions": actions, **outcome}

    def play(self, note: dict[str, Any]) -> tuple[Array, bool]:
        """Replay a recorded episode; return the observation, and whether the replay was the same bit for bit.

        If it was not, a new episode has begun.
        """
        self._fresh = False
        try:
            same = self._retrace(note)
        except FOREIGN:  # a foreign environment may raise anything in another state
            same = False
        return (self._obs, True) if same else (self._return_to(note), False)

    def _retrace(self, note: dict[str, Any]) -> bool:
        self._return_to(note)
        for action in np.asarray(note["actions"]):
            _, _, terminated, truncated = self.step(action)
            if terminated or truncated:  # the noted episode had not ended
                return False
        has_seed = note["seed"] >= 0 or bool(note["known"])
        same = self._trace == note["trace"] and self._return == note["return"]
        return has_seed and same and self._obs.tobytes() == np.asarray(note["obs"]).tobytes()

    def _beginning(self, seed: int) -> dict[str, Any]:
        """Record the beginning of the next episode: a seed, or, if that is -1, the state of its generators."""
        machine = np.zeros(0, np.uint8) if self._machine is None or seed >= 0 else self._machine.save()
        return {"seed": seed, **_generator(self.env.unwrapped if seed < 0 else None), "machine": machine}

    def _return_to(self, note: dict[str, Any]) -> Array:
        """Begin the episode that ``note`` begins with; where its generator is not known, the slot's first one."""
        self._origin = {key: note[key] for key in ("seed", "known", "stream", "half", "machine")}
        if note["seed"] >= 0 or not note["known"]:
            self._origin["seed"] = self.seed
            return self._begin(self.seed)
        bits = streams.unpack_state(np.asarray(note["stream"], np.uint64))
        has, value = (int(word) for word in note["half"])
        bits.state = {**bits.state, "has_uint32": has, "uinteger": value}
        self.env.unwrapped.np_random = np.random.Generator(bits)
        if self._machine is not None:
            self._machine.load(note["machine"])
        return self._begin(None)

    def _begin(self, seed: int | None) -> Array:
        self.actions = []
        self._trace = 0
        self._return = 0.0
        result = self.env.reset(seed=seed)
        if not isinstance(result, tuple) or len(result) != 2 or not isinstance(result[1], dict):
            raise Refused(f"its reset gave {brief(result)}, expected the pair (observation, info)")
        self.masked = self.masked or "action_mask" in result[1]
        return self._see(result[0])

    def _see(self, raw_obs: Any) -> Array:
        """Keep a copy of what is seen, in the space's own type and shape; only the slot ever changes it."""
        if self._one is not None and isinstance(raw_obs, int | np.integer):
            index = int(raw_obs) - self._one
            obs = np.array(index)
            within = 0 <= index < self.observation_space.n  # type: ignore[attr-defined]
        elif self._sizes is not None:
            obs, within = self._index(raw_obs)
        elif type(raw_obs) is np.ndarray and raw_obs.dtype == self._kind:
            obs = np.array(raw_obs, order="C")
            within = raw_obs.shape == self._shape and (self._bounds is None or self._fits(obs))
        else:
            converted = held(raw_obs, self._kind)
            within = converted is not None and converted.shape == self._shape
            obs = self._obs if converted is None else converted
            within = within and (self._bounds is None or self._fits(obs))
        if not within:
            raise Refused(f"observed {brief(raw_obs)}, expected a value of {brief(self.env.observation_space)}")
        self._obs = obs
        self._trace = zlib.crc32(obs.data, self._trace)
        return obs

    def _index(self, raw_obs: Any) -> tuple[Array, bool]:
        """Return the index of a value of a finite space, and whether it is one."""
        parts = held(raw_obs, np.dtype(np.int64))
        if parts is None or parts.size != len(self._first):
            return self._obs, False
        parts = parts.ravel() - self._first
        if not ((parts >= 0) & (parts < self._sizes)).all():
            return self._obs, False
        return np.array(np.ravel_multi_index(tuple(parts), self._sizes or ())), True

    def _fits(self, obs: Array) -> bool:
        """Return whether a value is within the bounds of its Box; floats need not be, which is noted."""
        if obs.size <= SMALL_SIZE:
            flat = obs.ravel().tolist()
            within = all(map(le, self._low, flat)) and all(map(le, flat, self._high))
        else:
            low, high = self._bounds or (obs, obs)
            within = bool((obs >= low).all() and (obs <= high).all())
        if within or self._kind.kind in "iub":
            return within
        self.left_bounds = True
        self._bounds = None  # it is known now
        return True


def _bounds(space: spaces.Space[Any]) -> tuple[Array, Array] | None:
    """Return the bounds of a Box that its type does not keep by itself; None if there are none to check."""
    if not isinstance(space, spaces.Box):
        return None
    low = space.low
    high = space.high
    kind = np.dtype(space.dtype)
    if kind.kind in "iu":
        ends = np.iinfo(kind)
        return (low, high) if (low > ends.min).any() or (high < ends.max).any() else None
    most = np.finfo(kind).max if kind.kind == "f" else np.inf
    return (low, high) if (low > -most).any() or (high < most).any() else None


def _number(value: Any) -> float:
    """Convert a reward to one float."""
    number = held(value, np.dtype(np.float64))
    if number is None or number.size != 1:
        raise Refused(f"returned reward {brief(repr(value))}, expected one number")
    return float(number.item())


def _flag(name: str, value: Any) -> bool:
    """Convert a truth value to bool."""
    flag = held(value, np.dtype(np.bool_))
    if flag is None or flag.size != 1:
        raise Refused(f"its step gave {name} = {brief(repr(value))}, expected true or false")
    return bool(flag.item())


def _wrong_step(result: Any) -> str:
    """Describe the result of a step that does not have five values."""
    expected = "expected (observation, reward, terminated, truncated, info)"
    if not isinstance(result, tuple):
        return f"its step gave {brief(result)}, {expected}"
    old = ": that is the API of gym before 0.26" if len(result) == 4 else ""
    return f"its step gave {len(result)} values{old}, {expected}"


def brief(value: Any) -> str:
    """Format a foreign value for an error message, shortened to one line."""
    try:
        return textwrap.shorten(str(value), 100, placeholder=" ...")
    except FOREIGN:
        return f"a {type(value).__name__}"


def _generator(core: gymnasium.Env[Any, Any] | None) -> dict[str, Any]:
    """Return the state of the environment's generator: the stream's four words and PCG64's half-used draw."""
    bits = getattr(core.np_random, "bit_generator", None) if core is not None else None
    if not isinstance(bits, np.random.PCG64):
        return {"known": False, "stream": np.zeros(4, np.uint64), "half": np.zeros(2, np.uint64)}
    half = np.array([bits.state["has_uint32"], bits.state["uinteger"]], np.uint64)
    return {"known": True, "stream": streams.pack_state(bits, drop_half=True), "half": half}


def _finite(space: spaces.Space[Any]) -> tuple[tuple[int, ...] | None, np.ndarray]:
    """Return the sizes and first values of the parts of a finite space; (None, ...) for any other."""
    if isinstance(space, spaces.Discrete):
        return (int(space.n),), np.array([space.start])
    if isinstance(space, spaces.MultiDiscrete):
        return tuple(int(n) for n in space.nvec.ravel()), space.start.ravel()
    if isinstance(space, spaces.Tuple) and all(isinstance(part, spaces.Discrete) for part in space):
        return tuple(int(part.n) for part in space), np.array([part.start for part in space])
    return None, np.zeros(0)


def _seen(space: spaces.Space[Any], sizes: tuple[int, ...] | None, name: str) -> spaces.Space[Any]:
    if sizes is not None:
        n = int(np.prod(sizes, dtype=object))
        if n > MAX_STATES:
            raise PlayerError(
                f"environment {name}: the observation space has {n} values, expected at most {MAX_STATES}"
            )
        return spaces.Discrete(n)
    if isinstance(space, spaces.Box):
        return space
    expected = "Discrete, MultiDiscrete, a Tuple of Discrete, or Box"
    if parts := [part for part, inner in parts_of(space).items() if is_numeric(inner)]:
        expected = f"--env.keys all, or some of its parts: --env.keys {','.join(parts)}"
    raise PlayerError(f"environment {name}: the observation space is {brief(space)}, expected {expected}")


def _actions(space: spaces.Space[Any], name: str) -> tuple[spaces.Space[Any], Any]:
    """Return the action space from 0 on, and what to add to an action where it does not begin there."""
    if isinstance(space, spaces.Discrete):
        return spaces.Discrete(int(space.n)), np.int64(space.start)
    if isinstance(space, spaces.Box):
        return space, None
    raise PlayerError(f"environment {name}: the action space is {brief(space)}, expected Discrete or Box")
