"""Sliding window: the last k observations, the oldest first, in place of the latest one.

The plainest memory, and the control of every recurrence: what happened more than k observations ago is unknown. Before
an episode's first observation the window holds zeros. A class is one unit for each. With ``actions`` every observation
stands beside the action that led to it, zeros where none did. With ``standardize`` the numbers of an observation get
mean 0 and standard deviation 1 over random play, so that a network sees small changes between observations too.
"""

from __future__ import annotations

from collections.abc import Sequence
from copy import copy
from dataclasses import dataclass
from math import prod
from typing import Annotated

import numpy as np
from gymnasium import spaces
from msgspec import Meta

from agents.common.encoders.codes import MIN_STD
from agents.common.encoders.encoded import Carry, Seen
from agents.common.memory_check import check_fits
from agents.common.networks.sequence_learner import SequenceLearner
from agents.common.spaces import is_image, make_observation_adapter
from simulator.core.field_types import Count
from simulator.core.protocols import Array, EnvSpec, State
from simulator.core.scene import Panel, StripPanel, action_names
from simulator.core.sequence_learning import LearnerSettings, SequenceShape

SOCKETS = ("encoder",)
_HIDDEN = 32  # units of a learner of sequences


@dataclass(frozen=True)
class Config:
    """Settings of a sliding window."""

    k: Annotated[int, Meta(ge=1, le=10_000)] = 4
    """observations in the window, the latest among them"""
    actions: bool = False
    """the window holds the actions beside the observations that they led to"""
    standardize: bool = False
    """observations get mean 0 and standard deviation 1 over those of random play"""
    collect: Count = 1_000
    """environment steps of random play at the beginning of a run, in which observations are collected and the agent
    learns nothing; counts only with standardize"""


class ObservationWindow:
    """S windows; see :class:`agents.common.encoders.encoded.Encoder`.

    Args:
        spec: the environment.
        seed_list: the run's seeds.
        config: the settings.

    Raises:
        ValueError: observations that are images, or actions that are neither classes nor numbers.
    """

    def __init__(self, spec: EnvSpec, seed_list: Sequence[int], config: Config) -> None:
        if is_image(spec):
            raise ValueError(
                f"agent.encoder = 'window' on {spec.id}: observations are images, expected classes or numbers; "
                "agent.conv.frames stacks images"
            )
        adapter = make_observation_adapter(spec, "agent.encoder = 'window'")
        self._n_seeds = len(seed_list)
        self._k = config.k
        self._encode = adapter.encode
        self._n_classes = adapter.n_classes
        self._n_obs = adapter.n_inputs
        self._action_space = spec.action
        self._n_actions = _n_units(spec) if config.actions else 0
        self.n_collected = config.collect if config.standardize else 0
        n_bytes = self._n_seeds * self.n_collected * self._n_obs * 4
        check_fits("agent.encoder = 'window'", spec, n_bytes, "fewer seeds, or a smaller agent.encoder.collect")
        self._kept = np.zeros((self._n_seeds, self.n_collected, self._n_obs), np.float32)
        self._n_seen = 0
        self._mean = np.zeros((self._n_seeds, self._n_obs), np.float32)
        self._scale = np.ones((self._n_seeds, self._n_obs), np.float32)
        low, high = _bounds(spec, adapter.n_inputs)
        if config.standardize:
            low, high = np.full(self._n_obs, -np.inf), np.full(self._n_obs, np.inf)
        low = np.tile(np.concatenate([low, np.full(self._n_actions, -1.0)]), config.k)
        high = np.tile(np.concatenate([high, np.full(self._n_actions, 1.0)]), config.k)
        self.space = spaces.Box(low.astype(np.float32), high.astype(np.float32), dtype=np.float32)

    def make_carry(self) -> Carry:
        """Make the windows [S, k, D] before a first observation, and the last actions [S, A]."""
        window = np.zeros((self._n_seeds, self._k, self._n_obs + self._n_actions), np.float32)
        return window, np.zeros((self._n_seeds, self._n_actions), np.float32)

    def encode(self, obs: Array, carry: Carry) -> Array:
        """Push obs [S, *obs], and return the window, float32 [S, k * D]."""
        window, last_action = carry
        window[:, :-1] = window[:, 1:]
        window[:, -1, : self._n_obs] = (self._rows(obs) - self._mean) * self._scale
        window[:, -1, self._n_obs :] = last_action
        return window.reshape(self._n_seeds, -1).copy()

    def _rows(self, obs: Array) -> Array:
        """Return the numbers of observations [B, *obs], float32 [B, N]; a class is one-hot."""
        rows = self._encode(obs)
        return (rows == np.arange(self._n_classes)).astype(np.float32) if self._n_classes else rows

    def see_actions(self, carry: Carry, actions: Array) -> None:
        """Keep the actions [S] for the observations that they lead to."""
        last_action = carry[1]
        if not self._n_actions:
            return
        if isinstance(self._action_space, spaces.Discrete):
            last_action[...] = np.asarray(actions)[:, None] == np.arange(self._n_actions)
        else:
            last_action[...] = np.asarray(actions).reshape(self._n_seeds, -1)

    def features(self, obs: Array) -> Array | None:
        """Return the features [S, B, F] of a window of one observation; None for longer ones."""
        if self._k > 1 or self._n_actions:
            return None
        features: Array = (self._rows(obs)[None] - self._mean[:, None]) * self._scale[:, None]
        return features

    def code_panels(self, index: int, seen: Seen) -> tuple[Panel, ...]:
        """Make a panel of one seed's window, a column for each observation, the oldest first."""
        values = seen.features.reshape(self._k, -1)
        names = tuple(f"number {k + 1}" for k in range(self._n_obs))
        names += tuple(f"last {name}" for name in action_names(self._n_actions))
        largest = float(np.abs(values).max(initial=1.0))
        title = f"window: the latest {self._k} observations, the oldest first"
        return (StripPanel(title, values.copy(), names, span=(-largest, largest)),)

    def learn(self, obs: Array, clock: int) -> bool:
        """Collect obs [S, *obs]; measure mean and scale when all are there."""
        if clock > self.n_collected:
            return False
        self._kept[:, self._n_seen] = self._rows(obs)
        self._n_seen += 1
        if clock < self.n_collected:
            return False
        kept = self._kept[:, : self._n_seen].astype(np.float64)
        self._mean[...] = kept.mean(axis=1)
        std = kept.std(axis=1)
        self._scale[...] = 1.0 / np.where(std > MIN_STD, std, 1.0)  # what did not vary may do so later
        self._kept = self._kept[:, :0].copy()
        self._n_seen = 0
        return True

    def frozen(self) -> ObservationWindow:
        """Return a copy that further learning leaves alone."""
        frozen = copy(self)
        frozen._mean = self._mean.copy()
        frozen._scale = self._scale.copy()
        return frozen

    def state(self) -> State:
        """Return mean and scale, and the observations that they are yet to be measured from."""
        return {
            "n_seen": self._n_seen,
            "mean": self._mean.copy(),
            "scale": self._scale.copy(),
            "replay": {"observations": self._kept[:, : self._n_seen].copy()},
        }

    def restore(self, state: State) -> None:
        """Continue from ``state``; without its observations, from those that follow."""
        self._mean[...] = state["mean"]
        self._scale[...] = state["scale"]
        self._n_seen = 0
        self._kept = np.zeros((self._n_seeds, self.n_collected, self._n_obs), np.float32)
        if "replay" in state:
            self._n_seen = state["n_seen"]
            self._kept[:, : self._n_seen] = state["replay"]["observations"]


