"""Generation: samples of memories while they learn, how many of the stored patterns they show, and decoded codes.

Samples are drawn at a few moments of the training, and the training does not notice. Measures of n samples per seed
against the P patterns that the seed stored:

* modes: exp of the entropy of the histogram of nearest stored patterns, from 1 (mode collapse) to P; a tie counts for
  all that tie. Few samples show fewer modes than there are: beside it stands what as many uniform draws of the stored
  patterns themselves show.
* novel: share of samples that equal no stored pattern.
* distance: share of units that differ from the nearest stored pattern (of grey units half the mean difference). Beside
  it stands that of held-out patterns: samples as far as these are new, far nearer ones are copies.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from copy import deepcopy
from functools import partial
from typing import Any, NamedTuple, Protocol

import numpy as np
from scipy.spatial.distance import cdist
from scipy.special import entr

from simulator.config.codec import PlayerEntry
from simulator.config.generation import GenerationConfig
from simulator.core import registry, rng
from simulator.core.memories import DecodesCodes, PatternSpec, PatternSplit, StepwiseStore
from simulator.core.protocols import Array
from simulator.recall.metrics import TOLERANCE

N_SHOWN = 16  # samples of a moment that are kept for pictures
WALK_POINTS = 8  # pictures of a walk between two codes
PLANE_SIDE = 8  # pictures of a side of the plane of two-dimensional codes
NORMAL_EXTENT = 2.0  # of the plane of a memory whose codes are standard normal and that has none of patterns
Progress = Callable[[int, int, str], None]  # what is done, of how much, and what goes on


class Watcher(Protocol):
    """Somebody who looks on while memories learn."""

    def moment(self, study: GenerationStudy) -> None:
        """Look at what there is so far."""

    def pause(self, label: str, share: float) -> None:
        """Use a pause in the learning of a memory, of which a share is over."""


class SampleScores(NamedTuple):
    """Measures of the samples of S seeds."""

    modes: Array  # float64 [S]
    novel: Array  # float64 [S]
    distance: Array  # float64 [S]


class TrainingMoment(NamedTuple):
    """Samples at one moment of the training."""

    share: float  # of the training that is over
    scores: SampleScores
    shown: Array  # float32 [K, N], the first samples of the first seed


class CodePlane(NamedTuple):
    """Patterns decoded from a grid of two-dimensional codes of the first seed."""

    across: Array  # float64 [C], first value of the code
    down: Array  # float64 [R], second value, from the largest to the smallest
    patterns: Array  # float32 [R, C, N]
    stored: Array | None  # float32 [P, 2], codes of the stored patterns; None: the memory has none


class Generated(NamedTuple):
    """Samples and codes of one memory."""

    label: str
    memory: str
    moments: list[TrainingMoment]  # empty: it generates nothing
    walk: Array | None  # float32 [WALK_POINTS, N], of the first seed; None: it decodes no codes
    walk_between_patterns: bool  # False: between two random codes, as the memory has none of patterns
    plane: CodePlane | None  # None: codes are not two-dimensional


class GenerationStudy(NamedTuple):
    """Memories side by side, on the same patterns."""

    challenge: str
    spec: PatternSpec
    seeds: list[int]
    n_samples: int
    stored: Array  # float32 [S, P, N]
    memories: list[Generated]
    uniform: SampleScores  # of uniform draws of the stored patterns
    held_out: SampleScores | None  # of the held-out patterns; None: there are none


def distances(samples: Array, patterns: Array) -> Array:
    """Compute the share of units that differ between samples [n, N] and patterns [P, N]; float64 [n, P]."""
    return np.asarray(cdist(samples, patterns, "cityblock") / (2.0 * samples.shape[1]))


def effective_modes(from_patterns: Array) -> float:
    """Compute exp of the entropy of the nearest patterns' histogram, from distances [n, P]; ties count for all."""
    nearest = from_patterns == from_patterns.min(axis=1, keepdims=True)
    histogram = (nearest / nearest.sum(axis=1, keepdims=True)).mean(axis=0)
    return float(np.exp(entr(histogram).sum()))


