"""My environment: a walk on a line, which ends at its right end.

engram run q_learning my_env.py  train an agent in it, over 8 seeds
engram check my_env.py           put it through the laws, and through Gymnasium's own checker
"""

import gymnasium
from gymnasium import spaces


class MyEnv(gymnasium.Env):
    """A Gymnasium environment of one seed; Engram makes one for each.

    action: 0 left, 1 right. observation: the place, from 0. reward: -1 a step. It terminates at the last place.
    """

    def __init__(self, length=8, max_steps=100):
        """Make a line of so many places: --env.kwargs.length 12."""
        self.observation_space = spaces.Discrete(length)
        self.action_space = spaces.Discrete(2)
        self.max_steps = max_steps  # an episode is truncated after so many steps

    def reset(self, *, seed=None, options=None):
        """Start an episode in the left half; all randomness comes from self.np_random, which super().reset seeds."""
        super().reset(seed=seed)
        self.place = int(self.np_random.integers(self.observation_space.n // 2))
        self.steps = 0
        return self.place, {}

    def step(self, action):
        """Walk one place."""
        last = self.observation_space.n - 1
        self.place = min(max(self.place + (1 if action == 1 else -1), 0), last)
        self.steps += 1
        terminated = self.place == last
        truncated = self.steps >= self.max_steps and not terminated
        return self.place, -1.0, bool(terminated), truncated, {}
