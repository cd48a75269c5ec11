"""Engram from Python: ``run``, ``recall`` and ``tournament`` for experiments, ``Trainer`` as in stable-baselines3."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from simulator.config.codec import from_stored, to_toml
from simulator.config.run import RunConfig, build
from simulator.core.field_types import ENDLESS
from simulator.core.files.writing import write_file
from simulator.core.notices import forget_notices
from simulator.core.protocols import Array, Curve, Failure
from simulator.store import checkpoints
from simulator.store.run_records import installed
from simulator.store.run_store import Store
from simulator.training import loop, summary


class RunResult:
    """A stored run, read from its lab.

    Args:
        lab: the lab's folder.
        run: the run's id, or "latest".
    """

    def __init__(self, lab: str | Path, run: str = "latest") -> None:
        self._lab = Path(lab)
        with Store(self._lab) as store:
            self.run = store.find(run).run
            self.summary = summary.summary(store, self.run)

    @property
    def evaluation(self) -> Array:
        """Each seed's mean return of the last greedy evaluation, float64 [S]; NaN for one that failed."""
        return np.array(self.summary["evaluation"]["per_seed"], np.float64)

    @property
    def exact(self) -> Array | None:
        """Each seed's exact expected return, float64 [S]; None where the environment is no finite MDP."""
        exact = self.summary["evaluation"]["exact_per_seed"]
        return None if exact is None else np.array(exact, np.float64)

    def curve(self) -> Curve:
        """Return the training curve: steps [P], mean_return [S, P] and episodes [S, P]."""
        with Store(self._lab) as store:
            return summary.curve(store, self.run)

    def evaluations(self) -> tuple[Array, Array]:
        """Return all evaluations: steps [K] and scores [S, K], exact where possible."""
        with Store(self._lab) as store:
            return summary.evaluation_scores(store, store.find(self.run))

    def __repr__(self) -> str:
        summary = self.summary
        seeds = f"{len(summary['seeds'])} seeds, IQM {summary['evaluation']['iqm']}"
        return f"<{self.run}: {summary['agent']} in {summary['env']}, {seeds}, {summary['status']}>"


def run(
    agent: str,
    env: str,
    *,
    lab: str | Path = "lab",
    agent_settings: Mapping[str, Any] | None = None,
    env_settings: Mapping[str, Any] | None = None,
    label: str = "",
    keep_replay: bool = False,
    **settings: Any,
) -> RunResult:
    """Train and evaluate an agent in an environment, and store it in the lab.

    Args:
        agent: a name of ``engram list agents``, or a dotted path.
        env: a name of ``engram list envs``, a Gymnasium id, ``module:EnvId`` or a dotted path.
        lab: folder of the stored runs.
        agent_settings: fields of the agent's ``Config``, nested ones as dicts.
        env_settings: fields of the environment's ``Config``.
        label: name for people in lists and reports.
        keep_replay: keep the replay, so that ``engram resume --steps`` trains on as if the run had never ended.
        **settings: ``seeds``, ``first_seed``, ``steps``, ``eval_every``, ``eval_episodes``,
            ``eval_max_steps``, ``threads``, ``device``.

    Raises:
        ValueError: an unknown name or a bad value, in one line.
    """
    config = _config(agent, env, agent_settings, env_settings, settings)
    forget_notices()
    with Store(lab) as store:
        for snapshot in loop.run(config, store, label=label, keep_replay=keep_replay):
            name = snapshot.id
    return RunResult(lab, name)


def load(lab: str | Path = "lab", run: str = "latest") -> RunResult:
    """Load a stored run."""
    return RunResult(lab, run)


