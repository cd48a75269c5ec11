"""Inside of a memory of one seed that has stored patterns: facts as plain values, and panels.

Each section is a part of its own: weights, energies, states (fixed points, basins, spurious states, cycles),
distribution (P(x), Z, likelihood), filters (receptive fields, kernels, feature maps), reconstruction, recognition (ROC,
confusion, cost) and nearest (neighbours by code and by pixel). A memory that lacks what a section shows is left out of
it, with the reason.
"""

from __future__ import annotations

import dataclasses
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from copy import deepcopy
from dataclasses import dataclass
from typing import Any, NamedTuple, get_args

import numpy as np
from scipy.special import entr

from simulator.config.codec import PlayerEntry
from simulator.config.inside import InsideConfig
from simulator.config.validation import settings
from simulator.core import registry, rng
from simulator.core.memories import (
    DecodesCodes,
    HasFeatureMaps,
    HasLogPartition,
    HasReceptiveFields,
    HasTemperature,
    PatternSpec,
    PatternSplit,
    UpdatesAtOnce,
)
from simulator.core.protocols import Array
from simulator.core.scene import BarPanel, CurvePanel, HeatPanel, Panel, PicturePanel, TextPanel
from simulator.recall import states
from simulator.recall.metrics import N_NEIGHBOURS, retrieval, squared_error
from simulator.recall.stepping import as_pictures
from simulator.recall.vectors import inverse_pairs

DEFAULT_PATTERNS = 20
N_SHOWN = 16  # pictures, states and bars of a panel
N_QUERIES = 4  # whose neighbours are drawn
N_STARTS = 1_000  # random ones, where there are too many states for all
MAX_WEIGHTS = 2_000_000  # that are drawn and listed
MAX_LISTED = 1_000  # fixed points and cycles in the JSON object


@dataclass(frozen=True)
class Subject:
    """A memory of one seed that has stored patterns."""

    entry: PlayerEntry
    challenge: str  # its name, or "vectors"
    spec: PatternSpec
    seed: int
    memory: Any
    patterns: PatternSplit  # of one seed
    notes: tuple[str, ...] = ()  # lines about what was stored

    @property
    def stored(self) -> Array:
        """The stored patterns [P, N]."""
        stored: Array = self.patterns.stored[0]
        return stored

    @property
    def held_out(self) -> Array:
        """The held-out patterns [M, N]."""
        held_out: Array = self.patterns.held_out[0]
        return held_out

    def pictures(self, patterns: Array) -> Array:
        """Return patterns [K, N] as pictures [K, H, W]."""
        return as_pictures(patterns, self.spec.shape)


class Section(NamedTuple):
    """A part of what is inside."""

    facts: dict[str, Any]  # plain values and arrays, by name
    panels: list[Panel]


class MemoryInside(NamedTuple):
    """Inside of a memory, by sections."""

    subject: Subject
    sections: dict[str, Section]
    left_out: dict[str, str]  # section -> the reason


class NotThereError(ValueError):
    """A memory lacks what a section shows; the text says what."""


def subject_of(entry: PlayerEntry, challenge: PlayerEntry, seed: int, config: InsideConfig) -> Subject:
    """Let a memory store patterns of a challenge.

    Raises:
        ValueError: it cannot be built or store them, or there are too few.
    """
    source = registry.load("challenges", challenge.name).make([seed], challenge.settings)
    n = config.patterns or DEFAULT_PATTERNS
    most = source.max_patterns
    n_novel = config.novel if most is None else min(config.novel, max(most - n, 0))
    return _stored(entry, challenge.name, source.spec, seed, source.draw(n, n_novel))


def subject_of_vectors(entry: PlayerEntry, vectors: Array, seed: int) -> Subject:
    """Let a memory store vectors [P, N].

    Raises:
        ValueError: it cannot be built or store them.
    """
    subject = _stored(entry, "vectors", PatternSpec((vectors.shape[1],)), seed, _split_of(vectors))
    return dataclasses.replace(subject, notes=tuple(_notes_of_inverses(subject)))


def _split_of(vectors: Array) -> PatternSplit:
    nothing = np.zeros((1, 0, vectors.shape[1]), np.float32)
    labels = np.full((1, len(vectors)), -1)
    return PatternSplit(vectors[None], nothing, labels, labels[:, :0])


