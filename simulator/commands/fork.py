"""``engram fork``: begin a run that is a stored one up to a step, and from there has changes of its own."""

from __future__ import annotations

from simulator.commands import run as run_command
from simulator.commands.parsing.command import Command, CommandResult, ParsedArgs, lab_of
from simulator.config.codec import own_settings
from simulator.config.run import RunConfig
from simulator.config.validation import Setting
from simulator.console import print_status


def act(args: ParsedArgs) -> CommandResult:
    """Fork what is named, and train the fork to its end."""
    from simulator.store.lab import existing
    from simulator.store.run_store import Store
    from simulator.training.fork import fork

    options = args.options
    lab = lab_of(options)
    with Store(existing(lab)) as store:
        source = store.find(args.names[0]).run
        new = fork(store, source, options.at, args.settings.get("changes", ()), options.label)
        step = store.find(new).step
    where = f"goes on from its checkpoint at step {step:,}" if step else "is trained again from the beginning"
    print_status(f"{new}: forked from {source}, {where}")
    data, code = run_command.resume(new, lab, options)
    return CommandResult(data, run_command.show_summary, code)


def _settings() -> list[Setting]:
    """Return the one setting that a fork has of its own."""
    changes = next(setting for setting in own_settings(RunConfig) if setting.name == "changes")
    return [changes._replace(doc=f"{changes.doc}; of the fork alone, from its step on")]


COMMAND = Command(
    act,
    (1, 1),
    ("at", "label", "view", "scale", "slow", "keep_replay", "tensorboard"),
    _settings,
    examples=('fork r1 --at 5000 --changes "5000 wall 3 6"', 'fork latest --changes "9000 epsilon 0.01"'),
)
