"""A stored run as a window shows it: read from the lab only, whoever trains it goes on at full speed.

Its numbers are those of the newest checkpoint. Its policy is played greedily in a process of its own, in the episodes
of the evaluation, and is replaced where an episode ends and a newer checkpoint exists.
"""

from __future__ import annotations

import math
import re
import time
from collections import deque
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from simulator.config.codec import of_record, own_settings, tables_of
from simulator.config.run import RunConfig
from simulator.core.experiment_kinds import RUN, noun_of
from simulator.core.protocols import Array
from simulator.core.scene import BarPanel, Panel, Scene, TextPanel
from simulator.core.snapshots import RunSnapshot, SeedView, Shown
from simulator.store.lab import existing
from simulator.store.records import RunRecord, StoreError, StoreFailure
from simulator.store.run_records import stored_evaluations
from simulator.store.run_store import Store
from simulator.training import summary
from simulator.training.episode_player import Moment, size_of
from simulator.training.episode_process import Advance, Begin, EpisodeProcess, PlayedMoments, PlayerProcessFault
from simulator.training.inside import EpisodeStrips
from simulator.training.replay_speed import FLUENT, SpeedControl

LOOK_SECONDS = 1.0  # between looks into the lab
SECONDS_TO_PLAY = 10.0  # after which a process that does not answer is given up, where another one is asked for
SECONDS_TO_LOAD = 120.0  # likewise, for imports, compiling and a checkpoint
MAX_MOMENTS = 2_000  # that can be stepped back
MAX_BYTES = 64 << 20  # of them
_ZERO = re.compile(r"\b0: ([^;]+)")  # what a 0 stands for, in the words about a setting


