"""Search in the space of policies: an incumbent, and candidates that try to replace it, both evaluated by playing.

A policy is a network read directly: the greatest output is the action. Discrete observations go in as one-hot vectors,
vectors as they are. Discrete actions are an argmax with ties at random; Box actions are the outputs, squashed by tanh
into their bounds.

An evaluation is some fresh episodes, played in the environment itself, so every step of it is an environment step. A
record is the mean return of all the episodes that were evaluated with the same weights, and their number. A candidate
replaces the incumbent by a higher mean over ``episodes`` episodes, or by an equal mean over as many as stand behind
the incumbent: with nothing evaluated twice that is the plain ``>=``.

Used by :mod:`agents.hill_climbing` and :mod:`agents.random_search`.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from math import sqrt
from typing import NamedTuple

import numpy as np

from agents.common.exploration import argmax
from agents.common.networks.dense import Net, NetworkSettings, forward_row, make_net, n_params, named_weights
from agents.common.networks.panels import network_panels
from agents.common.spaces import (
    ActionAdapter,
    ObservationAdapter,
    action_lists,
    legal_row,
    make_action_adapter,
    make_observation_adapter,
    uniform_best,
)
from agents.common.tabular import load, save, trace_buffers
from simulator.core import rng
from simulator.core.jit import jit, jit_inline, parallel_for, specialize
from simulator.core.protocols import Array, EnvSpec, Metrics, PolicyArrays, Rollout, State, Step
from simulator.core.rng_compiled import normal, uniform
from simulator.core.scene import Panel, TextPanel
from simulator.core.transition_table import GOES_ON, TabularBatch, table_step

MAX_WEIGHT_BYTES = 2 << 30
INCUMBENT, CANDIDATE, BEST = range(3)  # whose record
REJECTED, UNDECIDED, ACCEPTED = -1, 0, 1
FIXED, BY_SUCCESS, BY_SCHEDULE = range(3)  # how sigma changes


class PolicySearchHyperparams(NamedTuple):
    """The settings as compiled code takes them."""

    episodes: int  # of an evaluation
    early_reject: bool  # a candidate that has fallen behind is rejected at once
    reevaluation_fraction: float  # of the steps, spent on the incumbent; 0: never again, 1: after every candidate
    patience: int  # candidates in a row without a new highest mean, after which the search restarts; 0: never
    step_size: float  # of the incumbent towards an accepted candidate
    independent: bool  # a candidate has new random weights, not the incumbent's with noise
    anneal: int  # FIXED, BY_SUCCESS or BY_SCHEDULE
    sigma: float  # standard deviation of the noise at first
    sigma_factor: float
    sigma_min: float  # times sigma
    sigma_max: float  # times sigma
    anneal_steps: int  # environment steps of the schedule


class SearchState(NamedTuple):
    """State of S searches."""

    evaluated: Array  # float32 [S, P], the weights that are evaluated now
    incumbent: Array  # float32 [S, P]
    best: Array  # float32 [S, P], the best incumbent before the latest restart
    return_sum: Array  # float64 [S, 3], of the records of INCUMBENT, CANDIDATE and BEST
    n_episodes: Array  # int64 [S, 3], likewise
    evaluating: Array  # int64 [S], INCUMBENT or CANDIDATE
    episodes_left: Array  # int64 [S], of this evaluation, at least
    evaluation_steps: Array  # int64 [S], environment steps of this evaluation so far
    incumbent_steps: Array  # int64 [S], environment steps of the incumbent's latest evaluation
    candidate_steps: Array  # int64 [S], environment steps of candidates since the incumbent was evaluated
    n_stale: Array  # int64 [S], candidates in a row without a new highest mean
    highest_mean: Array  # float64 [S], since the latest restart
    incumbent_is_best: Array  # bool [S]
    sigma: Array  # float64 [S]
    score: Array  # float64 [S], the incumbent's mean return; 0 before it is evaluated
    env_steps: Array  # int64 [S]
    stream: Array  # uint64 [S, 4]
    failed_at: Array  # int64 [S], the step at which weights or outputs were not finite, or 0; the search ends there


def make_search_state(params: Array, hp: PolicySearchHyperparams, stream: Array) -> SearchState:
    """Searches whose first incumbents have the weights ``params`` [S, P], with nothing evaluated yet."""
    n_seeds = len(params)
    return SearchState(
        evaluated=params,
        incumbent=params.copy(),
        best=params.copy(),
        return_sum=np.zeros((n_seeds, 3)),
        n_episodes=np.zeros((n_seeds, 3), np.int64),
        evaluating=np.full(n_seeds, INCUMBENT, np.int64),
        episodes_left=np.full(n_seeds, hp.episodes, np.int64),
        evaluation_steps=np.zeros(n_seeds, np.int64),
        incumbent_steps=np.zeros(n_seeds, np.int64),
        candidate_steps=np.zeros(n_seeds, np.int64),
        n_stale=np.zeros(n_seeds, np.int64),
        highest_mean=np.full(n_seeds, -np.inf),
        incumbent_is_best=np.ones(n_seeds, np.bool_),
        sigma=np.full(n_seeds, hp.sigma),
        score=np.zeros(n_seeds),
        env_steps=np.zeros(n_seeds, np.int64),
        stream=stream,
        failed_at=np.zeros(n_seeds, np.int64),
    )


# 1. One environment step of the search


@jit_inline
def search_step(state, hp, init_bound, i, reward, ended, outputs):
    """Count one step of seed i; where an evaluation ends with it, accept or reject, and begin the next.

    Args:
        state: of the searches.
        hp: the settings.
        init_bound: float32 [P], bounds of random weights; 0 for weights that stay 0.
        i: the seed.
        reward: of the step.
        ended: whether an episode ended, by either way.
        outputs: of the network at this step, [out].
    """
    state.env_steps[i] += 1
    _fail_unless_finite(state, i, outputs)
    if state.failed_at[i] > 0:
        return
    who = state.evaluating[i]
    state.return_sum[i, who] += reward
    state.evaluation_steps[i] += 1
    if not ended:
        return
    state.n_episodes[i, who] += 1
    state.episodes_left[i] -= 1
    if who == CANDIDATE:
        decision = compare(
            hp,
            _mean(state, i, CANDIDATE),
            state.n_episodes[i, CANDIDATE],
            _mean(state, i, INCUMBENT),
            state.n_episodes[i, INCUMBENT],
        )
        finished = decision != UNDECIDED
        if finished:
            _finish_candidate(state, hp, i, decision == ACCEPTED)
    else:
        finished = state.episodes_left[i] == 0
        if finished:
            _finish_incumbent(state, i)
    if finished:
        _next_evaluation(state, hp, init_bound, i)
    _fail_unless_finite(state, i, state.evaluated[i])


@jit_inline
def _fail_unless_finite(state, i, numbers):
    """Fail seed i where a number is not finite: it acts by its incumbent from now on, and searches no more."""
    for number in numbers:
        if not np.isfinite(number) and state.failed_at[i] == 0:
            state.failed_at[i] = state.env_steps[i]
            _copy(state.incumbent[i], state.evaluated[i])


# 2. Compare a candidate with the incumbent


@jit_inline
def compare(hp, mean, n, incumbent_mean, incumbent_n):
    """Decide on a candidate's record of n episodes: ACCEPTED, REJECTED or UNDECIDED. NaN is never accepted."""
    if n < hp.episodes:
        return REJECTED if hp.early_reject and mean < incumbent_mean else UNDECIDED
    if mean == incumbent_mean and n < incumbent_n:
        return UNDECIDED
    return ACCEPTED if mean >= incumbent_mean else REJECTED


