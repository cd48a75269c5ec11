"""The commands. Thin: read the words, call the host, hand snapshots to views and answers to tables.

Exit codes: 0 done, 1 failed, 2 wrong usage or bad input (one line, never a traceback unless ``ENGRAM_DEBUG=1``), 129,
130 and 143 interrupted by SIGHUP, SIGINT and SIGTERM, after a checkpoint was written.
"""

from __future__ import annotations

import errno
import os
import signal
import sys
from collections.abc import Sequence
from importlib import import_module
from pathlib import Path
from typing import Any

from simulator import console
from simulator.commands import catalog
from simulator.commands.command import Command, CommandResult, Options, dispatch, layers, refuse_unused
from simulator.commands.parser import ParsedArgs
from simulator.config.recall import arena_settings
from simulator.config.run import assemble, run_settings
from simulator.core.files.escaping import LONGEST, checked_name, shortened, visible
from simulator.core.files.reading import readable_reason
from simulator.core.stopping import Stopped

_LONGEST_LINE = 2000  # characters of what is said of an error, whatever it repeats of what was given


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line and return the exit code."""
    words = list(sys.argv[1:] if argv is None else argv)
    try:
        code = dispatch(COMMANDS, words)
        sys.stdout.flush()
        return code
    except BrokenPipeError:  # engram list | head -1
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    except Stopped as stopped:
        console.print_status(f"engram: {signal.Signals(stopped.number).name} before anything was played")
        return 128 + stopped.number
    except KeyboardInterrupt:
        console.print_status("engram: interrupted")
        return 130
    except Exception as error:
        if os.environ.get("ENGRAM_DEBUG"):
            raise
        console.print_status(f"engram: {shortened(_line(error), _LONGEST_LINE)}")
        return 2 if isinstance(error, ValueError) or _is_no_path(error) else 1


def _line(error: Exception) -> str:
    """What went wrong, in one line."""
    text = readable_reason(error)
    ours = type(error).__module__.startswith("simulator.")
    if text and (ours or isinstance(error, ValueError) or type(error) is RuntimeError):
        return text
    if isinstance(error, OSError) and error.strerror:
        expected = ", expected another path" if _is_no_path(error) else ""
        return f"{shortened(str(error.filename or 'the system'), LONGEST)}: {error.strerror}{expected}"
    return f"{type(error).__name__}: {text} (ENGRAM_DEBUG=1 shows where)"


def _is_no_path(error: Exception) -> bool:
    """Whether no file can have the name that was given: one that is too long, or of a link that leads to itself."""
    return isinstance(error, OSError) and error.errno in (errno.ENAMETOOLONG, errno.ELOOP)


def _run(given: ParsedArgs, options: Options) -> CommandResult:
    if len(given.names) < 2 and not (options.config or options.preset):
        raise ValueError("expected engram run AGENT ENV, or --config FILE, or --preset NAME (engram run --help)")
    config = assemble(layers(given))
    from simulator.commands import run

    data, code = run.begin(config, _lab(options), lambda: _view(options), options.label)
    return CommandResult(data, run.show_summary, code)


def _recall(given: ParsedArgs, options: Options) -> CommandResult:
    from simulator.commands import recall as recalling
    from simulator.reporting import recall

    config = recalling.settings_of(given)
    data, code = recalling.begin(config, _lab(options), lambda: _view(options, "arena"), options.label)
    return CommandResult(data, recall.show, code)


def _tournament(given: ParsedArgs, options: Options) -> CommandResult:
    from simulator.commands import tournament as hosting
    from simulator.reporting import tournament

    if options.init:
        if given.files or given.own:
            raise ValueError("--init: writes an example as it is, expected no settings beside it")
        refuse_unused(given, "tournament", "--init", ("init", "force"))
        return CommandResult(
            hosting.init(given.names, options.force),
            lambda data: console.print_result(visible(f"{data['file']} is written")),
        )
    if options.force:
        raise ValueError("--force: nothing is replaced, expected --init beside it")
    config = hosting.settings_of(given)
    data, code = hosting.begin(config, _lab(options), lambda: _view(options, "tournament"), options)
    return CommandResult(data, tournament.show, code)


def _resume(given: ParsedArgs, options: Options) -> CommandResult:
    from simulator.commands import recall as recalling
    from simulator.commands import run
    from simulator.commands import tournament as hosting
    from simulator.reporting import tournament

    name, lab = given.names[0], _lab(options)
    if catalog.is_tournament(name, lab):
        data, code = hosting.resume(name, lab, lambda: _view(options, "tournament"), options)
        return CommandResult(data, tournament.show, code)
    refuse_unused(given, "resume", "a run", ("view",))
    if recalling.is_contest(name, lab):
        from simulator.reporting import recall

        data, code = recalling.resume(name, lab, lambda: _view(options, "arena"))
        return CommandResult(data, recall.show, code)
    data, code = run.resume(name, lab, lambda: _view(options))
    return CommandResult(data, run.show_summary, code)


def _repro(given: ParsedArgs, options: Options) -> CommandResult:
    from simulator.commands import reproduce

    if not catalog.is_tournament(given.names[0], _lab(options)):
        refuse_unused(given, "repro", "a run", ())
    data = reproduce.again(given.names[0], _lab(options), options.workers)
    return CommandResult(data, reproduce.show, 0 if data["identical"] else 1)


def _list(given: ParsedArgs, options: Options) -> CommandResult:
    kind = given.names[0] if given.names else None
    return CommandResult(catalog.listing(kind, _lab(options)), catalog.show_listing)


def _show(given: ParsedArgs, options: Options) -> CommandResult:
    found = catalog.entry(given.names[0], _lab(options))
    if "players" in found:
        return CommandResult(found, catalog.show_entry)
    from simulator.commands import run
    from simulator.machine import made_with
    from simulator.reporting import recall, tournament

    def show(summary: Any) -> None:
        forms = {"tournament": tournament.show, "challenge": recall.show}
        next((forms[key] for key in forms if key in summary), run.show_summary)(summary)
        for line in ("", *made_with(summary)):
            console.print_result(visible(line))
        console.print_result(f"\n{summary['settings'].rstrip()}")
        for line in summary["settings_notes"]:
            console.print_result(visible(line))

    return CommandResult(found, show)


def _solve(given: ParsedArgs, options: Options) -> CommandResult:
    from simulator.commands import solve

    if "horizon" in given.options and options.criterion != "finite":
        raise ValueError(f"--horizon: not with --criterion {options.criterion}, expected --criterion finite")
    if "gamma" in given.options and options.criterion == "average":
        raise ValueError("--gamma: not with --criterion average, which discounts nothing")
    name = given.names[0]
    env = solve.make_env(name, given.own.get("env", {}))
    usual = 1.0 if options.criterion == "finite" else env.spec.gamma
    gamma = usual if options.gamma is None else options.gamma
    data = solve.answer(name, env, options.criterion, gamma, options.horizon)

    def show(solved: Any) -> None:
        solve.show(env, solved)
        solve.draw(solve.picture(env, solved))

    return CommandResult(data, show)


def _report(given: ParsedArgs, options: Options) -> CommandResult:
    from simulator.commands import recall as recalling
    from simulator.commands import tournament_listing
    from simulator.reporting import report, runs

    lab = _lab(options)
    single = given.names[0] if len(given.names) == 1 else ""
    kind = report.RUNS
    if single and catalog.is_tournament(single, lab):
        kind = report.TOURNAMENT
    elif single and recalling.is_contest(single, lab):
        kind = report.RECALL
    files = ("force",) if options.picture else ()
    refuse_unused(given, "report", kind, (*report.OPTIONS[kind], *files))
    form = _form(options)
    if kind == report.TOURNAMENT:
        found = tournament_listing.stored(single, lab)
    elif kind == report.RECALL:
        found = recalling.stored(single, lab)
    else:
        found = runs.gather(given.names, lab, options.agent, options.env, with_curves=bool(options.picture))
    data, show = report.report(kind, found, form, options.html, options.picture, force=options.force)
    return CommandResult(data, show)


def _form(options: Options) -> str:
    """The one form in which a report is printed for other programs; empty: for people.

    Raises:
        ValueError: several were asked for.
    """
    asked = [flag for flag in FORMS if getattr(options, flag)]
    if len(asked) > 1:
        raise ValueError(f"{' '.join(f'--{flag}' for flag in asked)}: expected one form at a time")
    return asked[0] if asked else ""


def _demo(given: ParsedArgs, options: Options) -> CommandResult:
    from simulator.commands import demo, run, solve

    run.announce_compiling()
    played = demo.play(_lab(options))
    return CommandResult(played.data, lambda data: demo.show(data, played.picture, solve.draw))


def _doctor(given: ParsedArgs, options: Options) -> CommandResult:
    from simulator.commands import doctor

    data = doctor.examine(_lab(options), options.deep, options.fix)
    return CommandResult(data, doctor.show, 0 if data["ok"] else 1)


def _repair(given: ParsedArgs, options: Options) -> CommandResult:
    from simulator.store import repair

    if not options.output:
        raise ValueError("-o is missing: expected engram repair LAB -o NEWLAB")
    return CommandResult(repair.repair(given.names[0], options.output), repair.show)


def _bench(given: ParsedArgs, options: Options) -> CommandResult:
    from simulator.commands import bench

    return CommandResult(bench.measure(given.names[0] if given.names else None, options.json), bench.show)


def _lab(options: Options) -> str:
    from simulator.store.lab import check_can_be_lab

    named = os.environ.get("ENGRAM_LAB")
    lab = options.lab or (checked_name(named, "ENGRAM_LAB", most=4096) if named else "lab")
    check_can_be_lab(Path(lab))
    return lab


def _view(options: Options, of: str = "run") -> Any:
    if options.view == "none":
        return None
    if of == "tournament":
        from simulator.views.tournament import Leaderboard

        return Leaderboard()
    if of == "arena":
        from simulator.views.recall import ArenaTerminal

        return ArenaTerminal()
    from simulator.views.run import Terminal

    return Terminal()


def _of(module: str, name: str) -> Any:
    """A function of another module of simulator, imported when it is called."""
    return lambda *given: getattr(import_module(f"simulator.{module}"), name)(*given)


_KINDS = "|".join(catalog.SHOWN)
FORMS = ("table", "csv", "latex", "json")  # of what a report prints; the last one is every command's
ENTRIES = ("agents", "envs", "memories", "challenges", "players", "games")
COMMANDS = {
    "demo": Command("engram demo", "the main job in half a minute: agents in rooms, beside the optimum", _demo),
    "run": Command(
        "engram run AGENT ENV",
        "train an agent in an environment, over many seeds",
        _run,
        (0, 2),
        ("config", "preset", "label", "view"),
        ("agent", "env"),
        own=run_settings,
    ),
    "recall": Command(
        "engram recall MEMORY ... CHALLENGE",
        "let memories recall the same corrupted patterns, over many seeds",
        _recall,
        (0, 10_000),
        ("config", "label", "view", "all", "presets"),
        ("memory", "challenge"),
        own=arena_settings,
        read=_of("commands.recall", "read"),
        sit=_of("commands.recall", "players"),
    ),
    "tournament": Command(
        "engram tournament [FILE.toml]",
        "who is better, and how sure is that: contestants meet challenges over many seeds",
        _tournament,
        (0, 1),
        ("preset", "label", "view", "workers", "trust_files", "init", "force", "retry", *ENTRIES),
        own=_of("config.tournament", "tournament_settings"),
        read=_of("commands.tournament", "read"),
    ),
    "resume": Command(
        "engram resume RUN|TOURNAMENT|latest",
        "go on with what was interrupted",
        _resume,
        (1, 1),
        ("view", "workers", "trust_files", "retry"),
    ),
    "list": Command("engram list [KIND]", f"names of a kind: {_KINDS}", _list, (0, 1)),
    "show": Command("engram show NAME", "a player with its settings, or a run with its result", _show, (1, 1)),
    "solve": Command(
        "engram solve ENV",
        "the exact optimum of a finite environment",
        _solve,
        (1, 1),
        ("gamma", "criterion", "horizon"),
        ("env",),
    ),
    "report": Command(
        "engram report RUN|TOURNAMENT ...",
        "compare stored runs in one table, or report a recall benchmark or a tournament",
        _report,
        (0, 10_000),
        ("table", "csv", "latex", "html", "picture", "force", "agent", "env"),
    ),
    "repro": Command(
        "engram repro RUN|TOURNAMENT",
        "play it again and compare every number",
        _repro,
        (1, 1),
        ("workers", "trust_files"),
    ),
    "repair": Command(
        "engram repair LAB -o NEWLAB", "put what is whole of a damaged lab into a new one", _repair, (1, 1), ("output",)
    ),
    "bench": Command("engram bench [NAME]", "measure speed beside the peers, from a checkout", _bench, (0, 1)),
    "doctor": Command(
        "engram doctor", "what is installed here, and whether it works", _doctor, (0, 0), ("deep", "fix")
    ),
}
