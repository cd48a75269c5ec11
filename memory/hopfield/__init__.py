"""Hopfield's network: patterns as the bottoms of an energy over -1 and +1, reached by units that follow their fields.

Hopfield 1982, "Neural networks and physical systems with emergent collective computational abilities", and five rules
of learning: the sum of outer products (Hebb), Storkey 1997, the pseudo-inverse (Personnaz, Guyon and Dreyfus 1985),
the symmetric perceptron (Gardner 1988) and minimum probability flow (Sohl-Dickstein et al. 2011; Hillar et al. 2012).

Units turn one after the other, in an order drawn for every sweep, or all at once; a field of exactly 0 leaves a unit as
it is, and one that is unknown (0) takes the sign of its field. The energy is -s.W s / 2 - b.s; with recall_mode =
noise_aware the evidence is a further field on every unit, and counts in the energy that falls during recall. Biases b
are the weights to a further unit that is always +1, learned by the same rule.

Hebb's weights are whole numbers: their scale, one over the units or over the patterns, counts in the energy only, so
that ties are real. While the patterns are less than half as many as the units these weights are never formed; recall
works through the overlaps with the patterns, exactly. Departures: units are -1 and +1, not 0 and 1.
"""

from memory.hopfield.memory import PRESETS, Config, Hopfield, make

__all__ = ["PRESETS", "Config", "Hopfield", "make"]