class Trainer:
    """An agent that is trained, used and saved by hand, with the verbs of stable-baselines3.

    Args:
        agent: as in :func:`run`.
        env: as in :func:`run`.
        agent_settings: fields of the agent's ``Config``.
        env_settings: fields of the environment's ``Config``.
        **settings: as in :func:`run`; ``seeds`` is 1 by default.
    """

    def __init__(
        self,
        agent: str,
        env: str,
        *,
        agent_settings: Mapping[str, Any] | None = None,
        env_settings: Mapping[str, Any] | None = None,
        **settings: Any,
    ) -> None:
        self._start(_config(agent, env, agent_settings, env_settings, {"seeds": 1, "steps": ENDLESS, **settings}))

    def _start(self, config: RunConfig) -> None:
        self._session = loop.Session(config)

    @property
    def failed(self) -> tuple[Failure, ...]:
        """The seeds whose loss was not finite, with the step."""
        return self._session.failed

    @property
    def num_timesteps(self) -> int:
        """Environment steps trained so far, per seed."""
        return self._session.step

    def learn(self, total_timesteps: int) -> Trainer:
        """Train every seed for so many more environment steps; returns itself."""
        self._session.play(total_timesteps)
        return self

    def predict(self, observation: Any) -> tuple[Array, None]:
        """Return greedy actions [S] at one observation for all seeds or at obs [S, *obs]; and None, as SB3 does."""
        obs = np.asarray(observation)
        if obs.shape == self._session.env.spec.observation.shape:
            obs = np.repeat(obs[None], len(self._session.seeds), axis=0)
        return self._session.agent.policy().act(obs, np.ones(len(obs), np.bool_)), None

    def evaluate(self) -> Array:
        """Play ``eval_episodes`` greedy episodes on streams of their own and return the mean return, float64 [S].

        It is NaN for a seed with an episode that did not end within ``eval_max_steps``.
        """
        return self._session.evaluator().evaluate(self._session.agent, self._session.step).returns.mean(axis=1)

    def save(self, path: str | Path, *, force: bool = False) -> None:
        """Write everything into one file, whole or not at all; over one that ``save`` wrote.

        Args:
            path: the file, outside of every lab.
            force: write over any other file too.

        Raises:
            ValueError: another file is there, or the place cannot be written.
        """
        state = {"settings": to_toml(self._session.config), "session": self._session.state()}
        state["versions"] = installed()
        ours = os.path.isfile(path) and checkpoints.is_state(Path(path))
        write_file(Path(path), checkpoints.packed(state), force=force or ours, kind=".safetensors")

    @classmethod
    def load(cls, path: str | Path) -> Trainer:
        """Load a trainer that continues from the saved one, with the same bits.

        Raises:
            ValueError: no such file, or not one that ``save`` wrote.
        """
        state = checkpoints.read_file(Path(path))
        if not {"settings", "session"} <= state.keys():
            raise ValueError(f"{path} holds no trainer: expected a file that Trainer.save wrote")
        trainer = cls.__new__(cls)
        trainer._start(from_stored(RunConfig, state["settings"], str(path), state.get("versions", {})))
        trainer._session.restore(state["session"])
        return trainer


def recall(
    memories: str | Sequence[str] | Mapping[str, Mapping[str, Any]],
    challenge: str,
    *,
    lab: str | Path = "lab",
    challenge_settings: Mapping[str, Any] | None = None,
    label: str = "",
    **settings: Any,
) -> dict[str, Any]:
    """Benchmark memories on the same corrupted patterns, and store the result in the lab.

    Args:
        memories: names of ``engram list memories`` or of presets; or label -> settings with a ``name``.
        challenge: a name of ``engram list challenges``, or a dotted path.
        lab: folder of the stored benchmarks.
        challenge_settings: fields of the challenge's ``Config``.
        label: name for people in lists and reports.
        **settings: ``patterns``, ``corruption``, ``seeds``, ``first_seed``, ``cues``, ``novel``, ``basin``,
        ``capacity``.

    Returns:
        The JSON object of ``engram recall``; see :func:`simulator.recall.summary.summary`.

    Raises:
        ValueError: an unknown name, a bad value, or patterns that a memory cannot store, in one line.
    """
    from simulator.config import recall as recall_config
    from simulator.recall import loop as recall_loop
    from simulator.recall import summary as recall_summary

    listed = [memories] if isinstance(memories, str) else memories
    named = listed if isinstance(listed, Mapping) else {name.replace("-", "_"): {"name": name} for name in listed}
    tables = {"memory": named, "challenge": {"name": challenge, **(challenge_settings or {})}}
    config = recall_config.build({**settings, **tables})
    forget_notices()
    with Store(lab) as store:
        for snapshot in recall_loop.recall(config, store, label=label):
            name = snapshot.id
        return recall_summary.summary(store, name)


def tournament(
    *,
    lab: str | Path = "lab",
    label: str = "",
    workers: str | int = "0",
    **tables: Any,
) -> dict[str, Any]:
    """Run what is missing of a tournament, and rank its contestants, with confidence intervals.

    Args:
        lab: folder of the stored tournaments; cells that it holds are reused.
        label: name for people in lists and reports.
        workers: where cells run, as ``--workers``: a number of processes, ``ray`` or ``ray://ADDRESS``.
        **tables: the contents of a tournament's file: ``agent={"q": {"name": "q_learning"}, "td": {}}``,
            ``env={"rooms": {"layout": "four"}}``, ``memory``, ``challenge``, ``player``, ``game``, ``seeds``,
            ``steps`` and so on.

    Returns:
        The JSON object of ``engram tournament``; see :func:`simulator.tournaments.summary.summary`.

    Raises:
        ValueError: an unknown name or a bad value, in one line.
    """
    from simulator.config import tournament as tournament_config
    from simulator.store.cell_store import CellStore
    from simulator.tournaments import loop as tournament_loop
    from simulator.tournaments import summary as tournament_summary
    from simulator.tournaments.workers.local import workers_of

    config = tournament_config.build(tables)
    with CellStore(lab) as store:
        for snapshot in tournament_loop.play(config, store, lambda n: workers_of(str(workers), n), label=label):
            name = snapshot.id
        return tournament_summary.summary(store, name)


def _config(
    agent: str,
    env: str,
    agent_settings: Mapping[str, Any] | None,
    env_settings: Mapping[str, Any] | None,
    settings: Mapping[str, Any],
) -> RunConfig:
    tables = {"agent": {"name": agent, **(agent_settings or {})}, "env": {"name": env, **(env_settings or {})}}
    return build({**settings, **tables})
