"""Tests of ``engram play`` with actions from words: what is stored, shown, compared, cloned, and refused."""

from __future__ import annotations

import io
import json

import pytest

from simulator.commands import main
from simulator.play import log
from simulator.store.run_store import Store

pytestmark = pytest.mark.slow
DRY = ("--env.kwargs", "is_slippery=false")
TO_THE_GOAL = "down,down,right,right,down,right"
INTO_A_HOLE = "right,down"
LAKE = ("play", "FrozenLake-v1", *DRY, "--lab", "lab")


@pytest.fixture(scope="module")
def lab(tmp_path_factory):
    """Return a folder whose ``lab`` holds five episodes of ann on dry ice, r1 and r2, and clones of them, r3."""
    folder = tmp_path_factory.mktemp("played")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        patch.delenv("ENGRAM_LAB", raising=False)
        goal = TO_THE_GOAL.split(",")
        hole = INTO_A_HOLE.split(",")
        assert main.main([*LAKE, "--name", "ann", "--actions", *goal, *hole, *goal]) == 0
        assert main.main([*LAKE, "--name", "ann", "--actions", *goal, *goal, "--teach"]) == 0
    return folder


@pytest.fixture
def ann(lab, monkeypatch):
    """Work in the folder of ``lab``."""
    monkeypatch.chdir(lab)
    monkeypatch.delenv("ENGRAM_LAB", raising=False)
    return lab / "lab"


@pytest.mark.usefixtures("clean_folder")
def test_episodes_have_seeds_of_their_own_and_are_printed_as_json(engram):
    actions = [*TO_THE_GOAL.split(","), *INTO_A_HOLE.split(",")]
    played = engram(*LAKE, "--name", "ann", "--json", "--actions", *actions).json
    assert [(row["seed"], row["return"], row["steps"]) for row in played["episodes"]] == [(0, 1.0, 6), (1, 0.0, 2)]
    assert (played["play"], played["name"], played["env"]) == ("r1", "human:ann", "FrozenLake-v1")
    assert (played["optimum"], played["threshold"], played["opponent"]) == (1.0, 0.7, "")
    assert played["score"]["few"]
    assert played["score"]["mean"] == 0.5
    again = engram(*LAKE, "--name", "ann", "--json", "--actions", INTO_A_HOLE).json
    assert [row["seed"] for row in again["episodes"]] == [2]
    other = engram(*LAKE, "--name", "bob", "--json", "--actions", INTO_A_HOLE).json
    assert [row["seed"] for row in other["episodes"]] == [0]


@pytest.mark.usefixtures("clean_folder")
def test_an_episode_that_is_left_is_no_episode_and_its_seed_is_spent(engram):
    left = engram(*LAKE, "--json", "--actions", *INTO_A_HOLE.split(","), "down").json
    assert ([row["seed"] for row in left["episodes"]], left["abandoned"]) == ([0], [1])
    assert [row["seed"] for row in engram(*LAKE, "--json", "--actions", INTO_A_HOLE).json["episodes"]] == [2]


def test_without_a_whole_episode_nothing_is_stored(engram, clean_folder):
    nothing = engram(*LAKE, "--json", "--actions", "down", code=1).json
    assert (nothing["play"], nothing["episodes"]) == (None, [])
    assert engram("list", "runs", "--lab", "lab", "--json").json == {"runs": []}


@pytest.mark.usefixtures("clean_folder")
def test_words_come_from_stdin_line_by_line(engram, monkeypatch):
    monkeypatch.setattr("sys.stdin", io.StringIO("down down\nright,right\n\ndown right\n"))
    assert engram(*LAKE, "--json").json["episodes"][0]["return"] == 1.0


@pytest.mark.usefixtures("clean_folder")
def test_refused_actions_are_told_and_the_turn_stays(engram):
    found = engram("play", "rooms", "--lab", "lab", "--json", "--actions", "0,1,2,3,4,5,0,1,2,3,4,5,0,1,2,3,4,5")
    assert "is not possible here; the turn stays" in found.err
    steps = sum(row["steps"] for row in found.json["episodes"])
    assert 0 < steps < 18


