"""A stored tournament as another process sees it: read from its lab only, so the tournament goes on at full speed.

A thread of its own looks into the lab and ranks the contestants; whoever asks gets the newest of its findings at once,
whether the tournament goes on, was killed, or its lab is gone.
"""

from __future__ import annotations

import threading
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from simulator.core.protocols import AgentView
from simulator.core.scene import CurvePanel, Panel, TextPanel
from simulator.core.snapshots import Standing, TournamentCell, TournamentSnapshot
from simulator.store.cell_store import CellStore, JobKey, JobRecord, TournamentRecord
from simulator.store.lab import existing, is_written
from simulator.store.records import StoreError, StoreFailure
from simulator.store.run_store import Store
from simulator.tournaments import summary
from simulator.tournaments.loop import LEADERBOARD_RESAMPLES
from simulator.tournaments.plan import cells_of
from simulator.training.summary import evaluation_scores
from simulator.training.watched import WatchedRun

LOOK_SECONDS = 1.0  # between looks into the lab
FAULTS = (ValueError, OSError, StoreError, StoreFailure)


class WatchedTournament:
    """Looks into a lab for one tournament.

    Args:
        lab: folder of the lab.
        name: id of the tournament, or "latest".

    Attributes:
        snapshot: the newest standing; its phase is running, interrupted, killed or done.
        cells: every cell, in the order in which they are played.
        fault: why the lab could not be read at the last look; empty where it could.

    Raises:
        ValueError: no such lab or tournament; one line.
    """

    def __init__(self, lab: str, name: str) -> None:
        self._lab = existing(lab)
        with CellStore(self._lab) as store:
            self.name = store.id_of(name)
            record = store.find(self.name)
            self.cells = stored_cells(store, record)
            self.snapshot = _snapshot(record, self.cells, (), is_written(store.lab / "cells"))
        self.fault = ""
        self._fingerprint = ""
        self._rows: tuple[Standing, ...] = ()
        self._n_looks = 0
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._look_on, daemon=True, name=f"watch {self.name}")

    def begin(self) -> None:
        """Begin to look, in a thread."""
        self._thread.start()

    @property
    def n_looks(self) -> int:
        """Number of times that something new was found; for whoever draws."""
        return self._n_looks

    def close(self) -> None:
        """Look no more; does not wait for a ranking that is being made."""
        self._stop.set()

    def look(self) -> None:
        """Read the lab once, and rank where a cell is new."""
        before = (self.snapshot, self.cells, self.fault)
        try:
            self._read()
            self.fault = ""
        except FAULTS as error:
            self.fault = " ".join(str(error).split())
        self._n_looks += before != (self.snapshot, self.cells, self.fault)

    def _look_on(self) -> None:
        while not self._stop.is_set():
            self.look()
            self._stop.wait(LOOK_SECONDS)

    def _read(self) -> None:
        with CellStore(existing(self._lab)) as store:
            record = store.find(self.name)
            cells = stored_cells(store, record)
            fingerprint = store.fingerprint([pair["key"] for pair in record.plan["pairs"]]) + record.status
            if fingerprint != self._fingerprint:
                self._rows = _standings(store, record)
                self._fingerprint = fingerprint
            is_played = is_written(store.lab / "cells")
        self.cells = cells
        self.snapshot = _snapshot(record, cells, self._rows, is_played)


def stored_cells(store: CellStore, record: TournamentRecord) -> tuple[TournamentCell, ...]:
    """Return every cell of a stored tournament, in order; a cell that two contestants share stands once for each."""
    planned = list(cells_of(record.plan))
    found = store.cells([pair["key"] for pair, _ in planned])
    return tuple(_cell(store, record.plan, pair, JobKey(pair["key"], span), found) for pair, span in planned)


def _cell(
    store: CellStore, plan: Mapping[str, Any], pair: Mapping[str, Any], job: JobKey, found: Mapping[JobKey, JobRecord]
) -> TournamentCell:
    place = summary.named(plan, pair)
    folder = ""
    reason = ""
    if job in found:
        status = found[job].status
        reason = found[job].reason
    else:
        scratch = store.scratch(*job)
        is_running = scratch.exists() and is_written(store.lab / "cells")
        folder = str(scratch) if is_running else ""
        status = "running" if is_running else "waiting"
    seeds = (int(job.span[0]), int(job.span[1]))
    return TournamentCell(place["contestant"], place["challenge"], seeds, str(pair["kind"]), status, reason, folder)


