"""Blackjack against a dealer who draws to 17, from an endless deck (Gymnasium's Blackjack, compiled).

Bit for bit Gymnasium's ``Blackjack-v1``, which runs this environment unless ``--env.native false``. It is a finite MDP,
so that policies are evaluated exactly. Source: Sutton and Barto, Reinforcement Learning, 2018, example 5.1;
gymnasium.envs.toy_text.blackjack.

=========  ======================================================
action     meaning
=========  ======================================================
0          stick: stop, and let the dealer draw
1          hit: take another card
=========  ======================================================

=============  ==================================================================================================
observation    Discrete(704), ``(player * 11 + dealer) * 2 + usable``
=============  ==================================================================================================
player         best sum of the player's cards, up to 31
dealer         the dealer's open card, 1 (ace) to 10
usable         1 where an ace counts 11 without going bust
=============  ==================================================================================================

=================================================  ======================================================
event                                              reward and end
=================================================  ======================================================
hit, with a sum up to 21                           0
hit, with a sum above 21                           -1; terminates
stick                                              1 for the higher sum or a bust dealer, 0 for a draw, else -1;
                                                   terminates
stick with a natural (ace and ten)                 ``sab``: 1 unless the dealer has one; ``natural``: a win pays 1.5
``max_steps``                                      truncates; never by default
=================================================  ======================================================
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache, partial
from math import prod
from typing import NamedTuple

import numpy as np
from gymnasium import spaces

from envs.common.compiled_env import CompiledEnv, Dynamics, integer_below
from envs.common.demo import show_env
from envs.common.return_bounds import solved_from
from simulator.core.field_types import CountOrZero
from simulator.core.jit import jit_inline
from simulator.core.mdp.model import GOES_ON, TERMINATES, FiniteMDP, checked, uniform_policy
from simulator.core.mdp.solve import evaluate_finite, value_iteration
from simulator.core.protocols import Array, EnvSpec
from simulator.core.scene import Mark, Scene

STICK = 0
HIT = 1
OBS_SHAPE = (32, 11, 2)  # player, dealer, usable


@dataclass(frozen=True)
class Config:
    """Settings of blackjack."""

    sab: bool = True
    """the book's rule: a natural beats every hand that is none; as Blackjack-v1"""
    natural: bool = False
    """a natural that wins pays 1.5; not together with the book's rule, which then holds"""
    max_steps: CountOrZero = 0
    """steps after which an episode is truncated; 0: never"""


class BlackjackSettings(NamedTuple):
    """The settings as compiled code takes them."""

    sab: bool
    natural: bool


def make(seed_list: Sequence[int], config: Config) -> CompiledEnv:
    """Make one table for every seed.

    Raises:
        ValueError: never, for settings within their ranges.
    """
    settings = BlackjackSettings(config.sab, config.natural)
    dynamics = Dynamics(_start, _transition, _observe)
    return CompiledEnv(
        describe(config), seed_list, dynamics, settings, np.zeros(7, np.int64), partial(_render, _charts(config))
    )


@cache
def describe(config: Config) -> EnvSpec:
    """Describe the environment; its reward threshold is the exact optimum less a hundredth."""
    max_steps = config.max_steps or None
    mdp, state_obs = make_mdp(config.natural, config.sab, max_steps)
    return EnvSpec(
        id="blackjack",
        observation=spaces.Discrete(prod(OBS_SHAPE)),
        action=spaces.Discrete(2),
        max_steps=max_steps,
        random_score=float(evaluate_finite(mdp, uniform_policy(mdp), max_steps)),
        reward_threshold=solved_from(value_iteration(mdp, 1.0).start_value),
        mdp=mdp,
        state_obs=state_obs,
        gamma=1.0,
    )


# Places in the state [7]. A hand is its sum with aces as 1, whether it has an ace, and its number of cards.
OPEN_CARD = 0
DEALER = 1
PLAYER = 4
HAS_ACE = 1  # places after the sum
N_CARDS = 2


@jit_inline
def _deal(copies, i, hand):
    """Deal a card to the hand at place ``hand`` and return it."""
    card = min(integer_below(copies, i, 13) + 1, 10)
    copies.state[i, hand] += card
    copies.state[i, hand + HAS_ACE] |= card == 1
    copies.state[i, hand + N_CARDS] += 1
    return card


