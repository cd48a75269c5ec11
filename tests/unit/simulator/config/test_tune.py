"""Tests of a tuning's config: spaces from TOML and from the command line, and bad ones."""

from __future__ import annotations

import pytest

from simulator.config.codec import assemble, from_toml, settings_hash, to_toml
from simulator.config.tune import Dimension, TuneConfig, build, with_point
from simulator.config.validation import ConfigSource
from tests.helpers.tunings import MEMORY, SMALL


def _of_line(table="agent", **space):
    """Return a config as a command line gives it."""
    names = SMALL if table == "agent" else MEMORY
    tables = {name: names[name] for name in ("agent", "env", "memory", "challenge") if name in names}
    return assemble(TuneConfig, [ConfigSource(tables), ConfigSource({"space": {table: space}}, flags=True)])


def test_a_space_is_read_from_tables_and_from_a_line_alike():
    of_line = _of_line(step_size="0.01:1:log", gamma="0.5,0.9,0.99")
    expected = (Dimension("agent.gamma", values=(0.5, 0.9, 0.99)), Dimension("agent.step_size", 0.01, 1.0, True))
    assert repr(of_line.space) == repr(build(SMALL).space) == repr(expected)


def test_whole_numbers_nested_settings_and_words():
    config = _of_line("memory", rule="hebb,storkey")
    assert config.space[0].values == ("hebb", "storkey")
    config = assemble(
        TuneConfig,
        [
            ConfigSource({"agent": {"name": "dqn"}, "env": {"name": "CartPole-v1"}}),
            ConfigSource({"space": {"agent": {"optimizer": {"beta1": "0.5:0.9"}, "batch_size": "8:64"}}}, flags=True),
        ],
    )
    assert [dimension.name for dimension in config.space] == ["agent.batch_size", "agent.optimizer.beta1"]
    assert [dimension.whole for dimension in config.space] == [True, False]
    changed = with_point(config, {"agent.batch_size": 16, "agent.optimizer.beta1": 0.7})
    assert changed.agent_settings.batch_size == 16
    assert changed.agent_settings.optimizer.beta1 == 0.7


@pytest.mark.parametrize("values", [SMALL, MEMORY], ids=["training", "recall"])
def test_toml_gives_the_same_config_and_the_same_hash(values):
    config = build(values)
    again = from_toml(TuneConfig, to_toml(config), "stored")
    assert repr(again) == repr(config)
    assert settings_hash(again) == settings_hash(config)
    assert settings_hash(build({**values, "search_seed": 1})) != settings_hash(config)
    assert settings_hash(build({**values, "seeds_per_cell": 2})) == settings_hash(config)


@pytest.mark.parametrize(
    ("space", "line"),
    [
        ({"step_size": {"low": "a", "high": 1}}, r"space.agent.step_size = 'a': expected a number"),
        ({"step_sizes": [0.1, 0.2]}, r"space.agent.step_sizes: no such setting; did you mean space.agent.step_size"),
        ({"step_size": {"low": 1.0, "high": 0.1}}, "low = 1.0 and high = 0.1, expected low below high"),
        ({"step_size": {"low": 0.1, "high": 0.1}}, "expected low below high"),
        ({"gamma": {"low": 0.0, "high": 0.9, "log": True}}, "low = 0.0 with log, expected a number above 0"),
        ({"step_size": {"low": 0.1, "high": 7.0}}, r"space.agent.step_size = 7.0: expected a number > 0 and <= 1"),
        ({"step_size": {"low": 0.1}}, r"space.agent.step_size.high is missing"),
        ({"step_size": {"low": 0.1, "high": 1.0, "steps": 3}}, "no such part of a range, expected low, high and log"),
        ({"step_size": {"low": 0.1, "high": 1.0, "log": "yes"}}, "expected true or false"),
        ({"step_size": [0.1]}, "two at least"),
        ({"step_size": [0.1, 0.1]}, "a value stands there twice"),
        ({"step_size": 0.1}, "expected {low = 1e-3"),
        ({"target": {"low": 0, "high": 1}}, "expected one of"),
        ({"double": {"low": False, "high": True}}, "this setting is no number, expected a list"),
        ({}, "expected at least one setting to search"),
    ],
)
def test_bad_spaces_are_refused_in_one_line(space, line):
    with pytest.raises(ValueError, match=line.replace("{", r"\{")) as error:
        build({**SMALL, "space": {"agent": space}})
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("changes", "line"),
    [
        ({"patterns": 30}, "patterns = 30: not for an agent"),
        ({"objective": "overlap"}, "objective = 'overlap': expected iqm or mean or auc for agents"),
        ({"judge_first_seed": 3}, "expected fresh seeds, none of 0 to 3"),
        ({"search": "grid", "trials": 14}, "the grid has 15 points"),
        ({"halving": "seeds", "seeds": 8, "rungs": 3, "eta": 3}, "seeds = 8: too few for 3 rungs with eta = 3"),
        ({"search": "bayes"}, "expected one of grid, random, tpe"),
        ({"space": {"memory": {"rule": ["hebb", "storkey"]}}}, "space.memory: expected a setting of q_learning"),
        ({"memory": {"name": "hopfield"}}, "expected engram tune AGENT ENV"),
    ],
)
def test_settings_that_do_not_go_together_are_refused(changes, line):
    with pytest.raises(ValueError, match=line):
        build({**SMALL, **changes})


def test_halving_of_steps_is_not_for_memories():
    with pytest.raises(ValueError, match="a memory has no steps, expected none or seeds"):
        build({**MEMORY, "halving": "steps"})


def test_a_range_does_not_hold_the_0_that_stands_for_a_rule_of_the_size():
    tables = {"memory": {"name": "rbm"}, "challenge": {"name": "digits"}}
    values = {**tables, "space": {"memory": {"learn": {"learning_rate": {"low": 0.0, "high": 0.1}}}}}
    with pytest.raises(ValueError, match=r"space.memory.learn.learning_rate: low = 0, .* expected a number above 0"):
        build(values)
    values["space"] = {"memory": {"n_hidden": [0, 32], "weight_init_std": {"low": 0.01, "high": 0.1}}}
    values["space"]["memory"]["learn"] = {"weight_decay": {"low": 0.0, "high": 0.1}}
    assert [dimension.name for dimension in build(values).space] == [
        "memory.learn.weight_decay",
        "memory.n_hidden",
        "memory.weight_init_std",
    ]


@pytest.mark.parametrize("text", ["0.1:1:lin", "0.1:", "a:b", "1:2:log:3"])
def test_bad_ranges_of_a_line(text):
    with pytest.raises(ValueError, match=r"--space\.agent\.step-size"):
        _of_line(step_size=text)
