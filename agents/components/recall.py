"""Recall: a memory of the league cleans what the agent sees.

The observation is a cue, and what the memory recalls of it is what the agent sees in its place. The memory stores the
patterns that the environment damages, where it gives them (``spec.patterns``), or else the most frequent observations
of random play. Where the damage is known (``spec.corruption``, or ``flip``), a memory that can use it is given the
evidence of every unit. Two values a unit can have become -1 and +1.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from copy import copy
from dataclasses import asdict, dataclass, field
from typing import Annotated, Any, Literal

import msgspec
import numpy as np
from gymnasium import spaces
from msgspec import Meta

from agents.common.encoders.codes import pattern_panel
from agents.common.encoders.encoded import Carry, Seen
from agents.common.encoders.patterns import make_pattern_adapter
from agents.common.memory_check import check_fits
from simulator.core import registry, rng
from simulator.core.field_types import Count
from simulator.core.memories import Cues, Memory, PatternSpec
from simulator.core.protocols import Array, EnvSpec, State
from simulator.core.scene import HasPanels, Panel

SOCKETS = ("encoder",)


@dataclass(frozen=True)
class Config:
    """Settings of recall."""

    memory: str = "modern_hopfield"
    """name or path of the memory (engram list memories)"""
    settings: Mapping[str, Any] = field(default_factory=dict)
    """settings of the memory"""
    store: Literal["given", "seen"] | None = None
    """patterns to store: those that the environment gives, or observations of random play; none: given, where it gives
    any"""
    collect: Count = 1_000
    """environment steps of random play at the beginning of a run, in which observations are collected and the agent
    learns nothing; counts only where they are stored"""
    capacity: Count = 64
    """different observations that are stored at most, the most frequent first"""
    flip: Annotated[float, Meta(ge=0.0, lt=0.5)] | None = None
    """probability that a unit is flipped, as the memory is told; 0: nothing is told; none: what the environment says"""
    signs: bool = False
    """numbers become -1 and +1 by their sign, for memories of two values"""
    image_side: Count = 24
    """pixels of the longer side of an image at most; larger ones become means of squares of pixels"""
    untrained: bool = False
    """random patterns are stored, as many, as a control"""


class RecallEncoder:
    """S memories that clean observations; see :class:`agents.common.encoders.encoded.Encoder`.

    Args:
        spec: the environment.
        seed_list: the run's seeds.
        config: the settings.

    Raises:
        ValueError: observations, settings or patterns that do not fit the memory.
    """

    def __init__(self, spec: EnvSpec, seed_list: Sequence[int], config: Config) -> None:
        name = f"agent.encoder = 'recall' with memory = {config.memory}"
        self._config = config
        self._seeds = list(seed_list)
        self._adapter = make_pattern_adapter(spec, "agent.encoder = 'recall'", config.image_side)
        shape = self._adapter.shape
        given = _given(spec, config, self._adapter.n)
        self._two_valued = config.signs or self._adapter.is_class or isinstance(spec.observation, spaces.MultiBinary)
        if given is not None:
            self._two_valued = self._two_valued or bool((np.abs(given) == 1.0).all())
        self._units = PatternSpec(
            shape[1:] if len(shape) == 3 and shape[0] == 1 else (self._adapter.n,), self._two_valued
        )
        self._plugin = registry.load("memories", config.memory)
        self._memory_config = _memory_settings(self._plugin, config.settings)
        self._memory = self._make_memory()
        if self._memory.domain == "bipolar" and not self._two_valued:
            raise ValueError(
                f"{name} on {spec.id}: the memory stores -1 and +1, and observations are numbers between them; "
                "expected agent.encoder.signs = true, or a memory of continuous patterns"
            )
        self._evidence = _evidence(spec, config, self._units)
        self._streams = rng.generators(seed_list, "encoder")
        self._stored = False
        self.n_collected = 0
        self._kept = np.zeros((len(self._seeds), 0, self._adapter.n), np.float32)
        if given is not None:
            self._store([given] * len(self._seeds))
        else:
            self.n_collected = config.collect
            n_bytes = len(self._seeds) * config.collect * self._adapter.n * 4
            check_fits("agent.encoder = 'recall'", spec, n_bytes, "fewer seeds, or a smaller agent.encoder.collect")
            self._kept = np.zeros((len(self._seeds), config.collect, self._adapter.n), np.float32)
        self._n_seen = 0
        self.space = spaces.Box(-1.0, 1.0, (self._adapter.n,), np.float32)

    def _make_memory(self) -> Memory:
        memory: Memory = self._plugin.make(self._units, self._seeds, self._memory_config)
        return memory

    def _patterns(self, obs: Array) -> Array:
        """Return the cues [B, N] of obs [B, *obs]."""
        return self._in_domain(self._adapter.encode(obs))

    def _in_domain(self, patterns: Array) -> Array:
        """Make the numbers two-valued where the memory's are; 0, which is unknown, stays."""
        return np.sign(patterns).astype(np.float32) if self._two_valued else patterns

    def make_carry(self) -> Carry:
        """Carry nothing."""
        return ()

    def see_actions(self, carry: Carry, actions: Array) -> None:
        """Do nothing: actions do not count."""

    def encode(self, obs: Array, carry: Carry) -> Array:
        """Recall obs [S, *obs], float32 [S, N]."""
        return self._recall(self._patterns(obs)[:, None])[:, 0]

    def features(self, obs: Array) -> Array | None:
        """Recall obs [B, *obs], float32 [S, B, N]."""
        return self._recall(np.repeat(self._patterns(obs)[None], len(self._seeds), axis=0))

    def _recall(self, cues: Array) -> Array:
        if not self._stored:
            return cues
        evidence = None if self._evidence is None else self._evidence.evidence(Cues(cues))
        return self._memory.recall(cues, None, evidence).patterns

    def code_panels(self, index: int, seen: Seen) -> tuple[Panel, ...]:
        """Make panels of one seed's observation beside what is recalled of it, and of the memory."""
        cue = self._patterns(seen.obs[None])[0]
        changed = float(np.mean(np.abs(seen.features - cue) > 0.5))
        title = f"observation and what is recalled of it, {changed:.0%} of the units changed"
        pair = pattern_panel(title, ("observation", cue), ("recalled", seen.features), self._adapter)
        own = self._memory.panels(index) if self._stored and isinstance(self._memory, HasPanels) else ()
        return (pair, *own)

    def learn(self, obs: Array, clock: int) -> bool:
        """Collect obs [S, *obs], and store when all are there."""
        if clock > self.n_collected:
            return False
        self._kept[:, self._n_seen] = self._patterns(obs)
        self._n_seen += 1
        if clock < self.n_collected:
            return False
        # Every seed stores equally many: as many as the capacity, the most frequent again where there are fewer.
        self._store([_most_frequent(rows, self._config.capacity) for rows in self._kept])
        self._kept, self._n_seen = self._kept[:, :0].copy(), 0
        return True

    def _store(self, patterns: Sequence[Array]) -> None:
        """Store patterns [P, N] of every seed."""
        chosen = np.stack([self._in_domain(np.asarray(rows, np.float32)) for rows in patterns])
        if self._config.untrained:
            chosen = np.stack(
                [np.where(stream.random(chosen.shape[1:]) < 0.5, -1.0, 1.0) for stream in self._streams]
            ).astype(np.float32)
        self._memory.store(chosen)
        self._stored = True

    def frozen(self) -> RecallEncoder:
        """Return a copy whose memory is its own."""
        frozen = copy(self)
        frozen._memory = self._make_memory()
        if self._stored:
            frozen._memory.restore(self._memory.state())
        return frozen

    def state(self) -> State:
        """Return the memory, and what was collected for it."""
        return {
            "memory": self._memory.state() if self._stored else {},
            "stored": self._stored,
            "n_seen": self._n_seen,
            "replay": {"patterns": self._kept[:, : self._n_seen].copy()},
        }

    def restore(self, state: State) -> None:
        """Continue from ``state``."""
        self._stored = bool(state["stored"])
        if self._stored:
            self._memory.restore(state["memory"])
            self._kept = self._kept[:, :0].copy()
        self._n_seen = 0
        if "replay" in state:
            self._n_seen = state["n_seen"]
            self._kept[:, : self._n_seen] = state["replay"]["patterns"]


