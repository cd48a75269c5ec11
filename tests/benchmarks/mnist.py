"""Memories with your digits of MNIST: recall of 100, 1,000 and 9,000, and deep codes beside those of PCA; half an hour.

``ENGRAM_MNIST`` names an idx file of at least 10,000 digits of 28 x 28 pixels, with the file of their labels beside it.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from envs.patterns.idx import find_labels
from simulator import console
from tests.benchmarks._full_size import CUES, measured, recalled

NEEDS = {"ENGRAM_MNIST": "an idx file of 10,000 digits of MNIST, beside that of their labels"}
FLIPS = ("--corruption", "flip:0.2", "--cues", str(CUES), "--threads", "1")
RECALL = {  # stored digits -> memories; held-out ones; seeds
    100: (("rbm", "boltzmann", "deep_belief", "autoencoder"), 0, 3),
    1_000: (("rbm", "deep_belief", "autoencoder", "pca"), 1_000, 1),
    9_000: (("nearest_neighbor", "modern_hopfield", "rbm", "autoencoder", "pca"), 900, 1),
}
DEEP_SEEDS = (0, 1, 2)
SHOWN = ("--patterns", "5000", "--novel", "1000", "--challenge.levels", "grey", "--what", "reconstruction,nearest")


def main(json: bool) -> dict[str, Any]:
    """Measure all of them.

    Returns:
        ``{"recall": {patterns: {"seeds", "cues", "commands", "rows"}}, "deep_codes": [{"pictures", "seed", ...}]}``;
        rows as :func:`tests.benchmarks._full_size.study` has them.
    """
    path = str(Path(os.environ["ENGRAM_MNIST"]).resolve())
    if not find_labels(path):
        raise ValueError(
            f"ENGRAM_MNIST: beside {path} there is no file of its labels, expected t10k-labels-idx1-ubyte or alike"
        )
    pictures = ["idx", "--challenge.path", path]
    named = "--challenge.path MNIST"  # in the commands that are stored, which name no folder
    recall = {}
    for patterns, (memories, novel, seeds) in RECALL.items():
        rows = []
        commands = {}
        for memory in memories:
            words = ["recall", memory, *pictures, "--patterns", str(patterns), *FLIPS, "--seeds", str(seeds)]
            words += ["--novel", str(novel)] if novel else []
            commands[memory] = " ".join(["engram", *words]).replace(f"--challenge.path {path}", named)
            rows.append(recalled(words, json))
        recall[str(patterns)] = {"seeds": seeds, "cues": CUES, "commands": commands, "rows": rows}
    deep_codes = []
    for name, words in {"MNIST": pictures, "enlarged_digits": ["enlarged_digits"]}.items():
        for seed in DEEP_SEEDS:
            shown = measured(["show", "autoencoder-deep", *words, *SHOWN, "--seed", str(seed)])
            sections = shown.answer["sections"]
            row = {key: sections["reconstruction"][key] for key in ("squared_error", "pca_squared_error")}
            row |= {"precision": sections["nearest"]["precision"], "peak_bytes": shown.peak_bytes}
            deep_codes.append({"pictures": name, "seed": seed, **row})
            if not json:
                errors = (row["squared_error"]["held_out"], row["pca_squared_error"]["held_out"])
                console.print_result(f"{name}, seed {seed}: held out {errors[0]:.2f}, PCA {errors[1]:.2f}")
    return {"recall": recall, "deep_codes": deep_codes}
