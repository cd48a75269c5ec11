"""Summary of a stored recall benchmark. Reads the store only, so it can be repeated without running it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np

from simulator.config.codec import outline
from simulator.config.recall import RecallConfig
from simulator.core.protocols import Array
from simulator.recall.benchmark import SCORES, Condition, plan
from simulator.statistics.estimates import UNBOUNDED, estimate
from simulator.store.records import RunRecord
from simulator.store.run_store import Store

INTERVALS = ("overlap", "exact", "overlap_ratio", "exact_ratio", "fixed_point_rate", "familiarity")
BOUNDS = {"overlap": (-1.0, 1.0), "exact": (0.0, 1.0), "fixed_point_rate": (0.0, 1.0), "familiarity": (0.0, 1.0)}
_COPIED = ("run", "label", "status", "lost", "versions", "machines", "seconds", "cpu_seconds")
_FACTS = ("parameters", "seconds", "cpu_seconds", "store_seconds", "store_cpu_seconds", "roc")
_FLAGS = ("ceiling_at_least", "used_evidence")
LOOKUPS = ("first", "reciprocal_rank", "topic_precision")  # scores of looking patterns up
_PLAIN = ("spurious", "sweeps", "cue", "latent_precision", "pixel_precision", "reconstruction_error")


class MeasuredCondition(NamedTuple):
    """A cell with its scores."""

    cell: Condition
    scores: dict[str, Array]  # name -> [S], NaN where it was not measured
    facts: dict[str, Any]


def summary(store: Store, run: str) -> dict[str, Any]:
    """Return the JSON object of ``engram recall --json``.

    ``cells``: one for every contestant, number of patterns and corruption. Where it gives ``{mean, low, high,
    per_seed}``, those are the mean over seeds and its 95 % bootstrap interval:

    * ``overlap``, ``exact``: mean agreement of units, from -1 to 1; fraction of patterns restored in every unit.
    * ``ceiling``: ``{overlap, exact}``, the most that any memory can be expected to reach, given the corruption and the
      cues; ``ceiling_interval``: ``{overlap: [low, high], exact: [low, high]}`` over seeds, null for one;
      ``ceiling_at_least``: whether more might be exact, since some grey patterns are nearly the same.
      ``overlap_ratio``, ``exact_ratio``: ratios to the ceilings' means over seeds.
    * ``cue``: overlap of the corrupted patterns. ``bit_error``: fraction of wrong units, where patterns are bipolar.
    * ``spurious``: fraction of recalls that equal no stored pattern. ``fixed_point_rate``: fraction of stored
      patterns, of those that cues are made of, that recall without evidence leaves unchanged.
    * ``familiarity``: area under the ROC curve of the energy, stored against novel; ``roc``: its points.
    * ``latent_precision``, ``pixel_precision``: fraction of the same class among a novel pattern's nearest stored ones.
    * ``reconstruction_error``: squared error of a novel pattern that is decoded from its code, summed over units, which
      count from 0 to 1.
    * ``used_evidence``: whether a memory of recall_mode "noise_aware" was given evidence: not where nothing is
      corrupted, as it would be the answer, nor where the corruption has none for single units.
    * ``recall_mode``, ``parameters``, ``bits_per_parameter`` (bits that recall adds to bipolar cues), ``sweeps``,
      ``seconds`` and ``cpu_seconds`` of recall; ``store_seconds`` and ``store_cpu_seconds``.

    * ``retrieval``: of a challenge whose patterns are looked up, else null: ``by_recall`` ranks the stored patterns by
      the cosine of their weights with the recalled pattern, ``by_code`` by the distance of their codes to that of the
      cue (null without codes). ``first``: fraction whose own pattern is first (its ceiling is that of ``exact``);
      ``reciprocal_rank``: mean of 1 / rank; ``topic_precision``: fraction of the ``k`` nearest others of its topic, and
      ``by_topic`` for each of the ``topics``, means over seeds. ``plane``: codes of the first seed, if of two units.

    Values that were not measured are null, as are all values of a failed seed: ``failed`` lists these seeds, each with
    its ``reason``; they are excluded from all aggregates.

    ``differences``: paired difference of each contestant to the best one, for every number of patterns and corruption.
    ``versions``, ``machines``: of the distributions when it began, and what it ran on.
    ``basins``, ``capacities``: if they were asked for. ``refused``: cells that a memory cannot store, and why.
    ``failed``: every failed seed, with ``memory``, ``patterns``, ``corruption``, ``seed`` and ``reason``.
    """
    record = store.find(run)
    config = outline(RecallConfig, record)
    played = list(_played(store, record, config))
    whole = [condition for condition in played if condition.cell.patterns and "refused" not in condition.facts]
    result = {name: getattr(record, name) for name in _COPIED}
    result |= {"challenge": record.env, "seeds": list(record.seeds), "step": record.step, "steps": record.steps}
    result["contestants"] = [contestant.label for contestant in config.contestants]
    result["cells"] = [_cell(condition, config) for condition in whole]
    result["differences"] = _differences(whole, config)
    result["basins"] = [
        _basin(condition, config) for condition in whole if np.isfinite(condition.scores["basin"]).any()
    ]
    result["capacities"] = [_capacity(condition, config) for condition in played if "loads" in condition.facts]
    refused = [condition for condition in played if "refused" in condition.facts]
    result["refused"] = [{**_name(refusal.cell, config), "why": refusal.facts["refused"]} for refusal in refused]
    result["failed"] = [
        {**_name(condition.cell, config), **seed} for condition in played for seed in condition.facts["failed"]
    ]
    return result


def _played(store: Store, record: RunRecord, config: RecallConfig) -> Iterator[MeasuredCondition]:
    facts = record.known("cells") or []
    measured = scores_by_cell(store, record, len(facts))
    for cell, own_facts, scores in zip(plan(config), facts, measured, strict=False):
        own_facts = {**own_facts, "failed": list(own_facts.get("failed", ()))}
        for name in ("overlap", "exact"):
            best = _mean(scores[f"ceiling_{name}"])  # over seeds: a mean of ratios would lean upwards
            nothing = np.full(len(record.seeds), np.nan)
            scores[f"{name}_ratio"] = scores[name] / best if best else nothing
        yield MeasuredCondition(cell, scores, own_facts)


def scores_by_cell(store: Store, record: RunRecord, n_cells: int) -> list[dict[str, Array]]:
    """Read the scores of a stored benchmark's first cells.

    Returns:
        For each cell every name of ``SCORES`` with its value per seed, [S]; NaN where it was not measured.
    """
    scores = [{name: np.full(len(record.seeds), np.nan) for name in SCORES} for _ in range(n_cells)]
    index = {seed: i for i, seed in enumerate(record.seeds)}
    for row in store.metrics(record.run):
        if row.step <= n_cells:  # the writer may have stored one more in between
            scores[row.step - 1][row.name][index[row.seed]] = row.value
    return scores


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
    finite = values[np.isfinite(values)]
    if not len(finite):
        return None
    mean, low, high = (float(number) for number in estimate(finite, np.mean, bounds=bounds))
    single = {"low": None, "high": None} if np.isnan(low) else {"low": low, "high": high}
    return {"mean": mean, **single, "per_seed": [float(value) for value in values]}


def _cell(played: MeasuredCondition, config: RecallConfig) -> dict[str, Any]:
    scores = played.scores
    facts = played.facts
    cell = {**_name(played.cell, config), "recall_mode": facts["recall_mode"]}
    cell |= {name: over_seeds(scores[name], BOUNDS.get(name, UNBOUNDED)) for name in INTERVALS}
    cell["ceiling"] = {name: _mean(scores[f"ceiling_{name}"]) for name in ("overlap", "exact")}
    wide = {name: over_seeds(scores[f"ceiling_{name}"]) or {} for name in ("overlap", "exact")}
    cell["ceiling_interval"] = {name: [values.get("low"), values.get("high")] for name, values in wide.items()}
    cell |= {name: bool(facts[name]) for name in _FLAGS}
    cell |= {name: _mean(scores[name]) for name in _PLAIN}
    overlap = _mean(scores["overlap"])
    bits = _bits(played)
    cell["bit_error"] = (1.0 - overlap) / 2.0 if overlap is not None and facts.get("is_bipolar", True) else None
    cell["bits_per_parameter"] = None if bits is None else bits / max(facts["parameters"], 1)
    cell["failed"] = facts["failed"]
    cell["retrieval"] = _retrieval(played) if "k" in facts else None
    return cell | {name: facts.get(name) for name in _FACTS}


def _retrieval(played: MeasuredCondition) -> dict[str, Any]:
    """Return the scores of looking patterns up, by the recalled pattern and by code."""
    facts = played.facts
    found = {name: facts.get(name) for name in ("k", "topics", "plane")}
    for way, prefix in (("by_recall", ""), ("by_code", "code_")):
        scores = {name: over_seeds(played.scores[prefix + name], (0.0, 1.0)) for name in LOOKUPS}
        by_topic = {"by_topic": facts.get(f"{prefix}by_topic")}
        found[way] = {**scores, **by_topic} if scores["first"] is not None else None
    return found


def _bits(played: MeasuredCondition) -> float | None:
    """Compute the bits that recall adds to the cues of one seed, each unit a binary symmetric channel; None if grey."""
    if not played.facts.get("is_bipolar", True):
        return None
    left = [_entropy((1.0 - played.scores[name]) / 2.0) for name in ("cue", "overlap")]
    gained = _mean(left[0] - left[1])
    return None if gained is None else gained * played.cell.patterns * played.facts["units"]


def _entropy(p: Array) -> Array:
    p = np.clip(p, 1e-12, 0.5)
    return np.asarray(-p * np.log2(p) - (1.0 - p) * np.log2(1.0 - p))


def _mean(values: Array) -> float | None:
    finite = values[np.isfinite(values)]
    return float(finite.mean()) if len(finite) else None


def _differences(played: list[MeasuredCondition], config: RecallConfig) -> list[dict[str, Any]]:
    """Return the paired difference of every contestant to the best in overlap, for each load and corruption."""
    differences = []
    for place in dict.fromkeys((condition.cell.patterns, condition.cell.corruption) for condition in played):
        same_conditions = [
            condition for condition in played if (condition.cell.patterns, condition.cell.corruption) == place
        ]
        same_conditions = [condition for condition in same_conditions if _mean(condition.scores["overlap"]) is not None]
        best = max(same_conditions, key=lambda condition: _mean(condition.scores["overlap"]) or 0.0, default=None)
        if best is None:
            continue
        for condition in same_conditions:
            difference = {
                name: over_seeds(condition.scores[name] - best.scores[name], (low - high, high - low))
                for name, (low, high) in BOUNDS.items()
                if name in ("overlap", "exact")
            }
            name = _name(condition.cell, config)
            differences.append({**name, "than": config.contestants[best.cell.contestant].label, **difference})
    return [condition for condition in differences if condition["memory"] != condition["than"]]


def _basin(played: MeasuredCondition, config: RecallConfig) -> dict[str, Any]:
    return {**_name(played.cell, config), "radius": over_seeds(played.scores["basin"])}


def _capacity(played: MeasuredCondition, config: RecallConfig) -> dict[str, Any]:
    name = _name(played.cell, config)
    del name["patterns"]
    loads = {"half": over_seeds(played.scores["capacity_half"]), "most": over_seeds(played.scores["capacity_most"])}
    return {**name, **loads, **{fact: played.facts[fact] for fact in ("loads", "exact", "beyond")}}
