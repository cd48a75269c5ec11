"""Tests of settings that follow the size of the task."""

from __future__ import annotations

from dataclasses import dataclass

import pytest

from memory import autoencoder, deep_belief, rbm
from memory.common.rbm.contrastive_divergence import RBMLearning, learning_for
from memory.common.sizing import SizeRule, sized
from simulator.core.memories import PatternSpec


def test_settings_grow_by_their_powers_beyond_the_reference():
    assert SizeRule(2_000, by_patterns=0.5).value(64, 100) == 2_000
    assert SizeRule(2_000, by_patterns=0.5).value(20, 7) == 2_000
    assert SizeRule(2_000, by_patterns=0.5).value(64, 400) == 4_000
    assert SizeRule(5e-3, by_units=-0.5).value(256, 9_999) == pytest.approx(2.5e-3)
    assert SizeRule((192, 30), by_units=0.5).value(256, 1) == (384, 64)
    assert SizeRule((191, 3)).value(64, 1) == (191, 3)
    late = SizeRule((192,), by_patterns=0.5, by_units=0.5, from_patterns=2_000)
    assert [late.value(64, k) for k in (100, 2_000, 8_000)] == [(192,), (192,), (384,)]
    assert late.value(256, 8_000) == (768,)


@dataclass(frozen=True)
class _Config:
    updates: int = 0
    hidden: tuple[int, ...] = ()


def test_what_is_given_is_taken_as_it_is():
    rules = {"updates": SizeRule(10, by_patterns=1.0), "hidden": SizeRule((16,), by_units=1.0)}
    assert sized(_Config(), rules, 128, 200) == _Config(20, (32,))
    assert sized(_Config(7, (3,)), rules, 128, 200) == _Config(7, (3,))


def test_learning_of_machines_follows_the_size():
    few, many = learning_for(RBMLearning(), 64, 100), learning_for(RBMLearning(), 64, 400)
    assert (few.updates, few.learning_rate, few.batch_likelihood_weight) == (2_000, 0.2, 1.0)
    assert (many.learning_rate, many.batch_likelihood_weight) == (0.2, 0.25)
    assert learning_for(RBMLearning(), 256, 100).learning_rate == pytest.approx(0.2 * 4.0**0.37)
    assert learning_for(RBMLearning(learning_rate=0.3, updates=5), 64, 1_000).learning_rate == 0.3
    assert learning_for(RBMLearning(), 64, 1_000).updates == 3_991
    plain = RBMLearning(centered=False)
    assert learning_for(plain, 64, 1_000).learning_rate == 0.05
    assert learning_for(plain, 256, 100).learning_rate == pytest.approx(0.05 * 4.0**0.55)


def test_layers_of_digits_are_as_they_were_and_grow_with_the_pictures():
    small, large = PatternSpec((8, 8)), PatternSpec((28, 28))
    for player, narrow, wide in (
        (rbm, (128,), (508,)),
        (deep_belief, (64, 64), (496, 496)),
        (autoencoder, (192, 192), (528, 528)),
    ):
        assert player.make(small, [0], player.Config()).code_size == narrow[-1]
        assert player.make(large, [0], player.Config()).code_size == wide[-1]
