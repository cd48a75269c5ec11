"""Tests of the engine of play: seeds, ends, illegal actions, and opponents."""

from __future__ import annotations

import numpy as np
import pytest

from simulator.config import codec
from simulator.config.play import PlayConfig
from simulator.core import registry
from simulator.play.session import drained, next_seed, session_of

DRY = {"name": "FrozenLake-v1", "kwargs": {"is_slippery": False}}
TO_THE_GOAL = (1, 1, 2, 2, 1, 2)


def session(**tables):
    return drained(session_of(codec.build(PlayConfig, tables)))


def test_an_episode_holds_what_was_seen_and_done():
    play = session(env=DRY)
    for action in TO_THE_GOAL:
        assert play.act(action).refused == ""
    assert (play.ended, play.total, play.steps, play.last_reward) == ("terminated", 1.0, 6, 1.0)
    episode = play.episode()
    np.testing.assert_array_equal(episode.obs, [0, 4, 8, 9, 10, 14])
    np.testing.assert_array_equal(episode.actions, TO_THE_GOAL)
    assert (episode.seed, episode.terminated, episode.truncated, episode.second) == (0, True, False, None)


def test_the_end_is_drawn_where_it_is():
    play = session(env=DRY)
    for action in TO_THE_GOAL:
        play.act(action)
    walker = next(mark for mark in play.scene().marks if mark.kind == "walker")
    assert (walker.row, walker.column) == (3, 3)
    assert play.observation() == 15


def test_every_episode_is_the_first_one_of_an_environment_of_its_seed():
    play = session(env={"name": "FrozenLake-v1"})
    seen = []
    for seed in (0, 1, 2):
        play.begin(seed)
        while not play.ended:
            play.act(1)
        seen.append(play.episode().obs.tolist())
        env = registry.load("envs", "FrozenLake-v1")
        fresh = env.make([seed], env.Config())
        obs = [int(fresh.reset()[0])]
        while len(obs) < len(seen[-1]):
            obs.append(int(fresh.step(np.array([1])).obs[0]))
        assert seen[-1] == obs
    assert len({tuple(obs) for obs in seen}) > 1  # Gymnasium's own play begins every episode alike


@pytest.mark.parametrize("action", [9, -1, 0.5, True, "up", None])
def test_no_action_of_the_environment_is_refused_and_the_turn_stays(action):
    play = session(env=DRY)
    assert "expected a whole number from 0 to 3" in play.act(action).refused
    assert (play.steps, play.last_reward, int(play.observation())) == (0, None, 0)


def test_an_illegal_action_is_refused_and_the_turn_stays():
    play = session(env={"name": "rooms"})
    here = int(play.observation())
    legal = play.legal()
    assert not legal.all()
    refused = play.act(int(np.flatnonzero(~legal)[0]))
    assert refused.refused.endswith("is not possible here")
    assert (play.steps, int(play.observation())) == (0, here)
    assert play.act(int(np.flatnonzero(legal)[0])).refused == ""
    assert play.steps == 1


def test_after_the_end_nothing_is_taken():
    play = session(env=DRY)
    for action in TO_THE_GOAL:
        play.act(action)
    assert play.act(0).refused == "the episode is over"
    assert play.steps == 6


def test_an_episode_that_is_cut_by_time_is_truncated():
    play = session(env={**DRY, "max_steps": 3})
    for _ in range(3):
        play.act(0)
    assert play.ended == "truncated"
    assert play.episode().truncated


def test_rounds_are_played_at_once_and_paid_to_both():
    play = session(game={"name": "iterated_matrix", "rounds": 4}, opponent={"name": "grudger"})
    said = [play.act(action).said for action in (0, 1, 0, 0)]
    assert [words.split()[-1] for words in said] == ["cooperate", "cooperate", "defect", "defect"]
    assert (play.total, play.second) == (3 + 5 + 0 + 0, 3 + 0 + 5 + 5)
    assert play.ended == "truncated"
    np.testing.assert_array_equal(play.episode().obs, [0, 1, 3, 2])  # start, CC, DC, CD


@pytest.mark.optional
def test_an_illegal_move_stays_ones_turn_and_the_opponent_answers():
    pytest.importorskip("pettingzoo")
    play = session(game={"name": "tic_tac_toe"}, opponent={"name": "planner"}, train_steps=0)
    assert play.opening == ""  # seed 0: the person begins
    play.act(4)
    taken = [mark for mark in play.scene().marks if mark.kind == "other"]
    assert len(taken) == 1
    board = play.observation().copy()
    assert play.act(4).refused == "5 is not possible here"
    assert play.observation() == board
    assert not play.legal()[4]
    assert play.legal().sum() == 7


@pytest.mark.optional
def test_the_opponent_begins_games_of_odd_seeds_and_never_loses_when_it_plans():
    pytest.importorskip("pettingzoo")
    play = session(game={"name": "tic_tac_toe"}, opponent={"name": "planner"}, train_steps=0)
    for seed in range(4):
        said = play.begin(seed)
        assert bool(said) == bool(seed % 2)
        while not play.ended:
            play.act(int(np.flatnonzero(play.legal())[0]))
        assert play.total <= 0.0
        assert play.second == -play.total
        marks = play.scene().marks
        assert len(marks) >= 5  # the board as it ended, not the next one


@pytest.mark.optional
def test_a_board_says_which_move_a_click_is():
    pytest.importorskip("pettingzoo")
    play = session(game={"name": "connect_four"}, opponent={"name": "random_walk"}, train_steps=0)
    clicks = play.scene().clicks
    assert clicks.shape == (6, 7)
    play.act(int(clicks[0, 3]))
    own = [mark for mark in play.scene().marks if mark.kind == "own"]
    assert [(mark.row, mark.column) for mark in own] == [(5, 3)]


def test_an_opponent_that_cannot_play_the_game_is_refused():
    with pytest.raises(ValueError, match=r"^planner on iterated prisoners dilemma: no finite MDP"):
        session(game={"name": "iterated_matrix"}, opponent={"name": "planner"})


@pytest.mark.parametrize("name", ["", "a b", "-x", "a/b", "a#b", "ann.json", "x" * 41])
def test_names_that_no_contestant_can_have_are_refused(name):
    with pytest.raises(ValueError, match="name"):
        codec.build(PlayConfig, {"name": name, "env": {"name": "rooms"}})


def test_a_config_is_read_as_it_is_written():
    for tables in (
        {"name": "ann", "first_seed": 3, "env": DRY},
        {"game": {"name": "iterated_matrix", "rounds": 4}, "opponent": {"name": "tit-for-tat"}},
    ):
        config = codec.build(PlayConfig, tables)
        assert codec.from_toml(PlayConfig, codec.to_toml(config), "text") == config


def test_the_next_seed_is_one_that_was_not_played():
    assert next_seed({0, 1, 3}) == 2
    assert next_seed({0, 1, 3}, 3) == 4
    assert next_seed((), 7) == 7
