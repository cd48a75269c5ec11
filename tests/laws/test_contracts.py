"""Tests of contracts: what every player's module offers, and which input it refuses."""

from __future__ import annotations

import dataclasses
import inspect
import subprocess
import sys

import numpy as np
import pytest
from gymnasium import spaces

from simulator.commands.parser import format_value
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
    one = session(agent, env, seeds=4)
    legal, space = one.env.spec.legal_actions, one.env.spec.action
    obs = one.env.observe()
    for _ in range(60):
        actions = one.agent.act(obs)
        for i in range(4):
            assert space.contains(actions[i])
            assert legal is None or legal[obs[i], actions[i]]
        step = one.env.step(actions)
        for values in one.agent.learn(obs.copy(), actions, step).values():
            assert values.shape == (4,)
            assert np.isfinite(values).all()
        obs = step.obs.copy()


@pytest.mark.parametrize(("agent", "env"), pairs())
def test_policies_agree_with_themselves(agent, env):
    one = session(agent, env, seeds=4)
    one.play(100)
    seen = one.env.spec.state_obs
    if seen is None:
        acted = [one.agent.policy().act(one.env.observe(), np.ones(4, bool)) for _ in range(2)]
        np.testing.assert_array_equal(*acted)
        return
    probs = one.agent.policy().probs(seen)
    if probs is None:
        assert one.agent.policy().expected_return().shape == (4,)
        return
    assert probs.shape == (4, len(seen), one.env.spec.action.n)
    np.testing.assert_allclose(probs.sum(axis=-1), 1.0)
    policy = one.agent.policy()
    for state in range(0, len(seen), 7):
        actions = policy.act(np.repeat(seen[state : state + 1], 4, axis=0), np.ones(4, bool))
        assert (probs[np.arange(4), state, actions] > 0).all()


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
    one = player.make(list(range(6)), player.Config())
    obs, walker = one.reset(), np.random.Generator(np.random.PCG64(2))
    assert obs.shape == (6, *one.spec.observation.shape)
    ended = 0
    for _ in range(max(300, one.spec.max_steps or 0)):
        step = one.step(walker.integers(0, one.spec.action.n, 6))
        over = step.terminated | step.truncated
        assert not (step.terminated & step.truncated).any()
        assert step.reward.dtype == np.float32
        np.testing.assert_array_equal(step.obs[~over], step.final_obs[~over])
        np.testing.assert_array_equal(one.observe(), step.obs)
        assert all(one.spec.observation.contains(view) for view in step.obs)
        ended += over.sum()
    assert ended or one.spec.max_steps is None  # nobody walks off the cliff's far end by chance


@pytest.mark.parametrize(("kind", "name"), PLAYERS)
def test_a_player_shows_itself(kind, name):
    words = [sys.executable, "-m", registry.load(kind, name).module.__name__]
    done = subprocess.run(words, capture_output=True, text=True, check=True, cwd=registry.ROOT)
    assert len(done.stdout.splitlines()) >= 2
