"""Agents whose policy is a network read directly: the greatest output is the action, and judging is all the learning.

Numbered observations go in as one-hot vectors, boxes as they are. Numbered actions are an argmax with ties at random;
boxed ones are the outputs, squashed by tanh into their bounds.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from math import prod, sqrt
from typing import NamedTuple

import numpy as np
from gymnasium import spaces

from agents.common.exploration import argmax
from agents.common.networks.dense import Net, NetworkSettings, forward_row, make_net, n_params
from agents.common.policy_search.selection import Rule, learn_lane, make_climb
from agents.common.spaces import action_lists, legal_rows
from agents.common.tabular import load, save, trace_buffers
from simulator.core import rng
from simulator.core.jit import jit, jit_inline, parallel_for, specialize
from simulator.core.protocols import Array, EnvSpec, Metrics, Rollout, State, Step
from simulator.core.transition_table import GOES_ON, TabularBatch, table_step

LARGEST = 2 << 30  # bytes of weights


class Body(NamedTuple):
    """What is seen and given out, of S seeds. Room for compiled code; never part of the state."""

    numbered: bool  # observations are numbers, seen as one-hot vectors
    at: Array  # int64 [S], the number seen now, or zeros
    was: Array  # int64 [S], the number whose input is 1
    x: Array  # float32 [S, in]
    out: Array  # float32 [S, out]
    legal_actions: Array  # int64 [n_observations or 1, 1 + A], how many actions exist, and which


@dataclass(frozen=True)
class Shape:
    """An environment's spaces, as inputs and outputs of a network."""

    n_inputs: int
    n_outputs: int
    numbered: bool
    box: spaces.Box | None  # of the actions
    legal: Array  # bool [n_observations or 1, A]


def find_shape(agent: str, spec: EnvSpec) -> Shape:
    """The inputs and outputs that an environment asks for.

    Raises:
        ValueError: images, text, or actions without numbers or bounds.
    """
    seen, action = spec.observation, spec.action
    numbered = isinstance(seen, spaces.Discrete) and int(seen.start) == 0
    flat = isinstance(seen, spaces.Box) and len(seen.shape) <= 1
    if not numbered and not flat:
        raise ValueError(f"{agent} on {spec.id}: observation {seen}, expected Discrete from 0 or a flat box of numbers")
    n_inputs = int(seen.n) if numbered else prod(seen.shape)
    if isinstance(action, spaces.Discrete) and int(action.start) == 0:
        return Shape(n_inputs, int(action.n), numbered, None, legal_rows(spec, int(action.n)))
    if isinstance(action, spaces.Box) and action.is_bounded() and action.dtype.kind == "f":
        return Shape(n_inputs, prod(action.shape), numbered, action, np.ones((1, prod(action.shape)), np.bool_))
    raise ValueError(f"{agent} on {spec.id}: action space {action}, expected Discrete actions from 0 or a bounded box")


def make_climber(
    agent: str, spec: EnvSpec, seed_list: Sequence[int], rule: Rule, network: NetworkSettings, bias: bool
) -> Climber:
    """Climbers for an environment; ``bias`` gives every unit a constant of its own beside its inputs.

    Raises:
        ValueError: a space or a size that this agent cannot have.
    """
    shape = find_shape(agent, spec)
    sizes = (shape.n_inputs, *network.hidden, shape.n_outputs)
    n_bytes = 16 * len(seed_list) * n_params(sizes)
    if n_bytes > LARGEST:
        raise ValueError(
            f"{agent} on {spec.id}: weights of {n_bytes / 2**30:,.1f} GiB for all seeds, expected at most "
            f"{LARGEST >> 30}; give fewer seeds or hidden units"
        )
    net = make_net(sizes, network.activation == "tanh", seed_list, 1)
    net = net._replace(deltas=np.zeros((1, 2, 1), np.float32), gradient=np.zeros((1, 1), np.float32))
    scale = _scale(sizes, bias)
    net.params[:, scale == 0.0] = 0.0
    return Climber(shape, rule, net, scale, list(seed_list))


