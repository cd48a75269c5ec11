"""Inside of the players of a session, as panels: of one seed at one moment, and over an episode.

A player names its actions by number; here they get the names that the environment's scene has for them.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np

from simulator.config.codec import of_record
from simulator.config.run import RunConfig
from simulator.core.experiment_kinds import RUN, noun_of
from simulator.core.protocols import Array
from simulator.core.scene import HasPanels, Panel, Scene, ShowsMoment, ShowsUpdate, StripPanel, named_actions
from simulator.core.snapshots import Flash, Look, SeedView, Shown
from simulator.core.wording import plural
from simulator.store.run_store import Store
from simulator.training.session import Session

MAX_LIVE_STEPS = 500  # of a strip of a run that trains
_FIRST_LENGTH = 64  # steps that a strip has room for at first


class EpisodeStrips:
    """Strips of what a recurrent policy carries, a column for each step of an episode.

    Give it every step's ``moment`` (:class:`simulator.core.scene.ShowsMoment`), and make panels at any time: those made
    before stay as they are.

    Args:
        max_steps: the oldest steps are dropped beyond; 0: none is.
    """

    def __init__(self, max_steps: int = 0) -> None:
        self._max_steps = max_steps
        self._values: dict[str, Array] = {}
        self._cuts: list[int] = []
        self._n_steps = 0
        self._n_dropped = 0

    def clear(self) -> None:
        """Begin a new episode."""
        self._values = {}
        self._cuts = []
        self._n_steps = 0
        self._n_dropped = 0

    def add(self, moment: Mapping[str, Array]) -> None:
        """Add what a step left: values [N] by name.

        Raises:
            ValueError: other names or sizes than in the step before.
        """
        sizes = {name: np.shape(values) for name, values in moment.items()}
        if self._n_steps and sizes != {name: strip.shape[1:] for name, strip in self._values.items()}:
            raise ValueError(
                f"moment of {', '.join(moment)}: expected what the step before had, {', '.join(self._values)}"
            )
        if not self._n_steps:
            self._values = {name: np.zeros((_FIRST_LENGTH, *shape), np.float32) for name, shape in sizes.items()}
        if self._max_steps and self._n_steps == self._max_steps:
            self._drop(max(1, self._max_steps // 4))
        for name, values in moment.items():
            strip = self._values[name]
            if self._n_steps == len(strip):
                strip = self._values[name] = np.concatenate([strip, np.zeros_like(strip)])
            strip[self._n_steps] = values
        self._n_steps += 1

    def cut(self) -> None:
        """Note that the state was cut to zero before the step that is added next."""
        self._cuts.append(self._n_steps)

    def _drop(self, n: int) -> None:
        """Drop the n oldest steps; panels that were made keep them."""
        self._values = {
            name: np.concatenate([strip[n:], np.zeros_like(strip[:n])]) for name, strip in self._values.items()
        }
        self._cuts = [at - n for at in self._cuts if at >= n]
        self._n_steps -= n
        self._n_dropped += n

    def panels(self, note: str = "") -> tuple[StripPanel, ...]:
        """Make a strip for every name, in the order of a moment; none before the first step.

        Args:
            note: behind the titles.
        """
        note += f", from step {self._n_dropped} on" if self._n_dropped else ""
        cuts = tuple(at for at in self._cuts if at < self._n_steps)
        return tuple(
            StripPanel(
                title=f"{name} over the episode{note}",
                values=strip[: self._n_steps],
                rows=tuple(f"unit {k + 1}" for k in range(strip.shape[1])),
                cuts=cuts,
                span=_span(name, strip[: self._n_steps]),
            )
            for name, strip in self._values.items()
        )


def _span(name: str, values: Array) -> tuple[float, float]:
    """Return the span of the colours: 0 to 1 of a gate, else -1 to 1, or as far as the values go."""
    if name.endswith("gate"):
        return 0.0, 1.0
    largest = float(np.abs(values).max(initial=1.0))
    return -largest, largest


class LiveStrips:
    """Strips of the training episode of the seed that is watched, a column for each snapshot of it.

    A run that is slow enough has a snapshot of every step. Where steps lie between, the strips say so; where an episode
    ended between two snapshots, or another seed is watched, they begin anew.
    """

    def __init__(self) -> None:
        self._strips = EpisodeStrips(MAX_LIVE_STEPS)
        self._index = -1
        self._t = 0  # steps of the episode at the latest column
        self._stride = 0  # steps from one column to the next; 0: there is none yet
        self._step = 0  # of the run, likewise

    def cut(self) -> None:
        """Note that the state was cut to zero before the next step."""
        self._strips.cut()

    def look(self, session: Session, index: int) -> None:
        """Add the state that the agent of seed number ``index`` carries now, unless nothing happened since."""
        agent = session.agent
        if not isinstance(agent, ShowsMoment) or (session.step == self._step and index == self._index):
            return
        t = session.recorder.running_steps(index)
        advanced = session.step - self._step
        goes_on = index == self._index and t - self._t == advanced and self._stride in (0, advanced)
        if not goes_on:
            self._strips.clear()
            self._stride = 0
        elif self._t:
            self._stride = advanced
        self._index, self._t, self._step = index, t, session.step
        moment = agent.moment(index) if t else {}  # what is carried at an end belongs to the episode before
        if moment:
            self._strips.add(moment)

    def panels(self) -> tuple[StripPanel, ...]:
        """Make a strip for every name; none of an agent that carries nothing."""
        if self._t > 1 and not self._stride:
            return self._strips.panels(", this step alone: slow down for more")
        return self._strips.panels(f", every {self._stride:,} steps" if self._stride > 1 else "")


class UpdatedState(NamedTuple):
    """The state that a tabular agent updated last."""

    state: int  # of the environment's scene: an index of ``Scene.places``
    action: int
    td_error: float


def panels_of(session: Session, index: int) -> tuple[Panel, ...]:
    """Make panels of what is inside the agent of seed number ``index``; empty where the agent shows nothing."""
    if not isinstance(session.agent, HasPanels):
        return ()
    return named_actions(session.agent.panels(index), session.env.scene(index).actions)


def updated_state(session: Session, index: int) -> UpdatedState | None:
    """Return the state that the agent of seed number ``index`` updated last; None where that is not known.

    Where several states are seen alike, it is the first of them.
    """
    if not isinstance(session.agent, ShowsUpdate):
        return None
    found = session.agent.last_update(index)
    seen = session.env.spec.state_obs
    if found is None or seen is None or np.ndim(seen) != 1:
        return None
    states = np.flatnonzero(np.asarray(seen) == found.obs)
    return UpdatedState(int(states[0]), found.action, found.td_error) if len(states) else None


def seen(session: Session, look: Look, strips: LiveStrips) -> Shown:
    """Return what a view looks at of a session that trains.

    Args:
        session: the agent in its environment.
        look: what is looked at.
        strips: of what the agent carries over the episode, to which the present moment is added.
    """
    seeds = session.seeds
    look.index = min(look.index, len(seeds) - 1)
    pictures = session.pictures(range(len(seeds)) if look.wall else (look.index,))
    picture = pictures[look.index if look.wall else 0]
    shown = SeedView(seeds[look.index], session.with_return(look.index, picture))
    wall = tuple(SeedView(seed, view) for seed, view in zip(seeds, pictures, strict=True)) if look.wall else ()
    facts = {}
    if (latest := session.recorder.latest(look.index)) is not None:
        steps = plural(latest.length, "step")
        facts["last training episode"] = f"return {latest.total:g} in {steps}"
    if shown.view.q_error is not None:
        facts["max |Q - Q*|"] = f"{shown.view.q_error:.4g}"
    strips.look(session, look.index)
    panels = (*strips.panels(), *panels_of(session, look.index)) if look.inside else ()
    return Shown(shown, wall, panels, flash=_flash(session, look.index, shown.view.scene), facts=facts)


def _flash(session: Session, index: int, scene: Scene) -> Flash | None:
    updated = updated_state(session, index)
    if updated is None or scene.places is None or scene.places[updated.state][0] < 0:
        return None
    row, column = scene.places[updated.state]
    return Flash(int(row), int(column), updated.td_error)


class RunInside(NamedTuple):
    """The inside of one seed of a stored run."""

    run: str
    agent: str
    env: str
    seed: int
    step: int  # environment steps that it was trained for
    panels: tuple[Panel, ...]


def of_run(store: Store, run: str, seed: int | None = None) -> RunInside:
    """Load what is inside the agent of a stored run, by its newest checkpoint; nothing is written.

    A run without a checkpoint is shown as it begins.

    Args:
        store: the lab.
        run: id of a run, or "latest".
        seed: whose; None: the first one's.

    Raises:
        ValueError: no such run or seed, or an agent that shows nothing; one line.
    """
    record = store.find(run)
    if record.kind != RUN:
        raise ValueError(f"--inside: {record.run} is a {noun_of(record.kind)}, expected a run of an agent")
    session = Session(of_record(RunConfig, record))
    if seed is not None and seed not in session.seeds:
        raise ValueError(f"--seed {seed}: expected one of {', '.join(map(str, session.seeds[:8]))}")
    saved = store.newest(record.run)
    if saved is not None:
        session.restore(saved.state)
    index = 0 if seed is None else session.seeds.index(seed)
    panels = panels_of(session, index)
    if not panels:
        raise ValueError(f"--inside: {session.config.agent} shows nothing of its inside, expected an agent with panels")
    config = session.config
    return RunInside(record.run, config.agent, config.env, session.seeds[index], session.step, panels)
