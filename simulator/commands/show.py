"""``engram show``: a player with its settings, or a stored experiment with its result."""

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
from simulator.config.validation import Setting, describe, nested_fields, settings
from simulator.core import registry
from simulator.core.files.escaping import visible
from simulator.core.foreign.python_files import is_path


def act(args: ParsedArgs) -> CommandResult:
    """Show a player or an experiment."""
    if args.options.values:
        learned = values(args.names[0], lab_of(args.options), args.options.seed)
        return CommandResult(learned, _show_values)
    if args.options.seed is not None:
        raise ValueError("--seed: expected --values beside it (engram show --help)")
    shown = entry(args.names[0], lab_of(args.options))
    return CommandResult(shown, show_entry if "players" in shown else _show_experiment)


def _show_experiment(summary: Mapping[str, Any]) -> None:
    """Print the result of a stored experiment, where it was made, and its settings."""
    from simulator.commands import run
    from simulator.machine import made_with
    from simulator.reporting import recall, tournament

    forms = {"tournament": tournament.show, "challenge": recall.show}
    next((forms[key] for key in forms if key in summary), run.show_summary)(summary)
    for line in ("", *made_with(summary)):
        console.print_result(visible(line))
    console.print_result(f"\n{summary['settings'].rstrip()}")
    for line in summary["settings_notes"]:
        console.print_result(visible(line))


def entry(name: str, lab: str) -> dict[str, Any]:
    """Describe a player or an experiment in full.

    Raises:
        ValueError: nothing has that name.
    """
    registry.check_can_be_name(name, "name")
    players = [registry.load(kind, name) for kind in registry.FOLDERS if name.replace("-", "_") in _plain_names(kind)]
    if players:
        return {"name": players[0].name, "players": [player_entry(setting) for setting in players]}
    if is_tournament(name, lab):
        from simulator.commands import tournament

        return {**tournament.stored(name, lab), "settings_notes": tournament.settings_notes(name, lab)}
    if (summary := _run(name, lab)) is not None:
        return summary
    names = [name for kind in registry.FOLDERS for name in registry.names(kind)]
    kind_of_file = registry.kind_of(name) if is_path(name) else None
    for kind in (kind_of_file,) if kind_of_file else ("agents", "memories", "envs"):
        try:
            return {"name": name, "players": [player_entry(registry.load(kind, name))]}
        except registry.UnknownNameError:
            names += registry.candidates(kind)
    raise ValueError(
        registry.unknown_name_message("name", name, [*names, *_run_ids(lab), "latest"], "engram list, engram list runs")
    )


def values(run: str, lab: str, seed: int | None = None) -> dict[str, Any]:
    """Return what one seed of a stored run has learned, at every observation.

    Args:
        run: its id, or "latest".
        lab: the folder that holds it.
        seed: of the run; None: its first.

    Returns:
        ``run``, ``seed``, ``step``; ``legal`` [N][A]; ``q``, None at actions that do not exist, ``values``, the
        best of them, and ``policy``, probabilities; each None where the agent has none.

    Raises:
        ValueError: there is no such run or seed, or its observations or actions are not Discrete; one line.
    """
    from simulator.store.lab import existing
    from simulator.store.run_store import Store
    from simulator.trainer import Trainer

    with Store(existing(lab)) as store:
        run = store.find(run).run
    trainer = Trainer.load(run, lab=lab)
    seed = trainer.seeds[0] if seed is None else seed
    exported = trainer.exported(seed)
    arrays = exported.arrays
    known = [name for name in ("values", "policy") if name in arrays]
    if not known:
        expected = f"expected one with Discrete observations and actions (engram export {run} FILE.npz)"
        raise ValueError(f"{run}: {exported.words['agent']} has no table in {exported.words['env']}, {expected}")
    legal = np.broadcast_to(arrays["legal"], arrays[known[0]].shape)
    table: dict[str, Any] = {"run": run, "agent": exported.words["agent"], "env": exported.words["env"], "seed": seed}
    table |= {"step": int(arrays["step"]), "legal": legal.tolist(), "q": None, "values": None, "policy": None}
    if "values" in arrays:
        q = np.where(legal, arrays["values"], np.nan)
        table["q"] = [[None if x != x else x for x in row] for row in q.tolist()]
        table["values"] = np.where(legal, q, -np.inf).max(axis=1).tolist()
    if "policy" in arrays:
        table["policy"] = arrays["policy"].tolist()
    return table


def _show_values(table: Mapping[str, Any]) -> None:
    """Print a table with a row for every observation."""
    n_actions = len(table["legal"][0])
    columns = ["observation"]
    parts: list[list[Any]] = [list(range(len(table["legal"])))]
    if table["q"] is not None:
        columns += [*(f"Q(s, {a})" for a in range(n_actions)), "V(s) = max Q"]
        parts += [[row[a] for row in table["q"]] for a in range(n_actions)]
        parts += [table["values"]]
    if table["policy"] is not None:
        columns += ["policy"]
        parts += [[_chosen(row) for row in table["policy"]]]
    title = f"{table['run']}: {table['agent']} in {table['env']}, seed {table['seed']}, after {table['step']:,} steps"
    console.print_table(title, tuple(columns), list(zip(*parts, strict=True)))
    console.print_result("policy: the action, several with their probabilities or all alike; -: no such action there")
    console.print_result(f"next: engram solve {table['env']} - engram export {table['run']} policy.npz")


def _chosen(probs: list[float]) -> str:
    """Format action probabilities: ``2``; ``1, 3`` for actions of equal probability; ``1: 0.25, 3: 0.75``."""
    chosen = [a for a, p in enumerate(probs) if p > 0]
    is_even = len({round(probs[a], 9) for a in chosen}) == 1
    return ", ".join(str(a) if is_even else f"{a}: {probs[a]:.3g}" for a in chosen)


def show_entry(data: Mapping[str, Any]) -> None:
    """Print a player for people."""
    for player in data["players"]:
        console.print_result(
            f"{player['name']}, {registry.SINGULAR[player['kind']]}, {player['file']}\n\n{player['doc']}\n"
        )
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
    from simulator.config.recall import RecallConfig
    from simulator.config.run import RunConfig
    from simulator.core.snapshots import RECALL
    from simulator.recall import summary as recalls
    from simulator.store.run_store import Store
    from simulator.training import summary as results

    with Store(lab_path) as store:
        if name != "latest" and not store.has(name):
            return None
        record = store.find(name)
        if record.kind == RECALL:
            notes = stored_notes(RecallConfig, record)
            result = recalls.summary(store, record.run)
        else:
            notes = stored_notes(RunConfig, record)
            result = results.summary(store, record.run)
        return {**result, "settings": record.settings, "settings_notes": notes}


COMMAND = Command(
    act,
    (1, 1),
    ("values", "seed"),
    examples=("show q_learning", "show rooms", "show r1 --values", "show latest --json"),
)
