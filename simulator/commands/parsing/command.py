"""Contract of a command, options that are not settings of an experiment, and shared helpers."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Annotated, Any, Literal, NamedTuple

from msgspec import Meta

from simulator.commands.parsing.help import PlayerHelp
from simulator.commands.parsing.parser import option_of
from simulator.config.codec import table_at
from simulator.config.validation import ConfigSource, Setting, settings
from simulator.core import registry
from simulator.core.field_types import Share
from simulator.core.files.escaping import checked_name
from simulator.core.files.reading import set_limit
from simulator.core.foreign.python_files import is_path, label_of


@dataclass(frozen=True)
class Options:
    """Options that are not settings of an experiment."""

    lab: str = ""
    """folder of the stored experiments; by default ENGRAM_LAB, or ./lab"""
    json: bool = False
    """print one JSON object to stdout and nothing else"""
    config: str = ""
    """read settings from this TOML file"""
    preset: str = ""
    """use a preset (engram list presets) by name; with a / or .toml, a file"""
    view: Literal["terminal", "window", "none"] = "terminal"
    """live view: in this terminal, or in a window (which needs a display)"""
    scale: Literal["auto", "1", "1.5", "2"] = "auto"
    """size of everything in a window or a recording; Ctrl + and Ctrl - change a window's"""
    slow: Annotated[float, Meta(gt=0.0, le=1e6)] | None = None
    """show so many environment steps per second, 10 without a number; keys change it while the run is watched"""
    gamma: Share | None = None
    """discount per step; by default the environment's own, or 1 with criterion finite"""
    criterion: Literal["discounted", "average", "finite"] = "discounted"
    """maximise the discounted value, the average reward per step, or the return within a number of steps"""
    horizon: Annotated[int, Meta(ge=0, le=10**6)] = 0
    """steps of criterion finite; 0: the environment's own limit"""
    label: str = ""
    """name for people in lists and reports; no result depends on it"""
    table: bool = False
    """print the table as Markdown"""
    csv: bool = False
    """print the table as CSV"""
    rows: Literal["", "summary", "seeds", "curves"] = ""
    """rows of --csv: one for each run or contestant (summary), for each seed with its final score, or for each point
    of the curves; by default summary, of a recall benchmark seeds"""
    latex: bool = False
    """print the table as LaTeX"""
    html: str = ""
    """write the report into this HTML file, one page without outside resources; of a tournament t1.html where nothing
    else is asked for"""
    picture: str = ""
    """draw the figures into this file: .svg, .png or .pdf"""
    seed: Annotated[int, Meta(ge=0, le=10**15)] | None = None
    """take this seed alone; none: export writes all of them, show --values, show --inside, record and atlas of a run
    take the first; of other atlases the seed of all that is random, 0 by default"""
    values: bool = False
    """show what one seed has learned: action values, policy and map, beside the exact values"""
    inside: bool = False
    """show what is inside the agent of one seed: tables, exploration, replay, weights, codes, imagined transitions; of
    a recall benchmark what is inside its first memory, or the one named after it"""
    patterns_from: str = ""
    """store these vectors of -1 and +1 (or 0 and 1) and show what is inside the memory, nothing is kept; values are
    apart by commas and vectors by semicolons, as in 1,-1,1;1,1,-1"""
    codes: bool = False
    """draw no samples, only what codes decode to: a walk between two, and the plane where they are two-dimensional;
    memories that decode codes but generate nothing, as autoencoders, are taken too"""
    tensorboard: str = ""
    """write event files of TensorBoard into this folder: a line for every seed, and their mean"""
    what: str = ""
    """pictures to draw, separated by commas: curves, training (of runs), corruption, load, scores, retrieval, plane,
    capacity (of recall benchmarks; capacity of Hopfield networks on random_bits, beside the theory), scores, confusion,
    roc (of predictions), tiers, profiles, pairs, curves, solved (of tournaments), trials, settings (of tunings), or
    all; by default all but training, solved, confusion, roc, plane and capacity, scores of recall only where there is
    no curve, and retrieval where patterns are looked up. Of a memory that is shown: weights, energies, states,
    distribution, filters, reconstruction, recognition, nearest, by default all that it has something for"""
    x: Literal["steps", "seconds"] = "steps"
    """axis of learning curves: environment steps per seed, or seconds of training"""
    smooth: Annotated[int, Meta(ge=1, le=10**6)] = 1
    """average each evaluation of a seed with the ones before it, this number in all; 1: none"""
    force: bool = False
    """replace an existing file that Engram did not write"""
    max_file_mb: Annotated[float, Meta(gt=0.0, le=1e9)] | None = None
    """largest file to read, in megabytes, packed and unpacked; by default ENGRAM_MAX_FILE_MB, or 4 for texts such as
    settings and maps and 1,024 for pictures, recordings and models"""
    agent: str = ""
    """select the runs of this agent"""
    env: str = ""
    """select the runs in this environment"""
    all: bool = False
    """take every memory, with 20 and 100 patterns, five kinds of corruption and 16 seeds unless given"""
    presets: bool = False
    """take every preset of a memory too"""
    deep: bool = False
    """import torch and every player too"""
    fix: bool = False
    """remove damaged compiled code"""
    workers: Annotated[str, Meta(min_length=1)] = "0"
    """run cells in this number of processes, on ray (of this machine, which no other can reach, or that in RAY_ADDRESS)
    or on ray://ADDRESS, a cluster of your own, which takes a token from RAY_AUTH_TOKEN or RAY_AUTH_TOKEN_PATH with
    RAY_AUTH_MODE=token; 0: a process per core"""
    kind: Literal["agent", "memory", "env", "component"] | None = None
    """kind of the player, where its file does not show it"""
    trust_files: bool = False
    """let saved models (sb3:FILE.zip) run the code in them; otherwise only their weights are read"""
    init: bool = False
    """write a commented example of a tournament into the file, by default tournament.toml"""
    output: str = ""
    """write into this: the picture's file, .svg, .png or .pdf; the best settings, .toml; or the new lab's folder, which
    is missing or empty"""
    keep_replay: bool = False
    """keep the replay of a run that is over, so that engram resume --steps trains on as if it had never ended"""
    at: Annotated[int, Meta(ge=0, le=10**12)] | None = None
    """environment step until which the fork is the stored run; by default that of its newest checkpoint"""
    yes: bool = False
    """delete without asking"""
    dry_run: bool = False
    """change nothing, only say what would be done"""
    sort: str = ""
    """sort runs or tournaments by this column, such as size, the largest last; by default the newest is last"""
    retry: bool = False
    """run failed cells again"""
    store: bool = False
    """keep the measurement in tests/benchmarks/results, from which the manual is made"""
    agents: tuple[str, ...] = ()
    """agents that compete in environments: names, label=name, sb3:CLASS, sb3:FILE.zip, python:FILE.py:FUNCTION"""
    envs: tuple[str, ...] = ()
    """environments, likewise"""
    memories: tuple[str, ...] = ()
    """memories that compete in recall challenges, likewise"""
    challenges: tuple[str, ...] = ()
    """recall challenges, likewise"""
    sequence: str = ""
    """let cells learn sequences without an agent, in place of a benchmark: delayed, copy, repeat-previous, forecast, or
    gradient (dh_T/dh_t of untrained cells); names are cells, by default window, elman, gru and lstm; not stored"""
    episodes: Annotated[int, Meta(ge=0, le=10**6)] = 0
    """stop after so many episodes; 0: record takes 3, play goes on until the person quits"""
    fps: Annotated[int, Meta(ge=1, le=50)] | None = None
    """moments per second, the last one of an episode is shown for a second; by default the environment's own pace, or
    10 where it has none"""
    size: str = ""
    """width and height: pixels, by default 640x400, which --scale multiplies; of a .cast columns and lines, 80x24"""
    max_steps: Annotated[int, Meta(ge=0, le=10**9)] = 0
    """cut an episode after so many steps, which ends the recording; 0: 1,000"""
    against: str = ""
    """the other side of a game: an agent, a strategy or a stored run"""
    teach: bool = False
    """clone what this person has played here so far into agents, whose run competes as cloned:NAME"""
    actions: tuple[str, ...] = ()
    """take these actions instead of keys, by name or number, of several numbers with colons between them"""
    pace: Annotated[float, Meta(ge=0.0, le=1000.0)] | None = None
    """steps per second in real time; 0: wait for every action; by default the environment's own"""
    players: tuple[str, ...] = ()
    """agents and strategies that play games, likewise"""
    games: tuple[str, ...] = ()
    """games, likewise"""


