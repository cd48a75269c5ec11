"""The help of a command: its own options, and the settings of the players that are named before ``--help``.

To know a player's settings is to import it, and numba with it, which takes a second. So the settings of our own players
are kept in a file of the user's cache for as long as no source of theirs changes.
"""

from __future__ import annotations

import argparse
import contextlib
import dataclasses
import hashlib
import json
import os
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal, NamedTuple, get_args, get_origin

from simulator.commands.parsing.parser import ALONE, SHORT, format_value, option_of
from simulator.config import sockets
from simulator.config.validation import (
    ConfigSource,
    Setting,
    current_settings,
    describe,
    is_list,
    nested_fields,
    settings,
)
from simulator.core import registry
from simulator.core.components import is_socket_name


class OptionHelp(NamedTuple):
    """One option in help."""

    name: str
    metavar: str
    text: str


class OptionGroup(NamedTuple):
    """A table of settings of a player."""

    path: list[str]  # below the player's own table
    doc: str
    options: list[OptionHelp]


class PlayerHelp(NamedTuple):
    """The settings of a player, which are options below its table."""

    path: tuple[str, ...]  # ("agent",), ("memory", "hopfield")
    title: str
    groups: list[OptionGroup]


def help_text(
    usage: str,
    description: str,
    known: list[Setting],
    players: Sequence[PlayerHelp],
    examples: Sequence[str] = (),
) -> str:
    """Write the help of a command.

    Args:
        usage: the command with its names.
        description: one line.
        known: the command's own options.
        players: the players whose settings are options too.
        examples: lines that work as they stand, without the program's name.
    """
    lines = "".join(f"\n  engram {example}" for example in examples)
    parser = argparse.ArgumentParser(usage=f"{usage} [options]", description=description, add_help=False)
    own = parser.add_argument_group("options")
    own.add_argument("-h", "--help", action="store_true", help="print this help")
    for setting in known:
        names = filter(None, (SHORT.get(setting.name), option_of((setting.name,))))
        if setting.hint is bool:
            own.add_argument(*names, action="store_true", help=setting.doc.replace("%", "%%"))
        else:
            many = is_list(setting.hint)
            shown = _option(setting, many=many)
            nargs = "+" if many else "?" if setting.name in ALONE else None
            own.add_argument(*names, metavar=shown.metavar, help=shown.text, nargs=nargs)
    for player in players:
        for path, doc, options in player.groups:
            inner = (*player.path, *path)
            group = parser.add_argument_group(f"{'.'.join(inner)}: {doc}" if path else player.title)
            for option in options:
                group.add_argument(option_of((*inner, option.name)), metavar=option.metavar, help=option.text)
    page = parser.format_help()
    if not lines:
        return page
    head, title, rest = page.partition("\noptions:\n")
    return f"{head}\nexamples:{lines}\n{title}{rest}"


def player_help(
    path: tuple[str, ...], kind: str, name: str, find: Callable[[str], tuple[registry.Plugin, Any]] | None = None
) -> PlayerHelp:
    """Return the settings of a player, from the cache if it has them.

    Args:
        path: the table whose options they are.
        kind: a kind of the registry.
        name: the player's name, or that of a preset where ``find`` is given.
        find: finds a player by the name of a preset too.

    Raises:
        ValueError: there is no such player; one line.
    """
    title = f"settings of the {registry.SINGULAR[kind]} {{}}"
    source = registry.source_of(kind, name)
    if source is None:
        player = find(name)[0] if find else registry.load(kind, name)
        chosen = find(name)[1] if find else player.defaults()
        return PlayerHelp(path, title.format(player.name), list(_groups(current_settings(chosen), [], "")))
    plain = name.replace("-", "_")
    found = remembered(
        f"{kind}-{plain}", kind, lambda: list(_groups(settings(registry.load(kind, name).Config), [], ""))
    )
    groups = [OptionGroup(inner, doc, [OptionHelp(*setting) for setting in entries]) for inner, doc, entries in found]
    return PlayerHelp(path, title.format(plain), groups)


