"""Cart and pole: keep a pole upright on a cart by pushing the cart left or right (Gymnasium's CartPole, compiled).

Bit for bit Gymnasium's ``CartPole-v1``, which runs this environment unless ``--env.native false``. Source: Barto,
Sutton and Anderson, Neuronlike adaptive elements that can solve difficult learning control problems, 1983;
gymnasium.envs.classic_control.cartpole.

=========  ================================
action     meaning
=========  ================================
0          push the cart left, with 10 N
1          push the cart right, with 10 N
=========  ================================

=============  ===========================================================================
observation    float32 [4]; an episode begins with all four between -0.05 and 0.05
=============  ===========================================================================
0              position of the cart, in metres, 0 in the middle of the track
1              velocity of the cart, in metres per second
2              angle of the pole, in radians, 0 upright and positive to the right
3              angular velocity of the pole, in radians per second
               With ``--env.observe position``: float32 [2], without the velocities, which only memory can tell
=============  ===========================================================================

=================================================  ======================================================
event                                              reward and end
=================================================  ======================================================
a step                                             1 (0 with ``sutton_barto_reward``)
cart beyond 2.4 m, or pole beyond 12 degrees       1 (-1 with ``sutton_barto_reward``); terminates
500 steps (``max_steps``)                          truncates
=================================================  ======================================================
"""

from __future__ import annotations

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

GRAVITY = 9.8  # m / s^2
POLE_MASS = 0.1  # kg
TOTAL_MASS = POLE_MASS + 1.0
HALF_LENGTH = 0.5  # of the pole, m
MOMENT = POLE_MASS * HALF_LENGTH
FORCE = 10.0  # N
TIME_STEP = 0.02  # s
MAX_POSITION = 2.4  # m
MAX_ANGLE = 12 * 2 * np.pi / 360
MAX_STEPS = 500
RANDOM_SCORE = 22.26  # mean of 2,205,896 episodes of random play, standard error 0.008; none of them took 200 steps
STEP_REWARD = 0  # places in the settings: the reward of a step,
LAST_REWARD = 1  # and of the step that ends the episode
POSITIONS = [0, 2]  # the observations that are no velocities
STEPS_PER_SECOND = 50.0  # as Gymnasium's original is drawn
OBSERVED = ("cart position", "cart velocity", "pole angle", "pole velocity")


@dataclass(frozen=True)
class Config:
    """Settings of cart and pole."""

    sutton_barto_reward: bool = False
    """reward 0 for every step and -1 for the fall; off: 1 for every step"""
    max_steps: CountOrZero = 0
    """steps after which an episode is truncated; 0: 500, as CartPole-v1 (CartPole-v0: 200)"""
    observe: Literal["all", "position"] = "all"
    """position: hide both velocities, so that only a player with memory can know them"""


def make(seed_list: Sequence[int], config: Config) -> CompiledEnv:
    """Make one cart for every seed.

    Raises:
        ValueError: never, for settings within their ranges.
    """
    rewards = np.array([0.0, -1.0] if config.sutton_barto_reward else [1.0, 1.0])
    dynamics = Dynamics(_start, _transition, _observe if config.observe == "all" else _observe_position)
    render = partial(_render, OBSERVED if config.observe == "all" else tuple(OBSERVED[k] for k in POSITIONS))
    return CompiledEnv(describe(config), seed_list, dynamics, rewards, np.zeros(4), render)


def describe(config: Config) -> EnvSpec:
    """Describe the environment. The reward threshold is 95 % of the longest episode, or 195 of 200 as registered."""
    max_steps = config.max_steps or MAX_STEPS
    high = np.array([MAX_POSITION * 2, np.inf, MAX_ANGLE * 2, np.inf], np.float32)
    if config.observe == "position":
        high = high[POSITIONS]
    random_score = None
    reward_threshold = None
    if not config.sutton_barto_reward:
        random_score = RANDOM_SCORE if max_steps >= 200 else None
        reward_threshold = 195.0 if max_steps == 200 else 0.95 * max_steps
    return EnvSpec(
        "cartpole",
        spaces.Box(-high, high),
        spaces.Discrete(2),
        max_steps,
        random_score,
        reward_threshold,
        steps_per_second=STEPS_PER_SECOND,
    )


@jit_inline
def _start(copies, i):
    for k in range(4):
        copies.state[i, k] = uniform_between(copies, i, -0.05, 0.05)


@jit_inline
def _transition(copies, i, action):
    """Integrate the equations of motion by Euler's method."""
    x = copies.state[i, 0]
    x_dot = copies.state[i, 1]
    theta = copies.state[i, 2]
    theta_dot = copies.state[i, 3]
    force = FORCE if action == 1 else -FORCE
    cos = np.cos(theta)
    sin = np.sin(theta)
    push = (force + MOMENT * (theta_dot * theta_dot) * sin) / TOTAL_MASS
    theta_acc = (GRAVITY * sin - cos * push) / (HALF_LENGTH * (4.0 / 3.0 - POLE_MASS * (cos * cos) / TOTAL_MASS))
    x_acc = push - MOMENT * theta_acc * cos / TOTAL_MASS
    x = x + TIME_STEP * x_dot
    theta = theta + TIME_STEP * theta_dot
    copies.state[i, 0] = x
    copies.state[i, 1] = x_dot + TIME_STEP * x_acc
    copies.state[i, 2] = theta
    copies.state[i, 3] = theta_dot + TIME_STEP * theta_acc
    failed = x < -MAX_POSITION or x > MAX_POSITION or theta < -MAX_ANGLE or theta > MAX_ANGLE
    return (copies.settings[LAST_REWARD] if failed else copies.settings[STEP_REWARD]), failed


@jit_inline
def _observe(copies, i, obs):
    for k in range(4):
        obs[i, k] = copies.state[i, k]


@jit_inline
def _observe_position(copies, i, obs):
    obs[i, 0] = copies.state[i, 0]
    obs[i, 1] = copies.state[i, 2]


def _render(observed: tuple[str, ...], state: Array, episode_step: int) -> Scene:
    """Draw the track, the cart as a box, and the pole; one unit of length is the track's half."""
    x, _, theta, _ = state
    left = x - 0.25
    right = x + 0.25
    top = 0.15
    cart = [(left, 0, left, top), (left, top, right, top), (right, top, right, 0)]
    pole = (x, top, x + 2 * HALF_LENGTH * np.sin(theta), top + 2 * HALF_LENGTH * np.cos(theta))
    track = (-MAX_POSITION, 0.0, MAX_POSITION, 0.0)
    lines = np.array([track, *cart, pole]) / (2 * MAX_POSITION) + [0.5, 0.25, 0.5, 0.25]
    facts = {"step": str(episode_step), "cart": f"{x:z.2f}", "pole": f"{np.degrees(theta):z.1f} degrees"}
    return Scene("cart and pole", lines=lines, actions=("left", "right"), facts=facts, observed=observed)


if __name__ == "__main__":
    show_env("cartpole")
