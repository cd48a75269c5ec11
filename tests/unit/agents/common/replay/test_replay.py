"""Tests of replay: n-step returns, ends of episodes, the ring buffer, prioritized samples and their weights."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agents.common.replay.buffer import add_step, load_replay, make_replay, replay_size, save_replay
from agents.common.replay.prioritized import (
    PrioritySettings,
    add_priority,
    make_priorities,
    priority_bytes,
    sample,
    update_priority,
)
from agents.dqn.update import Seeds, store_steps
from simulator.core import rng
from tests.helpers.jit_entries import from_python

add_priority, sample, update_priority, replay_size, add_step = from_python(
    add_priority, sample, update_priority, replay_size, add_step
)
GAMMA = 0.5


def _play(replay, rewards, ends, final=None):
    """Add steps of seed 0: at time t the observation is t, the action t % 3, and step t leads to ``final`` or t + 1."""
    for t, (reward, end) in enumerate(zip(rewards, ends, strict=True)):
        led_to = np.array([t + 1.0 if final is None or not end else final], np.float32)
        add_step(replay, 0, np.array([t], np.float32), t % 3, np.float32(reward), end == "T", end == "t", led_to)


def _stored(replay):
    n = replay_size(replay, 0)
    names = ("obs", "action", "n_step_return", "discount", "next_obs")
    return [tuple(float(np.ravel(getattr(replay, name)[0, k])[0]) for name in names) for k in range(n)]


@pytest.mark.slow
def test_one_step_transitions_by_hand():
    replay = make_replay(1, 10, 1, 1, GAMMA)
    _play(replay, [1.0, 2.0, 3.0], ["", "T", "t"], final=9.0)
    assert _stored(replay) == [(0, 0, 1, 0.5, 1), (1, 1, 2, 0.0, 9), (2, 2, 3, 0.5, 9)]


def test_three_steps_never_cross_an_end_and_count_the_steps_really_taken():
    replay = make_replay(1, 20, 1, 3, GAMMA)
    _play(replay, [1.0, 2.0, 4.0, 8.0, 16.0], ["", "", "", "T", ""], final=9.0)
    assert _stored(replay) == [
        (0, 0, 1 + 1 + 1, 0.125, 3),  # after three steps: 1 + 2/2 + 4/4
        (1, 1, 2 + 2 + 2, 0.0, 9),
        (2, 2, 4 + 4, 0.0, 9),  # the end leaves two steps, then one
        (3, 0, 8, 0.0, 9),
    ]
    assert replay.n_pending[0] == 1  # the next episode's first step waits alone


def test_truncation_bootstraps_from_the_final_observation():
    replay = make_replay(1, 20, 1, 3, GAMMA)
    _play(replay, [1.0, 2.0], ["", "t"], final=7.0)
    assert _stored(replay) == [(0, 0, 2, 0.25, 7), (1, 1, 2, 0.5, 7)]


@settings(max_examples=60, deadline=None)
@given(st.integers(1, 5), st.integers(1, 12), st.lists(st.sampled_from(["", "", "", "T", "t"]), max_size=40))
def test_the_ring_equals_a_plain_list(n_step, capacity, ends):
    replay = make_replay(1, capacity, 1, n_step, GAMMA)
    rewards = [float(t % 7) for t in range(len(ends))]
    _play(replay, rewards, ends, final=-1.0)
    expected, start = [], 0
    for t, end in enumerate(ends):
        if end or t - start + 1 >= n_step:
            last = range(max(start, t - n_step + 1), t + 1) if end else [t - n_step + 1]
            for k in last:
                total = sum(GAMMA**j * rewards[k + j] for j in range(t - k + 1))
                discount = 0.0 if end == "T" else GAMMA ** (t - k + 1)
                expected.append((k, k % 3, total, discount, -1.0 if end else t + 1))
        if end:
            start = t + 1
    assert replay.n_added[0] == len(expected)
    newest = expected[-capacity:]
    assert sorted(_stored(replay)) == sorted(newest)


def test_a_replay_continues_from_its_state():
    one, two = make_replay(2, 8, 1, 2, GAMMA), make_replay(2, 8, 1, 2, GAMMA)
    _play(one, [1.0] * 5, [""] * 5)
    load_replay(two, save_replay(one))
    for here, there in zip(one, two, strict=True):
        np.testing.assert_array_equal(here, there)


def _drawn(priorities, fill, n, rounds=400, beta=0.5):
    streams, picked, weights = rng.pcg64_states([3], "replay"), np.zeros(n, np.int64), np.zeros(n, np.float32)
    count = np.zeros(fill)
    for _ in range(rounds):
        sample(priorities, streams, 0, fill, beta, picked, weights)
        np.add.at(count, picked, 1)
        assert weights.max() == pytest.approx(1.0)
    return count / count.sum(), picked, weights


@pytest.mark.slow
@pytest.mark.parametrize("alpha", [0.0, 0.6, 1.0])
def test_proportional_draws_and_weights(alpha):
    priorities = make_priorities(PrioritySettings(alpha=alpha, eps=0.01), 1, 8)
    td = np.array([0.09, -0.99, 1.99, 0.49, 3.99])
    for k in range(5):
        add_priority(priorities, 0, k, k)
        update_priority(priorities, 0, k, td[k], 5)
    share = (abs(td) + 0.01) ** alpha / ((abs(td) + 0.01) ** alpha).sum()
    seen, picked, weights = _drawn(priorities, 5, 16)
    np.testing.assert_allclose(seen, share, atol=0.02)
    weight = (5 * share[picked]) ** -0.5
    np.testing.assert_allclose(weights, weight / weight.max(), rtol=1e-5)
    assert seen[4] > 0  # the last one can be drawn


def test_ranks_draw_by_one_over_rank():
    priorities = make_priorities(PrioritySettings(kind="rank", alpha=0.7), 1, 6)
    for k in range(6):
        add_priority(priorities, 0, k, k)
    for k, td in enumerate([3.0, 50.0, -9.0, 0.1, 2.0, 1.0]):
        update_priority(priorities, 0, k, td, 6)
    assert list(priorities.heap[0][:1]) == [1]
    place = priorities.heap_position[0]
    share = (1.0 + place) ** -0.7 / (np.arange(1.0, 7.0) ** -0.7).sum()
    seen, _, _ = _drawn(priorities, 6, 16)
    np.testing.assert_allclose(seen, share, atol=0.02)


@settings(max_examples=40, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 9), st.floats(-5, 5)), max_size=60))
def test_the_heap_stays_a_heap_and_the_tree_a_tree_of_sums(changes):
    ranked, summed = make_priorities(PrioritySettings(kind="rank"), 1, 10), make_priorities(PrioritySettings(), 1, 10)
    for k in range(10):
        for each in (ranked, summed):
            add_priority(each, 0, k, k)
    for at, td in changes:
        for each in (ranked, summed):
            update_priority(each, 0, at, td, 10)
    heap, key, place = ranked.heap[0], ranked.abs_td_error[0], ranked.heap_position[0]
    assert sorted(heap) == list(range(10))
    np.testing.assert_array_equal(heap[place], np.arange(10))
    for spot in range(1, 10):
        assert key[heap[(spot - 1) // 2]] >= key[heap[spot]]
    tree = summed.tree[0]
    assert tree[1] == pytest.approx(tree[16:].sum())
    np.testing.assert_allclose(tree[1:16], tree[2:32:2] + tree[3:33:2])


def test_a_new_transition_gets_the_largest_priority_so_far():
    priorities = make_priorities(PrioritySettings(alpha=1.0, eps=0.5), 1, 4)
    add_priority(priorities, 0, 0, 0)
    assert priorities.tree[0, 4] == 1.0
    update_priority(priorities, 0, 0, -7.5, 1)  # |TD error| is not clipped
    assert priorities.tree[0, 4] == 8.0
    add_priority(priorities, 0, 1, 1)
    assert priorities.tree[0, 5] == 8.0
    update_priority(priorities, 0, 0, 0.0, 2)
    add_priority(priorities, 0, 2, 2)
    assert priorities.tree[0, 6] == 8.0


@pytest.mark.parametrize("kind", ["proportional", "rank"])
def test_every_transition_pushed_has_its_own_priority_and_the_newest_the_largest(kind):
    replay, priorities = make_replay(2, 6, 1, 2, GAMMA), make_priorities(PrioritySettings(kind, alpha=0.5), 2, 6)
    first = 8 if kind == "proportional" else 0  # leaves of the tree
    stored = (priorities.tree if kind == "proportional" else priorities.abs_td_error)[:, first : first + 6]
    sizes = set()
    for t in range(30):
        pushed, before, flags = replay.n_added.copy(), stored.copy(), np.array([t % 5 == 1, False])
        obs, next_obs = np.zeros((2, 1), np.float32), np.ones((2, 1), np.float32)
        step = (np.zeros(2, np.float32), flags, flags[::-1].copy(), next_obs)
        assert store_steps(replay, priorities, obs, np.zeros(2, np.int64), *step, Seeds(0, 2, 0)) == -1
        for i in range(2):
            fill, new = replay_size(replay, i), np.arange(pushed[i], replay.n_added[i]) % 6
            assert (stored[i, :fill] > 0.0).all()
            assert (stored[i, fill:] == 0.0).all()
            largest = priorities.max_priority[i]
            np.testing.assert_array_equal(stored[i, new], largest**0.5 if kind == "proportional" else largest)
            np.testing.assert_array_equal(np.delete(stored[i], new), np.delete(before[i], new))
            if fill:
                update_priority(priorities, i, (3 * t + i) % fill, (0.1, 2.0 + t, 0.3)[t % 3], fill)
            sizes.add(len(new))
    assert sizes == {0, 1, 2}  # an end lets go of two at once


def test_strata_are_drawn_from_one_each():
    priorities = make_priorities(PrioritySettings(alpha=1.0), 1, 64)
    for k in range(64):
        add_priority(priorities, 0, k, k)
    picked, weights = np.zeros(64, np.int64), np.zeros(64, np.float32)
    sample(priorities, rng.pcg64_states([1], "replay"), 0, 64, 1.0, picked, weights)
    np.testing.assert_array_equal(picked, np.arange(64))


def test_uniform_draws_weigh_alike():
    seen, _, weights = _drawn(make_priorities(None, 1, 8), 8, 16, rounds=800)
    np.testing.assert_allclose(seen, 1 / 8, atol=0.02)
    np.testing.assert_array_equal(weights, 1.0)
    assert priority_bytes(None, 100) == 0


def test_non_finite_numbers_are_found():
    replay, priorities = make_replay(3, 4, 1, 1, GAMMA), make_priorities(None, 3, 4)
    obs, flags = np.zeros((3, 1), np.float32), np.zeros(3, np.bool_)
    led_to, reward = obs.copy(), np.zeros(3, np.float32)
    assert (
        store_steps(replay, priorities, obs, np.zeros(3, np.int64), reward, flags, flags, led_to, Seeds(0, 3, 0)) == -1
    )
    led_to[2] = np.nan
    assert (
        store_steps(replay, priorities, obs, np.zeros(3, np.int64), reward, flags, flags, led_to, Seeds(0, 3, 0)) == 2
    )
    reward[1] = np.inf
    assert (
        store_steps(replay, priorities, obs, np.zeros(3, np.int64), reward, flags, flags, led_to, Seeds(0, 3, 0)) == 1
    )
