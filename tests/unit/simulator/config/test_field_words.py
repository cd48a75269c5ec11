"""Tests of field words: each leads to a setting that some player has."""

from __future__ import annotations

import pytest

from simulator.config.field_words import OWNERS, WORDS, option_meant, settings_of, table_of
from simulator.config.recall import RecallConfig
from simulator.config.run import RunConfig
from simulator.config.validation import ConfigSource, check, dotted_names, settings
from simulator.core import registry


def _settings(kind: str, name: str) -> list[str]:
    return list(dotted_names(settings(registry.load(kind, name).Config)))


def test_every_word_means_a_setting_that_exists() -> None:
    kinds = ("agents", "components", "envs", "memories")
    known = {setting for kind in kinds for name in registry.names(kind) for setting in _settings(kind, name)}
    known |= set(_settings("envs", "ALE/Pong-v5"))
    assert {setting for meant in WORDS.values() for setting in meant} <= known


def test_owners_have_what_is_said_of_them() -> None:
    for setting, owners in OWNERS.items():
        for owner in owners.replace(" and ", ", ").split(", "):
            assert setting in _settings("agents", owner), f"{owner}: {setting}"


@pytest.mark.parametrize(
    ("player", "word", "meant"),
    [
        ("q_learning", "epsilon", ["explore.epsilon_start"]),
        ("q_learning", "alpha", ["step_size"]),
        ("q_learning", "learning_rate", ["step_size"]),
        ("q_learning", "epsilon_start", ["explore.epsilon_start"]),
        ("q_learning", "buffer_size", []),
        ("dqn", "learning_rate", ["optimizer.learning_rate"]),
        ("dqn", "alpha", ["optimizer.learning_rate"]),
        ("dqn", "replay_size", ["buffer_size"]),
        ("dqn", "net_arch", ["network.hidden"]),
        ("td", "lambda", ["lambda_"]),
    ],
)
def test_a_word_means_the_setting_of_the_player(player: str, word: str, meant: list[str]) -> None:
    assert settings_of(word, _settings("agents", player)) == meant


def test_words_of_experiments_and_tables() -> None:
    run = [setting.name for setting in settings(RunConfig)]
    assert (option_meant("seed", run), option_meant("total_timesteps", run)) == ("first_seed", "steps")
    assert option_meant("episodes", [setting.name for setting in settings(RecallConfig)]) == ""
    assert (table_of("lr", ["agent", "env"]), table_of("layout", ["agent", "env"])) == ("agent", "env")
    assert table_of("gamma", ["agent", "env"]) == "agent"
    assert table_of("lr", ["memory"]) == table_of("jsn", ["agent"]) == ""


def test_a_line_names_the_source_and_the_player() -> None:
    known = settings(registry.load("agents", "q_learning").Config)
    with pytest.raises(ValueError, match=r".") as refusal:
        check(known, {"alpha": 0.1}, ConfigSource({}, "run.toml"), ("agent",), "q_learning")
    assert str(refusal.value) == "run.toml: agent.alpha: no such setting; q_learning calls it agent.step_size"
