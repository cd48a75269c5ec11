"""Pictures of every page and tab of the window: ``python -m tests.window_pictures FOLDER [SCALE ...] [CASE ...]``.

It runs small experiments in a lab of its own in FOLDER, which a second call finds again, opens each of them in a window
under SDL's dummy driver, and saves what it shows at every scale, by default 1 and 2. It prints the CPU time that a
frame of each page takes to draw, in milliseconds, at 1280x800 and scale 1.
"""

from __future__ import annotations

import contextlib
import io
import os
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

FRAMES = 20  # drawn for the time of one
LONGEST = 90.0  # seconds until a page shows something


class Case(NamedTuple):
    """An experiment, and the keys that lead from one picture of its page to the next."""

    name: str
    words: Sequence[str]  # of the command, without "engram"; where it opens the window itself with --view window
    keys: Sequence[tuple[str, str]]  # name of the picture, keys pressed before it
    opens: bool = False  # the command opens the window itself, others are watched


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
    Case(
        "atlas",
        "atlas rooms --env.layout four --method laplacian tsne hac --view window".split(),
        (("room", ""), ("state", "right down down"), ("visits", "x x"), ("tsne", "2"), ("hac", "3")),
        opens=True,
    ),
    Case("graph", "atlas rooms --view window".split(), (("rooms", ""), ("state", "right right")), opens=True),
    Case("codes", "atlas rbm digits --patterns 60 --view window".split(), (("class", "right"),), opens=True),
    Case(
        "generate",
        "generate vae digits --memory.latent-dim 2 --seeds 2 --view window".split(),
        (("samples", ""), ("before", "[ ["), ("codes", "2"), ("measures", "3"), ("stored", "4")),
        opens=True,
    ),
    Case(
        "show",
        "show rbm digits --patterns 8 --view window".split(),
        tuple(zip(("weights", "energies", "filters", "clean", "roc", "nearest"), "123456", strict=True)),
        opens=True,
    ),
    Case(
        "states",
        "show hopfield --patterns-from 1,-1,1,-1,1,1;1,1,1,-1,-1,-1;-1,1,-1,1,-1,-1 --view window".split(),
        (("weights", ""), ("states", "3")),
        opens=True,
    ),
    Case(
        "boltzmann",
        "show boltzmann --patterns-from 1,-1,1,-1,1,1;1,1,1,-1,-1,-1 --view window".split(),
        (("distribution", "3"),),
        opens=True,
    ),
    Case(
        "predict",
        "predict logistic_regression nearest classes --task.labels 20,50 --seeds 2 --view window".split(),
        (("scores", ""), ("confusion", "2"), ("roc", "3")),
        opens=True,
    ),
    Case(
        "tune",
        (
            "tune q_learning FrozenLake-v1 --space.agent.step-size 0.01:1:log --space.agent.gamma 0.9,0.99 --trials 12 "
            "--halving steps --rungs 2 --eta 2 --steps 2000 --seeds 8 --workers 1 --view window"
        ).split(),
        (("best", ""), ("third", "down down"), ("size", "2")),
        opens=True,
    ),
)


def main(folder: Path, scales: Sequence[float], only: Sequence[str]) -> None:
    """Draw all pictures."""
    os.environ["SDL_VIDEODRIVER"] = "dummy"
    folder.mkdir(parents=True, exist_ok=True)
    lab = folder / "lab"
    for case in CASES:
        if not only or case.name in only:
            name = "" if case.opens else _experiment(lab, case)
            for scale in scales:
                if case.opens:
                    _photograph_opened(folder, str(lab), case, scale)
                else:
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
    from simulator.commands.main import command_of, parsed_args
    from simulator.commands.watch import page_of
    from simulator.views.window.app import Window

    page = page_of(name, lab, parsed_args(command_of("watch"), [name, "--lab", lab]))
    window = Window(page, scale=scale)
    try:
        source = getattr(page, "source", None)
        _let(window, LONGEST, lambda: source is None or source.shown is not None)
        _let(window, 2.5, lambda: False)
        _press_and_save(folder, case, window, scale)
    finally:
        window.close()


def _photograph_opened(folder: Path, lab: str, case: Case, scale: float) -> None:
    """Run a command that opens its window, and photograph that when the command is over."""
    from simulator.commands.main import main as engram
    from simulator.views.window.app import Window

    def stay(window: Window) -> None:
        window.scale = scale
        _press_and_save(folder, case, window, scale)
        window.close()

    before = Window.stay
    Window.stay = stay  # type: ignore[method-assign]
    try:
        with contextlib.redirect_stdout(io.StringIO()):
            engram([*case.words, "--lab", lab])
    finally:
        Window.stay = before  # type: ignore[method-assign]


def _press_and_save(folder: Path, case: Case, window: Any, scale: float) -> None:
    """Press the keys of a case, save a picture after each, and tell what a frame takes."""
    import pygame

    window._surface = pygame.display.set_mode((round(1280 * scale), round(800 * scale)), pygame.RESIZABLE)
    for picture, keys in case.keys or (("page", ""),):
        _press(window, keys.split())
        _let(window, 0.8, lambda: False)
        path = folder / f"{case.name}-{picture.replace(' ', '-')}-{scale:g}.png"
        window.save_picture(path)
        began = time.process_time()
        for _ in range(FRAMES):
            window._draw()
        took = (time.process_time() - began) / FRAMES * 1e3
        print(f"{path.name:40} {took:6.2f} ms", file=sys.__stdout__, flush=True)


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