def _notes_of_inverses(subject: Subject) -> Iterator[str]:
    """Yield a line for every stored vector whose inverse is stored too, where the memory learns the same from both.

    It does if its energies are the same with the one stored twice in place of both.
    """
    vectors = subject.stored
    for first, second in inverse_pairs(vectors):
        twice = vectors.copy()
        twice[second] = vectors[first]
        other = _stored(subject.entry, subject.challenge, subject.spec, subject.seed, _split_of(twice))
        states_of_both = np.concatenate([vectors, _random_states(subject)])
        if np.allclose(_energies_of(subject, states_of_both), _energies_of(other, states_of_both), 1e-5, 1e-6):
            yield (
                f"vectors {first + 1} and {second + 1} are each other's inverse, and {subject.entry.label} learns the "
                "same from both, as the product of any two units is the same in them: it stores one pattern, twice"
            )


def _stored(entry: PlayerEntry, challenge: str, spec: PatternSpec, seed: int, split: PatternSplit) -> Subject:
    try:
        memory = registry.load("memories", entry.name).make(spec, [seed], entry.settings)
        memory.store(split.stored)
    except ValueError as error:
        raise ValueError(f"{entry.label}: {error}") from None
    return Subject(entry, challenge, spec, seed, memory, split)


def inside(subject: Subject, config: InsideConfig, wanted: Sequence[str] = ()) -> MemoryInside:
    """Make the sections of a memory.

    Args:
        subject: the memory.
        config: threshold and costs of recognition.
        wanted: names of ``SECTIONS``; none: all that it has something for.

    Raises:
        ValueError: a name of no section, or a section that is asked for alone and that it has nothing for.
    """
    if unknown := next((name for name in wanted if name not in SECTIONS), None):
        raise ValueError(f"--what {unknown}: not for a memory, expected all, {', '.join(SECTIONS)}")
    sections = {}
    left_out = {}
    for name in wanted or SECTIONS:
        try:
            sections[name] = SECTIONS[name](subject, config)
        except NotThereError as error:
            left_out[name] = str(error)
    if wanted and not sections:
        name, why = next(iter(left_out.items()))
        raise ValueError(f"--what {name}: {subject.entry.label}: {why}")
    return MemoryInside(subject, sections, left_out)


def _weights(subject: Subject, _: InsideConfig) -> Section:
    """Show the weights as a matrix."""
    memory = subject.memory
    if not isinstance(memory, HasReceptiveFields):
        raise NotThereError("no weights from the units of a pattern")
    weights = np.asarray(memory.receptive_fields(0), np.float64)
    if weights.size > MAX_WEIGHTS:
        raise NotThereError(f"{len(weights):,} by {weights.shape[1]:,} weights, more than are drawn")
    keeps_patterns = weights.shape == subject.stored.shape and np.array_equal(weights, subject.stored)
    title = "kept patterns, one a row" if keeps_patterns else "weights, one unit a row"
    names = tuple(f"{k + 1}" for k in range(len(weights))) if len(weights) <= N_SHOWN else ()
    columns = tuple(f"{k + 1}" for k in range(weights.shape[1])) if weights.shape[1] <= N_SHOWN else ()
    are_pictures = len(subject.spec.shape) > 1 and weights.shape[1] == subject.spec.n
    fields = subject.pictures(weights.astype(np.float32)) if are_pictures else None
    return Section({"weights": weights}, [HeatPanel(title, weights, names, columns, fields=fields)])


def _energies(subject: Subject, _: InsideConfig) -> Section:
    """Show the energies of stored, held-out and random patterns."""
    stored = _energies_of(subject, subject.stored)
    random = _random_states(subject)
    facts = {
        "stored": stored,
        "held_out": _energies_of(subject, subject.held_out) if len(subject.held_out) else None,
        "random": _energies_of(subject, random),
    }
    shown = stored[:N_SHOWN]
    names = [f"stored {k + 1}" for k in range(len(shown))]
    values = [*shown]
    for name, energies in (("held-out, mean", facts["held_out"]), ("random, mean", facts["random"])):
        if energies is not None:
            names.append(name)
            values.append(float(energies.mean()))
    title = "energy of stored patterns" + (f", the first {N_SHOWN} of {len(stored)}" if len(stored) > N_SHOWN else "")
    return Section(facts, [BarPanel(title, tuple(names), np.array(values))])


