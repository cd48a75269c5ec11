"""Codes: encoders whose features are a function of the latest observation, scaled by what random play shows.

Each is a map from a pattern to a few numbers (:class:`PatternCode`): principal components, a random projection, the
code of a network. :class:`CodeEncoder` collects observations, lets the map fit them, measures mean and standard
deviation of its numbers, and keeps both.
"""

from __future__ import annotations

from collections.abc import Sequence
from copy import copy
from dataclasses import dataclass
from typing import Any, Protocol, runtime_checkable

import numpy as np
from gymnasium import spaces

from agents.common.encoders.encoded import Carry, Seen, code_bars, code_plane
from agents.common.encoders.patterns import PatternAdapter
from agents.common.inside import counts_panel
from agents.common.memory_check import check_fits
from agents.common.networks.panels import receptive_fields, weight_panel
from simulator.core.field_types import Count, CountOrZero
from simulator.core.protocols import Array, EnvSpec, State
from simulator.core.scene import Panel, PicturePanel

MIN_STD = 1e-3  # of a feature; smaller ones tell nothing and are not blown up


@dataclass(frozen=True)
class CodeConfig:
    """Settings that every code has."""

    collect: CountOrZero = 1_000
    """environment steps of random play at the beginning of a run, in which observations are collected and the agent
    learns nothing"""
    standardize: bool = True
    """features get mean 0 and standard deviation 1 over the observations collected; off, or where none are: as they
    are"""
    image_side: Count = 24
    """pixels of the longer side of an image at most; larger ones become means of squares of pixels"""


class PatternCode(Protocol):
    """S maps from patterns of N units to codes of F numbers."""

    n_features: int  # F
    learns_beforehand: bool  # fit is called with the patterns collected
    update_every: int  # environment steps between updates beside the agent; 0: none
    n_kept: int  # latest patterns that updates beside the agent sample from

    def codes(self, patterns: Array) -> Array:
        """Compute codes float32 [S, B, F] of patterns [S, B, N]."""

    def fit(self, patterns: Array) -> None:
        """Learn from all patterns collected, [S, P, N]."""

    def update(self, patterns: Array) -> None:
        """Learn a little from some of the latest patterns [S, P, N]."""

    def frozen(self) -> PatternCode:
        """Return a copy that further learning leaves alone."""

    def state(self) -> State:
        """Return the whole state."""

    def restore(self, state: State) -> None:
        """Continue from ``state``."""


@runtime_checkable
class Restores(Protocol):
    """A map whose codes can be turned back into patterns."""

    def restored(self, code: Array, index: int) -> Array:
        """Turn codes [B, F] of one seed back into patterns, float32 [B, N]."""


@runtime_checkable
class ShowsWeights(Protocol):
    """A map whose units are weighted sums of a pattern."""

    def first_weights(self, index: int) -> Array | None:
        """Return the weights of one seed's first units, [U, N]; None where they see parts of a pattern alone."""


