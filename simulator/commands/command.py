"""What a command is, the flags that are no settings of a run, and where a run's settings come from."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, Literal, NamedTuple

from msgspec import Meta

from simulator import console as tables
from simulator.commands.parser import ParsedArgs, show_help
from simulator.commands.parser import read as read_words
from simulator.config.codec import own_settings
from simulator.config.codec import read as read_file
from simulator.config.presets import find
from simulator.config.run import RunConfig
from simulator.config.validation import ConfigSource, Setting, settings
from simulator.core import registry
from simulator.core.field_types import Share
from simulator.core.files.escaping import checked_name
from simulator.core.files.reading import is_path, set_limit
from simulator.external.trust import trust_files


@dataclass(frozen=True)
class Options:
    """The flags that are no settings of a run."""

    lab: str = ""
    """folder of the stored runs; where it is not given ENGRAM_LAB, or ./lab"""
    json: bool = False
    """print one JSON object to stdout and nothing else"""
    config: str = ""
    """TOML file with the settings of a run"""
    preset: str = ""
    """preset: settings that an agent recommends for an env (engram list presets), by name; with a / or .toml, a file"""
    view: Literal["terminal", "none"] = "terminal"
    """how the run is shown while it learns"""
    gamma: Share | None = None
    """discount per step; where it is not given the environment's own, or 1 with criterion finite"""
    criterion: Literal["discounted", "average", "finite"] = "discounted"
    """what is best: the discounted value, the reward per step for ever, or the return within a number of steps"""
    horizon: Annotated[int, Meta(ge=0, le=10**6)] = 0
    """steps of criterion finite; 0: the environment's own limit"""
    label: str = ""
    """what to call the run in lists and reports; it is no setting"""
    table: bool = False
    """print the table as Markdown"""
    csv: bool = False
    """print the table as CSV"""
    picture: str = ""
    """draw the curves of a contest between memories into this file: .svg, .png or .pdf"""
    force: bool = False
    """replace a file that is there already, though Engram did not write it"""
    max_file_mb: Annotated[float, Meta(gt=0.0, le=1e9)] | None = None
    """megabytes that a file may have, read and unpacked; where it is not given ENGRAM_MAX_FILE_MB, or 4 for texts such
    as settings and maps and 1,024 for pictures, recordings and models"""
    agent: str = ""
    """only runs of this agent"""
    env: str = ""
    """only runs in this environment"""
    all: bool = False
    """every memory; 20 and 100 patterns, five kinds of corruption and 16 seeds unless given"""
    presets: bool = False
    """every preset of a memory too"""
    deep: bool = False
    """import torch too, and ask it for GPUs"""
    fix: bool = False
    """mend what can be mended without loss: remove damaged compiled code"""
    workers: Annotated[str, Meta(min_length=1)] = "0"
    """where cells are played: a number of processes, ray (one of this machine, which nobody else can reach, or that in
    RAY_ADDRESS) or ray://ADDRESS, a cluster of your own; one that asks for a token finds it by RAY_AUTH_MODE=token with
    RAY_AUTH_TOKEN or RAY_AUTH_TOKEN_PATH; 0: a process per core"""
    trust_files: bool = False
    """let saved models (sb3:FILE.zip) run code that is in them; without it only their weights are read"""
    init: bool = False
    """write a commented example of a tournament into the file, tournament.toml where none is named"""
    output: str = ""
    """folder of the new lab, which is not there yet or empty"""
    retry: bool = False
    """play cells that failed once more"""
    latex: bool = False
    """print the table as LaTeX"""
    html: str = ""
    """write the report of a tournament into this file, one page of HTML; t1.html where nothing else is asked for"""
    agents: str = ""
    """agents that compete: names, label=name, sb3:CLASS, sb3:FILE.zip, python:FILE.py:FUNCTION, up to the next flag"""
    envs: str = ""
    """environments they compete in, likewise"""
    memories: str = ""
    """memories that compete, likewise"""
    challenges: str = ""
    """challenges they compete in, likewise"""
    players: str = ""
    """agents and strategies that play games, likewise"""
    games: str = ""
    """games they play, likewise"""


DASH = "nothing is written to stdout, expected a path, ./- for one that is called so"
EVERYWHERE = ("lab", "json", "max_file_mb")  # flags of every command


class CommandResult(NamedTuple):
    """What a command came to."""

    data: Mapping[str, Any] | None  # the JSON object; None: there is nothing to print
    show: Callable[[Mapping[str, Any]], None]  # prints it for people
    code: int = 0


class Command(NamedTuple):
    """One command."""

    usage: str
    about: str
    act: Callable[[ParsedArgs, Options], CommandResult]
    names: tuple[int, int] = (0, 0)  # how many names it takes
    flags: tuple[str, ...] = ()  # besides EVERYWHERE
    tables: tuple[str, ...] = ()  # players whose settings are flags
    own: Callable[[], list[Setting]] = list  # settings of what it starts, which are flags too
    read: Callable[[Command, Sequence[str]], ParsedArgs] | None = (
        None  # how its words are read, where not as a run's are
    )
    sit: Callable[[ParsedArgs], dict[str, registry.Plugin]] | None = None  # who sits at which table, likewise

    def options(self) -> list[Setting]:
        """Its flags that are no settings of a run."""
        return [each for each in settings(Options) if each.name in (*EVERYWHERE, *self.flags)]

    def known(self) -> list[Setting]:
        """All its flags, but for the players'."""
        return [*self.own(), *self.options()]


def overview(commands: Mapping[str, Command]) -> None:
    """Print every command."""
    tables.print_result(
        "usage: engram COMMAND ...\n\nContests between agents and between memories, over many seeds at once.\n"
    )
    for command in commands.values():
        tables.print_result(f"  {command.usage:<34} {command.about}")
    tables.print_result(
        "\nengram COMMAND --help lists its flags; engram run AGENT ENV --help the players' settings too"
    )


