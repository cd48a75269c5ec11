"""REINFORCE: Monte Carlo policy gradient with a dense policy network, by whole episodes.

Williams 1992 (Machine Learning 8); Sutton and Barto 2018, chapter 13. Observations go in as they are, integers between
bounds as 0 to 1. Discrete actions by a softmax over those that exist, Box actions by a normal distribution whose
standard deviation is learned and the same in every state; what it draws is clipped into the bounds only on its way to
the environment. A batch's loss is summed over steps and averaged over episodes. Departures: the factor gamma**t is
dropped unless asked for; episodes cut by time go on with the value network's estimate; the baseline "mean" leaves an
episode's own returns out; standardised advantages, on unless turned off, take the batch's mean off once more, whatever
the baseline.
"""

from agents.reinforce.agent import PRESETS, SUPPORTS_GPU, Config, Reinforce, make

__all__ = ["PRESETS", "SUPPORTS_GPU", "Config", "Reinforce", "make"]
