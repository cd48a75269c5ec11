"""Tests of tables and pictures of sequences, from the numbers of a study."""

from __future__ import annotations

import numpy as np
import pytest

from simulator.reporting import sequences
from simulator.reporting.figures import save_pictures

DISTANCE = np.arange(11)


def gradients():
    norm = 0.5**DISTANCE
    rows = [{"cell": "gru", "init": "uniform", "distance": DISTANCE, "norm": norm, "low": norm, "high": norm}]
    exact = 0.9**DISTANCE
    rows.append({**rows[0], "cell": "linear", "init": "radius 0.9", "norm": exact, "exact": exact})
    return {"sequence": "gradient", "seeds": [0, 1], "cells": {"gru": "gru"}, "units": 4, "gradients": rows}


def symbols():
    right = {"mean": 0.97, "low": 0.95, "high": 0.99, "per_seed": [0.95, 0.99]}
    wrong = {"mean": 0.25, "low": 0.2, "high": 0.3, "per_seed": [0.2, 0.3]}
    rows = [
        {"length": 5, "cell": "a", "right": right},
        {"length": 5, "cell": "b", "right": right},
        {"length": 9, "cell": "a", "right": right},
        {"length": 9, "cell": "b", "right": wrong},
    ]
    head = {"sequence": "copy", "seeds": [0, 1], "cells": {"a": "lstm", "b": "window"}, "updates": 3, "chance": 0.25}
    return {**head, "rows": rows, "fails_at": {"a": None, "b": 9}}


def forecasts():
    value = {"mean": 1.5, "low": 1.25, "high": 1.75, "per_seed": [1.25, 1.75]}
    row = {"method": "persistence", "mse": value, "skill": {**value, "mean": 0.0, "low": None, "high": None}}
    head = {"sequence": "forecast", "seeds": [0, 1], "cells": {"a": "lstm", "b": "gru"}, "series": "ar2"}
    beats = {"a": True, "b": False}
    return {**head, "n_values": 1000, "optimal_mse": 1.0, "rows": [row], "beats_ar": beats}


def test_a_table_of_symbols_says_where_each_cell_fails(capsys):
    sequences.show(symbols())
    assert [line.rstrip() for line in capsys.readouterr().out.splitlines()] == [
        "copy: share of right answers by length, 2 seeds, mean [95 % CI]; best 1, chance 0.25",
        "cell  5                  9                  fails at",
        "a     0.97 [0.95, 0.99]  0.97 [0.95, 0.99]  none",
        "b     0.97 [0.95, 0.99]  0.25 [0.2, 0.3]    9",
    ]


def test_a_table_of_forecasts_has_the_exact_optimum_and_says_what_beats_autoregression(capsys):
    sequences.show(forecasts())
    lines = [line.rstrip() for line in capsys.readouterr().out.splitlines()]
    assert lines[0] == "ar2: next value of 1,000, 2 seeds, mean [95 % CI]; exact optimum of the error 1"
    assert lines[-2:] == ["a is better than AR(p)", "b does not beat AR(p)"]


def test_a_table_of_gradients_has_the_exact_power_below_the_linear_cell(capsys):
    sequences.show(gradients())
    lines = [line.split() for line in capsys.readouterr().out.splitlines()]
    assert lines[1] == ["cell", "init", "0", "2", "4", "6", "8", "10"]
    assert lines[2] == ["gru", "uniform", "1", "0.25", "0.062", "0.016", "0.0039", "0.00098"]
    assert lines[3][-6:] == lines[4][-6:] == ["1", "0.81", "0.66", "0.53", "0.43", "0.35"]


@pytest.mark.parametrize("data", [symbols(), forecasts(), gradients()])
def test_every_study_is_drawn(tmp_path, data):
    path = tmp_path / "study.svg"
    save_pictures(sequences.pictures_of(data), path)
    assert path.read_text("utf-8").count("<path") > 10
