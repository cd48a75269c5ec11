"""Codec of every experiment's config: TOML, flags and Python in, one checked dataclass, TOML and a hash out.

A kind of experiment is a frozen dataclass in a file of its own beside this one. That file registers a :class:`Format`,
with the properties of the kind: which tables name players, and what its hash depends on.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple, Protocol, TypeVar

from simulator.config import imports
from simulator.config.renames import made_by_other_version, read_stored
from simulator.config.sockets import KIND as COMPONENTS
from simulator.config.sockets import socket_of
from simulator.config.validation import ConfigSource, Setting, check, current_settings, merge, settings
from simulator.core import registry
from simulator.core.components import Component
from simulator.core.files.escaping import checked_name
from simulator.core.files.reading import add_to, names_file, parse_toml, read_text
from simulator.core.foreign.python_files import file_of, identity, with_imports
from simulator.core.stopping import raise_if_stopped

Config = TypeVar("Config")
Tables = dict[str, Any]
OF_A_CELL = "settings of the cell"  # the source of a tournament's cell, whose imports its tournament has announced


class PlayerEntry(NamedTuple):
    """A player with its settings, under a label of its own."""

    label: str
    name: str
    settings: Any  # the player's own Config


class Format(NamedTuple):
    """The properties of one kind of experiment.

    Attributes:
        experiment: its name: run, recall, match, tournament or external.
        tables: the tables that name players and hold their settings.
        fields: the fields of the config that are made of these tables.
        compose: makes the config of the sources and of its other settings, which are checked.
        players: the tables of a config's players.
        identify: changes the tables into what the result depends on, and returns the files whose content counts too.
    """

    experiment: str
    tables: tuple[str, ...]
    fields: tuple[str, ...]
    compose: Callable[[Sequence[ConfigSource], Tables], Any]
    players: Callable[[Any], Tables]
    identify: Callable[[Any, Tables], Iterable[str | Path]]


class StoredConfig(Protocol):
    """A record of the store that holds a config."""

    @property
    def settings(self) -> str:
        """TOML."""

    @property
    def settings_hash(self) -> str:
        """Hash of everything that the result depends on."""

    @property
    def versions(self) -> dict[str, str]:
        """Versions of the distributions that it was stored with."""

    @property
    def name(self) -> str:
        """The id of the experiment, such as "r1"."""


_FORMATS: dict[type[Any], Format] = {}


def register(kind: type[Any], form: Format) -> None:
    """Register a kind of config, so that the codec reads and writes it."""
    _FORMATS[kind] = form


# ---- reading


def own_settings(kind: type[Any]) -> list[Setting]:
    """List the settings of an experiment itself, without those of players."""
    return [setting for setting in settings(kind) if setting.name not in _FORMATS[kind].fields]


def assemble(kind: type[Config], sources: Sequence[ConfigSource]) -> Config:
    """Merge sources of settings into a config, each over the ones before.

    Raises:
        ValueError: a missing, unknown or bad setting, in one line that names the source.
    """
    form = _FORMATS[kind]
    allowed = [*own_settings(kind), *(Setting(table, dict, None, "") for table in form.tables)]
    tables: Tables = {}
    for source in sources:
        tables |= check(allowed, {key: value for key, value in source.values.items() if key not in form.tables}, source)
    config: Config = form.compose(sources, tables)
    return config


def build(kind: type[Config], values: Mapping[str, Any]) -> Config:
    """Make a config of nested tables.

    Raises:
        ValueError: a missing, unknown or bad setting, in one line.
    """
    return assemble(kind, [ConfigSource(values)])


def from_toml(kind: type[Config], text: str, where: str) -> Config:
    """Read a config from a TOML text; ``where`` names it in errors.

    Raises:
        ValueError: something in it is wrong, in one line.
    """
    return assemble(kind, [parse(text, where)])


def read(path: str | Path) -> ConfigSource:
    """Read the settings in a TOML file, unchecked.

    Raises:
        ValueError: the file cannot be read, in one line.
    """
    return parse(read_text(path, "a TOML file", allow_pipe=True), str(path))


def parse(text: str, where: str) -> ConfigSource:
    """Read the settings in a TOML text, unchecked, and announce the code that they import.

    Raises:
        ValueError: not TOML; the line names ``where``, the line and the column.
    """
    try:
        values = parse_toml(text)
    except ValueError as error:
        at = re.search(r" \(at (?:line (\d+), column (\d+)|end of document)\)$", str(error))
        if not at:
            raise ValueError(f"{where}: {error}") from None
        line = at[1] or text.count("\n") + 1
        column = at[2] or len(text) - text.rfind("\n")
        reason = " ".join(str(error)[: at.start()].split())
        raise ValueError(f"{where}: line {line}, column {column}: {reason}") from None
    if where != OF_A_CELL:
        imports.announce(values, where)
    return ConfigSource(values, where)


# ---- players


def table_at(source: ConfigSource, path: tuple[str, ...], value: Any) -> Mapping[str, Any]:
    """Return the value at ``path`` of a source, which must be a table.

    Raises:
        ValueError: it is something else, in one line.
    """
    if not isinstance(value, Mapping):
        raise ValueError(f"{source.place(path, value)}: expected a table of settings")
    return value


def choose(
    sources: Sequence[ConfigSource],
    table: str,
    kind: str,
    find: Callable[[str], tuple[registry.Plugin, Any]] | None = None,
) -> PlayerEntry:
    """Find the player that the last source with a name names, and merge its settings from all sources.

    Args:
        sources: the settings.
        table: the table that holds ``name`` and the settings; where ``find`` is given a ``label`` too.
        kind: a kind of the registry.
        find: player and settings of a name, where the names of presets count too.

    Raises:
        ValueError: no name, an unknown one or a bad setting, in one line that names the source.
    """
    tables = [table_at(source, (table,), source.values.get(table, {})) for source in sources]
    naming = [i for i, player_settings in enumerate(tables) if "name" in player_settings]
    if not naming:
        place = next((f"{source.where}: " for source in reversed(sources) if source.where), "")
        raise ValueError(f"{place}{table}.name is missing: expected the name of a player (engram list {kind})")
    source = sources[naming[-1]]
    name = tables[naming[-1]]["name"]
    if not isinstance(name, str):
        raise ValueError(f"{source.place((table, 'name'), name)}: expected the name of a player")
    try:
        if find is not None:
            player, chosen = find(name)
        else:
            player = registry.load(kind, name)
            chosen = player.defaults()
    except ValueError as error:
        raise ValueError(f"{source.where}: {error}" if source.where else str(error)) from error
    if find is None:
        return PlayerEntry(name, player.name, merged(player, chosen, zip(sources, tables, strict=True), (table,)))
    label = str(next((own["label"] for own in reversed(tables) if "label" in own), name))
    unlabelled = [{key: value for key, value in own.items() if key != "label"} for own in tables]
    chosen = merged(player, chosen, zip(sources, unlabelled, strict=True), (table,))
    return PlayerEntry(checked_name(label, f"{table}.label"), player.name, chosen)


def merged(
    player: registry.Plugin,
    chosen: Any,
    tables: Iterable[tuple[ConfigSource, Mapping[str, Any]]],
    path: tuple[str, ...],
) -> Any:
    """Merge what every source says of a player, but its name, into its settings.

    Args:
        player: the player.
        chosen: its settings before, such as the defaults.
        tables: its table in every source, each over the ones before.
        path: of the table, for errors.

    Raises:
        ValueError: an unknown or bad setting, in one line that names the source.
    """
    for source, table in tables:
        own = {key: value for key, value in table.items() if key != "name"}
        chosen = merge(chosen, check(current_settings(chosen), own, source, path, player.name))
    return chosen


def labelled(sources: Sequence[ConfigSource], table: str) -> dict[str, list[tuple[ConfigSource, Mapping[str, Any]]]]:
    """Collect by label what every source says of a player in a table of tables.

    Options of the command line name a label that another source has, and write ``_`` where it has ``-`` or the like.

    Raises:
        ValueError: no table, a label with invisible characters, or an option with an unknown label; one line.
    """
    entries: dict[str, list[tuple[ConfigSource, Mapping[str, Any]]]] = {}
    for source in sources:
        for label, value in table_at(source, (table,), source.values.get(table, {})).items():
            entry = table_at(source, (table, label), value)
            if not source.flags:
                key = checked_name(label, f"{source.where}: {table}" if source.where else table)
            elif not (
                meant := [known_label for known_label in entries if plain_label(known_label) == plain_label(label)]
            ):
                labels = ", ".join(entries) or "none"
                raise ValueError(f"{source.name((table, label))}: no {table} has this label, expected one of {labels}")
            else:
                key = meant[0]
            entries.setdefault(key, []).append((source, entry))
    return entries


def name_in(tables: Sequence[tuple[ConfigSource, Mapping[str, Any]]], label: str) -> str:
    """Return the name of a player that has a label: the last one in its tables, by default the label."""
    return str(next((table["name"] for _, table in reversed(tables) if "name" in table), label))


def plain_label(label: str) -> str:
    """Convert a label to the form that options of the command line use."""
    return "".join(letter if letter.isalnum() else "_" for letter in label)


def table_of(name: str, chosen: Any) -> Tables:
    """Return the table of a player or a component: its name and all its settings."""
    return {"name": name, **_table(chosen)}


def _table(chosen: Any) -> Tables:
    table = dataclasses.asdict(chosen)
    for field in dataclasses.fields(chosen):
        value = getattr(chosen, field.name)
        if isinstance(value, Component):
            table[field.name] = table_of(value.name, value.settings)
        elif dataclasses.is_dataclass(value):
            table[field.name] = _table(value)
    return table


def files_of(kind: str, name: str, chosen: Any) -> list[str]:
    """List the files that a player's settings name, by its module's function ``files(config)``.

    Where it has none they are the settings that are written as paths (:func:`simulator.core.files.reading.names_file`):
    a file in the working folder with the name of a setting's value does not count. Those of its components follow.
    """
    listed = getattr(registry.load(kind, name).module, "files", None)
    if listed is not None:
        files = list(map(str, listed(chosen)))
    else:
        values = (getattr(chosen, field.name) for field in dataclasses.fields(chosen))
        files = [value for value in values if names_file(value)]
    for component in components_of(chosen):
        files += files_of(COMPONENTS, component.name, component.settings)
    return files


def count_file_names(table: Tables, kind: str, name: str, chosen: Any) -> list[str]:
    """List the files that a module's function ``files(config)`` names, and write their names into a player's table."""
    listed = getattr(registry.load(kind, name).module, "files", None)
    files = list(map(str, listed(chosen))) if listed else []
    if files:
        table["files"] = [Path(path).name for path in files]
    return files


def components_of(chosen: Any) -> list[Component]:
    """List the components in the settings of a player, without those that these have in turn."""
    values = [getattr(chosen, field.name) for field in dataclasses.fields(chosen)]
    found = [value for value in values if isinstance(value, Component)]
    for value in values:
        if dataclasses.is_dataclass(value) and not isinstance(value, Component):
            found += components_of(value)
    return found


# ---- writing


def to_toml(config: Any) -> str:
    """Write every setting as TOML, which ``from_toml`` reads back as the same config. None is written as ``"none"``."""
    import tomli_w

    return tomli_w.dumps(tables_of(config))


def settings_hash(config: Any) -> str:
    """Hash everything that the result depends on (SHA-256, hex): configs of the same hash give the same bits.

    If a setting names a file (a map, a policy), its content counts too.
    """
    return hash_of(tables_of(config), config)


def hash_of(tables: Tables, config: Any) -> str:
    """Hash a config's tables as they are, under the names of the version that wrote them."""
    tables = _copy(tables)
    files = list(_FORMATS[type(config)].identify(config, tables))
    digest = hashlib.sha256(json.dumps(tables, sort_keys=True, default=str).encode())
    for path in files:
        raise_if_stopped()
        add_to(digest, path)
    return digest.hexdigest()