def _random_states(subject: Subject) -> Array:
    """Draw states [N_STARTS, N], the same each time."""
    stream = rng.generators([subject.seed], "noise")[0]
    return np.where(stream.random((N_STARTS, subject.spec.n)) < 0.5, np.float32(-1.0), np.float32(1.0))


def _energies_of(subject: Subject, patterns: Array) -> Array:
    before = deepcopy(subject.memory.state())
    energies: Array = subject.memory.energy(patterns[None])[0]
    subject.memory.restore(before)
    return energies


def _states(subject: Subject, _: InsideConfig) -> Section:
    """Show where recall ends: from every state, or from random ones where there are too many."""
    if not subject.spec.is_bipolar:
        raise NotThereError("grey patterns have no finite number of states, expected -1 and +1")
    if isinstance(subject.memory, HasTemperature):
        raise NotThereError("it is a distribution: its states have probabilities, in place of basins")
    n = subject.spec.n
    starts = None
    if n > states.MAX_ENUMERATED:
        starts = _random_states(subject)
    found = states.landscape(subject.memory, subject.stored, starts)
    right, of = states.corrected(subject.memory, subject.stored)
    is_fixed = (states.recalled(subject.memory, subject.stored) == subject.stored).all(axis=1)
    told = {states.INVERSE, states.OTHER, *states.mixtures_told(*subject.stored.shape).values()}
    kinds: dict[str, dict[str, Any] | None] = {}
    for kind in states.KINDS:
        if kind not in told:
            kinds[kind] = None
            continue
        own = [point for point in found.fixed_points if point.kind.kind == kind]
        kinds[kind] = {"count": len(own), "share": sum(point.basin for point in own) / found.n_starts}
    facts = {
        "starts": found.n_starts,
        "every_state": found.is_complete,
        "fixed_points": [_point_entry(point) for point in found.fixed_points[:MAX_LISTED]],
        "n_fixed_points": len(found.fixed_points),
        "unsettled": found.n_unsettled,
        "kinds": kinds,
        "stored_fixed": int(is_fixed.sum()),
        "one_bit_errors": {"corrected": right, "of": of},
        "synchronous": _synchronous(subject) if found.is_complete else None,
    }
    shown = found.fixed_points[:N_SHOWN]
    panels: list[Panel] = []
    if shown:
        names = tuple(label_of(point.kind) for point in shown)
        images = subject.pictures(np.stack([point.state for point in shown]))
        panels.append(PicturePanel("fixed points, the largest basin first", images, names, as_ink=True))
        title = f"basins, of {found.n_starts:,} {'states' if found.is_complete else 'random starts'}"
        panels.append(BarPanel(title, names, np.array([float(point.basin) for point in shown])))
    return Section(facts, panels)


def _point_entry(point: states.FixedPoint) -> dict[str, Any]:
    return {
        "state": point.state.astype(np.int64),
        "kind": point.kind.kind,
        "of": list(point.kind.of),
        "energy": point.energy,
        "basin": point.basin,
    }


def label_of(kind: states.StateKind) -> str:
    """Name a state by the patterns that it is made of: ``x1``, ``-x2``, ``x1+x2-x3``, or ``other``."""
    if not kind.of:
        return kind.kind
    return "".join(f"{'-' if at < 0 else '+' * (place > 0)}x{abs(at)}" for place, at in enumerate(kind.of))


def _synchronous(subject: Subject) -> dict[str, Any] | None:
    """Follow synchronous updates from every state, with a memory whose units can be updated all at once."""
    memory = subject.memory
    if not isinstance(memory, UpdatesAtOnce):
        return None
    found = states.synchronous(lambda every: memory.synchronous_update(0, every), subject.spec.n)
    cycles = [
        {"length": len(cycle.states), "states": cycle.states.astype(np.int64), "basin": cycle.basin}
        for cycle in found.cycles
    ]
    return {
        "fixed_points": found.n_fixed_points,
        "cycles": Counter(cycle["length"] for cycle in cycles),
        "in_cycles": sum(cycle["basin"] for cycle in cycles),
        "listed": cycles[:MAX_LISTED],
    }


