"""Boltzmann machine: +-1 units of which any two may be connected, some of them hidden.

Ackley, Hinton and Sejnowski 1985, "A learning algorithm for Boltzmann machines". E(s) = -s'W s / 2 - b's, learned by
the positive minus the negative phase: what units do together while the patterns are clamped, less what they do freely.
Recall is Gibbs sampling, one unit at a time, while the temperature falls (Kirkpatrick, Gelatt and Vecchi 1983), with
trusted units clamped and, with recall_mode "noise_aware", the cue's evidence as a field. At temperature 0 and without
hidden units it is the asynchronous Hopfield network.

Departures: gradients are centred, the negative phase has chains of its own, and by sampling every pattern's likelihood
among the stored ones is raised beside; see :mod:`memory.boltzmann.training`. Of several chains the one that ends
at the lowest energy is given.
"""

from memory.boltzmann.memory import Config, make

__all__ = ["Config", "make"]
