"""Tests of the HTML page of a tournament: complete, escaped, self-contained and reproducible."""

from __future__ import annotations

import os
import re
import subprocess
from html.parser import HTMLParser
from pathlib import Path
from xml.etree import ElementTree

import pytest

from simulator.reporting.html_page import command, page, write_page
from tests.helpers.tournament_summaries import HOSTILE, analyzed, summary

VOID = {"meta", "br", "img", "input", "link", "hr"}
REASON = "<img src=x onerror=alert(1)> & more"
FAILED = {"contestant": HOSTILE[0], "challenge": "rooms", "seeds": [3], "reason": REASON, "counted_as": "floor"}


class Reader(HTMLParser):
    """A parser of a page: elements, ids, links inside and outside, text by section."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: list[str] = []
        self.ids: list[str] = []
        self.links: list[str] = []
        self.text: dict[str, str] = {}
        self.section = ""

    def handle_starttag(self, tag, attrs):
        found = dict(attrs)
        self.tags.append(tag)
        self.ids += [found["id"]] if "id" in found else []
        self.links += [found[key] for key in ("href", "src", "srcset", "data", "action") if key in found]
        self.links += re.findall(r"url\(([^)]*)\)", " ".join(value or "" for value in found.values()))
        assert not [key for key in found if key.startswith("on")]
        self.section = found["id"] if tag == "section" else self.section
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.handle_starttag(tag, attrs)
        if tag not in VOID:
            self.open.pop()

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.text[self.section] = self.text.get(self.section, "") + data


def read(text: str) -> Reader:
    reader = Reader()
    reader.feed(text)
    reader.close()
    assert reader.open == []
    return reader


@pytest.fixture(scope="module")
def hostile() -> str:
    found = summary(HOSTILE, ("<b>rooms</b>",), points=2, label="</title><script>x</script>", failures=[FAILED])
    found["settings"] = 'label = "</pre><script>alert(1)</script>"\nseeds = 8\n'
    found["contestants"][0]["settings"] = {"agent.name": "<i>x</i>", "agent.list": ["<u>", None]}
    found["versions"] = {"<engram>": "<1>"}
    return page(found)


def test_untrusted_text_is_plain_text(hostile):
    reader = read(hostile)
    assert not {"script", "img", "b", "i", "u", "iframe", "engram"} & set(reader.tags)
    assert HOSTILE[0] in reader.text["leaderboard"]
    assert r"$\alpha$_{x}" in reader.text["leaderboard"]
    assert "_hidden" in reader.text["curves"]
    assert REASON in reader.text["failures"]
    assert "agent.name = <i>x</i>, agent.list = ['<u>', None]" in reader.text["settings"]
    assert 'label = "</pre><script>alert(1)</script>"\nseeds = 8\n' in reader.text["repeat"]
    assert not set("\x07\x1b") & set(hostile)


def test_the_page_loads_nothing_and_every_link_has_a_target(hostile):
    reader = read(hostile)
    assert {link[0] for link in reader.links} == {"#"}
    assert {link[1:] for link in reader.links} <= set(reader.ids)
    assert len(reader.ids) == len(set(reader.ids))
    assert not re.search(r"https?:|@import|//", hostile)


def test_every_picture_is_xml_with_a_name(hostile):
    pictures = re.findall(r"<svg class=\"plot\".*?</svg>", hostile, re.DOTALL)
    assert len(pictures) == 4
    for text in pictures:
        root = ElementTree.fromstring(text)
        assert root.get("role") == "img"
        assert root.get("aria-label")
        assert root.get("viewBox").startswith("0 0 ")


def test_the_page_has_every_section():
    found = analyzed(3, 2, 4, 2)
    reader = read(page(found))
    assert list(reader.text)[1:] == [
        *("leaderboard", "scores", "profiles", "curves", "pairs", "failures", "settings", "repeat", "words")
    ]
    assert found["divisions"][0]["tiers_note"] in reader.text["leaderboard"]
    assert "env_0" in reader.text["scores"]
    assert "exact optimum" in reader.text["scores"]
    assert "it diverged" in reader.text["failures"]
    assert "left out" in reader.text["failures"]
    assert "engram-rl" in reader.text["settings"]
    assert "engram tournament t1.toml" in reader.text["repeat"]


def test_tiers_are_separate_table_bodies():
    text = page(summary(("a", "b", "c"), points=0))
    board = text[text.index('<section id="leaderboard">') : text.index("<figure")]
    assert [body.count("<tr>") for body in board.split("<tbody>")[1:]] == [2, 1]


@pytest.mark.parametrize(
    "found",
    [
        summary(("dqn",), ("rooms",), seeds=1, points=1),
        summary(("hopfield", "nearest_neighbor"), ("digits",), points=0),
        summary(ranking=[], scores=[], divisions=[], status="interrupted", label=None),
    ],
    ids=["one of each", "no curves", "nothing yet"],
)
def test_small_tournaments_have_a_page(found):
    text = page(found)
    reader = read(text)
    assert not re.search(r"\b(nan|None|Undefined)\b", text)
    assert "curves" not in reader.ids or found["divisions"][0]["curves"]


def test_missing_numbers_leave_a_dash():
    found = summary(("a", "b"), ("rooms",), points=0)
    found["ranking"][1] |= {"strength": None, "lottery": None, "mean_rank": {"value": None, "low": None, "high": None}}
    found["scores"][1]["raw"]["iqm"] = {"value": None, "low": None, "high": None}
    found["challenges"][0] |= {"floor": None, "floor_is": None}
    found["divisions"][0]["pairs"][0] |= {"probability": None, "difference": None, "p_holm": None}
    text = page(found)
    assert text.count('<td class="number">-</td>') >= 8
    assert "None" not in text


def test_the_same_summary_gives_the_same_bytes(tmp_path):
    for name in "ab":
        write_page(summary(("a", "b"), ("rooms",), points=2), tmp_path / f"{name}.html")
    first, second = ((tmp_path / f"{name}.html").read_bytes() for name in "ab")
    assert first == second
    assert sorted(each.name for each in tmp_path.iterdir()) == ["a.html", "b.html"]


@pytest.mark.parametrize("place", ["missing/a.html", "file/a.html", "folder"])
def test_a_place_that_cannot_be_written_is_one_line_and_leaves_nothing(tmp_path, place):
    (tmp_path / "file").write_text("")
    (tmp_path / "folder").mkdir()
    with pytest.raises(ValueError, match=rf"{place}: cannot be written \(.+\), expected a place that can") as error:
        write_page(summary(("a",), ("rooms",), points=0), tmp_path / place)
    assert "\n" not in str(error.value)
    assert sorted(each.name for each in tmp_path.iterdir()) == ["file", "folder"]


def test_a_page_takes_the_place_of_the_old_one(tmp_path):
    path = tmp_path / "a.html"
    write_page(summary(("old",), ("rooms",), points=0), path)
    write_page(summary(("a",), ("rooms",), points=0), path)
    assert ">old<" not in path.read_text("utf-8")
    assert path.read_text("utf-8").startswith("<!doctype html>")
    mask = os.umask(0)
    os.umask(mask)
    assert path.stat().st_mode & 0o777 == 0o666 & ~mask


def test_a_shell_takes_the_command_as_it_is(tmp_path: Path):
    settings = 'label = "$HOME `id` \\\\ it\'s"\nEND\nsteps = 5'
    lines = command("t1; rm -rf", settings, "engram tournament {file}").splitlines()
    assert lines[-1] == "engram tournament t1__rm_-rf.toml"
    subprocess.run(["sh", "-c", "\n".join(lines[:-1])], cwd=tmp_path, check=True)
    assert (tmp_path / "t1__rm_-rf.toml").read_text("utf-8") == settings + "\n"
