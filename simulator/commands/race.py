"""``engram race``: let update rules descend functions with known minima, from the same starting points."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path

from simulator.commands.parsing.command import Command, CommandResult, ParsedArgs
from simulator.config.race import RaceConfig
from simulator.config.validation import settings
from simulator.progress import ProgressBar


def act(args: ParsedArgs) -> CommandResult:
    """Let the named rules descend, or all of them."""
    from simulator.core.files.writing import check_place
    from simulator.race.descent import check_rules, race
    from simulator.reporting import race as reporting
    from simulator.reporting.figures import check_ending, save_pictures

    options = args.options
    rules = check_rules(args.names)
    config = RaceConfig(**args.settings)
    picture = Path(options.picture)
    if options.picture:
        check_ending(picture)
        check_place(picture, force=options.force)
    with closing(ProgressBar("race")) as bar:
        result = race(rules, config, bar.update)
    if options.picture:
        save_pictures(reporting.pictures_of(result), picture, force=options.force)
        result["picture"] = options.picture
    return CommandResult(result, reporting.show)


COMMAND = Command(
    act,
    (0, 7),
    ("picture", "force"),
    lambda: settings(RaceConfig),
    examples=(
        "race",
        "race sgd momentum adam --objectives rosenbrock",
        "race --objectives ravine --step-sizes 0.001 0.01 0.1 --beta1 0.8 --seeds 16",
    ),
)
