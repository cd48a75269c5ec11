"""``engram check``: put own agents, memories, environments or components through the laws; what fails, in words."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from simulator import console
from simulator.commands.live.driver import announce_compiling
from simulator.commands.parsing.command import Command, CommandResult, ParsedArgs
from simulator.core.files.escaping import visible


def act(args: ParsedArgs) -> CommandResult:
    """Check a player, or several files."""
    from simulator.checks.own import KINDS, check_player

    announce_compiling()
    kind = args.options.kind
    given = {table: values for table, values in args.players.items() if values}
    if len(given) > 1 or (kind and given and kind not in given):
        raise ValueError(f"--{next(iter(given))}.*: expected settings of the {kind or 'checked player'} alone")
    named: str | None = kind or next(iter(given), None)
    assert named is None or named in KINDS
    files, env = _files_and_env(args.names)
    if len(files) == 1:
        checked = check_player(files[0], env, named, given.get(named or ""))
        return CommandResult(checked, _show, 0 if checked["passed"] else 1)
    results = [_checked(file, env, named, given.get(named or "")) for file in files]
    passed = all(result["passed"] for result in results)
    return CommandResult({"passed": passed, "files": results}, _show_all, 0 if passed else 1)


def _files_and_env(names: list[str]) -> tuple[list[str], str | None]:
    """Part the names into the files to check and the environment to check agents in: the last name, if it is one."""
    from simulator.core import registry
    from simulator.core.foreign.python_files import is_path

    *before, last = names
    if not before:
        return names, None
    last_kind = registry.kind_of(last) if is_path(last) else "envs"
    if last_kind == "envs" and not (is_path(last) and registry.kind_of(before[0]) == "envs"):
        return before, last
    return names, None


def _checked(file: str, env: str | None, kind: str | None, given: Any) -> dict[str, Any]:
    """Check one of several files; one that cannot be loaded fails, and the others go on."""
    from simulator.checks.own import check_player

    try:
        return {**check_player(file, env, kind, given), "name": file, "error": None}
    except ValueError as error:
        return {"name": file, "passed": False, "error": str(error), "laws": []}


def _show_all(checked: Mapping[str, Any]) -> None:
    """Print a line for each file, and below it what fails."""
    for each in checked["files"]:
        failed = [law for law in each["laws"] if not law["passed"]]
        if each["error"] is not None:
            console.print_result(visible(f"FAIL  {each['name']}"))
            console.print_result(visible(f"      {each['error'].removeprefix(each['name'] + ': ')}"))
            continue
        counts = f"{len(failed)} of {len(each['laws'])} laws failed" if failed else f"all {len(each['laws'])} laws hold"
        console.print_result(visible(f"{'FAIL' if failed else 'ok  '}  {each['name']}: {counts}"))
        for law in failed:
            where = ".".join(filter(None, (each["class"], law["method"])))
            console.print_result(visible(f"      {law['law']}: {where}: {law['said']}"))
    failures = sum(not each["passed"] for each in checked["files"])
    total = len(checked["files"])
    console.print_result(f"{failures} of {total} files failed" if failures else f"all {total} files hold every law")


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
    (1, 1_000),
    ("kind",),
    list,
    ("agent", "memory", "env", "component"),
    examples=(
        "check my_agent.py rooms",
        "check class/*.py rooms",
        "check my_memory.py --kind memory",
        "check my_component.py CartPole-v1",
    ),
)
