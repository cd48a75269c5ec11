"""Damaged documents looked up by their words, by what memories recall and by codes: ``engram recall``.

The shipped corpus of 120 texts, 100 of them stored, half of the words dropped or 30 % replaced, seeds 1000 to 1015, on
which nothing was chosen, though `rbm` and `deep_belief` were looked at on two of them; patterns of words, and of tf-idf
for memories without training. Every memory is as it comes.
A map of two numbers, by an autoencoder of 128, 32 and 2 units, is measured on the first four of these seeds.
"""

from __future__ import annotations

import contextlib
import io
import json as codec
import tempfile
from collections.abc import Sequence
from typing import Any

from simulator.commands import main as engram
from simulator.reporting import recall

MEMORIES = {
    "words": (
        *("identity", "nearest_neighbor", "modern_hopfield", "dense_hopfield", "hopfield", "hopfield-pseudo-inverse"),
        *("boltzmann", "rbm", "deep_belief", "autoencoder", "vae"),
    ),
    "tf-idf": ("identity", "nearest_neighbor", "modern_hopfield"),
}
PLANE = (
    *("--memory.plane.hidden", "128,32,2", "--memory.plane.activation", "sigmoid"),
    *("--memory.plane.pretrain", "rbms", "--memory.plane.noise", "none", "--memory.plane.learning-rate", "0.002"),
    *("--memory.plane.updates", "3000", "--seeds", "4"),
)
WORDS = (
    *("documents", "--patterns", "100", "--corruption", "hide:0.5", "replace:0.3", "--novel", "20"),
    *("--first-seed", "1000", "--view", "none", "--json"),
)
DETAILS = ("roc", "overlap_ratio", "exact_ratio", "fixed_point_rate")  # of cells, long and not in the tables


def main(json: bool) -> dict[str, Any]:
    """Return the JSON objects of ``engram recall`` for words, for tf-idf and for the plane, without ``DETAILS``."""
    found = {
        features: _recalled(memories, ("--seeds", "16", "--challenge.features", features), json)
        for features, memories in MEMORIES.items()
    }
    return {**found, "plane": _recalled(("plane=autoencoder",), PLANE, json)}


def _recalled(memories: Sequence[str], options: Sequence[str], json: bool) -> dict[str, Any]:
    with tempfile.TemporaryDirectory() as lab:
        printed = io.StringIO()
        with contextlib.redirect_stdout(printed):
            code = engram.main(["recall", *memories, *WORDS, *options, "--lab", lab])
    if code:
        raise RuntimeError(f"engram recall: exit code {code}")
    result = codec.loads(printed.getvalue())
    if not json:
        recall.show(result)
    cells = [{name: value for name, value in cell.items() if name not in DETAILS} for cell in result["cells"]]
    return {**result, "cells": cells, "differences": []}
