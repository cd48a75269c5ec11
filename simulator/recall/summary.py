"""Summary of a stored recall benchmark. Reads the store only, so it can be repeated without playing."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np

from simulator.config.recall import RecallConfig, outline
from simulator.core.protocols import Array
from simulator.recall.benchmark import SCORES, Condition, plan
from simulator.statistics.estimates import UNBOUNDED, estimate
from simulator.store.records import RunRecord
from simulator.store.run_store import Store

INTERVALS = ("overlap", "exact", "share_overlap", "share_exact", "fixed", "familiarity")
BOUNDS = {"overlap": (-1.0, 1.0), "exact": (0.0, 1.0), "fixed": (0.0, 1.0), "familiarity": (0.0, 1.0)}
_COPIED = ("run", "label", "status", "lost", "versions", "machines", "seconds", "cpu_seconds")
_FLAGS = ("ceiling_at_least", "heard")
_PLAIN = ("spurious", "sweeps", "cue", "precision_code", "precision_pixel")


class MeasuredCondition(NamedTuple):
    """A cell with its scores."""

    cell: Condition
    scores: dict[str, Array]  # name -> [S], nan where it was not measured
    facts: dict[str, Any]


def summary(store: Store, run: str) -> dict[str, Any]:
    """Return the JSON object of ``engram recall --json``.

    ``cells``: one for every contestant, number of patterns and corruption. Where it gives ``{mean, low, high,
    per_seed}``, those are the mean over seeds and its 95 % bootstrap interval:

    * ``overlap``, ``exact``: mean agreement of units, from -1 to 1, and the share of patterns restored in every unit.
    * ``ceiling``: ``{overlap, exact}``, the most that any memory can be expected to reach, given the corruption and the
      cues; ``ceiling_interval``: ``{overlap: [low, high], exact: [low, high]}`` over seeds, null for one;
      ``ceiling_at_least``: whether more might be exact, since some grey patterns are nearly the same.
      ``share_overlap``, ``share_exact``: fractions of the ceilings' means over seeds.
    * ``cue``: overlap of the corrupted patterns. ``bit_error``: share of wrong units, where units are two-valued.
    * ``spurious``: share of recalls that end in none of the stored patterns. ``fixed``: share of stored patterns (of
      those that cues are made of) that stay as they are, given whole and without evidence.
    * ``familiarity``: area under the ROC curve of the energy, stored against novel; ``roc``: its points.
    * ``precision_code``, ``precision_pixel``: share of the same class among a novel pattern's nearest stored ones.
    * ``heard``: whether a memory of recall_mode "noise_aware" was given evidence: not where nothing is corrupted, for
      there it is the answer, nor where the corruption says nothing of single units.
    * ``recall_mode``, ``parameters``, ``bits_per_parameter`` (bits that recall adds to the cues), ``sweeps``,
      ``seconds``.

    What was not measured is null, and so is everything of a seed that broke down: ``failed`` names those, each with its
    ``reason``, and nothing of the cell counts them in.

    ``differences``: for every number of patterns and corruption, each contestant less the best one, paired by seed.
    ``versions``, ``machines``: of the distributions when it began, and what it was played on.
    ``basins``, ``capacities``: where they were asked for. ``refused``: cells that a memory did not take, and why.
    ``failed``: every seed that broke down, with ``memory``, ``patterns``, ``corruption``, ``seed`` and ``reason``.
    """
    record = store.find(run)
    config = outline(record)
    played = list(_played(store, record, config))
    whole = [each for each in played if each.cell.patterns and "refused" not in each.facts]
    found = {name: getattr(record, name) for name in _COPIED}
    found |= {"challenge": record.env, "seeds": list(record.seeds), "step": record.step, "steps": record.steps}
    found["contestants"] = [each.label for each in config.contestants]
    found["cells"] = [_cell(each, config) for each in whole]
    found["differences"] = _differences(whole, config)
    found["basins"] = [_basin(each, config) for each in whole if np.isfinite(each.scores["basin"]).any()]
    found["capacities"] = [_capacity(each, config) for each in played if "loads" in each.facts]
    refused = [each for each in played if "refused" in each.facts]
    found["refused"] = [{**_name(each.cell, config), "why": each.facts["refused"]} for each in refused]
    found["failed"] = [{**_name(each.cell, config), **seed} for each in played for seed in each.facts["failed"]]
    return found


def _played(store: Store, record: RunRecord, config: RecallConfig) -> Iterator[MeasuredCondition]:
    facts = record.known("cells") or []
    measured = scores_by_cell(store, record, len(facts))
    for cell, own_facts, scores in zip(plan(config), facts, measured, strict=False):
        own_facts = {**own_facts, "failed": list(own_facts.get("failed", ()))}
        for name in ("overlap", "exact"):
            best = _mean(scores[f"ceiling_{name}"])  # over seeds: a mean of ratios would lean upwards
            nothing = np.full(len(record.seeds), np.nan)
            scores[f"share_{name}"] = scores[name] / best if best else nothing
        yield MeasuredCondition(cell, scores, own_facts)


def scores_by_cell(store: Store, record: RunRecord, n_cells: int) -> list[dict[str, Array]]:
    """Read the scores of a stored benchmark's first cells.

    Returns:
        For each cell every name of ``SCORES`` with its value per seed, [S]; NaN where it was not measured.
    """
    found = [{name: np.full(len(record.seeds), np.nan) for name in SCORES} for _ in range(n_cells)]
    index = {seed: i for i, seed in enumerate(record.seeds)}
    for row in store.metrics(record.run):
        if row.step <= n_cells:  # the writer may have stored one more in between
            found[row.step - 1][row.name][index[row.seed]] = row.value
    return found


def _name(cell: Condition, config: RecallConfig) -> dict[str, Any]:
    return {
        "memory": config.contestants[cell.contestant].label,
        "patterns": cell.patterns,
        "corruption": cell.corruption,
    }


def over_seeds(values: Array, bounds: tuple[float, float] = UNBOUNDED) -> dict[str, Any] | None:
    """Return the mean of values [S] with its 95 % interval; None if nothing was measured.

    Equal values on a scale without bounds have no interval; see ``confidence_interval`` in ``statistics.estimates``.
    """
    known = values[np.isfinite(values)]
    if not len(known):
        return None
    mean, low, high = (float(number) for number in estimate(known, np.mean, bounds=bounds))
    single = {"low": None, "high": None} if np.isnan(low) else {"low": low, "high": high}
    return {"mean": mean, **single, "per_seed": [float(value) for value in values]}


def _cell(played: MeasuredCondition, config: RecallConfig) -> dict[str, Any]:
    scores = played.scores
    facts = played.facts
    found = {**_name(played.cell, config), "recall_mode": facts["recall_mode"]}
    found |= {name: over_seeds(scores[name], BOUNDS.get(name, UNBOUNDED)) for name in INTERVALS}
    found["ceiling"] = {name: _mean(scores[f"ceiling_{name}"]) for name in ("overlap", "exact")}
    wide = {name: over_seeds(scores[f"ceiling_{name}"]) or {} for name in ("overlap", "exact")}
    found["ceiling_interval"] = {name: [each.get("low"), each.get("high")] for name, each in wide.items()}
    found |= {name: bool(facts[name]) for name in _FLAGS}
    found |= {name: _mean(scores[name]) for name in _PLAIN}
    overlap = _mean(scores["overlap"])
    bits = _bits(played)
    found["bit_error"] = (1.0 - overlap) / 2.0 if overlap is not None and facts.get("is_bipolar", True) else None
    found["bits_per_parameter"] = None if bits is None else bits / max(facts["parameters"], 1)
    found["failed"] = facts["failed"]
    return found | {name: facts.get(name) for name in ("parameters", "seconds", "store_seconds", "roc")}


def _bits(played: MeasuredCondition) -> float | None:
    """Compute the bits that recall adds to the cues of one seed, each unit a binary symmetric channel."""
    left = [_entropy((1.0 - played.scores[name]) / 2.0) for name in ("cue", "overlap")]
    gained = _mean(left[0] - left[1])
    return None if gained is None else gained * played.cell.patterns * played.facts["units"]


def _entropy(p: Array) -> Array:
    p = np.clip(p, 1e-12, 0.5)
    return np.asarray(-p * np.log2(p) - (1.0 - p) * np.log2(1.0 - p))


def _mean(values: Array) -> float | None:
    known = values[np.isfinite(values)]
    return float(known.mean()) if len(known) else None


def _differences(played: list[MeasuredCondition], config: RecallConfig) -> list[dict[str, Any]]:
    """Return the paired difference of every contestant to the best in overlap, for each load and corruption."""
    found = []
    for place in dict.fromkeys((each.cell.patterns, each.cell.corruption) for each in played):
        here = [each for each in played if (each.cell.patterns, each.cell.corruption) == place]
        here = [each for each in here if _mean(each.scores["overlap"]) is not None]
        best = max(here, key=lambda each: _mean(each.scores["overlap"]) or 0.0, default=None)
        if best is None:
            continue
        for each in here:
            less = {
                name: over_seeds(each.scores[name] - best.scores[name], (low - high, high - low))
                for name, (low, high) in BOUNDS.items()
                if name in ("overlap", "exact")
            }
            name = _name(each.cell, config)
            found.append({**name, "than": config.contestants[best.cell.contestant].label, **less})
    return [each for each in found if each["memory"] != each["than"]]


def _basin(played: MeasuredCondition, config: RecallConfig) -> dict[str, Any]:
    return {**_name(played.cell, config), "radius": over_seeds(played.scores["basin"])}


def _capacity(played: MeasuredCondition, config: RecallConfig) -> dict[str, Any]:
    name = _name(played.cell, config)
    del name["patterns"]
    shares = {"half": over_seeds(played.scores["capacity_half"]), "most": over_seeds(played.scores["capacity_most"])}
    return {**name, **shares, **{fact: played.facts[fact] for fact in ("loads", "exact", "beyond")}}
