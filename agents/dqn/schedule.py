"""When deep Q-learning trains and copies, and how fast it learns then: pure functions of the environment step.

They are plain, for the loop in Python; the compiled one takes them as lanes.
"""

from __future__ import annotations

from typing import Any, NamedTuple

from agents.common.networks.optimizers import faded
from simulator.core.field_types import steps_of_run


class Schedule(NamedTuple):
    """What changes with the environment step, as compiled code takes it."""

    starts: int  # steps before the first training
    train_every: int  # steps from one training to the next
    updates: int  # of a training
    target_every: int  # steps from one copy of the network to the next; 0: the target follows softly
    target_share: float
    average: float
    beta: float
    beta_steps: int
    rate: float
    last_rate: float
    rate_steps: int


class Pace(NamedTuple):
    """How fast things go at this moment."""

    updates: int  # of the networks, one after the other
    beta: float  # correction of prioritized draws
    share: float  # of the first learning rate
    target_share: float  # towards the online weights after every update; 0: only when they are copied
    average_share: float  # towards the online weights after every update; 0: there is no average
    clock: int  # environment steps


def make_schedule(config: Any) -> Schedule:
    """The schedule in the settings of :class:`agents.dqn.Config`."""
    share = 0.0 if config.target_every else float(config.target_share)
    counts = (config.starts, config.train_every, config.updates, config.target_every)
    beta = (float(config.priority.beta), steps_of_run(config.priority.beta_steps))
    rate = (float(config.optimizer.learning_rate), float(config.optimizer.last), config.optimizer.steps)
    return Schedule(*counts, share, float(config.average), *beta, *rate)


def trains_at(schedule: Schedule, clock: int) -> bool:
    """Whether environment step ``clock``, counted from 1, ends with a training."""
    return clock >= schedule.starts and clock % schedule.train_every == 0


def copies_at(schedule: Schedule, clock: int) -> bool:
    """Whether it ends with a copy of the network to its target."""
    return schedule.target_every > 0 and clock % schedule.target_every == 0


def pace_at(schedule: Schedule, clock: int) -> Pace:
    """The pace of the training at environment step ``clock``."""
    risen = min(clock / schedule.beta_steps, 1.0) if schedule.beta_steps else 0.0
    beta = schedule.beta + (1.0 - schedule.beta) * risen
    share = faded(clock, schedule.rate_steps, schedule.rate, schedule.last_rate)
    before = max(clock - 1, 0) // schedule.train_every - (schedule.starts - 1) // schedule.train_every
    trained = max(before, 0) * schedule.updates
    average = max(schedule.average, 1.0 / (1 + trained)) if schedule.average > 0.0 else 0.0  # no trace of the beginning
    return Pace(schedule.updates, beta, share, schedule.target_share, average, clock)
