"""Q-learning, Sarsa and Expected Sarsa, each single or double, on tables, bins, tiles or linear features.

One update after every step from s by a to s' with reward R, where Q is one table, a sum over active tiles, or linear:

    Q(s, a) <- Q(s, a) + alpha * (R + gamma * V(s') - Q(s, a)),   V(s') = 0 where the episode terminates

=============  ====================================================  ===================================================
target         V(s')                                                 source
=============  ====================================================  ===================================================
``max``        max over a' of Q(s', a')                              Watkins and Dayan 1992; SB (6.8)
``sarsa``      Q(s', a'), a' being the action that is taken next     Rummery and Niranjan 1994; SB (6.7)
``expected``   sum over a' of pi(a' | s') Q(s', a')                  van Seijen et al. 2009; SB (6.9)
=============  ====================================================  ===================================================

With ``double`` a coin chooses which of two tables is updated. That table selects a' and the other one gives its
value (van Hasselt 2010; SB (6.10)); the behaviour policy uses their sum. With tiles alpha is divided by the number of
tilings (SB 9.5.4). SB is Sutton and Barto, Reinforcement Learning, 2nd edition, 2018.

With real-valued features x(s), those of an ``encoder`` or the observation's own numbers, Q(s, a) = w_a . x(s) and

    w_a <- w_a + alpha * delta * x(s) / |x(s)|^2

which is normalized least mean squares (Haykin 2002, chapter 6): alpha = 1 moves Q(s, a) to its target, as in a table
and with tiles. The first number of x is a constant 1. Off-policy it may diverge (SB 11.2), and then the seed fails.

With ``trace_decay`` lambda above 0 every TD error delta goes to all pairs by their eligibility e (SB 12.1 to 12.10):

    e <- gamma * lambda * e,  e(s, a) <- one of the below,  Q <- Q + alpha * delta * e

================  ======================================================
traces            e(s, a) of the pair that was visited
================  ======================================================
``accumulating``  e + 1
``replacing``     1 (Singh and Sutton 1996)
``dutch``         (1 - alpha) * e + 1 (van Seijen and Sutton 2014)
================  ======================================================

With ``max`` this is Watkins's Q(lambda): e becomes 0 before an action that is not greedy. With ``sarsa`` it is
Sarsa(lambda). Traces end with the episode, and where they fall below 1e-8.

With a ``model`` each step is followed by ``planning_steps`` updates from what the model knows of transitions, or makes
up: Dyna-Q and prioritized sweeping (:mod:`agents.components.table`), replay of past transitions
(:mod:`agents.components.replay`), or those that a generative network imagines (:mod:`agents.components.gan`,
:mod:`agents.components.vae`).

Departures: ties are broken at random; an action that is not legal is never chosen and never in a maximum; truncation
bootstraps from the observation that the step led to; planning with ``sarsa`` takes the mean over the policy.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from math import prod
from typing import Any, Literal, NamedTuple

import numpy as np

from agents.common.changeable import (
    checked,
    constant_exploration,
    exploration_bounds,
    exploration_name,
    exploration_now,
)
from agents.common.encoders.encoded import EncodedAgent, FirstLayers, with_encoder
from agents.common.exploration import Explore, ExploreSettings, argmax, choose, expectation, highest, make_explore
from agents.common.inside import MAX_POINTS, MAX_ROWS, exploration_panel, learned_rows, table_panel
from agents.common.intrinsic import CuriousAgent, NoBonus, add_bonus, bonus_of, with_bonus
from agents.common.spaces import action_lists, discount, legal_rows, n_actions
from agents.common.tabular import GreedyTable, activation_of, check_memory, load, save, trace_buffers
from agents.common.tile_coding import BoxFeatures, Features, make_features
from agents.common.transition_panels import TransitionSample, imagined_panels
from agents.common.transitions import KeepsTransitions, TransitionModel, fail_diverged
from agents.components.counts import CountedBonus, compiled_bonus
from agents.components.replay import Replay, ReplayPlanning, draw_transition, keep_transition, kept_panels
from agents.components.table import (
    TableModel,
    TablePlanning,
    TrueModel,
    draw_pair,
    first_pair,
    observe_transition,
    sample_outcome,
    set_gains,
    set_priority,
    table_panels,
    true_model_of,
)
from simulator.core import registry, rng
from simulator.core.components import Encoder, Intrinsic, Model
from simulator.core.field_types import CountOrZero, PositiveShare, Share
from simulator.core.jit import compiled_only, jit, jit_implementation, jit_inline, parallel_for
from simulator.core.protocols import Array, EnvSpec, Metrics, Rollout, State, Step
from simulator.core.rng_compiled import uniform
from simulator.core.scene import BarPanel, HeatPanel, Panel, TableUpdate, TextPanel, action_names
from simulator.core.transition_table import GOES_ON, TERMINATES, TabularBatch, table_step


@dataclass(frozen=True)
class Config:
    """Settings of Q-learning and its relatives."""

    target: Literal["max", "sarsa", "expected"] = "max"
    """value of the next state: its best action, the action taken next, or the mean under the behaviour policy"""
    double: bool = False
    """double learning: two tables, each bootstraps from the other's value of its own best action"""
    step_size: PositiveShare = 0.5
    """learning rate alpha; 1 replaces the old value by the target"""
    step_size_exponent: Share = 0.0
    """w: the n-th update of an entry uses step_size * n**-w; 0 keeps the step size constant"""
    gamma: Share | None = None
    """discount per step; none: the environment's own, 0.8 in a graph of rooms and 0.99 elsewhere"""
    init_value: float = 0.0
    """initial value of every entry, in units of return; optimistic if above the true values"""
    trace_decay: Share = 0.0
    """lambda: eligibility of a pair falls by gamma * lambda a step; 0: a step updates its own pair alone"""
    traces: Literal["accumulating", "replacing", "dutch"] = "replacing"
    """eligibility of a pair at a visit: one more, one, or in between; counts only with trace_decay above 0"""
    encoder: Encoder = None
    """features in place of the observation, in which values are linear: atlas, pca, true_state and others; none: a
    table, bins or tiles"""
    model: Model = None
    """model of transitions to plan with: table, replay, gan or vae; none: no planning"""
    planning_steps: CountOrZero | None = None
    """updates from the model after every step in the environment, in place of a generative model's ``imagined``;
    none: 5 with a model"""
    intrinsic: Intrinsic = None
    """bonus for what is new: counts, familiarity, nearest or random_network; none: the reward alone"""
    explore: ExploreSettings = field(default_factory=ExploreSettings)
    """exploration while training"""
    box: BoxFeatures = field(default_factory=BoxFeatures)
    """discretization of real-valued observations"""


