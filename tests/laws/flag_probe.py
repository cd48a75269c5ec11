"""Flag: a probe of memory. A flag at step t, its reward at step t + k, the opposite flag in the next episode.

The flag, -1 or +1, is seen at one step of an episode. ``delay`` steps later the action must name it: action 0 for -1,
action 1 for +1; that pays 1, the other action -1, and the episode ends. Flags alternate, so a state that is carried
over an end names the wrong flag every time, and one that is reset a step late, or rebuilt without an episode's first
observation, knows none. Whoever forgets the flag gets 0 on average over two episodes. It is a player by dotted path:
``make(seeds, config)``.

========  ==============================================================
observed  float32 [2]
========  ==============================================================
0         the flag at step ``at``, else 0
1         1 at the step whose action counts, else 0
========  ==============================================================
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from gymnasium import spaces

from simulator.core.protocols import Array, EnvSpec, State, Step
from simulator.core.scene import Scene


@dataclass(frozen=True)
class Config:
    """Settings of the flag."""

    at: int = 0
    """step of an episode at which the flag is seen"""
    delay: int = 3
    """steps from the flag to the action that counts, at least 1"""
    staggered: bool = True
    """episodes of seed n are n % 3 steps longer, so that seeds end at different times"""
    truncates: bool = False
    """cut episodes instead of terminating them"""


class Flag:
    """S flags; the first one of seed n is +1 where n is odd."""

    def __init__(self, seed_list: Sequence[int], config: Config) -> None:
        seeds = np.array([seed % 6 for seed in seed_list], np.int64)
        self.last_step = config.at + config.delay + (seeds % 3 if config.staggered else 0 * seeds)
        self.flag = 2 * (seeds % 2) - 1
        self.time = np.zeros_like(seeds)
        self.spec = EnvSpec(
            "flag",
            spaces.Box(-1.0, 1.0, (2,), np.float32),
            spaces.Discrete(2),
            config.at + config.delay + 3,
            random_score=0.0,
            reward_threshold=0.9,
            optimal_return=1.0,
            memoryless_return=0.0,
        )
        self._config = config

    def reset(self) -> Array:
        """Start an episode with the current flag."""
        self.time[:] = 0
        return self.observe()

    def observe(self) -> Array:
        """Return the flag where it is seen, and whether the action counts, [S, 2]."""
        is_seen = self.time == self._config.at
        return np.stack([self.flag * is_seen, self.time == self.last_step], axis=1).astype(np.float32)

    def step(self, actions: Array) -> Step:
        """Go on by one step."""
        done = self.time == self.last_step
        is_right = np.asarray(actions) == (self.flag > 0)
        reward = np.where(done, np.where(is_right, 1.0, -1.0), 0.0).astype(np.float32)
        self.time = self.time + 1
        final_obs = self.observe()
        self.time = np.where(done, 0, self.time)
        self.flag = np.where(done, -self.flag, self.flag)
        none = np.zeros_like(done)
        ends = (none, done) if self._config.truncates else (done, none)
        return Step(self.observe(), reward, *ends, final_obs)

    def scene(self, index: int) -> Scene:
        """Tell the flag and the step."""
        facts = {"flag": f"{self.flag[index]:+d}", "step": str(self.time[index])}
        return Scene("flag", actions=("minus", "plus"), facts=facts)

    def state(self) -> State:
        """Return flags and steps."""
        return {"flag": self.flag.copy(), "time": self.time.copy()}

    def restore(self, state: State) -> bool:
        """Continue from ``state``; always exact."""
        self.flag = np.array(state["flag"], np.int64)
        self.time = np.array(state["time"], np.int64)
        return True


def make(seed_list: Sequence[int], config: Config) -> Flag:
    """Make one flag for every seed.

    Raises:
        ValueError: the flag before the first step, or a delay below 1.
    """
    if config.at < 0 or config.delay < 1:
        raise ValueError(f"flag: at = {config.at}, delay = {config.delay}: expected at least 0 and at least 1")
    return Flag(seed_list, config)
