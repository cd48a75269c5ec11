"""Deep Q-learning with torch networks: for pictures, and for every environment on a device other than the CPU.

The same pieces as the compiled kind, around the contract :class:`simulator.core.protocols.Network`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from agents.common.exploration import GREEDY, make_explore
from agents.common.memory_check import check_fits
from agents.common.networks.conv import conv_builder
from agents.common.networks.modules_torch import count_params, dense
from agents.common.networks.network_torch import TorchNetwork
from agents.common.replay.buffer import load_replay, make_replay, replay_bytes, save_replay
from agents.common.replay.prioritized import bytes_of, load_priorities, make_priorities, save_priorities
from agents.common.spaces import is_image, make_inputs
from agents.common.tabular import action_lists, discount, legal_rows, n_actions
from agents.dqn.blocks import draw_all, revise_everywhere, roam_all, settle_all, slopes_all
from agents.dqn.policy import make_habit
from agents.dqn.schedule import Pace
from agents.dqn.targets import Rule
from agents.dqn.update import make_batch, push_all
from agents.dqn.views import PictureView, VectorView, picture_bytes
from simulator.core import rng
from simulator.core.protocols import Array, EnvSpec, Metrics, State, Step

NETWORK_BYTES = 4 * 6  # of a weight: online, target, average, gradient and two slots of the optimiser


class TorchLearner:
    """S learners with torch networks; see :class:`agents.dqn.learner.DenseLearner` for what it does.

    Args:
        spec: the environment.
        seed_list: the run's seeds.
        config: settings of the agent.
    """

    def __init__(self, spec: EnvSpec, seed_list: Sequence[int], config: Any) -> None:
        n, n_seeds = n_actions(spec, "dqn"), len(seed_list)
        self._spec, self._seeds, out = spec, list(seed_list), n + config.dueling
        self.gamma, self._explore = discount(spec, config.gamma), make_explore(config.explore)
        self._view, build = _view(spec, n_seeds, config, out)
        check_fits("dqn", spec, n_seeds * NETWORK_BYTES * count_params(build), "smaller networks, or fewer seeds")
        self._online = TorchNetwork(build, seed_list, config.optimizer)
        self._target = self._online.clone()
        self._average = self._online.clone() if config.eval_ema else self._online
        huber = config.loss == "huber"
        self._rule = Rule(config.double, config.dueling, huber, self._view.n_classes, action_lists(legal_rows(spec, n)))
        shape = (n_seeds, config.buffer_size, self._view.n_stored)
        replay = make_replay(shape, config.n_step, self.gamma, self._view.kind)
        priorities = make_priorities(config.priority if config.prioritized else None, n_seeds, config.buffer_size)
        self._streams = {name: rng.pcg64_states(seed_list, name) for name in ("exploration", "replay")}
        self._stored = (replay, priorities, self._streams["replay"])
        self._batch = make_batch(n_seeds, config.batch_size, (self._view.width, out, n))
        self._loss, self.failed_at = np.zeros(n_seeds), np.zeros(n_seeds, np.int64)
        self.metrics: Metrics = {"loss": self._loss}
        self._actions, self._q = np.zeros(n_seeds, np.int64), np.zeros(n, np.float32)
        self._habit = make_habit(config.max_action_repeat, n_seeds, self._explore.softmax)
        self._seen = np.zeros((n_seeds, self._view.n_stored), self._view.kind)

    def act(self, obs: Array, clock: int) -> Array:
        """Exploring actions, int64 [S], at obs [S, *obs] after ``clock`` environment steps."""
        self._seen, x = self._view.enter(obs)
        draws = (self._streams["exploration"], self._explore, clock)
        if roam_all(self._rule, self._seen, (*draws, self._habit), self._actions):
            outputs = self._online.forward(x, keep=False)[:, 0]
            settle_all(outputs, self._rule, self._seen, (*draws, self._q), self._actions)
        return self._actions

    def push(self, obs: Array, actions: Array, step: Step, clock: int) -> None:
        """Store one step of every seed.

        Raises:
            ValueError: a reward or an observation that is no number.
        """
        seen, led_to = self._view.enter(obs)[0], self._view.leave(step)
        flags = (np.asarray(step.terminated, np.bool_), np.asarray(step.truncated, np.bool_))
        result = (np.ascontiguousarray(step.reward, np.float32), *flags, led_to)
        wrong = push_all(*self._stored[:2], seen, np.asarray(actions, np.int64), result)
        if wrong >= 0:
            raise ValueError(
                f"{self._spec.id}: seed {self._seeds[wrong]} earned {step.reward[wrong]} in step {clock + 1:,}, "
                "expected finite numbers"
            )

    def train(self, pace: Pace) -> None:
        """Update every seed's networks."""
        for _ in range(pace.gradient_steps):
            mask = self.failed_at == 0
            draw_all(self._stored, self._batch, pace.beta, mask)
            self._update(pace, mask)

    def _update(self, pace: Pace, mask: Array) -> None:
        x, following = self._view.batch(self._stored[0], self._rule, self._batch)
        valued = self._target.forward(following, keep=False)
        chosen = self._online.forward(following, keep=False) if self._rule.double else valued
        outputs = tuple(y.reshape(len(y), -1) for y in (valued, chosen, self._online.forward(x)))
        loss = self._loss.copy()
        slopes_all(self._stored, self._rule, self._batch, outputs, (mask, loss))
        norm = self._online.apply_gradient(self._batch.dy, mask, pace.share)
        sound = mask & np.isfinite(loss) & np.isfinite(norm)
        self.failed_at[mask & ~sound] = pace.clock
        self._loss[sound] = loss[sound]
        revise_everywhere(self._stored, self._batch, sound)
        if pace.tau:
            self._target.polyak_update(self._online, pace.tau)
        if pace.eval_ema:
            self._average.polyak_update(self._online, pace.eval_ema)

    def copy(self) -> None:
        """The target networks become the online ones."""
        self._target.polyak_update(self._online)

    def greedy(self) -> TorchPolicy:
        """The greedy policy as of now."""
        return TorchPolicy(self._average.clone(), self._rule, self._view, self._seeds)

    def state(self) -> State:
        """Networks, optimiser, replay, priorities, frames, streams."""
        nets = {"online": self._online, "target": self._target, "eval_ema": self._average}
        counted = {"loss": self._loss.copy(), "failed_at": self.failed_at.copy(), "view": self._view.state()}
        counted |= {"held": self._habit.held.copy(), "left": self._habit.left.copy()}
        streams = {name: words.copy() for name, words in self._streams.items()}
        kept = {"replay": save_replay(self._stored[0]), "priorities": save_priorities(self._stored[1])}
        return {name: net.state() for name, net in nets.items()} | counted | kept | {"streams": streams}

    def restore(self, state: State) -> None:
        """Go on from ``state``."""
        for name, net in (("target", self._target), ("eval_ema", self._average), ("online", self._online)):
            net.restore(state[name])
        self._loss[:], self.failed_at[:] = state["loss"], state["failed_at"]
        self._view.restore(state["view"])
        self._habit.held[:], self._habit.left[:] = state["held"], state["left"]
        for name, words in self._streams.items():
            words[...] = state["streams"][name]
        load_replay(self._stored[0], state["replay"])
        load_priorities(self._stored[1], state["priorities"])