def _scale(sizes: Sequence[int], bias: bool) -> Array:
    """Bounds of random weights, float32 [P], as :func:`make_net` draws them; 0 for biases that are not wanted."""
    parts = [np.repeat((1 / sqrt(n), bias / sqrt(n)), (n * m, m)) for n, m in pairwise(sizes)]
    return np.concatenate(parts).astype(np.float32)


class Climber:
    """S climbers; see :class:`simulator.core.protocols.Agent`."""

    def __init__(self, shape: Shape, rule: Rule, net: Net, scale: Array, seed_list: list[int]) -> None:
        self._shape, self._rule, self._net, self._scale, self._seeds = shape, rule, net, scale, seed_list
        self._climb = make_climb(net.params, rule, rng.pcg64_states(seed_list, "exploration"))
        self._reader, self._trace = Reader(shape, net, self._climb.stream), trace_buffers(None, len(seed_list), 1)
        self._reward, self._ended = np.zeros(len(seed_list), np.float32), np.zeros(len(seed_list), np.bool_)
        self._learn = specialize(_learn_all, self._climb, rule, scale, self._reward, self._ended, self._reader.body.out)
        self.failed_at = self._climb.failed_at
        self._metrics = {"champion": self._climb.score} | ({} if rule.fresh else {"sigma": self._climb.sigma})
        if shape.numbered and shape.box is None:
            self.rollout = self._stretch

    def act(self, obs: Array) -> Array:
        """The action of the weights that are judged now: int64 [S], or [S, *action] in a box."""
        return self._reader.act(obs)

    def learn(self, obs: Array, actions: Array, step: Step) -> Metrics:
        """Count the step; where a judgement ends with it, choose who is judged next."""
        self._reward[:] = step.reward
        np.logical_or(step.terminated, step.truncated, out=self._ended)
        self._learn(self._climb, self._rule, self._scale, self._reward, self._ended, self._reader.body.out)
        return self._metrics

    def _stretch(self, env_batch: TabularBatch, n: int) -> Rollout:
        """N steps of an environment by table in one call, with the bits of n rounds of act, step and learn."""
        reward, ended = self._trace = trace_buffers(self._trace, len(self._seeds), n)
        brain = (self._climb, self._rule, self._scale, self._net, self._reader.body)
        parallel_for(
            lambda first, last: _stretch_block((first, last), brain, env_batch, reward, ended), len(self._seeds)
        )
        return Rollout(reward, ended, self._metrics)

    def policy(self) -> DirectPolicy:
        """The policy of the best champion so far; the first one before any was judged."""
        climb = self._climb
        weights = np.where(climb.leads[:, None], climb.champion, climb.best)
        return DirectPolicy(self._shape, self._net, weights, self._seeds)

    def state(self) -> State:
        """Weights, records, counters and streams."""
        return save(self._climb)

    def restore(self, state: State) -> None:
        """Go on from ``state``."""
        load(self._climb, state)


class DirectPolicy:
    """What S networks do, held still; see :class:`simulator.core.protocols.Policy`.

    Args:
        shape: the environment's spaces.
        net: the networks' shape.
        weights: float32 [S, P], kept as they are.
        seed_list: the run's seeds, for the streams that break ties.
    """

    def __init__(self, shape: Shape, net: Net, weights: Array, seed_list: list[int]) -> None:
        net = net._replace(params=weights, row=np.zeros_like(net.row))
        self._shape, self._reader = shape, Reader(shape, net, rng.pcg64_states(seed_list, "ties"))

    def act(self, obs: Array, first: Array) -> Array:
        """The action of the greatest output at obs [S, *obs]."""
        return self._reader.act(obs)

    def probs(self, obs: Array) -> Array | None:
        """Uniform over the greatest outputs, [S, B, A]; None for actions in a box."""
        if self._shape.box is not None:
            return None
        legal, obs = self._shape.legal, np.asarray(obs)
        outputs = np.stack([self._reader.outputs(view[None]) for view in obs], axis=1)  # [S, B, A]
        prefer = np.where(legal[obs] if len(legal) > 1 else legal, outputs, -np.inf)
        best = prefer == prefer.max(axis=-1, keepdims=True)
        return best / best.sum(axis=-1, keepdims=True)

    def values(self, obs: Array) -> None:
        """It values nothing."""


