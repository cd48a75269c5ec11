"""``engram recall``: benchmark memories on corrupted patterns; the part of ``engram resume`` for recall benchmarks."""

from __future__ import annotations

import re
from collections.abc import Callable, Generator, Iterable, Mapping
from contextlib import closing
from functools import partial
from typing import TYPE_CHECKING, Any

from simulator import console
from simulator.commands.kinds import StoredKind
from simulator.commands.live import window
from simulator.commands.live.driver import Outcome, announce, announce_compiling, drive, outcome_of
from simulator.commands.parsing.command import (
    Command,
    CommandResult,
    Options,
    ParsedArgs,
    check_kinds,
    competing,
    lab_of,
    labelled_names,
    named_players,
    refuse_unused,
)
from simulator.commands.parsing.help import PlayerHelp, player_help
from simulator.commands.parsing.parser import option_of
from simulator.config.codec import assemble, of_record, own_settings, plain_label, read
from simulator.config.presets import find_memory, memory_presets
from simulator.config.recall import RecallConfig
from simulator.config.sequences import SequenceConfig
from simulator.config.validation import ConfigSource, check, merge, settings
from simulator.core import registry
from simulator.core.experiment_kinds import RECALL
from simulator.core.snapshots import RecallSnapshot, View
from simulator.core.wording import plural
from simulator.progress import ProgressBar
from simulator.store.lab import existing
from simulator.store.run_store import Store

if TYPE_CHECKING:
    from simulator.views.window.live_recall import RecallWindow

CELLS = ("window", "elman", "gru", "lstm")  # that compete in sequences by default
_OF_SEQUENCES = {*SequenceConfig.__dataclass_fields__, "picture", "force"}
_OF_EVERY_TASK = {"sequence", "seeds", "first_seed", "picture", "force", "units"}
_LEARNED = {"updates", "batch", "learning_rate"}
_OF_TASK = {  # options that count in a task, besides those of every one
    "delayed": {*_LEARNED, "lengths", "symbols"},
    "copy": {*_LEARNED, "lengths", "symbols", "copied"},
    "repeat-previous": {*_LEARNED, "lengths", "symbols"},
    "forecast": {*_LEARNED, "series", "n_values", "csv", "column", "splits", "unroll", "order"},
    "gradient": {"lengths"},
}
ALL = {  # settings of --all
    "patterns": (20, 100),
    "corruption": ("flip:0.1", "flip:0.2", "flip:0.3", "erase:0.5", "block:0.5"),
    "seeds": 16,
    "skip": True,
}


def act(args: ParsedArgs) -> CommandResult:
    """Run the benchmark that the words describe."""
    from simulator.recall import loop

    if args.options.sequence:
        return _act_on_sequences(args)
    if "patterns_from" in args.given:
        from simulator.commands.showing import memories

        return memories.of_vectors(args, "recall")
    if unused := sorted(args.given & _OF_SEQUENCES):
        raise ValueError(f"{option_of((unused[0],))}: expected --sequence TASK too (engram recall --help)")
    names = args.names
    if names and "tasks" in registry.kinds_of(names[-1]):  # missing ratings are recalled from those that are seen
        from simulator.commands import predict

        return predict.act(args)
    sources = _sources(args)
    if all("=" not in name for name in names):
        check_kinds(names, [*["memories"] * (len(names) - 1), "challenges"][-len(names) :])
    if not (competing(sources, "memory") and named_players(sources, ("challenge",))):
        if len(names) == 1 and _is_memory(names[0]) and not args.options.config:
            raise ValueError(f"{names[0]} is a memory, expected a challenge after it: engram recall {names[0]} digits")
        raise ValueError("expected engram recall MEMORY ... CHALLENGE, or --all CHALLENGE, or --config FILE")
    config = assemble(RecallConfig, sources)
    lab = lab_of(args.options)

    def begin(view: View[Any] | None) -> Outcome:
        with Store(lab) as store:
            return _play(loop.recall(config, store, label=args.options.label), store, view)

    return _viewed(args.options, lab, begin)