@pytest.mark.usefixtures("clean_folder")
def test_a_sitting_ends_after_the_episodes_that_are_wanted(engram):
    actions = [*INTO_A_HOLE.split(",")] * 3
    assert len(engram(*LAKE, "--json", "--episodes", "2", "--actions", *actions).json["episodes"]) == 2


@pytest.mark.usefixtures("clean_folder")
def test_a_matrix_game_is_played_against_a_strategy(engram):
    words = ("--against", "grudger", "--game.rounds", "3", "--actions", "cooperate,defect,0")
    played = engram("play", "iterated_matrix", "--lab", "lab", "--json", *words).json
    (episode,) = played["episodes"]
    assert (episode["return"], episode["opponent_return"], episode["truncated"]) == (8.0, 8.0, True)
    assert played["opponent"] == "grudger"
    shown = engram("report", "r1", "--lab", "lab").out
    assert "human:me in iterated_matrix against grudger" in shown
    assert "the other side's return, mean" in shown


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("nosuch",), "unknown environment 'nosuch'"),
        (("iterated_matrix",), "iterated_matrix is a game: expected --against"),
        (("rooms", "--against", "td"), "--against: rooms is no game"),
        (("rooms", "--train-steps", "5"), "--train-steps: rooms is no game"),
        (("iterated_matrix", "--against", "grudger", "--teach"), "--teach: iterated_matrix is a game"),
        (("iterated_matrix", "--against", "nobody"), "unknown"),
        (("rooms", "--name", "a b"), "name = 'a b': expected letters and digits"),
        (("rooms", "--actions", "jump"), "jump: no action, expected one of room 0"),
        (("rooms", "--episodes", "-1"), "--episodes"),
        (("rooms", "--env.layout", "nowhere"), "rooms: unknown layout 'nowhere'"),
        (("iterated_matrix", "--against", "r1"), "there is no run yet in"),
    ],
)
def test_bad_input_is_one_line_and_leaves_no_lab(engram, clean_folder, words, said):
    found = engram("play", *words, "--lab", "lab", code=2)
    assert said in found.err.splitlines()[-1]
    assert not list(clean_folder.iterdir())


def test_a_trained_run_is_an_opponent_where_it_sees_and_does_the_same(engram, clean_folder):
    (clean_folder / "duel.py").write_text(
        "from dataclasses import dataclass\nimport numpy as np\nfrom gymnasium import spaces\n"
        "from simulator.core.protocols import EnvSpec, Step\nfrom simulator.core.scene import Scene\n\n\n"
        "@dataclass(frozen=True)\nclass Config:\n    '''No settings.'''\n\n\n"
        "class Duel:\n    def __init__(self, seeds):\n"
        "        self.spec = EnvSpec('duel', spaces.Discrete(5), spaces.Discrete(2), 1)\n        self.n = len(seeds)\n"
        "    def reset(self):\n        return np.zeros(self.n, np.int64)\n"
        "    def step(self, actions):\n"
        "        zeros = np.zeros(self.n, np.int64)\n        yes = np.ones(self.n, np.bool_)\n"
        "        return Step(zeros, np.asarray(actions, np.float32), yes, ~yes, zeros)\n"
        "    def scene(self, index):\n        return Scene('duel')\n"
        "    def state(self):\n        return {}\n    def restore(self, state):\n        return True\n"
        "    def observe(self):\n        return np.zeros(self.n, np.int64)\n\n\n"
        "def make(seeds, config):\n    return Duel(seeds)\n"
    )
    engram("run", "q_learning", "./duel.py", "--steps", "500", "--seeds", "2", "--view", "none", "--lab", "lab")
    words = ("--against", "r1", "--game.rounds", "1", "--actions", "cooperate", "--lab", "lab", "--json")
    played = engram("play", "iterated_matrix", *words).json
    assert played["opponent"].startswith("run:")
    assert played["episodes"][0]["opponent_return"] == 5.0  # it has learned to defect


