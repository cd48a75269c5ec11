"""Runs: act, step, learn, record. The only training loop.

``run`` is an iterator of snapshots. Its caller drives it: not asking for the next one pauses the run, and closing it
writes a checkpoint. Nothing here knows a player or a view by name.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from contextlib import suppress

from simulator.bookkeeping import evaluation_rows, new_run, seeds_of, stored_evaluations
from simulator.config import RunConfig, eval_period, settings_hash
from simulator.core import plugins
from simulator.core.compiled import compile_cpu_seconds, compile_seconds, set_threads
from simulator.core.protocols import Evaluation, Metrics, Picture, Snapshot, State
from simulator.evaluation import Evaluator, optimum
from simulator.recorder import Recorder
from simulator.records import Progress, Rows, StoreError, StoreFailure
from simulator.store import Store

CHECKPOINT_EVERY = 5.0  # seconds
REPORT_EVERY = 0.1  # seconds
LARGEST_STRETCH = 2_000_000  # steps of all seeds in one compiled call
LARGEST_PICTURE = 5_000  # states


class Session:
    """An agent in a world over many seeds, and the record of what happens.

    Raises:
        ValueError: an unknown player, or settings that cannot go together.
    """

    def __init__(self, config: RunConfig, *, stretches: bool = True) -> None:
        set_threads(config.threads or os.cpu_count() or 1)
        agent, world = plugins.load("agents", config.agent), plugins.load("worlds", config.world)
        if config.device != "cpu" and not getattr(agent.module, "DEVICES", False):
            raise ValueError(f"device {config.device}: {agent.name} computes on the CPU, expected cpu")
        self.config = config
        self.seeds = seeds_of(config)
        self.world = world.make(list(self.seeds), config.world_settings)
        self.agent = agent.make(self.world.spec, list(self.seeds), config.agent_settings)
        self.recorder, self.step, self.exact = Recorder(self.seeds, config.steps), 0, True
        self.metrics: Metrics = {}
        self._fast = stretches and hasattr(self.agent, "stretch") and hasattr(self.world, "lanes")
        self._obs = self.world.reset()
        self._make_world = world.make

    def evaluator(self) -> Evaluator:
        """Who evaluates this session's agent."""
        return Evaluator(self._make_world, self.config.world_settings, self.seeds, self.config.eval_episodes)

    def play(self, n: int) -> None:
        """Train for n environment steps per seed."""
        largest = max(1, LARGEST_STRETCH // len(self.seeds)) if self._fast else 1
        while n:
            part = min(n, largest)
            if self._fast:
                self._play_stretch(part)
            else:
                self._play_one()
            self.step += part
            n -= part

    def _play_stretch(self, n: int) -> None:
        trace = self.agent.stretch(self.world.lanes, n)
        self.recorder.extend(trace.reward, trace.ended)
        self.metrics = trace.metrics

    def _play_one(self) -> None:
        obs = self._obs
        actions = self.agent.act(obs)
        step = self.world.step(actions)
        self.metrics = self.agent.learn(obs, actions, step)
        self.recorder.extend(step.reward[:, None], (step.terminated | step.truncated)[:, None])
        self._obs = step.obs

    def state(self) -> State:
        """Everything needed to go on."""
        world = self.world.state()
        return {"step": self.step, "agent": self.agent.state(), "world": world, "recorder": self.recorder.state()}

    def restore(self, state: State) -> None:
        """Go on from ``state``; ``exact`` turns False where the world could not be continued."""
        self.step = state["step"]
        self.agent.restore(state["agent"])
        self.recorder.restore(state["recorder"])
        if state["world"] is None or not self.world.restore(state["world"]):
            self.exact = False
            self.recorder.drop_running()
        self._obs = self.world.observe()

    def picture(self) -> Picture | None:
        """What the first seed's agent thinks of its world."""
        scene, spec = self.world.scene(0), self.world.spec
        if spec.state_obs is None or len(spec.state_obs) > LARGEST_PICTURE:
            return Picture(scene, None, None)
        policy = self.agent.policy()
        values, probs = policy.values(spec.state_obs), policy.probs(spec.state_obs)
        best = None if values is None else values[0].max(axis=-1)
        return Picture(scene, best, None if probs is None else probs[0] > 0.0)


def run(
    config: RunConfig, store: Store, run: str | None = None, *, checkpoint_every: float = CHECKPOINT_EVERY
) -> Iterator[Snapshot]:
    """Train, evaluate and store; a new run, or the stored run of that id from its newest whole checkpoint.

    Args:
        config: the run's settings; of a stored run, its own.
        store: the lab.
        run: id of a stored run to go on with.
        checkpoint_every: seconds between checkpoints.

    Yields:
        Snapshots, about ten a second; the last has the phase "done".

    Raises:
        ValueError: settings that cannot work, or a lab that cannot be used.
    """
    if run is None:
        name = store.begin(new_run(config))  # at once: a run that is killed while it prepares can be resumed
    else:
        name = run
        if settings_hash(config) != store.find(run).settings_hash:
            raise ValueError(f"{run}: its settings, or a file that they name, have changed since it began")
        store.take(run)
    try:
        host = _open(config, store, name, run is None)
        host.checkpoint_every = checkpoint_every
        try:
            yield from host.snapshots()
        except GeneratorExit:
            host.checkpoint("interrupted")
            raise
        except Exception:
            with suppress(StoreError, StoreFailure):  # the lab itself may be what failed
                store.mark(name, "failed")
            raise
    finally:
        store.release(name)


def _open(config: RunConfig, store: Store, run: str, new: bool) -> _Host:
    """Build the players; a new run whose settings cannot work leaves nothing behind."""
    try:
        return _Host(Session(config), store, run)
    except ValueError:
        if new:
            store.discard(run)
        raise


class _Host:
    """One sitting of one run: what stands around the training loop."""

    checkpoint_every = CHECKPOINT_EVERY

    def __init__(self, session: Session, store: Store, run: str) -> None:
        self._session, self._store, self.run = session, store, run
        self._evaluator, self._optimum = session.evaluator(), optimum(session.world.spec)
        self._training = 0.0  # seconds, without evaluations
        self._evaluations: list[Evaluation] = []
        self._unsaved: list[Evaluation] = []
        self._before, self._finished, self.warnings = Progress(), False, ()
        self._resume()
        self._clock, self._cpu = _working_seconds()

    def _resume(self) -> None:
        saved = self._store.newest(self.run)
        if saved is None:
            return
        self._session.restore(saved.state)
        record = self._store.find(self.run)
        self._finished = record.status == "done" and saved.progress.step == self._session.config.steps
        self._training = (record.result or {}).get("training", 0.0)
        self._before, self.warnings = saved.progress, saved.warnings
        self._session.exact &= saved.progress.exact
        self._evaluations = stored_evaluations(self._store, self.run, saved.progress.step)

    def snapshots(self) -> Iterator[Snapshot]:
        """Play until the end."""
        config, session = self._session.config, self._session
        period, n = eval_period(config), 64
        shown = saved = time.perf_counter()
        yield self.snapshot("preparing")
        while session.step < config.steps:
            began = _working_seconds()[0]
            session.play(min(n, config.steps - session.step, period - session.step % period))
            took, now = _working_seconds()[0] - began, time.perf_counter()
            self._training += took
            n = _next_size(n, took)
            if session.step % period == 0 or session.step == config.steps:
                self._evaluate()
            if now - saved >= self.checkpoint_every and session.step < config.steps:
                self.checkpoint("running")
                saved = time.perf_counter()
            if now - shown >= REPORT_EVERY:
                yield self.snapshot("training")
                shown = time.perf_counter()
        if not self._finished:
            self.checkpoint("done")
        yield self.snapshot("done")

    def _evaluate(self) -> None:
        session = self._session
        last = session.step == session.config.steps
        evaluation = self._evaluator.evaluate(session.agent, session.step, last=last)
        self._evaluations.append(evaluation)
        self._unsaved.append(evaluation)

    def checkpoint(self, status: str) -> None:
        """Store what became final, and everything needed to go on from here."""
        spec, session = self._session.world.spec, self._session
        facts = {"threshold": spec.solved, "floor": spec.floor, "optimum": self._optimum, "training": self._training}
        if self._evaluations and self._evaluations[-1].value_error is not None:
            facts["value_error"] = self._evaluations[-1].value_error.tolist()
        rows = Rows(session.recorder.new_rows(), tuple(evaluation_rows(self._unsaved, session.seeds)))
        state = session.state()
        self._store.checkpoint(self.run, self.progress(), state, rows, status=status, result=facts)
        self._unsaved = []

    def progress(self) -> Progress:
        """How far the run is; compiling is not counted."""
        clock, cpu = _working_seconds()
        seconds, cpu_seconds = clock - self._clock + self._before.seconds, cpu - self._cpu + self._before.cpu_seconds
        return Progress(self._session.step, seconds, cpu_seconds, self._session.exact)

    def snapshot(self, phase: str) -> Snapshot:
        """The run as of now."""
        session, progress = self._session, self.progress()
        return Snapshot(
            run=self.run,
            agent=session.config.agent,
            world=session.config.world,
            phase=phase,
            seeds=session.seeds,
            step=session.step,
            steps=session.config.steps,
            seconds=progress.seconds,
            cpu_seconds=progress.cpu_seconds,
            training_seconds=self._training,
            curve=session.recorder.curve(),
            evaluations=tuple(self._evaluations),
            metrics={name: values.copy() for name, values in session.metrics.items()},
            picture=session.picture(),
            optimum=self._optimum,
            exact=session.exact,
            compile_seconds=compile_seconds(),
            warnings=self.warnings,
        )


def _working_seconds() -> tuple[float, float]:
    """Wall clock and CPU time of this process, less what it spent compiling."""
    return time.perf_counter() - compile_seconds(), time.process_time() - compile_cpu_seconds()


def _next_size(n: int, seconds: float) -> int:
    """How many steps to play before looking up again; it changes no result."""
    if seconds > REPORT_EVERY:
        return max(n // 2, 1)
    if seconds < REPORT_EVERY / 3:
        return 2 * n
    return n
