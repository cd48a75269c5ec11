"""Report of what memories generated: its table, its panels, and its JSON object."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from simulator.core.protocols import Array
from simulator.core.scene import CurvePanel, Panel, PicturePanel, PointPanel
from simulator.core.wording import plural
from simulator.recall.generation import Generated, GenerationStudy, SampleScores, TrainingMoment, distances
from simulator.recall.stepping import as_pictures
from simulator.recall.summary import over_seeds
from simulator.reporting.recall import with_interval
from simulator.reporting.tables import Table, print_tables

BOUNDS = {"novel": (0.0, 1.0), "distance": (0.0, 1.0)}
MAX_STORED = 24  # stored patterns that are drawn
MAX_FOLLOWED = 4  # samples that are drawn at every moment


def entry_of(study: GenerationStudy) -> dict[str, Any]:
    """Return the JSON object of ``engram generate``."""
    return {
        "challenge": study.challenge,
        "seeds": study.seeds,
        "patterns": study.stored.shape[1],
        "samples": study.n_samples,
        "uniform": _measures(study.uniform, study.stored.shape[1]),
        "held_out": None if study.held_out is None else _measures(study.held_out, study.stored.shape[1]),
        "memories": [_memory_entry(memory, study) for memory in study.memories],
        "stored": study.stored[0],
    }


def _memory_entry(memory: Generated, study: GenerationStudy) -> dict[str, Any]:
    n_patterns = study.stored.shape[1]
    moments = [
        {"share": moment.share, **_measures(moment.scores, n_patterns), "shown": moment.shown}
        for moment in memory.moments
    ]
    plane = memory.plane
    return {
        "memory": memory.label,
        "name": memory.memory,
        "moments": moments,
        "walk": memory.walk,
        "walk_between_patterns": memory.walk_between_patterns,
        "plane": None if plane is None else plane._asdict(),
    }


def _measures(scores: SampleScores, n_patterns: int) -> dict[str, Any]:
    """Return the mean of every measure over seeds with its interval."""
    bounds = {**BOUNDS, "modes": (1.0, float(n_patterns))}
    return {name: over_seeds(values, bounds[name]) for name, values in scores._asdict().items()}


def show(data: Mapping[str, Any], panels: list[Panel]) -> None:
    """Print the table of what memories generated, and the panels."""
    from simulator.reporting.panels import print_panels

    print_tables([table(data)])
    print_panels(panels)


def table(data: Mapping[str, Any]) -> Table:
    """Return a row for every memory at the end of its training, and below them what they are compared with."""
    ends = [(memory["memory"], memory["moments"][-1]) for memory in data["memories"] if memory["moments"]]
    ends.sort(key=lambda end: -end[1]["modes"]["mean"])
    rows = [[name, *(with_interval(end[measure]) for measure in ("modes", "novel", "distance"))] for name, end in ends]
    if rows:
        rows.append(["stored patterns, drawn uniformly", with_interval(data["uniform"]["modes"]), "0", "0"])
    if rows and (novel := data["held_out"]) is not None:
        share = f"{novel['novel']['mean']:.3f}"
        rows.append(["held-out patterns", with_interval(novel["modes"]), share, with_interval(novel["distance"])])
    n_seeds = plural(len(data["seeds"]), "seed")
    title = (
        f"{data['samples']:,} samples of {data['patterns']} {data['challenge']}, {n_seeds}, mean [95 % CI] over seeds"
    )
    columns = ["memory", f"modes, of {data['patterns']}", "share novel", "distance to the nearest"]
    note = (
        "modes: exp of the entropy of the nearest stored patterns; distance: share of units; novel: equals none of them"
    )
    return Table(title, columns, rows, [note] if rows else [], foldable=True)


def panels_of(study: GenerationStudy) -> list[Panel]:
    """Make the panels of a study: curves of the measures, and pictures of the first seed."""
    panels: list[Panel] = [*curve_panels(study), stored_panel(study)]
    for memory in study.memories:
        panels += [sample_panel(memory, moment, study) for moment in memory.moments]
        panels += code_panels(memory, study)
    return panels


def curve_panels(study: GenerationStudy) -> list[CurvePanel]:
    """Make a curve of every measure over the training, where several moments were looked at."""
    return _curves(entry_of(study))


def stored_panel(study: GenerationStudy) -> PicturePanel:
    """Make a panel of the first seed's stored patterns."""
    stored = study.stored[0]
    title = "stored patterns"
    if len(stored) > MAX_STORED:
        title += f", the first {MAX_STORED} of {len(stored)}"
    captions = tuple(f"{k + 1}" for k in range(min(len(stored), MAX_STORED)))
    return PicturePanel(title, as_pictures(stored[:MAX_STORED], study.spec.shape), captions, as_ink=True)


