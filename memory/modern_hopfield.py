"""Modern (continuous) Hopfield network: recall is a mean of the stored patterns, weighted by a softmax of the overlaps.

Ramsauer et al. 2021, "Hopfield networks is all you need": an iteration is q <- X softmax(beta X^T q) (equation 3), the
step of attention, and does not raise the energy
E(q) = -log(sum_mu exp(beta x_mu . q)) / beta + q.q / 2 + log(P) / beta + M^2 / 2 (equation 2, M the longest pattern).

With recall_mode = noise_aware the evidence of the cue stands in place of beta q, in one iteration. For equally likely
patterns of -1 and +1 and corruption that acts on each unit independently, the weights are the posterior over the stored
patterns, and their mean is the Bayes-optimal restoration, unit by unit; for flips of probability p it is beta =
ln((1 - p) / p) / 2. Where a corruption gives no evidence ``beta`` is used. Values are between -1 and +1, and patterns
are kept as they are.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Literal, NamedTuple

import numpy as np

from memory.common.validation import check, check_evidence, check_known, hold, one_cue
from simulator.core.field_types import Count, Positive
from simulator.core.jit import parallel_for
from simulator.core.memories import PatternSpec, Recall, RecallStep
from simulator.core.protocols import Array, State

_CHUNK = 256  # cues at a time: the products stay in the cache


@dataclass(frozen=True)
class Config:
    """Settings of a modern Hopfield network."""

    recall_mode: Literal["single_pass", "fixed_point", "noise_aware"] = "noise_aware"
    """single_pass: one iteration; fixed_point: iterations until nothing moves; noise_aware: one iteration from the
    evidence of the cue, which is Bayes' rule"""
    beta: Positive = 0.55
    """inverse temperature per unit of overlap, where the evidence is not used; Bayes-optimal for flips of probability p
    is ln((1 - p) / p) / 2: 0.55 for p = .25"""
    max_iters: Count = 50
    """iterations at most, with fixed_point"""
    tol: Positive = 1e-4
    """largest change of a unit that counts as a fixed point, with fixed_point"""


class Attention(NamedTuple):
    """Softmax over P patterns of beta times the overlaps of Q queries, not normalised."""

    weights: Array  # float32 [Q, P]
    total: Array  # float32 [Q], sums of the weights
    log_sum: Array  # float64 [Q], log sum_mu exp(beta x_mu . q)


