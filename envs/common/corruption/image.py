"""Corruption by position, or by the other stored patterns: an occluding block, a shift, a blur, a mixture.

Every class is a :class:`simulator.core.memories.CorruptionModel`. A pattern of one dimension counts as a
picture of one row.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.ndimage import gaussian_filter
from scipy.special import xlogy

from envs.common.corruption.likelihood import agreements, by_seed, check_streams, distances, only_if
from envs.common.corruption.pixelwise import trusted
from simulator.core.memories import CERTAIN, Cues, PatternSpec
from simulator.core.protocols import Array

Streams = Sequence[np.random.Generator]
BLUR_NOISE = 0.2  # standard deviation of the noise on a blurred picture
_PAIRS = 1 << 22  # pairs of patterns at a time


def plane(units: PatternSpec) -> tuple[int, int]:
    """Return height and width of a picture.

    Raises:
        ValueError: more than two dimensions.
    """
    if len(units.shape) > 2:
        raise ValueError(f"corruption: patterns of shape {units.shape}: expected one or two dimensions")
    return (1, units.n) if len(units.shape) == 1 else (units.shape[0], units.shape[1])


def blocks(units: PatternSpec, fraction: float) -> Array:
    """List every block that covers nearest to ``fraction`` of a picture: int64 [R, 4], its top, left, height and width.

    Of several shapes the most nearly square ones are taken, 4 x 8 as well as 8 x 4.
    """
    height, width = plane(units)
    tall, wide = (side.ravel() for side in np.mgrid[1 : height + 1, 1 : width + 1])
    miss = np.abs(tall * wide - fraction * units.n)
    length = tall + wide
    near = np.isclose(miss, miss.min())
    best = np.flatnonzero(near & (length == length[near].min()))
    blocks_found = []
    for h, w in zip(tall[best], wide[best], strict=True):
        top, left = np.mgrid[: height - h + 1, : width - w + 1]
        blocks_found.append(np.stack([top.ravel(), left.ravel(), np.full(top.size, h), np.full(top.size, w)], axis=1))
    return np.concatenate(blocks_found)


def covered(units: PatternSpec, places: Array) -> Array:
    """Mark the units under blocks [B, 4], bool [B, N]."""
    height, width = plane(units)
    top, left, h, w = (side[:, None] for side in places.T)
    across = (np.arange(height) >= top) & (np.arange(height) < top + h)  # [B, height]
    along = (np.arange(width) >= left) & (np.arange(width) < left + w)  # [B, width]
    return np.asarray((across[:, :, None] & along[:, None, :]).reshape(len(places), units.n))


@dataclass
class Block:
    """A rectangle covers a fraction of the picture at a random place: 0 there, and the mask says so."""

    name: str
    units: PatternSpec
    places: Array  # int64 [R, 4], see blocks; each as likely

    def corrupt(self, patterns: Array, stored: Array, streams: Streams) -> Cues:
        """Corrupt any patterns, with a mask."""

        def one(x: Array, stream: np.random.Generator) -> Array:
            at = (stream.random(len(x)) * len(self.places)).astype(int)
            return ~covered(self.units, self.places[at])

        known = by_seed(patterns, streams, one) > 0
        return Cues(np.where(known, patterns, np.float32(0)), known)

    def evidence(self, cues: Cues) -> Array | None:
        """Return CERTAIN where nothing covers the picture, 0 elsewhere."""
        return CERTAIN * cues.values.astype(np.float64) if self.units.is_bipolar else None

    def log_likelihood(self, cues: Cues, patterns: Array) -> Array:
        """Return -inf where a known unit differs; else minus the log of the number of places."""
        known = trusted(cues)
        same = agreements(cues.values, patterns, self.units, known)
        return only_if(same == known.sum(axis=2)[..., None], -np.log(len(self.places)))


@dataclass
class Shift:
    """The picture shifts by up to k units along each axis, uniformly; units that come in are -1."""

    name: str
    units: PatternSpec
    k: int

    @property
    def moves(self) -> list[tuple[int, int]]:
        """Units down and to the right."""
        reach = range(-self.k, self.k + 1)
        return [(down, right) for down in (reach if plane(self.units)[0] > 1 else (0,)) for right in reach]

    def corrupt(self, patterns: Array, stored: Array, streams: Streams) -> Cues:
        """Corrupt any patterns."""
        moves = self.moves

        def one(x: Array, stream: np.random.Generator) -> Array:
            cues = np.empty_like(x)
            move = (stream.random(len(x)) * len(moves)).astype(int)
            for i, by in enumerate(moves):
                cues[move == i] = self.moved(x[move == i], by)
            return cues

        return Cues(by_seed(patterns, streams, one))

    def evidence(self, cues: Cues) -> Array | None:
        """Return None: units move together."""
        return None

    def log_likelihood(self, cues: Cues, patterns: Array) -> Array:
        """Return the log of the fraction of moves that make the cue of the pattern."""
        moves = self.moves
        n_moves = np.zeros((*cues.values.shape[:2], patterns.shape[1]))
        for by in moves:
            n_moves += agreements(cues.values, self.moved(patterns, by), self.units) == self.units.n
        with np.errstate(divide="ignore"):
            return np.asarray(np.log(n_moves / len(moves)))

    def moved(self, patterns: Array, by: tuple[int, int]) -> Array:
        """Move patterns [..., N]."""
        height, width = plane(self.units)
        pictures = patterns.reshape(*patterns.shape[:-1], height, width)
        shifted = np.full_like(pictures, -1.0)
        to_row, of_row = _overlap(by[0], height)
        to_column, of_column = _overlap(by[1], width)
        shifted[..., to_row, to_column] = pictures[..., of_row, of_column]
        return shifted.reshape(patterns.shape)


@dataclass
class Blur:
    """A Gaussian filter of width sigma, with -1 around the picture, and normal noise of BLUR_NOISE on every unit."""

    name: str
    units: PatternSpec
    sigma: float

    def corrupt(self, patterns: Array, stored: Array, streams: Streams) -> Cues:
        """Corrupt any patterns."""
        return Cues(by_seed(patterns, streams, self._one))

    def _one(self, patterns: Array, stream: np.random.Generator) -> Array:
        return self.blurred(patterns) + BLUR_NOISE * stream.standard_normal(patterns.shape)

    def evidence(self, cues: Cues) -> Array | None:
        """Return None: a unit of the cue depends on many units."""
        return None

    def log_likelihood(self, cues: Cues, patterns: Array) -> Array:
        """Return minus the squared distance to the blurred pattern over 2 BLUR_NOISE squared."""
        return distances(cues.values, self.blurred(patterns)) / (-2.0 * BLUR_NOISE**2)

    def blurred(self, patterns: Array) -> Array:
        """Blur patterns [..., N] without the noise, float64."""
        height, width = plane(self.units)
        pictures = patterns.reshape(-1, height, width).astype(np.float64)
        sigma = (0.0, self.sigma if height > 1 else 0.0, self.sigma)
        return np.asarray(gaussian_filter(pictures, sigma, mode="constant", cval=-1.0)).reshape(patterns.shape)


@dataclass
class Mix:
    """Every unit is that of another stored pattern with probability p; the other pattern is the same for the whole cue.

    The other one is any stored pattern that differs, each as likely.
    """

    name: str
    units: PatternSpec
    p: float

    def corrupt(self, patterns: Array, stored: Array, streams: Streams) -> Cues:
        """Corrupt stored or other patterns.

        Raises:
            ValueError: a pattern from which no stored one differs.
        """
        check_streams(patterns, streams)
        cues = np.empty(patterns.shape, np.float32)
        for i, stream in enumerate(streams):
            cues[i] = self._one(patterns[i], stored[i], stream)
        return Cues(cues)

    def _one(self, patterns: Array, stored: Array, stream: np.random.Generator) -> Array:
        """Corrupt the patterns of one seed to cues [Q, N]."""
        draws = stream.random((len(patterns), 1 + self.units.n))
        others = agreements(patterns[None], stored[None], self.units)[0] < self.units.n  # [Q, P]
        if not others.any(axis=1).all():
            raise ValueError(
                f"corruption = {self.name!r}: found no other stored pattern, expected at least 2 that differ"
            )
        nth = (draws[:, 0] * others.sum(axis=1)).astype(int)[:, None]
        mixed_in = stored[(np.cumsum(others, axis=1) > nth).argmax(axis=1)]
        return np.where(draws[:, 1:] < self.p, mixed_in, patterns)

    def evidence(self, cues: Cues) -> Array | None:
        """Return None: all units share the other pattern."""
        return None

    def log_likelihood(self, cues: Cues, patterns: Array) -> Array:
        """Return the mean over the other ones among ``patterns``, which are the stored ones.

        With a and b units in which the cue agrees with the pattern and the other one, and c in which these two do: the
        cue can be made of them if a + b = N + c, and is with (1 - p)^(a - c) p^(b - c).
        """
        likelihood = np.empty((*cues.values.shape[:2], patterns.shape[1]))
        step = max(1, _PAIRS // patterns.shape[1] ** 2)
        for i in range(len(likelihood)):
            one_seed = slice(i, i + 1)
            x = patterns[i : i + 1]
            common = agreements(x, x, self.units)[0]
            for first in range(0, likelihood.shape[1], step):
                block = slice(first, first + step)
                likelihood[i, block] = self._mean(agreements(cues.values[one_seed, block], x, self.units)[0], common)
        return likelihood

    def _mean(self, agrees: Array, common: Array) -> Array:
        """Compute log likelihoods [B, P] from the units where cues agree [B, P] and the patterns' overlaps [P, P]."""
        n = self.units.n
        differs = common < self.units.n
        possible = (agrees[:, :, None] + agrees[:, None, :] == n + common) & differs
        row, other = np.nonzero(possible.reshape(-1, len(common)))  # few; rows of cue and pattern
        cue, pattern = np.divmod(row, len(common))
        shared = common[pattern, other]
        log_p = xlogy(agrees[cue, pattern] - shared, 1.0 - self.p) + xlogy(agrees[cue, other] - shared, self.p)
        mean = np.full(agrees.shape, -np.inf)
        if len(row):
            first = np.flatnonzero(np.diff(row, prepend=-1))
            mean[cue[first], pattern[first]] = np.logaddexp.reduceat(log_p, first)
        return np.asarray(mean - np.log(np.maximum(1, differs.sum(axis=1))))


def _overlap(by: int, side: int) -> tuple[slice, slice]:
    """Return the slices of units after a move along an axis, and before it."""
    return slice(max(by, 0), side + min(by, 0)), slice(max(-by, 0), side - max(by, 0))
