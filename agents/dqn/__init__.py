"""Deep Q-learning: double, dueling, n-step, with prioritized replay, each by a setting.

Mnih et al. 2015; van Hasselt et al. 2016; Schaul et al. 2016; Wang et al. 2016; Hessel et al. 2018. Departures: Adam by
default; value and advantages share every hidden layer; truncation bootstraps from the observation that the step led to;
evaluation uses a running average of the weights (Polyak and Juditsky 1992); n steps are taken as they were played,
without correction for exploration; random actions can be repeated (Dabney et al. 2021).
"""

from agents.dqn.agent import DQN, PRESETS, SUPPORTS_GPU, Config, make

__all__ = ["DQN", "PRESETS", "SUPPORTS_GPU", "Config", "make"]
