"""Autoencoders of pictures: convolutions and pooling down to small maps, unpooling or transposed convolutions back.

Masci et al. 2011 (stacked convolutional autoencoders); Zeiler et al. 2011 (unpooling to the places that pooling
remembers); Dosovitskiy et al. 2015 (unpooling without them); Zeiler et al. 2010 (transposed convolutions). It learns as
the denoising autoencoder does, Vincent et al. 2008. Recall is one pass, passes until a cue rests, or passes that add
the cue's evidence to the log odds of the output each time.

Departures: Adam; a dense layer between the smallest maps and the code, so that a code says what the whole picture is
and not only what its corners are; pooling rounds sizes up, and what is laid over the edge on the way back is cut off.
"""

from memory.conv_autoencoder.memory import PRESETS, SMALLEST, Config, make

__all__ = ["PRESETS", "SMALLEST", "Config", "make"]