def _curves(data: Mapping[str, Any]) -> list[CurvePanel]:
    """Make a curve of every measure over the training, where several moments were looked at."""
    shown = [memory for memory in data["memories"] if len(memory["moments"]) > 1]
    if not shown:
        return []
    x = np.array(sorted({moment["share"] for memory in shown for moment in memory["moments"]}))
    names = tuple(memory["memory"] for memory in shown)
    panels = []
    for measure, title in (("modes", "modes of the samples"), ("novel", "share novel"), ("distance", "distance")):
        y, low, high = (np.full((len(shown), len(x)), np.nan) for _ in range(3))
        for k, memory in enumerate(shown):
            for moment in memory["moments"]:
                at = int(np.searchsorted(x, moment["share"]))
                found = moment[measure]
                y[k, at] = found["mean"]
                low[k, at] = found["mean"] if found["low"] is None else found["low"]
                high[k, at] = found["mean"] if found["high"] is None else found["high"]
        levels = {}
        if measure == "modes":
            levels["uniform draws"] = data["uniform"]["modes"]["mean"]
        elif measure == "distance" and data["held_out"] is not None:
            levels["held-out patterns"] = data["held_out"]["distance"]["mean"]
        x_name = "share of the training"
        panels.append(CurvePanel(title, x, _joined(x, y), names, _joined(x, low), _joined(x, high), levels, x_name))
    return panels


def _joined(x: Array, y: Array) -> Array:
    """Put the points between a line's own on the line, where memories were looked at in other moments."""
    rows = [np.interp(x, x[np.isfinite(row)], row[np.isfinite(row)]) for row in y]
    return np.stack(rows)


def sample_panel(memory: Generated, moment: TrainingMoment, study: GenerationStudy) -> PicturePanel:
    """Make a panel of the samples of one moment, with the number of the nearest stored pattern below each."""
    stored = study.stored[0]
    title = f"{memory.label}: samples after {moment.share:.0%} of the training"
    captions = tuple(_nearest(distances(moment.shown, stored), stored.shape[1]))
    return PicturePanel(title, as_pictures(moment.shown, study.spec.shape), captions, as_ink=True)


def followed_panel(memory: Generated, study: GenerationStudy) -> PicturePanel:
    """Make a panel of the first samples of every moment, a column each."""
    n_samples = min(MAX_FOLLOWED, len(memory.moments[0].shown))
    rows = np.stack([moment.shown[:n_samples] for moment in memory.moments], axis=1)  # [K, M, N]
    captions = ("",) * ((n_samples - 1) * rows.shape[1]) + tuple(f"{moment.share:.0%}" for moment in memory.moments)
    images = as_pictures(rows.reshape(-1, rows.shape[2]), study.spec.shape)
    title = f"{memory.label}: some of them as training went on"
    return PicturePanel(title, images, captions, as_ink=True, per_row=rows.shape[1])


def code_panels(memory: Generated, study: GenerationStudy) -> list[Panel]:
    """Make panels of the walk between two codes, and of the plane where codes are two-dimensional."""
    panels: list[Panel] = []
    if memory.walk is not None:
        between = "the codes of two stored patterns" if memory.walk_between_patterns else "two random codes"
        title = f"{memory.label}: walk between {between}"
        panels.append(PicturePanel(title, as_pictures(memory.walk, study.spec.shape), as_ink=True))
    if memory.plane is not None:
        panels += _plane_panels(memory, study)
    return panels


def _nearest(from_patterns: Array, n_units: int) -> list[str]:
    """Name the nearest pattern of every sample, and how many units differ: ``3 +4``."""
    captions = []
    for row in from_patterns:
        n_off = round(float(row.min()) * n_units)
        captions.append(f"{int(row.argmin()) + 1}" + (f" +{n_off}" if n_off else ""))
    return captions


def _plane_panels(memory: Generated, study: GenerationStudy) -> list[Panel]:
    plane = memory.plane
    assert plane is not None
    n_columns, n_units = plane.patterns.shape[1:]
    images = as_pictures(plane.patterns.reshape(-1, n_units), study.spec.shape)
    panels: list[Panel] = [
        PicturePanel(f"{memory.label}: plane of codes", images, as_ink=True, per_row=n_columns),
    ]
    if plane.stored is not None:
        groups = np.zeros(len(plane.stored), np.int64)
        panels.append(
            PointPanel(
                f"{memory.label}: codes of the stored patterns",
                plane.stored,
                groups,
                ("stored",),
                -1,
                "code 1",
                "code 2",
            )
        )
    return panels
