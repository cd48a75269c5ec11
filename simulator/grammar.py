"""What a command is, the flags that are no settings of a run, and where a run's settings come from."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, Literal, NamedTuple

from msgspec import Meta

from simulator.arguments import Given
from simulator.arguments import read as read_words
from simulator.config import read as read_file
from simulator.config import run_settings
from simulator.core import plugins
from simulator.core.ranges import Share
from simulator.presets import find
from simulator.settings import Layer, Setting, settings


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
    """settings that an agent's file recommends for a world (engram list presets)"""
    view: Literal["terminal", "none"] = "terminal"
    """how the run is shown while it learns"""
    gamma: Share | None = None
    """discount per step; where it is not given the world's own, or 1 with criterion finite"""
    criterion: Literal["discounted", "average", "finite"] = "discounted"
    """what is best: the discounted value, the reward per step for ever, or the return within a number of steps"""
    horizon: Annotated[int, Meta(ge=0, le=10**6)] = 0
    """steps of criterion finite; 0: the world's own limit"""
    label: Annotated[str, Meta(max_length=80, pattern=r"^[^\x00-\x1f\x7f]*$", description="one line of text")] = ""
    """what to call the run in lists and reports; it is no setting"""
    table: bool = False
    """print the table as Markdown"""
    csv: bool = False
    """print the table as CSV"""
    picture: str = ""
    """draw the curves of a contest between memories into this file: .svg, .png or .pdf"""
    agent: str = ""
    """only runs of this agent"""
    world: str = ""
    """only runs in this world"""
    all: bool = False
    """every memory; 20 and 100 patterns, five kinds of damage and 16 seeds unless given"""
    presets: bool = False
    """every preset of a memory too"""
    deep: bool = False
    """import torch too, and ask it for GPUs"""


class Answer(NamedTuple):
    """What a command came to."""

    data: Mapping[str, Any] | None  # the JSON object; None: there is nothing to print
    show: Callable[[Mapping[str, Any]], None]  # prints it for people
    code: int = 0


class Command(NamedTuple):
    """One command."""

    usage: str
    about: str
    act: Callable[[Given, Options], Answer]
    names: tuple[int, int] = (0, 0)  # how many names it takes
    flags: tuple[str, ...] = ()  # besides --lab and --json
    tables: tuple[str, ...] = ()  # players whose settings are flags
    own: Callable[[], list[Setting]] = list  # settings of what it starts, which are flags too
    read: Callable[[Command, Sequence[str]], Given] | None = None  # how its words are read, where not as a run's are
    sit: Callable[[Given], dict[str, plugins.Player]] | None = None  # who sits at which table, likewise

    def options(self) -> list[Setting]:
        """Its flags that are no settings of a run."""
        return [each for each in settings(Options) if each.name in ("lab", "json", *self.flags)]

    def known(self) -> list[Setting]:
        """All its flags, but for the players'."""
        return [*self.own(), *self.options()]


def options_of(given: Given) -> Options:
    """The given flags that are no settings of a run."""
    own = {setting.name for setting in settings(Options)}
    return Options(**{key: value for key, value in given.options.items() if key in own})


def parse(command: Command, words: Sequence[str]) -> Given:
    """The words of a command, read twice: for who plays, then with the flags that those players have.

    Raises:
        ValueError: an unknown flag, a missing value or a bad one, in one line.
    """
    if command.read is not None:
        return command.read(command, words)
    known, sat = command.known(), dict.fromkeys(command.tables)
    given = read_words(command.usage, words, known, sat)
    files = _files(given)
    found: dict[str, plugins.Player] = {}
    for table, name in players(command, given._replace(files=files)).items():
        # One that cannot be had is refused where the run is put together, which knows the place that names it.
        with contextlib.suppress(ValueError):
            found[table] = plugins.load(f"{table}s", name)
    if found:
        given = read_words(command.usage, words, known, {**sat, **found})
    return given._replace(files=files)


def _files(given: Given) -> tuple[Layer, ...]:
    """What --preset and --config lead to, the latter over the former."""
    options, found = options_of(given), []
    if options.preset:
        found.append(find(options.preset, *[*given.names, None, None][:2]).layer())
    if options.config:
        found.append(read_file(options.config))
    return tuple(found)


def layers(given: Given) -> list[Layer]:
    """Where the settings of a run come from, each over the ones before: preset, file, words."""
    names = {table: {"name": name} for table, name in zip(("agent", "world"), given.names, strict=False) if name}
    fields = {setting.name for setting in run_settings()}
    words = Layer({key: value for key, value in given.options.items() if key in fields} | names)
    return [*given.files, words, Layer(given.own, flags=True)]


def seats(command: Command, given: Given) -> dict[str, plugins.Player]:
    """Table -> whoever sits there, for help."""
    if command.sit is not None:
        return command.sit(given)
    return {table: plugins.load(f"{table}s", name) for table, name in players(command, given).items()}


def players(command: Command, given: Given) -> dict[str, str]:
    """Table -> name of the players that the words, the file or the preset name."""
    if command.tables == ("world",):
        return dict(zip(command.tables, given.names, strict=False))
    named: dict[str, str] = {}
    for layer in layers(given):
        for table in command.tables:
            own = layer.values.get(table, {})
            if isinstance(own, Mapping) and isinstance(own.get("name"), str):
                named[table] = own["name"]
    return named
