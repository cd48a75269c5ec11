"""Tests of running from a checkout that is not installed."""

import json
import subprocess
import sys

import pytest

from tests.helpers.paths import ROOT

CODE = """
import importlib.metadata, sys
real = importlib.metadata.version
def version(name):
    if name == "engram-rl":
        raise importlib.metadata.PackageNotFoundError(name)
    return real(name)
importlib.metadata.version = version
from simulator.commands.main import main
run = ["run", "q_learning", "rooms", "--steps", "50", "--seeds", "1", "--eval-episodes", "1", "--view", "none"]
sys.exit(main([*run, "--lab", sys.argv[1], "--json"]) or main(["show", "r1", "--lab", sys.argv[1]]))
"""


@pytest.mark.slow
def test_a_checkout_that_is_not_installed_runs(tmp_path):
    words = [sys.executable, "-c", CODE, str(tmp_path / "lab")]
    done = subprocess.run(words, capture_output=True, text=True, cwd=ROOT)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout.splitlines()[0])["status"] == "done"
