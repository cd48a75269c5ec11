"""Evaluation episodes: the number of steps after which one is cut, and the score of a seed."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import numpy as np

from simulator.core.protocols import Array, Evaluation

MAX_STEPS = 100_000  # of an episode where neither the environment nor the settings set a limit
CUT = "truncated: an evaluation episode did not end, so it has no return"
ENDLESS = "its policy may never end an episode, so its expected return is not finite"
_MIN_DERIVED = 2**32  # a number from here on is no seed that a person chose, and stands for itself in a text


def cut_seeds(returns: Array, failed: Array) -> Array:
    """Mark, bool [S], the seeds with a truncated evaluation episode.

    Args:
        returns: those of the episodes that ended, [S, E]; NaN for all others.
        failed: bool [S], seeds that were not evaluated.
    """
    return np.isnan(returns).any(axis=1) & ~failed


def scores(evaluation: Evaluation) -> Array:
    """Compute the score of every seed, [S]: its exact expected return, or else the mean of its returns.

    It is NaN for a failed seed; where the exact return is not finite, because an episode may never end; and where an
    episode was truncated: the mean over the others would be biased towards episodes in which the policy did well.
    """
    seed_scores = evaluation.returns.mean(axis=1) if evaluation.exact is None else evaluation.exact
    return np.where(np.isfinite(seed_scores), seed_scores, np.nan)


def cut_after(env_limit: int | None, asked: int) -> int:
    """Return the steps after which an evaluation episode is truncated: as asked, but never before the env's limit."""
    return asked or max(env_limit or 0, MAX_STEPS)


@contextmanager
def errors_name_run_seeds(env_seeds: Sequence[int], users: Sequence[int]) -> Iterator[None]:
    """Let the ValueErrors inside name the seeds of the run; see :func:`naming_run_seeds`."""
    try:
        yield
    except ValueError as error:
        if len(error.args) == 1 and isinstance(error.args[0], str):
            error.args = (naming_run_seeds(error.args[0], env_seeds, users),)
        raise


def naming_run_seeds(text: str, env_seeds: Sequence[int], users: Sequence[int]) -> str:
    """Rewrite an environment's error line about one of its seeds to name the run's seed.

    An environment knows the seeds that it was made with, which in an evaluation are drawn from the run's, or positions
    only. A drawn seed is so large a number that it is replaced wherever it stands, as in ``reset(seed=4334430513956)``.
    """
    named = {f"seed number {i}": user for i, user in enumerate(users)}
    named |= {f"seed {mine}": user for mine, user in zip(env_seeds, users, strict=bool(env_seeds))}
    derived = {str(mine): user for mine, user in zip(env_seeds, users, strict=bool(env_seeds)) if mine >= _MIN_DERIVED}

    def replaced(match: re.Match[str]) -> str:
        return f"seed {named[match[0]]}" if match[0] in named else match[0]

    text = re.sub(r"\bseed (?:number )?\d+", replaced, text)
    return re.sub(r"(?<![\d.])\d{10,}(?![\d.]\d)", lambda match: str(derived.get(match[0], match[0])), text)
