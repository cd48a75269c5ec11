"""Escaping of foreign text for terminals, Markdown, CSV, LaTeX and HTML, and the rule for names.

======================  ==================================================================================
terminal and logs       :func:`visible` for one line, :func:`visible_lines` for a text of several
Markdown                :func:`markdown`, :func:`markdown_row`
CSV                     :func:`csv_cell`, :func:`csv_row`
LaTeX                   :func:`latex`, :func:`latex_row`
HTML and SVG            Jinja and ElementTree escape markup; :func:`one_line` takes away what XML cannot hold
labels and other names  :func:`checked_name` refuses what :func:`visible` would have to write out
======================  ==================================================================================

Each of them takes any text and gives one cell of one line.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable
from typing import Any

MAX_NAME = 80  # characters of a name
MAX_PATH = 255  # characters of a file's name, and of a path that a line shows whole
# Marks, letters and symbols that leave no ink; everything else without ink is not printable in Python's sense: control
# and format characters (bidirectional overrides, zero-width spaces), separators of lines, surrogates, unknown codes.
_INKLESS = re.compile(
    "[\u034f\u115f\u1160\u17b4\u17b5\u180b-\u180d\u180f\u2800\u3164\ufe00-\ufe0f\uffa0\U000e0100-\U000e01ef]"
)
_MARKDOWN = re.compile(r"([\\`*|<>&$~]|\](?=[(\[:])|(?<![^\W_])_|_(?![^\W_])|(?<=:)/(?=/)|(?<=[wW]{3})\.)")
_FORMULA = re.compile(r"'*\s*[=+\-@\uff1d\uff0b\uff0d\uff20]")  # first characters of spreadsheet formulas
# A spreadsheet of another country parts cells at these signs, and quotation marks do not hold it back everywhere.
_FORMULA_WITHIN = re.compile(r"([;|]['\"\s]*)(?=[=+\-@\uff1d\uff0b\uff0d\uff20])")
_NUMBER = re.compile(r"[+-]?((\d+\.?\d*|\.\d+)(e[+-]?\d+)?|inf|nan)", re.ASCII | re.IGNORECASE)
_QUOTED = re.compile(r"[,;|\"]|^\s|\s$")  # separators of any country
_MINUS = re.compile(r"(?:(?<=^)|(?<= )|(?<={\[})){-}(?=\d)")
_COMMAS = re.compile(",(?=,)")  # two of them would be a quotation mark
_LATEX = {
    **{sign: "\\" + sign for sign in "&%$#_{}"},
    **{"\\": r"\textbackslash{}", "~": r"\textasciitilde{}", "^": r"\textasciicircum{}", "|": r"\textbar{}"},
    **{"<": r"\textless{}", ">": r"\textgreater{}", '"': "''", "[": "{[}", "]": "{]}", "*": "{*}", "-": "{-}"},
    **{"`": "{`}", "'": "{'}", "?": "{?}", "!": "{!}"},  # some make one sign with their neighbour
}


def is_seen(text: str) -> bool:
    """Tell whether text is one line of visible characters and single plain spaces."""
    return text.isprintable() and (text.isascii() or not _INKLESS.search(text))


def checked_name(text: str, place: str, most: int = MAX_NAME) -> str:
    """Check a label, a player's name or another name, and return it.

    Args:
        text: the name.
        place: where it was given, for the line.
        most: characters that it may have.

    Raises:
        ValueError: it is empty or too long, has a character that cannot be seen (control, bidirectional, zero-width, a
            line's end), or a space at an end; one line.
    """
    if text and len(text) <= most and is_seen(text) and text == text.strip():
        return text
    bad = next((f" with U+{ord(c):04X}" for c in text if not is_seen(c)), "")
    shown = visible(shortened(text, min(most, MAX_NAME)) if len(text) > most else text)
    expected = f"1 to {most} characters on one line that can be seen, no space at an end"
    raise ValueError(f"{place}: found '{shown}'{bad}, expected {expected}")


def check_label(label: str) -> None:
    """Refuse what cannot be a label, which may be left out; see :func:`checked_name`."""
    if label:
        checked_name(label, "label")


def visible(text: str) -> str:
    r"""Escape invisible characters, such as ``\x1b``, ``\n``, ``\u202e``, to one visible line."""
    if is_seen(text):
        return text
    return "".join(c if is_seen(c) else _code(c) for c in text)


def shortened(text: str, most: int = MAX_NAME) -> str:
    """Shorten text to ``most`` characters, keeping its beginning and its end."""
    end = most // 3
    return text if len(text) <= most else f"{text[: most - end - 3]}...{text[-end:]}"


def _code(sign: str) -> str:
    """Return the escape of a character as Python writes it, and as TOML does from U+0080 on."""
    return f"\\u{ord(sign):04x}" if 0x80 <= ord(sign) < 0x100 else sign.encode("unicode_escape").decode()


def visible_lines(text: str) -> str:
    """Escape invisible characters, but keep the lines."""
    return "\n".join(map(visible, text.split("\n")))


def one_line(text: str) -> str:
    """Collapse white space to single spaces, and escape invisible characters."""
    return visible(" ".join(text.split()))


def markdown(text: str) -> str:
    """Escape text for Markdown, so that nothing of it is markup or a link."""
    return _MARKDOWN.sub(r"\\\1", visible(text))


def markdown_row(cells: Iterable[str]) -> str:
    """Format a table row from cells that are Markdown already."""
    return "| " + " | ".join(cells) + " |"


def csv_cell(value: Any) -> str:
    """Format a cell of CSV: numbers as they are, None empty; text that a spreadsheet would run gets a ``'``."""
    if value is None:
        return ""
    if not isinstance(value, str):
        return float.__repr__(value) if isinstance(value, float) else str(value)
    text = visible(value)
    if _FORMULA.match(text) and not _NUMBER.fullmatch(text):
        text = "'" + text
    text = _FORMULA_WITHIN.sub(r"\1'", text)
    return '"' + text.replace('"', '""') + '"' if _QUOTED.search(text) else text


def csv_row(cells: Iterable[Any]) -> str:
    """Format a line of CSV."""
    return ",".join(map(csv_cell, cells)) or '""'


def latex(text: str) -> str:
    """Escape text for LaTeX; other characters than ASCII lose their accents, or become a question mark."""
    plain = "".join(c for c in unicodedata.normalize("NFKD", visible(text)) if not unicodedata.combining(c))
    escaped = "".join(_LATEX.get(c, c if c.isascii() else "{?}") for c in plain)
    return _COMMAS.sub(",{}", _MINUS.sub("$-$", escaped))


def latex_row(cells: Iterable[str]) -> str:
    """Format a row of a tabular."""
    return " & ".join(map(latex, cells)) + r" \\"
