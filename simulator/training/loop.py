"""Training loop: act, step, learn, record.

:func:`run` is an iterator of snapshots that its caller drives; see :mod:`simulator.store.hosting`. Nothing here knows a
player or a view by name.
"""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Generator, Iterator
from functools import partial

from simulator.config.changes import parse
from simulator.config.codec import is_as_stored, settings_hash, to_toml
from simulator.config.run import RunConfig, eval_period
from simulator.core.foreign.python_files import label_of
from simulator.core.jit import compile_seconds, working_seconds
from simulator.core.notices import notice
from simulator.core.protocols import Changeable, Evaluation, Forgetful
from simulator.core.snapshots import LiveChanges, Look, OptimumSince, RunSnapshot, Stride
from simulator.core.stopping import RateLimiter
from simulator.store.checkpoints import without_replay
from simulator.store.hosting import RunLease, WorkClock, WorkSeconds, hosted
from simulator.store.records import Rows, RunProgress, RunRecord, Saved
from simulator.store.run_records import evaluation_rows, new_run, outcome, stored_evaluations
from simulator.store.run_store import FINISHED, Store
from simulator.training import inside, learned
from simulator.training.evaluation import POLL_SECONDS, next_size, optimum
from simulator.training.non_finite import arrays_with_nan
from simulator.training.session import Session

__all__ = ["CHECKPOINT_EVERY", "Session", "run"]

CHECKPOINT_EVERY = 5.0  # seconds
REPORT_EVERY = POLL_SECONDS
_MAX_STEPS = 10**12


def run(
    config: RunConfig,
    store: Store,
    run: str | None = None,
    *,
    checkpoint_every: float = CHECKPOINT_EVERY,
    label: str = "",
    stride: Stride | None = None,
    keep_replay: bool = False,
    stop_at: int | None = None,
    pictures: bool = True,
    look: Look | None = None,
    live: LiveChanges | None = None,
) -> Generator[RunSnapshot, None, None]:
    """Train, evaluate and store.

    Args:
        config: the run's settings.
        store: the lab.
        run: id of a stored run to continue from its newest whole checkpoint; None: a new one.
        checkpoint_every: seconds between checkpoints.
        label: name of a new run.
        stride: steps between snapshots, for a driver that changes them; None: a tenth of a second's.
        keep_replay: keep the replay of a run that is over; a stored one that did so does so again.
        stop_at: environment step at which to stop with a checkpoint, as if interrupted there.
        pictures: snapshots have what views draw of the agent; off where nobody sees them.
        look: what a window looks at, which it may change at any time; None: there is no window.
        live: changes that the driver makes while the agents learn, beside those in ``config``.

    Yields:
        Snapshots, about ten a second unless ``stride`` says otherwise; the last has the phase "done", or "failed"
        where every seed did.

    Raises:
        ValueError: invalid settings, or a lab that cannot be used.
    """
    if config.start:
        config = dataclasses.replace(config, start=learned.reference(config.start, store.lab))
    lease = RunLease(
        store, run, lambda: new_run(config, label, keep_replay), lambda record: is_as_stored(config, record)
    )

    def make() -> TrainingLoop:
        loop = TrainingLoop(
            Session(config), lease, checkpoint_every, stride or Stride(), keep_replay, stop_at, pictures, look
        )
        if live is not None:
            live.bind(loop.change)
        return loop

    yield from hosted(lease, make)