def test_play_is_listed_shown_reported_and_reproduced(engram, ann):
    runs = engram("list", "runs", "--lab", "lab", "--json").json["runs"]
    assert [(row["run"], row["kind"], row["agent"], row["step"]) for row in runs] == [
        ("r1", "play", "human:ann", 3),
        ("r2", "play", "human:ann", 2),
        ("r3", "run", "behaviour_cloning", 1),
    ]
    shown = engram("show", "r1", "--lab", "lab").out
    assert "human:ann in FrozenLake-v1" in shown
    assert "cannot be resumed" not in shown
    lines = engram("report", "r1", "--csv", "--lab", "lab").out.splitlines()
    assert [line.split(",")[4:6] for line in lines] == [["seed", "return"], ["0", "1.0"], ["1", "0.0"], ["2", "1.0"]]
    assert "| 0 | 1 | 6 | yes | no |" in engram("report", "r1", "--table", "--lab", "lab").out
    again = engram("reproduce", "r1", "--lab", "lab", "--json").json
    assert (again["identical"], again["compared"]) == (True, {"episodes": 3})


@pytest.mark.usefixtures("ann")
@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("resume", "r1"), "r1 is recorded play, which is over"),
        (("plot", "r1", "-o", "x.svg"), "r1 is recorded play, which has no picture"),
        (("report", "r1", "r3"), "r1 is recorded play, expected runs"),
        (("report", "r1", "--html", "x.html"), "--html: not for a recording of play"),
        (("export", "r1", "x.npz"), "r1 is a recording of play, expected a run of an agent"),
        (("run", "td", "rooms", "--start", "r1"), "r1 is no run of an agent"),
    ],
)
def test_what_recorded_play_cannot_do_is_said_in_one_line(engram, words, said):
    assert said in engram(*words, "--lab", "lab", code=2).err.splitlines()[-1]


def test_people_and_clones_compete_and_it_is_said_how_little_was_played(engram, ann):
    names = ("--agents", "human:ann", "cloned:ann", "random_walk", "--envs", "FrozenLake-v1")
    settings = ("--env.FrozenLake_v1.kwargs", "is_slippery=false", "--seeds", "8", "--steps", "100")
    words = ("tournament", *names, *settings, "--view", "none", "--workers", "1", "--lab", "lab", "--json")
    result = engram(*words).json
    assert result["people"] == [
        {"contestant": "human_ann", "challenge": "FrozenLake-v1", "episodes": 5, "seeds": 5, "planned": 8}
    ]
    scores = {row["contestant"]: row for row in result["scores"]}
    assert scores["human_ann"]["seeds"] == 5
    assert scores["human_ann"]["raw"]["mean"]["value"] == pytest.approx(0.8)
    assert scores["cloned_ann"]["raw"]["mean"]["value"] == 1.0
    assert scores["cloned_ann"]["seeds"] == 8
    assert (
        "human_ann in FrozenLake-v1: 5 recorded episodes of 5 of 8 seeds" in engram("report", "t1", "--lab", "lab").out
    )


@pytest.mark.usefixtures("ann")
@pytest.mark.parametrize(
    ("name", "env", "said"),
    [
        ("human:bob", "FrozenLake-v1", "nobody of this name has played in this lab (human:ann has)"),
        ("human:ann", "rooms", "human:ann: no episode in rooms with these settings, expected some (engram play rooms"),
        ("human:ann", "FrozenLake-v1", "no episode in FrozenLake-v1 with these settings"),  # slippery ice
        ("cloned:bob", "FrozenLake-v1", "cloned:bob: no clone in FrozenLake-v1 with these settings"),
    ],
)
def test_nobody_competes_who_has_not_played_there(engram, name, env, said):
    words = ("tournament", "--agents", name, "random_walk", "--envs", env, "--seeds", "2", "--steps", "10")
    assert said in engram(*words, "--view", "none", "--lab", "lab", code=2).err.splitlines()[-1]


GAME = ("--games", "iterated_matrix", "--game.iterated_matrix.rounds", "4", "--view", "none", "--lab", "lab")


