"""``engram predict``: methods and memories predict ratings or classes; the part of ``engram resume`` for that.

A command of its own beside ``engram recall``: what competes there are memories of patterns under damage, with recall's
scores and its ceiling; here methods that are no memories compete too, conditions are numbers of labels or of ratings,
and every task has scores of its own. The loop, the lab, the reports and the pictures work alike.
"""

from __future__ import annotations

import contextlib
import shlex
from collections.abc import Callable, Generator
from functools import partial
from typing import TYPE_CHECKING, Any

from simulator import console
from simulator.commands import kinds
from simulator.commands.kinds import StoredKind
from simulator.commands.live import window
from simulator.commands.live.driver import Outcome, announce, drive, outcome_of
from simulator.commands.parsing.command import (
    Command,
    CommandResult,
    Options,
    ParsedArgs,
    competing,
    lab_of,
    labelled_names,
    named_players,
)
from simulator.commands.parsing.help import PlayerHelp, player_help
from simulator.config.codec import assemble, of_record, own_settings, read
from simulator.config.predict import PredictConfig
from simulator.config.presets import find_memory
from simulator.config.validation import ConfigSource
from simulator.core import registry
from simulator.core.experiment_kinds import PREDICT
from simulator.core.snapshots import PredictSnapshot, View
from simulator.core.wording import plural
from simulator.store.lab import existing
from simulator.store.records import StoreError, StoreFailure
from simulator.store.run_store import Store

if TYPE_CHECKING:
    from simulator.views.window.predict_window import Comparison, PredictWindow
    from simulator.views.window.scenes_page import ScenesPage


def act(args: ParsedArgs) -> CommandResult:
    """Run the comparison that the words describe."""
    from simulator.prediction import loop

    sources = _sources(args)
    if not named_players(sources, ("task",)):
        tasks = ", ".join(registry.names("tasks"))
        raise ValueError(f"expected engram predict [METHOD|MEMORY ...] TASK, or --config FILE; the tasks are {tasks}")
    config = assemble(PredictConfig, sources)
    lab = lab_of(args.options)

    def begin(view: View[Any] | None) -> Outcome:
        with Store(lab) as store:
            return _play(loop.predict(config, store, label=args.options.label), store, view)

    return _viewed(args.options, lab, begin)


def _resume(name: str, lab: str, args: ParsedArgs) -> CommandResult:
    from simulator.prediction import loop

    def go_on(view: View[Any] | None) -> Outcome:
        with Store(existing(lab)) as store:
            record = store.find(name)
            return _play(loop.predict(of_record(PredictConfig, record), store, record.run), store, view)

    return _viewed(args.options, lab, go_on)


def _viewed(options: Options, lab: str, run: Callable[[View[Any] | None], Outcome]) -> CommandResult:
    """Run a comparison with the view that the options ask for."""
    from simulator.reporting import predict

    def make_window() -> PredictWindow:
        from simulator.views.window.predict_window import PredictWindow

        return PredictWindow(partial(_read_now, lab=lab), window.typed(), options.scale)

    data, code = window.viewed(options, PREDICT, run, make_window)
    return CommandResult(data, predict.show, code)


def stored_page(run: str, lab: str) -> ScenesPage:
    """Make the page of a stored comparison, which looks into its lab from now on.

    Raises:
        ValueError: no such comparison.
    """
    from simulator.views.window import predict_window

    name = kinds.find(run, lab).summary["run"]
    command = shlex.join(["engram", "watch", name, "--lab", lab])
    return predict_window.stored_page(partial(_read_now, name, lab), command)


def _read_now(run: str, lab: str) -> Comparison | None:
    """Read a stored comparison for a window; None where its lab cannot be read now."""
    from simulator.reporting.predict_panels import panels_of
    from simulator.views.window.predict_window import Comparison

    with contextlib.suppress(StoreError, StoreFailure, OSError):
        found = kinds.find(run, lab).summary
        title = f"{found['run']}: {', '.join(found['contestants'])} predict {found['task']}"
        return Comparison(title, found["status"], found["step"], found["steps"], panels_of(found))
    return None


def _sources(args: ParsedArgs) -> list[ConfigSource]:
    """Return the sources of the config, each over the ones before: file, command line."""
    files = [read(args.options.config)] if args.options.config else []
    methods = {label: {"name": name} for label, name in labelled_names(args.names[:-1]).items()}
    names: dict[str, Any] = {"method": methods} if methods else {}
    if args.names:
        names["task"] = {"name": args.names[-1]}
    return [*files, *args.sources(names)]


def _players(args: ParsedArgs) -> list[PlayerHelp]:
    """Return the settings of the named task and memories."""
    sources = _sources(args)
    tasks = list(named_players(sources, ("task",)).values())
    own = registry.load("tasks", tasks[-1]).module.METHODS if tasks else {}
    named = competing(sources, "method")
    shown = {label: name for label, name in named.items() if name.replace("-", "_") not in own}
    return [
        *(player_help(("method", label), "memories", name, find_memory) for label, name in shown.items()),
        *(player_help(("task",), "tasks", name) for name in tasks),
    ]


def _play(snapshots: Generator[PredictSnapshot, None, None], store: Store, view: View[Any] | None) -> Outcome:
    """Run a comparison to its end, or until Ctrl-C; the code is 1 where every seed of every contestant failed."""

    def finish(last: PredictSnapshot) -> Outcome:
        from simulator.prediction import summary
        from simulator.reporting import predict

        result = summary.summary(store, last.id)
        for line in predict.failure_lines(result):
            console.print_status(f"{last.id}: {line}")
        predicted = any(score for cell in result["cells"] for score in cell["scores"].values())
        return Outcome(result, 0 if predicted else 1)

    return outcome_of(drive(snapshots, view, _begun), store.lab, finish)


def _begun(snapshot: PredictSnapshot) -> None:
    amount = f"{plural(len(snapshot.seeds), 'seed')}, {plural(snapshot.n_cells, 'cell')}"
    announce(snapshot, f"{', '.join(snapshot.contestants)} predict {snapshot.task}, {amount}")


def stored_kind() -> StoredKind:
    """Describe comparisons of predictions; see :mod:`simulator.commands.kinds`."""
    from simulator.prediction import summary
    from simulator.reporting import predict

    return StoredKind(PredictConfig, summary.summary, predict.show, _resume, ("view", "scale"))


COMMAND = Command(
    act,
    (0, 10_000),
    ("config", "label", "view", "scale"),
    lambda: own_settings(PredictConfig),
    ("method", "task"),
    _players,
    examples=(
        "predict ratings",
        "predict user_item_means als rbm ratings --task.seen 0.1,0.3 --seeds 4",
        "predict deep_belief classes --task.labels 20,100 --seeds 5",
    ),
)
