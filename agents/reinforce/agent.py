"""REINFORCE as an agent: settings, the loop of acting and learning, and the greedy policy."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from math import log
from typing import Literal, Protocol

import numpy as np

from agents.common.networks.conv import ConvSettings
from agents.common.networks.dense import NetworkSettings
from agents.common.networks.optimizers import OptimizerSettings, lr_scale_at, make_optimizer
from agents.common.spaces import action_lists, discount, is_image, legal_rows, uniform_best
from agents.reinforce.learner import CompiledPolicyLearner
from agents.reinforce.space_adapter import SpaceAdapter, make_space_adapter
from agents.reinforce.update import (
    BASELINES,
    VALUE,
    EpisodeBatch,
    PolicyHead,
    ReinforceHyperparams,
    ReinforceState,
    load_batch,
    make_episode_batch,
    record_step,
    save_batch,
)
from simulator.core import rng
from simulator.core.devices import device
from simulator.core.field_types import Count, CountOrZero, NonNegative, Positive, Share
from simulator.core.jit import specialize
from simulator.core.protocols import Array, EnvSpec, Metrics, State, Step

SUPPORTS_GPU = True
UNKNOWN_LENGTH = 1_000  # steps of an episode where neither settings nor environment set a limit


@dataclass(frozen=True)
class Config:
    """Settings of REINFORCE."""

    baseline: Literal["none", "mean", "value"] = "value"
    """subtracted from returns: nothing, the mean return of the batch's other episodes, or a learned state value"""
    episodes_per_update: Count = 4
    """episodes per update"""
    gamma: Share | None = None
    """discount per step; none: the environment's own, 0.8 in a graph of rooms and 0.99 elsewhere"""
    discount_states: bool = False
    """multiply the advantage of step t by gamma**t, as the theorem has it; off: the factor is dropped, as is usual"""
    normalize_advantages: bool = True
    """advantages of a batch get mean 0 and standard deviation 1; that of a batch of a single step stays as it is"""
    ent_coef: NonNegative = 0.0
    """weight of the policy's entropy in the loss, in units of return per nat and step"""
    value_steps: Count = 4
    """optimizer steps of the value network on each batch; the advantages come from the values before them"""
    bootstrap: bool = True
    """a truncated episode goes on with the value of its final observation; off, or without a value baseline: with 0"""
    max_episode_steps: CountOrZero = 0
    """steps after which an episode is truncated for the update; 0: the environment's limit, or 1,000"""
    init_std: Positive = 1.0
    """standard deviation of Box actions before they are learned, in units of half their range"""
    network: NetworkSettings = field(default_factory=lambda: NetworkSettings((64,), "tanh"))
    """policy and value network where observations are vectors or classes"""
    conv: ConvSettings = field(default_factory=ConvSettings)
    """policy and value network where observations are images"""
    optimizer: OptimizerSettings = field(default_factory=lambda: OptimizerSettings(learning_rate=5e-3))
    """optimizer of the policy"""
    value_optimizer: OptimizerSettings = field(default_factory=lambda: OptimizerSettings(learning_rate=1e-2))
    """optimizer of the value baseline"""


PRESETS = {
    "cartpole-reinforce": {
        "description": "solved within 27,000 steps by the median seed, and stays so: the learning rate falls in 20,000",
        "env": "CartPole-v1",
        "steps": 100_000,
        "agent": {
            "episodes_per_update": 2,
            "gamma": 0.995,
            "optimizer": {"learning_rate": 1e-2, "lr_end": 5e-4, "lr_decay_steps": 20_000},
        },
    },
}


class PolicyLearner(Protocol):
    """The networks of S learners, compiled (``learner.py``) or of torch (``learner_torch.py``)."""

    obs_dtype: type  # of stored observations

    def encode_obs(self, obs: Array) -> Array:
        """Convert obs [S, *obs] to what a batch stores, [S, K]."""

    def encode_final_obs(self, step: Step) -> Array:
        """Convert the observation that a step led to, [S, K]."""

    def sample_actions(self, obs: Array, actions: Array) -> None:
        """Sample ``actions`` float32 [S, D] at stored observations [S, K]."""

    def update(self, batch: EpisodeBatch, policy_lr_scale: float, value_lr_scale: float) -> None:
        """Update the seeds whose batches are complete, and empty these."""

    def greedy(self, head: PolicyHead) -> GreedyActor:
        """Copy the policy for evaluation."""

    def state(self) -> State:
        """Networks, their optimizers, and stored frames."""

    def restore(self, state: State) -> None:
        """Go on from ``state``."""