@pytest.mark.usefixtures("ann")
@pytest.mark.parametrize(
    ("names", "said"),
    [
        (("random_walk", "cloned:ann"), "cloned:ann plays no game in a tournament"),
        (("human:ann", "human:bob"), "two people do not meet"),
        (("human:ann", "q_learning"), "human:ann against q_learning: it trains anew for every seed"),
        (("human:ann", "grudger"), "no game of iterated_matrix against grudger with these settings"),
    ],
)
def test_people_play_no_games_in_tournaments_that_they_have_not_played(engram, names, said):
    assert said in engram("tournament", "--players", *names, *GAME, code=2).err.splitlines()[-1]


@pytest.mark.usefixtures("clean_folder")
def test_what_a_person_played_against_an_opponent_is_their_match(engram):
    play = ("play", "iterated_matrix", "--game.rounds", "4", "--name", "ann", "--lab", "lab", "--json")
    engram(*play, "--against", "grudger", "--episodes", "2", "--actions", ",".join(["defect"] * 8))
    engram(*play, "--against", "tit-for-tat", "--episodes", "2", "--actions", ",".join(["cooperate"] * 8))
    words = ("tournament", "--players", "grudger", "human:ann", "tit-for-tat", *GAME, "--seeds", "2", "--json")
    found = engram(*words).json
    matches = {(match["first"], match["second"]): match["scores"] for match in found["matches"]}
    assert matches["human_ann", "tit-for-tat"] == [3.0, 3.0]
    assert matches["grudger", "human_ann"] == [0.75, 2.0]  # 0 and 5, then 1 and 1 three times
    again = engram(*words).json
    assert again["cells"] == {"planned": 3, "done": 3, "failed": 0, "missing": 0}
    engram(*play, "--against", "grudger", "--episodes", "1", "--actions", ",".join(["defect"] * 4))
    longer = engram(*words[:-3], "--seeds", "3", "--json").json
    assert [failure["seeds"] for failure in longer["failures"]] == [[2]]  # not played against tit-for-tat


def test_clones_are_a_run_that_says_how_well_it_does_on_held_out_steps(engram, ann, tmp_path):
    taught = engram(*LAKE, "--name", "ann", "--teach", "--json", "--actions", TO_THE_GOAL).json["taught"]
    assert (taught["contestant"], taught["episodes"], taught["steps"]) == ("cloned:ann", 6, 32)
    assert 0.5 < taught["held_out"]["accuracy"] <= 1.0
    assert taught["most_frequent"] == pytest.approx(16 / 32)
    assert taught["evaluation"]["exact_per_seed"] == [1.0] * 8


def test_demonstrations_hold_every_step(ann):
    with Store(ann) as store:
        shown = log.demonstrations_of(log.episodes_of(store, "r1"))
    assert shown.obs.tolist() == [0, 4, 8, 9, 10, 14, 0, 1, 0, 4, 8, 9, 10, 14]
    assert shown.episode.tolist() == [0] * 6 + [1] * 2 + [2] * 6


def test_the_first_of_several_episodes_of_a_seed_counts(engram, clean_folder):
    engram(*LAKE, "--first-seed", "4", "--actions", INTO_A_HOLE)
    engram(*LAKE, "--first-seed", "4", "--actions", TO_THE_GOAL)
    with Store(clean_folder / "lab") as store:
        place = {"env": json.loads(json.dumps(_table(store)))}
        assert [one.total for one in log.episodes_in(store, "me", place)] == [0.0]


def _table(store):
    from simulator.config.codec import stored_tables
    from simulator.config.play import PlayConfig

    return stored_tables(PlayConfig, store.find("r1"))["env"]


def test_deleted_play_competes_no_more(engram, clean_folder):
    engram(*LAKE, "--name", "ann", "--actions", TO_THE_GOAL)
    assert "deleted r1" in engram("delete", "r1", "--yes", "--lab", "lab").out
    words = ("tournament", "--agents", "human:ann", "random_walk", "--envs", "FrozenLake-v1", "--lab", "lab")
    assert "nobody of this name has played" in engram(*words, "--view", "none", code=2).err
