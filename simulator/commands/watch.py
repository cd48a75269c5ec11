"""``engram watch``: a window on a stored run, which goes on training in its own process."""

from __future__ import annotations

from simulator.commands.parsing.command import Command, CommandResult, ParsedArgs, lab_of


def act(args: ParsedArgs) -> CommandResult:
    """Watch until the window is closed."""
    from simulator.training.watched import WatchedRun
    from simulator.views.window.app import Window, check_display
    from simulator.views.window.training_page import TrainingPage

    check_display()
    source = WatchedRun(lab_of(args.options), args.names[0], args.options.seed)
    try:
        window = Window(TrainingPage(source), scale=args.options.scale)
    except ValueError:
        source.close()
        raise
    window.run()
    return CommandResult(None, lambda data: None)


COMMAND = Command(
    act,
    (1, 1),
    ("seed", "scale"),
    examples=("watch latest", "watch r1 --seed 3 --scale 2"),
)