_RUN = ("agents", "envs")
_RECALL = ("memories", "challenges")
EVERYWHERE = ("lab", "json", "max_file_mb")  # options of every command
DASH = "nothing is written to stdout, expected a path, ./- for a file of that name"
WRITTEN = ("html", "picture", "tensorboard", "output", "lab")  # options that name output files


class CommandResult(NamedTuple):
    """Outcome of a command."""

    data: Mapping[str, Any] | None  # the JSON object; None: there is nothing to print
    show: Callable[[Mapping[str, Any]], None]  # prints it for people
    code: int = 0


class ParsedArgs(NamedTuple):
    """Parsed and checked command line."""

    names: list[str]
    options: Options
    given: frozenset[str]  # the options and settings that were given
    settings: dict[str, Any]  # of the experiment
    players: dict[str, Any]  # table -> nested settings of players, texts as they were typed

    def sources(self, names: Mapping[str, Any]) -> list[ConfigSource]:
        """Return the sources of a config: the command line over files; ``names``: tables of the named players."""
        return [ConfigSource({**self.settings, **names}), ConfigSource(self.players, flags=True)]


class Command(NamedTuple):
    """A command of a file in this folder, which calls it ``COMMAND``."""

    act: Callable[[ParsedArgs], CommandResult]
    names: tuple[int, int] = (0, 0)  # fewest and most names
    options: tuple[str, ...] = ()  # besides EVERYWHERE
    settings: Callable[[], list[Setting]] = list  # settings of the experiment, which are options too
    tables: tuple[str, ...] = ()  # tables of players, whose settings are options
    players: Callable[[ParsedArgs], list[PlayerHelp]] | None = None  # the named players, for help
    examples: tuple[str, ...] = ()  # lines that work as they stand, without "engram"

    def known(self) -> list[Setting]:
        """Return all options but those of players."""
        options = [setting for setting in settings(Options) if setting.name in (*EVERYWHERE, *self.options)]
        return [*self.settings(), *options]


