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
        for i, stream in enumerate(self._streams):
            self._flag[i] = 1.0 if stream.random() < 0.5 else -1.0
            self._begin(i)
        return self._obs.copy()

    def _begin(self, i: int) -> None:
        self._flag[i] = -self._flag[i]
        self._time[i] = 0
        self._length[i] = self._config.delay + int(self._streams[i].random() * (self._config.spread + 1))
        self._look(i)

    def _look(self, i: int) -> None:
        shown = self._flag[i] if self._time[i] == 0 else 0.0
        asked = float(self._time[i] == self._length[i] - 1)
        noise = self._config.noise * self._streams[i].standard_normal()
        self._obs[i] = (shown, asked, min(max(noise, -9.0), 9.0))

    def step(self, actions: Array) -> Step:
        """Step every probe."""
        n = len(self._flag)
        reward = np.zeros(n, np.float32)
        terminated = np.zeros(n, np.bool_)
        truncated = np.zeros(n, np.bool_)
        final_obs = np.zeros((n, 3), np.float32)
        for i in range(n):
            self._time[i] += 1
            terminated[i] = self._time[i] == self._length[i]
            if terminated[i]:
                reward[i] = 1.0 if (actions[i] == 1) == (self._flag[i] > 0.0) else -1.0
            else:
                reward[i] = self._config.wage * actions[i]
                truncated[i] = self._streams[i].random() < self._config.cut
            self._look(i)
            final_obs[i] = self._obs[i]
            if terminated[i] or truncated[i]:
                self._begin(i)
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
