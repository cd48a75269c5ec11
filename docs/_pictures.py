"""Draw every picture of the manual: ``python docs/_pictures.py [PAGE ...]``, or ``make pictures`` for all.

A page shows beside a picture the commands that draw it; they are run as they stand there, in a lab of their own. So
no picture can say something else than its commands. A picture ``KIND-NAME.svg`` is of the tournament that is stored in
``tests/benchmarks/results/NAME.json``, and of a kind of ``engram plot``. A picture ``window-NAME.png`` is of the window
that the command above it opens, after the keys of ``WINDOWS``; SDL's dummy driver draws it, without a display.
"""

from __future__ import annotations

import json
import math
import os
import re
import shlex
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from PIL import Image

from simulator.reporting import plot
from simulator.reporting.report import TOURNAMENT

ROOT = Path(__file__).parents[1]
BLOCK = re.compile(r"^```(?:\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
DRAWN = re.compile(r"^engram .* docs/pictures/", re.MULTILINE)
STORED = re.compile(rf"pictures/(({'|'.join(plot.KINDS[TOURNAMENT])})-([\w-]+)\.svg)")
WINDOW = re.compile(
    r"^```\n([^`]*)^```$\n(?:(?!^```)[^\n]*\n)*?!\[[^\]]*\]\(\S*pictures/(window-[\w-]+)\.png\)", re.MULTILINE
)
WINDOWS: dict[str, str] = {  # picture: keys, after which it is taken; @x,y: a click; %s: a wait of so many seconds
    "window-rooms": "%12 2 %2",
    "window-doorway": "%8 4 %1 @384,377 %3",
    "window-planning": "%8 4 %1 @384,377 %3",
    "window-memory": "%45 2 PageDown %8 space r %2 n n n n n n n n %1",
    "window-hopfield": "%6",
    "window-tournament": "%70",
}
COLOURS = 255  # of a picture: a palette keeps it small
EXACT_COLOURS = 64  # of them, those of the largest areas
PATIENCE = 240.0  # seconds until a picture has to be there


def main(pages: list[str]) -> None:
    """Draw the pictures of some pages, or of README.md and every page; or one of the window: --press KEYS COMMAND."""
    if pages[:1] == ["--press"]:
        _open_and_press(pages[1], pages[2:])
        return
    paths = [Path(page) for page in pages] or [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
    for path in paths:
        text = path.read_text("utf-8")
        for file, kind, name in STORED.findall(text):
            print(path, flush=True)
            summary = json.loads((ROOT / "tests" / "benchmarks" / "results" / f"{name}.json").read_text("utf-8"))
            plot.draw(plot.drawing_of(TOURNAMENT, summary, [kind]), ROOT / "docs" / "pictures" / file, force=True)
        for block in BLOCK.findall(text):
            if DRAWN.search(block):
                print(path, flush=True)
                _run(block)
        for block, name in WINDOW.findall(text):
            print(path, name, flush=True)
            _photograph(block, name)


def _run(block: str) -> None:
    with tempfile.TemporaryDirectory() as lab:
        for line in block.splitlines():
            words = shlex.split(line, comments=True)
            if words[:1] != ["engram"]:
                raise ValueError(f"{line!r}: expected a line that begins with engram")
            is_drawn = any(word.startswith("docs/pictures/") for word in words)
            options = ["--force"] if is_drawn else ["--view", "none"]
            program = [sys.executable, "-m", "simulator", *words[1:], *options, "--lab", lab]
            subprocess.run(program, cwd=ROOT, env={**os.environ, "NO_COLOR": "1"}, check=True)


def _photograph(block: str, name: str) -> None:
    """Open the window of a block's last command in another process, and store its picture."""
    words = shlex.split(block.strip().splitlines()[-1], comments=True)
    here = str(Path(__file__).resolve())
    environment = {**os.environ, "SDL_VIDEODRIVER": "dummy", "PYTHONPATH": str(ROOT)}
    with tempfile.TemporaryDirectory() as folder:
        program = [sys.executable, here, "--press", WINDOWS[name], *words[1:], "--lab", f"{folder}/lab"]
        process = subprocess.Popen(program, cwd=folder, env=environment)
        picture = Path(folder) / "taken"
        until = time.monotonic() + PATIENCE
        while not picture.exists() and process.poll() is None and time.monotonic() < until:
            time.sleep(0.2)
        taken = sorted(Path(folder).glob("engram-*.png"))
        process.send_signal(signal.SIGINT)
        try:
            process.wait(20)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        if not taken:
            raise ValueError(f"{name}: the window of {shlex.join(words)} gave no picture")
        image = Image.open(taken[-1]).convert("RGB")
        most = sorted(image.getcolors(image.width * image.height), reverse=True)[:EXACT_COLOURS]
        rest = image.quantize(COLOURS - EXACT_COLOURS, Image.Quantize.MAXCOVERAGE).getpalette()
        palette = Image.new("P", (1, 1))
        palette.putpalette([*(part for _, colour in most for part in colour), *rest])
        image = image.quantize(palette=palette, dither=Image.Dither.NONE)
        image.save(ROOT / "docs" / "pictures" / f"{name}.png", optimize=True)


def _open_and_press(keys: str, words: Sequence[str]) -> None:
    """Run a command that opens a window, while a thread presses keys and takes a picture."""
    from simulator.commands.main import main as engram

    threading.Thread(target=_press, args=(keys.split(),), daemon=True).start()
    sys.exit(engram(list(words)))


def _press(keys: Sequence[str]) -> None:
    """Press keys as soon as the window answers; it does not while functions are compiled."""
    import pygame

    n_quick = 0
    while n_quick < 8:
        n_quick = n_quick + 1 if _post(pygame.event.Event(pygame.USEREVENT)) < 0.5 else 0
    for key in (*keys, "F12"):
        if key.startswith("%"):
            time.sleep(float(key[1:]))
        elif key.startswith("@"):
            place = tuple(int(word) for word in key[1:].split(","))
            _post(pygame.event.Event(pygame.MOUSEBUTTONDOWN, pos=place, button=1))
        else:
            code = pygame.key.key_code({"PageDown": "page down"}.get(key, key))
            _post(pygame.event.Event(pygame.KEYDOWN, key=code, mod=0, unicode=""))
    while not list(Path().glob("engram-*.png")):
        time.sleep(0.1)
    time.sleep(0.5)
    Path("taken").touch()


def _post(event: Any) -> float:
    """Give an event to the window, and return the seconds until it was taken and drawn; infinity: it is not open."""
    import pygame

    began = time.monotonic()
    try:
        pygame.event.post(event)
        while pygame.event.peek(event.type):
            time.sleep(0.02)
    except pygame.error:  # one window was closed, and the next one is not open yet
        time.sleep(0.1)
        return math.inf
    seconds = time.monotonic() - began
    time.sleep(0.3)
    return seconds


if __name__ == "__main__":
    main(sys.argv[1:])
