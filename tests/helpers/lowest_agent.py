"""An agent for tests of matches: it takes the lowest legal action, records what it learns, and can fail."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

NOTES: list[
    tuple
] = []  # (seed, obs, action, reward, terminated, truncated, obs after, final obs) of every learning step


@dataclass(frozen=True)
class Config:
    """Settings of the agent."""

    fails: int = 0
    """step at which the odd seeds fail; 0: never"""
    note: bool = False
    """write down what is learned"""
    illegal: bool = False
    """always the first move, whether it exists or not"""


class Lowest:
    """S agents that take the lowest legal action."""

    def __init__(self, spec, seed_list, config):
        self._legal, self._seeds, self._config, self._steps = spec.legal_actions, seed_list, config, 0
        self.failed_at = np.zeros(len(seed_list), np.int64)

    def act(self, obs, first=None):
        if self._config.illegal or self._legal is None:
            return np.zeros(len(obs), np.int64)
        return self._legal[obs].argmax(axis=1)

    def learn(self, obs, actions, step):
        self._steps += 1
        if self._steps == self._config.fails:
            self.failed_at[-1:] = self._steps
        if self._config.note:
            ends = (step.terminated.tolist(), step.truncated.tolist())
            seen = (step.obs.tolist(), step.final_obs.tolist())
            NOTES.append((self._seeds[0], obs.tolist(), actions.tolist(), step.reward.tolist(), *ends, *seen))
        return {}

    def policy(self):
        return self

    def state(self):
        return {"steps": self._steps}

    def restore(self, state):
        self._steps = state["steps"]

    def probs(self, obs):
        return None

    def values(self, obs):
        return None


def make(spec, seed_list, config):
    """Make agents for any discrete environment."""
    return Lowest(spec, list(seed_list), config)
