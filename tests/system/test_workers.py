"""Tests of workers: the same bits wherever cells run; workers that die are noticed."""

from __future__ import annotations

import os
import signal

import pytest

from simulator.config.codec import to_toml
from simulator.config.run import build
from simulator.config.tournament import build as build_tournament
from simulator.store.cell_store import SeedRange
from simulator.store.run_store import Store
from simulator.tournaments.cell_runner import JobSpec, reason_of
from simulator.tournaments.plan import pairs_of
from simulator.tournaments.workers import local
from simulator.tournaments.workers.base import Answer
from simulator.tournaments.workers.local import Here, Processes, workers_of
from tests.helpers.tournaments import AGENTS, ENVS, numbers, play, small

LONG = {"seeds": 1, "steps": 10**9, "eval_every": 10**8, "threads": 1}
POLE = {"agent": {"name": "td"}, "env": {"name": "CartPole-v1"}}


def task(folder, **settings) -> JobSpec:
    folder.mkdir()
    return JobSpec("k", "run", to_toml(build({**LONG, **settings, **POLE})), str(folder), checkpoint_every=0.05)


def under_way(place, scratch) -> None:
    """Wait until a cell has written a checkpoint."""
    for _ in range(400):
        assert place.wait(0.1) == []
        with Store(scratch) as store:
            if [each for each in store.runs() if each.step]:
                return
    raise AssertionError("it never began")


def answers(place, seconds=60.0) -> list[Answer]:
    for _ in range(int(seconds / 0.05)):
        if found := place.wait(0.05):
            return found
    return []


def test_ray_gives_the_same_bits(tmp_path, monkeypatch):
    pytest.importorskip("ray", reason="Ray is not installed (extra cluster)")
    from simulator.tournaments.workers.ray import RayWorkers

    monkeypatch.setattr(local.os, "cpu_count", lambda: 2)
    values = small(memory={"nearest_neighbor": {}}, challenge={"random_bits": {"n_units": 30}}, steps=200)
    with _quiet():
        play(tmp_path / "ray", values, workers=RayWorkers)
    play(tmp_path / "here", values)
    assert numbers(tmp_path / "ray") == numbers(tmp_path / "here")


def _quiet():
    import warnings

    return warnings.catch_warnings(action="ignore")  # Ray warns of what it will do some day


def test_a_worker_that_is_killed_is_noticed(tmp_path):
    place = Processes(1)
    place.start(task(tmp_path / "one"))
    (worker,) = place._busy
    os.kill(worker.process.pid, signal.SIGKILL)
    assert answers(place) == [Answer("k", died="its worker was killed by signal 9")]
    place.start(task(tmp_path / "two", steps=50, eval_every=50))  # another one takes its place
    (found,) = answers(place)
    assert found.result is not None
    place.close()


@pytest.mark.parametrize("make", [Here, lambda: Processes(1)])
def test_a_cell_is_stopped_at_a_checkpoint(tmp_path, make):
    place = make()
    place.start(task(tmp_path / "scratch"))
    under_way(place, tmp_path / "scratch")
    place.close()
    with Store(tmp_path / "scratch") as store:
        assert store.find("r1").status == "interrupted"
        assert store.find("r1").step > 0


def test_a_worker_whose_host_is_gone_ends(tmp_path):
    place = Processes(1)
    place.start(task(tmp_path / "scratch"))
    (worker,) = place._busy
    under_way(place, tmp_path / "scratch")
    worker.process.stdin.close()  # as it is when the host has been killed
    assert worker.process.wait(20) == 1
    place.close()


def test_output_of_a_player_is_not_an_answer(tmp_path):
    (tmp_path / "talks.py").write_text("def act(obs):\n    print('hello')\n    return 1\n")
    entered = {"talks": {"name": f"python:{tmp_path / 'talks.py'}:act"}, "td": AGENTS["td"]}
    last = play(tmp_path / "lab", small(agent=entered, env={"four": ENVS["four"]}), workers=lambda: Processes(2))
    assert (last.done, last.failed) == (2, 0)


def test_a_crashed_worker_fails_its_own_cell_only(tmp_path):
    (tmp_path / "crashes.py").write_text("import os\n\ndef act(obs):\n    os._exit(7)\n")
    entered = {"crashes": {"name": f"python:{tmp_path / 'crashes.py'}:act"}, "td": AGENTS["td"]}
    values = small(agent=entered, env={"pole": {"name": "CartPole-v1"}}, steps=50, retries=1)
    last = play(tmp_path / "lab", values, workers=lambda: Processes(2))
    assert (last.done, last.failed) == (1, 1)
    from tests.helpers.tournaments import summary_of

    assert summary_of(tmp_path / "lab")["failures"][0]["reason"] == "its worker ended with code 7, 2 times"


@pytest.mark.parametrize(
    ("text", "n", "kind"), [("1", 5, Here), ("3", 5, Processes), ("3", 2, Processes), ("4", 1, Here)]
)
def test_workers_by_name(text, n, kind):
    place = workers_of(text, n)
    assert isinstance(place, kind)
    assert place.n == min(int(text), n)


@pytest.mark.parametrize("text", ["many", "-1", "5000", "ray:8"])
def test_unknown_workers_are_refused(text):
    with pytest.raises(ValueError, match="expected a number of processes up to 4,096, ray, or ray://ADDRESS"):
        workers_of(text, 3)


def test_reasons_are_one_line():
    assert reason_of(ValueError("a\nb")) == "a b"
    assert reason_of(ZeroDivisionError("by zero")) == "ZeroDivisionError: by zero"
    assert reason_of(MemoryError()) == "MemoryError"


def test_a_pair_gives_the_settings_of_its_cells():
    (pair, *_) = pairs_of(build_tournament(small()))
    again = build_tournament(small(seeds=99))
    assert pair.settings(SeedRange(4, 3)) == pairs_of(again)[0].settings(SeedRange(4, 3))
    assert "first_seed = 4" in pair.settings(SeedRange(4, 3))
    assert "threads = 1" in pair.settings(SeedRange(4, 3))
