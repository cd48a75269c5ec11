"""Tests of ``engram recall --sequence``: what it prints, what it draws, and what it refuses in one line."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from tests.helpers.commands import Engram
from tests.helpers.paths import ROOT

pytestmark = pytest.mark.usefixtures("clean_folder")
QUICK = ("--updates", "2", "--batch", "2", "--seeds", "2")


def test_json_is_one_object_with_a_row_for_each_length_and_cell(engram: Engram) -> None:
    words = ("recall", "--sequence", "delayed", "window", "one=window", "--cell.one.k", "1", "--lengths", "4", "2")
    output = engram(*words, *QUICK, "--json")
    data = json.loads(output.out)
    assert [(row["length"], row["cell"]) for row in data["rows"]] == [
        (2, "window"),
        (2, "one"),
        (4, "window"),
        (4, "one"),
    ]
    assert data["chance"] == 0.25
    for row in data["rows"]:
        assert len(row["right"]["per_seed"]) == 2
        assert row["right"]["low"] <= row["right"]["mean"] <= row["right"]["high"]
    assert set(data["fails_at"]) == {"window", "one"}
    assert engram(*words, *QUICK, "--json").out == output.out


def test_a_column_of_a_file_is_forecast_beside_persistence_drift_and_autoregression(engram: Engram) -> None:
    series = np.random.default_rng(0).standard_normal(60).cumsum()
    Path("prices.csv").write_text("day,close\n" + "".join(f"{k},{x!r}\n" for k, x in enumerate(series.tolist())))
    words = ("recall", "--sequence", "forecast", "window", "--csv", "prices.csv", "--column", "close", *QUICK)
    data = json.loads(engram(*words, "--json").out)
    assert [row["method"] for row in data["rows"]] == [
        "persistence",
        "drift",
        "AR(p)",
        "AR(p) of changes",
        "window",
    ]
    assert data["rows"][0]["skill"]["mean"] == 0.0
    test = slice(data["splits"][0]["train_end"], data["splits"][-1]["test_end"])
    assert data["rows"][0]["mse"]["mean"] == pytest.approx((np.diff(series, prepend=0.0)[test] ** 2).mean())
    lines = engram(*words, "--picture", "skill.svg").out.splitlines()
    assert lines[0] == "prices.csv: next value of 60, 2 seeds, mean [95 % CI]"
    assert any(line.startswith("window ") and line.endswith(" AR(p)") for line in lines)
    assert "<svg" in Path("skill.svg").read_text("utf-8")
    Path("skill.svg").write_text("a drawing of another program")
    assert "skill.svg already exists" in engram(*words, "--picture", "skill.svg", code=2).err


@pytest.mark.parametrize(
    ("words", "line"),
    [
        ("--sequence copyy", "--sequence copyy: expected delayed, copy, repeat-previous, forecast, gradient"),
        ("--sequence copy --lengths 0", "--lengths 0: expected a list, each a whole number >= 1 and <= 10,000"),
        ("--sequence copy --lengths five", "--lengths five: expected a list, each a whole number >= 1 and <= 10,000"),
        ("--sequence copy --lengths 9 2", "--lengths 2: expected at least --copied 3"),
        ("--sequence copy --csv text.csv", "--csv: not for --sequence copy, expected --batch"),
        ("--sequence gradient --updates 3", "--updates: not for --sequence gradient, expected --first-seed"),
        ("--sequence copy pca", "pca: expected a component with sequence_learner, such as elman"),
        ("--sequence gradient window", "window: expected a component with state_gradients, such as elman"),
        ("--sequence copy nothing", "unknown component 'nothing'"),
        ("--sequence copy --cell.foo.k 3", "--cell.foo: no such cell competes, expected window, elman, gru, lstm"),
        ("--sequence copy window window", "window: window competes already, expected another label"),
        ("--sequence copy --picture a.txt", "a.txt: expected a file that ends in .svg, .png, .pdf"),
        ("--sequence copy window --lengths 9 9999 --seeds 99999", "GiB are free, expected shorter sequences"),
        ("--sequence gradient elman --lengths 9999 --seeds 9999", "GiB are free, expected shorter sequences"),
        ("--sequence forecast --series x", "--series x: expected random-walk, ar2, noisy-ar1, tent"),
        ("--sequence forecast --column b", "--column: expected --csv FILE too"),
        ("--sequence forecast --csv none.csv --column b", "none.csv: cannot be read: No such file or directory"),
        ("--sequence forecast --csv text.csv", "text.csv: no --column, expected one of a, b"),
        ("--sequence forecast --csv text.csv --column c", "text.csv: no column 'c', expected one of a, b"),
        ("--sequence forecast --csv text.csv --column a", "text.csv: row 3, column a = 'x': expected a number"),
        ("--sequence forecast --csv text.csv --column b", "text.csv: row 2, column b = 'nan': expected a number"),
        ("--sequence forecast --csv empty.csv --column b", "empty.csv: it is empty, expected a line with the names"),
        ("--lengths 5", "--lengths: expected --sequence TASK too"),
    ],
)
def test_what_fits_no_study_is_refused_in_one_line(engram: Engram, words: str, line: str) -> None:
    Path("text.csv").write_text("a,b\n1,nan\nx,2\n")
    Path("empty.csv").write_text("")
    output = engram("recall", *words.split(), code=2)
    assert output.out == ""
    assert line in output.err.splitlines()[-1]
    assert "Traceback" not in output.err


def test_the_help_names_the_tasks_and_the_settings_of_named_cells(engram: Engram) -> None:
    assert "--sequence copy" in engram("recall", "--help").out
    assert "--cell.window.k" in engram("recall", "--sequence", "copy", "window", "--help").out


def test_an_interrupt_ends_a_study_with_one_line() -> None:
    words = ["recall", "--sequence", "delayed", "window", "--updates", "10000000", "--seeds", "1", "--json"]
    process = subprocess.Popen(
        [sys.executable, "-m", "simulator", *words],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        cwd=ROOT,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),  # background jobs of a shell begin without it
    )
    assert process.stderr is not None
    try:
        assert process.stderr.readline() == "recall --sequence delayed: 0 of 3 length 5, window\n"
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=60)
    finally:
        process.kill()
    assert process.returncode == 130
    assert out == ""
    assert err.splitlines()[-1] == "engram: interrupted"
    assert "Traceback" not in err
