"""Tests of the settings of a match."""

from __future__ import annotations

import pytest

from simulator.config.codec import assemble, from_toml, settings_hash, to_toml
from simulator.config.match import MatchConfig, build
from simulator.config.validation import ConfigSource

TABLES = {
    "seeds": 3,
    "game": {"name": "iterated_matrix", "noise": 0.1, "payoffs": [3, 0, 5, 1]},
    "first": {"name": "tit-for-tat", "cc": 0.9},
    "second": {"name": "q_learning", "label": "learner", "explore": {"epsilon_start": 0.3}},
}


def test_names_presets_labels_and_what_the_game_recommends():
    config = build(TABLES)
    assert (config.game, config.seeds, config.episodes, config.learn) == ("iterated_matrix", 3, 20, True)
    assert config.first[:2] == ("tit-for-tat", "memory_one")
    assert (config.first.settings.cc, config.first.settings.cd) == (0.9, 0.0)
    assert config.second[:2] == ("learner", "q_learning")
    assert config.second.settings.explore.epsilon_start == 0.3
    assert config.game_settings.payoffs == (3.0, 0.0, 5.0, 1.0)
    sides = {"first": {"name": "random-walk"}, "second": {"name": "planner"}}
    board = build({"game": {"name": "tic-tac-toe"}, **sides, "train_steps": 7})
    assert (board.game, board.learn, board.train_steps, board.episodes) == ("tic_tac_toe", False, 7, 100)


def test_toml_there_and_back():
    config = build(TABLES)
    assert from_toml(MatchConfig, to_toml(config), "x.toml") == config
    assert settings_hash(from_toml(MatchConfig, to_toml(config), "x.toml")) == settings_hash(config)


def test_the_hash_knows_what_the_result_depends_on_and_no_label(tmp_path):
    base = settings_hash(build(TABLES))
    assert base == settings_hash(build({**TABLES, "second": {**TABLES["second"], "label": "else"}}))
    policy = tmp_path / "p.npy"
    policy.write_bytes(b"1")
    named = {**TABLES, "second": {"name": "td", "policy": str(policy)}}
    others = [
        build({**TABLES, "seeds": 4}),
        build({**TABLES, "learn": False}),
        build({**TABLES, "game": {**TABLES["game"], "noise": 0.2}}),
        build({**TABLES, "first": TABLES["second"], "second": TABLES["first"]}),
        build(named),
    ]
    hashes = {base, *map(settings_hash, others)}
    assert len(hashes) == 6
    policy.write_bytes(b"2")
    assert settings_hash(others[-1]) not in hashes


def test_later_layers_come_over_earlier_ones():
    flags = {"seeds": "2", "first": {"dd": "0.5"}, "game": {"rounds": "9"}, "second": {"name": "grudger"}}
    base = {**TABLES, "second": {"name": "grudger"}}
    config = assemble(MatchConfig, [ConfigSource(base, "a.toml"), ConfigSource(flags, flags=True)])
    assert (config.seeds, config.first.settings.dd, config.game_settings.rounds) == (2, 0.5, 9)
    assert (config.first.settings.cc, config.second.name) == (0.9, "grudger")


@pytest.mark.parametrize(
    ("change", "line"),
    [
        ({"game": {}}, r"^m: game.name is missing: expected the name of a player \(engram list games\)$"),
        ({"game": {"name": "iterated_matrx"}}, "^m: unknown game 'iterated_matrx'; did you mean iterated_matrix?"),
        ({"first": {"name": "tit-for-tet"}}, "^m: unknown agent 'tit-for-tet'; did you mean tit-for-tat"),
        ({"first": {"name": 3}}, r"^m: first.name = 3: expected the name of a player$"),
        ({"first": {"name": "grudger", "cc": 1}}, r"^m: first.cc: no such setting"),
        ({"second": 3}, r"^m: second = 3: expected a table"),
        ({"game": {**TABLES["game"], "noise": 2}}, r"^m: game.noise = 2: expected a number >= 0 and <= 1$"),
        ({"game": {**TABLES["game"], "continuation": 1}}, r"^m: game.continuation = 1: expected .*< 1$"),
        ({"game": {**TABLES["game"], "payoffs": [1, 2]}}, r"^m: game.payoffs = \[1, 2\]: expected four numbers"),
        ({"episodes": 0}, r"^m: episodes = 0: expected a whole number >= 1$"),
        ({"episods": 5}, r"^m: episods: no such setting; did you mean episodes\?$"),
    ],
)
def test_bad_match_settings_are_refused_in_one_line(change, line):
    with pytest.raises(ValueError, match=line) as refused:
        assemble(MatchConfig, [ConfigSource({**TABLES, **change}, "m")])
    assert "\n" not in str(refused.value)


def test_every_setting_has_a_sentence():
    from simulator.config.validation import settings

    assert all(each.doc for each in settings(MatchConfig) if each.name != "game_settings")
