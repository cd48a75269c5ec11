"""Snapshots: the state of an experiment at one moment, as its loop yields it and its views draw it.

Training a run, a recall benchmark, a comparison of predictions, a match, a tournament and a tuning are kinds of
experiment. Each has a snapshot of its own for its view; all meet the protocol :class:`Snapshot`, which the driver, the
live view and the host use.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar, NamedTuple, Protocol, TypeVar

from simulator.core.experiment_kinds import MATCH, PREDICT, RECALL, RUN, TOURNAMENT, TUNE
from simulator.core.memories import RecallPicture
from simulator.core.protocols import AgentView, Array, Curve, Evaluation, Failure, Metrics
from simulator.core.scene import Panel, Scene
from simulator.core.wording import plural

ENDED = ("done", "failed")  # phases after which nothing follows


class Progress(NamedTuple):
    """Progress of an experiment."""

    done: int
    total: int
    unit: str  # "step" (environment steps per seed), "cell", "round" or "game"

    def __str__(self) -> str:
        """Format as ``33,072 of 200,000 steps``."""
        return f"{self.done:,} of {plural(self.total, self.unit)}"


class Snapshot(Protocol):
    """Snapshot of an experiment of any kind."""

    @property
    def id(self) -> str:
        """Its id in the lab, such as ``r1`` or ``t1``; the name of a match, which is not stored by itself."""

    @property
    def kind(self) -> str:
        """A constant of :mod:`simulator.core.experiment_kinds`."""

    @property
    def phase(self) -> str:
        """``preparing`` at first, one of ``ENDED`` at last; other words depend on the kind."""

    @property
    def progress(self) -> Progress:
        """Finished work."""

    @property
    def seconds(self) -> float:
        """Wall-clock time in seconds, of all processes that worked on it, compiling left out."""

    @property
    def warnings(self) -> tuple[str, ...]:
        """One line each, such as for a damaged checkpoint that was skipped."""


class Stride:
    """Environment steps per seed from one snapshot of a run to the next, which its driver may change at any time.

    No result depends on it.

    Attributes:
        steps: at most so many; 0: as many as a tenth of a second takes.
        idle_seconds: seconds that the driver let the run wait, which are not counted in the run's time.
    """

    def __init__(self) -> None:
        self.steps = 0
        self.idle_seconds = 0.0


class Look:
    """Wishes of a view, what to see of a run, which it may change at any time, and the picture of them.

    A picture is made when the view asks for it, as it draws less often than there are snapshots. No result depends on
    it.

    Attributes:
        index: number of the seed whose environment and agent are shown.
        wall: True: the environments of all seeds too.
        inside: True: what is inside the agent too.
    """

    def __init__(self) -> None:
        self.index = 0
        self.wall = False
        self.inside = False
        self._picture: Callable[[], Shown] | None = None

    def bind(self, picture: Callable[[], Shown]) -> None:
        """Let a training loop make the pictures."""
        self._picture = picture

    def picture(self) -> Shown | None:
        """Make the picture of the run as it is now, which is to be asked for between two snapshots only.

        None: there is no run yet.
        """
        return None if self._picture is None else self._picture()


class SeedView(NamedTuple):
    """One seed's environment and what its agent makes of it."""

    seed: int
    view: AgentView


class Flash(NamedTuple):
    """A temporal-difference error that lights up on the place whose value was just updated."""

    row: int  # or the number of the room
    column: int
    error: float


@dataclass(frozen=True)
class Shown:
    """Picture of a run at one moment.

    Attributes:
        shown: the seed that is looked at.
        wall: all seeds, where they are asked for.
        panels: what is inside the agent.
        path: int [K, 2], row and column (or room, 0) of the places that the episode came through; None: not known.
        flash: the update that was just made.
        facts: name -> text: the episode, its step, its return.
    """

    shown: SeedView
    wall: tuple[SeedView, ...] = ()
    panels: tuple[Panel, ...] = ()
    path: Array | None = None
    flash: Flash | None = None
    facts: Mapping[str, str] = field(default_factory=dict)


class OptimumSince(NamedTuple):
    """The optimum of a run's environment from one step on."""

    step: int  # environment steps per seed before it
    optimum: float | None  # best possible expected return of an episode; None where it is not known


class LiveChanges:
    """Changes of a run while it learns, which the driver of its snapshots makes between two of them.

    A change is recorded with its step before training goes on, so that the run can be resumed and reproduced with it.
    """

    def __init__(self) -> None:
        self._make: Callable[[str], RunSnapshot] | None = None

    def bind(self, make: Callable[[str], RunSnapshot]) -> None:
        """Let a training loop make the changes."""
        self._make = make

    def make(self, what: str) -> RunSnapshot:
        """Make a change at the run's present step, and return the snapshot after it.

        Args:
            what: a change without its step, such as ``wall 3 4``; see :mod:`simulator.config.changes`. During an
                evaluation it is made when that is over.

        Raises:
            ValueError: it cannot be made, or there is no run yet; one line, and nothing changed.
        """
        if self._make is None:
            raise ValueError(f"change '{what}': the run has not begun")
        return self._make(what)


