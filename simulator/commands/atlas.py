"""``engram atlas``: states in the plane, of an environment, of a stored run, or of what a memory codes."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from simulator import console
from simulator.commands.live import window
from simulator.commands.parsing.command import Command, CommandResult, ParsedArgs, lab_of
from simulator.commands.parsing.help import PlayerHelp, player_help
from simulator.commands.parsing.parser import option_of
from simulator.config.atlas import SETTINGS_OF, AtlasConfig
from simulator.config.validation import ConfigSource, check, merge, settings
from simulator.core import registry
from simulator.core.files.escaping import visible

CHALLENGE = "digits"  # of a memory, by default


def act(args: ParsedArgs) -> CommandResult:
    """Draw the states of what is named."""
    from simulator.atlas.atlas import atlas_of
    from simulator.commands.live.driver import Wait, telling
    from simulator.core.files.writing import check_place
    from simulator.reporting import atlas as tables
    from simulator.reporting.figures import check_ending

    options = args.options
    path = Path(options.picture) if options.picture else None
    if path is not None:
        check_ending(path)
        check_place(path, force=options.force)
    if options.view == "window":
        window.check()
    config = merge(AtlasConfig(), args.settings)
    _refuse_unused(args, config)
    with telling(Wait(unseen=True, doing=f"atlas of {args.names[0]}")):
        data = atlas_of(_states(args, config), config, options.seed or 0)
    if path is not None:
        from simulator.reporting.atlas_figures import pictures_of
        from simulator.reporting.figures import save_pictures

        save_pictures(pictures_of(data), path, force=options.force)
    data["picture"] = options.picture or None
    if options.view == "window":
        from simulator.views.window.atlas_page import AtlasPage

        measures = [tables.measures_of(found) for found in data["maps"]]
        window.show(AtlasPage(data, window.typed(), measures), options.scale)

    def show(data: Mapping[str, Any]) -> None:
        tables.show(data)
        if data["picture"]:
            console.print_result()
            console.print_result(visible(f"{data['picture']} is written"))

    return CommandResult(data, show)


def _refuse_unused(args: ParsedArgs, config: AtlasConfig) -> None:
    """Refuse settings of methods and of an objective that are not asked for.

    Raises:
        ValueError: one was given; one line.
    """
    for setting, methods in SETTINGS_OF.items():
        if setting in args.given and not set(methods) & set(config.method):
            option = option_of((setting,))
            raise ValueError(f"{option}: not for --method {' '.join(config.method)}, expected {' or '.join(methods)}")
    for setting in ("negatives", "power"):
        if setting in args.given and config.objective != "negative":
            raise ValueError(f"--{setting}: not with --objective {config.objective}, expected --objective negative")


def _states(args: ParsedArgs, config: AtlasConfig) -> Any:
    """Collect the states of what is named: a memory and a challenge, an environment, or a run.

    Raises:
        ValueError: nothing has that name, or it is of another kind; one line.
    """
    from simulator.atlas import sources

    name, *others = args.names
    seed = args.options.seed
    kind = _kind_of(name, lab_of(args.options))
    if kind == "memories":
        return _of_memory(args, config, others[0] if others else CHALLENGE)
    if others:
        raise ValueError(f"{others[0]}: a second name is the challenge of a memory, and {name} is none")
    _refuse(args, "patterns", "a memory", "memory", "challenge")
    if kind == "envs":
        from simulator.commands.solve import make_env

        env = make_env(name, args.players.get("env", {}), seed or 0)
        return sources.of_env(name, env, config, seed or 0)
    _refuse(args, "", "an environment", "env")
    from simulator.store.lab import existing
    from simulator.store.run_store import Store

    with Store(existing(lab_of(args.options))) as store:
        return sources.of_run(store, name, config, seed)


def _kind_of(name: str, lab: str) -> str:
    """Return what a name stands for: memories, envs or runs; of a run's id and an environment's the run comes first.

    Raises:
        ValueError: another kind of player, or nothing; one line.
    """
    from simulator.commands.list import run_rows

    kinds = registry.kinds_of(name)
    if found := next((kind for kind in ("memories", "envs") if kind in kinds), None):
        return found
    if kinds:
        kind = registry.with_article(registry.SINGULAR[kinds[0]])
        raise ValueError(f"{name} is {kind}, expected a run, an environment or a memory (engram atlas --help)")
    runs = [row["run"] for row in run_rows(lab)]
    if name == "latest" or name in runs:
        return "runs"
    for kind in ("envs", "memories"):
        try:
            registry.load(kind, name)
        except registry.UnknownNameError:
            continue
        return kind
    known = [*runs, "latest", *registry.candidates("envs"), *registry.candidates("memories")]
    raise ValueError(registry.unknown_name_message("name", name, known, "engram list, engram list runs"))


def _refuse(args: ParsedArgs, option: str, owner: str, *tables: str) -> None:
    """Refuse an option, and settings of players, that are of another kind of states."""
    if option and option in args.given:
        raise ValueError(f"--{option}: of {owner} alone, and {args.names[0]} is none")
    for table in tables:
        if args.players.get(table):
            raise ValueError(
                f"--{table}.{next(iter(args.players[table]))}: of {owner} alone, and {args.names[0]} is none"
            )


def _of_memory(args: ParsedArgs, config: AtlasConfig, challenge: str) -> Any:
    from simulator.atlas import sources

    name = args.names[0]
    _refuse(args, "", "an environment", "env")
    _refuse(args, "steps", "an environment or a run")
    memory = registry.load("memories", name)
    patterns = registry.load("challenges", challenge)
    return sources.of_memory(
        memory.name,
        _settings(memory, args, "memory"),
        patterns.name,
        _settings(patterns, args, "challenge"),
        config,
        args.options.seed or 0,
    )


def _settings(player: registry.Plugin, args: ParsedArgs, table: str) -> Any:
    given = args.players.get(table, {})
    return merge(player.Config(), check(settings(player.Config), given, ConfigSource(given, flags=True), (table,)))


def _players(args: ParsedArgs) -> list[PlayerHelp]:
    tables = {"memories": "memory", "envs": "env", "challenges": "challenge"}
    found = []
    for name in args.names:
        kind = next((kind for kind in registry.kinds_of(name) if kind in tables), None)
        if kind is not None:
            found.append(player_help((tables[kind],), kind, name))
    return found


COMMAND = Command(
    act,
    (1, 2),
    ("seed", "picture", "force", "view", "scale"),
    settings=lambda: settings(AtlasConfig),
    tables=("env", "memory", "challenge"),
    players=_players,
    examples=(
        "atlas rooms --env.layout four",
        "atlas rooms --env.layout four --method laplacian skip_gram hac --picture atlas.svg",
        "atlas latest --color action",
        "atlas rooms --env.layout four --method laplacian tsne --view window",
        "atlas rbm digits --method tsne --patterns 200",
    ),
)