@jit_inline
def _finish_candidate(state, hp, i, accepted):
    """Count a candidate's evaluation, adapt sigma, and move the incumbent where it was accepted."""
    higher = accepted and _mean(state, i, CANDIDATE) > state.highest_mean[i]
    state.n_stale[i] = 0 if higher else state.n_stale[i] + 1
    state.candidate_steps[i] += state.evaluation_steps[i]
    state.sigma[i] = adapted_sigma(hp, state.sigma[i], accepted)
    if accepted:
        for k in range(state.incumbent.shape[1]):
            state.incumbent[i, k] = interpolated(state.incumbent[i, k], state.evaluated[i, k], hp.step_size)
        _copy_record(state, i, CANDIDATE, INCUMBENT)
        state.score[i] = _mean(state, i, INCUMBENT)
        state.incumbent_steps[i] = state.evaluation_steps[i]
        state.highest_mean[i] = max(state.highest_mean[i], state.score[i])
        if hp.step_size < 1.0 and hp.reevaluation_fraction > 0.0:
            _clear_record(state, i, INCUMBENT)  # weights in between have no record of their own


@jit_inline
def interpolated(incumbent, candidate, step_size):
    """The new incumbent's weight; exactly the candidate's with a step size of 1."""
    return np.float32((1.0 - step_size) * incumbent + step_size * candidate)