def checked_options(options: Options) -> Options:
    """Check the texts among options, and apply ``max_file_mb``.

    Raises:
        ValueError: a label or a lab with invisible characters, or - for a file that is written; one line.
    """
    if options.label:
        checked_name(options.label, "--label")
    if options.lab:
        checked_name(options.lab, "--lab", most=4096)
    for name in WRITTEN:
        if getattr(options, name) == "-":
            raise ValueError(f"{option_of((name,))} -: {DASH}")
    if options.max_file_mb is not None:
        set_limit(options.max_file_mb)
    return options


def refuse_unused(args: ParsedArgs, command: str, experiment: str, used: Collection[str]) -> None:
    """Raise an error for options that do nothing here, although the command has them.

    Args:
        args: the command line.
        command: the command's name.
        experiment: the kind of experiment, for the line.
        used: the options that have an effect, besides EVERYWHERE.

    Raises:
        ValueError: others were given, in one line.
    """
    unused = sorted(option_of((name,)) for name in args.given - {*used, *EVERYWHERE})
    if unused:
        expected = f", expected {' or '.join(option_of((name,)) for name in used)}" if used else ""
        raise ValueError(f"{' '.join(unused)}: not for {experiment}{expected} (engram {command} --help)")


def check_kinds(names: Sequence[str], expected: Sequence[str]) -> None:
    """Refuse names of players that belong to another command, with the command that was meant.

    Args:
        names: as they were typed.
        expected: the kind of each: agents and envs, or memories and then challenges.

    Raises:
        ValueError: a memory where an agent is expected, or the like; one line.
    """
    for name, kind in zip(names, expected, strict=True):
        kinds = registry.kinds_of(name)
        if not kinds or kind in kinds:
            continue
        what = f"{name} is {registry.with_article(registry.SINGULAR[kinds[0]])}"
        wanted = registry.with_article(registry.SINGULAR[kind])
        swapped = names[::-1]
        if all(kind in registry.kinds_of(name) for name, kind in zip(swapped, expected, strict=True)):
            command = "run" if kind in _RUN else "recall"
            raise ValueError(f"{what}, expected {wanted}: engram {command} {' '.join(swapped)}")
        if kinds[0] in _RECALL and kind in _RUN:
            raise ValueError(f"{what}: engram recall {_filled(names, _RECALL, ('MEMORY', 'CHALLENGE'))}")
        if kinds[0] in _RUN and kind in _RECALL:
            raise ValueError(f"{what}: engram run {_filled(names, _RUN, ('AGENT', 'ENV'))}")


