"""Table of transitions, from which a tabular agent plans: Dyna-Q and prioritized sweeping.

After every step in the environment the table notes where action a led from state s, and ``planning_steps`` updates of
action values follow, with transitions from the table in place of the environment:

===============  ==================================================================================================
``planning``     which pairs (s, a) are updated
===============  ==================================================================================================
``uniform``      pairs drawn uniformly from those that were tried (Dyna-Q; Sutton 1990; SB 8.2)
``prioritized``  the pair of the largest error first; where a state's value changed, the errors of all pairs that lead
                 there are computed anew (Moore and Atkeson 1993; Peng and Williams 1993; SB 8.4)
===============  ==================================================================================================

An error is the difference between a pair's value and its expected target under the table. An update moves the value
towards that target, over all outcomes that were seen (``expected``), or towards the target of one
outcome, drawn by its frequency (``sample``). Where every pair has one outcome both are the same. SB is Sutton and
Barto, Reinforcement Learning, 2nd edition, 2018.

With ``source = "true"`` the table holds the environment's finite MDP from the start: the control that no learned model
can surpass. Then every pair of the states that can be met may be planned with, and waits in the queue at first.

Departures: prioritized sweeping keeps the update after every step in the environment, which is not counted among the
``planning_steps``, and a pair stays in the queue where an update leaves some of its error; errors of pairs in the queue
are kept up to date, also where they fall. A change of a state's value is added to the expected targets of the pairs
that lead there, by their probability, in place of computing these anew (the small backups of van Seijen and Sutton
2013), so that an update costs one addition for every pair that leads to its state, and a walk up a tree of maxima that
mostly ends after one node.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import prod
from typing import Literal, NamedTuple

import numpy as np

from agents.common.inside import table_panel
from agents.common.tabular import check_memory
from agents.common.tile_coding import Features
from simulator.core import rng
from simulator.core.field_types import Count, Positive, PositiveShare
from simulator.core.jit import jit_inline
from simulator.core.mdp.model import GOES_ON, TERMINATES, FiniteMDP
from simulator.core.protocols import Array, EnvSpec
from simulator.core.rng_compiled import below, uniform
from simulator.core.scene import HeatPanel, Panel, TextPanel, action_names

SOCKETS = ("model",)
_UNKNOWN_SUCCESSORS = 16  # where no finite MDP tells how many there are
_CHILDREN_BITS = np.uint64(3)
_CHILDREN = 8  # of a node of the queue's tree


@dataclass(frozen=True)
class Config:
    """Settings of the table."""

    planning: Literal["uniform", "prioritized"] = "uniform"
    """which values are updated: of pairs drawn uniformly (Dyna-Q), or those with the largest error first"""
    updates: Literal["expected", "sample"] = "expected"
    """towards the mean target over all outcomes that were seen, or that of one outcome drawn by its frequency"""
    source: Literal["learned", "true"] = "learned"
    """transitions from experience, or the environment's own finite MDP from the start, as a control"""
    step_size: PositiveShare | None = None
    """fraction of its error by which a planned update moves a value; none: the agent's own, and 1 where the planning is
    prioritized and the updates are expected"""
    min_priority: Positive = 1e-4
    """errors up to this one, in units of return, do not wait for an update; counts only with prioritized planning"""
    n_successors: Count | None = None
    """distinct outcomes that the table holds for one state and action; none: as many as the environment's finite MDP
    has, or 16, also where cells can change"""


class Transitions(NamedTuple):
    """Counted transitions of S seeds. N states, A actions, K outcomes; pair p is state * A + action."""

    code: Array  # int32 [S, N A, K], twice the next state, plus 1 where the episode terminates
    weight: Array  # float64 [S, N A, K], how often an outcome was seen, or its probability
    reward: Array  # float64 [S, N A, K], mean reward of the outcome
    n_outcomes: Array  # int32 [S, N A]
    total_weight: Array  # float64 [S, N A], over outcomes
    pairs: Array  # int32 [S, N A], those that can be planned with
    n_pairs: Array  # int64 [S]
    overflow: Array  # int64 [S], 1 + the pair that had more outcomes than K, or 0
    n_updates: Array  # int64 [S], planned so far
    stream: Array  # uint64 [S, 4]


