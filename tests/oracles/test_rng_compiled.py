"""Tests of compiled random numbers: the bits of NumPy."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from simulator.core import rng
from simulator.core.jit import jit
from simulator.core.rng_compiled import below, categorical, normal, uniform


@jit
def _fill(stream, kind, given, out):
    for k in range(len(out)):
        if kind == 0:
            out[k] = uniform(stream, 1)
        elif kind == 1:
            out[k] = below(stream, 1, 7)
        elif kind == 2:
            out[k] = normal(stream, 1)
        else:
            out[k] = categorical(stream, 1, given)


def _draw(kind, n, given=(1.0,)):
    stream, out = rng.pcg64_states([3, 4], "env"), np.zeros(n)
    _fill(stream, kind, np.array(given), out)
    return out, stream


def test_uniform_equals_numpys_random_and_the_stream_continues():
    drawn, stream = _draw(0, 1_000)
    generator = rng.generators([4], "env")[0]
    np.testing.assert_array_equal(drawn, generator.random(1_000))
    np.testing.assert_array_equal(stream[1], rng.pack_state(generator.bit_generator))
    np.testing.assert_array_equal(stream[0], rng.pcg64_states([3], "env")[0])


def test_below_is_even():
    counts = np.bincount(_draw(1, 70_000)[0].astype(int), minlength=7)
    assert len(counts) == 7
    assert stats.chisquare(counts).pvalue > 1e-4


def test_normal_is_normal():
    assert stats.kstest(_draw(2, 50_000)[0], "norm").pvalue > 1e-4


@pytest.mark.parametrize("probs", [[1.0], [0.2, 0.0, 0.5, 0.3], [0.0, 0.0, 1.0], [1 / 3, 1 / 3, 1 / 3]])
def test_categorical_follows_gymnasiums_rule(probs):
    drawn = _draw(3, 2_000, np.cumsum(probs))[0]
    uniforms = rng.generators([4], "env")[0].random(2_000)
    expected = [np.argmax(np.cumsum(probs) > draw) for draw in uniforms]
    np.testing.assert_array_equal(drawn, expected)


def test_categorical_falls_back_to_the_first_where_rounding_left_none():
    assert set(_draw(3, 100, [0.0, 0.0])[0]) == {0.0}
