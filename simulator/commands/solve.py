"""The exact answer for an environment that is a finite MDP: what ``engram solve`` computes and prints."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from simulator import console as tables
from simulator.config.validation import ConfigSource, check, merge, settings
from simulator.core import registry
from simulator.core.mdp.average_reward import average_reward
from simulator.core.mdp.model import TERMINATES, TRUNCATES, FiniteMDP, expected_reward, transitions
from simulator.core.mdp.solve import finite_horizon, value_iteration
from simulator.core.protocols import AgentView, Array, Env
from simulator.training.evaluation import MAX_EXACT_ENTRIES, optimum

_SHOWN = 40  # states that a table for people holds


def make_env(name: str, own: Mapping[str, Any]) -> Env:
    """One copy of an environment, with settings as they were typed.

    Raises:
        ValueError: an unknown environment or a bad setting.
    """
    player = registry.load("envs", name)
    chosen = check(settings(player.Config), own, ConfigSource(own, flags=True), ("env",))
    env: Env = player.make([0], merge(player.Config(), chosen))
    return env


def answer(name: str, env: Env, criterion: str, gamma: float, horizon: int) -> dict[str, Any]:
    """The optimum under a criterion.

    Args:
        name: what the environment was called.
        env: one copy of it.
        criterion: discounted, average or finite.
        gamma: discount, for all but average.
        horizon: steps, for finite; 0: the environment's own limit.

    Returns:
        The JSON object of the command; ``policy`` lists every best action of every state, for ``finite`` those of the
        first step. For ``average`` the start value is the reward per step, and values and q are relative to it.

    Raises:
        ValueError: no finite MDP, or none of finite value.
    """
    mdp = env.spec.mdp
    if mdp is None:
        raise ValueError(f"{name} has no finite MDP to solve, expected an environment with a table of outcomes")
    values, q, greedy, start = _optimum(mdp, criterion, gamma, horizon)
    return {
        "env": env.spec.id,
        "gamma": None if criterion == "average" else gamma,
        "criterion": criterion,
        "start_value": start,
        "values": values,
        "q": q,
        "policy": [np.flatnonzero(row) for row in greedy],
        "optimal_return": optimum(env.spec),
    }


def _optimum(mdp: FiniteMDP, criterion: str, gamma: float, horizon: int) -> tuple[Array, Array, Array, float]:
    """Values [N], q [N, A], best actions bool [N, A] and the value of the start."""
    if criterion == "discounted":
        best = value_iteration(mdp, gamma)
        return best.values, best.q, best.greedy, best.start_value
    if criterion == "average":
        endless = average_reward(mdp)
        return endless.bias, endless.q, endless.greedy, endless.gain
    steps = horizon or mdp.max_steps
    if not steps:
        raise ValueError("--criterion finite: this environment has no limit of steps, expected --horizon K")
    if steps * mdp.legal.size > MAX_EXACT_ENTRIES:
        raise ValueError(
            f"--horizon {steps}: {steps * mdp.legal.size:,} entries, expected at most {MAX_EXACT_ENTRIES:,}"
        )
    plan = finite_horizon(mdp, steps, gamma)
    reward, ends = expected_reward(mdp), (TERMINATES, TRUNCATES)
    q = np.where(mdp.legal, reward + gamma * (transitions(mdp, ends) @ plan.values[1]).reshape(reward.shape), 0.0)
    return plan.values[0], q, plan.greedy[0], plan.start_value


def picture(env: Env, solved: Mapping[str, Any]) -> AgentView:
    """The environment with its values and best actions, for a view."""
    greedy = np.zeros(np.shape(solved["q"]), np.bool_)
    for state, actions in enumerate(solved["policy"]):
        greedy[state, actions] = True
    env.reset()
    return AgentView(env.scene(0), np.asarray(solved["values"]), greedy)


def show(env: Env, solved: Mapping[str, Any]) -> None:
    """Print the answer for people: the facts, then q; a graph of rooms also as shares of the largest entry."""
    facts = [(key.replace("_", " "), solved[key]) for key in ("criterion", "gamma", "start_value", "optimal_return")]
    tables.print_table(f"{solved['env']}: the exact optimum", ("", ""), [fact for fact in facts if fact[1] is not None])
    mdp, names, q = env.spec.mdp, env.scene(0).actions, np.asarray(solved["q"])
    assert mdp is not None
    columns = [names[a] if a < len(names) else f"action {a}" for a in range(q.shape[1])]
    if len(q) > _SHOWN:
        tables.print_result(f"{len(q):,} states; --json prints all of them")
        return
    _matrix("q, per state and action", columns, q, mdp.legal, solved["values"])
    if env.scene(0).rooms is not None and q.max() > 0:
        shares = 100.0 * q / q.max()
        _matrix("q as a share of its largest entry, in hundredths", columns, shares, mdp.legal, shares.max(axis=1))


def _matrix(title: str, columns: list[str], q: Array, legal: Array, values: Array) -> None:
    rows = [
        [i, *(float(x) if ok else None for x, ok in zip(q[i], legal[i], strict=True)), float(values[i])]
        for i in range(len(q))
    ]
    tables.print_table(title, ("state", *columns, "best"), rows)


def draw(picture: Any) -> None:
    """Print what an agent or a solver thinks of a grid; nobody is walking in it."""
    from dataclasses import replace

    from rich.console import Console

    from simulator.views.grid import grid_map
    from simulator.views.style import style_of

    if picture.scene.walls is not None:
        marks = tuple(mark for mark in picture.scene.marks if mark.kind != "walker")
        picture = picture._replace(scene=replace(picture.scene, marks=marks, facts={}))
        console = Console()
        console.print(grid_map(picture, console.width, None, style_of(console)))
