"""An agent for tests of components: random actions, with all four sockets and one in a table within."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from simulator.core import registry
from simulator.core.components import Encoder, Intrinsic, Model, Recurrence
from simulator.core.field_types import StepsOfRun


@dataclass(frozen=True)
class Critic:
    """Settings of the critic."""

    width: int = 8
    """its width"""
    recurrence: Recurrence = None
    """its own memory"""


@dataclass(frozen=True)
class Config:
    """Settings of the agent."""

    gamma: float = 0.9
    """discount"""
    decay_steps: StepsOfRun = None
    """steps of something"""
    encoder: Encoder = None
    """what the agent sees with"""
    recurrence: Recurrence = None
    """what the agent remembers with"""
    model: Model = None
    """what the agent imagines with"""
    intrinsic: Intrinsic = None
    """what makes it curious"""
    critic: Critic = field(default_factory=Critic)
    """the critic"""


PRESETS = {
    "small-memory": {
        "description": "an LSTM of four units",
        "env": "rooms",
        "agent": {"recurrence": {"name": "lstm", "units": 4}},
    },
    "with-memory": {"description": "a strategy", "agent": {"recurrence": "gru"}},
}


class SocketAgent:
    """S agents that act at random, and make their recurrence."""

    def __init__(self, spec, seed_list, config):
        self.config = config
        chosen = config.recurrence
        self.made = chosen and registry.load("components", chosen.name).make(chosen.settings)

    def act(self, obs, first=None):
        return np.zeros(len(obs), np.int64)

    def learn(self, obs, actions, step):
        return {}

    def policy(self):
        return self

    def state(self):
        return {}

    def restore(self, state):
        pass

    def probs(self, obs):
        return None

    def values(self, obs):
        return None


def make(spec, seed_list, config):
    """Make agents for any discrete environment."""
    return SocketAgent(spec, list(seed_list), config)
