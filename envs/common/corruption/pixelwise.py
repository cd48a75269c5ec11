"""Corruption of single units: flips, salt and pepper, Gaussian noise, erasure with a mask and without.

Every class is a :class:`simulator.core.memories.CorruptionModel`. The corruption of a seed's first cues does
not depend on how many follow. Of units that are not bipolar a flip changes the sign, everything else is as said;
single units then give no evidence, except through Gaussian noise.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.special import bdtrc, gammaln, xlogy

from envs.common.corruption.likelihood import agreements, by_seed, distances, finite, half_log_odds, only_if
from simulator.core.memories import CERTAIN, Cues, PatternSpec
from simulator.core.protocols import Array

Streams = Sequence[np.random.Generator]


@dataclass
class Nothing:
    """No corruption."""

    name: str
    units: PatternSpec

    def corrupt(self, patterns: Array, stored: Array, streams: Streams) -> Cues:
        """Return the patterns themselves, without a mask."""
        return Cues(by_seed(patterns, streams, lambda x, stream: x))

    def evidence(self, cues: Cues) -> Array | None:
        """Return CERTAIN."""
        return CERTAIN * cues.values.astype(np.float64) if self.units.is_bipolar else None

    def log_likelihood(self, cues: Cues, patterns: Array) -> Array:
        """Return 0 for the pattern that equals the cue, -inf for others."""
        return only_if(agreements(cues.values, patterns, self.units) == self.units.n, 0.0)


@dataclass
class Flip:
    """Every unit changes its sign with probability p, each by itself: the binary symmetric channel."""

    name: str
    units: PatternSpec
    p: float

    def corrupt(self, patterns: Array, stored: Array, streams: Streams) -> Cues:
        """Corrupt any patterns."""
        return Cues(by_seed(patterns, streams, lambda x, stream: np.where(stream.random(x.shape) < self.p, -x, x)))

    def evidence(self, cues: Cues) -> Array | None:
        """Return the cue times beta = ln((1 - p) / p) / 2."""
        return _signed(cues, self.units, half_log_odds(1.0 - self.p, self.p))

    def log_likelihood(self, cues: Cues, patterns: Array) -> Array:
        """Return d ln p + (N - d) ln(1 - p) for d flipped units."""
        same, turned, zero = _turns(cues.values, patterns, self.units)
        log_p = xlogy(same, 1.0 - self.p) + xlogy(turned, self.p)
        return only_if(same + turned + zero == self.units.n, log_p)


@dataclass
class Flips:
    """Exactly k units change their signs, every choice of k being as likely."""

    name: str
    units: PatternSpec
    k: int

    def corrupt(self, patterns: Array, stored: Array, streams: Streams) -> Cues:
        """Corrupt any patterns."""

        def one(x: Array, stream: np.random.Generator) -> Array:
            cues = x.copy()
            ranks = stream.random(x.shape)
            at = np.argpartition(ranks, self.k - 1, axis=1)[:, : self.k]
            np.put_along_axis(cues, at, -np.take_along_axis(x, at, axis=1), axis=1)
            return cues

        return Cues(by_seed(patterns, streams, one))

    def evidence(self, cues: Cues) -> Array | None:
        """Return the cue times ln((1 - p) / p) / 2 at p = k / N: exact for each unit, though units are dependent."""
        p = self.k / self.units.n
        return _signed(cues, self.units, half_log_odds(1.0 - p, p))

    def log_likelihood(self, cues: Cues, patterns: Array) -> Array:
        """Return minus the log of the number of choices where k units differ; units at 0 may be flipped unseen."""
        same, turned, zero = _turns(cues.values, patterns, self.units)
        n_hidden_flips = self.k - turned  # turned unseen
        possible = (same + turned + zero == self.units.n) & (n_hidden_flips >= 0) & (n_hidden_flips <= zero)
        n_hidden_flips = np.where(possible, n_hidden_flips, 0.0)
        return only_if(possible, _log_choices(zero, n_hidden_flips) - _log_choices(self.units.n, self.k))


@dataclass
class Salt:
    """Salt and pepper: every unit is replaced by a fair coin, +1 or -1, with probability p."""

    name: str
    units: PatternSpec
    p: float

    def corrupt(self, patterns: Array, stored: Array, streams: Streams) -> Cues:
        """Corrupt any patterns."""

        def one(x: Array, stream: np.random.Generator) -> Array:
            draws = stream.random(x.shape)
            return np.where(draws < self.p / 2.0, 1.0, np.where(draws < self.p, -1.0, x))

        return Cues(by_seed(patterns, streams, one))

    def evidence(self, cues: Cues) -> Array | None:
        """Return the evidence of flips with half the probability."""
        return _signed(cues, self.units, half_log_odds(1.0 - self.p / 2.0, self.p / 2.0))

    def log_likelihood(self, cues: Cues, patterns: Array) -> Array:
        """Return the log likelihood: units of -1 or +1 may be the coin's, all others are the pattern's."""
        coin = np.abs(cues.values) == 1.0
        n_coin = coin.sum(axis=2)[..., None]
        same = agreements(cues.values, patterns, self.units, coin)
        log_p = xlogy(same, 1.0 - self.p / 2.0) + xlogy(n_coin - same, self.p / 2.0)
        if self.units.is_bipolar:
            return np.asarray(log_p)
        between = agreements(cues.values, patterns, self.units, ~coin)
        return only_if(between == self.units.n - n_coin, log_p + xlogy(between, 1.0 - self.p))


@dataclass
class Gauss:
    """Normal noise of standard deviation sigma on every unit. Cues leave the range from -1 to 1: nothing is cut."""

    name: str
    units: PatternSpec
    sigma: float

    def corrupt(self, patterns: Array, stored: Array, streams: Streams) -> Cues:
        """Corrupt any patterns."""
        return Cues(by_seed(patterns, streams, lambda x, stream: x + self.sigma * stream.standard_normal(x.shape)))

    def evidence(self, cues: Cues) -> Array | None:
        """Return the cue over sigma squared: +1 against -1 whatever else a unit can be."""
        return finite(cues.values.astype(np.float64) / self.sigma**2)

    def log_likelihood(self, cues: Cues, patterns: Array) -> Array:
        """Return minus the squared distance over 2 sigma squared."""
        return distances(cues.values, patterns) / (-2.0 * self.sigma**2)


@dataclass
class Erase:
    """Every unit is lost with probability p: 0 in the cue, which says by its mask that the others can be trusted."""

    name: str
    units: PatternSpec
    p: float

    def corrupt(self, patterns: Array, stored: Array, streams: Streams) -> Cues:
        """Corrupt any patterns, with a mask."""
        known = by_seed(patterns, streams, lambda x, stream: np.asarray(stream.random(x.shape) >= self.p)) > 0
        return Cues(np.where(known, patterns, np.float32(0)), known)

    def evidence(self, cues: Cues) -> Array | None:
        """Return CERTAIN where units are known, 0 elsewhere."""
        return _signed(cues, self.units, CERTAIN)

    def log_likelihood(self, cues: Cues, patterns: Array) -> Array:
        """Return -inf where a known unit differs; else the mask's log probability."""
        known = trusted(cues)
        n_known = known.sum(axis=2)[..., None]
        log_p = xlogy(self.units.n - n_known, self.p) + xlogy(n_known, 1.0 - self.p)
        return only_if(agreements(cues.values, patterns, self.units, known) == n_known, log_p)


