"""The reinforce agent: settings, presets, and the agent around a learner of either backend."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from agents.common.changeable import checked
from agents.common.encoders.encoded import EncodedAgent, FirstLayers, refuse_layers, with_encoder
from agents.common.intrinsic import CuriousAgent, bonus_of, with_bonus
from agents.common.networks.compiled import begin_episodes, carried, carry_on, forget, recurrence_arrays, see_reward
from agents.common.networks.conv import ConvSettings
from agents.common.networks.dense import NetworkSettings
from agents.common.networks.optimizers import OptimizerSettings, lr_scale_at
from agents.common.networks.panels import moment_of, moment_panels, network_panels
from agents.common.networks.recurrent import Carry, RecurrentNet, recurrence_of
from agents.common.spaces import is_image, legal_mask, legal_row, uniform_best
from agents.reinforce.learner import CompiledPolicyLearner
from agents.reinforce.update import load_batch, record_step, save_batch
from simulator.core import rng
from simulator.core.components import Encoder, Intrinsic
from simulator.core.components import Recurrence as RecurrenceSocket
from simulator.core.devices import device
from simulator.core.field_types import Count, CountOrZero, NonNegative, Positive, Share
from simulator.core.jit import specialize
from simulator.core.optimizers import check_rule
from simulator.core.protocols import Array, EnvSpec, Metrics, PolicyArrays, State, Step
from simulator.core.scene import BarPanel, Panel, TextPanel, action_names

if TYPE_CHECKING:
    from agents.reinforce.learner_torch import TorchPolicyLearner

SUPPORTS_GPU = True


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
    normalize_advantages: bool | None = None
    """advantages of a batch get mean 0 and standard deviation 1; that of a batch of a single step stays as it is; none:
    on, with a recurrence off, where a policy that is always right would learn from noise"""
    ent_coef: NonNegative | None = None
    """weight of the policy's entropy in the loss, in return per nat and step; none: 0, with a recurrence 0.01"""
    value_steps: Count = 4
    """optimizer steps of the value network on each batch; the advantages come from the values before them"""
    bootstrap: bool = True
    """a truncated episode goes on with the value of its final observation; off, or without a value baseline: with 0"""
    max_episode_steps: CountOrZero = 0
    """steps after which an episode is truncated for the update; 0: the environment's limit, or 1,000"""
    init_std: Positive = 1.0
    """standard deviation of Box actions before they are learned, in units of half their range"""
    encoder: Encoder = None
    """what the agent sees in place of observations, such as window, pca or vae; none: the observations"""
    recurrence: RecurrenceSocket = None
    """recurrent cell of policy and value network: elman, gru or lstm; none: they see the observation alone"""
    intrinsic: Intrinsic = None
    """bonus for what is new: counts, familiarity, nearest or random_network; none: the reward alone"""
    network: NetworkSettings = field(default_factory=lambda: NetworkSettings((64,), "tanh"))
    """policy and value network where observations are vectors or classes"""
    conv: ConvSettings = field(default_factory=ConvSettings)
    """policy and value network where observations are images"""
    optimizer: OptimizerSettings = field(default_factory=OptimizerSettings)
    """optimizer of the policy; learning_rate none: 5e-3, with a recurrence 2e-3 and gradients clipped to 0.5"""
    value_optimizer: OptimizerSettings = field(default_factory=OptimizerSettings)
    """optimizer of the value baseline; learning_rate none: 1e-2, with a recurrence gradients are clipped to 0.5"""


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


