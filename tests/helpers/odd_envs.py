"""Gymnasium environments that fail or misbehave in a chosen call; worker processes can import them by path."""

from __future__ import annotations

from typing import Any

import gymnasium
import numpy as np
from gymnasium import spaces


class Long(gymnasium.Env):
    """An env without a step limit: episodes last ``lengths`` steps in turn, and every step earns 1."""

    observation_space = action_space = spaces.Discrete(1)

    def __init__(self, lengths: Any = (2_500,)) -> None:
        self.lengths, self.episode, self.t = lengths, -1, 0

    def reset(self, *, seed: Any = None, options: Any = None) -> Any:
        super().reset(seed=seed)
        self.t, self.episode = 0, self.episode + 1
        return 0, {}

    def step(self, action: Any) -> Any:
        self.t += 1
        return 0, 1.0, self.t == self.lengths[self.episode % len(self.lengths)], False, {}


class Odd(gymnasium.Env):
    """An env with episodes of ten steps that misbehaves in one chosen call.

    Args:
        what: the call that misbehaves: "reset", "step", "close", "render", "spaces" or "make".
        how: "raise", "exit", "interrupt", "alone", "mask" or "four".
    """

    metadata = {"render_modes": ["rgb_array"]}  # noqa: RUF012
    action_space = spaces.Discrete(2)

    def __init__(self, what: str = "", how: str = "raise", render_mode: str | None = None) -> None:
        self.what, self.how, self.render_mode, self.t = what, how, render_mode, 0
        self._do("make")

    def _do(self, what: str) -> None:
        if what == self.what and self.how == "raise":
            raise KeyError("broken on purpose")
        if what == self.what and self.how == "exit":
            raise SystemExit(3)
        if what == self.what and self.how == "interrupt" and self.t == 4:
            raise KeyboardInterrupt

    @property
    def observation_space(self) -> Any:
        self._do("spaces")
        return spaces.Box(0.0, 20.0, (2,), np.float32)

    def _seen(self) -> Any:
        return np.full(2, self.t, np.float32)

    def reset(self, *, seed: Any = None, options: Any = None) -> Any:
        super().reset(seed=seed)
        self._do("reset")
        self.t = 0
        return self._seen() if self.what == "reset" and self.how == "alone" else (self._seen(), {})

    def step(self, action: Any) -> Any:
        self._do("step")
        self.t += 1
        five = (
            self._seen(),
            1.0,
            self.t == 10,
            False,
            {"action_mask": np.ones(2, np.int8)} if self.how == "mask" else {},
        )
        return (*five[:3], {}) if self.how == "four" else five

    def render(self) -> Any:
        self._do("render")
        return np.zeros((4, 4, 3), np.uint8)

    def close(self) -> None:
        self._do("close")


class NoSeed(Odd):
    """An env whose ``reset`` takes no seed, as in older APIs."""

    def reset(self) -> Any:  # type: ignore[override]
        return self._seen()


class Sharing(gymnasium.Env):
    """An env that returns its own array as the observation, and overwrites it and the action."""

    action_space = spaces.Box(-1.0, 1.0, (2,), np.float32)

    def __init__(self) -> None:
        self.observation_space = spaces.Box(-1e3, 1e3, (2,), np.float32)
        self.place = np.zeros(2, np.float32)

    def reset(self, *, seed: Any = None, options: Any = None) -> Any:
        super().reset(seed=seed)
        self.place[:] = self.np_random.random(2)
        self.t = 0
        return self.place, {}

    def step(self, action: Any) -> Any:
        assert action.flags.writeable
        action *= 0.5
        self.place += action
        self.t += 1
        return self.place, float(action.sum()), self.t == 50, False, {"place": self.place}


gymnasium.register("odd/Long-v0", Long)
gymnasium.register("odd/Odd-v0", Odd)
gymnasium.register("odd/Limited-v0", Odd, max_episode_steps=8)
gymnasium.register("odd/NoSeed-v0", NoSeed)
gymnasium.register("odd/Sharing-v0", Sharing)
