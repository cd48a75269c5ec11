"""What deep Q-learning does with networks, replay and streams: the compiled kind, for vectors and discrete views."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from typing import Any

import numpy as np

from agents.common.exploration import GREEDY, make_explore
from agents.common.memory_check import check_fits
from agents.common.networks.dense import Net, clone, make_net, n_params
from agents.common.networks.optimizers import make_optimizer
from agents.common.replay.buffer import load_replay, make_replay, replay_bytes, save_replay
from agents.common.replay.prioritized import bytes_of, load_priorities, make_priorities, save_priorities
from agents.common.spaces import Inputs
from agents.common.tabular import action_lists, discount, legal_rows, n_actions, trace_buffers, uniform_best
from agents.dqn.policy import act_all, make_hand, values_all
from agents.dqn.schedule import Pace
from agents.dqn.targets import Rule
from agents.dqn.update import Brain, Parts, copy_all, make_batch, push_all, train_block
from simulator.core import rng
from simulator.core.jit import parallel_for, specialize
from simulator.core.protocols import Array, EnvSpec, Metrics, State, Step


class DenseLearner:
    """S learners with dense networks.

    Args:
        spec: the environment.
        seed_list: the run's seeds.
        config: settings of the agent.
        inputs: how observations become inputs.
    """

    def __init__(self, spec: EnvSpec, seed_list: Sequence[int], config: Any, inputs: Inputs) -> None:
        self._spec, self._inputs, self._seeds = spec, inputs, list(seed_list)
        self.gamma = discount(spec, config.gamma)
        self.parts = _make_parts(spec, seed_list, config, inputs)
        self.failed_at, self._actions = self.parts.failed_at, np.zeros(len(seed_list), np.int64)
        self.metrics: Metrics = {"loss": self.parts.loss}
        self.takes_lanes, self.trace = not inputs.n_classes, trace_buffers(None, len(seed_list), 1)
        self.enter: Any = None  # the compiled stretch, once there was one

    @cached_property
    def _act(self) -> Any:
        """What every step needs goes without type dispatch; its arguments are made to fit in ``act`` and ``push``."""
        parts = self.parts
        seen = np.ascontiguousarray(parts.views[:, 0])
        return specialize(act_all, parts.brain.online, parts.rule, parts.hand, seen, 0, self._actions)

    @cached_property
    def _push(self) -> Any:
        parts = self.parts
        seen, flags = np.ascontiguousarray(parts.views[:, 0]), parts.loss > 0.0
        step = (parts.loss.astype(np.float32), flags, flags, seen)
        return specialize(push_all, parts.replay, parts.priorities, seen, self._actions, step)

    def act(self, obs: Array, clock: int) -> Array:
        """Exploring actions, int64 [S], at obs [S, *obs] after ``clock`` environment steps."""
        parts = self.parts
        self._act(parts.brain.online, parts.rule, parts.hand, self._inputs.store(obs), clock, self._actions)
        return self._actions

    def push(self, obs: Array, actions: Array, step: Step, clock: int) -> None:
        """Store one step of every seed.

        Raises:
            ValueError: a reward or an observation that is no number.
        """
        seen, led_to = self._inputs.store(obs), self._inputs.store(step.final_obs)
        flags = (np.asarray(step.terminated, np.bool_), np.asarray(step.truncated, np.bool_))
        result = (np.ascontiguousarray(step.reward, np.float32), *flags, led_to)
        done = np.ascontiguousarray(actions, np.int64)
        wrong = self._push(self.parts.replay, self.parts.priorities, seen, done, result)
        if wrong >= 0:
            self.refuse(wrong, step, clock + 1)

    def refuse(self, i: int, step: Step, clock: int) -> None:
        """Say what learner i met that is no number, in environment step ``clock``.

        Raises:
            ValueError: always.
        """
        met = f"observed {step.final_obs[i]} and earned {step.reward[i]}"
        raise ValueError(f"{self._spec.id}: seed {self._seeds[i]} {met} in step {clock:,}, expected finite numbers")

    def train(self, pace: Pace) -> None:
        """Update every seed's networks."""
        parts = self.parts
        parallel_for(lambda first, last: train_block((first, last), parts, pace), len(self._seeds))

    def copy(self) -> None:
        """The target networks become the online ones."""
        copy_all(self.parts.brain)

    def greedy(self) -> GreedyNetwork:
        """The greedy policy as of now."""
        averaged = self.parts.brain.online._replace(params=self.parts.brain.average)
        return GreedyNetwork(averaged, self.parts.rule, self._inputs, self._seeds)

    def state(self) -> State:
        """Networks, optimiser, replay, priorities, streams."""
        parts, brain, habit = self.parts, self.parts.brain, self.parts.hand.habit
        weights = {"online": brain.online.params, "target": brain.target.params, "eval_ema": brain.average}
        nets = {name: each.copy() for name, each in weights.items()}
        slots = {"moments": brain.optimizer.moments.copy(), "step_count": brain.optimizer.step_count.copy()}
        counted = {"loss": parts.loss.copy(), "failed_at": parts.failed_at.copy()}
        counted |= {"held": habit.held.copy(), "left": habit.left.copy()}
        streams = {"exploration": parts.hand.stream.copy(), "replay": parts.streams.copy()}
        kept = {"replay": save_replay(parts.replay), "priorities": save_priorities(parts.priorities)}
        return nets | slots | counted | kept | {"streams": streams}

    def restore(self, state: State) -> None:
        """Go on from ``state``."""
        parts, brain, habit = self.parts, self.parts.brain, self.parts.hand.habit
        brain.online.params[...], brain.target.params[...] = state["online"], state["target"]
        brain.average[...] = state["eval_ema"]
        brain.optimizer.moments[...], brain.optimizer.step_count[...] = state["moments"], state["step_count"]
        parts.loss[:], parts.failed_at[:] = state["loss"], state["failed_at"]
        habit.held[:], habit.left[:] = state["held"], state["left"]
        parts.hand.stream[...], parts.streams[...] = state["streams"]["exploration"], state["streams"]["replay"]
        load_replay(parts.replay, state["replay"])
        load_priorities(parts.priorities, state["priorities"])


