"""Mountain car: a car too weak for the hill must swing back to gain speed (Gymnasium's MountainCar, compiled).

Bit for bit Gymnasium's ``MountainCar-v0``, which runs this environment unless ``--env.native false``. The state is
position and velocity. Source: Moore, Efficient memory-based learning for robot control, 1990;
gymnasium.envs.classic_control.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from gymnasium import spaces

from envs.common.compiled_env import Loops, NativeEnv, between, copies, ends, first_wrong
from envs.common.demo import show_env
from simulator.core.field_types import CountOrZero
from simulator.core.jit import jit, jit_callback, jit_inline
from simulator.core.protocols import Array, EnvSpec
from simulator.core.scene import Scene

LEFT, RIGHT, GOAL, FASTEST = -1.2, 0.6, 0.5, 0.07
FORCE, GRAVITY = 0.001, 0.0025
LIMIT, SOLVED = 200, -110.0
GOAL_VELOCITY = 0  # its place in the rules


@dataclass(frozen=True)
class Config:
    """Settings of the mountain car."""

    goal_velocity: float = 0.0
    """speed in units per step that the car must have at the flag, at least"""
    max_steps: CountOrZero = 0
    """steps after which an episode is cut; 0: 200, as MountainCar-v0"""


def make(seed_list: Sequence[int], config: Config) -> NativeEnv:
    """One car for every seed.

    Raises:
        ValueError: never, for settings within their ranges.
    """
    spec, loops = describe(config), Loops(_reset, _step, _draw, move=_take)
    rules = np.array([config.goal_velocity], np.float64)
    return NativeEnv(spec, copies(seed_list, rules, 2, np.float64, spec.max_steps), loops)


def describe(config: Config) -> EnvSpec:
    """Description. Not one of 409,600 random episodes came to the flag within 200 steps: that is the floor."""
    limit = config.max_steps or LIMIT
    low, high = np.array([LEFT, -FASTEST], np.float32), np.array([RIGHT, FASTEST], np.float32)
    floor = float(-limit) if limit <= LIMIT else None
    solved = SOLVED if limit > -SOLVED and config.goal_velocity <= 0.0 else None
    return EnvSpec("mountain_car", spaces.Box(low, high), spaces.Discrete(3), limit, floor, solved)


@jit_inline
def _start(copies, i):
    copies.state[i, 0], copies.state[i, 1] = between(copies, i, -0.6, -0.4), 0.0


@jit_inline
def _move(copies, i, action):
    """Whether the car reached the flag, fast enough."""
    position, velocity = copies.state[i, 0], copies.state[i, 1]
    velocity += (action - 1) * FORCE + math.cos(3 * position) * (-GRAVITY)
    velocity = min(max(velocity, -FASTEST), FASTEST)
    position = min(max(position + velocity, LEFT), RIGHT)
    if position == LEFT and velocity < 0:
        velocity = 0.0
    copies.state[i, 0], copies.state[i, 1] = position, velocity
    return position >= GOAL and velocity >= copies.rules[GOAL_VELOCITY]


@jit_inline
def _see(copies, i, obs):
    obs[i, 0], obs[i, 1] = copies.state[i, 0], copies.state[i, 1]


@jit_callback
def _take(copies, i, action, step):
    """One step of copy i; whether its episode ended."""
    arrived = _move(copies, i, action)
    _see(copies, i, step.final_obs)
    ended = ends(copies, i, -1.0, arrived, step)
    if ended:
        _start(copies, i)
    _see(copies, i, step.obs)
    return ended


@jit
def _reset(copies, obs):
    for i in range(len(obs)):
        copies.clock[i] = 0
        _start(copies, i)
        _see(copies, i, obs)


@jit
def _step(copies, actions, step):
    wrong, ended = first_wrong(actions, 3), 0
    if wrong >= 0:
        return -1 - wrong
    for i in range(len(actions)):
        ended += _take(copies, i, actions[i], step)
    return ended


def _draw(state: Array, clock: int) -> Scene:
    """The hills, the flag, and the car as a stroke along the ground."""
    position, velocity = state
    ground = np.linspace(LEFT, RIGHT, 41)
    hills = np.stack([ground[:-1], _height(ground[:-1]), ground[1:], _height(ground[1:])], axis=1)
    flag = [GOAL, _height(GOAL), GOAL, _height(GOAL) + 0.15]
    ends_of_car = np.array([position - 0.05, position + 0.05])
    car = np.stack([ends_of_car, _height(ends_of_car) + 0.04], axis=1).ravel()
    lines = (np.vstack([hills, flag, car]) - [LEFT, 0, LEFT, 0]) / (RIGHT - LEFT)
    facts = {"step": str(clock), "position": f"{position:.2f}", "velocity": f"{velocity:.3f}"}
    return Scene("mountain car", lines=lines, actions=("left", "idle", "right"), facts=facts)


def _height(place: Array | float) -> Array:
    return np.sin(3 * np.asarray(place)) * 0.45 + 0.55


if __name__ == "__main__":
    show_env(make([0], Config()))
