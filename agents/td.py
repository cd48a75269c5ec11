"""Temporal-difference learning of state values: TD(0) and TD(lambda), which evaluates a policy or controls.

After every step from s to s' with reward R (Sutton 1988; Sutton and Barto 2018, (6.2) and 12.2, the backward view):

    delta = R + gamma * V(s') - V(s),   where V(s') = 0 if the episode terminates
    e(x) <- gamma * lambda * e(x) for all x, then e(s) <- e(s) + 1, or e(s) <- 1 with replacing traces
    V(x) <- V(x) + alpha * delta * e(x) for all x

With ``policy = "control"`` actions are chosen by one-step look-ahead through a model that counts what it has seen:

    q(s, a) = mean reward of (s, a) + gamma * sum over s' of n(s, a, s') / n(s, a) * V(s')

Departures: truncation bootstraps from the observation that the step led to; ties are broken at random.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass, field
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
from agents.common.exploration import Explore, ExploreSettings, choose, make_explore
from agents.common.inside import MAX_BARS, exploration_panel, learned_rows, rows_note
from agents.common.spaces import action_lists, discount, legal_rows, n_actions
from agents.common.tabular import GreedyTable, check_memory, load, save, trace_buffers
from agents.common.tile_coding import BoxFeatures, Features, make_features
from simulator.core import rng
from simulator.core.field_types import Count, PositiveShare, Share
from simulator.core.files.escaping import shortened
from simulator.core.files.reading import read_npy
from simulator.core.jit import jit, jit_inline, parallel_for
from simulator.core.mdp.model import greedy_policy
from simulator.core.mdp.solve import value_iteration
from simulator.core.protocols import Array, EnvSpec, Metrics, Policy, Rollout, State, Step
from simulator.core.rng_compiled import uniform
from simulator.core.scene import BarPanel, HeatPanel, Panel, TableUpdate, TextPanel, action_names
from simulator.core.transition_table import GOES_ON, TERMINATES, TabularBatch, table_step


@dataclass(frozen=True)
class Config:
    """Settings of TD learning."""

    policy: str = "control"
    """control: look ahead through a learned model; random or optimal: evaluate that policy; or a .npy file [N, A]"""
    lambda_: Share = 0.0
    """trace decay; 0 is TD(0), 1 is Monte Carlo"""
    traces: Literal["accumulating", "replacing"] = "accumulating"
    """eligibility of a state that is visited again: raised by 1, or set to 1"""
    step_size: PositiveShare = 0.5
    """learning rate alpha; 1 replaces the old value by the target"""
    step_size_exponent: Share = 0.0
    """w: the n-th update of a state uses step_size * n**-w; 0 keeps the step size constant"""
    gamma: Share | None = None
    """discount per step; none: the environment's own, 0.8 in a graph of rooms and 0.99 elsewhere"""
    init_value: float = 0.0
    """initial value of every state, in units of return"""
    try_untried_first: bool = True
    """control tries every action of a state once before it prefers any"""
    n_successors: Count = 16
    """distinct next states that the model holds for one state and action"""
    explore: ExploreSettings = field(default_factory=ExploreSettings)
    """exploration while training, with control"""
    box: BoxFeatures = field(default_factory=BoxFeatures)
    """discretization of real-valued observations"""


PRESETS = {
    "six-rooms-td": {
        "description": "TD(0) control of the six rooms, step size 1, random moves that fade away",
        "env": "rooms",
        "steps": 60_000,
        "agent": {"step_size": 1.0, "explore": {"epsilon_start": 1.0, "epsilon_end": 0.0, "decay_steps": 40_000}},
        "env_settings": {"layout": "six"},
    },
}

UNTRIED_VALUE = 1e300  # preference of an action that is to be tried before all others


class TDHyperparams(NamedTuple):
    """The settings as compiled code takes them."""

    control: bool  # choose by look-ahead through the model; otherwise by a given policy
    step_size: float
    step_size_exponent: float  # 0: constant step size
    gamma: float
    lambda_: float
    replacing: bool  # traces are set to 1 instead of raised by 1
    try_untried_first: bool
    init_value: float
    explore: Explore