def _distribution(subject: Subject, _: InsideConfig) -> Section:
    """Show the probabilities of patterns under a memory whose partition function can be enumerated."""
    memory = subject.memory
    if not isinstance(memory, HasLogPartition):
        raise NotThereError("it is no distribution with a partition function")
    if not subject.spec.is_bipolar:
        raise NotThereError("grey patterns have no probabilities, expected -1 and +1")
    try:
        log_z = memory.log_partition(0)
    except ValueError as error:
        raise NotThereError(f"log Z: {error}") from None
    stored = -_energies_of(subject, subject.stored) - log_z
    facts: dict[str, Any] = {"log_z": log_z, "log_likelihood": float(stored.mean()), "stored_log_p": stored}
    facts["held_out_log_likelihood"] = None
    if len(subject.held_out):
        facts["held_out_log_likelihood"] = float((-_energies_of(subject, subject.held_out) - log_z).mean())
    lines = {
        "log Z": f"{log_z:.4f}",
        "mean log P of the stored patterns": f"{facts['log_likelihood']:.4f}",
        "at best, as uniform over them": f"{-np.log(len(subject.stored)):.4f}",
        "of all states alike": f"{-subject.spec.n * np.log(2.0):.4f}",
    }
    panels: list[Panel] = []
    if facts["held_out_log_likelihood"] is not None:
        lines["mean log P of held-out patterns"] = f"{facts['held_out_log_likelihood']:.4f}"
    if subject.spec.n <= states.MAX_ENUMERATED:
        every = states.every_state(subject.spec.n)
        p = np.exp(-_energies_of(subject, every) - log_z)
        kinds = states.kind_finder(subject.stored)
        likeliest = np.argsort(-p, kind="stable")[:N_SHOWN]
        facts |= {
            "p": p if subject.spec.n <= 12 else None,
            "sum": float(p.sum()),
            "entropy": float(entr(p).sum()),
            "of_stored": float(np.exp(stored).sum()),
            "likeliest": [
                {"state": every[k].astype(np.int64), "p": float(p[k]), "kind": label_of(kinds(every[k]))}
                for k in likeliest
            ],
        }
        lines["sum of P over every state"] = f"{p.sum():.12g}"
        lines["entropy"] = f"{facts['entropy']:.4f} of at most {subject.spec.n * np.log(2.0):.4f}"
        lines["P of the stored patterns together"] = f"{facts['of_stored']:.4f}"
        names = tuple(f"{_signs(every[k])} {label_of(kinds(every[k]))}" for k in likeliest)
        panels.append(BarPanel("P(x) of the most probable states", names, p[likeliest]))
    return Section(facts, [TextPanel("distribution, by enumeration", lines), *panels])


def _signs(state: Array) -> str:
    return "".join("+" if value > 0 else "-" for value in state)


def _filters(subject: Subject, _: InsideConfig) -> Section:
    """Show weights as pictures: receptive fields, or kernels and the maps that the first stored pattern leads to."""
    memory = subject.memory
    if isinstance(memory, HasFeatureMaps):
        stages = [*memory.kernels(0), *memory.feature_maps(0, subject.stored[0])]
        panels: list[Panel] = [_map_panel(stage.name, stage.values) for stage in stages]
        pattern = subject.pictures(subject.stored[:1])
        input_panel = PicturePanel("the pattern of the maps: stored 1", pattern, as_ink=True)
        return Section({stage.name: stage.values for stage in stages}, [input_panel, *panels])
    if not isinstance(memory, HasReceptiveFields):
        raise NotThereError("no weights from the units of a pattern")
    if len(subject.spec.shape) == 1:
        raise NotThereError("its patterns are no pictures")
    fields = subject.pictures(np.asarray(memory.receptive_fields(0), np.float32))
    listed = fields if fields.size <= MAX_WEIGHTS else fields[:N_SHOWN]
    return Section({"receptive_fields": listed}, [_map_panel("receptive fields, of one unit each", fields)])


