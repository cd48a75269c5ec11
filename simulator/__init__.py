"""Engram: benchmarks of learning agents and associative memories over many seeds at once.

The door for notebooks: ``simulator.run("q_learning", "rooms", seeds=16, steps=20_000)`` and ``simulator.Trainer``.
"""

from __future__ import annotations

import os
import sys
from types import ModuleType
from typing import TYPE_CHECKING, Any

from simulator.core.foreign import own_packages

# Seeds share the cores already: a BLAS that starts threads of its own inside each of them is many times slower. It
# reads this when numpy or torch is loaded, so a notebook imports simulator first, or sets it itself.
for _name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ.setdefault(_name, "1")

own_packages.install()

if TYPE_CHECKING:
    from simulator.api import (
        PredictResult,
        RecallResult,
        RunResult,
        TournamentResult,
        Trainer,
        TuneResult,
        load,
        predict,
        recall,
        run,
        tournament,
        tune,
    )
    from simulator.core.foreign.per_seed import per_seed

__all__ = [
    "PredictResult",
    "RecallResult",
    "RunResult",
    "TournamentResult",
    "Trainer",
    "TuneResult",
    "load",
    "per_seed",
    "predict",
    "recall",
    "run",
    "tournament",
    "tune",
]


class _Door(ModuleType):
    """This module, in which ``recall`` is the function, also once the package of that name has been imported."""

    @property
    def recall(self) -> Any:
        """Return the function."""
        from simulator import api

        return api.recall

    @recall.setter
    def recall(self, package: ModuleType) -> None:
        """Leave the function in its place: an import binds the package that it has loaded to its name."""


sys.modules[__name__].__class__ = _Door


def __getattr__(name: str) -> Any:
    """Load the notebook's names when they are asked for, so that the command line starts without them."""
    if name not in __all__:
        raise AttributeError(f"module 'simulator' has no attribute {name!r}")
    if name == "per_seed":  # for the files of players, which need nothing else
        from simulator.core.foreign.per_seed import per_seed

        return per_seed
    from simulator import api

    return getattr(api, name)


def __dir__() -> list[str]:
    """List what notebooks use, loaded or not."""
    return [*__all__, *(name for name in globals() if name.startswith("__") and name != "__all__")]
