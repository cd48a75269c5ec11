"""Checks before a tournament: every contestant can be built for its challenges, and random scores are known."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping
from typing import Any

from simulator.config.tournament import TournamentConfig
from simulator.core import registry
from simulator.store.cell_store import JobKey, JobRecord
from simulator.tournaments import summary
from simulator.tournaments.plan import Matchup, all_spans, stored


def prepare(
    plan: dict[str, Any], pairs: Mapping[str, Matchup], cells: Mapping[JobKey, JobRecord], config: TournamentConfig
) -> None:
    """Build every player that has still to play, and plan random play in environments that do not say what it returns.

    A pair that cannot be moves from the plan's pairs to those refused, where the settings say so.

    Args:
        plan: as a lab keeps it; changed.
        pairs: by key, random play among them.
        cells: what was played already.
        config: the tournament's settings.

    Raises:
        ValueError: a pair cannot be; one line that names it.
    """
    envs: dict[int, Any] = {}
    for pair in list(plan["pairs"]):
        missing = [span for span in pair["spans"] if (pair["key"], tuple(span)) not in cells]
        if not missing:
            continue
        try:
            _try(pairs[pair["key"]], envs, max(n for _, n in missing))
        except ValueError as error:
            place = summary.named(plan, pair)
            reason = " ".join(str(error).split())
            if not config.skip:
                message = f"{place['contestant']} in {place['challenge']}: {reason}"
                raise ValueError(f"{message}; --skip goes on without") from None
            plan["refused"].append({**place, "reason": reason})
            plan["pairs"].remove(pair)
    known = _with_floor(plan, envs, cells)
    for each in pairs.values():
        if each.contestant < 0 and each.challenge not in known:
            spans = [list(span) for span in all_spans(plan)]
            plan["references"].append({**stored([each], config)[0], "spans": spans})


def _with_floor(plan: Mapping[str, Any], envs: Mapping[int, Any], cells: Mapping[JobKey, JobRecord]) -> set[int]:
    """Return the challenges whose random score is known."""
    measured = {key for (key, _), cell in cells.items() if cell.facts.get("floor") is not None}
    known = {pair["challenge"] for pair in plan["pairs"] if pair["key"] in measured}
    known |= {m for m, each in enumerate(plan["challenges"]) if each["kind"] != "env"}
    specs = {m: env.spec for m, env in envs.items()}
    return known | {
        m for m, spec in specs.items() if spec.random_score is not None and math.isfinite(spec.random_score)
    }


def _try(pair: Matchup, envs: dict[int, Any], n_seeds: int) -> None:
    """Build the players of a pair, agents with as many seeds as a cell has: some need more memory than there is.

    Raises:
        ValueError: they cannot be built, or refuse each other.
    """
    own = pair.config
    if pair.kind == "run":
        if pair.challenge not in envs:
            envs[pair.challenge] = registry.load("envs", own.env).make([0], own.env_settings)
        registry.load("agents", own.agent).make(envs[pair.challenge].spec, list(range(n_seeds)), own.agent_settings)
    elif pair.kind == "recall":
        from simulator.recall.benchmark import RecallBenchmark

        RecallBenchmark(dataclasses.replace(own, seeds=1), [0])
    elif pair.kind == "match":
        from simulator.matches.match import checked

        if not getattr(checked(own), "symmetric", True):
            raise ValueError(f"game {own.game}: its sides are not alike, expected a game in which it does not matter")
