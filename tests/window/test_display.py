"""The window on a real virtual display, driven by keys and the mouse: ``make test-window``."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

pygame = pytest.importorskip("pygame")

from tests.helpers.paths import ROOT  # noqa: E402

PATIENCE = 120.0  # seconds, most of them for compiling
END_OF_PNG = b"IEND\xaeB`\x82"
PROGRAM = [sys.executable, "-m", "simulator"]
FEW = ["--eval-episodes", "1", "--eval-max-steps", "300", "--seeds", "1"]
FOUR = ["q_learning", "rooms", "--env.layout", "four", "--seeds", "2"]
EDITABLE = [*FOUR, "--env.editable", "true", "--steps", "100000"]

pytestmark = [
    pytest.mark.optional,
    pytest.mark.skipif(not os.environ.get("ENGRAM_TEST_WINDOW"), reason="make test-window runs it"),
    pytest.mark.skipif(
        not (shutil.which("Xvfb") and shutil.which("xdotool")),
        reason="Xvfb or xdotool is not installed (Debian: apt install xvfb xdotool)",
    ),
]


class Display:
    """A display of its own, with what is run on it."""

    def __init__(self, number: int, folder: Path) -> None:
        self.folder = folder
        self.env = {**os.environ, "DISPLAY": f":{number}", "PYTHONPATH": str(ROOT)}
        self.env.pop("SDL_VIDEODRIVER", None)
        self._begun: list[subprocess.Popen[str]] = []

    def begin(self, *words: str) -> subprocess.Popen[str]:
        """Begin a command in the folder."""
        streams: dict[str, Any] = {"stdin": subprocess.DEVNULL, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
        process = subprocess.Popen([*PROGRAM, *words], cwd=self.folder, env=self.env, text=True, **streams)
        self._begun.append(process)
        return process

    def kill(self) -> None:
        """Kill what still runs after a test that failed."""
        for process in self._begun:
            with process:
                process.kill()

    def run(self, *words: str) -> dict[str, Any]:
        """Run a command that has no window; its JSON."""
        done = subprocess.run(
            [*PROGRAM, *words, "--json"],
            cwd=self.folder,
            env=self.env,
            capture_output=True,
            text=True,
            timeout=PATIENCE,
        )
        assert done.returncode == 0, done.stderr
        return dict(json.loads(done.stdout))

    def window(self, title: str, process: subprocess.Popen[str] | None = None) -> str:
        """Wait for a window whose title begins so, as it does when all is compiled; focus it, and return its id."""

        def titled() -> str | None:
            if process is not None and process.poll() is not None:
                raise AssertionError(f"ended before there was a window: {process.communicate()}")
            found = self._xdotool("search", "--class", "engram").split()
            return next((window for window in found if self.title(window).startswith(title)), None)

        window = str(self.until(titled))
        self._xdotool("windowfocus", "--sync", window)
        return window

    def title(self, window: str) -> str:
        """Return the title of a window."""
        return self._xdotool("getwindowname", window).strip()

    def press(self, *keys: str) -> None:
        """Press keys, one after the other."""
        for key in keys:
            self._xdotool("key", key)
            time.sleep(0.15)

    def click(self, x: int, y: int, button: int = 1) -> None:
        """Click at a point of the display."""
        self._xdotool("mousemove", str(x), str(y), "click", str(button))

    def place(self, window: str) -> tuple[int, int]:
        """Return the left and upper edge of a window."""
        lines = self._xdotool("getwindowgeometry", "--shell", window).splitlines()
        facts = dict(line.split("=") for line in lines if "=" in line)
        return int(facts["X"]), int(facts["Y"])

    def picture(self) -> Path:
        """Let the window save a picture, and return its path."""
        before = set(self.folder.glob("engram-*.png"))
        self.press("F12")

        def whole() -> Path | None:
            new = set(self.folder.glob("engram-*.png")) - before
            return next((path for path in new if path.read_bytes().endswith(END_OF_PNG)), None)

        return Path(self.until(whole))

    def pixel(self, x: int, y: int) -> tuple[int, ...]:
        """Return the colour of a point of the window."""
        return tuple(pygame.image.load(self.picture()).get_at((x, y)))

    def until(self, ask: Callable[[], Any]) -> Any:
        """Wait until something is there."""
        limit = time.monotonic() + PATIENCE
        while time.monotonic() < limit:
            if (found := ask()) is not None and found is not False:
                return found
            time.sleep(0.1)
        raise AssertionError("it did not come")

    def _xdotool(self, *words: str) -> str:
        done = subprocess.run(["xdotool", *words], env=self.env, capture_output=True, text=True, timeout=20)
        return done.stdout


@pytest.fixture
def display(tmp_path: Path) -> Iterator[Display]:
    reading, writing = os.pipe()
    server = subprocess.Popen(
        ["Xvfb", "-displayfd", str(writing), "-screen", "0", "1400x900x24"],
        pass_fds=[writing],
        stderr=subprocess.DEVNULL,
    )
    os.close(writing)
    with os.fdopen(reading) as answer:
        number = int(answer.readline())
    display = Display(number, tmp_path)
    try:
        yield display
    finally:
        display.kill()
        server.terminate()
        server.wait()


def end(process: subprocess.Popen[str]) -> tuple[int, str]:
    """Wait for the end; the exit code and stderr, without a traceback."""
    _, said = process.communicate(timeout=PATIENCE)
    assert "Traceback" not in said, said
    return process.returncode, said


def test_keys_pause_step_and_close(display):
    process = display.begin("run", *FOUR, "--steps", "50000", "--slow", "20", "--view", "window")
    display.window("Engram: r1, q_learning in rooms", process)
    display.press("space", "n", "n", "2", "3", "1", "w", "w", "F1", "F1")
    assert display.picture().stat().st_size > 5_000
    display.press("f", "q")
    code, said = end(process)
    assert code == 0, said
    assert display.run("show", "r1")["run"] == "r1"


def test_a_run_whose_window_is_closed_goes_on_to_the_same_bits(display):
    process = display.begin("run", *FOUR, "--steps", "40000", "--slow", "50", "--view", "window")
    display.window("Engram: r1", process)
    display.press("f", "q")
    assert end(process)[0] == 0
    watched = display.run("show", "r1")
    alone = display.run("run", *FOUR, "--steps", "40000", "--view", "none")
    assert watched["evaluation"] == alone["evaluation"]


def test_a_cell_that_is_clicked_becomes_a_wall_and_the_run_is_reproduced_with_it(display):
    process = display.begin("run", *EDITABLE, "--slow", "500", "--view", "window")
    window = display.window("Engram: r1", process)
    left, top = display.place(window)
    display.press("4")
    time.sleep(1.0)
    display.click(left + 495, top + 403)
    time.sleep(1.0)
    display.press("Tab", "f", "q")
    assert end(process)[0] == 0
    assert any(" wall " in change for change in display.run("show", "r1")["changes"])
    assert display.run("reproduce", "r1")["identical"] is True


def test_a_watched_run_may_be_killed_and_deleted(display):
    trained = display.begin("run", *FOUR, "--steps", "2000000000", "--view", "none")
    display.until(lambda: (display.folder / "lab" / "runs" / "r1").is_dir())
    watching = display.begin("watch", "r1")
    display.window("Engram: r1", watching)
    trained.send_signal(signal.SIGKILL)
    trained.communicate()
    time.sleep(2.5)
    display.press("w", "2", "space")
    display.run("delete", "r1", "--yes")
    time.sleep(2.0)
    assert watching.poll() is None
    display.press("F12", "q")
    assert end(watching)[0] == 0


def test_a_window_opens_ten_times(display):
    display.run("run", *FOUR, "--steps", "2000")
    for _ in range(10):
        watching = display.begin("watch", "r1")
        display.window("Engram: r1", watching)
        display.press("q")
        assert end(watching)[0] == 0


def test_an_environment_that_draws_itself_closes_beside_the_window(display):
    process = display.begin(
        "run", "random_walk", "MountainCarContinuous-v0", "--steps", "300", *FEW, "--view", "window"
    )
    code, said = end(process)  # its window belongs to another process, and stays
    assert code == 0
    assert "another process watches it" in said
    display.window("Engram: r1")
    display.press("n", "b", "r")
    assert display.picture().stat().st_size > 5_000
    display.press("q")


def test_a_paused_run_goes_on_when_its_window_is_closed(display):
    process = display.begin("run", *FOUR, "--steps", "50000", "--slow", "20", "--view", "window")
    display.window("Engram: r1", process)
    display.press("space", "q")
    assert end(process)[0] == 0


def test_a_cue_is_painted(display):
    words = ["recall", "hopfield", "digits", "--patterns", "5", "--corruption", "flip:0.2", "--seeds", "1"]
    process = display.begin(*words, "--view", "window")
    window = display.window("hopfield recalls digits", process)
    left, top = display.place(window)
    at = (30, 90)
    colours = []
    for button in (1, 3, 2):
        display.click(left + at[0], top + at[1], button)
        colours.append(display.pixel(*at))
    assert len(set(colours)) == 3  # 1, -1, unknown
    display.press("q")
    assert end(process)[0] == 0


def test_ctrl_c_closes_the_window_and_leaves_a_checkpoint(display):
    process = display.begin("run", *FOUR, "--steps", "2000000000", "--slow", "100", "--view", "window")
    display.window("Engram: r1", process)
    process.send_signal(signal.SIGINT)
    code, said = end(process)
    assert code == 130
    assert "engram resume r1" in said