class TrainingLoop:
    """The training loop of one run in this process, with its evaluations and checkpoints.

    Args:
        session: the agent in its environment, not trained yet.
        lease: of the run.
        checkpoint_every: seconds between checkpoints.
        stride: steps between snapshots.
        keep_replay: see :func:`run`, as for the next one.
        stop_at: likewise.
        pictures: likewise.
        look: likewise.
    """

    def __init__(
        self,
        session: Session,
        lease: RunLease,
        checkpoint_every: float,
        stride: Stride,
        keep_replay: bool = False,
        stop_at: int | None = None,
        pictures: bool = True,
        look: Look | None = None,
    ) -> None:
        self._session = session
        self._store = lease.store
        self.run = lease.id
        self._checkpoint_every = checkpoint_every
        self._stride = stride
        self._evaluator = session.evaluator()
        self._n_evaluator_edits = 0
        self._period = eval_period(session.config, session.sees_images)
        self._first_optimum = OptimumSince(0, optimum(session.env.spec))
        self._training = WorkSeconds(0.0, 0.0)  # without evaluations
        self._evaluations: list[Evaluation] = []
        self._evaluation_seconds: list[float | None] = []  # training time before each; None where it is not stored
        self._unsaved: list[Evaluation] = []
        self._finished = False
        resumed = lease.newest_checkpoint(session.config.threads)
        self._provenance = resumed.provenance
        if keep_replay:
            self._provenance["keep_replay"] = True
        self._stop_at = stop_at or session.config.steps
        self._pictures = pictures
        self._look = look
        self._strips = inside.LiveStrips()
        if look is not None:
            look.bind(partial(inside.seen, session, look, self._strips))
        self._warnings = resumed.warnings
        if resumed.saved is not None:
            self._restore(resumed.record, resumed.saved)
        elif session.config.start:
            learned.begin(session, session.config.start)
        self._clock = WorkClock(resumed.progress.seconds, resumed.progress.cpu_seconds)
        self._reports = RateLimiter(REPORT_EVERY)

    def _restore(self, record: RunRecord, saved: Saved) -> None:
        session = self._session
        session.restore(saved.state)
        session.exact &= saved.progress.exact
        ended = record.status == "done" and saved.progress.step == session.config.steps
        self._finished = ended or (record.status == "failed" and session.over)
        self._training = WorkSeconds(record.known("training") or 0.0, record.known("training_cpu") or 0.0)
        self._evaluations = stored_evaluations(self._store, self.run, saved.progress.step)
        n = len(self._evaluations)
        self._evaluation_seconds = [*(record.known("evaluation_seconds") or [])[:n], *[None] * n][:n]

    @property
    def step(self) -> int:
        """Environment steps per seed so far."""
        return self._progress().step

    def snapshots(self) -> Iterator[RunSnapshot]:
        """Train until the end."""
        config = self._session.config
        session = self._session
        period = self._period
        n = 64
        saved = time.perf_counter()
        pause = self._checkpoint_every
        yield self._snapshot("preparing")
        self._reports.restart()
        while True:
            if self._is_due(period):
                yield from self._evaluate()
            if session.step == config.steps or session.over:
                break
            if session.step == self._stop_at:
                return self.suspend()
            left = min(self._stop_at - session.step, period - session.step % period)
            stride = self._stride.steps
            if stride:
                self._train(min(stride, left), n)
            else:
                n = self._train(min(n, left), n)
            if time.perf_counter() - saved >= pause and session.step < config.steps:
                pause = self._checkpoint_and_pause()
                saved = time.perf_counter()
            if self._reports.is_due() or stride:
                yield self._snapshot("training")
                self._reports.restart()  # the time that a view takes is not counted
        phase = "failed" if session.over else "done"
        if not self._finished:
            self._checkpoint(phase)
            self._finished = True
        yield self._snapshot(phase)

    def suspend(self) -> None:
        """Write a checkpoint, unless the run is over."""
        if not self._finished:
            self._checkpoint("interrupted")

    def change(self, what: str) -> RunSnapshot:
        """Change the run at its present step; see :class:`simulator.core.snapshots.LiveChanges`.

        It is recorded before anything is trained with it: after ``kill -9`` the run has it, or has not gone on. Where
        an evaluation is due at this step the change is made after it, as it would be in a run that is resumed.

        Raises:
            ValueError: it cannot be made; one line, and nothing changed.
        """
        session = self._session
        change = parse(f"{session.step} {what}")
        if session.step >= session.config.steps or session.over:
            raise ValueError(f"change '{what}': {self.run} is over")
        is_due = self._is_due(self._period)
        session.change(change, later=is_due)
        if change.cut:
            self._strips.cut()
        try:
            self._store.change(self.run, to_toml(session.config), settings_hash(session.config))
        except BaseException:
            self._finished = True  # what is not recorded is not trained with, and has no checkpoint
            raise
        return self._snapshot("evaluating" if is_due else "training")

    def _checkpoint_and_pause(self) -> float:
        """Write a checkpoint; return the seconds until the next, so that writing takes at most a twentieth of time."""
        began = time.perf_counter()
        self._checkpoint("running")
        return max(self._checkpoint_every, 20.0 * (time.perf_counter() - began)) if self._checkpoint_every else 0.0

    def _train(self, steps: int, n: int) -> int:
        """Train for up to n steps while they are fast, and return how many to plan next."""
        began = WorkSeconds(*working_seconds())
        before = self._session.step
        self._session.play(steps, POLL_SECONDS)
        ended = WorkSeconds(*working_seconds())
        took = ended.wall - began.wall
        self._training = WorkSeconds(self._training.wall + took, self._training.cpu + ended.cpu - began.cpu)
        trained = self._session.step - before
        return next_size(n if trained == steps else trained, took, _MAX_STEPS)

    def _is_due(self, period: int) -> bool:
        """Return whether the evaluation of this step is pending, also after an interruption in it."""
        session = self._session
        evaluated = self._evaluations[-1].step if self._evaluations else 0
        at_border = session.step % period == 0 or session.step == session.config.steps
        return at_border and session.step > evaluated and not session.over

    def _evaluate(self) -> Iterator[RunSnapshot]:
        """Evaluate; a run that is closed meanwhile resumes before this evaluation, which changes no learner."""
        session = self._session
        last = session.step == session.config.steps
        failed = session.failed_at > 0
        if self._n_evaluator_edits != session.n_edits:
            self._evaluator = session.evaluator()
            self._n_evaluator_edits = session.n_edits
        for evaluation in self._evaluator.evaluating(session.agent, session.step, last=last, failed=failed):
            if evaluation is not None:
                self._evaluations.append(evaluation)
                self._evaluation_seconds.append(self._training.wall)
                self._unsaved.append(evaluation)
            elif self._reports.is_due():
                yield self._snapshot("evaluating")
                self._reports.restart()

    def _checkpoint(self, status: str) -> None:
        """Store the rows that became final, and the whole state."""
        session = self._session
        status = "failed" if session.over else status
        facts = outcome(session.env.spec, self._evaluations, session.failed)
        facts |= {"eval_every": self._period}
        facts |= {
            "optimum": self._optima[-1].optimum,
            "training": self._training.wall,
            "training_cpu": self._training.cpu,
        }
        facts["evaluation_seconds"] = list(self._evaluation_seconds)
        if session.changes:
            facts["changes"] = [str(change) for change in session.changes]
        if session.n_edits:
            facts["optima"] = [since._asdict() for since in self._optima]
        facts |= self._provenance
        rows = Rows(session.recorder.new_rows(session.over), tuple(evaluation_rows(self._unsaved, session.seeds)))
        state = session.state()
        if status in FINISHED and not self._provenance.get("keep_replay"):
            whole = state
            state = without_replay(whole)
            facts["replay_dropped"] = state is not whole
        if status in FINISHED and not session.failed and (found := next(arrays_with_nan(state["agent"]), None)):
            line = f"{found} holds NaN: what the agent learned is not finite, so its returns say nothing"
            notice(label_of(session.config.agent), f"{line} (engram check)")
        self._store.checkpoint(self.run, self._progress(), state, rows, status=status, result=facts)
        self._unsaved = []

    @property
    def _optima(self) -> tuple[OptimumSince, ...]:
        return (self._first_optimum, *self._session.optima)

    def _progress(self) -> RunProgress:
        """Return the progress of the run. If every seed failed, it ends where the last one did."""
        session = self._session
        step = int(session.failed_at.max()) if session.over else session.step
        spent = self._clock.read()
        return RunProgress(step, spent.wall - self._stride.idle_seconds, spent.cpu, session.exact)

    def _snapshot(self, phase: str) -> RunSnapshot:
        session = self._session
        progress = self._progress()
        latest = session.recorder.latest(0)
        return RunSnapshot(
            id=self.run,
            agent=session.config.agent,
            env=session.config.env,
            phase=phase,
            seeds=session.seeds,
            step=progress.step,
            steps=session.config.steps,
            seconds=progress.seconds,
            cpu_seconds=progress.cpu_seconds,
            training_seconds=self._training.wall,
            training_cpu_seconds=self._training.cpu,
            curve=session.recorder.curve(),
            evaluations=tuple(self._evaluations),
            metrics={name: values.copy() for name, values in session.metrics.items()},
            picture=session.picture() if self._pictures and self._look is None else None,
            optimum=self._optima[-1].optimum,
            random_score=session.env.spec.random_score,
            reward_threshold=session.env.spec.reward_threshold,
            last_return=latest.total if latest else None,
            last_length=latest.length if latest else 0,
            exact=session.exact,
            compile_seconds=compile_seconds(),
            failed=session.failed,
            warnings=self._warnings,
            optima=self._optima,
            changes=tuple(map(str, session.changes)),
            changeable=session.agent.changeable() if isinstance(session.agent, Changeable) else {},
            editable=session.env.spec.editable,
            has_memory=isinstance(session.agent, Forgetful) and session.agent.has_memory,
        )
