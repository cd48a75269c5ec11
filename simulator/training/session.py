"""Training session: act, step, learn and record, for an agent in an environment over many seeds."""

from __future__ import annotations

import math
import os
import time
from collections.abc import Sequence
from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np
from gymnasium import spaces

from simulator.config.changes import Change, parse
from simulator.config.run import RunConfig, eval_episodes
from simulator.config.validation import of_run
from simulator.core import registry
from simulator.core.devices import hold_torch, set_device
from simulator.core.episodes import errors_name_run_seeds
from simulator.core.foreign.faults import PlayerError
from simulator.core.jit import set_threads
from simulator.core.mdp.solve import evaluate_finite
from simulator.core.notices import notice
from simulator.core.protocols import (
    AgentView,
    Array,
    CellEdit,
    Changeable,
    Editable,
    Env,
    EnvSpec,
    Failure,
    Forgetful,
    Metrics,
    Policy,
    State,
)
from simulator.core.scene import Scene
from simulator.core.snapshots import OptimumSince
from simulator.core.transition_table import TabularBatch
from simulator.store.run_records import failures, seeds_of
from simulator.training.curves import Recorder
from simulator.training.evaluation import Evaluator, ExactQ, exact_q, optimum

MAX_ROLLOUT_STEPS = 2_000_000  # steps of all seeds in one compiled call
MAX_NOTED_BYTES = 4 << 20  # bytes of the steps that are noted before they are recorded
MAX_NOTED_STEPS = 256  # steps, likewise
MAX_PICTURE_STATES = 5_000  # states
MIN_IMAGE_PIXELS = 1_024  # pixels from which an observation counts as an image


class _Notes(NamedTuple):
    """Single steps, [T, S], buffered until they are checked and recorded together."""

    reward: Array  # float32
    terminated: Array  # bool
    truncated: Array  # bool
    obs: Array  # [T, S, *obs]; T is 0 where observations are whole numbers, which are always finite
    final_obs: Array


class _KnownReturn(NamedTuple):
    """The expected return of the policy in the latest picture, which often stays for many of them."""

    spec: EnvSpec
    policy: Array  # [N, A]
    value: float


