"""Pictures of every page and tab of the window: ``python -m tests.window_pictures FOLDER [SCALE ...] [CASE ...]``.

It runs small experiments in a lab of its own in FOLDER, which a second call finds again, opens each of them in a window
under SDL's dummy driver, and saves what it shows at every scale, by default 1 and 2. It prints the CPU time that a
frame of each page takes to draw, in milliseconds, at 1280x800 and scale 1.
"""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

FRAMES = 20  # drawn for the time of one
LONGEST = 90.0  # seconds until a page shows something


class Case(NamedTuple):
    """An experiment, and the keys that lead from one picture of its page to the next."""

    name: str
    words: Sequence[str]  # of the command, without "engram"
    keys: Sequence[tuple[str, str]]  # name of the picture, keys pressed before it


TRAINING = (("curves", ""), ("inside", "2"), ("inside below", "page_down page_down"), ("settings", "3"), ("wall", "w"))
CASES = (
    Case(
        "maze",
        (
            "run",
            "q_learning",
            "rooms",
            "--env.layout",
            "maze",
            "--env.size",
            "19",
            "--env.start",
            "random",
            "--seeds",
            "16",
            "--steps",
            "150000",
        ),
        TRAINING,
    ),
    Case("six", ("run", "q_learning", "rooms", "--seeds", "4", "--steps", "2000"), (*TRAINING, ("keys", "f1"))),
    Case("four", ("run", "reinforce", "rooms", "--env.layout", "four", "--seeds", "2", "--steps", "30000"), TRAINING),
    Case("lake", ("run", "q_learning", "FrozenLake-v1", "--seeds", "3", "--steps", "20000"), TRAINING),
    Case("taxi", ("run", "q_learning", "Taxi-v4", "--seeds", "2", "--steps", "20000"), TRAINING),
    Case("pole", ("run", "dqn", "CartPole-v1", "--seeds", "2", "--steps", "2500"), TRAINING),
    Case("cards", ("run", "q_learning", "Blackjack-v1", "--seeds", "2", "--steps", "5000"), TRAINING),
    Case("foreign", ("run", "dqn", "LunarLander-v3", "--seeds", "1", "--steps", "300"), ()),
    Case(
        "recurrent",
        ("run", "dqn", "repeat_previous", "--agent.recurrence", "lstm", "--seeds", "2", "--steps", "600"),
        TRAINING,
    ),
    Case(
        "recall",
        ("recall", "hopfield", "digits", "--patterns", "10", "--seeds", "2"),
        (("first", ""), ("second", "2"), ("third", "3"), ("fourth", "4")),
    ),
    Case(
        "tournament",
        ("tournament", "--agents", "q_learning", "random_walk", "--envs", "rooms", "--seeds", "4", "--steps", "1000"),
        (("page", ""),),
    ),
)


def main(folder: Path, scales: Sequence[float], only: Sequence[str]) -> None:
    """Draw all pictures."""
    os.environ["SDL_VIDEODRIVER"] = "dummy"
    folder.mkdir(parents=True, exist_ok=True)
    lab = folder / "lab"
    for case in CASES:
        if not only or case.name in only:
            name = _experiment(lab, case)
            for scale in scales:
                _photograph(folder, str(lab), name, case, scale)


def _experiment(lab: Path, case: Case) -> str:
    """Return the id of the case's experiment, which is run where the lab has none."""
    known = lab / f"{case.name}.id"
    if not known.exists():
        engram = [sys.executable, "-m", "simulator", *case.words, "--lab", str(lab), "--view", "none", "--json"]
        done = subprocess.run(engram, capture_output=True, text=True)
        if done.returncode:
            sys.exit(f"{case.name}: {done.stderr.strip()}")
        import json

        result = json.loads(done.stdout)
        known.write_text(str(result.get("run") or result.get("tournament") or result.get("id") or "latest"))
    return known.read_text()


def _photograph(folder: Path, lab: str, name: str, case: Case, scale: float) -> None:
    import pygame

    from simulator.commands.main import command_of, parsed_args
    from simulator.commands.watch import page_of
    from simulator.views.window.app import Window

    page = page_of(name, lab, parsed_args(command_of("watch"), [name, "--lab", lab]))
    window = Window(page, scale=scale)
    window._surface = pygame.display.set_mode((round(1280 * scale), round(800 * scale)), pygame.RESIZABLE)
    try:
        source = getattr(page, "source", None)
        _let(window, LONGEST, lambda: source is None or source.shown is not None)
        _let(window, 2.5, lambda: False)
        for picture, keys in case.keys or (("page", ""),):
            _press(window, keys.split())
            _let(window, 0.8, lambda: False)
            path = folder / f"{case.name}-{picture.replace(' ', '-')}-{scale:g}.png"
            window.save_picture(path)
            began = time.process_time()
            for _ in range(FRAMES):
                window._draw()
            print(f"{path.name:40} {(time.process_time() - began) / FRAMES * 1e3:6.2f} ms", flush=True)
    finally:
        window.close()


def _let(window: object, seconds: float, until: Callable[[], bool]) -> None:
    """Let the window work for so many seconds at most."""
    end = time.monotonic() + seconds
    while time.monotonic() < end and not until():
        window.step(0.05)  # type: ignore[attr-defined]


def _press(window: object, keys: Sequence[str]) -> None:
    import pygame

    for key in keys:
        code = pygame.key.key_code(key.replace("_", " "))
        pygame.event.post(pygame.event.Event(pygame.KEYDOWN, key=code, mod=0, unicode=""))
        window.step(0.05)  # type: ignore[attr-defined]


if __name__ == "__main__":
    if len(sys.argv) < 2:
        sys.exit(__doc__)
    numbers = [float(word) for word in sys.argv[2:] if word.replace(".", "").isdigit()]
    names = [word for word in sys.argv[2:] if not word.replace(".", "").isdigit()]
    main(Path(sys.argv[1]), numbers or (1.0, 2.0), names)
