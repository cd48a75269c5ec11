"""Seeds alone, together, and on two threads: the same bits, with every player's own sizes.

Small networks do not show it: kernels of products and vectorised functions differ by the sizes that they are given.
``python -m tests.laws.full_size`` plays whole trainings.
"""

from __future__ import annotations

from functools import partial

import pytest

from tests.laws.full_size import agents, broken, memories, remembered, trained

UPDATES = 3
STEPS = 300


@pytest.mark.parametrize("name", memories())
def test_a_memory_of_its_own_size(name):
    assert broken(partial(remembered, name, updates=UPDATES)) == []


@pytest.mark.parametrize(("name", "world"), agents())
def test_an_agent_of_its_own_size(name, world):
    assert broken(partial(trained, name, world, steps=STEPS)) == []
