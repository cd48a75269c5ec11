"""Figures of reports: learning curves, recall curves and tournaments, as files (SVG, PNG, PDF) or as SVG in a page.

A figure is a list of panels; a panel knows its size in inches and paints itself on axes of matplotlib. Here panels are
put together in one file, :mod:`simulator.reporting.html_page` embeds them one by one. Matplotlib opens no display. The
same data give the same bytes: no dates, identifiers by a fixed salt, and no settings of the user's.
"""

from __future__ import annotations

import io
import re
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple
from xml.etree import ElementTree

import numpy as np

from simulator.core.files.escaping import one_line
from simulator.core.files.writing import check_place, write_file
from simulator.core.protocols import Array
from simulator.reporting import recall
from simulator.reporting.tables import shortened
from simulator.reporting.tournament import PLURALS, Summary, confidence, details, divisions, ranked, readable
from simulator.views.style import count, number

KINDS = ("strengths", "profiles", "pairs", "curves")
ENDINGS = (".svg", ".png", ".pdf")
DPI = 150  # of PNG files
INK = "#1b1b1f"  # text and axes
COLOURS = ("#0072b2", "#d55e00", "#00875f", "#b5489a", "#a07000", "#4a4a55")  # safe for colour-blind readers
DASHES: tuple[Any, ...] = ("-", (0, (5, 2)), (0, (1, 1.3)), (0, (6, 2, 1, 2)), (0, (3, 1)), (0, (9, 2, 3, 2)))
BETTER = (0, 114, 178)  # red, green, blue of a cell of the matrix
EVEN = (238, 238, 238)
WORSE = (213, 94, 0)
MAX_LINES = len(COLOURS)  # contestants in one panel
MAX_DRAWN = 1e30  # larger numbers are drawn as if they were this
MAX_LABEL = 26  # characters
MAX_REFERENCE_DISTANCE = 2.0  # heights of the curves up to which floor and ceiling are drawn
PANELS_PER_ROW = 3
TITLE_HEIGHT = 0.62  # inches
LEGEND_WIDTH = 2.6  # inches
EDGE = 0.2  # inches
REFERENCES = (("ceiling", (0, (6, 3))), ("threshold", (0, (4, 2, 1, 2))), ("floor", (0, (1, 2))))
REFERENCE_NOTE = "Grey lines: dashed is the ceiling, dotted the floor, dash-dotted the threshold."
STYLE: dict[str, Any] = {
    **{"font.family": ["sans-serif"], "font.sans-serif": ["DejaVu Sans"], "font.size": 9, "axes.titlesize": 9},
    **{"text.parse_math": False, "text.color": INK, "axes.edgecolor": INK, "axes.labelcolor": INK},
    **{"xtick.color": INK, "ytick.color": INK, "grid.color": INK, "grid.alpha": 0.15, "grid.linewidth": 0.6},
    **{"axes.spines.top": False, "axes.spines.right": False, "axes.axisbelow": True, "axes.linewidth": 0.6},
    **{"axes.titlelocation": "left", "svg.hashsalt": "engram", "figure.facecolor": "white", "axes.facecolor": "none"},
}
_FONT = re.compile(r"font-family:[^;]*;?\s*")
_DECIMAL = re.compile(r"-?\d+\.\d+")
_REFERENCE = re.compile(r"url\(#([^)]+)\)")

Ax = Any


class LegendEntry(NamedTuple):
    """A line of the legend."""

    label: str
    colour: str
    dash: Any


class Margin(NamedTuple):
    """Inches around the axes of a panel."""

    left: float
    below: float
    right: float
    above: float


class Size(NamedTuple):
    """Inches."""

    width: float
    height: float


class Panel(NamedTuple):
    """A plot on axes of its own."""

    title: str
    axes: Size
    margin: Margin
    paint: Callable[[Ax], None]

    @property
    def size(self) -> Size:
        """Size with the margins."""
        left, below, right, above = self.margin
        return Size(self.axes.width + left + right, self.axes.height + below + above)


