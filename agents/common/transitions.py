"""Models of transitions that an agent learns, and the transitions that it imagines by them.

A component for the socket ``model`` that generates transitions offers ``make(config)``, whose result has
``transition_model(spec, seeds, field)``, a :class:`TransitionModel`.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Annotated, Any, NamedTuple, Protocol, runtime_checkable

import numpy as np
from msgspec import Meta

from simulator.core.field_types import Count, CountOrZero, Positive
from simulator.core.protocols import Array, State

Width = Annotated[int, Meta(ge=1, le=65_536)]


class TransitionBatch(NamedTuple):
    """Imagined transitions of S seeds, n each."""

    obs: Array  # [S, n, *obs]
    action: Array  # int64 [S, n]
    reward: Array  # float32 [S, n]; NaN where the network's outputs are not finite
    next_obs: Array  # [S, n, *obs]
    done: Array  # bool [S, n]: terminated, nothing follows


def fail_diverged(imagined: TransitionBatch, failed_at: Array, clock: int) -> None:
    """Let the seeds fail, at environment step ``clock``, whose models imagine rewards that are not finite."""
    has_diverged = ~np.isfinite(imagined.reward).all(axis=1)
    failed_at[has_diverged & (failed_at == 0)] = clock


class TransitionModel(Protocol):
    """S models of the transitions of one environment."""

    imagined: int  # transitions to imagine per environment step
    warmup: int  # environment steps before the first of them

    def learn(self, obs: Array, actions: Array, reward: Array, next_obs: Array, done: Array) -> None:
        """Learn from one step of every seed: obs [S, *obs] led by actions [S] to next_obs; ``done``: it terminated."""

    def imagine(self, n: int) -> TransitionBatch:
        """Imagine n transitions for every seed."""

    def state(self) -> State:
        """Return the whole state; past transitions that only learning needs are its entry ``replay``."""

    def restore(self, state: State) -> None:
        """Continue from ``state``."""


@runtime_checkable
class KeepsTransitions(Protocol):
    """A model that keeps the real transitions that it learns from."""

    def kept(self, index: int, n: int) -> RealTransitions:
        """Return the latest n transitions of one seed or as many as there are, the newest last."""


class RealTransitions(NamedTuple):
    """Real transitions of one seed."""

    obs: Array  # [P, *obs]
    action: Array  # int64 [P]
    next_obs: Array  # [P, *obs]


@dataclass(frozen=True)
class ImaginationSettings:
    """Settings of a model that imagines."""

    imagined: Count
    warmup: CountOrZero
    batch_size: Count
    learning_rate: Positive
    train_frequency: Count
    buffer_size: Count
    untrained: bool


def imagination_of(config: Any) -> ImaginationSettings:
    """Pick the settings of imagination from a component's."""
    return ImaginationSettings(**{field.name: getattr(config, field.name) for field in fields(ImaginationSettings)})
