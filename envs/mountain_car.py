"""Mountain car: a car too weak for the hill must swing back to gain speed (Gymnasium's MountainCar, compiled).

Bit for bit Gymnasium's ``MountainCar-v0``, which runs this environment unless ``--env.native false``. Source: Moore,
Efficient memory-based learning for robot control, 1990; gymnasium.envs.classic_control.

=========  ====================
action     meaning
=========  ====================
0          accelerate left
1          do not accelerate
2          accelerate right
=========  ====================

=============  ====================================================================================
observation    float32 [2]; an episode begins at rest between -0.6 and -0.4
=============  ====================================================================================
0              position along the x axis, -1.2 to 0.6; the flag stands at 0.5
1              velocity, -0.07 to 0.07 per step
               With ``--env.observe position``: float32 [1], without the velocity, which only memory can tell
=============  ====================================================================================

=================================================  ======================================================
event                                              reward and end
=================================================  ======================================================
a step                                             -1
the flag, with at least ``goal_velocity``          -1; terminates
200 steps (``max_steps``)                          truncates
=================================================  ======================================================
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import Literal

import numpy as np
from gymnasium import spaces

from envs.common.compiled_env import CompiledEnv, Dynamics, uniform_between
from envs.common.demo import show_env
from simulator.core.field_types import CountOrZero
from simulator.core.jit import jit_inline
from simulator.core.protocols import Array, EnvSpec
from simulator.core.scene import Scene

MIN_POSITION = -1.2
MAX_POSITION = 0.6
GOAL_POSITION = 0.5
MAX_SPEED = 0.07
FORCE = 0.001
GRAVITY = 0.0025
MAX_STEPS = 200
REWARD_THRESHOLD = -110.0
GOAL_VELOCITY = 0  # its place in the settings
STEPS_PER_SECOND = 30.0  # as Gymnasium's original is drawn
OBSERVED = ("position", "velocity")


@dataclass(frozen=True)
class Config:
    """Settings of the mountain car."""

    goal_velocity: float = 0.0
    """speed in units per step that the car must have at the flag, at least"""
    max_steps: CountOrZero = 0
    """steps after which an episode is truncated; 0: 200, as MountainCar-v0"""
    observe: Literal["all", "position"] = "all"
    """position: hide the velocity, so that only a player with memory can know it"""


def make(seed_list: Sequence[int], config: Config) -> CompiledEnv:
    """Make one car for every seed.

    Raises:
        ValueError: never, for settings within their ranges.
    """
    settings = np.array([config.goal_velocity], np.float64)
    dynamics = Dynamics(_start, _transition, _observe if config.observe == "all" else _observe_position)
    render = partial(_render, OBSERVED if config.observe == "all" else OBSERVED[:1])
    return CompiledEnv(describe(config), seed_list, dynamics, settings, np.zeros(2), render)


def describe(config: Config) -> EnvSpec:
    """Describe the environment. Not one of 409,600 random episodes came to the flag within 200 steps."""
    max_steps = config.max_steps or MAX_STEPS
    low = np.array([MIN_POSITION, -MAX_SPEED], np.float32)
    high = np.array([MAX_POSITION, MAX_SPEED], np.float32)
    if config.observe == "position":
        low = low[:1]
        high = high[:1]
    random_score = float(-max_steps) if max_steps <= MAX_STEPS else None
    reachable = max_steps > -REWARD_THRESHOLD and config.goal_velocity <= 0.0
    reward_threshold = REWARD_THRESHOLD if reachable else None
    return EnvSpec(
        "mountain_car",
        spaces.Box(low, high),
        spaces.Discrete(3),
        max_steps,
        random_score,
        reward_threshold,
        steps_per_second=STEPS_PER_SECOND,
    )


@jit_inline
def _start(copies, i):
    copies.state[i, 0] = uniform_between(copies, i, -0.6, -0.4)
    copies.state[i, 1] = 0.0


@jit_inline
def _transition(copies, i, action):
    position = copies.state[i, 0]
    velocity = copies.state[i, 1]
    velocity += (action - 1) * FORCE + math.cos(3 * position) * (-GRAVITY)
    velocity = min(max(velocity, -MAX_SPEED), MAX_SPEED)
    position = min(max(position + velocity, MIN_POSITION), MAX_POSITION)
    if position == MIN_POSITION and velocity < 0:
        velocity = 0.0
    copies.state[i, 0] = position
    copies.state[i, 1] = velocity
    return -1.0, position >= GOAL_POSITION and velocity >= copies.settings[GOAL_VELOCITY]


@jit_inline
def _observe(copies, i, obs):
    obs[i, 0] = copies.state[i, 0]
    obs[i, 1] = copies.state[i, 1]


@jit_inline
def _observe_position(copies, i, obs):
    obs[i, 0] = copies.state[i, 0]


def _render(observed: tuple[str, ...], state: Array, episode_step: int) -> Scene:
    """Draw the hills, the flag, and the car as a stroke along the ground."""
    position, velocity = state
    ground = np.linspace(MIN_POSITION, MAX_POSITION, 41)
    hills = np.stack([ground[:-1], _height(ground[:-1]), ground[1:], _height(ground[1:])], axis=1)
    flag = np.array([GOAL_POSITION, _height(GOAL_POSITION), GOAL_POSITION, _height(GOAL_POSITION) + 0.15])
    ends_of_car = np.array([position - 0.05, position + 0.05])
    car = np.stack([ends_of_car, _height(ends_of_car) + 0.04], axis=1).ravel()
    lines = (np.vstack([hills, flag, car]) - [MIN_POSITION, 0, MIN_POSITION, 0]) / (MAX_POSITION - MIN_POSITION)
    facts = {"step": str(episode_step), "position": f"{position:.2f}", "velocity": f"{velocity:.3f}"}
    return Scene("mountain car", lines=lines, actions=("left", "idle", "right"), facts=facts, observed=observed)


def _height(place: Array | float) -> Array:
    return np.sin(3 * np.asarray(place)) * 0.45 + 0.55


if __name__ == "__main__":
    show_env("mountain_car")
