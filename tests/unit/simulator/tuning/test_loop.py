"""Tests of tunings in a lab: same result by every worker, nothing twice, cells that fail, the judgement."""

from __future__ import annotations

import numpy as np
import pytest

from simulator.config import run as run_config
from simulator.config.codec import from_toml, to_toml
from simulator.config.recall import RecallConfig
from simulator.config.run import RunConfig
from simulator.config.tune import build
from simulator.core.experiment_kinds import TUNE
from simulator.statistics.estimates import iqm
from simulator.store.cell_store import CellStore
from simulator.store.records import StoreError
from simulator.store.run_store import Store
from simulator.tournaments.cell_runner import JobSpec, play
from simulator.tournaments.workers.local import Here, Processes
from simulator.training import loop as training
from simulator.training.session import Session
from simulator.training.summary import evaluation_scores
from simulator.tuning import loop
from tests.helpers.tournaments import BREAKING
from tests.helpers.tunings import MEMORY, SMALL, summary_of, tuned


@pytest.fixture(scope="module")
def lab(tmp_path_factory):
    """Return a lab with a tuning of training, t1, and one of recall, t2."""
    lab = tmp_path_factory.mktemp("tuned") / "lab"
    tuned(lab, SMALL)
    tuned(lab, MEMORY)
    return lab


def test_a_trial_has_the_value_of_the_run_with_its_settings(lab, tmp_path):
    found = summary_of(lab)
    best = found["best"]
    point = {name.partition(".")[2]: value for name, value in best["point"].items()}
    config = run_config.build(
        {**{name: SMALL[name] for name in ("seeds", "steps", "eval_episodes", "env")}}
        | {"agent": {"name": "q_learning", **point}}
    )
    with Store(tmp_path) as store:
        for last in training.run(config, store):  # noqa: B007
            pass
        scores = evaluation_scores(store, store.find(last.id)).scores[:, -1]
    assert best["value"] == iqm(scores)
    assert best["value"] == max(trial["values"][-1] for trial in found["trials"])


def test_the_best_is_judged_on_fresh_seeds_beside_the_default(lab):
    judged = summary_of(lab)["judged"]
    assert judged["seeds"] == [1000, 1001, 1002]
    for name in ("best", "default"):
        assert judged[name]["value"] == iqm(np.array(judged[name]["per_seed"]))
    gaps = np.subtract(judged["best"]["per_seed"], judged["default"]["per_seed"])
    assert judged["difference"]["value"] == pytest.approx(gaps.mean())


def test_the_best_settings_are_a_config_of_run_and_of_recall(lab):
    found = summary_of(lab)
    config = from_toml(RunConfig, found["best_settings"], "best.toml")
    assert config.agent_settings.step_size == found["best"]["point"]["agent.step_size"]
    assert (config.seeds, config.first_seed, config.steps) == (3, 1000, 600)
    recalled = summary_of(lab, "t2")
    config = from_toml(RecallConfig, recalled["best_settings"], "best.toml")
    assert config.contestants[0].settings.rule == recalled["best"]["point"]["memory.rule"]
    assert [trial["state"] for trial in recalled["trials"]] == ["complete"] * 4
    assert recalled["objective"] == "overlap"


def test_a_tuning_is_no_run(lab):
    with Store(lab) as store, pytest.raises(StoreError, match=r"t1 is a tuning, expected a run \(engram show t1\)"):
        store.find("t1")


@pytest.mark.slow
def test_workers_change_nothing(tmp_path):
    values = {**SMALL, "search": "tpe", "halving": "steps", "eta": 2, "rungs": 2}
    tuned(tmp_path / "one", values)
    tuned(tmp_path / "two", values, workers=lambda: Processes(2))
    assert summary_of(tmp_path / "one") == summary_of(tmp_path / "two")


@pytest.mark.slow
@pytest.mark.parametrize(
    "changes", [{"search": "tpe"}, {"halving": "seeds", "seeds": 9, "seeds_per_cell": 2}], ids=["tpe", "seeds"]
)
def test_interruptions_change_nothing(changes, tmp_path):
    values = {**SMALL, **changes}
    tuned(tmp_path / "whole", values)
    lab = tmp_path / "lab"
    phase = ""
    while phase != "done":  # stops after the next cell, again and again
        with CellStore(lab) as store:
            snapshots = loop.tune(build(values), store, lambda n: Here())
            next(snapshots)
            first = last = next(snapshots)  # with all that is stored
            while last.phase != "done" and last.done == first.done:
                last = next(snapshots)
            phase = last.phase
            if phase == "done":
                list(snapshots)
            snapshots.close()
    assert summary_of(tmp_path / "whole") == summary_of(lab)


