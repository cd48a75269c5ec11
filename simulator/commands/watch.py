"""``engram watch``: a window on a stored run, benchmark, comparison or tournament, which goes on in its own process."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from simulator.commands.parsing.command import Command, CommandResult, ParsedArgs, lab_of
from simulator.core.experiment_kinds import PREDICT, RECALL, TOURNAMENT, TUNE

if TYPE_CHECKING:
    from simulator.views.window.app import Page


def act(args: ParsedArgs) -> CommandResult:
    """Watch until the window is closed."""
    from simulator.views.window.app import Window, check_display

    check_display()
    page = page_of(args.names[0], lab_of(args.options), args)
    try:
        window = Window(page, scale=args.options.scale)
    except ValueError:
        page.close()
        raise
    window.run()
    return CommandResult(None, lambda data: None)


def page_of(name: str, lab: str, args: ParsedArgs) -> Page:
    """Make the page of a stored experiment by its kind.

    Raises:
        ValueError: no such experiment, or an option that it has no use for.
    """
    from simulator.commands.live import recall_window
    from simulator.commands.live.recipe import recipe
    from simulator.commands.tournament import stored_page
    from simulator.store.cell_store import kind_of
    from simulator.training.watched import WatchedRun
    from simulator.views.window.training_page import TrainingPage

    kind = kind_of(lab, name)
    if kind in (RECALL, TOURNAMENT, PREDICT) and args.options.seed is not None:
        raise ValueError(f"--seed: {name} is a {kind}, expected a run of an agent")
    if kind == TUNE:
        raise ValueError(
            f"{name} is a tuning, which has no window, expected a run or a tournament (engram show {name})"
        )
    if kind == TOURNAMENT:
        return stored_page(name, lab)
    if kind == PREDICT:
        from simulator.commands import predict

        return predict.stored_page(name, lab)
    if kind == RECALL:
        return recall_window.stored_page(name, lab)
    return TrainingPage(WatchedRun(lab, name, args.options.seed), partial(recipe, lab))


COMMAND = Command(
    act,
    (1, 1),
    ("seed", "scale"),
    examples=("watch latest", "watch r1 --seed 3 --scale 2", "watch t1"),
)
