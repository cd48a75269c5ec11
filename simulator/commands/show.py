"""``engram show``: a player with its settings, a stored experiment with its result, or what it has learned."""

from __future__ import annotations

import dataclasses
import inspect
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from simulator import console
from simulator.commands.parsing.command import Command, CommandResult, ParsedArgs, lab_of
from simulator.commands.parsing.parser import format_value
from simulator.config.sockets import sockets_of
from simulator.config.validation import Setting, describe, nested_fields, settings
from simulator.core import registry
from simulator.core.files.escaping import visible
from simulator.core.foreign.python_files import is_path


def act(args: ParsedArgs) -> CommandResult:
    """Show a player or an experiment, or what an experiment has learned."""
    if args.options.values and args.options.inside:
        raise ValueError("--values --inside: expected one of them")
    if args.options.values:
        return _learned(args)
    if args.options.inside:
        return _inside(args)
    if "seed" in args.given:
        raise ValueError("--seed: expected --values or --inside too, of which it chooses the seed")
    shown = entry(args.names[0], lab_of(args.options))
    return CommandResult(shown, show_entry if "players" in shown else _show_experiment)


def _learned(args: ParsedArgs) -> CommandResult:
    """Show what one seed of a run has learned: its action values and its policy, beside the exact ones."""
    from simulator.commands.solve import draw
    from simulator.store.lab import existing
    from simulator.store.run_store import Store
    from simulator.training import values

    (name,) = args.names
    lab = existing(lab_of(args.options))
    if is_tournament(name, lab):
        raise ValueError(f"--values: {name} is a tournament, expected a run of an agent (engram list runs)")
    with Store(lab) as store:
        found = values.of_run(store, name, args.options.seed)

    def show(data: Mapping[str, Any]) -> None:
        _show_learned(data)
        draw(found.view)

    return CommandResult({key: value for key, value in found._asdict().items() if key != "view"}, show)


def _inside(args: ParsedArgs) -> CommandResult:
    """Show what is inside the agent of one seed of a run, as panels."""
    from simulator.store.lab import existing
    from simulator.store.run_store import Store
    from simulator.training import inside

    (name,) = args.names
    lab = existing(lab_of(args.options))
    if is_tournament(name, lab):
        raise ValueError(f"--inside: {name} is a tournament, expected a run of an agent (engram list runs)")
    with Store(lab) as store:
        found = inside.of_run(store, name, args.options.seed)

    def show(data: Mapping[str, Any]) -> None:
        from rich.console import Console

        from simulator.views.panels import panel_text
        from simulator.views.style import style_of

        where = f"{data['run']}: inside {data['agent']} in {data['env']}"
        console.print_result(f"{where}, seed {data['seed']}, after {data['step']:,} steps")
        terminal = Console()
        for panel in found.panels:
            console.print_result()
            terminal.print(panel_text(panel, terminal.width, style_of(terminal)))

    data = {**found._asdict(), "panels": [_panel_entry(panel) for panel in found.panels]}
    return CommandResult(data, show)


def _panel_entry(panel: Any) -> dict[str, Any]:
    """Describe a panel: its kind, and its attributes by name."""
    kind = type(panel).__name__.removesuffix("Panel").lower()
    return {"kind": kind, **{field.name: getattr(panel, field.name) for field in dataclasses.fields(panel)}}


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


def _show_experiment(summary: Mapping[str, Any]) -> None:
    """Print the result of a stored experiment, where it was made, and its settings."""
    from simulator.commands import run
    from simulator.machine import made_with
    from simulator.reporting import play, predict, recall, tournament

    forms = {
        "tournament": tournament.show,
        "challenge": recall.show,
        "task": predict.show,
        "play": play.show,
    }
    next((forms[key] for key in forms if key in summary), run.show_facts)(summary)
    for line in ("", *made_with(summary)):
        console.print_result(visible(line))
    console.print_result(f"\n{summary['settings'].rstrip()}")
    for line in summary["settings_notes"]:
        console.print_result(visible(line))


def entry(name: str, lab: str) -> dict[str, Any]:
    """Describe a player or an experiment in full; of several players the one of exactly that name comes first.

    Raises:
        ValueError: nothing has that name.
    """
    registry.check_can_be_name(name, "name")
    players = [registry.load(kind, name) for kind in registry.FOLDERS if name.replace("-", "_") in _plain_names(kind)]
    if players:
        players.sort(key=lambda player: player.name != name.replace("-", "_"))
        return {"name": players[0].name, "players": [player_entry(setting) for setting in players]}
    if is_tournament(name, lab):
        from simulator.commands import tournament

        return {**tournament.stored(name, lab), "settings_notes": tournament.settings_notes(name, lab)}
    if (summary := _run(name, lab)) is not None:
        return summary
    names = [name for kind in registry.FOLDERS for name in registry.names(kind)]
    kind_of_file = registry.kind_of(name) if is_path(name) or "." in name else None
    for kind in (kind_of_file,) if kind_of_file else ("agents", "memories", "envs"):
        try:
            return {"name": name, "players": [player_entry(registry.load(kind, name))]}
        except registry.UnknownNameError:
            names += registry.candidates(kind)
    raise ValueError(
        registry.unknown_name_message("name", name, [*names, *_run_ids(lab), "latest"], "engram list, engram list runs")
    )


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


def is_tournament(name: str, lab: str) -> bool:
    """Tell whether that is a tournament of the lab; "latest" is the experiment that was begun last."""
    from simulator.core.snapshots import TOURNAMENT
    from simulator.store.cell_store import kind_of

    return kind_of(lab, name) == TOURNAMENT


def _run_ids(lab: str) -> list[str]:
    from simulator.commands.list import run_rows

    return [row["run"] for row in run_rows(lab)]


def _run(name: str, lab: str) -> dict[str, Any] | None:
    """Return the summary of a stored run, with its settings."""
    from simulator.store.lab import existing

    if name != "latest" and not Path(lab).exists():
        return None
    lab_path = existing(lab)
    from simulator.config.codec import stored_notes
    from simulator.config.play import PlayConfig
    from simulator.config.predict import PredictConfig
    from simulator.config.recall import RecallConfig
    from simulator.config.run import RunConfig
    from simulator.core.snapshots import PLAY, PREDICT, RECALL
    from simulator.play import log
    from simulator.prediction import summary as predictions
    from simulator.recall import summary as recalls
    from simulator.store.run_store import Store
    from simulator.training import summary as results

    with Store(lab_path) as store:
        if name != "latest" and not store.has(name):
            return None
        record = store.find(name)
        if record.kind == PLAY:
            notes = stored_notes(PlayConfig, record)
            result = log.summary(store, record.run)
        elif record.kind == RECALL:
            notes = stored_notes(RecallConfig, record)
            result = recalls.summary(store, record.run)
        elif record.kind == PREDICT:
            notes = stored_notes(PredictConfig, record)
            result = predictions.summary(store, record.run)
        else:
            notes = stored_notes(RunConfig, record)
            result = results.summary(store, record.run)
        return {**result, "settings": record.settings, "settings_notes": notes}


COMMAND = Command(
    act,
    (1, 1),
    ("values", "inside", "seed"),
    examples=(
        "show q_learning",
        "show latest",
        "show r1 --values",
        "show r1 --values --seed 3 --json",
        "show r1 --inside",
    ),
)
