"""Tests of contracts: what every player's module offers, and which input it refuses."""

from __future__ import annotations

import dataclasses
import inspect
import subprocess
import sys
from functools import partial

import pytest
from gymnasium import spaces

from simulator.checks import agents, envs
from simulator.commands.parsing.parser import format_value
from simulator.commands.show import player_entry
from simulator.config.validation import settings
from simulator.core import registry
from simulator.core.protocols import EnvSpec
from tests.laws.players import AGENTS, ENVS, GAMES, SMALL, home, pairs, session, variants

PLAYERS = [(kind, name) for kind, every in (("agents", AGENTS), ("envs", ENVS), ("games", GAMES)) for name in every]


@pytest.mark.parametrize(("kind", "name"), PLAYERS)
def test_config_is_frozen_and_every_field_has_a_default_and_a_sentence(kind, name):
    player = registry.load(kind, name)
    assert dataclasses.is_dataclass(player.Config)
    assert player.Config.__dataclass_params__.frozen
    config = player.Config()
    assert hash(config) is not None or config is not None
    for setting in settings(player.Config):
        assert setting.doc, f"{name}.{setting.name} says nothing"


@pytest.mark.parametrize(("kind", "name"), [*PLAYERS, *(("memories", name) for name in registry.names("memories"))])
def test_the_defaults_that_are_shown_are_those_that_are_taken(kind, name):
    player = registry.load(kind, name)
    shown = {row["name"]: row["default"] for row in player_entry(player)["settings"]}
    assert shown == {path: format_value(value) for path, value in _flat(player.Config())}


def _flat(config, prefix=""):
    for field in dataclasses.fields(config):
        value = getattr(config, field.name)
        if dataclasses.is_dataclass(value):
            yield from _flat(value, f"{prefix}{field.name}.")
        else:
            yield prefix + field.name, value


@pytest.mark.parametrize(("kind", "name"), PLAYERS)
def test_the_module_and_make_are_documented(kind, name):
    player = registry.load(kind, name)
    assert len(inspect.getdoc(player.module) or "") > 60
    assert inspect.getdoc(player.make)


@pytest.mark.parametrize("name", AGENTS)
def test_every_variant_of_an_agent_is_made_or_refused_with_a_reason(name):
    made = 0
    for turned in variants("agents", name):
        try:
            session(name, home(name), agent_=turned).play(20)
            made += 1
        except ValueError as error:
            said = str(error)
            assert "expected" in said
    assert made


@pytest.mark.parametrize(("agent", "env"), pairs())
def test_actions_are_legal_and_metrics_have_one_number_per_seed(agent, env):
    agents.acts_in_the_space_and_learns_finite_numbers(partial(session, agent, env))
    agents.acts_legally(partial(session, agent, env))


@pytest.mark.parametrize(("agent", "env"), pairs())
def test_policies_agree_with_themselves(agent, env):
    agents.policy_is_the_same_each_time(partial(session, agent, env))
    trained = session(agent, env, seeds=4)
    if trained.env.spec.state_obs is not None and trained.agent.policy().probs(trained.env.spec.state_obs) is None:
        assert trained.agent.policy().expected_return().shape == (4,)


@pytest.mark.parametrize("name", AGENTS)
def test_an_impossible_env_is_refused_in_one_line(name):
    player = registry.load("agents", name)
    spec = EnvSpec("nowhere", spaces.Text(5), spaces.Text(5))
    with pytest.raises(ValueError, match="nowhere") as refused:
        player.make(spec, [0], player.Config())
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize("env", [*ENVS, *SMALL[1:]])
def test_an_env_resets_itself_and_returns_the_final_observation(env):
    player = registry.load("envs", env)
    longest = player.make([0], player.Config()).spec.max_steps
    ended = envs.resets_itself_and_keeps_its_spaces(
        lambda seeds: player.make(seeds, player.Config()), max(300, longest or 0)
    )
    assert ended or longest is None  # nobody walks off the cliff's far end by chance


def test_every_player_shows_itself():
    """As ``python -m PLAYER`` does, but all in one process, so that libraries are loaded once."""
    modules = [registry.load(kind, name).module.__name__ for kind, name in PLAYERS]
    words = [sys.executable, "-c", _SHOW_ALL, *modules]
    done = subprocess.run(words, capture_output=True, text=True, check=False, cwd=registry.ROOT)
    assert done.returncode == 0, done.stderr
    pages = done.stdout.split(_END)
    short = [name for name, page in zip(modules, pages, strict=False) if page.count("\n") < 2]
    assert (short, len(pages)) == ([], len(modules) + 1)


_END = "-- end of page --\n"
_SHOW_ALL = f"""
import runpy, sys
for module in sys.argv[1:]:
    print(module, file=sys.stderr)  # the last one is to blame
    sys.modules.pop(module, None)  # it may have been loaded by another
    runpy.run_module(module, run_name="__main__", alter_sys=True)
    sys.stdout.write({_END!r})
"""