class CodeEncoder:
    """S encoders by codes; see :class:`agents.common.encoders.encoded.Encoder`.

    Args:
        spec: the environment.
        seed_list: the run's seeds.
        adapter: of its observations.
        code: the maps.
        config: the settings.
        field: the setting that asks for it, for errors.
    """

    def __init__(
        self,
        spec: EnvSpec,
        seed_list: Sequence[int],
        adapter: PatternAdapter,
        code: Any,
        config: CodeConfig,
        field: str,
    ) -> None:
        self._adapter = adapter
        self._code: PatternCode = code
        self._standardize = config.standardize
        self._n_seeds = len(seed_list)
        collects = code.learns_beforehand or (config.standardize and not code.update_every)
        self.n_collected = config.collect if collects else 0
        if code.learns_beforehand and not config.collect:
            raise ValueError(f"{field} with collect = 0: it learns from what is collected, expected at least 1")
        capacity = max(self.n_collected, code.n_kept if code.update_every else 0)
        advice = "fewer seeds, or a smaller agent.encoder.collect or agent.encoder.image_side"
        check_fits(field, spec, self._n_seeds * capacity * adapter.n * 4, advice)
        self._kept = np.zeros((self._n_seeds, capacity, adapter.n), np.float32)
        self._n_seen = 0
        self._mean = np.zeros((self._n_seeds, 1, code.n_features), np.float32)
        self._scale = np.ones((self._n_seeds, 1, code.n_features), np.float32)
        self.space = spaces.Box(-np.inf, np.inf, (code.n_features,), np.float32)

    def make_carry(self) -> Carry:
        """Carry nothing."""
        return ()

    def see_actions(self, carry: Carry, actions: Array) -> None:
        """Do nothing: actions do not count."""

    def encode(self, obs: Array, carry: Carry) -> Array:
        """Compute the features float32 [S, F] of obs [S, *obs]."""
        return self._features(self._adapter.encode(obs)[:, None])[:, 0]

    def features(self, obs: Array) -> Array | None:
        """Compute the features [S, B, F] of obs [B, *obs]."""
        patterns = self._adapter.encode(obs)
        return self._features(np.repeat(patterns[None], self._n_seeds, axis=0))

    def _features(self, patterns: Array) -> Array:
        features: Array = (self._code.codes(patterns) - self._mean) * self._scale
        return features

    def learns_at(self, clock: int) -> bool:
        """Tell whether the maps change after environment step ``clock``."""
        every = self._code.update_every
        return clock == self.n_collected or (every > 0 and clock > self.n_collected and clock % every == 0)

    def learn(self, obs: Array, clock: int) -> bool:
        """Collect obs [S, *obs]; fit when all are there, or update where it is time."""
        every = self._code.update_every
        if clock > self.n_collected and not every:
            return False
        capacity = self._kept.shape[1]
        self._kept[:, self._n_seen % capacity] = self._adapter.encode(obs)
        self._n_seen += 1
        if not self.learns_at(clock):
            return False
        if clock == self.n_collected:
            self._fit()
        else:
            self._code.update(self._kept[:, : min(self._n_seen, capacity)])
        return True

    def code_panels(self, index: int, seen: Seen) -> tuple[Panel, ...]:
        """Make panels of the code of one seed's observation, its plane, its reconstruction, and the first weights."""
        code = seen.features / self._scale[index, 0] + self._mean[index, 0]
        pattern = self._adapter.encode(seen.obs[None])[0]
        return (
            code_bars(seen.features),
            *code_plane(seen.recent),
            *self.restored_panels(index, pattern, code),
        )

    def restored_panels(self, index: int, pattern: Array, code: Array) -> tuple[Panel, ...]:
        """Make panels of a pattern [N] beside what one seed restores of its code [F], and of the first weights."""
        panels: list[Panel] = []
        if isinstance(self._code, Restores):
            restored = self._code.restored(code[None], index)[0]
            error = float(np.mean((restored - pattern) ** 2))
            title = f"observation and reconstruction, mean squared error {error:.3g}"
            panels.append(pattern_panel(title, ("observation", pattern), ("reconstruction", restored), self._adapter))
        weights = self._code.first_weights(index) if isinstance(self._code, ShowsWeights) else None
        if weights is not None:
            fields = receptive_fields(weights, self._adapter.shape)
            panels.append(weight_panel("weights of the encoder, layer 1", weights, fields))
        return tuple(panels)

    def standardization(self) -> dict[str, Array]:
        """Return ``mean`` and ``scale`` of the codes, [S, F]: a feature is (code - mean) * scale."""
        return {"mean": self._mean[:, 0], "scale": self._scale[:, 0]}

    def _fit(self) -> None:
        patterns = self._kept[:, : self.n_collected]
        if self._code.learns_beforehand:
            self._code.fit(patterns)
        if self._standardize:
            codes = self._code.codes(patterns).astype(np.float64)
            self._mean[...] = codes.mean(axis=1, keepdims=True)
            self._scale[...] = 1.0 / np.maximum(codes.std(axis=1, keepdims=True), MIN_STD)
        if self._code.update_every:  # what updates sample from begins with what was collected
            latest = patterns[:, -self._code.n_kept :]
            self._kept = np.zeros((self._n_seeds, self._code.n_kept, self._adapter.n), np.float32)
            self._kept[:, : latest.shape[1]] = latest
            self._n_seen = latest.shape[1]
        else:
            self._kept, self._n_seen = np.zeros((self._n_seeds, 0, self._adapter.n), np.float32), 0

    def frozen(self) -> CodeEncoder:
        """Return a copy that further learning leaves alone."""
        frozen = copy(self)
        frozen._code = self._code.frozen()
        frozen._mean, frozen._scale = self._mean.copy(), self._scale.copy()
        return frozen

    def state(self) -> State:
        """Return the maps, the scale, and the observations that are yet to be learned from."""
        n_kept = min(self._n_seen, self._kept.shape[1])
        return {
            "code": self._code.state(),
            "n_seen": self._n_seen,
            "mean": self._mean.copy(),
            "scale": self._scale.copy(),
            "replay": {"patterns": self._kept[:, :n_kept].copy(), "capacity": self._kept.shape[1]},
        }

    def restore(self, state: State) -> None:
        """Continue from ``state``; without its observations, learning goes on from those that follow."""
        self._code.restore(state["code"])
        self._mean[...] = state["mean"]
        self._scale[...] = state["scale"]
        self._n_seen = 0
        if "replay" in state:
            saved = state["replay"]["patterns"]
            self._n_seen = state["n_seen"]
            self._kept = np.zeros((self._n_seeds, state["replay"]["capacity"], self._adapter.n), np.float32)
            self._kept[:, : saved.shape[1]] = saved


def pattern_panel(title: str, one: tuple[str, Array], other: tuple[str, Array], adapter: PatternAdapter) -> Panel:
    """Make a panel of two patterns [N], each with its name: pictures side by side, or bars with others beside them."""
    shape = adapter.shape
    if len(shape) == 3:
        images = np.stack([one[1], other[1]]).reshape(2, *shape)  # [2, colours, H, W]
        if shape[0] == 3:
            pixels = np.clip((images + 1.0) * 127.5, 0.0, 255.0)
            return PicturePanel(title, np.rint(pixels).astype(np.uint8).transpose(0, 2, 3, 1), (one[0], other[0]))
        return PicturePanel(title, images.mean(axis=1), (one[0], other[0]))
    what = "class" if adapter.is_class else "number"
    names = [f"{what} {k if adapter.is_class else k + 1}" for k in range(adapter.n)]
    return counts_panel(title, names, other[1], one[1], one[0])


def refuse_size(field: str, spec: EnvSpec, setting: str, size: int, adapter: PatternAdapter) -> None:
    """Refuse more numbers in a code than an observation has.

    Raises:
        ValueError: that many.
    """
    if size > adapter.n:
        raise ValueError(
            f"{field} with {setting} = {size} on {spec.id}: expected at most the {adapter.n} numbers of an observation"
        )