class GreedyActor(Protocol):
    """Policy networks of S seeds, held still."""

    def best_actions(self, obs: Array, first: Array, actions: Array) -> None:
        """Write ``actions`` float32 [S, D] at obs [S, *obs]; ``first`` [S] marks seeds whose episode begins."""

    def outputs(self, obs: Array) -> Array | None:
        """Outputs of the networks [S, B, out] at obs [B, *obs]; None for images, where past frames count too."""


class Reinforce:
    """S learners; see :class:`simulator.core.protocols.Agent`."""

    def __init__(
        self,
        learner: PolicyLearner,
        adapter: SpaceAdapter,
        hp: ReinforceHyperparams,
        config: Config,
        state: ReinforceState,
        seed_list: list[int],
    ) -> None:
        n_seeds = len(seed_list)
        obs_dim = adapter.obs_dim_stored
        self.gamma = hp.gamma
        self.failed_at = state.failed_at
        self.learner = learner
        self._adapter = adapter
        self._hp = hp
        self._config = config
        self._state = state
        self._seeds = seed_list
        self._metrics = {"loss": state.policy_loss, "value_loss": state.value_loss, "entropy": state.entropy}
        self._batch = make_episode_batch(
            n_seeds, config.episodes_per_update, hp.max_episode_steps, obs_dim, adapter.action_dim, learner.obs_dtype
        )
        self._actions = np.zeros((n_seeds, adapter.action_dim), np.float32)  # as sampled
        obs = np.zeros((n_seeds, obs_dim), learner.obs_dtype)
        reward = np.zeros(n_seeds, np.float32)
        ended = np.zeros(n_seeds, np.bool_)
        self._record_step = specialize(
            record_step, self._batch, hp, state, obs, self._actions, reward, ended, ended, obs
        )

    def act(self, obs: Array) -> Array:
        """Actions sampled from the policy, int64 [S] or [S, *action]."""
        self.learner.sample_actions(self.learner.encode_obs(obs), self._actions)
        return self._adapter.decode_action(self._actions)

    def learn(self, obs: Array, actions: Array, step: Step) -> Metrics:
        """Record one step; update the seeds whose batch of episodes is complete with it."""
        if self._hp.discrete_actions:
            self._actions[:, 0] = actions
        n_complete = self._record_step(
            self._batch,
            self._hp,
            self._state,
            self.learner.encode_obs(obs),
            self._actions,
            np.ascontiguousarray(step.reward, np.float32),
            np.ascontiguousarray(step.terminated, np.bool_),
            np.ascontiguousarray(step.truncated, np.bool_),
            self.learner.encode_final_obs(step),
        )
        if n_complete:
            env_steps = int(self._state.env_steps[0])
            policy_lr_scale = lr_scale_at(self._config.optimizer, env_steps)
            value_lr_scale = lr_scale_at(self._config.value_optimizer, env_steps)
            self.learner.update(self._batch, policy_lr_scale, value_lr_scale)
        return self._metrics

    def policy(self) -> GreedyPolicy:
        """The most probable action, or the mean one, as of now."""
        head = self._state.head
        evaluation_head = head._replace(
            stream=rng.pcg64_states(self._seeds, "ties"),
            input=np.zeros_like(head.input),
            output=np.zeros_like(head.output),
        )
        return GreedyPolicy(self.learner.greedy(evaluation_head), self._adapter, evaluation_head)

    def state(self) -> State:
        """Networks, optimizers, streams, counters, and the episodes that wait for their update."""
        arrays = {name: array.copy() for name, array in self._arrays().items()}
        return self.learner.state() | arrays | {"episodes": save_batch(self._batch)}

    def restore(self, state: State) -> None:
        """Go on from ``state``."""
        self.learner.restore(state)
        load_batch(self._batch, state["episodes"])
        for name, array in self._arrays().items():
            array[...] = state[name]

    def _arrays(self) -> dict[str, Array]:
        """Arrays of a checkpoint beside networks and episodes, by name."""
        state = self._state
        return {
            "log_std": state.head.log_std,
            "std_moments": state.std_optimizer.moments,
            "std_step_count": state.std_optimizer.step_count,
            "stream": state.head.stream,
            "env_steps": state.env_steps,
            "failed_at": state.failed_at,
            "policy_loss": state.policy_loss,
            "value_loss": state.value_loss,
            "entropy": state.entropy,
        }


