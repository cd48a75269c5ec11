"""Learned state of a stored run, as the start of another run and as a contestant that does not learn any more.

A reference names the run and what it had learned: ``r5`` is resolved once, to ``/home/me/lab/r5#0123456789abcdef``,
its lab's folder and the beginning of the SHA-256 of its agents' state without their replay. A run that has trained on
since is refused: it would be another start.
"""

from __future__ import annotations

import hashlib
import os
from pathlib import Path
from typing import NamedTuple

from simulator.config.codec import of_record
from simulator.config.run import RunConfig
from simulator.core import registry
from simulator.core.experiment_kinds import RUN
from simulator.core.foreign.faults import FOREIGN
from simulator.core.protocols import Array, EnvSpec, Policy, State
from simulator.store import checkpoints
from simulator.store.lab import existing
from simulator.store.run_store import Store
from simulator.training.session import Session


class StoredAgents(NamedTuple):
    """The agents of a stored run."""

    run: str
    config: RunConfig
    step: int
    agent: State


def reference(run: str, lab: str | Path) -> str:
    """Resolve ``r5``, ``latest`` or ``folder/r5`` to the reference of what the run has learned so far.

    Raises:
        ValueError: there is no such run, or it has learned nothing; one line.
    """
    if "#" in run:
        return run
    folder, _, name = run.rpartition("/")
    where = Path(folder or lab).resolve()
    found = _read(where, name)
    return f"{where / found.run}#{_fingerprint(found.agent)}"


def read(named: str) -> StoredAgents:
    """Read what a reference names.

    Raises:
        ValueError: there is no such run any more, or it has trained on since; one line.
    """
    place, _, expected = named.rpartition("#")
    found = _read(Path(place).parent, Path(place).name)
    if _fingerprint(found.agent) != expected:
        raise ValueError(f"{found.run} has trained on, to step {found.step:,}: what it had learned before is not kept")
    return found


def begin(session: Session, named: str) -> None:
    """Let the agents of a new session begin with what those of a stored run have learned, each seed with its own.

    Raises:
        ValueError: another agent, number of seeds, spaces, or a device whose weights lie in another order; one line.
    """
    found = read(named)
    theirs = found.config
    if theirs.agent != session.config.agent:
        raise ValueError(f"{found.run} trained {theirs.agent}, expected a run of {session.config.agent}")
    if theirs.seeds != session.config.seeds:
        raise ValueError(f"{found.run} has {theirs.seeds} seeds, expected the same number (--seeds {theirs.seeds})")
    check_spaces(found, session.env.spec)
    here = session.config.device
    if (here == "cpu") != (theirs.device == "cpu") and not session.has_images:
        why = f"weights of networks that see vectors lie in another order on {here}"
        raise ValueError(f"{found.run} trained on {theirs.device}, expected --device {theirs.device}: {why}")
    try:
        session.agent.restore(found.agent)
    except FOREIGN as error:
        said = " ".join(str(error).split())
        raise ValueError(f"what {found.run} learned does not fit these settings of {theirs.agent}: {said}") from None


def check_spaces(found: StoredAgents, spec: EnvSpec) -> None:
    """Refuse an environment with other observations or actions than those that a run was trained on.

    Raises:
        ValueError: it has others; one line.
    """
    own = registry.load("envs", found.config.env).make([0], found.config.env_settings).spec
    for what in ("observation", "action"):
        learned, there = getattr(own, what), getattr(spec, what)
        if learned != there:
            shown = " ".join(f"{learned} as in {found.config.env}, found {there}".split())
            raise ValueError(f"{found.run} in {spec.id}: expected {what}s {shown}")


class SeedPolicy:
    """The policy of one seed of a stored run, as of one seed alone; see :class:`simulator.core.protocols.Policy`."""

    def __init__(self, policy: Policy, row: int, n_seeds: int) -> None:
        self._policy = policy
        self._row = slice(row, row + 1)
        self._n_seeds = n_seeds

    def act(self, obs: Array, first: Array) -> Array:
        """Return the greedy action, [1], at obs [1, *obs]."""
        return self._policy.act(obs.repeat(self._n_seeds, axis=0), first.repeat(self._n_seeds))[self._row]

    def probs(self, obs: Array) -> Array | None:
        """Return action probabilities [1, B, A]."""
        probs = self._policy.probs(obs)
        return None if probs is None else probs[self._row]

    def values(self, obs: Array) -> Array | None:
        """Return action values [1, B, A]."""
        values = self._policy.values(obs)
        return None if values is None else values[self._row]


def _read(lab: Path, run: str) -> StoredAgents:
    with Store(existing(os.fspath(lab))) as store:
        record = store.find(run)
        if record.kind != RUN:
            raise ValueError(f"{record.run} is no run of an agent, expected one (engram list runs)")
        config = of_record(RunConfig, record)
        saved = store.newest(record.run)
    if saved is None:
        raise ValueError(f"{record.run} has no checkpoint yet: nothing was learned")
    return StoredAgents(record.run, config, saved.progress.step, saved.state["agent"])


def _fingerprint(agent: State) -> str:
    without_replay = {name: value for name, value in agent.items() if name != "replay"}
    return hashlib.sha256(checkpoints.packed(without_replay)).hexdigest()[:16]
