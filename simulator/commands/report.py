"""``engram report``: stored runs in one table, or the report of a recall benchmark or a tournament."""

from __future__ import annotations

from simulator.commands.command import Command, CommandResult, Options, ParsedArgs, lab_of, refuse_unused

FORMS = ("table", "csv", "latex", "json")  # forms for other programs; the last one is every command's


def act(args: ParsedArgs) -> CommandResult:
    """Report what is named."""
    from simulator.commands import recall as recall_command
    from simulator.commands import tournament as tournament_command
    from simulator.commands.show import is_tournament
    from simulator.reporting import report, runs

    options = args.options
    lab = lab_of(options)
    single = args.names[0] if len(args.names) == 1 else ""
    kind = report.RUNS
    if single and is_tournament(single, lab):
        kind = report.TOURNAMENT
    elif single and recall_command.is_benchmark(single, lab):
        kind = report.RECALL
    files = ("force",) if options.picture else ()
    refuse_unused(args, "report", kind, (*report.OPTIONS[kind], *files))
    form = _form(options)
    if kind == report.TOURNAMENT:
        stored_report = tournament_command.stored(single, lab)
    elif kind == report.RECALL:
        stored_report = recall_command.stored(single, lab)
    else:
        stored_report = runs.gather(args.names, lab, options.agent, options.env, with_curves=bool(options.picture))
    data, show = report.report(kind, stored_report, form, options.html, options.picture, force=options.force)
    return CommandResult(data, show)


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
    ("table", "csv", "latex", "html", "picture", "force", "agent", "env"),
    examples=(
        "report latest",
        "report r1 r2 --table",
        "report --agent q_learning --csv",
        "report latest --picture curves.svg",
    ),
)
