"""Small games of perfect information, enumerated: optimal play, best replies, exploitability.

Positions are those where a side is to move; every position stands after those that lead to it (``depth``), so that
one pass from the last layer to the first computes all values (backward induction; von Neumann and Morgenstern 1944,
section 15). Zero-sum: what one side gains the other loses.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from simulator.core.mdp.model import GOES_ON, TERMINATES, FiniteMDP, checked
from simulator.core.protocols import Array


class GameTree(NamedTuple):
    """Every position of a game; number 0 is its beginning, with side 0 to move."""

    obs: Array  # [N, *obs], observation of the side to move
    side: Array  # int64 [N], the side to move
    depth: Array  # int64 [N], moves made before
    next: Array  # int64 [N, A], the position that a move leads to; -1 where the game ends or the move does not exist
    gain: Array  # float64 [N, A], payoff of a move that ends the game, to the side that makes it; 0 elsewhere
    legal: Array  # bool [N, A], which moves exist


def move_values(tree: GameTree) -> Array:
    """Compute the minimax value [N, A] of every move to the side that makes it; -inf for an illegal one."""
    best = np.full(tree.legal.shape, -np.inf)
    value = np.zeros(len(tree.side) + 1)  # the last entry stands for no position
    for rows in _layers(tree):
        turned = np.where(tree.side[tree.next[rows]] == tree.side[rows, None], 1.0, -1.0)
        payoff = tree.gain[rows] + turned * value[tree.next[rows]]
        best[rows] = np.where(tree.legal[rows], payoff, -np.inf)
        value[rows] = best[rows].max(axis=1)
    return best


def perfect(tree: GameTree) -> Array:
    """Return optimal play as probabilities [N, A]: uniform over the best moves."""
    values = move_values(tree)
    best = values >= values.max(axis=1, keepdims=True) - 1e-12
    probs: Array = best / best.sum(axis=1, keepdims=True)
    return probs


def game_value(tree: GameTree) -> float:
    """Compute the minimax value of the game to side 0."""
    return float(move_values(tree)[0].max())


def best_reply(tree: GameTree, probs: Array) -> Array:
    """Compute the expected payoff of the best reply to a fixed strategy.

    Args:
        tree: the game.
        probs: [..., N, A], the strategy of the other side.

    Returns:
        [..., 2]: as side 0, which begins, and as side 1.
    """
    answers = []
    for own_side in (0, 1):
        value = np.zeros((*probs.shape[:-2], len(tree.side) + 1))
        for rows in _layers(tree):
            mine = tree.side[rows] == own_side
            payoff = np.where(mine, 1.0, -1.0)[:, None] * tree.gain[rows] + value[..., tree.next[rows]]
            chosen = np.where(tree.legal[rows], payoff, -np.inf).max(axis=-1)
            replied = (probs[..., rows, :] * payoff).sum(axis=-1)
            value[..., rows] = np.where(mine, chosen, replied)
        answers.append(value[..., 0])
    return np.stack(answers, axis=-1)


def exploitability(tree: GameTree, probs: Array) -> Array:
    """Compute the exploitability [...] of strategies [..., N, A]; 0 for optimal play.

    The mean over both sides of the best reply's payoff minus the value of the game: half of NashConv
    (Lanctot et al. 2017, A unified game-theoretic approach to multiagent reinforcement learning).
    """
    value = game_value(tree)
    above: Array = best_reply(tree, probs) - np.array([value, -value])
    return np.asarray(above.mean(axis=-1))


def against(tree: GameTree, probs: Array) -> FiniteMDP:
    """Return the finite MDP of playing against a strategy [N, A], beginning half of the games.

    State n is position n, with this side to move. Against :func:`perfect` the best actions are those of optimal play
    in every position: no reply to it earns more than the value of the game.

    Raises:
        ValueError: probabilities that do not sum to 1.
    """
    n, n_actions = tree.legal.shape
    prob, reward = np.zeros((2, n, n_actions, n_actions))
    next_position, end = np.zeros(prob.shape, np.int64), np.full(prob.shape, TERMINATES, np.uint8)
    ends_game = tree.legal & (tree.next < 0)
    prob[ends_game, 0], reward[ends_game, 0] = 1.0, tree.gain[ends_game]
    reply = tree.next[tree.legal & (tree.next >= 0)]  # where the other is to move
    goes_on = tree.legal & (tree.next >= 0)
    prob[goes_on], reward[goes_on] = probs[reply], -tree.gain[reply]
    next_position[goes_on] = np.maximum(tree.next[reply], 0)
    end[goes_on] = np.where(tree.next[reply] >= 0, GOES_ON, TERMINATES)
    start = np.zeros(n)
    start[0] = 0.5
    np.add.at(start, tree.next[0][tree.legal[0]], 0.5 * probs[0][tree.legal[0]])
    return checked(FiniteMDP(prob, next_position, reward, end, start, tree.legal))


def _layers(tree: GameTree) -> list[Array]:
    """Return the positions of every depth, the last ones first."""
    return [np.flatnonzero(tree.depth == depth) for depth in range(int(tree.depth.max()), -1, -1)]
