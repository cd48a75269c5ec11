"""Update rules on functions with known minima: ``engram race`` with its defaults, without the paths."""

from __future__ import annotations

import json
from typing import Any

from simulator import console
from simulator.config.race import RaceConfig
from simulator.core.optimizers import KINDS
from simulator.race.descent import race
from simulator.reporting.race import print_objective


def main(json: bool) -> dict[str, Any]:
    """Return what ``engram race --json`` prints, without the paths."""
    data = race(KINDS, RaceConfig())
    for found in data["objectives"]:
        if not json:
            print_objective(data, found)
        for row in found["rules"]:
            del row["path"]
    return _plain(data)


def _plain(data: dict[str, Any]) -> Any:
    """Return the result as JSON has it: lists for arrays, null for what is not finite."""
    return json.loads(console.as_json(data))