class TDTrainState(NamedTuple):
    """Train state of S learners for N states and A actions. The model holds K successors of a state and action.

    A successor that terminates the episode is stored as N + state.
    """

    v: Array  # float64 [S, N]
    trace: Array  # float64 [S, N]; [S, 1] where lambda is 0
    visits: Array  # int64 [S, N], updates of each state
    successor: Array  # int32 [S, N, A, K], -1 where none is known
    count: Array  # type: ignore[assignment]  # int32 [S, N, A, K]
    reward_sum: Array  # float64 [S, N, A]
    overflow: Array  # int64 [S], 1 + the first state that had more than K successors, or 0
    env_steps: Array  # int64 [S]
    stream: Array  # uint64 [S, 4]
    td_error: Array  # float64 [S], running mean of |TD error| over about 100 steps
    failed_at: Array  # int64 [S], the step at which a TD error or a value was not finite, or 0; it learns no more then


class LatestStateUpdates(NamedTuple):
    """The latest update of every seed; of a rollout the one after its last step."""

    state: Array  # int64 [S], -1 before the first
    action: Array  # int64 [S]
    td_error: Array  # float64 [S], before the update; NaN where the seed had failed


class TDWorkspace(NamedTuple):
    """A buffer of compiled code, the evaluated policies, and the latest update; never part of the state."""

    preference: Array  # float64 [S, A]
    legal_actions: Array  # int64 [n_observations or 1, 1 + A], how many actions are legal, and which
    given_policy: Array  # float64 [N, A], cumulative probabilities; [1, A] with control
    last_update: LatestStateUpdates  # for the views


@jit_inline
def look_ahead(train_state, hyper, i, state, action):
    """Return the value of an action by the learned model of seed i, or NaN where the action is untried."""
    discounted = 0.0
    n = 0
    for k in range(train_state.successor.shape[3]):
        successor = train_state.successor[i, state, action, k]
        if successor < 0:
            break
        n += train_state.count[i, state, action, k]
        if successor < train_state.v.shape[1]:
            discounted += train_state.count[i, state, action, k] * hyper.gamma * train_state.v[i, successor]
    return (discounted + train_state.reward_sum[i, state, action]) / n if n else np.nan


@jit_inline
def select_action(train_state, hyper, work, i, state):
    """Sample an action of seed i from the given policy, or by look-ahead with exploration."""
    if not hyper.control:
        draw = uniform(train_state.stream, i)
        action = 0
        while action < work.given_policy.shape[1] - 1 and work.given_policy[state, action] <= draw:
            action += 1
        return action
    legal_actions = work.legal_actions[state if work.legal_actions.shape[0] > 1 else 0]
    for m in range(1, 1 + legal_actions[0]):
        value = look_ahead(train_state, hyper, i, state, legal_actions[m])
        if np.isnan(value):
            value = UNTRIED_VALUE if hyper.try_untried_first else hyper.init_value
        work.preference[i, legal_actions[m]] = value
    return choose(train_state.stream, i, work.preference[i], legal_actions, hyper.explore, train_state.env_steps[i])


@jit_inline
def _update_model(train_state, i, state, action, reward, successor):
    """Count one more transition to ``successor``, or note that the model is full."""
    train_state.reward_sum[i, state, action] += reward
    for k in range(train_state.successor.shape[3]):
        if train_state.successor[i, state, action, k] < 0:
            train_state.successor[i, state, action, k] = successor
        if train_state.successor[i, state, action, k] == successor:
            train_state.count[i, state, action, k] += 1
            return
    train_state.overflow[i] = max(train_state.overflow[i], state + 1)


@jit_inline
def _add(train_state, i, state, change):
    """Add to a value of seed i, unless the sum is not finite: then the value stays and the seed has failed."""
    value = train_state.v[i, state] + change
    if np.isfinite(value):
        train_state.v[i, state] = value
    else:
        train_state.failed_at[i] = train_state.env_steps[i]


