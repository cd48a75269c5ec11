"""A made-up run whose rows and states follow from the step alone, so that any lab of it can be checked."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numpy as np

from simulator.store.run_store import EvaluationRow, MetricRow, NewRun, PointRows, Rows, RunProgress, Store
from tests.helpers.paths import ROOT

SEEDS = (3, 1, 2**62)
NEW = NewRun("run", "q_learning", "rooms", SEEDS, 100, 'agent = "q_learning"\n', "a1b2", {"numpy": "2"})


def points(first: int, last: int) -> PointRows:
    """Return the points that end in steps first + 1 to last, one a step, of every seed."""
    step = np.tile(np.arange(first + 1, last + 1), len(SEEDS))
    seed = np.repeat(np.array(SEEDS), last - first)
    real = [np.sin(step * k + seed % 7) for k in range(5)]
    return PointRows(seed, step - 1, step, step % 3, *real)


def evaluation(step: int) -> tuple[EvaluationRow, ...]:
    """Return one evaluation of every seed."""
    returns = [np.cos(np.arange(4.0) + step + seed % 5) for seed in SEEDS]
    return tuple(EvaluationRow(step, seed, float(r.mean()), None, r) for seed, r in zip(SEEDS, returns, strict=True))


def metrics(step: int) -> tuple[MetricRow, ...]:
    """Return two numbers of every seed."""
    return tuple(
        MetricRow(step, seed, name, float(np.sin(step + seed % 7 + k)))
        for seed in SEEDS
        for k, name in enumerate(("overlap", "exact"))
    )


def state(step: int) -> dict[str, object]:
    """Return the state after that many steps."""
    return {"agent": {"q": np.arange(8.0) * step, "n": step}, "recorder": [np.array(step, np.uint64), "x" * step]}


def rows(first: int, last: int) -> Rows:
    """Return the rows that are final between two steps."""
    return Rows(points(first, last), evaluation(last), metrics(last))


def write(store: Store, run: str, first: int, last: int, status: str = "running") -> None:
    """Write the checkpoint at step ``last``, after one at ``first``."""
    store.checkpoint(run, RunProgress(last, last / 4, last / 8), state(last), rows(first, last), status)


def begin(store: Store, *steps: int) -> str:
    """Begin a run with checkpoints at these steps."""
    run = store.begin(NEW)
    for first, last in zip((0, *steps), steps, strict=False):
        write(store, run, first, last)
    return run


def same(one: object, other: object) -> bool:
    """Return True for equal types, dtypes, shapes and bits."""
    if type(one) is not type(other):
        return False
    if isinstance(one, dict):
        return list(one) == list(other) and all(same(one[key], other[key]) for key in one)
    if isinstance(one, list | tuple):
        return len(one) == len(other) and all(map(same, one, other))
    if isinstance(one, np.ndarray | np.generic):
        return one.dtype == other.dtype and one.shape == other.shape and one.tobytes() == other.tobytes()
    return one == other or one != one


def check_rows(store: Store, run: str, steps: tuple[int, ...]) -> None:
    """Fail unless the rows are exactly those of a run that was recorded at these steps."""
    found, last = store.points(run), steps[-1] if steps else 0
    expected = points(0, last)
    order = np.lexsort((expected.step, expected.seed))
    for name, column in expected._asdict().items():
        assert same(getattr(found, name), column[order]), (name, last)
    every = sorted((row for step in steps for row in evaluation(step)), key=lambda row: (row.seed, row.step))
    assert same([tuple(row) for row in store.evaluations(run)], [tuple(row) for row in every])
    numbers = sorted((row for step in steps for row in metrics(step)), key=lambda row: (row.seed, row.step, row.name))
    assert same([tuple(row) for row in store.metrics(run)], [tuple(row) for row in numbers])


def check_newest(store: Store, run: str, step: int) -> None:
    """Fail unless the newest intact checkpoint is that of ``step``."""
    saved = store.newest(run)
    assert saved is not None
    assert saved.progress == RunProgress(step, step / 4, step / 8)
    assert same(saved.state, state(step))


def files(store: Store, run: str) -> list[str]:
    """Return the names of the checkpoint files of a run."""
    return sorted(path.name for path in store.folder(run).glob("*checkpoint*"))


def contents(lab: Path) -> dict[Path, bytes]:
    """Return every file of a lab except the locks."""
    return {path: path.read_bytes() for path in lab.rglob("*") if path.is_file() and path.name != "lock"}


def line(error: BaseException) -> str:
    """Return the text of an error, which must be one line."""
    text = str(error)
    assert "\n" not in text
    return text


def two_runs(lab: Path) -> Path:
    """Make a lab with a run of three checkpoints and one of one."""
    with Store(lab) as store:
        begin(store, 5, 9, 12)
        begin(store, 3)
    return lab


def check_two_runs(lab: Path) -> None:
    """Fail unless everything is there, and the first run can be taken."""
    with Store(lab) as store:
        steps = {"r1": (5, 9, 12), "r2": (3,)}
        assert [(record.run, record.seeds) for record in store.runs()] == [("r2", SEEDS), ("r1", SEEDS)]
        for run, known in steps.items():
            check_newest(store, run, known[-1])
            check_rows(store, run, known)
        store.take("r1")


def child(module: str, *words: object, wrap: tuple[str, ...] = ()) -> str:
    """Return the output of a script of this folder, run in a process of its own; it must succeed."""
    command = [*wrap, sys.executable, "-m", f"tests.system.{module}", *map(str, words)]
    environment = os.environ | {"OPENBLAS_NUM_THREADS": "1"}
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout
