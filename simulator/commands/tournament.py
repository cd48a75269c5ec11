"""``engram tournament``: rank contestants; the parts of resume, show and report for tournaments."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from simulator import console
from simulator.commands.kinds import StoredKind
from simulator.commands.live import window
from simulator.commands.live.driver import Outcome, announce, drive, outcome_of
from simulator.commands.parsing.command import (
    DASH,
    Command,
    CommandResult,
    Options,
    ParsedArgs,
    lab_of,
    refuse_unused,
)
from simulator.config import presets
from simulator.config.codec import assemble, of_record, own_settings, read
from simulator.config.tournament import SIDES, TournamentConfig, preset
from simulator.config.validation import ConfigSource
from simulator.core.experiment_kinds import TOURNAMENT
from simulator.core.files.escaping import checked_name, visible
from simulator.core.files.writing import write_file
from simulator.core.foreign.python_files import is_path, label_of
from simulator.core.snapshots import TournamentSnapshot, View
from simulator.core.wording import plural
from simulator.store import cell_store
from simulator.store.cell_store import CellStore
from simulator.store.lab import existing
from simulator.tournaments.workers.local import check_place

if TYPE_CHECKING:
    from simulator.views.window.tournament_page import TournamentPage, TournamentWindow

ENTRIES = {"agents": "agent", "envs": "env", "memories": "memory", "challenges": "challenge"} | {
    "players": "player",
    "games": "game",
}


def act(args: ParsedArgs) -> CommandResult:
    """Run what is missing of the tournament that the words describe, or write an example of one."""
    options = args.options
    if options.init:
        if args.players or args.given & ENTRIES.keys() or options.preset:
            raise ValueError("--init: writes an example as it is, expected no settings beside it")
        refuse_unused(args, "tournament", "--init", ("init", "force"))
        written = init(args.names, options.force)
        return CommandResult(written, lambda data: console.print_result(visible(f"{data['file']} is written")))
    if options.force:
        raise ValueError("--force: nothing is replaced, expected --init beside it")
    config = assemble(TournamentConfig, config_sources(args))
    lab = lab_of(options)

    def begin(view: View[Any] | None) -> Outcome:
        check_place(options.workers)
        with cell_store.made_for(lab) as store:
            return _play(config, store, view, options)

    return _viewed(options, lab, begin)


def _resume(name: str, lab: str, args: ParsedArgs) -> CommandResult:
    def go_on(view: View[Any] | None) -> Outcome:
        check_place(args.options.workers)
        with CellStore(existing(lab)) as store:
            record = store.find(store.id_of(name))
            config = of_record(TournamentConfig, record)
            return _play(config, store, view, args.options, record.settings_hash)

    return _viewed(args.options, lab, go_on)


def config_sources(args: ParsedArgs) -> list[ConfigSource]:
    """Return the sources of the config, each over the ones before: preset, file, command line."""
    files = []
    if args.options.preset:
        files.append(preset(args.options.preset))
    files += [read(path) for path in args.names]
    entries = {ENTRIES[name]: _entries(name, getattr(args.options, name)) for name in ENTRIES if name in args.given}
    if not (files or entries):
        raise ValueError("expected engram tournament FILE.toml, --preset NAME, or --agents A ... --envs E ...")
    return [*files, *args.sources(entries)]


def _entries(option: str, words: Sequence[str]) -> dict[str, dict[str, str]]:
    """Convert ``NAME`` and ``LABEL=NAME`` to tables, by label."""
    if not words:
        raise ValueError(f"--{option}: expected a name after it")
    entries: dict[str, dict[str, str]] = {}
    for word in words:
        label, sign, name = ("", "", "") if is_path(word) else word.partition("=")
        if not sign:
            label = re.sub(r"[^\w.-]+", "_", label_of(word))
            name = word
        if label in entries:
            line = f"{label} already exists, expected another label, such as {label}-2={name}"
            raise ValueError(f"--{option} {word}: {line}")
        entries[label] = {"name": name}
    return entries


def init(names: Sequence[str], force: bool = False) -> dict[str, Any]:
    """Write a commented example of a tournament into a new file; with ``force`` over any other.

    Raises:
        ValueError: a file already exists, or the place cannot be written.
    """
    if names and names[0] == "-":
        raise ValueError(f"-: {DASH}")
    path = Path(checked_name(names[0], "--init", most=4096) if names else "tournament.toml")
    text = (presets.TOURNAMENTS / f"{presets.EXAMPLE}.toml").read_text("utf-8").replace("THIS_FILE", str(path))
    write_file(path, text.encode(), force=force, kind=".toml")
    return {"file": str(path)}


def _viewed(options: Options, lab: str, run: Callable[[View[Any] | None], Outcome]) -> CommandResult:
    """Run a tournament with the view that the options ask for."""
    from simulator.reporting import tournament

    def make_window() -> TournamentWindow:
        from simulator.tournaments.watching import cells_in, panels_of_cell, play_cell
        from simulator.views.window.tournament_page import TournamentWindow

        return TournamentWindow(panels_of_cell, partial(cells_in, lab), play_cell, options.scale)

    data, code = window.viewed(options, TOURNAMENT, run, make_window)
    return CommandResult(data, tournament.show, code)


def stored_page(name: str, lab: str) -> TournamentPage:
    """Make the page of a stored tournament, which looks into its lab from now on.

    Raises:
        ValueError: no such lab or tournament.
    """
    from simulator.commands.live.recipe import recipe
    from simulator.tournaments.watching import WatchedTournament, panels_of_cell, play_cell
    from simulator.views.window.tournament_page import TournamentPage

    watched = WatchedTournament(lab, name)
    watched.begin()
    return TournamentPage(watched, panels_of_cell, play_cell, lab, partial(recipe, lab, watched.name))


def _play(
    config: TournamentConfig, store: CellStore, view: View[Any] | None, options: Options, identity: str = ""
) -> Outcome:
    from simulator.tournaments import loop as tournament
    from simulator.tournaments import summary
    from simulator.tournaments.workers.local import workers_of

    snapshots = tournament.play(
        config,
        store,
        partial(workers_of, options.workers),
        label=options.label,
        retry=options.retry,
        identity=identity,
    )

    def finish(last: TournamentSnapshot) -> Outcome:
        summary.keep(store, last.id)
        result = summary.summary(store, last.id)
        return Outcome(result, 1 if result["cells"]["failed"] else 0)

    return outcome_of(drive(snapshots, view, _begun), store.lab, finish)


def _begun(snapshot: TournamentSnapshot) -> None:
    there = f", {snapshot.done:,} of them stored already" if snapshot.done else ""
    announce(snapshot, f"{plural(snapshot.planned, 'cell')}{there}")


def stored(name: str, lab: str, *, smooth: int = 1, with_seeds: bool = False) -> dict[str, Any]:
    """Summarise a stored tournament.

    Args:
        name: its id, or "latest".
        lab: its lab.
        smooth: evaluations that each point of a learning curve is the mean of.
        with_seeds: with ``seed_scores``: the final score of each seed.
    """
    from simulator.reporting import tournament
    from simulator.tournaments import summary

    with CellStore(existing(lab)) as store:
        result = summary.summary(store, store.id_of(name))
        if smooth == 1 and not with_seeds:
            return result
        played = summary.division_scores(store, result["tournament"])
    result = tournament.with_smooth_curves(result, played, smooth) if smooth > 1 else result
    return {**result, "seed_scores": list(tournament.seed_scores(played))} if with_seeds else result


def stored_kind() -> StoredKind:
    """Describe tournaments; see :mod:`simulator.commands.kinds`."""
    from simulator.reporting import tournament
    from simulator.tournaments import summary

    used = ("view", "scale", "workers", "trust_files", "retry")
    return StoredKind(TournamentConfig, summary.summary, tournament.show, _resume, used)


COMMAND = Command(
    act,
    (0, 1),
    ("preset", "label", "view", "scale", "workers", "trust_files", "init", "force", "retry", *ENTRIES),
    lambda: own_settings(TournamentConfig),
    (*SIDES, *SIDES.values()),
    examples=(
        "tournament --agents q_learning td random_walk --envs FrozenLake-v1 CliffWalking-v1 --steps 5000",
        "tournament --memories hopfield rbm --challenges digits",
        "tournament --preset rooms --workers 2",
        "tournament --init",
    ),
)
