"""Figures as files (SVG, PNG, PDF) or as SVG in a page: panels, their legend, and the sheet that holds them.

A picture is a list of panels with a legend; a panel knows its size in inches and paints itself on axes of matplotlib.
What they show is made in :mod:`simulator.reporting.curve_figures`, :mod:`simulator.reporting.tournament_figures` and
:mod:`simulator.reporting.recall_figures`; here they are put together in one file, and
:mod:`simulator.reporting.html_page` embeds them one by one. Matplotlib opens no display. The same data give the same
bytes: no dates, identifiers by a fixed salt, and no settings of the user's.
"""

from __future__ import annotations

import io
import re
import textwrap
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple
from xml.etree import ElementTree

import numpy as np

from simulator.core.files.writing import check_place, write_file
from simulator.core.protocols import Array
from simulator.reporting.tables import shortened
from simulator.views.style import count, number

ENDINGS = (".svg", ".png", ".pdf")
DPI = 150  # of PNG files
INK = "#1b1b1f"  # text and axes
HOLLOW = "#fffffe"  # face of a hollow point; in a page its background
COLOURS = ("#0072b2", "#d55e00", "#00875f", "#b5489a", "#a07000", "#4a4a55")  # safe for colour-blind readers
DASHES: tuple[Any, ...] = ("-", (0, (5, 2)), (0, (1, 1.3)), (0, (6, 2, 1, 2)), (0, (3, 1)), (0, (9, 2, 3, 2)))
MAX_LINES = len(COLOURS)  # contestants in one panel
MAX_DRAWN = 1e30  # larger numbers are drawn as if they were this
MAX_LABEL = 26  # characters of a line of the legend
MAX_LEGEND_LINES = 3  # of one entry
MAX_TITLE = 44  # characters of a panel's title
PANELS_PER_ROW = 3
AXES = {1: (4.4, 2.7), 2: (3.4, 2.1)}  # inches, by the number of panels side by side
SMALL_AXES = (2.75, 1.7)  # of three and more
LEGEND_WIDTH = 2.6  # inches
LEGEND_LINE = 0.19  # inches
TITLE_HEIGHT = 0.34  # inches
NOTE_LINE = 0.16  # inches
NOTE_CHARACTER = 0.062  # inches, on average
EDGE = 0.2  # inches
MAX_REFERENCE_DISTANCE = 2.0  # heights of the curves up to which a reference is a line
REFERENCE_STRIP = 0.15  # inches for the name of a distant reference
TITLE_CHARACTER = 0.105  # inches, on average
MIN_WIDTH = 6.5  # inches of a sheet
MAX_TITLE_WIDTH = 8.0  # inches, to which a title widens a sheet
MIN_TEXT = 4.4  # inches for the texts of a picture
GAP = 0.3  # inches between pictures of a row
STYLE: dict[str, Any] = {
    **{"font.family": ["sans-serif"], "font.sans-serif": ["DejaVu Sans"], "font.size": 9, "axes.titlesize": 9},
    **{"text.parse_math": False, "text.color": INK, "axes.edgecolor": INK, "axes.labelcolor": INK},
    **{"xtick.color": INK, "ytick.color": INK, "grid.color": INK, "grid.alpha": 0.15, "grid.linewidth": 0.6},
    **{"axes.spines.top": False, "axes.spines.right": False, "axes.axisbelow": True, "axes.linewidth": 0.6},
    **{
        "axes.unicode_minus": False,
        "axes.titlelocation": "left",
        "svg.hashsalt": "engram",
        "figure.facecolor": "white",
        "axes.facecolor": "none",
    },
}
_FONT = re.compile(r"font-family:[^;]*;?\s*")
_DECIMAL = re.compile(r"-?\d+\.\d+")
_PLACES = re.compile(r' (?:d|x|y)="[^"]*"|="translate\([^)]*\)')
_INDENT = re.compile(r"\n\s+")
_DATA = re.compile(r' d="([^"]*)"')
_LETTER = re.compile(r" ?([A-Za-z]) ?")
_GLYPH = re.compile(r'(<use xlink:href="#[^"]*") transform="translate\((\S+) 0\)"')
_NAME = re.compile(r' id="([^"]*)"')
_REFERENCE = re.compile(r"url\(#([^)]+)\)")
_HREF = re.compile(r'href="#([^"]*)"')

