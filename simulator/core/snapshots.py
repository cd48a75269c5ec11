"""A tournament as of now, for whoever watches: how far it is, and the leaderboard so far."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple


class Standing(NamedTuple):
    """Where one contestant stands in its division; nan where nothing can be said yet."""

    contestant: str
    division: str
    tier: int | None  # 1 is the best; contestants of one tier are not told apart by the data
    strength: float
    strength_low: float
    strength_high: float
    score: float  # mean normalised score: 0 at the floor, 1 at the ceiling
    score_low: float
    score_high: float
    done: int  # cells of this contestant
    planned: int


@dataclass(frozen=True)
class TournamentSnapshot:
    """A tournament as of now, for whoever watches."""

    tournament: str
    phase: str  # "preparing", "playing", "judging" or "done"
    planned: int  # cells in all
    done: int  # cells that have a result, those reused among them and those that failed not
    running: int
    failed: int  # cells without a result
    reused: int  # cells that an earlier tournament of the lab had played
    seconds: float  # wall clock of this sitting
    left: float | None = None  # seconds to go, estimated
    rows: tuple[Standing, ...] = ()  # division by division, the best first
    now: tuple[str, ...] = ()  # cells being played, in words: "dqn in CartPole-v1, seeds 0 to 15"
    newest: str = ""  # the cell that ended last, in words
    warnings: tuple[str, ...] = ()

    @property
    def run(self) -> str:
        """Its id, as whoever sits at any contest asks for it."""
        return self.tournament

    @property
    def step(self) -> int:
        """Cells that are over, likewise."""
        return self.done + self.failed