def _given(spec: EnvSpec, config: Config, n: int) -> Array | None:
    """Return the patterns [K, N] that the environment gives, if they are to be stored.

    Raises:
        ValueError: they are to be stored and it gives none, or they are of another size than its observations.
    """
    if config.store == "seen" or (config.store is None and spec.patterns is None):
        return None
    if spec.patterns is None:
        raise ValueError(
            f"agent.encoder = 'recall' with store = given on {spec.id}: it gives no patterns, expected store = seen"
        )
    if spec.patterns.shape[1:] != (n,):
        raise ValueError(
            f"agent.encoder = 'recall' on {spec.id}: it gives patterns of {spec.patterns.shape[1]} numbers and "
            f"observations of {n}, expected equally many; or store = seen"
        )
    return spec.patterns


def _memory_settings(plugin: registry.Plugin, given: Mapping[str, Any]) -> Any:
    """Make a memory's settings.

    Raises:
        ValueError: one that it does not have, or a bad value; one line.
    """
    known = asdict(plugin.defaults())
    for key, value in given.items():
        if key not in known:
            close = registry.suggestions(key, known)
            meant = f"; did you mean {' or '.join(close)}?" if close else f", expected one of {', '.join(known)}"
            raise ValueError(f"agent.encoder.settings.{key}: {plugin.name} has no such setting{meant}")
        known[key] = value
    try:
        return msgspec.convert(known, plugin.Config, strict=False)
    except msgspec.ValidationError as error:
        text, _, at = str(error).partition(" - at `$.")
        raise ValueError(
            f"agent.encoder.settings.{at.rstrip('`')} = {given.get(at.rstrip('`'))!r} of {plugin.name}: "
            f"{text[:1].lower()}{text[1:]}"
        ) from None


def _evidence(spec: EnvSpec, config: Config, units: PatternSpec) -> Any:
    """Make the model of the damage that the memory is told of; None: it is told nothing."""
    said = spec.corruption if config.flip is None else f"flip:{config.flip:g}" if config.flip else None
    return None if said is None else registry.corruption_model(said, units)


def _most_frequent(rows: Array, n: int) -> Array:
    """Return the n most frequent rows [n, N] of [P, N], the first seen first among equals, again from the start."""
    distinct, first, counts = np.unique(rows, axis=0, return_index=True, return_counts=True)
    order = np.lexsort((first, -counts))[:n]
    return distinct[np.resize(order, n)]


@dataclass(frozen=True)
class RecallComponent:
    """A memory with its settings, until the environment is known."""

    config: Config

    def encoder(self, spec: EnvSpec, seed_list: Sequence[int]) -> RecallEncoder:
        """Make the encoders of an environment's observations.

        Raises:
            ValueError: observations, settings or patterns that do not fit the memory.
        """
        return RecallEncoder(spec, seed_list, self.config)


def make(config: Config) -> RecallComponent:
    """Make the component for an agent."""
    return RecallComponent(config)
