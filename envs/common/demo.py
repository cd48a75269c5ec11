"""How a world shows itself: the first steps of random play."""

from __future__ import annotations

import numpy as np

from simulator.core import rng
from simulator.core.protocols import World


def show_world(world: World, n_steps: int = 8) -> None:
    """Print what a world is, and what its first copy goes through under random play."""
    spec, walker = world.spec, rng.generators([0], "exploration")[0]
    print(f"{spec.id}: observes {spec.observation}, acts {spec.action}, random play {spec.floor}, solved {spec.solved}")
    world.reset()
    for _ in range(n_steps):
        action = walker.integers(0, spec.action.n, len(world.observe()))  # type: ignore[attr-defined]
        step = world.step(action)
        facts = ", ".join(f"{name} {text}" for name, text in world.scene(0).facts.items())
        print(f"action {action[0]}: reward {step.reward[0]:g}, {facts}, sees {np.round(step.obs[0], 3)}")
