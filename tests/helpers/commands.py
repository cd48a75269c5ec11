"""Types of the fixtures that call the command line, and a stream in place of a terminal."""

from __future__ import annotations

import io
import json
import subprocess
from collections.abc import Callable
from typing import Any, NamedTuple


class CommandOutput(NamedTuple):
    """Exit code and output of one command."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        """The only line of stdout, decoded."""
        (line,) = self.out.splitlines()
        return json.loads(line)

    @property
    def error(self) -> str:
        """The only line of stderr without ``engram:``, beside those about long waits; nothing may be on stdout."""
        assert self.out == ""
        lines = [line for line in self.err.splitlines() if not line.startswith("compiling for this machine")]
        (line,) = [line for line in lines if not line.endswith(" s so far")]
        assert line.startswith("engram: ")
        return line.removeprefix("engram: ")


Engram = Callable[..., CommandOutput]
RunProcess = Callable[..., subprocess.CompletedProcess[str]]


class TerminalStream(io.StringIO):
    """A stream that says it is a terminal."""

    encoding = "utf-8"

    def isatty(self) -> bool:
        return True
