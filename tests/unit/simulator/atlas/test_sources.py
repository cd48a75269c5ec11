"""Tests of the states of environments: those that play comes to, where it ends, and expected counts of its walks."""

from __future__ import annotations

import numpy as np

from envs import cliff_walking, taxi
from simulator.atlas.sources import of_env
from simulator.config.atlas import AtlasConfig


def test_nothing_follows_where_an_episode_has_ended():
    """The goal of the cliff can be left in Gymnasium's table, by a fall back to the start: play never does so."""
    found = of_env("cliff", cliff_walking.make([0], cliff_walking.Config()), AtlasConfig(steps=20), 0)
    (goal,) = np.flatnonzero(~found.exact.judged)
    assert found.vectors[goal].tolist() == np.eye(len(found))[goal].tolist()
    assert found.adjacency[goal].sum() == 1.0  # from above alone
    assert found.chain[goal].sum() == 0.0
    assert found.values[goal] == 0.0


def test_states_behind_an_end_are_not_drawn():
    found = of_env("taxi", taxi.make([0], taxi.Config()), AtlasConfig(steps=20), 0)
    assert len(found) == 404  # 400 in which the passenger is not there yet, and 4 in which an episode ends
    assert found.exact.judged.sum() == 400
    assert sorted(set(found.chain.sum(axis=1).round(9))) == [0.0, 1.0]