def _standings(store: CellStore, record: TournamentRecord) -> tuple[Standing, ...]:
    """Rank the contestants: by the stored analysis where the tournament is over."""
    if record.status != "done":
        return summary.leaderboard(store, record.name, LEADERBOARD_RESAMPLES)
    result = summary.summary(store, record.name)
    over = store.cells([pair["key"] for pair in record.plan["pairs"]])
    return summary.rows_of(result, list(cells_of(record.plan)), over)


def _snapshot(
    record: TournamentRecord, cells: Sequence[TournamentCell], rows: tuple[Standing, ...], is_played: bool
) -> TournamentSnapshot:
    """Make a snapshot; ``is_played``: a living process holds the tournaments of the lab."""
    statuses = [cell.status for cell in cells]
    return TournamentSnapshot(
        id=record.name,
        phase=record.status if record.status != "running" or is_played else "killed",
        planned=len(cells),
        done=statuses.count("done"),
        running=statuses.count("running"),
        failed=statuses.count("failed"),
        reused=0,
        seconds=record.seconds,
        rows=rows,
        now=tuple(cell.words for cell in cells if cell.status == "running"),
    )


def panels_of_cell(cell: TournamentCell) -> tuple[Panel, ...]:
    """Return what is known of a cell: of a running one how far its checkpoints are, and its evaluations so far."""
    facts = {"contestant": cell.contestant, "challenge": cell.challenge, "status": cell.status}
    facts["seeds"] = cell.words.rpartition(", ")[2]
    if cell.reason:
        facts["reason"] = cell.reason
    curve = None
    if cell.folder:
        try:
            curve = _curve_of(Path(cell.folder), facts)
        except FAULTS as error:
            facts["checkpoints"] = " ".join(str(error).split())
    return (TextPanel("this cell", facts), *([curve] if curve is not None else []))


def _curve_of(folder: Path, facts: dict[str, str]) -> CurvePanel | None:
    """Return the evaluations of the run in a scratch lab, and add how far it is to the facts."""
    with Store(existing(str(folder))) as store:
        record = next(iter(store.runs()), None)
        if record is None:
            facts["checkpoints"] = "none yet"
            return None
        facts["steps"] = f"{record.step:,} of {record.steps:,} as of the last checkpoint"
        scores = evaluation_scores(store, record) if record.kind == "run" else None
    if scores is None:
        return None
    known = np.isfinite(scores.scores).any(axis=0)  # where a seed at least has a score
    if not known.any():
        return None
    found = scores.scores[:, known]
    mean, low, high = (np.atleast_2d(of(found, axis=0)) for of in (np.nanmean, np.nanmin, np.nanmax))
    return CurvePanel(
        "evaluations: mean and range of seeds",
        scores.steps[known].astype(np.float64),
        mean,
        ("mean",),
        low,
        high,
        x_name="steps of each seed",
    )


class PlayedCell:
    """A running cell's environment, played greedily by its newest checkpoint in a process of its own.

    Args:
        run: its run, in the scratch lab of the cell.
    """

    def __init__(self, run: WatchedRun) -> None:
        self._run = run

    @property
    def view(self) -> AgentView | None:
        """Picture of the moment; None before the first."""
        shown = self._run.shown
        return shown.shown.view if shown is not None else None

    @property
    def status(self) -> str:
        """Line that says what is shown, and as of which step."""
        return self._run.status

    @property
    def next_poll(self) -> float:
        """Seconds until something is due."""
        return self._run.next_poll

    def poll(self) -> bool:
        """Take what has come; True: it is to be drawn."""
        return self._run.poll()

    def close(self) -> None:
        """End the process."""
        self._run.close()


def play_cell(cell: TournamentCell) -> PlayedCell | None:
    """Play a running cell's environment; None where it has no checkpoint yet, or is no training run."""
    if cell.kind != "run" or not cell.folder:
        return None
    try:
        return PlayedCell(WatchedRun(cell.folder, "latest"))
    except FAULTS:
        return None


def cells_in(lab: str, name: str) -> tuple[TournamentCell, ...]:
    """Read every cell of a stored tournament.

    Raises:
        ValueError: no such lab or tournament; one line.
    """
    with CellStore(existing(lab)) as store:
        return stored_cells(store, store.find(name))
