"""Command line: finds the command, parses its options, runs it and prints the outcome.

Exit codes: 0 done, 1 failed, 2 bad usage or bad input (one line, never a traceback unless ``ENGRAM_DEBUG=1``), 129,
130 and 143 interrupted by SIGHUP, SIGINT and SIGTERM, after a checkpoint was written.
"""

from __future__ import annotations

import contextlib
import errno
import os
import signal
import sys
from collections.abc import Sequence
from importlib import import_module
from typing import NamedTuple

from simulator import console
from simulator.commands.list import KINDS
from simulator.commands.parsing.command import Command, Options, ParsedArgs, checked_options
from simulator.commands.parsing.help import help_text
from simulator.commands.parsing.parser import parse
from simulator.config.validation import settings
from simulator.core import registry
from simulator.core.files.escaping import MAX_PATH, shortened
from simulator.core.files.reading import readable_reason
from simulator.core.stopping import Stopped

_MAX_LINE = 2000  # maximum characters of an error line


class Summary(NamedTuple):
    """A command in the overview."""

    usage: str
    description: str


COMMANDS = {  # each is the file of its name in this folder, loaded when it is called
    "demo": Summary("engram demo", "run the main job in half a minute: agents, memories and a tournament"),
    "run": Summary("engram run AGENT ENV", "train an agent in an environment, over many seeds"),
    "recall": Summary("engram recall MEMORY ... CHALLENGE", "benchmark memories on corrupted patterns"),
    "generate": Summary("engram generate MEMORY ... CHALLENGE", "draw samples of generative memories, and their codes"),
    "predict": Summary(
        "engram predict [METHOD ...] TASK", "compare predictions of ratings or of classes, with memories"
    ),
    "tournament": Summary("engram tournament [FILE.toml]", "rank contestants, with confidence intervals"),
    "tune": Summary("engram tune AGENT|MEMORY ENV|CHALLENGE", "search settings; judge the best on fresh seeds"),
    "play": Summary("engram play ENV|GAME", "play an environment or a game yourself, beside agents and optimum"),
    "watch": Summary("engram watch RUN|latest", "watch a stored run in a window, while it trains elsewhere or later"),
    "record": Summary("engram record RUN|latest [FILE]", "draw a run's episodes as GIF, APNG, PNG, MP4 or asciicast"),
    "resume": Summary("engram resume RUN|TOURNAMENT|latest", "continue an experiment, or train a run on (--steps)"),
    "fork": Summary("engram fork RUN", "begin a run that is a stored one up to a step, then changes of its own"),
    "delete": Summary("engram delete RUN|TOURNAMENT ...", "delete stored experiments, after asking"),
    "prune": Summary("engram prune", "drop what the lab no longer needs"),
    "list": Summary("engram list [KIND]", f"list names of a kind: {'|'.join(KINDS)}"),
    "show": Summary("engram show NAME [CHALLENGE]", "show a player, an experiment, or what is inside a memory"),
    "solve": Summary("engram solve ENV", "compute the exact optimum of a finite environment"),
    "atlas": Summary(
        "engram atlas RUN|ENV|MEMORY [CHALLENGE]", "draw states in the plane: what they look like, walks, clusters"
    ),
    "race": Summary("engram race [RULE ...]", "compare optimisers on functions with known minima"),
    "export": Summary("engram export RUN FILE", "write what was learned as arrays, to play it elsewhere"),
    "report": Summary("engram report RUN|TOURNAMENT ...", "compare stored runs, or report another experiment"),
    "plot": Summary("engram plot RUN|TOURNAMENT ... -o FILE", "draw stored experiments as SVG, PNG or PDF"),
    "reproduce": Summary("engram reproduce RUN|TOURNAMENT", "run a stored experiment again and compare every number"),
    "repair": Summary("engram repair LAB -o NEWLAB", "copy what is whole of a damaged lab into a new one"),
    "new": Summary("engram new agent|memory|env NAME", "write the file of your own player, which runs as it is"),
    "check": Summary("engram check FILE.py ... [ENV]", "put own agents, memories or environments through the laws"),
    "bench": Summary("engram bench [NAME]", "measure speed beside other libraries, from a checkout"),
    "doctor": Summary("engram doctor", "check the installation"),
}


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
    except Stopped as stopped:
        console.print_status(f"engram: {signal.Signals(stopped.number).name} before anything was run")
        return 128 + stopped.number
    except KeyboardInterrupt:
        console.print_status("engram: interrupted")
        return 130
    except Exception as error:
        if os.environ.get("ENGRAM_DEBUG"):
            raise
        console.print_status(f"engram: {shortened(_line(error), _MAX_LINE)}")
        return 2 if isinstance(error, ValueError) or _is_no_path(error) else 1


