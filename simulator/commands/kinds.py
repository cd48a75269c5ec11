"""Kinds of stored experiments, and what ``resume``, ``show`` and ``report`` do with each.

A kind has the name of the command that makes such experiments, whose file in this folder describes it
(``stored_kind``) and is loaded when an experiment of that kind is named.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from importlib import import_module
from typing import TYPE_CHECKING, Any, NamedTuple

from simulator.commands.parsing.command import CommandResult, ParsedArgs

if TYPE_CHECKING:
    from simulator.store.cell_store import TournamentRecord
    from simulator.store.records import RunRecord


class StoredKind(NamedTuple):
    """A kind of stored experiment."""

    config: type[Any]  # of its settings
    summary: Callable[[Any, str], dict[str, Any]]  # the JSON object, of its store and its id
    show: Callable[[Mapping[str, Any]], None]  # prints the summary for people
    resume: Callable[[str, str, ParsedArgs], CommandResult]  # ``engram resume``, of a name and a lab
    resume_options: tuple[str, ...] = ()  # those that mean something for it


def load(kind: str) -> StoredKind:
    """Load the description of a kind, one of :mod:`simulator.core.experiment_kinds`."""
    described: StoredKind = import_module(f"simulator.commands.{kind}").stored_kind()
    return described


class StoredExperiment(NamedTuple):
    """An experiment, as a lab has it."""

    kind: StoredKind
    record: RunRecord | TournamentRecord
    summary: dict[str, Any]


def find(name: str, lab: str) -> StoredExperiment:
    """Read a stored experiment.

    Args:
        name: its id, or "latest".
        lab: the lab's folder.

    Raises:
        StoreError: there is none.
    """
    from simulator.store.cell_store import OF_CELLS, CellStore, kind_of
    from simulator.store.lab import existing
    from simulator.store.run_store import Store

    kind = kind_of(existing(lab), name)
    if kind in OF_CELLS:
        with CellStore(lab) as cells:
            tournament = cells.find(cells.id_of(name, kind))
            described = load(kind)
            return StoredExperiment(described, tournament, described.summary(cells, tournament.name))
    with Store(lab) as store:
        run = store.find(name)
        described = load(run.kind)
        return StoredExperiment(described, run, described.summary(store, run.run))
