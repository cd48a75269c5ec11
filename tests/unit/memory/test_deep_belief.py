"""Tests of deep belief networks: greedy learning, the bound of their energy, and a single layer as an RBM."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.special import logsumexp

from memory import deep_belief, rbm
from memory.boltzmann.enumeration import enumerate_states
from memory.common.rbm import likelihood
from memory.common.rbm.contrastive_divergence import RBMLearning
from memory.common.rbm.layers import init_weights, make_stack, seed_params
from simulator.core.memories import PatternSpec
from tests.helpers.patterns import learned_patterns
from tests.helpers.seeding import seed_list

pytestmark = pytest.mark.learning

LEARN = RBMLearning(updates=200)


def _make(hidden, patterns):
    memory = deep_belief.make(PatternSpec((16,)), seed_list(2), deep_belief.Config(hidden=hidden, learn=LEARN))
    memory.store(patterns)
    return memory


def test_one_layer_is_the_restricted_machine():
    patterns = learned_patterns(2, 5, 16)
    plain = rbm.make(PatternSpec((16,)), seed_list(2), rbm.Config(n_hidden=12, learn=LEARN))
    plain.store(patterns)
    deep = _make((12,), patterns)
    np.testing.assert_array_equal(deep.energy(patterns), plain.energy(patterns))
    np.testing.assert_array_equal(
        deep.recall(patterns, None, patterns).energy, plain.recall(patterns, None, patterns).energy
    )
    assert deep.n_parameters == plain.n_parameters == 16 * 12 + 16 + 12


def test_layers_are_learned_from_the_bottom_up():
    patterns = learned_patterns(2, 5, 16)
    low, high = _make((12,), patterns).state(), _make((12, 7), patterns)
    for mine, theirs in zip(high.state()["layers"][0][1:], low["layers"][0][1:], strict=True):
        np.testing.assert_array_equal(mine, theirs)
    codes = high.codes(patterns)
    assert codes.shape == (2, 5, 7)
    weights, _, hidden = (array[0].astype(float) for array in high.state()["layers"][0])
    below = likelihood.sigmoid((0.5 * patterns[0] + 0.5) @ weights + hidden)
    weights, _, hidden = (array[0].astype(float) for array in high.state()["layers"][1])
    np.testing.assert_allclose(codes[0], likelihood.sigmoid(below @ weights + hidden), atol=1e-5)


def test_the_energy_bounds_the_exact_one_from_above():
    stack = make_stack((6, 5, 4), False, 1)
    init_weights(stack, [1], 0.8)
    low, top = seed_params(stack, 0)
    units, middle = 0.5 * (enumerate_states(6) + 1.0), 0.5 * (enumerate_states(5) + 1.0)
    inputs = middle @ low.weights.T.astype(float) + low.visible_bias  # [2^5, 6]
    given = units @ inputs.T - likelihood.softplus(inputs).sum(1)  # log p(v | h), [2^6, 2^5]
    exact = -logsumexp(given - likelihood.free_energy(top, False, middle), axis=1)
    # the bound averages the top's free energy over codes; here it is taken at their mean, which is lower still
    found = likelihood.stack_energy((low, top), False, units)
    codes = likelihood.sigmoid(units @ low.weights.astype(float) + low.hidden_bias)
    q = np.prod(np.where(middle[None] > 0, codes[:, None], 1.0 - codes[:, None]), axis=2)  # [2^6, 2^5]
    bound = (q * (likelihood.free_energy(top, False, middle) - given + np.log(q))).sum(1)
    assert (bound >= exact - 1e-9).all()
    assert (found >= exact - 1e-9).all()
    assert np.corrcoef(found, exact)[0, 1] > 0.8
    assert np.abs(found - bound).mean() < bound.std()
