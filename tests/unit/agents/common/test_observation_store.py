"""Tests of DQN's observation storage: vectors, classes, and images frame by frame."""

from __future__ import annotations

import numpy as np
import pytest
from gymnasium import spaces

from agents import dqn
from agents.common.networks.dense import NetworkSettings
from agents.common.observation_store import FrameStore
from agents.common.replay.buffer import make_replay
from agents.common.replay.prioritized import make_priorities
from agents.dqn.agent import resolved
from agents.dqn.learner_torch import TorchLearner, frame_capacity
from agents.dqn.update import Seeds, make_batch, replace_overwritten, store_steps
from simulator.core.protocols import EnvSpec, Step
from tests.helpers.networks import draws

BOX = EnvSpec("box", spaces.Box(-5, 5, (3,), np.float32), spaces.Discrete(4))
CLASSES = EnvSpec("classes", spaces.Discrete(50), spaces.Discrete(4))
ENDS = np.array([[4, 9], [9, 4]])  # steps at which seeds end, and at which time cuts them
DEPTH, CAPACITY = 3, 24


@pytest.mark.parametrize("kind", ["compiled", "torch"])
@pytest.mark.parametrize("spec", [BOX, CLASSES], ids=lambda spec: spec.id)
def test_the_replay_holds_final_observations_not_the_next_episodes_first(spec, kind):
    config = resolved(dqn.Config(n_step=1, buffer_size=30, batch_size=4, network=NetworkSettings(hidden=(4,))))
    make = dqn.make if kind == "compiled" else lambda *given: dqn.DQN(*given[:2], TorchLearner(*given))
    agent = make(spec, [0, 1], config)
    shape = (2, 3) if spec is BOX else (2,)
    values = draws(3).permuted(np.tile(np.arange(50), (28, 1)), axis=1)[:, : np.prod(shape)].reshape(14, 2, *shape)
    obs, seen = np.zeros(shape, int), []
    for t, (led_to, then) in enumerate(values):
        ends, cuts = t == ENDS
        following = np.where((ends | cuts).reshape(2, *[1] * (len(shape) - 1)), then, led_to)
        agent.learn(obs, agent.act(obs).copy(), Step(following, np.ones(2, np.float32), ends, cuts, led_to))
        seen, obs = [*seen, obs], following
    replay = agent._learner.state.replay
    for i in range(2):
        np.testing.assert_array_equal(replay.obs[i, :14], np.array(seen)[:, i].reshape(14, -1))
        np.testing.assert_array_equal(replay.next_obs[i, :14], values[:, 0, i].reshape(14, -1))
        np.testing.assert_array_equal(np.flatnonzero(replay.discount[i, :14] == 0.0), ENDS[0, i])


