"""The words of a command line, read by tyro: one form of flags, own and players', draws the help and parses the words.

Every flag's value stays a text here: what it may be is decided where files are checked too
(:mod:`simulator.config.validation`).
"""

from __future__ import annotations

import contextlib
import dataclasses
import io
import os
import re
import shutil
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Annotated, Any, Literal, NamedTuple, get_args, get_origin

from simulator.config.validation import ConfigSource, Setting, check, describe, nested_fields, settings
from simulator.core.files.reading import LEVELS
from simulator.core.registry import Plugin, suggestions

Parts = tuple[str, ...]  # of a flag: --agent.step-size is ("agent", "step_size")
Players = Mapping[str, Plugin | None]  # table -> who sits there; None: not known yet

_SHORT = {"output": ("-o",)}  # a command's flags that have a short form too
_UNSET = "\0"  # no word of a command line can hold it
_NARROWEST = 20  # columns; for fewer than its frames need tyro looks for a place to break a line for ever


class ParsedArgs(NamedTuple):
    """What a command was given."""

    names: list[str]
    options: dict[str, Any]  # checked; only what was given
    own: dict[str, Any]  # table -> nested settings of a player, texts as they were typed
    files: tuple[ConfigSource, ...] = ()  # the settings that --preset and --config lead to


def read(usage: str, words: Sequence[str], known: list[Setting], players: Players) -> ParsedArgs:
    """The words after ``engram COMMAND``: names, the command's own flags and those of players (``--agent.step-size``).

    Where a player is not known yet, every flag below its table is taken.

    Raises:
        ValueError: an unknown flag, a missing value or a bad one, in one line.
    """
    command, paths = usage.split()[1], dict(_paths(known, players))
    free = {f"free_{n}": path for n, path in enumerate(_free(words, paths))}
    if deep := next((path for path in free.values() if len(path) > LEVELS), None):
        raise ValueError(f"{_flag(deep)[:57]}...: nested too deep, expected at most {LEVELS} tables within each other")
    # The command stays in front because tyro keeps words like --tyro-print-completion for itself where they are first.
    flags, left = _parse(_form(command, known, players, free), [command, *_switched(words, known)])
    # Names are what is left over: fields for them would swallow the flags that tyro does not know.
    for word in left[1:]:
        if word.startswith("-") and word != "-":
            raise ValueError(_stranger(word.partition("=")[0], paths, list(players)))
    texts = _typed(getattr(flags, command))
    own = {table: _typed(getattr(flags, table)) for table, player in players.items() if player}
    for field, path in free.items():
        _put(own, path, getattr(flags, field))
    options = check(known, texts, ConfigSource(texts, flags=True))
    return ParsedArgs(left[1:], options, {table: typed for table, typed in own.items() if typed})


def show_help(usage: str, about: str, known: list[Setting], players: Players) -> None:
    """Print the help of a command: its own flags, then those of ``players``."""
    import tyro

    form, page = _form(usage.split()[1], known, players), io.TextIOWrapper(io.BytesIO(), sys.stdout.encoding)
    # tyro leaves colours out where it writes to no terminal, but does not ask for NO_COLOR.
    uncoloured = contextlib.redirect_stdout(page) if os.environ.get("NO_COLOR") else contextlib.nullcontext()
    with contextlib.suppress(SystemExit), uncoloured, _wide_enough():
        tyro.cli(form, args=["--help"], prog=usage, description=about)
    page.seek(0)
    print(page.read(), end="")


@contextlib.contextmanager
def _wide_enough() -> Iterator[None]:
    """Let tyro take a narrow terminal for one of the narrowest width that it can write to."""
    before = os.environ.get("COLUMNS")
    if shutil.get_terminal_size().columns >= _NARROWEST:
        yield
        return
    os.environ["COLUMNS"] = str(_NARROWEST)
    try:
        yield
    finally:
        os.environ.pop("COLUMNS")
        if before is not None:
            os.environ["COLUMNS"] = before


def _parse(form: type[Any], words: list[str]) -> tuple[Any, list[str]]:
    """The form as tyro fills it in, and the words that are neither flags nor their values.

    Raises:
        ValueError: a flag without a value, which is all that tyro can refuse where every value is a text.
    """
    import tyro

    try:
        with contextlib.redirect_stderr(io.StringIO()) as box, _wide_enough():
            return tyro.cli(form, args=words, description="", add_help=False, return_unknown_args=True)
    except SystemExit:
        squeezed = re.sub(r"[\s│|]+", "", box.getvalue())  # its text is broken at the width of a frame
        found = re.search(r"Missingvalueforargument'(.*?)'\.", squeezed)
        flag = found[1] if found else f"the words {' '.join(words)[:60]!r}"
        raise ValueError(f"{flag}: expected a value after {'it' if found else 'every flag'}") from None


def _form(command: str, known: list[Setting], players: Players, free: Mapping[str, Parts] | None = None) -> type[Any]:
    """A dataclass for tyro: a command's own flags, its players', and flags that only the words themselves name."""
    import tyro

    # Every field has its help given, or tyro would look for it in the sources of all that is imported.
    hidden = tyro.conf.arg(help="")
    fields: list[Any] = [(command, Annotated[_flags(known, switches=True), tyro.conf.OmitArgPrefixes, hidden])]
    for table, player in players.items():
        if player:
            title = tyro.conf.arg(help=f"settings of the {table} {player.name}")
            fields.append((table, Annotated[_flags(settings(player.Config)), title]))
    for field, path in (free or {}).items():
        fields.append((field, Annotated[str, tyro.conf.arg(name=".".join(path), help="")], _UNSET))
    return dataclasses.make_dataclass("Form", fields)