@jit_inline
def adapted_sigma(hp, sigma, accepted):
    """Sigma after a candidate was accepted or rejected, within its bounds."""
    if hp.anneal != BY_SUCCESS:
        return sigma
    if accepted:
        return max(sigma / hp.sigma_factor, hp.sigma_min * hp.sigma)
    return min(sigma * hp.sigma_factor, hp.sigma_max * hp.sigma)


@jit_inline
def scheduled_sigma(hp, env_steps):
    """Sigma after so many environment steps; exactly its last from ``hp.anneal_steps`` on."""
    fraction = min(env_steps / hp.anneal_steps, 1.0)
    return hp.sigma * ((1.0 - fraction) + fraction * hp.sigma_min)


@jit_inline
def _finish_incumbent(state, i):
    """Count the incumbent's evaluation."""
    state.score[i] = _mean(state, i, INCUMBENT)
    state.incumbent_steps[i] = state.evaluation_steps[i]
    state.candidate_steps[i] = 0
    state.highest_mean[i] = max(state.highest_mean[i], state.score[i])


# 3. Choose what is evaluated next


@jit_inline
def _next_evaluation(state, hp, init_bound, i):
    """Evaluate a candidate after the incumbent; after a candidate, either."""
    if not state.incumbent_is_best[i] and state.n_episodes[i, INCUMBENT] > 0:
        state.incumbent_is_best[i] = beats(
            _mean(state, i, INCUMBENT),
            state.n_episodes[i, INCUMBENT],
            _mean(state, i, BEST),
            state.n_episodes[i, BEST],
        )
    reevaluate = False
    if state.evaluating[i] == CANDIDATE:
        if 0 < hp.patience <= state.n_stale[i]:
            _restart(state, hp, init_bound, i)
        no_record = state.n_episodes[i, INCUMBENT] == 0
        reevaluate = no_record or reevaluation_due(hp, state.incumbent_steps[i], state.candidate_steps[i])
    state.episodes_left[i] = hp.episodes
    state.evaluation_steps[i] = 0
    if reevaluate:
        state.evaluating[i] = INCUMBENT
        _copy(state.incumbent[i], state.evaluated[i])
    else:
        state.evaluating[i] = CANDIDATE
        _clear_record(state, i, CANDIDATE)
        _sample_candidate(state, hp, init_bound, i)


@jit_inline
def beats(mean, n, other_mean, other_n):
    """Compare two records: True for a higher mean, or an equal one over at least as many episodes."""
    return mean > other_mean or (mean == other_mean and n >= other_n)


@jit_inline
def reevaluation_due(hp, incumbent_steps, candidate_steps):
    """Tell if evaluating the incumbent again keeps within its fraction of the steps."""
    return hp.reevaluation_fraction * (candidate_steps + incumbent_steps) >= incumbent_steps


@jit_inline
def _restart(state, hp, init_bound, i):
    """Set the best incumbent aside and search again from random weights."""
    if state.incumbent_is_best[i]:
        _copy(state.incumbent[i], state.best[i])
        _copy_record(state, i, INCUMBENT, BEST)
    state.incumbent_is_best[i] = False
    state.n_stale[i] = 0
    state.highest_mean[i] = -np.inf
    state.sigma[i] = hp.sigma
    for k in range(len(init_bound)):
        state.incumbent[i, k] = init_bound[k] * np.float32(2.0 * uniform(state.stream, i) - 1.0)
    _clear_record(state, i, INCUMBENT)


