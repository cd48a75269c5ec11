"""``engram report``: stored runs in one table, or the report of a recall benchmark or a tournament."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from simulator import console
from simulator.commands.command import Command, CommandResult, Options, ParsedArgs, lab_of, refuse_unused
from simulator.core.files.escaping import visible

FORMS = ("table", "csv", "latex", "json")  # forms for other programs; the last one is every command's


def act(args: ParsedArgs) -> CommandResult:
    """Report what is named."""
    from simulator.commands import recall as recall_command
    from simulator.commands.show import is_tournament
    from simulator.reporting import runs

    options = args.options
    lab = lab_of(options)
    if len(args.names) == 1 and is_tournament(args.names[0], lab):
        refuse_unused(args, "report", "a tournament", ("table", "csv", "latex", "html", "picture", "force"))
        return _report_tournament(args.names[0], _form(options), options)
    if len(args.names) == 1 and recall_command.is_benchmark(args.names[0], lab):
        files = ("picture", "force") if options.picture else ("picture",)
        refuse_unused(args, "report", "a recall benchmark", ("table", "csv", *files))
        return _report_recall(args.names[0], _form(options), options)
    refuse_unused(args, "report", "runs", ("table", "csv", "agent", "env"))
    data = runs.gather(args.names, lab, options.agent, options.env)
    forms = {"table": runs.show_markdown, "csv": runs.show_csv}
    return CommandResult(data, forms.get(_form(options), runs.show))


def _form(options: Options) -> str:
    """The one form in which a report is printed for other programs; empty: for people.

    Raises:
        ValueError: several were asked for.
    """
    asked = [flag for flag in FORMS if getattr(options, flag)]
    if len(asked) > 1:
        raise ValueError(f"{' '.join(f'--{flag}' for flag in asked)}: expected one form at a time")
    return asked[0] if asked else ""


def _report_recall(name: str, form: str, options: Options) -> CommandResult:
    """Report a recall benchmark: a table in one form, and a picture."""
    from simulator.commands import recall as recall_command
    from simulator.reporting import recall

    found = recall_command.stored(name, lab_of(options))
    if options.picture:
        from simulator.reporting.recall_figures import draw

        draw(found, Path(options.picture), force=options.force)
        found = {**found, "picture": options.picture}

    def show(summary: Any) -> None:
        if form:
            {"table": recall.show_markdown, "csv": recall.show_csv}[form](summary)
        elif not options.picture:
            recall.show(summary)
        _print_written([options.picture], aside=bool(form))

    return CommandResult(found, show)


def _report_tournament(name: str, form: str, options: Options) -> CommandResult:
    """Report a tournament: a table in one form, pictures, and a page."""
    from simulator.commands import tournament as tournament_command
    from simulator.core.files.writing import check_place
    from simulator.reporting import figures, html_page, tournament

    found = tournament_command.stored(name, lab_of(options))
    shown = tournament.show if options.html or not options.picture else None
    forms = {"table": tournament.show_markdown, "csv": tournament.show_csv}
    forms["latex"] = tournament.show_latex
    html = options.html or ("" if form or options.picture else f"{found['tournament']}.html")
    if options.force and not (html or options.picture):
        raise ValueError("--force: nothing is written, expected --html or --picture beside it")
    if html and options.picture and os.path.realpath(html) == os.path.realpath(options.picture):
        raise ValueError(f"--html {html} --picture {options.picture}: expected two files")
    if html:
        check_place(Path(html), force=options.force)
    if options.picture:
        figures.draw(found, Path(options.picture), force=options.force)
    if html:
        html_page.write_page(found, Path(html), force=options.force)

    def show(summary: Any) -> None:
        show_form = forms.get(form, shown)
        if show_form:
            show_form(summary)
        _print_written([html, options.picture], aside=bool(form))

    return CommandResult(found, show)


def _print_written(paths: Sequence[str], *, aside: bool) -> None:
    """Say which files are written; ``aside``: stdout is for the table."""
    for path in filter(None, paths):
        (console.print_status if aside else console.print_result)(visible(f"{path} is written"))


COMMAND = Command(act, (0, 10_000), ("table", "csv", "latex", "html", "picture", "force", "agent", "env"))
