"""The dqn agent: settings, presets, and the agent around a learner. The algorithm is in :mod:`agents.dqn.update`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from agents.common.changeable import (
    checked,
    constant_exploration,
    exploration_bounds,
    exploration_name,
    exploration_now,
)
from agents.common.encoders.encoded import EncodedAgent, FirstLayers, refuse_layers, with_encoder
from agents.common.exploration import GREEDY, ExploreSettings
from agents.common.inside import exploration_panel
from agents.common.intrinsic import CuriousAgent, bonus_of, with_bonus
from agents.common.networks.compiled import begin_episodes, carried, carry_on, forget, recurrence_arrays, see_reward
from agents.common.networks.conv import ConvSettings
from agents.common.networks.dense import NetworkSettings
from agents.common.networks.optimizers import OptimizerSettings, linear_decay
from agents.common.networks.panels import moment_of, moment_panels, network_panels
from agents.common.networks.recurrent import Carry, RecurrentNet, recurrence_of
from agents.common.observation_store import FrameStore
from agents.common.replay.buffer import load_replay, save_replay
from agents.common.replay.panels import replay_panels
from agents.common.replay.prioritized import PrioritySettings, load_priorities, save_priorities
from agents.common.replay.sequences import SequenceSettings, begin_in_episode, load_sequences, save_sequences
from agents.common.spaces import is_image, legal_mask, legal_row, uniform_best
from agents.dqn.imagination import Imagination, imagination_of
from agents.dqn.learner import CompiledLearner
from agents.dqn.update import action_values, copies_at, make_sampler, trains_at
from simulator.core import rng
from simulator.core.components import Encoder, Intrinsic, Model
from simulator.core.components import Recurrence as RecurrenceSocket
from simulator.core.devices import device
from simulator.core.field_types import Count, CountOrZero, Share
from simulator.core.optimizers import check_rule
from simulator.core.protocols import Array, EnvSpec, Metrics, PolicyArrays, Rollout, State, Step
from simulator.core.scene import BarPanel, Panel, action_names
from simulator.core.vector_batch import VectorBatch

if TYPE_CHECKING:
    from agents.dqn.learner_torch import TorchLearner


@dataclass(frozen=True)
class Config:
    """Settings of DQN and its variants."""

    gamma: Share | None = None
    """discount per step; none: the environment's own, 0.8 in a graph of rooms and 0.99 elsewhere"""
    double: bool = True
    """double Q-learning: the online network selects the next action, the target network values it"""
    dueling: bool = False
    """dueling network: outputs are a value and advantages, whose mean is subtracted"""
    prioritized: bool = False
    """prioritized replay: transitions are sampled by their TD error instead of uniformly"""
    n_step: Count = 5
    """steps of reward in a target, in environment steps"""
    loss: Literal["huber", "mse"] = "huber"
    """of a TD error: squared within 1 and linear beyond, or squared"""
    batch_size: Count | None = None
    """transitions in an update, or sequences with a recurrence; none: 64, with a recurrence 16"""
    buffer_size: Count = 50_000
    """transitions in the replay, per seed"""
    learning_starts: Count = 1_000
    """environment steps before the first update"""
    train_frequency: Count | None = None
    """environment steps from one round of updates to the next; none: 1, with a recurrence 4"""
    gradient_steps: Count = 1
    """updates in a round"""
    target_update_interval: CountOrZero = 0
    """environment steps from one copy of the online to the target network to the next; 0: soft updates by tau"""
    tau: Share = 0.005
    """Polyak averaging coefficient of the target network, per update; ignored if target_update_interval > 0"""
    eval_ema: Share = 0.002
    """weight of the newest network in the running average that evaluation plays by, per update; 0: no average"""
    explore: ExploreSettings = field(
        default_factory=lambda: ExploreSettings(
            epsilon_start=1.0, epsilon_end=0.04, temperature_start=1.0, temperature_end=0.04, decay_steps=5_000
        )
    )
    """exploration while training"""
    max_action_repeat: Count = 1
    """longest repetition of a random action in environment steps (k or more with probability 1/k); 1 with softmax"""
    normalize_obs: bool = False
    """move observations with bounds from these to -1 and 1; off: as they are"""
    encoder: Encoder = None
    """what the agent sees in place of observations, such as window, pca or vae; none: the observations"""
    recurrence: RecurrenceSocket = None
    """recurrent cell of the network: elman, gru or lstm; none: it sees the observation alone"""
    model: Model = None
    """imagines transitions for further updates: gan or vae; none: real transitions alone"""
    intrinsic: Intrinsic = None
    """bonus for what is new: counts, familiarity, nearest or random_network; none: the reward alone"""
    sequence: SequenceSettings = field(default_factory=SequenceSettings)
    """sequences in the replay; count only with a recurrence"""
    network: NetworkSettings = field(default_factory=lambda: NetworkSettings(hidden=(64, 64)))
    """the network of action values, where observations are vectors or classes"""
    conv: ConvSettings = field(default_factory=ConvSettings)
    """the network of action values, where observations are images"""
    optimizer: OptimizerSettings = field(default_factory=OptimizerSettings)
    """optimiser of the online network; learning_rate none: 2e-3"""
    priority: PrioritySettings = field(default_factory=PrioritySettings)
    """priorities; count only where prioritized is on"""


