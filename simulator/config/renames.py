"""Renamed settings: former names of settings and players in stored configs.

A change that renames or drops a setting, a value or a player adds a line to ``CHANGES`` with the first version that has
it, and stored experiments can still be shown, reported, resumed and reproduced. A dropped setting is ignored where its
stored value changes nothing today, and refused elsewhere, with the version that can run it.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from contextlib import nullcontext, suppress
from typing import Any, NamedTuple

from simulator.config.validation import ConfigSource
from simulator.core.components import is_socket_name
from simulator.core.files.reading import parse_toml
from simulator.versions import OURS, version_of

DISTRIBUTION = OURS
_KINDS = {  # table of stored settings -> kind of its players
    **{"agent": "agents", "env": "envs", "memory": "memories", "challenge": "challenges", "game": "games"},
    **{"task": "tasks", "method": "memories"},
    **{"player": "agents", "first": "agents", "second": "agents"},
}
_REFUSED = object()


class RenamedSetting(NamedTuple):
    """A setting or a player that was renamed or dropped in some version."""

    version: str  # of engram-rl, the first that has it so
    of: str  # "agents", "components", "envs" and so on: theirs; "run", "recall", "tournament": its own
    player: str  # owner of the setting, by its old name; "*": every player; "": the experiment
    old: str  # dotted name of the setting; "": the player itself
    new: str | None  # new name; None: dropped
    values: Mapping[Any, Any] = {}  # renamed values, old -> new
    harmless: Any = _REFUSED  # value of a dropped setting that gives today's results

    def applies_to(self, player: Any) -> bool:
        """Tell whether a player of this name has the change."""
        return self.player == "*" or str(player).replace("-", "_") == self.player.replace("-", "_")


CHANGES: tuple[RenamedSetting, ...] = ()  # the oldest first


class Stored(NamedTuple):
    """Stored settings under the names of this version."""

    source: ConfigSource  # not yet checked
    notes: tuple[str, ...]  # a line for everything that was called otherwise


def read_stored(experiment: str, text: str, where: str, versions: Mapping[str, str], *, refuse: bool = True) -> Stored:
    """Read stored settings under the names that they have today.

    Args:
        experiment: "run", "recall", "match", "tournament" or "external".
        text: TOML.
        where: names it in errors.
        versions: of the distributions that they were stored with.
        refuse: off: dropped settings are kept.

    Raises:
        ValueError: not TOML; a dropped setting has a value without an equivalent today; one line.
    """
    try:
        tables = parse_toml(text)
    except ValueError as error:
        raise ValueError(f"{where}: {error}") from None
    notes: list[str] = []
    made_by = versions.get(DISTRIBUTION)
    for change in CHANGES:
        if _older(made_by, change.version):
            for place, table in list(_places(experiment, tables, change)):
                with nullcontext() if refuse else suppress(ValueError):
                    notes += _apply(change, place, table, where)
    return Stored(ConfigSource(tables, where), tuple(notes))


def made_by_other_version(versions: Mapping[str, str]) -> str:
    """Advise on settings that another version stored and this one cannot use; empty if this version stored them."""
    made_by = versions.get(DISTRIBUTION)
    this_version = version_of(DISTRIBUTION)
    if made_by in (None, this_version):
        return ""
    return f"{DISTRIBUTION} {made_by} made it and can run it, this is {this_version}; show and report still work here"


def _places(experiment: str, tables: dict[str, Any], change: RenamedSetting) -> Iterator[tuple[str, dict[str, Any]]]:
    """Iterate over the tables that a change can apply to, with their dotted names."""
    if change.of == experiment:
        yield "", tables
    for name, kind in _KINDS.items():
        for label, table in _players_in(tables.get(name)):
            place = f"{name}.{label}." if label else f"{name}."
            if kind == change.of and change.applies_to(table.setdefault("name", label) if label else table["name"]):
                yield place, table
            if kind == "agents" and change.of == "components":
                for within, inner in _components_in(table):
                    if change.applies_to(inner["name"]):
                        yield place + within, inner


def _players_in(table: Any) -> Iterator[tuple[str, dict[str, Any]]]:
    """Iterate over the players in a table: one, whose settings it holds, or several by label."""
    if isinstance(table, dict) and isinstance(table.get("name"), str):
        yield "", table
    elif isinstance(table, dict):
        yield from ((label, entry) for label, entry in table.items() if isinstance(entry, dict))


def _components_in(table: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    """Iterate over the components in a player's settings, with their dotted names."""
    for key, inner in table.items():
        if isinstance(inner, dict):
            if is_socket_name(key) and isinstance(inner.get("name"), str):
                yield f"{key}.", inner
            yield from ((f"{key}.{within}", component) for within, component in _components_in(inner))


def _apply(change: RenamedSetting, place: str, root: dict[str, Any], where: str) -> list[str]:
    """Apply a change to one table of settings, and return a line for people."""
    if not change.old:
        return [_apply_to_player(change, place, root, where)]
    *within, last = change.old.split(".")
    table: Any = root
    for name in within:
        table = table.get(name) if isinstance(table, dict) else None
    if not isinstance(table, dict) or last not in table:
        return []
    value = table.pop(last)
    if change.new is None:
        if change.harmless is _REFUSED or value != change.harmless:
            raise ValueError(f"{where}: {place}{change.old} = {value!r}: version {change.version} dropped this setting")
        return [f"{place}{change.old} was dropped in version {change.version}; the stored value has no effect"]
    *within, last = change.new.split(".")
    table = root
    for name in within:
        table = table.setdefault(name, {})
    table[last] = value if isinstance(value, list | dict) else change.values.get(value, value)
    notice = f"{place}{change.old} is {place}{change.new} since version {change.version}"
    return [notice + ("" if table[last] == value else f", {value!r} is {table[last]!r}")]


def _apply_to_player(change: RenamedSetting, place: str, table: dict[str, Any], where: str) -> str:
    """Rename a player to its name since a version."""
    if change.new is None:
        raise ValueError(f"{where}: {place}name = {change.player!r}: version {change.version} dropped this player")
    table["name"] = change.new
    return f"{place}name {change.player!r} is {change.new!r} since version {change.version}"


def _older(made_by: str | None, since: str) -> bool:
    """Tell whether a version is older than another one; an unknown one is."""
    return made_by is None or _release(made_by) < _release(since)


def _release(text: str) -> tuple[int, ...]:
    """Return a version's numbers, for comparison."""
    numbers = re.match(r"[\d.]+", text)
    return tuple(int(part) for part in numbers[0].split(".") if part) if numbers else ()
