"""``engram resume``: continue an interrupted run, recall benchmark or tournament."""

from __future__ import annotations

from simulator.commands import recall as recall_command
from simulator.commands import run as run_command
from simulator.commands.command import Command, CommandResult, ParsedArgs, lab_of, refuse_unused, view_of
from simulator.commands.show import is_tournament


def act(args: ParsedArgs) -> CommandResult:
    """Continue what is named."""
    name = args.names[0]
    options = args.options
    lab = lab_of(options)
    if is_tournament(name, lab):
        from simulator.commands import tournament as tournament_command
        from simulator.reporting import tournament

        refuse_unused(args, "resume", "a tournament", ("view", "workers", "trust_files", "retry"))
        data, code = tournament_command.resume(name, lab, lambda: view_of(options, "tournament"), options)
        return CommandResult(data, tournament.show, code)
    if recall_command.is_benchmark(name, lab):
        from simulator.reporting import recall

        refuse_unused(args, "resume", "a recall benchmark", ("view",))
        data, code = recall_command.resume(name, lab, lambda: view_of(options, "recall"))
        return CommandResult(data, recall.show, code)
    refuse_unused(args, "resume", "a run", ("view", "slow", "tensorboard"))
    data, code = run_command.resume(name, lab, options)
    return CommandResult(data, run_command.show_summary, code)


COMMAND = Command(
    act,
    (1, 1),
    ("view", "slow", "workers", "trust_files", "retry", "tensorboard"),
    examples=("resume latest", "resume r1 --view none"),
)
