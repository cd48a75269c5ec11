"""REINFORCE with torch networks: for pictures, and for every environment on a device other than the CPU.

On the CPU every seed has networks of its own, so that it learns from its batch when that is complete, without the
others; elsewhere all seeds are one tensor, and those that wait go along unused.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from agents.common.memory_check import check_fits
from agents.common.networks.network_torch import TorchNetwork
from agents.common.networks.optimizers import OptimizerSettings, lr_scale_at, make_optimizer
from agents.common.spaces import is_image, uniform_best
from agents.reinforce.border import Border
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
from agents.reinforce.kernels import best_all, draw_all, policy_all, std_all, value_all
from agents.reinforce.setup import ADVICE, make_hand, row_bytes
from agents.reinforce.views_torch import Pictures, Vectors
from simulator.core import rng
from simulator.core.devices import device
from simulator.core.jit import parallel_for
from simulator.core.protocols import Array, EnvSpec, Metrics, State, Step


class Groups:
    """Networks of S seeds as groups that learn on their own: single seeds on the CPU, all of them elsewhere.

    Args:
        members: the seeds of every group.
        nets: the networks of every group.
    """

    def __init__(self, members: list[slice], nets: list[TorchNetwork]) -> None:
        self.members, self.nets = members, nets

    def forward(self, x: Array) -> Array:
        """Outputs [S, B, out] at x [S, B, *in], to act by."""
        outputs: list[Array] = [x] * len(self.nets)

        def work(first: int, last: int) -> None:
            for g in range(first, last):
                outputs[g] = self.nets[g].forward(x[self.members[g]], keep=False)

        parallel_for(work, len(self.nets))
        return np.concatenate(outputs)

    def twin(self) -> Groups:
        """Networks of the same weights that are held still."""
        return Groups(self.members, [net.clone() for net in self.nets])

    def state(self) -> State:
        """Weights and optimisers, [S, ...], however they are grouped."""
        states = [net.state() for net in self.nets]
        return {name: np.concatenate([each[name] for each in states]) for name in states[0]}

    def restore(self, state: State) -> None:
        """Go on from ``state``."""
        for at, net in zip(self.members, self.nets, strict=True):
            net.restore({name: values[at] for name, values in state.items()})


def make_groups(build: Callable[[], Any], seed_list: Sequence[int], settings: OptimizerSettings) -> Groups:
    """Networks with random weights from each seed's own stream."""
    n = len(seed_list)
    members = [slice(i, i + 1) for i in range(n)] if device() == "cpu" else [slice(0, n)]
    return Groups(members, [TorchNetwork(build, seed_list[at], settings) for at in members])