def _map_panel(name: str, values: Array) -> PicturePanel:
    """Make a panel of maps on one scale around 0."""
    shown = values[:N_SHOWN]
    title = name + (f", the first {N_SHOWN} of {len(values)}" if len(values) > N_SHOWN else "")
    most = float(np.abs(shown).max()) or 1.0
    return PicturePanel(title, shown, span=(-most if (shown < 0).any() else 0.0, most))


def _reconstruction(subject: Subject, _: InsideConfig) -> Section:
    """Show what one pass makes of clean patterns: stored ones beside held-out ones, which it has never seen."""
    if not len(subject.held_out):
        raise NotThereError("no held-out patterns")
    memory = _once(subject)
    again = {name: _recalled(memory, patterns) for name, patterns in _both(subject).items()}
    errors = {name: np.abs(again[name] - patterns).mean(axis=1) / 2.0 for name, patterns in _both(subject).items()}
    means = {name: float(error.mean()) for name, error in errors.items()}
    n = N_SHOWN // 2
    images = np.concatenate([subject.held_out[:n], again["held_out"][:n]])
    titles = tuple(f"{k + 1}" for k in range(min(n, len(subject.held_out))))
    bars = BarPanel(
        "reconstruction of clean patterns, half the mean error",
        ("stored", "held out"),
        np.array([*means.values()]),
    )
    pictures = PicturePanel(
        "held-out patterns and their reconstructions",
        subject.pictures(images),
        (*titles, *(f"{error:.1%}" for error in errors["held_out"][:n])),
        as_ink=True,
        per_row=len(titles),
    )
    facts: dict[str, Any] = {"error": means, "per_pattern": errors}
    facts |= {"code_size": None, "squared_error": None, "pca_squared_error": None}
    if isinstance(subject.memory, DecodesCodes) and hasattr(subject.memory, "codes") and subject.memory.code_size:
        facts["code_size"] = subject.memory.code_size
        facts["squared_error"] = _squared_errors(subject, subject.memory)
        pca = registry.load("memories", "pca")
        n_stored, n_units = subject.stored.shape
        method = {"n_components": subject.memory.code_size, "method": "svd" if n_stored < n_units else "covariance"}
        linear = pca.make(subject.spec, [subject.seed], dataclasses.replace(pca.defaults(), **method))
        linear.store(subject.patterns.stored)
        facts["pca_squared_error"] = _squared_errors(subject, linear)
    return Section(facts, [bars, pictures])


def _squared_errors(subject: Subject, memory: Any) -> dict[str, float]:
    """Compute the squared errors of stored and held-out patterns that are decoded from their codes."""
    both = {name: patterns[None] for name, patterns in _both(subject).items()}
    return {name: float(squared_error(memory.decode(memory.codes(x)), x)[0]) for name, x in both.items()}


def _both(subject: Subject) -> dict[str, Array]:
    return {"stored": subject.stored, "held_out": subject.held_out}


def _once(subject: Subject) -> Any:
    """Return the memory with one pass in place of recall until convergence, where it has the setting; else itself."""
    hints = {setting.name: setting.hint for setting in settings(type(subject.entry.settings))}
    if "single_pass" not in get_args(hints.get("recall_mode")):
        return subject.memory
    once = dataclasses.replace(subject.entry.settings, recall_mode="single_pass")
    memory = registry.load("memories", subject.entry.name).make(subject.spec, [subject.seed], once)
    memory.restore(deepcopy(subject.memory.state()))
    return memory


def _recalled(memory: Any, patterns: Array) -> Array:
    before = deepcopy(memory.state())
    recalled: Array = memory.recall(patterns[None]).patterns[0]
    memory.restore(before)
    return recalled


