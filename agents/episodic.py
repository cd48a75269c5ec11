"""Episodic control: values are returns met before, recalled by a key (Blundell et al. 2016; Pritzel et al. 2017).

For every action a memory keeps pairs of a key, which the observation gives, and a value, the discounted return R that
followed. When an episode ends, each of its steps is written, the last one first:

===========  ==================================================================================
``update``   value of a key that is in memory; others are added
===========  ==================================================================================
``maximum``  max(value, R): the best that ever followed (Blundell et al. 2016)
``running``  value + step_size * (R - value) (Pritzel et al. 2017)
===========  ==================================================================================

A full memory forgets the key that was written least recently, as in Blundell et al. 2016.

===========  ==================================================================================
``keys``     the value of an observation
===========  ==================================================================================
``nearest``  that of the same key; else the mean value of the ``n_neighbors`` nearest keys
``hopfield`` sum of softmax(-beta / 2 |key - x|^2) times values: one step of a modern Hopfield
             network from keys to values (Ramsauer et al. 2021)
===========  ==================================================================================

The maximum is right where the environment is deterministic; where chance decides it believes in the luckiest return.

Departures: a truncated episode, and one that is longer than what is kept of it, goes on with the best value that is
recalled where it was cut; returns are those of whole episodes and not of n steps; keys are the observation, or a random
projection, and are not learned. A discrete observation is its own key: others are all equally far, so with ``nearest``
one that was never met has ``init_value``.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from math import prod
from typing import Literal, NamedTuple

import numpy as np
from gymnasium import spaces

from agents.common.exploration import GREEDY, Explore, ExploreSettings, choose, highest, make_explore
from agents.common.inside import MAX_POINTS, MAX_ROWS, exploration_panel, points_panel, rows_note
from agents.common.memory_check import check_fits
from agents.common.projection import RandomProjection
from agents.common.spaces import action_lists, discount, is_image, legal_rows, n_actions, uniform_best
from agents.common.tabular import load, save, trace_buffers
from simulator.core import rng
from simulator.core.field_types import Count, CountOrZero, Positive, PositiveShare, Share
from simulator.core.jit import jit, jit_inline, parallel_for
from simulator.core.protocols import Array, EnvSpec, Metrics, Rollout, State, Step
from simulator.core.scene import BarPanel, HeatPanel, Panel, TextPanel, action_names
from simulator.core.transition_table import GOES_ON, TERMINATES, TabularBatch, table_step

_UNLIMITED_STEPS = 1_000  # kept of an episode where the environment has no limit
_IMAGE_COMPONENTS = 64
_MAX_CLASSES = 2**24  # float32 tells all of them apart


@dataclass(frozen=True)
class Config:
    """Settings of episodic control."""

    keys: Literal["nearest", "hopfield"] = "nearest"
    """recall by the nearest keys, or by all keys, weighted as a modern Hopfield network does"""
    update: Literal["maximum", "running"] = "maximum"
    """value of a key that is met again: the largest return so far, or a running mean"""
    step_size: PositiveShare = 0.1
    """fraction of the error by which a value moves; counts only with update running"""
    n_neighbors: Count = 5
    """nearest keys whose values are averaged; counts only with keys nearest"""
    beta: Positive = 20.0
    """inverse temperature of the softmax over keys; counts only with keys hopfield"""
    capacity: Count = 2_000
    """keys per action"""
    projection: CountOrZero | None = None
    """components of a random projection of the observation as its key; 0: as it is; none: 64 for images, else 0"""
    gamma: Share | None = None
    """discount per step; none: the environment's own, 0.8 in a graph of rooms and 0.99 elsewhere"""
    init_value: float = 0.0
    """value where nothing is recalled, in units of return"""
    max_episode_steps: CountOrZero = 0
    """steps of an episode that are kept until it is written; 0: the environment's limit, or 1,000"""
    explore: ExploreSettings = field(default_factory=ExploreSettings)
    """exploration while training"""


class EpisodicHyperparams(NamedTuple):
    """The settings as compiled code takes them."""

    hopfield: bool
    maximum: bool
    step_size: float
    n_neighbors: int
    beta: float
    gamma: float
    init_value: float
    discrete: bool
    explore: Explore