@jit_inline
def _sample_candidate(state, hp, init_bound, i):
    """Sample new weights to evaluate: independent ones, or the incumbent's with normal noise."""
    if hp.anneal == BY_SCHEDULE:
        state.sigma[i] = scheduled_sigma(hp, state.env_steps[i])
    for k in range(len(init_bound)):
        if hp.independent:
            state.evaluated[i, k] = init_bound[k] * np.float32(2.0 * uniform(state.stream, i) - 1.0)
        elif init_bound[k] > np.float32(0.0):
            state.evaluated[i, k] = state.incumbent[i, k] + np.float32(state.sigma[i] * normal(state.stream, i))


@jit_inline
def _mean(state, i, whose):
    return state.return_sum[i, whose] / state.n_episodes[i, whose]


@jit_inline
def _copy_record(state, i, source, target):
    state.return_sum[i, target] = state.return_sum[i, source]
    state.n_episodes[i, target] = state.n_episodes[i, source]


@jit_inline
def _clear_record(state, i, whose):
    state.return_sum[i, whose] = 0.0
    state.n_episodes[i, whose] = 0


@jit_inline
def _copy(source, target):
    for k in range(len(source)):
        target[k] = source[k]


# 4. The policy: a network between observations and actions


class PolicyBuffers(NamedTuple):
    """Inputs and outputs of S networks; never part of the state."""

    one_hot_obs: bool
    obs_index: Array  # int64 [S], the discrete observation, or zeros
    hot_index: Array  # int64 [S], the input that is 1
    input: Array  # float32 [S, in]
    output: Array  # float32 [S, out]
    legal_actions: Array  # int64 [n_observations or 1, 1 + A]: how many actions exist, and which


class PolicyNetwork:
    """S networks as policies.

    Args:
        observations: of the environment, as inputs.
        actions: of the environment, from outputs.
        net: the networks, read as they are now.
        stream: uint64 [S, 4], for ties.
    """

    def __init__(self, observations: ObservationAdapter, actions: ActionAdapter, net: Net, stream: Array) -> None:
        n_seeds = len(net.params)
        self.net = net
        self.buffers = PolicyBuffers(
            one_hot_obs=observations.n_classes > 0,
            obs_index=np.zeros(n_seeds, np.int64),
            hot_index=np.zeros(n_seeds, np.int64),
            input=np.zeros((n_seeds, observations.n_inputs), np.float32),
            output=np.zeros((n_seeds, actions.n_outputs), np.float32),
            legal_actions=action_lists(actions.legal),
        )
        self._stream = stream
        self._encode_obs = observations.encode
        self._decode_action = actions.decode
        self._discrete_actions = actions.discrete
        self._actions = np.zeros(n_seeds, np.int64)
        self._best_actions = specialize(_best_actions, net, self.buffers, stream, self._actions)
        self._forward = specialize(_forward, net, self.buffers)

    def act(self, obs: Array) -> Array:
        """The greatest output's number, int64 [S], or the outputs squashed into their box, [S, *action]."""
        if self._discrete_actions:
            self._set_input(obs)
            self._best_actions(self.net, self.buffers, self._stream, self._actions)
            return self._actions.copy()
        outputs = self.outputs(obs)
        outputs[np.isnan(outputs)] = 0.0  # of a seed that fails with this step
        return self._decode_action(outputs)

    def outputs(self, obs: Array) -> Array:
        """Outputs of the networks at obs [S or 1, *obs]; float32 [S, out]."""
        self._set_input(obs)
        self._forward(self.net, self.buffers)
        return self.buffers.output.copy()

    def _set_input(self, obs: Array) -> None:
        if self.buffers.one_hot_obs:
            self.buffers.obs_index[:] = obs
        else:
            self.buffers.input[...] = self._encode_obs(obs)


@jit_inline
def _forward_seed(net, buffers, i):
    """Fill ``buffers.output`` of seed i."""
    if buffers.one_hot_obs:
        buffers.input[i, buffers.hot_index[i]] = np.float32(0.0)
        buffers.hot_index[i] = buffers.obs_index[i]
        buffers.input[i, buffers.hot_index[i]] = np.float32(1.0)
    forward_row(net, i, i, buffers.input[i], buffers.output[i])


@jit_inline
def _best_action(net, buffers, stream, i):
    _forward_seed(net, buffers, i)
    legal_actions = buffers.legal_actions[legal_row(buffers.legal_actions, buffers.obs_index[i : i + 1])]
    return argmax(stream, i, buffers.output[i], legal_actions)


