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
    """Build all players of missing cells, and plan random play in environments of unknown random score.

    An infeasible pair moves from the plan's pairs to the refused ones, with the setting ``skip``.

    Args:
        plan: in its stored form; changed.
        pairs: by key, random play among them.
        cells: the stored cells.
        config: the tournament's settings.

    Raises:
        ValueError: an infeasible pair; one line that names it.
    """
    envs: dict[int, Any] = {}
    for pair in list(plan["pairs"]):
        missing = [span for span in pair["spans"] if (pair["key"], tuple(span)) not in cells]
        if not missing:
            continue
        try:
            try_pair(pairs[pair["key"]], envs, max(n for _, n in missing))
        except ValueError as error:
            place = summary.named(plan, pair)
            reason = " ".join(str(error).split())
            if not config.skip:
                message = f"{place['contestant']} in {place['challenge']}: {reason}"
                raise ValueError(f"{message}; --skip leaves it out") from None
            plan["refused"].append({**place, "reason": reason})
            plan["pairs"].remove(pair)
    with_floor = _with_floor(plan, envs, cells)
    for matchup in pairs.values():
        if matchup.contestant < 0 and matchup.challenge not in with_floor:
            spans = [list(span) for span in all_spans(plan)]
            plan["references"].append({**stored([matchup], config)[0], "spans": spans})


def _with_floor(plan: Mapping[str, Any], envs: Mapping[int, Any], cells: Mapping[JobKey, JobRecord]) -> set[int]:
    """Return the challenges whose random score is known."""
    measured = {key for (key, _), cell in cells.items() if cell.facts.get("floor") is not None}
    challenges = {pair["challenge"] for pair in plan["pairs"] if pair["key"] in measured}
    challenges |= {m for m, challenge in enumerate(plan["challenges"]) if challenge["kind"] != "env"}
    specs = {m: env.spec for m, env in envs.items()}
    return challenges | {
        m for m, spec in specs.items() if spec.random_score is not None and math.isfinite(spec.random_score)
    }


def try_pair(pair: Matchup, envs: dict[int, Any], n_seeds: int) -> None:
    """Build the players of a pair, agents with as many seeds as a cell has: some need more memory than there is.

    Raises:
        ValueError: they cannot be built, or do not fit together.
    """
    config = pair.config
    if pair.kind == "run":
        if pair.challenge not in envs:
            envs[pair.challenge] = registry.load("envs", config.env).make([0], config.env_settings)
        registry.load("agents", config.agent).make(
            envs[pair.challenge].spec, list(range(n_seeds)), config.agent_settings
        )
    elif pair.kind == "recall":
        from simulator.recall.benchmark import RecallBenchmark

        RecallBenchmark(dataclasses.replace(config, seeds=1), [0])
    elif pair.kind == "match":
        from simulator.matches.match import checked

        if not getattr(checked(config), "symmetric", True):
            raise ValueError(f"game {config.game}: asymmetric, expected a symmetric game")
