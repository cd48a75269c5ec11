"""Studies of sequences without an agent: cells side by side, each on the same sequences, over many seeds."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping, Sequence
from dataclasses import replace
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
SOLVED = 0.95  # mean share of right answers from which a length counts as solved
_TESTED = 200  # sequences of a test


class CellEntry(NamedTuple):
    """A cell that competes."""

    label: str
    name: str
    settings: Any


def study(task: str, cells: Sequence[CellEntry], config: SequenceConfig, seed_list: Sequence[int]) -> dict[str, Any]:
    """Run a study; see ``engram recall --sequence`` in the manual's page of JSON.

    Raises:
        ValueError: an unknown task, a component that learns no sequences, or a series that fits none; one line.
    """
    if task not in STUDIES:
        raise ValueError(f"--sequence {task}: expected {', '.join(STUDIES)}")
    made = {cell.label: _make(cell, task) for cell in cells}
    head = {"sequence": task, "seeds": list(seed_list), "cells": {cell.label: cell.name for cell in cells}}
    if task == GRADIENT:
        return {**head, "units": config.units, "gradients": _gradients(made, config, seed_list)}
    if task == FORECAST:
        return {**head, **_forecasts(made, config, seed_list)}
    rows = [row for length in config.lengths for row in _symbols(task, length, made, config, seed_list)]
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


def _symbols(
    task: str, length: int, made: Mapping[str, Any], config: SequenceConfig, seed_list: Sequence[int]
) -> list[dict[str, Any]]:
    found = []
    for label, component in made.items():
        training = rng.generators(seed_list, "training")
        test = _sampled(task, length, config, rng.generators(seed_list, "evaluation"), _TESTED)
        n_steps = test.x.shape[2]
        shape = SequenceShape(test.x.shape[3], config.symbols, n_steps * max(_TESTED, config.batch), _TESTED)
        shape = shape._replace(max_sequences=max(_TESTED, config.batch))
        learner = component.sequence_learner(shape, seed_list, LearnerSettings(config.learning_rate))
        for _ in range(config.updates):
            learner.update(*_sampled(task, length, config, training, config.batch))
        right = (learner.outputs(test.x).argmax(axis=-1) == test.target) * test.weight
        share = right.sum(axis=(1, 2)) / test.weight.sum(axis=(1, 2))
        found.append({"length": length, "cell": label, "right": summarised(share, (0.0, 1.0))})
    return found


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
        ValueError: no such column, or a cell that is no finite number; one line with its row.
    """
    rows = csv.DictReader(io.StringIO(read_text(path)))
    names = list(rows.fieldnames or ())
    if column not in names:
        raise ValueError(f"{path}: no column {column!r}, expected --column and one of {', '.join(names) or 'none'}")
    values = []
    for line, row in enumerate(rows, start=2):
        text = row[column] or ""
        try:
            value = float(text)
        except ValueError:
            value = np.nan
        if not np.isfinite(value):
            raise ValueError(f"{path}: row {line}, column {column} = {text!r}: expected a number")
        values.append(value)
    return np.array(values)


def _forecasts(made: Mapping[str, Any], config: SequenceConfig, seed_list: Sequence[int]) -> dict[str, Any]:
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
    for split in splits:
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
    ar = means["AR(p)"]
    beats = {label: bool((summarised(ar - means[label])["low"] or 0.0) > 0.0) for label in made}
    return {
        "series": known or config.csv,
        "n_values": len(series[0]),
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
    orders = [sequences.best_order(each, split, config.order) for each in series]
    found = {
        "persistence": [sequences.persistence(each, split) for each in series],
        "drift": [sequences.drift(each, split) for each in series],
        "AR(p)": [sequences.autoregressive(each, split, p) for each, p in zip(series, orders, strict=True)],
    }
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


def _gradients(made: Mapping[str, Any], config: SequenceConfig, seed_list: Sequence[int]) -> list[dict[str, Any]]:
    """Measure dh_T/ds_t of untrained cells at inputs of a standard normal, for both initial weights."""
    n_steps = config.lengths[-1] + 1
    x = np.stack([each.standard_normal((n_steps, 1)) for each in rng.generators(seed_list, "evaluation")])
    rows = []
    for label, component in made.items():
        for init in ("orthogonal", "uniform"):
            one = component._replace(settings=replace(component.settings, init=init))
            norms = one.state_gradients(x.astype(np.float32), seed_list)
            curve = np.exp(np.log(np.maximum(norms, 1e-45)).mean(axis=0))[::-1]  # by the distance T - t
            rows.append({"cell": label, "init": init, "distance": np.arange(n_steps), "norm": curve})
    return rows