def _fading(steps: int, explore: dict[str, float], **agent: object) -> dict[str, object]:
    """Return optimizer settings whose learning rate decays from 1e-3 to 0."""
    return {"explore": explore, "optimizer": {"learning_rate": 1e-3, "lr_decay_steps": steps}, **agent}


_CARTPOLE = {"optimizer": {"learning_rate": 2e-3, "lr_decay_steps": 50_000}}
_LUNAR = {"n_step": 3, "buffer_size": 100_000, "network": {"hidden": [128, 128]}}
_FROZEN = {"n_step": 1, "eval_ema": 0.0005, "tau": 0.01}
_TAXI = {
    "n_step": 1,
    "buffer_size": 100_000,
    "train_frequency": 2,
    "optimizer": {"learning_rate": 2e-3, "lr_decay_steps": 120_000},
}
PRESETS = {
    "cartpole-dqn": {
        "description": "solved by the median seed in about 15,000 steps, and mostly still solved at the end",
        "env": "CartPole-v1",
        "steps": 50_000,
        "agent": _CARTPOLE,
    },
    "cartpole-dqn-prioritized": {
        "description": "the same with prioritized replay: solved by every seed, by the median in about 17,500 steps",
        "env": "CartPole-v1",
        "steps": 50_000,
        "agent": {**_CARTPOLE, "prioritized": True, "priority": {"alpha": 0.4}},
    },
    "acrobot-dqn": {
        "description": "-85 and more",
        "env": "Acrobot-v1",
        "steps": 100_000,
        "agent": _fading(100_000, {"decay_steps": 8_000}),
    },
    "mountain-car-dqn": {
        "description": "-100, two steps from the optimum: random actions are repeated",
        "env": "MountainCar-v0",
        "steps": 120_000,
        "agent": _fading(
            120_000, {"epsilon_end": 0.03, "decay_steps": 24_000}, normalize_obs=True, max_action_repeat=40
        ),
    },
    "lunar-lander-dqn": {
        "description": "about 240 in the mean of seeds, eight of eight at 200 and more",
        "env": "LunarLander-v3",
        "steps": 300_000,
        "agent": _fading(300_000, {"epsilon_end": 0.02, "decay_steps": 30_000}, **_LUNAR),
    },
    "frozen-lake-dqn": {
        "description": "within 2 % of the optimum from one-hot observations",
        "env": "FrozenLake-v1",
        "steps": 60_000,
        "agent": _fading(60_000, {"epsilon_end": 1.0, "decay_steps": 30_000}, **_FROZEN),
    },
    "taxi-dqn": {
        "description": "the exact optimum from one-hot observations",
        "env": "Taxi-v4",
        "steps": 120_000,
        "agent": _fading(120_000, {"epsilon_end": 0.5, "decay_steps": 10_000}, **_TAXI),
    },
}
SUPPORTS_GPU = True


