"""Search of settings: rounds of trials, successive halving within each, and the judgement of the best.

Successive halving is that of Jamieson and Talwalkar 2016, within rounds of fixed size: all trials of a round end a rung
before any begins the next one. So the order in which cells end, and with it the number of workers, changes nothing.
"""

from __future__ import annotations

import math
from collections.abc import Generator, Mapping, Sequence
from typing import Any, NamedTuple

from simulator.config.tune import TuneConfig
from simulator.tuning.proposals import Point, Tried, n_trials, propose

DEFAULT = -1  # in place of a trial: the settings without a search


class Rung(NamedTuple):
    """Amount of training and evaluation."""

    steps: int  # of training; 0: a memory has none
    seeds: int


class Wanted(NamedTuple):
    """An evaluation of a point."""

    trial: int  # its number, or DEFAULT
    point: Point
    steps: int
    first_seed: int
    seeds: int
    rung: int  # number of the rung; the one behind the last is the judgement


class Measured(NamedTuple):
    """Outcome of an evaluation."""

    value: float | None  # of the objective; None: it failed
    reason: str = ""  # why


def rungs_of(config: TuneConfig) -> list[Rung]:
    """List the rungs, from the smallest amount to all steps and seeds."""
    steps = config.steps if config.table == "agent" else 0
    if config.halving == "none":
        return [Rung(steps, config.seeds)]
    parts = [config.eta**k for k in range(config.rungs - 1, -1, -1)]
    if config.halving == "steps":
        return [Rung(max(1, round(config.steps / part)), config.seeds) for part in parts]
    return [Rung(steps, max(1, round(config.seeds / part))) for part in parts]


def survivors(config: TuneConfig, n: int) -> list[int]:
    """Return how many of n trials are evaluated at each rung."""
    counts = [n]
    for _ in rungs_of(config)[1:]:
        counts.append(max(1, math.ceil(counts[-1] / config.eta)))
    return counts


def n_rounds(config: TuneConfig) -> int:
    """Return the number of rounds."""
    return -(-n_trials(config) // config.batch)


def search(config: TuneConfig, trials: list[dict[str, Any]]) -> Generator[list[Wanted], Mapping[int, Measured], None]:
    """Search, and judge the best trial in the end.

    Args:
        config: the tuning.
        trials: its trials as they are stored, to which new ones are added. Points that stand there already are taken
            as they are, and not proposed again; what came of them is written anew.

    Yields:
        What has to be evaluated next, all of it, at least one; the outcomes are sent back by the trial's number.
    """
    rungs = rungs_of(config)
    for round_number in range(n_rounds(config)):
        mine = _trials_of(config, round_number, trials)
        alive = mine
        for k, (rung, n_alive) in enumerate(zip(rungs, survivors(config, len(mine)), strict=True)):
            for trial in alive[n_alive:]:
                trial["state"] = "pruned"
            alive = sorted(alive[:n_alive], key=lambda trial: trial["trial"])
            if not alive:  # all of the round have failed: the next round begins
                break
            measured = yield [
                Wanted(trial["trial"], trial["point"], rung.steps, config.first_seed, rung.seeds, k) for trial in alive
            ]
            for trial in alive:
                outcome = measured[trial["trial"]]
                if outcome.value is None:
                    trial |= {"state": "failed", "reason": outcome.reason}
                else:
                    trial["values"].append(outcome.value)
            alive = sorted((trial for trial in alive if trial["state"] == "running"), key=_rank)
        for trial in alive:
            trial["state"] = "complete"
    best = best_trial(trials)
    if best is not None:
        judged = [(best["trial"], best["point"]), (DEFAULT, {})]
        last = rungs[-1]
        yield [
            Wanted(number, point, last.steps, config.judge_first_seed, config.judge_seeds, len(rungs))
            for number, point in judged
        ]


def _trials_of(config: TuneConfig, round_number: int, trials: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return the trials of a round as they begin; where they are not stored yet, with points that are proposed now."""
    first = round_number * config.batch
    if len(trials) <= first:
        tried = [Tried(trial["point"], trial["state"], tuple(trial["values"])) for trial in trials]
        points = propose(config, round_number, tried)
        trials += [{"trial": first + i, "round": round_number, "point": point} for i, point in enumerate(points)]
    mine = trials[first : first + config.batch]
    for trial in mine:
        trial |= {"state": "running", "values": [], "reason": ""}
    return mine


def _rank(trial: Mapping[str, Any]) -> tuple[float, int]:
    """Return the key by which trials are sorted, the best first; of equal ones the earlier."""
    return -trial["values"][-1], trial["trial"]


def best_trial(trials: Sequence[dict[str, Any]]) -> dict[str, Any] | None:
    """Return the best trial among those that were evaluated at the last rung; None: there is none."""
    return min((trial for trial in trials if trial["state"] == "complete"), key=_rank, default=None)