def _resume(name: str, lab: str, args: ParsedArgs) -> CommandResult:
    from simulator.recall import loop

    def go_on(view: View[Any] | None) -> Outcome:
        with Store(existing(lab)) as store:
            record = store.find(name)
            return _play(loop.recall(of_record(RecallConfig, record), store, record.run), store, view)

    return _viewed(args.options, lab, go_on)


def _viewed(options: Options, lab: str, run: Callable[[View[Any] | None], Outcome]) -> CommandResult:
    """Run a benchmark with the view that the options ask for."""
    from simulator.reporting import recall

    def make_window() -> RecallWindow:
        from simulator.commands.live.recall_window import stored_page
        from simulator.views.window.live_recall import RecallWindow

        return RecallWindow(partial(stored_page, lab=lab), window.typed(), options.scale)

    data, code = window.viewed(options, RECALL, run, make_window)
    return CommandResult(data, recall.show, code)


def _act_on_sequences(args: ParsedArgs) -> CommandResult:
    """Let cells learn sequences; nothing is stored."""
    from pathlib import Path

    from simulator.core.files.writing import check_place
    from simulator.recall import sequence_study
    from simulator.reporting import sequences
    from simulator.reporting.figures import check_ending, save_pictures

    options = args.options
    sequence_study.check_task(options.sequence)
    used = _OF_EVERY_TASK | _OF_TASK[options.sequence] - ({"n_values", "series"} if "csv" in args.given else set())
    refuse_unused(args, "recall", f"--sequence {options.sequence}", sorted(used))
    if options.picture:
        check_ending(Path(options.picture))
        check_place(Path(options.picture), force=options.force)
    own = {name: value for name, value in args.settings.items() if name in _OF_SEQUENCES}
    if "csv" in args.given:  # a word with another meaning in other commands
        own["csv"] = str(options.csv)
    config = SequenceConfig(**own)
    first = args.settings.get("first_seed", 0)
    seed_list = range(first, first + args.settings.get("seeds", 8))
    cells = cells_of(args)
    announce_compiling()
    with closing(ProgressBar(f"recall --sequence {options.sequence}")) as bar:
        result = sequence_study.study(options.sequence, cells, config, seed_list, bar.update)
    if options.picture:
        save_pictures(sequences.pictures_of(result), Path(options.picture), force=options.force)
    return CommandResult(result, sequences.show)


def cells_of(args: ParsedArgs) -> list[Any]:
    """Return the cells that compete: NAME or LABEL=NAME, with their settings ``--cell.LABEL.SETTING``."""
    from simulator.recall.sequence_study import GRADIENT, CellEntry

    every = CELLS[1:] if args.options.sequence == GRADIENT else CELLS
    tables = args.players.get("cell", {})
    cells: dict[str, CellEntry] = {}
    for label, name in labelled_names(args.names or every).items():
        player = registry.load("components", name)
        known = settings(player.Config)
        chosen = check(known, tables.get(label, {}), ConfigSource({}, flags=True), ("cell", label), name)
        units = args.settings.get("units", SequenceConfig.units)
        default = {"units": units} if any(setting.name == "units" for setting in known) else {}
        cells[label] = CellEntry(label, name, merge(player.Config(), {**default, **chosen}))
    if unknown := next((label for label in tables if label not in cells), None):
        raise ValueError(f"--cell.{unknown}: no such cell competes, expected {', '.join(cells)}")
    return list(cells.values())


def _sources(args: ParsedArgs) -> list[ConfigSource]:
    """Return the sources of the config, each over the ones before: --all, file, command line."""
    options = args.options
    files = [ConfigSource(ALL)] if options.all else []
    if options.config:
        files.append(read(options.config))
    everything = [
        *(registry.names("memories") if options.all else ()),
        *(memory_presets() if options.presets else ()),
    ]
    names: dict[str, Any] = {"memory": labelled_memories([*everything, *args.names[:-1]])}
    if args.names:
        names["challenge"] = {"name": args.names[-1]}
    return [*files, *args.sources(names)]