class DQN:
    """S learners; see :class:`simulator.core.protocols.Agent`.

    Args:
        spec: the environment.
        seed_list: the run's seeds.
        learner: networks, replay and streams, of either backend.
        imagination: further updates on imagined transitions, if there are any.
    """

    rollout_batch = VectorBatch

    def __init__(
        self,
        spec: EnvSpec,
        seed_list: Sequence[int],
        learner: CompiledLearner | TorchLearner,
        imagination: Imagination | None = None,
    ) -> None:
        self._spec = spec
        self._seeds = list(seed_list)
        self._learner = learner
        self._imagination = imagination
        self._clock = 0
        self._metrics: Metrics = {"loss": learner.state.loss}
        if imagination:
            self._metrics = {"loss": learner.state.loss, "imagined_loss": imagination.loss}
        self.gamma = learner.state.replay.gamma
        self.failed_at = learner.state.failed_at
        self._learning_starts = learner.state.hyper.learning_starts
        if isinstance(learner, CompiledLearner) and learner.plays_rollouts and not imagination:
            self.rollout = partial(self._rollout, learner)
            self.max_rollout_steps = learner.max_rollout_steps

    def act(self, obs: Array) -> Array:
        """Return exploring actions, int64 [S]."""
        return self._learner.act(self._learner.store.current(obs), self._clock)

    def learn(self, obs: Array, actions: Array, step: Step) -> Metrics:
        """Store one step of every seed; train and copy the target network where it is time."""
        learner = self._learner
        stored = learner.store.current(obs)
        broken = learner.store_steps(stored, actions, step, learner.store.add_step(step))
        if broken >= 0:
            self._refuse(broken, step, self._clock + 1)
        self._clock += 1
        if trains_at(learner.state.hyper, self._clock) or copies_at(learner.state.hyper, self._clock):
            learner.learn(self._clock)
        if self._imagination:
            self._imagination.learn(obs, actions, step, self._clock)
        return self._metrics

    def _rollout(self, learner: CompiledLearner, env_batch: VectorBatch, n: int) -> Rollout:
        """Play and learn for n steps in one compiled call."""
        buffers = learner.rollout(env_batch, n, self._clock)
        if buffers.broken_at.any():
            broken = int(np.argmin(np.where(buffers.broken_at > 0, buffers.broken_at, n + 1)))
            self._refuse(broken, env_batch.step, self._clock + int(buffers.broken_at[broken]))
        self._clock += n
        return Rollout(buffers.reward, buffers.ended, self._metrics)

    def _refuse(self, i: int, step: Step, clock: int) -> None:
        """Raise the error of seed number i, whose observation or reward is not finite in environment step ``clock``.

        Raises:
            ValueError: always.
        """
        observed = "" if is_image(self._spec) else f"observed {step.final_obs[i]} and "
        raise ValueError(
            f"{self._spec.id}: seed {self._seeds[i]} {observed}got reward {step.reward[i]} in step {clock:,}, "
            "expected finite numbers"
        )

    def changeable(self) -> dict[str, float]:
        """Return learning rate, discount and exploration as they are; the first and the last end their schedules.

        Transitions in the replay keep the discount that they were stored with.
        """
        state = self._learner.state
        hyper = state.hyper
        fraction = linear_decay(self._clock, hyper.lr_decay_steps, hyper.learning_rate, hyper.lr_end)
        return {
            "learning_rate": hyper.learning_rate * fraction,
            "gamma": state.replay.gamma,
            exploration_name(hyper.explore): exploration_now(hyper.explore, self._clock),
        }

    def change(self, name: str, value: float) -> None:
        """Change one of :meth:`changeable` from the next step on.

        Raises:
            ValueError: another name, or a value out of range; one line.
        """
        learner = self._learner
        state = learner.state
        explore = state.hyper.explore
        bounds = {
            "learning_rate": (0.0, 1e3),
            "gamma": (0.0, 1.0),
            exploration_name(explore): exploration_bounds(explore),
        }
        value = checked("dqn", self.changeable(), name, value, *bounds.get(name, (0, 0)))
        if name == "gamma":
            learner.state = state._replace(replay=state.replay._replace(gamma=value))
            if self._imagination:
                self._imagination.change_gamma(value)
            self.gamma = value
        elif name == "learning_rate":  # the end of a schedule that is over
            learner.state = state._replace(hyper=state.hyper._replace(lr_end=value, lr_decay_steps=1))
        else:
            hyper = state.hyper._replace(explore=constant_exploration(explore, value))
            learner.state = state._replace(hyper=hyper)

    @property
    def has_memory(self) -> bool:
        """True with a recurrence."""
        return bool(self._learner.state.sampler.carry.state.shape[1])

    def cut_memory(self) -> None:
        """Set the state of a recurrent network that acts to zero.

        Sequences in the replay are learned from as before, from the states that they began with.
        """
        forget(self._learner.state.sampler.carry)

    def moment(self, index: int) -> Mapping[str, Array]:
        """Return what one seed carries after its latest exploring step, and its gates; networks of torch keep none."""
        state = self._learner.state
        if self._clock == 0 or not isinstance(state.online_net, RecurrentNet):
            return {}
        sampler = state.sampler
        return moment_of(self._learner.recurrence, state.online_net, index, sampler.carry, sampler.inputs)

    def policy(self) -> DQNPolicy:
        """Return the current greedy policy."""
        return DQNPolicy(self._learner, self._seeds)

    def state(self) -> State:
        """Return networks, optimiser, replay, streams and counters."""
        state = self._learner.state
        imagination = self._imagination.state() if self._imagination else {}
        return {
            "clock": self._clock,
            "learning_starts": state.hyper.learning_starts,
            **{name: network.state() for name, network in self._learner.networks.items()},
            "replay": {
                "transitions": (save_sequences if self._learner.recurrence else save_replay)(state.replay),
                "priorities": save_priorities(state.priorities),
                "observations": self._learner.store.state(),
                **({"imagination": imagination.pop("replay")} if imagination else {}),
            },
            **{name: array.copy() for name, array in self._arrays().items()},
            **({"imagination": imagination} if imagination else {}),
        }

    def restore(self, state: State) -> None:
        """Continue from ``state``; without its replay, updates begin again after ``learning_starts`` steps."""
        self._clock = state["clock"]
        learning_starts = state["learning_starts"]
        for name, network in self._learner.networks.items():
            network.restore(state[name])
        if "replay" in state:
            load = load_sequences if self._learner.recurrence else load_replay
            load(self._learner.state.replay, state["replay"]["transitions"])
            load_priorities(self._learner.state.priorities, state["replay"]["priorities"])
            self._learner.store.restore(state["replay"]["observations"])
        else:
            learning_starts = self._clock + self._learning_starts
        hyper = self._learner.state.hyper._replace(learning_starts=learning_starts)
        self._learner.state = self._learner.state._replace(hyper=hyper)
        for name, array in self._arrays().items():
            array[...] = state[name]
        if self._learner.recurrence and "replay" not in state:
            begin_in_episode(self._learner.state.replay)
        if self._imagination:
            replay = {"replay": state["replay"]["imagination"]} if "replay" in state else {}
            self._imagination.restore({**state["imagination"], **replay})

    def panels(self, index: int) -> tuple[Panel, ...]:
        """Make panels of exploration, replay, priorities, imagined transitions and weights of one seed."""
        state = self._learner.state
        imagined = self._imagination.panels(index) if self._imagination else ()
        return (
            exploration_panel(state.hyper.explore, self._clock),
            *replay_panels(state.replay, state.priorities, index),
            *imagined,
            *network_panels(state.online_net, index, "the network", self._spec.observation.shape),
        )

    def _arrays(self) -> dict[str, Array]:
        state = self._learner.state
        return {
            "exploration_stream": state.sampler.stream,
            "sample_stream": state.sample_stream,
            "repeated_action": state.sampler.repeated_action,
            "repeats_left": state.sampler.repeats_left,
            "loss": state.loss,
            "failed_at": state.failed_at,
            **{f"carry_{name}": array for name, array in state.sampler.carry._asdict().items()},
        }