class ModernHopfield:
    """S networks of N units; see :class:`simulator.core.memories.Memory`."""

    domain = "continuous"

    def __init__(self, spec: PatternSpec, n_seeds: int, config: Config) -> None:
        self.recall_mode: str = config.recall_mode
        self._spec = spec
        self._config = config
        self._patterns = np.zeros((n_seeds, 0, spec.n), np.float32)

    @property
    def n_parameters(self) -> int:
        """Number of values stored per seed."""
        return int(self._patterns[0].size)

    def store(self, patterns: Array) -> None:
        """Keep patterns [S, P, N].

        Raises:
            ValueError: another shape, or values outside -1 to 1.
        """
        self._patterns = check(patterns, len(self._patterns), self._spec, "pattern").copy()

    def recall(self, cues: Array, known: Array | None = None, evidence: Array | None = None) -> Recall:
        """Restore cues [S, Q, N] as means of the stored patterns.

        Raises:
            ValueError: another shape, values outside -1 to 1, or nothing is stored.
        """
        values = check(cues, len(self._patterns), self._spec, "cue")
        self._require_patterns()
        held = check_known(known, values)
        initial = values
        if self.recall_mode == "noise_aware" and evidence is not None:
            initial = check_evidence(evidence, values, "modern_hopfield") / np.float32(self._config.beta)
        max_iters = self._config.max_iters if self.recall_mode == "fixed_point" else 1
        patterns = np.empty_like(values)
        energy = np.full((*values.shape[:2], 1 + max_iters), np.nan)
        n_iters = np.zeros(values.shape[:2], np.int64)

        def work(first: int, last: int) -> None:
            for i in range(first, last):
                for start in range(0, values.shape[1], _CHUNK):
                    at = (i, slice(start, start + _CHUNK))
                    patterns[at] = initial[at]
                    self._iterate(self._patterns[i], patterns[at], values[at], held[at], energy[at], n_iters[at])

        parallel_for(work, len(values))
        return Recall(patterns, energy, n_iters)

    @property
    def temperature(self) -> float:
        """1 / beta; may be set."""
        return 1.0 / self._config.beta

    @temperature.setter
    def temperature(self, value: float) -> None:
        self._config = replace(self._config, beta=1.0 / value)

    def trajectory(
        self, index: int, cue: Array, known: Array | None = None, evidence: Array | None = None
    ) -> Iterator[RecallStep]:
        """Recall one cue iteration by iteration: again and again, one iteration further each time."""
        values = np.asarray(cue, np.float32)
        one = ModernHopfield(self._spec, 1, self._config)
        one.store(self._patterns[index : index + 1])
        cues, mask, field = values[None, None], one_cue(known), one_cue(evidence)
        whole = one.recall(cues, mask, field)
        n_iters = int(whole.n_iters[0, 0])
        yield RecallStep(values, float(whole.energy[0, 0, 0]))
        for n in range(1, n_iters):
            one._config = replace(self._config, max_iters=n)
            yield RecallStep(one.recall(cues, mask, field).patterns[0, 0], float(whole.energy[0, 0, n]), n)
        if n_iters:
            yield RecallStep(whole.patterns[0, 0], float(whole.energy[0, 0, n_iters]), n_iters)

    def energy(self, patterns: Array) -> Array:
        """Compute equation 2 at patterns [S, Q, N], with ``beta``; float64 [S, Q]."""
        values = check(patterns, len(self._patterns), self._spec, "pattern")
        self._require_patterns()
        beta = self._config.beta
        return np.stack(
            [
                energies(q, attend(q @ stored.T, beta).log_sum, stored, beta)
                for q, stored in zip(values, self._patterns, strict=True)
            ]
        )

    def receptive_fields(self, index: int) -> Array:
        """Return the patterns [P, N] of seed number ``index``."""
        return self._patterns[index]

    def state(self) -> State:
        """Return the patterns."""
        return {"patterns": self._patterns}

    def restore(self, state: State) -> None:
        """Continue from ``state``."""
        self._patterns = np.array(state["patterns"])

    def _require_patterns(self) -> None:
        if not self._patterns.size:
            raise ValueError("modern_hopfield: nothing is stored yet, expected patterns before cues")

    def _iterate(self, stored: Array, q: Array, cues: Array, held: Array, energy: Array, n_iters: Array) -> None:
        """Iterate queries of one seed to a fixed point, in place.

        Args:
            stored: float32 [P, N].
            q: float32 [Q, N], queries, changed in place.
            cues: float32 [Q, N], values of units that are held.
            held: bool [Q, N].
            energy: float64 [Q, 1 + T], written.
            n_iters: int64 [Q], written.
        """
        beta = self._config.beta
        tol = self._config.tol if self.recall_mode == "fixed_point" else -1.0
        max_iters = energy.shape[1] - 1
        moving = np.arange(len(q))
        for iteration in range(max_iters + 1):
            attention = attend(q[moving] @ stored.T, beta)
            energy[moving, iteration] = energies(q[moving], attention.log_sum, stored, beta)
            if iteration == max_iters:
                return
            new = hold(attention.weights @ stored / attention.total[:, None], cues[moving], held[moving])
            has_moved = np.abs(new - q[moving]).max(1) > tol
            if not has_moved.any():
                return
            moving = moving[has_moved]
            q[moving] = new[has_moved]
            n_iters[moving] = iteration + 1


def attend(overlaps: Array, beta: float) -> Attention:
    """Compute the softmax of beta times overlaps [Q, P]; ``overlaps`` is overwritten."""
    overlaps *= np.float32(beta)
    largest = overlaps.max(1)
    overlaps -= largest[:, None]
    weights = np.exp(overlaps, out=overlaps)
    total = weights.sum(1)
    return Attention(weights, total, largest + np.log(total.astype(np.float64)))


def energies(q: Array, log_sum: Array, stored: Array, beta: float) -> Array:
    """Compute equation 2 at queries [Q, N], float64 [Q].

    Args:
        q: queries [Q, N].
        log_sum: [Q], log sum_mu exp(beta x_mu . q).
        stored: patterns [P, N].
        beta: inverse temperature.
    """
    query_squares = np.einsum("qn,qn->q", q, q, dtype=np.float64)
    longest_square = np.einsum("pn,pn->p", stored, stored).max()
    return np.asarray(-log_sum / beta + 0.5 * query_squares + np.log(len(stored)) / beta + 0.5 * float(longest_square))


def make(spec: PatternSpec, seed_list: Sequence[int], config: Config) -> ModernHopfield:
    """Make networks for patterns of this spec."""
    return ModernHopfield(spec, len(seed_list), config)


if __name__ == "__main__":
    from memory.common.demo import show_memory

    show_memory("modern_hopfield", make, Config())
