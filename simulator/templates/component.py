"""My component: a bonus for observations that were met seldom, counted by a hash of their rounded numbers.

engram run q_learning rooms --agent.intrinsic my_component.py   pay it to an agent
engram run dqn CartPole-v1 --agent.intrinsic my_component.py    and to one with a network
engram show my_component.py                                     every option, the settings below among them
engram check my_component.py                                    put it through the laws
"""

from dataclasses import dataclass

import numpy as np

SOCKETS = ("intrinsic",)  # what it fits: encoder, recurrence, model or intrinsic; each has its own contract


@dataclass(frozen=True)
class Config:
    """Settings: each is an option, such as --agent.intrinsic.size 100. The agent reads the first two."""

    scale: float = 0.1
    """bonus of what was never met before, in units of reward"""
    decay_steps: int = 0
    """environment steps in which the scale falls to 0; 0: it stays"""
    size: int = 4_096
    """counters of a seed"""
    grain: float = 0.1
    """numbers that differ by less may count as the same"""


class MyComponent:
    """Counts of S learners, a row for each; what one meets says nothing of the others."""

    def __init__(self, n_seeds, config):
        """Begin with nothing met."""
        self.config = config
        self.counts = np.zeros((n_seeds, config.size), np.int64)

    def visit(self, obs):
        """Tell how new obs [S, *obs] are, [S], from 1 down to 0, and remember them."""
        rounded = np.round(obs.reshape(len(obs), -1) / self.config.grain).astype(np.int64)
        at = rounded @ (7_919 ** np.arange(rounded.shape[1])) % self.config.size
        seeds = np.arange(len(obs))
        self.counts[seeds, at] += 1
        return 1.0 / np.sqrt(self.counts[seeds, at])

    def state(self):
        """Return all that changes: checkpoints store it."""
        return {"counts": self.counts.copy()}

    def restore(self, state):
        """Go on from what state returned."""
        self.counts[...] = state["counts"]


@dataclass(frozen=True)
class BonusSettings:
    """Settings with the scale of the bonus, and for_env: the socket takes these."""

    config: Config

    def for_env(self, spec, seeds):
        """Make the counts of an environment whose observations are of spec.observation."""
        return MyComponent(len(seeds), self.config)


def make(config):
    """Make the component for an agent."""
    return BonusSettings(config)