def score(samples: Array, stored: Array, *, is_bipolar: bool) -> SampleScores:
    """Measure samples [S, n, N] against stored patterns [S, P, N]."""
    rows = []
    for own, patterns in zip(samples, stored, strict=True):
        from_patterns = distances(own, patterns)
        if is_bipolar:
            equals = from_patterns.min(axis=1) == 0.0
        else:
            equals = np.array([bool((np.abs(one - patterns) <= TOLERANCE).all(axis=1).any()) for one in own])
        novel = 1.0 - float(equals.mean())
        rows.append((effective_modes(from_patterns), novel, float(from_patterns.min(axis=1).mean())))
    return SampleScores(*np.array(rows).T)


def study(
    config: GenerationConfig,
    contestants: Sequence[PlayerEntry],
    challenge: PlayerEntry,
    *,
    codes_only: bool = False,
    progress: Progress = lambda done, total, note: None,
    watcher: Watcher | None = None,
) -> GenerationStudy:
    """Let memories store patterns and generate others.

    Args:
        config: seeds, patterns and samples.
        contestants: the memories.
        challenge: where the patterns are from.
        codes_only: draw no samples; memories that decode codes but generate nothing are taken too.
        progress: is told of every moment.
        watcher: sees the samples of every moment at once; no result depends on it.

    Raises:
        ValueError: a memory that generates nothing, or cannot be built or store these patterns; or too few patterns.
    """
    seed_list = list(range(config.first_seed, config.first_seed + config.seeds))
    source = registry.load("challenges", challenge.name).make(seed_list, challenge.settings)
    if max(config.walk) > max(config.patterns, 2):
        raise ValueError(f"--walk {max(config.walk)}: expected at most --patterns, {config.patterns}")
    most = source.max_patterns
    n_novel = config.novel if most is None else min(config.novel, max(most - config.patterns, 0))
    split: PatternSplit = source.draw(config.patterns, n_novel)
    memories = [_made(entry, source.spec, seed_list, codes_only=codes_only) for entry in contestants]
    is_bipolar = source.spec.is_bipolar
    begun = GenerationStudy(
        challenge=challenge.name,
        spec=source.spec,
        seeds=seed_list,
        n_samples=config.samples,
        stored=split.stored,
        memories=[],
        uniform=score(_uniform(split.stored, config.samples, seed_list), split.stored, is_bipolar=is_bipolar),
        held_out=score(split.held_out, split.stored, is_bipolar=is_bipolar) if n_novel else None,
    )
    n_moments = 1 if codes_only else config.moments
    n_done = 0
    generated: list[Generated] = []
    for entry, memory in zip(contestants, memories, strict=True):
        moments: list[TrainingMoment] = []
        pause = _no_pause if watcher is None else partial(watcher.pause, entry.label)
        try:
            for share in _moments(memory, split.stored, n_moments, pause):
                if not codes_only:
                    moments.append(_moment(memory, split.stored, share, config.samples, is_bipolar))
                    so_far = Generated(entry.label, entry.name, moments, None, False, None)
                    if watcher is not None:
                        watcher.moment(begun._replace(memories=[*generated, so_far]))
                n_done += 1
                progress(n_done, n_moments * len(memories), entry.label)
        except ValueError as error:
            raise ValueError(f"{entry.label}: {error}") from None
        n_done = n_moments * len(generated) + n_moments
        generated.append(_generated(entry, memory, split.stored, moments, config, seed_list[0]))
        if watcher is not None:
            watcher.moment(begun._replace(memories=list(generated)))
    return begun._replace(memories=generated)


def _no_pause(share: float) -> None:
    """Let a memory learn on."""


def generative(spec: PatternSpec) -> list[str]:
    """List the memories that generate patterns of this kind."""
    names = []
    for name in registry.names("memories"):
        player = registry.load("memories", name)
        try:
            memory = player.make(spec, [0], player.defaults())
        except ValueError:  # it takes no such patterns
            continue
        if hasattr(memory, "generate"):
            names.append(name)
    return names


