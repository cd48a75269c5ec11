"""A game of perfect information with few enough positions to count them all: best play, and best replies.

Positions are those where a side is to move; every position stands after those that lead to it (``depth``), so that
one pass from the last layer to the first values them all (backward induction; von Neumann and Morgenstern 1944,
section 15). Zero-sum: what one side gains the other loses.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from simulator.core.mdp.model import GOES_ON, TERMINATES, FiniteMDP, checked
from simulator.core.protocols import Array


class GameTree(NamedTuple):
    """Every position of a game; number 0 is its beginning, with side 0 to move."""

    obs: Array  # [N, *obs], what the side to move sees
    side: Array  # int64 [N], the side to move
    depth: Array  # int64 [N], moves made before
    next: Array  # int64 [N, A], the position that a move leads to; -1 where the game ends or the move does not exist
    gain: Array  # float64 [N, A], what a move that ends the game pays to the side that makes it; 0 elsewhere
    legal: Array  # bool [N, A], which moves exist


def move_values(tree: GameTree) -> Array:
    """The worth [N, A] of every move to the side that makes it, when both play perfectly; -inf for none."""
    best, value = np.full(tree.legal.shape, -np.inf), np.zeros(len(tree.side) + 1)  # the last one: what is no position
    for rows in _layers(tree):
        turned = np.where(tree.side[tree.next[rows]] == tree.side[rows, None], 1.0, -1.0)
        worth = tree.gain[rows] + turned * value[tree.next[rows]]
        best[rows] = np.where(tree.legal[rows], worth, -np.inf)
        value[rows] = best[rows].max(axis=1)
    return best


def perfect(tree: GameTree) -> Array:
    """Perfect play as probabilities [N, A]: uniform over the moves that no other move beats."""
    values = move_values(tree)
    best = values >= values.max(axis=1, keepdims=True) - 1e-12
    probs: Array = best / best.sum(axis=1, keepdims=True)
    return probs


def game_value(tree: GameTree) -> float:
    """What the game is worth to side 0 when both play perfectly."""
    return float(move_values(tree)[0].max())


def best_reply(tree: GameTree, probs: Array) -> Array:
    """What a player who knows the other's probabilities earns at best.

    Args:
        tree: the game.
        probs: [..., N, A], what the other does where it is to move.

    Returns:
        [..., 2]: as side 0, which begins, and as side 1.
    """
    answers = []
    for own in (0, 1):
        value = np.zeros((*probs.shape[:-2], len(tree.side) + 1))
        for rows in _layers(tree):
            mine = tree.side[rows] == own
            worth = np.where(mine, 1.0, -1.0)[:, None] * tree.gain[rows] + value[..., tree.next[rows]]
            chosen = np.where(tree.legal[rows], worth, -np.inf).max(axis=-1)
            met = (probs[..., rows, :] * worth).sum(axis=-1)
            value[..., rows] = np.where(mine, chosen, met)
        answers.append(value[..., 0])
    return np.stack(answers, axis=-1)


def exploitability(tree: GameTree, probs: Array) -> Array:
    """How much a player of probabilities [..., N, A] loses to one who knows them, [...]; 0 for perfect play.

    The mean over both sides of what the best reply earns above the worth of the game to it: half of what is called
    NashConv (Lanctot et al. 2017, A unified game-theoretic approach to multiagent reinforcement learning).
    """
    value = game_value(tree)
    above: Array = best_reply(tree, probs) - np.array([value, -value])
    return np.asarray(above.mean(axis=-1))


def against(tree: GameTree, probs: Array) -> FiniteMDP:
    """The game as the finite MDP of a side that meets a player of probabilities [N, A], beginning half of the games.

    State n is position n, with this side to move. Against :func:`perfect` its best actions are those of perfect play
    in every position: no reply to perfect play earns more than the game is worth.

    Raises:
        ValueError: probabilities that do not sum to 1.
    """
    n, n_actions = tree.legal.shape
    prob, reward = np.zeros((2, n, n_actions, n_actions))
    following, end = np.zeros(prob.shape, np.int64), np.full(prob.shape, TERMINATES, np.uint8)
    over = tree.legal & (tree.next < 0)
    prob[over, 0], reward[over, 0] = 1.0, tree.gain[over]
    reply = tree.next[tree.legal & (tree.next >= 0)]  # where the other is to move
    goes_on = tree.legal & (tree.next >= 0)
    prob[goes_on], reward[goes_on] = probs[reply], -tree.gain[reply]
    following[goes_on] = np.maximum(tree.next[reply], 0)
    end[goes_on] = np.where(tree.next[reply] >= 0, GOES_ON, TERMINATES)
    start = np.zeros(n)
    start[0] = 0.5
    np.add.at(start, tree.next[0][tree.legal[0]], 0.5 * probs[0][tree.legal[0]])
    return checked(FiniteMDP(prob, following, reward, end, start, tree.legal))


def _layers(tree: GameTree) -> list[Array]:
    """The positions of every depth, the last ones first."""
    return [np.flatnonzero(tree.depth == depth) for depth in range(int(tree.depth.max()), -1, -1)]
