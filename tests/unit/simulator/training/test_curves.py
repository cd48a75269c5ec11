"""Tests of episodes and learning curves: against a plain loop."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from simulator.training.curves import MAX_POINTS, Recorder


def _by_hand(reward, ended, width):
    """Return seed and point -> returns of the episodes that ended in it."""
    found: dict[tuple[int, int], list[tuple[float, int]]] = {}
    for i in range(len(reward)):
        total, length = 0.0, 0
        for t in range(reward.shape[1]):
            total, length = total + float(reward[i, t]), length + 1
            if ended[i, t]:
                found.setdefault((i, t // width), []).append((total, length))
                total, length = 0.0, 0
    return found


@pytest.mark.slow
@settings(max_examples=40, deadline=None)
@given(st.integers(1, 3_000), st.integers(1, 3), st.integers(0, 2**32 - 1), st.lists(st.integers(1, 900), max_size=5))
def test_points_are_the_exact_aggregates_however_the_run_is_cut(steps, n_seeds, entropy, cuts):
    generator = np.random.Generator(np.random.PCG64(entropy))
    reward = generator.integers(-3, 4, (n_seeds, steps)).astype(np.float32)
    ended = generator.random((n_seeds, steps)) < 0.1
    recorder, rows, at = Recorder(tuple(range(7, 7 + n_seeds)), steps), [], 0
    for n in [*cuts, steps]:
        part = slice(at, min(at + n, steps))
        recorder.extend(reward[:, part], ended[:, part])
        rows.append(recorder.new_rows())
        at = part.stop
    width = -(-steps // MAX_POINTS)
    expected = _by_hand(reward, ended, width)
    columns = [np.concatenate(column) for column in zip(*rows, strict=True)]
    found = {}
    for row in zip(*columns, strict=True):
        seed, point, step, episodes, total, low, high, squares, length = row
        assert (seed - 7, point) not in found, "a row twice"
        assert step == min((point + 1) * width, steps)
        found[seed - 7, point] = (episodes, total, low, high, squares, length)
    assert found.keys() == expected.keys()
    for key, episodes in expected.items():
        returns = np.array([gain for gain, _ in episodes])
        lengths = sum(length for _, length in episodes)
        by_hand = (len(returns), returns.sum(), returns.min(), returns.max(), (returns**2).sum(), lengths)
        np.testing.assert_allclose(found[key], by_hand)
    assert len(recorder.curve().steps) <= MAX_POINTS


def test_a_state_continues_in_the_middle_of_an_episode():
    reward, ended = np.ones((1, 10), np.float32), np.zeros((1, 10), bool)
    ended[0, 7] = True
    first, second = Recorder((0,), 10), Recorder((0,), 10)
    first.extend(reward[:, :5], ended[:, :5])
    second.restore(first.state())
    second.extend(reward[:, 5:], ended[:, 5:])
    np.testing.assert_array_equal(second.curve().mean_return[0, 7], 8.0)


def test_more_steps_than_the_run_has_are_refused():
    with pytest.raises(ValueError, match="run of 4 steps"):
        Recorder((0,), 4).extend(np.zeros((1, 5), np.float32), np.zeros((1, 5), bool))
