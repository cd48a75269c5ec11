"""Interactive recall: one memory, one seed, one cue, and every state between the cue and the answer.

A session stores K patterns, piece by piece where the memory can, corrupts one of them or takes a painted cue, and
recalls it step by step beside the exact posterior over the stored patterns. It draws nothing and stores nothing; its
cues are those of a recall benchmark with the same settings.
"""

from __future__ import annotations

from collections.abc import Iterator
from copy import deepcopy
from dataclasses import dataclass, replace
from math import nan
from typing import Any, NamedTuple

import numpy as np

from simulator.config.codec import PlayerEntry
from simulator.core import registry, rng
from simulator.core.memories import (
    Cues,
    DecodesCodes,
    HasReceptiveFields,
    HasTemperature,
    PatternSpec,
    RecallMoment,
    RecallStep,
    StepwiseRecall,
    StepwiseStore,
)
from simulator.core.protocols import Array
from simulator.core.scene import BarPanel, CurvePanel, HeatPanel, Panel, PicturePanel, PointPanel, TextPanel
from simulator.recall import metrics
from simulator.recall.bayes_optimal import Ceiling, ceiling, posterior

MAX_PICTURES = 24  # stored patterns that are shown
WALK_POINTS = 9  # pictures of a walk between two codes


@dataclass(frozen=True)
class RecallSetup:
    """Settings that an interactive recall begins with."""

    memory: PlayerEntry
    challenge: str
    challenge_settings: Any
    seed: int = 0
    n_patterns: int = 20
    corruption: str = "flip:0.2"


class Cue(NamedTuple):
    """A cue, and the exact posterior given it."""

    values: Array  # float32 [N]
    known: Array | None  # bool [N]; None: no mask
    evidence: Array | None  # float64 [N]; None: the corruption gives none
    posterior: Array  # float64 [K], probability of each stored pattern given the cue
    is_possible: bool  # False: the corruption cannot have made it of any stored pattern, and all count as as likely
    truth: int  # number of the pattern that was corrupted
    best: Ceiling  # Bayes-optimal restoration


