"""Windows of commands that compute something and show it: what there is before, and the page that follows."""

from __future__ import annotations

import shlex
import sys
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Protocol

from simulator import console
from simulator.commands.parsing.command import Options, view_of
from simulator.core.experiment_kinds import noun_of
from simulator.core.scene import Panel
from simulator.core.snapshots import View

if TYPE_CHECKING:
    from simulator.commands.live.driver import Outcome
    from simulator.views.window.app import Page

OTHERWISE = "without one, --picture FILE draws the same, and --view terminal prints it"
LIVE = "without one, --view terminal shows it here"  # of an experiment


def typed() -> str:
    """Return the command line as it was typed, to be copied from a window."""
    return shlex.join(["engram", *sys.argv[1:]])


def check(otherwise: str = OTHERWISE) -> None:
    """Check that there may be a display, before anything is computed; ``otherwise``: what to do without one.

    Raises:
        ValueError: there is none, in one line.
    """
    from simulator.views.window.app import check_display

    check_display(otherwise)


class LiveWindow(View[Any], Protocol):
    """A view of an experiment in a window, which stays open when the experiment is over."""

    @property
    def is_open(self) -> bool: ...  # noqa: D102
    def stay(self) -> None: ...  # noqa: D102
    def shut(self) -> None: ...  # noqa: D102


def viewed(
    options: Options, kind: str, run: Callable[[View[Any] | None], Outcome], make_window: Callable[[], LiveWindow]
) -> Outcome:
    """Run an experiment with the view that the options ask for; a window shows the result until it is closed.

    Args:
        options: ``view`` and ``scale`` of them.
        kind: of the experiment, one of :mod:`simulator.core.experiment_kinds`.
        run: runs it with a view.
        make_window: makes its window.

    Raises:
        ValueError: a window, but no display; or what ``run`` raises.
    """
    if options.view != "window":
        return run(view_of(options, kind))
    check(LIVE)
    window = make_window()
    try:
        outcome = run(window)
        if outcome.summary is not None and window.is_open:
            console.print_status(f"the {noun_of(kind)} is over; the window stays open until it is closed (q)")
            window.stay()
    finally:
        window.shut()
    return outcome


def show(page: Page, scale: str) -> None:
    """Show a page of what has been computed until its window is closed, by Ctrl-C too."""
    from simulator.views.window.app import Window

    window = Window(page, scale=scale)
    console.print_status("the window stays open until it is closed (q)")
    window.stay()


def show_panels(title: str, tabs: Mapping[str, Sequence[Panel]], scale: str, notes: Sequence[str] = ()) -> None:
    """Show panels, in tabs by their names, until the window is closed.

    Args:
        title: over them.
        tabs: name -> its panels; those without any are left out.
        scale: pixels of a unit of length: auto or a number.
        notes: lines below the title.
    """
    from simulator.views.window.scenes_page import ScenesPage, tab_of

    shown = [tab_of(name.capitalize(), panels) for name, panels in tabs.items() if panels]
    show(ScenesPage(title, typed(), shown, notes=notes), scale)