@jit_inline
def _update_values(train_state, hyper, i, state, delta, ended):
    """Move all values along ``delta``, each by its trace."""
    step_size = hyper.step_size
    train_state.visits[i, state] += 1
    if hyper.step_size_exponent > 0.0:
        step_size *= train_state.visits[i, state] ** -hyper.step_size_exponent
    if hyper.lambda_ == 0.0:
        _add(train_state, i, state, step_size * delta)
        return
    for x in range(train_state.trace.shape[1]):
        train_state.trace[i, x] *= hyper.gamma * hyper.lambda_
    train_state.trace[i, state] = 1.0 if hyper.replacing else train_state.trace[i, state] + 1.0
    for x in range(train_state.trace.shape[1]):
        _add(train_state, i, x, step_size * delta * train_state.trace[i, x])
        if ended:
            train_state.trace[i, x] = 0.0


@jit_inline
def update(train_state, hyper, i, state, action, reward, terminated, ended, next_state):
    """Update the values and the model of seed i after one step; return the TD error, NaN where the seed has failed."""
    train_state.env_steps[i] += 1
    if train_state.failed_at[i] > 0:
        return np.nan
    discount_t = 0.0 if terminated else hyper.gamma
    v_t = 0.0 if terminated else train_state.v[i, next_state]
    delta = reward + discount_t * v_t - train_state.v[i, state]
    if hyper.control:
        successor = next_state + train_state.v.shape[1] if terminated else next_state
        _update_model(train_state, i, state, action, reward, successor)
    _update_values(train_state, hyper, i, state, delta, ended)
    if train_state.failed_at[i] == 0:
        train_state.td_error[i] += 0.01 * (abs(delta) - train_state.td_error[i])
    return delta


@jit_inline
def _note_update(last, i, state, action, td_error):
    last.state[i] = state
    last.action[i] = action
    last.td_error[i] = td_error


@jit
def act_all(train_state, hyper, work, states, actions):
    """Sample an action of every seed at ``states`` [S], written to ``actions`` int64 [S]."""
    for i in range(len(actions)):
        actions[i] = select_action(train_state, hyper, work, i, states[i])


@jit
def update_all(train_state, hyper, last_update, states, actions, reward, terminated, truncated, next_states):
    """Update every seed after one step; arrays are [S]."""
    for i in range(len(actions)):
        ended = terminated[i] or truncated[i]
        td_error = update(train_state, hyper, i, states[i], actions[i], reward[i], terminated[i], ended, next_states[i])
        _note_update(last_update, i, states[i], actions[i], td_error)


@jit
def look_ahead_all(train_state, hyper, q):
    """Write the model's action values to ``q`` [S, N, A]; an untried action has ``hyper.init_value``."""
    for i in range(q.shape[0]):
        for state in range(q.shape[1]):
            for action in range(q.shape[2]):
                value = look_ahead(train_state, hyper, i, state, action)
                q[i, state, action] = hyper.init_value if np.isnan(value) else value


@jit
def train_rollout(first_seed, last_seed, train_state, hyper, work, env_batch, reward, ended):
    """Act, step and update T times for seeds first_seed to last_seed - 1; fills ``reward`` and ``ended`` [S, T]."""
    obs_of_state = env_batch.table.obs_of_state
    for i in range(first_seed, last_seed):
        obs = obs_of_state[env_batch.state[i]]
        action = 0
        td_error = np.nan
        for t in range(reward.shape[1]):
            obs = obs_of_state[env_batch.state[i]]
            action = select_action(train_state, hyper, work, i, obs)
            step = table_step(env_batch, i, action)
            r_t = np.float32(step.reward)
            done = step.end != GOES_ON
            next_obs = obs_of_state[step.next_state]
            td_error = update(train_state, hyper, i, obs, action, r_t, step.end == TERMINATES, done, next_obs)
            reward[i, t] = r_t
            ended[i, t] = done
        if reward.shape[1] > 0:
            _note_update(work.last_update, i, obs, action, td_error)