class InteractiveRecall:
    """Recall of one memory and one seed, to be driven step by step.

    Args:
        setup: the memory, the challenge, and how many patterns.

    Raises:
        ValueError: players that cannot be built, more patterns than the challenge has, or no such corruption.
    """

    def __init__(self, setup: RecallSetup) -> None:
        self.setup = setup
        self._challenge = registry.load("challenges", setup.challenge).make([setup.seed], setup.challenge_settings)
        self.spec: PatternSpec = self._challenge.spec
        self._draw = self._challenge.draw(setup.n_patterns, 0)
        self.memory = self._make_memory()
        self.stored: Array = self._draw.stored[0]  # [K, N]
        self.is_learning = True
        self.uses_evidence = True
        self._channel = registry.corruption_model(setup.corruption, self.spec)
        self._streams = rng.generators([setup.seed], "corruption")
        self.truth = 0
        self._cues = self._corrupted()
        self.cue = self._cue_of(self._cues, 0)

    @property
    def max_patterns(self) -> int | None:
        """Number of patterns that the challenge has; None: any number."""
        return self._challenge.max_patterns

    def learn(self) -> Iterator[float]:
        """Store the patterns from the beginning, piece by piece where the memory can; yields the share that is over.

        Raises:
            ValueError: the memory refuses these patterns.
        """
        self.is_learning = True
        if isinstance(self.memory, StepwiseStore):
            yield from self.memory.storing(self._draw.stored)
        else:
            self.memory.store(self._draw.stored)
            yield 1.0
        self.is_learning = False

    def load(self, n_patterns: int) -> None:
        """Take another number of patterns, the first of the same; :meth:`learn` stores them.

        Raises:
            ValueError: more than there are.
        """
        draw = self._challenge.draw(n_patterns, 0)
        self.setup = replace(self.setup, n_patterns=n_patterns)
        self._draw = draw
        self.stored = draw.stored[0]
        self.memory = self._make_memory()
        self.is_learning = True
        self.corrupt(self.setup.corruption)

    def corrupt(self, corruption: str) -> None:
        """Corrupt the patterns anew as a benchmark does, from the beginning of the seed's stream.

        Raises:
            ValueError: no such corruption.
        """
        self._channel = registry.corruption_model(corruption, self.spec)
        self.setup = replace(self.setup, corruption=corruption)
        self._streams = rng.generators([self.setup.seed], "corruption")
        self.redraw()

    def redraw(self) -> None:
        """Corrupt the patterns once more, from where the stream stands."""
        self._cues = self._corrupted()
        self.choose(min(self.truth, len(self.stored) - 1))

    def choose(self, pattern: int) -> None:
        """Take the cue of stored pattern number ``pattern``."""
        self.truth = pattern
        self.cue = self._cue_of(self._cues, pattern)

    def paint(self, unit: int, value: float) -> None:
        """Set one unit of the cue: -1, 1, or 0 for unknown; a mask says that it is known, or not."""
        values = self.cue.values.copy()
        values[unit] = np.clip(value, -1.0, 1.0)
        known = None if self.cue.known is None else self.cue.known.copy()
        if known is not None:
            known[unit] = value != 0.0
        batch = Cues(values[None, None], None if known is None else known[None, None])
        self.cue = self._cue_of(batch, 0)._replace(truth=self.truth)

    @property
    def temperature(self) -> float | None:
        """Temperature of recall, or None where the memory has none; to be set too."""
        return self.memory.temperature if isinstance(self.memory, HasTemperature) else None

    @temperature.setter
    def temperature(self, value: float) -> None:
        if not isinstance(self.memory, HasTemperature):
            raise ValueError(f"{self.setup.memory.label}: its recall has no temperature")
        self.memory.temperature = value

    def moments(self) -> Iterator[RecallMoment]:
        """Recall the cue step by step; a memory without steps goes from the cue to its answer."""
        for n, step in enumerate(self._steps()):
            yield RecallMoment(step, self.overlaps(step.pattern), n)

    def _steps(self) -> Iterator[RecallStep]:
        cue = self.cue
        values = np.sign(cue.values) if self.memory.domain == "bipolar" else np.clip(cue.values, -1.0, 1.0)
        evidence = cue.evidence if self.uses_evidence else None
        if isinstance(self.memory, StepwiseRecall):
            yield from self.memory.trajectory(0, values, cue.known, evidence)
            return
        known, field = (None if part is None else part[None, None] for part in (cue.known, evidence))
        recall = self.memory.recall(values[None, None], known, field)
        energies = recall.energy[0, 0][np.isfinite(recall.energy[0, 0])]
        yield RecallStep(values, float(energies[0]) if len(energies) else nan)
        yield RecallStep(recall.patterns[0, 0], float(energies[-1]) if len(energies) else nan, 1)

    def overlaps(self, pattern: Array) -> Array:
        """Compute the overlap of a pattern [N] with each stored one, float64 [K]."""
        return np.asarray(1.0 - np.abs(self.stored.astype(np.float64) - pattern).mean(axis=1))

    def best(self) -> Array:
        """Return the Bayes-optimal restoration [N] of the cue: the mean of the posterior, or its median."""
        return np.asarray(self.cue.best.restored[0, 0])

    def samples(self, n: int) -> Array | None:
        """Sample new patterns [n, N] of what has been learned so far, or None; no later recall depends on it."""
        if not hasattr(self.memory, "generate"):
            return None
        state = deepcopy(self.memory.state())
        patterns: Array = self.memory.generate(n)[0]
        self.memory.restore(state)
        return patterns

    def walk(self, first: int, last: int, n: int = WALK_POINTS) -> Array | None:
        """Decode n codes on the line between those of two stored patterns, [n, N]; None where nothing decodes codes.

        A memory that has no codes of patterns, as a generative network, walks between two random codes.
        """
        ends = self._ends_of_walk(first, last)
        if ends is None:
            return None
        at = np.linspace(0.0, 1.0, n, dtype=np.float32)[:, None]
        return np.asarray(self.memory.decode(((1.0 - at) * ends[0] + at * ends[1])[None])[0])

    def codes(self) -> Array | None:
        """Compute the codes of the stored patterns [K, H], or None where the memory has none."""
        if not hasattr(self.memory, "codes"):
            return None
        codes: Array = self.memory.codes(self._draw.stored)[0]
        return codes if codes.shape[1] else None

    def _ends_of_walk(self, first: int, last: int) -> Array | None:
        """Return two codes [2, H]."""
        if not isinstance(self.memory, DecodesCodes):
            return None
        codes = self.codes()
        if codes is not None:
            return codes[[first, last]]
        stream = rng.generators([self.setup.seed], "noise")[0]
        every = stream.standard_normal((len(self.stored), self.memory.code_size)).astype(np.float32)
        return np.asarray(every[[first, last]])

    def pictures(self, patterns: Array) -> Array:
        """Return patterns [K, N] as pictures [K, H, W]."""
        return as_pictures(patterns, self.spec.shape)

    def stored_panel(self) -> PicturePanel:
        """Make a panel of the stored patterns."""
        shown = self.stored[:MAX_PICTURES]
        captions = tuple(f"{k + 1}" for k in range(len(shown)))
        title = "stored patterns"
        if len(self.stored) > len(shown):
            title += f", the first {len(shown)} of {len(self.stored)}"
        return PicturePanel(title, self.pictures(shown), captions, as_ink=True)

    def overlap_panel(self, moment: RecallMoment) -> BarPanel:
        """Make a panel of the overlaps beside the exact posterior: the patterns that matter most, in their order."""
        shown = np.arange(len(self.stored))
        if len(shown) > MAX_PICTURES:
            matter = np.maximum(self.cue.posterior, moment.overlaps)
            matter[self.cue.truth] = np.inf
            shown = np.sort(np.argsort(-matter, kind="stable")[:MAX_PICTURES])
        names = tuple(f"{k + 1}" for k in shown)
        chosen = int(np.flatnonzero(shown == self.cue.truth)[0])
        beside = self.cue.posterior[shown]
        return BarPanel("overlap with each stored pattern", names, moment.overlaps[shown], beside, "posterior", chosen)

    def energy_panel(self, moments: list[RecallMoment]) -> CurvePanel:
        """Make a panel of the energy at every step so far."""
        energies = np.array([moment.step.energy for moment in moments])
        title = "energy" if np.isfinite(energies).any() else "energy: this memory has none on the way"
        return CurvePanel(title, np.arange(len(moments), dtype=np.float64), energies[None], ("energy",), x_name="step")

    def weights_panel(self) -> HeatPanel | None:
        """Make a panel of the weights with each unit's receptive field, or None where there are none."""
        if not isinstance(self.memory, HasReceptiveFields):
            return None
        weights = np.asarray(self.memory.receptive_fields(0), np.float32)
        keeps_patterns = len(weights) == len(self.stored) and np.isin(weights, (-1.0, 1.0)).all()
        title = "kept patterns, one a row" if keeps_patterns else "weights, one unit a row"
        return HeatPanel(title, weights, fields=self.pictures(weights))

    def code_panel(self, first: int, last: int) -> PointPanel | None:
        """Make a panel of the codes of stored patterns in the plane of most variance, with the walk between two."""
        codes = self.codes()
        if codes is None or codes.shape[1] < 2 or len(codes) < 2:
            return None
        ends = codes[[first, last]].astype(np.float64)
        at = np.linspace(0.0, 1.0, WALK_POINTS)[:, None]
        centred = codes.astype(np.float64) - codes.mean(axis=0)
        _, _, directions = np.linalg.svd(centred, full_matrices=False)
        walk = (1.0 - at) * ends[0] + at * ends[1] - codes.mean(axis=0)
        points = np.concatenate([centred, walk]) @ directions[:2].T
        groups = np.repeat([0, 1], [len(codes), len(walk)])
        return PointPanel(
            "codes of the stored patterns, and the walk",
            points,
            groups,
            ("stored", "walk"),
            marked=first,
            x_name="direction of most variance",
            y_name="second",
        )

    def facts_panel(self, moment: RecallMoment) -> TextPanel:
        """Make a panel of what is known at a moment."""
        cue = self.cue
        best = cue.best
        facts = {
            "corruption": self.setup.corruption,
            "step": f"{moment.n}, sweep {moment.step.iteration}",
            "overlap": f"{moment.overlaps[cue.truth]:.3f}",
            "best possible": f"{best.overlap[0, 0]:.3f}",
            "likeliest": f"{best.exact[0, 0]:.3f}" if cue.is_possible else "impossible cue",
        }
        if moment.step.unit >= 0:
            facts["unit"] = str(moment.step.unit)
        if np.isfinite(moment.step.temperature):
            facts["temperature"] = f"{moment.step.temperature:.2f}"
        return TextPanel("this moment", facts)

    def panels(self, moments: list[RecallMoment]) -> tuple[Panel, ...]:
        """Make every panel of a recall so far: patterns, overlaps, energy, facts, and weights where there are any."""
        moment = moments[-1]
        truth = self.stored[self.cue.truth]
        images = self.pictures(np.stack([truth, self.cue.values, moment.step.pattern, self.best()]))
        panels: list[Panel | None] = [
            PicturePanel("recall", images, ("truth", "cue", "state", "Bayes-optimal"), as_ink=True),
            self.stored_panel(),
            self.overlap_panel(moment),
            self.energy_panel(moments),
            self.facts_panel(moment),
            self.weights_panel(),
        ]
        return tuple(panel for panel in panels if panel is not None)

    def _make_memory(self) -> Any:
        entry = self.setup.memory
        try:
            return registry.load("memories", entry.name).make(self.spec, [self.setup.seed], entry.settings)
        except ValueError as error:
            raise ValueError(f"{entry.label}: {error}") from None

    def _corrupted(self) -> Cues:
        return self._channel.corrupt(self._draw.stored, self._draw.stored, self._streams)

    def _cue_of(self, cues: Cues, q: int) -> Cue:
        """Return cue number q with the exact posterior."""
        one = Cues(cues.values[:, q : q + 1], None if cues.known is None else cues.known[:, q : q + 1])
        log_likelihood = self._channel.log_likelihood(one, self._draw.stored)[0, 0]
        evidence = self._channel.evidence(one)
        known = one.known
        if _is_nothing(self._channel.name):  # what can be trusted would be the answer, as in a benchmark
            evidence, known = None, None
        return Cue(
            values=one.values[0, 0],
            known=None if known is None else known[0, 0],
            evidence=None if evidence is None else evidence[0, 0],
            posterior=posterior(log_likelihood),
            is_possible=bool(np.isfinite(log_likelihood).any()),
            truth=q,
            best=self._ceiling(one),
        )

    def _ceiling(self, cues: Cues) -> Ceiling:
        two = self.spec.is_bipolar
        near = 0.0 if two else metrics.TOLERANCE
        return ceiling(self._channel, cues, self._draw.stored, median=not two, near=near)


def as_pictures(patterns: Array, shape: tuple[int, ...]) -> Array:
    """Return patterns [K, N] as pictures [K, H, W]; colours are averaged, a row of units stays one."""
    if len(shape) == 3:
        return np.asarray(patterns.reshape(len(patterns), *shape).mean(axis=1))
    return patterns.reshape(len(patterns), *(shape if len(shape) == 2 else (1, patterns.shape[1])))


def _is_nothing(corruption: str) -> bool:
    _, _, amount = corruption.partition(":")
    return not amount or float(amount) == 0.0
