"""``engram generate``: samples of generative memories while they learn, and what their codes decode to."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import AbstractContextManager, closing, nullcontext
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from simulator.commands.live import window
from simulator.commands.parsing.command import Command, CommandResult, ParsedArgs, check_kinds
from simulator.commands.parsing.help import PlayerHelp, player_help
from simulator.commands.parsing.parser import option_of
from simulator.commands.recall import labelled_memories, with_label
from simulator.config.codec import PlayerEntry, assemble
from simulator.config.generation import GenerationConfig
from simulator.config.presets import find_memory
from simulator.config.recall import RecallConfig
from simulator.config.validation import ConfigSource, merge, settings

if TYPE_CHECKING:
    from simulator.commands.live.generation_window import GenerationWindow


def act(args: ParsedArgs) -> CommandResult:
    """Let the named memories store patterns and generate others."""
    from simulator.commands.live.driver import announce_compiling
    from simulator.core.files.writing import check_place
    from simulator.progress import ProgressBar
    from simulator.recall.generation import study
    from simulator.reporting import generation, panels
    from simulator.reporting.figures import check_ending, save_pictures

    options = args.options
    check_kinds(args.names, [*["memories"] * (len(args.names) - 1), "challenges"])
    config = merge(GenerationConfig(), args.settings)
    recalled = assemble(RecallConfig, _sources(args))
    if options.picture:
        check_ending(Path(options.picture))
        check_place(Path(options.picture), force=options.force)
    if options.codes:
        config = replace(config, moments=1)
    challenge = PlayerEntry(recalled.challenge, recalled.challenge, recalled.challenge_settings)
    with _window(args) as view:
        announce_compiling()
        with closing(ProgressBar("generate")) as bar:
            found = study(
                config, recalled.contestants, challenge, codes_only=options.codes, progress=bar.update, watcher=view
            )
        shown = generation.panels_of(found)
        if options.picture:
            bands = "" if options.codes else "Bands are 95 % confidence intervals over seeds. "
            note = f"{bands}Pictures are of seed {found.seeds[0]}."
            save_pictures(panels.pictures_of(shown, note), Path(options.picture), force=options.force)
        if view is not None:
            view.stay()

    def show(data: Mapping[str, Any]) -> None:
        generation.show(data, shown)

    return CommandResult(generation.entry_of(found), show)


def _window(args: ParsedArgs) -> AbstractContextManager[GenerationWindow | None]:
    """Open the window that the options ask for, until the end of the block; None: they ask for none."""
    if args.options.view != "window":
        return nullcontext()
    from simulator.commands.live.generation_window import GenerationWindow

    window.check()
    title = f"{', '.join(args.names[:-1])} generate {args.names[-1]}"
    return closing(GenerationWindow(title, args.options.scale))


def _sources(args: ParsedArgs) -> list[ConfigSource]:
    """Return the sources of the players' settings; of one memory they need no label (--memory.hidden 64,2)."""
    memories = labelled_memories(args.names[:-1])
    own = args.players.get("memory", {})
    tables = args.players
    if len(memories) == 1:
        tables = with_label(tables, next(iter(memories)))
    elif bare := next((name for name, value in own.items() if not isinstance(value, dict)), None):
        option = option_of(("memory", bare))
        labels = ", ".join(memories)
        raise ValueError(f"{option}: expected {option_of(('memory', 'LABEL', bare))}, LABEL one of {labels}")
    return [
        ConfigSource({"memory": memories, "challenge": {"name": args.names[-1]}}),
        ConfigSource(tables, flags=True),
    ]


def _players(args: ParsedArgs) -> list[PlayerHelp]:
    """Return the settings of the named memories and of the challenge."""
    if len(args.names) < 2:
        return []
    memories = labelled_memories(args.names[:-1])
    places = {label: ("memory",) if len(memories) == 1 else ("memory", label) for label in memories}
    return [
        *(player_help(places[label], "memories", entry["name"], find_memory) for label, entry in memories.items()),
        player_help(("challenge",), "challenges", args.names[-1]),
    ]


COMMAND = Command(
    act,
    (2, 10_000),
    ("codes", "picture", "force", "view", "scale"),
    lambda: settings(GenerationConfig),
    ("memory", "challenge"),
    _players,
    examples=(
        "generate vae digits",
        "generate gan-plain gan gan-unrolled vae digits --seeds 4 --picture modes.svg",
        "generate vae digits --memory.latent-dim 2 --walk 1 4",
        "generate vae digits --memory.latent-dim 2 --view window",
        "generate autoencoder digits --codes --memory.hidden 64,2 --memory.latent-l2-weight 0.1",
    ),
)
