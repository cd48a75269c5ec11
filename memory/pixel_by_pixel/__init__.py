"""An autoregressive memory: the probability of every pixel given the pixels before it, from one masked network.

Larochelle and Murray 2011 (the neural autoregressive distribution estimator); Germain et al. 2015 (its masked form, by
which one pass gives all conditionals). Recall goes through the pixels in order: known ones are held, and each other one
is chosen by the probability given the pixels before and by what the cue says of it. Several restorations are kept
along the way and the most probable is given out.

Departures: pixels before are corrupted while learning (as by scheduled sampling, Bengio et al. 2015), so that a wrong
choice does not spoil all that follow; a beam of restorations in place of one; Adam with a rate that falls to 0.
"""

from memory.pixel_by_pixel.memory import PRESETS, Config, make

__all__ = ["PRESETS", "Config", "make"]