Ax = Any


class LegendEntry(NamedTuple):
    """A line of the legend."""

    label: str
    colour: str
    dash: Any
    width: float = 1.6  # points


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
    per_row: int = PANELS_PER_ROW


def axes_size(n_panels: int) -> Size:
    """Return the size of the axes of each of n panels: fewer ones are larger."""
    return Size(*AXES.get(n_panels, SMALL_AXES))


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


def sheet(pictures: Sequence[Picture]) -> Any:
    """Return pictures on one sheet, one below the other, as a figure of matplotlib."""
    with style():
        return _sheet(pictures)


def save(figure: Any, path: Path, *, force: bool = False) -> None:
    """Write a figure into a file, by its ending, one of ``ENDINGS``; see ``write_file``.

    Raises:
        ValueError: a place that is not to be written, or cannot be.
    """
    page = io.BytesIO()
    metadata = {".svg": {"Date": None}, ".pdf": {"CreationDate": None}, ".png": None}[path.suffix]
    figure.savefig(page, format=path.suffix[1:], metadata=metadata, dpi=DPI)
    content = page.getvalue()
    write_file(path, _compact(content.decode()).encode() if path.suffix == ".svg" else content, force=force)


def _compact(text: str) -> str:
    """Leave out of an SVG file what nobody sees: most names, repeated letters, what is under a tenth of a point."""
    text = _INDENT.sub("\n", _PLACES.sub(lambda found: _DECIMAL.sub(_rounded, found[0]), text))
    used = set(_REFERENCE.findall(text)) | set(_HREF.findall(text))
    text = _NAME.sub(lambda found: found[0] if found[1] in used or found[1].startswith("axes_") else "", text)
    return _DATA.sub(_shortened_data, _GLYPH.sub(r'\1 x="\2"', text)).replace("DejaVuSans-", "c")


def _shortened_data(found: re.Match[str]) -> str:
    """Leave out the letters of a path that say the same as the ones before: a line goes on with lines."""
    words: list[str] = []
    letter = ""
    for word in found[1].split():
        if word.isalpha():
            goes_on = (word == letter and word in "LQ") or (letter, word) == ("M", "L")
            letter = word
            if goes_on:
                continue
        words.append(word)
    data = _LETTER.sub(r"\1", " ".join(words))
    return f' d="{data}"'


def _rounded(decimal: re.Match[str]) -> str:
    return f"{float(decimal[0]):.1f}".removesuffix(".0")


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
        ax.set_title(shortened(panel.title, MAX_TITLE))


class Placed(NamedTuple):
    """A picture of a sheet, with the texts above its panels."""

    picture: Picture
    extent: Size
    title: str
    note: list[str]  # lines

    @property
    def above(self) -> float:
        """Inches of the texts."""
        return TITLE_HEIGHT + NOTE_LINE * len(self.note) + 0.1


def _sheet(pictures: Sequence[Picture]) -> Any:
    """Put all pictures on one sheet: row by row, as many to a row as the widest of them leaves room for."""
    longest = max(_title_width(picture) for picture in pictures)
    needed = (MIN_WIDTH, min(longest, MAX_TITLE_WIDTH), *(_extent(picture).width for picture in pictures))
    width = max(needed) + 2 * EDGE
    rows: list[list[Placed]] = []
    for row in _rows(pictures, width):
        room = [width - 2 * EDGE] if len(row) == 1 else [_width(each) - GAP for each in row]
        rows.append([_placed(picture, of_text) for picture, of_text in zip(row, room, strict=True)])
    heights = [max(each.above for each in row) + max(each.extent.height for each in row) for row in rows]
    figure = _figure(Size(width, sum(heights) + 2 * EDGE))
    top = sum(heights) + EDGE
    for placed, height in zip(rows, heights, strict=True):
        left = EDGE
        above = max(each.above for each in placed)
        for each in placed:
            _draw_picture(figure, each, left, top, above)
            left += _width(each.picture)
        top -= height
    return figure


