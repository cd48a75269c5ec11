"""Pictures of tournaments: tiers with intervals of strength, profiles, pairs, learning curves, and solved seeds."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from simulator.core.protocols import Array
from simulator.reporting.curve_figures import (
    CEILING,
    FLOOR,
    THRESHOLD,
    CurveLine,
    curve_panel,
    far_lines,
    has_points,
    legend_of,
    smoothing_note,
)
from simulator.reporting.figures import (
    COLOURS,
    INK,
    MAX_LABEL,
    Ax,
    LegendEntry,
    LineGroup,
    Margin,
    Panel,
    Picture,
    Reference,
    Size,
    axes_size,
    line_groups,
    line_with_band,
    numbers,
)
from simulator.reporting.tables import shortened
from simulator.reporting.tournament import PLURALS, SeedCount, Summary, confidence, details, divisions, ranked, seeds_at

DEFAULT = ("tiers", "profiles", "pairs", "curves")
KINDS = (*DEFAULT, "solved")
WITHOUT_RETURN = (
    "An evaluation without a return, such as a truncated one, is in no curve; in the scores a seed whose last one has "
    "none counts as the table of failures says."
)
OUTSIDE = " An arrow names a line that is far outside, with its last value."
BETTER = (0, 114, 178)  # red, green, blue of a cell of the matrix
EVEN = (238, 238, 238)
WORSE = (213, 94, 0)


def pictures_of(summary: Summary, kind: str) -> list[Picture]:
    """Return the pictures of a kind of ``KINDS``, for every division that has the data; the summary is readable."""
    make = {"tiers": _tiers, "profiles": _profiles, "pairs": _pairs, "curves": _curves, "solved": _solved}[kind]
    return [picture for division in divisions(summary) for picture in make(summary, division)]


def _contestant_groups(summary: Summary, division: str) -> list[LineGroup]:
    names = [row["contestant"] for row in ranked(summary, division)]
    return line_groups(names, PLURALS.get(division, division))


def _tiers(summary: Summary, division: str) -> list[Picture]:
    rows = ranked(summary, division)
    if len(rows) < 2 or not np.isfinite(numbers([(row["strength"] or {}).get("value") for row in rows])).any():
        return []
    labels = [shortened(row["contestant"], MAX_LABEL) for row in rows]
    margin = Margin(0.25 + 0.077 * max(map(len, labels)), 0.5, 0.7, 0.1)
    panel = Panel("", Size(3.2, 0.24 * len(rows) + 0.1), margin, lambda ax: _paint_tiers(ax, rows, labels))
    note = (
        f"Dots are strengths, lines their {confidence(summary)} confidence intervals. Rules separate the tiers: who "
        "is above one is significantly better than who is below it. Within a tier some pairs may differ significantly."
    )
    return [Picture("tiers", f"Tiers of {PLURALS.get(division, division)}", note, [panel], [])]


def _paint_tiers(ax: Ax, rows: Sequence[Mapping[str, Any]], labels: Sequence[str]) -> None:
    place = np.arange(len(rows))
    value, low, high = (
        numbers([(row["strength"] or {}).get(name) for row in rows]) for name in ("value", "low", "high")
    )
    ax.hlines(place, low, high, colors=COLOURS[0], linewidth=2.0)
    ax.plot(value, place, "o", color=COLOURS[0], markersize=5)
    tiers = [row["tier"] for row in rows]
    for at in range(len(rows)):
        if at == 0 or tiers[at] != tiers[at - 1]:
            ax.axhline(at - 0.5, color=INK, linewidth=0.6, alpha=0.5)
            tier = "no tier" if tiers[at] is None else f"tier {tiers[at]}"
            ax.annotate(tier, (1.02, at), xycoords=("axes fraction", "data"), va="center", fontsize=8)
    ax.set_yticks(place, labels)
    ax.set_ylim(len(rows) - 0.5, -0.5)
    ax.tick_params(axis="y", length=0)
    ax.grid(axis="x")
    ax.set_xlabel("strength, log odds")


def _profiles(summary: Summary, division: str) -> list[Picture]:
    profiles = details(summary, division)["profiles"]
    if not profiles or not len(profiles["taus"]):
        return []
    profile_of = {contestant["contestant"]: contestant for contestant in profiles["contestants"]}
    taus = numbers(profiles["taus"])
    pictures = []
    note = (
        f"Fraction of runs with a normalised score above tau, with {confidence(summary)} confidence bands; "
        "higher is better."
    )
    for title, entries in _contestant_groups(summary, division):
        shown = [entry for entry in entries if entry.label in profile_of]
        paint = _profile_painter(taus, shown, profile_of)
        panel = Panel("", axes_size(1), Margin(0.65, 0.5, 0.15, 0.15), paint)
        pictures.append(Picture("profiles", f"Performance profiles: {title}", note, [panel], shown))
    return pictures


def _profile_painter(
    taus: Array, entries: Sequence[LegendEntry], profile_of: Mapping[str, Any]
) -> Callable[[Ax], None]:
    def paint(ax: Ax) -> None:
        for entry in entries:
            line_with_band(ax, taus, profile_of[entry.label], entry, "value", len(entries))
        ax.set(ylim=(-0.03, 1.03), xlabel="normalised score, tau", ylabel="fraction of runs above")
        ax.grid()

    return paint


def _curves(summary: Summary, division: str) -> list[Picture]:
    curve_of = {
        (curve["challenge"], curve["contestant"]): curve
        for curve in details(summary, division)["curves"]
        if has_points(curve)
    }
    references = {challenge["label"]: _references(challenge) for challenge in summary["challenges"]}
    smooth = summary.get("smooth", 1)
    note = (
        "Interquartile mean over seeds of the greedy evaluations; bands are "
        f"{confidence(summary)} confidence intervals.{smoothing_note(smooth)} {WITHOUT_RETURN}"
    )
    pictures = []
    has_far = False
    for title, entries in _contestant_groups(summary, division):
        lines_of: dict[str, list[CurveLine]] = {}
        for challenge in dict.fromkeys(challenge for challenge, _ in curve_of):
            own = [(entry, curve_of.get((challenge, entry.label))) for entry in entries]
            if lines := [CurveLine(entry, curve) for entry, curve in own if curve]:
                lines_of[challenge] = lines
        size = axes_size(len(lines_of))
        levels = {challenge: references.get(challenge, []) for challenge in lines_of}
        panels = [curve_panel(challenge, lines, levels[challenge], size) for challenge, lines in lines_of.items()]
        if panels:
            has_far |= any(map(far_lines, lines_of.values()))
            legend = legend_of(entries, [level for of_panel in levels.values() for level in of_panel])
            pictures.append(Picture("curves", f"Learning curves: {title}", note, panels, legend))
    return [picture._replace(note=note + OUTSIDE * has_far) for picture in pictures]


def _references(challenge: Mapping[str, Any]) -> list[Reference]:
    """Return what a challenge's scores are normalised by, and its threshold, where it is another level."""
    floor = challenge.get("floor")
    ceiling = challenge.get("ceiling")
    threshold = challenge.get("threshold")
    known = [
        (challenge.get("ceiling_is") or "ceiling", ceiling, CEILING),
        ("threshold", None if threshold == ceiling else threshold, THRESHOLD),
        (challenge.get("floor_is") or "floor", floor, FLOOR),
    ]
    return [Reference(name, float(level), dash) for name, level, dash in known if level is not None]