PRESETS = {
    "six-rooms": {
        "description": "the textbook's exercise: random moves, step size 1",
        "env": "rooms",
        "steps": 60_000,
        "agent": {"step_size": 1.0, "explore": {"epsilon_start": 1.0}},
        "env_settings": {"layout": "six"},
    },
    "cliff": {
        "description": "example 6.6 of Sutton and Barto 2018: the greedy path of -13",
        "env": "CliffWalking-v1",
        "steps": 3_000,
        "agent": {"step_size": 0.5, "gamma": 1.0, "explore": {"epsilon_start": 0.1}},
    },
    "frozen-lake": {
        "description": "a success rate of .73 and more at the end: step size n**-0.55, epsilon falling to .05",
        "env": "FrozenLake-v1",
        "steps": 50_000,
        "agent": {
            "step_size": 1.0,
            "step_size_exponent": 0.55,
            "explore": {"epsilon_start": 1.0, "epsilon_end": 0.05, "decay_steps": 50_000},
        },
    },
    "frozen-lake-fast": {
        "description": "the same in 12,000 steps, in nearly as many seeds: initial values .5, epsilon from .5 to 0",
        "env": "FrozenLake-v1",
        "steps": 12_000,
        "agent": {
            "step_size": 1.0,
            "step_size_exponent": 0.55,
            "init_value": 0.5,
            "explore": {"epsilon_start": 0.5, "epsilon_end": 0.0, "decay_steps": 12_000},
        },
    },
    "taxi": {
        "description": "the exact optimum 7.93 in 150,000 steps: eight moves in ten at random",
        "env": "Taxi-v4",
        "steps": 150_000,
        "agent": {"step_size": 1.0, "explore": {"epsilon_start": 0.85, "epsilon_end": 0.8, "decay_steps": 150_000}},
    },
    "taxi-fast": {
        "description": "7.8 and more in 60,000 steps",
        "env": "Taxi-v4",
        "steps": 60_000,
        "agent": {"step_size": 1.0, "explore": {"epsilon_start": 0.4, "epsilon_end": 0.2, "decay_steps": 60_000}},
    },
}


MAX = 0
SARSA = 1
EXPECTED = 2
TARGETS = ("max", "sarsa", "expected")  # by the numbers above
ACCUMULATING = 0
REPLACING = 1
DUTCH = 2
TRACES = ("accumulating", "replacing", "dutch")
MIN_TRACE = 1e-8  # below, a trace is 0
IMAGINED_AT_ONCE = 64  # transitions of a generative model, or some more: as many as whole steps use up


class QLearningHyperparams(NamedTuple):
    """The settings as compiled code takes them."""

    target: int  # MAX, SARSA or EXPECTED
    step_size: float
    step_size_exponent: float  # 0: constant step size
    gamma: float
    explore: Explore
    trace_decay: float
    traces: int  # ACCUMULATING, REPLACING or DUTCH


class QLearningTrainState(NamedTuple):
    """Train state of S learners. D is 2 with double learning, else 1; F features, A actions."""

    q: Array  # float64 [S, D, F, A]
    visits: Array  # int64 [S, D, F, A], updates of each entry; [S, 1, 1, 1] where the step size is constant
    next_action: Array  # int64 [S], the action that Sarsa has already chosen, or -1
    env_steps: Array  # int64 [S]
    stream: Array  # uint64 [S, 4]
    td_error: Array  # float64 [S], running mean of |TD error| over about 100 steps
    failed_at: Array  # int64 [S], the step at which a TD error or a value was not finite, or 0; it learns no more then


class LatestPairUpdates(NamedTuple):
    """The latest update of every seed by a step in the environment; of a rollout the one after its last step."""

    feature: Array  # int64 [S], -1 before the first
    action: Array  # int64 [S]
    td_error: Array  # float64 [S], before the update; NaN where the seed had failed


class QLearningWorkspace(NamedTuple):
    """Buffers of compiled code that are no part of the state, and the legal actions."""

    features: Array  # int64 [S, K], active at the observation
    next_features: Array  # int64 [S, K], active at the observation that the step led to
    activation: Array  # float64 [S, K], how active they are; 1 but for real-valued features
    next_activation: Array  # float64 [S, K], likewise
    selection: Array  # float64 [S, A], the values by which an action is selected
    evaluation: Array  # float64 [S, A], the values of the selected action
    legal_actions: Array  # int64 [n_observations or 1, 1 + A], how many actions are legal, and which
    last_update: LatestPairUpdates  # for the views


class Traces(NamedTuple):
    """Eligibility of S learners, and a list of the pairs where it is not 0."""

    value: Array  # float64 [S, F, A]
    listed: Array  # int32 [S, F * A, 2], feature and action
    n_listed: Array  # int64 [S]


class NoTraces(NamedTuple):
    """Learners without eligibility."""


class NoPlanning(NamedTuple):
    """Learners without a model."""


class ImaginedTransitions(NamedTuple):
    """Transitions that a generative model of S seeds made up, each to be used once."""

    pair: Array  # int64 [S, C], state * A + action
    code: Array  # int64 [S, C], twice the next state, plus 1 where the episode terminates
    reward: Array  # float64 [S, C]
    n_left: Array  # int64 [S], the last ones, that are not used yet
    n_updates: Array  # int64 [S], from such transitions, so far


class ImaginedPlanning(NamedTuple):
    """Imagined transitions and how many are used, as compiled code takes them."""

    transitions: ImaginedTransitions
    n_steps: int  # updates after every step in the environment


class Additions(NamedTuple):
    """Learning beyond one update of one pair at every step."""

    traces: Traces | NoTraces
    planning: TablePlanning | ReplayPlanning | ImaginedPlanning | NoPlanning
    bonus: CountedBonus | NoBonus  # of rollouts


PLAIN = Additions(NoTraces(), NoPlanning(), NoBonus())


@jit_inline
def _is_lookup(state, work):
    """Return whether action values are single entries, so that a row of them can be read where it stands."""
    return state.q.shape[1] == 1 and work.features.shape[1] == 1


@jit_inline
def _sum_values(out, q, features, activation, first_table, last_table):
    """Fill out [A] with the sum over active features and over tables first_table to last_table - 1 of q [D, F, A]."""
    for action in range(out.shape[0]):
        out[action] = 0.0
        for table in range(first_table, last_table):
            for k in range(features.shape[0]):
                out[action] += q[table, features[k], action] * activation[k]


