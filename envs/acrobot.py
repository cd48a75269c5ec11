"""Acrobot: swing a two-link pendulum, driven at the elbow only, above a line (Gymnasium's Acrobot, compiled).

Bit for bit Gymnasium's ``Acrobot-v1``, which runs this environment unless ``--env.native false``. The original computes
the first observation of an episode in float32 with numpy's own sine, so numpy computes that observation here too.
Source: Sutton, Generalization in reinforcement learning, 1996 ("nips"); Sutton and Barto, Reinforcement Learning, 2018
("book"); gymnasium.envs.classic_control.acrobot.

=========  ======================================
action     meaning
=========  ======================================
0          torque -1 N m at the joint of the links
1          no torque
2          torque 1 N m
=========  ======================================

=============  ==================================================================================================
observation    float32 [6]; an episode begins with both angles and both velocities between -0.1 and 0.1
=============  ==================================================================================================
0, 1           cosine and sine of theta1, the angle of the first link, 0 hanging down
2, 3           cosine and sine of theta2, the angle of the second link relative to the first
4, 5           velocities of theta1 and theta2, within 4 pi and 9 pi radians per second
               With ``--env.observe position``: float32 [4], without the velocities, which only memory can tell
=============  ==================================================================================================

=================================================  ======================================================
event                                              reward and end
=================================================  ======================================================
a step                                             -1
tip of the second link above the line              0; terminates
500 steps (``max_steps``)                          truncates
=================================================  ======================================================
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import Literal, NamedTuple

import numpy as np
from gymnasium import spaces

from envs.common.compiled_env import CompiledEnv, Dynamics, uniform_between
from envs.common.demo import show_env
from simulator.core.field_types import CountOrZero, NonNegative
from simulator.core.jit import jit_inline
from simulator.core.protocols import Array, EnvSpec
from simulator.core.scene import Scene

MASS = 1.0  # of either link, kg
LENGTH = 1.0  # of either link, m
CENTRE = 0.5  # of mass, from the link's beginning, m
INERTIA = 1.0  # of either link, kg m^2
GRAVITY = 9.8  # m / s^2
MAX_SPEED_1 = 4 * np.pi  # radians / s
MAX_SPEED_2 = 9 * np.pi
TIME_STEP = 0.2  # s
MAX_STEPS = 500
REWARD_THRESHOLD = -100.0
RANDOM_SCORE = -499.0  # mean of 40,960 episodes of random play, standard error 0.05
STEPS_PER_SECOND = 15.0  # as Gymnasium's original is drawn
OBSERVED = ("cos theta1", "sin theta1", "cos theta2", "sin theta2", "velocity of theta1", "velocity of theta2")


@dataclass(frozen=True)
class Config:
    """Settings of the acrobot."""

    equations: Literal["book", "nips"] = "book"
    """equations of motion: the book's, as Acrobot-v1, or the paper's"""
    torque_noise: NonNegative = 0.0
    """largest random torque that is added to the agent's, in newton metres"""
    max_steps: CountOrZero = 0
    """steps after which an episode is truncated; 0: 500, as Acrobot-v1"""
    observe: Literal["all", "position"] = "all"
    """position: hide both velocities, so that only a player with memory can know them"""


class AcrobotSettings(NamedTuple):
    """The settings as compiled code takes them."""

    book: bool
    torque_noise: float
    two: float  # exponent of squares, known at run time only: so libm computes powers, as in the original


def make(seed_list: Sequence[int], config: Config) -> CompiledEnv:
    """Make one acrobot for every seed.

    Raises:
        ValueError: never, for settings within their ranges.
    """
    settings = AcrobotSettings(config.equations == "book", float(config.torque_noise), 2.0)
    dynamics = Dynamics(_start, _transition, _observe if config.observe == "all" else _observe_position)
    render = partial(_render, OBSERVED if config.observe == "all" else OBSERVED[:4])
    return CompiledEnv(describe(config), seed_list, dynamics, settings, np.zeros(4), render, _fix_first_obs)


def describe(config: Config) -> EnvSpec:
    """Describe the environment."""
    max_steps = config.max_steps or MAX_STEPS
    high = np.array([1.0, 1.0, 1.0, 1.0, MAX_SPEED_1, MAX_SPEED_2], np.float32)
    if config.observe == "position":
        high = high[:4]
    measured = max_steps == MAX_STEPS and config.equations == "book" and not config.torque_noise
    random_score = RANDOM_SCORE if measured else None
    reward_threshold = REWARD_THRESHOLD if max_steps > -REWARD_THRESHOLD else None
    return EnvSpec(
        "acrobot",
        spaces.Box(-high, high),
        spaces.Discrete(3),
        max_steps,
        random_score,
        reward_threshold,
        steps_per_second=STEPS_PER_SECOND,
    )


@jit_inline
def _start(copies, i):
    for k in range(4):
        copies.state[i, k] = np.float32(uniform_between(copies, i, -0.1, 0.1))


class _Accelerations(NamedTuple):
    """Second derivatives of both angles."""

    theta1: float
    theta2: float


