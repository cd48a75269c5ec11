"""Pictures of stored experiments in one file: which there are, which are left out, and why."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from simulator.core.experiment_kinds import PREDICT, RECALL, RUN, TOURNAMENT, TUNE
from simulator.core.files.escaping import one_line
from simulator.reporting import curve_figures, predict_figures, recall_figures, tournament_figures, tune_figures
from simulator.reporting.figures import Picture, check_ending, save_pictures, sheet
from simulator.reporting.report import name_of
from simulator.reporting.runs import CURVES
from simulator.reporting.tournament import readable

KINDS = {  # kind of experiment -> kinds of pictures
    RUN: curve_figures.KINDS,
    RECALL: recall_figures.KINDS,
    PREDICT: predict_figures.KINDS,
    TOURNAMENT: tournament_figures.KINDS,
    TUNE: tune_figures.KINDS,
}
NAMES = tuple(dict.fromkeys(name for kinds in KINDS.values() for name in kinds))
DEFAULT = {
    RUN: ("curves",),
    RECALL: recall_figures.AXES,
    PREDICT: ("scores",),
    TOURNAMENT: tournament_figures.DEFAULT,
    TUNE: tune_figures.KINDS,
}
MISSING = {
    "corruption": "no load met one kind of corruption in several amounts",
    "load": "no corruption met several numbers of patterns",
    "scores": "nothing has a score",
    "confusion": "the task has no classes",
    "roc": "the task has no classes",
    "retrieval": "the challenge's patterns are not looked up",
    "plane": "no memory has codes of two units",
    "capacity": "no Hopfield network by Hebb's rule was measured on random_bits with several numbers of patterns",
    "curves": "nothing was evaluated while it learned",
    "training": "no episode of training has ended",
    "tiers": "fewer than two contestants have a strength",
    "profiles": "there are no normalised scores",
    "pairs": "there are not two contestants to compare",
    "solved": "no challenge has a threshold",
    "trials": "no trial has a value",
    "settings": "no trial has a value",
}


class Drawing(NamedTuple):
    """Pictures of experiments, and what there is no picture of."""

    pictures: list[Picture]
    left_out: list[str]  # a line each, with the reason


def drawing_of(
    kind: str, data: Mapping[str, Any], what: Sequence[str] = (), x: str = "steps", smooth: int = 1
) -> Drawing:
    """Make the pictures of stored experiments.

    Args:
        kind: ``RUN``, ``RECALL``, ``PREDICT``, ``TOURNAMENT`` or ``TUNE``.
        data: their JSON object.
        what: kinds of pictures; none: those that such experiments have by default; of a recall benchmark without any
            curve, the scores.
        x: axis of the curves of runs, "steps" or "seconds".
        smooth: points of a learning curve that were averaged, for the notes.

    Raises:
        ValueError: a kind of picture that such experiments never have.
    """
    if unknown := [name for name in what if name not in KINDS[kind]]:
        raise ValueError(f"--what {unknown[0]}: not for {name_of(kind)}, expected all, {', '.join(KINDS[kind])}")
    wanted = tuple(what) or DEFAULT[kind]
    if kind == RUN:
        return _runs(data["runs"], wanted, x, smooth)
    if kind == TOURNAMENT:
        data = readable(data)
        return _by_kind(data["tournament"], wanted, lambda name: tournament_figures.pictures_of(data, name))
    if kind == TUNE:
        return _by_kind(data["tune"], wanted, lambda name: tune_figures.pictures_of(data, name))
    if kind == PREDICT:
        return _by_kind(data["run"], wanted, lambda name: predict_figures.pictures_of(data, name))
    if not what and not any(recall_figures.curves_of(data["cells"], name) for name in recall_figures.AXES):
        wanted = ("scores",)
    if not what and any(cell.get("retrieval") for cell in data["cells"]):
        wanted = (*wanted, "retrieval")
    drawing = _by_kind(data["run"], wanted, lambda name: recall_figures.pictures_of(data, name))
    return drawing._replace(left_out=[*drawing.left_out, *_without_recall(data)])


def _by_kind(name: str, wanted: Sequence[str], pictures_of: Callable[[str], list[Picture]]) -> Drawing:
    pictures = []
    left_out = []
    for kind in wanted:
        of_kind = pictures_of(kind)
        pictures += of_kind
        if not of_kind:
            left_out.append(f"{name}: no picture of {kind}: {MISSING[kind]}")
    return Drawing(pictures, left_out)


def _runs(runs: Sequence[Mapping[str, Any]], wanted: Sequence[str], x: str, smooth: int) -> Drawing:
    pictures = []
    left_out = []
    for kind in wanted:
        pictures += curve_figures.pictures_of_runs(runs, kind, x, smooth)
        for run in runs:
            curve = run[CURVES[kind]]
            if not curve_figures.has_points(curve):
                reason = MISSING[kind] if curve else "no time of its training is stored"
                left_out.append(f"{run['run']}: no picture of {kind}: {reason}")
            elif n_missing := curve["iqm"].count(None):
                what = "evaluations" if kind == "curves" else "parts of training"
                reason = "no seed has a score there"
                left_out.append(f"{run['run']}: {n_missing} of {len(curve['iqm'])} {what} are not drawn: {reason}")
    return Drawing(pictures, left_out)


def _without_recall(summary: Mapping[str, Any]) -> list[str]:
    """Name the memories that have no score in any cell."""
    seen = {cell["memory"] for cell in summary["cells"] if cell["overlap"]}
    return [
        f"{summary['run']}: no curve of {one_line(name)}: it has no score"
        for name in summary["contestants"]
        if name not in seen
    ]


def draw(drawing: Drawing, path: Path, *, force: bool = False) -> None:
    """Write the pictures into one file, by its ending.

    Args:
        drawing: of one experiment or of several.
        path: ends in one of ``ENDINGS``.
        force: replace a file that Engram did not write.

    Raises:
        ValueError: another ending, nothing to draw, or a place that is not to be written or cannot be; one line.
    """
    check_ending(path)
    save_pictures(pictures_in(drawing), path, force=force)


def figure_of(drawing: Drawing) -> Any:
    """Return the pictures as one figure of matplotlib.

    Raises:
        ValueError: nothing to draw; one line.
    """
    return sheet(pictures_in(drawing))


def pictures_in(drawing: Drawing) -> list[Picture]:
    """Return the pictures.

    Raises:
        ValueError: there are none; one line that says why.
    """
    if not drawing.pictures:
        raise ValueError("; ".join(drawing.left_out[:3]) or "there is nothing to draw")
    return drawing.pictures
