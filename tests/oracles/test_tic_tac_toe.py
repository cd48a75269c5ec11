"""Tests of tic-tac-toe: against PettingZoo's rules, a plain recursion and the solvers of finite MDPs."""

from __future__ import annotations

from functools import cache

import numpy as np
import pytest

from envs.games.tic_tac_toe import LINES, code, legal_moves, tree
from simulator.core.games.tree import against, best_reply, exploitability, game_value, move_values, perfect
from simulator.core.mdp.solve import evaluate_finite, value_iteration

UNIFORM = tree().legal / tree().legal.sum(axis=1, keepdims=True)


def boards():
    """Return every position of the tree as a board (0, 1, 2)."""
    every = tree()
    digits = every.obs[:, None] // 3 ** np.arange(9) % 3
    turned = np.where(digits > 0, 3 - digits, 0)
    return np.where((every.side == 0)[:, None], digits, turned)


def test_there_are_5478_positions():
    every = tree()
    ends = {
        (*row[:a], int(side) + 1, *row[a + 1 :])
        for row, side, legal, after in zip(boards().tolist(), every.side, every.legal, every.next, strict=True)
        for a in np.flatnonzero(legal & (after < 0))
    }
    assert len(every.obs) == len(set(every.obs.tolist())) == 4_520
    assert len(every.obs) + len(ends) == 5_478


def test_every_move_equals_pettingzoos():
    pytest.importorskip("pettingzoo")
    from pettingzoo.classic.tictactoe.board import TTT_GAME_NOT_OVER, TTT_TIE, Board

    every, board = tree(), Board()
    for at, squares in enumerate(boards().tolist()):
        board.squares = squares
        assert board.legal_moves() == np.flatnonzero(every.legal[at]).tolist()
        for move in board.legal_moves():
            board.squares = list(squares)
            board.play_turn(int(every.side[at]), move)
            status, after = board.game_status(), every.next[at, move]
            if status == TTT_GAME_NOT_OVER:
                assert every.obs[after] == code(board.squares, every.side[after])
                assert every.depth[after] == every.depth[at] + 1
            else:
                assert after == -1
                assert every.gain[at, move] == (0.0 if status == TTT_TIE else 1.0)


@cache
def by_recursion(squares, mover, responder):
    """Return the responder's expected payoff against uniform play, by a plain recursion over boards."""
    worth = []
    for square in (k for k in range(9) if squares[k] == "."):
        after = squares[:square] + "xo"[mover] + squares[square + 1 :]
        if any(after[a] == after[b] == after[c] == "xo"[mover] for a, b, c in LINES):
            worth.append(1.0 if mover == responder else -1.0)
        else:
            worth.append(by_recursion(after, 1 - mover, responder) if "." in after else 0.0)
    return max(worth) if mover == responder else sum(worth) / len(worth)


def test_best_replies_to_random_play():
    found = best_reply(tree(), UNIFORM)
    np.testing.assert_allclose(found, [by_recursion("." * 9, 0, side) for side in (0, 1)], rtol=1e-12)
    np.testing.assert_allclose(found, [191 / 192, 0.9248677249], rtol=1e-9)
    assert exploitability(tree(), UNIFORM) == pytest.approx(found.mean())


def test_perfect_play_is_not_exploited_and_draws():
    assert game_value(tree()) == 0.0
    np.testing.assert_array_equal(best_reply(tree(), perfect(tree())), [0.0, 0.0])
    assert exploitability(tree(), perfect(tree())) == 0.0
    corner_then = tree().next[0, 0]
    assert np.flatnonzero(perfect(tree())[corner_then]).tolist() == [4]  # only the centre holds against a corner


def test_a_best_reply_is_the_optimum_of_the_mdp_against_the_policy():
    stream = np.random.Generator(np.random.PCG64(3))
    weights = np.where(tree().legal, stream.random((3, *tree().legal.shape)), 0.0)
    probs = weights / weights.sum(axis=-1, keepdims=True)
    replies = best_reply(tree(), probs)
    assert replies.shape == (3, 2)
    for policy, reply in zip(probs, replies, strict=True):
        mdp = against(tree(), policy)
        assert value_iteration(mdp, 1.0).start_value == pytest.approx(reply.mean())
        assert exploitability(tree(), policy) == pytest.approx(reply.mean())
    first, second = probs[0], probs[1]
    assert evaluate_finite(against(tree(), first), second, 9) == pytest.approx(
        -evaluate_finite(against(tree(), second), first, 9)
    )


def test_the_plan_against_perfect_play_is_perfect_in_every_position():
    q, values = value_iteration(against(tree(), perfect(tree())), 1.0).q, move_values(tree())
    legal = tree().legal
    np.testing.assert_allclose(q[legal], values[legal], atol=1e-9)


def test_codes_and_moves():
    squares = [1, 2, 0, 0, 1, 0, 0, 0, 2]
    assert code(squares, 0) == 1 + 2 * 3 + 81 + 2 * 3**8
    assert code(squares, 1) == 2 + 3 + 2 * 81 + 3**8
    legal = legal_moves()
    assert np.flatnonzero(legal[code(squares, 1)]).tolist() == [2, 3, 5, 6, 7]
    assert legal.any(axis=1).all()