def _recognition(subject: Subject, config: InsideConfig) -> Section:
    """Show how the energy tells stored from held-out patterns: ROC, and confusion and cost at a threshold."""
    if not len(subject.held_out):
        raise NotThereError("no held-out patterns")
    from sklearn.metrics import confusion_matrix, roc_auc_score, roc_curve

    energies = np.concatenate([_energies_of(subject, patterns) for patterns in _both(subject).values()])
    if not np.isfinite(energies).all():
        raise NotThereError("its energies are not finite")
    is_stored = np.repeat([True, False], [len(subject.stored), len(subject.held_out)])
    false, true, thresholds = roc_curve(is_stored, -energies, drop_intermediate=False)
    costs = config.cost_miss * (1.0 - true) * is_stored.sum() + config.cost_false_alarm * false * (~is_stored).sum()
    best = int(np.argmin(costs))
    chosen = -float(thresholds[best]) if config.threshold is None else config.threshold
    table = confusion_matrix(is_stored, energies <= chosen, labels=[True, False])
    cost = config.cost_miss * table[0, 1] + config.cost_false_alarm * table[1, 0]
    facts = {
        "auc": float(roc_auc_score(is_stored, -energies)),
        "roc": {
            "false_alarms": false,
            "hits": true,
            "thresholds": np.where(np.isfinite(thresholds), -thresholds, np.nan),
        },
        "threshold": chosen if np.isfinite(chosen) else None,
        "confusion": {
            "stored_taken_for_stored": int(table[0, 0]),
            "stored_taken_for_new": int(table[0, 1]),
            "new_taken_for_stored": int(table[1, 0]),
            "new_taken_for_new": int(table[1, 1]),
        },
        "cost": float(cost),
        "costs": {"miss": config.cost_miss, "false_alarm": config.cost_false_alarm},
    }
    title = f"ROC of recognition by energy, area {facts['auc']:.3f}"
    curve = CurvePanel(title, false, np.stack([true, false]), ("hits", "chance"), x_name="false alarms")
    return Section(facts, [curve])


def _nearest(subject: Subject, _: InsideConfig) -> Section:
    """Show the stored patterns nearest to a few held-out ones, by code and by pixel."""
    memory = subject.memory
    codes = memory.codes(subject.patterns.stored)[0] if hasattr(memory, "codes") else np.zeros((1, 0))
    if not codes.shape[1]:
        raise NotThereError("no codes")
    if not len(subject.held_out):
        raise NotThereError("no held-out patterns")
    queries = subject.held_out[:N_QUERIES]
    held_out_codes = memory.codes(subject.patterns.held_out)[0]
    if not (np.isfinite(codes).all() and np.isfinite(held_out_codes).all()):
        raise NotThereError("its codes are not finite")
    by = {"code": _neighbours(held_out_codes[:N_QUERIES], codes), "pixel": _neighbours(queries, subject.stored)}
    labels, own_labels = subject.patterns.labels[0], subject.patterns.held_out_labels[0]
    precision = None
    if (labels >= 0).all():
        points = {"code": (codes, held_out_codes), "pixel": (subject.stored, subject.held_out)}
        precision = {
            kind: float(retrieval(old[None], new[None], labels[None], own_labels[None])[0])
            for kind, (old, new) in points.items()
        }
    images, captions = [], []
    for k, query in enumerate(queries):
        for kind, found in by.items():
            images += [query, *subject.stored[found[k]]]
            what = "" if own_labels[k] < 0 else f"{own_labels[k]} "
            named = [f"{at + 1}" if labels[at] < 0 else f"{labels[at]}" for at in found[k]]
            captions += [f"{what}{kind}", *named]
    panel = PicturePanel(
        "nearest stored patterns, by code and by pixel",
        subject.pictures(np.stack(images)),
        tuple(captions),
        as_ink=True,
        per_row=1 + by["code"].shape[1],
    )
    facts: dict[str, Any] = {f"by_{kind}": found + 1 for kind, found in by.items()}
    facts |= {"labels": labels, "query_labels": own_labels[: len(queries)], "precision": precision}
    return Section(facts, [panel])


def _neighbours(queries: Array, points: Array) -> Array:
    """Return the numbers [Q, K] of the points [P, H] nearest to each query [Q, H], the nearest first."""
    from sklearn.neighbors import NearestNeighbors

    k = min(N_NEIGHBOURS, len(points))
    index = NearestNeighbors(n_neighbors=k, algorithm="brute").fit(points.astype(np.float64))
    return np.asarray(index.kneighbors(queries.astype(np.float64), return_distance=False))


SECTIONS: dict[str, Callable[[Subject, InsideConfig], Section]] = {
    "weights": _weights,
    "energies": _energies,
    "states": _states,
    "distribution": _distribution,
    "filters": _filters,
    "reconstruction": _reconstruction,
    "recognition": _recognition,
    "nearest": _nearest,
}
