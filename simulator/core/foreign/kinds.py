"""Kind of the player in a Python file, read from its source without running it."""

from __future__ import annotations

import ast
from pathlib import Path

METHODS = {"agents": {"act", "learn"}, "memories": {"store", "recall"}, "envs": {"reset", "step"}}


def kind_of_source(file: Path) -> str | None:
    """Tell by the methods of its classes whether a file has an agent, a component, a memory or an environment.

    A component is told by its ``SOCKETS``. A file without ``Config`` and ``make`` can only hold environments of
    Gymnasium. None: it cannot be told.
    """
    try:
        body = ast.parse(file.read_bytes()).body
    except (OSError, ValueError, SyntaxError):
        return None
    if not {"Config", "make"} & set(_names(body)):
        return "envs"
    if "SOCKETS" in _names(body):
        return "components"
    classes = [node for node in body if isinstance(node, ast.ClassDef)]
    methods = [{item.name for item in node.body if isinstance(item, ast.FunctionDef)} for node in classes]
    for kind, required in METHODS.items():
        if any(required <= own for own in methods):
            return kind
    return None


def _names(body: list[ast.stmt]) -> list[str]:
    """List the names that the statements of a module bind."""
    names: list[str] = []
    for node in body:
        if isinstance(node, ast.FunctionDef | ast.ClassDef):
            names.append(node.name)
        elif isinstance(node, ast.Import | ast.ImportFrom):
            names += [alias.asname or alias.name for alias in node.names]
        elif isinstance(node, ast.Assign):
            names += [target.id for target in node.targets if isinstance(target, ast.Name)]
        elif isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name):
            names.append(node.target.id)
    return names