def _n_units(spec: EnvSpec) -> int:
    """Count the numbers of an action: one for each discrete one, or those of a Box."""
    if isinstance(spec.action, spaces.Discrete):
        return int(spec.action.n)
    if isinstance(spec.action, spaces.Box):
        return prod(spec.action.shape)
    raise ValueError(
        f"agent.encoder.actions = true on {spec.id}: action space {spec.action}, expected Discrete or a Box"
    )


def _bounds(spec: EnvSpec, n: int) -> tuple[Array, Array]:
    """Return the bounds of an observation's numbers, [n] each, with 0 between them."""
    space = spec.observation
    if isinstance(space, spaces.Discrete):
        return np.zeros(n), np.ones(n)
    low, high = np.full(n, -np.inf), np.full(n, np.inf)
    if isinstance(space, spaces.Box):
        low, high = space.low.ravel().astype(np.float64), space.high.ravel().astype(np.float64)
    return np.minimum(low, 0.0), np.maximum(high, 0.0)


@dataclass(frozen=True)
class WindowComponent:
    """A window with its settings, until the environment is known."""

    config: Config

    def encoder(self, spec: EnvSpec, seed_list: Sequence[int]) -> ObservationWindow:
        """Make the windows of an environment's observations."""
        return ObservationWindow(spec, seed_list, self.config)

    def sequence_learner(
        self, shape: SequenceShape, seed_list: Sequence[int], settings: LearnerSettings
    ) -> SequenceLearner:
        """Make S learners that see the last k rows of a sequence, through a dense layer of 32 units."""
        return SequenceLearner(None, shape, (_HIDDEN,), seed_list, settings, self.config.k)


def make(config: Config) -> WindowComponent:
    """Make the component for an agent."""
    return WindowComponent(config)
