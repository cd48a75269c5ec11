"""Parser of the command line: argparse, with options generated from dataclasses of settings.

Every value stays a text here: :mod:`simulator.config.validation` checks it, as it checks files. Options of players
(``--agent.step-size 0.1``) are taken as they are typed and checked with the config, so that no player is imported to
parse a line, and a line is parsed once. argparse is in Python's library and starts in a few milliseconds; libraries
that read types (tyro, jsonargparse, pydantic-settings) would check values a second time, by rules of their own.
"""

from __future__ import annotations

import argparse
import re
from collections.abc import Sequence
from typing import Any, NamedTuple

from simulator.config.field_words import option_meant, table_of
from simulator.config.validation import ConfigSource, Setting, check, is_list
from simulator.core.components import Component, is_socket_name
from simulator.core.files.reading import MAX_DEPTH
from simulator.core.registry import suggestions

SHORT = {"output": "-o", "start": "--from", "yes": "-y"}  # options that have another form too
ALONE = {"slow": "10"}  # options that may stand without a value, and the value that they have then
VALUES = {"tensorboard": "a folder for event files, --tensorboard events"}  # words for a missing value
_NEGATIVE = re.compile(r"-(\d|\.\d|inf|nan)")
_NUMBER = re.compile(r"-?\.?\d|-?(inf|nan)\Z")


class ParsedWords(NamedTuple):
    """Parsed command line."""

    names: list[str]
    options: dict[str, Any]  # checked; only those given
    players: dict[str, Any]  # table -> nested settings of players, texts as they were typed


def parse(words: Sequence[str], known: list[Setting], tables: Sequence[str]) -> ParsedWords:
    """Sort words into names, the command's own options, and options of players, such as ``--agent.step-size``.

    Args:
        words: what stands after ``engram COMMAND``, in any order.
        known: the command's own options.
        tables: tables of players, whose options are taken whatever they are called.

    Raises:
        ValueError: an unknown option, a missing value or a bad one, in one line.
    """
    settings_by_name = {setting.name: setting for setting in known}
    end = words.index("--") if "--" in words else len(words)
    left = _normalised(words[:end], settings_by_name)
    parser = argparse.ArgumentParser(add_help=False, allow_abbrev=False, exit_on_error=False)
    for setting in known:
        flags = (SHORT.get(setting.name), option_of((setting.name,)))
        parser.add_argument(*filter(None, flags), dest=setting.name, default=argparse.SUPPRESS, **_form(setting))
    dotted = dict.fromkeys(word.partition("=")[0] for word in left if word.startswith("--") and "." in word)
    paths = {option: _path(option) for option in dotted if _path(option)[0] in tables and all(_path(option))}
    for option, path in paths.items():
        if len(path) > MAX_DEPTH:
            raise ValueError(
                f"{option[:57]}...: nested too deep, expected at most {MAX_DEPTH} tables within each other"
            )
        parser.add_argument(option, dest=option, default=argparse.SUPPRESS)
    try:
        parsed, names = parser.parse_known_args(left)
    except argparse.ArgumentError as error:
        option = (error.argument_name or "").rpartition("/")[2]
        expected = VALUES.get(_path(option)[0], "a value")
        raise ValueError(f"{option}: expected {expected} after it") from None
    if unknown := next((word for word in names if word.startswith("-") and word != "-"), None):
        raise ValueError(_unknown_option(unknown.partition("=")[0], list(settings_by_name), tables))
    players: dict[str, Any] = {}
    texts: dict[str, Any] = {}
    for key, value in vars(parsed).items():
        texts[key] = _split(value) if isinstance(value, list) else value
    for option, path in _with_names(paths).items():
        _put(players, path, texts.pop(option))
    options = check(known, texts, ConfigSource(texts, flags=True))
    return ParsedWords([*names, *words[end + 1 :]], options, players)


def _with_names(paths: dict[str, tuple[str, ...]]) -> dict[str, tuple[str, ...]]:
    """Write a component's name beside its settings: ``--agent.recurrence lstm --agent.recurrence.units 32``."""
    tables = {path[:end] for path in paths.values() for end in range(1, len(path))}
    return {
        option: (*path, "name") if path in tables and is_socket_name(path[-1]) else path
        for option, path in paths.items()
    }


