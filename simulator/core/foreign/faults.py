"""One-line errors of foreign code: the player, the call, the class, the message and its source line."""

from __future__ import annotations

import importlib
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

FOREIGN = (Exception, SystemExit)  # errors of foreign code; KeyboardInterrupt stays an interrupt
_MAX_TEXT = 200  # maximum characters of an error text
_ROOT = Path(__file__).parents[3]
_STANDARD = Path(importlib.__file__).parents[1]  # folders of Python's standard library


@dataclass(frozen=True)
class Fault:
    """Error of foreign code, as plain values that a lab can store.

    Attributes:
        kind: the class of the error.
        text: what it says, in one line.
        file: where it was raised, as far as that is known: the innermost file that is not a library's.
        line: line number there; 0 where it is not known.
    """

    kind: str
    text: str
    file: str
    line: int

    def __str__(self) -> str:
        place = f" ({_short(self.file)}, line {self.line})" if self.file else ""
        return f"{self.kind}: {self.text}".removesuffix(": ") + place


class PlayerError(ValueError):
    """An agent, an environment or a memory raised an error or returned an invalid value; one line.

    Attributes:
        fault: the error behind it; None where what it gave was refused.
        step: environment step of training, counted from 1, in which it happened; 0 where that is not known.
    """

    def __init__(self, line: str, fault: Fault | None = None) -> None:
        super().__init__(line)
        self.fault = fault
        self.step = 0

    def happened(self, step: int) -> None:
        """Set the training step of an error, if it has none."""
        if not self.step:
            self.step = step
            if " in step " not in self.args[0]:
                self.args = (f"{self.args[0]}, in step {step:,}",)


class Refusal(ValueError):  # noqa: N818 - a value is refused, nothing broke
    """An invalid value that a player returned, in words that follow "gave"."""


def fault_of(error: BaseException) -> Fault:
    """Describe an error and the place where it was raised."""
    text = " ".join(str(error).split())
    text = text if len(text) <= _MAX_TEXT else text[: _MAX_TEXT - 3] + "..."
    frames = [frame for frame in traceback.extract_tb(error.__traceback__) if not frame.filename.startswith("<")]
    foreign_frames = [frame for frame in frames if not _is_library(frame.filename)]
    at = foreign_frames[-1] if foreign_frames else None
    return Fault(type(error).__name__, text, at.filename if at else "", (at.lineno or 0) if at else 0)


@contextmanager
def guarded(place: str) -> Iterator[None]:
    """Turn errors of foreign code inside into a :class:`PlayerError` whose line begins with ``place``."""
    try:
        yield
    except PlayerError:
        raise
    except Refusal as refusal:
        raise PlayerError(f"{place} gave {refusal}") from refusal
    except FOREIGN as error:
        raise player_error(place, error) from error


def player_error(place: str, error: BaseException, hint: str = "") -> PlayerError:
    """Describe an error of foreign code in one line: place, class, message, file and line, and a hint."""
    fault = fault_of(error)
    return PlayerError(f"{place}: {fault}{'; ' + hint if hint else ''}", fault)


def _is_library(file: str) -> bool:
    """Tell whether a file is a library's, or one of those that call foreign code here."""
    path = Path(file)
    calls = path.is_relative_to(_ROOT / "simulator") or path.match("envs/common/gymnasium/*.py")
    return "site-packages" in path.parts or path.is_relative_to(_STANDARD) or calls


def _short(file: str) -> str:
    path = Path(file)
    return str(path.relative_to(Path.cwd())) if path.is_relative_to(Path.cwd()) else file