class Queue(NamedTuple):
    """Errors of the pairs that wait for an update, and which pairs lead where; empty if planning is uniform.

    An edge is an outcome k of a pair: ``pair << successor_bits | k``. Node n of the tree has the children 8 n + 1 to
    8 n + 8; of its M nodes the last M - M // 8 are pairs, and those above hold the maximum of their children.
    """

    first_edge: Array  # int32 [S, N], into each state, or -1
    next_edge: Array  # int32 [S, N A, K], into the same state, or -1
    gain: Array  # float64 [S, N A, K], by how much a pair's target grows with the value that an outcome leads to
    value: Array  # float64 [S, N], the state values that targets stand for
    reward: Array  # float64 [S, N A], mean over a pair's outcomes
    target: Array  # float64 [S, N A], expected target of each pair that has outcomes
    priority: Array  # float64 [S, M], a tree of maxima over pairs; 0 where a pair does not wait


class TablePlanning(NamedTuple):
    """A table with its settings, as compiled code takes them."""

    transitions: Transitions
    queue: Queue
    n_steps: int  # updates after every step in the environment
    prioritized: bool
    expected: bool  # updates
    learned: bool
    step_size: float  # 0: the agent's own
    min_priority: float
    successor_bits: int  # of an edge, for the outcome


@jit_inline
def observe_transition(planning, i, pair, next_state, terminated, reward):
    """Count one outcome of a pair of seed i; False where it is one too many."""
    table = planning.transitions
    code = np.int32(2 * next_state + terminated)
    n = table.n_outcomes[i, pair]
    for k in range(n):
        if table.code[i, pair, k] == code:
            table.weight[i, pair, k] += 1.0
            table.reward[i, pair, k] += (reward - table.reward[i, pair, k]) / table.weight[i, pair, k]
            table.total_weight[i, pair] += 1.0
            return True
    if n == table.code.shape[2]:
        table.overflow[i] = pair + 1
        return False
    if n == 0:
        table.pairs[i, table.n_pairs[i]] = pair
        table.n_pairs[i] += 1
    table.code[i, pair, n] = code
    table.weight[i, pair, n] = 1.0
    table.reward[i, pair, n] = reward
    table.n_outcomes[i, pair] = n + 1
    table.total_weight[i, pair] += 1.0
    if planning.prioritized and not terminated:
        queue = planning.queue
        queue.next_edge[i, pair, n] = queue.first_edge[i, next_state]
        queue.first_edge[i, next_state] = pair << planning.successor_bits | n
    return True


@jit_inline
def draw_pair(table, i):
    """Draw one of the pairs that can be planned with."""
    return np.int64(table.pairs[i, below(table.stream, i, table.n_pairs[i])])


@jit_inline
def sample_outcome(table, i, pair):
    """Draw an outcome of a pair by its weight; one alone draws no random number."""
    n = table.n_outcomes[i, pair]
    if n == 1:
        return np.int64(0)
    left = uniform(table.stream, i) * table.total_weight[i, pair]
    for k in range(n):
        left -= table.weight[i, pair, k]
        if left < 0.0:
            return np.int64(k)
    return np.int64(n - 1)  # rounding left a remainder


@jit_inline
def set_gains(planning, i, pair, gamma):
    """Compute anew the mean reward of a pair of seed i, and how much each outcome's value counts, from the weights."""
    table = planning.transitions
    reward = 0.0
    for k in range(table.n_outcomes[i, pair]):
        share = table.weight[i, pair, k] / table.total_weight[i, pair]
        reward += share * table.reward[i, pair, k]
        planning.queue.gain[i, pair, k] = gamma * share
    planning.queue.reward[i, pair] = reward


