"""Pictures of a tournament as files (SVG, PNG, PDF), and as SVG that can stand in a page among others.

Drawn by matplotlib; it opens no display. The same summary gives the same bytes: no dates, identifiers by a fixed salt,
and no settings of the user's.
"""

from __future__ import annotations

import io
import re
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

from simulator.core.files.writing import check_place, write_file
from simulator.reporting.figure_panels import COLOURS, INK, KINDS, LABEL, Panel, Picture, pictures_of
from simulator.reporting.tournament_text import Summary, readable, shortened

ENDINGS = (".svg", ".png", ".pdf")
DPI = 150  # of PNG files
COLUMNS = 3  # panels beside each other
TITLE, LEGEND, EDGE = 0.62, 2.6, 0.2  # inches: height of titles, width of legends, room at the edge
STYLE: dict[str, Any] = {
    **{"font.family": ["sans-serif"], "font.sans-serif": ["DejaVu Sans"], "font.size": 9, "axes.titlesize": 9},
    **{"text.parse_math": False, "text.color": INK, "axes.edgecolor": INK, "axes.labelcolor": INK},
    **{"xtick.color": INK, "ytick.color": INK, "grid.color": INK, "grid.alpha": 0.15, "grid.linewidth": 0.6},
    **{"axes.spines.top": False, "axes.spines.right": False, "axes.axisbelow": True, "axes.linewidth": 0.6},
    **{"axes.titlelocation": "left", "svg.hashsalt": "engram", "figure.facecolor": "white", "axes.facecolor": "none"},
}
_FONT = re.compile(r"font-family:[^;]*;?\s*")
_LONG = re.compile(r"-?\d+\.\d+")
_REFERENCE = re.compile(r"url\(#([^)]+)\)")


def draw(summary: Summary, path: Path, what: str = "all", *, force: bool = False) -> None:
    """Draw a tournament's summary into a file, by its ending.

    Args:
        summary: what ``engram tournament --json`` prints.
        path: ends in one of ``ENDINGS``.
        what: one of ``KINDS``, or "all" of them.
        force: replace a file that Engram did not write.

    Raises:
        ValueError: another ending or kind, nothing to draw, or a place that is not to be written or cannot be.
    """
    if path.suffix not in ENDINGS:
        raise ValueError(f"{path}: expected a file that ends in {', '.join(ENDINGS)}")
    if what != "all" and what not in KINDS:
        raise ValueError(f"pictures of {what!r}: expected all, {', '.join(KINDS)}")
    summary = readable(summary)
    found = [picture for kind in KINDS if what in (kind, "all") for picture in pictures_of(summary, kind)]
    if not found:
        raise ValueError(f"{summary['tournament']}: no {what if what != 'all' else 'pictures'} to draw")
    check_place(path, force=force)
    with style(**{"svg.fonttype": "path"}):
        save(_sheet(found), path, force=force)


def save(figure: Any, path: Path, *, force: bool = False) -> None:
    """Write a figure into a file, by its ending, one of ``ENDINGS``; see ``write_file``.

    Raises:
        ValueError: a place that is not to be written, or cannot be.
    """
    page, metadata = io.BytesIO(), {".svg": {"Date": None}, ".pdf": {"CreationDate": None}, ".png": None}[path.suffix]
    figure.savefig(page, format=path.suffix[1:], metadata=metadata, dpi=DPI)
    write_file(path, page.getvalue(), force=force)


def svg(panel: Panel, name: str, label: str) -> str:
    """A panel as an SVG element for a page: no namespaces, no fonts, the main colours by the page's style sheet.

    Args:
        panel: what to draw.
        name: stands in front of every identifier, so that pictures of one page do not clash.
        label: what the picture shows, for those who cannot see it.
    """
    page = io.StringIO()
    with style(**{"svg.fonttype": "none"}):
        figure = _figure(panel.whole)
        _place(figure, panel, (0.0, 0.0))
        figure.savefig(page, format="svg", transparent=True, metadata={"Date": None})
    return _embedded(page.getvalue(), name, label, panel.whole)


@contextmanager
def style(**more: Any) -> Iterator[None]:
    """Matplotlib without the user's settings and without markup in texts."""
    import matplotlib.style

    with matplotlib.style.context(["default", {**STYLE, **more}]), warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Glyph .* missing from", UserWarning)  # labels in any script
        yield


def _figure(size: tuple[float, float]) -> Any:
    from matplotlib.figure import Figure

    return Figure(figsize=size)