def labelled_memories(words: Iterable[str]) -> dict[str, dict[str, str]]:
    """Return tables of memories by label, of words such as NAME and LABEL=NAME.

    Raises:
        ValueError: two have the same label; one line.
    """
    return {label: {"name": name} for label, name in labelled_names(words).items()}


def with_label(players: Mapping[str, Any], label: str) -> dict[str, Any]:
    """Put the settings of a single memory (--memory.rule storkey) below its label, where they may stand already."""
    own = players.get("memory", {})
    labelled = own.get(plain_label(label))
    nested = labelled if isinstance(labelled, dict) else {}
    bare = {name: value for name, value in own.items() if value is not nested}
    return {**players, **({"memory": {label: {**bare, **nested}}} if own else {})}


def _is_memory(name: str) -> bool:
    """Tell whether a name is of a memory or of a preset of one, and of no challenge."""
    if registry.kinds_of(name):
        return "challenges" not in registry.kinds_of(name) and "memories" in registry.kinds_of(name)
    return name.replace("_", "-") in memory_presets()


def _players(args: ParsedArgs) -> list[PlayerHelp]:
    """Return the settings of the named players; of one name alone, be it a memory's or a challenge's."""
    if args.options.sequence:
        return [player_help(("cell", cell.label), "components", cell.name) for cell in cells_of(args)]
    if len(args.names) == 1 and _is_memory(args.names[0]):
        label = re.sub(r"\W", "_", args.names[0])
        return [player_help(("memory", label), "memories", args.names[0], find_memory)]
    sources = _sources(args)
    memories = competing(sources, "memory")
    challenges = named_players(sources, ("challenge",)).values()
    return [
        *(player_help(("memory", label), "memories", name, find_memory) for label, name in memories.items()),
        *(player_help(("challenge",), "challenges", name) for name in challenges),
    ]


def _play(snapshots: Generator[RecallSnapshot, None, None], store: Store, view: View[Any] | None) -> Outcome:
    """Run a benchmark to its end, or until Ctrl-C; the code is 1 where every seed of every memory failed."""

    def finish(last: RecallSnapshot) -> Outcome:
        from simulator.recall import summary
        from simulator.reporting import recall

        result = summary.summary(store, last.id)
        for line in recall.failure_lines(result):
            console.print_status(f"{last.id}: {line}")
        recalled = any(cell["overlap"] for cell in result["cells"]) or result["capacities"]
        return Outcome(result, 0 if recalled else 1)

    return outcome_of(drive(snapshots, view, _begun), store.lab, finish)


def _begun(snapshot: RecallSnapshot) -> None:
    amount = f"{plural(len(snapshot.seeds), 'seed')}, {plural(snapshot.n_cells, 'cell')}"
    announce(snapshot, f"{', '.join(snapshot.contestants)} recall {snapshot.challenge}, {amount}")


def stored_kind() -> StoredKind:
    """Describe recall benchmarks; see :mod:`simulator.commands.kinds`."""
    from simulator.recall import summary
    from simulator.reporting import recall

    return StoredKind(RecallConfig, summary.summary, recall.show, _resume, ("view", "scale"))


COMMAND = Command(
    act,
    (0, 10_000),
    ("config", "label", "view", "scale", "all", "presets", "sequence", "patterns_from", "what", "picture", "force"),
    lambda: [*own_settings(RecallConfig), *settings(SequenceConfig)],
    ("memory", "challenge", "cell"),
    _players,
    examples=(
        "recall hopfield digits",
        "recall nearest_neighbor rbm hopfield digits --corruption flip:0.2 erase:0.5 --patterns 20 50",
        "recall hopfield digits --memory.hopfield.rule storkey",
        'recall hopfield --patterns-from "1,-1,1,-1,1,1;1,1,1,-1,-1,-1"',
        "recall --sequence copy --lengths 5 10 --updates 100",
    ),
)
