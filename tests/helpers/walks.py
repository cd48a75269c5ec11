"""Walks: pages of the manual whose files, commands and Python are executed from top to bottom.

A ``python`` block whose paragraph before it ends in the name of a file is that file; any other is run, in one
namespace. An ``sh`` block is commands, one a line. A ``text`` block is what the block before it printed: a part of it.
``<!-- optional: MODULE -->`` before a block leaves it, and the output after it, out where the module is missing.
"""

from __future__ import annotations

import contextlib
import importlib.util
import io
import re
import shlex
from pathlib import Path
from typing import Any, NamedTuple

from tests.helpers.commands import Engram
from tests.helpers.paths import ROOT

_BLOCK = re.compile(r"(?P<before>[^\n]*)\n*^```(?P<language>python|sh|text)\n(?P<text>.*?)^```$", re.M | re.S)
_FILE = re.compile(r"`([\w/]+\.\w+)`:$")
_OPTIONAL = re.compile(r"<!-- optional: (\w+) -->")


class Block(NamedTuple):
    """A block of code of a page."""

    language: str
    text: str
    file: str  # that it is the content of; empty: none
    needs: str  # module without which it is left out; empty: none


def blocks(page: str) -> list[Block]:
    """List the blocks of a page in order."""
    found = []
    for match in _BLOCK.finditer((ROOT / page).read_text("utf-8")):
        file = _FILE.search(match["before"])
        needs = _OPTIONAL.search(match["before"])
        found.append(Block(match["language"], match["text"], file[1] if file else "", needs[1] if needs else ""))
    return found


def walk(page: str, folder: Path, engram: Engram, *, optional: bool = False) -> list[tuple[str, str]]:
    """Execute a page in a folder, and return what it shows as printed beside what was printed.

    Args:
        page: path from the root of the repository.
        folder: the working folder.
        engram: calls a command.
        optional: with the blocks that need a module, of those that are installed.
    """
    space: dict[str, Any] = {}
    shown: list[tuple[str, str]] = []
    printed: str | None = ""
    for block in blocks(page):
        if block.language == "text":
            shown += [] if printed is None else [(block.text, printed)]
        elif block.needs and not (optional and importlib.util.find_spec(block.needs)):
            printed = None
        elif block.file:
            (folder / block.file).write_text(block.text)
        elif block.language == "sh":
            printed = "".join(_command(line, folder, engram) for line in block.text.splitlines())
        else:
            with contextlib.redirect_stdout(io.StringIO()) as out:
                exec(block.text, space)
            printed = out.getvalue()
    return [(expected, text.replace(str(folder), "/home/me/study")) for expected, text in shown]


def _command(line: str, folder: Path, engram: Engram) -> str:
    program, *words = shlex.split(line)
    assert program == "engram", line
    *words, file = words if words[-2:-1] == [">"] else [*words, ""]
    out: str = engram(*(words[:-1] if file else words)).out
    if file:
        (folder / file).write_text(out)
    return out
