"""What later versions call otherwise: read here, and only here, when settings that were stored come back.

Whoever renames or drops a setting, a value or a player adds a line to ``CHANGES`` with the version that has it so, and
stored runs, contests and tournaments are read as before: shown, reported, resumed and played again. What was dropped is
ignored where its stored value changes nothing today, and refused elsewhere, with the version that plays it.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import nullcontext, suppress
from typing import Any, NamedTuple, TypeVar

from simulator.config import imports
from simulator.config.validation import ConfigSource
from simulator.core.files.reading import parse_toml
from simulator.versions import OURS, version_of

DISTRIBUTION = OURS
_KINDS = {  # table of stored settings -> kind of the players whose names and settings stand in it
    **{"agent": "agents", "env": "envs", "memory": "memories", "challenge": "challenges", "game": "games"},
    **{"player": "agents", "first": "agents", "second": "agents"},
}
_REFUSED = object()
Config = TypeVar("Config")


class Change(NamedTuple):
    """A setting, or a player, that has another name since some version, or none."""

    version: str  # of engram-rl, the first that has it so
    of: str  # "agents", "envs", "memories", "challenges" or "games": theirs; "run", "recall", "tournament": its own
    player: str  # whose setting it is, as it was called then; "*": of every player; "": an experiment's own
    old: str  # the setting, with a dot before what stands in a table within; "": the player itself
    new: str | None  # what it is called since; None: nothing
    values: Mapping[Any, Any] = {}  # its values that are called otherwise, old -> new
    harmless: Any = _REFUSED  # of what was dropped: the value with which nothing else comes out


CHANGES: tuple[Change, ...] = ()  # the oldest first


class Stored(NamedTuple):
    """Settings that were stored, as this version calls them."""

    layer: ConfigSource  # not yet checked
    notes: tuple[str, ...]  # a line for everything that was called otherwise


def read_stored(experiment: str, text: str, where: str, versions: Mapping[str, str], *, refuse: bool = True) -> Stored:
    """Settings that were stored, under the names that they have today.

    Args:
        experiment: "run", "recall", "tournament" or "match".
        text: TOML.
        where: names it in errors.
        versions: of the distributions that they were stored with.
        refuse: off: what was dropped is left as it is.

    Raises:
        ValueError: not TOML; a setting that was dropped stands at a value that nothing today is like; one line.
    """
    try:
        tables, notes = parse_toml(text), list[str]()
    except ValueError as error:
        raise ValueError(f"{where}: {error}") from None
    made_by = versions.get(DISTRIBUTION)
    for change in CHANGES:
        if _older(made_by, change.version):
            for place, table in list(_places(experiment, tables, change)):
                with nullcontext() if refuse else suppress(ValueError):
                    notes += _apply(change, place, table, where)
    return Stored(ConfigSource(tables, where), tuple(notes))


def configured(
    assemble: Callable[[Sequence[ConfigSource]], Config],
    experiment: str,
    text: str,
    where: str,
    versions: Mapping[str, str],
) -> Config:
    """The checked settings of something stored; see :func:`read_stored`.

    Raises:
        ValueError: they cannot be had any more; where another version stored them, the line names it.
    """
    try:
        stored = read_stored(experiment, text, where, versions).layer
        imports.tell(stored.values, where)  # a lab may be from elsewhere too
        return assemble([stored])
    except ValueError as error:
        made_by, here = versions.get(DISTRIBUTION), version_of(DISTRIBUTION)
        if made_by in (None, here):
            raise
        advice = f"{DISTRIBUTION} {made_by} made it and can play it, this is {here}; show and report still work here"
        raise ValueError(f"{error}; {advice}") from error


def notes_of(
    assemble: Callable[[Sequence[ConfigSource]], Any],
    experiment: str,
    text: str,
    where: str,
    versions: Mapping[str, str],
) -> list[str]:
    """What people should know of stored settings: what is called otherwise now, and why they cannot be played."""
    try:
        notes = list(read_stored(experiment, text, where, versions).notes)
        configured(assemble, experiment, text, where, versions)
    except ValueError as error:
        return [f"it cannot be played on or again: {error}"]
    return notes


def _places(experiment: str, tables: dict[str, Any], change: Change) -> Iterator[tuple[str, dict[str, Any]]]:
    """Where the change can apply: dotted name and table of settings."""
    if change.of == experiment:
        yield "", tables
    for name, kind in _KINDS.items():
        if kind == change.of:
            for label, table in _seats(tables.get(name)):
                player = table.setdefault("name", label) if label else table.get("name")
                if change.player == "*" or str(player).replace("-", "_") == change.player.replace("-", "_"):
                    yield f"{name}.{label}." if label else f"{name}.", table


def _seats(table: Any) -> Iterator[tuple[str, dict[str, Any]]]:
    """The players in a table: one, whose settings it holds, or several by label."""
    if isinstance(table, dict) and isinstance(table.get("name"), str):
        yield "", table
    elif isinstance(table, dict):
        yield from ((label, own) for label, own in table.items() if isinstance(own, dict))


def _apply(change: Change, place: str, root: dict[str, Any], where: str) -> list[str]:
    """Do to one table of settings what a version did; what there is to say of it."""
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
        return [f"{place}{change.old} was dropped in version {change.version}; as it is here it changes nothing"]
    *within, last = change.new.split(".")
    table = root
    for name in within:
        table = table.setdefault(name, {})
    table[last] = value if isinstance(value, list | dict) else change.values.get(value, value)
    told = f"{place}{change.old} is {place}{change.new} since version {change.version}"
    return [told + ("" if table[last] == value else f", {value!r} is {table[last]!r}")]


def _apply_to_player(change: Change, place: str, table: dict[str, Any], where: str) -> str:
    """Give a player the name that it has since a version."""
    if change.new is None:
        raise ValueError(f"{where}: {place}name = {change.player!r}: version {change.version} dropped this player")
    table["name"] = change.new
    return f"{place}name {change.player!r} is {change.new!r} since version {change.version}"


def _older(made_by: str | None, since: str) -> bool:
    """Whether a version is before another one; one that nobody noted is."""
    return made_by is None or _release(made_by) < _release(since)


def _release(text: str) -> tuple[int, ...]:
    """A version's numbers, to compare."""
    numbers = re.match(r"[\d.]+", text)
    return tuple(int(each) for each in numbers[0].split(".") if each) if numbers else ()
