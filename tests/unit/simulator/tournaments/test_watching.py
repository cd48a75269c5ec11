"""Tests of watching a tournament: read from its lab only, whether it goes on, is over, was killed, or is gone."""

from __future__ import annotations

import shutil

import pytest

from simulator.config.tournament import build
from simulator.core.scene import CurvePanel, TextPanel
from simulator.store.cell_store import CellStore
from simulator.tournaments import loop, watching
from simulator.tournaments.watching import WatchedTournament, panels_of_cell, play_cell
from simulator.tournaments.workers.local import Here
from tests.helpers.tournaments import play, small


def test_a_finished_tournament_has_its_board_and_its_cells(tmp_path):
    last = play(tmp_path, small())
    watched = WatchedTournament(str(tmp_path), "latest")
    watched.look()
    assert watched.fault == ""
    assert watched.snapshot.phase == "done"
    assert (watched.snapshot.done, watched.snapshot.planned) == (6, 6)
    assert repr(watched.snapshot.rows) == repr(last.rows)  # some are NaN
    assert [cell.status for cell in watched.cells] == ["done"] * 6
    assert {cell.contestant for cell in watched.cells} == {"q", "td", "walk"}
    seen = watched.n_looks
    watched.look()
    assert watched.n_looks == seen


def test_a_tournament_that_goes_on_is_read_without_a_word_to_it(tmp_path):
    with CellStore(tmp_path) as store:
        snapshots = loop.play(build(small()), store, lambda n: Here())
        next(snapshots)
        watched = WatchedTournament(str(tmp_path), "t1")
        statuses = []
        for _ in snapshots:
            watched.look()
            statuses.append((watched.snapshot.phase, watched.snapshot.done))
        assert ("running", 1) in statuses
        assert [done for _, done in statuses] == sorted(done for _, done in statuses)


def test_a_killed_tournament_is_named_so(tmp_path):
    play(tmp_path, small())
    with CellStore(tmp_path) as store:
        store.mark("t1", "running")
    watched = WatchedTournament(str(tmp_path), "t1")
    assert watched.snapshot.phase == "killed"


def test_a_lab_that_is_gone_leaves_the_last_standing(tmp_path):
    lab = tmp_path / "lab"
    play(lab, small())
    watched = WatchedTournament(str(lab), "t1")
    watched.look()
    rows = watched.snapshot.rows
    shutil.rmtree(lab)
    watched.look()
    assert str(lab) in watched.fault
    assert watched.snapshot.rows == rows
    with pytest.raises(ValueError, match="lab"):
        WatchedTournament(str(lab), "t1")


def test_what_is_known_of_cells(tmp_path):
    """A cell's scratch lab is looked at while it is played: its checkpoint and its evaluations so far."""
    seen = []

    class Looking(Here):
        def wait(self, seconds):
            watched = WatchedTournament(str(tmp_path), "t1")
            cell = next(cell for cell in watched.cells if cell.status != "done")
            seen.append((cell.status, panels_of_cell(cell)))
            return super().wait(seconds)

    play(tmp_path, small(), workers=Looking)
    assert "running" in [status for status, _ in seen]
    watched = WatchedTournament(str(tmp_path), "t1")
    (panel,) = panels_of_cell(watched.cells[0])
    assert isinstance(panel, TextPanel)
    assert panel.facts["seeds"] == "seeds 0 to 2"
    assert play_cell(watched.cells[0]) is None


def test_evaluations_of_a_cell_are_a_curve(tmp_path):
    from simulator.config.run import build as build_run
    from simulator.store.run_store import Store
    from simulator.training import loop as training

    values = {"agent": {"name": "q_learning"}, "env": {"name": "rooms", "layout": "six"}, "seeds": 2, "steps": 400}
    with Store(tmp_path) as store:
        for _ in training.run(build_run({**values, "eval_every": 100, "eval_episodes": 5}), store):
            pass
    cell = watching.TournamentCell("q", "six", (0, 2), "run", "running", folder=str(tmp_path))
    facts, curve = panels_of_cell(cell)
    assert facts.facts["steps"].startswith("400 of 400")
    assert isinstance(curve, CurvePanel)
    assert curve.x.tolist() == [100.0, 200.0, 300.0, 400.0]
    assert (curve.low <= curve.y).all()
    assert (curve.y <= curve.high).all()
