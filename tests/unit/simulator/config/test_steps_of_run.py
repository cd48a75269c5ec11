"""Tests of schedules whose default length is that of the run."""

import numpy as np
import pytest

from agents import dqn, hill_climbing
from agents.common.replay.prioritized import PrioritySettings
from agents.dqn.agent import resolved
from agents.dqn.update import make_hyperparams, update_params
from simulator.config.codec import from_toml, to_toml
from simulator.config.presets import find
from simulator.config.run import RunConfig, build
from simulator.config.validation import of_run, settings
from simulator.core import registry
from simulator.core.field_types import ENDLESS, OfRun
from simulator.training.session import Session

CARTPOLE = {"seeds": 2, "env": {"name": "CartPole-v1"}}


def beta_at(session, clock):
    return update_params(session.agent._learner.state.hyper, clock).beta


@pytest.mark.parametrize("steps", [300, 100_000])
def test_the_importance_correction_is_complete_at_the_end_of_the_run(steps):
    session = Session(build({**CARTPOLE, "steps": steps, "agent": {"name": "dqn", "prioritized": True}}))
    assert beta_at(session, 0) == 0.4
    assert beta_at(session, steps // 2) == pytest.approx(0.7)
    assert beta_at(session, steps - 1) < 1.0 == beta_at(session, steps)


def test_a_given_schedule_length_wins():
    for said, half in ((50_000, 0.4 + 0.6 * 150 / 50_000), (0, 0.4)):
        agent = {"name": "dqn", "priority": {"beta_steps": said}}
        assert beta_at(Session(build({**CARTPOLE, "steps": 300, "agent": agent})), 150) == pytest.approx(half)


def test_noise_on_a_schedule_is_at_its_lowest_at_the_end_of_the_run():
    agent = {"name": "hill_climbing", "anneal": "schedule"}
    assert Session(build({**CARTPOLE, "steps": 700, "agent": agent})).agent._hp.anneal_steps == 700


def test_stored_settings_keep_that_the_schedule_follows_the_run():
    config = build({**CARTPOLE, "steps": 300, "agent": {"name": "dqn"}})
    assert config.agent_settings.priority.beta_steps is None
    assert 'beta_steps = "none"' in to_toml(config)
    assert from_toml(RunConfig, to_toml(config), "here") == config
    assert of_run(config.agent_settings, 300).priority == PrioritySettings(beta_steps=300)
    assert of_run(config.agent_settings, 300).explore is not None


def test_schedules_are_endless_outside_of_a_run():
    hyper = make_hyperparams(resolved(dqn.Config()), np.array([[2, 0, 1]]))
    assert update_params(hyper, 10**6).beta == pytest.approx(0.4, abs=1e-5)
    assert hyper.beta_steps == ENDLESS
    assert hill_climbing.Config().anneal_steps is None


def test_the_prioritized_preset_keeps_its_schedule():
    found = find("cartpole-dqn-prioritized", None, None).source().values
    session = Session(build({**found, "seeds": 1}))
    assert session.agent._learner.state.hyper.beta_steps == 50_000


def test_every_schedule_of_an_agent_lasts_as_long_as_the_run_by_default():
    def flat(kind, prefix=""):
        for each in settings(kind):
            if hasattr(each.hint, "__dataclass_fields__"):
                yield from flat(each.hint, f"{prefix}{each.name}.")
            else:
                yield prefix + each.name, each

    lasting = {}
    for name in registry.names("agents"):
        for setting, each in flat(registry.load("agents", name).Config):
            if any(isinstance(meta, OfRun) for meta in getattr(each.hint, "__metadata__", ())):
                lasting[name, setting] = each.default
            elif setting.rpartition(".")[2].endswith("steps") and isinstance(each.default, int):
                assert each.default <= 5_000, (name, setting)
    assert lasting == {("dqn", "priority.beta_steps"): None, ("hill_climbing", "anneal_steps"): None}
