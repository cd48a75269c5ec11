"""What ``engram recall`` does between its words and its tables."""

from __future__ import annotations

import dataclasses
import keyword
import re
import signal
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from simulator import console
from simulator.commands.command import Command, options_of
from simulator.commands.driver import drive
from simulator.commands.parser import ParsedArgs
from simulator.commands.parser import read as read_words
from simulator.commands.run import MakeView, Outcome, announce_compiling
from simulator.config.codec import assemble, of_record
from simulator.config.codec import read as read_file
from simulator.config.presets import find_memory, memory_presets
from simulator.config.recall import RecallConfig, is_recall
from simulator.config.validation import ConfigSource
from simulator.core import registry
from simulator.core.foreign.python_files import is_path, label_of
from simulator.core.memories import RecallSnapshot
from simulator.core.notices import forget_notices
from simulator.store.lab import existing
from simulator.store.run_store import Store

_LISTS = {"--patterns": re.compile(r"\d[\d_,]*"), "--corruption": re.compile(r"[a-z]+:[\d.,a-zA-Z:+-]+|none")}
EVERYBODY = {
    "patterns": (20, 100),
    "corruption": ("flip:0.1", "flip:0.2", "flip:0.3", "erase:0.5", "block:0.5"),
    "seeds": 16,
    "skip": True,
}


def read(command: Command, words: Sequence[str]) -> ParsedArgs:
    """The words of ``engram recall``, read twice: for who competes, then with the flags that those players have.

    Raises:
        ValueError: an unknown flag, a missing value or a bad one, in one line.
    """
    known, words = command.known(), _joined(words)
    given = read_words(command.usage, words, known, {"memory": None, "challenge": None})
    path = options_of(given).config
    given = given._replace(files=(read_file(path),) if path else ())
    competing = {label: find_memory(name)[0] for label, name in _memories(given).items()}
    seats: dict[str, registry.Plugin | None] = {"memory": _seat(competing) if competing else None, "challenge": None}
    if name := _challenge(given):
        seats["challenge"] = registry.load("challenges", name)
    return read_words(command.usage, words, known, seats)._replace(files=given.files)


def settings_of(given: ParsedArgs) -> RecallConfig:
    """The contest that the words describe.

    Raises:
        ValueError: nobody competes, or a bad setting; one line.
    """
    if not (_memories(given) and _challenge(given)):
        raise ValueError("expected engram recall MEMORY ... CHALLENGE, or --all CHALLENGE, or --config FILE")
    named = {"memory": {label: {"name": name} for label, name in _memories(given, files=False).items()}}
    if given.names:
        named["challenge"] = {"name": given.names[-1]}
    fields = {field.name for field in dataclasses.fields(RecallConfig)}
    options = {key: value for key, value in given.options.items() if key in fields}
    first = [ConfigSource(EVERYBODY)] if options_of(given).all else []
    return assemble(
        RecallConfig, [*first, *given.files, ConfigSource({**options, **named}), ConfigSource(given.own, flags=True)]
    )


def players(given: ParsedArgs) -> dict[str, registry.Plugin]:
    """Who is named, for help: the memories under one table, and the challenge."""
    competing = {label: find_memory(name)[0] for label, name in _memories(given).items()}
    found = {"memory": _seat(competing)} if competing else {}
    return found | ({"challenge": registry.load("challenges", name)} if (name := _challenge(given)) else {})


def _joined(words: Sequence[str]) -> list[str]:
    """The words with ``--patterns 20 100`` as one value: flags take one."""
    left, joined = list(words), list[str]()
    while left:
        flag, sign, text = left.pop(0).partition("=")
        if flag not in _LISTS:
            joined.append(flag + sign + text)
            continue
        values = text.split(",") if sign else []
        while not sign and left and _LISTS[flag].fullmatch(left[0]):
            values += left.pop(0).split(",")
        if not values and left and not left[0].startswith("--"):
            values = [left.pop(0)]  # whatever it is, the check says what was expected
        shown = [value if flag == "--patterns" else f'"{value}"' for value in values if value]
        joined += [flag, f"[{', '.join(shown)}]"] if values else [flag]
    return joined