@jit_inline
def select_action(state, hyper, work, i, feature):
    """Sample an action of seed i from the behaviour policy; ``feature`` is the first active one."""
    if hyper.target == SARSA and state.next_action[i] >= 0:
        action = state.next_action[i]
        state.next_action[i] = -1
        return action
    legal_actions = work.legal_actions[feature if work.legal_actions.shape[0] > 1 else np.uint64(0)]
    if _is_lookup(state, work):
        return choose(state.stream, i, state.q[i, 0, feature], legal_actions, hyper.explore, state.env_steps[i])
    _sum_values(work.selection[i], state.q[i], work.features[i], work.activation[i], 0, state.q.shape[1])
    return choose(state.stream, i, work.selection[i], legal_actions, hyper.explore, state.env_steps[i])


@jit_inline
def _policy_value(state, hyper, i, selection, evaluation, legal_actions):
    """Return V(s') of the target policy that ``selection`` [A] gives, valued by ``evaluation`` [A].

    The second result is the action that Sarsa chose, else -1.
    """
    if hyper.target == EXPECTED:
        return expectation(selection, evaluation, legal_actions, hyper.explore, state.env_steps[i]), -1
    if hyper.target == MAX:
        return evaluation[argmax(state.stream, i, selection, legal_actions)], -1
    action = choose(state.stream, i, selection, legal_actions, hyper.explore, state.env_steps[i])
    return evaluation[action], action


@jit_inline
def bootstrap_value(state, hyper, work, i, table, next_feature):
    """Return V(s') for the update of ``table``, and the action that Sarsa chose there, else -1."""
    legal_actions = work.legal_actions[next_feature if work.legal_actions.shape[0] > 1 else np.uint64(0)]
    if _is_lookup(state, work):
        q_t = state.q[i, 0, next_feature]
        if hyper.target == MAX:
            return highest(q_t, legal_actions), -1
        return _policy_value(state, hyper, i, q_t, q_t, legal_actions)
    n_tables = state.q.shape[1]
    other = 1 - table if n_tables == 2 else table
    features = work.next_features[i]
    activation = work.next_activation[i]
    _sum_values(work.evaluation[i], state.q[i], features, activation, other, other + 1)
    if hyper.target == MAX:
        _sum_values(work.selection[i], state.q[i], features, activation, table, table + 1)
    else:
        _sum_values(work.selection[i], state.q[i], features, activation, 0, n_tables)
    return _policy_value(state, hyper, i, work.selection[i], work.evaluation[i], legal_actions)


@jit_inline
def _step_size(state, hyper, i, table, feature, action):
    """Return the step size of an entry's next update, and count that update where the step size falls."""
    if hyper.step_size_exponent == 0.0:
        return hyper.step_size
    state.visits[i, table, feature, action] += 1
    return hyper.step_size * state.visits[i, table, feature, action] ** -hyper.step_size_exponent


@jit_inline
def _add(state, i, table, feature, action, change):
    """Add to a value of seed i, unless the sum is not finite: then the value stays and the seed has failed."""
    value = state.q[i, table, feature, action] + change
    if np.isfinite(value):
        state.q[i, table, feature, action] = value
    else:
        state.failed_at[i] = state.env_steps[i]


@compiled_only
def assign_credit(traces: Any, state: Any, hyper: Any, work: Any, i: Any, td_error: Any, pair: Any, ended: Any) -> None:
    """Add to action values of seed i what a TD error says about the pair that was visited, and about those before.

    ``pair`` is (table, feature, action); ``ended`` tells whether the episode did.
    """


@jit_implementation(assign_credit, inline=True, of=NoTraces)
def _assign_to_pair(traces, state, hyper, work, i, td_error, pair, ended):
    table, feature, action = pair
    if _is_lookup(state, work):
        _add(state, i, 0, feature, action, _step_size(state, hyper, i, 0, feature, action) * td_error)
    else:
        squares = 0.0
        for k in range(work.features.shape[1]):
            squares += work.activation[i, k] * work.activation[i, k]
        for k in range(work.features.shape[1]):
            active = work.features[i, k]
            step_size = _step_size(state, hyper, i, table, active, action) / squares
            _add(state, i, table, active, action, step_size * td_error * work.activation[i, k])


@jit_implementation(assign_credit, inline=True, of=Traces)
def _assign_along_traces(traces, state, hyper, work, i, td_error, pair, ended):
    _, feature, action = pair
    n_active = work.features.shape[1]
    decay = hyper.gamma * hyper.trace_decay
    if hyper.target == MAX and not _is_greedy(state, work, i, feature, action):
        decay = 0.0
    _decay_traces(traces, i, decay)
    visited = 0.0
    for k in range(n_active):
        visited += traces.value[i, feature if n_active == 1 else np.uint64(work.features[i, k]), action]
    for k in range(n_active):
        active = feature if n_active == 1 else np.uint64(work.features[i, k])
        step_size = _step_size(state, hyper, i, 0, active, action) / n_active
        eligibility = traces.value[i, active, action]
        if eligibility == 0.0:
            traces.listed[i, traces.n_listed[i], 0] = active
            traces.listed[i, traces.n_listed[i], 1] = action
            traces.n_listed[i] += 1
        if hyper.traces == ACCUMULATING:
            eligibility += 1.0
        elif hyper.traces == REPLACING:
            eligibility = 1.0
        else:
            eligibility += 1.0 - step_size * visited
        traces.value[i, active, action] = eligibility
    for m in range(traces.n_listed[i]):
        feature_m = traces.listed[i, m, 0]
        action_m = traces.listed[i, m, 1]
        step_size = hyper.step_size / n_active
        if hyper.step_size_exponent > 0.0:
            step_size *= state.visits[i, 0, feature_m, action_m] ** -hyper.step_size_exponent
        _add(state, i, 0, feature_m, action_m, step_size * td_error * traces.value[i, feature_m, action_m])
    if ended:
        _decay_traces(traces, i, 0.0)


@jit_inline
def _decay_traces(traces, i, decay):
    """Multiply the traces of seed i by ``decay``, and drop those that are nearly 0."""
    n_kept = 0
    for m in range(traces.n_listed[i]):
        feature = traces.listed[i, m, 0]
        action = traces.listed[i, m, 1]
        eligibility = traces.value[i, feature, action] * decay
        if eligibility < MIN_TRACE:
            traces.value[i, feature, action] = 0.0
            continue
        traces.value[i, feature, action] = eligibility
        traces.listed[i, n_kept, 0] = feature
        traces.listed[i, n_kept, 1] = action
        n_kept += 1
    traces.n_listed[i] = n_kept