class EpisodicState(NamedTuple):
    """Memories and current episodes of S learners. A actions, C keys, D components, T steps."""

    keys: Array  # float32 [S, A, C, D]
    values: Array  # float64 [S, A, C]
    used: Array  # int64 [S, A, C], environment step of the last writing
    size: Array  # int64 [S, A]
    episode_key: Array  # float32 [S, T, D]
    episode_action: Array  # int64 [S, T]
    episode_reward: Array  # float32 [S, T]
    length: Array  # int64 [S], steps of the current episode that wait to be written
    env_steps: Array  # int64 [S]
    stream: Array  # uint64 [S, 4]


class EpisodicWorkspace(NamedTuple):
    """Buffers of compiled code that are no part of the state, and the legal actions."""

    q: Array  # float64 [S, A]
    key: Array  # float32 [S, D]
    next_key: Array  # float32 [S, D]
    near: Array  # float64 [S, 2, n_neighbors], squared distances and values
    legal_actions: Array  # int64 [n_observations or 1, 1 + A]


@jit_inline
def _squared_distance(one, other, discrete):
    """Return the squared distance of two keys; of two classes that of their one-hot vectors."""
    if discrete:
        return 0.0 if one[0] == other[0] else 2.0
    distance = 0.0
    for d in range(len(one)):
        apart = np.float64(one[d] - other[d])
        distance += apart * apart
    return distance


@jit
def recall_value(state, hyper, i, action, key, near):
    """Return the value that seed i recalls for an action at a key [D]."""
    if hyper.hopfield:
        return _attended_value(state, hyper, i, action, key)
    near[0] = np.inf
    for c in range(state.size[i, action]):
        distance = _squared_distance(state.keys[i, action, c], key, hyper.discrete)
        if distance == 0.0:
            return state.values[i, action, c]
        k = near.shape[1] - 1
        if distance < near[0, k]:
            while k > 0 and near[0, k - 1] > distance:
                near[0, k] = near[0, k - 1]
                near[1, k] = near[1, k - 1]
                k -= 1
            near[0, k] = distance
            near[1, k] = state.values[i, action, c]
    n_near = min(state.size[i, action], near.shape[1])
    if n_near == 0 or hyper.discrete:
        return hyper.init_value
    total = 0.0
    for k in range(n_near):
        total += near[1, k]
    return total / n_near


@jit_inline
def _attended_value(state, hyper, i, action, key):
    """Return the mean of all values, weighted by softmax(-beta / 2 |key - x|^2)."""
    if state.size[i, action] == 0:
        return hyper.init_value
    largest = -np.inf  # exponent so far, which keeps the weights finite
    total = 0.0
    weights = 0.0
    for c in range(state.size[i, action]):
        exponent = -0.5 * hyper.beta * _squared_distance(state.keys[i, action, c], key, hyper.discrete)
        if exponent > largest:
            total *= np.exp(largest - exponent)
            weights *= np.exp(largest - exponent)
            largest = exponent
        weight = np.exp(exponent - largest)
        total += weight * state.values[i, action, c]
        weights += weight
    return total / weights


@jit
def write_value(state, hyper, i, action, key, value):
    """Write the return that followed an action at a key [D] of seed i."""
    size = state.size[i, action]
    slot = np.int64(-1)
    oldest = np.int64(0)
    for c in range(size):
        if _squared_distance(state.keys[i, action, c], key, hyper.discrete) == 0.0:
            slot = np.int64(c)
            break
        if state.used[i, action, c] < state.used[i, action, oldest]:
            oldest = np.int64(c)
    if slot >= 0:
        before = state.values[i, action, slot]
        moved = before + hyper.step_size * (value - before)
        state.values[i, action, slot] = max(before, value) if hyper.maximum else moved
    else:
        slot = oldest
        if size < state.keys.shape[2]:
            slot = np.int64(size)
            state.size[i, action] += 1
        for d in range(len(key)):
            state.keys[i, action, slot, d] = key[d]
        state.values[i, action, slot] = value
    state.used[i, action, slot] = state.env_steps[i]


@jit_inline
def _legal_row(work, key):
    """Return the row of the actions that exist at a key; there are several only for discrete observations."""
    return np.uint64(key[0]) if work.legal_actions.shape[0] > 1 else np.uint64(0)


@jit
def recall_values(state, hyper, work, i, key):
    """Write the values of all legal actions at a key [D] to ``work.q``."""
    legal_actions = work.legal_actions[_legal_row(work, key)]
    for m in range(1, 1 + legal_actions[0]):
        work.q[i, legal_actions[m]] = recall_value(state, hyper, i, legal_actions[m], key, work.near[i])


