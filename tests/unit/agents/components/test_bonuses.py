"""Tests of bonuses: what is forgotten, and memories that do not fit."""

from __future__ import annotations

import numpy as np
import pytest

from agents.components import familiarity, nearest
from tests.helpers.small_envs import discrete


def _visited(novelty, state, times=1):
    for _ in range(times):
        found = novelty.visit(np.array([state]))[0]
    return found


def _familiarity(**settings):
    config = familiarity.Config(**{"units": 64, "capacity": 20, "store_every": 10, **settings})
    return familiarity.make(config).for_env(discrete(50, 2), [0])


def test_familiarity_forgets_what_was_not_met_for_so_long():
    novelty = _familiarity()
    _visited(novelty, 0, 20)
    assert _visited(novelty, 0) < 0.1
    for k in range(40):
        _visited(novelty, 1 + k % 4)
    assert _visited(novelty, 0) > 0.5


def test_nearest_forgets_what_was_not_met_for_so_long():
    novelty = nearest.make(nearest.Config(capacity=20)).for_env(discrete(50, 2), [0])
    _visited(novelty, 0, 20)
    assert _visited(novelty, 0) == pytest.approx(0.0, abs=1e-9)
    for k in range(20):
        _visited(novelty, 1 + k)
    assert _visited(novelty, 0) > 0.9


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"memory": "identity"}, r"with memory = 'identity': identity has no energy that tells patterns apart"),
        (
            {"memory": "conv_autoencoder"},
            r"memory = 'conv_autoencoder', units = 64 and capacity = 20: .*4 by 4",
        ),
    ],
)
def test_a_memory_that_does_not_fit_is_refused_before_the_run(settings, said):
    with pytest.raises(ValueError, match=said):
        _familiarity(**settings)
