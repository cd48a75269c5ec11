"""Components: what an agent carries inside, each in a socket of its own.

A component is a file of ``agents/components``, or one of the user's by its path or dotted name. It offers ``Config``
and ``make`` as every player does, and ``SOCKETS``, the sockets that it fits. What ``make`` takes and gives depends on
the socket.

An agent has a socket where its ``Config`` has a field of one of the types below. The field's value is a
:class:`Component`, or None. In a file the field is the component's name, or a table of its name and settings::

    [agent.recurrence]
    name = "lstm"
    units = 32

and on the command line ``--agent.recurrence lstm --agent.recurrence.units 32``, in any order. The field has the name of
its socket, or ends in ``_`` and it (``actor_recurrence``), by which the command line tells it from other options.

The agent makes it by name, without importing it::

    registry.load("components", config.recurrence.name).make(config.recurrence.settings)
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Any, NamedTuple

SOCKETS = {
    "encoder": "turns an observation into the features that the agent sees",
    "recurrence": "carries a state from step to step, and begins anew with every episode",
    "model": "learns the environment's transitions and imagines some for replay",
    "intrinsic": "adds a bonus to the reward of what is new",
}


class Socket(NamedTuple):
    """Marks the type of a field that takes a component of this socket."""

    name: str


@dataclass(frozen=True)
class Component:
    """A component that was chosen for a socket.

    Attributes:
        name: of its file, or its path.
        settings: its ``Config``.
    """

    name: str
    settings: Any


def is_socket_name(name: str) -> bool:
    """Tell whether a field of this name may be a socket: ``recurrence``, ``actor_recurrence``."""
    return name.rpartition("_")[2] in SOCKETS


Encoder = Annotated[Component | None, Socket("encoder")]
Recurrence = Annotated[Component | None, Socket("recurrence")]
Model = Annotated[Component | None, Socket("model")]
Intrinsic = Annotated[Component | None, Socket("intrinsic")]
