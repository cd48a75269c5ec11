"""Sockets: the components that fit a field of settings, and the one that a value names.

The contract is :mod:`simulator.core.components`. What a file or an option says of a socket becomes a table of the
component's ``name`` and of the settings that were given with it. Several sources of settings go over each other: one
that names another component drops the settings of the former one, and one without a name changes settings of the
component that was chosen before.
"""

from __future__ import annotations

import ast
from collections.abc import Mapping
from typing import Annotated, Any, get_args, get_origin

from simulator.core import registry
from simulator.core.components import SOCKETS, Component, Socket

KIND = "components"


def socket_of(hint: Any) -> str:
    """Return the socket that a field is; empty where it is none."""
    if get_origin(hint) is not Annotated:
        return ""
    return next((meta.name for meta in get_args(hint)[1:] if isinstance(meta, Socket)), "")


def fitting(socket: str) -> list[str]:
    """List the components of ours that fit a socket; imports none."""
    return [name for name in registry.names(KIND) if socket in sockets_in_file(name)]


def sockets_in_file(name: str) -> tuple[str, ...]:
    """Read the sockets that one of our components fits, from its source without running it."""
    source = registry.source_of(KIND, name)
    if source is None:
        return ()
    for node in ast.parse(source.read_text("utf-8")).body:
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "SOCKETS":
            return tuple(ast.literal_eval(node.value))
    return ()


def sockets_of(component: registry.Plugin) -> tuple[str, ...]:
    """Return the sockets that a component fits.

    Raises:
        ValueError: its file does not say so; one line.
    """
    sockets = getattr(component.module, "SOCKETS", None)
    if not isinstance(sockets, tuple | list) or not sockets or not set(sockets) <= set(SOCKETS):
        expected = f'expected some of {", ".join(SOCKETS)}, such as SOCKETS = ("recurrence",)'
        raise ValueError(f"component {component.name}: SOCKETS is missing or has other words, {expected}")
    return tuple(sockets)


def find(name: str, socket: str) -> registry.Plugin:
    """Find the component of a name, which may have any socket; ``socket``: the one that it is wanted for.

    Raises:
        ValueError: there is none of that name, or its file cannot be used; one line.
    """
    try:
        return registry.load(KIND, name)
    except registry.UnknownNameError as error:
        known = registry.suggestions(name, registry.names(KIND)) or registry.elsewhere(KIND, name)
        raise ValueError(str(error) if known else f"{error}, expected {expected(socket)}") from None


def misfit(component: registry.Plugin, socket: str, field: str) -> str:
    """Say that a component does not fit a socket, both sides named; empty where it fits.

    Raises:
        ValueError: its file does not say which sockets it fits; one line.
    """
    sockets = sockets_of(component)
    if socket in sockets:
        return ""
    nouns = " or ".join(map(registry.with_article, sockets)).replace("a intrinsic", "an intrinsic")
    return f"{component.name} is {nouns}, {field} expects {registry.with_article(socket)}: {expected(socket)}"


def expected(socket: str) -> str:
    """Name the components that fit a socket: ``elman, gru or lstm``."""
    names = fitting(socket)
    if not names:
        return "the path of your own"
    return " or ".join(filter(None, (", ".join(names[:-1]), names[-1])))


def named_in(value: Any) -> str:
    """Return the name of the component in an unchecked value of a socket; empty where it has none, or is none."""
    name = value.get("name", "") if isinstance(value, Mapping) else value
    return name if isinstance(name, str) and name.lower() != "none" else ""


def chosen_in(default: Any) -> Component | None:
    """Return the component that a field holds by default, or by what was read before; None where it has none."""
    return default if isinstance(default, Component) else None


def is_another(value: Any, before: Any) -> bool:
    """Tell whether the checked value of a socket is another component than a table of before, or none at all."""
    if not isinstance(value, Mapping) or not isinstance(before, Mapping):
        return True
    return "name" in value and value["name"] != before.get("name")
