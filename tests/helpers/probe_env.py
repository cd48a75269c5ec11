"""A Gymnasium environment with chosen spaces, observations and rewards."""

import gymnasium
import numpy as np
from gymnasium import spaces


class Probe(gymnasium.Env):
    """An environment with chosen spaces and errors: it observes a counter, or ``see`` of it."""

    metadata = {"render_modes": []}  # noqa: RUF012

    def __init__(self, observation=None, action=None, see=None, earn=None):
        self.observation_space = observation or spaces.Box(-9, 9, (2,), np.float64)
        self.action_space = action or spaces.Discrete(2)
        self.see, self.earn, self.got = see or (lambda t, rng: np.full(2, float(t % 9))), earn, []

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        self.t = 0
        return self.see(0, self.np_random), {}

    def step(self, action):
        self.t += 1
        self.got.append(action)
        reward = self.earn(self.t) if self.earn else 1
        return self.see(self.t, self.np_random), reward, self.t == 12, False, {"odd": object()}
