"""Tests of escaping: untrusted text in every output format, read back by other programs."""

from __future__ import annotations

import csv
import html
import io
import itertools
import re
import unicodedata
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from simulator import api, console
from simulator.config.match import build as match_of
from simulator.config.recall import build as contest_of
from simulator.config.tournament import build as tournament_of
from simulator.core import registry
from simulator.core.files.escaping import (
    checked_name,
    csv_cell,
    csv_row,
    is_seen,
    latex,
    latex_row,
    markdown,
    markdown_row,
    one_line,
    visible,
    visible_lines,
)
from tests.helpers.tournament_summaries import HOSTILE

NASTY = (
    *HOSTILE,
    *(
        "-3.5",
        "+1",
        "-2+3+cmd|' /C calc'!A0",
        "@SUM(1)",
        "'=1",
        "a;=1+1",
        "x\ty",
        "=\r\n",
        '"',
        'a"b,c',
        "-",
        " =1",
        "\uff1d1",
    ),
    *("[bold]x[/bold]", ":boom:", "[a](http://x.y)", "[a][b]", "![a](b)", "~~s~~", "www.x.org", "http://x.org", "\\|"),
    *(
        "a\\",
        "`c`",
        "$x$",
        "<b>",
        "&amp;",
        "**b**",
        "_i_",
        "a_b",
        "a\u202eb",
        "a\u200bb",
        "\u2028",
        "e\u0301",
        "\x9b31m",
    ),
    *("%", "#", "{", "}", "^", "~", "--", "``", ",,", "?`", "\ud800", "\xad", "\ufe0f", "\u3164", "\U000e0041"),
)
UNSEEN = (
    "\x00",
    "\n",
    "\r",
    "\t",
    "\x1b",
    "\x7f",
    "\x85",
    "\x9b",
    "\xa0",
    "\xad",
    "\u034f",
    "\u061c",
    "\u115f",
    "\u200b",
)
UNSEEN += ("\u200d", "\u200e", "\u2028", "\u2029", "\u202a", "\u202e", "\u2060", "\u2066", "\u2069", "\u3164", "\ufe0f")
UNSEEN += ("\ufeff", "\ufff9", "\ud800", "\ue000", "\U000e0001", "\U000e0100")
text = st.one_of(
    st.sampled_from(NASTY), st.text(), st.text("=+-@'\"|;,\\`*_[]()<>&$%#{}~^.:/ \t\n\x1b\u202ew", max_size=12)
)
cells = st.lists(text, min_size=1, max_size=5)


@given(text)
def test_escaped_text_is_one_visible_line(words):
    shown = visible(words)
    assert is_seen(shown)
    assert visible(shown) == shown
    assert not {unicodedata.category(c) for c in shown} & {"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"}
    assert shown == words or not is_seen(words)
    assert visible_lines(words).split("\n") == [visible(line) for line in words.split("\n")]
    assert is_seen(one_line(words))


@given(cells)
@example(["x", "a;=1+1", 'b|"=2"', 'c; "+3'])
def test_csv_is_read_back_cell_by_cell_and_computes_nothing(row):
    line = csv_row(row)
    (read,) = csv.reader(io.StringIO(line))
    assert len(read) == len(row)
    for cell, words in zip(read, row, strict=True):
        assert cell.replace("'", "") == visible(words).replace("'", "")
    for separator in ",;|":  # a spreadsheet of another country parts at another sign
        for cell in next(csv.reader(io.StringIO(line), delimiter=separator)):
            assert not re.match(r"\s*[=+\-@\uff1d\uff0b\uff0d\uff20]", cell) or _is_number(cell.partition(",")[0])


@given(st.one_of(st.integers(), st.floats(allow_nan=False), st.none(), st.booleans()))
@example(-3.5)
@example(-1)
def test_numbers_stay_numbers_in_csv(value):
    (read,) = next(csv.reader(io.StringIO(csv_row([value]))))
    assert read == ("" if value is None else str(value))
    assert value is None or isinstance(value, bool) or float(read) == float(value)
    assert csv_cell("-3.5") == "-3.5"
    assert csv_cell("-3.5x") == "'-3.5x"


@pytest.mark.slow
@given(cells)
def test_markdown_is_read_back_cell_by_cell(row):
    found = _markdown_cells([markdown_row(map(markdown, row)), markdown_row(["---"] * len(row))])
    assert found == [[_squeezed(visible(each)) for each in row]]


