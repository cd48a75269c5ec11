"""Tests of the stored description of the machine: shown, and compared when a result is reproduced."""

import os
import subprocess
import sys

import pytest

from simulator import machine
from simulator.store.cell_store import CellStore

NAMES = {"cpu", "instructions", "blas", "blas_threads", "compiled_for", "threads", "python"}
RUN = ["run", "q_learning", "FrozenLake-v1", "--seeds", "2", "--steps", "300", "--threads", "2", "--view", "none"]
RECALL = ["recall", "hopfield", "random_bits", "--seeds", "2", "--patterns", "3", "--novel", "2", "--view", "none"]


@pytest.mark.parametrize("words", [RUN, RECALL])
def test_a_run_describes_its_machine(tmp_path, engram, words):
    lab = ["--lab", str(tmp_path), "--json"]
    result = engram(*words, *lab).json
    shown = engram("show", result["run"], *lab).json
    assert shown["versions"]["numpy"]
    (made_on,) = shown["machines"]
    assert set(made_on) >= NAMES
    assert made_on["threads"] == ("2" if words is RUN else str(os.cpu_count()))
    assert made_on == machine.machine(int(made_on["threads"]))
    text = engram("show", result["run"], "--lab", str(tmp_path)).out
    assert f"made on {made_on['cpu']}, {made_on['instructions']}, BLAS {made_on['blas']}" in text


@pytest.mark.slow
def test_reproduce_names_differences_of_the_machine(tmp_path, engram, monkeypatch):
    lab = ["--lab", str(tmp_path), "--json"]
    with monkeypatch.context() as elsewhere:
        elsewhere.setattr(machine, "_processor", lambda: {"cpu": "Z80", "abacus": "yes"})
        run = engram(*RUN, *lab).json["run"]
    again = engram("reproduce", run, *lab).json
    assert again["identical"]
    assert again["machine"] == {"cpu": ["Z80", machine.machine()["cpu"]]}
    assert f"  cpu was Z80, now {machine.machine()['cpu']}" in engram("reproduce", run, "--lab", str(tmp_path)).out
    same = engram(*RUN, *lab).json["run"]
    assert engram("reproduce", same, *lab).json["machine"] == {}


@pytest.mark.slow
def test_the_named_blas_kernel_is_the_used_one():
    if "openblas" not in machine.machine()["blas"] or machine.machine()["instructions"] not in (
        "x86-64-v3",
        "x86-64-v4",
    ):
        pytest.skip("another BLAS")
    code = "from simulator.machine import machine; print(machine()['blas'], machine()['compiled_for'])"
    env = {**os.environ, "OPENBLAS_CORETYPE": "Haswell", "NUMBA_CPU_NAME": "generic"}
    done = subprocess.run([sys.executable, "-c", code], env=env, capture_output=True, text=True, check=True)
    assert done.stdout.split()[1] == "Haswell"
    assert done.stdout.split()[-1] == "generic"


@pytest.mark.slow
def test_cells_of_a_tournament_describe_their_machine(tmp_path, engram):
    words = ["--agents", "q_learning", "random_walk", "--envs", "FrozenLake-v1", "--seeds", "2", "--steps", "200"]
    lab = ["--lab", str(tmp_path), "--json"]
    result = engram("tournament", *words, "--workers", "1", "--view", "none", *lab).json
    assert {name for each in result["machines"] for name in each} >= NAMES
    with CellStore(tmp_path) as store:
        assert store.find("t1").versions["numpy"]
    again = engram("reproduce", "t1", "--workers", "1", *lab).json
    assert (again["identical"], again["machine"]) == (True, {})


def test_levels_and_differences():
    now = {"cpu": "A", "threads": "4"}
    assert machine.differences([{"cpu": "B", "gone": "x"}, {"cpu": "A", "threads": "2"}], now) == {
        "cpu": ["B", "A"],
        "threads": ["2", "4"],
    }
    assert machine.differences([], now) == {}
    assert machine.joined([now], dict(now)) == [now]
    assert machine.joined([{"cpu": "B"}], now) == [{"cpu": "B"}, now]