def _make_parts(spec: EnvSpec, seed_list: Sequence[int], config: Any, inputs: Inputs) -> Parts:
    """The parts of a learner that has learned nothing yet."""
    n, n_seeds = n_actions(spec, "dqn"), len(seed_list)
    out, explore = n + config.dueling, make_explore(config.explore)
    fewer = "fewer seeds, or a smaller agent.buffer_size, agent.batch_size or agent.network"
    check_fits("dqn", spec, _bytes(config, n_seeds, inputs, out), fewer)
    sizes = (inputs.width, *config.network.hidden, out)
    online = make_net(sizes, config.network.activation == "tanh", seed_list, config.batch_size)
    average = online.params.copy() if config.eval_ema else online.params
    draws, priorities = rng.pcg64_states(seed_list, "exploration"), config.priority if config.prioritized else None
    return Parts(
        rule=Rule(
            config.double, config.dueling, config.loss == "huber", inputs.n_classes, action_lists(legal_rows(spec, n))
        ),
        brain=Brain(online, clone(online), average, make_optimizer(config.optimizer, n_seeds, n_params(sizes))),
        replay=make_replay((n_seeds, config.buffer_size, inputs.n_stored), config.n_step, discount(spec, config.gamma)),
        priorities=make_priorities(priorities, n_seeds, config.buffer_size),
        streams=rng.pcg64_states(seed_list, "replay"),
        batch=make_batch(n_seeds, config.batch_size, (inputs.width, out, n)),
        hand=make_hand(draws, explore, config.max_action_repeat, (max(inputs.width, out), n)),
        scale=inputs.scale,
        views=np.zeros((n_seeds, 2, inputs.n_stored), np.float32),
        loss=np.zeros(n_seeds),
        failed_at=np.zeros(n_seeds, np.int64),
    )


class GreedyNetwork:
    """Acts by the highest value, ties at random; see :class:`simulator.core.protocols.Policy`.

    Args:
        net: the networks; their weights are copied.
        rule: how outputs are values, and which actions exist.
        inputs: how observations become inputs.
        seed_list: the run's seeds, for the streams that break ties.
    """

    def __init__(self, net: Net, rule: Rule, inputs: Inputs, seed_list: list[int]) -> None:
        self._net, self._rule, self._inputs = net._replace(params=net.params.copy()), rule, inputs
        widest, n = max(inputs.width, int(net.sizes[-1])), rule.legal_actions.shape[1] - 1
        self._hand = make_hand(rng.pcg64_states(seed_list, "ties"), GREEDY, 1, (widest, n))

    def act(self, obs: Array, first: Array) -> Array:
        """One of the best actions at obs [S, *obs], int64 [S]."""
        actions = np.zeros(len(self._hand.stream), np.int64)
        act_all(self._net, self._rule, self._hand, self._inputs.store(obs), 0, actions)
        return actions

    def values(self, obs: Array) -> Array:
        """Action values [S, B, A] at obs [B, *obs]; 0 for actions that do not exist."""
        stored = self._inputs.store(obs)
        values = np.zeros((len(self._hand.stream), len(stored), self._hand.q.shape[1]))
        values_all(self._net, self._rule, self._hand, stored, values)
        return values

    def probs(self, obs: Array) -> Array:
        """Uniform over the best actions, [S, B, A]."""
        return uniform_best(self.values(obs), self._rule.legal_actions, self._inputs.store(obs))


def _bytes(config: Any, n_seeds: int, inputs: Inputs, out: int) -> int:
    """Memory of replay, priorities, networks and batches of all seeds."""
    kind = config.priority.kind if config.prioritized else ""
    replay = replay_bytes(config.buffer_size, config.n_step, 4 * inputs.n_stored) + bytes_of(kind, config.buffer_size)
    sizes = (inputs.width, *config.network.hidden, out)
    batch = 4 * config.batch_size * (2 * inputs.width + 4 * sum(sizes[1:]))
    return n_seeds * (replay + 4 * 6 * n_params(sizes) + batch)