class TD:
    """S learners; see :class:`simulator.core.protocols.Agent`."""

    def __init__(
        self,
        features: Features,
        hyper: TDHyperparams,
        train_state: TDTrainState,
        workspace: TDWorkspace,
        legal: Array,
        seed_list: list[int],
        *,
        optimal: bool = False,
    ) -> None:
        self._optimal = optimal  # the policy that is evaluated is the environment's best one
        self._features = features
        self._hyper = hyper
        self._train_state = train_state
        self._workspace = workspace
        self._legal = legal  # bool [n_observations or 1, A]
        self._seeds = seed_list
        self._buffers = trace_buffers(None, len(seed_list), 1)
        self.gamma = hyper.gamma
        self.failed_at = train_state.failed_at
        if features.discrete:
            self.rollout = self._rollout

    def act(self, obs: Array) -> Array:
        """Sample actions by look-ahead or from the given policy, int64 [S]."""
        actions = np.zeros(len(self._seeds), np.int64)
        act_all(self._train_state, self._hyper, self._workspace, self._states(obs), actions)
        return actions

    def learn(self, obs: Array, actions: Array, step: Step) -> Metrics:
        """Update every seed after one step.

        Raises:
            ValueError: more successors than the model holds.
        """
        update_all(
            self._train_state,
            self._hyper,
            self._workspace.last_update,
            self._states(obs),
            np.asarray(actions, np.int64),
            step.reward,
            step.terminated,
            step.truncated,
            self._states(step.final_obs),
        )
        return self._metrics()

    def _rollout(self, env_batch: TabularBatch, n: int) -> Rollout:
        """Play n steps of a tabular environment in one call, with the bits of n rounds of act, step and learn."""
        reward, ended = self._buffers = trace_buffers(self._buffers, len(self._seeds), n)

        def train(first: int, last: int) -> None:
            train_rollout(first, last, self._train_state, self._hyper, self._workspace, env_batch, reward, ended)

        parallel_for(train, len(self._seeds))
        return Rollout(reward, ended, self._metrics())

    def last_update(self, index: int) -> TableUpdate | None:
        """Return the latest update of one seed; None before the first, and after the seed failed."""
        last = self._workspace.last_update
        if last.state[index] < 0 or not np.isfinite(last.td_error[index]):
            return None
        return TableUpdate(int(last.state[index]), int(last.action[index]), float(last.td_error[index]))

    def panels(self, index: int) -> tuple[Panel, ...]:
        """Make panels of one seed: its values, exploration, traces, and the model that control looks ahead through."""
        state = self._train_state
        hyper = self._hyper
        v = state.v[index]
        rows = learned_rows(v[:, None], hyper.init_value)
        title = "values of states"
        shown = v[rows, None]
        columns: tuple[str, ...] = ("V",)
        if hyper.control:
            title += ", and of actions by look-ahead"
            n_actions = state.reward_sum.shape[2]
            shown = np.concatenate([shown, self._look_ahead(index, rows)], axis=1)
            columns = (*columns, *action_names(n_actions))
        names = tuple(f"state {row}" for row in rows)
        panels: list[Panel] = [HeatPanel(title + rows_note(rows, len(v)), shown, names, columns)]
        last = self.last_update(index)
        if last is not None:
            facts = {"state": str(last.obs), "TD error": f"{last.td_error:.4g}", "value now": f"{v[last.obs]:.4g}"}
            panels.append(TextPanel("latest update", facts))
        if hyper.lambda_:
            trace = state.trace[index]
            kept = np.flatnonzero(trace)
            kept = np.sort(kept[np.argsort(-trace[kept], kind="stable")[:MAX_BARS]])
            bars = tuple(f"state {row}" for row in kept)
            panels.append(BarPanel(f"eligibility traces of {np.count_nonzero(trace)} states", bars, trace[kept]))
        if hyper.control:
            panels.append(exploration_panel(hyper.explore, int(state.env_steps[index])))
            count = state.count[index, rows].sum(axis=-1).astype(np.float64)
            tried = "model: how often each action was tried" + rows_note(rows, len(v))
            panels.append(HeatPanel(tried, count, names, action_names(count.shape[1]), diverging=False))
        return tuple(panels)

    def _look_ahead(self, index: int, rows: Array) -> Array:
        """Compute the values of actions in some states by the model, float64 [R, A]; NaN for untried actions."""
        state = self._train_state
        successor, count = state.successor[index, rows], state.count[index, rows]
        n_states = state.v.shape[1]
        goes_on = (successor >= 0) & (successor < n_states)
        value = np.where(goes_on, state.v[index][np.where(goes_on, successor, 0)], 0.0)
        n = count.sum(axis=-1)
        total = self._hyper.gamma * (count * value).sum(axis=-1) + state.reward_sum[index, rows]
        found: Array = np.where(n > 0, total / np.maximum(n, 1), np.nan)
        return found

    def _states(self, obs: Array) -> Array:
        """Return the states of obs [S, *obs], int64 [S]."""
        return np.ascontiguousarray(self._features.encode(obs)[:, 0])

    def _metrics(self) -> Metrics:
        full = np.flatnonzero(self._train_state.overflow)
        if len(full):
            seed = self._seeds[full[0]]
            state = self._train_state.overflow[full[0]] - 1
            n = self._train_state.successor.shape[3]
            raise ValueError(f"agent.n_successors = {n}: seed {seed} observed more next states from state {state}")
        return {"td_error": self._train_state.td_error}

    @property
    def knows_env(self) -> bool:
        """True where it evaluates the policy that is best in the environment as it began."""
        return self._optimal

    def changeable(self) -> dict[str, float]:
        """Return step size, discount and exploration as they are; exploration is constant once changed."""
        hyper = self._hyper
        values = {"step_size": hyper.step_size, "gamma": hyper.gamma}
        if hyper.control:
            clock = int(self._train_state.env_steps[0])
            values[exploration_name(hyper.explore)] = exploration_now(hyper.explore, clock)
        return values

    def change(self, name: str, value: float) -> None:
        """Change one of :meth:`changeable` from the next step on.

        Raises:
            ValueError: another name, or a value out of range; one line.
        """
        explore = self._hyper.explore
        bounds = {
            "step_size": (1e-9, 1.0),
            "gamma": (0.0, 1.0),
            exploration_name(explore): exploration_bounds(explore),
        }
        value = checked("td", self.changeable(), name, value, *bounds.get(name, (0, 0)))
        if name in ("step_size", "gamma"):
            changed: dict[str, Any] = {name: value}
            self._hyper = self._hyper._replace(**changed)
            self.gamma = self._hyper.gamma
        else:
            self._hyper = self._hyper._replace(explore=constant_exploration(explore, value))

    def policy(self) -> Policy:
        """Return the current greedy look-ahead, or the given policy."""
        if not self._hyper.control:
            return GivenPolicy(self._workspace.given_policy, self._train_state.v.copy(), self._features, self._seeds)
        q = np.zeros((*self._train_state.v.shape, self._train_state.reward_sum.shape[2]))
        look_ahead_all(self._train_state, self._hyper, q)
        return GreedyTable(q, self._legal, self._features, self._seeds)

    def state(self) -> State:
        """Return the whole train state, by name."""
        return save(self._train_state)

    def restore(self, state: State) -> None:
        """Continue from ``state``."""
        load(self._train_state, state)
        self._workspace.last_update.state[:] = -1


