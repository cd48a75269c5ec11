"""``engram show``: a player with its settings, a stored experiment with its result, or what it has learned."""

from __future__ import annotations

import dataclasses
import inspect
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np

from simulator import console
from simulator.commands.live import window
from simulator.commands.parsing.command import Command, CommandResult, ParsedArgs, lab_of, refuse_unused
from simulator.commands.parsing.help import PlayerHelp, player_help
from simulator.commands.parsing.parser import format_value
from simulator.config.inside import InsideConfig
from simulator.config.presets import find_memory
from simulator.config.sockets import sockets_of
from simulator.config.validation import Setting, describe, nested_fields, settings
from simulator.core import registry
from simulator.core.experiment_kinds import RECALL
from simulator.core.files.escaping import visible
from simulator.core.foreign.python_files import is_path
from simulator.store.cell_store import kind_of
from simulator.store.rows import CELLS_ID, RUN_ID

if TYPE_CHECKING:
    from simulator.store.run_store import Store

T = TypeVar("T")


def act(args: ParsedArgs) -> CommandResult:
    """Show a player or an experiment, what an experiment has learned, or what is inside a memory."""
    if args.options.values and args.options.inside:
        raise ValueError("--values --inside: expected one of them")
    is_memory = len(args.names) == 2 or "patterns_from" in args.given
    has_window = (args.options.inside or is_memory) and not args.options.values
    if args.options.view == "window" and not has_window:
        named = f"engram watch {args.names[0]} opens a stored experiment"
        raise ValueError(f"--view window: expected --inside of a run, or a memory and a challenge; {named}")
    if args.options.values:
        _check_alone(args, "--values", ("values", "seed"))
        return _learned(args)
    if (result := _of_memory(args)) is not None:
        return result
    if args.options.inside:
        _check_alone(args, "--inside of a run", ("inside", "seed", "picture", "force", "view", "scale"))
        return _inside(args)
    if "seed" in args.given:
        raise ValueError("--seed: expected --values or --inside too, of which it chooses the seed")
    _check_alone(args, "a player or an experiment", ())
    name = args.names[0]
    lab = lab_of(args.options)
    if players := _players_named(name):
        return CommandResult(players, show_entry)
    if name == "latest" or RUN_ID.fullmatch(name) or CELLS_ID.fullmatch(name):
        return _experiment(name, lab)
    return CommandResult(_outside_player(name, lab), show_entry)


def _of_memory(args: ParsedArgs) -> CommandResult | None:
    """Show what is inside a memory, where that is asked for; None: it is not."""
    from simulator.commands.showing import memories

    if "patterns_from" in args.given:
        return memories.of_vectors(args, "show")
    if args.options.inside and kind_of(lab_of(args.options), args.names[0]) == RECALL:
        return memories.of_benchmark(args)
    if len(args.names) == 2 or args.players:
        if len(args.names) == 2 and memories.is_memory(args.names[0]):
            return memories.of_challenge(args)
        raise ValueError(f"{args.names[0]}: expected a memory and a challenge after it (engram show hopfield digits)")
    return None


def _check_alone(args: ParsedArgs, what: str, used: tuple[str, ...]) -> None:
    """Refuse a second name, and options that have no effect."""
    if len(args.names) > 1:
        raise ValueError(f"{args.names[1]}: not beside {what}, expected one name")
    refuse_unused(args, "show", what, used)


def _of_run(args: ParsedArgs, look: Callable[[Store, str, int | None], T]) -> T:
    """Look at one seed of a stored run."""
    from simulator.store.lab import existing
    from simulator.store.run_store import Store

    (name,) = args.names
    lab = existing(lab_of(args.options))
    with Store(lab) as store:
        return look(store, name, args.options.seed)


def _learned(args: ParsedArgs) -> CommandResult:
    """Show what one seed of a run has learned: its action values and its policy, beside the exact ones."""
    from simulator.commands.solve import draw
    from simulator.training import values

    found = _of_run(args, values.of_run)

    def show(data: Mapping[str, Any]) -> None:
        _show_learned(data)
        draw(found.view)

    return CommandResult({key: value for key, value in found._asdict().items() if key != "view"}, show)


