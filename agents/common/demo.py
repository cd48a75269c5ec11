"""Demonstration of an agent: its values in a corridor of six cells, beside the exact ones."""

from __future__ import annotations

from typing import Any

import numpy as np
from gymnasium import spaces

from simulator.core import registry, rng
from simulator.core.mdp.model import FiniteMDP
from simulator.core.mdp.solve import value_iteration
from simulator.core.protocols import EnvSpec, Step
from simulator.core.transition_table import TabularBatch, make_table

N_CELLS = 6
N_STEPS = 3_000


def corridor() -> FiniteMDP:
    """Make cells in a row; action 0 goes left, 1 goes right; entering the last cell pays 1 and ends the episode."""
    cells = np.arange(N_CELLS)
    next_cell = np.stack([np.maximum(cells - 1, 0), np.minimum(cells + 1, N_CELLS - 1)], axis=1)[:, :, None]
    arrives = next_cell == N_CELLS - 1
    return FiniteMDP(
        prob=np.ones(next_cell.shape),
        next=next_cell,
        reward=arrives.astype(float),
        end=arrives.astype(np.uint8),
        start=np.append(np.ones(N_CELLS - 1), 0.0) / (N_CELLS - 1),
        legal=np.ones((N_CELLS, 2), np.bool_),
        max_steps=50,
    )


def _train_step_by_step(agent: Any, mdp: FiniteMDP) -> None:
    """Train one seed of an agent without a compiled rollout."""
    starts = rng.generators([0], "env")[0]
    obs = np.array([starts.integers(N_CELLS - 1)])
    episode_step = 0
    for _ in range(N_STEPS):
        actions = agent.act(obs)
        final_obs = mdp.next[obs, actions, 0]
        reward = mdp.reward[obs, actions, 0].astype(np.float32)
        terminated = mdp.end[obs, actions, 0] > 0
        episode_step += 1
        truncated = ~terminated & (episode_step == mdp.max_steps)
        next_obs = final_obs
        if terminated[0] or truncated[0]:
            next_obs = np.array([starts.integers(N_CELLS - 1)])
            episode_step = 0
        agent.learn(obs, actions, Step(next_obs, reward, terminated, truncated, final_obs))
        obs = next_obs


def show_agent(name: str, **settings: Any) -> None:
    """Train one seed in the corridor and print its values and best actions.

    Its module is imported under its own name, beside ``__main__``: so its compiled code comes from the cache.

    Args:
        name: the agent's.
        settings: those that differ from its defaults.
    """
    mdp = corridor()
    observation = spaces.Discrete(N_CELLS)
    spec = EnvSpec("corridor", observation, spaces.Discrete(2), 50, mdp=mdp, state_obs=np.arange(N_CELLS))
    player = registry.load("agents", name)
    agent = player.make(spec, [0], player.Config(**settings))
    if hasattr(agent, "rollout"):
        zeros = np.zeros(1, np.int64)
        agent.rollout(TabularBatch(make_table(mdp), zeros, zeros.copy(), rng.pcg64_states([0], "env")), N_STEPS)
    else:
        _train_step_by_step(agent, mdp)
    exact = value_iteration(mdp, spec.gamma)
    policy = agent.policy()
    values = policy.values(spec.state_obs)
    probs = policy.probs(spec.state_obs)
    print(f"{name}: a corridor of {N_CELLS} cells, the goal at its right end, {N_STEPS:,} steps of training")
    for cell in range(N_CELLS - 1):
        learned = "     -" if values is None else f"{values[0, cell].max():6.3f}"
        moves = "by the clock" if probs is None else f"left {probs[0, cell, 0]:.2f}  right {probs[0, cell, 1]:.2f}"
        print(f"  cell {cell}   value {learned}   exact {exact.values[cell]:6.3f}   {moves}")
