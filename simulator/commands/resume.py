"""``engram resume``: continue an interrupted run, recall benchmark, comparison of predictions, tournament or tuning."""

from __future__ import annotations

from simulator.commands import kinds
from simulator.commands.parsing.command import Command, CommandResult, ParsedArgs, lab_of, refuse_unused
from simulator.config.codec import own_settings
from simulator.config.run import RunConfig
from simulator.config.validation import Setting
from simulator.core.experiment_kinds import RUN, noun_of
from simulator.store.cell_store import kind_of


def act(args: ParsedArgs) -> CommandResult:
    """Continue what is named."""
    (name,) = args.names
    lab = lab_of(args.options)
    kind = kind_of(lab, name) or RUN  # of an unknown name it says so
    described = kinds.load(kind)
    refuse_unused(args, "resume", f"a {noun_of(kind)}", described.resume_options)
    return described.resume(name, lab, args)


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
