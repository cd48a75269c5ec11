"""Every memory and preset that recalls digits, over 16 seeds: a study that takes half an hour of CPU time."""

from __future__ import annotations

import contextlib
import io
import json as codec
import tempfile
from typing import Any

from simulator.commands import main as engram
from simulator.config.presets import memory_presets
from simulator.core import registry
from simulator.reporting import recall

LEFT_OUT = (
    "gan-unrolled",  # it trains longest, and recalls as gan does
    "autoencoder-deep",  # a network for pictures of 784 units, without noise
    "pca-covariance",  # the same numbers as pca
    "pca-network",  # as pca, within what its training leaves
    "probabilistic-pca-em",  # as probabilistic_pca
)
WORDS = (
    *("digits", "--patterns", "20", "100", "--corruption", "flip:0.1", "flip:0.2", "flip:0.3", "erase:0.5"),
    *("block:0.5", "--seeds", "16", "--skip", "--view", "none", "--json"),
)


DETAILS = ("roc", "overlap_ratio", "exact_ratio", "fixed_point_rate")  # of cells, long and not in the tables


def main(json: bool) -> dict[str, Any]:
    """Play the benchmark; the JSON object of ``engram recall``, without ``DETAILS`` and paired differences."""
    memories = [*registry.names("memories"), *(name for name in memory_presets() if name not in LEFT_OUT)]
    with tempfile.TemporaryDirectory() as lab:
        printed = io.StringIO()
        with contextlib.redirect_stdout(printed):
            code = engram.main(["recall", *memories, *WORDS, "--lab", lab])
    if code:
        raise RuntimeError(f"engram recall: exit code {code}")
    found: dict[str, Any] = codec.loads(printed.getvalue())
    if not json:
        recall.show(found)
    cells = [{name: value for name, value in cell.items() if name not in DETAILS} for cell in found["cells"]]
    return {**found, "cells": cells, "differences": []}