class Reinforce:
    """S learners; see :class:`simulator.core.protocols.Agent`.

    Args:
        seed_list: the run's seeds.
        config: the settings.
        learner: networks, batches and streams, of either backend.
        obs_shape: of an observation, for the views.
    """

    def __init__(
        self,
        seed_list: Sequence[int],
        config: Config,
        learner: CompiledPolicyLearner | TorchPolicyLearner,
        obs_shape: tuple[int, ...] | None = None,
    ) -> None:
        state = learner.state
        self.learner = learner
        self.gamma = state.hyper.gamma
        self.failed_at = state.status.failed_at
        self._config = config
        self._obs_shape = obs_shape
        self._seeds = list(seed_list)
        self._metrics: Metrics = {
            "loss": state.status.policy_loss,
            "value_loss": state.status.value_loss,
            "entropy": state.status.entropy,
        }
        n_seeds = len(seed_list)
        self._actions = np.zeros((n_seeds, learner.actions.action_dim), np.float32)  # as sampled
        obs: Array = np.zeros((n_seeds, learner.store.n_stored), learner.store.dtype)
        reward = np.zeros(n_seeds, np.float32)
        ended = np.zeros(n_seeds, np.bool_)
        self._record_step = specialize(
            record_step,
            state.batch,
            state.hyper,
            state.status,
            state.head.carry,
            obs,
            self._actions,
            reward,
            ended,
            ended,
            obs,
        )

    def act(self, obs: Array) -> Array:
        """Actions sampled from the policy, int64 [S] or [S, *action]."""
        self.learner.act(self.learner.store.current(obs), self._actions)
        return self.learner.actions.decode(self._actions)

    def learn(self, obs: Array, actions: Array, step: Step) -> Metrics:
        """Record one step; update the seeds whose batch of episodes is complete with it."""
        learner = self.learner
        state = learner.state
        if state.hyper.discrete_actions:
            self._actions[:, 0] = actions
        n_complete = self._record_step(
            state.batch,
            state.hyper,
            state.status,
            state.head.carry,
            learner.store.current(obs),
            self._actions,
            np.ascontiguousarray(step.reward, np.float32),
            np.ascontiguousarray(step.terminated, np.bool_),
            np.ascontiguousarray(step.truncated, np.bool_),
            learner.store.add_step(step),
        )
        if n_complete:
            env_steps = int(state.status.env_steps[0])
            learner.update(
                lr_scale_at(self._config.optimizer, env_steps), lr_scale_at(self._config.value_optimizer, env_steps)
            )
        return self._metrics

    def changeable(self) -> dict[str, float]:
        """Learning rates, discount and weight of the entropy as they are; a learning rate ends its schedule."""
        hyper = self.learner.state.hyper
        rates = {"learning_rate": self._config.optimizer, "value_learning_rate": self._config.value_optimizer}
        clock = int(self.learner.state.status.env_steps[0])
        values = {
            name: float(settings.learning_rate or 0.0) * lr_scale_at(settings, clock)
            for name, settings in rates.items()
        }
        return {**values, "gamma": hyper.gamma, "ent_coef": hyper.ent_coef}

    def change(self, name: str, value: float) -> None:
        """Change one of :meth:`changeable` from the next update on.

        Raises:
            ValueError: another name, or a value out of range; one line.
        """
        high = {"gamma": 1.0}.get(name, 1e3)
        value = checked("reinforce", self.changeable(), name, value, 0.0, high)
        if name in ("gamma", "ent_coef"):
            state = self.learner.state
            changed: dict[str, Any] = {name: value}
            self.learner.state = state._replace(hyper=state.hyper._replace(**changed))
            self.gamma = self.learner.state.hyper.gamma
        else:  # the end of a schedule that is over
            which = "optimizer" if name == "learning_rate" else "value_optimizer"
            settings = replace(getattr(self._config, which), lr_end=value, lr_decay_steps=1)
            self._config = replace(self._config, **{which: settings})

    @property
    def has_memory(self) -> bool:
        """True with a recurrence."""
        return bool(self.learner.state.head.carry.state.shape[1])

    def cut_memory(self) -> None:
        """Set the state of a recurrent network that acts to zero.

        Updates unroll whole episodes, as if it had not been cut.
        """
        forget(self.learner.state.head.carry)

    def moment(self, index: int) -> Mapping[str, Array]:
        """Return what one seed carries after its latest sampled step, and its gates; networks of torch keep none."""
        state = self.learner.state
        net = state.policy.net
        if not isinstance(net, RecurrentNet) or not state.head.inputs[index].any():
            return {}
        return moment_of(self.learner.recurrence, net, index, state.head.carry, state.head.inputs)

    def policy(self) -> GreedyPolicy:
        """The most probable action, or the mean one, as of now."""
        return GreedyPolicy(self.learner, self._seeds)

    def state(self) -> State:
        """Networks, optimizers, streams, counters, and the episodes that wait for their update."""
        return {
            "policy": self.learner.policy.state(),
            "value": self.learner.value.state(),
            "observations": self.learner.store.state(),
            "episodes": save_batch(self.learner.state.batch),
            **{name: array.copy() for name, array in self._arrays().items()},
        }

    def restore(self, state: State) -> None:
        """Go on from ``state``."""
        self.learner.policy.restore(state["policy"])
        self.learner.value.restore(state["value"])
        self.learner.store.restore(state["observations"])
        load_batch(self.learner.state.batch, state["episodes"])
        for name, array in self._arrays().items():
            array[...] = state[name]

    def panels(self, index: int) -> tuple[Panel, ...]:
        """Make panels of one seed: what waits for its update, how sure the policy is, and the weights."""
        state = self.learner.state
        batch = state.batch
        facts = {
            "episodes that wait for an update": f"{batch.n_episodes[index]} of {batch.end.shape[1]}",
            "their steps": f"{batch.n_rows[index]:,}",
            "entropy of the policy at the latest update": f"{state.status.entropy[index]:.4g} nats",
        }
        if not state.hyper.discrete_actions:
            std = np.exp(state.head.log_std[index])
            facts["standard deviation of actions"] = " ".join(f"{value:.3g}" for value in std[:8])
        return (
            TextPanel("policy gradient", facts),
            *network_panels(state.policy.net, index, "the policy", self._obs_shape),
            *network_panels(state.value.net, index, "the value baseline", self._obs_shape),
        )

    def _arrays(self) -> dict[str, Array]:
        state = self.learner.state
        return {
            "log_std": state.head.log_std,
            "std_moments": state.std_optimizer.moments,
            "std_step_count": state.std_optimizer.step_count,
            "stream": state.head.stream,
            **state.head.carry._asdict(),
            **state.status._asdict(),
        }


