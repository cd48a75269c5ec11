"""Sliding window: the last k observations, the oldest first, in place of the latest one.

The plainest memory, and the control of every recurrence: what happened more than k observations ago is unknown. Before
an episode's first observation the window holds zeros. A class is one unit for each. With ``actions`` every observation
stands beside the action that led to it, zeros where none did.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import prod
from typing import Annotated

import numpy as np
from gymnasium import spaces
from msgspec import Meta

from agents.common.encoders.encoded import Carry
from agents.common.networks.sequence_learner import SequenceLearner
from agents.common.spaces import is_image, make_observation_adapter
from simulator.core.protocols import Array, EnvSpec, State
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


class Window:
    """S windows; see :class:`agents.common.encoders.encoded.Encoder`.

    Args:
        spec: the environment.
        seed_list: the run's seeds.
        config: the settings.

    Raises:
        ValueError: observations that are images, or actions that are neither classes nor numbers.
    """

    n_collected = 0

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
        low, high = _bounds(spec, adapter.n_inputs)
        block = [np.concatenate([bound, np.full(self._n_actions, edge)]) for bound, edge in ((low, -1.0), (high, 1.0))]
        bounds = [np.tile(bound, config.k).astype(np.float32) for bound in block]
        self.space = spaces.Box(*bounds, dtype=np.float32)

    def make_carry(self) -> Carry:
        """Make the windows [S, k, D] before a first observation, and the last actions [S, A]."""
        window = np.zeros((self._n_seeds, self._k, self._n_obs + self._n_actions), np.float32)
        return window, np.zeros((self._n_seeds, self._n_actions), np.float32)

    def encode(self, obs: Array, carry: Carry) -> Array:
        """Push obs [S, *obs], and return the window, float32 [S, k * D]."""
        window, last_action = carry
        window[:, :-1] = window[:, 1:]
        rows = self._encode(obs)
        if self._n_classes:
            rows = rows == np.arange(self._n_classes)
        window[:, -1, : self._n_obs] = rows
        window[:, -1, self._n_obs :] = last_action
        return window.reshape(self._n_seeds, -1).copy()

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
        rows = self._encode(obs)
        if self._n_classes:
            rows = (rows == np.arange(self._n_classes)).astype(np.float32)
        return np.repeat(rows[None], self._n_seeds, axis=0)

    def learn(self, obs: Array, clock: int) -> bool:
        """Learn nothing."""
        return False

    def frozen(self) -> Window:
        """Return itself: it never changes."""
        return self

    def state(self) -> State:
        """Return an empty state: what is carried is the agent's."""
        return {}

    def restore(self, state: State) -> None:
        """Do nothing."""


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
    """What the socket takes."""

    config: Config

    def encoder(self, spec: EnvSpec, seed_list: Sequence[int]) -> Window:
        """Make the windows of an environment's observations."""
        return Window(spec, seed_list, self.config)

    def sequence_learner(
        self, shape: SequenceShape, seed_list: Sequence[int], settings: LearnerSettings
    ) -> SequenceLearner:
        """Make S learners that see the last k rows of a sequence, through a dense layer of 32 units."""
        return SequenceLearner(None, shape, (_HIDDEN,), seed_list, settings, self.config.k)


def make(config: Config) -> WindowComponent:
    """Make the component for an agent."""
    return WindowComponent(config)
