"""A generative adversarial network: a generator learns to make patterns that pass for stored ones.

Goodfellow et al. 2014, with the generator's non-saturating loss (section 3). Against making only a few of the patterns:
minibatch features (Salimans et al. 2016, section 3.2), by which the discriminator sees how alike the rows of a batch
are, and unrolled steps (Metz et al. 2017), by which the generator meets the discriminator as it will be. A corrupted
pattern is restored by searching the code whose pattern explains the cue best (Yeh et al. 2017; Bora et al. 2017): from
several starts, by the likelihood of the cue and a normal law of codes.

Departures: minibatch features are means over the batch, not sums; the generator's numbers are log odds of +1 and their
means go to the discriminator; the starts of a search are the best of many drawn codes; Adam, and learning rates that
fall to 0.
"""

from memory.gan.memory import PRESETS, Config, make

__all__ = ["PRESETS", "Config", "make"]