def _flags(known: list[Setting], switches: bool = False) -> Any:
    """A dataclass for tyro with one flag per setting, described as the check sees it; a command has ``switches``."""
    import tyro

    fields: list[Any] = []
    for setting in known:
        if dataclasses.is_dataclass(setting.hint):
            inner, title = _flags(nested_fields(setting)), tyro.conf.arg(help=setting.doc)
            fields.append((setting.name, Annotated[inner, title], dataclasses.field(default_factory=inner)))
        elif setting.hint is bool and switches:
            switch = tyro.conf.arg(help=setting.doc, help_behavior_hint="")
            fields.append((setting.name, Annotated[tyro.conf.FlagCreatePairsOff[bool], switch], False))
        else:
            metavar, range_ = _value(setting.hint)
            hint = f"({range_}default: {format_value(setting.default)})"
            short = _SHORT.get(setting.name) if switches else None
            named = tyro.conf.arg(metavar=metavar, help=setting.doc, help_behavior_hint=hint, aliases=short)
            fields.append((setting.name, Annotated[str, named], _UNSET))
    return dataclasses.make_dataclass("Flags", fields)


def _typed(flags: Any) -> dict[str, Any]:
    """The texts that were typed, nested as the flags are."""
    every = {field.name: getattr(flags, field.name) for field in dataclasses.fields(flags)}
    nested = {name: _typed(value) if dataclasses.is_dataclass(value) else value for name, value in every.items()}
    plain = {name: "true" if value is True else value for name, value in nested.items()}
    return {name: value for name, value in plain.items() if value not in (_UNSET, False, {})}


def _paths(known: list[Setting], players: Players) -> Iterator[tuple[Parts, bool]]:
    """Every flag, and whether any setting can be named below it: tables of free keys, players not known yet."""
    for setting in known:
        if dataclasses.is_dataclass(setting.hint):
            for path, free in _paths(settings(setting.hint), {}):  # type: ignore[arg-type]
                yield (setting.name, *path), free
        else:
            yield (setting.name,), describe(setting.hint) == "a table of settings"
    for table, player in players.items():
        if player is None:
            yield (table, ""), True
        else:
            for path, free in _paths(settings(player.Config), {}):
                yield (table, *path), free


def _free(words: Iterable[str], paths: Mapping[Parts, bool]) -> list[Parts]:
    """The flags among the words that no form can list (``--env.kwargs.map-name``): tyro has no table of free keys."""
    starts = {path[:-1] if path[-1] == "" else path for path, free in paths.items() if free}
    typed = dict.fromkeys(_path(word.partition("=")[0]) for word in words if word.startswith("--"))
    return [path for path in typed if all(path) and any(path[:n] in starts for n in range(1, len(path)))]


def _switched(words: Iterable[str], known: list[Setting]) -> Iterator[str]:
    """The words with ``--json=false`` left out: tyro would read ``--json`` and a name."""
    switches = {setting.name: setting for setting in known if setting.hint is bool}
    for word in words:
        flag, sign, text = word.partition("=")
        path = _path(flag)
        if not (sign and flag.startswith("--") and path[0] in switches):
            yield word
        elif check(known, {path[0]: text}, ConfigSource({}, flags=True))[path[0]]:
            yield flag


def _stranger(flag: str, flags: Mapping[Parts, bool], heads: Sequence[str]) -> str:
    """The line for a flag that nobody has, with near misses of the first part of it that nobody has."""
    path, meant = _path(flag), list[str]()
    forms = ["--NAME", *(f"--{head}.SETTING" for head in heads)]
    tables = {each[:n] for each in flags for n in range(1, len(each))}
    if path in tables:
        forms = [f"{flag}.SETTING"]
    elif flag.startswith("--") and all(path):
        for at, part in enumerate(path):
            known = flags if at + 1 == len(path) else tables | {each for each, free in flags.items() if free}
            level = {each[-1] for each in known if each[:-1] == path[:at]}
            if part not in level:
                meant = [_flag((*path[:at], near, *path[at + 1 :])) for near in suggestions(part, level)]
                forms = forms if at == 0 else []
                break
    shown = flag if len(flag) <= 60 and flag.isprintable() else repr(flag[:57] + "...")
    expected = f", expected {' or '.join(forms)}" if forms else ""
    return f"{shown}: no such flag" + (f"; did you mean {' or '.join(meant)}?" if meant else expected)


def _path(flag: str) -> Parts:
    return tuple(flag.removeprefix("--").replace("-", "_").split("."))


def _flag(path: Parts) -> str:
    return "--" + ".".join(path).replace("_", "-")


def _put(texts: dict[str, Any], path: Parts, value: str) -> None:
    for key in path[:-1]:
        texts = texts.setdefault(key, {})
        if not isinstance(texts, dict):
            raise ValueError(f"{_flag(path)}: {key} was given a value already, expected one or the other")
    if isinstance(texts.get(path[-1]), dict):
        raise ValueError(f"{_flag(path)}: settings of {path[-1]} were given already, expected one or the other")
    texts[path[-1]] = value


def _value(hint: Any) -> tuple[str, str]:
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


def format_value(value: Any) -> str:
    """A value as it is written on a command line."""
    if value is None or isinstance(value, bool):
        return "none" if value is None else str(value).lower()
    if isinstance(value, list | tuple):
        return ",".join(map(format_value, value))
    if isinstance(value, dict):
        return ",".join(f"{key}={format_value(item)}" for key, item in value.items()) or "{}"
    return f"{value:_}" if isinstance(value, int) else str(value)
