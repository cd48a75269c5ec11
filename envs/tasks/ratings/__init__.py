"""Ratings: users have rated some items; what would they say of the others? Collaborative filtering.

The ratings are made up by a known law, so the best possible prediction is known too: rating = mean + bias of the user +
bias of the item + u . v + noise, where the user's bias and factors u and the item's bias and factors v are normal
(Salakhutdinov and Mnih 2008, probabilistic matrix factorization). Of every entry a seed decides whether it is seen;
contestants learn from the seen ones alone and are scored on all others, by the root of the mean squared error.

The ceiling, ``posterior_mean``, is told the mean, the biases and factors of the items and all variances. Given these
the users are independent and a user's bias and factors have a normal posterior, whose mean gives the prediction of
least expected squared error among all that know no more; it is linear algebra and exact. It is a ceiling for
contestants that know less, and they all do: they have to learn the items from the seen ratings.

``csv`` reads ratings of your own instead, ``user,item,rating`` with a header; of these no ceiling is known. Seeds then
differ in which ratings are seen, and share the ratings: intervals are widened by the correction of Nadeau and Bengio
2003 for repeated random splits. A memory competes too: it stores every user's ratings as a pattern, less the means of
user and item, unknown ones 0, and recalls the whole pattern from the known part. Memories whose patterns are -1 and +1
alone are refused.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated

import numpy as np
from msgspec import Meta

from envs.tasks.ratings import methods
from envs.tasks.ratings.data import MAX_ENTRIES, RatingMatrix, read_table, sample_table, seen_entries
from simulator.core import rng
from simulator.core.field_types import Count, NonNegative, Positive
from simulator.core.memories import PatternSpec
from simulator.core.protocols import Array
from simulator.core.tasks import Prediction, Predictor, ScoreSpec, TaskSpec

METHODS = {
    "posterior_mean": "the ceiling: knows the items and the law, and computes the exact posterior of every user",
    "global_mean": "the mean of all seen ratings",
    "user_item_means": "mean, bias of the user and bias of the item, shrunk",
    "nearest_users": "the weighted mean of the users who rated alike",
    "als": "matrix factorization by alternating least squares",
    "ppca": "probabilistic PCA with missing entries, by expectation maximization",
    "autorec": "an autoencoder of items whose loss is over seen ratings alone",
}
DEFAULT = tuple(METHODS)
SEEN = (0.1, 0.2, 0.4)  # fractions of made up ratings
SEEN_OF_FILE = (0.8,)
_OUTLIER = 99.5  # percentile of the sizes of seen entries that becomes +1 in a memory's patterns


@dataclass(frozen=True)
class Config:
    """Settings of ratings."""

    users: Annotated[int, Meta(ge=2, le=100_000)] = 150
    """users of made up ratings"""
    items: Annotated[int, Meta(ge=2, le=100_000)] = 80
    """items of made up ratings"""
    rank: Count = 3
    """factors of a user and an item in made up ratings"""
    noise: Positive = 0.5
    """standard deviation of the noise in made up ratings"""
    bias: NonNegative = 0.5
    """standard deviation of the biases of users, and of items"""
    strength: Positive = 1.0
    """standard deviation of u . v"""
    seen: Annotated[tuple[Annotated[float, Meta(gt=0.0, lt=1.0)], ...], Meta(max_length=100)] = ()
    """fractions of the ratings that are seen, each a condition; none: 0.1, 0.2 and 0.4, of a file 0.8"""
    csv: str = ""
    """read the ratings from this CSV file with the columns user, item and rating"""
    damping: NonNegative = 1.0
    """of user_item_means: ratings of 0 that are added to every bias"""
    neighbours: Count = 20
    """of nearest_users: users that are averaged"""
    factors: Count = 4
    """of als and ppca: factors; made up ratings have ``rank``, and one more is the user's bias"""
    regularization: NonNegative = 1.0
    """of als and ppca: precision of the normal prior of the factors of items, and in als of users, in
    ratings"""
    sweeps: Count = 30
    """of als and ppca: passes over users and items"""
    hidden: Count = 40
    """of autorec: hidden units"""
    updates: Count = 300
    """of autorec: gradient steps, each on all items"""
    learning_rate: Positive = 0.01
    """of autorec: step size of Adam"""
    weight_decay: NonNegative = 2.0
    """of autorec: weight of half the squared weights, in squared ratings"""


def files(config: Config) -> list[str]:
    """Return the file that the ratings are read from."""
    return [config.csv] if config.csv else []


def make(seed_list: Sequence[int], config: Config) -> Ratings:
    """Make the ratings of every seed; those of a file are the same for all, and seen ones are drawn by each.

    Raises:
        ValueError: a file that cannot be used, or too large a table; one line.
    """
    return Ratings(seed_list, config)


