"""Blackjack from an endless deck as a finite MDP with exact probabilities.

A state is what the player holds (sum, usable ace, whether it is a natural) and the dealer's open card; sums above 21
are ends. The dealer's hidden card is independent of both, so that it can be drawn when the player sticks.
Source: Sutton and Barto, Reinforcement Learning, 2018, example 5.1; gymnasium.envs.toy_text.blackjack.
"""

from __future__ import annotations

from collections import defaultdict
from functools import cache

import numpy as np

from simulator.core.mdp.solve import GOES_ON, TERMINATES, FiniteMDP, checked
from simulator.core.protocols import Array

STICK, HIT = 0, 1
CARDS = {card: (4 if card == 10 else 1) / 13 for card in range(1, 11)}  # ace to ten; 10 is also jack, queen, king
SEEN = (32, 11, 2)  # sums, dealer's cards, usable ace: the original's spaces

Hand = tuple[int, bool, bool]  # best sum, usable ace, natural


def hand(hard: int, has_ace: bool, n_cards: int) -> Hand:
    """What is known of cards that sum to ``hard``, aces as 1."""
    usable = has_ace and hard + 10 <= 21
    total = hard + 10 if usable else hard
    return total, usable, total == 21 and n_cards == 2


def index(total: int, dealer: int, usable: bool) -> int:
    """The observation as one number, row by row."""
    return (total * SEEN[1] + dealer) * SEEN[2] + int(usable)


def law(natural: bool, sab: bool, max_steps: int | None = None) -> tuple[FiniteMDP, Array]:
    """The MDP, and the observation of each of its states, int64 [N].

    Args:
        natural: a natural that wins pays 1.5.
        sab: a natural beats whatever is none, as in the book; ``natural`` then means nothing.
        max_steps: steps after which an episode is cut.
    """
    hands = _hands(apart=natural or sab)
    states = [(own, dealer) for own in hands for dealer in CARDS]
    number = {state: n for n, state in enumerate(states)}
    shape = (len(states), 2, len(CARDS))
    prob, led_to = np.zeros(shape), np.zeros(shape, np.int64)
    reward, end = np.zeros(shape), np.full(shape, TERMINATES, np.uint8)
    start = np.zeros(len(states))
    for (own, dealer), n in number.items():
        led_to[n] = n
        prob[n, :, 0] = 1.0  # a bust hand is an end, where no move follows
        if own[0] > 21:
            continue
        for k, (earned, chance) in enumerate(_stick(own, dealer, natural, sab).items()):
            prob[n, STICK, k], reward[n, STICK, k] = chance, earned
        for k, (card, chance) in enumerate(CARDS.items()):
            after = _with(own, card)
            prob[n, HIT, k], led_to[n, HIT, k] = chance, number[after, dealer]
            reward[n, HIT, k], end[n, HIT, k] = (-1.0, TERMINATES) if after[0] > 21 else (0.0, GOES_ON)
    for one, chance in CARDS.items():
        for two, other in CARDS.items():
            own = _plain(hand(one + two, 1 in (one, two), 2), natural or sab)
            for dealer, shown in CARDS.items():
                start[number[own, dealer]] += chance * other * shown
    mdp = FiniteMDP(prob, led_to, reward, end, start, np.ones(shape[:2], bool), max_steps)
    return checked(mdp), np.array([index(own[0], dealer, own[1]) for own, dealer in states])


def _hands(apart: bool) -> list[Hand]:
    hard = [(total, False, False) for total in range(4, 32)]
    soft = [(total, True, False) for total in range(12, 22)]
    return hard + soft + ([(21, True, True)] if apart else [])


def _plain(own: Hand, apart: bool) -> Hand:
    return own if apart else (own[0], own[1], False)


def _with(own: Hand, card: int) -> Hand:
    """The hand with one card more."""
    total, usable, _ = own
    return hand(total - 10 * usable + card, usable or card == 1, 3)


def _stick(own: Hand, dealer: int, natural: bool, sab: bool) -> dict[float, float]:
    """Reward -> probability, where the player stops and the dealer draws."""
    rewards: dict[float, float] = defaultdict(float)
    for (score, is_natural), chance in _dealt(dealer).items():
        earned = float(own[0] > score) - float(own[0] < score)
        if own[2] and sab and not is_natural:
            earned = 1.0
        elif own[2] and natural and not sab and earned == 1.0:
            earned = 1.5
        rewards[earned] += chance
    return rewards


@cache
def _dealt(shown: int) -> dict[tuple[int, bool], float]:
    """(score, natural) -> probability of the dealer's whole hand; 0 is bust."""
    scores: dict[tuple[int, bool], float] = defaultdict(float)
    open_hands = {(shown, shown == 1, 1): 1.0}  # aces as 1, any ace, cards
    while open_hands:
        (hard, has_ace, n_cards), chance = open_hands.popitem()
        for card, likely in CARDS.items():
            more = (hard + card, has_ace or card == 1, n_cards + 1)
            total, _, is_natural = hand(*more)
            if total < 17:
                open_hands[more] = open_hands.get(more, 0.0) + chance * likely
            else:
                scores[total if total <= 21 else 0, is_natural] += chance * likely
    return dict(scores)
