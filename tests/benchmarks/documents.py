"""Damaged documents looked up by their words, by what memories recall and by codes: ``engram recall`` of two kinds.

The shipped corpus of 120 texts, 100 of them stored, half of the words dropped or 30 % replaced, seeds 1000 to 1015, on
which nothing was chosen; patterns of words, and of tf-idf for memories without training. Every memory is as it comes.
"""

from __future__ import annotations

import contextlib
import io
import json as codec
import tempfile
from typing import Any

from simulator.commands import main as engram
from simulator.reporting import recall

MEMORIES = {
    "words": (
        *("identity", "nearest_neighbor", "modern_hopfield", "dense_hopfield", "hopfield", "hopfield-pseudo-inverse"),
        *("boltzmann", "rbm", "deep_belief", "autoencoder", "vae", "vae-recall"),
    ),
    "tf-idf": ("identity", "nearest_neighbor", "modern_hopfield"),
}
WORDS = (
    *("documents", "--patterns", "100", "--corruption", "hide:0.5", "replace:0.3", "--novel", "20", "--seeds", "16"),
    *("--first-seed", "1000", "--view", "none", "--json"),
)
DETAILS = ("roc", "overlap_ratio", "exact_ratio", "fixed_point_rate")  # of cells, long and not in the tables


def main(json: bool) -> dict[str, Any]:
    """Return the JSON object of ``engram recall`` for patterns of words and of tf-idf, without ``DETAILS``."""
    found = {}
    for features, memories in MEMORIES.items():
        words = ["recall", *memories, *WORDS, "--challenge.features", features]
        with tempfile.TemporaryDirectory() as lab:
            printed = io.StringIO()
            with contextlib.redirect_stdout(printed):
                code = engram.main([*words, "--lab", lab])
        if code:
            raise RuntimeError(f"engram recall: exit code {code}")
        result = codec.loads(printed.getvalue())
        if not json:
            recall.show(result)
        cells = [{name: value for name, value in cell.items() if name not in DETAILS} for cell in result["cells"]]
        found[features] = {**result, "cells": cells, "differences": []}
    return found