@jit
def select_action(state, hyper, work, i, key):
    """Sample an action of seed i at a key [D]."""
    recall_values(state, hyper, work, i, key)
    legal_actions = work.legal_actions[_legal_row(work, key)]
    return choose(state.stream, i, work.q[i], legal_actions, hyper.explore, state.env_steps[i])


@jit
def record_step(state, hyper, work, i, action, reward, terminated, ended):
    """Keep a step of seed i from ``work.key`` to ``work.next_key``; write the episode where it ends."""
    t = state.length[i]
    for d in range(work.key.shape[1]):
        state.episode_key[i, t, d] = work.key[i, d]
    state.episode_action[i, t] = action
    state.episode_reward[i, t] = reward
    state.length[i] = t + 1
    state.env_steps[i] += 1
    if not ended and state.length[i] < state.episode_action.shape[1]:
        return
    total = 0.0
    if not terminated:
        recall_values(state, hyper, work, i, work.next_key[i])
        total = highest(work.q[i], work.legal_actions[_legal_row(work, work.next_key[i])])
    while state.length[i] > 0:
        state.length[i] -= 1
        t = state.length[i]
        total = state.episode_reward[i, t] + hyper.gamma * total
        write_value(state, hyper, i, state.episode_action[i, t], state.episode_key[i, t], total)


@jit
def act_all(state, hyper, work, actions):
    """Sample an action of every seed at ``work.key``, written to ``actions`` int64 [S]."""
    for i in range(len(actions)):
        actions[i] = select_action(state, hyper, work, i, work.key[i])


@jit
def record_all(state, hyper, work, actions, reward, terminated, truncated):
    """Keep a step of every seed; arrays are [S]."""
    for i in range(len(actions)):
        record_step(state, hyper, work, i, actions[i], reward[i], terminated[i], terminated[i] or truncated[i])


@jit
def train_rollout(first_seed, last_seed, state, hyper, work, env_batch, reward, ended):
    """Act and keep T steps of seeds first_seed to last_seed - 1; fills ``reward`` and ``ended`` [S, T]."""
    obs_of_state = env_batch.table.obs_of_state
    for i in range(first_seed, last_seed):
        for t in range(reward.shape[1]):
            work.key[i, 0] = obs_of_state[np.uint64(env_batch.state[i])]
            action = select_action(state, hyper, work, i, work.key[i])
            step = table_step(env_batch, i, action)
            work.next_key[i, 0] = obs_of_state[np.uint64(step.next_state)]
            r_t = np.float32(step.reward)
            ends = step.end != GOES_ON
            record_step(state, hyper, work, i, action, r_t, step.end == TERMINATES, ends)
            reward[i, t] = r_t
            ended[i, t] = ends


