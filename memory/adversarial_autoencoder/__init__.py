"""An autoencoder whose codes are pressed into a normal law by a discriminator.

Makhzani et al. 2016. Each update has the paper's three phases: the autoencoder restores patterns; the discriminator
learns to tell normal draws from codes; the layers to the code learn to make codes that pass for normal draws. The
decoder then makes new patterns from normal draws. Recall is one pass, passes until a cue rests, or passes that add the
cue's evidence to the log odds of the output each time.

Departures: what goes in is corrupted, as by Creswell and Bharath 2018; Adam, and the learning rate falls to 0.
"""

from memory.adversarial_autoencoder.memory import Config, make

__all__ = ["Config", "make"]
