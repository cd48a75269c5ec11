"""Autoencoders: layers down to a code and back, which learn to give out what corrupted patterns were before.

Hinton and Salakhutdinov 2006 (deep, pre-trained layer by layer); Bengio et al. 2007 (pre-trained by autoencoders);
Vincent et al. 2008 (denoising, the default); Ng 2011, section on sparsity, here with an L1 norm; Rifai et al. 2011
(contractive); Srivastava et al. 2014 (dropout). Every variant is a field, and fields can be mixed. Recall is one pass,
or passes until a cue rests (Bengio et al. 2013: a denoising autoencoder's passes lead towards what it has learned), or
passes that add the cue's evidence to the log odds of the output each time.

Departures: Adam throughout; the learning rate falls to 0; rows of a batch are corrupted by different amounts; layers
mirror each other, and the code's units bend like all others; the contractive penalty is the exact one of a single
hidden layer and refused for more.
"""

from memory.autoencoder.memory import PRESETS, Config, make

__all__ = ["PRESETS", "Config", "make"]
