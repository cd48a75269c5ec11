"""A finite environment as a look-up table, and its one step in compiled code.

Environments by table (``envs/``) and tabular agents (``agents/``) meet here: both sides of a compiled stretch, and the
environment's own step-by-step path, run the same ``table_step``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from simulator.core.jit import jit_inline
from simulator.core.rng_compiled import categorical, uniform

if TYPE_CHECKING:
    from simulator.core.mdp.solve import FiniteMDP

CUMULATIVE, REWARD = 0, 1  # the columns of an outcome
GOES_ON, TERMINATES, TRUNCATES = 0, 1, 2  # how a step ends


class TransitionTable(NamedTuple):
    """Transitions of a finite MDP. Missing outcomes have the cumulative probability of the last one that exists."""

    outcomes: np.ndarray  # float64 [N, A, K, 2], cumulative probability and reward
    codes: np.ndarray  # int64 [N, A, K], four times the next state, plus how the step ends
    start: np.ndarray  # float64 [N], cumulative
    see: np.ndarray  # int64 [N], the observation of each state
    max_steps: int  # 0: no limit
    always_draws: bool  # also where an action has one outcome only, as Gymnasium's toy texts do


class TabularBatch(NamedTuple):
    """S walkers in one table, moved on in place."""

    table: TransitionTable
    place: np.ndarray  # int64 [S]
    clock: np.ndarray  # int64 [S], steps of the current episode
    stream: np.ndarray  # uint64 [S, 4]


def make_table(mdp: FiniteMDP, see: np.ndarray | None = None, *, always_draws: bool = False) -> TransitionTable:
    """The table of ``mdp``; ``see`` int [N] gives each state's observation (default: the state itself)."""
    n_states = mdp.prob.shape[0]
    columns = [np.cumsum(mdp.prob, axis=-1), mdp.reward.astype(np.float32)]
    outcomes = np.ascontiguousarray(np.stack([np.asarray(c, np.float64) for c in columns], axis=-1))
    codes = np.ascontiguousarray(4 * mdp.next.astype(np.int64) + mdp.end)
    seen = np.arange(n_states) if see is None else see
    seen = np.ascontiguousarray(seen, np.int64)
    return TransitionTable(outcomes, codes, np.cumsum(mdp.start), seen, int(mdp.max_steps or 0), always_draws)


@jit_inline
def table_step(env_batch, i, action):
    """Move walker i: (state led to, reward, END code); a new episode has begun where the code is not GOES_ON."""
    outcomes = env_batch.table.outcomes
    at, action = (
        np.uint64(env_batch.place[i]),
        np.uint64(action),
    )  # spares the check for indices that count from the end
    k, n = np.int64(0), outcomes.shape[2]
    draw = uniform(env_batch.stream, i) if n > 1 or env_batch.table.always_draws else 0.0
    if n > 1:
        for j in range(n):  # no early exit: a branch that cannot be foreseen costs more than the look
            k += outcomes[at, action, j, CUMULATIVE] <= draw
        if k == n:
            k = np.int64(0)  # rounding left none: the rule of gymnasium's categorical_sample
    drawn = np.uint64(k)
    code = env_batch.table.codes[
        at, action, drawn
    ]  # whole numbers apart: a conversion would stand in the way of every step
    led_to, end = code >> 2, code & 3
    env_batch.clock[i] += 1
    if end == GOES_ON and env_batch.clock[i] == env_batch.table.max_steps:
        end = np.int64(TRUNCATES)
    if end == GOES_ON:
        env_batch.place[i] = led_to
    else:
        table_reset(env_batch, i)
    return led_to, outcomes[at, action, drawn, REWARD], end


@jit_inline
def table_reset(env_batch, i):
    """Put walker i on a start drawn from its own stream."""
    env_batch.place[i] = categorical(env_batch.stream, i, env_batch.table.start)
    env_batch.clock[i] = 0