@given(text)
def test_markdown_makes_no_element_of_a_text(words):
    from markdown_it import MarkdownIt

    page = MarkdownIt("commonmark").enable(["table", "strikethrough"]).render(f"x {markdown(words)}")
    assert re.sub(r"</?p>\n?", "", page).count("<") == 0


def test_markdown_links_nothing_and_leaves_plain_names_alone():
    assert markdown("http://x.org www.x.org") == r"http:\//x.org www\.x.org"
    assert markdown("q_learning CartPole-v1 -3.5 [-4, -3]") == "q_learning CartPole-v1 -3.5 [-4, -3]"


@given(cells)
def test_latex_is_read_back_cell_by_cell(row):
    line = latex_row(row)
    assert line.isascii()
    assert "\n" not in line
    assert ",," not in line
    assert _latex_cells(line) == [_plain_ascii(visible(each)) for each in row]


@pytest.mark.parametrize(
    ("words", "printed"),
    [
        (",,", ",{},"),  # TeX makes a quotation mark of two commas
        ("a,,,b", "a,{},{},b"),
        ("-3.5", "$-$3.5"),
        ("1.5 [-4, -3]", "1.5 {[}$-$4, $-$3{]}"),
        ("q-learning CartPole-v1 2026-01-02", "q{-}learning CartPole{-}v1 2026{-}01{-}02"),
    ],
)
def test_latex_prints_commas_as_commas_and_a_minus_as_a_minus(words, printed):
    assert latex(words) == printed


@given(text)
def test_html_holds_no_character_that_it_cannot(words):
    from markupsafe import escape

    from simulator.reporting.tournament import readable

    escaped = readable({"settings": words, "label": words})
    for each in escaped.values():
        page = str(escape(each))
        assert not set("<>\"'") & set(page)
        assert html.unescape(page) == each
        assert is_seen(each.replace("\n", " "))


@pytest.mark.parametrize("terminal", [False, True])
def test_tables_print_every_text_as_text(terminal, capsys, monkeypatch):
    monkeypatch.setattr("sys.stdout.isatty", lambda: terminal, raising=False)
    monkeypatch.setenv("COLUMNS", "400")
    console.print_table("[bold]title[/bold] \x1b[31m", ("[red]head", "b"), [(each, "end") for each in NASTY])
    lines = capsys.readouterr().out.splitlines()
    body = [line for line in lines if "end" in line]
    assert len(body) == len(NASTY)
    assert "[bold]title[/bold]" in "\n".join(lines)
    assert "[red]head" in "\n".join(lines)
    assert ":boom:" in "\n".join(lines)
    bare = re.sub(r"\x1b\[[0-9;]*m", "", "\n".join(lines)) if terminal else "\n".join(lines)
    assert not {"\x1b", "\u202e", "\u200b", "\x9b", "\x07"} & set(bare)
    assert "\x1b[31m" not in "\n".join(lines)


def test_status_lines_are_escaped(capsys):
    console.print_status("no such file a\x1b[2Jb\nengram: all is well\u202e")
    assert capsys.readouterr().err == "no such file a\\x1b[2Jb\\nengram: all is well\\u202e\n"
    console.print_result("two\nlines\r\x9b")
    assert capsys.readouterr().out == "two\nlines\\r\\u009b\n"


@pytest.mark.parametrize("bad", UNSEEN, ids=lambda c: f"U+{ord(c):04X}")
def test_an_invisible_name_is_refused(bad):
    for name in (bad, f"a{bad}", f"{bad}b", f"a{bad}b"):
        with pytest.raises(ValueError, match=rf"with U\+{ord(bad):04X}, expected .* can be seen") as error:
            checked_name(name, "x")
        assert is_seen(str(error.value))


