"""One look at an agent: what it makes of a corridor of six cells, beside the exact answer."""

from __future__ import annotations

from typing import Any

import numpy as np
from gymnasium import spaces

from simulator.core import rng
from simulator.core.mdp.solve import FiniteMDP, value_iteration
from simulator.core.protocols import EnvSpec, Step
from simulator.core.transition_table import TabularBatch, make_table

N_CELLS, STEPS = 6, 3_000


def corridor() -> FiniteMDP:
    """Cells in a row; action 0 goes left, 1 goes right; entering the last cell pays 1 and ends the episode."""
    cells = np.arange(N_CELLS)
    following = np.stack([np.maximum(cells - 1, 0), np.minimum(cells + 1, N_CELLS - 1)], axis=1)[:, :, None]
    arrives = following == N_CELLS - 1
    start = np.append(np.ones(N_CELLS - 1), 0.0) / (N_CELLS - 1)
    every = np.ones((N_CELLS, 2))
    return FiniteMDP(
        every[:, :, None], following, arrives.astype(float), arrives.astype(np.uint8), start, every > 0, 50
    )


def _step_by_step(agent: Any, mdp: FiniteMDP) -> None:
    """Train one seed that cannot run a stretch by itself."""
    starts = rng.generators([0], "env")[0]
    place, age = np.array([starts.integers(N_CELLS - 1)]), 0
    for _ in range(STEPS):
        obs, actions = place, agent.act(place)
        led_to, reward = mdp.next[obs, actions, 0], mdp.reward[obs, actions, 0].astype(np.float32)
        terminated, age = mdp.end[obs, actions, 0] > 0, age + 1
        truncated = ~terminated & (age == mdp.max_steps)
        if terminated[0] or truncated[0]:
            place, age = np.array([starts.integers(N_CELLS - 1)]), 0
        else:
            place = led_to
        agent.learn(obs, actions, Step(place, reward, terminated, truncated, led_to))


def show_agent(name: str, make: Any, config: Any) -> None:
    """Train one seed in the corridor and print values and best moves."""
    mdp = corridor()
    observed = spaces.Discrete(N_CELLS)
    spec = EnvSpec("corridor", observed, spaces.Discrete(2), 50, mdp=mdp, state_obs=np.arange(N_CELLS))
    agent = make(spec, [0], config)
    if hasattr(agent, "rollout"):
        zeros = np.zeros(1, np.int64)
        agent.rollout(TabularBatch(make_table(mdp), zeros, zeros.copy(), rng.pcg64_states([0], "env")), STEPS)
    else:
        _step_by_step(agent, mdp)
    exact = value_iteration(mdp, spec.gamma)
    policy = agent.policy()
    values, probs = policy.values(spec.state_obs), policy.probs(spec.state_obs)
    print(f"{name}: a corridor of {N_CELLS} cells, the goal at its right end, {STEPS:,} steps of training")
    for cell in range(N_CELLS - 1):
        learned = "     -" if values is None else f"{values[0, cell].max():6.3f}"
        moves = "by the clock" if probs is None else f"left {probs[0, cell, 0]:.2f}  right {probs[0, cell, 1]:.2f}"
        print(f"  cell {cell}   value {learned}   exact {exact.values[cell]:6.3f}   {moves}")
