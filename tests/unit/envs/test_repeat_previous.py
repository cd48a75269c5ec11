"""Tests of repeat previous: returns by hand, and the compiled step beside numpy on the same streams."""

from __future__ import annotations

import numpy as np
import pytest

from envs.repeat_previous import Config, describe, make
from simulator.core import rng


@pytest.mark.parametrize("k", [0, 1, 4])
def test_the_symbol_of_k_steps_before_is_asked(k):
    config = Config(k=k, symbols=4, steps=9)
    seed_list = [5, 0, 77]
    env = make(seed_list, config)
    generators = rng.generators(seed_list, "env")
    actions = rng.generators([1], "exploration")[0].integers(4, size=(20, 9, 3))
    obs = env.reset().copy()
    for episode in actions:
        rows = np.array([[int(generator.random() * 4) for _ in range(10)] for generator in generators])
        for t, row in enumerate(episode):
            np.testing.assert_array_equal(obs, np.eye(4)[rows[:, t]])
            step = env.step(row)
            np.testing.assert_array_equal(step.final_obs, np.eye(4)[rows[:, t + 1]])
            right = np.where(row == rows[:, t - k], 1, -1) if t >= k else np.zeros(3)
            np.testing.assert_allclose(step.reward, right / (9 - k), rtol=1e-6)
            assert (step.terminated == (t == 8)).all()
            assert not step.truncated.any()
            obs = step.obs.copy()


def test_memory_earns_everything():
    env = make([1, 2], Config(k=3, steps=10))
    seen = [env.reset().argmax(axis=1)]
    total = np.zeros(2)
    for t in range(10):
        step = env.step(seen[max(0, t - 3)])
        total += step.reward
        seen.append(step.obs.argmax(axis=1))
    np.testing.assert_allclose(total, env.spec.optimal_return, rtol=1e-6)


def test_the_bounds_without_memory_by_hand():
    assert describe(Config(symbols=4)).random_score == describe(Config(symbols=4)).memoryless_return == -0.5
    assert describe(Config(symbols=2)).memoryless_return == 0.0
    assert describe(Config(k=0)).memoryless_return == 1.0


@pytest.mark.parametrize(
    ("wrong", "line"),
    [
        ({"steps": 4}, "repeat_previous: steps = 4: expected more than k, 4"),
        ({"symbols": 1}, "repeat_previous: symbols = 1: expected `int` >= 2"),
    ],
)
def test_settings_out_of_range_are_refused_in_one_line(wrong, line):
    with pytest.raises(ValueError, match=f"^{line}$"):
        describe(Config(**wrong))