class TorchReinforce:
    """S learners; see :class:`simulator.core.protocols.Agent`.

    Args:
        spec: the environment.
        seed_list: the run's seeds.
        config: settings of the agent.
        made: (border, rule) for the environment and the settings.
    """

    def __init__(self, spec: EnvSpec, seed_list: Sequence[int], config: Any, made: tuple[Border, Rule]) -> None:
        n, self._seeds, self._config, (_, self._rule) = len(seed_list), list(seed_list), config, made
        self._view, self._valued = _view(spec, n, config, made), config.baseline == "value"
        border = self._border = self._view.border
        self._hand = make_hand(spec, seed_list, config, border)
        self._policy = make_groups(self._view.build(border.n_outputs), self._seeds, config.optimizer)
        self._value = make_groups(self._view.build(1), self._seeds, config.value_optimizer)
        self._std = make_optimizer(config.optimizer, *self._hand.log_std.shape)
        size, widths = (config.episodes, self._rule.longest), (border.n_kept, border.n_drawn)
        self._episodes = make_episodes(n, size, widths, self._view.kind)
        self._counts, self._loss = Counts(np.zeros(n, np.int64), np.zeros(n, np.int64)), np.zeros((n, 3))
        self._drawn = np.zeros((n, border.n_drawn), np.float32)
        self.gamma, self.failed_at, self._metrics = self._rule.gamma, self._counts.failed_at, metrics_of(self._loss)

    def act(self, obs: Array) -> Array:
        """Actions drawn from the policy, int64 [S] or [S, *action]."""
        seen, x = self._view.enter(obs)
        self._hand.y[:] = self._policy.forward(x)[:, 0]
        draw_all(self._hand, self._rule, seen, self._drawn)
        return self._border.actions(self._drawn)

    def learn(self, obs: Array, actions: Array, step: Step) -> Metrics:
        """Keep the step; the seeds that have their episodes together learn from them."""
        seen, led_to = self._view.enter(obs)[0], self._view.leave(step)
        if self._rule.discrete:
            self._drawn[:, 0] = actions
        ends = (np.ascontiguousarray(flag, np.bool_) for flag in (step.terminated, step.truncated))
        outcome = (np.ascontiguousarray(step.reward, np.float32), *ends, led_to)
        if record_all(self._episodes, self._rule, self._counts, seen, self._drawn, outcome):
            parallel_for(self._update, len(self._policy.members))
        return self._metrics

    def _update(self, first: int, last: int) -> None:
        for g in range(first, last):
            full = self._episodes.n_episodes[self._policy.members[g]] == self._config.episodes
            if full.any():
                self._learn(g, full)

    def _learn(self, g: int, full: Array) -> None:
        """Update the seeds of group g that are ``full`` [G]."""
        at, clock = self._policy.members[g], int(self._counts.clock[0])
        episodes, sound, loss = _part(self._episodes, at), full.copy(), self._loss[at].copy()
        n_rows = np.where(full, episodes.n_rows, 0)
        used = np.arange(n_rows.max()) < n_rows[:, None]
        x, tail = self._view.batch(at, episodes.obs[:, : used.shape[1]], used), self._tails(g, full)
        shares = [lr_scale_at(each, clock) for each in (self._config.optimizer, self._config.value_optimizer)]
        for update in range(self._rule.value_updates):
            returns, dv, losses = np.zeros(used.shape), np.zeros(used.shape, np.float32), np.zeros(len(full))
            value = self._value.nets[g].forward(x)[..., 0] if self._valued else np.zeros(used.shape, np.float32)
            value_all(episodes, self._rule, sound, (tail, np.ascontiguousarray(value)), (returns, dv, losses))
            sound &= np.isfinite(losses)
            if update == 0:
                loss[:, 1] = losses
                self._improve_policy(g, (episodes, x), (returns, np.ascontiguousarray(value)), (sound, loss, shares[0]))
            if self._valued:
                sound &= np.isfinite(self._value.nets[g].apply_gradient(dv[..., None], sound, shares[1]))
        self._loss[at][sound] = loss[sound]
        self.failed_at[at][full & ~sound] = clock
        episodes.n_rows[full], episodes.n_episodes[full] = 0, 0

    def _tails(self, g: int, full: Array) -> Array:
        """What follows the last step of every episode of group g, float64 [G, E]; see the compiled kind."""
        at = self._policy.members[g]
        episodes = _part(self._episodes, at)
        used = episodes.truncated & full[:, None]
        if not (self._valued and self._rule.bootstrap and used.any()):
            return np.zeros(used.shape)
        x = self._view.batch(at, episodes.final_obs, used)
        return np.where(used, self._value.nets[g].forward(x, keep=False)[..., 0], 0.0).astype(np.float64)

    def _improve_policy(self, g: int, batch: Any, rows: Any, how: Any) -> None:
        """One step of the policy and its log std; what is not finite leaves ``sound``."""
        (episodes, x), (returns, value), (sound, loss, share) = batch, rows, how
        at, net = self._policy.members[g], self._policy.nets[g]
        hand, y = _part(self._hand, at)._replace(legal_actions=self._hand.legal_actions), net.forward(x)
        flat, std = y.reshape(len(y), -1), np.zeros(hand.log_std.shape)
        dy = np.zeros_like(flat)
        out = (np.zeros(returns.shape), dy, std, loss)
        policy_all(episodes, hand, self._rule, sound, (returns, value, flat), out)
        sound &= np.isfinite(loss[:, 0])
        sound &= np.isfinite(net.apply_gradient(dy.reshape(y.shape), sound, share))
        if not self._rule.discrete:
            optimizer = self._std._replace(moments=self._std.moments[at], step_count=self._std.step_count[at])
            std_all(optimizer, hand.log_std, std.astype(np.float32), sound, share)

    def policy(self) -> TorchPolicy:
        """The most probable action, or the mean one, as of now."""
        return TorchPolicy(self._policy.twin(), self._hand, self._rule, self._view, self._seeds)

    def state(self) -> State:
        """Networks, optimisers, streams, counters, frames, and the episodes that wait for their update."""
        kept = {name: values.copy() for name, values in self._kept().items()}
        nets = {"policy": self._policy.state(), "value": self._value.state()}
        return kept | nets | {"view": self._view.state(), "episodes": save_episodes(self._episodes)}

    def restore(self, state: State) -> None:
        """Go on from ``state``."""
        self._policy.restore(state["policy"])
        self._value.restore(state["value"])
        self._view.restore(state["view"])
        load_episodes(self._episodes, state["episodes"])
        for name, values in self._kept().items():
            values[...] = state[name]

    def _kept(self) -> dict[str, Array]:
        std = {"std_slots": self._std.moments, "std_updates": self._std.step_count}
        own = {"log_std": self._hand.log_std, "stream": self._hand.stream, "loss": self._loss}
        return self._counts._asdict() | std | own


