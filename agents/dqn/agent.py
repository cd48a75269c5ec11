"""The dqn agent: settings, construction, acting and learning."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

from agents.common.exploration import ExploreSettings
from agents.common.networks.conv import ConvSettings
from agents.common.networks.dense import NetworkSettings
from agents.common.networks.optimizers import OptimizerSettings
from agents.common.replay.prioritized import PrioritySettings
from agents.common.spaces import is_image, make_inputs
from agents.dqn.learner import DenseLearner
from agents.dqn.rollout import piece_of, play_stretch
from agents.dqn.schedule import copies_at, make_schedule, pace_at, trains_at
from simulator.core.devices import device
from simulator.core.field_types import Count, CountOrZero, Share
from simulator.core.protocols import Array, EnvSpec, Metrics, Policy, Rollout, State, Step
from simulator.core.vector_batch import VectorBatch

if TYPE_CHECKING:
    from agents.dqn.learner_torch import TorchLearner


@dataclass(frozen=True)
class Config:
    """Settings of DQN and its relatives."""

    gamma: Share | None = None
    """discount per step; none: the environment's own, 0.8 in a graph of rooms and 0.99 elsewhere"""
    double: bool = True
    """the online network chooses the next action, the target network values it"""
    dueling: bool = False
    """outputs are a value and advantages, whose mean is taken off"""
    prioritized: bool = False
    """transitions are drawn by their TD error instead of evenly"""
    n_step: Count = 5
    """steps of reward in a target, in environment steps"""
    loss: Literal["huber", "mse"] = "huber"
    """of a TD error: squared within 1 and linear beyond, or squared"""
    batch_size: Count = 64
    """transitions in an update"""
    buffer_size: Count = 50_000
    """transitions that are kept, per seed"""
    learning_starts: Count = 1_000
    """environment steps before the first update"""
    train_frequency: Count = 1
    """environment steps from one training to the next"""
    gradient_steps: Count = 1
    """updates in a training"""
    target_update_interval: CountOrZero = 0
    """environment steps from one copy of the online network to the next; 0: the target follows softly"""
    tau: Share = 0.005
    """share of the way to the online network that the target goes after every update; unused with target_every"""
    eval_ema: Share = 0.002
    """share of the newest weights in the running average that evaluation plays by, per update; 0: no average"""
    explore: ExploreSettings = field(
        default_factory=lambda: ExploreSettings(
            epsilon_start=1.0, epsilon_end=0.04, temperature_start=1.0, temperature_end=0.04, decay_steps=5_000
        )
    )
    """exploration while training"""
    max_action_repeat: Count = 1
    """most environment steps that a random action is kept for (k or more with probability 1/k); 1 with softmax"""
    normalize_obs: bool = False
    """observations with bounds are seen as -1 to 1 between them; off: as they are"""
    network: NetworkSettings = field(default_factory=lambda: NetworkSettings(hidden=(64, 64)))
    """the network of action values, where observations are vectors or classes"""
    conv: ConvSettings = field(default_factory=ConvSettings)
    """the network of action values, where observations are pictures"""
    optimizer: OptimizerSettings = field(default_factory=lambda: OptimizerSettings(learning_rate=2e-3))
    """how it learns"""
    priority: PrioritySettings = field(default_factory=PrioritySettings)
    """priorities; count only where prioritized is on"""


def _fading(steps: int, explore: dict[str, float], **agent: object) -> dict[str, object]:
    """Settings whose learning rate falls from 1e-3 to 0."""
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
        "description": "solved by the median seed in about 15,000 steps, and mostly kept",
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
        "description": "-100, two steps from the optimum: random actions are kept for a while",
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
SUPPORTS_GPU = True  # other than the CPU


class DQN:
    """S learners; see :class:`simulator.core.protocols.Agent`."""

    rollout_batch = VectorBatch

    def __init__(self, config: Config, learner: DenseLearner | TorchLearner) -> None:
        self._learner, self._schedule, self._clock = learner, make_schedule(config), 0
        self.gamma, self.failed_at = learner.gamma, learner.failed_at
        if getattr(learner, "takes_lanes", False):
            self.rollout, self.piece = self._stretch, piece_of(learner.parts, self._schedule)

    def act(self, obs: Array) -> Array:
        """Exploring actions, int64 [S]."""
        return self._learner.act(obs, self._clock)

    def learn(self, obs: Array, actions: Array, step: Step) -> Metrics:
        """Store one step of every seed; train and copy when it is time."""
        self._learner.push(obs, actions, step, self._clock)
        self._clock += 1
        if trains_at(self._schedule, self._clock):
            self._learner.train(pace_at(self._schedule, self._clock))
        if copies_at(self._schedule, self._clock):
            self._learner.copy()
        return self._learner.metrics

    def _stretch(self, env_batch: VectorBatch, n: int) -> Rollout:
        trace, self._clock = play_stretch(self._learner, env_batch, n, self._schedule, self._clock), self._clock + n
        return trace

    def policy(self) -> Policy:
        """The greedy policy as of now."""
        return self._learner.greedy()

    def state(self) -> State:
        """Networks, optimiser, replay, streams and counters."""
        return {"clock": self._clock, "learner": self._learner.state()}

    def restore(self, state: State) -> None:
        """Go on from ``state``."""
        self._clock = state["clock"]
        self._learner.restore(state["learner"])


def make(spec: EnvSpec, seed_list: Sequence[int], config: Config) -> DQN:
    """Learners for an environment of discrete actions.

    Raises:
        ValueError: a space or a setting that this agent cannot have, or more memory than there is.
    """
    if config.batch_size > config.buffer_size:
        raise ValueError(
            f"agent.buffer_size = {config.buffer_size}: expected at least agent.batch_size, {config.batch_size}"
        )
    if config.learning_starts < config.n_step:  # until then there may be nothing to learn from
        raise ValueError(
            f"agent.learning_starts = {config.learning_starts}: expected at least agent.n_step, {config.n_step}"
        )
    if device() == "cpu" and not is_image(spec):
        return DQN(config, DenseLearner(spec, seed_list, config, make_inputs(spec, "dqn", config.normalize_obs)))
    from agents.dqn.learner_torch import TorchLearner  # loads torch

    return DQN(config, TorchLearner(spec, seed_list, config))


if __name__ == "__main__":
    from agents.common.demo import show_agent

    show_agent("dqn", make, Config(learning_starts=100, buffer_size=3_000))
