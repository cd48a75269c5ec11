"""Tests of failing seeds of a memory: excluded, reported, and harmless to other seeds and to views."""

from __future__ import annotations

import csv
import io
from functools import partial

import numpy as np
import pytest

from simulator.commands import reproduce
from simulator.config import recall
from simulator.config import tournament as tournament_config
from simulator.core.experiment_kinds import RECALL
from simulator.core.memories import Recall
from simulator.recall import loop
from simulator.recall import summary as recalls
from simulator.recall.benchmark import NOT_RECALLED, NOT_STORED, broken_seeds
from simulator.reporting import plot, report
from simulator.reporting import recall as recall_tables
from simulator.store.cell_store import CellStore
from simulator.store.measured_cells import MeasuredCells
from simulator.store.run_store import Store
from simulator.tournaments import loop as host
from simulator.tournaments import summary as standings
from simulator.tournaments.workers.local import workers_of

MEMORY = "tests.helpers.breaking_memory"
PLACES = {"store": NOT_STORED, "recall": NOT_RECALLED, "trace": NOT_RECALLED, "energy": NOT_RECALLED}
PLACES["codes"] = NOT_RECALLED
NUMBERS = ("overlap", "exact", "overlap_ratio", "exact_ratio", "fixed_point_rate", "familiarity")


def played(lab, broken=(1,), at="store", **changes):
    """Return the summary of a benchmark of a memory with failing seeds and one without."""
    breaking = {"name": MEMORY, "seeds": list(broken), "at": at}
    tables = {
        "seeds": 3,
        "patterns": [10],
        "corruption": ["flip:0.2", "none"],
        "novel": 5,
        "challenge": {"name": "digits"},
        "memory": {"breaking": breaking, "nearest_neighbor": {}},
        **changes,
    }
    with Store(lab) as store:
        for last in loop.recall(recall.build(tables), store):
            run = last.id
        return recalls.summary(store, run)


def of(summary, memory):
    return [each for each in summary["cells"] if each["memory"] == memory]


@pytest.mark.slow
@pytest.mark.parametrize("at", PLACES)
def test_a_failed_seed_counts_nowhere_and_the_others_keep_their_bits(tmp_path, at):
    clean, broken = played(tmp_path / "clean", ()), played(tmp_path / "broken", (1,), at)
    for before, after in zip(of(clean, "breaking"), of(broken, "breaking"), strict=True):
        assert after["failed"] == [{"seed": 1, "reason": PLACES[at]}]
        for name in NUMBERS[:2] + NUMBERS[4:]:
            ours, theirs = after[name]["per_seed"], before[name]["per_seed"]
            assert (ours[0], ours[2]) == (theirs[0], theirs[2])
            assert np.isnan(ours[1])
            assert after[name]["mean"] == pytest.approx(np.mean([theirs[0], theirs[2]]))
        for name in NUMBERS:
            assert np.flatnonzero(np.isnan(after[name]["per_seed"])).tolist() == [1]
        whole = [np.mean(np.delete(before["overlap"]["per_seed"], 1)), after["overlap"]["mean"]]
        assert after["bit_error"] == pytest.approx((1.0 - whole[0]) / 2.0)
    with Store(tmp_path / "broken") as store:
        stored = {(row.seed, row.step) for row in store.metrics("r1") if row.step <= 2}
    assert stored == {(seed, step) for seed in (0, 2) for step in (1, 2)}, "cue and ceilings among them"
    for name in ("overlap", "exact"):
        (less,) = [each[name] for each in broken["differences"] if each["corruption"] == "flip:0.2"]
        assert np.flatnonzero(np.isnan(less["per_seed"])).tolist() == [1]
    assert of(clean, "nearest_neighbor")[0]["overlap"] == of(broken, "nearest_neighbor")[0]["overlap"]


@pytest.mark.slow
def test_with_every_seed_failed_the_row_is_empty_and_the_others_are_shown(tmp_path, capsys):
    found = played(tmp_path, (0, 1, 2), basin=True)
    (cell, _), (other, _) = of(found, "breaking"), of(found, "nearest_neighbor")
    assert [cell[name] for name in NUMBERS] == [None] * len(NUMBERS)
    assert (cell["bit_error"], cell["bits_per_parameter"], cell["cue"], cell["spurious"]) == (None,) * 4
    assert other["overlap"]["mean"] > 0.5
    assert len(found["failed"]) == 6
    assert {each["memory"] for each in found["basins"]} == {"nearest_neighbor"}
    recall_tables.show_short({**found, "cells": [cell, other]})
    capsys.readouterr()
    for show in (recall_tables.show, recall_tables.show_markdown, partial(report.show_csv, RECALL)):
        show(found)
        text = capsys.readouterr().out
        assert text
        assert "nan" not in text
    lines = list(csv.DictReader(io.StringIO(text)))
    assert [row["overlap"] for row in lines if row["memory"] == "breaking"] == [""] * 6
    assert reproduce.again("r1", str(tmp_path))["identical"]