class Reader:
    """Reads actions off S networks.

    Args:
        shape: the environment's spaces.
        net: the networks, read as they are now.
        stream: uint64 [S, 4], for ties.
    """

    def __init__(self, shape: Shape, net: Net, stream: Array) -> None:
        n, widths = len(net.params), (shape.n_inputs, shape.n_outputs)
        at, rows = np.zeros((2, n), np.int64), [np.zeros((n, width), np.float32) for width in widths]
        self.body = Body(shape.numbered, *at, *rows, action_lists(shape.legal))
        self._net, self._stream, self._box, self._actions = net, stream, shape.box, np.zeros(n, np.int64)
        self._choose = specialize(_choose_all, net, self.body, stream, self._actions)
        self._fill = specialize(_outputs_all, net, self.body)

    def act(self, obs: Array) -> Array:
        """The greatest output's number, int64 [S], or the outputs squashed into their box, [S, *action]."""
        if self._box is None:
            self._see(obs)
            self._choose(self._net, self.body, self._stream, self._actions)
            return self._actions.copy()
        outputs = self.outputs(obs).reshape(-1, *self._box.shape).astype(np.float64)
        low, high = self._box.low, self._box.high
        outputs[np.isnan(outputs)] = 0.0  # of a seed that fails with this step
        inside = low + (0.5 + 0.5 * np.tanh(outputs)) * (high - low)
        return np.clip(inside.astype(self._box.dtype), low, high)

    def outputs(self, obs: Array) -> Array:
        """What the networks give out at obs [S or 1, *obs]; float32 [S, out]."""
        self._see(obs)
        self._fill(self._net, self.body)
        return self.body.out.copy()

    def _see(self, obs: Array) -> None:
        if self.body.numbered:
            self.body.at[:] = obs
        else:
            self.body.x[...] = np.reshape(obs, (len(obs), -1))


@jit_inline
def _outputs(net, body, i):
    """Fill ``body.out`` of seed i."""
    if body.numbered:
        body.x[i, body.was[i]] = np.float32(0.0)
        body.was[i] = body.at[i]
        body.x[i, body.was[i]] = np.float32(1.0)
    forward_row(net, i, i, body.x[i], body.out[i])


@jit_inline
def _choose(net, body, stream, i):
    _outputs(net, body, i)
    return argmax(stream, i, body.out[i], body.legal_actions[body.at[i] if body.legal_actions.shape[0] > 1 else 0])


@jit
def _outputs_all(net, body):
    for i in range(body.out.shape[0]):
        _outputs(net, body, i)


@jit
def _choose_all(net, body, stream, actions):
    for i in range(len(actions)):
        actions[i] = _choose(net, body, stream, i)


@jit
def _learn_all(climb, rule, scale, reward, ended, outputs):
    for i in range(len(reward)):
        learn_lane(climb, rule, scale, i, reward[i], ended[i], outputs[i])


@jit
def _stretch_block(block, brain, env_batch, reward, ended):
    climb, rule, scale, net, body = brain
    for i in range(block[0], block[1]):
        for t in range(reward.shape[1]):
            body.at[i] = env_batch.table.obs_of_state[env_batch.state[i]]
            action = _choose(net, body, climb.stream, i)
            _, gain, end = table_step(env_batch, i, action)
            reward[i, t], ended[i, t] = gain, end != GOES_ON
            learn_lane(climb, rule, scale, i, reward[i, t], ended[i, t], body.out[i])
