"""What ``engram tournament`` does between its words and its tables."""

from __future__ import annotations

import contextlib
import re
import signal
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from simulator import console
from simulator.commands.command import DASH, Command, Options, options_of
from simulator.commands.driver import drive
from simulator.commands.parser import ParsedArgs
from simulator.commands.parser import read as read_words
from simulator.commands.run import MakeView, Outcome, announce_compiling
from simulator.commands.tournament_listing import named
from simulator.config import presets
from simulator.config.codec import assemble, of_record, own_settings
from simulator.config.codec import read as read_file
from simulator.config.tournament import SIDES, TournamentConfig, preset
from simulator.config.validation import ConfigSource
from simulator.core.files.escaping import checked_name
from simulator.core.files.writing import write_file
from simulator.core.foreign.python_files import is_path, label_of
from simulator.core.snapshots import TournamentSnapshot
from simulator.store.cell_store import CellStore
from simulator.store.lab import existing
from simulator.tournaments.workers.local import check_place

LISTS = {"agents": "agent", "envs": "env", "memories": "memory", "challenges": "challenge"} | {
    "players": "player",
    "games": "game",
}


def read(command: Command, words: Sequence[str]) -> ParsedArgs:
    """The words of ``engram tournament``; ``--agents A B`` takes every word up to the next flag.

    Raises:
        ValueError: an unknown flag, a missing value or a bad one, in one line.
    """
    entered, rest = _entered(words)
    known = [each for each in command.known() if each.name not in LISTS]
    given = read_words(command.usage, rest, known, dict.fromkeys([*SIDES, *SIDES.values()]))
    options, files = options_of(given), []
    if options.preset:
        files.append(preset(options.preset))
    files += [read_file(path) for path in given.names if not options.init]
    return given._replace(files=(*files, ConfigSource(entered)) if entered else tuple(files))


def _entered(words: Sequence[str]) -> tuple[dict[str, dict[str, dict[str, str]]], list[str]]:
    """The tables of who is named by ``--agents`` and the like, and the words that are left."""
    found: dict[str, dict[str, dict[str, str]]] = {}
    rest, table, flag = list[str](), "", ""
    for word in words:
        name, sign, text = word.partition("=")
        if word.startswith("--"):
            flag, table = name, LISTS.get(name.removeprefix("--"), "")
        if not table:
            rest.append(word)
            continue
        for each in (text.split(",") if sign else []) if word.startswith("--") else [word]:
            _enter(found.setdefault(table, {}), flag, each)
        if table not in found:
            found[table] = {}
    if empty := next((table for table, entries in found.items() if not entries), None):
        raise ValueError(f"--{next(name for name in LISTS if LISTS[name] == empty)}: expected a name after it")
    return found, rest


def _enter(table: dict[str, dict[str, str]], flag: str, word: str) -> None:
    """Note ``NAME`` or ``LABEL=NAME``."""
    label, sign, name = ("", "", "") if is_path(word) else word.partition("=")
    label, name = (label, name) if sign else (re.sub(r"[^\w.-]+", "_", label_of(word)), word)
    if label in table:
        raise ValueError(f"{flag} {word}: {label} is there already, expected another label, such as {label}-2={name}")
    table[label] = {"name": name}


def settings_of(given: ParsedArgs) -> TournamentConfig:
    """The tournament that the words describe.

    Raises:
        ValueError: nobody competes, or a bad setting; one line.
    """
    if not given.files:
        raise ValueError("expected engram tournament FILE.toml, --preset NAME, or --agents A ... --envs W ...")
    fields = {setting.name for setting in own_settings(TournamentConfig)}
    options = ConfigSource({key: value for key, value in given.options.items() if key in fields})
    return assemble(TournamentConfig, [*given.files, options, ConfigSource(given.own, flags=True)])


def init(names: Sequence[str], force: bool = False) -> dict[str, Any]:
    """Write a commented example of a tournament into a new file; ``force``: over whatever is there.

    Raises:
        ValueError: a file is there already, or the place cannot be written.
    """
    if names and names[0] == "-":
        raise ValueError(f"-: {DASH}")
    path = Path(checked_name(names[0], "--init", most=4096) if names else "tournament.toml")
    text = (presets.TOURNAMENTS / f"{presets.EXAMPLE}.toml").read_text("utf-8").replace("THIS_FILE", str(path))
    write_file(path, text.encode(), force=force, kind=".toml")
    return {"file": str(path)}


def begin(config: TournamentConfig, lab: str, make_view: MakeView, options: Options) -> Outcome:
    """Play what is missing of a tournament; its summary and 0, 1 where a cell failed, or None and an interruption.

    Raises:
        ValueError: players that cannot be built, or a lab that cannot be used.
    """
    check_place(options.workers)
    new = not Path(lab).exists()
    try:
        with CellStore(lab) as store:
            return _play(config, store, make_view, options)
    except ValueError:
        if new:
            _unmake(Path(lab))
        raise


def _unmake(lab: Path) -> None:
    """Take away a lab that was made for a tournament that could not be, unless something is in it by now."""
    from simulator.store.lab import unmake

    with contextlib.suppress(OSError, ValueError, RuntimeError):
        with CellStore(lab) as store:
            if store.tournaments():
                return
            with store.hosting():  # nobody else is about to fill it
                (lab / "cells" / "lock").unlink(missing_ok=True)
        (lab / "cells").rmdir()
        unmake(lab)


def resume(name: str, lab: str, make_view: MakeView, options: Options) -> Outcome:
    """Play what is missing of a stored tournament; see ``begin``."""
    check_place(options.workers)
    with CellStore(existing(lab)) as store:
        record = store.find(named(store, name))
        config = of_record(TournamentConfig, record)
        return _play(config, store, make_view, options, record.settings_hash)


def _play(
    config: TournamentConfig, store: CellStore, make_view: MakeView, options: Options, identity: str = ""
) -> Outcome:
    from simulator.tournaments import loop as tournament
    from simulator.tournaments import summary
    from simulator.tournaments.workers.local import workers_of

    announce_compiling()
    snapshots: Iterator[Any] = tournament.play(
        config,
        store,
        lambda n: workers_of(options.workers, n),
        label=options.label,
        retry=options.retry,
        identity=identity,
    )
    last, number = drive(snapshots, make_view(), _begun)  # type: ignore[arg-type]
    if not number:
        summary.keep(store, last.tournament)  # type: ignore[attr-defined]
        found = summary.summary(store, last.tournament)  # type: ignore[attr-defined]
        return found, 1 if found["cells"]["failed"] else 0
    return None, 128 + _interrupted(last, number, store)


def _interrupted(last: Any, number: int, store: CellStore) -> int:
    done, how = f"{last.done:,} of {last.planned:,} cells", signal.Signals(number).name
    again = f"engram resume {last.tournament} --lab {store.lab}"
    console.print_status(
        f"engram: {how} after {done}, stored; a cell that had a checkpoint goes on from it; go on with: {again}"
    )
    return number


def _begun(snapshot: Any) -> None:
    assert isinstance(snapshot, TournamentSnapshot)
    there = f", {snapshot.done:,} of them played already" if snapshot.done else ""
    console.print_status(f"{snapshot.tournament}: {snapshot.planned:,} cell{'s' * (snapshot.planned != 1)}{there}")
