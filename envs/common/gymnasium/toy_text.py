"""Gymnasium's toy-text environments as tables: their ``P`` as a :class:`FiniteMDP`, stepped compiled.

Each seed's stream is the one that the original would use after ``reset(seed=n)``, and it is drawn from in the same
order, so an environment by table and the original give the same states, rewards and ends, bit for bit.

Sources: gymnasium.envs.toy_text (frozen_lake, cliffwalking, taxi); Taxi: Dietterich 2000, section 7.1.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any, NamedTuple

import gymnasium
import numpy as np
from gymnasium.envs.toy_text import CliffWalkingEnv, FrozenLakeEnv, TaxiEnv

from envs.common.gymnasium.compiled_equivalents import is_bare
from envs.common.gymnasium.rng import gymnasium_streams
from envs.common.return_bounds import solved_from
from simulator.core.mdp.model import FiniteMDP, checked, uniform_policy
from simulator.core.mdp.solve import evaluate_finite, finite_horizon, value_iteration
from simulator.core.protocols import Array, EnvSpec
from simulator.core.scene import Mark, Scene

_KINDS: dict[type, tuple[str, ...]] = {
    FrozenLakeEnv: ("left", "down", "right", "up"),
    CliffWalkingEnv: ("up", "right", "down", "left"),
    TaxiEnv: ("down", "up", "right", "left", "pick up", "drop off"),
}
_STANDS = ("R", "G", "Y", "B")


def fits(env: gymnasium.Env[Any, Any]) -> bool:
    """Return whether ``env`` is one of the toy-text environments, nothing added, and draws as its table says.

    Taxi's fickle passenger draws beside the table, so that variant does not.
    """
    core = env.unwrapped
    return type(core) in _KINDS and is_bare(env) and not getattr(core, "fickle_passenger", False)


def model(env: gymnasium.Env[Any, Any], legal: Array | None = None) -> FiniteMDP:
    """Convert ``env`` to a finite MDP, truncated after its registered number of steps, in the order of its ``P``.

    ``legal`` bool [N, A]: the actions that exist; default: all.
    """
    core: Any = env.unwrapped
    n_states = len(core.P)
    n_actions = len(core.P[0])
    n_outcomes = max(len(outcomes) for row in core.P.values() for outcomes in row.values())
    table = np.zeros((4, n_states, n_actions, n_outcomes))
    for state, row in core.P.items():
        for action, outcomes in row.items():
            table[:, state, action, : len(outcomes)] = np.array(outcomes, float).T
    prob, next_state, reward, end = table
    start = core.initial_state_distrib.astype(float)
    legal = np.ones((n_states, n_actions), bool) if legal is None else legal
    limit = env.spec.max_episode_steps if env.spec else None
    return checked(FiniteMDP(prob, next_state.astype(np.int64), reward, end.astype(np.uint8), start, legal, limit))


def describe(spec: EnvSpec, env: gymnasium.Env[Any, Any]) -> EnvSpec:
    """Add the finite MDP of ``env`` to ``spec``, the exact random score, and the reward threshold.

    Only the actions of ``spec.legal_actions`` exist, where it says any. What counts as solved is the registered
    threshold where the optimum reaches it, else within a hundredth of the optimum.
    """
    mdp = model(env, spec.legal_actions)
    content = (mdp.prob, mdp.next, mdp.reward, mdp.end, mdp.start, mdp.legal)
    key = (mdp.max_steps, mdp.prob.shape, *(part.tobytes() for part in content))
    if key not in _solved:
        _solved[key] = _solve(mdp)
    known = _solved[key]
    registered = spec.reward_threshold is not None and spec.reward_threshold <= known.best
    solved = spec.reward_threshold if registered else solved_from(known.best)
    return replace(
        spec, random_score=known.random, reward_threshold=solved, mdp=mdp, state_obs=np.arange(len(mdp.prob))
    )


class _Returns(NamedTuple):
    random: float
    best: float


_solved: dict[tuple[Any, ...], _Returns] = {}  # by content: every run makes its environment several times


def _solve(mdp: FiniteMDP) -> _Returns:
    """Compute the mean returns of the random and of the best policy."""
    random = float(evaluate_finite(mdp, uniform_policy(mdp), mdp.max_steps))
    best = finite_horizon(mdp, mdp.max_steps) if mdp.max_steps else value_iteration(mdp, 1.0)
    return _Returns(random, best.start_value)


def env(spec: EnvSpec, env: gymnasium.Env[Any, Any], seeds: Sequence[int]) -> Any:
    """Make S copies of ``env`` as a ``TabularEnv``; ``spec`` is :func:`describe`'s."""
    from envs.common.tabular_env import TabularEnv  # loads the compiler
    from simulator.core.transition_table import make_table

    assert spec.mdp is not None
    core = env.unwrapped
    draw = _taxi if isinstance(core, TaxiEnv) else _grid
    table = make_table(spec.mdp, always_draws=True)
    return TabularEnv(spec, table, gymnasium_streams(seeds), lambda state, clock: draw(spec.id, core, state, clock))