S_contra = TypeVar("S_contra", bound=Snapshot, contravariant=True)


class View(Protocol[S_contra]):
    """Draws an experiment from outside."""

    def show(self, snapshot: S_contra) -> None:
        """Draw a snapshot."""

    def close(self) -> None:
        """Leave the final screen."""


def regret_of(view: AgentView | None, optimum: float | None) -> float | None:
    """Return the optimum less what the greedy policy of a view is worth; None where one is not known."""
    if optimum is None or view is None or view.greedy_return is None:
        return None
    return optimum - view.greedy_return


@dataclass(frozen=True)
class RunSnapshot:
    """Snapshot of a training run."""

    kind: ClassVar[str] = RUN
    id: str
    agent: str
    env: str
    phase: str  # "preparing", "training", "evaluating", "done", or "failed": every seed did
    seeds: tuple[int, ...]
    step: int  # environment steps per seed so far
    steps: int  # environment steps per seed in all
    seconds: float  # wall-clock time of training and evaluation, of all processes that worked on it
    cpu_seconds: float
    training_seconds: float  # of the wall-clock time, without evaluations
    training_cpu_seconds: float  # of the CPU time, without evaluations
    curve: Curve
    evaluations: tuple[Evaluation, ...] = ()
    metrics: Metrics = field(default_factory=dict)
    picture: AgentView | None = None
    optimum: float | None = None  # best possible expected return of an episode
    random_score: float | None = None  # mean return of uniformly random play
    reward_threshold: float | None = None  # mean return from which the environment counts as solved
    last_return: float | None = None  # of the latest episode that ended, of the seed in the picture
    last_length: int = 0  # its steps
    exact: bool = True  # False: a foreign environment could not be continued exactly
    compile_seconds: float = 0.0  # spent compiling by this process, not in seconds
    failed: tuple[Failure, ...] = ()  # seeds that failed so far
    warnings: tuple[str, ...] = ()  # damaged checkpoints that were passed over, another machine
    optima: tuple[OptimumSince, ...] = ()  # by step; several where cells changed, the last one is ``optimum``
    changes: tuple[str, ...] = ()  # made so far, each with its step: "5000 wall 3 4"
    changeable: Mapping[str, float] = field(default_factory=dict)  # settings of the agent that can change, as they are
    editable: bool = False  # cells of the environment can change
    has_memory: bool = False  # the agent's memory can be cut

    @property
    def progress(self) -> Progress:
        """Environment steps per seed."""
        return Progress(self.step, self.steps, "step")


@dataclass(frozen=True)
class RecallSnapshot:
    """Snapshot of a recall benchmark."""

    kind: ClassVar[str] = RECALL
    id: str
    contestants: tuple[str, ...]
    challenge: str
    phase: str  # "preparing", "running", "done"
    seeds: tuple[int, ...]
    n_done: int  # cells measured so far
    n_cells: int  # cells in all
    seconds: float  # wall-clock time of all processes that worked on it, compiling left out
    next_cell: str  # the cell that is measured next, as text
    picture: RecallPicture | None  # of the newest cell
    scores: Mapping[str, float]  # of the newest cell, means over seeds
    newest: str = ""  # the newest cell, as text
    compile_seconds: float = 0.0
    warnings: tuple[str, ...] = ()

    @property
    def progress(self) -> Progress:
        """Cells of the benchmark."""
        return Progress(self.n_done, self.n_cells, "cell")


@dataclass(frozen=True)
class PredictSnapshot:
    """Snapshot of a comparison of predictions."""

    kind: ClassVar[str] = PREDICT
    id: str
    contestants: tuple[str, ...]
    task: str
    phase: str  # "preparing", "running", "done"
    seeds: tuple[int, ...]
    n_done: int  # cells measured so far
    n_cells: int  # cells in all
    seconds: float  # wall-clock time of all processes that worked on it, compiling left out
    next_cell: str  # the cell that is measured next, as text
    condition: str  # what a condition is a number of
    score: str  # heading of the score that decides
    rows: tuple[tuple[str, float, float], ...]  # contestant, condition, mean of that score over seeds, NaN if it failed
    newest: str = ""  # the newest cell, as text
    compile_seconds: float = 0.0
    warnings: tuple[str, ...] = ()

    @property
    def progress(self) -> Progress:
        """Cells of the comparison."""
        return Progress(self.n_done, self.n_cells, "cell")


@dataclass(frozen=True)
class MatchSnapshot:
    """Snapshot of a match; the last one carries the result."""

    kind: ClassVar[str] = MATCH
    id: str  # "q_learning - grudger in iterated_matrix"
    phase: str  # "preparing", "training", "playing", "done"
    progress: Progress  # training and playing: rounds or games that are over
    seconds: float
    result: dict[str, Any] | None = None  # see :mod:`simulator.matches.match`
    warnings: tuple[str, ...] = ()


