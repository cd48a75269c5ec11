"""Runs: act, step, learn, record. The only training loop.

``run`` is an iterator of snapshots. Its caller drives it: not asking for the next one pauses the run, and closing it
writes a checkpoint. Nothing here knows a player or a view by name.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import suppress
from typing import Any

from simulator.config.codec import is_as_stored
from simulator.config.run import RunConfig, eval_period
from simulator.core.jit import compile_seconds, working_seconds
from simulator.core.protocols import Evaluation, Snapshot
from simulator.machine import differences, joined, machine
from simulator.store.records import Progress, Rows, RunRecord, StoreError, StoreFailure
from simulator.store.run_records import evaluation_rows, failure_of, new_run, outcome, stored_evaluations
from simulator.store.run_store import Store
from simulator.training.evaluation import LOOK_UP_EVERY, next_size, optimum
from simulator.training.session import Session

__all__ = ["CHECKPOINT_EVERY", "Session", "run"]

CHECKPOINT_EVERY = 5.0  # seconds
REPORT_EVERY = LOOK_UP_EVERY
_MOST = 10**12


def run(
    config: RunConfig,
    store: Store,
    run: str | None = None,
    *,
    checkpoint_every: float = CHECKPOINT_EVERY,
    label: str = "",
) -> Iterator[Snapshot]:
    """Train, evaluate and store.

    Args:
        config: the run's settings; of a stored run, its own.
        store: the lab.
        run: id of a stored run, to go on with from its newest whole checkpoint; None: a new one.
        checkpoint_every: seconds between checkpoints.
        label: what people call a new run.

    Yields:
        Snapshots, about ten a second; the last has the phase "done", or "failed" where every seed did.

    Raises:
        ValueError: settings that cannot work, or a lab that cannot be used.
    """
    name = _take(config, store, run, label)
    try:
        host = _open(config, store, name, run is None)
        host.checkpoint_every = checkpoint_every
        try:
            yield from host.snapshots()
        except GeneratorExit:
            if not host.finished:
                host.checkpoint("interrupted")
            raise
        except KeyboardInterrupt:  # in the middle of a step: it goes on from its newest checkpoint
            with suppress(StoreError, StoreFailure):
                store.mark(name, "interrupted")
            raise
        except BaseException as error:
            with suppress(StoreError, StoreFailure):  # the lab itself may be what failed
                store.mark(name, "failed", failure_of(error, host.progress().step))
            raise
    finally:
        store.release(name)


def _take(config: RunConfig, store: Store, run: str | None, label: str) -> str:
    """Become the writer of a new run or of a stored one; its id."""
    if run is None:
        return store.begin(new_run(config, label))  # at once: a run that is killed while it prepares can be resumed
    if not is_as_stored(config, store.find(run)):
        raise ValueError(f"{run}: its settings, or a file that they name, have changed since it began")
    store.take(run)
    return run


def _open(config: RunConfig, store: Store, run: str, new: bool) -> _Host:
    """Build the players; a new run whose players cannot be built leaves nothing behind."""
    try:
        return _Host(Session(config), store, run)
    except BaseException:
        if new:
            store.discard(run)
        raise


class _Host:
    """One sitting of one run: what stands around the training loop."""

    checkpoint_every = CHECKPOINT_EVERY

    def __init__(self, session: Session, store: Store, run: str) -> None:
        self._session, self._store, self.run = session, store, run
        self._evaluator, self._optimum = session.evaluator(), optimum(session.env.spec)
        self._training = self._training_cpu = 0.0  # seconds, without evaluations
        self._evaluations: list[Evaluation] = []
        self._unsaved: list[Evaluation] = []
        self._before, self.finished, self.warnings = Progress(), False, ()
        record = store.find(run)
        self._lost = record.lost
        self._label, self._machines = record.label, joined(record.machines, machine(session.config.threads))
        self._resume(record)
        self._clock, self._cpu = working_seconds()
        self._shown = time.perf_counter()

    def _resume(self, record: RunRecord) -> None:
        saved = self._store.newest(self.run)
        if saved is None:
            return
        self._session.restore(saved.state)
        ended = record.status == "done" and saved.progress.step == self._session.config.steps
        self.finished = ended or (record.status == "failed" and self._session.over)
        self._training, self._training_cpu = (record.known(name) or 0.0 for name in ("training", "training_cpu"))
        self._before, self.warnings = saved.progress, saved.warnings
        if changes := differences(record.machines[-1:], self._machines[-1]):
            told = ", ".join(f"{name} was {then}, now {now}" for name, (then, now) in changes.items())
            self.warnings += (f"it goes on on another machine, where the last bits can be others: {told}",)
        self._session.exact &= saved.progress.exact
        self._evaluations = stored_evaluations(self._store, self.run, saved.progress.step)

    def snapshots(self) -> Iterator[Snapshot]:
        """Play until the end."""
        config, session = self._session.config, self._session
        period, n = eval_period(config), 64
        self._shown = saved = time.perf_counter()
        pause = self.checkpoint_every
        yield self.snapshot("preparing")
        while True:
            if self._is_due(period):
                yield from self._evaluate()
            if session.step == config.steps or session.over:
                break
            n = self._train(min(n, config.steps - session.step, period - session.step % period), n)
            if time.perf_counter() - saved >= pause and session.step < config.steps:
                pause, saved = self._checkpoint_and_pause(), time.perf_counter()
            if time.perf_counter() - self._shown >= REPORT_EVERY:
                yield self.snapshot("training")
                self._shown = time.perf_counter()
        phase = "failed" if session.over else "done"
        if not self.finished:
            self.checkpoint(phase)
            self.finished = True
        yield self.snapshot(phase)

    def _checkpoint_and_pause(self) -> float:
        """Write a checkpoint; seconds until the next: a large replay takes long to write, and may take a twentieth."""
        began = time.perf_counter()
        self.checkpoint("running")
        return max(self.checkpoint_every, 20.0 * (time.perf_counter() - began)) if self.checkpoint_every else 0.0

    def _train(self, steps: int, n: int) -> int:
        """Train for some steps, of the n that were planned, while they are quick; how many to plan next."""
        (clock, cpu), before = working_seconds(), self._session.step
        self._session.play(steps, LOOK_UP_EVERY)
        took, took_cpu = (now - then for now, then in zip(working_seconds(), (clock, cpu), strict=True))
        self._training, self._training_cpu = self._training + took, self._training_cpu + took_cpu
        played = self._session.step - before
        return next_size(n if played == steps else played, took, _MOST)

    def _is_due(self, period: int) -> bool:
        """Whether the evaluation of this step is still to come, here or where the run was interrupted in it."""
        session, judged = self._session, self._evaluations[-1].step if self._evaluations else 0
        at_border = session.step % period == 0 or session.step == session.config.steps
        return at_border and session.step > judged and not session.over

    def _evaluate(self) -> Iterator[Snapshot]:
        """Evaluate; a run that is closed meanwhile stands before its evaluation, which changes no learner."""
        session = self._session
        last, failed = session.step == session.config.steps, session.failed_at > 0
        for found in self._evaluator.evaluating(session.agent, session.step, last=last, failed=failed):
            if found is not None:
                self._evaluations.append(found)
                self._unsaved.append(found)
            elif time.perf_counter() - self._shown >= REPORT_EVERY:
                yield self.snapshot("evaluating")
                self._shown = time.perf_counter()

    def checkpoint(self, status: str) -> None:
        """Store what became final, and everything needed to go on from here."""
        session, progress = self._session, self.progress()
        status = "failed" if session.over else status
        rows = Rows(session.recorder.new_rows(session.over), tuple(evaluation_rows(self._unsaved, session.seeds)))
        self._store.checkpoint(self.run, progress, session.state(), rows, status=status, result=self._facts())
        self._unsaved = []

    def _facts(self) -> dict[str, Any]:
        facts = outcome(self._session.env.spec, self._evaluations, self._session.failed)
        facts |= {"optimum": self._optimum, "training": self._training, "training_cpu": self._training_cpu}
        facts["machines"] = self._machines
        facts |= {"lost": self._lost} if self._lost else {}
        return facts | ({"label": self._label} if self._label else {})

    def progress(self) -> Progress:
        """How far the run is; compiling is not counted. Where every seed failed, the end is where the last one did."""
        session = self._session
        step = int(session.failed_at.max()) if session.over else session.step
        clock, cpu = working_seconds()
        seconds, cpu_seconds = clock - self._clock + self._before.seconds, cpu - self._cpu + self._before.cpu_seconds
        return Progress(step, seconds, cpu_seconds, session.exact)

    def snapshot(self, phase: str) -> Snapshot:
        """The run as of now."""
        session, progress = self._session, self.progress()
        return Snapshot(
            run=self.run,
            agent=session.config.agent,
            env=session.config.env,
            phase=phase,
            seeds=session.seeds,
            step=progress.step,
            steps=session.config.steps,
            seconds=progress.seconds,
            cpu_seconds=progress.cpu_seconds,
            training_seconds=self._training,
            training_cpu_seconds=self._training_cpu,
            curve=session.recorder.curve(),
            evaluations=tuple(self._evaluations),
            metrics={name: values.copy() for name, values in session.metrics.items()},
            picture=session.picture(),
            optimum=self._optimum,
            exact=session.exact,
            compile_seconds=compile_seconds(),
            failed=session.failed,
            warnings=self.warnings,
        )