def _inside(args: ParsedArgs) -> CommandResult:
    """Show what is inside the agent of one seed of a run, as panels."""
    from simulator.reporting import panels
    from simulator.reporting.figures import save_pictures
    from simulator.training import inside

    _check_figure(args)
    if args.options.view == "window":
        window.check()
    found = _of_run(args, inside.of_run)
    if args.options.picture:
        where = f"{found.agent} in {found.env}, seed {found.seed}, after {found.step:,} steps"
        save_pictures(panels.pictures_of(found.panels, where), Path(args.options.picture), force=args.options.force)

    if args.options.view == "window":
        title = f"{found.run}: inside {found.agent} in {found.env}, seed {found.seed}, after {found.step:,} steps"
        window.show_panels(title, {"Inside": found.panels}, args.options.scale)

    def show(data: Mapping[str, Any]) -> None:
        where = f"{data['run']}: inside {data['agent']} in {data['env']}"
        console.print_result(f"{where}, seed {data['seed']}, after {data['step']:,} steps")
        panels.print_panels(found.panels)

    data = {**found._asdict(), "panels": [panels.entry_of(panel) for panel in found.panels]}
    return CommandResult(data, show)


def _check_figure(args: ParsedArgs) -> None:
    """Refuse a figure's file before anything is computed."""
    from simulator.core.files.writing import check_place
    from simulator.reporting.figures import check_ending

    if args.options.picture:
        check_ending(Path(args.options.picture))
        check_place(Path(args.options.picture), force=args.options.force)


def _show_learned(data: Mapping[str, Any]) -> None:
    """Print the values of the states that an episode can come to, and how much of the policy is optimal."""
    from simulator.commands.solve import MAX_STATES
    from simulator.reporting.tables import Table, print_tables

    states = np.flatnonzero(data["reachable"])
    numbers = data["policy"] if data["q"] is None else data["q"]
    columns = ["state", *(["place"] if data["places"] is not None else []), *data["actions"]]
    columns += [*(["value"] if data["q"] is None else []), "exact", "best"]
    rows = []
    for n in states:
        place = [] if data["places"] is None else [",".join(map(str, data["places"][n]))]
        cells = [float(x) if legal else None for x, legal in zip(numbers[n], data["legal"][n], strict=True)]
        worth = [float(data["values"][n])] if data["q"] is None else []
        exact = None if data["exact_values"] is None else float(data["exact_values"][n])
        best = [data["actions"][a] for a in np.flatnonzero(data["policy"][n] > 0)]
        rows.append([console.format_cell(cell) for cell in (int(n), *place, *cells, *worth, exact, " ".join(best))])
    what = "probabilities of actions" if data["q"] is None else "Q, the learned values of actions"
    title = f"{data['run']}: {data['agent']} in {data['env']}, seed {data['seed']}: {what}; discount {data['gamma']:g}"
    own = "value: what this policy is worth; " if data["q"] is None else ""
    place_note = "place: row and column; " if data["places"] is not None else ""
    notes = [f"{place_note}{own}exact: the value of the optimal policy; best: the greedy policy"]
    if len(states) > MAX_STATES:
        rows = []
        notes = [title, f"{len(states):,} states; --json prints all of them"]
    if data["exact_policy"] is not None:
        optimal = ~((data["policy"] > 0) & (data["exact_policy"] == 0)).any(axis=1)
        met = np.flatnonzero(data["met"])
        notes.append(
            f"best actions are optimal in {optimal[states].sum()} of {len(states)} states,"
            f" and in {optimal[met].sum()} of the {len(met)} that this policy comes to"
        )
    print_tables([Table(title, columns, rows, notes, foldable=True)])
    console.print_result()


def _experiment(name: str, lab: str) -> CommandResult:
    """Show the result of a stored experiment, where it was made, and its settings."""
    from simulator.commands import kinds
    from simulator.config.codec import stored_notes
    from simulator.machine import made_with

    kind, record, summary = kinds.find(name, lab)
    notes = stored_notes(kind.config, record)

    def show(data: Mapping[str, Any]) -> None:
        kind.show(data)
        for line in ("", *made_with(data)):
            console.print_result(visible(line))
        console.print_result(f"\n{data['settings'].rstrip()}")
        for line in notes:
            console.print_result(visible(line))

    return CommandResult({**summary, "settings": record.settings, "settings_notes": notes}, show)


