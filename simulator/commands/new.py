"""``engram new``: write the file of an agent, a memory or an environment that runs as it is."""

from __future__ import annotations

import keyword
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

from simulator import console
from simulator.commands.parsing.command import DASH, Command, CommandResult, ParsedArgs
from simulator.core import registry
from simulator.core.files.escaping import checked_name, visible
from simulator.core.files.writing import write_file

TEMPLATES = Path(__file__).parents[1] / "templates"


class Template(NamedTuple):
    """A file that is written, and the words in it that are replaced."""

    name: str  # its class
    title: str  # the first words of its docstring
    next: str  # a command that runs it


KINDS = {
    "agent": Template("MyAgent", "My agent", "engram run {} rooms"),
    "memory": Template("MyMemory", "My memory", "engram recall {} nearest_neighbor digits"),
    "env": Template("MyEnv", "My environment", "engram run q_learning {}"),
    "component": Template("MyComponent", "My component", "engram run q_learning rooms --agent.intrinsic {}"),
}


def act(args: ParsedArgs) -> CommandResult:
    """Write a file."""
    kind, name = args.names
    return CommandResult(write(kind, name, force=args.options.force), _show)


def write(kind: str, name: str, *, force: bool = False) -> dict[str, Any]:
    """Write the file of a new player.

    Args:
        kind: agent, memory, env or component.
        name: of the player, or the path of its file.
        force: replace a file that is there.

    Returns:
        ``file``, ``kind``, ``class`` and ``next``, the commands that check and run it.

    Raises:
        ValueError: no such kind, a name that Python cannot import, or a file that is there already; one line.
    """
    if kind not in KINDS:
        raise ValueError(registry.unknown_name_message("kind", kind, KINDS, f"expected one of {', '.join(KINDS)}"))
    if name == "-":
        raise ValueError(f"-: {DASH}")
    path = Path(checked_name(name, "name", most=4096))
    path = path if path.suffix == ".py" else path.with_name(f"{path.name.replace('-', '_')}.py")
    if not path.stem.isidentifier() or keyword.iskeyword(path.stem):
        raise ValueError(f"{visible(name)}: expected a name of letters, digits and _ such as my_{kind}")
    if path.exists() and not force:
        raise ValueError(f"{visible(str(path))} already exists, expected another name, or --force to replace it")
    template = KINDS[kind]
    title = " ".join(re.findall(r"[^\W_]+", path.stem)) or path.stem
    class_name = "".join(word[:1].upper() + word[1:] for word in title.split()) or path.stem
    class_name = f"My{class_name}" if class_name == "Config" else class_name
    text = (TEMPLATES / f"{kind}.py").read_text("utf-8")
    text = text.replace(f'"""{template.title}:', f'"""{title[:1].upper()}{title[1:]}:', 1)
    text = text.replace(template.name, class_name).replace(f"my_{kind}.py", str(path))
    text = text.replace(f"--memory.my_{kind}.", f"--memory.{path.stem}.")
    write_file(path, text.encode(), force=force, kind=".py")
    following = [f"engram check {path}", template.next.format(path)]
    return {"file": str(path), "kind": kind, "class": class_name, "next": following}


def _show(written: Mapping[str, Any]) -> None:
    console.print_result(visible(f"{written['file']} is written; next:"))
    for line in written["next"]:
        console.print_result(visible(f"  {line}"))


COMMAND = Command(
    act,
    (2, 2),
    ("force",),
    examples=("new agent my_agent", "new memory my_memory", "new env my_env", "new component my_bonus"),
)