class WatchedRun:
    """A run of a lab, and episodes of its policy.

    Args:
        lab: folder of the lab.
        run: id of the run, or "latest".
        seed: the seed that is watched; None: the first one that has not failed.
        clock: seconds, never running backwards.

    Attributes:
        snapshot: numbers of the newest checkpoint.
        settings: settings of the run, by name.
        speed: how fast its episodes are played.

    Raises:
        ValueError: no such lab, run or seed; one line.
    """

    is_live = False

    def __init__(
        self, lab: str, run: str, seed: int | None = None, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._lab = existing(lab)
        self._clock = clock
        self._store = Store(self._lab)
        try:
            record = self._find(run, seed)
        except (ValueError, StoreError):
            self._store.close()
            raise
        self._run = record.run
        self._steps_seen = -1
        self.settings = settings_of(of_record(RunConfig, record))
        self.snapshot = snapshot_of(self._store, record)
        self.speed = SpeedControl(clock=clock)
        self.wall = False
        self.inside = False
        self._seeds = record.seeds
        self._seed = seed
        self._process = EpisodeProcess(self._lab, self._run, seed)
        self._process.ask(Begin(seed))
        self._next_look = clock() + LOOK_SECONDS
        self._moments: deque[Moment] = deque()
        self._bytes = 0
        self._behind = 0
        self._inside: tuple[Panel, ...] = ()
        self._walls: tuple[SeedView, ...] = ()
        self._fault = ""
        self._is_over = False
        self._lab_fault = ""
        self._patient_until = clock() + SECONDS_TO_LOAD  # with the process that is asked
        self._is_loading = True  # until the first moment of what was asked for last
        self.has_memory = False  # the policy carries a state that can be cut
        self._cuts = False  # it is cut before the next step
        self._begins = False  # from the first episode, as soon as the process has answered

    def _find(self, run: str, seed: int | None) -> RunRecord:
        record = self._store.find(run)
        if record.kind != RUN:
            raise ValueError(f"{record.run} is a {noun_of(record.kind)}, expected a run of an agent (engram list runs)")
        if seed is not None and seed not in record.seeds:
            raise ValueError(f"--seed {seed}: expected one of {', '.join(map(str, record.seeds[:8]))}")
        return record

    @property
    def moment(self) -> Moment | None:
        """The moment that is looked at; None before the first."""
        return self._moments[-1 - self._behind] if self._moments else None

    @property
    def shown(self) -> Shown | None:
        """Picture of the moment; None before the first."""
        moment = self.moment
        if moment is None:
            return None
        return Shown(
            shown=SeedView(moment.seed, moment.view),
            wall=self._walls if self.wall else (),
            panels=(*panels_of_moment(moment), *self._strips(), *self._inside) if self.inside else (),
            path=self._path(),
            facts={**facts_of(moment), **({"memory": "cut before the next step"} if self._cuts else {})},
        )

    @property
    def status(self) -> str:
        """Line that says what is shown, and as of when; a fault where there is one."""
        if self._fault:
            return f"{self._fault}; r begins again"
        moment = self.moment
        record = self.snapshot
        where = f"{record.phase}, step {record.step:,} of {record.steps:,}"
        if self._lab_fault:
            where = self._lab_fault
        if self.is_loading or moment is None:
            return f"{where}; loading ..."
        greedy = f"greedy episode {moment.episode} of seed {moment.seed} as of step {moment.trained_steps:,}"
        return f"{where}; {greedy}" + ("; the episode was cut" if self._is_over else "")

    @property
    def is_loading(self) -> bool:
        """True until the first moment of what was asked for last."""
        return self._is_loading and not self._fault

    def poll(self) -> bool:
        """Take what has come, ask for what is due; True: something changed."""
        now = self._clock()
        changed = self._look(now) if now >= self._next_look else False
        answer = self._process.answer()
        if isinstance(answer, PlayerProcessFault):
            self._fault = answer.line
            changed = True
        elif isinstance(answer, PlayedMoments):
            changed = True
            if self._begins:
                self._begin()
            else:
                self._take(answer)
        if self._fault or self._process.is_busy:
            return changed
        if self._behind:
            n = self.speed.due()
            self._behind = max(self._behind - n, 0)
            return changed or n > 0
        if self.speed.is_due():
            self._ask(self.speed.due())
        return changed

    @property
    def next_poll(self) -> float:
        """Seconds until :meth:`poll` has something to do."""
        look = self._next_look - self._clock()
        if self._process.is_busy:
            return max(min(look, 0.01 if not self._moments or self.speed.is_fast else 0.02), 0.0)
        return max(min(look, math.inf if self._fault else self.speed.seconds_left()), 0.0)

    def step_back(self) -> None:
        """Look at the moment before."""
        self.speed.pause(True)
        self._behind = min(self._behind + 1, max(len(self._moments) - 1, 0))

    def cut_memory(self) -> None:
        """Set what the policy carries to zero before the next step, of the newest moment."""
        self._cuts = self.has_memory
        self._behind = 0

    def watch(self, index: int) -> None:
        """Watch the seed of this number."""
        self._seed = self._seeds[index % len(self._seeds)]
        self.begin_again()

    def begin_again(self) -> None:
        """Play from the first episode on, with the newest checkpoint."""
        is_busy = self._process.is_busy
        if self._fault or (is_busy and self._clock() > self._patient_until):
            self._process.close()
            self._process = EpisodeProcess(self._lab, self._run, self._seed)
            is_busy = False
        self._fault = ""
        self._is_over = False
        self._moments.clear()
        self._bytes = 0
        self._behind = 0
        self._is_loading = True
        self._cuts = False
        if is_busy:
            self._begins = True
        else:
            self._begin()

    def _begin(self) -> None:
        self._begins = False
        self._send(Begin(self._seed))

    def _send(self, request: Begin | Advance) -> None:
        seconds = SECONDS_TO_LOAD if isinstance(request, Begin) else SECONDS_TO_PLAY
        self._patient_until = self._clock() + seconds
        self._process.ask(request)

    @property
    def index(self) -> int:
        """The number of the seed that is watched."""
        moment = self.moment
        seed = self._seed if moment is None or self._is_loading else moment.seed
        return self._seeds.index(seed) if seed in self._seeds else 0

    def command(self) -> str:
        """Return the command that shows this again."""
        return f"engram watch {self._run} --seed {self._seeds[self.index]} --lab {self._lab}"

    def close(self) -> None:
        """Let go of the lab and end the process that plays."""
        self._process.close()
        self._store.close()

    def _ask(self, n: int) -> None:
        moment = self.moment
        newer = moment is not None and self._steps_seen > moment.trained_steps
        if moment is not None and ((moment.ended and newer) or self._is_over):
            if newer:
                self._is_over = False
                self._send(Begin(self._seed))
            return
        self._send(Advance(n, self.wall, self._cuts))
        self._cuts = False

    def _take(self, played: PlayedMoments) -> None:
        self._is_over = played.is_over
        self.has_memory = played.has_memory
        self._is_loading &= not played.moments
        if played.moments and not self._moments and _is_smooth(played.moments[0].view.scene):
            self.speed.suggest(FLUENT)
        if played.moments and self._moments and played.moments[0].trained_steps != self._moments[-1].trained_steps:
            self._moments.clear()
            self._bytes = 0
        for moment in played.moments:
            self._moments.append(moment)
            self._bytes += size_of(moment)
        while len(self._moments) > MAX_MOMENTS or (self._bytes > MAX_BYTES and len(self._moments) > 1):
            self._bytes -= size_of(self._moments.popleft())
        if played.wall:
            self._walls = played.wall
        if played.inside is not None:
            self._inside = played.inside

    def _look(self, now: float) -> bool:
        """Read the run again; a busy or damaged lab is said, and looked at again later."""
        self._next_look = now + LOOK_SECONDS
        try:
            record = self._store.find(self._run)
            key = (record.step, _phase_of(self._store, record))
            if key == (self.snapshot.step, self.snapshot.phase) and not self._lab_fault and self._steps_seen >= 0:
                return False
            self.snapshot = snapshot_of(self._store, record)
            self._steps_seen = record.step
        except (StoreError, StoreFailure, ValueError, OSError) as error:
            fault = " ".join(str(error).split())
            changed = fault != self._lab_fault
            self._lab_fault = fault
            return changed
        self._lab_fault = ""
        return True

    def _episode(self) -> list[Moment]:
        """Return the moments of the episode that is looked at, up to the one that is looked at."""
        last = len(self._moments) - 1 - self._behind
        first = last
        while first > 0 and self._moments[first - 1].episode == self._moments[last].episode:
            first -= 1
        return [self._moments[i] for i in range(first, last + 1)]

    def _path(self) -> Array | None:
        """Return the places that the episode came through, int [K, 2]."""
        places = [place_of(moment.view.scene) for moment in self._episode()]
        return None if not places or None in places else np.array(places, np.int64)

    def _strips(self) -> tuple[Panel, ...]:
        strips = EpisodeStrips()
        for moment in self._episode():
            if moment.forgot:
                strips.cut()
            if moment.carried:
                strips.add(moment.carried)
        return strips.panels()


def _is_smooth(scene: Scene) -> bool:
    return scene.lines is not None or scene.image is not None


def settings_of(config: RunConfig) -> Mapping[str, str]:
    """Return the settings of a run by name, as the command line has them; of its own a 0 with what it stands for."""
    shown = dict(_flat(tables_of(config)))
    for setting in own_settings(RunConfig):
        if shown.get(setting.name) == "0" and (meaning := _ZERO.search(setting.doc)):
            shown[setting.name] = f"0: {meaning[1]}"
    return shown


def place_of(scene: Scene) -> tuple[int, int] | None:
    """Return the row and column of the walker, or its room and 0; None where it has no place."""
    if scene.rooms is not None and scene.walker >= 0:
        return scene.walker, 0
    walker = next((mark for mark in scene.marks if mark.kind == "walker"), None)
    return None if walker is None else (walker.row, walker.column)


def _flat(table: Mapping[str, Any], prefix: str = "") -> Any:
    for name, value in table.items():
        if isinstance(value, Mapping):
            yield from _flat(value, f"{prefix}{name}.")
        else:
            yield f"{prefix}{name}", str(value)


def panels_of_moment(moment: Moment) -> list[Panel]:
    """Make panels of the values at a moment, with the action that is done next marked."""
    scene = moment.view.scene
    panels: list[Panel] = []
    for title, values in (("action values now", moment.values), ("probabilities of the actions now", moment.probs)):
        if values is not None:
            names = scene.actions if len(scene.actions) == len(values) else [f"action {a}" for a in range(len(values))]
            chosen = int(moment.action) if moment.action is not None and np.ndim(moment.action) == 0 else -1
            panels.append(BarPanel(title, tuple(names), np.asarray(values, np.float64), chosen=chosen))
    obs = np.ravel(moment.obs)
    if obs.size <= 16 and scene.image is None:
        numbers = tuple(str(i + 1) for i in range(obs.size))
        known = scene.observed if len(scene.observed) == obs.size else numbers
        names = ("state",) if np.ndim(moment.obs) == 0 else known
        facts = {name: f"{value:.4g}" for name, value in zip(names, obs, strict=True)}
        panels.append(TextPanel("observation", facts))
    return panels


def facts_of(moment: Moment) -> Mapping[str, str]:
    """Return the episode, its step and its return so far."""
    facts = {"episode": f"{moment.episode}", "step": f"{moment.t}", "return": f"{moment.gain:g}"}
    if moment.ended:
        facts["ended"] = "by time" if moment.truncated else "by itself"
    return facts


def _phase_of(store: Store, record: RunRecord) -> str:
    """Return the status of a run; a process that was killed could not change it, so that nobody writes the run."""
    is_running = record.status == "running"
    return "stopped" if is_running and not store.is_written(record.run) else record.status


def snapshot_of(store: Store, record: RunRecord) -> RunSnapshot:
    """Read the numbers of a run as of its newest checkpoint."""
    evaluations = stored_evaluations(store, record.run, record.step)
    return RunSnapshot(
        id=record.run,
        agent=record.agent,
        env=record.env,
        phase=_phase_of(store, record),
        seeds=record.seeds,
        step=record.step,
        steps=record.steps,
        seconds=record.seconds,
        cpu_seconds=record.cpu_seconds,
        training_seconds=record.known("training") or 0.0,
        training_cpu_seconds=record.known("training_cpu") or 0.0,
        curve=summary.curve(store, record.run),
        evaluations=tuple(evaluations),
        optimum=record.known("optimum"),
        random_score=record.known("floor"),
        reward_threshold=record.known("threshold"),
        exact=record.exact,
    )
