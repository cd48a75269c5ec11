"""How deep Q-learning acts: by the values of its network, or at random, one seed at a time."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from agents.common.exploration import Explore, argmax, choose, scheduled
from agents.common.networks.dense import forward_row
from agents.common.replay.buffer import expand
from agents.dqn.targets import action_values, row_at
from simulator.core.jit import jit, jit_inline
from simulator.core.protocols import Array
from simulator.core.rng_compiled import below, uniform


class Habit(NamedTuple):
    """Random actions that are kept for a while."""

    longest: int  # environment steps
    held: Array  # int64 [S], the action
    left: Array  # int64 [S], how often it is still to be repeated


class Hand(NamedTuple):
    """What chooses actions, beside a network."""

    stream: Array  # uint64 [S, 4]
    explore: Explore
    habit: Habit
    x: Array  # float32 [S, 2, widest], room for an input and for outputs
    q: Array  # float32 [S, A], room for action values


def make_hand(stream: Array, explore: Explore, longest: int, sizes: tuple[int, int]) -> Hand:
    """A hand that draws from ``stream`` [S, 4]; ``sizes`` are the widest of inputs and outputs, and the actions."""
    n, (widest, n_actions) = len(stream), sizes
    room = (np.zeros((n, 2, widest), np.float32), np.zeros((n, n_actions), np.float32))
    return Hand(stream, explore, make_habit(longest, n, explore.softmax), *room)


def make_habit(longest: int, n_seeds: int, softmax: bool = False) -> Habit:
    """Nothing held yet; see :func:`roam`.

    Raises:
        ValueError: random actions are to be kept where a softmax chooses all of them.
    """
    if softmax and longest > 1:
        raise ValueError(f"agent.max_action_repeat = {longest}: expected 1 with agent.explore.kind = 'softmax'")
    return Habit(longest, np.zeros(n_seeds, np.int64), np.zeros(n_seeds, np.int64))


@jit_inline
def roam(streams, i, legal_actions, now, habit):
    """A random action of seed i, or -1 where it should be greedy.

    A random action is kept for k steps or more with probability 1/k, up to ``habit.longest`` (after Dabney, Ostrovski
    and Barreto 2021), and is dropped where it does not exist.
    """
    held, left = habit.held, habit.left
    if left[i] > 0:
        left[i] -= 1
        for m in range(1, 1 + legal_actions[0]):
            if legal_actions[m] == held[i]:
                return held[i]
        left[i] = 0
    if uniform(streams, i) >= now:
        return -1
    held[i] = legal_actions[1 + below(streams, i, legal_actions[0])]
    if habit.longest > 1:
        left[i] = np.int64(min(1.0 / (1.0 - uniform(streams, i)), habit.longest)) - 1
    return held[i]


@jit_inline
def act_lane(net, rule, hand, i, stored, clock):
    """The exploring action of seed i at one stored observation [F]."""
    legal_actions, explore = rule.legal_actions[row_at(rule, stored)], hand.explore
    action = -1 if explore.softmax else roam(hand.stream, i, legal_actions, scheduled(explore, clock), hand.habit)
    if action < 0:
        values_at(net, rule, i, stored, (hand.x[i], hand.q[i]))
        if explore.softmax:
            action = choose(hand.stream, i, hand.q[i], legal_actions, explore, clock)
        else:
            action = argmax(hand.stream, i, hand.q[i], legal_actions)
    return action


@jit
def act_all(net, rule, hand, seen, clock, actions):
    """Exploring actions [S] at stored observations ``seen`` [S, F]."""
    for i in range(len(actions)):
        actions[i] = act_lane(net, rule, hand, i, seen[i], clock)


@jit_inline
def values_at(net, rule, i, stored, room):
    """Action values of seed i at one stored observation, into ``room``'s q [A]; its x [2, max(in, out)] is room."""
    x, q = room
    expand(stored, rule.n_classes, x[0, : net.sizes[0]])
    forward_row(net, i, i, x[0], x[1])
    action_values(x[1], rule.dueling, q)


@jit
def values_all(net, rule, hand, stored, values):
    """Action values [S, B, A] at stored observations [B, F]; actions that do not exist are left as they are."""
    for i in range(values.shape[0]):
        for b in range(values.shape[1]):
            values_at(net, rule, i, stored[b], (hand.x[i], hand.q[i]))
            legal_actions = rule.legal_actions[row_at(rule, stored[b])]
            for m in range(1, 1 + legal_actions[0]):
                values[i, b, legal_actions[m]] = hand.q[i, legal_actions[m]]
