"""Recall benchmark: its conditions, their inputs, and their scores."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from copy import deepcopy
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np

from simulator.config.codec import PlayerEntry
from simulator.config.recall import RecallConfig
from simulator.core import registry, rng
from simulator.core.jit import compile_seconds
from simulator.core.memories import CorruptionModel, Cues, DecodesCodes, PatternSplit, Recall, RecallPicture
from simulator.core.protocols import Array, State
from simulator.recall import metrics as scores
from simulator.recall.bayes_optimal import ceiling

SCORES = (
    *("overlap", "exact", "ceiling_overlap", "ceiling_exact", "cue", "spurious", "sweeps"),
    *(
        "fixed_point_rate",
        "familiarity",
        "latent_precision",
        "pixel_precision",
        "basin",
        "capacity_half",
        "capacity_most",
        "reconstruction_error",
    ),
    *("first", "reciprocal_rank", "topic_precision"),
    *("code_first", "code_reciprocal_rank", "code_topic_precision"),
)
MAX_RADII = 12  # at most, that basins are looked at
MIN_LOAD = 2
MAX_LOAD = 4_096
MAX_CAPACITY_CUES = 256  # patterns, and cues of each load, in a search for a capacity
HALF_FRACTION = 0.5
MOST_FRACTION = 0.99  # exact-recall rates at which capacities are measured
RECALL_BATCH = 256  # stored patterns that are recalled at a time
NOT_STORED = "what it learned is not finite"
NOT_RECALLED = "what it recalled is not finite"


class Condition(NamedTuple):
    """One contestant with a number of patterns and a corruption; 0 patterns: the search for its capacity."""

    contestant: int
    patterns: int
    corruption: str


class ConditionResult(NamedTuple):
    """Scores of one condition. The fact ``failed`` lists the failed seeds, each with a reason."""

    scores: Array  # float64 [S, len(SCORES)], NaN where something was not measured, and everywhere of a failed seed
    facts: dict[str, Any]  # plain values
    picture: RecallPicture | None


def broken_seeds(values: Any, n_seeds: int) -> Array:
    """Mark, bool [S], the seeds with NaN or infinity in a state: arrays, alone or in dicts and lists.

    An array that leads with the seed axis belongs to each seed by itself; any other number to all seeds.
    """
    if isinstance(values, Mapping):
        return _any((broken_seeds(value, n_seeds) for value in values.values()), n_seeds)
    if isinstance(values, list | tuple):
        return _any((broken_seeds(item, n_seeds) for item in values), n_seeds)
    if not isinstance(values, np.ndarray | float | np.floating):
        return np.zeros(n_seeds, np.bool_)
    array = np.asarray(values)
    if array.dtype.kind not in "fc":
        return np.zeros(n_seeds, np.bool_)
    if not array.ndim or len(array) != n_seeds:
        return np.full(n_seeds, not _is_finite(array))
    return np.array([not _is_finite(part) for part in array], np.bool_)


def _is_finite(array: Array) -> bool:
    """Return whether all are finite. A finite sum proves it at once; one that is not may have overflowed."""
    with np.errstate(all="ignore"):
        return bool(np.isfinite(array.sum(dtype=np.float64)) or np.isfinite(array).all())


def _any(masks: Any, n_seeds: int) -> Array:
    broken = np.zeros(n_seeds, np.bool_)
    for mask in masks:
        broken |= mask
    return broken


class Health:
    """Failed seeds of a memory, with reasons; the only check of what a memory learned or returned.

    Args:
        n_seeds: how many there are.
    """

    def __init__(self, n_seeds: int) -> None:
        self.why = [""] * n_seeds  # of each seed, empty while it is whole

    @property
    def failed(self) -> Array:
        """Bool [S]."""
        return np.array([bool(why) for why in self.why], np.bool_)

    def note(self, broken: Array, why: str) -> None:
        """Mark seeds; the first reason stays."""
        for i in np.flatnonzero(broken):
            self.why[i] = self.why[i] or why

    def look(self, values: Any, why: str) -> None:
        """Mark the seeds that hold a number that is not finite."""
        self.note(broken_seeds(values, len(self.why)), why)

    def look_at(self, recall: Recall) -> None:
        """Mark the seeds whose patterns are not finite, or whose energies are not while a cue still moves."""
        moving = np.arange(recall.energy.shape[2]) <= recall.n_iters[..., None]
        self.look([recall.patterns, np.where(moving, recall.energy, 0.0)], NOT_RECALLED)

    def join(self, other: Health) -> None:
        """Mark the seeds that are marked in another."""
        self.why = [mine or theirs for mine, theirs in zip(self.why, other.why, strict=True)]

    def copy(self) -> Health:
        """Return an independent copy."""
        health = Health(len(self.why))
        health.why = list(self.why)
        return health


@dataclass
class _Group:
    """A contestant with stored patterns, and the scores that all corruptions share."""

    memory: Any
    draw: PatternSplit
    health: Health
    state: dict[str, Any] = field(default_factory=dict)  # of the memory once it has stored
    facts: dict[str, Any] = field(default_factory=dict)
    scores: dict[str, Array] = field(default_factory=dict)


class _Stored(NamedTuple):
    """A memory that has stored patterns."""

    memory: Any
    health: Health
    seconds: float  # that storing took
    cpu_seconds: float


class Learned(NamedTuple):
    """Patterns, and the state of a memory that stored them."""

    patterns: Array  # float32 [S, P, N]
    state: State


def plan(config: RecallConfig) -> list[Condition]:
    """List every condition, in the order in which they are measured."""
    loads = [*config.patterns, *([0] if config.capacity else [])]
    return [
        Condition(i, load, corruption)
        for i in range(len(config.contestants))
        for load in dict.fromkeys(loads)
        for corruption in dict.fromkeys(config.corruption)
    ]


class RecallBenchmark:
    """Measures conditions. Patterns and corruption are the same for every contestant.

    Raises:
        ValueError: players that cannot be built, where they may not be skipped or none is left, or more patterns than
            the challenge has.
    """

    def __init__(self, config: RecallConfig, seed_list: list[int]) -> None:
        self._config = config
        self._seeds = seed_list
        self._challenge = registry.load("challenges", config.challenge).make(seed_list, config.challenge_settings)
        self.units = self._challenge.spec
        self._channels = {text: registry.corruption_model(text, self.units) for text in config.corruption}
        self._draw(max(config.patterns))
        self.refused = self._refused()
        self._kept: tuple[tuple[int, int], _Group] | None = None

    def play(self, cell: Condition) -> ConditionResult:
        """Play one cell.

        Raises:
            ValueError: the memory cannot be built, or refuses these patterns or cues; the line names it.
        """
        if cell.contestant in self.refused:
            raise ValueError(self.refused[cell.contestant])
        contestant = self._config.contestants[cell.contestant]
        try:
            if not cell.patterns:
                return self._capacity(contestant, self._channels[cell.corruption])
            return self._cell(self._group(cell), self._channels[cell.corruption])
        except ValueError as error:
            raise ValueError(f"{contestant.label}, {cell.patterns} patterns, {cell.corruption}: {error}") from None

    def learn(self, contestant: int, patterns: int) -> Learned:
        """Let a contestant store so many patterns, as its cells did.

        Raises:
            ValueError: the memory cannot be built, or refuses these patterns.
        """
        if contestant in self.refused:
            raise ValueError(self.refused[contestant])
        draw = self._draw(patterns)
        return Learned(draw.stored, self._stored(self._config.contestants[contestant], draw).memory.state())

    def _refused(self) -> dict[int, str]:
        """Return the contestants that cannot be built for this challenge, with the reasons."""
        refused = {}
        for i, contestant in enumerate(self._config.contestants):
            try:
                self._make(contestant)
            except ValueError as error:
                refused[i] = str(error)
        if refused and not self._config.skip:
            raise ValueError(f"{next(iter(refused.values()))}; --skip leaves it out")
        if len(refused) == len(self._config.contestants):
            raise ValueError(next(iter(refused.values())))
        return refused

    def _make(self, contestant: PlayerEntry) -> Any:
        player = registry.load("memories", contestant.name)
        try:
            return player.make(self.units, self._seeds, contestant.settings)
        except ValueError as error:
            raise ValueError(f"{contestant.label}: {error}") from None

    def _draw(self, n: int) -> PatternSplit:
        most = self._challenge.max_patterns
        n_novel = self._config.novel if most is None else min(self._config.novel, max(most - n, 0))
        split: PatternSplit = self._challenge.draw(n, n_novel)
        return split

    def _group(self, cell: Condition) -> _Group:
        """Return the contestant with its patterns stored; cached from one corruption to the next."""
        key = (cell.contestant, cell.patterns)
        if self._kept is None or self._kept[0] != key:
            self._kept = None  # room for the next
            contestant = self._config.contestants[cell.contestant]
            draw = self._draw(cell.patterns)
            stored = self._stored(contestant, draw)
            memory = stored.memory
            facts = {
                "store_seconds": stored.seconds,
                "store_cpu_seconds": stored.cpu_seconds,
                "parameters": int(memory.n_parameters),
                "recall_mode": memory.recall_mode,
            }
            facts |= {"units": self.units.n, "is_bipolar": self.units.is_bipolar}
            group = _Group(memory, draw, stored.health, deepcopy(memory.state()), facts)
            self._measure(group)
            self._kept = (key, group)
        self._kept[1].memory.restore(deepcopy(self._kept[1].state))  # a cell does not depend on those before it
        return self._kept[1]

    def _stored(self, contestant: PlayerEntry, draw: PatternSplit) -> _Stored:
        """Return a contestant that has stored patterns, its failed seeds, and the seconds that storing took."""
        memory = self._make(contestant)
        health = Health(len(self._seeds))
        timed = _timed(lambda: memory.store(draw.stored))
        health.look(memory.state(), NOT_STORED)
        return _Stored(memory, health, timed.seconds, timed.cpu_seconds)

    def _measure(self, group: _Group) -> None:
        """Measure the scores that do not depend on the corruption."""
        memory = group.memory
        draw = group.draw
        if draw.held_out.shape[1]:
            energies = memory.energy(draw.stored), memory.energy(draw.held_out)
            group.health.look(energies, NOT_RECALLED)
            whole = ~group.health.failed
            group.scores["familiarity"] = scores.familiarity(*energies)
            if whole.any():
                curve = scores.roc(*(energy[whole] for energy in energies))
                group.facts["roc"] = [points.round(4).tolist() for points in curve]
        if draw.held_out.shape[1] and (draw.labels >= 0).all():
            classes = (draw.labels, draw.held_out_labels)
            group.scores["pixel_precision"] = scores.retrieval(draw.stored, draw.held_out, *classes)
            if hasattr(memory, "codes"):
                codes = memory.codes(draw.stored), memory.codes(draw.held_out)
                group.health.look(codes, NOT_RECALLED)
                if codes[0].shape[2]:  # a machine without hidden units has none
                    group.scores["latent_precision"] = scores.retrieval(*codes, *classes)
        has_both_ways = isinstance(memory, DecodesCodes) and hasattr(memory, "codes")
        if draw.held_out.shape[1] and has_both_ways and memory.code_size:
            restored = memory.decode(memory.codes(draw.held_out))
            group.health.look(restored, NOT_RECALLED)
            group.scores["reconstruction_error"] = scores.squared_error(restored, draw.held_out)
        group.scores["fixed_point_rate"] = self._fixed(group)
        if self._config.basin:
            group.scores["basin"] = self._basin(group)

    def _fixed(self, group: _Group) -> Array:
        """Compute the fixed-point rate: fraction of the cued patterns that recall leaves unchanged."""
        stored = group.draw.stored
        two = self.units.is_bipolar
        stored = stored[:, : self._config.cues or None]
        stays = np.empty(stored.shape[:2], np.bool_)
        for first in range(0, stored.shape[1], RECALL_BATCH):
            batch = stored[:, first : first + RECALL_BATCH]
            recall = _recall(group.memory, RecallInputs(Cues(batch)))
            group.health.look_at(recall)
            stays[:, first : first + RECALL_BATCH] = scores.same(scores.decided(recall.patterns, two), batch, two)
        return np.asarray(stays.mean(axis=1))

    def _corrupted(self, draw: PatternSplit, channel: CorruptionModel, n_cues: int = 0) -> tuple[Array, Cues]:
        """Return the true patterns [S, Q, N] of the cues, and the cues."""
        n = n_cues or self._config.cues or draw.stored.shape[1]
        truth = draw.stored[:, np.arange(n) % draw.stored.shape[1]]
        return truth, channel.corrupt(truth, draw.stored, rng.generators(self._seeds, "corruption"))

    def _cell(self, group: _Group, channel: CorruptionModel) -> ConditionResult:
        draw = group.draw
        two = self.units.is_bipolar
        health = group.health.copy()
        truth, cues = self._corrupted(draw, channel)
        inputs = _recall_inputs(channel, cues)
        used_evidence = group.memory.recall_mode == "noise_aware" and inputs.evidence is not None
        timed = _timed(lambda: _recall(group.memory, inputs))
        recall = timed.result
        health.look_at(recall)
        restored = scores.decided(recall.patterns, two)
        best = ceiling(channel, cues, draw.stored, median=not two, near=0.0 if two else scores.TOLERANCE)
        values = dict(group.scores)
        values["overlap"] = scores.overlap(restored, truth)
        values["exact"] = scores.same(restored, truth, two).mean(axis=1)
        values["ceiling_overlap"] = best.overlap.mean(axis=1)
        values["ceiling_exact"] = best.exact.mean(axis=1)
        values["cue"] = scores.overlap(scores.decided(cues.values, two), truth)
        values["spurious"] = 1.0 - scores.is_stored(restored, draw.stored, two).mean(axis=1)
        values["sweeps"] = recall.n_iters.mean(axis=1)
        picture = RecallPicture(
            self.units.shape, truth[0, :3], cues.values[0, :3], restored[0, :3], recall.energy[0, 0]
        )
        facts = {**group.facts, "seconds": timed.seconds, "cpu_seconds": timed.cpu_seconds}
        facts |= {"ceiling_at_least": best.more, "used_evidence": used_evidence}
        if self._challenge.retrieval is not None:
            values |= self._lookup(group, cues, recall.patterns, health, facts)
        return self._result(values, facts, health, picture)

    def _lookup(
        self, group: _Group, cues: Cues, recalled: Array, health: Health, facts: dict[str, Any]
    ) -> dict[str, Array]:
        """Look up the stored patterns that are most like the recalled ones, and by codes those most like the cues.

        Writes to ``facts`` how, and the codes of the first seed where they are points of a plane.
        """
        draw = group.draw
        retrieval = self._challenge.retrieval
        own = np.arange(recalled.shape[1]) % draw.stored.shape[1]
        likenesses = {"": scores.cosines(np.clip(np.nan_to_num(recalled), -1.0, 1.0), draw.stored)}
        if hasattr(group.memory, "codes"):
            codes = group.memory.codes(draw.stored)
            cue_codes = group.memory.codes(np.clip(cues.values, -1.0, 1.0))
            health.look([codes, cue_codes], NOT_RECALLED)
            if codes.shape[2]:
                likenesses["code_"] = scores.nearness(np.nan_to_num(cue_codes), np.nan_to_num(codes))
            if codes.shape[2] == 2:
                facts["plane"] = {"points": codes[0].round(4).tolist(), "labels": draw.labels[0].tolist()}
        facts |= {"k": retrieval.k, "topics": list(retrieval.topics)}
        values: dict[str, Array] = {}
        for prefix, likeness in likenesses.items():
            found = scores.lookup(likeness, own, draw.labels, retrieval.k, len(retrieval.topics))
            values |= {
                f"{prefix}first": found.first,
                f"{prefix}reciprocal_rank": found.reciprocal_rank,
                f"{prefix}topic_precision": found.precision,
            }
            n_seeds = np.isfinite(found.by_class).sum(axis=0)
            means = np.nansum(found.by_class, axis=0) / np.maximum(n_seeds, 1)
            facts[f"{prefix}by_topic"] = [
                float(mean) if n else None for mean, n in zip(means.round(6), n_seeds, strict=True)
            ]
        return values

    def _result(
        self, values: dict[str, Array], facts: dict[str, Any], health: Health, picture: RecallPicture | None = None
    ) -> ConditionResult:
        """Return a condition's scores and facts, without the failed seeds."""
        failed = health.failed
        named = [{"seed": seed, "reason": why} for seed, why in zip(self._seeds, health.why, strict=True) if why]
        columns = _columns(values, len(failed))
        columns[failed] = np.nan
        return ConditionResult(columns, {**facts, "failed": named} if named else facts, None if failed[0] else picture)

    def _basin(self, group: _Group) -> Array:
        """Compute the fraction of flipped units at which half of the patterns are still recalled exactly."""
        n = self.units.n
        radii = np.unique(np.linspace(0, n // 2, MAX_RADII + 1).round().astype(int))
        channels = [registry.corruption_model(f"flips:{radius}" if radius else "none", self.units) for radius in radii]
        rates = [self._exact(group, channel) for channel in channels]
        return scores.crossing(radii / n, np.stack(rates, axis=1), HALF_FRACTION)

    def _exact(self, group: _Group, channel: CorruptionModel, n_cues: int = 0) -> Array:
        """Compute exact-recall rates; seeds that fail are marked in the group."""
        truth, cues = self._corrupted(group.draw, channel, n_cues)
        recall = _recall(group.memory, _recall_inputs(channel, cues))
        group.health.look_at(recall)
        two = self.units.is_bipolar
        return np.asarray(scores.same(scores.decided(recall.patterns, two), truth, two).mean(axis=1))

    def _capacity(self, contestant: PlayerEntry, channel: CorruptionModel) -> ConditionResult:
        """Search for the capacity: double the load until recall fails, then bisect to both rates.

        A seed that breaks down at one load has no capacity, and no say in the loads that follow.
        """
        exact_at_load: dict[int, Array] = {}
        health = Health(len(self._seeds))

        def mean(load: int) -> float:
            if load not in exact_at_load:
                exact_at_load[load] = self._exact_at(contestant, channel, load, health)
            whole = ~health.failed
            return float(exact_at_load[load][whole].mean()) if whole.any() else 0.0

        largest = min(self._challenge.max_patterns or MAX_LOAD, MAX_LOAD)
        load = MIN_LOAD
        while mean(load) >= HALF_FRACTION and load < largest:
            load = min(2 * load, largest)
        for wanted in (HALF_FRACTION, MOST_FRACTION):
            low = MIN_LOAD
            high = load
            while high - low > max(1, low // 16):
                middle = (low + high) // 2
                low, high = (middle, high) if mean(middle) >= wanted else (low, middle)
        loads = np.array(sorted(exact_at_load))
        whole = ~health.failed
        rates = np.stack([exact_at_load[load] for load in loads], axis=1)
        values = {f"capacity_{name}": scores.crossing(loads, rates, at) for name, at in _CAPACITIES}
        facts: dict[str, Any] = {"loads": loads.tolist(), "exact": [], "beyond": []}
        if whole.any():
            facts["exact"] = rates[whole].mean(axis=0).round(6).tolist()
            facts["beyond"] = [name for name, at in _CAPACITIES if (rates[whole, -1] >= at).all()]  # of the tried loads
        return self._result(values, facts, health)

    def _exact_at(self, contestant: PlayerEntry, channel: CorruptionModel, load: int, health: Health) -> Array:
        """Compute exact-recall rates [S] at one load; 0 if the memory cannot store so many patterns."""
        draw = self._challenge.draw(load, 0)
        try:
            stored = self._stored(contestant, draw)
        except ValueError:
            if load == MIN_LOAD:
                raise
            return np.zeros(len(self._seeds))
        group = _Group(stored.memory, draw, stored.health)
        rates = self._exact(group, channel, min(load, MAX_CAPACITY_CUES))
        health.join(group.health)
        return rates


_CAPACITIES = (("half", HALF_FRACTION), ("most", MOST_FRACTION))


class RecallInputs(NamedTuple):
    """Input of a memory's recall: cues, and evidence where it is known."""

    cues: Cues
    evidence: Array | None = None


def _recall_inputs(channel: CorruptionModel, cues: Cues) -> RecallInputs:
    """Return cues with the evidence of single units; the cues alone if nothing is corrupted.

    There the evidence, or the mask of what can be trusted, is the answer, and any memory that hears it would be right:
    what is asked is what was stored.
    """
    _, _, amount = channel.name.partition(":")
    nothing = not amount or float(amount) == 0.0
    return RecallInputs(Cues(cues.values)) if nothing else RecallInputs(cues, channel.evidence(cues))


def _recall(memory: Any, inputs: RecallInputs) -> Recall:
    """Recall by a memory in its own domain of patterns."""
    cues = inputs.cues
    values = np.sign(cues.values) if memory.domain == "bipolar" else np.clip(cues.values, -1.0, 1.0)
    recall: Recall = memory.recall(values, cues.known, inputs.evidence)
    return recall


class _Timed(NamedTuple):
    """Work that was done, and the seconds it took, compiling left out."""

    result: Any
    seconds: float
    cpu_seconds: float


def _timed(work: Callable[[], Any]) -> _Timed:
    began = time.perf_counter()
    cpu_began = time.process_time()
    compiled = compile_seconds()
    result = work()
    cpu_seconds = time.process_time() - cpu_began
    seconds = time.perf_counter() - began
    compiling = compile_seconds() - compiled
    return _Timed(result, seconds - compiling, max(cpu_seconds - compiling, 0.0))


def _columns(values: dict[str, Array], n_seeds: int) -> Array:
    missing = np.full(n_seeds, np.nan)
    return np.stack([np.asarray(values.get(name, missing), np.float64) for name in SCORES], axis=1)
