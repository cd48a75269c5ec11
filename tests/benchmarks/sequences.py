"""Cells that learn sequences without an agent: ``engram recall --sequence`` of every task, 16 seeds, with controls.

Beside the cells stand the exact bounds (right without memory; the best forecast of a known series), windows, and an
LSTM that keeps its first weights while the layer behind it learns. Settings were chosen on seeds 1000 to 1003.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any, NamedTuple

from simulator import console
from simulator.config.sequences import SequenceConfig
from simulator.core import registry
from simulator.recall.sequence_study import FORECAST, GRADIENT, CellEntry, study
from simulator.recall.sequences import SERIES, TASKS
from simulator.reporting import sequences

SEEDS = tuple(range(16))
UNITS = 32
CHRONO = 80
LENGTHS = {"delayed": (10, 20, 40, 80), "copy": (5, 10, 20, 40), "repeat-previous": (2, 4, 8, 16)}
FORECAST_UNITS = 16
UPDATES = {"delayed": 400, "copy": 500, "repeat-previous": 500}
LEARNING_RATES = {"delayed": 0.003, "copy": 0.01, "repeat-previous": 0.01}
GRADIENT_LENGTH = 50


class Entry(NamedTuple):
    """A cell of the tables with its settings."""

    label: str
    name: str
    settings: dict[str, Any]


SYMBOL_CELLS = (
    Entry("no memory", "window", {"k": 1}),
    Entry("the last 4 rows", "window", {"k": 4}),
    Entry("the last 16 rows", "window", {"k": 16}),
    Entry("Elman", "elman", {"units": UNITS}),
    Entry("GRU", "gru", {"units": UNITS}),
    Entry("GRU, chrono", "gru", {"units": UNITS, "chrono": CHRONO}),
    Entry("LSTM", "lstm", {"units": UNITS}),
    Entry("LSTM, chrono", "lstm", {"units": UNITS, "chrono": CHRONO}),
    Entry("LSTM, untrained", "lstm", {"units": UNITS, "trainable": False}),
)
FORECAST_CELLS = (
    Entry("the last 8 changes", "window", {"k": 8}),
    Entry("Elman", "elman", {"units": FORECAST_UNITS}),
    Entry("GRU", "gru", {"units": FORECAST_UNITS}),
    Entry("LSTM", "lstm", {"units": FORECAST_UNITS}),
    Entry("LSTM, untrained", "lstm", {"units": FORECAST_UNITS, "trainable": False}),
)
GRADIENT_CELLS = tuple(Entry(label, label.lower(), {"units": UNITS}) for label in ("Elman", "GRU", "LSTM"))


def main(json: bool) -> dict[str, Any]:
    """Return the result of every study: task or series -> what ``engram recall --sequence --json`` prints."""
    found = {}
    for name, result in studies():
        if not json:
            sequences.show(result)
        found[name] = _plain(result)
    return found


def studies() -> Iterator[tuple[str, dict[str, Any]]]:
    """Run the studies, the short ones first."""
    gradient = SequenceConfig(lengths=(GRADIENT_LENGTH,), units=UNITS)
    yield GRADIENT, study(GRADIENT, _cells(GRADIENT_CELLS), gradient, SEEDS)
    for series in SERIES:
        config = SequenceConfig(series=series, updates=150, batch=8, learning_rate=0.003)
        yield series, study(FORECAST, _cells(FORECAST_CELLS), config, SEEDS)
    for task in TASKS:
        config = SequenceConfig(
            lengths=LENGTHS[task], updates=UPDATES[task], batch=16, learning_rate=LEARNING_RATES[task]
        )
        yield task, study(task, _cells(SYMBOL_CELLS), config, SEEDS)


def _cells(entries: tuple[Entry, ...]) -> list[CellEntry]:
    found = []
    for entry in entries:
        player = registry.load("components", entry.name)
        found.append(CellEntry(entry.label, entry.name, player.Config(**entry.settings)))
    return found


def _plain(result: dict[str, Any]) -> Any:
    """Return a result as JSON has it: lists for arrays, null for what is not finite."""
    return json.loads(console.as_json(result))
