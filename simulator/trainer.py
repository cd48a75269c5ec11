"""An agent that is trained, used and saved by hand, with the verbs of stable-baselines3."""

from __future__ import annotations

import itertools
import os
import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from gymnasium import spaces

from simulator.arguments import Player, run_config
from simulator.config.codec import from_stored, of_record, to_toml
from simulator.config.run import RunConfig, eval_episodes
from simulator.config.validation import of_run
from simulator.core import registry
from simulator.core.devices import set_device
from simulator.core.errors import BadInputError
from simulator.core.experiment_kinds import noun_of
from simulator.core.field_types import ENDLESS
from simulator.core.files.reading import parse_toml
from simulator.core.files.writing import write_file
from simulator.core.foreign.python_files import label_of
from simulator.core.protocols import Array, CarryingPolicy, Curve, Failure, Policy
from simulator.core.snapshots import RunSnapshot
from simulator.core.wording import plural
from simulator.external import env_objects
from simulator.progress import ProgressBar
from simulator.store import checkpoints
from simulator.store.lab import existing
from simulator.store.run_records import installed
from simulator.store.run_store import Store
from simulator.training.curves import Recorder
from simulator.training.evaluation import Evaluator
from simulator.training.session import Session
from simulator.training.tensorboard import EventWriter

if TYPE_CHECKING:
    from simulator.training.export import Export

CALLS = 100  # of a callback in one call of learn
_RUN = re.compile(r"r\d+|latest")

Callback = Callable[[RunSnapshot], Any]


