"""``engram run``: train an agent in an environment, and print a summary; the part of ``engram resume`` for runs."""

from __future__ import annotations

import math
import shlex
import subprocess
import sys
from collections.abc import Generator, Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any, NamedTuple

from simulator.commands.kinds import StoredKind
from simulator.commands.live.driver import Outcome, announce, drive, outcome_of
from simulator.commands.parsing.command import (
    Command,
    CommandResult,
    Options,
    ParsedArgs,
    check_kinds,
    lab_of,
    named_players,
    view_of,
    with_event_files,
)
from simulator.commands.parsing.help import PlayerHelp, component_help, player_help
from simulator.config.codec import assemble, of_record, own_settings, read
from simulator.config.presets import find
from simulator.config.run import RunConfig
from simulator.config.validation import ConfigSource
from simulator.console import interval, print_next, print_result, print_status, print_table
from simulator.core import registry
from simulator.core.files.escaping import visible
from simulator.core.files.reading import is_path
from simulator.core.wording import plural

if TYPE_CHECKING:
    from simulator.commands.live.playback import Playback
    from simulator.core.snapshots import LiveChanges, Look, RunSnapshot, Stride, View
    from simulator.store.run_store import Store

MAX_LINES = 6  # of failed seeds


def act(args: ParsedArgs) -> CommandResult:
    """Run what the words describe."""
    options = args.options
    if len(args.names) < 2 and not (options.config or options.preset):
        raise ValueError("expected engram run AGENT ENV, or --config FILE, or --preset NAME (engram run --help)")
    check_kinds(args.names, ("agents", "envs")[: len(args.names)])
    if options.view == "none" and options.slow is not None:
        raise ValueError("--slow: nothing is shown with --view none, expected --view terminal or window")
    config = assemble(RunConfig, config_sources(args))
    if line := registry.variant_line("agents", args.names[0]) if args.names else "":
        print_status(line)
    data, code = begin(config, lab_of(options), options)
    return CommandResult(data, show_summary, code)


def config_sources(args: ParsedArgs) -> list[ConfigSource]:
    """Return the sources of the config, each over the ones before: preset, file, command line."""
    files = []
    if preset := args.options.preset:
        agent, env = [*args.names, None, None][:2]
        files.append(read(preset) if is_path(preset) else find(preset, agent, env).source())
    if args.options.config:
        files.append(read(args.options.config))
    names = {table: {"name": name} for table, name in zip(("agent", "env"), args.names, strict=False) if name}
    return [*files, *args.sources(names)]


def _players(args: ParsedArgs) -> list[PlayerHelp]:
    if len(args.names) == 1 and "envs" in registry.kinds_of(args.names[0]):
        return [player_help(("env",), "envs", args.names[0])]
    sources = config_sources(args)
    named = named_players(sources, ("agent", "env"))
    players = [player_help((table,), f"{table}s", name) for table, name in named.items()]
    return [shown for player in players for shown in (player, *component_help(player, sources))]


class Watching(NamedTuple):
    """View of a run, and what steers it."""

    view: View[Any] | None
    playback: Playback | None  # the speed, and the keys that change it; None where nobody watches
    look: Look | None = None  # what a window looks at
    changes: LiveChanges | None = None  # what a window changes

    @property
    def stride(self) -> Stride | None:
        """Steps between snapshots, which the playback changes."""
        return self.playback.stride if self.playback is not None else None


def watching_of(config: RunConfig, lab: str, options: Options) -> Watching:
    """Make the view of a run, and the keys that change its speed.

    Raises:
        ValueError: a window, but no display.
    """
    if options.view == "none":
        return Watching(view_of(options), None)
    from simulator.commands.live.keyboard import Keyboard
    from simulator.commands.live.playback import Playback

    if options.view == "terminal":
        playback = Playback(options.slow, Keyboard.of_terminal())
        return Watching(view_of(options, controls=playback.controls), playback)
    from simulator.commands.live.recipe import recipe
    from simulator.core.snapshots import LiveChanges, Look
    from simulator.training.watched import WatchedRun, settings_of
    from simulator.views.window.app import check_display
    from simulator.views.window.run_window import LiveRun, RunWindow
    from simulator.views.window.training_page import TrainingPage

    check_display()
    look = Look()
    playback = Playback(options.slow)
    typed = shlex.join(["engram", *sys.argv[1:]])
    changes = LiveChanges()
    source = LiveRun(look, settings_of(config), playback.controls, typed, changes)
    window = RunWindow(
        source,
        options.scale,
        lambda run: _watch_elsewhere(run, lab, options.scale),
        lambda run, seed: TrainingPage(WatchedRun(lab, run, seed), partial(recipe, lab)),
        lambda live: TrainingPage(live, partial(recipe, lab)),
    )
    playback.keyboard = window
    return Watching(with_event_files(options, window), playback, look, changes)


