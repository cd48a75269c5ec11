"""Draw every picture of the manual: ``python docs/_pictures.py [PAGE ...]``, or ``make pictures`` for all.

A page shows beside a picture the commands that draw it; they are run as they stand there, in a lab of their own. So
no picture can say something else than its commands. A picture ``KIND-NAME.svg`` is of the tournament that is stored in
``tests/benchmarks/results/NAME.json``, and of a kind of ``engram plot``.
"""

from __future__ import annotations

import json
import os
import re
import shlex
import subprocess
import sys
import tempfile
from pathlib import Path

from simulator.reporting import plot
from simulator.reporting.report import TOURNAMENT

ROOT = Path(__file__).parents[1]
BLOCK = re.compile(r"^```(?:\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
RECORDED = re.compile(r"^engram record \w+ docs/pictures/", re.MULTILINE)
STORED = re.compile(rf"pictures/(({'|'.join(plot.KINDS[TOURNAMENT])})-([\w-]+)\.svg)")


def main(pages: list[str]) -> None:
    """Draw the pictures of some pages, or of README.md and every page."""
    paths = [Path(page) for page in pages] or [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
    for path in paths:
        text = path.read_text("utf-8")
        for file, kind, name in STORED.findall(text):
            print(path, flush=True)
            summary = json.loads((ROOT / "tests" / "benchmarks" / "results" / f"{name}.json").read_text("utf-8"))
            plot.draw(plot.drawing_of(TOURNAMENT, summary, [kind]), ROOT / "docs" / "pictures" / file, force=True)
        for block in BLOCK.findall(text):
            if "--picture docs/pictures/" in block or RECORDED.search(block):
                print(path, flush=True)
                _run(block)


def _run(block: str) -> None:
    with tempfile.TemporaryDirectory() as lab:
        for line in block.splitlines():
            words = shlex.split(line, comments=True)
            if words[:1] != ["engram"]:
                raise ValueError(f"{line!r}: expected a line that begins with engram")
            options = ["--force"] if "--picture" in words or "record" in words else ["--view", "none"]
            program = [sys.executable, "-m", "simulator", *words[1:], *options, "--lab", lab]
            subprocess.run(program, cwd=ROOT, env={**os.environ, "NO_COLOR": "1"}, check=True)


if __name__ == "__main__":
    main(sys.argv[1:])
