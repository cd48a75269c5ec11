"""Tests of what a person may type for what is called otherwise here: settings, variants, kinds of players."""

from __future__ import annotations

import pytest

from simulator.commands.list import WORDS
from simulator.config.run import build
from simulator.core import registry
from tests.helpers.commands import Engram

pytestmark = pytest.mark.usefixtures("clean_folder")


@pytest.mark.parametrize(
    ("words", "line"),
    [
        ("run q_learning rooms --agent.epsilon 0.1", "q_learning calls it --agent.explore.epsilon-start"),
        ("run q_learning rooms --agent.explore.epsilon 0.1", "q_learning calls it --agent.explore.epsilon-start"),
        ("run q_learning rooms --agent.alpha 0.1", "q_learning calls it --agent.step-size"),
        ("run q_learning rooms --agent.tau 1", "q_learning has none, dqn has it (engram show q_learning)"),
        ("run q_learning rooms --epsilon 0.1", "did you mean --agent.epsilon?"),
        ("run q_learning rooms --env.map four", "rooms calls it --env.layout"),
        ("run q_learning rooms --layout four", "did you mean --env.layout?"),
        ("run q_learning rooms --timesteps 9", "it is called --steps"),
        ("run q_learning rooms --seed 9", "it is called --first-seed, and --seeds is the number of seeds"),
        ("recall rbm digits --memory.rbm.epochs 9", "rbm calls it --memory.rbm.learn.updates"),
    ],
)
def test_a_word_for_a_setting_is_answered_with_the_setting(engram: Engram, words: str, line: str) -> None:
    assert engram(*words.split(), code=2).err.endswith(f"; {line}\n")


@pytest.mark.parametrize(
    ("words", "line"),
    [
        ("run hopfield digits", "hopfield is a memory: engram recall hopfield digits"),
        ("run dqn mnist", "mnist is a challenge: engram recall MEMORY mnist"),
        ("run rooms q_learning", "rooms is an environment, expected an agent: engram run q_learning rooms"),
        ("recall q_learning rooms", "q_learning is an agent: engram run q_learning rooms"),
        ("recall digits hopfield", "digits is a challenge, expected a memory: engram recall hopfield digits"),
        ("recall hopfield", "hopfield is a memory, expected a challenge after it: engram recall hopfield digits"),
        ("tournament --agents rbm --envs rooms", "unknown agent 'rbm'; it is a memory: engram recall rbm CHALLENGE"),
    ],
)
def test_players_of_other_commands_are_answered_with_the_command(engram: Engram, words: str, line: str) -> None:
    assert engram(*words.split(), code=2).err == f"engram: {line}\n"


def test_mnist_asks_for_its_file(engram: Engram) -> None:
    assert "train-images-idx3-ubyte.gz" in engram("recall", "hopfield", "mnist", code=2).err


def test_an_algorithm_of_another_library_is_named_with_its_command(engram: Engram) -> None:
    assert "stable-baselines3 has it, as sb3:A2C" in engram("run", "a2c", "CartPole-v1", code=2).err


def test_variants_are_players_with_settings(engram: Engram) -> None:
    for name, variant in registry.VARIANTS["agents"].items():
        config = build({"agent": {"name": name}, "env": {"name": "CartPole-v1"}})
        assert config.agent == variant.name
        assert {key: getattr(config.agent_settings, key) for key in variant.settings} == variant.settings
    own = build({"agent": {"name": "sarsa", "target": "max"}, "env": {"name": "rooms"}})
    assert own.agent_settings.target == "max"
    output = engram("run", "expected-sarsa", "rooms", "--steps", "20", "--view", "none", "--json")
    assert output.json["agent"] == "q_learning"
    assert "expected-sarsa is q_learning with target = expected\n" in output.err
    assert 'target = "expected"' in engram("show", "latest").out


def test_variants_compete_in_tournaments(engram: Engram) -> None:
    words = "tournament --agents sarsa q_learning --envs rooms --seeds 2 --steps 20 --workers 1 --json"
    contestants = engram(*words.split()).json["contestants"]
    assert [(each["label"], each["name"]) for each in contestants] == [("sarsa", "q_learning"), ("q_learning",) * 2]
    assert contestants[0]["settings"] == {"target": "sarsa"}


def test_help_of_one_name_shows_its_settings(engram: Engram) -> None:
    assert "--memory.hopfield.rule " in engram("recall", "hopfield", "--help").out
    assert "--challenge.levels " in engram("recall", "digits", "--help").out
    assert "--env.layout " in engram("run", "rooms", "--help").out
    assert "(default: sarsa)" in " ".join(engram("run", "sarsa", "--help").out.split())


def test_kinds_go_by_other_words_and_gymnasium_is_one(engram: Engram) -> None:
    for word, kind in WORDS.items():
        if kind not in ("presets", "components"):
            assert engram("list", word, "--json").out == engram("list", kind, "--json").out
    ids = engram("list", "gymnasium").out.splitlines()
    assert "CartPole-v1" in ids
    assert ids == engram("list", "envs", "--json").json["gymnasium"]


def test_what_an_option_lacks_or_means_is_said(engram: Engram, clean_folder) -> None:
    assert "--env.n: unknown option; a setting of the environment itself is --env.kwargs.n" in (
        engram("run", "q_learning", "FrozenLake-v1", "--env.n", "6", code=2).error
    )
    assert "--tensorboard: expected a folder" in engram("run", "td", "rooms", "--tensorboard", code=2).error
    (clean_folder / "pole.py").write_text("class Pole:\n    pass\n")
    assert "did you mean pole.py:Pole?" in engram("run", "td", "Pole", code=2).error
    engram("run", "td", "rooms", "--steps", "100", "--seeds", "1", "--eval-episodes", "1", "--view", "none")
    assert "deleted r1" in engram("delete", "r1", "-y").out