class DQNPolicy:
    """Acts by the highest value, ties at random; see :class:`simulator.core.protocols.Policy`.

    Args:
        learner: networks and observations; the weights are copied.
        seed_list: the run's seeds, for the streams that break ties.
    """

    def __init__(self, learner: CompiledLearner | TorchLearner, seed_list: list[int]) -> None:
        sampler = learner.state.sampler
        shapes = (sampler.inputs.shape[1], sampler.outputs.shape[1], sampler.q.shape[1])
        self._learner: Any = learner
        self._net: Any = learner.frozen()
        self._store: Any = learner.store.for_evaluation()
        self._hyper = learner.state.hyper._replace(explore=GREEDY, max_action_repeat=1)
        carry = Carry(*map(np.zeros_like, sampler.carry))
        self._sampler = make_sampler(rng.pcg64_states(seed_list, "ties"), *shapes, carry)
        self._stored: Array | None = None  # the observations of the latest step

    def act(self, obs: Array, first: Array) -> Array:
        """Return one of the best actions at obs [S, *obs], int64 [S]."""
        actions = np.zeros(len(self._sampler.stream), np.int64)
        stored = self._stored = self._store.observe(obs, first)
        begin_episodes(self._sampler.carry, np.ascontiguousarray(first))
        self._learner.act_greedily(self._net, self._store, self._hyper, self._sampler, stored, actions)
        return actions

    def carried(self) -> tuple[Array, ...] | None:
        """Return copies of what every seed carries; None without a recurrence."""
        return carried(self._sampler.carry)

    def carry_on(self, saved: tuple[Array, ...]) -> None:
        """Go on from what :meth:`carried` returned."""
        carry_on(self._sampler.carry, saved)

    def sees_rewards(self) -> bool:
        """Tell whether the recurrence sees the last reward."""
        return bool(self._sampler.carry.reward.shape[1])

    def see_reward(self, reward: Array) -> None:
        """See the rewards [S] of the latest step."""
        see_reward(self._sampler.carry, reward)

    def moment(self, index: int) -> Mapping[str, Array]:
        """Return what one seed carries after its latest step, and the gates; see ``ShowsMoment``."""
        sampler = self._sampler
        if self._stored is None:
            return {}
        return moment_of(self._learner.recurrence, self._net, index, sampler.carry, sampler.inputs)

    def panels(self, index: int) -> tuple[Panel, ...]:
        """Make panels of what one seed carries, and of the action values of its latest step."""
        carried_now = moment_panels(self.moment(index))
        if self._stored is None:
            return carried_now
        q = np.zeros(self._sampler.q.shape[1], np.float32)
        action_values.py_func(self._sampler.outputs[index], self._hyper.dueling, q)
        row = legal_row.py_func(self._hyper.legal_actions, self._stored[index])
        q[~legal_mask(self._hyper.legal_actions[row : row + 1])[0]] = np.nan
        values = q.astype(np.float64)
        chosen = int(np.nanargmax(values))
        return (BarPanel("action values of the moment", action_names(len(q)), values, chosen=chosen), *carried_now)

    def arrays(self) -> PolicyArrays:
        """Return the network that evaluation plays by, and the way from observations to actions."""
        named, activation = self._learner.named_weights(self._net)
        output = "dueling" if self._hyper.dueling else "argmax"
        legal = legal_mask(self._hyper.legal_actions)
        shared = {**self._store.arrays(), "activation": activation, "output": output, "legal": legal}
        shared |= recurrence_arrays(self._learner.recurrence, self._sampler.carry)
        return PolicyArrays("network", {f"network.{name}": value for name, value in named.items()}, shared)

    def values(self, obs: Array) -> Array | None:
        """Return action values [S, B, A] at obs [B, *obs], 0 for illegal actions; None where the past counts too."""
        if self._learner.recurrence:
            return None  # they depend on the observations before
        if isinstance(self._learner, CompiledLearner):
            return self._learner.values(self._net, self._store, self._hyper, self._sampler, self._store.current(obs))
        inputs = self._store.single(obs) if isinstance(self._store, FrameStore) else None
        if inputs is None:
            return None
        values: Array = self._learner.values_of_inputs(self._net, self._hyper, len(self._sampler.stream), inputs)
        return values

    def probs(self, obs: Array) -> Array | None:
        """Return probabilities [S, B, A], uniform over the best actions; None where the past counts too."""
        values = self.values(obs)
        if values is None:
            return None
        stored = np.zeros((len(obs), 1)) if isinstance(self._store, FrameStore) else self._store.current(obs)
        return uniform_best(values, self._hyper.legal_actions, stored)


