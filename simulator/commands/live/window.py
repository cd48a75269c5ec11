"""Windows of commands that compute something and show it: what there is before, and the page that follows."""

from __future__ import annotations

import shlex
import sys
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from simulator import console
from simulator.core.scene import Panel

if TYPE_CHECKING:
    from simulator.views.window.app import Page

OTHERWISE = "without one, --picture FILE draws the same, and --view terminal prints it"


def typed() -> str:
    """Return the command line as it was typed, to be copied from a window."""
    return shlex.join(["engram", *sys.argv[1:]])


def check() -> None:
    """Check that there may be a display, before anything is computed.

    Raises:
        ValueError: there is none, in one line.
    """
    from simulator.views.window.app import check_display

    check_display(OTHERWISE)


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
