"""Walks through a page of the manual: its files are written and its commands run, in the order in which they stand.

* ```` ```bash ````: every line is run as a shell would, ``engram`` in this process, ``python`` in one of its own;
* ```` ```LANGUAGE title="FILE" ````: the file is written;
* ```` ```python ```` without a title: run, in one namespace for the page;
* ```` ```text ````: what the block before it printed, or a part of it;
* any other block is something to read.

A comment ``# exit code N`` behind a command says that it ends with this code; else it is 0. ``> FILE`` at its end
writes its output there. ``<!-- optional: MODULE -->`` before a block leaves it out where the module is missing.
"""

from __future__ import annotations

import contextlib
import glob
import importlib.util
import io
import os
import re
import shlex
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from tests.helpers.commands import CommandOutput, Engram
from tests.helpers.paths import ROOT

BLOCK = re.compile(
    r"(?:^<!-- optional: (\w+) -->\n+)?^```(\w*)(?: title=\"([^\"]+)\")?\n(.*?)^```$", re.MULTILINE | re.DOTALL
)
CODE = re.compile(r"#.*\bexit code (\d+)")


class CodeBlock(NamedTuple):
    """A fenced block of a page."""

    needs: str  # module without which it is left out, or nothing
    language: str
    file: str  # its title, or nothing
    text: str


class PageStep(NamedTuple):
    """A command of a page, or a block of Python, with what it printed."""

    command: str
    output: CommandOutput
    block: int  # number of its block on the page


def blocks(page: str) -> list[CodeBlock]:
    """Read the fenced blocks of a page, a path from the root of the repository."""
    return [CodeBlock(*found) for found in BLOCK.findall((ROOT / page).read_text("utf-8"))]


def walk(page: str, engram: Engram, *, optional: bool = False) -> list[PageStep]:
    """Write the files and run the commands of a page in the working folder; each must end with its exit code.

    Blocks that need a module are run with ``optional`` alone, where it is installed. A run that is slowed for an eye
    goes at full speed: that changes none of its bits.
    """
    space: dict[str, Any] = {}
    steps = []
    for at, block in enumerate(blocks(page)):
        if block.needs and not (optional and importlib.util.find_spec(block.needs)):
            continue
        if block.file:
            Path(block.file).parent.mkdir(parents=True, exist_ok=True)
            Path(block.file).write_text(block.text, "utf-8")
        elif block.language == "bash":
            steps += [PageStep(line, _run(line, engram), at) for line in _lines(block.text)]
        elif block.language == "python":
            with contextlib.redirect_stdout(io.StringIO()) as out:
                exec(block.text, space)
            steps.append(PageStep(block.text, CommandOutput(0, out.getvalue(), ""), at))
    return steps


class ShownOutput(NamedTuple):
    """Output on a page, and what the block before it printed."""

    shown: str
    printed: str


def shown_outputs(page: str, steps: Sequence[PageStep]) -> list[ShownOutput]:
    """Pair the output that a page shows with what its blocks printed, where they were run."""
    found, before = [], -1
    for at, block in enumerate(blocks(page)):
        if block.language == "text":
            printed = [step.output.out for step in steps if step.block == before]
            found += [ShownOutput(block.text, "".join(printed))] if printed else []
        elif block.language in ("bash", "python") and not block.file:
            before = at
    return found


def _lines(text: str) -> Iterator[str]:
    """Split a block into commands; a backslash continues a line."""
    yield from (line for line in re.sub(r"\s*\\\n\s*", " ", text).splitlines() if line.strip())


def _run(line: str, engram: Engram) -> CommandOutput:
    code = int(found[1]) if (found := CODE.search(line)) else 0
    line = re.sub(r"--slow \d+", "--slow 1000000", line)
    words = [name for word in shlex.split(line, comments=True) for name in sorted(glob.glob(word)) or [word]]
    program, *rest = words
    if program == "engram":
        *rest, file = rest if rest[-2:-1] == [">"] else [*rest, ""]
        output = engram(*(rest[:-1] if file else rest), code=code)
        if file:
            Path(file).write_text(output.out, "utf-8")
        return output
    assert program == "python", f"{line!r}: expected a line that begins with engram or python"
    env = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run([sys.executable, *rest], capture_output=True, text=True, check=False, env=env, timeout=120)
    assert done.returncode == code, f"{line}: exit code {done.returncode}\n{done.stderr}"
    return CommandOutput(done.returncode, done.stdout, done.stderr)
