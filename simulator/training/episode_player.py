"""Episodes of an evaluation one step at a time, for windows and recordings.

The episodes are those of :class:`simulator.training.evaluation.Evaluator`, to the bit: the same random streams, the
same frozen policy, all seeds stepped together. A player reads and changes nothing of the session that it was made from,
except that both share the agent's weights: it plays on as the agent learns on, until :meth:`EpisodePlayer.restart`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import NamedTuple

import numpy as np

from simulator.config.codec import of_record
from simulator.config.run import RunConfig
from simulator.core import rng
from simulator.core.episodes import cut_after, errors_name_run_seeds
from simulator.core.experiment_kinds import RUN
from simulator.core.protocols import AgentView, Array, CarryingPolicy, Env, Policy, Step
from simulator.core.scene import Scene, ShowsEnds, ShowsMoment
from simulator.core.snapshots import SeedView
from simulator.store.run_store import Store
from simulator.training.session import Session

OWN_BYTES = 2_000  # that a moment keeps beside its arrays: marks, facts and the objects themselves


class Moment(NamedTuple):
    """One time step t of an episode: what is seen, what it was reached with, and what is done next.

    An episode of L actions has L + 1 moments; the last one has ended, and no action.
    """

    episode: int  # counted from 1
    t: int  # actions before it
    trained_steps: int  # environment steps per seed that the policy was trained for
    seed: int
    view: AgentView  # scene; values and policy in every state of a finite environment
    obs: Array  # [*obs]
    action: Array | None  # what is done next: a scalar, or [*action]; None where the episode has ended
    reward: float  # of the action before, 0 at first
    gain: float  # the return so far, that reward included
    ended: bool
    truncated: bool  # it ended by time
    was_cut: bool  # it has not ended by itself, and nothing more can be played
    values: Array | None  # [A] action values at obs
    probs: Array | None  # [A] probabilities of the actions at obs
    carried: Mapping[str, Array]  # what a recurrent policy carries after this step, and its gates, [N] by name
    forgot: bool = False  # what it carried was set to zero before this step


class _Running(NamedTuple):
    """The running episode."""

    episode: int = 1
    t: int = 0
    reward: float = 0.0
    gain: float = 0.0

    def after(self, reward: float) -> _Running:
        """Return it one action later."""
        return self._replace(t=self.t + 1, reward=reward, gain=self.gain + reward)


class EpisodePlayer:
    """Plays the evaluation's episodes of one seed for somebody who watches.

    Args:
        session: whose current policy is played.
        seed: the seed that is watched; None: the first one that has not failed.
        max_steps: actions after which an episode that does not end is cut; 0: as in the run's evaluations.

    Raises:
        ValueError: no such seed, or it has failed; one line.
    """

    def __init__(self, session: Session, seed: int | None = None, max_steps: int = 0) -> None:
        self.session = session
        self.seeds = session.seeds
        self._index = _index_of(session, seed)
        self._own = tuple(rng.derived_seeds(self.seeds, "evaluation"))
        with errors_name_run_seeds(self._own, self.seeds):
            self._env: Env = session.make_env(self._own)
            self._env.reset()
            self._start = self._env.state()
        self.max_steps = cut_after(self._env.spec.max_steps, max_steps or session.config.eval_max_steps)
        self.trained_steps = 0
        self.restart()

    @property
    def seed(self) -> int:
        """The seed that is watched."""
        return self.seeds[self._index]

    @property
    def index(self) -> int:
        """The number of the seed that is watched."""
        return self._index

    @property
    def env(self) -> Env:
        """The environment that is played in, of all seeds."""
        return self._env

    @property
    def learned(self) -> AgentView:
        """Values and policy that are played, without a scene."""
        return self._learned

    def restart(self, seed: int | None = None) -> None:
        """Begin with the first episode again, by the session's current policy.

        Args:
            seed: watched from now on; None: the same as before.
        """
        if seed is not None:
            self._index = _index_of(self.session, seed)
        self.trained_steps = self.session.step
        policy = self._policy = self.session.agent.policy()
        self._forgot = False  # since the latest moment
        self._learned = self.session.views_of(policy, (self._index,), Scene(""))[0]
        self._others: list[AgentView] | None = None
        self._moments = self._play(policy)

    def step(self) -> Moment | None:
        """Return the next moment; None after an episode that was cut: no more can be played then.

        Raises:
            ValueError: the environment gave a reward that is not finite, or refused an action.
        """
        return next(self._moments, None)

    @property
    def has_memory(self) -> bool:
        """Tell whether the policy carries a state from step to step."""
        policy = self._policy
        carried = policy.carried() if isinstance(policy, CarryingPolicy) else None
        return carried is not None and any(part.size for part in carried)

    def cut_memory(self) -> None:
        """Set what the policy carries to zero, in the middle of the episode, as of the next step."""
        policy = self._policy
        carried = policy.carried() if isinstance(policy, CarryingPolicy) else None
        if isinstance(policy, CarryingPolicy) and carried is not None:
            policy.carry_on(tuple(np.zeros_like(part) for part in carried))
            self._forgot = True

    def wall(self) -> tuple[SeedView, ...]:
        """Return the pictures of all seeds, as the newest moment has them."""
        if self._others is None:
            policy = self.session.agent.policy()
            self._others = self.session.views_of(policy, range(len(self.seeds)), Scene(""))
        views = [view._replace(scene=self._env.scene(i)) for i, view in enumerate(self._others)]
        return tuple(map(SeedView, self.seeds, views))

    def __iter__(self) -> Iterator[Moment]:
        """Yield moment after moment, through all episodes."""
        while (found := self.step()) is not None:
            yield found

    def _play(self, policy: Policy) -> Iterator[Moment]:
        i = self._index
        with errors_name_run_seeds(self._own, self.seeds):
            self._start_again()
        env = self._env
        obs = env.observe()
        first = np.ones(len(self.seeds), np.bool_)
        carrying = policy if isinstance(policy, CarryingPolicy) else None
        run = _Running()
        while True:
            actions = policy.act(obs, first)
            scene = env.scene(i)
            yield self._moment(policy, scene, obs, run, actions[i])
            with errors_name_run_seeds(self._own, self.seeds):
                step = env.step(actions)
            if carrying is not None:
                carrying.see_reward(step.reward)
            obs = step.obs
            first = step.terminated | step.truncated
            run = run.after(self._reward(step))
            if first[i]:
                scene = env.last_scene(i) if isinstance(env, ShowsEnds) else scene
                by_time = bool(step.truncated[i] and not step.terminated[i])
                yield self._moment(policy, scene, step.final_obs, run, truncated=by_time)
                run = _Running(run.episode + 1)
            elif run.t >= self.max_steps:
                yield self._moment(policy, env.scene(i), obs, run, truncated=True, was_cut=True)
                return

    def _start_again(self) -> None:
        """Put the environment at the start of its first episode: its random streams too."""
        if self._start is None or not self._env.restore(self._start):
            self._env = self.session.make_env(self._own)
            self._env.reset()
            self._start = self._env.state()

    def _moment(
        self,
        policy: Policy,
        scene: Scene,
        obs: Array,
        run: _Running,
        action: Array | None = None,
        *,
        truncated: bool = False,
        was_cut: bool = False,
    ) -> Moment:
        i = self._index
        own = np.array(obs[i])
        values = policy.values(own[None])
        probs = policy.probs(own[None])
        forgot, self._forgot = self._forgot, False
        return Moment(
            episode=run.episode,
            t=run.t,
            trained_steps=self.trained_steps,
            seed=self.seeds[i],
            view=self._learned._replace(scene=scene),
            obs=own,
            action=None if action is None else np.array(action),
            reward=run.reward,
            gain=run.gain,
            ended=action is None,
            truncated=truncated,
            was_cut=was_cut,
            values=None if values is None else np.array(values[i, 0]),
            probs=None if probs is None else np.array(probs[i, 0]),
            carried=policy.moment(i) if isinstance(policy, ShowsMoment) else {},
            forgot=forgot,
        )

    def _reward(self, step: Step) -> float:
        reward = float(step.reward[self._index])
        if not np.isfinite(reward):
            raise ValueError(
                f"{self._env.spec.id}: seed {self.seed} got a reward that is not finite, expected finite rewards"
            )
        return reward


def of_run(store: Store, run: str, seed: int | None = None, max_steps: int = 0) -> EpisodePlayer:
    """Make a player of what a stored run has learned by its newest checkpoint; nothing is written.

    A run without a checkpoint is played by its agent as it begins.

    Args:
        store: the lab.
        run: id of a run, or "latest".
        seed: the seed that is watched; None: the first one that has not failed.
        max_steps: see :class:`EpisodePlayer`.

    Raises:
        ValueError: no such run or seed, or the seed has failed; one line.
    """
    record = store.find(run)
    if record.kind != RUN:
        raise ValueError(f"{record.run} is no run of an agent, expected one (engram list runs)")
    session = Session(of_record(RunConfig, record))
    saved = store.newest(record.run)
    if saved is not None:
        session.restore(saved.state)
    return EpisodePlayer(session, seed, max_steps)


def _index_of(session: Session, seed: int | None) -> int:
    """Return the number of a seed among those of a session.

    Raises:
        ValueError: there is none, or it has failed.
    """
    if seed is None:
        working = np.flatnonzero(session.failed_at == 0)
        if not len(working):
            raise ValueError(f"all {len(session.seeds)} seeds have failed, expected one that can be played")
        return int(working[0])
    if seed not in session.seeds:
        first, last = session.seeds[0], session.seeds[-1]
        raise ValueError(f"seed {seed}: expected one of this run's, {first} to {last}")
    for failure in session.failed:
        if failure.seed == seed:
            raise ValueError(f"seed {seed} failed at step {failure.step:,}: {failure.reason}")
    return session.seeds.index(seed)


def size_of(moment: Moment) -> int:
    """Count the bytes that a moment keeps, which do not lie in those before: values, policy and walls are shared."""
    scene = moment.view.scene
    own = (moment.obs, moment.values, moment.probs, scene.image, scene.lines, *moment.carried.values())
    return OWN_BYTES + sum(array.nbytes for array in own if array is not None)