class _Film:
    """Random frames of two seeds, in a store with a replay and as stacks in plain lists.

    The discount is 0 and the reward of step t is t: what a transition earned is the step that it begins with.
    """

    def __init__(self, max_steps, n_step):
        spec = EnvSpec("film", spaces.Box(0, 255, (2, 2), np.uint8), spaces.Discrete(2), max_steps)
        self.store = FrameStore(spec, 2, DEPTH, frame_capacity(spec, DEPTH, CAPACITY, n_step))
        self.replay = make_replay(2, CAPACITY, 1, n_step, 0.0, np.int64)
        self.t, self.n_step, self.draws = 0, n_step, draws(5)
        self.obs = self._frame()
        self.episodes = [[self.obs[i]] for i in range(2)]
        self.before, self.after, self.ends = ([], []), ([], []), ([], [])

    def _frame(self):
        return self.draws.integers(1, 256, (2, 2, 2), dtype=np.uint8)

    def _stack(self, i):
        seen = self.episodes[i][-DEPTH:]
        return np.stack([np.zeros((2, 2), np.uint8)] * (DEPTH - len(seen)) + seen)

    def step(self, terminated, truncated):
        ended = terminated | truncated
        final = self._frame()
        following = np.where(ended[:, None, None], self._frame(), final)
        obs = self.store.current(self.obs).copy()
        next_obs = self.store.add_step(Step(following, np.zeros(2, np.float32), terminated, truncated, final))
        result = (np.full(2, self.t, np.float32), terminated, truncated, next_obs, Seeds(0, 2, 0))
        priorities = make_priorities(None, 2, CAPACITY)
        assert store_steps(self.replay, priorities, obs, np.zeros(2, np.int64), *result) == -1
        for i in range(2):
            self.before[i].append(self._stack(i))
            self.episodes[i].append(final[i])
            self.after[i].append(self._stack(i))
            self.ends[i].append((bool(terminated[i]), bool(truncated[i])))
            if ended[i]:
                self.episodes[i] = [following[i]]
        self.obs, self.t = following, self.t + 1

    def last_of(self, i, k):
        """Return the last step of the transition that begins with step k, and True if the episode terminates there."""
        for t in range(k, k + self.n_step):
            if any(self.ends[i][t]):
                return t, self.ends[i][t][0]
        return k + self.n_step - 1, False

    def check(self, picked):
        """Sample ``picked`` [2, B], check every image, and return the transitions that were sampled instead."""
        batch = self.sampled(picked, (1 + picked) / 64)
        here, following = (
            self.store.inputs(np.take_along_axis(stored, batch.indices[..., None], axis=1))
            for stored in (self.replay.obs, self.replay.next_obs)
        )
        np.testing.assert_array_equal(batch.weights, (1 + batch.indices) / 64)
        for i, j in np.ndindex(picked.shape):
            k = int(self.replay.n_step_return[i, batch.indices[i, j]])
            last, terminated = self.last_of(i, k)
            np.testing.assert_array_equal(here[i, j], self.before[i][k])
            if not terminated:  # nothing is bootstrapped from a true end
                np.testing.assert_array_equal(following[i, j], self.after[i][last])
        return batch.indices

    def sampled(self, indices, weights):
        """Return a batch of these transitions, or of others where their frames are overwritten."""
        batch = make_batch(2, indices.shape[1], (1,), np.uint8, 2, 2)
        batch.indices[:], batch.weights[:] = indices, weights
        replace_overwritten(self.replay.obs[..., 0], self.replay.n_added, batch, self.store.oldest())
        return batch


def _filmed(cut_every, max_steps, n_step=1):
    film, flags = _Film(max_steps, n_step), np.zeros(2, bool)
    for t in range(90):
        phase = (t + np.array([0, 1])) % cut_every == cut_every - 1
        ends = flags if cut_every < 4 else np.array([t % 17 == 5, t % 13 == 2]) & ~phase
        film.step(ends, phase)
        if t > CAPACITY + 3:
            yield film


@pytest.mark.parametrize("n_step", [1, 4])
@pytest.mark.parametrize("max_steps", [1_000, None])
@pytest.mark.parametrize("cut_every", [1, 2, 3, 7])
def test_pictures_drawn_are_those_of_their_transitions_however_often_time_cuts(cut_every, max_steps, n_step):
    for film in _filmed(cut_every, max_steps, n_step):
        picked = film.check(np.tile(np.arange(CAPACITY), (2, 1)))
        for i in range(2):
            age, kept = (film.replay.n_added[i] - 1 - picked[i]) % CAPACITY, len(np.unique(picked[i]))
            assert set(age) == set(range(kept))  # the newest are there, without a gap
            assert kept >= CAPACITY // 2
            still = picked[i] == np.arange(CAPACITY)
            assert still.sum() == kept  # none was replaced that did not have to be
            assert np.unique(picked[i], return_counts=True)[1].max() <= 2  # and one by another each


@pytest.mark.parametrize("n_step", [1, 4])
@pytest.mark.parametrize(("cut_every", "max_steps"), [(7, 7), (8, None), (30, 30)])
def test_there_is_room_for_the_frames_of_every_transition_where_time_cuts_at_the_limit(cut_every, max_steps, n_step):
    every = np.tile(np.arange(CAPACITY), (2, 1))
    for film in _filmed(cut_every, max_steps, n_step):
        np.testing.assert_array_equal(film.check(every), every)


def test_a_batch_without_complete_transitions_takes_the_newest():
    *_, film = _filmed(1, 1_000)
    oldest = film.replay.n_added[:, None] % CAPACITY + np.zeros((2, 3), np.int64)
    batch = film.sampled(oldest, 0.25)
    np.testing.assert_array_equal(batch.indices, (oldest - 1) % CAPACITY)
    np.testing.assert_array_equal(batch.weights, 1.0)


def test_a_transition_longer_than_the_capacity_has_its_frames():
    film = _Film(1_000, 3 * CAPACITY)
    for t in range(8 * CAPACITY):
        film.step(np.zeros(2, bool), np.array([t == 100, t == 160]))
        if film.replay.n_added.min():
            film.check((film.replay.n_added[:, None] - 1) % CAPACITY)
