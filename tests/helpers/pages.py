"""Walks through a page of the manual: its files are written and its commands run, in the order in which they stand.

* ```` ```bash ````: every line is run as a shell would, ``engram`` in this process, ``python`` in one of its own;
* ```` ```LANGUAGE title="FILE" ````: the file is written;
* any other block is output, or something to read.

A comment ``# exit code N`` behind a command says that it ends with this code; else it is 0.
"""

from __future__ import annotations

import glob
import os
import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from tests.helpers.commands import CommandOutput, Engram
from tests.helpers.paths import ROOT

BLOCK = re.compile(r"^```(\w*)(?: title=\"([^\"]+)\")?\n(.*?)^```$", re.MULTILINE | re.DOTALL)
CODE = re.compile(r"#.*\bexit code (\d+)")


class Block(NamedTuple):
    """A fenced block of a page."""

    language: str
    file: str  # its title, or nothing
    text: str


class Step(NamedTuple):
    """A command of a page with what it printed."""

    command: str
    output: CommandOutput


def blocks(page: str) -> list[Block]:
    """Read the fenced blocks of a page, a path from the root of the repository."""
    return [Block(*found) for found in BLOCK.findall((ROOT / page).read_text("utf-8"))]


def walk(page: str, engram: Engram) -> list[Step]:
    """Write the files and run the commands of a page in the working folder; each must end with its exit code.

    A run that is slowed for an eye goes at full speed: that changes none of its bits.
    """
    steps = []
    for block in blocks(page):
        if block.file:
            Path(block.file).parent.mkdir(parents=True, exist_ok=True)
            Path(block.file).write_text(block.text, "utf-8")
        elif block.language == "bash":
            steps += [Step(line, _run(line, engram)) for line in _lines(block.text)]
    return steps


def _lines(text: str) -> Iterator[str]:
    """Split a block into commands; a backslash continues a line."""
    yield from (line for line in re.sub(r"\s*\\\n\s*", " ", text).splitlines() if line.strip())


def _run(line: str, engram: Engram) -> CommandOutput:
    code = int(found[1]) if (found := CODE.search(line)) else 0
    line = re.sub(r"--slow \d+", "--slow 1000000", line)
    words = [name for word in shlex.split(line, comments=True) for name in sorted(glob.glob(word)) or [word]]
    program, *rest = words
    if program == "engram":
        return engram(*rest, code=code)
    assert program == "python", f"{line!r}: expected a line that begins with engram or python"
    env = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run([sys.executable, *rest], capture_output=True, text=True, check=False, env=env, timeout=120)
    assert done.returncode == code, f"{line}: exit code {done.returncode}\n{done.stderr}"
    return CommandOutput(done.returncode, done.stdout, done.stderr)
