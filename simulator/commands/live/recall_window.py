"""Recall in the window: a benchmark while it is measured, then one memory to be painted at; and stored benchmarks."""

from __future__ import annotations

import shlex
from collections.abc import Callable
from dataclasses import fields, is_dataclass
from typing import Any

from simulator.commands.parsing.parser import format_value
from simulator.config.codec import PlayerEntry, of_record
from simulator.config.recall import RecallConfig
from simulator.core import registry
from simulator.core.experiment_kinds import RECALL
from simulator.recall.stepping import InteractiveRecall, RecallSetup
from simulator.store.lab import existing
from simulator.store.records import StoreError, StoreFailure
from simulator.store.run_store import Store
from simulator.views.window.recall_page import Choice, RecallPage


def page_of(config: RecallConfig, progress: Callable[[], str] = str) -> RecallPage:
    """Make the page of a benchmark's memories, which recall its first number of patterns and corruption.

    Raises:
        ValueError: no memory can be built for this challenge.
    """
    choices = []
    refusals = []
    for entry in config.contestants:
        make = _maker(config, entry)
        try:
            make()
        except ValueError as error:
            refusals.append(str(error))
        else:
            choices.append(Choice(entry.label, make))
    if not choices:
        raise ValueError(refusals[0])
    return RecallPage(choices, config.challenge, command_of, progress=progress)


def _maker(config: RecallConfig, entry: PlayerEntry) -> Callable[[], InteractiveRecall]:
    setup = RecallSetup(
        memory=entry,
        challenge=config.challenge,
        challenge_settings=config.challenge_settings,
        seed=config.first_seed,
        n_patterns=config.patterns[0],
        corruption=config.corruption[0],
    )
    return lambda: InteractiveRecall(setup)


def command_of(recall: Any) -> str:
    """Return the command line that opens the same recall: memory, patterns, corruption, seed, and changed settings."""
    setup = recall.setup
    entry = setup.memory
    label = entry.label if entry.label == entry.name else f"{entry.label}={entry.name}"
    words = ["engram", "recall", label, setup.challenge, "--patterns", str(setup.n_patterns)]
    words += ["--corruption", setup.corruption, "--seeds", "1", "--first-seed", str(setup.seed)]
    defaults = registry.load("memories", entry.name).defaults()
    words += _changes(entry.settings, defaults, f"--memory.{entry.label}")
    words += _changes(setup.challenge_settings, registry.load("challenges", setup.challenge).defaults(), "--challenge")
    return shlex.join([*words, "--view", "window"])


def _changes(chosen: Any, defaults: Any, place: str) -> list[str]:
    """Return options for the settings that differ from the defaults."""
    words: list[str] = []
    for field in fields(chosen):
        value = getattr(chosen, field.name)
        default = getattr(defaults, field.name)
        if is_dataclass(value) and type(value) is type(default):
            words += _changes(value, default, f"{place}.{field.name}")
        elif value != default:
            words += [f"{place}.{field.name}", *_words(value)]
    return words


def _words(value: Any) -> list[str]:
    return [str(item) for item in value] if isinstance(value, tuple) else [format_value(value)]


class StoredProgress:
    """Progress of a stored benchmark, read from its lab only; a lab that cannot be read now says so.

    Args:
        lab: its folder.
        run: its id.
    """

    def __init__(self, lab: str, run: str) -> None:
        self._lab = lab
        self._run = run

    def __call__(self) -> str:
        """Return a line."""
        try:
            with Store(existing(self._lab)) as store:
                record = store.find(self._run)
                is_written = store.is_written(record.run)
        except (ValueError, OSError, StoreError, StoreFailure) as error:
            return " ".join(str(error).split())
        status = record.status
        if status == "running" and not is_written:
            status = "killed"
        return f"{record.run}: {record.step:,} of {record.steps:,} cells, {status}"


def stored_page(run: str, lab: str) -> RecallPage:
    """Make the page of a stored recall benchmark's memories.

    Raises:
        ValueError: no such benchmark, or a player that is gone.
    """
    with Store(existing(lab)) as store:
        record = store.find(run)
        if record.kind != RECALL:
            raise ValueError(f"{record.run}: a {record.kind}, expected a recall benchmark (engram list)")
        config = of_record(RecallConfig, record)
    return page_of(config, StoredProgress(lab, record.run))
