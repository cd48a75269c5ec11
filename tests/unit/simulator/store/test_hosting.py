"""Tests of hosting: whatever ends a loop, the lease records it and is released."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from simulator.core.errors import BadInputError
from simulator.core.snapshots import MatchSnapshot, Progress, RecallSnapshot, TournamentSnapshot
from simulator.core.stopping import RateLimiter, Stopped
from simulator.store.hosting import WorkClock, hosted
from tests.helpers.snapshots import snapshot


class FakeLease:
    """A lease that records the calls of its methods."""

    def __init__(self) -> None:
        self.log: list[str] = []

    def abandon(self) -> None:
        self.log.append("abandoned")

    def interrupt(self) -> None:
        self.log.append("interrupted")

    def fail(self, error: BaseException, step: int) -> None:
        self.log.append(f"{type(error).__name__} after {step}")

    def release(self) -> None:
        self.log.append("released")


class FakeLoop:
    """A loop of three steps; the second may raise."""

    def __init__(self, lease: FakeLease, error: BaseException | None = None) -> None:
        self.lease = lease
        self.error = error
        self.step = 0

    def snapshots(self) -> Iterator[MatchSnapshot]:
        for self.step in range(3):
            if self.step == 1 and self.error:
                raise self.error
            yield MatchSnapshot("a - b", "playing", Progress(self.step, 3, "game"), 0.0)

    def suspend(self) -> None:
        self.lease.log.append("suspended")


def test_a_loop_is_driven_to_its_end_and_released():
    lease = FakeLease()
    assert [each.progress.done for each in hosted(lease, lambda: FakeLoop(lease))] == [0, 1, 2]
    assert lease.log == ["released"]


def test_a_loop_that_is_left_is_suspended():
    lease = FakeLease()
    snapshots = hosted(lease, lambda: FakeLoop(lease))
    next(snapshots)
    snapshots.close()
    assert lease.log == ["suspended", "released"]


@pytest.mark.parametrize(
    ("error", "recorded"),
    [
        (KeyboardInterrupt(), "interrupted"),
        (Stopped(15), "interrupted"),
        (ValueError("no"), "ValueError after 1"),
        (BadInputError("no"), "BadInputError after 1"),
        (MemoryError(), "MemoryError after 1"),
    ],
)
def test_the_end_of_a_loop_is_recorded(error, recorded):
    lease = FakeLease()
    with pytest.raises(type(error)):
        list(hosted(lease, lambda: FakeLoop(lease, error)))
    assert lease.log == [recorded, "released"]


def test_a_loop_that_cannot_be_built_is_abandoned():
    def refuse():
        raise ValueError("no such agent")

    lease = FakeLease()
    with pytest.raises(ValueError, match="no such agent"):
        next(hosted(lease, refuse))
    assert lease.log == ["abandoned", "released"]


def test_a_clock_continues_where_the_last_process_left_it():
    clock = WorkClock(100.0, 50.0)
    first = clock.read()
    assert 100.0 <= first.wall < 200.0
    assert 50.0 <= first.cpu < 150.0
    assert clock.read().wall >= first.wall


def test_every_kind_of_snapshot_tells_its_progress():
    recall = RecallSnapshot("r2", ("hopfield",), "digits", "running", (0,), 1, 1, 0.0, "", None, {})
    tournament = TournamentSnapshot("t1", "running", planned=12, done=3, running=1, failed=1, reused=0, seconds=0.0)
    match = MatchSnapshot("a - b", "done", Progress(2, 2, "episode"), 0.0, {})
    progress = {each.kind: str(each.progress) for each in (snapshot(), recall, tournament, match)}
    assert progress == {
        "run": "1,000 of 2,000 steps",
        "recall": "1 of 1 cell",
        "tournament": "4 of 12 cells",
        "match": "2 of 2 episodes",
    }


def test_a_rate_limiter_lets_one_through_per_interval():
    now = [0.0]
    limiter = RateLimiter(1.0, clock=lambda: now[0])
    passed = []
    for now[0] in (0.0, 0.5, 1.0, 1.5, 1.9, 2.5):
        if limiter.is_due():
            passed.append(now[0])
    assert passed == [0.0, 1.0, 2.5]
    limiter.restart()
    now[0] = 3.0
    assert not limiter.is_due()
