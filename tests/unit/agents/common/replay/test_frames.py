"""Tests of frame storage: stacks rebuilt from single frames, against plain lists of episodes."""

from __future__ import annotations

import numpy as np
import pytest
from gymnasium import spaces
from hypothesis import given, settings
from hypothesis import strategies as st

from agents.common.observation_store import FrameStore
from agents.common.replay.frames import (
    FrameRing,
    append,
    frame_bytes,
    frame_shape,
    gather,
    keep_step,
    load_frames,
    make_frames,
    newest_of,
    oldest_positions,
    save_frames,
)
from simulator.core.protocols import EnvSpec, Step
from tests.helpers.networks import draws

SHAPE = (1, 2, 3)


def _frame(value):
    return np.full((2, 3), value, np.uint8)


def _frames(values):
    return np.stack([_frame(value) for value in values])


class _Lists:
    """Frames of one seed as a list per episode."""

    def __init__(self, depth):
        self.depth, self.stacks, self.reach, self.episode = depth, [], [], []

    def append(self, frame, first):
        self.episode = [frame] if first or not self.stacks else [*self.episode, frame]
        seen = self.episode[-self.depth :]
        blank = [np.zeros_like(frame)] * (self.depth - len(seen))
        self.stacks.append(np.stack(blank + seen))
        self.reach.append(len(self.stacks) - len(seen))  # position of the earliest frame needed


def _seed(store, i):
    """Return one seed's part of a store."""
    return FrameRing(*(array[i : i + 1] for array in store[:3]), store.depth)


@st.composite
def _histories(draw):
    depth = draw(st.integers(1, 5))
    capacity = draw(st.integers(depth, 12))
    flags = st.tuples(st.booleans(), st.booleans(), st.booleans())  # an episode begins; seeds 0 and 1 take part
    return depth, capacity, draw(st.lists(flags, max_size=50))


@pytest.mark.slow
@settings(max_examples=100, deadline=None)
@given(_histories())
def test_stacks_are_those_of_plain_lists_through_every_wrap(history):
    depth, capacity, events = history
    store, lists = make_frames(2, SHAPE, capacity, depth), [_Lists(depth), _Lists(depth)]
    for t, (first, *mask) in enumerate(events):
        obs = draws(t).integers(0, 256, (2, 2, 3), dtype=np.uint8)
        positions = append(store, obs, np.array([first, not first]), np.array(mask))
        for i in range(2):
            if mask[i]:
                lists[i].append(obs[i], first if i == 0 else not first)
            assert positions[i] == len(lists[i].stacks) - 1
    rebuilt = make_frames(2, SHAPE, capacity, depth)
    load_frames(rebuilt, save_frames(store))
    for i in range(2):
        n, least = len(lists[i].stacks), oldest_positions(store)[i]
        assert least == (n - capacity + depth - 1 if n > capacity else 0)
        assert all(reach >= n - capacity for reach in lists[i].reach[least:])
        for one in (store, rebuilt):
            found = gather(_seed(one, i), np.arange(least, n)[None])[0]
            np.testing.assert_array_equal(found, np.array(lists[i].stacks[least:], np.uint8).reshape(found.shape))


def test_a_stack_by_hand():
    store = make_frames(1, SHAPE, 10, 3)
    for value, first in ((1, True), (2, False), (3, False), (4, False), (5, True), (6, False)):
        append(store, _frame(value)[None], np.array([first]))
    stacks = gather(store, np.array([[0, 1, 2, 3, 4, 5]]))
    assert stacks.dtype == np.uint8
    assert stacks.shape == (1, 6, 3, 2, 3)
    expected = [[0, 0, 1], [0, 1, 2], [1, 2, 3], [2, 3, 4], [0, 0, 5], [0, 5, 6]]
    np.testing.assert_array_equal(stacks[0, :, :, 0, 0], expected)


def test_a_long_episode_has_complete_stacks_to_its_end():
    store = make_frames(1, SHAPE, 600, 3)
    for t in range(600):
        append(store, _frame(t % 251)[None], np.array([t == 0]))
    stacks = gather(store, np.arange(2, 600)[None])[0, :, :, 0, 0]
    np.testing.assert_array_equal(stacks, (np.arange(598)[:, None] + np.arange(3)) % 251)


def test_a_step_keeps_the_true_last_frame_where_time_cuts_and_none_where_an_episode_ends():
    """A replay's use: the position of what was seen, and of what the step led to."""
    store, seen, led_to = make_frames(2, SHAPE, 20, 2), [], []
    now = np.array([1, 1])
    steps = (  # what it led to, what is seen next, seeds that end, seeds that are cut
        ([2, 2], [2, 2], (False, False), (False, False)),
        ([3, 3], [10, 20], (False, True), (True, False)),
        ([11, 21], [11, 21], (False, False), (False, False)),
        ([12, 22], [12, 30], (False, False), (False, True)),
        ([13, 31], [13, 31], (False, False), (False, False)),
    )
    for final, then, ends, cuts in steps:
        seen.append(newest_of(store, _frames(now)))
        reward, flags = np.zeros(2, np.float32), (np.array(ends), np.array(cuts))
        led_to.append(keep_step(store, Step(_frames(then), reward, *flags, _frames(final))))
        now = then
    stacks = [gather(store, np.concatenate(places, axis=1))[:, :, :, 0, 0] for places in (seen, led_to)]
    np.testing.assert_array_equal(stacks[0][0], [[0, 1], [1, 2], [0, 10], [10, 11], [11, 12]])
    np.testing.assert_array_equal(stacks[1][0], [[1, 2], [2, 3], [10, 11], [11, 12], [12, 13]])
    np.testing.assert_array_equal(stacks[0][1], [[0, 1], [1, 2], [0, 20], [20, 21], [0, 30]])
    bootstrapped = [0, 2, 3, 4]  # nothing is, from a true end
    np.testing.assert_array_equal(stacks[1][1][bootstrapped], [[1, 2], [20, 21], [21, 22], [30, 31]])
    np.testing.assert_array_equal(store.n_added, [7, 7])  # six of a step and the start, and one of each seed's cut


