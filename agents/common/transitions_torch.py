"""Generative networks as models of transitions: one pattern holds observation, action, what follows, reward and end.

========================  =============================================================================
part of a pattern         units, from -1 to 1
========================  =============================================================================
observation               see :mod:`agents.common.encoders.patterns`
action                    one for each: 1 for the action, -1 for the others
next observation          a class as above; numbers as the change of each, over the largest change seen
reward                    over the range of the rewards seen
end                       1 where the step terminated the episode, -1 elsewhere
========================  =============================================================================

The network learns the distribution of whole patterns from the latest transitions, one update every few environment
steps, and generates new ones: also which observations and actions are imagined is its own choice. A generated class or
action is the unit with the largest mean, and one that does not exist at an observation is replaced by the best that
does.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch
from gymnasium import spaces

from agents.common.encoders.learned_torch import packed, unpacked
from agents.common.encoders.patterns import make_pattern_adapter
from agents.common.memory_check import check_fits
from agents.common.spaces import is_image, legal_rows, n_actions
from agents.common.transitions import ImaginationSettings, RealTransitions, TransitionBatch
from memory.common.networks.arithmetic_torch import Optimizer
from memory.common.networks.layers_torch import Weights
from simulator.core import rng
from simulator.core.devices import device, hold_torch
from simulator.core.memories import PatternSpec
from simulator.core.protocols import Array, EnvSpec, State

MIN_CHANGE = 1e-6  # of a number, at first


class GenerativeTransitions:
    """S generative models of transitions; see :class:`agents.common.transitions.TransitionModel`.

    Args:
        spec: the environment.
        seed_list: the run's seeds.
        make_network: makes the network of patterns.
        settings: when it learns and imagines.
        field: the setting that asks for it, for errors: ``agent.model = 'vae'``.

    Raises:
        ValueError: observations that are images, or actions that are not discrete.
    """

    def __init__(
        self,
        spec: EnvSpec,
        seed_list: Sequence[int],
        make_network: Callable[[PatternSpec], Any],
        settings: ImaginationSettings,
        field: str,
    ) -> None:
        if is_image(spec):
            raise ValueError(
                f"{field} on {spec.id}: observations are images, expected classes or numbers, which an agent.encoder "
                "makes of images"
            )
        torch.set_num_threads(1)
        self.imagined = settings.imagined
        self.warmup = settings.warmup
        self._settings = settings
        self._adapter = make_pattern_adapter(spec, field)
        self._n_actions = n_actions(spec, field)
        self._legal = legal_rows(spec, self._n_actions)
        self._obs_dtype = spec.observation.dtype if not isinstance(spec.observation, spaces.Discrete) else np.int64
        n_seeds, n = len(seed_list), self._adapter.n
        n_units = 2 * n + self._n_actions + 2
        check_fits(field, spec, n_seeds * settings.buffer_size * n_units * 4, "a smaller agent.model.buffer_size")
        self._kept = np.zeros((n_seeds, settings.buffer_size, n_units), np.float32)
        self._n_seen = 0
        self._change = np.full((n_seeds, n), MIN_CHANGE)  # the largest of each number
        self._low = np.zeros(n_seeds)  # of the rewards
        self._high = np.zeros(n_seeds)
        self._network = make_network(PatternSpec((n_units,), is_bipolar=False))
        streams = rng.generators(seed_list, "model")
        self._weights: Weights = self._network.init_weights(streams)
        self._stream = packed(streams)
        self._optimizers: dict[str, Optimizer] = self._network.make_optimizers(self._weights)

    def learn(self, obs: Array, actions: Array, reward: Array, next_obs: Array, done: Array) -> None:
        """Keep one step of every seed, and update the networks where it is time."""
        if self._settings.untrained and self._n_seen:  # one transition gives the ranges a place
            return
        self._keep(obs, actions, np.asarray(reward, np.float64), next_obs, done)
        n_kept = min(self._n_seen, self._settings.buffer_size)
        is_time = self._n_seen % self._settings.train_frequency == 0 and n_kept >= self._settings.batch_size
        if is_time and not self._settings.untrained:
            hold_torch(1)  # threads for every operation wait for one another longer than these take
            streams = unpacked(self._stream)
            rate = self._settings.learning_rate
            self._network.update(self._weights, self._optimizers, self._kept[:, :n_kept], streams, rate, 1.0)
            self._stream = packed(streams)

    def _keep(self, obs: Array, actions: Array, reward: Array, next_obs: Array, done: Array) -> None:
        n = self._adapter.n
        first = n + self._n_actions
        x, following = self._adapter.encode(obs), self._adapter.encode(next_obs)
        if not self._adapter.is_class:
            change = following.astype(np.float64) - x
            self._widen_changes(np.maximum(self._change, np.abs(change)))
            following = (change / self._change).astype(np.float32)
        low, high = (reward, reward) if not self._n_seen else (self._low, self._high)
        self._widen_rewards(np.minimum(low, reward), np.maximum(high, reward))
        row = self._kept[:, self._n_seen % self._settings.buffer_size]
        row[:, :n] = x
        row[:, n:first] = np.where(np.asarray(actions)[:, None] == np.arange(self._n_actions), 1.0, -1.0)
        row[:, first : first + n] = following
        row[:, -2] = (reward - self._middle()) / self._half()
        row[:, -1] = np.where(done, 1.0, -1.0)
        self._n_seen += 1

    def _widen_changes(self, widest: Array) -> None:
        """Rescale the changes that are kept, where a larger one was seen."""
        for i in np.flatnonzero((widest > self._change).any(axis=1)):
            factor = (self._change[i] / widest[i]).astype(np.float32)
            n, first = self._adapter.n, self._adapter.n + self._n_actions
            self._kept[i, :, first : first + n] *= factor
        self._change = widest

    def _widen_rewards(self, low: Array, high: Array) -> None:
        """Rescale the rewards that are kept, where one outside their range was seen."""
        wider = np.flatnonzero((low != self._low) | (high != self._high))
        middle, half = self._middle(), self._half()
        self._low, self._high = low, high
        for i in wider:
            rewards = self._kept[i, :, -2] * half[i] + middle[i]
            self._kept[i, :, -2] = (rewards - self._middle()[i]) / self._half()[i]

    def _middle(self) -> Array:
        return np.asarray((self._low + self._high) / 2.0)

    def _half(self) -> Array:
        half = (self._high - self._low) / 2.0
        return np.where(half > 0.0, half, 1.0)

    def imagine(self, n: int) -> TransitionBatch:
        """Generate n transitions for every seed."""
        hold_torch(1)
        streams = unpacked(self._stream)
        with torch.no_grad():
            patterns = self._network.generate(self._weights, n, streams).cpu().numpy()
        self._stream = packed(streams)
        return self._decoded(patterns)

    def _decoded(self, patterns: Array) -> TransitionBatch:
        """Read patterns [S, n, N] as transitions."""
        n_seeds, n_rows = patterns.shape[:2]
        is_finite = np.all(np.isfinite(patterns), axis=-1)
        patterns = np.where(is_finite[..., None], patterns, np.float32(0.0))
        n = self._adapter.n
        first = n + self._n_actions
        x, following = patterns[..., :n], patterns[..., first : first + n]
        if not self._adapter.is_class:
            following = np.clip(x + following * self._change[:, None], -1.0, 1.0)
        decode = self._adapter.decode
        assert decode is not None
        obs, next_obs = (np.asarray(decode(part.reshape(-1, n))).astype(self._obs_dtype) for part in (x, following))
        preference = patterns[..., n:first]
        if len(self._legal) > 1:
            preference = np.where(self._legal[obs].reshape(preference.shape), preference, -np.inf)
        half = np.where(self._high > self._low, self._half(), 0.0)  # where every reward was the same, so are these
        reward = patterns[..., -2] * half[:, None] + self._middle()[:, None]
        return TransitionBatch(
            obs.reshape(n_seeds, n_rows, *obs.shape[1:]),
            preference.argmax(axis=-1),
            np.where(is_finite, reward, np.nan).astype(np.float32),
            next_obs.reshape(n_seeds, n_rows, *next_obs.shape[1:]),
            patterns[..., -1] > 0.0,
        )

    def kept(self, index: int, n: int) -> RealTransitions:
        """Return the latest n transitions of one seed or as many as there are, the newest last."""
        capacity = self._kept.shape[1]
        rows = self._kept[index, np.arange(max(0, self._n_seen - min(n, capacity)), self._n_seen) % capacity]
        n_obs, first = self._adapter.n, self._adapter.n + self._n_actions
        x, following = rows[:, :n_obs], rows[:, first : first + n_obs]
        if not self._adapter.is_class:
            following = np.clip(x + following * self._change[index], -1.0, 1.0)
        decode = self._adapter.decode
        assert decode is not None
        obs, next_obs = (np.asarray(decode(part)).astype(self._obs_dtype) for part in (x, following))
        return RealTransitions(obs, rows[:, n_obs:first].argmax(axis=-1), next_obs)

    def state(self) -> State:
        """Return weights, optimizers, streams, ranges, and the transitions that updates sample from."""
        n_kept = min(self._n_seen, self._settings.buffer_size)
        return {
            "weights": {name: weight.detach().cpu().numpy().copy() for name, weight in self._weights.items()},
            "optimizers": {name: optimizer.state() for name, optimizer in self._optimizers.items()},
            "stream": self._stream.copy(),
            "n_seen": self._n_seen,
            "change": self._change.copy(),
            "low": self._low.copy(),
            "high": self._high.copy(),
            "replay": {"patterns": self._kept[:, :n_kept].copy()},
        }

    def restore(self, state: State) -> None:
        """Continue from ``state``; without its transitions, from those that follow."""
        self._weights = {name: torch.tensor(state["weights"][name], device=device()) for name in self._weights}
        self._optimizers = self._network.make_optimizers(self._weights)
        for name, optimizer in self._optimizers.items():
            optimizer.restore(state["optimizers"][name])
        self._stream = np.array(state["stream"], np.uint64)
        self._change = np.array(state["change"])
        self._low, self._high = np.array(state["low"]), np.array(state["high"])
        self._n_seen = 0
        if "replay" in state:
            self._n_seen = state["n_seen"]
            saved = state["replay"]["patterns"]
            self._kept[:, : saved.shape[1]] = saved