class Trainer:
    """An agent that is trained, used and saved by hand, with the verbs of stable-baselines3.

    Args:
        agent: a name of ``engram list agents`` or a dotted path; or a dict of ``name`` and settings.
        env: a name, or a dict, as for :func:`simulator.run`; or a ``gymnasium.Env``, which is made again by its spec or
            copied for every seed; or a callable that makes one: see :mod:`simulator.external.env_objects`.
        agent_settings: fields of the agent's ``Config``, nested ones as dicts.
        env_settings: fields of the environment's ``Config``.
        tensorboard: folder for event files of TensorBoard, in it one like ``dqn_1`` for each trainer; None: none.
        **settings: as for :func:`simulator.run`; ``seeds`` is 1 by default, and ``steps``, which ends nothing here, is
            the length that schedules of a run refer to.

    Raises:
        ValueError: an unknown name or a bad value, in one line.
    """

    def __init__(
        self,
        agent: Player,
        env: Any,
        *,
        agent_settings: Mapping[str, Any] | None = None,
        env_settings: Mapping[str, Any] | None = None,
        tensorboard: str | Path | None = None,
        **settings: Any,
    ) -> None:
        config = run_config(agent, env, agent_settings, env_settings, {"seeds": 1, "steps": ENDLESS, **settings})
        self._start(config, tensorboard)

    def _start(self, config: RunConfig, tensorboard: str | Path | None = None) -> None:
        self._session = Session(config)
        self._session.recorder = Recorder(self._session.seeds, ENDLESS)  # learn has no end
        self._events = None if tensorboard is None else EventWriter(Path(tensorboard))
        self._name = "trainer" if tensorboard is None else _free_name(Path(tensorboard), config.agent)
        self._history: list[_Part] = []
        self._used: Policy | None = None  # the policy of predict, until the agent learns on
        self._explorer: Any = None  # a copy of the agent that explores, likewise

    @property
    def seeds(self) -> tuple[int, ...]:
        """The seeds, each a learner of its own."""
        return self._session.seeds

    @property
    def observation_space(self) -> spaces.Space[Any]:
        """The space of the environment's observations."""
        return self._spaces.observation

    @property
    def action_space(self) -> spaces.Space[Any]:
        """The space of the actions that ``predict`` returns."""
        return self._spaces.action

    @property
    def failed(self) -> tuple[Failure, ...]:
        """The seeds whose loss was not finite, with the step."""
        return self._session.failed

    @property
    def num_timesteps(self) -> int:
        """Environment steps trained so far, per seed."""
        return self._session.step

    def learn(
        self,
        total_timesteps: int | None = None,
        callback: Callback | None = None,
        *,
        steps: int | None = None,
        progress_bar: bool = False,
    ) -> Trainer:
        """Train every seed for so many more environment steps.

        Args:
            total_timesteps: environment steps per seed.
            callback: called after every hundredth of them with a :class:`simulator.core.snapshots.RunSnapshot`;
                training ends where it returns False.
            steps: another name of ``total_timesteps``.
            progress_bar: show a bar.

        Returns:
            This trainer.

        Raises:
            ValueError: no number of steps, or two; no function; a reward or an observation that is not finite; one
                line.
        """
        if total_timesteps is not None and steps is not None:
            raise ValueError(f"learn: total_timesteps = {total_timesteps} and steps = {steps}: expected one of them")
        n = _count(total_timesteps if steps is None else steps, "learn: total_timesteps", 0)
        if callback is not None and not callable(callback):
            raise ValueError(f"learn: callback = {callback!r:.60}: expected a function of a snapshot, or None")
        session = self._session
        end = session.step + n
        writer = self._events
        bar = ProgressBar(f"{session.config.agent} in {session.config.env}") if progress_bar else None
        self._used = None
        self._explorer = None
        try:
            for stop in _stops(session.step, end):
                before = _totals(session)
                session.play(stop - session.step)
                self._history.append(_Part.between(before, _totals(session), session.step))
                if writer is not None:
                    writer.show(self._snapshot(end))
                if bar is not None:
                    bar.update(session.step, end, "steps")
                if callback is not None and callback(self._snapshot(end)) is False:
                    break
                if session.over:
                    break
        finally:
            if writer is not None:
                writer.close()
            if bar is not None:
                bar.close()
        return self

    def predict(
        self,
        observation: Any,
        state: Any = None,
        episode_start: Any = None,
        deterministic: bool = True,
        *,
        seed: int | None = None,
        reward: Any = None,
    ) -> tuple[Any, Any]:
        """Choose actions by what one seed has learned so far.

        Args:
            observation: one observation as ``env.step`` gives it, or a batch of them, ``[B, *observation]``. Where the
                setting ``keys`` chooses parts of a Dict or a Tuple, the chosen parts or the whole of it: a dict of
                arrays (or of batches of them), a tuple, or a list of such.
            state: what a recurrence carries, as the call before returned it; None: an episode begins.
            episode_start: True where an episode begins with this observation, one for each row of a batch. Policies
                that look at earlier frames (images) need it too; they take the rows of a batch as first observations.
            deterministic: the greedy action (ties at random), by which evaluations play too; False: explore as in
                training, with another stream.
            seed: whose policy; by default the first one's.
            reward: of the step before, for each row; only a recurrence with ``last_reward`` needs it.

        Returns:
            What ``env.step`` takes for one observation, an array ``[B, *action]`` for a batch; and the state that the
            next call takes, a tuple of arrays ``[B, ...]``, None for a policy without a recurrence.

        Raises:
            ValueError: an observation that is not of the space, an unknown seed, a state of another policy, exploration
                from images or with a recurrence, or no reward where a recurrence sees it.
        """
        row = self._row(seed)
        set_device(self._session.config.device)
        env = self._session.env
        chosen = env.chosen_parts(observation) if hasattr(env, "chosen_parts") else observation
        obs, is_single = _batch(chosen, self._spaces.observation, env.spec.observation)
        if self._carries():
            if not deterministic:
                raise ValueError("predict: deterministic = False: expected True with a recurrence")
            return self._predict_carrying(obs, is_single, state, episode_start, row, reward)
        begins = not is_single or self._used is None or (episode_start is not None and bool(np.any(episode_start)))
        act = self._greedy_actions if deterministic else self._exploring_actions
        rows = [act(np.repeat(one[None], len(self.seeds), axis=0), begins) for one in obs]  # [S, *action] each
        actions = _declared_actions(np.stack([actions[row] for actions in rows]), self._spaces.action)
        return (actions[0] if is_single else actions), None

    def _carries(self) -> bool:
        """Tell whether the policy carries a state from step to step."""
        if self._used is None:
            self._used = self._session.agent.policy()
        return isinstance(self._used, CarryingPolicy) and self._used.carried() is not None

    def _predict_carrying(
        self, obs: Array, is_single: bool, state: Any, episode_start: Any, row: int, reward: Any
    ) -> tuple[Any, tuple[Array, ...]]:
        """Choose actions by a recurrence, each row of a batch with a state of its own."""
        policy: Any = self._used
        zero = policy.carried()
        begins = np.ravel(np.asarray(np.zeros(len(obs)) if episode_start is None else episode_start, np.bool_))
        if state is None:
            state = tuple(np.zeros((len(obs), *part.shape[1:]), part.dtype) for part in zero)
            begins = np.ones(len(obs), np.bool_)
        if len(begins) != len(obs):
            raise ValueError(f"predict: episode_start: expected one for each of {len(obs)} observations")
        parts = _state_parts(state, zero, len(obs))
        if reward is None and policy.sees_rewards() and not begins.all():
            raise ValueError("predict: reward is missing: expected that of the step before, which this recurrence sees")
        rewards = np.zeros(len(obs)) if reward is None else np.broadcast_to(np.ravel(reward), len(obs))
        actions, after = [], [np.array(part) for part in parts]
        for b, one in enumerate(obs):
            policy.carry_on(tuple(np.broadcast_to(part[b], like.shape) for part, like in zip(parts, zero, strict=True)))
            if reward is not None:
                policy.see_reward(np.full(len(self.seeds), rewards[b], np.float32))
            first = np.full(len(self.seeds), bool(begins[b]))
            actions.append(np.array(policy.act(np.repeat(one[None], len(self.seeds), axis=0), first))[row])
            for part, carried in zip(after, policy.carried(), strict=True):
                part[b] = carried[row]
        declared = _declared_actions(np.stack(actions), self._spaces.action)
        return (declared[0] if is_single else declared), tuple(after)

    def evaluate(self, episodes: int | None = None, *, max_steps: int | None = None) -> Array:
        """Play greedy episodes on streams of their own, the same each time, and return the mean return, float64 [S].

        Args:
            episodes: of every seed; by default the setting ``eval_episodes``.
            max_steps: steps after which an episode is cut; by default the setting ``eval_max_steps``.

        Returns:
            NaN for a seed that failed or that had an episode cut.

        Raises:
            ValueError: a number that is none, or smaller than 1; one line.
        """
        session = self._session
        config = session.config
        n = (
            eval_episodes(config, session.sees_images)
            if episodes is None
            else _count(episodes, "evaluate: episodes", 1)
        )
        longest = config.eval_max_steps if max_steps is None else _count(max_steps, "evaluate: max_steps", 1)
        set_device(config.device)
        make = registry.load("envs", config.env).make
        evaluator = Evaluator(make, config.env_settings, self.seeds, n, longest)
        return evaluator.evaluate(session.agent, session.step).returns.mean(axis=1)

    def curve(self) -> Curve:
        """Return the training episodes of the calls of ``learn`` so far, in hundredths of each.

        ``mean_return`` [S, P] is a masked array: masked where no episode of a seed ended.
        """
        parts = self._history
        episodes = np.stack([part.episodes for part in parts], axis=1) if parts else np.zeros((len(self.seeds), 0), int)
        total = np.stack([part.return_sum for part in parts], axis=1) if parts else np.zeros((len(self.seeds), 0))
        mean = np.ma.masked_array(total / np.maximum(episodes, 1), mask=episodes == 0)
        return Curve(np.array([part.step for part in parts], np.int64), mean, episodes)

    def export(self, path: str | Path, *, seed: int | None = None, force: bool = False) -> None:
        """Write what was learned as arrays with documented names; see :mod:`simulator.training.export`.

        Args:
            path: ends in ``.npz`` or ``.safetensors``.
            seed: write this one alone, without the seed axis; None: all of them, [S, ...].
            force: replace another file.

        Raises:
            ValueError: another ending, an unknown seed, nothing to export, or a place that cannot be written.
        """
        from simulator.training import export

        export.write(self.exported(seed), Path(path), force=force)

    def exported(self, seed: int | None = None) -> Export:
        """Return what :meth:`export` writes: arrays and words by name."""
        from simulator.training import export

        return export.of_session(self._session, None if seed is None else self._row(seed))

    def save(self, path: str | Path, *, force: bool = False) -> None:
        """Write everything into one file, whole or not at all; over one that ``save`` wrote.

        Args:
            path: the file, not among what a lab stores.
            force: write over any other file too.

        Raises:
            ValueError: another file is there, or the place cannot be written.
        """
        state = {"settings": to_toml(self._session.config), "session": self._session.state()}
        state["versions"] = installed()
        ours = os.path.isfile(path) and checkpoints.is_state(Path(path))
        write_file(Path(path), checkpoints.packed(state), force=force or ours, kind=".safetensors")

    @classmethod
    def load(
        cls,
        source: str | Path,
        env: Any = None,
        *,
        lab: str | Path | None = None,
        tensorboard: str | Path | None = None,
    ) -> Trainer:
        """Load a trainer from a file that ``save`` wrote, or from a stored run.

        A file continues with the same bits. A run, ``Trainer.load("r5")``, is taken from its newest checkpoint, and
        learns on from there without end; the run itself stays as it is.

        Args:
            source: the file, or the id of a run of the lab, or "latest".
            env: play in this environment in place of the stored one; needed where that was an object.
            lab: folder of the stored runs, by default "lab"; with it ``source`` is a run.
            tensorboard: folder for event files of TensorBoard; None: none.

        Raises:
            ValueError: no such file or run, or one that cannot be used.
        """
        if lab is not None or (isinstance(source, str) and _RUN.fullmatch(source) and not os.path.exists(source)):
            return cls._of_run(str(source), "lab" if lab is None else lab, env, tensorboard)
        state = checkpoints.read_file(Path(source))
        if not {"settings", "session"} <= state.keys():
            raise ValueError(f"{source} holds no trainer: expected a file that Trainer.save wrote")
        text = _with_env(state["settings"], env, str(source))
        config = from_stored(RunConfig, text, str(source), state.get("versions", {}))
        trainer = cls._made(config, tensorboard)
        session = trainer._session
        saved = state["session"]
        if saved["recorder"]["episodes"].shape != session.recorder.state()["episodes"].shape:  # with steps, by 0.1.0
            saved = _without_curve(session, saved)
        trainer._restore(saved, str(source))
        return trainer

    @classmethod
    def _of_run(cls, run: str, lab: str | Path, env: Any, tensorboard: str | Path | None) -> Trainer:
        with Store(existing(str(lab))) as store:
            record = store.find(run)
            if record.kind != "run":
                what = noun_of(record.kind)
                raise ValueError(f"{record.run} is a {what}, expected a run of an agent (engram list runs)")
            if env is None:
                config = of_record(RunConfig, record)
            else:
                text = _with_env(record.settings, env, record.run)
                config = from_stored(RunConfig, text, f"settings of {record.run}", record.versions)
            saved = store.newest(record.run)
        if saved is None:
            raise ValueError(f"{record.run} has no checkpoint yet: nothing was learned")
        trainer = cls._made(config, tensorboard)
        trainer._restore(_without_curve(trainer._session, saved.state), record.run)
        return trainer

    @classmethod
    def _made(cls, config: RunConfig, tensorboard: str | Path | None) -> Trainer:
        trainer = cls.__new__(cls)
        trainer._start(config, tensorboard)
        return trainer

    def _restore(self, saved: dict[str, Any], source: str) -> None:
        try:
            self._session.restore(saved)
        except (ValueError, TypeError, KeyError, IndexError) as error:
            config = self._session.config
            said = " ".join(str(error).split())[:100]
            raise ValueError(
                f"{source}: what was learned does not fit {config.agent} in {config.env} ({said})"
            ) from None

    @property
    def _spaces(self) -> Any:
        spec = self._session.env.spec
        return getattr(self._session.env, "spaces", None) or _Spaces(spec.observation, spec.action)

    def _row(self, seed: int | None) -> int:
        if seed is None:
            return 0
        if seed not in self.seeds:
            raise ValueError(f"seed {seed}: expected one of {', '.join(map(str, self.seeds[:8]))}")
        return self.seeds.index(seed)

    def _greedy_actions(self, obs: Array, begins: bool) -> Array:
        """Return copies of the greedy actions at obs [S, *obs]; ``begins``: an episode begins there."""
        if self._used is None:
            self._used = self._session.agent.policy()
        return np.array(self._used.act(obs, np.full(len(self.seeds), begins, np.bool_)))

    def _exploring_actions(self, obs: Array, begins: bool) -> Array:
        """Return copies of exploring actions; of a copy of the agent, which leaves the learner alone."""
        if self._explorer is None:
            session = self._session
            space = session.env.spec.observation
            if space.dtype == np.uint8 and len(space.shape or ()) > 1:
                raise ValueError("predict: deterministic = False: expected True, images are explored in training only")
            plugin = registry.load("agents", session.config.agent)
            settings = of_run(session.config.agent_settings, session.config.steps)
            copy = plugin.make(session.env.spec, list(self.seeds), settings)
            copy.restore(session.agent.state())
            copy.act(session.env.observe())  # Sarsa has chosen this one already, for the training's own observation
            self._explorer = copy
        return np.array(self._explorer.act(obs))

    def _snapshot(self, end: int) -> RunSnapshot:
        session = self._session
        return RunSnapshot(
            id=self._name,
            agent=session.config.agent,
            env=session.config.env,
            phase="training" if session.step < end else "done",
            seeds=session.seeds,
            step=session.step,
            steps=end,
            seconds=0.0,
            cpu_seconds=0.0,
            training_seconds=0.0,
            training_cpu_seconds=0.0,
            curve=self.curve(),
            metrics={name: values.copy() for name, values in session.metrics.items()},
            exact=session.exact,
            failed=session.failed,
        )

    def __repr__(self) -> str:
        config = self._session.config
        n = len(self.seeds)
        seeds = plural(n, "seed")
        failed = f", {len(self.failed)} failed" if self.failed else ""
        return f"<Trainer: {config.agent} in {config.env}, {seeds}, {self.num_timesteps:,} steps trained{failed}>"


