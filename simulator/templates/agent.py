"""My agent: Q-learning with one weight for each feature and action.

engram run my_agent.py rooms         train it, and evaluate it over 8 seeds
engram run my_agent.py rooms --help  every option, the settings below among them
engram check my_agent.py             put it through the laws
"""

from dataclasses import dataclass

import numpy as np

from simulator import per_seed


@dataclass(frozen=True)
class Config:
    """Settings: each is an option of the command line, such as --agent.learning-rate 0.05."""

    learning_rate: float = 0.1
    """step size of an update, from 0 to 1"""
    gamma: float = 0.99
    """discount per step"""
    epsilon: float = 0.1
    """probability of a random action while training"""


class MyAgent:
    """One learner, of one seed. What its attributes hold is its state: checkpoints store it."""

    def __init__(self, spec, config, rng):
        """Make a learner for an environment: spec.observation and spec.action are Gymnasium spaces."""
        self.config = config
        self.rng = rng  # a numpy Generator; all randomness comes from it, so that a seed gives the same run again
        self.legal = spec.legal_actions  # bool [observations, actions], or None: every action exists everywhere
        self.n_states = int(getattr(spec.observation, "n", 0))  # 0: an observation is an array
        self.weights = np.zeros((spec.action.n, self.n_states or int(np.prod(spec.observation.shape))))

    def features(self, obs):
        """Convert an observation to features: a whole number to one-hot, an array to a vector."""
        return 1.0 * (np.arange(self.n_states) == obs) if self.n_states else np.ravel(obs)

    def values(self, obs):
        """Estimate the return of every action, [A]. Evaluation plays the best; without values it plays act."""
        legal = True if self.legal is None else self.legal[obs]
        return np.where(legal, self.weights @ self.features(obs), -np.inf)

    def act(self, obs):
        """Choose an action while training."""
        values = self.values(obs)
        if self.rng.random() < self.config.epsilon:
            return self.rng.choice(np.flatnonzero(values > -np.inf))
        return values.argmax()

    def learn(self, obs, action, reward, next_obs, terminated):
        """Learn from one step; a dict of numbers that is returned here is shown while it trains."""
        x = self.features(obs)
        target = reward if terminated else reward + self.config.gamma * self.values(next_obs).max()
        self.weights[action] += self.config.learning_rate * (target - self.weights[action] @ x) * x / max(1.0, x @ x)


make = per_seed(MyAgent)  # one object for each seed
