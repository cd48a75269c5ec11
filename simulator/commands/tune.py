"""``engram tune``: search settings of an agent or a memory; the parts of resume, show and report for it."""

from __future__ import annotations

import contextlib
import math
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from simulator import console
from simulator.commands.kinds import StoredKind
from simulator.commands.live import window
from simulator.commands.live.driver import Outcome, announce, drive, outcome_of
from simulator.commands.parsing.command import (
    Command,
    CommandResult,
    Options,
    ParsedArgs,
    lab_of,
)
from simulator.commands.parsing.help import PlayerHelp, player_help
from simulator.config.codec import assemble, of_record, own_settings, read
from simulator.config.presets import find_memory
from simulator.config.tune import TuneConfig, named
from simulator.config.validation import ConfigSource
from simulator.core.experiment_kinds import TUNE
from simulator.core.files.escaping import visible
from simulator.core.files.writing import check_place as check_file
from simulator.core.files.writing import write_file
from simulator.core.snapshots import TuneSnapshot, View
from simulator.core.wording import plural
from simulator.store import cell_store
from simulator.store.cell_store import CellStore
from simulator.store.lab import existing
from simulator.store.records import StoreError, StoreFailure
from simulator.tournaments.workers.local import check_place

if TYPE_CHECKING:
    from simulator.views.window.tune_page import TuneWindow

TABLES = ("agent", "env", "memory", "challenge", "space")


def act(args: ParsedArgs) -> CommandResult:
    """Search the space that the words describe."""
    options = args.options
    if options.output:
        check_output(options.output, options.force)
    elif options.force:
        raise ValueError("--force: nothing is written, expected -o FILE beside it")
    config = assemble(TuneConfig, sources_of(args))
    lab = lab_of(options)

    def begin(view: View[Any] | None) -> Outcome:
        check_place(options.workers)
        with cell_store.made_for(lab) as store:
            return _tune(config, store, view, options)

    return _viewed(options, lab, begin)


def _resume(name: str, lab: str, args: ParsedArgs) -> CommandResult:
    options = args.options
    if options.output:
        check_output(options.output, options.force)

    def go_on(view: View[Any] | None) -> Outcome:
        check_place(options.workers)
        with CellStore(existing(lab)) as store:
            record = store.find(store.id_of(name, TUNE))
            return _tune(of_record(TuneConfig, record), store, view, options, record.settings_hash)

    return _viewed(options, lab, go_on)


def _viewed(options: Options, lab: str, run: Callable[[View[Any] | None], Outcome]) -> CommandResult:
    """Run a tuning with the view that the options ask for, and write the best settings as soon as it is over."""
    from simulator.reporting import tune

    def run_and_write(view: View[Any] | None) -> Outcome:
        outcome = run(view)
        write_best(outcome.summary, options)
        return outcome

    data, code = window.viewed(options, TUNE, run_and_write, lambda: _window(lab, options.scale))
    return CommandResult(data, partial(tune.show, written=options.output), code)


def _window(lab: str, scale: str) -> TuneWindow:
    from simulator.tuning.summary import summary, trial_estimates
    from simulator.views.window.intervals import ValueInterval
    from simulator.views.window.tune_page import TuneStanding, TuneWindow

    known: dict[Any, Any] = {}

    def read(name: str) -> TuneStanding | None:
        with contextlib.suppress(StoreError, StoreFailure, OSError), CellStore(lab) as store:
            found = trial_estimates(store, name, known)
            ends = [(each.value, each.low, each.high) for each in found.values()]
            intervals = [ValueInterval(*(math.nan if end is None else float(end) for end in each)) for each in ends]
            return TuneStanding(summary(store, name), dict(zip(found, intervals, strict=True)))
        return None

    return TuneWindow(read, window.typed(), scale)


