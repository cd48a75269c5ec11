"""One Gymnasium environment of a batch: flat spaces, and a memory of its episode so that it can be played again.

Between its start and now an episode is a function of the generator's state before the reset and of the actions since,
for every environment that draws from its ``np_random`` only. A checksum over all that was seen tells whether it was.
"""

from __future__ import annotations

import textwrap
import zlib
from typing import Any, Protocol

import gymnasium
import numpy as np
from gymnasium import spaces

from simulator.core import seeds as streams
from simulator.core.protocols import Array

_LARGEST = 10_000_000  # more states than a table should have
Moved = tuple[Array, float, bool, bool]  # what is seen, reward, terminated, truncated


class Machine(Protocol):
    """What an environment computes on that draws beside the environment's generator: an emulator."""

    def save(self) -> Array:
        """All of it between two episodes, uint8 [n]."""

    def load(self, saved: Array) -> None:
        """Go back there."""


class Slot:
    """An environment seen in indices from 0 for finite spaces, and in arrays of the space's own type and shape.

    A ``Tuple`` of ``Discrete`` and a ``MultiDiscrete`` are seen as one ``Discrete``: the index in row-major order.

    Args:
        env: the environment.
        name: what errors call it.
        seed: what its first episode is seeded with.
        machine: what else an episode begins with, where it draws beside its generator.

    Raises:
        ValueError: a space that no agent here can handle.
    """

    def __init__(self, env: gymnasium.Env[Any, Any], name: str, seed: int, machine: Machine | None = None) -> None:
        self.env, self._name, self._seed, self._fresh = env, name, seed, True
        self._machine = machine
        self._sizes, self._first = _finite(env.observation_space)
        self._one = int(self._first[0]) if self._sizes and len(self._sizes) == 1 else None  # where one Discrete begins
        self.observation_space = _seen(env.observation_space, self._sizes, name)
        self.action_space, self._action_first = _actions(env.action_space, name)
        self._kind, self._shape = self.observation_space.dtype, self.observation_space.shape or ()
        self._origin: dict[str, Any] = self._beginning(seed)
        self._obs = np.zeros(self._shape, self._kind)
        self._trace, self._earned = 0, 0.0
        self.actions: list[Any] = []

    @property
    def unwrapped(self) -> gymnasium.Env[Any, Any]:
        """The environment itself."""
        return self.env.unwrapped

    def reset(self) -> Array:
        """Start an episode: the first one from the slot's seed, later ones from where the generator stands."""
        first, self._fresh = self._fresh, False
        self._origin = self._beginning(self._seed if first else -1)
        return self._begin(self._seed if first else None)

    def step(self, action: Any) -> Moved:
        """Take a step; terminated and truncated are never both true. What is seen holds until the next step."""
        self.actions.append(action)
        given = action + self._action_first if self._action_first else action
        seen, earned, terminated, truncated, _ = self.env.step(given)
        reward = earned if type(earned) is float else np.asarray(earned, np.float64).item()
        self._earned += reward
        return self._see(seen), reward, bool(terminated), bool(truncated and not terminated)

    def note(self) -> dict[str, Any]:
        """What it takes to come back to this moment."""
        empty = np.zeros((0, *(self.action_space.shape or ())), self.action_space.dtype)
        actions = np.stack(self.actions) if self.actions else empty
        seen = {"obs": self._obs.copy(), "trace": self._trace, "earned": self._earned}
        return {**self._origin, "actions": actions, **seen}

    def play(self, note: dict[str, Any]) -> tuple[Array, bool]:
        """Play a noted episode again: what is seen now, and whether all of it came out the same, bit for bit.

        Where it did not, a new episode has begun.
        """
        self._fresh = False
        try:
            same = self._retrace(note)
        except Exception:  # a foreign world may raise anything when it does not stand where it stood
            same = False
        return (self._obs, True) if same else (self._return_to(note), False)

    def _retrace(self, note: dict[str, Any]) -> bool:
        self._return_to(note)
        for action in np.asarray(note["actions"]):
            _, _, terminated, truncated = self.step(action)
            if terminated or truncated:  # the noted episode had not ended
                return False
        known = note["seed"] >= 0 or bool(note["known"])
        same = self._trace == note["trace"] and self._earned == note["earned"]
        return known and same and self._obs.tobytes() == np.asarray(note["obs"]).tobytes()

    def _beginning(self, seed: int) -> dict[str, Any]:
        """What the next episode begins with: a seed, or where that is -1, all that it draws from."""
        machine = np.zeros(0, np.uint8) if self._machine is None or seed >= 0 else self._machine.save()
        return {"seed": seed, **_generator(self.env.unwrapped if seed < 0 else None), "machine": machine}

    def _return_to(self, note: dict[str, Any]) -> Array:
        """Begin the episode that ``note`` begins with; where its generator is not known, the slot's first one."""
        self._origin = {key: note[key] for key in ("seed", "known", "stream", "half", "machine")}
        if note["seed"] >= 0 or not note["known"]:
            self._origin["seed"] = self._seed
            return self._begin(self._seed)
        bits = streams.unpack(np.asarray(note["stream"], np.uint64))
        has, value = (int(word) for word in note["half"])
        bits.state = {**bits.state, "has_uint32": has, "uinteger": value}
        self.env.unwrapped.np_random = np.random.Generator(bits)
        if self._machine is not None:
            self._machine.load(note["machine"])
        return self._begin(None)

    def _begin(self, seed: int | None) -> Array:
        self.actions, self._trace, self._earned = [], 0, 0.0
        return self._see(self.env.reset(seed=seed)[0])

    def _see(self, seen: Any) -> Array:
        """Keep what is seen, in the space's own type and shape."""
        if self._one is not None and isinstance(seen, int | np.integer):
            index = int(seen) - self._one
            obs, within = np.array(index), 0 <= index < self.observation_space.n  # type: ignore[attr-defined]
        elif self._sizes is not None:
            parts = np.asarray(seen, np.int64).ravel() - self._first
            within = parts.shape == self._first.shape and bool(((parts >= 0) & (parts < self._sizes)).all())
            obs = np.array(np.ravel_multi_index(tuple(parts), self._sizes) if within else -1)
        elif type(seen) is np.ndarray and seen.dtype == self._kind and seen.flags.c_contiguous:
            obs, within = seen, seen.shape == self._shape
        else:
            obs = np.array(seen, self._kind, order="C")
            within = obs.shape == self._shape
        if not within:
            expected = brief(self.env.observation_space)
            raise ValueError(f"world {self._name}: it observed {brief(seen)}, expected a value of {expected}")
        self._obs, self._trace = obs, zlib.crc32(obs, self._trace)
        return obs