def _normalised(words: Sequence[str], settings_by_name: dict[str, Setting]) -> list[str]:
    """Convert words to the form that argparse takes.

    An option is written with ``-`` and not ``_``; a negative number stands behind ``=``, since argparse takes ``-1e3``
    for an option; and ``--json=true`` is a switch, to which argparse lets nobody give a value.
    """
    normalised: list[str] = []
    for place, word in enumerate(words):
        option, sign, text = word.partition("=")
        before = normalised[-1] if normalised else ""
        if not word.startswith("--"):
            joined = _NEGATIVE.match(word) and before.startswith("--") and "=" not in before
            switch = settings_by_name.get(_path(before)[0]) if joined else None
            if joined and not (switch and (switch.hint is bool or is_list(switch.hint))):
                normalised[-1] = f"{before}={word}"
            else:
                normalised.append(word)
            continue
        option = option.replace("_", "-")
        if _path(option)[0] in ALONE and not sign and not _NUMBER.match("".join(words[place + 1 : place + 2])):
            normalised.append(f"{option}={ALONE[_path(option)[0]]}")
            continue
        setting = settings_by_name.get(_path(option)[0])
        if setting is None or setting.hint is not bool or not sign:
            normalised.append(option + sign + text)
        elif check([setting], {setting.name: text}, ConfigSource({}, flags=True))[setting.name]:
            normalised.append(option)
    return normalised


def _form(setting: Setting) -> dict[str, Any]:
    """Return argparse's arguments for an option: a switch, a list up to the next option, or one value."""
    if setting.hint is bool:
        return {"action": "store_const", "const": "true"}
    return {"nargs": "+" if is_list(setting.hint) else None}


def _split(words: Sequence[str]) -> list[str]:
    """Split a list, whose values are words of their own or separated by commas."""
    return [text for word in words for text in word.split(",") if text]


def _put(texts: dict[str, Any], path: tuple[str, ...], value: str) -> None:
    for key in path[:-1]:
        texts = texts.setdefault(key, {})
        if not isinstance(texts, dict):
            raise ValueError(f"{option_of(path)}: {key} was given a value already, expected one or the other")
    if isinstance(texts.get(path[-1]), dict):
        raise ValueError(f"{option_of(path)}: settings of {path[-1]} were given already, expected one or the other")
    texts[path[-1]] = value


def _unknown_option(option: str, settings_by_name: list[str], tables: Sequence[str]) -> str:
    shown = option if len(option) <= 60 and option.isprintable() else repr(option[:57] + "...")
    head, *rest = _path(option)
    if head in tables:
        return f"{shown}: unknown option, expected --{head}.SETTING"
    if not rest and (own := option_meant(head, settings_by_name)):
        count = ", and --seeds is the number of seeds" if own == "first_seed" else ""
        return f"{shown}: unknown option; it is called {option_of((own,))}{count}"
    if not rest and (table := table_of(head, tables)):
        return f"{shown}: unknown option; did you mean --{table}.{option[2:]}?"
    meant = [option_of((near, *rest)) for near in suggestions(head, tables if rest else settings_by_name)]
    return f"{shown}: unknown option" + (f"; did you mean {' or '.join(meant)}?" if meant else "")


def _path(option: str) -> tuple[str, ...]:
    return tuple(option.removeprefix("--").replace("-", "_").split("."))


def option_of(path: Sequence[str]) -> str:
    """Return the option of a setting: ``--agent.step-size``."""
    return "--" + ".".join(path).replace("_", "-")


def format_value(value: Any) -> str:
    """Format a value as on a command line."""
    if value is None or isinstance(value, bool):
        return "none" if value is None else str(value).lower()
    if isinstance(value, Component):
        return value.name
    if isinstance(value, list | tuple):
        return ",".join(map(format_value, value))
    if isinstance(value, dict):
        return ",".join(f"{key}={format_value(item)}" for key, item in value.items()) or "{}"
    return f"{value:_}" if isinstance(value, int) else str(value)