class _Spaces(NamedTuple):
    observation: spaces.Space[Any]
    action: spaces.Space[Any]


class _Totals(NamedTuple):
    """Training episodes of every seed since the trainer began."""

    episodes: Array  # int64 [S]
    return_sum: Array  # float64 [S]


class _Part(NamedTuple):
    """Training episodes of a part of ``learn``."""

    step: int  # at its end
    episodes: Array  # int64 [S]
    return_sum: Array  # float64 [S]

    @classmethod
    def between(cls, before: _Totals, after: _Totals, step: int) -> _Part:
        return cls(step, after.episodes - before.episodes, after.return_sum - before.return_sum)


def _totals(session: Session) -> _Totals:
    state = session.recorder.state()
    return _Totals(state["episodes"].sum(axis=1), state["return_sum"].sum(axis=1))


def _free_name(folder: Path, agent: str) -> str:
    """Return a name that has no folder yet: ``dqn_1``, ``dqn_2``."""
    label = re.sub(r"[^0-9A-Za-z_.-]", "_", label_of(agent))
    return next(name for n in itertools.count(1) if not (folder / (name := f"{label}_{n}")).exists())


def _count(value: Any, what: str, least: int) -> int:
    """Return a whole number, also one that is written as a float, such as 1e5.

    Raises:
        ValueError: something else, or less than ``least``; one line.
    """
    is_number = isinstance(value, int | float | np.integer | np.floating) and not isinstance(value, bool)
    if not is_number or not float(value).is_integer() or value < least:
        raise ValueError(f"{what} = {value!r:.60}: expected a whole number >= {least}")
    return int(value)