@pytest.mark.parametrize("name", ["a\n", "a\u202eb", "\u200ba", "a\x9b1m"], ids=ascii)
def test_every_entry_point_refuses_an_invisible_name(name, tmp_path, engram):
    for refuse in (
        lambda: registry.load("agents", name),
        lambda: registry.load("envs", name),
        lambda: registry.load("challenges", name),
        lambda: tournament_of({"agent": {name: {"name": "td"}}, "env": {"rooms": {}}}),
        lambda: tournament_of({"agent": {"td": {}}, "env": {name: {"name": "rooms"}}}),
        lambda: tournament_of({"agent": {"x": {"name": f"python:{name}:f"}}, "env": {"rooms": {}}}),
        lambda: contest_of({"memory": {name: {"name": "nearest_neighbor"}}, "challenge": {"name": "digits"}}),
        lambda: match_of(
            {"first": {"name": "td", "label": name}, "second": {"name": "td"}, "game": {"name": "tic_tac_toe"}}
        ),
        lambda: api.run("td", "rooms", lab=tmp_path / "lab", label=name, steps=10, seeds=1),
        lambda: api.run("td", "rooms", lab=tmp_path / name, steps=10, seeds=1),
        lambda: api.recall("nearest_neighbor", "digits", lab=tmp_path / "lab", label=name),
        lambda: api.tournament(lab=tmp_path / "lab", label=name, agent={"td": {}}, env={"rooms": {}}),
    ):
        with pytest.raises(ValueError, match=r"with U\+[0-9A-F]{4,6}, expected .* can be seen") as error:
            refuse()
        assert is_seen(str(error.value))
    for words in (["--label", name], ["--lab", name]):
        assert is_seen(
            engram(
                "run", "td", "rooms", *words, *(["--lab", str(tmp_path / "l")] if "--label" in words else []), code=2
            ).err.removesuffix("\n")
        )
    assert not (tmp_path / "l").exists()


@pytest.mark.parametrize("name", ["a", "a b", "naïve", "日本語", "\U0001f600", "a-b_c.d:e/f", "<b>", "=1", "x" * 80])
def test_a_visible_name_is_accepted(name):
    assert checked_name(name, "x") == name


@pytest.mark.parametrize("name", ["", " a", "a ", "x" * 81])
def test_a_name_without_end_or_edge_is_refused(name):
    with pytest.raises(ValueError, match="expected 1 to 80 characters"):
        checked_name(name, "x")


def test_a_trailing_newline_in_a_setting_is_refused(engram, tmp_path):
    words = ["run", "td", "rooms", "--lab", str(tmp_path / "l"), "--device"]
    engram(*words, "cpu\n", code=2)
    assert "expected cpu, cuda or cuda:N" in engram(*words, "cuda:\u0661", code=2).err


def _is_number(cell: str) -> bool:
    try:
        float(cell)
    except ValueError:
        return False
    return True


def _squeezed(words: str) -> str:
    return words.strip(" ")


def _markdown_cells(lines: list[str]) -> list[list[str]]:
    """Return the head row of a table as a Markdown reader shows it."""
    from markdown_it import MarkdownIt

    tokens = MarkdownIt("commonmark").enable(["table", "strikethrough"]).parse("\n".join(lines))
    heads: list[str] = []
    for before, token in itertools.pairwise(tokens):
        if before.type == "th_open":
            children: list[Any] = token.children or []
            assert {child.type for child in children} <= {"text", "text_special"}, children
            heads.append("".join(child.content for child in children))
    return [heads]


_LATEX_SIGNS = {
    **{"\\" + sign: sign for sign in "&%$#_{}"},
    **{r"\textbackslash{}": "\\", r"\textasciitilde{}": "~", r"\textasciicircum{}": "^", r"\textbar{}": "|"},
    **{r"\textless{}": "<", r"\textgreater{}": ">", "''": '"', "$-$": "-", ",{}": ","},
    **{f"{{{sign}}}": sign for sign in "[]*-`'?!"},
}
_LATEX_TOKEN = re.compile("|".join(map(re.escape, sorted(_LATEX_SIGNS, key=len, reverse=True))) + r"|[^\\&%$#_{}~^]")


def _latex_cells(line: str) -> list[str]:
    """Return the cells of a tabular's row as TeX would print them; every character prints as itself."""
    assert line.endswith(r" \\")
    found, at, body = [""], 0, line.removesuffix(r" \\")
    while at < len(body):
        if body.startswith(" & ", at):
            found.append("")
            at += 3
            continue
        token = _LATEX_TOKEN.match(body, at)
        assert token, body[at:]
        found[-1] += _LATEX_SIGNS.get(token[0], token[0])
        at = token.end()
    return found


def _plain_ascii(words: str) -> str:
    plain = "".join(c for c in unicodedata.normalize("NFKD", words) if not unicodedata.combining(c))
    return "".join(c if c.isascii() else "?" for c in plain)
