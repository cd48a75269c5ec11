"""``engram check``: put an own agent, memory or environment through the laws, and say what fails in words."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from simulator import console
from simulator.commands.parsing.command import Command, CommandResult, ParsedArgs
from simulator.commands.run import announce_compiling
from simulator.core.files.escaping import visible


def act(args: ParsedArgs) -> CommandResult:
    """Check a player."""
    from simulator.checks.own import KINDS, check_player

    announce_compiling()
    kind = args.options.kind
    given = {table: values for table, values in args.players.items() if values}
    if len(given) > 1 or (kind and given and kind not in given):
        raise ValueError(f"--{next(iter(given))}.*: expected settings of the {kind or 'checked player'} alone")
    kind = kind or next(iter(given), None)
    assert kind is None or kind in KINDS
    name, env = [*args.names, None][:2]
    checked = check_player(str(name), env, kind, given.get(kind or ""))
    return CommandResult(checked, _show, 0 if checked["passed"] else 1)


def _show(checked: Mapping[str, Any]) -> None:
    """Print every law, and what is wrong below those that are broken."""
    owner = f", class {checked['class']}" if checked["class"] else ""
    console.print_result(visible(f"{checked['file']}: {checked['kind']}{owner}"))
    place = None
    for law in checked["laws"]:
        if law["env"] != place and law["env"]:
            console.print_result(f"in {visible(law['env'])}")
        place = law["env"]
        console.print_result(f"  {'ok  ' if law['passed'] else 'FAIL'}  {law['law']}")
        if not law["passed"]:
            where = ".".join(filter(None, (checked["class"], law["method"])))
            console.print_result(visible(f"        {where}: {law['said']}"))
    for skipped in checked["left_out"]:
        console.print_result(visible(f"not in {skipped['env']}: {skipped['reason']}"))
    failed = sum(not law["passed"] for law in checked["laws"])
    total = len(checked["laws"])
    console.print_result(f"{failed} of {total} laws failed" if failed else f"all {total} laws hold")


COMMAND = Command(
    act,
    (1, 2),
    ("kind",),
    list,
    ("agent", "memory", "env"),
    examples=("check my_agent.py", "check my_agent.py rooms", "check my_memory.py --kind memory"),
)