class TorchPolicy:
    """Acts by the highest value, ties at random; see :class:`simulator.core.protocols.Policy`.

    Args:
        net: the networks, held still.
        rule: how outputs are values, and which actions exist.
        view: what they see.
        seed_list: the run's seeds, for the streams that break ties.
    """

    def __init__(self, net: TorchNetwork, rule: Rule, view: VectorView | PictureView, seed_list: list[int]) -> None:
        self._net, self._rule, self._view, self._watch = net, rule, view, view.watcher()
        self._habit = make_habit(1, len(seed_list))
        self._stream, self._q = (
            rng.pcg64_states(seed_list, "ties"),
            np.zeros(rule.legal_actions.shape[1] - 1, np.float32),
        )

    def act(self, obs: Array, first: Array) -> Array:
        """One of the best actions at obs [S, *obs], int64 [S]."""
        stored, x = self._watch(obs, first)
        actions = np.zeros(len(self._stream), np.int64)
        draws = (self._stream, GREEDY, 0)
        roam_all(self._rule, stored, (*draws, self._habit), actions)
        settle_all(self._net.forward(x, keep=False)[:, 0], self._rule, stored, (*draws, self._q), actions)
        return actions

    def values(self, obs: Array) -> None:
        """None: what it thinks depends on the frames before."""

    def probs(self, obs: Array) -> None:
        """None: what it does depends on the frames before."""


def _view(spec: EnvSpec, n_seeds: int, config: Any, out: int) -> tuple[VectorView | PictureView, Callable[[], Any]]:
    advice = "a smaller agent.buffer_size, or fewer seeds"
    drawn = bytes_of(config.priority.kind if config.prioritized else "", config.buffer_size)
    if is_image(spec):
        size = (spec, n_seeds, config.conv.frames, config.buffer_size, config.n_step)
        places = replay_bytes(config.buffer_size, config.n_step, 8)
        check_fits("dqn", spec, picture_bytes(*size) + n_seeds * (places + drawn), advice)
        view = PictureView(*size)
        return view, conv_builder(config.conv, view.shape, out)
    inputs = make_inputs(spec, "dqn", config.normalize_obs)
    kept = replay_bytes(config.buffer_size, config.n_step, 4 * inputs.n_stored)
    check_fits("dqn", spec, n_seeds * (kept + drawn), advice)
    sizes = (inputs.width, *config.network.hidden, out)
    return VectorView(inputs), lambda: dense(sizes, config.network.activation == "tanh")