class Picture(NamedTuple):
    """Panels that belong together, with their legend."""

    kind: str
    title: str
    note: str
    panels: list[Panel]
    legend: list[LegendEntry]


def draw_tournament(summary: Summary, path: Path, what: str = "all", *, force: bool = False) -> None:
    """Draw a tournament into a file, by its ending.

    Args:
        summary: the JSON object of ``engram tournament``.
        path: ends in one of ``ENDINGS``.
        what: one of ``KINDS``, or "all" of them.
        force: replace a file that Engram did not write.

    Raises:
        ValueError: another ending or kind, nothing to draw, or a place that is not to be written or cannot be.
    """
    check_ending(path)
    save_pictures(_tournament_pictures(summary, what), path, force=force)


def _tournament_pictures(summary: Summary, what: str) -> list[Picture]:
    if what != "all" and what not in KINDS:
        raise ValueError(f"pictures of {what!r}: expected all, {', '.join(KINDS)}")
    summary = readable(summary)
    pictures = [picture for kind in KINDS if what in (kind, "all") for picture in pictures_of(summary, kind)]
    if not pictures:
        raise ValueError(f"{summary['tournament']}: no {what if what != 'all' else 'pictures'} to draw")
    return pictures


def draw_runs(report: Mapping[str, Any], path: Path, *, force: bool = False) -> None:
    """Draw the learning curves of stored runs into a file, a panel for each environment.

    Args:
        report: the JSON object of ``engram report RUN ...``; its runs have a ``curve``.
        path: ends in one of ``ENDINGS``.
        force: replace a file that Engram did not write.

    Raises:
        ValueError: another ending, no evaluation to draw, or a place that is not to be written or cannot be.
    """
    check_ending(path)
    pictures = _learning_curves_of_runs(report["runs"])
    if not pictures:
        raise ValueError(f"{report['runs'][0]['run']}: no evaluations to draw")
    save_pictures(pictures, path, force=force)


def paint_run(run: Mapping[str, Any], ax: Ax) -> None:
    """Paint the learning curve of a stored run of :func:`simulator.reporting.runs.gather` on axes of matplotlib.

    Raises:
        ValueError: no evaluation to draw.
    """
    pictures = _learning_curves_of_runs([run])
    if not pictures:
        raise ValueError(f"{run['run']}: no evaluations to draw")
    panel = pictures[0].panels[0]
    panel.paint(ax)
    ax.set_title(panel.title)


def tournament_figure(summary: Summary, what: str = "all") -> Any:
    """Return a tournament as a figure of matplotlib; see :func:`draw_tournament`.

    Raises:
        ValueError: an unknown kind, or nothing to draw.
    """
    pictures = _tournament_pictures(summary, what)
    with style():
        return _sheet(pictures)


def check_ending(path: Path) -> None:
    """Check the ending of a figure's file.

    Raises:
        ValueError: it is none of ``ENDINGS``.
    """
    if path.suffix not in ENDINGS:
        raise ValueError(f"{path}: expected a file that ends in {', '.join(ENDINGS)}")


def save_pictures(pictures: Sequence[Picture], path: Path, *, force: bool = False) -> None:
    """Write pictures on one sheet, one below the other, into a file; see :func:`save`."""
    check_place(path, force=force)
    with style(**{"svg.fonttype": "path"}):
        save(_sheet(pictures), path, force=force)


def save(figure: Any, path: Path, *, force: bool = False) -> None:
    """Write a figure into a file, by its ending, one of ``ENDINGS``; see ``write_file``.

    Raises:
        ValueError: a place that is not to be written, or cannot be.
    """
    page = io.BytesIO()
    metadata = {".svg": {"Date": None}, ".pdf": {"CreationDate": None}, ".png": None}[path.suffix]
    figure.savefig(page, format=path.suffix[1:], metadata=metadata, dpi=DPI)
    write_file(path, page.getvalue(), force=force)