def _made(entry: PlayerEntry, spec: PatternSpec, seed_list: Sequence[int], *, codes_only: bool) -> Any:
    """Build a memory, and refuse one that has nothing to show."""
    try:
        memory = registry.load("memories", entry.name).make(spec, seed_list, entry.settings)
    except ValueError as error:
        raise ValueError(f"{entry.label}: {error}") from None
    if codes_only and not isinstance(memory, DecodesCodes):
        raise ValueError(f"{entry.label}: it decodes no codes, expected a memory with codes for --codes")
    if not codes_only and not hasattr(memory, "generate"):
        only = "; --codes shows what its codes decode to" if isinstance(memory, DecodesCodes) else ""
        raise ValueError(f"{entry.label} generates no patterns, expected {', '.join(generative(spec))}{only}")
    return memory


def _moments(memory: Any, stored: Array, n: int, pause: Callable[[float], None]) -> Iterator[float]:
    """Store patterns [S, P, N], and yield the share of the learning that is over at up to n moments, at last 1."""
    if n == 1 or not isinstance(memory, StepwiseStore):
        memory.store(stored)
        yield 1.0
        return
    next_one = 1
    for share in memory.storing(stored):
        pause(share)
        if share >= next_one / n - 1e-9:
            yield share
            next_one = int(share * n + 1e-9) + 1


def _moment(memory: Any, stored: Array, share: float, n_samples: int, is_bipolar: bool) -> TrainingMoment:
    """Draw samples and measure them; what is learned later, and drawn later, does not depend on it."""
    state = deepcopy(memory.state())
    samples: Array = memory.generate(n_samples)
    memory.restore(state)
    if not np.isfinite(samples).all():
        raise ValueError(f"its samples after {share:.0%} of the training are not finite, expected numbers")
    return TrainingMoment(share, score(samples, stored, is_bipolar=is_bipolar), samples[0, :N_SHOWN].copy())


def _uniform(stored: Array, n: int, seed_list: Sequence[int]) -> Array:
    """Draw n of the stored patterns [S, P, N] of every seed, uniformly: what an ideal sampler of them shows."""
    streams = rng.generators(seed_list, "evaluation")
    return np.stack([own[stream.integers(0, len(own), n)] for own, stream in zip(stored, streams, strict=True)])


def _generated(
    entry: PlayerEntry, memory: Any, stored: Array, moments: list[TrainingMoment], config: GenerationConfig, seed: int
) -> Generated:
    """Gather what a trained memory shows: its samples, a walk between two codes, and the plane of them."""
    if not isinstance(memory, DecodesCodes):
        return Generated(entry.label, entry.name, moments, None, False, None)
    codes = memory.codes(stored) if hasattr(memory, "codes") else None  # [S, P, H]
    first, last = (min(place, stored.shape[1]) - 1 for place in config.walk)  # of one pattern it stays where it is
    if codes is not None:
        ends = codes[:, [first, last]]
    else:
        stream = rng.generators([seed], "noise")[0]
        ends = np.tile(stream.standard_normal((2, memory.code_size), np.float32), (len(stored), 1, 1))
    at = np.linspace(0.0, 1.0, WALK_POINTS, dtype=np.float32)[:, None]
    walk = memory.decode((1.0 - at) * ends[:, :1] + at * ends[:, 1:])[0]
    plane = _plane(memory, codes, len(stored)) if memory.code_size == 2 else None
    return Generated(entry.label, entry.name, moments, walk, codes is not None, plane)


def _plane(memory: Any, codes: Array | None, n_seeds: int) -> CodePlane:
    """Decode a grid over the codes of the first seed's stored patterns, or over the centre of the normal codes."""
    if codes is None:
        low, high = np.full(2, -NORMAL_EXTENT), np.full(2, NORMAL_EXTENT)
    else:
        low, high = codes[0].min(axis=0), codes[0].max(axis=0)
    across = np.linspace(low[0], high[0], PLANE_SIDE)
    down = np.linspace(high[1], low[1], PLANE_SIDE)
    grid = np.stack(np.meshgrid(across, down), axis=-1).reshape(-1, 2).astype(np.float32)
    patterns = memory.decode(np.tile(grid, (n_seeds, 1, 1)))[0]
    return CodePlane(
        across, down, patterns.reshape(PLANE_SIDE, PLANE_SIDE, -1), None if codes is None else codes[0].copy()
    )