def test_trials_of_an_interrupted_search_were_interrupted_or_wait(tmp_path):
    with CellStore(tmp_path) as store:
        snapshots = loop.tune(build(SMALL), store, lambda n: Here())
        while not next(snapshots).done:
            pass
        states = [trial["state"] for trial in summary_of(tmp_path)["trials"]]
        snapshots.close()
    assert (states[0], states[2]) == ("running", "waiting")
    states = [trial["state"] for trial in summary_of(tmp_path)["trials"]]
    assert (states[0], states[2]) == ("interrupted", "waiting")


def test_nothing_is_evaluated_twice(lab):
    again = tuned(lab, SMALL)
    assert again.id == "t1"
    assert again.reused == again.done
    with CellStore(lab) as store:
        assert [tuning.name for tuning in store.tournaments(TUNE)] == ["t2", "t1"]
        assert store.tournaments() == []
    cut = tuned(lab, {**SMALL, "seeds_per_cell": 2})  # blocks that are stored stay as they are
    assert (cut.id, cut.reused) == ("t1", cut.done)
    longer = tuned(lab, {**SMALL, "trials": 9})  # a random trial is the same in a longer search
    assert longer.id == "t3"
    assert longer.reused >= 6


def test_halving_over_steps_trains_every_step_once_and_ends_as_in_one_go(tmp_path, monkeypatch):
    """Q-learning, and DQN: a network, its optimiser and its replay go on as well."""
    trained = []
    play = Session.play

    def counted(session, n, seconds=np.inf):
        before = session.step
        play(session, n, seconds)
        trained.append(session.step - before)

    monkeypatch.setattr(Session, "play", counted)
    halving = {"halving": "steps", "eta": 2, "rungs": 2, "trials": 2, "batch": 2, "seeds": 2, "judge_seeds": 2}
    dqn = {"name": "dqn", "learning_starts": 50, "network": {"hidden": [8]}}
    for name, agent in (("q", SMALL["agent"]), ("dqn", dqn)):
        values = {**SMALL, **halving, "agent": agent, "space": {"agent": {"gamma": [0.5, 0.99]}}}
        trained.clear()
        tuned(tmp_path / name, values)
        assert sum(trained) == 2 * 300 + 300 + 2 * 600  # two trials half way, one to its end, and the judgement
        assert not list((tmp_path / name / "cells").glob("*-*-*"))
        halved = {trial["trial"]: trial["values"] for trial in summary_of(tmp_path / name)["trials"]}
        tuned(tmp_path / f"{name}-whole", {**values, "halving": "none"})
        whole = {trial["trial"]: trial["values"] for trial in summary_of(tmp_path / f"{name}-whole")["trials"]}
        (survivor,) = [number for number, rungs in halved.items() if len(rungs) == 2]
        assert halved[survivor][-1:] == whole[survivor]


def test_a_beginning_is_the_same_where_the_run_has_gone_on_already(tmp_path):
    config = build(SMALL)
    task = JobSpec("cell", "run", to_toml(config.base), str(tmp_path / "short"), stop_at=150)
    short = play(task, lambda: None)
    assert short["facts"]["trained"] == 150
    longer = play(task._replace(scratch=str(tmp_path / "long"), stop_at=450), lambda: None)
    assert longer["facts"]["trained"] == 450
    again = play(task._replace(scratch=str(tmp_path / "long")), lambda: None)
    assert (again["scores"], again["curve"]) == (short["scores"], short["curve"])


def test_halving_over_seeds_evaluates_no_seed_twice(tmp_path):
    tuned(tmp_path, {**MEMORY, "halving": "seeds", "seeds": 9})
    with CellStore(tmp_path) as store:
        record = store.find("t1")
        cells = store.cells([pair["key"] for pair in record.plan["pairs"]])
    for key in {key.pair for key in cells}:
        seeds = [seed for each in cells if each.pair == key for seed in range(each.span.first, sum(each.span))]
        assert len(seeds) == len(set(seeds))
    assert summary_of(tmp_path)["trials"][0]["state"] in ("pruned", "complete")


def test_a_trial_whose_seed_fails_is_failed_and_no_other(tmp_path):
    values = {**SMALL, "agent": {"name": BREAKING}}
    values["space"] = {"agent": {"fails": [{}, {"2": 100}], "strength": [1.0, 2.0]}}
    tuned(tmp_path, {**values, "search": "grid"})
    found = summary_of(tmp_path)
    assert [trial["state"] for trial in found["trials"]] == ["complete", "complete", "failed", "failed"]
    assert "seed 2" in found["trials"][2]["reason"]
    assert found["best"]["trial"] == 0


def test_players_that_do_not_fit_are_refused_and_leave_nothing(tmp_path):
    values = {**SMALL, "agent": {"name": "planner"}, "env": {"name": "CartPole-v1"}}
    values["space"] = {"agent": {"gamma": [0.9, 0.99]}}
    with pytest.raises(ValueError, match="expected"):
        tuned(tmp_path / "lab", values)
    with CellStore(tmp_path / "lab") as store:
        assert store.is_empty()