class GreedyPolicy:
    """The most probable action, or the mean one; see :class:`simulator.core.protocols.Policy`.

    Args:
        learner: networks and observations; the weights are copied.
        seed_list: the run's seeds, for the streams that break ties.
    """

    def __init__(self, learner: CompiledPolicyLearner | TorchPolicyLearner, seed_list: list[int]) -> None:
        head = learner.state.head
        self._learner: Any = learner
        self._net = learner.frozen()
        self._store: Any = learner.store.for_evaluation()
        self._head = head._replace(
            stream=rng.pcg64_states(seed_list, "ties"),
            carry=Carry(*map(np.zeros_like, head.carry)),
            inputs=np.zeros_like(head.inputs),
            outputs=np.zeros_like(head.outputs),
        )
        self._actions = np.zeros((len(seed_list), learner.actions.action_dim), np.float32)
        self._stored: Array | None = None  # the observations of the latest step

    def act(self, obs: Array, first: Array) -> Array:
        """The best action at obs [S, *obs]."""
        stored = self._stored = self._store.observe(obs, first)
        begin_episodes(self._head.carry, np.ascontiguousarray(first))
        hyper = self._learner.state.hyper
        self._learner.act_greedily(self._net, self._store, hyper, self._head, stored, self._actions)
        actions: Array = self._learner.actions.decode(self._actions)
        return actions

    def carried(self) -> tuple[Array, ...] | None:
        """Return copies of what every seed carries; None without a recurrence."""
        return carried(self._head.carry)

    def carry_on(self, saved: tuple[Array, ...]) -> None:
        """Go on from what :meth:`carried` returned."""
        carry_on(self._head.carry, saved)

    def sees_rewards(self) -> bool:
        """Tell whether the recurrence sees the last reward."""
        return bool(self._head.carry.reward.shape[1])

    def see_reward(self, reward: Array) -> None:
        """See the rewards [S] of the latest step."""
        see_reward(self._head.carry, reward)

    def moment(self, index: int) -> Mapping[str, Array]:
        """Return what one seed carries after its latest step, and the gates; see ``ShowsMoment``."""
        if self._stored is None:
            return {}
        return moment_of(self._learner.recurrence, self._net, index, self._head.carry, self._head.inputs)

    def panels(self, index: int) -> tuple[Panel, ...]:
        """Make panels of what one seed carries, and of the probabilities or the numbers of its latest step."""
        carried_now = moment_panels(self.moment(index))
        if self._stored is None:
            return carried_now
        hyper = self._learner.state.hyper
        outputs = self._head.outputs[index].astype(np.float64)
        if not hyper.discrete_actions:
            names = tuple(f"number {k + 1}" for k in range(len(outputs)))
            return (BarPanel("mean action of the moment", names, outputs), *carried_now)
        row = legal_row.py_func(hyper.legal_actions, self._stored[index])
        legal = legal_mask(hyper.legal_actions[row : row + 1])[0]
        probs = np.where(legal, np.exp(outputs - outputs[legal].max()), 0.0)
        probs /= probs.sum()
        names = action_names(len(probs))
        bars = BarPanel("action probabilities of the moment", names, probs, chosen=int(probs.argmax()))
        return (bars, *carried_now)

    def arrays(self) -> PolicyArrays:
        """Return the policy network, and the way from observations to actions."""
        named, activation = self._learner.named_weights(self._net)
        shared = {**self._store.arrays(), "activation": activation, **self._learner.actions.arrays}
        shared |= recurrence_arrays(self._learner.recurrence, self._head.carry)
        return PolicyArrays("network", {f"network.{name}": value for name, value in named.items()}, shared)

    def probs(self, obs: Array) -> Array | None:
        """Uniform over the best actions, [S, B, A]; None for Box actions, and where past observations count."""
        hyper = self._learner.state.hyper
        if not hyper.discrete_actions or self._store.dtype != np.float32 or self._head.carry.state.shape[1]:
            return None
        stored = self._store.current(obs)
        outputs = self._learner.outputs(self._net, self._store, self._head, stored)
        return uniform_best(outputs, hyper.legal_actions, stored)

    def values(self, obs: Array) -> None:
        """It has no action values."""