class GivenPolicy:
    """A fixed policy, shown with the state values that were learned for it.

    Args:
        cumulative: float64 [N, A], cumulative action probabilities.
        v: float64 [S, N], the values learned.
        features: encoding of observations as states.
        seed_list: the run's seeds.
    """

    def __init__(self, cumulative: Array, v: Array, features: Features, seed_list: list[int]) -> None:
        self._cumulative = cumulative
        self._v = v
        self._features = features
        self._generators = rng.generators(seed_list, "ties")

    def act(self, obs: Array, first: Array) -> Array:
        """Sample from the policy at obs [S, *obs], int64 [S]."""
        cumulative = self._cumulative[self._features.encode(obs)[:, 0]]
        draws = np.array([generator.random() for generator in self._generators])
        return np.minimum((cumulative <= draws[:, None]).sum(axis=1), cumulative.shape[1] - 1)

    def values(self, obs: Array) -> Array:
        """Return the state's value for every action, [S, B, A]: there are none per action."""
        v = self._v[:, self._features.encode(obs)[:, 0]]  # [S, B]
        return np.repeat(v[..., None], self._cumulative.shape[1], axis=-1)

    def probs(self, obs: Array) -> Array:
        """Return the policy's probabilities, [S, B, A]."""
        probs = np.diff(self._cumulative, axis=1, prepend=0.0)[self._features.encode(obs)[:, 0]]
        return np.repeat(probs[None], len(self._v), axis=0)


