"""``engram report``: stored runs in one table, or the report of a recall benchmark or a tournament."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from simulator.commands.parsing.command import Command, CommandResult, Options, ParsedArgs, lab_of, refuse_unused

FORMS = ("table", "csv", "latex", "json")  # forms for other programs; the last one is every command's


def act(args: ParsedArgs) -> CommandResult:
    """Report what is named."""
    from simulator.reporting import report

    options = args.options
    lab = lab_of(options)
    kind = kind_of(args.names[0], lab) if len(args.names) == 1 else report.RUNS
    files = ("force",) if options.picture or options.html else ()
    refuse_unused(args, "report", kind, (*report.OPTIONS[kind], *files))
    form = _form(options)
    if options.rows and form != "csv":
        raise ValueError(f"--rows {options.rows}: expected --csv beside it")
    curves = ("curves",) if options.picture or options.html or options.rows == "curves" else ()
    data = stored(kind, args.names, lab, options, curves=curves, with_settings=bool(options.html), rows=options.rows)
    data, show = report.report(kind, data, form, options.html, options.picture, force=options.force, rows=options.rows)
    return CommandResult(data, show)


def kind_of(name: str, lab: str) -> str:
    """Return the kind of a stored experiment, one of those of :mod:`simulator.reporting.report`."""
    from simulator.core import snapshots
    from simulator.reporting import report
    from simulator.store import cell_store

    kinds = {
        snapshots.TOURNAMENT: report.TOURNAMENT,
        snapshots.TUNE: report.TUNE,
        snapshots.RECALL: report.RECALL,
        snapshots.PREDICT: report.PREDICT,
        snapshots.PLAY: report.PLAY,
    }
    return kinds.get(cell_store.kind_of(lab, name), report.RUNS)


def stored(
    kind: str,
    names: Sequence[str],
    lab: str,
    options: Options,
    *,
    curves: Sequence[str] = (),
    x: str = "steps",
    smooth: int = 1,
    with_settings: bool = False,
    rows: str = "",
) -> dict[str, Any]:
    """Return the JSON object of stored experiments.

    Args:
        kind: of these experiments; only training runs may be several.
        names: their ids, or "latest".
        lab: their lab.
        options: with the filters of runs.
        curves: of runs; see :func:`simulator.reporting.runs.gather`, also for the next ones.
        x: likewise.
        smooth: points that each point of a learning curve is the mean of.
        with_settings: with all settings and the time at which each began.
        rows: "seeds": with the final score of each seed of a tournament.
    """
    from simulator.reporting import report
    from simulator.store.lab import existing
    from simulator.store.run_store import Store

    if kind == report.RUNS:
        from simulator.reporting import runs

        return runs.gather(
            names, lab, options.agent, options.env, curves=curves, x=x, smooth=smooth, with_settings=with_settings
        )
    if kind == report.RECALL:
        from simulator.commands import recall

        return recall.stored(names[0], lab, with_settings=with_settings)
    if kind == report.PREDICT:
        from simulator.commands import predict

        return predict.stored(names[0], lab, with_settings=with_settings)
    if kind == report.PLAY:
        from simulator.play import log

        with Store(existing(lab)) as store:
            return log.summary(store, names[0])
    if kind == report.TUNE:
        from simulator.commands import tune

        return tune.stored(names[0], lab)
    from simulator.commands import tournament

    return tournament.stored(names[0], lab, smooth=smooth, with_seeds=rows == "seeds")


def _form(options: Options) -> str:
    """Return the machine-readable format of a report: Markdown, CSV or LaTeX; empty: for people.

    Raises:
        ValueError: several were asked for.
    """
    asked = [flag for flag in FORMS if getattr(options, flag)]
    if len(asked) > 1:
        raise ValueError(f"{' '.join(f'--{flag}' for flag in asked)}: expected one form at a time")
    return asked[0] if asked else ""


COMMAND = Command(
    act,
    (0, 10_000),
    ("table", "csv", "latex", "rows", "html", "picture", "force", "agent", "env"),
    examples=(
        "report latest",
        "report r1 r2 --table",
        "report --agent q_learning --csv",
        "report latest --picture curves.svg",
    ),
)
