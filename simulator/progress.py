"""Progress bar of experiments that are started from Python, in a notebook, on a terminal or in a log.

A notebook shows HTML that is replaced in place; a terminal a bar of rich on stderr; anything else a line for every
tenth that is done. Nothing is shown before the first update.
"""

from __future__ import annotations

import html
import sys
from typing import Any

from simulator.console import print_status


class ProgressBar:
    """Progress of one experiment.

    Args:
        title: what is going on.
    """

    def __init__(self, title: str) -> None:
        self._title = title
        self._tenth = -1
        self._bar: Any = None  # rich's
        self._task: Any = None
        self._cell: Any = None  # handle of a notebook's output

    def update(self, done: int, total: int, note: str = "") -> None:
        """Show that ``done`` of ``total`` is done; ``note`` stands behind it."""
        if in_notebook():
            self._show_html(done, total, note)
        elif sys.stderr.isatty():
            self._show_bar(done, total, note)
        else:
            self._print_tenths(done, total, note)

    def close(self) -> None:
        """Leave the last state on the screen."""
        if self._bar is not None:
            self._bar.stop()
            self._bar = None

    def _show_html(self, done: int, total: int, note: str) -> None:
        from IPython.display import HTML, display

        label = html.escape(f"{self._title}: {done:,} of {total:,} {note}".rstrip())
        page = HTML(f'<progress value="{done}" max="{max(total, 1)}" style="width: 20em"></progress> {label}')
        if self._cell is None:
            self._cell = display(page, display_id=True)
        else:
            self._cell.update(page)

    def _show_bar(self, done: int, total: int, note: str) -> None:
        from rich.console import Console
        from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

        if self._bar is None:
            columns = (TextColumn("{task.description}", markup=False), BarColumn(), MofNCompleteColumn())
            note_column = TextColumn("{task.fields[note]}", markup=False)
            self._bar = Progress(*columns, TimeRemainingColumn(), note_column, console=Console(stderr=True))
            self._bar.start()
            self._task = self._bar.add_task(self._title, total=total, note=note)
        self._bar.update(self._task, completed=done, total=total, note=note)

    def _print_tenths(self, done: int, total: int, note: str) -> None:
        tenth = 10 * done // max(total, 1)
        if tenth > self._tenth:
            self._tenth = tenth
            print_status(f"{self._title}: {done:,} of {total:,} {note}".rstrip())


def in_notebook() -> bool:
    """Tell whether this code runs in a notebook, which shows HTML; a terminal with IPython does not."""
    ipython = sys.modules.get("IPython")
    shell = ipython.get_ipython() if ipython is not None else None
    return shell is not None and getattr(shell, "kernel", None) is not None
