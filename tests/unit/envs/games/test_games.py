"""Tests of games: the contract of every registered game, and independence of seeds."""

from __future__ import annotations

import sys

import numpy as np
import pytest

from simulator.core import registry, rng
from simulator.core.games.game import CC, START
from tests.laws.players import GAMES, same, state_of_seed


def made(name, seed_list, **settings):
    player = registry.load("games", name)
    return player.make(seed_list, player.Config(**settings))


TURNS = [name for name in GAMES if not made(name, []).simultaneous]


def acted(walker, game, n):
    return walker.integers(0, game.specs[0].action.n, n)


def played(game, orders, walker, n=60):
    """Return rewards, ends and observations of n steps, each seed with the actions of its number."""
    game.reset()
    rows = []
    for _ in range(n):
        first, second = (walker.integers(0, game.specs[0].action.n, 8)[orders] for _ in range(2))
        if game.simultaneous:
            rows += [(step.obs.copy(), step.reward.copy(), step.terminated.copy()) for step in game.step(first, second)]
        else:
            turn = game.step(first)
            rows.append((turn.obs, turn.reward, turn.terminated, turn.mover, turn.replaced, *turn.final_obs))
    return rows


@pytest.mark.parametrize("name", GAMES)
def test_a_seed_alone_plays_as_it_does_among_others(name):
    order = [3, 0, 2]
    together = played(made(name, [3, 0, 2]), order, np.random.Generator(np.random.PCG64(1)))
    for k, seed in enumerate(order):
        alone = played(made(name, [seed]), [seed], np.random.Generator(np.random.PCG64(1)))
        for here, there in zip(alone, together, strict=True):
            for one, many in zip(here, there, strict=True):
                np.testing.assert_array_equal(one[0], many[k])


@pytest.mark.parametrize("name", GAMES)
def test_views_are_in_their_spaces_and_payoffs_within_their_bounds(name):
    game, walker = made(name, [0, 1]), np.random.Generator(np.random.PCG64(2))
    assert game.specs[0].observation == game.specs[1].observation
    for row in played(game, [0, 1], walker):
        obs, reward = row[:2]
        assert all(game.specs[0].observation.contains(view) for view in obs)
        assert reward.dtype == np.float32
        assert reward.min() >= min(low for low, _ in game.bounds)
        assert reward.max() <= max(high for _, high in game.bounds)


@pytest.mark.parametrize("name", GAMES)
def test_a_game_continues_from_its_state(name):
    settings = {"noise": 0.3, "continuation": 0.8} if name == "iterated_matrix" else {}
    one, two, walker = (
        made(name, [4, 5], **settings),
        made(name, [4, 5], **settings),
        np.random.Generator(np.random.PCG64(3)),
    )
    one.reset()
    for _ in range(13):
        one.step(*(acted(walker, one, 2) for _ in range(1 + one.simultaneous)))
    kept = one.state()
    two.restore(kept)
    same(state_of_seed(kept, 1, 2), state_of_seed(two.state(), 1, 2))
    for _ in range(30):
        actions = [acted(walker, one, 2) for _ in range(1 + one.simultaneous)]
        for here, there in zip(one.step(*actions), two.step(*actions), strict=True):
            for a, b in zip(here, there, strict=True) if isinstance(here, tuple) else ((here, there),):
                np.testing.assert_array_equal(a, b)
    same(one.state(), two.state())


@pytest.mark.parametrize("name", GAMES)
def test_illegal_actions_are_refused(name):
    game = made(name, [7])
    game.reset()
    wrong = np.array([game.specs[0].action.n])
    with pytest.raises(ValueError, match=r"seed 7 was given actions? .*expected 0"):
        game.step(*([wrong] * (1 + game.simultaneous)))


@pytest.mark.parametrize("name", TURNS)
def test_turns_pass_and_a_game_that_ends_begins_again(name):
    game, walker = made(name, [0]), np.random.Generator(np.random.PCG64(5))
    turn, mover, over = game.reset(), 0, 0
    while over < 4:
        assert turn.mover[0] == mover
        turn = game.step(acted(walker, game, 1))
        mover = 0 if turn.terminated[0] else 1 - mover
        assert turn.reward[0].sum() == 0.0
        assert turn.terminated[0] or not turn.reward[0].any()
        if turn.terminated[0]:
            np.testing.assert_array_equal(turn.obs, game.reset().obs)
            over += 1