@jit_inline
def _accelerations(settings, torque, theta1, theta2, speed1, speed2):
    """Return the accelerations of both joints by the equations of motion."""
    d1 = MASS * CENTRE**2 + MASS * (LENGTH**2 + CENTRE**2 + 2 * LENGTH * CENTRE * np.cos(theta2)) + INERTIA + INERTIA
    d2 = MASS * (CENTRE**2 + LENGTH * CENTRE * np.cos(theta2)) + INERTIA
    phi2 = MASS * CENTRE * GRAVITY * np.cos(theta1 + theta2 - np.pi / 2.0)
    phi1 = (
        -MASS * LENGTH * CENTRE * speed2**settings.two * np.sin(theta2)
        - 2 * MASS * LENGTH * CENTRE * speed2 * speed1 * np.sin(theta2)
        + (MASS * CENTRE + MASS * LENGTH) * GRAVITY * np.cos(theta1 - np.pi / 2)
        + phi2
    )
    pull = torque + d2 / d1 * phi1
    if settings.book:
        pull = pull - MASS * LENGTH * CENTRE * speed1**settings.two * np.sin(theta2)
    acceleration2 = (pull - phi2) / (MASS * CENTRE**2 + INERTIA - d2**settings.two / d1)
    return _Accelerations(-(d2 * acceleration2 + phi1) / d1, acceleration2)


@jit_inline
def _transition(copies, i, action):
    """Integrate one time step by the Runge-Kutta method of fourth order."""
    settings = copies.settings
    torque = action - 1.0
    if settings.torque_noise > 0.0:
        torque += uniform_between(copies, i, -settings.torque_noise, settings.torque_noise)
    half = TIME_STEP / 2.0
    sixth = TIME_STEP / 6.0
    theta1 = copies.state[i, 0]
    theta2 = copies.state[i, 1]
    v1 = copies.state[i, 2]  # velocities at the beginning
    v2 = copies.state[i, 3]
    a = _accelerations(settings, torque, theta1, theta2, v1, v2)
    v1b = v1 + half * a.theta1  # in the middle
    v2b = v2 + half * a.theta2
    b = _accelerations(settings, torque, theta1 + half * v1, theta2 + half * v2, v1b, v2b)
    v1c = v1 + half * b.theta1  # in the middle, once more
    v2c = v2 + half * b.theta2
    c = _accelerations(settings, torque, theta1 + half * v1b, theta2 + half * v2b, v1c, v2c)
    v1d = v1 + TIME_STEP * c.theta1  # at the end
    v2d = v2 + TIME_STEP * c.theta2
    d = _accelerations(settings, torque, theta1 + TIME_STEP * v1c, theta2 + TIME_STEP * v2c, v1d, v2d)
    theta1 = _wrap(theta1 + sixth * (v1 + 2 * v1b + 2 * v1c + v1d))
    theta2 = _wrap(theta2 + sixth * (v2 + 2 * v2b + 2 * v2c + v2d))
    v1 = v1 + sixth * (a.theta1 + 2 * b.theta1 + 2 * c.theta1 + d.theta1)
    v2 = v2 + sixth * (a.theta2 + 2 * b.theta2 + 2 * c.theta2 + d.theta2)
    copies.state[i, 0] = theta1
    copies.state[i, 1] = theta2
    copies.state[i, 2] = min(max(v1, -MAX_SPEED_1), MAX_SPEED_1)
    copies.state[i, 3] = min(max(v2, -MAX_SPEED_2), MAX_SPEED_2)
    is_above = -np.cos(theta1) - np.cos(theta2 + theta1) > 1.0
    return (0.0 if is_above else -1.0), is_above


@jit_inline
def _wrap(angle):
    """Return the same angle from -pi to pi."""
    while angle > np.pi:
        angle = angle - 2 * np.pi
    while angle < -np.pi:
        angle = angle + 2 * np.pi
    return angle


@jit_inline
def _observe_position(copies, i, obs):
    theta1 = copies.state[i, 0]
    theta2 = copies.state[i, 1]
    obs[i, 0] = np.cos(theta1)
    obs[i, 1] = np.sin(theta1)
    obs[i, 2] = np.cos(theta2)
    obs[i, 3] = np.sin(theta2)


@jit_inline
def _observe(copies, i, obs):
    _observe_position(copies, i, obs)
    obs[i, 4] = copies.state[i, 2]
    obs[i, 5] = copies.state[i, 3]


def _fix_first_obs(states: Array, obs: Array) -> None:
    """Rewrite first observations in float32, as the original computes them."""
    angles = states[:, :2].astype(np.float32)
    obs[:, 0:4:2] = np.cos(angles)
    obs[:, 1:4:2] = np.sin(angles)


def _render(observed: tuple[str, ...], state: Array, episode_step: int) -> Scene:
    """Draw the line to reach, and both links."""
    angles = np.cumsum(state[:2])
    x = np.cumsum([0.0, *np.sin(angles)])
    y = np.cumsum([0.0, *-np.cos(angles)])
    lines = np.array([(-2.2, 1.0, 2.2, 1.0), (x[0], y[0], x[1], y[1]), (x[1], y[1], x[2], y[2])]) / 4.4 + 0.5
    facts = {"step": str(episode_step), "tip": f"{y[2]:.2f} (line at 1)"}
    return Scene("acrobot", lines=lines, actions=("pull back", "idle", "pull forth"), facts=facts, observed=observed)


if __name__ == "__main__":
    show_env("acrobot")
