"""Opens a window on a stored run, and prints the seconds since a time until its first frame and its first picture."""

from __future__ import annotations

import sys
import time

from tests.benchmarks._watching import page_of


def main(lab: str, run: str, began: float) -> None:
    """Open, wait for the first picture, and close."""
    from simulator.views.window.app import Window

    page = page_of(lab, run)
    window = Window(page, scale=1.0)
    window.step(0.0)
    first_frame = time.time() - began
    while page.source.shown is None:
        window.step(0.05)
    window.step(0.0)
    print(first_frame, time.time() - began)
    window.close()


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], float(sys.argv[3]))