def _dispatch(words: list[str]) -> int:
    if not words or words[0] in ("--help", "-h", "help"):
        _print_overview()
        return 0
    if words[0] == "--version":
        from simulator.versions import OURS, version_of

        console.print_result(f"engram {version_of(OURS)}")
        return 0
    if words[0] in ("--install-completion", "--show-completion", "--complete"):
        from simulator.commands.parsing import completion

        completion.act(words[0], words[1:])
        return 0
    if words[0] not in COMMANDS:
        raise ValueError(registry.unknown_name_message("command", words[0], COMMANDS, "engram --help"))
    name = words[0]
    summary = COMMANDS[name]
    command = command_of(name)
    helps = [word for word in words if word in ("--help", "-h")]
    args = parsed_args(command, [word for word in words[1:] if word not in helps])
    if helps:
        _print_help(summary, command, args)
        return 0
    low, high = command.names
    if not low <= len(args.names) <= high:
        got = repr(" ".join(args.names)[:60]) if args.names else "nothing"
        raise ValueError(f"expected {summary.usage}, got {got} (engram {name} --help)")
    if args.options.trust_files:
        from simulator.external.trust import trust_files

        trust_files()
    with contextlib.redirect_stdout(sys.stderr) if args.options.json else contextlib.nullcontext():
        result = command.act(args)
    if result.data is not None:
        with console.in_lab(args.options.lab):
            print(console.as_json(result.data)) if args.options.json else result.show(result.data)
    return result.code


def command_of(name: str) -> Command:
    """Load a command."""
    command: Command = import_module(f"simulator.commands.{name}").COMMAND
    return command


def parsed_args(command: Command, words: Sequence[str]) -> ParsedArgs:
    """Sort and check the words of a command.

    Raises:
        ValueError: an unknown option, a missing value or a bad one, in one line.
    """
    parsed = parse(words, command.known(), command.tables)
    names = {setting.name for setting in settings(Options)}
    options = Options(**{key: value for key, value in parsed.options.items() if key in names})
    settings_of_experiment = {key: value for key, value in parsed.options.items() if key not in names}
    return ParsedArgs(
        parsed.names, checked_options(options), frozenset(parsed.options), settings_of_experiment, parsed.players
    )


def _print_overview() -> None:
    lines = [f"  {command.usage:<38} {command.description}" for command in COMMANDS.values()]
    console.print_result(
        "usage: engram COMMAND ...\n\n"
        "Benchmark learning agents and associative memories over many seeds, with confidence intervals.\n\n"
        + "\n".join(lines)
        + "\n\nengram COMMAND --help lists its options; engram run AGENT ENV --help the players' settings too\n"
        "engram --install-completion [bash|zsh|fish] lets the shell complete commands, options, players and runs\n"
        "(--show-completion prints its script); engram --version"
    )


def _print_help(summary: Summary, command: Command, args: ParsedArgs) -> None:
    """Print the help of a command; where its players are named, with their settings."""
    players = command.players(args) if command.players else []
    description = summary.description
    if command.players and not players:
        tables = " and ".join(table.upper() for table in command.tables)
        description += f"; with {tables} before --help, their settings too"
    print(help_text(summary.usage, description, command.known(), players, command.examples), end="")


def _line(error: Exception) -> str:
    """Format the reason of an error in one line."""
    text = readable_reason(error)
    ours = type(error).__module__.startswith("simulator.")
    if text and (ours or isinstance(error, ValueError) or type(error) is RuntimeError):
        return text
    if isinstance(error, OSError) and error.strerror:
        expected = ", expected another path" if _is_no_path(error) else ""
        return f"{shortened(str(error.filename or 'the system'), MAX_PATH)}: {error.strerror}{expected}"
    return f"{type(error).__name__}: {text} (ENGRAM_DEBUG=1 shows where)"


def _is_no_path(error: Exception) -> bool:
    """Tell whether no file can have the name that was given: it is too long, or a link that leads to itself."""
    return isinstance(error, OSError) and error.errno in (errno.ENAMETOOLONG, errno.ELOOP)
