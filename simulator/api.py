"""Engram from Python: ``run``, ``recall``, ``predict``, ``tournament``, ``tune``; ``load`` what is stored; ``Trainer``.

All of them take players alike, by name or as a dict with settings (:mod:`simulator.arguments`), and share ``lab``,
``label``, ``progress`` and ``callback``; the other keywords are the experiment's own settings, as in its TOML file.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Generator, Mapping
from functools import partial
from pathlib import Path
from typing import Any

from simulator.arguments import Player, Players, one, run_config, several
from simulator.config.tournament import PLACES, SIDES
from simulator.core.experiment_kinds import PREDICT, RECALL, TOURNAMENT, TUNE
from simulator.core.notices import forget_notices
from simulator.core.snapshots import PredictSnapshot, RecallSnapshot, RunSnapshot, TournamentSnapshot, TuneSnapshot
from simulator.external import env_objects
from simulator.progress import ProgressBar
from simulator.results import PredictResult, RecallResult, RunResult, TournamentResult, TuneResult
from simulator.store.cell_store import CellStore, kind_of
from simulator.store.lab import existing
from simulator.store.run_store import Store
from simulator.trainer import Trainer
from simulator.training import loop

__all__ = [
    "PredictResult",
    "RecallResult",
    "RunResult",
    "TournamentResult",
    "Trainer",
    "TuneResult",
    "load",
    "predict",
    "recall",
    "run",
    "tournament",
    "tune",
]

Result = RunResult | RecallResult | PredictResult | TournamentResult | TuneResult


def run(
    agent: Player,
    env: Player,
    *,
    lab: str | Path | None = "lab",
    agent_settings: Mapping[str, Any] | None = None,
    env_settings: Mapping[str, Any] | None = None,
    label: str = "",
    progress: bool = False,
    callback: Callable[[RunSnapshot], Any] | None = None,
    tensorboard: str | Path | None = None,
    keep_replay: bool = False,
    **settings: Any,
) -> RunResult:
    """Train and evaluate an agent in an environment, and store it in the lab.

    Args:
        agent: a name of ``engram list agents``, a dotted path or the path of a file; or a dict of ``name`` and
            settings.
        env: a name of ``engram list envs``, a Gymnasium id, ``module:EnvId`` or a path; or a dict likewise. An
            environment that is made by its id alone may also be given itself.
        lab: folder of the stored runs; None: "lab".
        agent_settings: fields of the agent's ``Config``, nested ones as dicts; over those in ``agent``.
        env_settings: fields of the environment's ``Config``; over those in ``env``.
        label: name for people in lists and reports.
        keep_replay: keep the replay, so that ``engram resume --steps`` trains on as if the run had never ended.
        progress: show a progress bar.
        callback: called with a :class:`simulator.core.snapshots.RunSnapshot` about ten times a second; where it
            returns False the run is interrupted with a checkpoint, and ``engram resume`` continues it.
        tensorboard: folder for event files of TensorBoard; None: none.
        **settings: ``seeds``, ``first_seed``, ``steps``, ``eval_every``, ``eval_episodes``, ``eval_max_steps``,
            ``threads``, ``device``.

    Raises:
        ValueError: an unknown name or a bad value, in one line.
    """
    lab = "lab" if lab is None else lab
    config = run_config(agent, env, agent_settings, env_settings, settings)
    if env_objects.is_object(config.env):
        raise ValueError(
            f"environment {config.env}: a stored run is made again by names; expected a name, an environment that "
            "its id describes, or a Trainer"
        )
    forget_notices()
    writer = None
    if tensorboard is not None:
        from simulator.training.tensorboard import EventWriter

        writer = EventWriter(Path(tensorboard))
    with Store(lab) as store:
        snapshots = loop.run(config, store, label=label, keep_replay=keep_replay)
        try:
            name = _drive(snapshots, progress, _both(None if writer is None else writer.show, callback))
        finally:
            if writer is not None:
                writer.close()
    return RunResult(lab, name)


def recall(
    memories: Players,
    challenge: Player,
    *,
    lab: str | Path | None = "lab",
    memory_settings: Mapping[str, Any] | None = None,
    challenge_settings: Mapping[str, Any] | None = None,
    label: str = "",
    progress: bool = False,
    callback: Callable[[RecallSnapshot], Any] | None = None,
    **settings: Any,
) -> RecallResult:
    """Benchmark memories on the same corrupted patterns, and store the result in the lab.

    Args:
        memories: names of ``engram list memories`` or of presets, one or a list; or dicts; or label -> settings with a
            ``name``.
        challenge: a name of ``engram list challenges``, or a dotted path; or a dict of ``name`` and settings.
        lab: folder of the stored benchmarks; None: "lab".
        memory_settings: fields of every memory's ``Config``.
        challenge_settings: fields of the challenge's ``Config``.
        label: name for people in lists and reports.
        progress: show a progress bar.
        callback: called with a :class:`simulator.core.snapshots.RecallSnapshot` after every cell; where it returns
            False the benchmark is interrupted, and ``engram resume`` continues it.
        **settings: ``patterns``, ``corruption``, ``seeds``, ``first_seed``, ``cues``, ``novel``, ``basin``,
            ``capacity``.

    Returns:
        The stored benchmark; as a dict it is the JSON object of ``engram recall``, see
        :func:`simulator.recall.summary.summary`.

    Raises:
        ValueError: an unknown name, a bad value, or patterns that a memory cannot store, in one line.
    """
    from simulator.config import recall as recall_config
    from simulator.recall import loop as recall_loop

    lab = "lab" if lab is None else lab
    tables = {
        "memory": several("memory", memories, memory_settings),
        "challenge": one("challenge", challenge, challenge_settings),
    }
    config = recall_config.build({**settings, **tables})
    forget_notices()
    with Store(lab) as store:
        name = _drive(recall_loop.recall(config, store, label=label), progress, callback)
    return RecallResult(lab, name)


def predict(
    task: Player,
    methods: Players = (),
    *,
    lab: str | Path | None = "lab",
    task_settings: Mapping[str, Any] | None = None,
    label: str = "",
    progress: bool = False,
    callback: Callable[[PredictSnapshot], Any] | None = None,
    **settings: Any,
) -> PredictResult:
    """Compare methods and memories that predict the same, and store the result in the lab.

    Args:
        task: a name of ``engram list tasks``, or a dict of ``name`` and settings.
        methods: names of the task's methods, of memories or of presets, one or a list; or dicts; or label -> settings
            with a ``name``; none: the task's own.
        lab: folder of the stored comparisons; None: "lab".
        task_settings: fields of the task's ``Config``.
        label: name for people in lists and reports.
        progress: show a progress bar.
        callback: called with a :class:`simulator.core.snapshots.PredictSnapshot` after every cell; where it returns
            False the comparison is interrupted, and ``engram resume`` continues it.
        **settings: ``seeds``, ``first_seed``, ``skip``, ``threads``.

    Returns:
        The stored comparison; as a dict it is the JSON object of ``engram predict``, see
        :func:`simulator.prediction.summary.summary`.

    Raises:
        ValueError: an unknown name, a bad value, or a contestant that cannot predict, in one line.
    """
    from simulator.config import predict as predict_config
    from simulator.prediction import loop as predict_loop

    lab = "lab" if lab is None else lab
    tables = {"method": several("method", methods), "task": one("task", task, task_settings)}
    config = predict_config.build({**settings, **tables})
    forget_notices()
    with Store(lab) as store:
        name = _drive(predict_loop.predict(config, store, label=label), progress, callback)
    return PredictResult(lab, name)


def tournament(
    *,
    agents: Players = (),
    envs: Players = (),
    memories: Players = (),
    challenges: Players = (),
    players: Players = (),
    games: Players = (),
    lab: str | Path | None = "lab",
    label: str = "",
    workers: str | int = "0",
    progress: bool = False,
    callback: Callable[[TournamentSnapshot], Any] | None = None,
    **settings: Any,
) -> TournamentResult:
    """Run what is missing of a tournament, and rank its contestants, with confidence intervals.

    Args:
        agents: agents that compete in ``envs``: names, dicts, or label -> settings.
        envs: environments, likewise.
        memories: memories that compete in ``challenges``, likewise.
        challenges: recall challenges, likewise.
        players: agents and strategies that play ``games``, likewise.
        games: games, likewise.
        lab: folder of the stored tournaments, whose cells are reused; None: "lab".
        label: name for people in lists and reports.
        workers: where cells run, as ``--workers``: a number of processes, ``ray`` or ``ray://ADDRESS``.
        progress: show a progress bar.
        callback: called with a :class:`simulator.core.snapshots.TournamentSnapshot` whenever a cell has ended and in
            between; where it returns False the tournament is interrupted, and ``engram resume`` continues it.
        **settings: ``seeds``, ``steps`` and so on; and the tables of a tournament's file as they stand there, such as
            ``agent={"q": {"name": "q_learning"}}, env={"rooms": {"layout": "four"}}``.

    Returns:
        The stored tournament; as a dict it is the JSON object of ``engram tournament``, see
        :func:`simulator.tournaments.summary.summary`.

    Raises:
        ValueError: an unknown name or a bad value, in one line.
    """
    from simulator.config import tournament as tournament_config
    from simulator.tournaments import loop as tournament_loop
    from simulator.tournaments.workers.local import workers_of

    lab = "lab" if lab is None else lab
    given = {"agent": agents, "env": envs, "memory": memories, "challenge": challenges}
    given |= {"player": players, "game": games}
    tables = dict(settings)
    for table in (*SIDES, *PLACES):
        if given[table]:
            tables[table] = {**tables.get(table, {}), **several(table, given[table])}
    config = tournament_config.build(tables)
    with CellStore(lab) as store:
        snapshots = tournament_loop.play(config, store, partial(workers_of, str(workers)), label=label)
        name = _drive(snapshots, progress, callback)
    return TournamentResult(lab, name)


def tune(
    player: Player,
    place: Player,
    space: Mapping[str, Any],
    *,
    lab: str | Path | None = "lab",
    label: str = "",
    workers: str | int = "0",
    progress: bool = False,
    callback: Callable[[TuneSnapshot], Any] | None = None,
    **settings: Any,
) -> TuneResult:
    """Search settings of an agent or a memory, and judge the best on fresh seeds; or go on with the same search.

    Args:
        player: agent or memory, by name or as a dict of name and settings.
        place: its environment or challenge, likewise.
        space: name of a setting -> a list of values, or a dict of ``low``, ``high`` and ``log``; the names of settings
            in tables are dotted: ``{"explore.epsilon_start": [0.1, 0.3]}``.
        lab: folder of the stored experiments, whose cells are reused; None: "lab".
        label: name for people in lists and reports.
        workers: where cells run, as ``--workers``: a number of processes, ``ray`` or ``ray://ADDRESS``.
        progress: show a progress bar.
        callback: called with a :class:`simulator.core.snapshots.TuneSnapshot` whenever a cell has ended and in between;
            where it returns False the search is interrupted, and the same call, or ``engram resume``, continues it.
        **settings: ``search``, ``trials``, ``seeds``, ``steps`` and so on, as in a file of ``engram tune``.

    Returns:
        The stored search; as a dict it is the JSON object of ``engram tune``, see
        :func:`simulator.tuning.summary.summary`.

    Raises:
        ValueError: an unknown name, a bad value or a bad range, in one line.
    """
    from simulator.config import tune as tune_config
    from simulator.tournaments.workers.local import workers_of
    from simulator.tuning import loop as tune_loop

    lab = "lab" if lab is None else lab
    (table, _), (of_place, _) = tune_config.named(_name_of(player), _name_of(place)).items()
    nested = tune_config.nested_space({f"{table}.{name}": entry for name, entry in space.items()})
    config = tune_config.build({**settings, table: one(table, player), of_place: one(of_place, place), "space": nested})
    with CellStore(lab) as store:
        snapshots = tune_loop.tune(config, store, partial(workers_of, str(workers)), label=label)
        name = _drive(snapshots, progress, callback)
    return TuneResult(lab, name)


def _name_of(player: Player) -> str:
    return str(player["name"]) if isinstance(player, Mapping) else str(player)


def load(run: str | Path = "latest", name: str | None = None, *, lab: str | Path | None = None) -> Result:
    """Load a stored experiment of any kind: ``load("r5")``, ``load("t1", lab="mylab")``, ``load()``.

    Args:
        run: its id, or "latest"; or the folder of a lab, with the id behind it: ``load("mylab", "r5")``.
        name: the id, where ``run`` is a lab's folder.
        lab: folder of the lab; by default "lab".

    Raises:
        ValueError: there is no such lab or experiment; nothing is created.
    """
    if name is None and lab is None and (os.path.isdir(run) or os.sep in str(run)):
        name = "latest"
    where, wanted = ("lab" if lab is None else lab, run) if name is None else (run, name)
    kind = kind_of(existing(str(where)), str(wanted))
    results: Mapping[str, Callable[[str | Path, str], Result]] = {
        RECALL: RecallResult,
        PREDICT: PredictResult,
        TOURNAMENT: TournamentResult,
        TUNE: TuneResult,
    }
    return results.get(kind, RunResult)(where, str(wanted))


def _both(first: Callable[[Any], Any] | None, second: Callable[[Any], Any] | None) -> Callable[[Any], Any] | None:
    """Return a callback that calls both, and returns what the second one does."""
    if first is None or second is None:
        return first or second

    def call(snapshot: Any) -> Any:
        first(snapshot)
        return second(snapshot)

    return call


def _drive(snapshots: Generator[Any, None, None], progress: bool, callback: Callable[[Any], Any] | None) -> str:
    """Drive an experiment to its end, or until the callback returns False; return its id."""
    bar: ProgressBar | None = None
    try:
        for snapshot in snapshots:
            name = str(snapshot.id)
            if progress:
                bar = bar or ProgressBar(name)
                bar.update(snapshot.progress.done, snapshot.progress.total, f"{snapshot.progress.unit}s")
            if callback is not None and callback(snapshot) is False:
                snapshots.close()  # with a checkpoint
                break
    finally:
        snapshots.close()
        if bar is not None:
            bar.close()
    return name