@jit_inline
def _is_greedy(state, work, i, feature, action):
    """Tell whether an action is one of the best at ``work.features``, before they are updated."""
    legal_actions = work.legal_actions[feature if work.legal_actions.shape[0] > 1 else np.uint64(0)]
    if _is_lookup(state, work):
        return state.q[i, 0, feature, action] == highest(state.q[i, 0, feature], legal_actions)
    _sum_values(work.selection[i], state.q[i], work.features[i], work.activation[i], 0, 1)
    return work.selection[i, action] == highest(work.selection[i], legal_actions)


@compiled_only
def plan(planning: Any, state: Any, hyper: Any, work: Any, i: Any, pair: Any, outcome: Any) -> None:
    """Tell the model of seed i what followed on ``pair`` (state, action), and update values from it.

    ``outcome`` is (next state, whether the episode terminated, reward).
    """


@jit_implementation(plan, inline=True, of=NoPlanning)
def _plan_nothing(planning, state, hyper, work, i, pair, outcome):
    pass


@jit_implementation(plan, inline=False, of=TablePlanning)
def _plan_from_table(planning, state, hyper, work, i, pair, outcome):
    if state.failed_at[i] > 0:
        return
    n_actions = state.q.shape[3]
    visited = np.int64(pair[0] * n_actions + pair[1])
    if planning.learned and not observe_transition(planning, i, visited, outcome[0], outcome[1], outcome[2]):
        return
    if planning.prioritized:
        _sweep(planning, state, hyper, work, i, visited)
        return
    for _ in range(planning.n_steps):
        planned = draw_pair(planning.transitions, i)
        _update_planned(planning, state, hyper, work, i, planned, planned // n_actions)
        if state.failed_at[i] > 0:
            return


@jit_inline
def _sweep(planning, state, hyper, work, i, visited):
    """Queue the pair that was visited, and update the values of the pairs of seed i with the largest errors."""
    n_actions = state.q.shape[3]
    if planning.learned:
        set_gains(planning, i, visited, hyper.gamma)
    _refresh_target(planning, state, hyper, work, i, visited)
    _queue_error(planning, state, hyper, work, i, visited, visited // n_actions)
    for _ in range(planning.n_steps):
        if planning.queue.priority[i, 0] == 0.0:
            return
        pair = first_pair(planning.queue.priority[i])
        pair_state = pair // n_actions
        if hyper.target != MAX or hyper.trace_decay > 0.0:  # values of other states than the updated one change too
            _refresh_target(planning, state, hyper, work, i, pair)
        _update_planned(planning, state, hyper, work, i, pair, pair_state)
        if state.failed_at[i] > 0:
            return
        _queue_error(planning, state, hyper, work, i, pair, pair_state)


@jit_inline
def _update_planned(planning, state, hyper, work, i, pair, pair_state):
    """Update the value of a pair of seed i from the table."""
    table = planning.transitions
    table.n_updates[i] += 1
    action = pair - pair_state * state.q.shape[3]
    if not planning.expected:
        k = sample_outcome(table, i, pair)
        target = _mean_target(planning, state, hyper, work, i, pair, k, k + 1)
    elif planning.prioritized:
        target = planning.queue.target[i, pair]
    else:
        target = _mean_target(planning, state, hyper, work, i, pair, np.int64(0), np.int64(table.n_outcomes[i, pair]))
    step_size = planning.step_size
    if step_size == 0.0:
        step_size = _step_size(state, hyper, i, 0, pair_state, action)
    _add(state, i, 0, pair_state, action, step_size * (target - state.q[i, 0, pair_state, action]))


@jit_inline
def _mean_target(planning, state, hyper, work, i, pair, first, last):
    """Return the mean target of a pair over its outcomes ``first`` to ``last`` - 1, by their weight."""
    table = planning.transitions
    mean = 0.0
    total_weight = 0.0
    for k in range(first, last):
        target = table.reward[i, pair, k]
        code = table.code[i, pair, k]
        if code & 1 == 0:
            target += hyper.gamma * _planned_value(state, hyper, work, i, code >> 1)
        total_weight += table.weight[i, pair, k]
        mean += (target - mean) * (table.weight[i, pair, k] / total_weight)
    return mean


@jit_inline
def _refresh_target(planning, state, hyper, work, i, pair):
    """Compute the expected target of a pair anew, after carrying back what changed in the values of its outcomes."""
    queue = planning.queue
    target = queue.reward[i, pair]
    for k in range(planning.transitions.n_outcomes[i, pair]):
        code = planning.transitions.code[i, pair, k]
        if code & 1 == 0:
            _carry_back(planning, state, hyper, work, i, np.int64(code >> 1))
            target += queue.gain[i, pair, k] * queue.value[i, code >> 1]
    queue.target[i, pair] = target


@jit_inline
def _queue_error(planning, state, hyper, work, i, pair, pair_state):
    """Queue a pair by its error, after its own value changed, and the pairs that lead to its state."""
    _carry_back(planning, state, hyper, work, i, pair_state)
    error = abs(planning.queue.target[i, pair] - state.q[i, 0, pair_state, pair - pair_state * state.q.shape[3]])
    set_priority(planning.queue.priority[i], pair, error, planning.min_priority)


@jit_inline
def _carry_back(planning, state, hyper, work, i, next_state):
    """Add a change of a state's value to the targets of all pairs that lead there, and queue these by their errors."""
    queue = planning.queue
    value = _planned_value(state, hyper, work, i, next_state)
    change = value - queue.value[i, next_state]
    if change == 0.0:
        return
    queue.value[i, next_state] = value
    q = state.q[i, 0].reshape(-1)  # by pair
    targets = queue.target[i]
    tree = queue.priority[i]
    gains = queue.gain[i].reshape(-1)
    next_edges = queue.next_edge[i].reshape(-1)
    n_outcomes = queue.gain.shape[2]
    edge = np.int64(queue.first_edge[i, next_state])
    while edge >= 0:
        pair = edge >> planning.successor_bits
        slot = np.uint64(pair * n_outcomes + (edge - (pair << planning.successor_bits)))
        target = targets[np.uint64(pair)] + gains[slot] * change
        targets[np.uint64(pair)] = target
        set_priority(tree, pair, abs(target - q[np.uint64(pair)]), planning.min_priority)
        edge = np.int64(next_edges[slot])


@jit_implementation(plan, inline=False, of=ReplayPlanning)
def _plan_from_replay(planning, state, hyper, work, i, pair, outcome):
    if state.failed_at[i] > 0:
        return
    kept = planning.transitions
    visited = np.int64(pair[0] * state.q.shape[3] + pair[1])
    keep_transition(kept, i, visited, np.int64(outcome[0]), outcome[1], outcome[2])
    for _ in range(planning.n_steps):
        slot = draw_transition(kept, i)
        kept.n_updates[i] += 1
        _update_towards(
            state, hyper, work, i, np.int64(kept.pair[i, slot]), np.int64(kept.code[i, slot]), kept.reward[i, slot]
        )
        if state.failed_at[i] > 0:
            return


@jit_implementation(plan, inline=False, of=ImaginedPlanning)
def _plan_from_imagined(planning, state, hyper, work, i, pair, outcome):
    if state.failed_at[i] > 0:
        return
    imagined = planning.transitions
    capacity = np.int64(imagined.pair.shape[1])
    for _ in range(min(np.int64(planning.n_steps), imagined.n_left[i])):
        slot = capacity - imagined.n_left[i]
        imagined.n_left[i] -= 1
        imagined.n_updates[i] += 1
        _update_towards(state, hyper, work, i, imagined.pair[i, slot], imagined.code[i, slot], imagined.reward[i, slot])
        if state.failed_at[i] > 0:
            return


@jit_inline
def _update_towards(state, hyper, work, i, pair, code, reward):
    """Update the value of a pair of seed i from one transition."""
    planned_state = pair // state.q.shape[3]
    action = pair - planned_state * state.q.shape[3]
    error = reward - state.q[i, 0, planned_state, action]
    if code & 1 == 0:
        error += hyper.gamma * _planned_value(state, hyper, work, i, code >> 1)
    _add(state, i, 0, planned_state, action, _step_size(state, hyper, i, 0, planned_state, action) * error)


@jit_inline
def _planned_value(state, hyper, work, i, planned_state):
    """Return V(s) of a state that is planned with: of its best action, or the mean under the behaviour policy."""
    legal_actions = work.legal_actions[np.uint64(planned_state) if work.legal_actions.shape[0] > 1 else np.uint64(0)]
    q = state.q[i, 0, np.uint64(planned_state)]
    if hyper.target == MAX:
        return highest(q, legal_actions)
    return expectation(q, q, legal_actions, hyper.explore, state.env_steps[i])


@jit_inline
def update(additions, state, hyper, work, i, feature, action, reward, terminated, ended, next_feature):
    """Update seed i after one step, and return the TD error before it; NaN where the seed has failed.

    ``feature`` and ``next_feature`` are the first active ones before and after the step.
    """
    state.env_steps[i] += 1
    if state.failed_at[i] > 0:
        return np.nan
    table = np.int64(0)
    if state.q.shape[1] == 2:
        table = np.int64(uniform(state.stream, i) < 0.5)

    discount_t = 0.0 if terminated else hyper.gamma
    v_t = 0.0
    if not terminated:
        v_t, next_action = bootstrap_value(state, hyper, work, i, table, next_feature)
        if hyper.target == SARSA and not ended:
            state.next_action[i] = next_action
    td_error = reward + discount_t * v_t

    if _is_lookup(state, work):
        td_error -= state.q[i, 0, feature, action]
    else:
        for k in range(work.features.shape[1]):
            td_error -= state.q[i, table, work.features[i, k], action] * work.activation[i, k]
    assign_credit(additions.traces, state, hyper, work, i, td_error, (table, feature, action), ended)
    if state.failed_at[i] == 0:
        state.td_error[i] += 0.01 * (abs(td_error) - state.td_error[i])
    plan(additions.planning, state, hyper, work, i, (feature, action), (next_feature, terminated, reward))
    return td_error


@jit_inline
def _note_update(last, i, feature, action, td_error):
    last.feature[i] = feature
    last.action[i] = action
    last.td_error[i] = td_error


@jit
def act_all(state, hyper, work, actions):
    """Sample an action of every seed at ``work.features``, written to ``actions`` int64 [S]."""
    for i in range(len(actions)):
        actions[i] = select_action(state, hyper, work, i, np.uint64(work.features[i, 0]))


@jit
def update_all(additions, state, hyper, work, actions, reward, terminated, truncated):
    """Update every seed after one step from ``work.features`` to ``work.next_features``; arrays are [S]."""
    for i in range(len(actions)):
        feature = np.uint64(work.features[i, 0])
        next_feature = np.uint64(work.next_features[i, 0])
        ended = terminated[i] or truncated[i]
        action = np.uint64(actions[i])
        td_error = update(
            additions, state, hyper, work, i, feature, action, reward[i], terminated[i], ended, next_feature
        )
        _note_update(work.last_update, i, feature, action, td_error)


@jit
def train_rollout(first_seed, last_seed, additions, state, hyper, work, env_batch, reward, ended):
    """Act, step and update T times for seeds first_seed to last_seed - 1; fills ``reward`` and ``ended`` [S, T]."""
    is_lookup = _is_lookup(state, work)
    obs_of_state = env_batch.table.obs_of_state
    for i in range(first_seed, last_seed):
        obs = np.uint64(0)
        action = np.uint64(0)
        td_error = np.nan
        for t in range(reward.shape[1]):
            obs = np.uint64(obs_of_state[np.uint64(env_batch.state[i])])
            if not is_lookup:
                work.features[i, 0] = obs
            action = np.uint64(select_action(state, hyper, work, i, obs))
            step = table_step(env_batch, i, action)
            next_obs = np.uint64(obs_of_state[np.uint64(step.next_state)])
            if not is_lookup:
                work.next_features[i, 0] = next_obs
            r_t = np.float32(step.reward)
            ends = step.end != GOES_ON
            seen_reward = add_bonus(additions.bonus, i, r_t, next_obs, state.env_steps[i])
            terminates = step.end == TERMINATES
            td_error = update(additions, state, hyper, work, i, obs, action, seen_reward, terminates, ends, next_obs)
            reward[i, t] = r_t
            ended[i, t] = ends
        if reward.shape[1] > 0:
            _note_update(work.last_update, i, obs, action, td_error)


class TabularImagination:
    """A generative model of S seeds, and what it has imagined.

    Args:
        model: learns transitions and makes up others.
        features: encoding of observations as states.
        planning: where imagined transitions wait to be used.
        n_actions: A.
    """

    def __init__(self, model: TransitionModel, features: Features, planning: ImaginedPlanning, n_actions: int) -> None:
        self.planning = planning
        self._model = model
        self._features = features
        self._n_actions = n_actions
        self._clock = 0

    def learn(self, obs: Array, actions: Array, step: Step, failed_at: Array) -> None:
        """Let the model learn from one step, and imagine where too few transitions are left for the next updates.

        Seeds whose models have diverged are noted in ``failed_at`` [S].
        """
        self._model.learn(obs, actions, step.reward, step.final_obs, step.terminated)
        self._clock += 1
        imagined = self.planning.transitions
        if self._clock <= self._model.warmup or (imagined.n_left >= self.planning.n_steps).all():
            return
        n_seeds, capacity = imagined.pair.shape
        made = self._model.imagine(capacity)
        fail_diverged(made, failed_at, self._clock)
        state, next_state = (
            self._features.encode(part.reshape(n_seeds * capacity, *part.shape[2:]))[:, 0].reshape(n_seeds, capacity)
            for part in (made.obs, made.next_obs)
        )
        imagined.pair[:] = state * self._n_actions + made.action
        imagined.code[:] = 2 * next_state + made.done
        imagined.reward[:] = made.reward
        imagined.n_left[:] = capacity

    def panels(self, index: int) -> tuple[Panel, ...]:
        """Make panels of the latest imagined transitions of one seed beside its latest real ones."""
        made = self.planning.transitions
        facts = {
            "updates from imagined transitions": f"{int(made.n_updates[index]):,}",
            "imagined transitions that wait": f"{int(made.n_left[index])} of {made.pair.shape[1]}",
        }
        said = TextPanel("imagination", facts)
        if not isinstance(self._model, KeepsTransitions) or self._clock <= self._model.warmup:
            return (said,)
        kept = self._model.kept(index, MAX_POINTS)
        real = TransitionSample(self._features.encode(kept.obs), kept.action, self._features.encode(kept.next_obs))
        pair = made.pair[index]
        imagined = TransitionSample(
            (pair // self._n_actions)[:, None], pair % self._n_actions, (made.code[index] // 2)[:, None]
        )
        return (said, *imagined_panels(real, imagined, self._features.n_features))

    def state(self) -> State:
        """Return the model, and as its entry ``replay`` what it learns from."""
        return {"clock": self._clock, "model": dict(self._model.state())}

    def restore(self, state: State) -> None:
        """Continue from ``state``; its model may lack the entry ``replay``."""
        self._clock = state["clock"]
        self._model.restore(state["model"])


class QLearning:
    """S learners; see :class:`simulator.core.protocols.Agent`."""

    def __init__(
        self,
        features: Features,
        hyper: QLearningHyperparams,
        train_state: QLearningTrainState,
        legal: Array,
        seed_list: list[int],
        additions: Additions = PLAIN,
        imagination: TabularImagination | None = None,
        first_value: float = 0.0,
        true_model: TrueModel | None = None,
    ) -> None:
        n_seeds = len(seed_list)
        n_actions = train_state.q.shape[3]
        self._features = features
        self._hyper = hyper
        self._train_state = train_state
        self._legal = legal  # bool [n_observations or 1, A]
        self._seeds = seed_list
        self._additions = additions
        self._imagination = imagination
        self._first_value = first_value  # of every entry, for the views
        self._true_model = true_model  # likewise
        self._workspace = QLearningWorkspace(
            features=np.zeros((n_seeds, features.n_active), np.int64),
            next_features=np.zeros((n_seeds, features.n_active), np.int64),
            activation=np.ones((n_seeds, features.n_active)),
            next_activation=np.ones((n_seeds, features.n_active)),
            selection=np.zeros((n_seeds, n_actions)),
            evaluation=np.zeros((n_seeds, n_actions)),
            legal_actions=action_lists(legal),
            last_update=LatestPairUpdates(np.full(n_seeds, -1), np.zeros(n_seeds, np.int64), np.zeros(n_seeds)),
        )
        self._buffers = trace_buffers(None, n_seeds, 1)
        self.gamma = hyper.gamma
        self.failed_at = train_state.failed_at
        if features.discrete and imagination is None:
            self.rollout = self._rollout

    def act(self, obs: Array) -> Array:
        """Sample actions from the behaviour policy, int64 [S]."""
        actions = np.zeros(len(self._seeds), np.int64)
        self._encode(obs, self._workspace.features, self._workspace.activation)
        act_all(self._train_state, self._hyper, self._workspace, actions)
        return actions

    def learn(self, obs: Array, actions: Array, step: Step) -> Metrics:
        """Update every seed after one step.

        Raises:
            ValueError: more outcomes of a state and action than the model holds.
        """
        if self._imagination:
            self._imagination.learn(obs, np.asarray(actions, np.int64), step, self.failed_at)
        self._encode(obs, self._workspace.features, self._workspace.activation)
        self._encode(step.final_obs, self._workspace.next_features, self._workspace.next_activation)
        update_all(
            self._additions,
            self._train_state,
            self._hyper,
            self._workspace,
            np.asarray(actions, np.int64),
            step.reward,
            step.terminated,
            step.truncated,
        )
        return self._metrics()

    def _encode(self, obs: Array, features: Array, activation: Array) -> None:
        """Fill in the active features of obs [S, *obs], and how active they are."""
        features[:] = self._features.encode(obs)
        if self._features.activations is not None:
            activation[:] = activation_of(self._features, obs, features)

    def _rollout(self, env_batch: TabularBatch, n: int) -> Rollout:
        """Play n steps of a tabular environment in one call, with the bits of n rounds of act, step and learn."""
        reward, ended = self._buffers = trace_buffers(self._buffers, len(self._seeds), n)

        def train(first: int, last: int) -> None:
            train_rollout(
                first,
                last,
                self._additions,
                self._train_state,
                self._hyper,
                self._workspace,
                env_batch,
                reward,
                ended,
            )

        parallel_for(train, len(self._seeds))
        return Rollout(reward, ended, self._metrics())

    def last_update(self, index: int) -> TableUpdate | None:
        """Return the latest update by a step in the environment, of one seed.

        None before it, after a failure, and of real-valued features, which all change at once.
        """
        last = self._workspace.last_update
        if self._features.activations is not None:
            return None
        if last.feature[index] < 0 or not np.isfinite(last.td_error[index]):
            return None
        return TableUpdate(int(last.feature[index]), int(last.action[index]), float(last.td_error[index]))

    def panels(self, index: int) -> tuple[Panel, ...]:
        """Make panels of one seed: its table, exploration, traces, and what it plans from."""
        tables = self._train_state.q[index]
        q = tables[0] if len(tables) == 1 else tables.mean(axis=0)
        rows = learned_rows(q, self._first_value)
        legal = self._legal if self._features.discrete else None
        is_table = self._features.n_active == 1
        title, name = "weights of tiles", "tile"
        if is_table:
            title, name = "Q-table", "state"
        elif self._features.activations is not None:
            title, name = "weights of features, the first of a constant", "feature"
        title += "" if len(tables) == 1 else ", mean of both tables"
        panels: list[Panel] = [table_panel(title, q, rows, legal=legal, row_name=name)]
        last = self.last_update(index)
        if last is not None and is_table:
            exists = self._legal[last.obs if len(self._legal) > 1 else 0]
            values = np.where(exists, q[last.obs], np.nan) if self._features.discrete else q[last.obs].copy()
            shown = f"Q-values at the latest update, state {last.obs}: TD error {last.td_error:.4g}"
            panels.append(BarPanel(shown, action_names(len(values)), values, chosen=last.action))
        panels.append(exploration_panel(self._hyper.explore, int(self._train_state.env_steps[index])))
        if isinstance(self._additions.traces, Traces):
            panels.append(self._trace_panel(self._additions.traces, index, name))
        return (*panels, *self._planning_panels(index, rows))

    def _trace_panel(self, traces: Traces, index: int, name: str) -> HeatPanel:
        listed = traces.listed[index, : traces.n_listed[index], 0]
        rows = np.unique(listed)[:MAX_ROWS].astype(np.int64)
        title = f"eligibility traces of {len(listed)} pairs"
        return table_panel(title, traces.value[index], rows, row_name=name, diverging=False)

    def _planning_panels(self, index: int, rows: Array) -> tuple[Panel, ...]:
        """Make panels of the model of one seed, in the rows of the table that are shown."""
        planning = self._additions.planning
        n_actions = self._train_state.q.shape[3]
        if isinstance(planning, TablePlanning):
            return table_panels(planning, index, n_actions, rows, self._true_model)
        if isinstance(planning, ReplayPlanning):
            return kept_panels(planning, index, n_actions, rows, self._features.n_features)
        if isinstance(planning, ImaginedPlanning) and self._imagination:
            return self._imagination.panels(index)
        return ()

    def _metrics(self) -> Metrics:
        planning = self._additions.planning
        if isinstance(planning, TablePlanning) and planning.transitions.overflow.any():
            full = int(np.flatnonzero(planning.transitions.overflow)[0])
            state, action = divmod(int(planning.transitions.overflow[full]) - 1, self._train_state.q.shape[3])
            raise ValueError(
                f"agent.model.n_successors = {planning.transitions.code.shape[2]}: seed {self._seeds[full]} observed "
                f"more outcomes of action {action} in state {state}, expected a larger number"
            )
        return {"td_error": self._train_state.td_error}

    @property
    def knows_env(self) -> bool:
        """True where it plans with the environment's own transitions."""
        planning = self._additions.planning
        return isinstance(planning, TablePlanning) and not planning.learned

    def changeable(self) -> dict[str, float]:
        """Return step size, discount, exploration and planning steps as they are; exploration is constant once changed.

        The targets of prioritized planning are kept with their discount, which stays there.
        """
        hyper = self._hyper
        planning = self._additions.planning
        values = {"step_size": hyper.step_size, "gamma": hyper.gamma}
        if isinstance(planning, TablePlanning) and planning.prioritized:
            del values["gamma"]
        values[exploration_name(hyper.explore)] = exploration_now(hyper.explore, int(self._train_state.env_steps[0]))
        if not isinstance(planning, NoPlanning):
            values["planning_steps"] = planning.n_steps
        return values

    def change(self, name: str, value: float) -> None:
        """Change one of :meth:`changeable` from the next step on.

        Raises:
            ValueError: another name, or a value out of range; one line.
        """
        explore = self._hyper.explore
        planning = self._additions.planning
        most: float = 10_000
        if isinstance(planning, ImaginedPlanning):
            most = planning.transitions.pair.shape[1]
        bounds = {
            "step_size": (1e-9, 1.0),
            "gamma": (0.0, 1.0),
            exploration_name(explore): exploration_bounds(explore),
            "planning_steps": (0, most),
        }
        value = checked("q_learning", self.changeable(), name, value, *bounds.get(name, (0, 0)))
        if name == "planning_steps" and not isinstance(planning, NoPlanning):
            if value != int(value):
                raise ValueError(f"q_learning: planning_steps {value:g}: expected a whole number")
            self._additions = self._additions._replace(planning=planning._replace(n_steps=int(value)))
        elif name in ("step_size", "gamma"):
            changed: dict[str, Any] = {name: value}
            self._hyper = self._hyper._replace(**changed)
            self.gamma = self._hyper.gamma
        else:
            self._hyper = self._hyper._replace(explore=constant_exploration(explore, value))

    def policy(self) -> GreedyTable:
        """Return the current greedy policy; double tables act by their mean."""
        return GreedyTable(self._train_state.q.mean(axis=1), self._legal, self._features, self._seeds)

    def state(self) -> State:
        """Return the whole train state, by name, with traces and model where there are some.

        Its entry ``replay`` is what a model learns or replays from, if it does.
        """
        state = {**save(self._train_state), **{name: save(arrays) for name, arrays in self._added().items()}}
        if self._imagination:
            imagination = self._imagination.state()
            state |= {"imagination": imagination, "replay": imagination["model"].pop("replay")}
        return state

    def restore(self, state: State) -> None:
        """Continue from ``state``; without its replay, from the transitions that follow."""
        load(self._train_state, state)
        self._workspace.last_update.feature[:] = -1
        for name, arrays in self._added().items():
            if name in state:
                load(arrays, state[name])
        if self._imagination:
            imagination = state["imagination"]
            replay = {"replay": state["replay"]} if "replay" in state else {}
            self._imagination.restore({**imagination, "model": {**imagination["model"], **replay}})

    def _added(self) -> dict[str, Any]:
        """Return the arrays of traces and model, by name."""
        traces = self._additions.traces
        planning = self._additions.planning
        added: dict[str, Any] = {"traces": traces} if isinstance(traces, Traces) else {}
        if isinstance(planning, TablePlanning):
            added |= {"transitions": planning.transitions, "queue": planning.queue}
        if isinstance(planning, ReplayPlanning):
            added |= {"replay": planning.transitions}
        if isinstance(planning, ImaginedPlanning):
            added |= {"imagined": planning.transitions}
        return added


def make(spec: EnvSpec, seed_list: Sequence[int], config: Config) -> QLearning | EncodedAgent | CuriousAgent:
    """Make learners for an environment of discrete actions, behind an encoder and a bonus if they were chosen.

    Raises:
        ValueError: a space or a setting that this agent cannot have.
    """
    if config.encoder is None:
        return _build(spec, seed_list, config)
    bonus = bonus_of(spec, seed_list, config.intrinsic)
    made: EncodedAgent | CuriousAgent = with_bonus(
        with_encoder(spec, seed_list, config.encoder, lambda seen, layers: _behind(seen, seed_list, config, layers)),
        bonus,
    )
    return made


def _behind(
    spec: EnvSpec, seed_list: Sequence[int], config: Config, layers: FirstLayers | None
) -> QLearning | CuriousAgent:
    """Make learners whose observations are an encoder's features.

    Raises:
        ValueError: the encoder's layers would be in the agent's networks, or a setting that does not go with features.
    """
    if layers is not None:
        raise ValueError(f"{layers.field}: q_learning has no network, expected agent.encoder.stop_gradient = true")
    box = config.box if config.box.kind else replace(config.box, kind="linear")
    return _build(spec, seed_list, replace(config, encoder=None, intrinsic=None, box=box))


def _build(spec: EnvSpec, seed_list: Sequence[int], config: Config) -> QLearning | CuriousAgent:
    _check(config)
    n = n_actions(spec, "q_learning")
    features = make_features(spec, config.box)
    legal = legal_rows(spec, n)
    n_seeds = len(seed_list)
    shape = (n_seeds, 2 if config.double else 1, features.n_features, n)
    n_tables = (
        1 + (config.step_size_exponent > 0) + 2 * (config.trace_decay > 0)
    )  # values, visits, traces and their list
    check_memory("q_learning", spec, 8 * prod(shape) * n_tables)
    if features.activations is not None and config.trace_decay:
        raise ValueError(f"agent.trace_decay = {config.trace_decay} with real-valued features: expected 0")
    q = np.full(shape, config.init_value / features.n_active)
    if features.activations is not None:  # only the constant one has the same activation everywhere
        q[:] = 0.0
        q[:, :, 0] = config.init_value
    if features.discrete:
        q *= legal[None, None]
    train_state = QLearningTrainState(
        q=q,
        visits=np.zeros(shape if config.step_size_exponent else (n_seeds, 1, 1, 1), np.int64),
        next_action=np.full(n_seeds, -1),
        env_steps=np.zeros(n_seeds, np.int64),
        stream=rng.pcg64_states(seed_list, "exploration"),
        td_error=np.zeros(n_seeds),
        failed_at=np.zeros(n_seeds, np.int64),
    )
    hyper = QLearningHyperparams(
        target=TARGETS.index(config.target),
        step_size=float(config.step_size),
        step_size_exponent=float(config.step_size_exponent),
        gamma=discount(spec, config.gamma),
        explore=make_explore(config.explore),
        trace_decay=float(config.trace_decay),
        traces=TRACES.index(config.traces),
    )
    bonus = bonus_of(spec, seed_list, config.intrinsic)
    counted = compiled_bonus(bonus)
    planning = _planning(spec, config, features, n, list(seed_list), hyper.gamma)
    additions = Additions(
        traces=_traces(features, n, n_seeds) if config.trace_decay else NoTraces(),
        planning=planning.planning if isinstance(planning, TabularImagination) else planning,
        bonus=counted or NoBonus(),
    )
    imagination = planning if isinstance(planning, TabularImagination) else None
    agent = QLearning(
        features,
        hyper,
        train_state,
        legal,
        list(seed_list),
        additions,
        imagination,
        first_value=config.init_value / features.n_active,
        true_model=true_model_of(spec, features) if isinstance(planning, TablePlanning) else None,
    )
    made: QLearning | CuriousAgent = with_bonus(agent, bonus, compiled=counted is not None)
    return made


def _traces(features: Features, n_actions: int, n_seeds: int) -> Traces:
    n_pairs = features.n_features * n_actions
    return Traces(
        value=np.zeros((n_seeds, features.n_features, n_actions)),
        listed=np.zeros((n_seeds, n_pairs, 2), np.int32),
        n_listed=np.zeros(n_seeds, np.int64),
    )


def _planning(
    spec: EnvSpec, config: Config, features: Features, n_actions: int, seed_list: list[int], gamma: float
) -> TablePlanning | ReplayPlanning | TabularImagination | NoPlanning:
    """Make the chosen model.

    Raises:
        ValueError: a model that this agent, its features or the environment cannot have.
    """
    if config.model is None:
        if config.planning_steps:
            raise ValueError(
                f"agent.planning_steps = {config.planning_steps}: no model, expected agent.model = 'table' or another"
            )
        return NoPlanning()
    name = config.model.name
    made = registry.load("components", name).make(config.model.settings)
    if not isinstance(made, TableModel | Replay) and not hasattr(made, "transition_model"):
        raise ValueError(
            f"agent.model = {name!r}: q_learning plans with table, replay, gan or vae, expected one of them"
        )
    if features.n_active > 1:
        raise ValueError(
            f"agent.model = {name!r} with agent.box.kind = {config.box.kind!r}: it looks states up, expected 'bins'"
        )
    n_steps = 5 if config.planning_steps is None else config.planning_steps
    if isinstance(made, TableModel):
        return made.for_env(spec, features, n_actions, seed_list, n_steps, gamma, config.init_value)
    if isinstance(made, Replay):
        return made.for_env(spec, features, n_actions, seed_list, n_steps)
    model = made.transition_model(spec, seed_list)
    return TabularImagination(model, features, _no_imagined(len(seed_list), n_steps), n_actions)


def _no_imagined(n_seeds: int, n_steps: int) -> ImaginedPlanning:
    capacity = n_steps * -(-IMAGINED_AT_ONCE // max(1, n_steps))
    imagined = ImaginedTransitions(
        pair=np.zeros((n_seeds, capacity), np.int64),
        code=np.zeros((n_seeds, capacity), np.int64),
        reward=np.zeros((n_seeds, capacity)),
        n_left=np.zeros(n_seeds, np.int64),
        n_updates=np.zeros(n_seeds, np.int64),
    )
    return ImaginedPlanning(imagined, n_steps)


def _check(config: Config) -> None:
    """Refuse settings that do not go together.

    Raises:
        ValueError: double learning with traces or with a model.
    """
    if config.double and config.trace_decay:
        raise ValueError(f"agent.double = true with agent.trace_decay = {config.trace_decay}: expected one of them")
    if config.double and config.model is not None:
        raise ValueError(f"agent.double = true with agent.model = {config.model.name!r}: expected one of them")


if __name__ == "__main__":
    from agents.common.demo import show_agent

    show_agent("q_learning")