def _players_named(name: str) -> dict[str, Any] | None:
    """Describe the players of a name, the one of exactly that name first; None where there is none."""
    registry.check_can_be_name(name, "name")
    players = [registry.load(kind, name) for kind in registry.FOLDERS if name.replace("-", "_") in _plain_names(kind)]
    if not players:
        return None
    players.sort(key=lambda player: player.name != name.replace("-", "_"))
    return {"name": players[0].name, "players": [player_entry(player) for player in players]}


def _outside_player(name: str, lab: str) -> dict[str, Any]:
    """Describe the player of a file, a dotted name or a Gymnasium id.

    Raises:
        ValueError: nothing has that name, neither a player nor an experiment of the lab.
    """
    from simulator.commands.list import run_rows

    names = [name for kind in registry.FOLDERS for name in registry.names(kind)]
    kind_of_file = registry.kind_of(name) if is_path(name) or "." in name else None
    for kind in (kind_of_file,) if kind_of_file else ("agents", "memories", "envs"):
        try:
            return {"name": name, "players": [player_entry(registry.load(kind, name))]}
        except registry.UnknownNameError:
            names += registry.candidates(kind)
    known = [*names, *(row["run"] for row in run_rows(lab)), "latest"]
    raise ValueError(registry.unknown_name_message("name", name, known, "engram list, engram list runs"))


def show_entry(data: Mapping[str, Any]) -> None:
    """Print a player for people."""
    for player in data["players"]:
        console.print_result(
            f"{player['name']}, {registry.SINGULAR[player['kind']]}, {player['file']}\n\n{player['doc']}\n"
        )
        if "sockets" in player:
            console.print_result(f"sockets: {', '.join(player['sockets'])}\n")
        rows = [
            (setting["name"], setting["default"], setting["expected"], setting["description"])
            for setting in player["settings"]
        ]
        if rows:
            console.print_table("settings", ("name", "default", "expected", "description"), rows)


def _plain_names(kind: str) -> set[str]:
    own = {name.replace("-", "_") for name in registry.names(kind)}
    return {*own, *registry.ALIASES.get(kind, {}), *registry.VARIANTS.get(kind, {})}


def player_entry(player: registry.Plugin) -> dict[str, Any]:
    """Describe a player: its file, its docstring and its settings."""
    return {
        "kind": player.kind,
        "name": player.name,
        "file": getattr(player.module, "__file__", None),
        **({"sockets": list(sockets_of(player))} if player.kind == "components" else {}),
        "doc": inspect.getdoc(player.module) or "",
        "settings": _flat(settings(player.Config), ""),
    }


def _flat(known: list[Setting], prefix: str) -> list[dict[str, str]]:
    """Flatten settings to rows; nested settings have dotted names."""
    rows: list[dict[str, str]] = []
    for setting in known:
        if dataclasses.is_dataclass(setting.hint):
            rows += _flat(nested_fields(setting), f"{prefix}{setting.name}.")
        else:
            row = {"name": prefix + setting.name, "default": format_value(setting.default)}
            rows.append({**row, "expected": describe(setting.hint), "description": setting.doc})
    return rows


def _players(args: ParsedArgs) -> list[PlayerHelp]:
    """Return the settings of a memory and of the challenge after it."""
    from simulator.commands.showing import memories

    if len(args.names) != 2 or not memories.is_memory(args.names[0]):
        return []
    memory, challenge = args.names
    return [
        player_help(("memory",), "memories", memory, find_memory),
        player_help(("challenge",), "challenges", challenge),
    ]


COMMAND = Command(
    act,
    (1, 2),
    ("values", "inside", "seed", "patterns_from", "what", "picture", "force", "view", "scale"),
    lambda: settings(InsideConfig),
    ("memory", "challenge"),
    _players,
    examples=(
        "show q_learning",
        "show r1 --values --seed 3 --json",
        "show r1 --inside",
        "show hopfield digits --patterns 3 --what weights,states",
        'show hopfield --patterns-from "1,-1,1,-1,1,1;1,1,1,-1,-1,-1"',
    ),
)