def _memories(given: ParsedArgs, *, files: bool = True) -> dict[str, str]:
    """Label -> name of whoever competes: files, then words, ``label=name`` or a name that is its own label."""
    found: dict[str, str] = {}
    for layer in given.files if files else ():
        tables_ = layer.values.get("memory", {})
        if not isinstance(tables_, Mapping):
            raise ValueError(f"{layer.place(('memory',), tables_)}: expected a table of memories")
        for label, table in tables_.items():
            found[label] = str(table.get("name", label)) if isinstance(table, Mapping) else label
    options = options_of(given)
    everybody = [*(registry.names("memories") if options.all else ()), *(memory_presets() if options.presets else ())]
    for word in [*everybody, *given.names[:-1]]:
        label, _, name = ("", "", word) if is_path(word) else word.partition("=") if "=" in word else ("", "", word)
        label = re.sub(r"\W", "_", label or label_of(name))
        if label in found and not given.files:
            raise ValueError(f"{word}: {label} competes already, expected another label, such as {label}_2={name}")
        found[label] = name
    return found


def _challenge(given: ParsedArgs) -> str:
    named = [layer.values.get("challenge", {}) for layer in given.files]
    names = [table["name"] for table in named if isinstance(table, Mapping) and "name" in table]
    return str([*names, *given.names[-1:]][-1]) if names or given.names else ""


def _seat(competing: Mapping[str, registry.Plugin]) -> registry.Plugin:
    """All contestants as one player, whose settings are theirs under their labels."""
    for label in competing:
        if not label.isidentifier() or keyword.iskeyword(label):
            raise ValueError(f"memory {label!r}: expected a label of letters, digits and _ that begins with a letter")
    fields = [(label, each.Config, dataclasses.field(default_factory=each.Config)) for label, each in competing.items()]
    every = dataclasses.make_dataclass("Memories", fields, frozen=True)
    return registry.Plugin("memories", ", ".join(competing), every, dict, None)


def begin(config: RecallConfig, lab: str, make_view: MakeView, label: str = "") -> Outcome:
    """Play a new contest; its summary and 0, or None and the code of an interruption.

    Raises:
        ValueError: the players cannot be built, a memory refuses its patterns, or the lab cannot be used.
    """
    from simulator.recall import loop

    announce_compiling()
    forget_notices()
    with Store(lab) as store:
        return play(loop.recall(config, store, label=label), store, make_view())


def resume(run: str, lab: str, make_view: MakeView) -> Outcome:
    """Play what is missing of a stored contest; see ``begin``.

    Raises:
        ValueError: it cannot be played on.
    """
    from simulator.recall import loop

    announce_compiling()
    forget_notices()
    with Store(existing(lab)) as store:
        record = store.find(run)
        config = of_record(RecallConfig, record)
        return play(loop.recall(config, store, record.run), store, make_view())


def is_contest(run: str, lab: str) -> bool:
    """Whether a stored run is a contest between memories; False where there is no such run."""
    if not Path(lab).exists():
        return False
    with Store(lab) as store:
        return store.has(run) and is_recall(store.find(run).settings)


def stored(run: str, lab: str) -> dict[str, Any]:
    """What a stored contest came to."""
    from simulator.recall import summary

    with Store(existing(lab)) as store:
        return summary.summary(store, store.find(run).run)


def play(snapshots: Iterator[RecallSnapshot], store: Store, view: Any) -> Outcome:
    """Play a contest to its end, or until Ctrl-C; the code is 1 where nothing came out of it: every seed failed."""
    from simulator.recall import summary
    from simulator.reporting import recall

    snapshot, number = drive(snapshots, view, _begun)  # type: ignore[arg-type]
    if not number:
        found = summary.summary(store, snapshot.run)
        for line in recall.failure_lines(found):
            console.print_status(f"{snapshot.run}: {line}")
        return found, 0 if any(cell["overlap"] for cell in found["cells"]) or found["capacities"] else 1
    done, how = f"{snapshot.step:,} of {snapshot.steps:,} cells", signal.Signals(number).name
    console.print_status(
        f"engram: {how} after {done}, stored; go on with: engram resume {snapshot.run} --lab {store.lab}"
    )
    return None, 128 + number


def _begun(snapshot: Any) -> None:
    seeds = f"{len(snapshot.seeds):,} seed{'s' * (len(snapshot.seeds) > 1)}"
    who = ", ".join(snapshot.contestants)
    console.print_status(f"{snapshot.run}: {who} recall {snapshot.challenge}, {seeds}, {snapshot.steps:,} cells")
    for line in snapshot.warnings:
        console.print_status(f"{snapshot.run}: {line}")
