"""``engram tune``: search settings of an agent or a memory; the parts of resume, list, show and report for it."""

from __future__ import annotations

import contextlib
import math
import os
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from simulator import console
from simulator.commands.live import window
from simulator.commands.live.driver import drive, interruption_line
from simulator.commands.parsing.command import Command, CommandResult, Options, ParsedArgs, lab_of, view_of
from simulator.commands.parsing.help import PlayerHelp, player_help
from simulator.commands.run import MakeView, Outcome, announce_compiling
from simulator.config.codec import assemble, of_record, own_settings, read, stored_notes
from simulator.config.presets import find_memory
from simulator.config.tune import TuneConfig, named
from simulator.config.validation import ConfigSource
from simulator.core.files.escaping import visible
from simulator.core.files.writing import check_place as check_file
from simulator.core.files.writing import write_file
from simulator.core.snapshots import TUNE, TuneSnapshot
from simulator.store.cell_store import CellStore
from simulator.store.database import NAME
from simulator.store.lab import existing, is_written
from simulator.store.records import StoreError, StoreFailure
from simulator.tournaments.workers.local import check_place

TABLES = ("agent", "env", "memory", "challenge", "space")


def act(args: ParsedArgs) -> CommandResult:
    """Search the space that the words describe."""
    from simulator.reporting import tune

    options = args.options
    if options.output:
        check_output(options.output, options.force)
    elif options.force:
        raise ValueError("--force: nothing is written, expected -o FILE beside it")
    config = assemble(TuneConfig, sources_of(args))
    lab = lab_of(options)
    data, code = viewed(options, lab, lambda make_view: begin(config, lab, make_view, options))
    write_best(data, options)
    return CommandResult(data, partial(tune.show, written=options.output), code)


def viewed(options: Options, lab: str, run: Callable[[MakeView], Outcome]) -> Outcome:
    """Run a tuning with the view that the options ask for; a window shows the judgement until it is closed.

    Args:
        options: ``view`` and ``scale`` of them.
        lab: where it is stored.
        run: runs it with a view; see ``begin`` and ``resume``.
    """
    if options.view != "window":
        return run(lambda: view_of(options, "tune"))
    from simulator.tuning.summary import summary, trial_estimates
    from simulator.views.window.intervals import Interval
    from simulator.views.window.tune_page import Standing, TuneWindow

    known: dict[Any, Any] = {}

    def read(name: str) -> Standing | None:
        with contextlib.suppress(StoreError, StoreFailure, OSError), CellStore(lab) as store:
            found = trial_estimates(store, name, known)
            ends = [(each.value, each.low, each.high) for each in found.values()]
            intervals = [Interval(*(math.nan if end is None else float(end) for end in each)) for each in ends]
            return Standing(summary(store, name), dict(zip(found, intervals, strict=True)))
        return None

    window.check(window.LIVE)
    return window.follow(TuneWindow(read, window.typed(), options.scale), run, "tuning")


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


def begin(config: TuneConfig, lab: str, make_view: MakeView, options: Options) -> Outcome:
    """Search what is missing of a tuning; its summary and 0, 1 where there is no best, or None and an interruption.

    Raises:
        ValueError: players that cannot be built, or a lab that cannot be used.
    """
    check_place(options.workers)
    new = not Path(lab).exists()
    try:
        with CellStore(lab) as store:
            return _tune(config, store, make_view, options)
    except ValueError:
        if new:
            from simulator.commands.tournament import unmake

            unmake(Path(lab))
        raise


def resume(name: str, lab: str, make_view: MakeView, options: Options) -> Outcome:
    """Search what is missing of a stored tuning; see ``begin``."""
    check_place(options.workers)
    if options.output:
        check_output(options.output, options.force)
    with CellStore(existing(lab)) as store:
        record = store.find(id_of(store, name))
        data, code = _tune(of_record(TuneConfig, record), store, make_view, options, record.settings_hash)
    write_best(data, options)
    return Outcome(data, code)


def _tune(config: TuneConfig, store: CellStore, make_view: MakeView, options: Options, identity: str = "") -> Outcome:
    from simulator.tournaments.workers.local import workers_of
    from simulator.tuning import loop, summary

    announce_compiling()
    snapshots = loop.tune(
        config,
        store,
        lambda n: workers_of(options.workers, n),
        label=options.label,
        retry=options.retry,
        identity=identity,
    )
    driven = drive(snapshots, make_view(), _begun)
    if driven.signal:
        console.print_status(interruption_line(driven, store.lab))
        return Outcome(None, 128 + driven.signal)
    result = summary.summary(store, driven.last.id)
    judged = result["judged"]
    return Outcome(result, 0 if judged and judged["best"]["value"] is not None else 1)


def _begun(snapshot: TuneSnapshot) -> None:
    there = f", {snapshot.done:,} of them stored already" if snapshot.done else ""
    n = snapshot.planned
    console.print_status(f"{snapshot.id}: {snapshot.what}, at most {n:,} cell{'s' * (n != 1)}{there}")


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


def listed(lab: str) -> list[dict[str, Any]]:
    """List every tuning of a lab, newest last."""
    if not os.path.exists(os.path.join(lab, NAME)):
        return []
    rows = []
    with CellStore(lab) as store:
        for tuning in reversed(store.tournaments(TUNE)):
            killed = tuning.status == "running" and not is_written(store.lab / "cells")
            trials = tuning.plan["trials"]
            rows.append(
                {
                    "tune": tuning.name,
                    "label": tuning.label,
                    "what": what_of(tuning.settings),
                    "trials": len(trials),
                    "pruned": sum(trial["state"] == "pruned" for trial in trials),
                    "failed": sum(trial["state"] == "failed" for trial in trials),
                    "status": "killed" if killed else tuning.status,
                    "created": tuning.created,
                    "bytes": store.size_of_tournament(tuning.name),
                }
            )
    return rows


def what_of(settings: str) -> str:
    """Name the player and the place of a stored tuning: ``q_learning in rooms``."""
    from simulator.core.files.reading import parse_toml

    tables = parse_toml(settings)
    names = [tables[table]["name"] for table in TABLES[:4] if table in tables]
    return " in ".join(names)


def show_listed(tunings: Sequence[dict[str, Any]]) -> None:
    """Print them for people."""
    if not tunings:
        console.print_result(
            "there are no tunings yet: engram tune q_learning rooms --space.agent.step-size 0.01:1:log"
        )
        return
    from simulator.commands.list import format_time
    from simulator.reporting.tables import Table, print_tables

    columns = ("tune", "label", "what", "trials", "pruned", "failed", "status", "created", "size")
    shown = [
        {**row, "created": format_time(row["created"]), "size": console.format_bytes(row["bytes"])} for row in tunings
    ]
    rows = [[console.format_cell(row[column]) for column in columns] for row in shown]
    print_tables([Table("", columns, rows, droppable=("created", "label"), labels=("label", "what"), foldable=True)])


def stored(name: str, lab: str) -> dict[str, Any]:
    """Summarise a stored tuning; ``name``: its id, or "latest"."""
    from simulator.tuning import summary

    with CellStore(existing(lab)) as store:
        return summary.summary(store, id_of(store, name))


def settings_notes(name: str, lab: str) -> list[str]:
    """Say what has changed about a stored tuning's settings."""
    with CellStore(existing(lab)) as store:
        return stored_notes(TuneConfig, store.find(id_of(store, name)))


def id_of(store: CellStore, name: str) -> str:
    """Return the id of a tuning; the newest one's if the name is "latest"."""
    tunings = store.tournaments(TUNE)
    return tunings[0].name if name == "latest" and tunings else name


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
