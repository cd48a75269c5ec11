"""Demonstration of an environment: the first steps of random play."""

from __future__ import annotations

import numpy as np

from simulator.core import registry, rng
from simulator.core.protocols import Env


def show_env(name: str, n_steps: int = 8) -> None:
    """Print what an environment is, and what its first copy goes through under random play.

    Its module is imported under its own name, beside ``__main__``: so its compiled code comes from the cache.
    """
    player = registry.load("envs", name)
    env: Env = player.make([0], player.Config())
    spec = env.spec
    walker = rng.generators([0], "exploration")[0]
    print(f"{spec.id}: observes {spec.observation}, acts {spec.action}")
    print(f"random play {spec.random_score}, solved {spec.reward_threshold}")
    env.reset()
    for _ in range(n_steps):
        action = walker.integers(0, spec.action.n, len(env.observe()))  # type: ignore[attr-defined]
        step = env.step(action)
        facts = ", ".join(f"{name} {text}" for name, text in env.scene(0).facts.items())
        print(f"action {action[0]}: reward {step.reward[0]:g}, {facts}, sees {np.round(step.obs[0], 3)}")