class Session:
    """An agent in an environment over many seeds, with its recorder.

    Raises:
        ValueError: an unknown player, or settings that cannot go together.
    """

    def __init__(self, config: RunConfig, *, rollouts: bool = True) -> None:
        threads = config.threads or os.cpu_count() or 1
        set_threads(threads)
        agent = registry.load("agents", config.agent)
        env = registry.load("envs", config.env)
        if config.device != "cpu" and not getattr(agent.module, "SUPPORTS_GPU", False):
            raise ValueError(f"device {config.device}: {agent.name} computes on the CPU, expected cpu")
        set_device(config.device)
        self.config = config
        self.seeds = seeds_of(config)
        self.env = env.make(list(self.seeds), config.env_settings)
        self.agent = agent.make(self.env.spec, list(self.seeds), of_run(config.agent_settings, config.steps))
        hold_torch(threads)
        self.recorder = Recorder(self.seeds, config.steps)
        self.step = 0
        self.exact = True
        self.failed_at = np.zeros(len(self.seeds), np.int64)  # see Agent in simulator.core.protocols
        self.metrics: Metrics = {}
        self._fast = rollouts and _can_roll_out(self.agent, self.env)
        for line in getattr(self.env, "notes", ()):
            notice(self.env.spec.id, line)
        with errors_name_run_seeds((), self.seeds):
            self._obs = self.env.reset()
        self._notes = _notes(0, self._obs)
        self._has_float_obs = np.asarray(self._obs).dtype.kind == "f"
        size = sum(note.nbytes for note in _notes(1, self._obs))
        longest = min(MAX_ROLLOUT_STEPS // len(self.seeds), getattr(self.agent, "max_rollout_steps", MAX_ROLLOUT_STEPS))
        self._most = max(1, longest if self._fast else min(MAX_NOTED_STEPS, MAX_NOTED_BYTES // size))
        self._check_finite(np.asarray(self._obs)[None], 0)
        self._plugins = (agent, env)
        self._exact_q: ExactQ | None = None
        self._exact_q_known = False
        self._known_return: _KnownReturn | None = None
        self.optima: list[OptimumSince] = []  # after every change of the environment
        self._changes = [parse(text) for text in config.changes]
        self._n_made = 0  # of the changes
        self._edits: list[CellEdit] = []  # those of the environment
        if self._changes:
            self.rehearse(self._changes)

    @property
    def over(self) -> bool:
        """True once every seed has failed."""
        return bool((self.failed_at > 0).all())

    @property
    def failed(self) -> tuple[Failure, ...]:
        """The seeds that failed so far."""
        return failures(self.seeds, self.failed_at)

    def evaluator(self) -> Evaluator:
        """Make the evaluator of this session's agent."""
        config = self.config
        episodes = eval_episodes(config, self.sees_images)
        return Evaluator(
            lambda seed_list, settings: self.make_env(seed_list),
            config.env_settings,
            self.seeds,
            episodes,
            config.eval_max_steps,
        )

    @property
    def changes(self) -> tuple[Change, ...]:
        """The changes that were made so far."""
        return tuple(self._changes[: self._n_made])

    @property
    def n_edits(self) -> int:
        """The changes of the environment that were made so far."""
        return len(self._edits)

    def rehearse(self, changes: Sequence[Change]) -> None:
        """Make changes in an environment and an agent apart, to see whether they can be made.

        Raises:
            ValueError: the first that cannot; one line.
        """
        plugin, env_plugin = self._plugins
        env = env_plugin.make(list(self.seeds[:1]), self.config.env_settings)
        agent = plugin.make(env.spec, list(self.seeds[:1]), of_run(self.config.agent_settings, self.config.steps))
        env.reset()
        for change in changes:
            _make_change(change, env, agent)

    def change(self, change: Change, *, later: bool = False) -> None:
        """Make a change of this step after those that are due, and remember it in ``config``.

        Args:
            change: of the present step.
            later: make it when training goes on.

        Raises:
            ValueError: it cannot be made, or not together with those that are to come; one line, and nothing changed.
        """
        if not later:
            self._make_due()
        place = sum(other.step <= self.step for other in self._changes)
        planned = [*self._changes[:place], change, *self._changes[place:]]
        if len(planned) > self._n_made + 1 or later:
            self.rehearse(planned)
        if not later:
            self._make(change)
            self._n_made += 1
        self._changes = planned
        self.config = replace(self.config, changes=tuple(map(str, self._changes)))

    def _make_due(self) -> None:
        """Make the changes of this step."""
        while self._n_made < len(self._changes) and self._changes[self._n_made].step <= self.step:
            self._make(self._changes[self._n_made])
            self._n_made += 1

    def _make(self, change: Change, *, again: bool = False) -> None:
        """Make one change; ``again``: before a state is restored, which holds what was cut."""
        if not (again and change.cut):
            _make_change(change, self.env, self.agent)
        if change.edit:
            self._edits.append(change.edit)
            self.optima.append(OptimumSince(change.step, optimum(self.env.spec)))
            self._obs = self.env.observe()
        self._exact_q_known = False

    def make_env(self, seeds: Sequence[int]) -> Env:
        """Make another environment like this session's: with its settings, and with the edits that were made so far."""
        made: Env = self._plugins[1].make(list(seeds), self.config.env_settings)
        for edit in self._edits:
            _editable(made).edit(edit)
        return made

    @property
    def has_images(self) -> bool:
        """True where observations are images, of any size."""
        space = self.env.spec.observation
        return isinstance(space, spaces.Box) and space.dtype == np.uint8 and len(space.shape) > 1

    @property
    def sees_images(self) -> bool:
        """True where observations are images, as large as takes networks of convolutions much of a step's time."""
        return self.has_images and math.prod((self.env.spec.observation.shape or ())[:2]) >= MIN_IMAGE_PIXELS

    def play(self, n: int, seconds: float = math.inf) -> None:
        """Train for n environment steps per seed, or fewer when ``seconds`` have passed.

        Raises:
            ValueError: a reward or an observation is not finite, or the environment refused an action.
        """
        set_device(self.config.device)  # another session may have set its own meanwhile
        until = time.perf_counter() + seconds
        end = self.step + n
        with errors_name_run_seeds((), self.seeds):
            while self.step < end:
                self._make_due()
                until_change = min((change.step for change in self._changes[self._n_made :]), default=end)
                part = min(min(end, until_change) - self.step, self._most)
                if self._fast:
                    self._play_rollout(part)
                else:
                    self._play_steps(part, until)
                if time.perf_counter() >= until:
                    return

    def _play_rollout(self, n: int) -> None:
        rollout = self.agent.rollout(self.env.env_batch, n)
        self.metrics = rollout.metrics
        self._record(rollout.reward, rollout.ended)

    def _play_steps(self, n: int, until: float) -> None:
        """Train step by step, at least one. Steps are checked together: one check costs more than a step."""
        if n > len(self._notes.reward):
            self._notes = _notes(n, self._obs)
        reward, terminated, truncated, next_obs, final_obs = self._notes
        t = 0
        act = self.agent.act
        learn = self.agent.learn
        env_step = self.env.step
        obs = self._obs
        has_float_obs = self._has_float_obs
        now = time.perf_counter
        at = 0
        try:
            while t < n and (t == 0 or now() < until):
                at = t
                actions = act(obs)
                step = env_step(actions)
                reward[t] = step.reward
                terminated[t] = step.terminated
                truncated[t] = step.truncated
                if has_float_obs:
                    next_obs[t] = step.obs
                    final_obs[t] = step.final_obs
                t += 1
                self.metrics = learn(obs, actions, step)
                obs = step.obs
        except PlayerError as error:
            error.happened(self.step + at + 1)
            raise
        finally:  # also where a player raised an error: the environment may be the cause
            self._obs = obs
            self._note_failures()
            self._check_finite(final_obs[:t], self.step + 1)
            self._check_finite(next_obs[:t], self.step + 1)
            self._record(_by_seed(reward[:t]), _by_seed(terminated[:t] | truncated[:t]))

    def _record(self, reward: Array, ended: Array) -> None:
        """Add steps [S, T]. Steps after a seed's failure are dropped."""
        self._note_failures()
        try:
            self.recorder.extend(reward, ended, self.failed_at)
        except ValueError as error:
            raise ValueError(f"{self.config.env}: {error}") from None
        self.step += reward.shape[1]

    def _note_failures(self) -> None:
        failed_at = getattr(self.agent, "failed_at", None)
        if failed_at is not None:
            np.copyto(self.failed_at, failed_at, where=self.failed_at == 0)

    def _check_finite(self, obs: Array, first: int) -> None:
        """Raise an error for observations [T, S, *obs], from step ``first`` on, that are not finite.

        Observations of a seed after it failed are not checked.
        """
        if not self._has_float_obs or np.isfinite(obs).all():
            return
        not_finite = ~np.isfinite(obs).reshape(*obs.shape[:2], -1).all(axis=2)  # [T, S]
        not_finite &= (self.failed_at == 0) | (first + np.arange(len(obs))[:, None] <= self.failed_at)
        for t, i in np.argwhere(not_finite)[:1]:
            shown = " ".join(np.array2string(obs[t, i], threshold=8).split())[:100]
            where = f"seed {self.seeds[i]} observed {shown} in step {first + t:,}"
            raise ValueError(f"{self.config.env}: {where}, expected finite numbers")

    def state(self) -> State:
        """Return the whole state."""
        parts = {"agent": self.agent.state(), "env": self.env.state(), "recorder": self.recorder.state()}
        changes = {"changes": self._n_made} if self._n_made else {}
        return {"step": self.step, **parts, "failed_at": self.failed_at.copy(), **changes}

    def restore(self, state: State) -> None:
        """Continue from ``state``; ``exact`` becomes False if the environment or the agent could not be continued."""
        for change in self._changes[self._n_made : state.get("changes", 0)]:
            self._make(change, again=True)
            self._n_made += 1
        self.step = state["step"]
        self.exact &= self.agent.restore(state["agent"]) is not False
        self.recorder.restore(state["recorder"])
        self.failed_at[:] = state.get("failed_at", 0)
        if state["env"] is None or not self.env.restore(state["env"]):
            self.exact = False
            self.recorder.drop_running()
        self._obs = self.env.observe()

    def picture(self, index: int = 0) -> AgentView:
        """Return values and greedy actions of the agent of seed number ``index``, for the views."""
        return self.with_return(index, self.pictures((index,))[0])

    def with_return(self, index: int, view: AgentView) -> AgentView:
        """Return a view with the exact return of its greedy policy, where cells may change."""
        spec = self.env.spec
        if not spec.editable or spec.mdp is None or view.probs is None or self.failed_at[index] > 0:
            return view
        known = self._known_return
        if known is None or known.spec is not spec or not np.array_equal(known.policy, view.probs):
            value = float(evaluate_finite(spec.mdp, view.probs, spec.mdp.max_steps))
            known = self._known_return = _KnownReturn(spec, view.probs.copy(), value)
        return view._replace(greedy_return=known.value)

    def pictures(self, indices: Sequence[int]) -> list[AgentView]:
        """Return the pictures of several seeds; see :meth:`picture`."""
        policy = self.agent.policy()
        values = self._state_values(policy)
        return [
            self._view(policy, values, i, self.env.scene(i))._replace(q_error=self._q_error(values, i)) for i in indices
        ]

    def views_of(self, policy: Policy, indices: Sequence[int], scene: Scene) -> list[AgentView]:
        """Return a policy's values and greedy actions of several seeds in every state, beside a scene."""
        values = self._state_values(policy)
        return [self._view(policy, values, i, scene) for i in indices]

    def _state_values(self, policy: Policy) -> Array | None:
        """Return action values [S, N, A] of all states; None where there are none, or too many states."""
        states = self.env.spec.state_obs
        return None if states is None or len(states) > MAX_PICTURE_STATES else policy.values(states)

    def _view(self, policy: Policy, values: Array | None, index: int, scene: Scene) -> AgentView:
        states = self.env.spec.state_obs
        if states is None or len(states) > MAX_PICTURE_STATES:
            return AgentView(scene, None, None)
        probs = policy.probs(states)
        best = None if values is None else values[index].max(axis=-1)
        greedy = None if probs is None else probs[index] > 0.0
        return AgentView(scene, best, greedy, probs=None if probs is None else probs[index])

    def _q_error(self, values: Array | None, index: int) -> float | None:
        """Compute the largest |Q - Q*| of seed number ``index``; Q* is computed once."""
        if values is None or self.step == 0 or self.failed_at[index] > 0:
            return None
        if not self._exact_q_known:
            self._exact_q = exact_q(self.agent, self.env.spec)
            self._exact_q_known = True
        return None if self._exact_q is None else float(self._exact_q.error(values[index : index + 1])[0])


def _make_change(change: Change, env: Any, agent: Any) -> None:
    """Make a change in an environment or in its agent.

    Raises:
        ValueError: it cannot be made; one line, and nothing changed.
    """
    try:
        if change.edit:
            if getattr(agent, "knows_env", False):
                raise ValueError("this agent is built on the transitions of the environment as it began")
            _editable(env).edit(change.edit)
        elif change.cut:
            if not (isinstance(agent, Forgetful) and agent.has_memory):
                raise ValueError("this agent carries nothing from step to step, expected one with a recurrence")
            agent.cut_memory()
        elif isinstance(agent, Changeable):
            agent.change(change.setting, change.value)
        else:
            raise ValueError("this agent has no settings that can be changed while it learns")
    except ValueError as error:
        raise ValueError(f"change '{change}': {error}") from None


def _editable(env: Any) -> Editable:
    if not isinstance(env, Editable):
        raise ValueError(f"the cells of {env.spec.id} stay as they are, expected rooms with env.editable = true")
    return env


def _can_roll_out(agent: Any, env: Any) -> bool:
    """Return whether the agent can run a compiled rollout of the environment."""
    return hasattr(agent, "rollout") and isinstance(
        getattr(env, "env_batch", None), getattr(agent, "rollout_batch", TabularBatch)
    )


def _notes(n: int, obs: Array) -> _Notes:
    """Allocate buffers for n steps of an environment with such observations."""
    view = np.asarray(obs)
    flags = [np.zeros((n, len(view)), np.bool_) for _ in range(2)]
    views = [np.zeros((n if view.dtype.kind == "f" else 0, *view.shape), view.dtype) for _ in range(2)]
    return _Notes(np.zeros((n, len(view)), np.float32), *flags, *views)


def _by_seed(noted: Array) -> Array:
    """Transpose [T, S] to [S, T]."""
    return np.ascontiguousarray(noted.T)