def svg(panel: Panel, name: str, label: str) -> str:
    """Render a panel as an SVG element for a page: no namespaces, no fonts, the main colours by the page's style sheet.

    Args:
        panel: the plot.
        name: stands in front of every identifier, so that pictures of one page do not clash.
        label: a description for readers who cannot see it.
    """
    page = io.StringIO()
    with style(**{"svg.fonttype": "none"}):
        figure = _figure(panel.size)
        _place(figure, panel, 0.0, 0.0)
        figure.savefig(page, format="svg", transparent=True, metadata={"Date": None})
    return _embeddable(page.getvalue(), name, label, panel.size.width)


@contextmanager
def style(**more: Any) -> Iterator[None]:
    """Set up matplotlib without the user's settings and without markup in texts."""
    import matplotlib.style

    with matplotlib.style.context(["default", {**STYLE, **more}]), warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Glyph .* missing from", UserWarning)  # labels in any script
        yield


def _figure(size: Size) -> Any:
    from matplotlib.figure import Figure

    return Figure(figsize=size)


def _place(figure: Any, panel: Panel, left: float, below: float) -> None:
    """Paint a panel with its lower left corner, margins included, at (left, below) inches."""
    width, height = figure.get_size_inches()
    x = (left + panel.margin.left) / width
    y = (below + panel.margin.below) / height
    ax = figure.add_axes((x, y, panel.axes.width / width, panel.axes.height / height))
    panel.paint(ax)
    if panel.title:
        ax.set_title(shortened(panel.title, 44))


def _sheet(pictures: Sequence[Picture]) -> Any:
    """Put all pictures on one sheet, one below the other, legends at their right."""
    sizes = [_extent(picture) for picture in pictures]
    width = max(size.width for size in sizes) + 2 * EDGE
    height = sum(size.height + TITLE_HEIGHT for size in sizes) + 2 * EDGE
    figure = _figure(Size(width, height))
    top = height - EDGE
    for picture, size in zip(pictures, sizes, strict=True):
        figure.text(EDGE / width, (top - 0.22) / height, picture.title, fontsize=12, fontweight="bold")
        figure.text(EDGE / width, (top - 0.44) / height, _fitting_note(picture, width), fontsize=8, alpha=0.8)
        top -= TITLE_HEIGHT
        panel_size = picture.panels[0].size
        for at, panel in enumerate(picture.panels):
            row, column = divmod(at, PANELS_PER_ROW)
            _place(figure, panel, EDGE + column * panel_size.width, top - (row + 1) * panel_size.height)
        if picture.legend:
            _draw_legend(figure, picture, EDGE + size.width - LEGEND_WIDTH, top)
        top -= size.height
    return figure


def _fitting_note(picture: Picture, width: float) -> str:
    """Return the note, or its first sentence where the sheet is too narrow for one line."""
    return picture.note if len(picture.note) * 0.062 < width - EDGE else picture.note.split(". ")[0].rstrip(".") + "."


