"""The pictures of a tournament, panel by panel: strengths, profiles, pairs and curves, as things that can be painted.

A panel knows its size in inches and paints itself on axes of matplotlib; who puts panels together is free how:
:mod:`simulator.reporting.figures` in one file, :mod:`simulator.reporting.html_page` one by one.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from simulator.core.protocols import Array
from simulator.reporting.tournament_text import PLURALS, Summary, details, divisions, level, ranked, shortened
from simulator.views.style import count, number

KINDS = ("strengths", "profiles", "pairs", "curves")
INK = "#1b1b1f"  # text and axes
COLOURS = ("#0072b2", "#d55e00", "#00875f", "#b5489a", "#a07000", "#4a4a55")  # told apart by the colour-blind
DASHES: tuple[Any, ...] = ("-", (0, (5, 2)), (0, (1, 1.3)), (0, (6, 2, 1, 2)), (0, (3, 1)), (0, (9, 2, 3, 2)))
BETTER, EVEN, WORSE = (0, 114, 178), (238, 238, 238), (213, 94, 0)  # red, green, blue of a cell of the matrix
GROUP = len(COLOURS)  # contestants in one panel
FAR = 1e30  # numbers beyond it are drawn as if they were here
LABEL = 26  # characters of a label
NEAR = 2.0  # floor and ceiling are drawn up to so many heights of the curves away
MARKS = (("ceiling", (0, (6, 3))), ("threshold", (0, (4, 2, 1, 2))), ("floor", (0, (1, 2))))
MEANING = "Grey lines: dashes are the ceiling, dots the floor, dashes and dots the threshold."

Ax = Any


class Entry(NamedTuple):
    """A line of the legend."""

    label: str
    colour: str
    dash: Any


class Panel(NamedTuple):
    """A picture on axes of its own."""

    title: str
    size: tuple[float, float]  # inches of the axes
    margin: tuple[float, float, float, float]  # inches left, below, right and above them
    paint: Callable[[Ax], None]

    @property
    def whole(self) -> tuple[float, float]:
        """Inches with the margins."""
        left, below, right, above = self.margin
        return self.size[0] + left + right, self.size[1] + below + above


class Picture(NamedTuple):
    """Panels that belong together, and what their lines mean."""

    kind: str
    title: str
    note: str
    panels: list[Panel]
    legend: list[Entry]


def pictures_of(summary: Summary, kind: str) -> list[Picture]:
    """The pictures of a kind of ``KINDS``, for every division that has what it takes; the summary is readable."""
    make = {"strengths": _strengths, "profiles": _profiles, "pairs": _pairs, "curves": _curves}[kind]
    return [picture for division in divisions(summary) for picture in make(summary, division)]


def numbers(values: Sequence[float | None]) -> Array:
    """Floats; nan where there is none."""
    found = np.array([np.nan if value is None else value for value in values], np.float64)
    return np.clip(np.where(np.isfinite(found), found, np.nan), -FAR, FAR)


def even_parts(n: int, at_most: int) -> list[tuple[int, int]]:
    """Starts and stops of as few parts of n things as can be, about equally large."""
    size = -(-n // max(-(-n // at_most), 1))
    return [(start, min(start + size, n)) for start in range(0, n, max(size, 1))]


def _groups(summary: Summary, division: str) -> list[tuple[str, list[Entry]]]:
    """Contestants in the order of the ranking, as many as a panel shows, with their colours."""
    names = [each["contestant"] for each in ranked(summary, division)]
    plural, found = PLURALS.get(division, division), []
    for start, stop in even_parts(len(names), GROUP):
        entries = [Entry(*each) for each in zip(names[start:stop], COLOURS, DASHES, strict=False)]
        places = f"{plural}, rows {start + 1} to {stop}" if len(names) > GROUP else plural
        found.append((places, entries))
    return found


def _strengths(summary: Summary, division: str) -> list[Picture]:
    rows = ranked(summary, division)
    if len(rows) < 2 or not np.isfinite(numbers([(row["strength"] or {}).get("value") for row in rows])).any():
        return []
    labels = [shortened(row["contestant"], LABEL) for row in rows]
    margin = (0.25 + 0.077 * max(map(len, labels)), 0.5, 0.6, 0.1)
    panel = Panel("", (2.6, 0.24 * len(rows) + 0.1), margin, lambda ax: _paint_strengths(ax, rows, labels))
    note = f"Dots are strengths, lines their {level(summary)} intervals; rules part the tiers."
    return [Picture("strengths", f"Strengths of {PLURALS.get(division, division)}", note, [panel], [])]


def _paint_strengths(ax: Ax, rows: Sequence[Mapping[str, Any]], labels: Sequence[str]) -> None:
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
    found = details(summary, division)["profiles"]
    if not found or not len(found["taus"]):
        return []
    own = {each["contestant"]: each for each in found["contestants"]}
    taus, pictures = numbers(found["taus"]), []
    note = (
        f"Share of runs whose normalised score is above each value, with {level(summary)} bands; further up is better."
    )
    for places, entries in _groups(summary, division):
        shown = [entry for entry in entries if entry.label in own]
        panel = Panel("", (3.3, 2.1), (0.65, 0.5, 0.15, 0.15), _profile_painter(taus, shown, own))
        pictures.append(Picture("profiles", f"Performance profiles: {places}", note, [panel], shown))
    return pictures


def _profile_painter(taus: Array, entries: Sequence[Entry], own: Mapping[str, Any]) -> Callable[[Ax], None]:
    def paint(ax: Ax) -> None:
        for entry in entries:
            _line(ax, taus, own[entry.label], "value", entry)
        ax.set(ylim=(-0.03, 1.03), xlabel="normalised score", ylabel="share of runs above")
        ax.grid()

    return paint


def _line(ax: Ax, x: Array, told: Mapping[str, Any], name: str, entry: Entry) -> None:
    """A line with its band, in the colour of its contestant."""
    middle, low, high = (numbers(told[key]) for key in (name, "low", "high"))
    ax.fill_between(x, low, high, color=entry.colour, alpha=0.16, linewidth=0)
    marker = "o" if np.isfinite(middle).sum() < 2 else ""
    ax.plot(x, middle, color=entry.colour, linestyle=entry.dash, linewidth=1.6, marker=marker, markersize=4)


def _curves(summary: Summary, division: str) -> list[Picture]:
    own = {(each["challenge"], each["contestant"]): each for each in details(summary, division)["curves"]}
    marks = {each["label"]: each for each in summary["challenges"]}
    found = []
    for places, entries in _groups(summary, division):
        panels = []
        for challenge in dict.fromkeys(challenge for challenge, _ in own):
            shown = [entry for entry in entries if _has_points(own.get((challenge, entry.label)))]
            if shown:
                lines = [(entry, own[challenge, entry.label]) for entry in shown]
                paint = _curve_painter(lines, marks.get(challenge, {}))
                panels.append(Panel(challenge, (2.75, 1.7), (0.62, 0.45, 0.15, 0.3), paint))
        if panels:
            note = f"Interquartile mean of evaluations over seeds, with {level(summary)} bands. {MEANING}"
            found.append(Picture("curves", f"Learning curves: {places}", note, panels, entries))
    return found


def _has_points(curve: Mapping[str, Any] | None) -> bool:
    return curve is not None and bool(np.isfinite(numbers(curve["iqm"])).any())


def _curve_painter(lines: Sequence[tuple[Entry, Mapping[str, Any]]], mark: Mapping[str, Any]) -> Callable[[Ax], None]:
    def paint(ax: Ax) -> None:
        from matplotlib.ticker import FuncFormatter, MaxNLocator

        for entry, curve in lines:
            _line(ax, numbers(curve["steps"]), curve, "iqm", entry)
        bottom, top = ax.get_ylim()
        reach = NEAR * (top - bottom)
        for name, dash in MARKS:
            at = numbers([mark.get(name)])[0]
            if np.isfinite(at) and bottom - reach <= at <= top + reach:
                ax.axhline(at, color=INK, alpha=0.6, linewidth=0.9, linestyle=dash)
        for axis, form in ((ax.xaxis, count), (ax.yaxis, number)):
            axis.set_major_locator(MaxNLocator(4, steps=[1, 2, 5, 10]))
            places = [float(place) for place in axis.get_majorticklocs()]
            alike = len({form(place) for place in places}) < len(places)  # they differ in later figures
            told = _exactly if alike else form
            axis.set_major_formatter(FuncFormatter(lambda value, _, told=told: told(value)))
            axis.set_tick_params(labelsize=6 if alike else 9)
        ax.set_xlabel("environment steps")
        ax.grid()

    return paint


def _exactly(value: float) -> str:
    return f"{value:.8g}"


def _pairs(summary: Summary, division: str) -> list[Picture]:
    names = [each["contestant"] for each in ranked(summary, division)]
    pairs, n = details(summary, division)["pairs"], len(names)
    if n < 2 or not pairs:
        return []
    labels = [f"{at + 1} {shortened(name, LABEL)}" for at, name in enumerate(names)]
    side, margin = 0.36 * n, (0.2 + 0.077 * max(map(len, labels)), 0.1, 0.15, 0.3)
    place = {name: at for at, name in enumerate(names)}
    known = [pair for pair in pairs if pair["first"] in place and pair["second"] in place]
    panel = Panel("", (side, side), margin, lambda ax: _paint_pairs(ax, known, place, labels))
    note = (
        "Chance in percent that the row does better than the column on the same seed. Coloured: decided, blue for the "
        "row and orange for the column; without colour: not decided."
    )
    return [Picture("pairs", f"Who does better: {PLURALS.get(division, division)}", note, [panel], [])]


def _paint_pairs(ax: Ax, pairs: Sequence[Mapping[str, Any]], place: Mapping[str, int], labels: Sequence[str]) -> None:
    from matplotlib.patches import Rectangle

    for pair in pairs:
        chance = numbers([(pair["probability"] or {}).get("value")])[0]
        row, column = place[pair["first"]], place[pair["second"]]
        for x, y, share in ((column, row, chance), (row, column, 1.0 - chance)):
            if np.isfinite(share):
                fill, ink = _shade(share) if pair["decided"] else ("none", INK)
                ax.add_patch(Rectangle((x - 0.48, y - 0.48), 0.96, 0.96, facecolor=fill, edgecolor="none"))
                ax.text(x, y, f"{100 * share:.0f}", ha="center", va="center", color=ink, fontsize=8)
    n = len(labels)
    ax.set_xticks(range(n), [str(at + 1) for at in range(n)])
    ax.set_yticks(range(n), labels)
    ax.set(xlim=(-0.5, n - 0.5), ylim=(n - 0.5, -0.5))
    ax.tick_params(length=0, labeltop=True, labelbottom=False)
    ax.spines[:].set_visible(False)
    for at in range(n):
        ax.plot([at - 0.15, at + 0.15], [at, at], color=INK, alpha=0.4, linewidth=1.0)


def _shade(share: float) -> tuple[str, str]:
    """Colour of a cell, and of the text in it."""
    end, strength = (BETTER, 2.0 * share - 1.0) if share >= 0.5 else (WORSE, 1.0 - 2.0 * share)
    mixed = [round(even + (one - even) * strength) for even, one in zip(EVEN, end, strict=True)]
    bright = 0.299 * mixed[0] + 0.587 * mixed[1] + 0.114 * mixed[2]
    return "#{:02x}{:02x}{:02x}".format(*mixed), "#000001" if bright > 140 else "#ffffff"