def given_policy(spec: EnvSpec, policy: str, gamma: float, legal: Array, n_states: int) -> Array:
    """Return a policy by name (random, optimal) or from a .npy file, probabilities [N, A].

    Raises:
        ValueError: no such policy, or a file that holds none.
    """
    shape = (n_states, legal.shape[1])
    if policy == "random":
        return np.broadcast_to(legal / legal.sum(axis=1, keepdims=True), shape)
    if policy == "optimal":
        if spec.mdp is None or len(spec.mdp.start) != n_states:
            raise ValueError(f"agent.policy = 'optimal': no finite MDP of the observations is known for {spec.id}")
        return greedy_policy(value_iteration(spec.mdp, gamma))
    if not os.path.exists(policy):
        raise ValueError(f"agent.policy = {shortened(policy)!r}: expected control, random, optimal or a .npy file")
    probs = read_npy(policy)
    fits = probs.shape == shape and np.all(probs >= 0) and np.allclose(probs.sum(axis=1), 1.0)
    if not fits or np.any(probs[~np.broadcast_to(legal, shape)] > 0):
        raise ValueError(f"{policy}: expected probabilities {shape} that sum to 1 over actions that exist")
    return probs / probs.sum(axis=1, keepdims=True)


def files(config: Config) -> list[str]:
    """Return the file that the policy is read from; none where it goes by a name."""
    named = config.policy in ("control", "random", "optimal")
    return [] if named or not os.path.isfile(config.policy) else [config.policy]


def make(spec: EnvSpec, seed_list: Sequence[int], config: Config) -> TD:
    """Make learners for an environment of discrete actions.

    Raises:
        ValueError: a space or a setting that this agent cannot have.
    """
    n = n_actions(spec, "td")
    features = make_features(spec, config.box)
    if features.n_active > 1:
        raise ValueError(f"agent.box.kind = {config.box.kind!r}: td looks states up one by one, expected 'bins'")
    n_seeds = len(seed_list)
    n_states = features.n_features
    control = config.policy == "control"
    gamma = discount(spec, config.gamma)
    legal = legal_rows(spec, n)
    model_shape = (n_seeds, n_states, n, config.n_successors) if control else (n_seeds, 1, 1, 1)
    check_memory("td", spec, 8 * prod(model_shape) + 24 * n_seeds * n_states)
    hyper = TDHyperparams(
        control=control,
        step_size=float(config.step_size),
        step_size_exponent=float(config.step_size_exponent),
        gamma=gamma,
        lambda_=float(config.lambda_),
        replacing=config.traces == "replacing",
        try_untried_first=config.try_untried_first,
        init_value=float(config.init_value),
        explore=make_explore(config.explore),
    )
    train_state = TDTrainState(
        v=np.full((n_seeds, n_states), float(config.init_value)),
        trace=np.zeros((n_seeds, n_states if config.lambda_ else 1)),
        visits=np.zeros((n_seeds, n_states), np.int64),
        successor=np.full(model_shape, -1, np.int32),
        count=np.zeros(model_shape, np.int32),
        reward_sum=np.zeros(model_shape[:3]),
        overflow=np.zeros(n_seeds, np.int64),
        env_steps=np.zeros(n_seeds, np.int64),
        stream=rng.pcg64_states(seed_list, "exploration"),
        td_error=np.zeros(n_seeds),
        failed_at=np.zeros(n_seeds, np.int64),
    )
    probs = np.zeros((1, n)) if control else given_policy(spec, config.policy, gamma, legal, n_states)
    last = LatestStateUpdates(np.full(n_seeds, -1), np.zeros(n_seeds, np.int64), np.zeros(n_seeds))
    workspace = TDWorkspace(np.zeros((n_seeds, n)), action_lists(legal), np.cumsum(probs, axis=1), last)
    optimal = config.policy == "optimal"
    return TD(features, hyper, train_state, workspace, legal, list(seed_list), optimal=optimal)


if __name__ == "__main__":
    from agents.common.demo import show_agent

    show_agent("td")
