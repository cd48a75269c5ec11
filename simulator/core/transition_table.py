"""The transition table of a finite environment, and its one step in compiled code.

Tabular environments (``envs/``) and tabular agents (``agents/``) meet here: both sides of a compiled rollout, and the
environment's own step-by-step path, run the same ``table_step``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from simulator.core.jit import jit_inline
from simulator.core.rng_compiled import categorical, uniform

if TYPE_CHECKING:
    from simulator.core.mdp.model import FiniteMDP

CUMULATIVE = 0  # the columns of an outcome
REWARD = 1
GOES_ON = 0  # how a step ends
TERMINATES = 1
TRUNCATES = 2


class TransitionTable(NamedTuple):
    """Transitions of a finite MDP. Missing outcomes have the cumulative probability of the last one that exists."""

    outcomes: np.ndarray  # float64 [N, A, K, 2], cumulative probability and reward
    codes: np.ndarray  # int64 [N, A, K], four times the next state, plus how the step ends
    start: np.ndarray  # float64 [N], cumulative
    obs_of_state: np.ndarray  # int64 [N]
    max_steps: int  # 0: no limit
    always_draws: bool  # also where an action has one outcome only, as Gymnasium's toy texts do


class TabularBatch(NamedTuple):
    """S copies of a tabular environment, updated in place."""

    table: TransitionTable
    state: np.ndarray  # int64 [S]
    episode_step: np.ndarray  # int64 [S], steps of the current episode
    stream: np.ndarray  # uint64 [S, 4]


class TableStep(NamedTuple):
    """The outcome of one step of one copy."""

    next_state: int  # before a new episode begins
    reward: float
    end: int  # GOES_ON, TERMINATES or TRUNCATES


def make_table(
    mdp: FiniteMDP, obs_of_state: np.ndarray | None = None, *, always_draws: bool = False
) -> TransitionTable:
    """Tabulate ``mdp``; ``obs_of_state`` int [N] gives each state's observation (default: the state itself)."""
    columns = [np.cumsum(mdp.prob, axis=-1), mdp.reward.astype(np.float32)]
    if obs_of_state is None:
        obs_of_state = np.arange(mdp.prob.shape[0])
    return TransitionTable(
        outcomes=np.ascontiguousarray(np.stack([np.asarray(c, np.float64) for c in columns], axis=-1)),
        codes=np.ascontiguousarray(4 * mdp.next.astype(np.int64) + mdp.end),
        start=np.cumsum(mdp.start),
        obs_of_state=np.ascontiguousarray(obs_of_state, np.int64),
        max_steps=int(mdp.max_steps or 0),
        always_draws=always_draws,
    )


@jit_inline
def table_step(env_batch, i, action):
    """Move copy i and return its TableStep; a new episode has begun where ``end`` is not GOES_ON."""
    outcomes = env_batch.table.outcomes
    state = np.uint64(env_batch.state[i])  # unsigned: spares the check for indices that count from the end
    action = np.uint64(action)
    n_outcomes = outcomes.shape[2]
    chosen = np.int64(0)
    draw = uniform(env_batch.stream, i) if n_outcomes > 1 or env_batch.table.always_draws else 0.0
    if n_outcomes > 1:
        for k in range(n_outcomes):  # no early exit: a branch that cannot be foreseen costs more than the comparison
            chosen += outcomes[state, action, k, CUMULATIVE] <= draw
        if chosen == n_outcomes:
            chosen = np.int64(0)  # rounding left none: the rule of gymnasium's categorical_sample
    outcome = np.uint64(chosen)
    code = env_batch.table.codes[state, action, outcome]  # integers apart: no conversion in every step
    next_state = code >> 2
    end = code & 3
    env_batch.episode_step[i] += 1
    if end == GOES_ON and env_batch.episode_step[i] == env_batch.table.max_steps:
        end = np.int64(TRUNCATES)
    if end == GOES_ON:
        env_batch.state[i] = next_state
    else:
        table_reset(env_batch, i)
    return TableStep(next_state, outcomes[state, action, outcome, REWARD], end)


@jit_inline
def table_reset(env_batch, i):
    """Move copy i to a start state drawn from its own stream."""
    env_batch.state[i] = categorical(env_batch.stream, i, env_batch.table.start)
    env_batch.episode_step[i] = 0