@jit
def _forward(net, buffers):
    for i in range(buffers.output.shape[0]):
        _forward_seed(net, buffers, i)


@jit
def _best_actions(net, buffers, stream, actions):
    for i in range(len(actions)):
        actions[i] = _best_action(net, buffers, stream, i)


# 5. The agent


def make_policy_search(
    agent: str,
    spec: EnvSpec,
    seed_list: Sequence[int],
    hp: PolicySearchHyperparams,
    network: NetworkSettings,
    bias: bool,
) -> PolicySearch:
    """Searches for an environment; ``bias`` gives every unit a constant of its own beside its inputs.

    Raises:
        ValueError: a space or a size that this agent cannot have.
    """
    observations = make_observation_adapter(spec, agent)
    actions = make_action_adapter(spec, agent, squash=True)
    sizes = (observations.n_inputs, *network.hidden, actions.n_outputs)
    n_bytes = 16 * len(seed_list) * n_params(sizes)
    if n_bytes > MAX_WEIGHT_BYTES:
        raise ValueError(
            f"{agent} on {spec.id}: weights of {n_bytes / 2**30:,.1f} GiB for all seeds, expected at most "
            f"{MAX_WEIGHT_BYTES >> 30}; give fewer seeds or hidden units"
        )
    net = make_net(sizes, network.activation == "tanh", seed_list, 1)
    net = net._replace(deltas=np.zeros((1, 2, 1), np.float32), gradient=np.zeros((1, 1), np.float32))
    # bounds of random weights and biases, as make_net samples them; 0 for biases that are not wanted
    bounds = [np.repeat((1 / sqrt(n), bias / sqrt(n)), (n * m, m)) for n, m in pairwise(sizes)]
    init_bound = np.concatenate(bounds).astype(np.float32)
    net.params[:, init_bound == 0.0] = 0.0
    return PolicySearch(observations, actions, hp, net, init_bound, list(seed_list))


class PolicySearch:
    """S searches; see :class:`simulator.core.protocols.Agent`."""

    def __init__(
        self,
        observations: ObservationAdapter,
        actions: ActionAdapter,
        hp: PolicySearchHyperparams,
        net: Net,
        init_bound: Array,
        seed_list: list[int],
    ) -> None:
        n_seeds = len(seed_list)
        self._observations = observations
        self._actions = actions
        self._hp = hp
        self._init_bound = init_bound
        self._seeds = seed_list
        self._state = make_search_state(net.params, hp, rng.pcg64_states(seed_list, "exploration"))
        self.network = PolicyNetwork(observations, actions, net, self._state.stream)
        self._rollout_buffers = trace_buffers(None, n_seeds, 1)
        self._reward = np.zeros(n_seeds, np.float32)
        self._ended = np.zeros(n_seeds, np.bool_)
        outputs = self.network.buffers.output
        self._search = specialize(_search, self._state, hp, init_bound, self._reward, self._ended, outputs)
        self.failed_at = self._state.failed_at
        self._metrics = {"incumbent": self._state.score}
        if not hp.independent:
            self._metrics["sigma"] = self._state.sigma
        if observations.n_classes and actions.discrete:
            self.rollout = self._rollout

    def act(self, obs: Array) -> Array:
        """The action of the weights that are evaluated now: int64 [S], or [S, *action] in a box."""
        return self.network.act(obs)

    def learn(self, obs: Array, actions: Array, step: Step) -> Metrics:
        """Count the step; where an evaluation ends with it, choose the weights that are evaluated next."""
        self._reward[:] = step.reward
        np.logical_or(step.terminated, step.truncated, out=self._ended)
        outputs = self.network.buffers.output
        self._search(self._state, self._hp, self._init_bound, self._reward, self._ended, outputs)
        return self._metrics

    def _rollout(self, env_batch: TabularBatch, n: int) -> Rollout:
        """N steps of a tabular environment in one call, with the bits of n rounds of act, step and learn."""
        self._rollout_buffers = trace_buffers(self._rollout_buffers, len(self._seeds), n)
        reward, ended = self._rollout_buffers
        state = self._state
        hp = self._hp
        init_bound = self._init_bound
        net = self.network.net
        buffers = self.network.buffers

        def work(first: int, last: int) -> None:
            _rollout_seeds(first, last, state, hp, init_bound, net, buffers, env_batch, reward, ended)

        parallel_for(work, len(self._seeds))
        return Rollout(reward, ended, self._metrics)

    def policy(self) -> BestPolicy:
        """The policy of the best incumbent so far; the first one before any was evaluated."""
        state = self._state
        params = np.where(state.incumbent_is_best[:, None], state.incumbent, state.best)
        return BestPolicy(self._observations, self._actions, self.network.net, params, self._seeds)

    def panels(self, index: int) -> tuple[Panel, ...]:
        """Make panels of one search: the records, what is evaluated now, and the weights."""
        state = self._state
        names = ("incumbent", "candidate", "best before a restart")
        facts = {}
        for whose, name in enumerate(names):
            n = int(state.n_episodes[index, whose])
            if n:
                facts[name] = f"mean return {state.return_sum[index, whose] / n:.4g} over {n:,} episodes"
        evaluated = int(state.evaluating[index])
        facts["evaluated now"] = f"{names[evaluated]}, {state.evaluation_steps[index]:,} steps so far"
        facts["candidates without a new highest mean"] = f"{state.n_stale[index]:,}"
        if not self._hp.independent:
            facts["sigma of the noise"] = f"{state.sigma[index]:.4g}"
        net = self.network.net._replace(params=state.incumbent)
        panels: list[Panel] = [TextPanel("search", facts)]
        panels += network_panels(net, index, "the incumbent")
        if evaluated == CANDIDATE:
            change = net._replace(params=(state.evaluated[index] - state.incumbent[index])[None])
            panels += network_panels(change, 0, "the candidate, less the incumbent's")
        return tuple(panels)

    def state(self) -> State:
        """Weights, records, counters and streams."""
        return save(self._state)

    def restore(self, state: State) -> None:
        """Go on from ``state``."""
        load(self._state, state)