@jit_inline
def set_priority(tree, pair, priority, min_priority):
    """Let a pair wait with a priority, or no longer where that is at most ``min_priority``.

    The walk up the tree ends at the first node whose maximum stays.
    """
    node = np.uint64(tree.shape[0] // _CHILDREN) + np.uint64(pair)
    new = priority if priority > min_priority else 0.0
    old = tree[node]
    tree[node] = new
    while node > 0:
        node = (node - np.uint64(1)) >> _CHILDREN_BITS
        largest = tree[node]
        if new <= largest:
            if old < largest:
                return
            new = _largest_child(tree, node)
            if new == largest:
                return
        tree[node] = new
        old = largest


@jit_inline
def _largest_child(tree, node):
    """Return the maximum over the children of a node."""
    first = (node << _CHILDREN_BITS) + np.uint64(1)
    largest = tree[first]
    for k in range(1, _CHILDREN):
        value = tree[first + np.uint64(k)]
        largest = value if value > largest else largest
    return largest


@jit_inline
def first_pair(tree):
    """Return the pair of the largest priority, which is the root's."""
    n_inner = np.uint64(tree.shape[0] // _CHILDREN)
    node = np.uint64(0)
    while node < n_inner:
        node = (node << _CHILDREN_BITS) + np.uint64(1)
        while tree[node] != tree[0]:
            node += np.uint64(1)
    return np.int64(node - n_inner)


class TableModel(NamedTuple):
    """The settings of a table, until the environment is known."""

    config: Config

    def for_env(
        self,
        spec: EnvSpec,
        features: Features,
        n_actions: int,
        seed_list: list[int],
        n_steps: int,
        gamma: float,
        init_value: float,
    ) -> TablePlanning:
        """Make the table of an environment whose observations are looked up one by one.

        Args:
            spec: the environment.
            features: encoding of observations as states.
            n_actions: A.
            seed_list: the run's seeds.
            n_steps: updates after every step in the environment.
            gamma: discount.
            init_value: every action value at first, from which errors of a true model follow.

        Raises:
            ValueError: tables that are too large, or a true model where none is known.
        """
        config = self.config
        mdp, feature_of_state = _seen_mdp(spec, features)
        if config.source == "true" and mdp is None:
            known = "the observation leaves the state open" if spec.mdp is not None else "no finite MDP is known"
            raise ValueError(f"agent.model.source = 'true' on {spec.id}: {known}, expected 'learned'")
        n_outcomes = config.n_successors or (_UNKNOWN_SUCCESSORS if mdp is None or spec.editable else mdp.prob.shape[2])
        if config.source == "true" and mdp is not None and n_outcomes < (used := _most_outcomes(mdp)):
            raise ValueError(f"agent.model.n_successors = {n_outcomes}: {spec.id} has {used} outcomes of one action")
        n_states = features.n_features
        shape = (len(seed_list), n_states * n_actions, n_outcomes)
        prioritized = config.planning == "prioritized"
        check_memory("the table model", spec, prod(shape) * (32 if prioritized else 20) + prod(shape[:2]) * 56)
        planning = TablePlanning(
            transitions=_no_transitions(shape, seed_list),
            queue=_empty_queue(shape if prioritized else (len(seed_list), 0, 0), n_states * prioritized, init_value),
            n_steps=n_steps,
            prioritized=prioritized,
            expected=config.updates == "expected",
            learned=config.source == "learned",
            step_size=config.step_size or (1.0 if prioritized and config.updates == "expected" else 0.0),
            min_priority=float(config.min_priority),
            successor_bits=(n_outcomes - 1).bit_length(),
        )
        if config.source == "true" and mdp is not None:
            _fill(planning, mdp, feature_of_state, n_actions)
            if prioritized:
                _queue_all(planning, gamma, init_value)
        return planning


def _no_transitions(shape: tuple[int, int, int], seed_list: list[int]) -> Transitions:
    n_seeds, n_pairs, _ = shape
    return Transitions(
        code=np.full(shape, -1, np.int32),
        weight=np.zeros(shape),
        reward=np.zeros(shape),
        n_outcomes=np.zeros((n_seeds, n_pairs), np.int32),
        total_weight=np.zeros((n_seeds, n_pairs)),
        pairs=np.zeros((n_seeds, n_pairs), np.int32),
        n_pairs=np.zeros(n_seeds, np.int64),
        overflow=np.zeros(n_seeds, np.int64),
        n_updates=np.zeros(n_seeds, np.int64),
        stream=rng.pcg64_states(seed_list, "planning"),
    )


def _empty_queue(shape: tuple[int, int, int], n_states: int, init_value: float) -> Queue:
    n_seeds, n_pairs, _ = shape
    return Queue(
        first_edge=np.full((n_seeds, n_states), -1, np.int32),
        next_edge=np.full(shape, -1, np.int32),
        gain=np.zeros(shape),
        value=np.full((n_seeds, n_states), init_value),
        reward=np.zeros((n_seeds, n_pairs)),
        target=np.zeros((n_seeds, n_pairs)),
        priority=np.zeros((n_seeds, 1 + _CHILDREN * _n_inner(n_pairs))),
    )


def _seen_mdp(spec: EnvSpec, features: Features) -> tuple[FiniteMDP | None, Array]:
    """Return the environment's finite MDP and the feature of each of its states; None where features hide the state."""
    if spec.mdp is None or spec.state_obs is None:
        return None, np.zeros(0, np.int64)
    feature_of_state = features.encode(spec.state_obs)[:, 0]
    distinct = len(np.unique(feature_of_state)) == len(feature_of_state)
    return spec.mdp if distinct else None, feature_of_state


def _most_outcomes(mdp: FiniteMDP) -> int:
    return int((mdp.prob > 0).sum(axis=2).max())


def _fill(planning: TablePlanning, mdp: FiniteMDP, feature_of_state: Array, n_actions: int) -> None:
    """Write the transitions of every state that can be met, in all seeds."""
    table = planning.transitions
    queue = planning.queue
    for state in _met(mdp):
        for action in np.flatnonzero(mdp.legal[state]):
            pair = feature_of_state[state] * n_actions + action
            used = np.flatnonzero(mdp.prob[state, action] > 0)
            terminates = mdp.end[state, action, used] == TERMINATES
            next_feature = feature_of_state[mdp.next[state, action, used]]
            table.code[:, pair, : len(used)] = 2 * next_feature + terminates
            table.weight[:, pair, : len(used)] = mdp.prob[state, action, used]
            table.reward[:, pair, : len(used)] = mdp.reward[state, action, used]
            table.n_outcomes[:, pair] = len(used)
            table.total_weight[:, pair] = mdp.prob[state, action, used].sum()
            table.pairs[:, table.n_pairs[0]] = pair
            table.n_pairs[:] += 1
            if planning.prioritized:
                for k in np.flatnonzero(~terminates):
                    queue.next_edge[:, pair, k] = queue.first_edge[:, next_feature[k]]
                    queue.first_edge[:, next_feature[k]] = pair << planning.successor_bits | k


def _queue_all(planning: TablePlanning, gamma: float, init_value: float) -> None:
    """Queue all pairs of a true model whose first value is wrong, the same in every seed."""
    table = planning.transitions
    queue = planning.queue
    used = np.arange(table.code.shape[2]) < table.n_outcomes[0][:, None]
    share = np.where(used, table.weight[0], 0.0) / np.maximum(table.total_weight[0], 1e-12)[:, None]
    bootstrap = np.where(table.code[0] % 2 == 0, gamma * init_value, 0.0)
    target = (share * (table.reward[0] + bootstrap)).sum(axis=1)
    error = np.where(table.n_outcomes[0] > 0, np.abs(target - init_value), 0.0)
    queue.gain[:] = gamma * share
    queue.reward[:] = (share * table.reward[0]).sum(axis=1)
    queue.target[:] = target
    n_inner = _n_inner(len(error))
    queue.priority[:, n_inner : n_inner + len(error)] = np.where(error > planning.min_priority, error, 0.0)
    for node in reversed(range(n_inner)):
        first = 1 + _CHILDREN * node
        queue.priority[:, node] = queue.priority[:, first : first + _CHILDREN].max(axis=1)


def _n_inner(n_pairs: int) -> int:
    """Return how many nodes are above the pairs."""
    return -(-(n_pairs - 1) // (_CHILDREN - 1)) if n_pairs else 0


def _met(mdp: FiniteMDP) -> Array:
    """Return the states from which actions are taken in some episode."""
    met = mdp.start > 0
    leads = (mdp.prob > 0) & mdp.legal[..., None] & (mdp.end == GOES_ON)
    while True:
        new = np.zeros_like(met)
        new[mdp.next[met][leads[met]]] = True
        if not (new & ~met).any():
            return np.flatnonzero(met)
        met |= new


class TrueModel(NamedTuple):
    """The environment's finite MDP, and the feature that each of its states is seen as."""

    mdp: FiniteMDP
    feature_of_state: Array  # int64 [N]


def true_model_of(spec: EnvSpec, features: Features) -> TrueModel | None:
    """Return what a learned table can be compared with; None where it is not known."""
    mdp, feature_of_state = _seen_mdp(spec, features)
    return None if mdp is None else TrueModel(mdp, feature_of_state)


def table_panels(
    planning: TablePlanning, index: int, n_actions: int, rows: Array, true_model: TrueModel | None
) -> tuple[Panel, ...]:
    """Make panels of one seed's table: what it counted, how wrong it is, and which pairs wait for an update.

    Args:
        planning: the tables.
        index: number of the seed.
        n_actions: A.
        rows: int64 [R], the states that are shown.
        true_model: to compare with, or None.
    """
    table = planning.transitions
    facts = {
        "pairs of state and action known": f"{int(table.n_pairs[index]):,} of {table.n_outcomes.shape[1]:,}",
        "planned updates": f"{int(table.n_updates[index]):,}",
        "updates after every step": f"{planning.n_steps}",
    }
    weight = table.total_weight[index].reshape(-1, n_actions)
    what = "how often each pair was tried" if planning.learned else "pairs of the true model"
    panels: list[Panel] = [table_panel(f"table: {what}", weight, rows, diverging=False)]
    if planning.prioritized:
        tree = planning.queue.priority[index]
        waiting = tree[len(tree) // _CHILDREN :][: weight.size]
        facts["pairs that wait for an update"] = f"{np.count_nonzero(waiting):,}"
        facts["largest error among them"] = f"{tree[0]:.4g}"
        errors = waiting.reshape(-1, n_actions)
        panels.append(table_panel("planning queue: errors that wait", errors, rows, diverging=False))
    if true_model is not None and planning.learned:
        error = model_error(table, index, n_actions, rows, true_model)
        known = error[np.isfinite(error)]
        if known.size:
            facts["model error, mean over the pairs shown"] = f"{known.mean():.3f}"
        title = "model error: total variation distance of the next state"
        panels.append(
            HeatPanel(title, error, tuple(f"state {row}" for row in rows), action_names(n_actions), diverging=False)
        )
    return (TextPanel("planning", facts), *panels)


def model_error(table: Transitions, index: int, n_actions: int, rows: Array, true_model: TrueModel) -> Array:
    """Compute how far the learned outcomes of pairs are from the true ones, float64 [R, A].

    It is half the sum of |p - p'| over outcomes (next state, whether the episode terminates), 0 to 1; NaN for pairs
    that were never tried, and for states that the MDP does not have.
    """
    mdp, feature_of_state = true_model
    state_of = np.full(table.n_outcomes.shape[1] // n_actions, -1)
    state_of[feature_of_state] = np.arange(len(feature_of_state))
    states = state_of[rows]
    pairs = rows[:, None] * n_actions + np.arange(n_actions)  # [R, A]
    n_outcomes = table.n_outcomes[index, pairs]
    n_kept = max(1, int(n_outcomes.max(initial=0)))
    codes = table.code[index, pairs, :n_kept].astype(np.int64)  # [R, A, K]
    held = np.arange(n_kept) < n_outcomes[..., None]
    learned = np.where(held, table.weight[index, pairs, :n_kept], 0.0)
    learned /= np.maximum(table.total_weight[index, pairs], 1e-12)[..., None]
    prob = mdp.prob[states]  # [R, A, K']
    true_codes = 2 * feature_of_state[mdp.next[states]] + (mdp.end[states] == TERMINATES)
    same = (codes[..., None] == true_codes[..., None, :]) & held[..., None]  # [R, A, K, K']
    truth = (same * prob[..., None, :]).sum(axis=-1)  # of the learned outcomes, [R, A, K]
    unseen = prob.sum(axis=-1) - truth.sum(axis=-1)
    distance = 0.5 * (np.abs(learned - truth).sum(axis=-1) + np.abs(unseen))
    error: Array = np.where((n_outcomes > 0) & (states >= 0)[:, None], distance, np.nan)
    return error


def make(config: Config) -> TableModel:
    """Make the table for an agent."""
    return TableModel(config)
