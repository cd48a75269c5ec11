"""Boltzmann machine: +-1 units, any two of which may be connected, some of them hidden.

Ackley, Hinton and Sejnowski 1985, "A learning algorithm for Boltzmann machines". E(s) = -s'W s / 2 - b's, learned by
the positive minus the negative phase: <s_i s_j> while the patterns are clamped, less <s_i s_j> while it runs freely.
Recall is Gibbs sampling, one unit at a time, while the temperature falls (Kirkpatrick, Gelatt and Vecchi 1983), with
known units clamped and, with recall_mode = noise_aware, the evidence of the cue as a field. At temperature 0 and
without hidden units it is the asynchronous Hopfield network.

Departures: gradients are centred, the negative phase has chains of its own, and by sampling every pattern's likelihood
among the stored ones is raised too; see :mod:`memory.boltzmann.training`. Of several chains the one that ends at the
lowest energy is returned.
"""

from memory.boltzmann.memory import Config, make
from memory.boltzmann.training import RULES

__all__ = ["RULES", "Config", "make"]
