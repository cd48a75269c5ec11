"""Cart and pole: keep a pole upright on a cart by pushing the cart left or right (Gymnasium's CartPole, compiled).

Bit for bit Gymnasium's ``CartPole-v1``, which runs this environment unless ``--env.native false``. The state is x, x',
theta, theta'. Source: Barto, Sutton and Anderson, Neuronlike adaptive elements that can solve difficult learning
control problems, 1983; gymnasium.envs.classic_control.cartpole.
"""

from __future__ import annotations

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

GRAVITY, CART, POLE, LENGTH = 9.8, 1.0, 0.1, 0.5  # the length is half the pole's
TOTAL, MOMENT = POLE + CART, POLE * LENGTH
FORCE, SECONDS = 10.0, 0.02
EDGE, ANGLE = 2.4, 12 * 2 * np.pi / 360
LIMIT = 500
STANDING, FALLING = 0, 1  # places of the reward of a step and of the last one in the rules
FLOOR = 22.26  # mean of 2,205,896 episodes of random play, standard error 0.008; none of them took 200 steps


@dataclass(frozen=True)
class Config:
    """Settings of cart and pole."""

    sutton_barto_reward: bool = False
    """0 for every step and -1 for the fall; off: 1 for every step"""
    max_steps: CountOrZero = 0
    """steps after which an episode is cut; 0: 500, as CartPole-v1 (CartPole-v0: 200)"""


def make(seed_list: Sequence[int], config: Config) -> NativeEnv:
    """One cart for every seed.

    Raises:
        ValueError: never, for settings within their ranges.
    """
    rules = np.array([0.0, -1.0] if config.sutton_barto_reward else [1.0, 1.0])
    spec, loops = describe(config), Loops(_reset, _step, _draw, move=_take)
    return NativeEnv(spec, copies(seed_list, rules, 4, np.float64, spec.max_steps), loops)


def describe(config: Config) -> EnvSpec:
    """What the environment is. It counts as solved from 95 % of the longest episode on, or 195 of 200 as registered."""
    limit, plain = config.max_steps or LIMIT, not config.sutton_barto_reward
    high = np.array([EDGE * 2, np.inf, ANGLE * 2, np.inf], np.float32)
    floor = FLOOR if plain and limit >= 200 else None
    solved = (195.0 if limit == 200 else 0.95 * limit) if plain else None
    return EnvSpec("cartpole", spaces.Box(-high, high), spaces.Discrete(2), limit, floor, solved)


@jit_inline
def _start(copies, i):
    for k in range(4):
        copies.state[i, k] = between(copies, i, -0.05, 0.05)


@jit_inline
def _move(copies, i, action):
    """Reward, and whether the pole fell or the cart left the track."""
    x, x_dot, theta, theta_dot = copies.state[i, 0], copies.state[i, 1], copies.state[i, 2], copies.state[i, 3]
    force = FORCE if action == 1 else -FORCE
    cos, sin = np.cos(theta), np.sin(theta)
    push = (force + MOMENT * (theta_dot * theta_dot) * sin) / TOTAL
    theta_acc = (GRAVITY * sin - cos * push) / (LENGTH * (4.0 / 3.0 - POLE * (cos * cos) / TOTAL))
    x_acc = push - MOMENT * theta_acc * cos / TOTAL
    x, x_dot = x + SECONDS * x_dot, x_dot + SECONDS * x_acc
    theta, theta_dot = theta + SECONDS * theta_dot, theta_dot + SECONDS * theta_acc
    copies.state[i, 0], copies.state[i, 1], copies.state[i, 2], copies.state[i, 3] = x, x_dot, theta, theta_dot
    fell = x < -EDGE or x > EDGE or theta < -ANGLE or theta > ANGLE
    return (copies.rules[FALLING] if fell else copies.rules[STANDING]), fell


@jit_inline
def _see(copies, i, obs):
    for k in range(4):
        obs[i, k] = copies.state[i, k]


@jit_callback
def _take(copies, i, action, step):
    """One step of copy i; whether its episode ended."""
    reward, fell = _move(copies, i, action)
    _see(copies, i, step.final_obs)
    ended = ends(copies, i, reward, fell, step)
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
    wrong, ended = first_wrong(actions, 2), 0
    if wrong >= 0:
        return -1 - wrong
    for i in range(len(actions)):
        ended += _take(copies, i, actions[i], step)
    return ended


def _draw(state: Array, clock: int) -> Scene:
    """The track, the cart as a box, the pole; one unit of length is the track's half."""
    x, _, theta, _ = state
    left, top = x - 0.25, 0.15
    pole = (x, top, x + 2 * LENGTH * np.sin(theta), top + 2 * LENGTH * np.cos(theta))
    cart = [(left, 0, left, top), (left, top, x + 0.25, top), (x + 0.25, top, x + 0.25, 0)]
    lines = np.array([(-EDGE, 0.0, EDGE, 0.0), *cart, pole]) / (2 * EDGE) + [0.5, 0.25, 0.5, 0.25]
    facts = {"step": str(clock), "cart": f"{x:.2f}", "pole": f"{np.degrees(theta):.1f} degrees"}
    return Scene("cart and pole", lines=lines, actions=("left", "right"), facts=facts)


if __name__ == "__main__":
    show_env(make([0], Config()))