def _filled(names: Sequence[str], kinds: Sequence[str], words: Sequence[str]) -> str:
    """Put names where a command expects their kinds, and its own words where there are none."""
    at = {kind: [name for name in names if kind in registry.kinds_of(name)] for kind in kinds}
    return " ".join(" ".join(at[kind]) or word for kind, word in zip(kinds, words, strict=True))


def lab_of(options: Options) -> str:
    """Return the folder of the lab: ``--lab``, ``ENGRAM_LAB`` or ``./lab``.

    Raises:
        ValueError: it cannot be a lab, in one line.
    """
    from simulator.store.lab import check_can_be_lab

    named = os.environ.get("ENGRAM_LAB")
    lab = options.lab or (checked_name(named, "ENGRAM_LAB", most=4096) if named else "lab")
    check_can_be_lab(Path(lab))
    return lab


def view_of(options: Options, experiment: str = "run", **controls: Any) -> Any:
    """Make the views of an experiment: the live one, and of a run its event files; None without any.

    ``controls`` go to the live one's ``terminal_view``.
    """
    module = f"simulator.views.{experiment}"
    view = None if options.view == "none" else import_module(module).terminal_view(**controls)
    return with_event_files(options, view)


def with_event_files(options: Options, view: Any) -> Any:
    """Return a view, and beside it one that writes event files where they are asked for."""
    if not options.tensorboard:
        return view
    from simulator.training.tensorboard import EventWriter

    writer = EventWriter(Path(options.tensorboard))
    return writer if view is None else Views((view, writer))


class Views(NamedTuple):
    """Several views of one experiment; see :class:`simulator.core.snapshots.View`."""

    views: tuple[Any, ...]

    def show(self, snapshot: Any) -> None:
        """Show a snapshot in each."""
        for view in self.views:
            view.show(snapshot)

    def close(self) -> None:
        """Close each."""
        for view in self.views:
            view.close()


def named_players(sources: Sequence[ConfigSource], tables: Collection[str]) -> dict[str, str]:
    """Return the names of the named players by table; the last source with a name counts."""
    named: dict[str, str] = {}
    for source in sources:
        for table in tables:
            table_of_source = source.values.get(table, {})
            if isinstance(table_of_source, Mapping) and isinstance(table_of_source.get("name"), str):
                named[table] = table_of_source["name"]
    return named


def labelled_names(words: Iterable[str]) -> dict[str, str]:
    """Return the names of competing players by label, of words such as NAME and LABEL=NAME.

    Raises:
        ValueError: two have the same label; one line.
    """
    names: dict[str, str] = {}
    for word in words:
        label, sign, name = ("", "", "") if is_path(word) else word.partition("=")
        name = name if sign else word
        label = re.sub(r"\W", "_", label if sign else label_of(word))
        if label in names:
            raise ValueError(f"{word}: {label} competes already, expected another label, such as {label}_2={name}")
        names[label] = name
    return names


def competing(sources: Iterable[ConfigSource], table: str) -> dict[str, str]:
    """Return the names of competing players by label, in all sources but the options below their labels."""
    names: dict[str, str] = {}
    for source in sources:
        if not source.flags:
            for label, own in table_at(source, (table,), source.values.get(table, {})).items():
                names[label] = str(table_at(source, (table, label), own).get("name", label))
    return names
