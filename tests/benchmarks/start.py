"""Time until something is seen, and memory of a run: whole processes, from outside."""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import tempfile
import time
from json import loads as decode
from typing import Any

from tests.benchmarks._clock import show

ENGRAM = [sys.executable, "-m", "simulator"]
RUN = ["run", "q_learning", "rooms", "--seeds", "16", "--steps", "1000000", "--json"]
_PEAK = """
import resource, runpy, sys
sys.argv[0] = "engram"
try:
    runpy.run_module("simulator", run_name="__main__")
finally:
    print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss, file=sys.stderr)
"""


def main(json: bool) -> dict[str, Any]:
    """Seconds of ``engram --help`` and until a run's first training line; megabytes of a 16-seed run."""
    with tempfile.TemporaryDirectory() as folder:
        run = [*RUN, "--lab", folder]
        _whole([*ENGRAM, *run])  # compiles
        helps = [_whole([*ENGRAM, "--help"]) for _ in range(7)]
        firsts = [_first_line([*ENGRAM, *run]) for _ in range(5)]
        peak = subprocess.run([sys.executable, "-c", _PEAK, *run], capture_output=True, text=True, check=True)
    found = {
        "help_seconds": {"median": statistics.median(helps), "low": min(helps), "high": max(helps)},
        "first_line_seconds": {"median": statistics.median(firsts), "low": min(firsts), "high": max(firsts)},
        "peak_megabytes_16_seeds": int(peak.stderr.split()[-1]) / 1024,
        "steps": decode(peak.stdout)["step"],
    }
    return show(__doc__, found, json)


def _whole(words: list[str]) -> float:
    began = time.perf_counter()
    subprocess.run(words, capture_output=True, check=True, env=os.environ | {"NO_COLOR": "1"})
    return time.perf_counter() - began


def _first_line(words: list[str]) -> float:
    """Seconds until the run says something on stderr."""
    began = time.perf_counter()
    with subprocess.Popen(words, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE) as process:
        assert process.stderr is not None
        process.stderr.readline()
        took = time.perf_counter() - began
        process.stderr.read()
    return took