def test_colours_become_channels_frame_by_frame():
    obs = np.arange(2 * 2 * 3 * 3, dtype=np.uint8).reshape(2, 2, 3, 3)  # [S, H, W, C]
    store = make_frames(2, (3, 2, 3), 4, 2)
    append(store, obs, np.ones(2, bool))
    newest = append(store, obs + 1, np.zeros(2, bool))
    stacked = gather(store, newest[:, None])[:, 0]
    assert stacked.shape == (2, 6, 2, 3)
    np.testing.assert_array_equal(stacked[:, :3], obs.transpose(0, 3, 1, 2))
    np.testing.assert_array_equal(stacked[:, 3:], obs.transpose(0, 3, 1, 2) + 1)


def test_overwritten_and_future_frames_are_refused():
    store = make_frames(2, SHAPE, 4, 2)
    for t in range(6):
        append(store, np.stack([_frame(t)] * 2), np.array([t == 0] * 2))
    np.testing.assert_array_equal(oldest_positions(store), [3, 3])  # frames 2 to 5 are there; a stack takes two
    gather(store, np.array([[3, 5], [4, 4]]))
    with pytest.raises(IndexError, match="seed number 1: frame 2, expected 3 to 5"):
        gather(store, np.array([[3, 5], [4, 2]]))
    with pytest.raises(IndexError, match="seed number 0: frame 6, expected 3 to 5"):
        gather(store, np.array([[3, 6], [4, 4]]))


def test_the_stack_for_acting_is_reset_with_the_episode_and_restored():
    spec = EnvSpec("film", spaces.Box(0, 255, SHAPE[1:], np.uint8), spaces.Discrete(2))
    store, other = (FrameStore(spec, 2, 3, 20).for_evaluation() for _ in range(2))

    def see(store, value, first):
        return store.inputs(store.observe(_frames([value] * 2), np.array(first))[:, None])[:, 0]

    for value, first in [(1, (True, True)), (2, (False, False)), (3, (False, True)), (4, (False, False))]:
        seen = see(store, value, first)
    np.testing.assert_array_equal(seen[:, :, 0, 0], [[2, 3, 4], [0, 3, 4]])
    other.restore(store.state())
    for each in (store, other):
        np.testing.assert_array_equal(see(each, 9, (False, False))[:, :, 1, 2], [[3, 4, 9]] * 2)


def test_the_saved_state_of_a_seed_depends_on_that_seed_only():
    together, alone = make_frames(2, SHAPE, 5, 2), make_frames(1, SHAPE, 5, 2)
    for t in range(8):
        append(together, np.stack([_frame(t)] * 2), np.array([t % 3 == 0] * 2), np.array([t < 3, True]))
        append(alone, _frame(t)[None], np.array([t % 3 == 0]))
    saved, single = save_frames(together), save_frames(alone)
    for name in ("frames", "n_before", "n_added"):
        np.testing.assert_array_equal(saved[name][1], single[name][0])
    assert len(saved["frames"][0]) == 3


def test_the_size_of_a_frame_store_is_known_before_it_is_allocated():
    store = make_frames(3, (1, 84, 84), 1_000, 4)
    assert frame_bytes(3, (1, 84, 84), 1_000) == sum(array.nbytes for array in store[:3])


@pytest.mark.parametrize(
    ("space", "shape"),
    [
        (spaces.Box(0, 255, (84, 80), np.uint8), (1, 84, 80)),
        (spaces.Box(0, 255, (84, 80, 3), np.uint8), (3, 84, 80)),
        (spaces.Box(0, 255, (4, 84, 84), np.uint8), None),  # stacked already
        (spaces.Box(0, 1, (84, 84), np.float32), None),
        (spaces.Box(0, 255, (128,), np.uint8), None),
        (spaces.Discrete(3), None),
    ],
)
def test_pictures_are_known_by_their_space(space, shape):
    spec = EnvSpec("env", space, spaces.Discrete(2))
    if shape is None:
        with pytest.raises(ValueError, match=r"env: observation space .* expected one image of bytes"):
            frame_shape(spec)
    else:
        assert frame_shape(spec) == shape


@pytest.mark.parametrize(("capacity", "depth", "said"), [(9, 0, "frames = 0"), (9, 65, "65"), (3, 4, "3 frames")])
def test_invalid_sizes_are_refused(capacity, depth, said):
    with pytest.raises(ValueError, match=said):
        make_frames(1, SHAPE, capacity, depth)