def brief(value: Any) -> str:
    """Some value of a foreign world for an error message: one line, not long."""
    return textwrap.shorten(str(value), 100, placeholder=" ...")


def _generator(core: gymnasium.Env[Any, Any] | None) -> dict[str, Any]:
    """The state of the environment's generator: the stream's four words and PCG64's half-used draw."""
    bits = core.np_random.bit_generator if core is not None else None
    if not isinstance(bits, np.random.PCG64):
        return {"known": False, "stream": np.zeros(4, np.uint64), "half": np.zeros(2, np.uint64)}
    half = np.array([bits.state["has_uint32"], bits.state["uinteger"]], np.uint64)
    return {"known": True, "stream": streams.pack(bits), "half": half}


def _finite(space: spaces.Space[Any]) -> tuple[tuple[int, ...] | None, np.ndarray]:
    """The sizes and first values of the parts of a finite space; (None, ...) for any other."""
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
        if n > _LARGEST:
            raise ValueError(f"world {name}: the observation space has {n} values, expected at most {_LARGEST}")
        return spaces.Discrete(n)
    if isinstance(space, spaces.Box):
        return space
    expected = "Discrete, MultiDiscrete, a Tuple of Discrete, or Box"
    raise ValueError(f"world {name}: the observation space is {brief(space)}, expected {expected}")


def _actions(space: spaces.Space[Any], name: str) -> tuple[spaces.Space[Any], Any]:
    """The action space from 0 on, and what to add to an action where it does not begin there."""
    if isinstance(space, spaces.Discrete):
        return spaces.Discrete(int(space.n)), np.int64(space.start)
    if isinstance(space, spaces.Box):
        return space, None
    raise ValueError(f"world {name}: the action space is {brief(space)}, expected Discrete or Box")