def show_help_of(command: Command, given: ParsedArgs) -> None:
    """Print help for one command; where its players are named, with their settings."""
    shown, about = seats(command, given), command.about
    if command.tables and not shown:
        about += f"; with {' and '.join(table.upper() for table in command.tables)} before --help, their settings too"
    show_help(command.usage, about, command.known(), shown)


def dispatch(commands: Mapping[str, Command], words: list[str]) -> int:
    """Do what the words of a command line say; the exit code.

    Raises:
        ValueError: bad usage, in one line.
    """
    if not words or words[0] in ("--help", "-h", "help"):
        overview(commands)
        return 0
    if words[0] == "--version":
        from simulator.versions import OURS, version_of

        tables.print_result(f"engram {version_of(OURS)}")
        return 0
    command = commands.get(words[0])
    if command is None:
        raise ValueError(registry.unknown_name_message("command", words[0], commands, "engram --help"))
    helps = [word for word in words if word in ("--help", "-h")]
    given = parse(command, [word for word in words[1:] if word not in helps])
    if helps:
        show_help_of(command, given)
        return 0
    low, high = command.names
    if not low <= len(given.names) <= high:
        got = " ".join(given.names)[:60] or "nothing"
        raise ValueError(f"expected {command.usage}, got {got!r} (engram {words[0]} --help)")
    options = options_of(given)
    if options.trust_files:
        trust_files()
    with contextlib.redirect_stdout(sys.stderr) if options.json else contextlib.nullcontext():
        answer = command.act(given, options)
    if answer.data is not None:
        print(tables.as_json(answer.data)) if options.json else answer.show(answer.data)
    return answer.code


def options_of(given: ParsedArgs) -> Options:
    """The given flags that are no settings of a run; how large files may be holds from here on.

    Raises:
        ValueError: a label or a lab with characters that cannot be seen, or - for a file that is written; one line.
    """
    own = {setting.name for setting in settings(Options)}
    options = Options(**{key: value for key, value in given.options.items() if key in own})
    if options.label:
        checked_name(options.label, "--label")
    if options.lab:
        checked_name(options.lab, "--lab", most=4096)
    for name in ("html", "picture", "output", "lab"):
        if getattr(options, name) == "-":
            raise ValueError(f"{flag_of(name)} -: {DASH}")
    if options.max_file_mb is not None:
        set_limit(options.max_file_mb)
    return options


def refuse_unused(given: ParsedArgs, command: str, what: str, used: Collection[str]) -> None:
    """Refuse flags that a command has, but not for what it is asked about.

    Args:
        given: the words.
        command: which command.
        what: what it is asked about, for the line.
        used: its flags that mean something there, besides EVERYWHERE.

    Raises:
        ValueError: others were given, in one line.
    """
    unused = sorted(map(flag_of, given.options.keys() - {*used, *EVERYWHERE}))
    if unused:
        rest = f", expected {' or '.join(map(flag_of, used))}" if used else ""
        raise ValueError(f"{' '.join(unused)}: not for {what}{rest} (engram {command} --help)")


def flag_of(name: str) -> str:
    """The flag of a setting of a command."""
    return f"--{name.replace('_', '-')}"


def parse(command: Command, words: Sequence[str]) -> ParsedArgs:
    """The words of a command, read twice: for who plays, then with the flags that those players have.

    Raises:
        ValueError: an unknown flag, a missing value or a bad one, in one line.
    """
    if command.read is not None:
        return command.read(command, words)
    known, sat = command.known(), dict.fromkeys(command.tables)
    given = read_words(command.usage, words, known, sat)
    files = _files(given)
    found: dict[str, registry.Plugin] = {}
    for table, name in players(command, given._replace(files=files)).items():
        # One that cannot be had is refused where the run is put together, which knows the place that names it.
        with contextlib.suppress(ValueError):
            found[table] = registry.load(f"{table}s", name)
    if found:
        given = read_words(command.usage, words, known, {**sat, **found})
    return given._replace(files=files)


def _files(given: ParsedArgs) -> tuple[ConfigSource, ...]:
    """What --preset and --config lead to, the latter over the former."""
    options, found = options_of(given), []
    if options.preset:
        named = [*given.names, None, None][:2]
        found.append(read_file(options.preset) if is_path(options.preset) else find(options.preset, *named).source())
    if options.config:
        found.append(read_file(options.config))
    return tuple(found)


def layers(given: ParsedArgs) -> list[ConfigSource]:
    """Where the settings of a run come from, each over the ones before: preset, file, words."""
    names = {table: {"name": name} for table, name in zip(("agent", "env"), given.names, strict=False) if name}
    fields = {setting.name for setting in own_settings(RunConfig)}
    words = ConfigSource({key: value for key, value in given.options.items() if key in fields} | names)
    return [*given.files, words, ConfigSource(given.own, flags=True)]


def seats(command: Command, given: ParsedArgs) -> dict[str, registry.Plugin]:
    """Table -> whoever sits there, for help."""
    if command.sit is not None:
        return command.sit(given)
    return {table: registry.load(f"{table}s", name) for table, name in players(command, given).items()}


def players(command: Command, given: ParsedArgs) -> dict[str, str]:
    """Table -> name of the players that the words, the file or the preset name."""
    if command.tables == ("env",):
        return dict(zip(command.tables, given.names, strict=False))
    named: dict[str, str] = {}
    for layer in layers(given):
        for table in command.tables:
            own = layer.values.get(table, {})
            if isinstance(own, Mapping) and isinstance(own.get("name"), str):
                named[table] = own["name"]
    return named