@pytest.mark.parametrize("name", TURNS)
def test_an_illegal_move_is_replaced_from_the_games_own_stream(name):
    game = made(name, [9])
    game.reset()
    draws, taken = rng.generators([9], "noise")[0], []
    for _ in range(20):
        turn = game.step(np.array([0]))
        taken.append(bool(turn.replaced[0]))
        if turn.terminated[0]:
            break
    assert taken[0] is False
    assert any(taken)
    drawn = np.random.Generator(rng.unpack_state(game.state()["streams"][0]))
    [draws.random() for _ in range(sum(taken))]
    assert draws.random() == drawn.random()


@pytest.mark.parametrize("name", TURNS)
def test_without_pettingzoo_one_line_names_the_missing_extra(name, monkeypatch):
    for module in [each for each in sys.modules if each.partition(".")[0] == "pettingzoo"]:
        monkeypatch.delitem(sys.modules, module)
    monkeypatch.setitem(sys.modules, "pettingzoo", None)
    with pytest.raises(ValueError, match=rf"^{name} needs PettingZoo \(.*\): pip install pettingzoo$"):
        made(name, [0])


def test_the_iterated_game_against_a_plain_loop():
    settings = {"kind": "chicken", "noise": 0.2, "continuation": 0.7}
    game, payoffs = made("iterated_matrix", [11, 12], **settings), ((3, 1), (4, 0))
    noise, ending = rng.generators([12], "noise")[0], rng.generators([12], "ending")[0]
    walker = np.random.Generator(np.random.PCG64(6))
    assert [view.tolist() for view in game.reset()] == [[START] * 2] * 2
    ends = 0
    for _ in range(200):
        first, second = walker.integers(0, 2, (2, 2))
        mine, theirs = game.step(first, second)
        a, b = (int(each[1]) ^ (noise.random() < 0.2) for each in (first, second))
        over = ending.random() >= 0.7
        ends += over
        assert (mine.reward[1], theirs.reward[1]) == (payoffs[a][b], payoffs[b][a])
        assert (mine.final_obs[1], theirs.final_obs[1]) == (CC + 2 * a + b, CC + 2 * b + a)
        assert mine.terminated[1] == theirs.terminated[1] == over
        assert mine.obs[1] == (START if over else CC + 2 * a + b)
        assert not mine.truncated.any()
    assert 30 < ends < 90


def test_a_fixed_number_of_rounds_is_a_limit_of_time():
    game = made("iterated_matrix", [0], rounds=3)
    game.reset()
    ends = [game.step(np.array([0]), np.array([1]))[0] for _ in range(1)]
    flags = [(bool(ends[0].truncated[0]), bool(ends[0].terminated[0]))]
    for _ in range(5):
        step, _ = game.step(np.array([0]), np.array([1]))
        flags.append((bool(step.truncated[0]), bool(step.terminated[0])))
    assert flags == [(False, False), (False, False), (True, False)] * 2


def test_custom_kinds_and_payoffs():
    assert made("iterated_matrix", [0]).bounds == ((0.0, 5.0), (0.0, 5.0))
    pennies = made("iterated_matrix", [0], kind="matching_pennies")
    assert (pennies.zero_sum, pennies.bounds) == (True, ((-1.0, 1.0), (-1.0, 1.0)))
    own = made("iterated_matrix", [0], payoffs=(1.0, 2.0, 3.0, 4.0))
    assert not own.zero_sum
    own.reset()
    mine, theirs = own.step(np.array([0]), np.array([1]))
    assert (mine.reward[0], theirs.reward[0]) == (2.0, 3.0)
    both = made("iterated_matrix", [0], payoffs=(1.0, 2.0, 3.0, 4.0), second_payoffs=(5.0, 6.0, 7.0, 8.0))
    both.reset()
    assert both.step(np.array([0]), np.array([1]))[1].reward[0] == 6.0
    with pytest.raises(ValueError, match=r"^game.second_payoffs: expected game.payoffs beside it$"):
        made("iterated_matrix", [0], second_payoffs=(1.0, 2.0, 3.0, 4.0))
