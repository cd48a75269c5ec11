"""``engram resume``: continue an interrupted run, recall benchmark, comparison of predictions, tournament or tuning."""

from __future__ import annotations

from functools import partial

from simulator.commands import predict as predict_command
from simulator.commands import recall as recall_command
from simulator.commands import run as run_command
from simulator.commands.parsing.command import Command, CommandResult, ParsedArgs, lab_of, refuse_unused
from simulator.commands.show import is_tournament
from simulator.config.codec import own_settings
from simulator.config.run import RunConfig
from simulator.config.validation import Setting
from simulator.core.snapshots import PLAY, TUNE
from simulator.store.cell_store import kind_of


def act(args: ParsedArgs) -> CommandResult:
    """Continue what is named."""
    name = args.names[0]
    options = args.options
    lab = lab_of(options)
    if is_tournament(name, lab):
        from simulator.commands import tournament as tournament_command
        from simulator.reporting import tournament

        refuse_unused(args, "resume", "a tournament", ("view", "scale", "workers", "trust_files", "retry"))
        data, code = tournament_command.viewed(
            options, lab, lambda make_view: tournament_command.resume(name, lab, make_view, options)
        )
        return CommandResult(data, tournament.show, code)
    if kind_of(lab, name) == TUNE:
        refuse_unused(
            args, "resume", "a tuning", ("view", "scale", "workers", "trust_files", "retry", "output", "force")
        )
        from simulator.commands import tune as tune_command
        from simulator.reporting import tune

        data, code = tune_command.viewed(
            options, lab, lambda make_view: tune_command.resume(name, lab, make_view, options)
        )
        return CommandResult(data, partial(tune.show, written=options.output), code)
    if recall_command.is_benchmark(name, lab):
        refuse_unused(args, "resume", "a recall benchmark", ("view", "scale"))
        from simulator.reporting import recall

        data, code = recall_command.viewed(options, lab, lambda make_view: recall_command.resume(name, lab, make_view))
        return CommandResult(data, recall.show, code)
    if predict_command.is_comparison(name, lab):
        refuse_unused(args, "resume", "a comparison of predictions", ("view", "scale"))
        from simulator.reporting import predict

        data, code = predict_command.viewed(
            options, lab, lambda make_view: predict_command.resume(name, lab, make_view)
        )
        return CommandResult(data, predict.show, code)
    if kind_of(lab, name) == PLAY:
        raise ValueError(f"{name} is recorded play, which is over, expected a run (engram play begins another sitting)")
    refuse_unused(args, "resume", "a run", ("view", "scale", "slow", "tensorboard", "steps", "keep_replay"))
    data, code = run_command.resume(name, lab, options, args.settings.get("steps"))
    return CommandResult(data, run_command.show_summary, code)


def _settings() -> list[Setting]:
    """Return the one setting that can change: how far a run goes."""
    steps = next(setting for setting in own_settings(RunConfig) if setting.name == "steps")
    doc = "train a run, also one that is over, on to this many environment steps per seed in all"
    return [steps._replace(default="as it was begun", doc=doc)]


COMMAND = Command(
    act,
    (1, 1),
    ("view", "scale", "slow", "keep_replay", "workers", "trust_files", "retry", "tensorboard", "output", "force"),
    _settings,
    examples=("resume latest", "resume r1 --view none", "resume r1 --steps 200000"),
)
