"""Tests of the mean-field theory: known values, its own equations, and one-step errors by counting."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from scipy.special import erf

from simulator.core import registry
from simulator.core.memories import PatternSpec
from simulator.recall import theory


def test_the_critical_load_and_the_jump():
    """Alpha_c = .138 and m = .967 (Amit, Gutfreund and Sompolinsky 1985, 1987)."""
    found = theory.critical()
    assert found.alpha == pytest.approx(0.1379, abs=5e-5)
    assert found.overlap == pytest.approx(0.9674, abs=5e-5)
    assert theory.overlap(found.alpha - 1e-9) == pytest.approx(found.overlap, abs=1e-3)
    assert theory.overlap(found.alpha + 1e-9) == 0.0


@pytest.mark.parametrize(("alpha", "expected"), [(0.05, 0.99999), (0.10, 0.9980), (0.12, 0.9932)])
def test_known_overlaps(alpha, expected):
    assert theory.overlap(alpha) == pytest.approx(expected, abs=5e-5)


@pytest.mark.parametrize("alpha", [1e-4, 0.02, 0.1, 0.13])
def test_overlaps_solve_the_three_equations(alpha):
    m = theory.overlap(alpha)
    r = 1.0
    for _ in range(200):
        c = np.sqrt(2.0 / (np.pi * alpha * r)) * np.exp(-m * m / (2.0 * alpha * r))
        r = 1.0 / (1.0 - c) ** 2
    assert erf(m / np.sqrt(2.0 * alpha * r)) == pytest.approx(m, abs=1e-8)


@pytest.mark.parametrize(
    ("alpha", "expected"), [(0.10, 0.00078), (0.138, 0.00355), (0.185, 0.0100), (0.37, 0.0501), (1.0, 0.1587)]
)
def test_known_errors_of_one_step(alpha, expected):
    assert theory.one_step_error(alpha) == pytest.approx(expected, abs=6e-5)
    assert theory.one_step_error(alpha, zero_diagonal=False) < theory.one_step_error(alpha)


def test_the_exact_error_of_one_step_by_counting_every_network():
    """All 2^12 sets of three patterns of four units: a unit errs where its field has the other sign."""
    n_errors = 0
    sets = np.array(list(itertools.product((-1, 1), repeat=12))).reshape(-1, 3, 4)
    for patterns in sets:
        weights = patterns.T @ patterns - 3 * np.eye(4, dtype=int)
        n_errors += int((patterns[0] * (weights @ patterns[0]) < 0).sum())
    assert n_errors > 0
    assert theory.exact_one_step_error(3, 4) == pytest.approx(n_errors / sets[:, 0].size)


def test_the_exact_error_becomes_the_gaussian_one():
    assert theory.exact_one_step_error(1, 100) == 0.0
    assert theory.exact_one_step_error(30_000, 100_000) == pytest.approx(theory.one_step_error(0.3), rel=1e-3)


def test_one_step_of_the_memory_errs_as_often():
    player = registry.load("memories", "hopfield")
    settings = player.Config(update="synchronous", recall_mode="single_pass")
    memory = player.make(PatternSpec((200,)), list(range(20)), settings)
    challenge = registry.load("challenges", "random_bits")
    patterns = challenge.make(list(range(20)), challenge.Config(n_units=200)).draw(60, 0).stored
    memory.store(patterns)
    measured = (memory.recall(patterns).patterns != patterns).mean()
    expected = theory.exact_one_step_error(60, 200)
    assert measured == pytest.approx(expected, rel=0.05)  # one standard error is about 1 %


def test_a_load_of_nothing_is_refused():
    with pytest.raises(ValueError, match="alpha = 0: expected a load above 0"):
        theory.overlap(0)
