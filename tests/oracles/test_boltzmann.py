"""Tests of the Boltzmann machine: against enumeration, numerical gradients, the Hopfield network and a plain loop."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from memory import boltzmann
from memory.boltzmann import enumeration as exact
from memory.boltzmann.gibbs import anneal, geometric_schedule, gibbs_sweep, make_chains
from memory.boltzmann.training import BoltzmannLearning
from simulator.core import rng
from simulator.core.memories import PatternSpec
from simulator.core.optimizers import RuleConfig
from tests.helpers.seeding import FIRST_SEED, seed_list

pytestmark = pytest.mark.learning


def _machine(n, size, seed=0):
    """Return random symmetric weights [n, n] with zero diagonal, and biases."""
    draws = np.random.Generator(np.random.PCG64(FIRST_SEED + seed))
    upper = np.triu(size * draws.standard_normal((n, n)), 1)
    return upper + upper.T, size * draws.standard_normal(n)


def _plain_energy(weights, bias, state):
    n = len(state)
    pairs = sum(weights[i, j] * state[i] * state[j] for i in range(n) for j in range(i))
    return -pairs - sum(bias[i] * state[i] for i in range(n))


def _law(weights, bias):
    """Return every state and its probability, by a plain loop."""
    states = np.array(list(itertools.product((-1.0, 1.0), repeat=len(bias))))
    weight = np.exp([-_plain_energy(weights, bias, state) for state in states])
    return states, weight / weight.sum(), np.log(weight.sum())


def test_moments_equal_a_plain_loop_over_all_states():
    weights, bias = _machine(7, 0.6)
    states, p, log_z = _law(weights, bias)
    found = exact.free_moments(weights, bias)
    assert found.log_z == pytest.approx(log_z, abs=1e-12)
    np.testing.assert_allclose(found.mean, p @ states, atol=1e-12)
    np.testing.assert_allclose(found.second, states.T @ (p[:, None] * states), atol=1e-12)


@pytest.mark.parametrize(("n_visible", "n_hidden"), [(5, 0), (4, 3)])
def test_positive_minus_negative_phase_is_the_gradient_of_the_log_likelihood(n_visible, n_hidden):
    weights, bias = _machine(n_visible + n_hidden, 0.5)
    patterns = exact.enumerate_states(n_visible)[[1, 4, 4, 11]]
    gradient = exact.likelihood_gradient(weights, bias, patterns)
    step, n = 1e-5, len(bias)
    for i, j in itertools.combinations(range(n), 2):
        moved = np.zeros((n, n))
        moved[i, j] = moved[j, i] = step
        rise = exact.log_likelihood(weights + moved, bias, patterns)
        fall = exact.log_likelihood(weights - moved, bias, patterns)
        assert gradient.weights[i, j] == pytest.approx((rise - fall) / (2 * step), abs=1e-9)
    for i, moved in enumerate(step * np.eye(n)):
        rise, fall = (exact.log_likelihood(weights, bias + sign * moved, patterns) for sign in (1, -1))
        assert gradient.bias[i] == pytest.approx((rise - fall) / (2 * step), abs=1e-9)


def _variation(states, p, samples):
    """Return the total variation between a distribution over all states and samples of it."""
    n = samples.shape[1]
    places = 1 << np.arange(n)[::-1]
    counts = np.bincount((samples > 0) @ places, minlength=1 << n)
    return 0.5 * np.abs(counts[((states > 0) @ places).astype(int)] / len(samples) - p).sum()


def test_samples_follow_the_enumerated_law_and_those_of_all_units_at_once_do_not():
    weights, bias = _machine(10, 0.25, seed=1)
    states, p, _ = _law(weights, bias)
    n = 40_000
    chains = make_chains(n, 10)
    single, stream = (weights.astype(np.float32), bias.astype(np.float32)), rng.pcg64_states(seed_list(1), "recall")
    for _ in range(25):
        gibbs_sweep(*single, chains, 1.0, stream)
    expected = 0.5 * np.sqrt(2.0 * p * (1.0 - p) / (np.pi * n)).sum()
    assert 0.8 * expected < _variation(states, p, chains.states) < 1.2 * expected
    together, draws = chains.states.copy(), rng.generators([0], "recall")[0]
    for _ in range(25):
        up = 1.0 / (1.0 + np.exp(-2.0 * (together @ weights + bias)))
        together = np.where(draws.random(up.shape) < up, 1.0, -1.0)
    assert _variation(states, p, together) > 4.0 * expected


def test_a_sweep_equals_a_plain_loop():
    weights, bias = (array.astype(np.float32) for array in _machine(6, 0.7))
    chains, draws = make_chains(3, 6), rng.generators([4], "recall")[0]
    chains.field[:] = 0.3
    chains.clamped[1, 2] = True
    plain = chains.states.copy()
    gibbs_sweep(weights, bias, chains, 0.8, rng.pcg64_states([4], "recall"))
    for r, i in itertools.product(range(3), range(6)):
        if not chains.clamped[r, i]:
            up = 1.0 / (1.0 + np.exp(-2.0 * (weights[i] @ plain[r] + bias[i] + 0.3) / 0.8))
            plain[r, i] = 1.0 if draws.random() < up else -1.0
    np.testing.assert_array_equal(chains.states, plain)


def test_at_temperature_zero_it_is_the_hopfield_network():
    draws = np.random.Generator(np.random.PCG64(FIRST_SEED + 2))
    patterns = np.where(draws.random((5, 40)) < 0.5, -1.0, 1.0)  # an odd number over an even one: no ties
    weights = (patterns.T @ patterns / 40.0).astype(np.float32)
    np.fill_diagonal(weights, 0.0)
    chains = make_chains(20, 40)
    chains.states[:] = plain = np.where(draws.random((20, 40)) < 0.5, -1.0, 1.0)
    temperatures, trace = np.full(15, 1e-4), np.zeros((20, 16))
    anneal(weights, np.zeros(40, np.float32), chains, temperatures, trace, rng.pcg64_states(seed_list(1), "recall"))
    for row in plain:
        for i in np.tile(np.arange(40), 15):
            row[i] = np.sign(weights[i].astype(float) @ row)
    np.testing.assert_array_equal(chains.states, plain)
    assert (np.diff(trace[:, 1:]) <= 1e-5).all()


def test_annealing_finds_ground_states_that_descent_misses():
    found, n_glasses, stream = np.zeros(2), 60, rng.pcg64_states(seed_list(1), "recall")
    for glass in range(n_glasses):
        weights, bias = _machine(12, 1.0, seed=100 + glass)
        bias[:] = 0.0
        ground = exact.energy(weights, bias, exact.enumerate_states(12)).min()
        for recall_mode, temperatures in enumerate((geometric_schedule(3.0, 0.1, 100), np.full(100, 1e-4))):
            chains, trace = make_chains(20, 12), np.zeros((20, 101))
            chains.states[:] = exact.enumerate_states(12)[np.arange(20) * 199 + glass]
            anneal(weights.astype(np.float32), bias.astype(np.float32), chains, temperatures, trace, stream)
            found[recall_mode] += (trace[:, 1:].min(1) < ground + 1e-4).mean() / n_glasses
    assert found[0] > 0.9  # that visit it; of descents that begin anywhere .42
    assert 0.3 < found[1] < 0.55


def test_exact_learning_reaches_a_law_that_pairs_alone_cannot_hold():
    parity = np.array([[s for s in exact.enumerate_states(3) if s.prod() > 0]], np.float32)
    learn = BoltzmannLearning(updates=800, learning_rate=0.1)
    reached = {}
    for n_hidden in (0, 2):
        memory = boltzmann.make(
            PatternSpec((3,)), seed_list(1), boltzmann.Config(n_hidden=n_hidden, weight_init_std=0.5, learn=learn)
        )
        memory.store(parity)
        state = memory.state()
        weights, bias = (state[name][0].astype(float) for name in ("weights", "bias"))
        reached[n_hidden] = exact.log_likelihood(weights, bias, parity[0])
    assert reached[0] == pytest.approx(-3.0 * np.log(2.0), abs=1e-4)
    assert reached[2] > -2.0 * np.log(2.0) - 0.25


def test_sampled_and_exact_phases_learn_the_same_law():
    draws = np.random.Generator(np.random.PCG64(FIRST_SEED + 3))
    teacher = _machine(6, 0.4, seed=5)
    states, p, _ = _law(*teacher)
    patterns = states[draws.choice(len(p), 400, p=p)][None].astype(np.float32)
    reached = []
    for phases in ("exact", "sampled"):
        learn = BoltzmannLearning(
            phases=phases,
            updates=300,
            learning_rate=0.04,
            optimizer=RuleConfig(kind="sgd"),
            n_chains=400,
            batch_likelihood_weight=0.0,
        )
        memory = boltzmann.make(PatternSpec((6,)), seed_list(1), boltzmann.Config(learn=learn))
        memory.store(patterns)
        state = memory.state()
        weights, bias = (state[name][0].astype(float) for name in ("weights", "bias"))
        np.testing.assert_array_equal(weights, weights.T)
        assert not np.diag(weights).any()
        reached.append(exact.log_likelihood(weights, bias, patterns[0]))
    assert reached[1] == pytest.approx(reached[0], abs=0.02)
    assert reached[0] > exact.log_likelihood(*teacher, patterns[0]) - 0.02


def test_hidden_units_are_summed_out_of_the_energy():
    memory = boltzmann.make(PatternSpec((4,)), [3], boltzmann.Config(n_hidden=3, weight_init_std=0.8))
    memory.store(exact.enumerate_states(4)[None, [2, 9]].astype(np.float32))
    state, rows = memory.state(), exact.enumerate_states(4)
    weights, bias = (state[name][0].astype(float) for name in ("weights", "bias"))
    found = memory.energy(rows[None].astype(np.float32))[0]
    for row, value in zip(rows, found, strict=True):
        parts = [np.exp(-_plain_energy(weights, bias, np.append(row, h))) for h in exact.enumerate_states(3)]
        assert value == pytest.approx(-np.log(sum(parts)), abs=1e-10)
    assert memory.codes(rows[None].astype(np.float32)).shape == (1, 16, 3)
