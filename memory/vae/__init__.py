"""A variational autoencoder: patterns are made from a normal code, and a second network guesses the code.

Kingma and Welling 2014, Rezende et al. 2014; Higgins et al. 2017 for ``beta``; Im et al. 2017 for what goes in being
corrupted. The loss is -ELBO = -log p(x | z) + beta KL(q(z | x) | N(0, 1)), with one draw of z for each row. Recall
leads patterns through the mean of the code: one pass, passes until a cue rests, or passes that add the cue's evidence
to the log odds of the output each time (pseudo-Gibbs, Rezende et al. 2014, appendix F, with means in place of draws).

Departures: Adam with a learning rate that falls to 0; ``beta`` rises from 0 over the first tenth of the updates (Bowman
et al. 2016), or the code would stay empty.
"""

from memory.vae.memory import PRESETS, Config, make

__all__ = ["PRESETS", "Config", "make"]
