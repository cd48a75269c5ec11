"""Tests of maps of states: what they measure by hand, and states that cannot be drawn."""

from __future__ import annotations

import numpy as np
import pytest

from simulator.atlas.atlas import atlas_of
from simulator.atlas.methods import METHODS, Request
from simulator.atlas.states import States
from simulator.config.atlas import AtlasConfig
from simulator.core.embeddings.walks import rows_of


def test_walks_that_are_cut_have_the_expectation_of_their_length():
    """0, 1, 2, and the episode ends, or 0 again: walks are as expected, however they are cut."""
    ends = np.diag([1.0, 1.0], 1)
    circle = np.roll(np.eye(3), 1, axis=1)
    for chain, walks in ((ends, ([0, 1, 2], [0, 1, 2], [0, 1])), (circle, ([0, 1, 2, 0, 1, 2, 0], [1, 2, 0], [2]))):
        rows = rows_of([np.array(walk) for walk in walks])
        states = States("three", "env", "successor", np.eye(3), walks=rows, chain=chain)
        found = METHODS["cooccurrence"](Request(states, AtlasConfig(window=2), 0, 2))
        assert found.facts["relative_error"] == pytest.approx(0.0)


@pytest.mark.parametrize(
    ("vectors", "said"),
    [
        (np.ones((6, 2)), "codes, by recalled: all states have the same numbers, expected another --of"),
        (np.diag([1.0, np.nan, np.inf, 0.0]), "codes, by recalled: numbers of 2 states are not finite"),
    ],
)
def test_states_that_cannot_be_drawn(vectors, said):
    with pytest.raises(ValueError, match=said):
        atlas_of(States("codes", "memory", "recalled", vectors), AtlasConfig(method=("pca",)), 0)
