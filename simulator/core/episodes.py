"""Evaluation episodes: the number of steps after which one is cut, and the score of a seed."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import numpy as np

from simulator.core.protocols import Array, Evaluation

MAX_STEPS = 100_000  # of an episode where neither the environment nor the settings set a limit
CUT = "cut: an evaluation episode did not end, so it has no return"
ENDLESS = "its policy may never end an episode, so its expected return is not finite"


def cut_seeds(returns: Array, failed: Array) -> Array:
    """Mark, bool [S], the seeds with a truncated evaluation episode.

    Args:
        returns: those of the episodes that ended, [S, E]; nan for all others.
        failed: bool [S], seeds that were not evaluated.
    """
    return np.isnan(returns).any(axis=1) & ~failed


def scores(evaluation: Evaluation) -> Array:
    """Compute the score of every seed, [S]: its exact expected return, or else the mean of its returns.

    It is nan where there is no such number: for a seed that had failed; where the exact return is not finite, because
    the policy may go on for ever; and where an episode was cut: the mean of those that ended would be one of the
    episodes in which the policy did well.
    """
    found = evaluation.returns.mean(axis=1) if evaluation.exact is None else evaluation.exact
    return np.where(np.isfinite(found), found, np.nan)


def cut_after(own: int | None, asked: int) -> int:
    """Return the steps after which an evaluation episode is truncated: as asked, but never before the env's limit."""
    return asked or max(own or 0, MAX_STEPS)


@contextmanager
def errors_name_run_seeds(own: Sequence[int], users: Sequence[int]) -> Iterator[None]:
    """Let the ValueErrors inside name the seeds of the run; see :func:`naming_run_seeds`."""
    try:
        yield
    except ValueError as error:
        if len(error.args) == 1 and isinstance(error.args[0], str):
            error.args = (naming_run_seeds(error.args[0], own, users),)
        raise


def naming_run_seeds(text: str, own: Sequence[int], users: Sequence[int]) -> str:
    """Rewrite an environment's error line about one of its seeds to name the run's seed.

    An environment knows the seeds that it was made with, which in an evaluation are drawn from the run's, or positions
    only.
    """
    named = {f"seed number {i}": user for i, user in enumerate(users)}
    named |= {f"seed {mine}": user for mine, user in zip(own, users, strict=bool(own))}

    def replaced(found: re.Match[str]) -> str:
        return f"seed {named[found[0]]}" if found[0] in named else found[0]

    return re.sub(r"\bseed (?:number )?\d+", replaced, text)
