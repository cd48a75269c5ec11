"""Opens a window on a stored run, and prints what passes until its first frame and its first picture."""

from __future__ import annotations

import json
import sys
import time

from tests.benchmarks._watching import cpu_of, page_of, players


def main(lab: str, run: str, began: float) -> None:
    """Open, wait for the first picture, and close."""
    from simulator.views.window.app import Window

    page = page_of(lab, run)
    window = Window(page, scale=1.0)
    window.step(0.0)
    first_frame = time.process_time(), time.time() - began
    while page.source.shown is None:
        window.step(0.05)
    window.step(0.0)
    took = {
        "first frame, CPU s of the window": first_frame[0],
        "first frame, wall-clock s": first_frame[1],
        "first picture, CPU s of window and player": time.process_time() + sum(map(cpu_of, players())),
        "first picture, wall-clock s": time.time() - began,
    }
    print(json.dumps(took))
    window.close()


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], float(sys.argv[3]))