def _grid(title: str, core: Any, state: int, clock: int) -> Scene:
    """Draw frozen lake or cliff: one state per cell; holes and the cliff are lava."""
    if isinstance(core, FrozenLakeEnv):
        uncertain = any(len(outcomes) > 1 for row in core.P.values() for outcomes in row.values())
        letters = np.asarray(core.desc, str)
        facts = {"step": str(clock), "ice": "slippery" if uncertain else "not slippery"}
        meanings = {"lava": "hole"}
    else:
        letters = np.where(core._cliff, "H", "F")
        letters[3, 0] = "S"
        letters[3, -1] = "G"
        facts = {"step": str(clock), "ground": "slippery" if core.is_slippery else "not slippery"}
        meanings = {"lava": "cliff, back to the start"}
    kinds = {"S": "start", "G": "goal", "H": "lava"}
    marks = [Mark(row, column, kinds[letter]) for (row, column), letter in np.ndenumerate(letters) if letter in kinds]
    row, column = divmod(state, letters.shape[1])
    marks.append(Mark(row, column, "walker"))
    actions = _KINDS[type(core)]
    return Scene(
        title,
        np.zeros(letters.shape, bool),
        tuple(marks),
        places=np.array(list(np.ndindex(letters.shape))),
        actions=actions,
        facts=facts,
        meanings=meanings,
    )


def _taxi(title: str, core: Any, state: int, clock: int) -> Scene:
    """Draw taxi: cells in the even columns, the walls between them in the odd ones; places of this errand only."""
    walls = core.desc[1:-1, 1:-1] == b"|"
    row, column, passenger, destination = core.decode(state)
    marks = [Mark(r, 2 * c, "cue", name) for (r, c), name in zip(core.locs, _STANDS, strict=True)]
    marks.append(Mark(core.locs[destination][0], 2 * core.locs[destination][1], "goal", _STANDS[destination]))
    if passenger < len(core.locs):
        marks.append(Mark(core.locs[passenger][0], 2 * core.locs[passenger][1], "passenger"))
    marks.append(Mark(row, 2 * column, "walker"))
    places = np.full((len(core.P), 2), -1)
    for other in range(len(places)):
        r, c, *errand = core.decode(other)
        if errand == [passenger, destination]:
            places[other] = r, 2 * c
    riding = "in the taxi" if passenger == len(core.locs) else f"waits at {_STANDS[passenger]}"
    facts = {"step": str(clock), "passenger": riding, "destination": _STANDS[destination]}
    meanings = {"walker": "taxi", "goal": "destination", "cue": "stand"}
    return Scene(title, walls, tuple(marks), places=places, actions=_KINDS[TaxiEnv], facts=facts, meanings=meanings)
