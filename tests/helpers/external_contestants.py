"""External contestants: plain functions, factories, a recorder, and a library like stable-baselines3."""

from __future__ import annotations

import random
import types
from dataclasses import dataclass
from typing import Any

import numpy as np

from simulator.config.run import RunConfig, build
from simulator.core import registry
from simulator.external.contestants import external, play_external
from simulator.external.recordings import RecordedEpisode, Recording

HERE = f"python:{__name__}:"


def run(env: str, **settings: Any) -> RunConfig:
    """Return the settings of a run of a contestant; ``env_`` holds the environment's settings."""
    usual = {"seeds": 2, "steps": 60, "eval_every": 25, "eval_episodes": 20}
    inner = {"name": env, **settings.pop("env_", {})}
    return build({**usual, **settings, "agent": {"name": "random_walk"}, "env": inner})


def played(name: str, env: str, own: dict[str, Any] | None = None, **settings: Any) -> dict[str, Any]:
    """Return the result of a cell, without its times."""
    result = play_external(external(name, own or {}, run(env, **settings)), lambda: None)
    return {key: value for key, value in result.items() if "seconds" not in key}


def right(obs: int) -> int:
    """Choose the third action, always."""
    return 2


def lean(obs: Any) -> int:
    """Push to the side where the pole leans."""
    return int(obs[2] > 0)


def any_of(obs: Any, n: int = 2) -> int:
    """Choose an action with Python's global generator."""
    return random.randrange(n)


def shifted(spec: Any, seed: int, by: int = 0) -> Any:
    """Make a function of its own for each seed."""
    return lambda obs: (obs + seed + by) % spec.action.n


class Alternating:
    """A stateful contestant: left, right, left, right, beginning with left in every episode."""

    def __init__(self, spec: Any, seed: int) -> None:
        self.taken, self.episodes = 0, 0

    def reset(self) -> None:
        self.taken = 0

    def __call__(self, obs: Any) -> int:
        self.taken += 1
        return (self.taken - 1) % 2


def broken(obs: Any) -> int:
    """Raise an error with a text of two lines."""
    raise LookupError("no\nsuch thing")


def leaves(obs: Any) -> int:
    raise SystemExit(3)


def given(obs: Any, action: Any = None) -> Any:
    """Choose the action that the settings name."""
    return action


def no_function(spec: Any, seed: int) -> int:
    return 3


def recorded(env: str, seed_list: list[int], policy: Any, episodes: int = 2, **settings: Any) -> Recording:
    """Record episodes of a policy as if a person had played them."""
    player, found = registry.load("envs", env), []
    for seed in seed_list:
        made = player.make([seed], player.Config(**settings))
        obs = made.reset()
        for _ in range(episodes):
            actions, total, ended = [], 0.0, False
            while not ended:
                actions.append(policy(obs[0]))
                step = made.step(np.array(actions[-1:]))
                obs, total = step.obs, total + float(step.reward[0])
                ended = bool(step.terminated[0] | step.truncated[0])
            found.append(RecordedEpisode(seed, actions, total, bool(step.terminated[0]), bool(step.truncated[0])))
    return Recording(env, settings, tuple(found))


@dataclass
class Weights:
    """Stand-in for a torch parameter."""

    value: float

    def isfinite(self) -> np.ndarray[Any, Any]:
        return np.isfinite(np.array([self.value]))


class Counter:
    """A class like those of stable-baselines3: it uses global generators, and learns to count its steps.

    Its deterministic action is the third one from environment step ``turns`` on, else the first.
    """

    seen: list[Any] = []  # noqa: RUF012 - for tests

    def __init__(
        self, policy: str, env: Any, turns: int = 0, breaks: int = 0, seed: int = 0, device: str = "cpu"
    ) -> None:
        if policy != "MlpPolicy":
            raise AssertionError(f"no policy\n{policy}")
        self.env, self.turns, self.breaks, self.nan, self.taken = env, turns, breaks, 0, 0
        random.seed(seed)
        self.draws: list[float] = []
        Counter.seen.append(self)

    def get_env(self) -> Any:
        return types.SimpleNamespace(envs=[self.env])

    def set_logger(self, logger: Any) -> None:
        self.logger = logger

    @property
    def policy(self) -> Any:
        return types.SimpleNamespace(parameters=lambda: [Weights(np.nan if 0 < self.nan <= self.taken else 1.0)])

    def learn(self, total_timesteps: int, callback: Any) -> None:
        self.env.reset(seed=1)
        while True:
            self.draws.append(random.random())
            *_, terminated, truncated, _ = self.env.step(np.int64(self.draws[-1] * self.env.action_space.n))
            self.taken += 1
            if self.taken == self.breaks:
                raise ZeroDivisionError("divided\nby zero")
            if callback({}, {}) is False:
                return
            if terminated or truncated:
                self.env.reset()

    def predict(self, obs: Any, deterministic: bool = False) -> tuple[Any, None]:
        assert deterministic
        random.random()  # which may not change what training draws
        return np.full(len(obs), 2 if self.taken >= self.turns else 0), None


def library() -> dict[str, types.ModuleType]:
    """Return modules that stand in for stable-baselines3."""
    top, logger = types.ModuleType("stable_baselines3"), types.ModuleType("stable_baselines3.common.logger")
    top.Counter, logger.Logger = Counter, lambda folder, outputs: (folder, outputs)  # type: ignore[attr-defined]
    return {"stable_baselines3": top, "stable_baselines3.common.logger": logger}