def _rows(pictures: Sequence[Picture], width: float) -> list[list[Picture]]:
    """Part pictures into rows of a sheet, in their order."""
    rows: list[list[Picture]] = []
    used = width
    for picture in pictures:
        own = _width(picture)
        if rows and used + own <= width:
            rows[-1].append(picture)
            used += own
        else:
            rows.append([picture])
            used = 2 * EDGE + own
    return rows


def _width(picture: Picture) -> float:
    """Return the inches that a picture takes of a row, the gap behind it included: its panels', or its title's."""
    return max(_extent(picture).width, max(MIN_TEXT, _title_width(picture)) + GAP)


def _title_width(picture: Picture) -> float:
    return TITLE_CHARACTER * (len(picture.title) + 1)


def _placed(picture: Picture, width: float) -> Placed:
    """Fit the texts of a picture into so many inches."""
    title = shortened(picture.title, int(width / TITLE_CHARACTER))
    return Placed(picture, _extent(picture), title, textwrap.wrap(picture.note, int(width / NOTE_CHARACTER)))


def _draw_picture(figure: Any, placed: Placed, left: float, top: float, above: float) -> None:
    """Draw a picture with its upper left corner at (left, top) inches, its panels that far below."""
    width, height = figure.get_size_inches()
    figure.text(left / width, (top - 0.22) / height, placed.title, fontsize=12, fontweight="bold")
    for at, line in enumerate(placed.note):
        y = top - TITLE_HEIGHT - NOTE_LINE * (at + 0.6)
        figure.text(left / width, y / height, line, fontsize=8, alpha=0.8)
    picture = placed.picture
    panel_size = picture.panels[0].size
    for at, panel in enumerate(picture.panels):
        row, column = divmod(at, picture.per_row)
        _place(figure, panel, left + column * panel_size.width, top - above - (row + 1) * panel_size.height)
    if picture.legend:
        _draw_legend(figure, picture, left + placed.extent.width - LEGEND_WIDTH, top - above)