@dataclass
class Hide:
    """Every unit is set to -1 with probability p, without a mask."""

    name: str
    units: PatternSpec
    p: float

    def corrupt(self, patterns: Array, stored: Array, streams: Streams) -> Cues:
        """Corrupt any patterns."""
        return Cues(by_seed(patterns, streams, lambda x, stream: np.where(stream.random(x.shape) < self.p, -1.0, x)))

    def evidence(self, cues: Cues) -> Array | None:
        """Return CERTAIN where the cue is +1, ln(p) / 2 where it is -1."""
        if not self.units.is_bipolar:
            return None
        return np.where(cues.values > 0, CERTAIN, half_log_odds(self.p, 1.0))

    def log_likelihood(self, cues: Cues, patterns: Array) -> Array:
        """Return the log likelihood: units other than -1 are the pattern's, units at -1 may be hidden."""
        silent = cues.values == -1.0
        n_spoken = (~silent).sum(axis=2)[..., None]
        spoken = agreements(cues.values, patterns, self.units, ~silent)
        hidden = self.units.n - n_spoken - agreements(cues.values, patterns, self.units, silent)
        return only_if(spoken == n_spoken, xlogy(n_spoken, 1.0 - self.p) + xlogy(hidden, self.p))


@dataclass
class Replace:
    """Every unit above -1 moves, with its value, to a unit at -1 with probability p: of a document, a word to another.

    Of the M units at -1 every choice is as likely, and no two units move to the same one: where more than M would
    move, any M of them do.
    """

    name: str
    units: PatternSpec
    p: float

    def corrupt(self, patterns: Array, stored: Array, streams: Streams) -> Cues:
        """Corrupt any patterns."""
        return Cues(by_seed(patterns, streams, self._one))

    def _one(self, x: Array, stream: np.random.Generator) -> Array:
        cues = x.copy()
        draws = stream.random((len(x), 2, x.shape[1]))
        for pattern, cue, (chance, order) in zip(x, cues, draws, strict=True):
            free = np.flatnonzero(pattern == -1.0)
            free = free[np.argsort(order[free])]
            moved = np.flatnonzero((pattern > -1.0) & (chance < self.p))
            moved = moved[np.argsort(chance[moved])][: len(free)]
            cue[moved] = -1.0
            cue[free[: len(moved)]] = pattern[moved]
        return cues

    def evidence(self, cues: Cues) -> Array | None:
        """Return what each unit alone says; exact, though units are dependent, as the cue has as many at +1."""
        if not self.units.is_bipolar:
            return None
        n = (cues.values > 0).sum(axis=2, keepdims=True).astype(np.float64)
        free = self.units.n - n
        counts = np.arange(self.units.n + 1)
        choices = _log_choices(n[..., None], np.minimum(counts, n[..., None]))
        chance = np.exp(choices + xlogy(counts, self.p) + xlogy(n[..., None] - counts, 1.0 - self.p))
        chance = np.where(counts <= n[..., None], chance, 0.0)  # of so many that would move
        n_moved = (np.minimum(counts, free[..., None]) * chance).sum(axis=-1)
        left = n_moved / np.maximum(n, 1.0)  # chance that a unit at +1 moves away
        filled = n_moved / np.maximum(free, 1.0)  # chance that one at -1 is moved to
        with np.errstate(divide="ignore"):
            up = np.log(1.0 - left) - np.log(filled)
            down = np.log(left) - np.log(1.0 - filled)
        return finite(0.5 * np.where(cues.values > 0, up, down))

    def log_likelihood(self, cues: Cues, patterns: Array) -> Array:
        """Return the log likelihood: units above -1 stay, or their values are found where the pattern has -1."""
        likelihood = np.empty((*cues.values.shape[:2], patterns.shape[1]))
        for i, (own_cues, x) in enumerate(zip(cues.values, patterns, strict=True)):
            spoken = x > -1.0  # [P, N]
            n = spoken.sum(axis=1)
            free = self.units.n - n
            for q, cue in enumerate(own_cues):
                moved = spoken & (cue == -1.0)
                new = ~spoken & (cue > -1.0)
                k = moved.sum(axis=1)
                possible = (k == new.sum(axis=1)) & (k <= free) & ~(spoken & ~moved & (cue != x)).any(axis=1)
                matches = gammaln(k + 1.0)  # log of the number of ways in which the values could have moved there
                if not self.units.is_bipolar:
                    for at in np.flatnonzero(possible):
                        values, n_each = np.unique(x[at, moved[at]], return_counts=True)
                        new_values, n_new = np.unique(cue[new[at]], return_counts=True)
                        possible[at] = np.array_equal(values, new_values) and np.array_equal(n_each, n_new)
                        matches[at] = gammaln(n_each + 1.0).sum()
                all_ways = gammaln(free + 1.0) - gammaln(np.maximum(free - k, 0.0) + 1.0)
                likelihood[i, q] = only_if(possible, self._log_chance(n, k, free) + matches - all_ways)
        return likelihood

    def _log_chance(self, n: Array, k: Array, free: Array) -> Array:
        """Return the log probability that a certain k of n units move, where so many are free."""
        with np.errstate(divide="ignore"):
            all_free = np.log(bdtrc(k - 1.0, n, self.p)) - _log_choices(n, np.minimum(k, n))
        return np.where(k < free, xlogy(k, self.p) + xlogy(n - k, 1.0 - self.p), all_free)


def trusted(cues: Cues) -> Array:
    """Return the mask of a cue, bool [S, Q, N]; without one, the units that are not 0."""
    return cues.values != 0.0 if cues.known is None else cues.known


def _signed(cues: Cues, units: PatternSpec, beta: float) -> Array | None:
    return beta * cues.values.astype(np.float64) if units.is_bipolar else None


def _turns(values: Array, patterns: Array, units: PatternSpec) -> tuple[Array, Array, Array]:
    """Count units that agree and are not 0, that have the other sign, and that are 0 in both, each [S, Q, P]."""
    same = agreements(values, patterns, units)
    if units.is_bipolar:
        return same, units.n - same, np.zeros_like(same)
    zero = agreements(values, patterns, units, values == 0.0)
    return same - zero, agreements(-values, patterns, units) - zero, zero


def _log_choices(n: Array | float, k: Array | float) -> Array:
    """Return the logarithm of n over k."""
    return np.asarray(gammaln(n + 1.0) - gammaln(k + 1.0) - gammaln(n - k + 1.0))
