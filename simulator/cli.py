"""The commands. Thin: read the words, call the host, hand snapshots to views and answers to tables.

Exit codes: 0 done, 1 failed, 2 wrong usage or bad input (one line, never a traceback unless ``ENGRAM_DEBUG=1``), 130
and 143 interrupted, after a checkpoint was written.
"""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Sequence
from importlib import import_module
from typing import Any

from simulator import catalog, tables
from simulator.arena_config import arena_settings
from simulator.arguments import Given, show_help
from simulator.config import assemble, run_settings
from simulator.core import plugins
from simulator.grammar import Answer, Command, Options, layers, options_of, parse, seats


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line and return the exit code."""
    words = list(sys.argv[1:] if argv is None else argv)
    try:
        code = _dispatch(words)
        sys.stdout.flush()
        return code
    except BrokenPipeError:  # engram list | head -1
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    except KeyboardInterrupt:
        tables.say("engram: interrupted")
        return 130
    except Exception as error:
        if os.environ.get("ENGRAM_DEBUG"):
            raise
        tables.say(f"engram: {_line(error)}")
        return 2 if isinstance(error, ValueError) else 1


def _line(error: Exception) -> str:
    """What went wrong, in one line."""
    text = " ".join(str(error).split())
    ours = type(error).__module__.startswith("simulator.")
    if text and (ours or isinstance(error, ValueError) or type(error) is RuntimeError):
        return text
    if isinstance(error, OSError) and error.strerror:
        return f"{error.filename or 'the system'}: {error.strerror}"
    return f"{type(error).__name__}: {text} (ENGRAM_DEBUG=1 shows where)"


def _dispatch(words: list[str]) -> int:
    if not words or words[0] in ("--help", "-h", "help"):
        return _overview()
    if words[0] == "--version":
        from importlib.metadata import version

        tables.tell(f"engram {version('engram-rl')}")
        return 0
    command = COMMANDS.get(words[0])
    if command is None:
        raise ValueError(plugins.unknown("command", words[0], COMMANDS, "engram --help"))
    helps = [word for word in words if word in ("--help", "-h")]
    given = parse(command, [word for word in words[1:] if word not in helps])
    if helps:
        return _help(command, given)
    low, high = command.names
    if not low <= len(given.names) <= high:
        got = " ".join(given.names)[:60] or "nothing"
        raise ValueError(f"expected {command.usage}, got {got!r} (engram {words[0]} --help)")
    options = options_of(given)
    with contextlib.redirect_stdout(sys.stderr) if options.json else contextlib.nullcontext():
        answer = command.act(given, options)
    if answer.data is not None:
        print(tables.as_json(answer.data)) if options.json else answer.show(answer.data)
    return answer.code


def _overview() -> int:
    tables.tell("usage: engram COMMAND ...\n\nContests between learning agents, over many seeds at once.\n")
    for command in COMMANDS.values():
        tables.tell(f"  {command.usage:<34} {command.about}")
    tables.tell("\nengram COMMAND --help lists its flags; engram run AGENT WORLD --help the players' settings too")
    return 0


def _help(command: Command, given: Given) -> int:
    """Help for one command; where its players are named, with their settings."""
    shown = seats(command, given)
    about = command.about
    if command.tables and not shown:
        about += f"; with {' and '.join(table.upper() for table in command.tables)} before --help, their settings too"
    show_help(command.usage, about, command.known(), shown)
    return 0


def _run(given: Given, options: Options) -> Answer:
    if len(given.names) < 2 and not (options.config or options.preset):
        raise ValueError("expected engram run AGENT WORLD, or --config FILE, or --preset NAME (engram run --help)")
    config = assemble(layers(given))
    from simulator import playing

    data, code = playing.begin(config, _lab(options), lambda: _view(options), options.label)
    return Answer(data, playing.show_summary, code)


def _recall(given: Given, options: Options) -> Answer:
    from simulator import recall_tables, recalling

    config = recalling.settings_of(given)
    data, code = recalling.begin(config, _lab(options), lambda: _view(options, "arena"), options.label)
    return Answer(data, recall_tables.show, code)


def _resume(given: Given, options: Options) -> Answer:
    from simulator import playing, recalling

    name, lab = given.names[0], _lab(options)
    if recalling.is_contest(name, lab):
        from simulator import recall_tables

        data, code = recalling.resume(name, lab, lambda: _view(options, "arena"))
        return Answer(data, recall_tables.show, code)
    data, code = playing.resume(name, lab, lambda: _view(options))
    return Answer(data, playing.show_summary, code)


def _repro(given: Given, options: Options) -> Answer:
    from simulator import repro

    data = repro.again(given.names[0], _lab(options))
    return Answer(data, repro.show, 0 if data["identical"] else 1)


def _list(given: Given, options: Options) -> Answer:
    kind = given.names[0] if given.names else None
    return Answer(catalog.listing(kind, _lab(options)), catalog.show_listing)


def _show(given: Given, options: Options) -> Answer:
    found = catalog.entry(given.names[0], _lab(options))
    if "players" in found:
        return Answer(found, catalog.show_entry)
    from simulator import playing, recall_tables

    def show(summary: Any) -> None:
        recall_tables.show(summary) if "cells" in summary else playing.show_summary(summary)
        tables.tell(f"\n{summary['settings'].rstrip()}")

    return Answer(found, show)


def _solve(given: Given, options: Options) -> Answer:
    from simulator import solve

    name = given.names[0]
    world = solve.make_world(name, given.own.get("world", {}))
    usual = 1.0 if options.criterion == "finite" else world.spec.gamma
    gamma = usual if options.gamma is None else options.gamma
    data = solve.answer(name, world, options.criterion, gamma, options.horizon)

    def show(solved: Any) -> None:
        solve.show(world, solved)
        _draw(solve.picture(world, solved))

    return Answer(data, show)


def _report(given: Given, options: Options) -> Answer:
    from simulator import recalling, report

    if len(given.names) == 1 and recalling.is_contest(given.names[0], _lab(options)):
        from simulator import recall_tables

        contest = recalling.stored(given.names[0], _lab(options))
        if options.picture:
            return _draw_curves(contest, options.picture)
        form = recall_tables.show_markdown if options.table else recall_tables.show_csv
        return Answer(contest, form if options.table or options.csv else recall_tables.show)
    data = report.gather(given.names, _lab(options), options.agent, options.world)
    show = report.show_markdown if options.table else report.show_csv if options.csv else report.show
    return Answer(data, show)


def _draw_curves(contest: dict[str, Any], path: str) -> Answer:
    from pathlib import Path

    from simulator.views.recall_curves import draw

    draw(contest, Path(path))
    return Answer({"run": contest["run"], "picture": path}, lambda data: tables.tell(f"{data['picture']} is drawn"))


def _demo(given: Given, options: Options) -> Answer:
    from simulator import demo, playing

    playing.announce_compiling()
    played = demo.play(_lab(options))
    return Answer(played.data, lambda data: demo.show(data, played.picture, _draw))


def _doctor(given: Given, options: Options) -> Answer:
    from simulator import doctor

    data = doctor.examine(_lab(options), options.deep)
    return Answer(data, doctor.show, 0 if data["ok"] else 1)


def _bench(given: Given, options: Options) -> Answer:
    from simulator import bench

    return Answer(bench.measure(given.names[0] if given.names else None, options.json), bench.show)


def _lab(options: Options) -> str:
    return options.lab or os.environ.get("ENGRAM_LAB") or "lab"


def _view(options: Options, of: str = "run") -> Any:
    if options.view == "none":
        return None
    if of == "arena":
        from simulator.views.arena import ArenaTerminal

        return ArenaTerminal()
    from simulator.views.terminal import Terminal

    return Terminal()


def _draw(picture: Any) -> None:
    """Print what an agent or a solver thinks of a grid; nobody is walking in it."""
    from dataclasses import replace

    from rich.console import Console

    from simulator.views.look import look_of
    from simulator.views.maps import grid_map

    if picture.scene.walls is not None:
        marks = tuple(mark for mark in picture.scene.marks if mark.kind != "walker")
        picture = picture._replace(scene=replace(picture.scene, marks=marks, facts={}))
        console = Console()
        console.print(grid_map(picture, console.width, None, look_of(console)))


def _recalling(name: str) -> Any:
    """A function of :mod:`simulator.recalling`, imported when it is called."""
    return lambda *given: getattr(import_module("simulator.recalling"), name)(*given)


_KINDS = "|".join(catalog.KINDS)
COMMANDS = {
    "demo": Command("engram demo", "the main job in half a minute: agents in rooms, beside the optimum", _demo),
    "run": Command(
        "engram run AGENT WORLD",
        "train an agent in a world, over many seeds",
        _run,
        (0, 2),
        ("config", "preset", "label", "view"),
        ("agent", "world"),
        own=run_settings,
    ),
    "recall": Command(
        "engram recall MEMORY ... CHALLENGE",
        "let memories recall the same damaged patterns, over many seeds",
        _recall,
        (0, 10_000),
        ("config", "label", "view", "all", "presets"),
        ("memory", "challenge"),
        own=arena_settings,
        read=_recalling("read"),
        sit=_recalling("players"),
    ),
    "resume": Command("engram resume RUN|latest", "go on with an interrupted run", _resume, (1, 1), ("view",)),
    "list": Command("engram list [KIND]", f"names of a kind: {_KINDS}", _list, (0, 1)),
    "show": Command("engram show NAME", "a player with its settings, or a run with its result", _show, (1, 1)),
    "solve": Command(
        "engram solve WORLD",
        "the exact optimum of a finite world",
        _solve,
        (1, 1),
        ("gamma", "criterion", "horizon"),
        ("world",),
    ),
    "report": Command(
        "engram report RUN|latest ...",
        "stored runs beside each other, in one table",
        _report,
        (0, 10_000),
        ("table", "csv", "picture", "agent", "world"),
    ),
    "repro": Command("engram repro RUN|latest", "play a stored run again and compare every number", _repro, (1, 1)),
    "bench": Command("engram bench [NAME]", "measure speed beside the peers, from a checkout", _bench, (0, 1)),
    "doctor": Command("engram doctor", "what is installed here, and whether it works", _doctor, (0, 0), ("deep",)),
}