def resolved(config: Config) -> Config:
    """Fill in the settings whose default depends on whether there is a recurrence."""
    recurrent = config.recurrence is not None
    return replace(
        config,
        batch_size=config.batch_size or (16 if recurrent else 64),
        train_frequency=config.train_frequency or (4 if recurrent else 1),
        optimizer=config.optimizer.filled(2e-3),
    )


def _check_sequences(sequence: SequenceSettings, learning_starts: int) -> None:
    """Refuse sequences that are shorter than their parts, or that are not complete when learning starts.

    Raises:
        ValueError: they are.
    """
    for name in ("overlap", "burn_in"):
        if getattr(sequence, name) >= sequence.length:
            raise ValueError(
                f"agent.sequence.{name} = {getattr(sequence, name)}: expected less than agent.sequence.length, "
                f"{sequence.length}"
            )
    if learning_starts < sequence.length:  # until then there may be no sequence
        raise ValueError(
            f"agent.learning_starts = {learning_starts}: expected at least agent.sequence.length, {sequence.length}"
        )


def make(spec: EnvSpec, seed_list: Sequence[int], config: Config) -> DQN | EncodedAgent | CuriousAgent:
    """Make learners for an environment of discrete actions, behind an encoder and a bonus if they were chosen.

    Raises:
        ValueError: a space or a setting that this agent does not support, or more memory than is free.
    """
    config = resolved(config)

    def make_for(seen: EnvSpec, first_layers: FirstLayers | None) -> DQN:
        return build(seen, seed_list, config, first_layers)

    encoded = with_encoder(spec, seed_list, config.encoder, make_for)
    made: DQN | EncodedAgent | CuriousAgent = with_bonus(encoded, bonus_of(spec, seed_list, config.intrinsic))
    return made


