"""Ratings of a seed: made up by a known law, or read from a file; and which of them are seen."""

from __future__ import annotations

import csv
import io
from math import isfinite, sqrt
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from simulator.core import rng
from simulator.core.files.escaping import MAX_PATH, shortened, visible
from simulator.core.files.reading import DATA, read_text
from simulator.core.protocols import Array
from simulator.core.stopping import raise_if_stopped

if TYPE_CHECKING:
    from envs.tasks.ratings import Config

COLUMNS = ("user", "item", "rating")
MEAN = 3.0  # of made up ratings
MAX_ENTRIES = 50_000_000  # of users times items
_EXPECTED = f"a CSV file with the columns {', '.join(COLUMNS)}"


class RatingModel(NamedTuple):
    """The distribution of made up ratings, as the ceiling knows it: rating = mean + bias_i + x_u . features_i + noise.

    Of a user the bias is the first entry of x, whose feature is 1 in every item.
    """

    mean: float
    item_bias: Array  # float64 [I]
    features: Array  # float64 [I, 1 + rank]
    variances: Array  # float64 [1 + rank], of the entries of x, which are independent and of mean 0
    noise: float  # standard deviation


class RatingMatrix(NamedTuple):
    """Ratings of users for items."""

    ratings: Array  # float64 [U, I]; 0 where unknown
    known: Array  # bool [U, I]
    model: RatingModel | None = None  # None: not known


def sample_table(config: Config, seed: int) -> RatingMatrix:
    """Make up the ratings of a seed."""
    stream = rng.generators([seed], "patterns")[0]
    item_factors = stream.standard_normal((config.items, config.rank)) * (config.strength / sqrt(config.rank))
    item_bias = config.bias * stream.standard_normal(config.items)
    features = np.concatenate([np.ones((config.items, 1)), item_factors], axis=1)
    variances = np.array([config.bias**2] + [1.0] * config.rank)
    users = stream.standard_normal((config.users, 1 + config.rank)) * np.sqrt(variances)
    noise = config.noise * stream.standard_normal((config.users, config.items))
    ratings = MEAN + item_bias + users @ features.T + noise
    model = RatingModel(MEAN, item_bias, features, variances, config.noise)
    return RatingMatrix(ratings, np.ones(ratings.shape, np.bool_), model)


def seen_entries(table: RatingMatrix, fraction: float, seed: int) -> Array:
    """Choose the entries that are seen, bool [U, I]: that fraction of the known ones; fewer are a part of more.

    Raises:
        ValueError: none would be seen, or none left to be predicted; one line.
    """
    order = np.asarray(rng.generators([seed], "corruption")[0].random(table.known.shape))
    known = np.sort(order[table.known])
    n_seen = round(fraction * len(known))
    if not 0 < n_seen < len(known):
        raise ValueError(
            f"ratings: seen = {fraction:g} of {len(known):,} ratings: expected some to see and some to predict"
        )
    return table.known & (order <= known[n_seen - 1])


def read_table(path: str) -> RatingMatrix:
    """Read ratings, one in a row.

    Raises:
        ValueError: no such file, a column that is missing, a row that is no rating, an entry that comes twice, or more
            users times items than fit; one line with its row.
    """
    shown = visible(shortened(path, MAX_PATH))
    users: dict[str, int] = {}
    items: dict[str, int] = {}
    entries: dict[tuple[int, int], float] = {}
    try:
        rows = csv.DictReader(io.StringIO(read_text(path, _EXPECTED, DATA)), strict=True)
        names = [name.strip() for name in rows.fieldnames or ()]
        if missing := [name for name in COLUMNS if name not in names]:
            found = f"found {', '.join(names)}" if names else "it is empty"
            raise ValueError(
                f"{shown}: row 1: no column {missing[0]!r}: {visible(shortened(found, 80))}, expected {_EXPECTED}"
            )
        rows.fieldnames = names
        for row in rows:
            if len(entries) % 10_000 == 0:
                raise_if_stopped()
            place = f"{shown}: row {rows.line_num}"
            user, item, text = ((row[name] or "").strip() for name in COLUMNS)
            if None in row:
                raise ValueError(f"{place}: found more cells than the {len(names)} columns, expected as many")
            if not user or not item:
                raise ValueError(f"{place}: no {'item' if user else 'user'}, expected a name or a number")
            at = (users.setdefault(user, len(users)), items.setdefault(item, len(items)))
            if at in entries:
                raise ValueError(
                    f"{place}: user {visible(user)} has rated item {visible(item)} before, expected it once"
                )
            entries[at] = _number(text, place)
    except csv.Error as error:
        raise ValueError(f"{shown}: {error}, expected {_EXPECTED}") from None
    if len(users) < 2 or len(items) < 2:
        raise ValueError(f"{shown}: found {len(users)} users and {len(items)} items, expected at least 2 of each")
    if len(users) * len(items) > MAX_ENTRIES:
        size = f"{len(users):,} users x {len(items):,} items"
        raise ValueError(f"{shown}: found {size}, expected at most {MAX_ENTRIES:,} entries")
    ratings = np.zeros((len(users), len(items)))
    known = np.zeros(ratings.shape, np.bool_)
    user_of, item_of = np.array(list(entries)).T
    ratings[user_of, item_of] = list(entries.values())
    known[user_of, item_of] = True
    return RatingMatrix(ratings, known)


def _number(text: str, place: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = float("nan")
    if not isfinite(value):
        raise ValueError(f"{place}: rating = {visible(shortened(text, 40))!r}: expected a number")
    return value
