"""The reinforce agent: settings, construction, acting and learning."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

import numpy as np

from agents.common.networks.conv import ConvSettings
from agents.common.networks.dense import CompiledNetwork, NetworkSettings, make_net
from agents.common.networks.optimizers import OptimizerSettings, lr_scale_at, make_optimizer
from agents.common.spaces import is_image
from agents.common.tabular import load, save
from agents.reinforce.border import Border, make_border
from agents.reinforce.episodes import (
    Counts,
    Hand,
    Rule,
    load_episodes,
    make_episodes,
    metrics_of,
    record_all,
    save_episodes,
)
from agents.reinforce.policy import GreedyPolicy, act_all
from agents.reinforce.setup import check_batches, make_hand, make_rule
from agents.reinforce.update import CHUNK, Brain, kept, make_scratch, update_block
from simulator.core.devices import device
from simulator.core.field_types import Count, CountOrZero, NonNegative, Positive, Share
from simulator.core.jit import parallel_for, specialize
from simulator.core.protocols import Array, EnvSpec, Metrics, State, Step

if TYPE_CHECKING:
    from agents.reinforce.learner_torch import TorchReinforce

SUPPORTS_GPU = True  # other than the CPU


@dataclass(frozen=True)
class Config:
    """Settings of REINFORCE."""

    baseline: Literal["none", "mean", "value"] = "value"
    """what is taken off a return: nothing, the mean return of the batch's other episodes, or a learned state value"""
    episodes: Count = 4
    """episodes per update"""
    gamma: Share | None = None
    """discount per step; none: the environment's own, 0.8 in a graph of rooms and 0.99 elsewhere"""
    gamma_t: bool = False
    """weigh step t of an episode by gamma**t, as the theorem has it; off: the factor is dropped, as is usual"""
    standardized: bool = True
    """advantages of a batch get mean 0 and standard deviation 1; that of a batch of a single step stays as it is"""
    entropy: NonNegative = 0.0
    """bonus for the policy's entropy, in units of return per nat and step"""
    value_updates: Count = 4
    """steps of the value network on each batch; the advantages come from the values before them"""
    bootstrap: bool = True
    """an episode cut by time goes on with the value of what it led to; off, or without a value baseline: with 0"""
    longest: CountOrZero = 0
    """steps after which an episode's part is learned from as if time had cut it; 0: the env's limit, or 1,000"""
    initial_std: Positive = 1.0
    """standard deviation of Box actions before they are learned, in units of half their range"""
    network: NetworkSettings = field(default_factory=lambda: NetworkSettings((64,), "tanh"))
    """both networks, the policy's and the value's, where observations are vectors or classes"""
    conv: ConvSettings = field(default_factory=ConvSettings)
    """both networks where observations are pictures"""
    optimizer: OptimizerSettings = field(default_factory=lambda: OptimizerSettings(learning_rate=5e-3))
    """how the policy follows its gradient"""
    value_optimizer: OptimizerSettings = field(default_factory=lambda: OptimizerSettings(learning_rate=1e-2))
    """how the value baseline follows its own"""


PRESETS = {
    "cartpole-reinforce": {
        "description": "solved within 27,000 steps by the median seed, and stays so: the learning rate falls in 20,000",
        "env": "CartPole-v1",
        "steps": 100_000,
        "agent": {
            "episodes": 2,
            "gamma": 0.995,
            "optimizer": {"learning_rate": 1e-2, "lr_end": 5e-4, "lr_decay_steps": 20_000},
        },
    },
}


