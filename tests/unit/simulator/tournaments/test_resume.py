"""Tests of resuming tournaments: checkpoints of cells, interim analyses, order of blocks, causes of failures."""

from __future__ import annotations

import shutil

import numpy as np
import pytest

from simulator.config.tournament import build
from simulator.store.cell_store import CellStore, SeedRange, failed
from simulator.store.run_store import Store
from simulator.tournaments import cell_runner, summary
from simulator.tournaments import loop as host
from simulator.tournaments.cell_runner import JobSpec, limits_of
from simulator.tournaments.plan import fitted, pairs_of
from simulator.tournaments.workers.local import Here
from simulator.training import loop
from tests.helpers.tournaments import ENVS, numbers, play, small, summary_of

LONG = small(agent={"td": {}}, env={"pole": {"name": "CartPole-v1"}}, steps=20_000, eval_every=10_000)
GAME = {
    **small(agent={}, env={}, seeds=4, seeds_per_cell=2),
    "player": {"tit-for-tat": {}, "always-defect": {}, "always-cooperate": {}},
    "game": {"dilemma": {"name": "iterated_matrix", "episodes": 10}},
}


def interrupted(lab, values):
    """Begin a tournament and leave it in the middle of its first cell, at a checkpoint."""
    with CellStore(lab) as store:
        snapshots = host.play(build(values), store, lambda n: Here(), checkpoint_every=0.01)
        for _ in snapshots:
            runs = [path for path in (lab / "cells").glob("*-*-*") if (path / "engram.sqlite3").exists()]
            if runs:
                with Store(runs[0]) as scratch:
                    if any(run.step > 0 for run in scratch.runs()):
                        break
        snapshots.close()


@pytest.mark.slow
def test_a_cell_resumes_from_its_checkpoint(tmp_path, monkeypatch):
    interrupted(tmp_path / "lab", LONG)
    play(tmp_path / "other", small())  # makes no difference
    begun = []
    run = loop.run
    monkeypatch.setattr(loop, "run", lambda config, store, name, **more: begun.append(name) or run(config, store, name))
    play(tmp_path / "lab", LONG)
    assert begun == ["r1"]
    monkeypatch.undo()
    play(tmp_path / "whole", LONG)
    assert numbers(tmp_path / "lab") == numbers(tmp_path / "whole")


@pytest.mark.slow
def test_another_tournament_leaves_the_checkpoints_of_one_that_is_not_done(tmp_path):
    interrupted(tmp_path, LONG)
    kept = list((tmp_path / "cells").glob("*-*-*"))
    assert len(kept) == 1
    play(tmp_path, small())
    assert list((tmp_path / "cells").glob("*-*-*")) == kept


def test_a_resumed_tournament_sweeps_the_checkpoints_of_stored_cells(tmp_path, monkeypatch):
    """A host that is killed just after its last cell was recorded leaves them."""
    values = small(agent={"td": {}}, env={"four": ENVS["four"]})
    with monkeypatch.context() as killed:
        killed.setattr(shutil, "rmtree", lambda *given, **how: None)
        play(tmp_path, values)
    (left,) = (tmp_path / "cells").glob("*-*-*")
    assert any(left.iterdir())
    last = play(tmp_path, values)
    assert (last.reused, last.done) == (1, 1)
    assert not left.exists()


@pytest.mark.slow
def test_a_failure_of_one_tournament_is_not_anothers(tmp_path):
    assert play(tmp_path, {**LONG, "timeout": 0.001}).failed == 1
    assert play(tmp_path, {**LONG, "timeout": 0.001}).failed == 1  # its own it keeps
    last = play(tmp_path, LONG)
    assert (last.reused, last.failed, last.done) == (0, 0, 1)


@pytest.mark.slow
def test_stored_seeds_are_not_run_again(tmp_path, monkeypatch):
    play(tmp_path, small(seeds=2))
    started = []
    start = Here.start
    monkeypatch.setattr(Here, "start", lambda self, task: started.append(task.settings) or start(self, task))
    play(tmp_path, small(seeds=5))
    assert len(started) == 6
    assert all("first_seed = 2" in text and "\nseeds = 3" in "\n" + text for text in started)


@pytest.mark.parametrize(
    ("wanted", "block", "known", "found"),
    [
        ((0, 5), 2, [], [(0, 2), (2, 2), (4, 1)]),
        ((0, 5), 4, [(0, 2)], [(0, 2), (2, 3)]),
        ((0, 8), 16, [(4, 2)], [(0, 4), (4, 2), (6, 2)]),
        ((0, 4), 16, [(0, 8), (2, 8)], [(0, 4)]),  # more than is wanted
        ((0, 6), 3, [(0, 1), (0, 3)], [(0, 3), (3, 3)]),  # the longer one
        ((10, 2), 1, [(0, 16)], [(10, 1), (11, 1)]),
    ],
)
def test_blocks_are_fitted_around_stored_ones(wanted, block, known, found):
    assert fitted(SeedRange(*wanted), block, [SeedRange(*each) for each in known]) == found


def test_the_time_limit_is_per_seed():
    task = JobSpec("", "run", "", "", cpu_seconds=0.5)
    assert limits_of(task, 4) == (2.0, float("inf"))
    assert limits_of(task._replace(cpu_seconds=0.0, wall_seconds=0.25), 2) == (float("inf"), 0.5)


@pytest.mark.parametrize(
    "error", [OSError(28, "No space left on device"), MemoryError("too much"), cell_runner.StoreFailure("x")]
)
def test_failures_outside_a_cell_are_retried(tmp_path, monkeypatch, error):
    calls = []

    def play_cell(task, tick):
        calls.append(task)
        if len(calls) == 1:
            raise error
        return real(task, tick)

    real = cell_runner.play
    monkeypatch.setattr(cell_runner, "play", play_cell)
    last = play(tmp_path, small(agent={"td": {}}, env={"four": ENVS["four"]}))
    assert (last.done, last.failed, len(calls)) == (1, 0, 2)
    assert "the cell runs again" in last.warnings[0]