@jit
def _search(state, hp, init_bound, reward, ended, outputs):
    for i in range(len(reward)):
        search_step(state, hp, init_bound, i, reward[i], ended[i], outputs[i])


@jit
def _rollout_seeds(first, last, state, hp, init_bound, net, buffers, env_batch, reward, ended):
    for i in range(first, last):
        for t in range(reward.shape[1]):
            buffers.obs_index[i] = env_batch.table.obs_of_state[env_batch.state[i]]
            action = _best_action(net, buffers, state.stream, i)
            _, gain, end = table_step(env_batch, i, action)
            reward[i, t] = gain
            ended[i, t] = end != GOES_ON
            search_step(state, hp, init_bound, i, reward[i, t], ended[i, t], buffers.output[i])


class BestPolicy:
    """S networks, held still; see :class:`simulator.core.protocols.Policy`.

    Args:
        observations: of the environment, as inputs.
        actions: of the environment, from outputs.
        net: the networks' shape.
        params: float32 [S, P], kept as they are.
        seed_list: the run's seeds, for the streams that break ties.
    """

    def __init__(
        self,
        observations: ObservationAdapter,
        actions: ActionAdapter,
        net: Net,
        params: Array,
        seed_list: list[int],
    ) -> None:
        self._observations = observations
        self._actions = actions
        net = net._replace(params=params, row=np.zeros_like(net.row))
        self.network = PolicyNetwork(observations, actions, net, rng.pcg64_states(seed_list, "ties"))

    def act(self, obs: Array, first: Array) -> Array:
        """The action of the greatest output at obs [S, *obs]."""
        return self.network.act(obs)

    def arrays(self) -> PolicyArrays:
        """Return the network, and the way from observations to actions."""
        named, activation = named_weights(self.network.net)
        shared = {**self._observations.arrays(), "activation": activation, **self._actions.arrays}
        return PolicyArrays("network", {f"network.{name}": value for name, value in named.items()}, shared)

    def probs(self, obs: Array) -> Array | None:
        """Uniform over the greatest outputs, [S, B, A]; None for Box actions."""
        if not self._actions.discrete:
            return None
        obs = np.asarray(obs)
        outputs = np.stack([self.network.outputs(each[None]) for each in obs], axis=1)  # [S, B, A]
        return uniform_best(outputs, self.network.buffers.legal_actions, self._observations.encode(obs))

    def values(self, obs: Array) -> None:
        """It has no action values."""
