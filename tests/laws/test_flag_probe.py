"""Tests of the flag: it keeps the laws of environments, and tells memory from its absence."""

from __future__ import annotations

import numpy as np
import pytest

from simulator.checks import envs
from tests.laws.flag_probe import Config, make

CONFIGS = [Config(), Config(at=2, delay=1, staggered=False), Config(delay=5, truncates=True)]


@pytest.mark.parametrize("config", CONFIGS, ids=str)
def test_the_flag_keeps_the_laws(config):
    envs.resets_itself_and_keeps_its_spaces(lambda seeds: make(seeds, config), 60)
    envs.permuted_seeds_give_permuted_results(lambda seeds: make(seeds, config))
    envs.continues_from_its_state(lambda seeds: make(seeds, config))


def play(config, choose, n_steps=240):
    """Return each seed's rewards at ends, [E]; ``choose`` gives actions from observations and the last step's ends."""
    env = make([0, 1, 2, 3], config)
    obs, done = env.reset(), np.ones(4, np.bool_)
    rewards = [[] for _ in range(4)]
    for _ in range(n_steps):
        step = env.step(choose(obs, done))
        done = step.terminated | step.truncated
        for i in np.flatnonzero(done):
            rewards[i].append(float(step.reward[i]))
        assert not step.reward[~done].any()
        obs = step.obs
    return rewards


class Remembers:
    """Remembers the latest flag; ``late`` forgets it one step after it should, at the second observation."""

    def __init__(self, *, late=False):
        self.late = late
        self.flag = np.zeros(4)
        self.was_done = np.zeros(4, np.bool_)

    def __call__(self, obs, done):
        forgets = self.was_done if self.late else done
        self.flag = np.where(obs[:, 0] != 0, obs[:, 0], np.where(forgets, 0, self.flag))
        self.was_done = done
        return (self.flag > 0).astype(np.int64)


class Stale:
    """Acts by the flag of the episode before."""

    def __init__(self):
        self.used, self.latest = np.zeros(4), np.zeros(4)

    def __call__(self, obs, done):
        self.used = np.where(done, self.latest, self.used)
        self.latest = np.where(obs[:, 0] != 0, obs[:, 0], self.latest)
        return (self.used > 0).astype(np.int64)


@pytest.mark.parametrize("config", CONFIGS, ids=str)
def test_memory_earns_everything_and_its_absence_nothing(config):
    assert {reward for row in play(config, Remembers()) for reward in row} == {1.0}
    for row in play(config, lambda obs, done: np.ones(4, np.int64)):
        assert sum(row[: len(row) // 2 * 2]) == 0.0  # flags alternate
        assert row[:4] in ([1.0, -1.0] * 2, [-1.0, 1.0] * 2)


def test_a_state_that_is_carried_over_or_reset_late_fails():
    for row in play(Config(), Stale()):
        assert set(row[1:]) == {-1.0}  # of the opposite flag, every time
    for row in play(Config(), Remembers(late=True)):
        assert -1.0 in row


def test_a_flag_out_of_range_is_refused():
    with pytest.raises(ValueError, match="at = -1, delay = 3: expected at least 0"):
        make([0], Config(at=-1))
