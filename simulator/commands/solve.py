"""``engram solve``: compute the exact optimum of an environment that is a finite MDP."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from simulator import console
from simulator.commands.parsing.command import Command, CommandResult, ParsedArgs
from simulator.commands.parsing.help import PlayerHelp, player_help
from simulator.config.validation import ConfigSource, check, merge, settings
from simulator.core import registry
from simulator.core.mdp.average_reward import average_reward
from simulator.core.mdp.model import TERMINATES, TRUNCATES, FiniteMDP, expected_reward, transitions
from simulator.core.mdp.solve import finite_horizon, value_iteration
from simulator.core.protocols import AgentView, Array, Env
from simulator.training.evaluation import MAX_EXACT_ENTRIES, optimum

MAX_STATES = 40  # states that a table for people holds


def act(args: ParsedArgs) -> CommandResult:
    """Solve the environment that is named."""
    options = args.options
    if "horizon" in args.given and options.criterion != "finite":
        raise ValueError(f"--horizon: not with --criterion {options.criterion}, expected --criterion finite")
    if "gamma" in args.given and options.criterion == "average":
        raise ValueError("--gamma: not with --criterion average, which discounts nothing")
    name = args.names[0]
    env = make_env(name, args.players.get("env", {}))
    default_gamma = 1.0 if options.criterion == "finite" else env.spec.gamma
    gamma = default_gamma if options.gamma is None else options.gamma

    def show_all(solved: Mapping[str, Any]) -> None:
        show(env, solved)
        if env.spec.mdp is not None:
            draw(picture(env, solved))

    return CommandResult(answer(name, env, options.criterion, gamma, options.horizon), show_all)


def _players(args: ParsedArgs) -> list[PlayerHelp]:
    return [player_help(("env",), "envs", name) for name in args.names[:1]]


def make_env(name: str, env_settings: Mapping[str, Any], seed: int = 0) -> Env:
    """Make one copy of an environment, with settings as they were typed.

    Raises:
        ValueError: an unknown environment or a bad setting.
    """
    player = registry.load("envs", name)
    chosen = check(settings(player.Config), env_settings, ConfigSource(env_settings, flags=True), ("env",))
    env: Env = player.make([seed], merge(player.Config(), chosen))
    return env


def answer(name: str, env: Env, criterion: str, gamma: float, horizon: int) -> dict[str, Any]:
    """Compute the optimum under a criterion.

    Args:
        name: the environment's name.
        env: one copy of it.
        criterion: discounted, average or finite.
        gamma: discount, for all but average.
        horizon: steps, for finite; 0: the environment's own limit.

    Returns:
        The JSON object of the command; ``policy`` lists every best action of every state, for ``finite`` those of the
        first step. For ``average`` the start value is the reward per step, and values and q are relative to it. Where
        the optimum is known without a finite MDP only the returns are given.

    Raises:
        ValueError: no finite MDP, or none of finite value.
    """
    mdp = env.spec.mdp
    if mdp is None and env.spec.optimal_return is not None:
        return {
            **{"env": env.spec.id, "gamma": None, "criterion": None, "start_value": None},
            **{"values": [], "q": [], "policy": []},
            **{"optimal_return": env.spec.optimal_return, "memoryless_return": env.spec.memoryless_return},
        }
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
        "memoryless_return": env.spec.memoryless_return,
    }


def _optimum(mdp: FiniteMDP, criterion: str, gamma: float, horizon: int) -> tuple[Array, Array, Array, float]:
    """Compute values [N], q [N, A], best actions bool [N, A] and the value of the start."""
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
    reward = expected_reward(mdp)
    ends = (TERMINATES, TRUNCATES)
    q = np.where(mdp.legal, reward + gamma * (transitions(mdp, ends) @ plan.values[1]).reshape(reward.shape), 0.0)
    return plan.values[0], q, plan.greedy[0], plan.start_value


def picture(env: Env, solved: Mapping[str, Any]) -> AgentView:
    """Return the environment with its values and best actions, for a view."""
    greedy = np.zeros(np.shape(solved["q"]), np.bool_)
    for state, actions in enumerate(solved["policy"]):
        greedy[state, actions] = True
    env.reset()
    return AgentView(env.scene(0), np.asarray(solved["values"]), greedy)


def show(env: Env, solved: Mapping[str, Any]) -> None:
    """Print the facts, then q; of a graph of rooms also as percent of the largest entry."""
    keys = ("criterion", "gamma", "start_value", "optimal_return", "memoryless_return")
    facts = [(key.replace("_", " "), solved[key]) for key in keys]
    console.print_table(
        f"{solved['env']}: the exact optimum", ("", ""), [fact for fact in facts if fact[1] is not None]
    )
    mdp = env.spec.mdp
    if mdp is None:
        return
    names = env.scene(0).actions
    q = np.asarray(solved["q"])
    columns = [names[a] if a < len(names) else f"action {a}" for a in range(q.shape[1])]
    if len(q) > MAX_STATES:
        console.print_result(f"{len(q):,} states; --json prints all of them")
        return
    _matrix("q, per state and action", columns, q, mdp.legal, solved["values"])
    if env.scene(0).rooms is not None and q.max() > 0:
        percent = 100.0 * q / q.max()
        _matrix("q in percent of its largest entry", columns, percent, mdp.legal, percent.max(axis=1))


def _matrix(title: str, columns: list[str], q: Array, legal: Array, values: Array) -> None:
    rows = [
        [i, *(float(x) if ok else None for x, ok in zip(q[i], legal[i], strict=True)), float(values[i])]
        for i in range(len(q))
    ]
    console.print_table(title, ("state", *columns, "best"), rows)


def draw(picture: Any) -> None:
    """Print the values and best actions of a grid."""
    from dataclasses import replace

    from rich.console import Console

    from simulator.views.grid import grid_map
    from simulator.views.style import style_of

    if picture.scene.walls is not None:
        marks = tuple(mark for mark in picture.scene.marks if mark.kind != "walker")
        picture = picture._replace(scene=replace(picture.scene, marks=marks, facts={}))
        terminal = Console()
        terminal.print(grid_map(picture, terminal.width, None, style_of(terminal)))


COMMAND = Command(
    act,
    (1, 1),
    ("gamma", "criterion", "horizon"),
    tables=("env",),
    players=_players,
    examples=(
        "solve rooms --gamma 0.8",
        "solve FrozenLake-v1",
        "solve CliffWalking-v1 --criterion finite --horizon 20",
    ),
)