class GreedyPolicy:
    """The most probable action, or the mean one; see :class:`simulator.core.protocols.Policy`.

    Args:
        actor: the policy networks, held still.
        adapter: between the environment's spaces and the networks.
        head: the actions that exist.
    """

    def __init__(self, actor: GreedyActor, adapter: SpaceAdapter, head: PolicyHead) -> None:
        self._actor = actor
        self._adapter = adapter
        self._legal_actions = head.legal_actions
        self._actions = np.zeros((len(head.output), adapter.action_dim), np.float32)

    def act(self, obs: Array, first: Array) -> Array:
        """The best action at obs [S, *obs]."""
        self._actor.best_actions(obs, first, self._actions)
        return self._adapter.decode_action(self._actions)

    def probs(self, obs: Array) -> Array | None:
        """Uniform over the best actions, [S, B, A]; None for Box actions and for images, whose past frames count."""
        outputs = self._actor.outputs(obs) if self._adapter.discrete_actions else None
        if outputs is None:
            return None
        return uniform_best(outputs, self._legal_actions, self._adapter.encode_obs(obs))

    def values(self, obs: Array) -> None:
        """It has no action values."""


def make(spec: EnvSpec, seed_list: Sequence[int], config: Config) -> Reinforce:
    """Learners for an environment of Discrete or Box actions.

    Raises:
        ValueError: a space or a setting that this agent cannot have, or batches that do not fit into memory.
    """
    return build(spec, list(seed_list), config, torch=device() != "cpu" or is_image(spec))


def build(spec: EnvSpec, seed_list: list[int], config: Config, *, torch: bool) -> Reinforce:
    """Learners on compiled networks, or on torch's, which images and every device but the CPU need.

    Raises:
        ValueError: as :func:`make`.
    """
    adapter = make_space_adapter("reinforce", spec)
    if is_image(spec):
        adapter = adapter._replace(obs_dim_stored=1, obs_dim=1)  # a batch stores positions of frames
    if config.baseline == "mean" and config.episodes_per_update == 1:
        raise ValueError(
            "agent.episodes_per_update = 1: expected at least 2 with baseline = 'mean', the mean return of the other "
            "episodes"
        )
    baseline = BASELINES.index(config.baseline)
    hp = ReinforceHyperparams(
        discrete_actions=adapter.discrete_actions,
        one_hot_obs=adapter.one_hot_obs,
        baseline=baseline,
        bootstrap=config.bootstrap,
        normalize_advantages=config.normalize_advantages,
        discount_states=config.discount_states,
        gamma=discount(spec, config.gamma),
        value_steps=config.value_steps if baseline == VALUE else 1,
        ent_coef=float(config.ent_coef),
        max_episode_steps=config.max_episode_steps or spec.max_steps or UNKNOWN_LENGTH,
    )
    n_seeds = len(seed_list)
    head = PolicyHead(
        log_std=np.full((n_seeds, adapter.action_dim), log(config.init_std), np.float32),
        stream=rng.pcg64_states(seed_list, "exploration"),
        legal_actions=action_lists(legal_rows(spec, adapter.n_outputs)),
        input=np.zeros((n_seeds, adapter.obs_dim), np.float32),
        output=np.zeros((n_seeds, adapter.n_outputs), np.float32),
    )
    state = ReinforceState(
        head=head,
        std_optimizer=make_optimizer(config.optimizer, *head.log_std.shape),
        env_steps=np.zeros(n_seeds, np.int64),
        failed_at=np.zeros(n_seeds, np.int64),
        policy_loss=np.zeros(n_seeds),
        value_loss=np.zeros(n_seeds),
        entropy=np.zeros(n_seeds),
    )
    if torch:
        from agents.reinforce.learner_torch import TorchPolicyLearner  # loads torch

        learner: PolicyLearner = TorchPolicyLearner(spec, adapter, hp, config, state, seed_list)
    else:
        learner = CompiledPolicyLearner(spec, adapter, hp, config, state, seed_list)
    return Reinforce(learner, adapter, hp, config, state, seed_list)