def test_any_end_of_a_thread_is_reported(tmp_path, monkeypatch):
    monkeypatch.setattr(cell_runner, "play", lambda task, tick: (_ for _ in ()).throw(SystemExit(3)))
    last = play(tmp_path, small(agent={"td": {}}, env={"four": ENVS["four"]}, retries=0))
    assert last.failed == 1
    assert "SystemExit" in summary_of(tmp_path)["failures"][0]["reason"]


@pytest.mark.slow
def test_alpha_is_spent_on_every_possible_interim_analysis(tmp_path, monkeypatch):
    play(tmp_path, small(adaptive=True, max_seeds=8))
    seen, analyze = [], summary.analyze
    monkeypatch.setattr(
        summary,
        "analyze",
        lambda *given, n_interim_analyses: (
            seen.append(n_interim_analyses) or analyze(*given, n_interim_analyses=n_interim_analyses)
        ),
    )
    with CellStore(tmp_path) as store:
        summary.summary(store, "t1", 100)
    assert seen == [3]  # 3, 6 and 8 seeds


@pytest.mark.slow
def test_a_cached_summary_depends_on_plan_and_settings(tmp_path):
    play(tmp_path, small())
    with CellStore(tmp_path) as store:
        summary.keep(store, "t1")
        record = store.find("t1")
        before = summary._fingerprint(store, record)
        assert summary._fingerprint(store, record._replace(settings=record.settings + " ")) != before
        assert summary._fingerprint(store, record._replace(plan={**record.plan, "rounds": [[], []]})) != before


@pytest.mark.slow
def test_random_play_is_measured_on_every_block(tmp_path):
    play(tmp_path, small(agent={"random_search": {}}, env={"swing": {"name": "Pendulum-v1"}}, seeds_per_cell=2))
    with CellStore(tmp_path) as store:
        (pair,) = store.find("t1").plan["references"]
    assert pair["spans"] == [[0, 2], [2, 1]]
    assert summary_of(tmp_path)["challenges"][0]["floor_is"] == "measured random play"
    assert -2_000 < summary_of(tmp_path)["challenges"][0]["floor"] < -500  # of its own episodes of 200 steps


def test_a_seed_on_which_a_match_is_missing_is_left_out_for_all(tmp_path):
    play(tmp_path, GAME)
    whole = summary_of(tmp_path)
    with CellStore(tmp_path) as store:
        pair = store.find("t1").plan["pairs"][0]
        store.add(failed((pair["key"], (0, 2)), "it broke"))
    found = summary_of(tmp_path)
    for before, after in zip(whole["scores"], found["scores"], strict=True):
        assert after["raw"]["per_seed"] == [None, None, *before["raw"]["per_seed"][2:]]
    assert {each["counted_as"] for each in found["failures"]} == {"left out"}


@pytest.mark.parametrize(
    "own", [{"kind": "matching_pennies"}, {"payoffs": [3, 0, 5, 1], "second_payoffs": [3, 9, 0, 1]}]
)
def test_a_game_whose_sides_are_not_alike_is_refused(tmp_path, own):
    values = {**GAME, "game": {"unequal": {"name": "iterated_matrix", **own}}}
    with pytest.raises(ValueError, match="expected a symmetric game"):
        play(tmp_path, values)


def test_skipping_every_agent_keeps_the_memories(tmp_path):
    values = small(agent={"planner": {}}, env={"pole": {"name": "CartPole-v1"}}, skip=True)
    last = play(tmp_path, {**values, "memory": {"nearest_neighbor": {}}, "challenge": {"random_bits": {"n_units": 30}}})
    assert last.done == 1
    assert [each["division"] for each in summary_of(tmp_path)["ranking"]] == ["memory"]


def test_a_preset_applies_to_its_own_env_only():
    entered = {"td": {"tuned": True}}
    pairs = pairs_of(build(small(agent=entered)))
    sizes = [pair.config.agent_settings.step_size for pair in pairs]
    usual = pairs_of(build(small(agent={"td": {}})))[0].config.agent_settings.step_size
    assert sizes[0] == 1.0 != usual  # the six rooms have a preset
    assert sizes[1] == usual  # the four rooms have none


def test_a_lab_with_cells_in_it_is_never_taken_away(tmp_path, monkeypatch, engram):

    monkeypatch.chdir(tmp_path)

    def broken(*given, **more):
        raise np.linalg.LinAlgError("Singular matrix")

    monkeypatch.setattr(summary, "analyze", broken)
    words = ["tournament", "--agents", "td", "--envs", "rooms", "--seeds", "2", "--steps", "100", "--workers", "1"]
    assert "tournament t1 failed after cell 1: Singular matrix" in engram(*words, "--view", "none", code=1).err
    monkeypatch.undo()
    assert summary_of(tmp_path / "lab")["cells"]["done"] == 1
    shutil.rmtree(tmp_path / "lab")


def test_matches_are_summarised_with_exact_values(tmp_path):
    play(tmp_path, GAME)
    (one, *_) = summary_of(tmp_path)["matches"]
    assert (one["first"], one["second"], one["challenge"]) == ("tit-for-tat", "always-defect", "dilemma")
    # tit for tat loses the first of 200 rounds in the mean: 199/200 and 1 + 4/200
    assert one["expected"] == pytest.approx([0.995, 1.02])
    assert one["scores"] == pytest.approx(one["expected"], abs=0.01)
    assert one["exploitability"] is None
