"""Blackjack against a dealer who draws to 17, from an endless deck (Gymnasium's Blackjack, compiled).

Bit for bit Gymnasium's ``Blackjack-v1``, which runs this environment unless ``--env.native false``; seen as one index
of (sum, dealer's open card, usable ace) in row-major order. It is a finite MDP
(:mod:`envs.common.games.blackjack_mdp`), so that what was learned is valued exactly. Source: Sutton and Barto,
Reinforcement Learning, 2018, example 5.1.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from math import prod
from typing import NamedTuple

import numpy as np
from gymnasium import spaces

from envs.common.compiled_env import Loops, NativeEnv, copies, ends, first_wrong, one_of
from envs.common.demo import show_env
from envs.common.games.blackjack_mdp import SEEN, law
from envs.common.return_bounds import solved_from
from simulator.core.field_types import CountOrZero
from simulator.core.jit import jit, jit_inline
from simulator.core.mdp.solve import evaluate_finite, uniform_policy, value_iteration
from simulator.core.protocols import Array, EnvSpec
from simulator.core.scene import Scene

OPEN, DEALER, DEALER_ACE, DEALER_CARDS, PLAYER, PLAYER_ACE, PLAYER_CARDS = range(7)  # of a state; sums with aces as 1
SUITS, COURT = 4, 3


@dataclass(frozen=True)
class Config:
    """Settings of blackjack."""

    sab: bool = True
    """the book's rule: a natural beats every hand that is none; as Blackjack-v1"""
    natural: bool = False
    """a natural that wins pays 1.5; not together with the book's rule, which then holds"""
    max_steps: CountOrZero = 0
    """steps after which an episode is cut; 0: never"""


class Rules(NamedTuple):
    """The settings as the compiled law sees them."""

    sab: bool
    natural: bool


def make(seed_list: Sequence[int], config: Config) -> NativeEnv:
    """One table for every seed.

    Raises:
        ValueError: never, for settings within their ranges.
    """
    spec, rules = describe(config), Rules(config.sab, config.natural)
    return NativeEnv(spec, copies(seed_list, rules, 7, np.int64, spec.max_steps), Loops(_reset, _step, _draw))


@cache
def describe(config: Config) -> EnvSpec:
    """What the environment is; it counts as solved within a hundredth of the exact optimum."""
    limit = config.max_steps or None
    mdp, seen = law(config.natural, config.sab, limit)
    floor = float(evaluate_finite(mdp, uniform_policy(mdp), limit))
    solved = solved_from(value_iteration(mdp, 1.0).start_value)
    space = spaces.Discrete(prod(SEEN))
    return EnvSpec("blackjack", space, spaces.Discrete(2), limit, floor, solved, mdp, seen, gamma=1.0)


@jit_inline
def _card(copies, i):
    return min(one_of(copies, i, 13) + 1, 10)


@jit_inline
def _deal(copies, i, total):
    """A card to the hand whose sum is at ``total``; its ace and its number of cards follow there."""
    card = _card(copies, i)
    copies.state[i, total] += card
    copies.state[i, total + 1] |= card == 1
    copies.state[i, total + 2] += 1
    return card


@jit_inline
def _best(copies, i, total):
    hard = copies.state[i, total]
    return hard + 10 if copies.state[i, total + 1] and hard <= 11 else hard


@jit_inline
def _is_natural(copies, i, total):
    return copies.state[i, total + 2] == 2 and _best(copies, i, total) == 21


@jit_inline
def _start(copies, i):
    copies.state[i, :] = 0
    for k in range(4):
        card = _deal(copies, i, DEALER if k < 2 else PLAYER)
        if k == 0:
            copies.state[i, OPEN] = card
    one_of(copies, i, SUITS)  # what the original only draws on its screen
    if copies.state[i, OPEN] == 10:
        one_of(copies, i, COURT)


@jit_inline
def _move(copies, i, action):
    """Reward, and whether that was the end."""
    if action == 1:
        _deal(copies, i, PLAYER)
        bust = _best(copies, i, PLAYER) > 21
        return (-1.0 if bust else 0.0), bust
    while _best(copies, i, DEALER) < 17:
        _deal(copies, i, DEALER)
    own, other = _best(copies, i, PLAYER), _best(copies, i, DEALER)
    reward = 1.0 if own > other or other > 21 else (0.0 if own == other else -1.0)
    if _is_natural(copies, i, PLAYER):
        if copies.rules.sab:
            reward = reward if _is_natural(copies, i, DEALER) else 1.0
        elif copies.rules.natural and reward == 1.0:
            reward = 1.5
    return reward, True


@jit_inline
def _see(copies, i, obs):
    usable = copies.state[i, PLAYER_ACE] and copies.state[i, PLAYER] <= 11
    obs[i] = (_best(copies, i, PLAYER) * 11 + copies.state[i, OPEN]) * 2 + (1 if usable else 0)


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
        reward, over = _move(copies, i, actions[i])
        _see(copies, i, step.final_obs)
        if ends(copies, i, reward, over, step):
            _start(copies, i)
            ended += 1
        _see(copies, i, step.obs)
    return ended


def _draw(state: Array, clock: int) -> Scene:
    """The player's sum and the dealer's open card, in words."""
    total, usable = int(state[PLAYER]), bool(state[PLAYER_ACE]) and state[PLAYER] <= 11
    shown = f"{total + 10} with a usable ace" if usable else str(total)
    facts = {"step": str(clock), "player": shown, "dealer shows": str(state[OPEN])}
    return Scene("blackjack", actions=("stick", "hit"), facts=facts)


if __name__ == "__main__":
    show_env(make([0], Config()))