class Ratings:
    """A task; see :class:`simulator.core.tasks.Task`."""

    def __init__(self, seed_list: Sequence[int], config: Config) -> None:
        self._seeds = list(seed_list)
        self._config = config
        if not config.csv and config.users * config.items > MAX_ENTRIES:
            size = f"{config.users:,} users x {config.items:,} items"
            raise ValueError(f"ratings: {size}: expected at most {MAX_ENTRIES:,} entries")
        self._file = read_table(config.csv) if config.csv else None
        self.conditions: tuple[float, ...] = tuple(dict.fromkeys(config.seen)) or (SEEN_OF_FILE if config.csv else SEEN)
        self.spec = TaskSpec(
            "fraction of ratings seen",
            (
                ScoreSpec("rmse", "RMSE", 0.0),
                ScoreSpec("mae", "mean absolute error", 0.0),
                *(() if config.csv else (ScoreSpec("ceiling", "expected RMSE of the posterior mean", 0.0),)),
            ),
            higher_is_better=False,
            ceiling="" if config.csv else "ceiling",
            note="scored on ratings that were not seen; "
            + (
                "seeds share the file's ratings: intervals are widened for it"
                if config.csv
                else "the posterior mean is told the items and the law: no contestant beats it in expectation"
            ),
            test_ratios=tuple((1.0 - seen) / seen for seen in self.conditions) if config.csv else (),
        )

    def check(self, contestant: Predictor) -> None:
        """Refuse the ceiling of ratings whose law is not known, and memories that store no values.

        Raises:
            ValueError: it cannot predict here; one line.
        """
        if contestant.name == "posterior_mean" and self._config.csv:
            raise ValueError("posterior_mean: the law of a file's ratings is not known, expected another contestant")
        if contestant.make is not None:
            contestant.make(PatternSpec((self._table(0).known.shape[1],), is_bipolar=False), self._seeds[:1])

    def play(self, contestant: Predictor, condition: float) -> Prediction:
        """Predict the ratings that are not seen, of every seed."""
        tables = [self._table(i) for i in range(len(self._seeds))]
        masks = [seen_entries(table, condition, seed) for table, seed in zip(tables, self._seeds, strict=True)]
        if contestant.make is not None:
            predictions = self._by_memory(contestant, tables, masks)
        else:
            weights = rng.generators(self._seeds, "weights")
            predictions = [
                self._predict(contestant.name, table, seen, stream)
                for table, seen, stream in zip(tables, masks, weights, strict=True)
            ]
        errors = [
            (prediction - table.ratings)[table.known & ~seen]
            for prediction, table, seen in zip(predictions, tables, masks, strict=True)
        ]
        scores = {
            "rmse": np.array([np.sqrt((error**2).mean()) for error in errors]),
            "mae": np.array([np.abs(error).mean() for error in errors]),
        }
        if not self._config.csv:
            expected = [methods.posterior(table, seen) for table, seen in zip(tables, masks, strict=True)]
            scores["ceiling"] = np.array(
                [
                    np.sqrt(own.variance[table.known & ~seen].mean())
                    for own, table, seen in zip(expected, tables, masks, strict=True)
                ]
            )
        facts = {"held_out": [len(error) for error in errors], "is_ceiling": contestant.name == "posterior_mean"}
        return Prediction(scores, facts)

    def _table(self, at: int) -> RatingMatrix:
        return sample_table(self._config, self._seeds[at]) if self._file is None else self._file

    def _predict(self, name: str, table: RatingMatrix, seen: Array, stream: np.random.Generator) -> Array:
        """Predict all ratings [U, I] of one seed by a method that sees some of them."""
        if name == "posterior_mean":
            return methods.posterior(table, seen).mean
        ratings = np.where(seen, table.ratings, 0.0)  # no method is given what it must not see
        config = self._config
        if name == "global_mean":
            return methods.global_mean(ratings, seen)
        means = methods.user_item_means(ratings, seen, config.damping)
        if name == "user_item_means":
            return means
        if name == "nearest_users":
            return methods.nearest_users(ratings, seen, means, config.neighbours)
        if name == "ppca":
            return methods.probabilistic_pca(
                ratings, seen, config.factors, config.regularization, config.sweeps, stream
            )
        if name == "als":
            return methods.als(ratings, seen, means, config.factors, config.regularization, config.sweeps, stream)
        from envs.tasks.ratings.autorec_torch import autorec

        return autorec(ratings, seen, means, config, stream)

    def _by_memory(self, contestant: Predictor, tables: Sequence[RatingMatrix], masks: Sequence[Array]) -> list[Array]:
        """Let a memory store every user's seen ratings, less the means, and complete them."""
        assert contestant.make is not None
        ratings = [np.where(seen, table.ratings, 0.0) for table, seen in zip(tables, masks, strict=True)]
        means = [
            methods.user_item_means(own, seen, self._config.damping) for own, seen in zip(ratings, masks, strict=True)
        ]
        known = np.stack(masks)
        rest = np.where(known, np.stack(ratings) - np.stack(means), 0.0)
        scales = [
            max(float(np.percentile(np.abs(own[seen]), _OUTLIER)), 1e-9) for own, seen in zip(rest, masks, strict=True)
        ]
        scale = np.array(scales)[:, None, None]
        patterns = np.clip(rest / scale, -1.0, 1.0).astype(np.float32)
        memory = contestant.make(PatternSpec((patterns.shape[2],), is_bipolar=False), self._seeds)
        memory.store(patterns)
        recalled = memory.recall(patterns, known).patterns.astype(np.float64)
        return list(np.stack(means) + scale * recalled)