class Reinforce:
    """S learners; see :class:`simulator.core.protocols.Agent`."""

    def __init__(self, border: Border, rule: Rule, config: Config, hand: Hand, seed_list: list[int]) -> None:
        self._border, self._rule, self._config, self._seeds = border, rule, config, seed_list
        self.gamma, n = rule.gamma, len(seed_list)
        shapes = [[border.n_inputs, *config.network.hidden, out] for out in (border.n_outputs, 1)]
        tanh = config.network.activation == "tanh"
        nets = [make_net(sizes, tanh, seed_list, CHUNK) for sizes in shapes]
        self._policy = CompiledNetwork(nets[0], config.optimizer)
        self._value = CompiledNetwork(nets[1], config.value_optimizer)
        std = make_optimizer(config.optimizer, *hand.log_std.shape)
        counts = Counts(np.zeros(n, np.int64), np.zeros(n, np.int64))
        brains = (self._policy.net, self._policy.optimizer, hand, std, self._value.net, self._value.optimizer)
        self._brain = Brain(*brains, counts, np.zeros((n, 3)))
        size = (config.episodes, rule.longest)
        self._episodes = make_episodes(n, size, (border.n_kept, border.n_drawn))
        self._scratch = make_scratch(self._brain, *size)
        self.failed_at, self._metrics = counts.failed_at, metrics_of(self._brain.loss)
        self._drawn = np.zeros((n, border.n_drawn), np.float32)
        seen, ends = np.zeros((n, border.n_kept), np.float32), np.zeros(n, np.bool_)
        step = (np.zeros(n, np.float32), ends, ends, seen)
        self._act = specialize(act_all, nets[0], hand, rule, seen, self._drawn)
        self._record = specialize(record_all, self._episodes, rule, counts, seen, self._drawn, step)

    def act(self, obs: Array) -> Array:
        """Actions drawn from the policy, int64 [S] or [S, *action]."""
        self._act(self._policy.net, self._brain.hand, self._rule, self._border.encode(obs), self._drawn)
        return self._border.actions(self._drawn)

    def learn(self, obs: Array, actions: Array, step: Step) -> Metrics:
        """Keep the step; the seeds that have their episodes together learn from them."""
        encode, drawn, brain = self._border.encode, self._drawn, self._brain
        if self._rule.discrete:
            drawn[:, 0] = actions
        ends = (np.ascontiguousarray(flag, np.bool_) for flag in (step.terminated, step.truncated))
        outcome = (np.ascontiguousarray(step.reward, np.float32), *ends, encode(step.final_obs))
        if self._record(self._episodes, self._rule, brain.counts, encode(obs), drawn, outcome):
            self._update()
        return self._metrics

    def _update(self) -> None:
        clock = int(self._brain.counts.clock[0])
        shares = tuple(lr_scale_at(each, clock) for each in (self._config.optimizer, self._config.value_optimizer))
        work = (self._brain, self._episodes, self._rule, self._scratch, shares)
        parallel_for(lambda first, last: update_block((first, last), *work), len(self._seeds))

    def policy(self) -> GreedyPolicy:
        """The most probable action, or the mean one, as of now."""
        return GreedyPolicy(self._policy.net, self._brain.hand, self._rule, self._border, self._seeds)

    def state(self) -> State:
        """Networks, optimisers, streams, counters, and the episodes that wait for their update."""
        return save(kept(self._brain)) | {
            "policy": self._policy.state(),
            "value": self._value.state(),
            "episodes": save_episodes(self._episodes),
        }

    def restore(self, state: State) -> None:
        """Go on from ``state``."""
        self._policy.restore(state["policy"])
        self._value.restore(state["value"])
        load_episodes(self._episodes, state["episodes"])
        load(kept(self._brain), state)


def make(spec: EnvSpec, seed_list: Sequence[int], config: Config) -> Reinforce | TorchReinforce:
    """Learners for an environment of discrete or Box actions.

    Raises:
        ValueError: a space or a setting that this agent cannot have, or batches that do not fit into memory.
    """
    border = make_border("reinforce", spec)
    rule = make_rule(spec, config, border)
    if device() != "cpu" or is_image(spec):
        from agents.reinforce.learner_torch import TorchReinforce  # loads torch

        return TorchReinforce(spec, seed_list, config, (border, rule))
    check_batches(spec, len(seed_list), config, border, rule)
    return Reinforce(border, rule, config, make_hand(spec, seed_list, config, border), list(seed_list))


if __name__ == "__main__":
    from agents.common.demo import show_agent

    show_agent("reinforce", make, Config())
