"""Laws as data: a sentence, and a function that raises :class:`LawBroken` where a player does not keep it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from simulator.core.foreign.faults import FOREIGN, PlayerError, fault_of


class LawBroken(AssertionError):  # noqa: N818 - the law is broken, not the program
    """A player does not keep a law; one line that names the method and what was expected.

    Attributes:
        method: of the player's class, in which it shows.
    """

    def __init__(self, method: str, said: str) -> None:
        super().__init__(f"{method}: {said}")
        self.method = method
        self.said = said


class Law(NamedTuple):
    """A law of one kind of players."""

    sentence: str
    method: str  # where it shows, if an error does not say
    check: Callable[[Any], None]  # of a case: an agent in an environment, an environment, a memory
    is_needed: bool = False  # by the laws after it, which say nothing where this one is broken


class Finding(NamedTuple):
    """One law for one player in one place."""

    law: str
    place: str  # an agent's environment; empty where there is none
    method: str  # in which it shows that the law is broken; empty where it is kept
    said: str  # what is wrong, and what was expected; empty where it is kept

    @property
    def passed(self) -> bool:
        """True where the law is kept."""
        return not self.said


def findings(laws: Sequence[Law], case: Any, place: str = "") -> list[Finding]:
    """Check every law, in order, up to one that is broken and needed by those after it."""
    found: list[Finding] = []
    for law in laws:
        found.append(_finding(law, case, place))
        if law.is_needed and not found[-1].passed:
            break
    return found


def _finding(law: Law, case: Any, place: str) -> Finding:
    try:
        law.check(case)
    except LawBroken as broken:
        return Finding(law.sentence, place, broken.method, broken.said)
    except PlayerError as error:
        return Finding(law.sentence, place, law.method, str(error))
    except FOREIGN as error:
        return Finding(law.sentence, place, law.method, str(fault_of(error)))
    return Finding(law.sentence, place, "", "")
