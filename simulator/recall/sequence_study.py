"""Studies of sequences without an agent: cells side by side, each on the same sequences, over many seeds."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import Any, NamedTuple

import numpy as np

from simulator.config.sequences import SequenceConfig
from simulator.core import registry, rng
from simulator.core.files.reading import read_text
from simulator.core.protocols import Array
from simulator.core.sequence_learning import LearnerSettings, SequenceShape
from simulator.recall import sequences
from simulator.recall.sequences import Scaler, Split, SymbolSequences
from simulator.statistics.estimates import estimate

FORECAST = "forecast"
GRADIENT = "gradient"
STUDIES = (*sequences.TASKS, FORECAST, GRADIENT)
AUTOREGRESSIONS = {"AR(p)": False, "AR(p) of changes": True}  # label -> whether of changes
SOLVED = 0.95  # mean share of right answers from which a length counts as solved
UPDATES_OF_SYMBOLS = 1_000
UPDATES_OF_SERIES = 150
_TESTED = 200  # sequences of a test
LINEAR = "elman"  # a cell without inputs and biases is linear at rest
RADII = (0.9, 1.0, 1.1)  # spectral radii of the linear cell
Progress = Callable[[int, int, str], None]  # conditions that are done, of how many, and the one that begins


class CellEntry(NamedTuple):
    """A cell that competes."""

    label: str
    name: str
    settings: Any


def check_task(task: str) -> None:
    """Refuse a task that is none of ``STUDIES``."""
    if task not in STUDIES:
        raise ValueError(f"--sequence {task}: expected {', '.join(STUDIES)}")


def study(
    task: str,
    cells: Sequence[CellEntry],
    config: SequenceConfig,
    seed_list: Sequence[int],
    progress: Progress = lambda done, total, note: None,
) -> dict[str, Any]:
    """Run a study; see ``engram recall --sequence`` in the manual's page of JSON.

    Raises:
        ValueError: an unknown task, a component that learns no sequences, lengths or a series that fit none; one line.
    """
    check_task(task)
    lengths = sorted(set(config.lengths))
    if task == "copy" and lengths[0] < config.copied:
        raise ValueError(
            f"--lengths {lengths[0]}: expected at least --copied {config.copied}, as the symbols are shown before that"
        )
    if not config.updates:
        config = replace(config, updates=UPDATES_OF_SERIES if task == FORECAST else UPDATES_OF_SYMBOLS)
    made = {cell.label: _make(cell, task) for cell in cells}
    names = {cell.label: cell.name for cell in cells}
    head: dict[str, Any] = {"sequence": task, "seeds": list(seed_list), "cells": names}
    if task == GRADIENT:
        return {**head, "units": config.units, "gradients": _gradients(cells, config, seed_list, progress)}
    if task == FORECAST:
        return {**head, **_forecasts(made, config, seed_list, progress)}
    for component in made.values():
        _learner(task, lengths[-1], component, config, seed_list)  # what is too long is refused before the first trains
    rows: list[dict[str, Any]] = []
    for length in lengths:
        for label, component in made.items():
            progress(len(rows), len(lengths) * len(made), f"length {length}, {label}")
            right = _share_right(task, length, component, config, seed_list)
            rows.append({"length": length, "cell": label, "right": summarised(right, (0.0, 1.0))})
    fails = {
        label: next((row["length"] for row in rows if row["cell"] == label and row["right"]["mean"] < SOLVED), None)
        for label in made
    }
    return {**head, "updates": config.updates, "chance": 1.0 / config.symbols, "rows": rows, "fails_at": fails}


def _make(cell: CellEntry, task: str) -> Any:
    component = registry.load("components", cell.name).make(cell.settings)
    method = "state_gradients" if task == GRADIENT else "sequence_learner"
    if not hasattr(component, method):
        raise ValueError(f"{cell.name}: expected a component with {method}, such as elman, gru and lstm")
    return component


def summarised(values: Array, bounds: tuple[float, float] = (-np.inf, np.inf)) -> dict[str, Any]:
    """Return the mean of values [S] with its 95 % interval over seeds."""
    if len(values) < 2:
        return {"mean": float(np.mean(values)), "low": None, "high": None, "per_seed": values}
    mean, low, high = (float(number) for number in estimate(values, np.mean, bounds=bounds))
    return {"mean": mean, "low": low, "high": high, "per_seed": values}


# Symbols.


def _learner(task: str, length: int, component: Any, config: SequenceConfig, seed_list: Sequence[int]) -> Any:
    n_steps = sequences.n_rows(task, length, config.copied)
    shape = SequenceShape(config.symbols + 1, config.symbols, n_steps * config.batch, config.batch)
    return component.sequence_learner(shape, seed_list, LearnerSettings(config.learning_rate))


def _share_right(task: str, length: int, component: Any, config: SequenceConfig, seed_list: Sequence[int]) -> Array:
    """Train on sequences of one length, and return the share of right answers to others, [S]."""
    learner = _learner(task, length, component, config, seed_list)
    training = rng.generators(seed_list, "training")
    for _ in range(config.updates):
        learner.update(*_sampled(task, length, config, training, config.batch))
    test = rng.generators(seed_list, "evaluation")
    right = np.zeros(len(seed_list))
    asked = 0.0
    for first in range(0, _TESTED, config.batch):
        sampled = _sampled(task, length, config, test, min(config.batch, _TESTED - first))
        is_right = (learner.outputs(sampled.x).argmax(axis=-1) == sampled.target) * sampled.weight
        right += is_right.sum(axis=(1, 2))
        asked += float(sampled.weight[0].sum())
    return right / asked


def _sampled(
    task: Any, length: int, config: SequenceConfig, generators: Sequence[np.random.Generator], n: int
) -> SymbolSequences:
    """Sample n sequences for every seed, [S, n, T, ...]."""
    each = [
        sequences.sample_symbols(task, n, generator, delay=length, symbols=config.symbols, copied=config.copied)
        for generator in generators
    ]
    return SymbolSequences(*(np.stack(parts) for parts in zip(*each, strict=True)))


# Forecasts.


def read_column(path: str, column: str) -> Array:
    """Read a column of numbers of a CSV file with a header, float64 [T].

    Raises:
        ValueError: no CSV file, no such column, or a cell that is no finite number; one line with its row.
    """
    try:
        rows = csv.DictReader(io.StringIO(read_text(path)))
        names = list(rows.fieldnames or ())
        lines = list(rows)
    except csv.Error as error:
        raise ValueError(f"{path}: {error}, expected a CSV file") from None
    if not names:
        raise ValueError(f"{path}: it is empty, expected a line with the names of the columns, and numbers below")
    if column not in names:
        missing = f"no column {column!r}" if column else "no --column"
        raise ValueError(f"{path}: {missing}, expected one of {', '.join(names)}")
    values = []
    for line, row in enumerate(lines, start=2):
        text = row[column] or ""
        try:
            value = float(text)
        except ValueError:
            value = np.nan
        if not np.isfinite(value):
            raise ValueError(f"{path}: row {line}, column {column} = {text!r}: expected a number")
        values.append(value)
    return np.array(values)


def _forecasts(
    made: Mapping[str, Any], config: SequenceConfig, seed_list: Sequence[int], progress: Progress
) -> dict[str, Any]:
    known = "" if config.csv else config.series or "ar2"
    if config.csv and config.series:
        raise ValueError("--csv and --series: expected one of them")
    if config.column and not config.csv:
        raise ValueError("--column: expected --csv FILE too")
    if known:
        series = [
            sequences.sample_series(known, config.n_values, each) for each in rng.generators(seed_list, "patterns")
        ]
    else:
        series = [read_column(config.csv, config.column)] * len(seed_list)
    splits = sequences.walk_forward(len(series[0]), config.splits)
    errors: dict[str, list[list[Array]]] = {}  # method -> split -> seed
    for done, split in enumerate(splits):
        progress(done, len(splits), f"after {split.train_end:,} values")
        for label, forecasts in _split_forecasts(made, config, known, np.stack(series), split, seed_list).items():
            found = [sequences.squared_errors(each, split, own) for each, own in zip(series, forecasts, strict=True)]
            errors.setdefault(label, []).append(found)
    means = {label: np.concatenate(parts, axis=1).mean(axis=1) for label, parts in errors.items()}
    rows = [
        {
            "method": label,
            "mse": summarised(mse),
            "skill": summarised(1.0 - mse / np.maximum(means["persistence"], 1e-300)),
        }
        for label, mse in means.items()
    ]
    ar = min((means[label] for label in AUTOREGRESSIONS), key=np.mean)  # the better one, by these very test parts
    gains = {label: summarised(ar - means[label]) for label in made}
    beats = {label: None if gain["low"] is None else bool(gain["low"] > 0.0) for label, gain in gains.items()}
    return {
        "series": known or config.csv,
        "n_values": len(series[0]),
        "optimal_mse": sequences.optimal_mse(known) if known else None,
        "splits": [split._asdict() for split in splits],
        "updates": config.updates,
        "rows": rows,
        "beats_ar": beats,
    }


def _split_forecasts(
    made: Mapping[str, Any],
    config: SequenceConfig,
    known: str,
    series: Array,
    split: Split,
    seed_list: Sequence[int],
) -> dict[str, list[Array]]:
    """Forecast the test part of a split by every method: method -> seed -> [test]."""
    found = {
        "persistence": [sequences.persistence(each, split) for each in series],
        "drift": [sequences.drift(each, split) for each in series],
    }
    for label, of_changes in AUTOREGRESSIONS.items():
        orders = [sequences.best_order(each, split, config.order, of_changes=of_changes) for each in series]
        found[label] = [
            sequences.autoregressive(each, split, order, of_changes=of_changes)
            for each, order in zip(series, orders, strict=True)
        ]
    for label, component in made.items():
        found[label] = network_forecasts(component, config, series, split, seed_list)
    if known:
        found["optimum"] = [sequences.best_forecasts(known, each, split) for each in series]
    return found


def network_forecasts(
    component: Any, config: SequenceConfig, series: Array, split: Split, seed_list: Sequence[int]
) -> list[Array]:
    """Forecast the test part of series [S, T] by a network that has seen the training part alone."""
    scalers = [Scaler.of(each[: split.train_end]) for each in series]
    changes = np.stack([scaler.scaled(each) for scaler, each in zip(scalers, series, strict=True)]).astype(np.float32)
    n_train = split.train_end - 1  # changes within the training part
    unroll = min(config.unroll, n_train - 1)
    n_rows = max(config.batch * unroll, split.test_end)
    shape = SequenceShape(1, 1, n_rows, config.batch)
    learner = component.sequence_learner(shape, seed_list, LearnerSettings(config.learning_rate))
    generators = rng.generators(seed_list, "training")
    weight = np.ones((len(series), config.batch, unroll), np.float32)
    for _ in range(config.updates):
        first = np.stack([each.integers(n_train - unroll, size=config.batch) for each in generators])
        at = first[:, :, None] + np.arange(unroll)
        x = np.take_along_axis(changes[:, None], at, axis=2)
        target = np.take_along_axis(changes[:, None], at + 1, axis=2)
        learner.update(x[..., None], target, weight)
    y = learner.outputs(changes[:, None, : split.test_end - 2, None])[:, 0, n_train - 1 :, 0].astype(np.float64)
    return [
        sequences.persistence(each, split) + scaler.change(own)
        for each, scaler, own in zip(series, scalers, y, strict=True)
    ]


# Gradients.


def _gradients(
    cells: Sequence[CellEntry], config: SequenceConfig, seed_list: Sequence[int], progress: Progress
) -> list[dict[str, Any]]:
    """Measure dh_T/ds_t of untrained cells at inputs of a standard normal, for each of their initial weights.

    Beside Elman's cell stands the linear one, for which it is known: spectral radius ** (T - t).
    """
    length = max(config.lengths)
    n_steps = length + 1
    made = [
        ({"cell": cell.label, "init": init}, _make(cell._replace(settings=settings), GRADIENT))
        for cell in cells
        for init, settings in _inits(cell.settings, length).items()
    ]
    for _, component in made:
        component.check_state_gradients((len(seed_list), n_steps, 1))  # before the first is measured
    normal = np.stack([each.standard_normal((n_steps, 1)) for each in rng.generators(seed_list, "evaluation")])
    x = normal.astype(np.float32)
    wanted: list[tuple[dict[str, Any], Callable[[], Array]]] = [
        (row, partial(component.state_gradients, x, seed_list)) for row, component in made
    ]
    if any(cell.name == LINEAR for cell in cells):
        player = registry.load("components", LINEAR)
        linear = player.make(player.Config(units=config.units))
        for radius in RADII:
            row = {"cell": "linear", "init": f"radius {radius:g}", "exact": radius ** np.arange(n_steps)}
            wanted.append((row, partial(linear.state_gradients, np.zeros_like(x), seed_list, radius)))
    rows = []
    for done, (row, measure) in enumerate(wanted):
        progress(done, len(wanted), f"{row['cell']}, {row['init']}")
        logs = np.log(np.maximum(measure(), _SMALLEST))[:, ::-1]  # [S, T], by the distance T - t
        means = {"norm": np.exp(logs.mean(axis=0)), "low": None, "high": None}
        if len(seed_list) > 1:
            _, low, high = estimate(logs, np.mean)
            means = {**means, "low": np.exp(low), "high": np.exp(high)}
        rows.append({**row, "distance": np.arange(n_steps), **means})
    return rows


_SMALLEST = 1e-45  # norm: single precision knows no smaller number


def _inits(settings: Any, length: int) -> dict[str, Any]:
    """Return the settings of a cell for each kind of initial weights; chrono where it has it, for this length."""
    plain = replace(settings, chrono=0) if hasattr(settings, "chrono") else settings
    found = {init: replace(plain, init=init) for init in ("orthogonal", "uniform")}
    if hasattr(settings, "chrono"):
        found["chrono"] = replace(settings, init="orthogonal", chrono=settings.chrono or length)
    return found
