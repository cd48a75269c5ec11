"""Tests of matches between two agents."""

from __future__ import annotations

import json
from itertools import pairwise

import numpy as np
import pytest

from simulator.config.match import build
from simulator.core.snapshots import Progress
from simulator.matches.match import play
from tests.helpers import lowest_agent

LOWEST = "tests.helpers.lowest_agent"
PENNIES = {"name": "iterated_matrix", "kind": "matching_pennies", "continuation": 0.9}


def match(first, second, game="iterated_matrix", **settings):
    """Return the result of a match; players are names, or tables of settings."""
    tables = {"game": game, "first": first, "second": second}
    named = {key: value if isinstance(value, dict) else {"name": value} for key, value in tables.items()}
    *_, last = play(build({"seeds": 2, **named, **settings}))
    assert last.phase == "done"
    return last.result


def test_tit_for_tat_against_always_defect_by_hand():
    found = match("tit-for-tat", "always-defect", {"name": "iterated_matrix", "rounds": 10}, episodes=3)
    facts = found["facts"]
    assert (found["scores"], found["second"]) == ([0.9, 0.9], [1.4, 1.4])
    np.testing.assert_allclose(facts["expected"], [[0.9, 0.9], [1.4, 1.4]])
    assert (facts["floor"], facts["ceiling"], facts["zero_sum"], facts["wins"]) == (0.0, 5.0, False, None)
    assert (facts["rounds"], facts["per"], facts["exploitability"]) == ([30, 30], "round", None)
    assert (found["steps"], found["curve"], found["failed"], found["exact"]) == ([], [[], []], [], True)
    assert json.loads(json.dumps(found)) == found


@pytest.mark.parametrize("pair", [("generous-tit-for-tat", "win-stay-lose-shift"), ("joss", "random")])
def test_play_agrees_with_the_exact_payoffs(pair):
    game = {"name": "iterated_matrix", "noise": 0.05, "continuation": 0.95}
    found = match(*pair, game, seeds=32, episodes=150)
    for scores, exact in zip((found["scores"], found["second"]), found["facts"]["expected"], strict=True):
        error = np.std(scores, ddof=1) / np.sqrt(32)
        assert abs(np.mean(scores) - exact[0]) < 4 * error
        assert error < 0.05


@pytest.mark.slow
@pytest.mark.parametrize(
    ("first", "game", "settings"),
    [
        ("q_learning", {"name": "iterated_matrix", "noise": 0.1, "continuation": 0.9}, {"train_steps": 100}),
        ("joss", {"name": "iterated_matrix", "payoffs": [0.1, 0.3, 0.7, 0.2], "continuation": 0.9}, {}),
        ("q_learning", "tic_tac_toe", {"train_steps": 60, "learn": True}),
    ],
)
def test_a_seed_plays_as_it_does_among_others(first, game, settings):
    together = match(first, "random_walk", game, seeds=3, first_seed=5, episodes=6, **settings)
    alone = match(first, "random_walk", game, seeds=1, first_seed=7, episodes=6, **settings)
    for key in ("scores", "second"):
        assert together[key][2] == alone[key][0]
        assert len(set(together[key])) > 1
    assert together["facts"]["rounds"][2] == alone["facts"]["rounds"][0]


def test_an_agent_that_meets_itself_has_streams_of_its_own_on_either_side():
    found = match("random", "random", PENNIES, seeds=4, episodes=50)
    assert found["facts"]["zero_sum"] is True
    for wins, score, other in zip(found["facts"]["wins"], found["scores"], found["second"], strict=True):
        assert 0.4 < wins < 0.6
        assert score == -other == pytest.approx(2 * wins - 1)


def test_all_matches_of_a_seed_have_the_same_lengths():
    rounds = [match("tit-for-tat", second, episodes=5)["facts"]["rounds"] for second in ("random", "always-defect")]
    assert rounds[0] == rounds[1]


def test_entrants_begin_in_turn():
    found = match(LOWEST, LOWEST, "tic_tac_toe", train_steps=0, episodes=4)  # who begins wins, by squares 2, 4, 6
    assert found["scores"] == found["second"] == [0.0, 0.0]
    assert found["facts"]["wins"] == [0.5, 0.5]
    assert (found["facts"]["rounds"], found["facts"]["ceiling"], found["facts"]["floor"]) == ([4, 4], 1.0, -1.0)
    assert found["facts"]["exploitability"][0] == [1.0, 1.0]


@pytest.mark.slow
def test_a_planner_plays_tic_tac_toe_perfectly():
    found = match("planner", "random_walk", "tic_tac_toe", seeds=1, episodes=60)
    assert found["facts"]["exploitability"][0] == [0.0]
    assert found["facts"]["exploitability"][1] == [pytest.approx((191 / 192 + 0.9248677249) / 2)]
    assert found["scores"][0] > 0.7
    assert match("planner", "planner", "tic_tac_toe", seeds=1, episodes=20)["scores"] == [0.0]