def _stops(start: int, end: int) -> list[int]:
    """Return the steps at which ``learn`` calls back."""
    n = min(CALLS, end - start)
    return [start + (end - start) * (at + 1) // n for at in range(n)]


def _without_curve(session: Session, saved: dict[str, Any]) -> dict[str, Any]:
    """Return the state of a run for a trainer, whose curve begins anew; the running episodes go on."""
    kept = {name: saved["recorder"][name] for name in ("step", "running")}
    return {**saved, "recorder": {**session.recorder.state(), **kept}}


def _with_env(settings: str, env: Any, where: str) -> str:
    """Return the stored settings with another environment, where one is given."""
    import tomli_w

    tables = parse_toml(settings)
    if env is None:
        if env_objects.is_object(tables["env"]["name"]):
            raise ValueError(f"{where}: its environment was an object: expected env=, the environment to play in")
        return settings
    named = env_objects.named(env)
    return tomli_w.dumps({**tables, "env": {"name": named.name, **named.settings}})


def _batch(observation: Any, declared: spaces.Space[Any], seen: spaces.Space[Any]) -> tuple[Array, bool]:
    """Return observations [B, *obs] as agents see them, and whether it was a single one.

    Raises:
        ValueError: it is no observation of the environment, and no batch of them; one line.
    """
    expected = f"expected an observation of {' '.join(str(declared).split())[:120]}, or a batch of them"
    finite = isinstance(seen, spaces.Discrete)
    try:
        if finite and isinstance(declared, spaces.Tuple | spaces.MultiDiscrete):
            values, is_single = _indices(observation, declared)
        else:
            values = np.asarray(observation)
            shape = seen.shape or ()
            is_single = values.shape == shape
            if not is_single and values.shape[1:] != shape:
                raise ValueError("its shape")
            values = values[None] if is_single else values
            if finite:
                if values.dtype.kind not in "iu":
                    raise ValueError("its type")
                values = values - int(getattr(declared, "start", 0))
        if not values.size or values.dtype.kind not in "biuf":
            raise ValueError("empty, or no numbers")
        if finite and ((values < 0) | (values >= seen.n)).any():  # type: ignore[attr-defined]
            raise ValueError("its range")
    except (ValueError, TypeError):
        shown = " ".join(np.array2string(np.asarray(observation, object), threshold=4).split())[:60]
        raise BadInputError(f"predict: {shown}: {expected}") from None
    return values.astype(seen.dtype), is_single


def _state_parts(state: Any, like: tuple[Array, ...], n_rows: int) -> tuple[Array, ...]:
    """Return the parts of a state for ``predict``, arrays [B, ...].

    Raises:
        ValueError: ``predict`` of this policy returned no such state; one line.
    """
    try:
        parts = tuple(np.asarray(part, zero.dtype) for part, zero in zip(state, like, strict=True))
        if all(part.shape == (n_rows, *zero.shape[1:]) for part, zero in zip(parts, like, strict=True)):
            return parts
    except (ValueError, TypeError):
        pass
    raise ValueError(f"predict: state: expected what predict returned, or None, for each of {n_rows} observations")


def _indices(observation: Any, declared: Any) -> tuple[Array, bool]:
    """Return the row-major indices [B] of values of finite parts, and whether it was a single value."""
    if isinstance(declared, spaces.Tuple):
        sizes = [int(part.n) for part in declared.spaces]  # type: ignore[attr-defined]
        starts = [int(part.start) for part in declared.spaces]  # type: ignore[attr-defined]
    else:
        sizes = [int(n) for n in np.ravel(declared.nvec)]
        starts = [int(start) for start in np.ravel(declared.start)]
    parts = np.asarray(observation, np.int64)
    if isinstance(observation, tuple) and parts.ndim == 2:
        parts = parts.T  # a tuple of columns, as Gymnasium's vector environments have it
    is_single = parts.size == len(sizes) and parts.ndim == max(1, np.ndim(getattr(declared, "nvec", [0])))
    parts = parts.reshape(-1, len(sizes)) - starts
    return np.ravel_multi_index(tuple(parts.T), sizes), is_single


def _declared_actions(actions: Array, declared: spaces.Space[Any]) -> Array:
    """Return actions as the environment takes them: those of a Discrete space count from its start."""
    start = int(getattr(declared, "start", 0)) if isinstance(declared, spaces.Discrete) else 0
    return actions + start if start else actions