def sources_of(args: ParsedArgs) -> list[ConfigSource]:
    """Return the sources of the config: a file, and over it the command line.

    Raises:
        ValueError: neither a file nor two players are named; one line.
    """
    files = [read(name) for name in args.names if name.endswith(".toml")]
    players = [name for name in args.names if not name.endswith(".toml")]
    if len(files) > 1 or len(players) not in (0, 2) or not args.names:
        raise ValueError("expected engram tune FILE.toml, engram tune AGENT ENV, or engram tune MEMORY CHALLENGE")
    return [*files, *args.sources(named(*players) if players else {})]


def _tune(
    config: TuneConfig, store: CellStore, view: View[Any] | None, options: Options, identity: str = ""
) -> Outcome:
    from simulator.tournaments.workers.local import workers_of
    from simulator.tuning import loop, summary

    snapshots = loop.tune(
        config,
        store,
        partial(workers_of, options.workers),
        label=options.label,
        retry=options.retry,
        identity=identity,
    )

    def finish(last: TuneSnapshot) -> Outcome:
        result = summary.summary(store, last.id)
        judged = result["judged"]
        return Outcome(result, 0 if judged and judged["best"]["value"] is not None else 1)

    return outcome_of(drive(snapshots, view, _begun), store.lab, finish)


def _begun(snapshot: TuneSnapshot) -> None:
    there = f", {snapshot.done:,} of them stored already" if snapshot.done else ""
    announce(snapshot, f"{snapshot.what}, at most {plural(snapshot.planned, 'cell')}{there}")


def check_output(output: str, force: bool) -> None:
    """Check that the file of the best settings can be written, before anything is run.

    Raises:
        ValueError: another ending than .toml, or a place that is not to be written; one line.
    """
    if not output.endswith(".toml"):
        raise ValueError(f"-o {output}: expected a file that ends in .toml")
    check_file(Path(output), force=force)


def write_best(data: Mapping[str, Any] | None, options: Options) -> None:
    """Write the settings with the best trial as TOML, where that was asked for and there is one."""
    if options.output and data is not None and data["best_settings"]:
        write_file(Path(options.output), data["best_settings"].encode(), force=options.force, kind=".toml")
        console.print_status(visible(f"{options.output} is written"))


def what_of(settings: str) -> str:
    """Name the player and the place of a stored tuning: ``q_learning in rooms``."""
    from simulator.core.files.reading import parse_toml

    tables = parse_toml(settings)
    names = [tables[table]["name"] for table in TABLES[:4] if table in tables]
    return " in ".join(names)


def stored_kind() -> StoredKind:
    """Describe tunings; see :mod:`simulator.commands.kinds`."""
    from simulator.reporting import tune
    from simulator.tuning import summary

    used = ("view", "scale", "workers", "trust_files", "retry", "output", "force")
    return StoredKind(TuneConfig, summary.summary, tune.show, _resume, used)


def _players(args: ParsedArgs) -> list[PlayerHelp]:
    """Return the settings of the player that is named, which can be searched."""
    players = [name for name in args.names if not name.endswith(".toml")]
    if len(players) != 2:
        return []
    tables = named(*players)
    table = "agent" if "agent" in tables else "memory"
    if table == "agent":
        return [player_help(("agent",), "agents", players[0])]
    return [player_help(("memory",), "memories", players[0], find_memory)]


COMMAND = Command(
    act,
    (0, 3),
    ("output", "force", "label", "view", "scale", "workers", "trust_files", "retry"),
    lambda: own_settings(TuneConfig),
    TABLES,
    players=_players,
    examples=(
        "tune q_learning rooms --space.agent.step-size 0.01:1:log --space.agent.gamma 0.8,0.9,0.99 --steps 2000",
        "tune rbm digits --space.memory.learn.learning-rate 0.001:0.5:log --search tpe --trials 24",
        "tune dqn CartPole-v1 --space.agent.optimizer.learning-rate 1e-4:1e-2:log --halving steps --workers 4",
        "tune space.toml -o best.toml",
    ),
)