def tables_of(config: Any) -> Tables:
    """Return the nested tables of a config, which ``build`` reads."""
    values = {setting.name: getattr(config, setting.name) for setting in own_settings(type(config))}
    tables: Tables = plain({**values, **_FORMATS[type(config)].players(config)})
    return tables


def forget_place(table: Tables, chosen: Any = None) -> None:
    """Write a player's file by its name and content, so that a hash does not depend on the folder.

    The files of the components in its settings, ``chosen``, too. A socket without a component is left out: an agent
    that gets a socket is without a component what it was.
    """
    table["name"] = identity(table["name"])
    if chosen is not None:
        _forget_places(table, chosen)


def _forget_places(table: Tables, chosen: Any) -> None:
    for setting in current_settings(chosen):
        inner = table.get(setting.name)
        value = setting.default
        if socket_of(setting.hint) and inner == "none":
            del table[setting.name]
        elif isinstance(inner, dict) and isinstance(value, Component):
            forget_place(inner, value.settings)
        elif isinstance(inner, dict) and dataclasses.is_dataclass(value):
            _forget_places(inner, value)


def plain(value: Any) -> Any:
    """Convert settings to the types of TOML: None becomes the string none, sequences become lists."""
    if isinstance(value, Mapping):
        return {key: plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [plain(item) for item in value]
    return "none" if value is None else value


def unplain(value: Any) -> Any:
    """Convert settings from the types of TOML: the string none becomes None, in tables and lists too."""
    if isinstance(value, Mapping):
        return {key: unplain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [unplain(item) for item in value]
    return None if value == "none" else value


def _copy(tables: Tables) -> Tables:
    return {key: _copy(value) if isinstance(value, dict) else value for key, value in tables.items()}


# ---- stored configs


def from_stored(kind: type[Config], text: str, where: str, versions: Mapping[str, str]) -> Config:
    """Read a config that was stored, under the names that its settings have today.

    Args:
        kind: the config's class.
        text: TOML.
        where: names it in errors.
        versions: of the distributions that it was stored with.

    Raises:
        ValueError: it cannot be used any more; where another version stored it, the line names that version.
    """
    try:
        stored = read_stored(_FORMATS[kind].experiment, text, where, versions).source
        imports.announce(stored.values, where)  # a lab may be from elsewhere too
        return assemble(kind, [stored])
    except ValueError as error:
        if not (advice := made_by_other_version(versions)):
            raise
        raise ValueError(f"{error}; {advice}") from error


def of_record(kind: type[Config], record: StoredConfig) -> Config:
    """Read the config of a stored experiment; see :func:`from_stored`."""
    return from_stored(kind, record.settings, _where(record), record.versions)


def stored_tables(kind: type[Any], record: StoredConfig) -> Tables:
    """Return the unchecked tables of a stored config, with defaults filled in; its players may be gone."""
    if not record.settings:
        return {}
    stored = read_stored(_FORMATS[kind].experiment, record.settings, _where(record), record.versions, refuse=False)
    return {**{setting.name: setting.default for setting in own_settings(kind)}, **stored.source.values}


def outline(kind: type[Config], record: StoredConfig) -> Config:
    """Read a stored benchmark without its players' settings, so that it can be shown when a player is gone.

    The tables of its kind name the contestants by label, and the one place where they compete.
    """
    tables = stored_tables(kind, record)
    contestants, place = _FORMATS[kind].tables
    entries = [PlayerEntry(label, str(own.get("name", label)), None) for label, own in tables[contestants].items()]
    values = {setting.name: tables[setting.name] for setting in own_settings(kind)}
    own = {name: tuple(value) if isinstance(value, list) else value for name, value in values.items()}
    make: Callable[..., Config] = kind
    return make(str(tables[place].get("name")), tuple(entries), **own)


def stored_notes(kind: type[Any], record: StoredConfig) -> list[str]:
    """Describe which settings of a stored config have new names, and why it cannot be run again."""
    place = (record.settings, _where(record), record.versions)
    try:
        notes = list(read_stored(_FORMATS[kind].experiment, *place).notes)
        from_stored(kind, *place)
    except ValueError as error:
        return [f"it cannot be resumed or reproduced: {error}"]
    return notes


def is_as_stored(config: Any, record: StoredConfig) -> bool:
    """Tell whether a stored experiment has this config, and its files their content of when it began."""
    digest = settings_hash(config)
    if digest == record.settings_hash:
        return True
    if digest != settings_hash(of_record(type(config), record)):
        return False
    return hash_of(parse_toml(record.settings), config) == record.settings_hash  # under the names of its time


def content_hashes(config: Any) -> dict[str, str]:
    """Hash the content of every file that the result depends on: path -> SHA-256, hex.

    These are the players' own files with what they import of the user's, and the files that settings name.
    """
    tables = tables_of(config)
    named = [Path(path).resolve() for path in _FORMATS[type(config)].identify(config, _copy(tables))]
    code = with_imports(file for name in _names_in(tables) if (file := file_of(name)))
    hashes = {}
    for path in dict.fromkeys([*code, *named]):
        digest = hashlib.sha256()
        add_to(digest, path)
        hashes[str(path)] = digest.hexdigest()
    return hashes


def _names_in(tables: Tables) -> Iterator[str]:
    """Iterate over the names of players in nested tables."""
    for key, value in tables.items():
        if isinstance(value, Mapping):
            yield from _names_in(dict(value))
        elif key == "name" and isinstance(value, str):
            yield value


def _where(record: StoredConfig) -> str:
    return f"settings of {record.name}"