@pytest.mark.slow
def test_a_learner_is_trained_before_the_match():
    untrained, trained = (
        match("q_learning", "random_walk", "tic_tac_toe", train_steps=n, episodes=200, seeds=2) for n in (0, 2_500)
    )
    assert np.mean(trained["scores"]) > np.mean(untrained["scores"]) + 0.08


def test_a_learner_learns_in_the_match_where_it_may():
    game = {"name": "iterated_matrix", "rounds": 100}
    greedy = {"name": "q_learning", "gamma": 0.5, "explore": {"epsilon_start": 0.05}}
    learns, still = (match(greedy, "always-cooperate", game, episodes=20, learn=learn) for learn in (True, False))
    assert min(learns["scores"]) > 4.7  # it learns to defect
    assert learns["facts"]["expected"] is None
    np.testing.assert_allclose(still["scores"], still["facts"]["expected"][0], atol=0.2)


def test_connect_four_counts_illegal_moves():
    stubborn = {"name": LOWEST, "illegal": True}  # both fill the first column, by turns, and then go on
    found = match(stubborn, stubborn, "connect_four", seeds=1, episodes=4, train_steps=0)
    assert min(found["facts"]["replaced"][0][0], found["facts"]["replaced"][1][0]) > 5
    assert found["facts"]["exploitability"] is None
    assert np.isfinite(found["scores"]).all()


def test_learning_steps_of_a_side_at_a_board():
    lowest_agent.NOTES.clear()
    noting = {"name": LOWEST, "note": True}
    match(noting, {"name": "random_walk"}, "tic_tac_toe", seeds=1, episodes=4, train_steps=0, learn=True)
    notes = lowest_agent.NOTES
    assert sum(note[4] == [True] for note in notes) == 4 - 1  # the last one is never asked again
    for before, after in pairwise(notes):
        assert before[6] == after[1]  # seen next: what it acts on next
        assert before[7] == before[6] or before[4] == [True]
        assert (before[3] != [0.0]) <= (before[4] == [True])
    assert not any(note[5][0] for note in notes)


def test_practice_ends_in_a_cut_and_the_match_begins_anew():
    lowest_agent.NOTES.clear()
    game = {"name": "iterated_matrix", "rounds": 50}
    match({"name": LOWEST, "note": True}, "random", game, seeds=1, episodes=1, train_steps=7)
    own = lowest_agent.NOTES[0][0]
    mine = [note for note in lowest_agent.NOTES if note[0] == own]
    assert [note[5] for note in mine[:8]] == [[False]] * 6 + [[True], [False]]
    assert mine[7][1] == [0]
    assert len({note[0] for note in lowest_agent.NOTES}) == 2  # its partner in practice has seeds of its own


def test_seeds_that_fail_are_marked_and_count_nowhere():
    failing = {"name": LOWEST, "fails": 5, "label": "sick"}
    found = match("random", failing, {"name": "iterated_matrix", "rounds": 10}, episodes=2)
    assert found["failed"] == [{"seed": 1, "step": 5, "reason": "sick: its loss was not finite"}]
    assert np.isnan(found["scores"]).tolist() == np.isnan(found["second"]).tolist() == [False, True]
    late = {"name": LOWEST, "fails": 21}
    assert match("random", late, {"name": "iterated_matrix", "rounds": 10}, episodes=2)["failed"] == []


@pytest.mark.parametrize("game", ["iterated_matrix", "tic_tac_toe"])
def test_a_match_yields_snapshots_and_can_be_left(game, monkeypatch):
    monkeypatch.setattr("simulator.matches.match.REPORT_EVERY", 0.0)
    sides = {"first": {"name": "q_learning"}, "second": {"name": "random_walk"}}
    config = build({"seeds": 1, "episodes": 4, "train_steps": 6, "game": {"name": game}, **sides})
    seen = list(play(config))
    assert {each.phase for each in seen} == {"training", "playing", "done"}
    assert {each.kind for each in seen} == {"match"}
    assert seen[-1].id == f"q_learning - random_walk in {game}"
    assert seen[-1].progress == Progress(4, 4, "episode")
    assert [each.result is None for each in seen] == [True] * (len(seen) - 1) + [False]
    snapshots = play(config)
    assert next(snapshots).phase == "training"
    snapshots.close()


@pytest.mark.parametrize(
    ("first", "game", "settings", "line"),
    [
        ("random_walk", "tic_tac_toe", {"episodes": 3}, "^episodes = 3: expected an even number in tic_tac_toe, where"),
        ("tit-for-tat", "tic_tac_toe", {}, "^memory_one on tic_tac_toe: .*expected a side of an iterated game"),
        ("planner", "connect_four", {}, "^planner on connect_four: no finite MDP is known"),
    ],
)
def test_an_impossible_match_is_refused_before_any_game(first, game, settings, line, monkeypatch):
    monkeypatch.setattr("simulator.matches.match._trained", None)
    with pytest.raises(ValueError, match=line):
        match("random_walk", first, game, **settings)
