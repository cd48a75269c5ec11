"""What deep Q-learning does with networks, replay and streams: the compiled kind, for vectors and discrete views."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from agents.parts.dense import Net, make_net, n_params, twin
from agents.parts.dqn_update import (
    GREEDY,
    Brain,
    Pace,
    Rule,
    act_all,
    copy_all,
    make_batch,
    make_habit,
    push_all,
    train_block,
    values_all,
)
from agents.parts.explore_settings import make_explore
from agents.parts.memory_budget import check_fits
from agents.parts.observations import Inputs
from agents.parts.optimizers import make_optimizer
from agents.parts.priorities import bytes_of, load_priorities, make_priorities, save_priorities
from agents.parts.replay import load_replay, make_replay, save_replay
from agents.parts.tabular import discount, legal_rows, moves, n_actions, uniform_best
from simulator.core import seeds
from simulator.core.compiled import door, spread
from simulator.core.protocols import Array, Metrics, Spec, State, Step


class DenseLearner:
    """S learners with dense networks.

    Args:
        spec: the world.
        seed_list: the run's seeds.
        config: settings of the agent.
        inputs: how observations become inputs.
    """

    def __init__(self, spec: Spec, seed_list: Sequence[int], config: Any, inputs: Inputs) -> None:
        n, n_seeds = n_actions(spec, "dqn"), len(seed_list)
        self._spec, self._inputs, self._seeds = spec, inputs, list(seed_list)
        self.gamma, self._explore = discount(spec, config.gamma), make_explore(config.explore)
        out = n + config.dueling
        check_fits(
            "dqn",
            spec,
            _bytes(config, n_seeds, inputs, out),
            "fewer seeds, or a smaller agent.capacity, agent.batch or agent.network",
        )
        self._rule = Rule(
            config.double, config.dueling, config.loss == "huber", inputs.n_classes, moves(legal_rows(spec, n))
        )
        self._replay = make_replay((n_seeds, config.capacity, inputs.n_stored), config.n_step, self.gamma)
        self._priorities = make_priorities(config.priority if config.prioritized else None, n_seeds, config.capacity)
        self._batch = make_batch(n_seeds, config.batch, (inputs.width, out, n))
        sizes = (inputs.width, *config.network.hidden, out)
        online = make_net(sizes, config.network.activation == "tanh", seed_list, config.batch)
        average = online._replace(params=online.params.copy()) if config.average else online
        optimizer = make_optimizer(config.optimizer, n_seeds, n_params(sizes))
        self._brain = Brain(online, twin(online), average, optimizer)
        self._streams = {name: seeds.words(seed_list, name) for name in ("exploration", "replay")}
        self._loss, self.failed_at = np.zeros(n_seeds), np.zeros(n_seeds, np.int64)
        self.metrics: Metrics = {"loss": self._loss}
        self._actions = np.zeros(n_seeds, np.int64)
        self._room = (np.zeros((2, max(inputs.width, out)), np.float32), np.zeros(n, np.float32))
        self._habit = make_habit(config.random_steps, n_seeds)
        self._open_doors()

    def _open_doors(self) -> None:
        """What every step needs goes without type dispatch; its arguments are made to fit in ``act`` and ``push``."""
        seen, flags = np.zeros((len(self._seeds), self._inputs.n_stored), np.float32), self._loss > 0.0
        choice, step = (self._explore, 0, self._habit, self._room), (self._loss.astype(np.float32), flags, flags, seen)
        self._act = door(act_all, *self._chooser(), seen, self._streams["exploration"], choice, self._actions)
        self._push = door(push_all, self._replay, self._priorities, seen, self._actions, step)

    def _chooser(self) -> tuple[Any, Rule]:
        return self._brain.online, self._rule

    def act(self, obs: Array, clock: int) -> Array:
        """Exploring actions, int64 [S], at obs [S, *obs] after ``clock`` environment steps."""
        seen, choice = self._inputs.store(obs), (self._explore, clock, self._habit, self._room)
        self._act(*self._chooser(), seen, self._streams["exploration"], choice, self._actions)
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
        wrong = self._push(self._replay, self._priorities, seen, done, result)
        if wrong >= 0:
            raise ValueError(
                f"{self._spec.id}: seed {self._seeds[wrong]} observed {step.final_obs[wrong]} and earned "
                f"{step.reward[wrong]} in step {clock + 1}, expected numbers"
            )

    def train(self, pace: Pace) -> None:
        """Update every seed's networks."""
        stored, told = (self._replay, self._priorities, self._streams["replay"]), (pace, self._loss, self.failed_at)
        brain, rule, batch = self._brain, self._rule, self._batch
        spread(lambda first, last: train_block((first, last), brain, stored, rule, batch, told), len(self._seeds))

    def copy(self) -> None:
        """The target networks become the online ones."""
        copy_all(self._brain)

    def greedy(self) -> GreedyNetwork:
        """The greedy policy as of now."""
        return GreedyNetwork(self._brain.average, self._rule, self._inputs, self._seeds)

    def state(self) -> State:
        """Networks, optimiser, replay, priorities, streams."""
        brain = self._brain
        nets = {name: getattr(brain, name).params.copy() for name in ("online", "target", "average")}
        slots = {"slots": brain.optimizer.slots.copy(), "updates": brain.optimizer.updates.copy()}
        counted = {"loss": self._loss.copy(), "failed_at": self.failed_at.copy()}
        counted |= {"held": self._habit[1].copy(), "left": self._habit[2].copy()}
        streams = {name: words.copy() for name, words in self._streams.items()}
        kept = {
            "replay": save_replay(self._replay),
            "priorities": save_priorities(self._priorities),
            "streams": streams,
        }
        return nets | slots | counted | kept

    def restore(self, state: State) -> None:
        """Go on from ``state``."""
        brain = self._brain
        for name in ("online", "target", "average"):
            getattr(brain, name).params[...] = state[name]
        brain.optimizer.slots[...], brain.optimizer.updates[...] = state["slots"], state["updates"]
        self._loss[:], self.failed_at[:] = state["loss"], state["failed_at"]
        self._habit[1][:], self._habit[2][:] = state["held"], state["left"]
        for name, words in self._streams.items():
            words[...] = state["streams"][name]
        load_replay(self._replay, state["replay"])
        load_priorities(self._priorities, state["priorities"])


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
        self._stream, self._n = seeds.words(seed_list, "ties"), rule.moves.shape[1] - 1
        widest, self._habit = max(inputs.width, int(net.sizes[-1])), make_habit(1, len(seed_list))
        self._room = (np.zeros((2, widest), np.float32), np.zeros(self._n, np.float32))

    def act(self, obs: Array, first: Array) -> Array:
        """One of the best actions at obs [S, *obs], int64 [S]."""
        actions = np.zeros(len(self._stream), np.int64)
        act_all(
            self._net, self._rule, self._inputs.store(obs), self._stream, (GREEDY, 0, self._habit, self._room), actions
        )
        return actions

    def values(self, obs: Array) -> Array:
        """Action values [S, B, A] at obs [B, *obs]; 0 for actions that do not exist."""
        stored = self._inputs.store(obs)
        values = np.zeros((len(self._stream), len(stored), self._n))
        values_all(self._net, self._rule, stored, self._room, values)
        return values

    def probs(self, obs: Array) -> Array:
        """Uniform over the best actions, [S, B, A]."""
        return uniform_best(self.values(obs), self._rule.moves, self._inputs.store(obs))


def _bytes(config: Any, n_seeds: int, inputs: Inputs, out: int) -> int:
    """Memory of replay, priorities, networks and batches of all seeds."""
    kind = config.priority.kind if config.prioritized else ""
    replay = config.capacity * (8 * inputs.n_stored + 12) + bytes_of(kind, config.capacity)
    sizes = (inputs.width, *config.network.hidden, out)
    batch = 4 * config.batch * (2 * inputs.width + 4 * sum(sizes[1:]))
    return n_seeds * (replay + 4 * 6 * n_params(sizes) + batch)
