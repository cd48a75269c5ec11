"""``engram plot``: pictures of stored runs, recall benchmarks and tournaments in one file."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from simulator import console
from simulator.commands.parsing.command import Command, CommandResult, Options, ParsedArgs, lab_of
from simulator.commands.report import stored
from simulator.core.experiment_kinds import PLAY, PREDICT, RECALL, RUN, TOURNAMENT, TUNE
from simulator.core.files.escaping import visible


def act(args: ParsedArgs) -> CommandResult:
    """Draw what is named."""
    from simulator.core.files.writing import check_place
    from simulator.reporting import plot
    from simulator.reporting.figures import check_ending

    options = args.options
    if not options.output:
        raise ValueError("expected -o FILE, a file that ends in .svg, .png or .pdf (engram plot --help)")
    if not (args.names or options.agent or options.env):
        raise ValueError("expected engram plot RUN|TOURNAMENT ..., or latest, or --agent NAME, or --env NAME")
    path = Path(options.output)
    check_ending(path)
    check_place(path, force=options.force)
    lab = lab_of(options)
    names_of = _by_kind(args.names, lab)
    what = _checked(options, names_of)
    drawings = []
    for kind, names in names_of.items():
        own = [name for name in what if name in plot.KINDS[kind]]
        for group in [names] if kind == RUN else [[name] for name in names]:
            curves = own or list(plot.DEFAULT[kind])
            of_theory = kind == RECALL and "capacity" in own  # which depends on the settings
            data = stored(
                kind, group, lab, options, curves=curves, x=options.x, smooth=options.smooth, with_settings=of_theory
            )
            drawings.append(plot.drawing_of(kind, data, own, options.x, options.smooth))
    pictures = [picture for drawing in drawings for picture in drawing.pictures]
    left_out = [line for drawing in drawings for line in drawing.left_out]
    plot.draw(plot.Drawing(pictures, left_out), path, force=options.force)
    for line in left_out:
        console.print_status(visible(line))
    return CommandResult(
        {
            "file": options.output,
            "pictures": [
                {
                    "kind": picture.kind,
                    "title": picture.title,
                    "panels": [panel.title for panel in picture.panels],
                    "legend": [entry.label for entry in picture.legend],
                }
                for picture in pictures
            ],
            "left_out": left_out,
        },
        show,
    )


def show(data: Mapping[str, Any]) -> None:
    """Say what is written."""
    titles = "; ".join(dict.fromkeys(picture["title"] for picture in data["pictures"]))
    console.print_result(visible(f"{data['file']} is written: {titles}"))


def _by_kind(names: Sequence[str], lab: str) -> dict[str, list[str]]:
    """Sort names by the kind of experiment; without any, runs are selected by the filters."""
    from simulator.store.cell_store import kind_of

    names_of: dict[str, list[str]] = {} if names else {RUN: []}
    for name in dict.fromkeys(names):
        kind = kind_of(lab, name) or RUN  # of an unknown name it is said that there is no such run
        if kind == PLAY:
            raise ValueError(f"{name} is recorded play, which has no picture, expected runs or tournaments")
        names_of.setdefault(kind, []).append(name)
    return names_of


def _checked(options: Options, kinds: Mapping[str, Sequence[str]]) -> list[str]:
    """Return the kinds of pictures that are asked for; none: the default.

    Raises:
        ValueError: an option means nothing for one of these kinds of experiments.
    """
    from simulator.reporting import plot
    from simulator.reporting.report import name_of

    named = " ".join(name for names in kinds.values() for name in names)
    what = [word for word in options.what.split(",") if word]
    known = [name for kind in kinds for name in plot.KINDS[kind]]
    if what == ["all"]:
        what = list(dict.fromkeys(known))
    for kind in kinds:
        if what and not set(what) & set(plot.KINDS[kind]):
            expected = ", ".join(plot.KINDS[kind])
            raise ValueError(f"--what {options.what}: not for {name_of(kind)}, expected all, {expected}")
    if unknown := [name for name in what if name not in known]:
        expected = ", ".join(dict.fromkeys(known))
        raise ValueError(f"--what {unknown[0]}: no such picture of {named}, expected all, {expected}")
    if options.x == "seconds" and TOURNAMENT in kinds:
        raise ValueError("--x seconds: a tournament stores no time of an evaluation, expected --x steps")
    for option, given in (("--x seconds", options.x == "seconds"), ("--smooth", options.smooth > 1)):
        others = (RECALL, PREDICT, TUNE)
        if unfit := next((kind for kind in others if given and kind in kinds), ""):
            raise ValueError(f"{option}: not for {name_of(unfit)}, expected training runs")
    if (options.agent or options.env) and RUN not in kinds:
        raise ValueError("--agent, --env: they select training runs, and none is named")
    return what


COMMAND = Command(
    act,
    (0, 10_000),
    ("output", "what", "x", "smooth", "agent", "env", "force"),
    examples=("plot latest -o curve.svg", "plot r1 r2 -o both.png --smooth 3", "plot t1 -o tiers.pdf --what tiers"),
)
