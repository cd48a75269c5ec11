"""The continuous Hopfield network of 2021: a mean of the stored patterns, weighed by a softmax of how well they fit.

Ramsauer et al. 2021, "Hopfield networks is all you need": one step is q <- X softmax(beta X^T q) (equation 3), the
step of attention, and it does not raise the energy
E(q) = -log(sum_mu exp(beta x_mu . q)) / beta + q.q / 2 + log(P) / beta + M^2 / 2 (equation 2, M the longest pattern).

With recall_mode = noise_aware the step takes the evidence of the cue in place of beta q. For patterns of -1 and +1
that are equally likely, and corruption that does its work unit by unit, this is the posterior over the stored
patterns, and its mean is the best restoration there can be, unit by unit; for flips of probability p it is beta =
ln((1 - p) / p) / 2. Where a corruption gives no evidence this falls back to ``beta``. Every mode takes numbers between
-1 and +1; patterns are kept as they are.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from memory.common.validation import check, check_evidence, check_known, hold
from simulator.core.field_types import Count, Positive
from simulator.core.jit import parallel_for
from simulator.core.memories import PatternSpec, Recall
from simulator.core.protocols import Array, State

_CHUNK = 256  # cues at a time: what lies between the products stays near


@dataclass(frozen=True)
class Config:
    """Settings of a modern Hopfield network."""

    recall_mode: Literal["single_pass", "fixed_point", "noise_aware"] = "noise_aware"
    """one step; steps until nothing moves; or one step from the evidence of the cue, which is Bayes' rule"""
    beta: Positive = 0.55
    """inverse temperature per unit of overlap, where the evidence is not used; Bayes' for flips of p is
    ln((1 - p) / p) / 2: 0.55 for p = .25"""
    steps: Count = 50
    """steps at most, with fixed_point"""
    still: Positive = 1e-4
    """largest move of a unit that counts as rest, with fixed_point"""


class ModernHopfield:
    """S networks of N units; see :class:`simulator.core.memories.Memory`."""

    domain = "continuous"

    def __init__(self, units: PatternSpec, n_seeds: int, config: Config) -> None:
        self.recall_mode: str = config.recall_mode
        self._units, self._config = units, config
        self._patterns = np.zeros((n_seeds, 0, units.n), np.float32)

    @property
    def n_parameters(self) -> int:
        """The numbers of the patterns."""
        return int(self._patterns[0].size)

    def store(self, patterns: Array) -> None:
        """Keep patterns [S, P, N].

        Raises:
            ValueError: numbers that are not from -1 to 1.
        """
        self._patterns = check(patterns, len(self._patterns), self._units, "pattern").copy()

    def recall(self, cues: Array, known: Array | None = None, evidence: Array | None = None) -> Recall:
        """Restore cues [S, Q, N]: numbers between the patterns', the surer the nearer to one of them.

        Raises:
            ValueError: values outside -1 to 1, or nothing is stored.
        """
        found = check(cues, len(self._patterns), self._units, "cue")
        self._ready()
        held = check_known(known, found)
        begin = found
        if self.recall_mode == "noise_aware" and evidence is not None:
            begin = check_evidence(evidence, found, "modern_hopfield") / np.float32(self._config.beta)
        n_steps = self._config.steps if self.recall_mode == "fixed_point" else 1
        patterns, sweeps = np.empty_like(found), np.zeros(found.shape[:2], np.int64)
        energy = np.full((*found.shape[:2], 1 + n_steps), np.nan)

        def work(first: int, last: int) -> None:
            for i in range(first, last):
                for start in range(0, found.shape[1], _CHUNK):
                    at = (i, slice(start, start + _CHUNK))
                    patterns[at] = begin[at]
                    self._descend(self._patterns[i], patterns[at], (found[at], held[at]), energy[at], sweeps[at])

        parallel_for(work, len(found))
        return Recall(patterns, energy, sweeps)

    def energy(self, patterns: Array) -> Array:
        """Equation 2 at patterns [S, Q, N], with ``beta``."""
        found = check(patterns, len(self._patterns), self._units, "pattern")
        self._ready()
        beta = self._config.beta
        pairs = zip(found, self._patterns, strict=True)
        return np.stack([energies(q, weigh(q @ stored.T, beta)[2], stored, beta) for q, stored in pairs])

    def state(self) -> State:
        """The patterns."""
        return {"patterns": self._patterns}

    def restore(self, state: State) -> None:
        """Go on from ``state``."""
        self._patterns = np.array(state["patterns"])

    def _ready(self) -> None:
        if not self._patterns.size:
            raise ValueError("modern_hopfield: nothing is stored yet, expected patterns before cues")

    def _descend(self, stored: Array, q: Array, cue: tuple[Array, Array], energy: Array, sweeps: Array) -> None:
        """Move q [Q, N] of one seed step by step, in place, and write energies [Q, 1 + T] and sweeps [Q]."""
        beta, still = self._config.beta, self._config.still if self.recall_mode == "fixed_point" else -1.0
        values, held = cue
        going = np.arange(len(q))
        for step in range(energy.shape[1]):
            weights, total, lse = weigh(q[going] @ stored.T, beta)
            energy[going, step] = energies(q[going], lse, stored, beta)
            if step == energy.shape[1] - 1:
                return
            new = hold(weights @ stored / total[:, None], values[going], held[going])
            moves = np.abs(new - q[going]).max(1) > still
            if not moves.any():
                return
            going = going[moves]
            q[going], sweeps[going] = new[moves], step + 1


def weigh(fits: Array, beta: float) -> tuple[Array, Array, Array]:
    """Softmax of beta times fits [Q, P], which are used up: weights [Q, P] whose sums are [Q], and the log sum [Q].

    The log sum is that of exp(beta fits), float64.
    """
    fits *= np.float32(beta)
    highest = fits.max(1)
    fits -= highest[:, None]
    np.exp(fits, out=fits)
    total = fits.sum(1)
    return fits, total, highest + np.log(total.astype(np.float64))


def energies(q: Array, lse: Array, stored: Array, beta: float) -> Array:
    """Equation 2 at q [Q, N], given the log sums of exp(beta x . q) over stored [P, N]; float64 [Q]."""
    own = np.einsum("qn,qn->q", q, q, dtype=np.float64)
    longest = np.einsum("pn,pn->p", stored, stored).max()
    found: Array = -lse / beta + 0.5 * own + np.log(len(stored)) / beta + 0.5 * float(longest)
    return found


def make(units: PatternSpec, seed_list: Sequence[int], config: Config) -> ModernHopfield:
    """Networks for patterns of these units."""
    return ModernHopfield(units, len(seed_list), config)


if __name__ == "__main__":
    from memory.common.demo import show_memory

    show_memory("modern_hopfield", make, Config())
