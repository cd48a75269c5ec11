"""A teacher's lecture: ten files, one of them broken, a tournament and its page, as the manual has them."""

from __future__ import annotations

import pytest

from tests.helpers.commands import Engram
from tests.helpers.pages import blocks, walk

PAGE = "docs/walks/teacher.md"
STUDENTS = ("ada", "ben", "cleo", "dan", "eva", "finn", "gina", "hugo", "iris", "jon")
SLIP = "MyAgent.learn: AttributeError: 'MyAgent' object has no attribute 'weigths'"


@pytest.mark.slow
def test_the_teachers_lecture(clean_folder, engram: Engram, monkeypatch) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    steps = walk(PAGE, engram)
    printed = {" ".join(step.command.split()[:2]): step.output.out for step in steps}
    checked, board, _ = (block.text for block in blocks(PAGE) if block.language == "text")
    assert printed["engram check"] == checked
    (said,) = [line for line in printed["engram check"].splitlines() if "Error" in line]
    assert SLIP in said
    tournament = printed["engram tournament"]
    assert "9 of 10 cells, 1 failed; 10 contestants" in tournament
    assert " ".join(tournament.split()).count(SLIP) == 1
    rows = [line.split() for line in tournament.splitlines() if line[:1] in "12-" and len(line.split()) > 2]
    tiers = {row[1]: row[0] for row in rows if row[1] in STUDENTS}
    assert sorted(tiers) == sorted(STUDENTS)
    assert {tiers[name] for name in ("ada", "ben", "cleo", "hugo")} == {"2"}
    assert tiers["gina"] == "1"
    assert tiers["jon"] == "-"
    assert {name for name in STUDENTS if f" {name} " in board} == set(STUDENTS)
    page = (clean_folder / "page.html").read_text("utf-8")
    leaderboard = page[page.index('id="leaderboard"') : page.index('id="scores"')]
    assert all(f">{name}<" in leaderboard for name in STUDENTS)
    assert "src=" not in page
    assert "https://" not in page
    assert (clean_folder / "tiers.svg").stat().st_size > 1_000
