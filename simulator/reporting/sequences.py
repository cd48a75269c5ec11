"""Tables and pictures of sequences that cells learned without an agent."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from simulator import console
from simulator.reporting.figures import COLOURS, DASHES, Ax, LegendEntry, Margin, Panel, Picture, axes_size

_MARGIN = Margin(0.75, 0.55, 0.15, 0.35)  # inches
_SHOWN = 6  # distances of a table of gradients
_DASHES: dict[str, Any] = {"orthogonal": "-", "uniform": (0, (4, 2)), "chrono": (0, (1, 1.3))}
_GREY = COLOURS[-1]
_MARKS = 10  # of an exact curve
_SMALLEST_DRAWN = 1e-12


def show(data: Mapping[str, Any]) -> None:
    """Print the table of a study, and below it what it says."""
    if "gradients" in data:
        _show_gradients(data)
    elif "fails_at" in data:
        _show_symbols(data)
    else:
        _show_forecasts(data)


def _interval(value: Mapping[str, Any]) -> str:
    return console.interval(value["mean"], value["low"], value["high"])


def _show_symbols(data: Mapping[str, Any]) -> None:
    lengths = list(dict.fromkeys(row["length"] for row in data["rows"]))
    cells = {(row["cell"], row["length"]): _interval(row["right"]) for row in data["rows"]}
    title = (
        f"{data['sequence']}: share of right answers by length, {len(data['seeds'])} seeds, mean [95 % CI]; "
        f"best 1, chance {console.format_cell(data['chance'])}"
    )
    rows = [
        [label, *(cells[label, length] for length in lengths), data["fails_at"][label] or "none"]
        for label in data["cells"]
    ]
    console.print_table(title, ("cell", *map(str, lengths), "fails at"), rows)


def _show_forecasts(data: Mapping[str, Any]) -> None:
    title = f"{data['series']}: next value of {data['n_values']:,}, {len(data['seeds'])} seeds, mean [95 % CI]"
    if data["optimal_mse"] is not None:
        title += f"; exact optimum of the error {console.format_cell(data['optimal_mse'])}"
    rows = [[row["method"], _interval(row["mse"]), _interval(row["skill"])] for row in data["rows"]]
    console.print_table(title, ("method", "mean squared error", "skill over persistence"), rows)
    for label, beats in data["beats_ar"].items():
        console.print_result(f"{label} {_BEATS[beats]} AR(p)")


_BEATS = {True: "is better than", False: "does not beat", None: "has one seed and no interval to compare it with"}


def _show_gradients(data: Mapping[str, Any]) -> None:
    last = int(data["gradients"][0]["distance"][-1])
    at = sorted({round(last * k / (_SHOWN - 1)) for k in range(_SHOWN)})
    rows = []
    for row in data["gradients"]:
        rows.append([row["cell"], row["init"], *(f"{row['norm'][t]:.2g}" for t in at)])
        if "exact" in row:
            rows.append([row["cell"], "exact", *(f"{row['exact'][t]:.2g}" for t in at)])
    title = f"size of dh_T/dh_t by T - t, untrained, {len(data['seeds'])} seeds, geometric mean"
    console.print_table(title, ("cell", "init", *map(str, at)), rows)


def pictures_of(data: Mapping[str, Any]) -> list[Picture]:
    """Return the picture of a study: gradients by distance, right answers by length, or skill by method."""
    colours = {label: COLOURS[k % len(COLOURS)] for k, label in enumerate(data["cells"])}
    dashes = {label: DASHES[k // len(COLOURS) % len(DASHES)] for k, label in enumerate(data["cells"])}
    legend = [LegendEntry(label, colour, dashes[label]) for label, colour in colours.items()]
    note = f"{len(data['seeds'])} seeds"
    if "gradients" in data:
        return [_gradient_picture(data, colours, note)]
    if "fails_at" in data:
        title = f"{data['sequence']}: right answers by length"
        return [_picture(title, note, legend, lambda ax: _paint_symbols(ax, data, legend))]
    return [_picture(f"{data['series']}: skill over persistence", note, [], lambda ax: _paint_skill(ax, data["rows"]))]


def _picture(title: str, note: str, legend: list[LegendEntry], paint: Callable[[Ax], None]) -> Picture:
    return Picture("sequences", title, note, [Panel("", axes_size(1), _MARGIN, paint)], legend)


def _gradient_picture(data: Mapping[str, Any], colours: Mapping[str, str], note: str) -> Picture:
    """Draw a curve for each cell and initialisation; the linear cell in grey, with dots where it is known."""
    entries = []
    linear = 0
    for row in data["gradients"]:
        if "exact" in row:
            entries.append(LegendEntry(f"{row['cell']}, {row['init']}", _GREY, DASHES[linear]))
            linear += 1
        else:
            entries.append(LegendEntry(f"{row['cell']}, {row['init']}", colours[row["cell"]], _DASHES[row["init"]]))

    def paint(ax: Ax) -> None:
        for row, entry in zip(data["gradients"], entries, strict=True):
            ax.plot(row["distance"], row["norm"], color=entry.colour, linestyle=entry.dash)
            if "exact" in row:
                every = max(1, len(row["exact"]) // _MARKS)
                ax.plot(row["distance"][::every], row["exact"][::every], "o", color=entry.colour, markersize=3)
        ax.set_yscale("log")
        low, high = ax.get_ylim()
        ax.set_ylim(max(low, _SMALLEST_DRAWN), high)
        ax.yaxis.set_major_formatter(lambda norm, _: f"{norm:g}")
        ax.set_xlabel("T - t")
        ax.set_ylabel("spectral norm of dh_T/dh_t")

    return _picture("Size of dh_T/dh_t, untrained", f"{note}; of an LSTM by h and c; dots: exact", entries, paint)


def _paint_symbols(ax: Ax, data: Mapping[str, Any], legend: Sequence[LegendEntry]) -> None:
    lengths = list(dict.fromkeys(row["length"] for row in data["rows"]))
    for entry in legend:
        found = [row["right"] for row in data["rows"] if row["cell"] == entry.label]
        ax.plot(lengths, [right["mean"] for right in found], "o", color=entry.colour, linestyle=entry.dash)
        for length, right in zip(lengths, found, strict=True):
            if right["low"] is not None:
                ax.plot([length, length], [right["low"], right["high"]], color=entry.colour, linewidth=1.0)
    ax.axhline(data["chance"], color="grey", linestyle=":")
    ax.set_xscale("log")
    ax.set_xticks(lengths, [f"{length:,}" for length in lengths])
    ax.set_xticks([], minor=True)
    ax.set_ylim(0.0, 1.05)
    ax.set_xlabel("rows from a symbol to its answer")
    ax.set_ylabel("share of right answers")


def _paint_skill(ax: Ax, rows: Sequence[Mapping[str, Any]]) -> None:
    for k, row in enumerate(rows):
        skill = row["skill"]
        if skill["low"] is not None:
            ax.plot([k, k], [skill["low"], skill["high"]], color=COLOURS[0])
        ax.plot([k], [skill["mean"]], "o", color=COLOURS[0])
    ax.set_xticks(range(len(rows)), [row["method"] for row in rows])
    ax.axhline(0.0, color="grey", linestyle=":")
    ax.set_ylabel("1 - MSE / MSE of persistence")