def make(spec: EnvSpec, seed_list: Sequence[int], config: Config) -> Reinforce | EncodedAgent | CuriousAgent:
    """Make learners for an environment of Discrete or Box actions, behind an encoder and a bonus if they were chosen.

    Raises:
        ValueError: a space or a setting that this agent cannot have, or batches that do not fit into memory.
    """
    encoded = with_encoder(
        spec,
        seed_list,
        config.encoder,
        lambda seen, first_layers: build(
            seen,
            seed_list,
            config,
            torch=device() != "cpu" or is_image(seen) or first_layers is not None,
            first_layers=first_layers,
        ),
    )
    made: Reinforce | EncodedAgent | CuriousAgent = with_bonus(encoded, bonus_of(spec, seed_list, config.intrinsic))
    return made


def resolved(config: Config) -> Config:
    """Fill in the settings whose default depends on whether there is a recurrence."""
    recurrent = config.recurrence is not None
    norm = 0.5 if recurrent else 0.0
    return replace(
        config,
        ent_coef=(0.01 if recurrent else 0.0) if config.ent_coef is None else config.ent_coef,
        normalize_advantages=not recurrent if config.normalize_advantages is None else config.normalize_advantages,
        optimizer=config.optimizer.filled(2e-3 if recurrent else 5e-3, norm),
        value_optimizer=config.value_optimizer.filled(1e-2, norm),
    )


def build(
    spec: EnvSpec,
    seed_list: Sequence[int],
    config: Config,
    *,
    torch: bool,
    first_layers: FirstLayers | None = None,
) -> Reinforce:
    """Make learners on compiled networks, or on torch's, which images and every device but the CPU need.

    Args:
        spec: of what they see.
        seed_list: the run's seeds.
        config: the settings.
        torch: on torch's networks.
        first_layers: of an encoder that the agent's gradients train; they are in torch networks.

    Raises:
        ValueError: as :func:`make`.
    """
    config = resolved(config)
    check_rule(config.optimizer, "agent.optimizer")
    check_rule(config.value_optimizer, "agent.value_optimizer")
    recurrence = recurrence_of(config.recurrence)
    shape = spec.observation.shape
    if not torch:
        return Reinforce(seed_list, config, CompiledPolicyLearner(spec, seed_list, config, recurrence), shape)
    if first_layers:
        refuse_layers(first_layers, recurrence=config.recurrence)
    from agents.reinforce.learner_torch import TorchPolicyLearner  # loads torch

    return Reinforce(seed_list, config, TorchPolicyLearner(spec, seed_list, config, recurrence, first_layers), shape)
