"""Recall of many large pictures, one memory at a time: what it restores, its codes, its CPU time and its memory."""

from __future__ import annotations

import json as codec
import os
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from typing import Any, NamedTuple

from simulator import console
from simulator.core.registry import ROOT

DETAILS = ("roc", "overlap_ratio", "exact_ratio")  # of cells, long and not in the tables
CUES = 200  # of every seed


class Measured(NamedTuple):
    """What a command printed, and what it took."""

    answer: dict[str, Any]
    """its JSON object"""
    peak_bytes: int
    """peak memory of its process"""


def study(memories: Sequence[str], patterns: int, seeds: int, json: bool) -> dict[str, Any]:
    """Let every memory recall digits of 28 x 28 pixels, a fifth of which are flipped, in a process of its own.

    Returns:
        ``{"patterns", "seeds", "cues", "commands", "rows"}``; a row is a cell of ``engram recall --json`` with the
        peak memory of its process in bytes. Seconds are of one thread.
    """
    rows = []
    commands = {}
    for memory in memories:
        words = ["recall", memory, "enlarged_digits", "--patterns", str(patterns), "--cues", str(CUES)]
        words += ["--corruption", "flip:0.2", "--seeds", str(seeds), "--threads", "1"]
        commands[memory] = " ".join(["engram", *words])
        rows.append(recalled(words, json))
    return {"patterns": patterns, "seeds": seeds, "cues": CUES, "commands": commands, "rows": rows}


def recalled(words: Sequence[str], json: bool) -> dict[str, Any]:
    """Run ``engram recall`` of one memory; its only cell without ``DETAILS``, and the peak memory of the process."""
    found = measured([*words, "--view", "none"])
    [cell] = found.answer["cells"]
    if not json:
        means = " ".join(f"{name} {cell[name]['mean']:.3f}" for name in ("overlap", "exact"))
        console.print_result(
            f"{cell['memory']:32} {cell['patterns']:6} {means}  store {cell['store_cpu_seconds']:.1f} CPU seconds"
        )
    return {name: value for name, value in cell.items() if name not in DETAILS} | {"peak_bytes": found.peak_bytes}


def measured(words: Sequence[str]) -> Measured:
    """Run a command of engram in a lab of its own."""
    with tempfile.TemporaryDirectory() as lab:
        process = subprocess.Popen(
            [sys.executable, "-m", "simulator", *words, "--json", "--lab", lab],
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            cwd=ROOT,
            text=True,
        )
        assert process.stdout is not None
        printed = process.stdout.read()
        _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise RuntimeError(f"engram {' '.join(words)}: exit code {process.returncode}")
    kibibytes = usage.ru_maxrss if sys.platform != "darwin" else usage.ru_maxrss // 1024
    return Measured(codec.loads(printed), 1024 * kibibytes)
