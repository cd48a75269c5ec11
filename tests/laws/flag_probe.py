"""The flag probe: a flag is shown in an episode's first step, and its reward waits at the episode's end.

Observations: the flag, +1 or -1, in the first step and 0 later; 1 in the last step, where the action is asked for; and
noise. The last action earns 1 where it names the flag, 0 for -1 and 1 for +1, and costs 1 elsewhere; every other step
earns its action times ``wage``. The next episode shows the opposite flag. Episodes last ``delay`` steps and up to
``spread`` more; some are cut before their end. No policy of the latest observation earns more than 0 in the mean.

One environment finds most mistakes of a recurrence: a state that is reset late, early or never, sequences that cross an
end, a cell that sees nothing.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from gymnasium import spaces

from simulator.core import rng
from simulator.core.protocols import Array, EnvSpec, State, Step
from simulator.core.scene import Scene


@dataclass(frozen=True)
class Config:
    """The probe's times."""

    delay: int = 3
    """steps of the shortest episode"""
    spread: int = 0
    """steps that an episode may last longer, by chance"""
    cut: float = 0.0
    """share of the steps that cut their episode"""
    wage: float = 0.0
    """reward of action 1 in any step but the last"""
    noise: float = 1.0
    """standard deviation of the third input"""


class FlagProbe:
    """S flag probes, each on a stream of its own."""

    def __init__(self, seed_list: list[int], config: Config) -> None:
        self.spec = EnvSpec(
            "flag-probe", spaces.Box(-9.0, 9.0, (3,), np.float32), spaces.Discrete(2), config.delay + config.spread
        )
        self._config = config
        self._streams = rng.generators(seed_list, "env")
        n = len(seed_list)
        self._flag = np.ones(n)
        self._time = np.zeros(n, np.int64)
        self._length = np.zeros(n, np.int64)
        self._obs = np.zeros((n, 3), np.float32)

    def reset(self) -> Array:
        """Begin the first episodes."""
        self._flag[:] = [1.0 if stream.random() < 0.5 else -1.0 for stream in self._streams]
        self._begin(np.arange(len(self._flag)))
        return self._obs.copy()

    def _begin(self, at: Array) -> None:
        self._flag[at] *= -1.0
        self._time[at] = 0
        chances = np.array([self._streams[i].random() for i in at])
        self._length[at] = self._config.delay + (chances * (self._config.spread + 1)).astype(np.int64)
        self._look(at)

    def _look(self, at: Array) -> None:
        noise = self._config.noise * np.array([self._streams[i].standard_normal() for i in at])
        self._obs[at, 0] = np.where(self._time[at] == 0, self._flag[at], 0.0)
        self._obs[at, 1] = self._time[at] == self._length[at] - 1
        self._obs[at, 2] = noise.clip(-9.0, 9.0)

    def step(self, actions: Array) -> Step:
        """Step every probe."""
        self._time += 1
        terminated = self._time == self._length
        truncated = np.zeros_like(terminated)
        for i in np.flatnonzero(~terminated):
            truncated[i] = self._streams[i].random() < self._config.cut
        right = (actions == 1) == (self._flag > 0.0)
        reward = np.where(terminated, np.where(right, 1.0, -1.0), self._config.wage * actions).astype(np.float32)
        self._look(np.arange(len(self._flag)))
        final_obs = self._obs.copy()
        ended = np.flatnonzero(terminated | truncated)
        if ended.size:
            self._begin(ended)
        return Step(self._obs.copy(), reward, terminated, truncated, final_obs)

    def scene(self, index: int) -> Scene:
        """There is nothing to see."""
        return Scene("flag probe")

    def state(self) -> State:
        """Return everything."""
        return {
            "streams": np.array([rng.pack_state(stream.bit_generator) for stream in self._streams]),
            **{name: getattr(self, f"_{name}").copy() for name in ("flag", "time", "length", "obs")},
        }

    def restore(self, state: State) -> bool:
        """Continue exactly."""
        self._streams = [np.random.Generator(rng.unpack_state(packed)) for packed in state["streams"]]
        for name in ("flag", "time", "length", "obs"):
            getattr(self, f"_{name}")[...] = state[name]
        return True

    def observe(self) -> Array:
        """Return the current observations."""
        return self._obs.copy()


def make(seed_list: list[int], config: Config) -> FlagProbe:
    """Make the probe for these seeds."""
    return FlagProbe(list(seed_list), config)
