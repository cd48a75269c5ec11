"""Laws of memories: shapes of the contract, seeds that do not meet, a state that is whole, known units held."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np

from simulator.checks.comparison import differences
from simulator.checks.laws import Law, LawBroken
from simulator.core import rng
from simulator.core.memories import Memory, PatternSpec, Recall
from simulator.core.protocols import Array
from simulator.store import checkpoints

UNITS = PatternSpec((4, 4))
SEEDS = (3, 11, 4)
MODES = ("single_pass", "fixed_point", "noise_aware")
DOMAINS = ("bipolar", "continuous")
MakeMemory = Callable[[Sequence[int]], Memory]


class MemoryCase(NamedTuple):
    """A memory, and how near its results have to be."""

    make: MakeMemory
    tolerance: float = 0.0  # 0: the same bits; torch's products depend on the batch
    energy_tolerance: float = 1e-9


class Played(NamedTuple):
    """A memory that has stored three patterns and restored them."""

    memory: Memory
    recall: Recall
    patterns: Array  # [S, 3, N]
    cues: Array  # [S, 3, N]


def drawn(seeds: Sequence[int], n: int) -> Array:
    """Draw n patterns of -1 and +1 for each seed, float32 [S, n, 16]."""
    streams = rng.generators(seeds, "patterns")
    return np.stack([np.where(stream.random((n, UNITS.n)) < 0.5, -1.0, 1.0) for stream in streams]).astype(np.float32)


def corrupted(patterns: Array, seeds: Sequence[int]) -> Array:
    """Flip each unit with probability 0.15."""
    streams = rng.generators(seeds, "corruption")
    flips = np.stack([stream.random(patterns.shape[1:]) < 0.15 for stream in streams])
    return np.where(flips, -patterns, patterns).astype(np.float32)


def played(make: MakeMemory, seeds: Sequence[int], spoilt: Sequence[int] = ()) -> Played:
    """Store three patterns and recall them; ``spoilt``: numbers of seeds whose patterns are turned around."""
    memory = make(list(seeds))
    patterns = drawn(seeds, 3)
    cues = corrupted(patterns, seeds)
    for row in spoilt:
        patterns[row] *= -1.0
        cues[row] *= -1.0
    memory.store(patterns.copy())
    return Played(memory, memory.recall(cues.copy(), None, 0.8 * cues), patterns, cues)


def recalls_by_the_contract(case: MemoryCase) -> None:
    """Recall and look at shapes, types and ranges.

    Raises:
        LawBroken: one is not as the contract says.
    """
    memory, recall, patterns, cues = played(case.make, SEEDS)
    if recall.patterns.shape != cues.shape or recall.patterns.dtype != np.float32:
        found = f"{recall.patterns.dtype} {list(recall.patterns.shape)}"
        raise LawBroken("recall", f"patterns {found}, expected float32 {list(cues.shape)}")
    if not (np.abs(recall.patterns) <= 1.0).all():
        most = np.abs(recall.patterns).max()
        raise LawBroken("recall", f"a unit of magnitude {most:g}, expected finite values from -1 to 1")
    if recall.energy.shape[:2] != cues.shape[:2] or not np.isfinite(recall.energy[:, :, 0]).all():
        raise LawBroken("recall", f"energies [{recall.energy.shape}], expected finite [S, Q, 1 + T] at the cues")
    if recall.n_iters.shape != cues.shape[:2]:
        raise LawBroken("recall", f"iterations of shape {recall.n_iters.shape}, expected {cues.shape[:2]}")
    if memory.recall_mode not in MODES:
        raise LawBroken("recall_mode", f"{memory.recall_mode!r}, expected one of {', '.join(MODES)}")
    if memory.domain not in DOMAINS:
        raise LawBroken("domain", f"{memory.domain!r}, expected one of {', '.join(DOMAINS)}")
    if memory.n_parameters < 0:
        raise LawBroken("n_parameters", f"{memory.n_parameters}, expected the number of values that are kept")
    energy = memory.energy(patterns)
    if energy.shape != patterns.shape[:2] or not np.isfinite(energy).all():
        raise LawBroken("energy", f"it gave {energy!r:.60}, expected finite numbers of shape {patterns.shape[:2]}")


def seeds_together_equal_seeds_alone(case: MemoryCase) -> None:
    """Recall seeds together, and each alone: the same.

    Raises:
        LawBroken: they differ.
    """
    together = played(case.make, SEEDS).recall
    for i, seed in enumerate(SEEDS):
        alone = played(case.make, [seed]).recall
        what = f"seed {seed} alone and among {len(SEEDS)}: patterns"
        _near(alone.patterns[0], together.patterns[i], case.tolerance, "recall", what)
        what = f"seed {seed} alone and among {len(SEEDS)}: energies"
        _near(alone.energy[0, :, 0], together.energy[i, :, 0], case.energy_tolerance, "energy", what)


def spoilt_seeds_leave_the_others_alone(case: MemoryCase) -> None:
    """Store other patterns in one seed: the others recall the same.

    Raises:
        LawBroken: they do not.
    """
    clean = played(case.make, SEEDS).recall.patterns
    spoilt = played(case.make, SEEDS, spoilt=[1]).recall.patterns
    for i in (0, 2):
        what = f"seed {SEEDS[i]}, where seed {SEEDS[1]} stored other patterns: patterns"
        _near(spoilt[i], clean[i], case.tolerance, "recall", what)


def _near(one: Array, two: Array, tolerance: float, method: str, what: str) -> None:
    near = np.allclose(one, two, atol=tolerance, rtol=tolerance, equal_nan=True) if tolerance else True
    if not near or (not tolerance and not np.array_equal(one, two)):
        expected = "expected the same: no sum over seeds, all randomness from the seed's own stream"
        raise LawBroken(method, f"{what} differ; {expected}")


def recalls_the_same_after_restore(case: MemoryCase) -> None:
    """Restore the state in a new memory: it has that state, and recalls the same, to the bit.

    Raises:
        LawBroken: it does not.
    """
    memory, _, _, cues = played(case.make, SEEDS)
    try:
        state = checkpoints.unpacked(checkpoints.packed(memory.state()))
    except RuntimeError as error:
        raise LawBroken("state", str(error)) from error
    restored = case.make(list(SEEDS))
    restored.restore(state)
    if found := next(differences(restored.state(), memory.state()), None):
        raise LawBroken("restore", f"{found} after restore, expected the state that was given to it")
    again = restored.recall(cues, None, 0.8 * cues)
    first = memory.recall(cues, None, 0.8 * cues)
    if not np.array_equal(again.patterns, first.patterns):
        expected = "expected the same bits: state has to hold all that was stored, and streams"
        raise LawBroken("state", f"a restored memory recalls other patterns; {expected}")


def holds_known_units(case: MemoryCase) -> None:
    """Recall cues of which five units are certain: these keep their sign.

    Raises:
        LawBroken: they do not.
    """
    memory, _, _, cues = played(case.make, SEEDS)
    known = np.zeros(cues.shape, np.bool_)
    known[:, :, :5] = True
    cues[:, :, 5:] = 0.0
    evidence = np.where(known, 20.0 * cues, 0.0)
    found = memory.recall(cues.copy(), known.copy(), evidence).patterns
    if not np.array_equal(np.sign(found[known]), cues[known]):
        raise LawBroken("recall", "it changed units that are known, expected the cue's values there")


LAWS = (
    Law("recall and energy have the shapes and ranges of the contract", "recall", recalls_by_the_contract, True),
    Law("seeds together equal seeds alone", "recall", seeds_together_equal_seeds_alone),
    Law("other patterns in one seed leave the others alone", "store", spoilt_seeds_leave_the_others_alone),
    Law("a restored memory recalls the same", "state", recalls_the_same_after_restore),
    Law("known units are held", "recall", holds_known_units),
)