class TorchPolicy:
    """The most probable action, or the mean one; see :class:`simulator.core.protocols.Policy`.

    Args:
        nets: the policy's, held still.
        hand: what draws; only its list of actions that exist is used.
        rule: the settings.
        view: what the networks see.
        seed_list: the run's seeds, for the streams that break ties.
    """

    def __init__(self, nets: Groups, hand: Hand, rule: Rule, view: Any, seed_list: list[int]) -> None:
        self._nets, self._rule, self._view = nets, rule, view
        self._hand = hand._replace(stream=rng.pcg64_states(seed_list, "ties"), y=np.zeros_like(hand.y))
        self._watch, self._chosen = view.watcher(), np.zeros((len(seed_list), view.border.n_drawn), np.float32)

    def act(self, obs: Array, first: Array) -> Array:
        """The best action at obs [S, *obs]."""
        seen, x = self._watch(obs, first)
        self._hand.y[:] = self._nets.forward(x)[:, 0]
        best_all(self._hand, self._rule, seen, self._chosen)
        return self._view.border.actions(self._chosen)

    def probs(self, obs: Array) -> Array | None:
        """Uniform over the best actions, [S, B, A]; None for Box actions and for pictures, whose past frames count."""
        if not self._rule.discrete or self._view.kind is not np.float32:
            return None
        seen, x = self._view.enter(obs)
        every = np.repeat(x[None, :, 0], len(self._chosen), axis=0)
        return uniform_best(self._nets.forward(every), self._hand.legal_actions, seen)

    def values(self, obs: Array) -> None:
        """It has no action values."""


def _part(arrays: Any, at: slice) -> Any:
    """The same arrays of some seeds only, as views."""
    return type(arrays)(*(array[at] for array in arrays))


def _view(spec: EnvSpec, n_seeds: int, config: Any, made: tuple[Border, Rule]) -> Vectors | Pictures:
    """What the networks see.

    Raises:
        ValueError: sizes that do not go together, or more than is free; the line has the numbers.
    """
    border, rule = made
    n_rows = config.episodes * rule.longest
    view: Vectors | Pictures = Vectors(border, config.network)
    if is_image(spec):
        view = Pictures(spec, border, config.conv, n_rows + config.episodes)
    at_once = min(n_seeds, os.cpu_count() or 1) if device() == "cpu" else n_seeds
    needed = view.kept_bytes(n_seeds) + n_rows * (n_seeds * row_bytes(view.border) + at_once * view.row_bytes())
    check_fits("reinforce", spec, needed, ADVICE)
    view.begin(n_seeds)
    return view