def build(spec: EnvSpec, seed_list: Sequence[int], config: Config, first_layers: FirstLayers | None = None) -> DQN:
    """Make learners of what an encoder gives, or of an environment's observations.

    Args:
        spec: of what they see.
        seed_list: the run's seeds.
        config: the settings, resolved.
        first_layers: of an encoder that the agent's gradient trains; they are in torch networks.

    Raises:
        ValueError: as :func:`make`.
    """
    check_rule(config.optimizer, "agent.optimizer")
    assert config.batch_size is not None
    if config.batch_size > config.buffer_size:
        raise ValueError(
            f"agent.buffer_size = {config.buffer_size}: expected at least agent.batch_size, {config.batch_size}"
        )
    if config.learning_starts < config.n_step:  # until then there may be no transition
        raise ValueError(
            f"agent.learning_starts = {config.learning_starts}: expected at least agent.n_step, {config.n_step}"
        )
    if config.recurrence is not None:
        _check_sequences(config.sequence, config.learning_starts)
    recurrence = recurrence_of(config.recurrence)
    if first_layers:
        refuse_layers(first_layers, recurrence=config.recurrence, model=config.model)
    elif device() == "cpu" and not is_image(spec):
        compiled = CompiledLearner(spec, seed_list, config, recurrence)
        return DQN(spec, seed_list, compiled, imagination_of(spec, seed_list, config.model, compiled))
    from agents.dqn.learner_torch import TorchLearner  # loads torch

    learner = TorchLearner(spec, seed_list, config, recurrence, first_layers)
    return DQN(spec, seed_list, learner, imagination_of(spec, seed_list, config.model, learner))