@jit_inline
def _best_sum(copies, i, hand):
    hard = copies.state[i, hand]
    return hard + 10 if copies.state[i, hand + HAS_ACE] and hard <= 11 else hard


@jit_inline
def _is_natural(copies, i, hand):
    return copies.state[i, hand + N_CARDS] == 2 and _best_sum(copies, i, hand) == 21


@jit_inline
def _start(copies, i):
    copies.state[i, :] = 0
    for k in range(4):
        card = _deal(copies, i, DEALER if k < 2 else PLAYER)
        if k == 0:
            copies.state[i, OPEN_CARD] = card
    integer_below(copies, i, 4)  # the suit, which the original draws for its screen only
    if copies.state[i, OPEN_CARD] == 10:
        integer_below(copies, i, 3)  # ten's picture: jack, queen or king


@jit_inline
def _transition(copies, i, action):
    if action == HIT:
        _deal(copies, i, PLAYER)
        is_bust = _best_sum(copies, i, PLAYER) > 21
        return (-1.0 if is_bust else 0.0), is_bust
    while _best_sum(copies, i, DEALER) < 17:
        _deal(copies, i, DEALER)
    player = _best_sum(copies, i, PLAYER)
    dealer = _best_sum(copies, i, DEALER)
    reward = 1.0 if player > dealer or dealer > 21 else (0.0 if player == dealer else -1.0)
    if _is_natural(copies, i, PLAYER):
        if copies.settings.sab:
            reward = reward if _is_natural(copies, i, DEALER) else 1.0
        elif copies.settings.natural and reward == 1.0:
            reward = 1.5
    return reward, True


@jit_inline
def _observe(copies, i, obs):
    usable = copies.state[i, PLAYER + HAS_ACE] and copies.state[i, PLAYER] <= 11
    obs[i] = (_best_sum(copies, i, PLAYER) * 11 + copies.state[i, OPEN_CARD]) * 2 + (1 if usable else 0)


HIGHEST = 21  # sum of the player in the first row of the chart
LOWEST = 4  # and in its last


class Charts(NamedTuple):
    """Places of the MDP's states in a chart of sums and open cards, int [N, 2]; those of the other chart at row -1."""

    hard: Array  # without a usable ace
    soft: Array  # with one


@cache
def _charts(config: Config) -> Charts:
    seen = describe(config).state_obs
    player, dealer, usable = np.unravel_index(np.asarray(seen), OBS_SHAPE)
    places = np.stack([HIGHEST - player, dealer - 1], axis=1)
    return Charts(*(np.where(((usable == soft) & (player <= HIGHEST))[:, None], places, -1) for soft in (0, 1)))


def _render(charts: Charts, state: Array, episode_step: int) -> Scene:
    """Mark the hand in the chart of all hands with, or without, a usable ace (Sutton and Barto, figure 5.2)."""
    hard = int(state[PLAYER])
    usable = bool(state[PLAYER + HAS_ACE]) and hard <= 11
    total = hard + 10 * usable
    dealer = int(state[OPEN_CARD])
    facts = {
        "step": str(episode_step),
        "player": f"{total} with a usable ace" if usable else str(total),
        "dealer shows": "an ace" if dealer == 1 else str(dealer),
    }
    sums = range(HIGHEST, LOWEST - 1, -1)
    return Scene(
        f"blackjack, hands {'with' if usable else 'without'} a usable ace: player's sum by dealer's card",
        walls=np.zeros((len(sums), len(CARDS)), np.bool_),
        marks=(Mark(HIGHEST - total, dealer - 1, "walker"),) if total <= HIGHEST else (),
        places=charts.soft if usable else charts.hard,
        actions=("stick", "hit"),
        facts=facts,
        meanings={"walker": "this hand"},
        row_names=tuple(str(total) for total in sums),
        column_names=("ace", *(str(card) for card in range(2, 11))),
    )


# The same game as a finite MDP. A state is the player's hand and the dealer's open card: the dealer's other card is a
# fair draw until the player sticks.

CARDS = {card: (4 if card == 10 else 1) / 13 for card in range(1, 11)}  # ace to ten; 10 is also jack, queen, king


class CardHand(NamedTuple):
    """The value of some cards."""

    total: int  # the best sum
    usable: bool  # an ace counts 11
    natural: bool


