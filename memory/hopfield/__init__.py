"""Hopfield network: patterns are minima of an energy over units of -1 and +1, which follow their local fields.

Hopfield 1982, "Neural networks and physical systems with emergent collective computational abilities", with five
learning rules: the sum of outer products (Hebb), Storkey 1997, the pseudo-inverse (Personnaz, Guyon and Dreyfus 1985),
the symmetric perceptron (Gardner 1988) and minimum probability flow (Sohl-Dickstein et al. 2011; Hillar et al. 2012).

The energy is E = -s.W s / 2 - b.s. Units are updated one after another, in an order drawn for every sweep, or all at
once. A field of exactly 0 leaves a unit as it is; an unknown unit (0) takes the sign of its field. With recall_mode =
noise_aware the evidence is an external field on every unit, and counts in the energy that falls during recall. Biases b
are the weights to a constant unit, always +1, learned by the same rule.

Hebb's weights are whole numbers: their scale, one over the units or over the patterns, counts in the energy only, so
that ties are real. While the patterns are fewer than half the units these weights are never formed; recall works
through the overlaps with the patterns, exactly. Departures: units are -1 and +1, not 0 and 1.
"""

from memory.hopfield.memory import PRESETS, Config, Hopfield, make

__all__ = ["PRESETS", "Config", "Hopfield", "make"]
