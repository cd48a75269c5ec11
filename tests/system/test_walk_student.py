"""A student's hour: every command of the page works, and the reader sees what the page says."""

from __future__ import annotations

import pytest

from tests.helpers.commands import Engram
from tests.helpers.pages import blocks, walk

PAGE = "docs/walks/student.md"


@pytest.mark.slow
def test_the_students_hour(clean_folder, engram: Engram, monkeypatch) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    steps = walk(PAGE, engram)
    printed = {" ".join(step.command.split()[:3]): step.output.out for step in steps}
    watched, trained, sarsa = (step.output.out for step in steps if step.command.startswith("engram run"))
    shown = [block.text for block in blocks(PAGE) if block.language == "text"]
    for out in (watched, trained, sarsa):
        assert "optimal return -13" in " ".join(out.split())
    assert "final evaluation return, exact, mean -13" in " ".join(watched.split())
    assert "16/16 seeds" in trained
    assert "0/16 seeds" in sarsa
    report = printed["engram report r2"]
    assert report.strip() == shown[0].strip()
    values = printed["engram show r2"]
    for line in shown[1].splitlines():
        assert line == "..." or line in values.splitlines()
    table = printed["engram report latest"].splitlines()
    assert [line.split("|")[1] for line in table] == [line.split("|")[1] for line in shown[2].splitlines()]
    assert printed["python -m agents.q_learning"] == shown[3]
    assert "overlap 1.00" in printed["python -m memory.hopfield"]
    assert all(
        f"<!-- {name} -->" in (clean_folder / "cliff.svg").read_text() for name in ("Q-learning", "Sarsa", "optimum")
    )
    assert all(
        f"<!-- {name} -->" in (clean_folder / "recall.svg").read_text() for name in ("hopfield", "modern_hopfield")
    )