def _pairs(summary: Summary, division: str) -> list[Picture]:
    names = [row["contestant"] for row in ranked(summary, division)]
    pairs = details(summary, division)["pairs"]
    n = len(names)
    if n < 2 or not pairs:
        return []
    labels = [f"{at + 1} {shortened(name, MAX_LABEL)}" for at, name in enumerate(names)]
    side = 0.36 * n
    margin = Margin(0.2 + 0.077 * max(map(len, labels)), 0.1, 0.15, 0.3)
    place = {name: at for at, name in enumerate(names)}
    shown = [pair for pair in pairs if pair["first"] in place and pair["second"] in place]
    panel = Panel("", Size(side, side), margin, lambda ax: _paint_pairs(ax, shown, place, labels))
    note = (
        "Probability of improvement in percent: that the row does better than the column on the same seed. Coloured: a "
        "significant difference, blue for the row and orange for the column."
    )
    return [Picture("pairs", f"Probability of improvement: {PLURALS.get(division, division)}", note, [panel], [])]


def _paint_pairs(ax: Ax, pairs: Sequence[Mapping[str, Any]], place: Mapping[str, int], labels: Sequence[str]) -> None:
    from matplotlib.patches import Rectangle

    for pair in pairs:
        probability = numbers([(pair["probability"] or {}).get("value")])[0]
        row = place[pair["first"]]
        column = place[pair["second"]]
        for x, y, p in ((column, row, probability), (row, column, 1.0 - probability)):
            if np.isfinite(p):
                shade = _shade(p) if pair["decided"] else Shade("none", INK)
                ax.add_patch(Rectangle((x - 0.48, y - 0.48), 0.96, 0.96, facecolor=shade.fill, edgecolor="none"))
                ax.text(x, y, f"{100 * p:.0f}", ha="center", va="center", color=shade.ink, fontsize=8)
    n = len(labels)
    ax.set_xticks(range(n), [str(at + 1) for at in range(n)])
    ax.set_yticks(range(n), labels)
    ax.set(xlim=(-0.5, n - 0.5), ylim=(n - 0.5, -0.5))
    ax.tick_params(length=0, labeltop=True, labelbottom=False)
    ax.spines[:].set_visible(False)
    for at in range(n):
        ax.plot([at - 0.15, at + 0.15], [at, at], color=INK, alpha=0.4, linewidth=1.0)