class ActionKey(NamedTuple):
    """An action that a person can take, and the key for it."""

    key: str  # "up", "1", "a"; empty: none is left
    name: str
    action: Any  # index, or an array of numbers
    legal: bool = True


class ScoreLevel(NamedTuple):
    """A return to compare a person's with."""

    name: str  # "optimum", "r5 q_learning", "you, mean of 3 (few)"
    value: float
    low: float | None = None
    high: float | None = None


@dataclass(frozen=True)
class PlaySnapshot:
    """Snapshot of a person's play."""

    id: str
    env: str
    name: str  # the contestant, "human:ann"
    opponent: str  # empty in an environment
    scene: Scene
    seed: int
    episode: int  # episodes that are over, without this one
    episodes: int  # that are wanted; 0: until the person stops
    steps: int  # actions in this episode
    total: float  # return of this episode so far
    second: float | None  # the opponent's payoffs; None in an environment
    last_reward: float | None
    ended: str  # "terminated", "truncated", or empty while the episode goes on
    said: str  # the other side's answer, or why an action was refused
    refused: bool  # the latest action was refused
    actions: tuple[ActionKey, ...]
    levels: tuple[ScoreLevel, ...]
    pace: float | None  # steps per second in real time; None: it waits for every action
    over: bool = False  # no episode follows


class Standing(NamedTuple):
    """Standing of one contestant in its division; NaN where a number is not known yet."""

    contestant: str
    division: str
    tier: int | None  # 1 is the best; contestants of different tiers differ significantly
    strength: float
    strength_low: float
    strength_high: float
    score: float  # interquartile mean of the normalised scores: 0 at the floor, 1 at the ceiling
    score_low: float
    score_high: float
    done: int  # jobs of this contestant
    planned: int


class TournamentCell(NamedTuple):
    """One cell of a tournament: a contestant, or two of them, in a challenge on some seeds."""

    contestant: str  # "first and second" in a game
    challenge: str
    seeds: tuple[int, int]  # the first, and how many
    kind: str  # run, recall, match or external
    status: str  # waiting, running, done or failed
    reason: str = ""  # why it failed
    folder: str = ""  # where a running one keeps its checkpoints

    @property
    def words(self) -> str:
        """``dqn in CartPole-v1, seeds 0 to 15``."""
        first, n = self.seeds
        seeds = f"seeds {first} to {first + n - 1}" if n > 1 else f"seed {first}"
        return f"{self.contestant} in {self.challenge}, {seeds}"


@dataclass(frozen=True)
class TournamentSnapshot:
    """Snapshot of a tournament."""

    kind: ClassVar[str] = TOURNAMENT
    id: str
    phase: str  # "preparing", "running", "analysing" or "done"
    planned: int  # cells in all
    done: int  # cells that have a result, including reused ones and excluding failed ones
    running: int
    failed: int  # cells without a result
    reused: int  # cells that an earlier tournament of the lab had played
    seconds: float  # wall-clock time of this process
    left: float | None = None  # seconds to go, estimated
    rows: tuple[Standing, ...] = ()  # division by division, the best first
    now: tuple[str, ...] = ()  # cells being played, as text: "dqn in CartPole-v1, seeds 0 to 15"
    newest: str = ""  # the cell that ended last, as text
    warnings: tuple[str, ...] = ()

    @property
    def progress(self) -> Progress:
        """Finished cells, with a result or failed."""
        return Progress(self.done + self.failed, self.planned, "cell")


class TrialRow(NamedTuple):
    """A trial of a tuning, as views show it."""

    number: int
    point: str  # "step_size=0.31 gamma=0.9"
    state: str  # running, pruned, complete or failed
    value: float  # of its longest evaluation; NaN where there is none


@dataclass(frozen=True)
class TuneSnapshot:
    """Snapshot of a tuning: a search of settings, and the judgement of the best."""

    kind: ClassVar[str] = TUNE
    id: str
    what: str  # "q_learning in rooms"
    search: str  # grid, random or tpe
    objective: str
    phase: str  # "preparing", "searching", "judging" or "done"
    planned: int  # cells in all
    done: int  # cells that have a result, including those that were stored before
    running: int
    failed: int  # cells without a result
    reused: int  # cells that were stored before
    round: int  # of proposals, from 1
    rounds: int
    seconds: float
    best: tuple[TrialRow, ...] = ()  # of the trials so far, the best first
    now: tuple[str, ...] = ()  # cells being played, as text
    newest: str = ""  # the cell that ended last, as text
    warnings: tuple[str, ...] = ()

    @property
    def progress(self) -> Progress:
        """Finished cells, with a result or failed."""
        return Progress(self.done + self.failed, self.planned, "cell")
