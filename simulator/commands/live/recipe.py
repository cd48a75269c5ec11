"""Recipes: the command lines that make again what a window shows, and what goes on from it.

A line is written from the stored config, and read back before it is given: where it would not make the same experiment,
the line is ``engram reproduce``, which reads the config itself.
"""

from __future__ import annotations

import dataclasses
import shlex
from collections.abc import Iterator, Mapping
from typing import Any

from simulator.commands.parsing.parser import SHORT, format_value, option_of
from simulator.config.codec import assemble, build, of_record, own_settings, plain_label, tables_of
from simulator.config.run import RunConfig
from simulator.config.tournament import TournamentConfig
from simulator.core.experiment_kinds import RUN, TOURNAMENT
from simulator.store.cell_store import CellStore, kind_of
from simulator.store.lab import existing
from simulator.store.records import StoreError, StoreFailure
from simulator.store.run_store import Store

CHANGE_NO_RESULT = ("threads",)  # of a run's settings
ENTRIES = {"agent": "agents", "memory": "memories", "player": "players"} | {
    "env": "envs",
    "challenge": "challenges",
    "game": "games",
}


def recipe(lab: str, name: str, onward: bool = False) -> str:
    """Return the line that makes a stored experiment again.

    A run has its changes in it, those of a window too, and what it began with (``--from``).

    Args:
        lab: folder of the lab.
        name: id of a run, recall benchmark or tournament.
        onward: of a run: the line that begins another one like it with what this one has learned.

    Raises:
        ValueError: there is no such experiment any more, or its lab cannot be read; one line.
    """
    try:
        config, words = _of_tournament(lab, name) if kind_of(lab, name) == TOURNAMENT else _of_run(lab, name, onward)
    except (StoreFailure, OSError) as error:
        raise StoreError(" ".join(str(error).split())) from None
    if words and (onward or _reads_back(config, words)):
        return shlex.join(["engram", *words])
    return shlex.join(["engram", "reproduce", name, "--lab", lab])


def _of_run(lab: str, run: str, onward: bool) -> tuple[Any, list[str]]:
    """Return the config and the words of a run; no words where its config alone does not make it again."""
    with Store(existing(lab)) as store:
        record = store.find(run)
        if record.kind != RUN:
            return None, []
        config = of_record(RunConfig, record)
    if onward:
        return config, [*run_words(dataclasses.replace(config, changes=(), start=record.run)), "--lab", lab]
    return config, [] if record.extended else run_words(config)


def _of_tournament(lab: str, name: str) -> tuple[TournamentConfig, list[str]]:
    with CellStore(existing(lab)) as store:
        config = of_record(TournamentConfig, store.find(name))
    return config, tournament_words(config)


def run_words(config: RunConfig) -> list[str]:
    """Write a run as words behind ``engram``: seeds, steps, and every other setting that is not the default."""
    tables = tables_of(config)
    bare = tables_of(build(RunConfig, {table: {"name": tables[table]["name"]} for table in ("agent", "env")}))
    named = tables_of(build(RunConfig, {table: _names_in(tables[table]) for table in ("agent", "env")}))
    words = ["run", config.agent, config.env, "--seeds", str(config.seeds), "--steps", str(config.steps)]
    words += [SHORT["start"], config.start] if config.start else []
    own = {setting.name: tables[setting.name] for setting in own_settings(RunConfig)}
    for name in ("seeds", "steps", "start", "changes", *CHANGE_NO_RESULT):
        del own[name]
    words += _options(own, bare, bare)
    for table in ("agent", "env"):
        words += _options(tables[table], named[table], bare[table], (table,))
    return [*words, "--changes", *config.changes] if config.changes else words


def tournament_words(config: TournamentConfig) -> list[str]:
    """Write a tournament as words behind ``engram``: contestants, challenges, and the settings that were given."""
    tables = tables_of(config)
    words = ["tournament"]
    for table, option in ENTRIES.items():
        entries = tables.get(table, {})
        words += [f"--{option}"] if entries else []
        words += [name if (name := entry["name"]) == label else f"{label}={name}" for label, entry in entries.items()]
    words += ["--seeds", str(config.seeds), "--steps", str(config.steps)]
    defaults = {setting.name: setting.default for setting in own_settings(TournamentConfig)}
    own = {name: tables[name] for name in defaults if name in tables and name not in ("seeds", "steps")}
    words += _options(own, defaults, defaults)
    for table in ENTRIES:
        for label, entry in tables.get(table, {}).items():
            given = {name: value for name, value in entry.items() if name != "name"}
            words += _options(given, {}, {}, (table, plain_label(label)))
    return words


def _names_in(table: Mapping[str, Any]) -> dict[str, Any]:
    """Return the names of a player and of the components within it, without their settings."""
    names: dict[str, Any] = {}
    for key, value in table.items():
        if key == "name":
            names[key] = value
        elif isinstance(value, Mapping) and (inner := _names_in(value)):
            names[key] = inner
    return names


def _table_in(table: Mapping[str, Any], key: str) -> Mapping[str, Any]:
    found = table.get(key)
    return found if isinstance(found, Mapping) else {}


def _options(
    table: Mapping[str, Any], named: Mapping[str, Any], bare: Mapping[str, Any], path: tuple[str, ...] = ()
) -> Iterator[str]:
    """Yield the options of what differs: names from those of a bare player, settings from those of the named one."""
    for key, value in table.items():
        within = (*path, key)
        if isinstance(value, Mapping):
            named_here, bare_here = (_table_in(default, key) for default in (named, bare))
            yield from _options(value, named_here, bare_here, within)
        elif key == "name":
            if path[1:] and value != bare.get(key):
                yield from (option_of(path), value)
        elif value != named.get(key):
            yield from (option_of(within), _text(value))


def _text(value: Any) -> str:
    return str(value) if type(value) is int else format_value(value)


def _reads_back(config: Any, words: list[str]) -> bool:
    """Tell whether the command line makes a config again, but for what changes no result."""
    from simulator.commands import run, tournament
    from simulator.commands.main import command_of, parsed_args

    sources_of = run.config_sources if words[0] == "run" else tournament.config_sources
    try:
        again = assemble(type(config), sources_of(parsed_args(command_of(words[0]), words[1:])))
    except ValueError:
        return False
    tables = [tables_of(each) for each in (config, again)]
    for table in tables:
        for name in CHANGE_NO_RESULT:
            table.pop(name, None)
    return bool(tables[0] == tables[1])
