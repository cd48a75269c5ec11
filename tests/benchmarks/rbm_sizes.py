"""A restricted Boltzmann machine, the plain one and the best possible: 8x8 digits from 20 to 1,000; five minutes."""

from __future__ import annotations

from typing import Any

from simulator import console
from tests.benchmarks._full_size import measured

WORDS = (
    *("recall", "rbm", "rbm-plain", "digits", "--patterns", "20", "50", "100", "200", "300", "500", "1000"),
    *("--corruption", "flip:0.2", "--seeds", "8", "--threads", "1", "--view", "none"),
)
SCORES = ("overlap", "exact")


def main(json: bool) -> dict[str, Any]:
    """Return ``{memory: {patterns: {"overlap": ..., "exact": ...}}}``: means with intervals over seeds."""
    found: dict[str, Any] = {}
    for cell in measured(WORDS).answer["cells"]:
        patterns = str(cell["patterns"])
        bounds = {score: cell["ceiling_interval"][score] for score in SCORES}
        found.setdefault(cell["memory"], {})[patterns] = {
            score: {name: cell[score][name] for name in ("mean", "low", "high")} for score in SCORES
        }
        found.setdefault("best possible", {})[patterns] = {
            score: {"mean": cell["ceiling"][score], "low": bounds[score][0], "high": bounds[score][1]}
            for score in SCORES
        }
        if not json:
            means = ", ".join(f"{score} {cell[score]['mean']:.3f}" for score in SCORES)
            console.print_result(f"{cell['memory']:10} {patterns:5} {means}")
    return found