def _watch_elsewhere(run: str, lab: str, scale: str) -> None:
    """Watch a run from another process, where its environment may close every window of this one."""
    words = [sys.executable, "-m", "simulator", "watch", run, "--lab", lab, "--scale", scale]
    nowhere = subprocess.DEVNULL  # whoever reads what this process prints does not wait for the window
    subprocess.Popen(words, stdin=nowhere, stdout=nowhere, stderr=nowhere, start_new_session=True)
    print_status(f"{run}: its environment draws itself, so that another process watches it: engram watch {run}")


def begin(config: RunConfig, lab: str, options: Options) -> Outcome:
    """Run a new experiment; its summary and 0, 1 where every seed failed, or None and the code of an interruption.

    Raises:
        ValueError: the players cannot be built from these settings, or the lab cannot be used.
    """
    from simulator.store.run_store import Store
    from simulator.training import loop

    watching = watching_of(config, lab, options)
    with Store(lab) as store:
        snapshots = loop.run(
            config,
            store,
            label=options.label,
            stride=watching.stride,
            keep_replay=options.keep_replay,
            look=watching.look,
            live=watching.changes,
        )
        return _play(snapshots, store, watching)


def resume(run: str, lab: str, options: Options, steps: int | None = None) -> Outcome:
    """Continue a stored run to its end, or to another number of steps; see ``begin``.

    Raises:
        ValueError: there is no such run, or it cannot be continued.
    """
    from simulator.store.lab import existing
    from simulator.store.run_store import Store
    from simulator.training import loop
    from simulator.training.extension import extend

    with Store(existing(lab)) as store:
        if steps is not None:
            for line in extend(store, run, steps):
                print_status(f"{store.find(run).run}: {line}")
        record = store.find(run)
        config = of_record(RunConfig, record)
        if record.error:
            print_status(error_line(record.run, record.error))
            print_status(f"{record.run}: it continues after step {record.step:,}, and fails again unless this is fixed")
        watching = watching_of(config, lab, options)
        snapshots = loop.run(
            config,
            store,
            record.run,
            stride=watching.stride,
            keep_replay=options.keep_replay,
            look=watching.look,
            live=watching.changes,
        )
        return _play(snapshots, store, watching)


def _resume(name: str, lab: str, args: ParsedArgs) -> CommandResult:
    data, code = resume(name, lab, args.options, args.settings.get("steps"))
    return CommandResult(data, show_summary, code)


def show_summary(summary: Mapping[str, Any]) -> None:
    """Print the summary of a run for people, and what to type next."""
    show_facts(summary)
    run = summary["run"]
    print_next(f"engram show {run}", f"engram plot {run} -o {run}.svg", f"engram report {run}")


def show_facts(summary: Mapping[str, Any]) -> None:
    """Print the summary of a run for people."""
    from simulator.training.extension import extension_line

    evaluation = summary["evaluation"]
    solved = summary["solved"]
    seeds = summary["seeds"]
    rows: list[tuple[str, Any]] = [
        ("seeds", _range(seeds)),
        ("environment steps per seed", _steps(summary)),
        *_returns(evaluation),
        ("evaluation episodes per seed", evaluation["episodes"]),
        ("failed seeds, left out", evaluation.get("left_out") or None),
        (f"seeds with an episode truncated after {evaluation.get('cut_after', 0):,} steps", _cut(evaluation)),
        ("seeds without a score: truncated, or their policy may never end", evaluation.get("without_score") or None),
        ("optimal return", summary.get("optimum")),
        ("max abs(Q - Q*)", max(_numbers(evaluation.get("value_error")), default=None)),
    ]
    if solved and solved["threshold"] is not None:
        rows += [
            (f"solved: return of at least {solved['threshold']:g}", _of_seeds(solved["fraction"], len(seeds))),
            ("steps to threshold, median", _first_steps(solved, bool(summary.get("extended")))),
            ("still above threshold, % of later evaluations", _percent(solved["stayed"])),
            ("solved at end", _of_seeds(solved.get("final"), len(seeds))),
        ]
    if summary["steps_per_second"] is not None:
        rows.append(("steps per second, all seeds", round(summary["steps_per_second"])))
    if not summary["exact"]:
        rows.append(("deterministic resume", False))
    shown = [row for row in rows if row[1] is not None and row[1] == row[1]]
    label = f", {summary['label']}" if summary.get("label") else ""
    print_table(f"{summary['run']}: {summary['agent']} in {summary['env']}{label}", ("", ""), shown)
    for line in failure_lines(summary.get("failed", []), len(seeds)):
        print_result(line)
    for text in summary.get("changes", ()):
        step, _, what = text.partition(" ")
        print_result(f"{summary['run']}: changed after step {int(step):,}: {what}")
    for change in summary.get("extended", ()):
        print_result(f"{summary['run']}: {extension_line(change)}")
    if summary.get("lost"):
        print_result(visible(f"{summary['run']}: {summary['lost']}"))
    if summary.get("error"):
        print_result(error_line(summary["run"], summary["error"]))


def error_line(run: str, error: Mapping[str, Any]) -> str:
    """Format the error that ended a run: ``r1 failed at step 300: ...``."""
    return f"{run} failed at step {error['step']:,}: {error['reason']}"


