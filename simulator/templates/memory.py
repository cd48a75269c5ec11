"""My memory: recalls the mean of the stored patterns, weighted by their similarity to the cue.

engram recall my_memory.py nearest_neighbor digits  compare it with another memory, over 8 seeds
engram recall my_memory.py digits --help            every option, the settings below among them
engram check my_memory.py                           put it through the laws
"""

from dataclasses import dataclass

import numpy as np

from simulator import per_seed


@dataclass(frozen=True)
class Config:
    """Settings: each is an option of the command line, such as --memory.my_memory.sharpness 20."""

    sharpness: float = 50.0
    """how much more a similar pattern counts than another; large: only the most similar one does"""


class MyMemory:
    """One memory, of one seed. What its attributes hold is its state: checkpoints store it."""

    recall_mode = "single_pass"  # "fixed_point": iterated until nothing changes; "noise_aware": uses the evidence
    domain = "continuous"  # of cues: from -1 to 1; "bipolar": -1 and +1, and 0 for unknown units

    def __init__(self, spec, config, rng):
        """Make a memory for patterns of spec.n units; all randomness comes from rng, a numpy Generator."""
        self.config = config
        self.patterns = np.zeros((0, spec.n))

    def store(self, patterns):
        """Store patterns [P, N] in place of those before."""
        self.patterns = patterns.astype(np.float64)

    def similarity(self, cues):
        """Compute the similarity [Q, P] of cues [Q, N] to the stored patterns, from -1 to 1."""
        return cues @ self.patterns.T / cues.shape[1]

    def recall(self, cues, known):
        """Restore cues [Q, N]; known, bool [Q, N] or None, marks units that are certain."""
        similarity = self.similarity(cues)
        weights = np.exp(self.config.sharpness * (similarity - similarity.max(axis=1, keepdims=True)))
        restored = weights @ self.patterns / weights.sum(axis=1, keepdims=True)
        return np.clip(restored if known is None else np.where(known, cues, restored), -1.0, 1.0)

    def energy(self, patterns):
        """Compute the energy [Q] of patterns [Q, N]: the lower, the more familiar."""
        return -self.similarity(patterns).max(axis=1)


make = per_seed(MyMemory)  # one object for each seed