@pytest.mark.slow
@pytest.mark.parametrize(("rate", "failed"), [("3", [0, 1]), ("1e38", [0, 1])])
@pytest.mark.parametrize("levels", ["grey", "two"])
def test_weights_that_grow_without_bound(tmp_path, engram, monkeypatch, rate, failed, levels):
    if (rate, levels) == ("3", "two"):
        failed = []
    monkeypatch.chdir(tmp_path)
    corruption = {"grey": "gauss:0.5", "two": "flip:0.1"}[levels]
    words = [
        "recall",
        "rbm",
        "nearest_neighbor",
        "digits",
        "--challenge.levels",
        levels,
        "--corruption",
        corruption,
        "--view",
        "none",
    ]
    words += ["--patterns", "10", "--memory.rbm.learn.learning-rate", rate, "--seeds", "2", "--novel", "5"]
    done = engram(*words, "--json")
    found = done.json
    assert [each["seed"] for each in found["failed"]] == failed
    assert ("failed: rbm, 10 patterns" in done.err) == bool(failed)
    (cell,) = of(found, "rbm")
    assert (cell["overlap"] is None) == (len(failed) == 2)
    for command in ("show latest", "report latest --table", "report latest --csv", "resume latest", "reproduce latest"):
        text = engram(*command.split()).out
        assert "nearest_neighbor" in text or "identical" in text
    alone = [word for word in words if word != "nearest_neighbor"]
    engram(*alone, code=1 if len(failed) == 2 else 0)


@pytest.mark.slow
@pytest.mark.parametrize("broken", [(1,), (0, 1, 2)])
def test_a_picture_draws_what_there_is(tmp_path, broken):
    found = played(tmp_path / "lab", broken, patterns=[5, 10])
    plot.draw(plot.drawing_of(RECALL, found), tmp_path / "x.svg")
    text = (tmp_path / "x.svg").read_text()
    assert "nan" not in text.lower()
    assert text.count("<path") > 10


def test_a_row_names_its_number_of_seeds(tmp_path, capsys):
    recall_tables.show(played(tmp_path, (1,)))
    lines = capsys.readouterr().out.splitlines()
    assert sum("(2 seeds)" in line for line in lines) == 2
    line = f"failed: breaking, 10 patterns, flip:0.2: seed 1 ({NOT_STORED}); excluded from all numbers"
    assert line in lines


def test_a_seed_without_stored_scores_is_left_out(tmp_path, monkeypatch):
    """A number that is not in the store was not measured; it is never read as another."""
    keep = MeasuredCells.keep

    def without_second_seed(self, scores, facts):
        facts.pop("failed", None)
        for per_seed in scores.values():
            per_seed[1] = np.nan
        keep(self, scores, facts)

    monkeypatch.setattr(MeasuredCells, "keep", without_second_seed)
    found = played(tmp_path, ())
    for cell in found["cells"]:
        for name in NUMBERS:
            per_seed = np.array(cell[name]["per_seed"])
            assert np.flatnonzero(np.isnan(per_seed)).tolist() == [1]
            assert cell[name]["mean"] == pytest.approx(np.mean(per_seed[[0, 2]]))


@pytest.mark.slow
def test_a_capacity_is_over_the_seeds_that_did_not_fail(tmp_path):
    found = played(tmp_path, (2,), capacity=True)
    both = {each["memory"]: each for each in found["capacities"] if each["corruption"] == "none"}
    assert np.flatnonzero(np.isnan(both["breaking"]["half"]["per_seed"])).tolist() == [2]
    assert not np.isnan(both["nearest_neighbor"]["half"]["per_seed"]).any()
    lost = played(tmp_path, (0, 1, 2), capacity=True)
    recall_tables.show(lost)
    mine = next(each for each in lost["capacities"] if each["memory"] == "breaking")
    assert (mine["half"], mine["exact"], mine["beyond"]) == (None, [], [])


@pytest.mark.slow
def test_a_tournament_excludes_and_reports_a_failed_seed_too(tmp_path):
    some, every = ({"name": MEMORY, "seeds": seeds, "at": "recall"} for seeds in ([1], [0, 1, 2]))
    tables = {
        "seeds": 3,
        "memory": {"some": some, "every": every, "nearest_neighbor": {}},
        "challenge": {"digits": {"name": "digits", "patterns": 10, "corruption": "flip:0.2"}},
    }
    with CellStore(tmp_path) as store:
        for last in host.play(tournament_config.build(tables), store, lambda n: workers_of("0", n)):
            assert last.id == "t1"
        found = standings.summary(store, "t1")
    reasons = {(each["contestant"], *each["seeds"]): each["reason"] for each in found["failures"]}
    assert reasons["some", 1] == NOT_RECALLED
    assert NOT_RECALLED in reasons["every", 0, 1, 2]
    assert found["cells"] == {"planned": 3, "done": 2, "failed": 1, "missing": 0}


def test_broken_seeds_of_states_of_every_shape():
    clean = {"weights": [np.ones((3, 2), np.float32)], "stream": np.ones((3, 4), np.uint64), "n": 4, "stored": True}
    assert not broken_seeds(clean, 3).any()
    for value in (np.nan, np.inf, -np.inf):
        spoilt = np.ones((3, 2, 2))
        spoilt[2, 0, 1] = value
        assert broken_seeds({**clean, "more": {"deep": (spoilt,)}}, 3).tolist() == [False, False, True]
        assert broken_seeds({**clean, "scale": value}, 3).all()
        assert broken_seeds([np.array([1.0, value])], 3).all()
    huge = np.full((3, 4), np.finfo(np.float64).max)
    assert not broken_seeds(huge, 3).any()


def test_an_energy_may_be_missing_once_a_cue_is_at_rest():
    from simulator.recall.benchmark import Health

    energy = np.zeros((2, 1, 3))
    energy[:, :, 2] = np.nan
    for sweeps, failed in (([[1], [1]], [False, False]), ([[1], [2]], [False, True])):
        health = Health(2)
        health.look_at(Recall(np.zeros((2, 1, 4), np.float32), energy, np.array(sweeps)))
        assert health.failed.tolist() == failed
