"""Announcement of code that a config imports: one line before the first import.

A config names players by dotted path, by ``module:EnvId``, by the path of a Python file or as ``python:module:name``,
so to run a config from somewhere else is to run that code. The names of our own players, ids of Gymnasium and classes
of installed libraries (``sb3:``) import no code of a stranger.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from functools import cache
from typing import Any

from simulator import console
from simulator.core.components import is_socket_name

_PLAYERS = ("agent", "memory", "player", "env", "challenge", "game")
_DOTTED = re.compile(r"[^\W\d]\w*(\.[^\W\d]\w*)+")
_OF_A_MODULE = re.compile(r"([^\W\d][\w.]*):[^:]+")
_KNOWN = ("torch",)  # libraries that are loaded anyway
_MAX_SHOWN = 80


def announce(values: Mapping[str, Any], where: str) -> None:
    """Print on stderr which code the settings read at ``where`` import, unless it was printed before."""
    imported = dict.fromkeys(shown for name in _names(values) if (shown := code_of(name)))
    if imported:
        _announce_once(where, tuple(imported))


@cache
def _announce_once(where: str, imported: tuple[str, ...]) -> None:
    console.print_status(f"{where} imports code: {', '.join(imported)}")


def code_of(name: str) -> str:
    """Return the module or file that a player's name imports, shortened; empty if it imports none."""
    kind, _, target = name.partition(":")
    if kind == "python":
        code = target.rpartition(":")[0] or target
    elif kind in ("sb3", "human", "cloned"):
        return ""
    elif at := re.fullmatch(r"(.*\.py)(:.*)?", name, re.DOTALL):
        code = at[1]
    elif of := _OF_A_MODULE.fullmatch(name):
        code = of[1]
    else:
        code = name if _DOTTED.fullmatch(name) else ""
    code = code if len(code) <= _MAX_SHOWN else code[: _MAX_SHOWN - 3] + "..."
    return code if code.isprintable() else ascii(code)


def _names(values: Mapping[str, Any]) -> Iterator[str]:
    """Iterate over the texts among settings that name a player, a function or a class."""
    for table in _PLAYERS:
        inner = values.get(table)
        if isinstance(inner, Mapping) and "name" not in inner:  # players by label, which is the name where none is
            yield from (label for label, entry in inner.items() if isinstance(entry, Mapping) and "name" not in entry)
    for key, value in values.items():
        if isinstance(value, Mapping):
            yield from _names(value)
        elif isinstance(value, str) and (key == "name" or is_socket_name(key)):
            yield value
        elif isinstance(value, str) and key.endswith(("_fn", "_class")) and value.split(".")[0] not in _KNOWN:
            yield value.rpartition(".")[0]
