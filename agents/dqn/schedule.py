"""When deep Q-learning trains and copies, and how fast it learns then: pure functions of the environment step.

They are plain, for the loop in Python; the compiled one takes them as lanes.
"""

from __future__ import annotations

from typing import Any, NamedTuple

from agents.common.networks.optimizers import linear_decay
from simulator.core.field_types import steps_of_run


class Schedule(NamedTuple):
    """What changes with the environment step, as compiled code takes it."""

    learning_starts: int  # steps before the first training
    train_frequency: int  # steps from one training to the next
    gradient_steps: int  # of a training
    target_update_interval: int  # steps from one copy of the network to the next; 0: the target follows softly
    tau: float
    eval_ema: float
    beta: float
    beta_steps: int
    rate: float
    last_rate: float
    rate_steps: int


class Pace(NamedTuple):
    """How fast things go at this moment."""

    gradient_steps: int  # of the networks, one after the other
    beta: float  # correction of prioritized draws
    share: float  # of the first learning rate
    tau: float  # towards the online weights after every update; 0: only when they are copied
    eval_ema: float  # towards the online weights after every update; 0: there is no average
    clock: int  # environment steps


def make_schedule(config: Any) -> Schedule:
    """The schedule in the settings of :class:`agents.dqn.Config`."""
    share = 0.0 if config.target_update_interval else float(config.tau)
    counts = (config.learning_starts, config.train_frequency, config.gradient_steps, config.target_update_interval)
    beta = (float(config.priority.beta), steps_of_run(config.priority.beta_steps))
    rate = (float(config.optimizer.learning_rate), float(config.optimizer.lr_end), config.optimizer.lr_decay_steps)
    return Schedule(*counts, share, float(config.eval_ema), *beta, *rate)


def trains_at(schedule: Schedule, clock: int) -> bool:
    """Whether environment step ``clock``, counted from 1, ends with a training."""
    return clock >= schedule.learning_starts and clock % schedule.train_frequency == 0


def copies_at(schedule: Schedule, clock: int) -> bool:
    """Whether it ends with a copy of the network to its target."""
    return schedule.target_update_interval > 0 and clock % schedule.target_update_interval == 0


def pace_at(schedule: Schedule, clock: int) -> Pace:
    """The pace of the training at environment step ``clock``."""
    risen = min(clock / schedule.beta_steps, 1.0) if schedule.beta_steps else 0.0
    beta = schedule.beta + (1.0 - schedule.beta) * risen
    share = linear_decay(clock, schedule.rate_steps, schedule.rate, schedule.last_rate)
    before = max(clock - 1, 0) // schedule.train_frequency - (schedule.learning_starts - 1) // schedule.train_frequency
    trained = max(before, 0) * schedule.gradient_steps
    average = (
        max(schedule.eval_ema, 1.0 / (1 + trained)) if schedule.eval_ema > 0.0 else 0.0
    )  # no trace of the beginning
    return Pace(schedule.gradient_steps, beta, share, schedule.tau, average, clock)
