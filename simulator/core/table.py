"""A finite world as a look-up table, and its one step in compiled code.

Worlds by table (``envs/``) and tabular agents (``agents/``) meet here: both sides of a compiled stretch, and the
world's own step-by-step path, run the same ``table_step``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from simulator.core.compiled import lane
from simulator.core.draws import categorical, uniform

if TYPE_CHECKING:
    from simulator.core.mdp import FiniteMDP

CUMULATIVE, NEXT, REWARD, END = 0, 1, 2, 3  # the columns of an outcome
GOES_ON, TERMINATES, TRUNCATES = 0, 1, 2  # what END says


class Table(NamedTuple):
    """A finite world's law. Outcomes that do not exist have the cumulative probability of the last one that does."""

    outcomes: np.ndarray  # float64 [N, A, K, 4]
    start: np.ndarray  # float64 [N], cumulative
    see: np.ndarray  # int64 [N], the observation of each state
    max_steps: int  # 0: no limit


class Lanes(NamedTuple):
    """S walkers in one table, moved on in place."""

    table: Table
    place: np.ndarray  # int64 [S]
    clock: np.ndarray  # int64 [S], steps of the current episode
    stream: np.ndarray  # uint64 [S, 4]


def make_table(mdp: FiniteMDP, see: np.ndarray | None = None) -> Table:
    """The table of ``mdp``; ``see`` int [N] gives each state's observation (default: the state itself)."""
    n_states = mdp.prob.shape[0]
    columns = [np.cumsum(mdp.prob, axis=-1), mdp.next, mdp.reward.astype(np.float32), mdp.end]
    outcomes = np.ascontiguousarray(np.stack([np.asarray(c, np.float64) for c in columns], axis=-1))
    seen = np.arange(n_states) if see is None else see
    return Table(outcomes, np.cumsum(mdp.start), np.ascontiguousarray(seen, np.int64), int(mdp.max_steps or 0))


@lane
def table_step(lanes, i, action):
    """Move walker i: (state led to, reward, END code); a new episode has begun where the code is not GOES_ON."""
    outcomes = lanes.table.outcomes
    at, action = np.uint64(lanes.place[i]), np.uint64(action)  # spares the check for indices that count from the end
    draw = uniform(lanes.stream, i)
    k, n = np.int64(0), outcomes.shape[2]
    if n > 1:
        for j in range(n):  # no early exit: a branch that cannot be foreseen costs more than the look
            k += outcomes[at, action, j, CUMULATIVE] <= draw
        if k == n:
            k = np.int64(0)  # rounding left none: the rule of gymnasium's categorical_sample
    drawn = np.uint64(k)
    led_to = np.int64(outcomes[at, action, drawn, NEXT])
    end = np.int64(outcomes[at, action, drawn, END])
    lanes.clock[i] += 1
    if end == GOES_ON and lanes.clock[i] == lanes.table.max_steps:
        end = np.int64(TRUNCATES)
    if end == GOES_ON:
        lanes.place[i] = led_to
    else:
        table_reset(lanes, i)
    return led_to, outcomes[at, action, drawn, REWARD], end


@lane
def table_reset(lanes, i):
    """Put walker i on a start drawn from its own stream."""
    lanes.place[i] = categorical(lanes.stream, i, lanes.table.start)
    lanes.clock[i] = 0
