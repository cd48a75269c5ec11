"""Acrobot: swing a two-link pendulum, driven at the elbow only, above a line (Gymnasium's Acrobot, compiled).

Bit for bit Gymnasium's ``Acrobot-v1``, which runs this environment unless ``--env.native false``. The state is theta1,
theta2 and their velocities. The original computes the first view of an episode in float32 with numpy's own sine, so
that view is polished here by numpy too. Source: Sutton, Generalization in reinforcement learning, 1996 ("nips"); Sutton
and Barto, Reinforcement Learning, 2018 ("book"); gymnasium.envs.classic_control.acrobot.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, NamedTuple

import numpy as np
from gymnasium import spaces

from envs.common.compiled_env import Loops, NativeEnv, between, copies, ends, first_wrong
from envs.common.demo import show_env
from simulator.core.field_types import CountOrZero, NonNegative
from simulator.core.jit import jit, jit_inline
from simulator.core.protocols import Array, EnvSpec
from simulator.core.scene import Scene

MASS, LENGTH, CENTRE, INERTIA, GRAVITY = 1.0, 1.0, 0.5, 1.0, 9.8  # of either link
FASTEST_1, FASTEST_2 = 4 * np.pi, 9 * np.pi
SECONDS = 0.2
LIMIT, SOLVED = 500, -100.0
FLOOR = -499.0  # mean of 40,960 episodes of random play, standard error 0.05


@dataclass(frozen=True)
class Config:
    """Settings of the acrobot."""

    equations: Literal["book", "nips"] = "book"
    """whose equations of motion: the book's, as Acrobot-v1, or the paper's"""
    torque_noise: NonNegative = 0.0
    """largest random torque that is added to the agent's, in newton metres"""
    max_steps: CountOrZero = 0
    """steps after which an episode is cut; 0: 500, as Acrobot-v1"""


class Rules(NamedTuple):
    """The settings as the compiled law sees them."""

    book: bool
    noise: float
    square: float  # 2: handed in, so that powers are libm's as in the original and not rounded otherwise


def make(seed_list: Sequence[int], config: Config) -> NativeEnv:
    """One acrobot for every seed.

    Raises:
        ValueError: never, for settings within their ranges.
    """
    spec, rules = describe(config), Rules(config.equations == "book", float(config.torque_noise), 2.0)
    loops = Loops(_reset, _step, _draw, _polish)
    return NativeEnv(spec, copies(seed_list, rules, 4, np.float64, spec.max_steps), loops)


def describe(config: Config) -> EnvSpec:
    """What the environment is."""
    limit = config.max_steps or LIMIT
    high = np.array([1.0, 1.0, 1.0, 1.0, FASTEST_1, FASTEST_2], np.float32)
    floor = FLOOR if limit == LIMIT and config.equations == "book" and not config.torque_noise else None
    solved = SOLVED if limit > -SOLVED else None
    return EnvSpec("acrobot", spaces.Box(-high, high), spaces.Discrete(3), limit, floor, solved)


@jit_inline
def _start(copies, i):
    for k in range(4):
        copies.state[i, k] = np.float32(between(copies, i, -0.1, 0.1))


@jit_inline
def _rates(rules, torque, theta1, theta2, speed1, speed2):
    """The accelerations of both joints."""
    d1 = MASS * CENTRE**2 + MASS * (LENGTH**2 + CENTRE**2 + 2 * LENGTH * CENTRE * np.cos(theta2)) + INERTIA + INERTIA
    d2 = MASS * (CENTRE**2 + LENGTH * CENTRE * np.cos(theta2)) + INERTIA
    phi2 = MASS * CENTRE * GRAVITY * np.cos(theta1 + theta2 - np.pi / 2.0)
    phi1 = (
        -MASS * LENGTH * CENTRE * speed2**rules.square * np.sin(theta2)
        - 2 * MASS * LENGTH * CENTRE * speed2 * speed1 * np.sin(theta2)
        + (MASS * CENTRE + MASS * LENGTH) * GRAVITY * np.cos(theta1 - np.pi / 2)
        + phi2
    )
    pull = torque + d2 / d1 * phi1
    if rules.book:
        pull = pull - MASS * LENGTH * CENTRE * speed1**rules.square * np.sin(theta2)
    acceleration2 = (pull - phi2) / (MASS * CENTRE**2 + INERTIA - d2**rules.square / d1)
    return -(d2 * acceleration2 + phi1) / d1, acceleration2


