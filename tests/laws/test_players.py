"""Tests of the laws' settings: their steps are enough for every agent to update."""

from __future__ import annotations

import numpy as np
import pytest

from tests.laws.players import pairs, session


@pytest.mark.parametrize(("agent", "env"), pairs())
def test_every_network_is_updated_within_the_steps_of_the_laws(agent, env):
    one = session(agent, env, seeds=4)
    one.play(150)
    for place, updates in _updates(one.agent.state()).items():
        assert updates.shape == (4,)
        assert (updates > 0).mean() >= 0.5, place  # a first episode may be long: in 1 % of seeds none is over by then


def _updates(state, place=""):
    """Return every optimizer's counters, by place in a state."""
    found = {}
    for key, value in state.items():
        if isinstance(value, dict):
            found |= _updates(value, f"{place}.{key}")
        elif key == "step_count":
            found[f"{place}.{key}"] = value
    return found


def test_settings_that_are_given_come_before_those_of_the_laws():
    config = session("dqn", "rooms", agent_={"learning_starts": 30}).config.agent_settings
    assert (config.learning_starts, config.batch_size) == (30, 8)


def test_counters_are_found_where_there_are_networks():
    assert all(_updates(session(name, "rooms").agent.state()) for name in ("dqn", "reinforce"))
    assert not np.any(list(_updates(session("dqn", "rooms").agent.state()).values()))
