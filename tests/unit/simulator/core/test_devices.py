"""Tests of devices, and of the threads that libraries may use."""

from __future__ import annotations

import os
import subprocess
import sys
from types import SimpleNamespace

import pytest

from simulator.config.run import build
from simulator.core import devices
from simulator.training.session import Session

AGENT, ENV = "tests.helpers.breaking_agent", "tests.helpers.breaking_env"
VARIABLES = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")


@pytest.fixture(autouse=True)
def _afterwards():
    yield
    devices.set_device("cpu")


def torch_with(monkeypatch, n_devices):
    """Make torch report so many GPUs, and record its threads."""
    cuda = SimpleNamespace(is_available=lambda: n_devices > 0, device_count=lambda: n_devices)
    threads = []
    backends = SimpleNamespace(cudnn=SimpleNamespace())
    torch = SimpleNamespace(cuda=cuda, backends=backends, set_num_threads=threads.append, device=str)
    monkeypatch.setitem(sys.modules, "torch", torch)
    return threads


def session(**settings):
    return Session(build({"seeds": 2, **settings, "agent": {"name": AGENT}, "env": {"name": ENV}}))


def test_a_device_that_is_not_there_is_bad_input_and_leaves_no_lab(tmp_path, monkeypatch, engram):
    torch_with(monkeypatch, 0)
    words = ["run", AGENT, ENV, "--device", "cuda", "--view", "none", "--lab", str(tmp_path / "lab")]
    error = engram(*words, code=2).error
    assert error.startswith("device cuda: ")
    assert error.endswith("expected cpu")
    assert not (tmp_path / "lab").exists()


def test_the_session_reports_device_and_threads(monkeypatch):
    threads = torch_with(monkeypatch, 2)
    session(device="cuda:1", threads=3)
    assert (devices.device(), threads) == ("cuda:1", [3])
    session()
    assert devices.device() == "cpu"
    with pytest.raises(ValueError, match=r"^device cuda:2: .* 2 CUDA devices.*, expected cpu or cuda$"):
        session(device="cuda:2")
    assert devices.device() == "cpu"


def test_on_the_cpu_torch_is_not_asked(monkeypatch):
    monkeypatch.delitem(sys.modules, "torch", raising=False)
    session()
    assert "torch" not in sys.modules


@pytest.mark.parametrize(("given", "expected"), [({}, ["1", "1", "1"]), ({"OMP_NUM_THREADS": "3"}, ["3", "1", "1"])])
def test_libraries_get_one_thread_before_numpy_is_loaded_unless_the_user_said_otherwise(given, expected):
    code = f"import sys, os, simulator; print('numpy' in sys.modules, *[os.environ[n] for n in {VARIABLES}])"
    rest = {name: value for name, value in os.environ.items() if name not in VARIABLES}
    done = subprocess.run([sys.executable, "-c", code], env=rest | given, capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["False", *expected]