def _extent(picture: Picture) -> Size:
    """Return the size of a picture's panels and legend."""
    width, height = picture.panels[0].size
    n = len(picture.panels)
    across = min(n, PANELS_PER_ROW) * width + (LEGEND_WIDTH if picture.legend else 0.0)
    return Size(max(across, 6.5), -(-n // PANELS_PER_ROW) * height)


def _draw_legend(figure: Any, picture: Picture, left: float, top: float) -> None:
    from matplotlib.lines import Line2D

    width, height = figure.get_size_inches()
    lines = [Line2D([], [], color=entry.colour, linestyle=entry.dash, linewidth=1.6) for entry in picture.legend]
    place = ((left + 0.1) / width, (top - 0.15) / height)
    names = [str(at) for at in range(len(lines))]
    legend = figure.legend(lines, names, loc="upper left", bbox_to_anchor=place, frameon=False, handlelength=3.2)
    for text, entry in zip(legend.get_texts(), picture.legend, strict=True):
        text.set_text(shortened(entry.label, MAX_LABEL))  # afterwards: a name that begins with _ would be left out


def _embeddable(text: str, name: str, label: str, width: float) -> str:
    """Turn an SVG file into an element of a page."""
    root = ElementTree.fromstring(text)
    for parent in list(root.iter()):
        parent.tag = parent.tag.rpartition("}")[2]
        for child in [element for element in parent if element.tag.rpartition("}")[2] in ("metadata", "style")]:
            parent.remove(child)
    used = {ref for element in root.iter() for value in element.attrib.values() for ref in _references(value)}
    for element in root.iter():
        attributes = {
            key.rpartition("}")[2]: _attribute(key, value, name, used) for key, value in element.attrib.items()
        }
        element.attrib.clear()
        element.attrib.update({key: value for key, value in attributes.items() if value})
    view = root.attrib["viewBox"]
    root.attrib.clear()
    root.attrib.update({"class": "plot", "role": "img", "aria-label": label, "viewBox": view})
    root.attrib["style"] = f"--wide: {96 * width:.0f}px"
    return ElementTree.tostring(root, encoding="unicode")


def _references(value: str) -> list[str]:
    return [value[1:]] if value.startswith("#") else _REFERENCE.findall(value)


def _attribute(key: str, value: str, name: str, used: set[str]) -> str:
    """Rewrite an attribute for the page; empty: leave it out."""
    if key == "id":
        return f"{name}-{value}" if value in used else ""
    if key.endswith("href"):
        return f"#{name}-{value[1:]}"
    value = _REFERENCE.sub(rf"url(#{name}-\1)", value)
    if key == "style":
        value = _FONT.sub("", value).replace(INK, "currentColor")
        for at, colour in enumerate(COLOURS):
            value = value.replace(colour, f"var(--c{at})")
    return _DECIMAL.sub(lambda match: f"{float(match[0]):.1f}", value) if key == "d" else value


def pictures_of(summary: Summary, kind: str) -> list[Picture]:
    """Return the pictures of a kind of ``KINDS``, for every division that has the data; the summary is readable."""
    make = {"strengths": _strengths, "profiles": _profiles, "pairs": _pairs, "curves": _curves}[kind]
    return [picture for division in divisions(summary) for picture in make(summary, division)]


def numbers(values: Sequence[float | None]) -> Array:
    """Convert to floats [N], None and infinity to NaN."""
    array = np.array([np.nan if value is None else value for value in values], np.float64)
    return np.clip(np.where(np.isfinite(array), array, np.nan), -MAX_DRAWN, MAX_DRAWN)


def even_parts(n: int, at_most: int) -> list[tuple[int, int]]:
    """Split n things into as few parts as possible, about equally large: starts and stops."""
    size = -(-n // max(-(-n // at_most), 1))
    return [(start, min(start + size, n)) for start in range(0, n, max(size, 1))]


class LineGroup(NamedTuple):
    """Contestants that one panel shows."""

    title: str
    entries: list[LegendEntry]


def _groups(names: Sequence[str], title: str) -> list[LineGroup]:
    """Split names in their order into groups that a panel has colours for."""
    groups = []
    for start, stop in even_parts(len(names), MAX_LINES):
        entries = [LegendEntry(*line) for line in zip(names[start:stop], COLOURS, DASHES, strict=False)]
        rows = f"{title}, rows {start + 1} to {stop}" if len(names) > MAX_LINES else title
        groups.append(LineGroup(rows, entries))
    return groups


def _contestant_groups(summary: Summary, division: str) -> list[LineGroup]:
    names = [row["contestant"] for row in ranked(summary, division)]
    return _groups(names, PLURALS.get(division, division))


def _strengths(summary: Summary, division: str) -> list[Picture]:
    rows = ranked(summary, division)
    if len(rows) < 2 or not np.isfinite(numbers([(row["strength"] or {}).get("value") for row in rows])).any():
        return []
    labels = [shortened(row["contestant"], MAX_LABEL) for row in rows]
    margin = Margin(0.25 + 0.077 * max(map(len, labels)), 0.5, 0.6, 0.1)
    panel = Panel("", Size(2.6, 0.24 * len(rows) + 0.1), margin, lambda ax: _paint_strengths(ax, rows, labels))
    note = f"Dots are strengths, lines their {confidence(summary)} confidence intervals; rules separate the tiers."
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
        panel = Panel("", Size(3.3, 2.1), Margin(0.65, 0.5, 0.15, 0.15), paint)
        pictures.append(Picture("profiles", f"Performance profiles: {title}", note, [panel], shown))
    return pictures


def _profile_painter(
    taus: Array, entries: Sequence[LegendEntry], profile_of: Mapping[str, Any]
) -> Callable[[Ax], None]:
    def paint(ax: Ax) -> None:
        for entry in entries:
            _line_with_band(ax, taus, profile_of[entry.label], "value", entry)
        ax.set(ylim=(-0.03, 1.03), xlabel="normalised score, tau", ylabel="fraction of runs above")
        ax.grid()

    return paint


def _line_with_band(ax: Ax, x: Array, curve: Mapping[str, Any], name: str, entry: LegendEntry) -> None:
    middle, low, high = (numbers(curve[key]) for key in (name, "low", "high"))
    ax.fill_between(x, low, high, color=entry.colour, alpha=0.16, linewidth=0)
    marker = "o" if np.isfinite(middle).sum() < 2 else ""
    ax.plot(x, middle, color=entry.colour, linestyle=entry.dash, linewidth=1.6, marker=marker, markersize=4)


def _curves(summary: Summary, division: str) -> list[Picture]:
    curve_of = {(curve["challenge"], curve["contestant"]): curve for curve in details(summary, division)["curves"]}
    challenges = {challenge["label"]: challenge for challenge in summary["challenges"]}
    note = (
        f"Interquartile mean of evaluations over seeds, with {confidence(summary)} confidence bands. {REFERENCE_NOTE}"
    )
    pictures = []
    for title, entries in _contestant_groups(summary, division):
        panels = []
        for challenge in dict.fromkeys(challenge for challenge, _ in curve_of):
            lines = [
                CurveLine(entry, curve_of[challenge, entry.label])
                for entry in entries
                if _has_points(curve_of.get((challenge, entry.label)))
            ]
            if lines:
                panels.append(_curve_panel(challenge, lines, challenges.get(challenge, {})))
        if panels:
            pictures.append(Picture("curves", f"Learning curves: {title}", note, panels, entries))
    return pictures


def _learning_curves_of_runs(runs: Sequence[Mapping[str, Any]]) -> list[Picture]:
    """Return the learning curves of runs: a panel for each environment, a line for each run."""
    name_of = {run["run"]: one_line(f"{run['run']} {run['label'] or run['agent']}") for run in runs}
    note = f"Interquartile mean of evaluations over seeds, with 95 % confidence bands. {REFERENCE_NOTE}"
    pictures = []
    for title, entries in _groups(list(name_of.values()), "runs"):
        panels = []
        for env in dict.fromkeys(run["env"] for run in runs):
            runs_of_env = {
                name_of[run["run"]]: run for run in runs if run["env"] == env and _has_points(run.get("curve"))
            }
            lines = [
                CurveLine(entry, runs_of_env[entry.label]["curve"]) for entry in entries if entry.label in runs_of_env
            ]
            if lines:
                first = next(iter(runs_of_env.values()))
                references = {"ceiling": first["optimum"], "floor": first["floor"]}
                references["threshold"] = first["solved"]["threshold"]
                panels.append(_curve_panel(one_line(env), lines, references))
        if panels:
            pictures.append(Picture("curves", f"Learning curves: {title}", note, panels, entries))
    return pictures


class CurveLine(NamedTuple):
    """A learning curve and how it is drawn."""

    entry: LegendEntry
    curve: Mapping[str, Any]  # steps, iqm, low, high


def _has_points(curve: Mapping[str, Any] | None) -> bool:
    return curve is not None and bool(np.isfinite(numbers(curve["iqm"])).any())


def _curve_panel(title: str, lines: Sequence[CurveLine], references: Mapping[str, Any]) -> Panel:
    def paint(ax: Ax) -> None:
        from matplotlib.ticker import FuncFormatter, MaxNLocator

        for entry, curve in lines:
            _line_with_band(ax, numbers(curve["steps"]), curve, "iqm", entry)
        bottom, top = ax.get_ylim()
        reach = MAX_REFERENCE_DISTANCE * (top - bottom)
        for name, dash in REFERENCES:
            level = numbers([references.get(name)])[0]
            if np.isfinite(level) and bottom - reach <= level <= top + reach:
                ax.axhline(level, color=INK, alpha=0.6, linewidth=0.9, linestyle=dash)
        for axis, form in ((ax.xaxis, count), (ax.yaxis, number)):
            axis.set_major_locator(MaxNLocator(4, steps=[1, 2, 5, 10]))
            places = [float(place) for place in axis.get_majorticklocs()]
            alike = len({form(place) for place in places}) < len(places)  # they differ in later figures
            label = "{:.8g}".format if alike else form
            axis.set_major_formatter(FuncFormatter(lambda value, _, label=label: label(value)))
            axis.set_tick_params(labelsize=6 if alike else 9)
        ax.set_xlabel("environment steps")
        ax.grid()

    return Panel(title, Size(2.75, 1.7), Margin(0.62, 0.45, 0.15, 0.3), paint)


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


class Shade(NamedTuple):
    """Colours of a cell of the matrix and of its text."""

    fill: str
    ink: str


def _shade(p: float) -> Shade:
    """Mix the colours of a probability."""
    end = BETTER if p >= 0.5 else WORSE
    strength = abs(2.0 * p - 1.0)
    mixed = [round(even + (one - even) * strength) for even, one in zip(EVEN, end, strict=True)]
    brightness = 0.299 * mixed[0] + 0.587 * mixed[1] + 0.114 * mixed[2]
    return Shade("#{:02x}{:02x}{:02x}".format(*mixed), "#000001" if brightness > 140 else "#ffffff")


def draw_recall(summary: Mapping[str, Any], path: Path, *, force: bool = False) -> None:
    """Draw the recall curves of a benchmark (:func:`simulator.recall.summary.summary`) into a file.

    A row for each score and a column for each curve: against the number of patterns where one corruption met several,
    and against the amount of corruption where one kind came in several. Bands are 95 % confidence intervals over
    seeds; the dashed line is the Bayes-optimal score.

    Args:
        summary: the JSON object of ``engram recall``.
        path: the file, which ends in one of ``ENDINGS``.
        force: replace a file that Engram did not write.

    Raises:
        ValueError: another ending, no curve that has two points, or a place that is not to be written or cannot be.
    """
    check_ending(path)
    recall_curves(summary)
    check_place(path, force=force)
    with style(**{"svg.fonttype": "path"}):
        save(recall_figure(summary), path, force=force)


def recall_curves(summary: Mapping[str, Any]) -> list[RecallCurve]:
    """Return the recall curves of a benchmark that have two points and more.

    Raises:
        ValueError: there is none.
    """
    curves = [*_against_load(summary["cells"]), *_against_corruption(summary["cells"])]
    if not curves:
        raise ValueError(f"{summary['run']}: no curve has two points, expected several numbers of patterns or amounts")
    return curves


def recall_figure(summary: Mapping[str, Any]) -> Any:
    """Return the recall curves of a benchmark as a figure of matplotlib; see :func:`draw_recall`.

    Raises:
        ValueError: no curve has two points.
    """
    from matplotlib.figure import Figure

    curves = recall_curves(summary)
    with style():
        figure = Figure(figsize=(4.2 * len(curves) + 1.8, 6.4), layout="constrained")
        axes = figure.subplots(2, len(curves), squeeze=False)
        for column, curve in zip(axes.T, curves, strict=True):
            for ax, (score, label) in zip(column, RECALL_SCORES.items(), strict=True):
                _paint_recall(ax, curve.points, score)
                ax.set(ylabel=label)
            column[0].set(title=one_line(curve.title))
            column[-1].set(xlabel=one_line(curve.axis))
        handles, labels = axes[0, 0].get_legend_handles_labels()
        legend = figure.legend(
            handles, [str(at) for at in range(len(labels))], loc="outside right upper", fontsize="small"
        )
        for text, label in zip(legend.get_texts(), labels, strict=True):
            text.set_text(label.removeprefix(_LABEL_PREFIX))
    return figure


RECALL_SCORES = {"overlap": "overlap m", "exact": "perfect-recall rate"}
_LABEL_PREFIX = ": "  # matplotlib leaves labels out that begin with _


class RecallPoint(NamedTuple):
    """One cell of a benchmark and its place on the axis."""

    x: float
    cell: Mapping[str, Any]


class RecallCurve(NamedTuple):
    """Recall along one axis, of all memories."""

    title: str
    axis: str
    points: list[RecallPoint]


def _against_load(cells: Sequence[Mapping[str, Any]]) -> list[RecallCurve]:
    curves = []
    for corruption in dict.fromkeys(cell["corruption"] for cell in cells):
        points = [RecallPoint(float(cell["patterns"]), cell) for cell in cells if cell["corruption"] == corruption]
        if len({point.x for point in points}) > 1:
            curves.append(RecallCurve(corruption, "patterns stored", points))
    return curves


def _against_corruption(cells: Sequence[Mapping[str, Any]]) -> list[RecallCurve]:
    curves = []
    for load in dict.fromkeys(cell["patterns"] for cell in cells):
        points: dict[str, list[tuple[str, Mapping[str, Any]]]] = {}
        for cell in cells:
            if cell["patterns"] == load:
                kind, _, amount = cell["corruption"].partition(":")
                points.setdefault(kind, []).append((amount, cell))
        for kind, amounts in points.items():
            if len({amount for amount, _ in amounts}) > 1:
                placed = [RecallPoint(float(amount or 0.0), cell) for amount, cell in amounts]
                curves.append(RecallCurve(f"{load} patterns", f"amount of {kind}", placed))
    return curves


def _paint_recall(ax: Ax, points: Sequence[RecallPoint], score: str) -> None:
    """Paint one curve for each memory, and the Bayes-optimal score."""
    for name in dict.fromkeys(point.cell["memory"] for point in points):
        own_points = [point for point in points if point.cell["memory"] == name and point.cell[score]]
        own_points.sort(key=lambda point: point.x)
        x = [point.x for point in own_points]
        estimates = [point.cell[score] for point in own_points]
        (line,) = ax.plot(
            x,
            [estimate["mean"] for estimate in estimates],
            marker="o",
            markersize=3,
            label=_LABEL_PREFIX + one_line(name),
        )
        low = [estimate["mean"] if estimate["low"] is None else estimate["low"] for estimate in estimates]
        high = [estimate["mean"] if estimate["high"] is None else estimate["high"] for estimate in estimates]
        ax.fill_between(x, low, high, color=line.get_color(), alpha=0.15, linewidth=0)
    ceilings = []
    for x in sorted({point.x for point in points}):
        for cell in recall.ceilings([point.cell for point in points if point.x == x]).values():
            if cell["ceiling"][score] is not None:
                ceilings.append((x, cell["ceiling"][score]))
    ax.plot(
        [x for x, _ in ceilings],
        [ceiling for _, ceiling in ceilings],
        "k--",
        linewidth=1,
        label=_LABEL_PREFIX + "Bayes-optimal",
    )
    ax.grid(alpha=0.3)
