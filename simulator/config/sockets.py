"""Sockets: the components that fit a field of settings, and the one that a value names.

The contract is :mod:`simulator.core.components`. What a file or an option says of a socket becomes a table of the
component's ``name`` and of the settings that were given with it. Several sources of settings go over each other: one
that names another component drops the settings of the former one, and one without a name changes settings of the
component that was chosen before.
"""

from __future__ import annotations

import ast
from collections.abc import Mapping
from functools import cache
from typing import Annotated, Any, get_args, get_origin, get_type_hints

from simulator.core import registry
from simulator.core.components import SOCKETS, Component, Socket
from simulator.core.files.escaping import shortened

KIND = "components"


def socket_of(hint: Any) -> str:
    """Return the socket that a field is; empty where it is none."""
    if get_origin(hint) is not Annotated:
        return ""
    return next((meta.name for meta in get_args(hint)[1:] if isinstance(meta, Socket)), "")


def has_socket(config: type[Any], socket: str) -> bool:
    """Tell whether an agent's settings have a field of this name that is this socket."""
    return socket_of(get_type_hints(config, include_extras=True).get(socket)) == socket


def fitting(socket: str) -> list[str]:
    """List the components with a name that fit a socket; imports none."""
    return [name for name in registry.names(KIND) if socket in sockets_in_file(name)]


def sockets_in_file(name: str) -> tuple[str, ...]:
    """Read the sockets that a component with a name fits, from its source without running it."""
    source = registry.source_to_read(KIND, name)
    if source is None:
        return ()
    try:
        return _sockets_in(source.read_text("utf-8"))
    except (OSError, ValueError, SyntaxError):  # of a distribution; said where the component is loaded
        return ()


@cache
def _sockets_in(source: str) -> tuple[str, ...]:
    for node in ast.parse(source).body:
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


def find(name: str, socket: str, field: str) -> registry.Plugin:
    """Find the component of a name, which fits a socket.

    Args:
        name: of a component, a path or a dotted name.
        socket: the socket.
        field: its place, for errors: ``agent.recurrence``.

    Raises:
        ValueError: there is none of that name, it does not fit, or its file cannot be used; one line.
    """
    wants = f"{field} expects {registry.with_article(socket)}: {expected(socket)}"
    try:
        component = registry.load(KIND, name)
    except registry.UnknownNameError as error:
        if kinds := registry.kinds_of(name):
            raise ValueError(f"{name} is {registry.with_article(registry.SINGULAR[kinds[0]])}, {wants}") from None
        if registry.suggestions(name, registry.names(KIND)):
            raise
        raise ValueError(f"unknown component {shortened(name, 60)!r}, {wants}") from error
    sockets = sockets_of(component)
    if socket not in sockets:
        raise ValueError(f"{component.name} is {' or '.join(map(registry.with_article, sockets))}, {wants}")
    return component


def values_of(socket: str) -> list[str]:
    """List the values of a socket that have names: components of ours, and ``none``."""
    return [*fitting(socket), "none"]


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
