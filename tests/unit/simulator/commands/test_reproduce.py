"""Tests of ``engram reproduce``."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from simulator.commands.reproduce import compare
from simulator.config.run import RunConfig, build
from simulator.store import run_records
from simulator.store.run_store import Store
from simulator.training import loop
from tests.helpers.commands import Engram

SMALL = build(
    {"seeds": 2, "steps": 400, "eval_episodes": 3, "agent": {"name": "q_learning"}, "env": {"name": "FrozenLake-v1"}}
)


def stored(lab: Path, steps: int | None = None) -> str:
    """Store a run in a lab, complete or interrupted after some steps."""
    with Store(lab) as store:
        snapshots = loop.run(SMALL, store)
        for snapshot in snapshots:
            if steps is not None and snapshot.step >= steps:
                break
        snapshots.close()  # type: ignore[attr-defined]
        return snapshot.id


def test_equal_rows_are_equal_and_nan_equals_itself() -> None:
    rows = {(5, 0, "evaluation"): (("mean", np.nan), ("exact", None)), (6, 1, "curve point"): (("episodes", 3),)}
    assert compare(rows, {key: tuple(value) for key, value in rows.items()}) is None
    assert compare({}, rows) is None


CASES: list[tuple[Any, Any, Any, Any, Any]] = [
    ((9, 1, "curve point"), "return_sum", 2.0, 2.0 + 2**-51, 9),
    ((9, 1, "curve point"), "return_sum", 0.0, -0.0, 9),
    ((9, 1, "evaluation"), "mean", 2.0, np.nan, 9),
    ((9, 1, "evaluation"), "exact", None, 1.0, 9),
]


@pytest.mark.parametrize(("key", "name", "then", "now", "step"), CASES)
def test_the_first_difference_by_step_is_named(key: Any, name: str, then: Any, now: Any, step: int) -> None:
    same = {(3, 0, "evaluation"): (("mean", 1.0),)}
    later = {(12, 0, "evaluation"): (("mean", 1.0),)}
    found = compare({**later, key: ((name, then),), **same}, {**same, key: ((name, now),)})
    assert found is not None
    assert (found["step"], found["seed"], found["what"], found["number"]) == (step, 1, key[2], name)
    assert found["stored"] == then
    assert str(found["again"]) == str(now)


def test_missing_and_extra_rows_differ_up_to_the_last_stored_step() -> None:
    rows = {(3, 0, "evaluation"): (("mean", 1.0),), (5, 0, "evaluation"): (("mean", 2.0),)}
    assert compare(rows, {(3, 0, "evaluation"): (("mean", 1.0),)})["step"] == 5  # type: ignore[index]
    assert compare({(5, 0, "evaluation"): (("mean", 2.0),)}, rows)["step"] == 3  # type: ignore[index]
    assert compare({(3, 0, "evaluation"): (("mean", 1.0),)}, rows) is None


@pytest.mark.slow
@pytest.mark.parametrize("steps", [None, 0])
def test_a_stored_run_is_reproduced(tmp_path: Path, steps: int | None, engram: Engram) -> None:
    run = stored(tmp_path, steps)
    outcome = engram("reproduce", "latest", "--lab", str(tmp_path), "--json").json
    assert (outcome["run"], outcome["identical"], outcome["difference"]) == (run, True, None)
    assert outcome["versions"] == {}
    assert outcome["compared"]["evaluations"] == (40 if steps is None else 0)
    with Store(tmp_path) as store:
        assert [each.run for each in store.runs()] == [run]


@pytest.mark.slow
def test_a_run_that_differs_is_reported_and_fails(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, engram: Engram
) -> None:
    stored(tmp_path)
    real = loop.run

    def another(config: RunConfig, store: Store, run: str | None) -> Any:
        changed = {"seeds": 2, "steps": 400, "eval_episodes": 3, "env": {"name": "FrozenLake-v1"}}
        return real(build({**changed, "agent": {"name": "q_learning", "init_value": 1.0}}), store)

    monkeypatch.setattr(loop, "run", another)
    assert engram("reproduce", "latest", "--lab", str(tmp_path), code=1).out.startswith("r1: first differs in the ")
    monkeypatch.setattr(run_records, "version_of", lambda name: "0")
    assert "  numpy was " in engram("reproduce", "latest", "--lab", str(tmp_path), code=1).out


def test_a_file_that_changed_since_the_run_is_named(engram: Engram, clean_folder: Path) -> None:
    mine = clean_folder / "mine.py"
    helper = clean_folder / "bonus.py"
    engram("new", "agent", "mine")
    helper.write_text("BONUS = 0.0\n")
    before = mine.read_text()
    mine.write_text(before.replace("import numpy", "import bonus\nimport numpy"))
    engram("run", "./mine.py", "FrozenLake-v1", "--steps", "100", "--eval-episodes", "1", "--view", "none")
    assert engram("reproduce", "r1", "--json").json["files"] == {}
    helper.write_text("BONUS = 1.0\n")
    assert engram("reproduce", "r1", "--json").json["files"] == {str(helper): "has changed"}
    assert f"{helper} has changed since the run" in " ".join(engram("reproduce", "r1").out.split())
    mine.write_text(before)
    told = engram("resume", "r1", "--steps", "200", code=2).err
    assert "mine.py has changed" in told
    assert "since it began; put" in told