@jit_inline
def _move(copies, i, action):
    """One step of Runge and Kutta's fourth order; whether the tip is above the line."""
    s, rules = copies.state, copies.rules
    torque = action - 1.0
    if rules.noise > 0.0:
        torque += between(copies, i, -rules.noise, rules.noise)
    half, sixth = SECONDS / 2.0, SECONDS / 6.0
    a, b, c, d = s[i, 0], s[i, 1], s[i, 2], s[i, 3]
    c1, d1 = _rates(rules, torque, a, b, c, d)
    a2, b2 = c + half * c1, d + half * d1
    c2, d2 = _rates(rules, torque, a + half * c, b + half * d, a2, b2)
    a3, b3 = c + half * c2, d + half * d2
    c3, d3 = _rates(rules, torque, a + half * a2, b + half * b2, a3, b3)
    a4, b4 = c + SECONDS * c3, d + SECONDS * d3
    c4, d4 = _rates(rules, torque, a + SECONDS * a3, b + SECONDS * b3, a4, b4)
    s[i, 0] = _wrapped(a + sixth * (c + 2 * a2 + 2 * a3 + a4))
    s[i, 1] = _wrapped(b + sixth * (d + 2 * b2 + 2 * b3 + b4))
    s[i, 2] = min(max(c + sixth * (c1 + 2 * c2 + 2 * c3 + c4), -FASTEST_1), FASTEST_1)
    s[i, 3] = min(max(d + sixth * (d1 + 2 * d2 + 2 * d3 + d4), -FASTEST_2), FASTEST_2)
    return -np.cos(s[i, 0]) - np.cos(s[i, 1] + s[i, 0]) > 1.0


@jit_inline
def _wrapped(angle):
    """The same angle from -pi to pi."""
    while angle > np.pi:
        angle = angle - 2 * np.pi
    while angle < -np.pi:
        angle = angle + 2 * np.pi
    return angle


@jit_inline
def _see(copies, i, obs):
    theta1, theta2 = copies.state[i, 0], copies.state[i, 1]
    obs[i, 0], obs[i, 1], obs[i, 2], obs[i, 3] = np.cos(theta1), np.sin(theta1), np.cos(theta2), np.sin(theta2)
    obs[i, 4], obs[i, 5] = copies.state[i, 2], copies.state[i, 3]


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
        up = _move(copies, i, actions[i])
        _see(copies, i, step.final_obs)
        for k in range(6):
            step.obs[i, k] = step.final_obs[i, k]
        if ends(copies, i, 0.0 if up else -1.0, up, step):
            _start(copies, i)
            _see(copies, i, step.obs)
            ended += 1
    return ended


def _polish(states: Array, obs: Array) -> None:
    angles = states[:, :2].astype(np.float32)
    obs[:, 0:4:2], obs[:, 1:4:2] = np.cos(angles), np.sin(angles)


def _draw(state: Array, clock: int) -> Scene:
    """The line to reach, and both links."""
    angles = np.cumsum(state[:2])
    x, y = np.cumsum([0.0, *np.sin(angles)]), np.cumsum([0.0, *-np.cos(angles)])
    lines = np.array([(-2.2, 1.0, 2.2, 1.0), (x[0], y[0], x[1], y[1]), (x[1], y[1], x[2], y[2])]) / 4.4 + 0.5
    facts = {"step": str(clock), "tip": f"{y[2]:.2f} (line at 1)"}
    return Scene("acrobot", lines=lines, actions=("pull back", "idle", "pull forth"), facts=facts)


if __name__ == "__main__":
    show_env(make([0], Config()))