def _solved(summary: Summary, division: str) -> list[Picture]:
    levels = {each["label"]: each["threshold"] for each in summary["challenges"] if each.get("threshold") is not None}
    names = [row["contestant"] for row in ranked(summary, division)]
    scores = [row for row in summary["scores"] if row["contestant"] in names and row["challenge"] in levels]
    if not scores:
        return []
    counts = {(row["contestant"], row["challenge"]): seeds_at(row, levels[row["challenge"]]) for row in scores}
    challenges = [label for label in levels if any(challenge == label for _, challenge in counts)]
    labels = [shortened(name, MAX_LABEL) for name in names]
    heads = [shortened(label, MAX_LABEL) for label in challenges]
    column = max(0.55, 0.1 + 0.077 * max(map(len, heads)))
    margin = Margin(0.25 + 0.077 * max(map(len, labels)), 0.1, 0.15, 0.35)
    size = Size(column * len(heads), 0.3 * len(labels))
    panel = Panel("", size, margin, lambda ax: _paint_solved(ax, counts, names, challenges, labels, heads))
    note = "Seeds at the threshold in the final evaluation, of all seeds; the more, the darker."
    return [Picture("solved", f"Seeds at the threshold: {PLURALS.get(division, division)}", note, [panel], [])]


def _paint_solved(
    ax: Ax,
    counts: Mapping[tuple[str, str], SeedCount],
    names: Sequence[str],
    challenges: Sequence[str],
    labels: Sequence[str],
    heads: Sequence[str],
) -> None:
    from matplotlib.patches import Rectangle

    for row, name in enumerate(names):
        for column, challenge in enumerate(challenges):
            if count := counts.get((name, challenge)):
                shade = _shade(0.5 + 0.5 * count.n / count.of)
                place = (column - 0.48, row - 0.46)
                ax.add_patch(Rectangle(place, 0.96, 0.92, facecolor=shade.fill, edgecolor="none"))
                text = f"{count.n}/{count.of}"
                ax.text(column, row, text, ha="center", va="center", color=shade.ink, fontsize=8)
    ax.set_xticks(range(len(heads)), heads)
    ax.set_yticks(range(len(labels)), labels)
    ax.set(xlim=(-0.5, len(heads) - 0.5), ylim=(len(labels) - 0.5, -0.5))
    ax.tick_params(length=0, labeltop=True, labelbottom=False)
    ax.spines[:].set_visible(False)


class Shade(NamedTuple):
    """Colours of a cell of a matrix and of its text."""

    fill: str
    ink: str


def _shade(p: float) -> Shade:
    """Mix the colours of a probability."""
    end = BETTER if p >= 0.5 else WORSE
    strength = abs(2.0 * p - 1.0)
    mixed = [round(even + (one - even) * strength) for even, one in zip(EVEN, end, strict=True)]
    brightness = 0.299 * mixed[0] + 0.587 * mixed[1] + 0.114 * mixed[2]
    return Shade("#{:02x}{:02x}{:02x}".format(*mixed), "#000001" if brightness > 140 else "#ffffff")