class Episodic:
    """S learners; see :class:`simulator.core.protocols.Agent`."""

    def __init__(
        self,
        encode: Callable[[Array], Array],
        hyper: EpisodicHyperparams,
        train_state: EpisodicState,
        workspace: EpisodicWorkspace,
        seed_list: list[int],
    ) -> None:
        self._encode = encode
        self._hyper = hyper
        self._train_state = train_state
        self._workspace = workspace
        self._seeds = seed_list
        self._buffers = trace_buffers(None, len(seed_list), 1)
        self.gamma = hyper.gamma
        if hyper.discrete:
            self.rollout = self._rollout

    def act(self, obs: Array) -> Array:
        """Sample actions by recalled values, int64 [S]."""
        actions = np.zeros(len(self._seeds), np.int64)
        self._workspace.key[:] = self._encode(obs)
        act_all(self._train_state, self._hyper, self._workspace, actions)
        return actions

    def learn(self, obs: Array, actions: Array, step: Step) -> Metrics:
        """Keep one step of every seed, and write episodes that end with it."""
        self._workspace.key[:] = self._encode(obs)
        self._workspace.next_key[:] = self._encode(step.final_obs)
        record_all(
            self._train_state,
            self._hyper,
            self._workspace,
            np.asarray(actions, np.int64),
            step.reward,
            step.terminated,
            step.truncated,
        )
        return self._metrics()

    def _rollout(self, env_batch: TabularBatch, n: int) -> Rollout:
        """Play n steps of a tabular environment in one call, with the bits of n rounds of act, step and learn."""
        reward, ended = self._buffers = trace_buffers(self._buffers, len(self._seeds), n)

        def train(first: int, last: int) -> None:
            train_rollout(first, last, self._train_state, self._hyper, self._workspace, env_batch, reward, ended)

        parallel_for(train, len(self._seeds))
        return Rollout(reward, ended, self._metrics())

    def _metrics(self) -> Metrics:
        return {"keys": self._train_state.size.sum(axis=1)}

    def panels(self, index: int) -> tuple[Panel, ...]:
        """Make panels of one seed's memories, by action, and of its exploration."""
        state = self._train_state
        size = state.size[index]
        capacity = state.values.shape[2]
        facts = {
            "keys held": f"{int(size.sum()):,}, at most {capacity:,} for an action",
            "steps that wait for the end of the episode": f"{int(state.length[index]):,}",
        }
        names = action_names(len(size))
        found: list[Panel | None] = [
            TextPanel("episodic memory", facts),
            BarPanel("keys in memory", names, size.astype(np.float64)),
            exploration_panel(self._hyper.explore, int(state.env_steps[index])),
        ]
        if self._hyper.discrete:
            found.append(self._returns_by_state(index))
        else:
            recent = {}
            for action, name in enumerate(names):
                order = np.argsort(-state.used[index, action, : size[action]], kind="stable")
                recent[name] = state.keys[index, action, order[: MAX_POINTS // len(names)]]
            found.append(points_panel("keys in memory that were written last", recent))
        return tuple(panel for panel in found if panel is not None)

    def _returns_by_state(self, index: int) -> HeatPanel | None:
        """Make a panel of the returns in memory by state and action; None where nothing is in memory."""
        state = self._train_state
        sizes = state.size[index]
        held = [state.keys[index, action, :size, 0].astype(np.int64) for action, size in enumerate(sizes)]
        states = np.unique(np.concatenate(held))
        rows = states[:MAX_ROWS]
        if not len(rows):
            return None
        values = np.full((len(rows), len(sizes)), np.nan)
        for action, keys in enumerate(held):
            at = np.searchsorted(rows, keys)
            shown = (at < len(rows)) & (rows[np.minimum(at, len(rows) - 1)] == keys)
            values[at[shown], action] = state.values[index, action, : len(keys)][shown]
        title = "returns in memory" + rows_note(rows, len(states))
        return HeatPanel(title, values, tuple(f"state {row}" for row in rows), action_names(len(sizes)))

    def policy(self) -> EpisodicPolicy:
        """Return the current greedy policy."""
        return EpisodicPolicy(self._encode, self._hyper, self._train_state, self._workspace, self._seeds)

    def state(self) -> State:
        """Return memories, current episodes and streams."""
        return save(self._train_state)

    def restore(self, state: State) -> None:
        """Continue from ``state``."""
        load(self._train_state, state)


class EpisodicPolicy:
    """Acts by the highest recalled value, ties at random; see :class:`simulator.core.protocols.Policy`."""

    def __init__(
        self,
        encode: Callable[[Array], Array],
        hyper: EpisodicHyperparams,
        train_state: EpisodicState,
        workspace: EpisodicWorkspace,
        seed_list: list[int],
    ) -> None:
        self._encode = encode
        self._hyper = hyper._replace(explore=GREEDY)
        self._state = train_state._replace(
            keys=train_state.keys.copy(),
            values=train_state.values.copy(),
            size=train_state.size.copy(),
            env_steps=train_state.env_steps.copy(),
            stream=rng.pcg64_states(seed_list, "ties"),
        )
        self._workspace = workspace._replace(
            q=np.zeros_like(workspace.q), key=np.zeros_like(workspace.key), near=np.zeros_like(workspace.near)
        )

    def act(self, obs: Array, first: Array) -> Array:
        """Return one of the best actions at obs [S, *obs], int64 [S]."""
        actions = np.zeros(len(self._workspace.q), np.int64)
        self._workspace.key[:] = self._encode(obs)
        act_all(self._state, self._hyper, self._workspace, actions)
        return actions

    def values(self, obs: Array) -> Array:
        """Return recalled values [S, B, A] at obs [B, *obs]; 0 for illegal actions."""
        n_seeds = len(self._workspace.q)
        found = np.zeros((n_seeds, len(obs), self._workspace.q.shape[1]))
        for b in range(len(obs)):
            keys = self._encode(np.repeat(obs[b : b + 1], n_seeds, axis=0))
            for i in range(n_seeds):
                self._workspace.q[i] = 0.0
                recall_values(self._state, self._hyper, self._workspace, i, np.ascontiguousarray(keys[i]))
                found[i, b] = self._workspace.q[i]
        return found

    def probs(self, obs: Array) -> Array:
        """Return probabilities [S, B, A], uniform over the best actions."""
        stored = np.asarray(obs).reshape(len(obs), -1)
        return uniform_best(self.values(obs), self._workspace.legal_actions, stored)


def make(spec: EnvSpec, seed_list: Sequence[int], config: Config) -> Episodic:
    """Make learners for an environment of discrete actions.

    Raises:
        ValueError: a space or a setting that this agent cannot have, or memories that are too large.
    """
    n = n_actions(spec, "episodic")
    n_seeds = len(seed_list)
    discrete = isinstance(spec.observation, spaces.Discrete) and int(spec.observation.start) == 0
    _check(spec, config, discrete=discrete)
    encode: Callable[[Array], Array]
    if discrete:
        n_components = 1
        encode = _column
    else:
        default = _IMAGE_COMPONENTS if is_image(spec) else 0
        streams = rng.generators(seed_list, "encoder")
        encode = RandomProjection(
            spec, "episodic", streams, default if config.projection is None else config.projection
        )
        n_components = encode.n
    n_steps = config.max_episode_steps or spec.max_steps or _UNLIMITED_STEPS
    shape = (n_seeds, n, config.capacity)
    n_bytes = prod(shape) * (4 * n_components + 16) + n_seeds * n_steps * (4 * n_components + 12)
    check_fits("episodic", spec, 2 * n_bytes, "fewer seeds, agent.capacity or agent.projection")  # a policy copies it
    hyper = EpisodicHyperparams(
        hopfield=config.keys == "hopfield",
        maximum=config.update == "maximum",
        step_size=float(config.step_size),
        n_neighbors=config.n_neighbors,
        beta=float(config.beta),
        gamma=discount(spec, config.gamma),
        init_value=float(config.init_value),
        discrete=discrete,
        explore=make_explore(config.explore),
    )
    train_state = EpisodicState(
        keys=np.zeros((*shape, n_components), np.float32),
        values=np.zeros(shape),
        used=np.zeros(shape, np.int64),
        size=np.zeros((n_seeds, n), np.int64),
        episode_key=np.zeros((n_seeds, n_steps, n_components), np.float32),
        episode_action=np.zeros((n_seeds, n_steps), np.int64),
        episode_reward=np.zeros((n_seeds, n_steps), np.float32),
        length=np.zeros(n_seeds, np.int64),
        env_steps=np.zeros(n_seeds, np.int64),
        stream=rng.pcg64_states(seed_list, "exploration"),
    )
    workspace = EpisodicWorkspace(
        q=np.zeros((n_seeds, n)),
        key=np.zeros((n_seeds, n_components), np.float32),
        next_key=np.zeros((n_seeds, n_components), np.float32),
        near=np.zeros((n_seeds, 2, config.n_neighbors if config.keys == "nearest" else 1)),
        legal_actions=action_lists(legal_rows(spec, n)),
    )
    return Episodic(encode, hyper, train_state, workspace, list(seed_list))


def _check(spec: EnvSpec, config: Config, *, discrete: bool) -> None:
    """Refuse settings that do not go together, or with the environment.

    Raises:
        ValueError: more neighbours than keys, a projection of keys that are numbers of states, or too many of these.
    """
    if config.keys == "nearest" and config.n_neighbors > config.capacity:
        raise ValueError(
            f"agent.n_neighbors = {config.n_neighbors} with agent.capacity = {config.capacity}: "
            "expected at most as many"
        )
    if discrete and config.projection:
        raise ValueError(
            f"agent.projection = {config.projection} on {spec.id}: its observations are discrete and their own keys, "
            "expected 0 or none"
        )
    if discrete and int(spec.observation.n) > _MAX_CLASSES:  # type: ignore[attr-defined]
        raise ValueError(
            f"episodic on {spec.id}: {spec.observation}, expected at most {_MAX_CLASSES:,} observations as keys"
        )


def _column(obs: Array) -> Array:
    return np.asarray(obs, np.float32).reshape(-1, 1)


if __name__ == "__main__":
    from agents.common.demo import show_agent

    show_agent("episodic")
