"""The words of a command line: names, flags and players' settings, each flag with one value; help drawn by tyro.

What a value may be is not decided here but where files are checked too (:mod:`simulator.settings`).
"""

from __future__ import annotations

import dataclasses
import os
import sys
from collections import deque
from collections.abc import Mapping, Sequence
from typing import Annotated, Any, Literal, NamedTuple, get_args, get_origin

from simulator.core.plugins import near_misses
from simulator.settings import Layer, Setting, check, describe, settings


class Given(NamedTuple):
    """What a command was given."""

    names: list[str]
    options: dict[str, Any]  # checked; only what was given
    own: dict[str, Any]  # table -> nested settings of a player, texts as they were typed


def read(words: Sequence[str], known: list[Setting], tables: Sequence[str] = ()) -> Given:
    """Sort the words of a command into names, its own flags and settings below ``tables`` (``--agent.step-size``).

    Raises:
        ValueError: an unknown flag, a missing value or a bad one, in one line.
    """
    names: list[str] = []
    texts: dict[str, Any] = {}
    switches = {setting.name for setting in known if setting.hint is bool}
    queue = deque(words)
    while queue:
        word = queue.popleft()
        if not word.startswith("-") or word == "-":
            names.append(word)
            continue
        flag, _, value = word.partition("=")
        path = _path(flag, known, tables)
        if path[0] in switches:
            value = value if "=" in word else "true"
        elif "=" not in word:
            if not queue or queue[0].startswith("--"):
                raise ValueError(f"{flag}: expected a value after it")
            value = queue.popleft()
        _put(texts, path, value, flag)
    own = {table: texts.pop(table) for table in tables if table in texts}
    return Given(names, check(known, texts, Layer(texts, flags=True)), own)


def _path(flag: str, known: list[Setting], tables: Sequence[str]) -> tuple[str, ...]:
    """``--agent.step-size`` -> ("agent", "step_size")."""
    path = tuple(flag.removeprefix("--").replace("-", "_").split("."))
    heads = list(tables) if len(path) > 1 else [setting.name for setting in known]
    if flag.startswith("--") and path[0] in heads and all(path):
        return path
    near = [_flag((name, *path[1:])) for name in near_misses(path[0], heads)]
    forms = ["--NAME", *(f"--{table}.SETTING" for table in tables)]
    raise ValueError(
        f"{flag if len(flag) <= 60 and flag.isprintable() else repr(flag[:57] + '...')}: no such flag"
        + (f"; did you mean {' or '.join(near)}?" if near else f", expected {' or '.join(forms)}")
    )


def _flag(path: tuple[str, ...]) -> str:
    return "--" + ".".join(path).replace("_", "-")


def _put(texts: dict[str, Any], path: tuple[str, ...], value: str, flag: str) -> None:
    for key in path[:-1]:
        texts = texts.setdefault(key, {})
        if not isinstance(texts, dict):
            raise ValueError(f"{flag}: {key} was given a value already, expected one or the other")
    if isinstance(texts.get(path[-1]), dict):
        raise ValueError(f"{flag}: settings of {path[-1]} were given already, expected one or the other")
    texts[path[-1]] = value


def show_help(usage: str, about: str, known: list[Setting], players: Mapping[str, Any] | None = None) -> None:
    """Print the help of a command: its own flags, then those of ``players``, table -> (title, Config)."""
    import tyro

    if os.environ.get("NO_COLOR") or not sys.stdout.isatty():
        tyro._experimental_options["ansi_codes"] = False
    flags: list[Any] = [(usage.split()[1], tyro.conf.OmitArgPrefixes[_flags(known, "")])]
    for table, (title, config) in (players or {}).items():
        flags.append((table, _flags(settings(config), title)))
    form = dataclasses.make_dataclass("Form", flags)
    try:
        tyro.cli(form, args=["--help"], prog=usage, description=about)
    except SystemExit:
        return


def _flags(known: list[Setting], title: str) -> type[Any]:
    """A dataclass for tyro with one flag per setting, described as the check sees it."""
    import tyro

    fields: list[Any] = []
    for setting in known:
        if dataclasses.is_dataclass(setting.hint):
            inner = _flags(settings(setting.hint), setting.doc)  # type: ignore[arg-type]
            fields.append((setting.name, inner, dataclasses.field(default_factory=inner)))
            continue
        if setting.hint is bool and not title:  # a switch of the command itself
            switch = tyro.conf.arg(help=setting.doc, help_behavior_hint="")
            fields.append((setting.name, Annotated[tyro.conf.FlagCreatePairsOff[bool], switch], False))
            continue
        metavar, range_ = _form(setting.hint)
        hint = f"({range_}default: {written(setting.default)})"
        named = tyro.conf.arg(metavar=metavar, help=setting.doc, help_behavior_hint=hint)
        fields.append((setting.name, Annotated[str, named], ""))
    return dataclasses.make_dataclass("Flags", fields, namespace={"__doc__": title or " "})


def _form(hint: Any) -> tuple[str, str]:
    """What stands for the value in help, and what is to be said of its range."""
    if get_origin(hint) is Literal:
        return "|".join(map(str, get_args(hint))), ""
    text = describe(hint).removesuffix(" or none")
    short = {"true or false": "true|false", "a whole number": "INTEGER", "a number": "NUMBER", "text": "TEXT"}
    for start, metavar in short.items():
        if text.startswith(start):
            rest = text.removeprefix(start).strip()
            return metavar, f"{rest}; " if rest else ""
    return "VALUE", f"{text}; "


def written(value: Any) -> str:
    """A value as it is written on a command line."""
    if value is None or isinstance(value, bool):
        return "none" if value is None else str(value).lower()
    if isinstance(value, list | tuple):
        return ",".join(map(written, value))
    if isinstance(value, dict):
        return ",".join(f"{key}={written(item)}" for key, item in value.items()) or "{}"
    return f"{value:_}" if isinstance(value, int) else str(value)