def failure_lines(failed: Sequence[Mapping[str, Any]], n_seeds: int) -> list[str]:
    """Format a line for every seed that failed, or for the first few of many."""
    consequence = "every seed failed" if len(failed) == n_seeds else "the others went on"
    lines = [f"seed {failure['seed']} failed at step {failure['step']:,}: {failure['reason']}" for failure in failed]
    shown = lines if len(lines) <= MAX_LINES else [*lines[: MAX_LINES - 1], f"{len(lines) - MAX_LINES + 1} more"]
    return [*shown[:-1], f"{shown[-1]}; {consequence}"] if shown else []


def _play(snapshots: Generator[RunSnapshot, None, None], store: Store, watching: Watching) -> Outcome:
    driven = drive(snapshots, watching.view, begun, watching.playback)
    if driven.last.compile_seconds > 0:
        print_status(f"compiling took {driven.last.compile_seconds:.1f} s, not counted in the times below")

    def finish(last: RunSnapshot) -> Outcome:
        from simulator.training import summary

        return Outcome(summary.summary(store, last.id), 1 if last.phase == "failed" else 0)

    return outcome_of(driven, store.lab, finish)


def begun(snapshot: RunSnapshot) -> None:
    """Print what begins, and the warnings of a run that continues."""
    seeds = plural(len(snapshot.seeds), "seed")
    announce(snapshot, f"{snapshot.agent} in {snapshot.env}, {seeds}, {snapshot.steps:,} steps per seed")


def _returns(evaluation: Mapping[str, Any]) -> list[tuple[str, Any]]:
    """Return the rows of the final evaluation: sampled episodes, and exact expected returns where they exist."""
    sampled = evaluation.get("sampled") or evaluation
    exact = evaluation.get("exact")
    if exact is None:
        return [("final evaluation return, IQM [95 % CI]", _interval(sampled))]
    played = _interval(sampled) if evaluation["episodes"] and sampled["iqm"] is not None else None
    return [
        ("final evaluation return, sampled, IQM [95 % CI]", played),
        ("final evaluation return, exact, IQM [95 % CI]", _interval(exact)),
        ("final evaluation return, exact, mean", exact["mean"]),
    ]


def _interval(score: Mapping[str, Any]) -> str:
    return interval(score["iqm"], score["low"], score["high"], score.get("equal"))


def _first_steps(solved: Mapping[str, Any], extended: bool) -> str | None:
    """Format the median steps to the threshold, which the evaluations' grid bounds: ``<= 7,500 (evaluated ...)``.

    The grid of a run that was extended has changed on the way.
    """
    median = solved["median_first_steps"]
    period = solved.get("eval_every")
    if median is None:
        return None
    return f"<= {round(median):,}" + (f" (evaluated every {period:,})" if period and not extended else "")


def _steps(summary: Mapping[str, Any]) -> int | str:
    """Format the steps per seed; of how many, if a run has not ended."""
    steps = summary["steps"]
    step = summary.get("step", steps)
    return steps if step == steps else f"{step:,} of {steps:,}"


def _cut(evaluation: Mapping[str, Any]) -> str | None:
    """Format the number of seeds with a truncated episode: ``2 of 8``."""
    n_cut = sum(evaluation.get("cut", ()))
    return f"{n_cut} of {len(evaluation['cut'])}" if n_cut else None


def _of_seeds(fraction: float | None, n_seeds: int) -> str | None:
    """Format a fraction of the seeds: ``15/16 seeds``."""
    return None if fraction is None or math.isnan(fraction) else f"{round(fraction * n_seeds)}/{n_seeds} seeds"


def _percent(fraction: float | None) -> float | None:
    return None if fraction is None else 100.0 * fraction


def _numbers(values: Sequence[float | None] | None) -> list[float]:
    """Return the finite values: a failed seed has none."""
    return [value for value in values or [] if value is not None and math.isfinite(value)]


def _range(seeds: list[int]) -> str:
    return f"{seeds[0]} to {seeds[-1]}" if len(seeds) > 1 else str(seeds[0])


def stored_kind() -> StoredKind:
    """Describe training runs; see :mod:`simulator.commands.kinds`."""
    from simulator.training import summary

    used = ("view", "scale", "slow", "tensorboard", "steps", "keep_replay")
    return StoredKind(RunConfig, summary.summary, show_facts, _resume, used)


COMMAND = Command(
    act,
    (0, 2),
    ("config", "preset", "label", "view", "scale", "slow", "keep_replay", "tensorboard"),
    lambda: own_settings(RunConfig),
    ("agent", "env"),
    _players,
    examples=(
        "run q_learning rooms",
        "run q_learning rooms --env.layout four --view window",
        "run q_learning CliffWalking-v1 --seeds 16 --steps 20000 --agent.step-size 0.3",
        "run --preset cartpole-dqn --seeds 4",
        "run dqn CartPole-v1 --help",
    ),
)
