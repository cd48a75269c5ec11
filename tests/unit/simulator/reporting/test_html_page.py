"""Tests of the HTML page of a tournament: complete, escaped, self-contained and reproducible."""

from __future__ import annotations

import os
import re
import subprocess
from html.parser import HTMLParser
from pathlib import Path
from xml.etree import ElementTree

import pytest

from simulator.reporting.html_page import command, page, page_of_recall, page_of_runs, write_page
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


@pytest.mark.slow
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


@pytest.mark.slow
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


def stored_run(name: str, label: str) -> dict:
    curve = {"steps": [10, 20], "iqm": [0.25, 0.5], "low": [0.0, 0.25], "high": [0.5, 0.75]}
    interval = {"median": 10.0, "mean": 0.5, "low": None, "high": None, "per_seed": [10.0, None]}
    solved = {"threshold": 0.5, "fraction": 0.5, "final": 0.5, "first_steps": interval, "stayed_interval": interval}
    solved["eval_every"] = 10
    evaluation = {"iqm": 0.5, "low": 0.25, "high": 0.75, "equal": None, "cut": [0, 0], "without_score": 0, "step": 20}
    evaluation |= {"per_seed": [0.25, float("nan")], "exact_per_seed": None}
    return {
        **{"run": name, "label": label, "agent": "td", "env": "<i>rooms</i>", "name": f"{label} {name}", "preset": ""},
        **{"seeds": [0, 1], "steps": 20, "step": 20, "status": "done", "optimum": 0.75, "floor": 0.0, "lost": ""},
        **{"failed": [{"seed": 1, "step": 7, "reason": REASON}], "error": None, "steps_per_cpu_second": None},
        **{"seconds": 1.5, "cpu_seconds": 1.0, "created": "2026-01-02", "versions": {"<v>": "1"}, "machines": []},
        **{"settings": {"agent.gamma": 0.5}, "compared_with": None, "differs": {}, "curve": curve},
        **{"evaluation": evaluation, "solved": solved, "toml": f'label = "</pre><script>"\nsteps = 20 # {name}\n'},
    }


@pytest.mark.parametrize("n", [1, 3, 9])
def test_a_page_of_runs_is_complete_and_plain_text(n):
    labels = ["</title><script>x</script>", "", "\x1b[31mred"] * 3
    text = page_of_runs({"runs": [stored_run(f"r{i}", labels[i]) for i in range(n)]})
    reader = read(text)
    assert not {"script", "img", "i", "v"} & set(reader.tags)
    assert list(reader.text)[1:] == ["results", "curves", "seeds", "failures", "settings", "repeat", "words"]
    assert {link[0] for link in reader.links} == {"#"}
    assert {link[1:] for link in reader.links} <= set(reader.ids)
    assert not re.search(r"\b(nan|None|Undefined)\b", text)
    assert f"r0, seed 1, step 7: {REASON}" in reader.text["failures"]
    assert "agent.gamma = 0.5" in reader.text["settings"]
    assert 'label = "</pre><script>"\nsteps = 20 # r0\nEND\nengram run --config r0.toml' in reader.text["repeat"]
    assert "\x1b" not in text
    assert text.count('class="plot"') == -(-n // 6)


def test_a_page_of_a_benchmark_is_complete_and_plain_text():
    score = {"mean": 0.5, "low": 0.25, "high": 0.75, "per_seed": [0.25, 0.75]}
    cell = {"overlap": score, "exact": score, "familiarity": None, "overlap_ratio": None, "failed": [], "parameters": 4}
    cell |= {
        "ceiling": {"overlap": 0.9, "exact": None},
        "ceiling_interval": {"overlap": [0.8, 1.0], "exact": [None] * 2},
    }
    cell |= {"ceiling_at_least": False, "used_evidence": False, "recall_mode": "single_pass", "spurious": None}
    cell |= {"seconds": 0.1, "store_seconds": 0.1, "memory": "<b>"}
    found = {
        **{
            "run": "r1",
            "label": "<u>",
            "challenge": "digits",
            "status": "done",
            "step": 2,
            "steps": 2,
            "seeds": [0, 1],
        },
        **{"contestants": ["<b>", "gone"], "differences": [], "basins": [], "capacities": [], "refused": []},
        **{"failed": [{"memory": "<b>", "patterns": 5, "corruption": "flip:0.1", "seed": 1, "reason": REASON}]},
        **{"cells": [{**cell, "patterns": 5, "corruption": f"flip:0.{i}"} for i in (1, 2)], "toml": 'a = "</pre>"\n'},
        **{"seconds": None, "cpu_seconds": None, "created": "2026-01-02", "versions": {}, "machines": []},
    }
    text = page_of_recall(found)
    reader = read(text)
    assert not {"b", "u", "script", "img"} & set(reader.tags)
    assert list(reader.text)[1:] == ["results", "curves", "conditions", "failures", "settings", "repeat", "words"]
    assert "r1: no picture of load" in reader.text["curves"]
    assert "r1: no curve of gone: it has no score" in reader.text["curves"]
    assert REASON in reader.text["failures"]
    assert "5 patterns, flip:0.2" in reader.text["conditions"]
    assert not re.search(r"\b(nan|None|Undefined)\b", text)
    assert text.count('class="plot"') == 2