def _place(figure: Any, panel: Panel, corner: tuple[float, float]) -> None:
    """Paint a panel with its lower left corner, margins included, at ``corner``, in inches."""
    wide, tall = figure.get_size_inches()
    left, below, _, _ = panel.margin
    box = ((corner[0] + left) / wide, (corner[1] + below) / tall, panel.size[0] / wide, panel.size[1] / tall)
    ax = figure.add_axes(box)
    panel.paint(ax)
    if panel.title:
        ax.set_title(shortened(panel.title, 44))


def _sheet(found: list[Picture]) -> Any:
    """All pictures on one sheet, one below the other, legends at their right."""
    sizes = [_extent(picture) for picture in found]
    wide = max(size[0] for size in sizes) + 2 * EDGE
    tall = sum(size[1] + TITLE for size in sizes) + 2 * EDGE
    figure = _figure((wide, tall))
    top = tall - EDGE
    for picture, (across, down) in zip(found, sizes, strict=True):
        figure.text(EDGE / wide, (top - 0.22) / tall, picture.title, fontsize=12, fontweight="bold")
        figure.text(EDGE / wide, (top - 0.44) / tall, _note(picture, wide), fontsize=8, alpha=0.8)
        top -= TITLE
        width, height = picture.panels[0].whole
        for at, panel in enumerate(picture.panels):
            row, column = divmod(at, COLUMNS)
            _place(figure, panel, (EDGE + column * width, top - (row + 1) * height))
        if picture.legend:
            _legend(figure, picture, (EDGE + across - LEGEND, top))
        top -= down
    return figure


def _note(picture: Picture, wide: float) -> str:
    """The note, where the sheet is wide enough for it on one line."""
    return picture.note if len(picture.note) * 0.062 < wide - EDGE else picture.note.split(". ")[0].rstrip(".") + "."


def _extent(picture: Picture) -> tuple[float, float]:
    """Inches of a picture's panels and legend."""
    width, height = picture.panels[0].whole
    n = len(picture.panels)
    across = min(n, COLUMNS) * width + (LEGEND if picture.legend else 0.0)
    return max(across, 6.5), -(-n // COLUMNS) * height


def _legend(figure: Any, picture: Picture, corner: tuple[float, float]) -> None:
    from matplotlib.lines import Line2D

    wide, tall = figure.get_size_inches()
    lines = [Line2D([], [], color=entry.colour, linestyle=entry.dash, linewidth=1.6) for entry in picture.legend]
    place = ((corner[0] + 0.1) / wide, (corner[1] - 0.15) / tall)
    names = [str(at) for at in range(len(lines))]
    legend = figure.legend(lines, names, loc="upper left", bbox_to_anchor=place, frameon=False, handlelength=3.2)
    for text, entry in zip(legend.get_texts(), picture.legend, strict=True):
        text.set_text(shortened(entry.label, LABEL))  # afterwards: a name that begins with _ would be left out


def _embedded(text: str, name: str, label: str, size: tuple[float, float]) -> str:
    root = ElementTree.fromstring(text)
    for parent in list(root.iter()):
        parent.tag = parent.tag.rpartition("}")[2]
        for child in [each for each in parent if each.tag.rpartition("}")[2] in ("metadata", "style")]:
            parent.remove(child)
    used = {ref for each in root.iter() for value in each.attrib.values() for ref in _references(value)}
    for each in root.iter():
        found = {key.rpartition("}")[2]: _attribute(key, value, name, used) for key, value in each.attrib.items()}
        each.attrib.clear()
        each.attrib.update({key: value for key, value in found.items() if value})
    view = root.attrib["viewBox"]
    root.attrib.clear()
    root.attrib.update({"class": "plot", "role": "img", "aria-label": label, "viewBox": view})
    root.attrib["style"] = f"--wide: {96 * size[0]:.0f}px"
    return ElementTree.tostring(root, encoding="unicode")


def _references(value: str) -> list[str]:
    return [value[1:]] if value.startswith("#") else _REFERENCE.findall(value)


def _attribute(key: str, value: str, name: str, used: set[str]) -> str:
    """An attribute as the page needs it; an empty one is left out."""
    if key == "id":
        return f"{name}-{value}" if value in used else ""
    if key.endswith("href"):
        return f"#{name}-{value[1:]}"
    value = _REFERENCE.sub(rf"url(#{name}-\1)", value)
    if key == "style":
        value = _FONT.sub("", value).replace(INK, "currentColor")
        for at, colour in enumerate(COLOURS):
            value = value.replace(colour, f"var(--c{at})")
    return _LONG.sub(lambda match: f"{float(match[0]):.1f}", value) if key == "d" else value
