"""Tests of tables on terminals: nothing is cut at any width."""

from __future__ import annotations

import re
import sys

import pytest
from rich.cells import cell_len

from simulator.console import folded_width, folded_widths, print_table
from tests.helpers.commands import TerminalStream

COLUMNS = ("agent", "env", "learned, IQM over all seeds", "steps per second")
ROWS = [
    ["q_learning", "CliffWalking-v1", "0.4571 [0.1521, 0.7298]", 1234567],
    ["[bold]", "\u65e5\u672c\u8a9e", "-13", None],
]


def printed(monkeypatch: pytest.MonkeyPatch, width: int) -> list[str]:
    for name, value in (("COLUMNS", str(width)), ("TERM", "xterm"), ("NO_COLOR", "1")):
        monkeypatch.setenv(name, value)
    screen = TerminalStream()
    monkeypatch.setattr(sys, "stdout", screen)
    print_table("a title", COLUMNS, ROWS)
    monkeypatch.undo()
    return [re.sub("\x1b\\[[0-9;]*m", "", line).rstrip() for line in screen.getvalue().splitlines()]


@pytest.mark.parametrize("width", [30, 40, 60, 66, 80, 120])
def test_no_width_cuts_a_word_or_an_interval(monkeypatch: pytest.MonkeyPatch, width: int) -> None:
    lines = printed(monkeypatch, width)
    assert max(map(cell_len, lines)) <= width
    text = "\n".join(lines)
    for word in ("q_learning", "CliffWalking-v1", "0.4571", "[0.1521, 0.7298]", "1,234,567", "[bold]", "-13"):
        assert word in text
    assert "\u2026" not in text


def test_an_interval_goes_below_its_value_before_rows_become_lines(monkeypatch: pytest.MonkeyPatch) -> None:
    wide, folded, blocks = (printed(monkeypatch, width) for width in (100, 66, 40))
    assert any("0.4571 [0.1521, 0.7298]" in line for line in wide)
    assert [line.split("\u2502")[3].strip() for line in folded if "\u2502" in line][:2] == [
        "0.4571",
        "[0.1521, 0.7298]",
    ]
    assert blocks[:5] == [
        *("a title", "", "agent q_learning", "  env: CliffWalking-v1"),
        "  learned, IQM over all seeds: 0.4571",
    ]


def test_the_widest_column_is_folded_first_and_none_below_its_longest_word() -> None:
    page = [["a", "description"], ["name", "some words that can be folded"]]
    assert folded_widths(page, 80) == [4, 29]
    assert folded_widths(page, 24) == [4, 13]
    assert folded_widths(page, 21) is None
    assert folded_width("[-1, 2] and more") == 7
    assert folded_width("") == 0


def test_an_asked_width_folds_plain_text_too(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.delenv("COLUMNS", raising=False)
    print_table("", ("name", "words"), [["a", "some words that can be folded"], ["b", "0.5 [0.25, 0.75]"]])
    assert capsys.readouterr().out.splitlines()[1:] == [
        "a     some words that can be folded",
        "b     0.5 [0.25, 0.75]",
    ]
    monkeypatch.setenv("COLUMNS", "24")
    print_table("", ("name", "words"), [["a", "some words that can be folded"], ["b", "0.5 [0.25, 0.75]"]])
    assert capsys.readouterr().out.splitlines() == [
        *("name  words", "a     some words", "      that can be", "      folded"),
        *("b     0.5", "      [0.25, 0.75]"),
    ]
