"""Asciicast, version 2: what a terminal shows, as lines of JSON, which ``asciinema play`` plays in a terminal.

Format: https://docs.asciinema.org/manual/asciicast/v2. Of every page only the lines that changed are written.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any, BinaryIO

HIDE_CURSOR = "\x1b[?25l"
SHOW_CURSOR = "\x1b[?25h"
CLEAR = "\x1b[2J"


class CastWriter:
    """Writes pages of a terminal.

    Args:
        file: takes the bytes.
        size: columns and lines.
        title: what is recorded.
    """

    def __init__(self, file: BinaryIO, size: tuple[int, int], title: str) -> None:
        self._file = file
        self._n_lines = size[1]
        self._time = 0.0
        self._lines: list[str] | None = None
        head = {"version": 2, "width": size[0], "height": size[1], "title": title, "env": {"TERM": "xterm-256color"}}
        self._write(head)

    def add(self, lines: Sequence[str], seconds: float) -> None:
        """Show a page, lines with their escape sequences, for so long."""
        page = [*lines, *[""] * self._n_lines][: self._n_lines]
        before = self._lines if self._lines is not None else [""] * self._n_lines
        changed = [n for n in range(self._n_lines) if page[n] != before[n]]
        text = "".join(f"\x1b[{n + 1};1H{page[n]}\x1b[0m\x1b[K" for n in changed)
        if self._lines is None:
            text = HIDE_CURSOR + CLEAR + text
        if text:
            self._event(text)
        self._lines = page
        self._time += seconds

    def close(self) -> None:
        """Put the cursor below the page."""
        self._event(f"\x1b[{self._n_lines};1H{SHOW_CURSOR}\r\n")

    def _event(self, text: str) -> None:
        self._write([round(self._time, 3), "o", text])

    def _write(self, line: Any) -> None:
        self._file.write(json.dumps(line, ensure_ascii=False).encode() + b"\n")