def _extent(picture: Picture) -> Size:
    """Return the size of a picture's panels and legend."""
    width, height = picture.panels[0].size
    n = len(picture.panels)
    across = min(n, picture.per_row) * width + (LEGEND_WIDTH if picture.legend else 0.0)
    n_lines = sum(len(_legend_text(entry).split("\n")) for entry in picture.legend)
    return Size(across, max(-(-n // picture.per_row) * height, 0.3 + LEGEND_LINE * n_lines))


def _legend_text(entry: LegendEntry) -> str:
    """Wrap the label of an entry; what does not fit into its lines is shortened in the middle."""
    label = shortened(entry.label, MAX_LABEL * MAX_LEGEND_LINES - 8)
    lines = [shortened(line, MAX_LABEL) for line in textwrap.wrap(label, MAX_LABEL, break_on_hyphens=False)]
    return "\n".join(lines[:MAX_LEGEND_LINES])


def _draw_legend(figure: Any, picture: Picture, left: float, top: float) -> None:
    from matplotlib.lines import Line2D

    width, height = figure.get_size_inches()
    lines = [
        Line2D([], [], color=entry.colour, linestyle=entry.dash, linewidth=entry.width) for entry in picture.legend
    ]
    place = ((left + 0.1) / width, (top - 0.15) / height)
    names = [str(at) for at in range(len(lines))]
    legend = figure.legend(lines, names, loc="upper left", bbox_to_anchor=place, frameon=False, handlelength=3.2)
    for text, entry in zip(legend.get_texts(), picture.legend, strict=True):
        text.set_text(_legend_text(entry))  # afterwards: a name that begins with _ would be left out


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
        value = _FONT.sub("", value).replace(INK, "currentColor").replace(HOLLOW, "var(--back)")
        for at, colour in enumerate(COLOURS):
            value = value.replace(colour, f"var(--c{at})")
    return _DECIMAL.sub(lambda match: f"{float(match[0]):.1f}", value) if key == "d" else value


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


def line_groups(names: Sequence[str], title: str) -> list[LineGroup]:
    """Split names in their order into groups that a panel has colours for."""
    groups = []
    for start, stop in even_parts(len(names), MAX_LINES):
        entries = [LegendEntry(*line) for line in zip(names[start:stop], COLOURS, DASHES, strict=False)]
        rows = f"{title}, rows {start + 1} to {stop}" if len(names) > MAX_LINES else title
        groups.append(LineGroup(rows, entries))
    return groups


class Reference(NamedTuple):
    """A level that curves are read against."""

    label: str
    level: float
    dash: Any

    @property
    def entry(self) -> LegendEntry:
        """Its line of the legend."""
        return LegendEntry(self.label, INK, self.dash, 0.9)


def draw_references(ax: Ax, references: Sequence[Reference]) -> None:
    """Draw levels as lines; one that is far from what is drawn already is named at the edge, with an arrow to it.

    Its name stands on a strip of its own, where no curve is.
    """
    bottom, top = ax.get_ylim()
    reach = MAX_REFERENCE_DISTANCE * (top - bottom)
    beyond: dict[bool, list[Reference]] = {True: [], False: []}  # above, below
    for reference in references:
        if bottom - reach <= reference.level <= top + reach:
            ax.axhline(reference.level, color=INK, alpha=0.6, linewidth=0.9, linestyle=reference.dash)
        else:
            beyond[reference.level > top].append(reference)
    for above, distant in beyond.items():
        arrow = "\u2191" if above else "\u2193"
        text = "\n".join(f"{arrow} {reference.label} {number(reference.level)}" for reference in distant)
        if text:
            place = (0.02, 0.98) if above else (0.98, 0.03)
            sides = {"ha": "left", "va": "top"} if above else {"ha": "right", "va": "bottom"}
            bottom, top = ax.get_ylim()
            strip = REFERENCE_STRIP * (text.count("\n") + 1) / ax.get_position().height / ax.figure.get_figheight()
            room = strip * (top - bottom) / (1.0 - strip)
            ax.set_ylim(bottom - room * (not above), top + room * above)
            ax.annotate(text, place, xycoords="axes fraction", fontsize=7, alpha=0.8, **sides)


def line_with_band(
    ax: Ax, x: Array, band: Mapping[str, Any], entry: LegendEntry, middle: str = "iqm", n_lines: int = 1
) -> None:
    """Draw a line, x and values [K], with its interval; a single value is a dot with an error bar.

    Bands are paler where many of the ``n_lines`` of a panel may lie over each other.
    """
    values, low, high = (numbers(band[key]) for key in (middle, "low", "high"))
    ax.fill_between(x, low, high, color=entry.colour, alpha=0.16 if n_lines <= 3 else 0.09, linewidth=0)
    single = np.isfinite(values).sum() < 2
    if single:
        ax.vlines(x, low, high, color=entry.colour, linewidth=1.0, alpha=0.6)
    marker = "o" if single else ""
    ax.plot(x, values, color=entry.colour, linestyle=entry.dash, linewidth=entry.width, marker=marker, markersize=4)


def label_axes(ax: Ax, *, x: Callable[[float], str] = count, y: Callable[[float], str] = number) -> None:
    """Put a few ticks with short texts on both axes; more figures where the places hardly differ."""
    from matplotlib.ticker import FuncFormatter, MaxNLocator

    width = ax.get_window_extent().width / ax.figure.dpi  # inches
    n_ticks = 4 if width < AXES[2][0] else 6
    for axis, form in ((ax.xaxis, x), (ax.yaxis, y)):
        axis.set_major_locator(MaxNLocator(n_ticks, steps=[1, 2, 5, 10]))
        places = [float(place) for place in axis.get_majorticklocs()]
        alike = len({form(place) for place in places}) < len(places)  # they differ in later figures
        label = "{:.8g}".format if alike else form
        axis.set_major_formatter(FuncFormatter(lambda value, _, label=label: label(value)))
        axis.set_tick_params(labelsize=6 if alike else 9)
    ax.grid()
