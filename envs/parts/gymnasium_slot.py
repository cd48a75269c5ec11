"""One Gymnasium environment of a batch: flat spaces, and a memory of its episode so that it can be played again.

Between its start and now an episode is a function of the generator's state before the reset and of the actions since,
for every environment that draws from its ``np_random`` only. A checksum over all that was seen tells whether it was.
"""

from __future__ import annotations

import textwrap
import zlib
from typing import Any

import gymnasium
import numpy as np
from gymnasium import spaces

from simulator.core import seeds as streams

_LARGEST = 10_000_000  # more states than a table should have


class Slot(gymnasium.Wrapper[Any, Any, Any, Any]):
    """A wrapper around everything else: indices from 0 for finite spaces, observations as fresh arrays, no infos.

    A ``Tuple`` of ``Discrete`` and a ``MultiDiscrete`` are seen as one ``Discrete``: the index in row-major order.

    Args:
        env: the environment.
        name: what errors call it.
        seed: what its first episode is seeded with.

    Raises:
        ValueError: a space that no agent here can handle.
    """

    def __init__(self, env: gymnasium.Env[Any, Any], name: str, seed: int) -> None:
        super().__init__(env)
        self._name, self._seed, self._fresh = name, seed, True
        self._sizes, self._first = _finite(env.observation_space)
        self.observation_space = _seen(env.observation_space, self._sizes, name)
        self.action_space, self._action_first = _actions(env.action_space, name)
        self._origin: dict[str, Any] = {"seed": seed, **_generator(None)}
        self._obs = np.zeros(self.observation_space.shape or (), self.observation_space.dtype)
        self._trace = 0
        self.actions: list[np.ndarray] = []

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[Any, dict[str, Any]]:
        """Start an episode: the first one from the slot's seed, later ones from where the generator stands."""
        first, self._fresh = self._fresh, False
        self._origin = {"seed": self._seed if first else -1, **_generator(None if first else self.env.unwrapped)}
        return self._begin(self._seed if first else None), {}

    def step(self, action: Any) -> tuple[Any, float, bool, bool, dict[str, Any]]:
        """Take a step; terminated and truncated are never both true."""
        self.actions.append(np.array(action))
        given = action if self._action_first is None else action + self._action_first
        seen, earned, terminated, truncated, _ = self.env.step(given)
        reward = np.asarray(earned, np.float64).item()
        self._see(seen)
        self._trace = zlib.crc32(np.float64(reward).tobytes(), self._trace)
        return self._obs, reward, bool(terminated), bool(truncated and not terminated), {}

    def note(self) -> dict[str, Any]:
        """What it takes to come back to this moment."""
        empty = np.zeros((0, *(self.action_space.shape or ())), self.action_space.dtype)
        actions = np.stack(self.actions) if self.actions else empty
        return {**self._origin, "actions": actions, "obs": self._obs.copy(), "trace": self._trace}

    def play(self, note: dict[str, Any]) -> tuple[Any, bool]:
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
            _, _, terminated, truncated, _ = self.step(action)
            if terminated or truncated:  # the noted episode had not ended
                return False
        known = note["seed"] >= 0 or bool(note["known"])
        return known and self._trace == note["trace"] and self._obs.tobytes() == np.asarray(note["obs"]).tobytes()

    def _return_to(self, note: dict[str, Any]) -> Any:
        """Begin the episode that ``note`` begins with; where its generator is not known, the slot's first one."""
        self._origin = {key: note[key] for key in ("seed", "known", "stream", "half")}
        if note["seed"] >= 0 or not note["known"]:
            self._origin["seed"] = self._seed
            return self._begin(self._seed)
        bits = streams.unpack(np.asarray(note["stream"], np.uint64))
        has, value = (int(word) for word in note["half"])
        bits.state = {**bits.state, "has_uint32": has, "uinteger": value}
        self.env.unwrapped.np_random = np.random.Generator(bits)
        return self._begin(None)

    def _begin(self, seed: int | None) -> Any:
        self.actions, self._trace = [], 0
        return self._see(self.env.reset(seed=seed)[0])

    def _see(self, seen: Any) -> Any:
        """Keep what is seen, as an array of our own: some worlds write the next view into the same memory."""
        if self._sizes is None:
            obs = np.array(seen, self.observation_space.dtype, order="C")
            within = obs.shape == self.observation_space.shape
        else:
            parts = np.asarray(seen, np.int64).ravel() - self._first
            within = parts.shape == self._first.shape and bool(((parts >= 0) & (parts < self._sizes)).all())
            obs = np.array(np.ravel_multi_index(tuple(parts), self._sizes) if within else -1)
        if not within:
            expected = brief(self.env.observation_space)
            raise ValueError(f"world {self._name}: it observed {brief(seen)}, expected a value of {expected}")
        self._obs, self._trace = obs, zlib.crc32(obs.tobytes(), self._trace)
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