def component_help(player: PlayerHelp, sources: Sequence[ConfigSource]) -> list[PlayerHelp]:
    """Return the settings of the components that the sources choose for a player's sockets; the last choice counts.

    Raises:
        ValueError: there is no such component; one line.
    """
    chosen: dict[tuple[str, ...], str] = {}
    for source in sources:
        for group in player.groups:
            table: Any = source.values
            for key in (*player.path, *group.path):
                table = table.get(key) if isinstance(table, Mapping) else None
            for option in group.options if isinstance(table, Mapping) else ():
                value = table.get(option.name)
                named = value.get("name") if isinstance(value, Mapping) else value
                if is_socket_name(option.name) and named is not None:
                    chosen[(*player.path, *group.path, option.name)] = sockets.named_in(value)
    return [player_help(path, sockets.KIND, name) for path, name in chosen.items() if name]


def remembered(key: str, kind: str, find: Callable[[], Any]) -> Any:
    """Return what was found earlier, from the user's cache, while no source of this kind's players has changed.

    Args:
        key: names it in the cache.
        kind: a kind of the registry.
        find: finds it, as values of JSON.
    """
    state = _state_of(kind)
    file = _cache_folder() / f"{key}.json"
    with contextlib.suppress(OSError, ValueError, TypeError, KeyError):
        cached = json.loads(file.read_text("utf-8"))
        if cached["state"] == state:
            return cached["found"]
    found = find()
    with contextlib.suppress(OSError):
        _write(file, json.dumps({"state": state, "found": found}))
    return found


def _groups(options: list[Setting], path: list[str], doc: str) -> Iterator[OptionGroup]:
    plain = [setting for setting in options if not dataclasses.is_dataclass(setting.hint)]
    yield OptionGroup(path, doc, [_option(setting) for setting in plain])
    for setting in options:
        if dataclasses.is_dataclass(setting.hint):
            yield from _groups(nested_fields(setting), [*path, setting.name], setting.doc)
        elif component := sockets.chosen_in(setting.default):
            yield from _groups(current_settings(component.settings), [*path, setting.name], setting.doc)


def _option(setting: Setting, *, many: bool = False) -> OptionHelp:
    """Describe an option that takes a value, or ``many``."""
    expected = describe(setting.hint)
    if many:
        expected = expected.removeprefix("a list, each ")
    metavar = "VALUE"
    if get_origin(setting.hint) is Literal:
        metavar = "|".join(map(str, get_args(setting.hint)))
        expected = ""
    kinds = {"true or false": "true|false", "a whole number": "INTEGER", "a number": "NUMBER", "text": "TEXT"}
    for start, name in kinds.items():
        if expected.removesuffix(" or none").startswith(start):
            metavar = name
            expected = expected.removesuffix(" or none").removeprefix(start).strip()
    if socket := sockets.socket_of(setting.hint):
        values = sockets.values_of(socket)
        metavar = "|".join(values) if len(values) > 1 else "NAME"
        expected = "" if len(values) > 1 else expected
    default = format_value(setting.default)
    facts = "; ".join(filter(None, (expected, f"default: {default}" if default else "")))
    text = f"{setting.doc} ({facts})" if facts else setting.doc
    return OptionHelp(setting.name, metavar, text.replace("%", "%%"))


def _state_of(kind: str) -> str:
    """Return a digest that changes with every source that can change the settings of a kind of players."""
    top = registry.FOLDERS[kind].partition("/")[0]
    core = registry.ROOT / "simulator" / "core"
    sources = [*(registry.ROOT / top).rglob("*.py"), *core.glob("*.py"), Path(__file__)]
    stamps = [(str(path), path.stat().st_size, path.stat().st_mtime_ns) for path in sorted(sources)]
    return hashlib.sha256(repr(stamps).encode()).hexdigest()


def _cache_folder() -> Path:
    import platformdirs

    return Path(platformdirs.user_cache_dir("engram", appauthor=False)) / "help"


def _write(file: Path, text: str) -> None:
    """Write a file whole or not at all."""
    file.parent.mkdir(parents=True, exist_ok=True)
    handle, aside = tempfile.mkstemp(dir=file.parent)
    with os.fdopen(handle, "w", encoding="utf-8") as opened:
        opened.write(text)
    os.replace(aside, file)
