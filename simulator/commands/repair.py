"""``engram repair``: recover the intact parts of a damaged lab into a new one."""

from __future__ import annotations

from simulator.commands.parsing.command import Command, CommandResult, ParsedArgs
from simulator.store import repair


def act(args: ParsedArgs) -> CommandResult:
    """Copy what is whole."""
    if not args.options.output:
        raise ValueError("-o is missing: expected engram repair LAB -o NEWLAB")
    return CommandResult(repair.repair(args.names[0], args.options.output), repair.show)


COMMAND = Command(act, (1, 1), ("output",), examples=("repair lab -o whole-lab", "list runs --lab whole-lab"))