def make_hand(hard: int, has_ace: bool, n_cards: int) -> CardHand:
    """Return the value of cards that sum to ``hard``, aces as 1."""
    usable = has_ace and hard + 10 <= 21
    total = hard + 10 if usable else hard
    return CardHand(total, usable, total == 21 and n_cards == 2)


def obs_index(total: int, dealer: int, usable: bool) -> int:
    """Return the observation as one number, row by row."""
    return (total * OBS_SHAPE[1] + dealer) * OBS_SHAPE[2] + int(usable)


def make_mdp(natural: bool, sab: bool, max_steps: int | None = None) -> tuple[FiniteMDP, Array]:
    """Make the MDP, and the observation of each of its states, int64 [N].

    Args:
        natural: a natural that wins pays 1.5.
        sab: a natural beats whatever is none, as in the book; ``natural`` then means nothing.
        max_steps: steps after which an episode is truncated.
    """
    hard_hands = [CardHand(total, False, False) for total in range(4, 32)]
    soft_hands = [CardHand(total, True, False) for total in range(12, 22)]
    naturals = [CardHand(21, True, True)] if natural or sab else []
    states = [(hand, dealer) for hand in hard_hands + soft_hands + naturals for dealer in CARDS]
    number = {state: n for n, state in enumerate(states)}
    shape = (len(states), 2, len(CARDS))
    prob = np.zeros(shape)
    next_state = np.zeros(shape, np.int64)
    reward = np.zeros(shape)
    end = np.full(shape, TERMINATES, np.uint8)
    for (hand, dealer), n in number.items():
        next_state[n] = n
        prob[n, :, 0] = 1.0  # a bust hand is an end, where no action follows
        if hand.total > 21:
            continue
        for k, (r, p) in enumerate(_rewards_of_stick(hand, dealer, natural, sab).items()):
            prob[n, STICK, k] = p
            reward[n, STICK, k] = r
        for k, (card, p) in enumerate(CARDS.items()):
            after = make_hand(hand.total - 10 * hand.usable + card, hand.usable or card == 1, 3)
            prob[n, HIT, k] = p
            next_state[n, HIT, k] = number[after, dealer]
            reward[n, HIT, k] = -1.0 if after.total > 21 else 0.0
            end[n, HIT, k] = TERMINATES if after.total > 21 else GOES_ON
    start = np.zeros(len(states))
    for first, p_first in CARDS.items():
        for second, p_second in CARDS.items():
            hand = make_hand(first + second, 1 in (first, second), 2)
            if not naturals:
                hand = hand._replace(natural=False)
            for dealer, p_dealer in CARDS.items():
                start[number[hand, dealer]] += p_first * p_second * p_dealer
    mdp = FiniteMDP(prob, next_state, reward, end, start, np.ones(shape[:2], bool), max_steps)
    return checked(mdp), np.array([obs_index(hand.total, dealer, hand.usable) for hand, dealer in states])


def _rewards_of_stick(hand: CardHand, dealer: int, natural: bool, sab: bool) -> dict[float, float]:
    """Return reward -> probability, where the player sticks and the dealer draws."""
    rewards: dict[float, float] = defaultdict(float)
    for (score, is_natural), p in _dealer_scores(dealer).items():
        reward = float(hand.total > score) - float(hand.total < score)
        if hand.natural and sab and not is_natural:
            reward = 1.0
        elif hand.natural and natural and not sab and reward == 1.0:
            reward = 1.5
        rewards[reward] += p
    return rewards


@cache
def _dealer_scores(open_card: int) -> dict[tuple[int, bool], float]:
    """Return (score, natural) -> probability of the dealer's whole hand; score 0 is bust."""
    scores: dict[tuple[int, bool], float] = defaultdict(float)
    hands = {(open_card, open_card == 1, 1): 1.0}  # sum with aces as 1, any ace, number of cards
    while hands:
        (hard, has_ace, n_cards), p = hands.popitem()
        for card, p_card in CARDS.items():
            next_state = (hard + card, has_ace or card == 1, n_cards + 1)
            after = make_hand(*next_state)
            if after.total < 17:
                hands[next_state] = hands.get(next_state, 0.0) + p * p_card
            else:
                scores[after.total if after.total <= 21 else 0, after.natural] += p * p_card
    return dict(scores)


if __name__ == "__main__":
    show_env("blackjack")
