"""Inside of a memory for ``engram show``: of a challenge, of given vectors, or of a stored recall benchmark."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from simulator.commands.live import window
from simulator.commands.parsing.command import CommandResult, Options, ParsedArgs, lab_of, refuse_unused
from simulator.commands.recall import labelled_memories, with_label
from simulator.config.codec import PlayerEntry, assemble, of_record, plain_label
from simulator.config.inside import InsideConfig
from simulator.config.recall import RecallConfig
from simulator.config.validation import ConfigSource, merge, settings
from simulator.core import registry
from simulator.core.foreign.python_files import is_path

if TYPE_CHECKING:
    from simulator.recall.inside import Subject

SETTINGS = tuple(setting.name for setting in settings(InsideConfig))
FIGURES = ("what", "picture", "force", "view", "scale")


def of_challenge(args: ParsedArgs) -> CommandResult:
    """Show a memory that stores patterns of a challenge: engram show MEMORY CHALLENGE."""
    from simulator.recall import inside

    memory, challenge = args.names
    refuse_unused(args, "show", "a memory", ("inside", "seed", *SETTINGS, *FIGURES))
    config = assemble(RecallConfig, _sources(args, memory, challenge))
    entry = PlayerEntry(config.challenge, config.challenge, config.challenge_settings)
    own = merge(InsideConfig(), {name: value for name, value in args.settings.items() if name in SETTINGS})
    (contestant,) = config.contestants
    return _shown(lambda: inside.subject_of(contestant, entry, args.options.seed or 0, own), own, args.options)


def of_vectors(args: ParsedArgs, command: str) -> CommandResult:
    """Show a memory that stores the vectors of ``--patterns-from``."""
    from simulator.recall import inside
    from simulator.recall.vectors import parse_vectors

    if len(args.names) != 1:
        expected = f'engram {command} MEMORY --patterns-from "1,-1,1; 1,1,-1"'
        raise ValueError(f"--patterns-from: expected one memory and no challenge, {expected}")
    seed_option = "seed" if command == "show" else "first_seed"
    refuse_unused(args, command, "--patterns-from", ("patterns_from", "inside", seed_option, *FIGURES))
    try:
        vectors = parse_vectors(args.options.patterns_from)
    except ValueError as error:
        raise ValueError(f"--patterns-from: {error}") from None
    config = assemble(RecallConfig, _sources(args, args.names[0], "random_bits"))
    (contestant,) = config.contestants
    seed = (args.options.seed if command == "show" else args.settings.get("first_seed")) or 0
    return _shown(lambda: inside.subject_of_vectors(contestant, vectors, seed), InsideConfig(), args.options)


def of_benchmark(args: ParsedArgs) -> CommandResult:
    """Show a memory of a stored recall benchmark: engram show RUN [LABEL] --inside."""
    from simulator.recall import inside
    from simulator.store.lab import existing
    from simulator.store.run_records import seeds_of
    from simulator.store.run_store import Store

    run, label = (*args.names, "")[:2]
    refuse_unused(args, "show", "a recall benchmark", ("inside", "seed", *SETTINGS, *FIGURES))
    with Store(existing(lab_of(args.options))) as store:
        record = store.find(run)
    config = of_record(RecallConfig, record)
    own = merge(InsideConfig(), {name: value for name, value in args.settings.items() if name in SETTINGS})
    labels = [contestant.label for contestant in config.contestants]
    if label and plain_label(label) not in map(plain_label, labels):
        raise ValueError(f"{label}: no memory of {record.run}, expected one of {', '.join(labels)}")
    at = next((k for k, each in enumerate(labels) if plain_label(each) == plain_label(label)), 0)
    seed_list = list(seeds_of(config))
    seed = seed_list[0] if args.options.seed is None else args.options.seed
    if seed not in seed_list:
        raise ValueError(f"--seed {seed}: expected one of {', '.join(map(str, seed_list[:8]))}")
    own = replace(own, patterns=own.patterns or config.patterns[0])
    if "novel" not in args.settings:
        own = replace(own, novel=config.novel)
    entry = PlayerEntry(config.challenge, config.challenge, config.challenge_settings)
    contestant = config.contestants[at]
    return _shown(lambda: inside.subject_of(contestant, entry, seed, own), own, args.options, record.run)


def _sources(args: ParsedArgs, memory: str, challenge: str) -> list[ConfigSource]:
    """Return the sources of the players' settings; the memory's need no label (--memory.rule storkey)."""
    memories = labelled_memories([memory])
    (label,) = memories
    return [
        ConfigSource({"memory": memories, "challenge": {"name": challenge}}),
        ConfigSource(with_label(args.players, label), flags=True),
    ]


def _shown(
    make: Callable[[], Subject], config: InsideConfig, options: Options, run: str | None = None
) -> CommandResult:
    """Build the memory, look inside, draw the figures that are asked for, and return what is to be printed."""
    from simulator.commands.live.driver import announce_compiling
    from simulator.core.files.writing import check_place
    from simulator.recall.inside import SECTIONS, inside
    from simulator.reporting import memory_inside, panels
    from simulator.reporting.figures import check_ending, save_pictures

    wanted = [word for word in options.what.split(",") if word]
    wanted = [] if wanted == ["all"] else wanted
    if unknown := next((word for word in wanted if word not in SECTIONS), None):
        raise ValueError(f"--what {unknown}: not for a memory, expected all, {', '.join(SECTIONS)}")
    if options.picture:
        check_ending(Path(options.picture))
        check_place(Path(options.picture), force=options.force)
    if options.view == "window":
        window.check()
    announce_compiling()
    subject = make()
    found = inside(subject, config, wanted)
    if options.picture:
        drawn = [panel for section in found.sections.values() for panel in section.panels]
        pictures = panels.pictures_of(drawn, memory_inside.title_of(found))
        if not pictures:
            raise ValueError(f"--picture: {', '.join(found.sections)} of {subject.entry.label} has nothing to draw")
        save_pictures(pictures, Path(options.picture), force=options.force)
    if options.view == "window":
        tabs = {
            name: [*section.panels, *memory_inside.fact_panels(name, section.facts)]
            for name, section in found.sections.items()
        }
        window.show_panels(memory_inside.title_of(found), tabs, options.scale, found.subject.notes)
    return CommandResult(memory_inside.entry_of(found, run), lambda _: memory_inside.show(found))


def is_memory(name: str) -> bool:
    """Tell whether a name is a memory's or a preset's of one, or may be, as that of a file."""
    from simulator.config.presets import memory_presets

    if is_path(name) or "." in name:
        return True
    kinds = registry.kinds_of(name)
    return "memories" in kinds if kinds else name.replace("_", "-") in memory_presets()
