"""Changes of a run while its agents learn, as text: after which environment step, and what changes.

======================  ==============================================================================================
``5000 wall 3 4``       the cell in row 3, column 4 becomes a wall; likewise ``free``, ``goal``, ``lava``, ``ice``
``5000 reward 3 4 -1``  every step that ends in this cell pays -1 from now on, whatever it is
``8000 epsilon 0.05``   a setting of the agent; its names are those of :class:`simulator.core.protocols.Changeable`
``9000 cut``            what a recurrent agent carries from step to step is set to zero
======================  ==============================================================================================

Rows and columns count from 0, in the upper left corner. Changes after the same step are made in the order in which they
are given, after an evaluation that is due at this step.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable
from typing import NamedTuple

from simulator.core.files.escaping import shortened
from simulator.core.protocols import CellEdit

CELLS = ("free", "wall", "goal", "lava", "ice")
CUT = "cut"
_EXPECTED = "a step and a change, such as '5000 wall 3 4', '5000 reward 3 4 -0.5', '5000 epsilon 0.05' or '5000 cut'"
_NAME = re.compile(r"[a-z][a-z_.]{0,63}", re.ASCII)
_MAX_STEP = 10**12


class Change(NamedTuple):
    """One change; exactly one of ``edit``, ``setting`` and ``cut`` says something."""

    step: int  # environment steps per seed before it
    edit: CellEdit | None = None
    setting: str = ""  # name of the agent's setting
    value: float = 0.0  # its new value
    cut: bool = False

    def __str__(self) -> str:
        """Format it as it is read."""
        if self.cut:
            return f"{self.step} {CUT}"
        if self.edit is None:
            return f"{self.step} {self.setting} {_number(self.value)}"
        paid = f" {_number(self.edit.reward)}" if self.edit.to == "reward" else ""
        return f"{self.step} {self.edit.to} {self.edit.row} {self.edit.column}{paid}"


def parse(text: str) -> Change:
    """Read a change.

    Raises:
        ValueError: it is none; one line.
    """
    words = text.split()
    refusal = ValueError(f"change {shortened(text)!r}: expected {_EXPECTED}")
    if len(words) < 2 or not _is_count(words[0]) or int(words[0]) > _MAX_STEP:
        raise refusal
    step = int(words[0])
    kind = words[1]
    values = words[2:]
    if kind in CELLS or kind == "reward":
        if len(values) != (3 if kind == "reward" else 2) or not all(map(_is_count, values[:2])):
            raise refusal
        reward = _finite(values[2]) if kind == "reward" else 0.0
        if reward is None:
            raise refusal
        return Change(step, edit=CellEdit(int(values[0]), int(values[1]), kind, reward))
    if kind == CUT and not values:
        return Change(step, cut=True)
    value = _finite(values[0]) if len(values) == 1 and kind != CUT else None
    if value is None or not _NAME.fullmatch(kind):
        raise refusal
    return Change(step, setting=kind, value=value)


def scheduled(texts: Iterable[str], steps: int) -> tuple[str, ...]:
    """Check changes of a run of so many steps, and return them in order, in their usual form.

    Raises:
        ValueError: one is no change, or comes when the run is over; one line.
    """
    changes = sorted(map(parse, texts), key=lambda change: change.step)
    if changes and changes[-1].step >= steps:
        raise ValueError(f"change '{changes[-1]}': the run is over after {steps:,} steps, expected an earlier step")
    return tuple(map(str, changes))


def until(texts: Iterable[str], step: int) -> tuple[str, ...]:
    """Return the changes that are made before a step."""
    return tuple(text for text in texts if parse(text).step < step)


def _is_count(word: str) -> bool:
    return word.isascii() and word.isdecimal() and len(word) <= 13


def _finite(word: str) -> float | None:
    """Read a finite number; None where it is none."""
    try:
        value = float(word)
    except ValueError:
        return None
    return value if math.isfinite(value) else None


def _number(value: float) -> str:
    """Format a number so that the same one is read back."""
    return repr(int(value)) if value == int(value) and abs(value) < 1e15 else repr(value)
