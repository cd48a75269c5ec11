"""``engram report``: stored runs in one table, or the report of a recall benchmark or a tournament."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from simulator.commands import kinds
from simulator.commands.parsing.command import Command, CommandResult, Options, ParsedArgs, lab_of, refuse_unused
from simulator.core.experiment_kinds import RUN, TOURNAMENT

FORMS = ("table", "csv", "latex", "json")  # forms for other programs; the last one is every command's


def act(args: ParsedArgs) -> CommandResult:
    """Report what is named."""
    from simulator.reporting import report
    from simulator.store.cell_store import kind_of

    options = args.options
    lab = lab_of(options)
    kind = RUN if len(args.names) != 1 else kind_of(lab, args.names[0]) or RUN  # of an unknown name it says so
    files = ("force",) if options.picture or options.html else ()
    refuse_unused(args, "report", report.name_of(kind), (*report.OPTIONS[kind], *files))
    form = _form(options)
    if options.rows and form != "csv":
        raise ValueError(f"--rows {options.rows}: expected --csv beside it")
    curves = ("curves",) if options.picture or options.html or options.rows == "curves" else ()
    data = stored(kind, args.names, lab, options, curves=curves, with_settings=bool(options.html), rows=options.rows)
    data, show = report.report(kind, data, form, options.html, options.picture, force=options.force, rows=options.rows)
    return CommandResult(data, show)


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
    if kind == RUN:
        from simulator.reporting import runs

        return runs.gather(
            names, lab, options.agent, options.env, curves=curves, x=x, smooth=smooth, with_settings=with_settings
        )
    if kind == TOURNAMENT:
        from simulator.commands import tournament

        return tournament.stored(names[0], lab, smooth=smooth, with_seeds=rows == "seeds")
    _, record, summary = kinds.find(names[0], lab)
    if with_settings and "settings" not in summary:
        return {**summary, "toml": record.settings, "created": record.created}
    return summary


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
