"""True state in place of the observation: what no code can beat, a control of every encoder.

It is looked up in the table of what is seen in each state, which finite environments carry, so it is no learner's code.
The features are the state as one-hot; or, with ``laplacian`` = k, the first k eigenvectors of the graph of states
behind the constant one, each of standard deviation 1: proto-value functions (Mahadevan and Maggioni 2007). With moves
that are blocked and lead nowhere they are the eigenvectors of uniform play's successor representation (Dayan 1993;
Stachenfeld et al. 2017), at any discount.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from gymnasium import spaces

from agents.common.encoders.encoded import Carry, Seen, code_bars, code_plane
from simulator.core.embeddings.graph import adjacency_of, laplacian_eigenvectors
from simulator.core.field_types import CountOrZero
from simulator.core.protocols import Array, EnvSpec, State
from simulator.core.scene import Panel, TextPanel

SOCKETS = ("encoder",)
MAX_STATES = 4_096


@dataclass(frozen=True)
class Config:
    """Settings of the true state."""

    laplacian: CountOrZero = 0
    """eigenvectors of the graph of states, the smoothest first, without the constant one; 0: the state as one-hot"""


class TrueState:
    """S lookups of the state; see :class:`agents.common.encoders.encoded.Encoder`.

    Args:
        spec: the environment.
        seed_list: the run's seeds.
        config: the settings.

    Raises:
        ValueError: no finite MDP, observations that leave the state open, or fewer states than eigenvectors.
    """

    n_collected = 0

    def __init__(self, spec: EnvSpec, seed_list: Sequence[int], config: Config) -> None:
        field = f"agent.encoder = 'true_state' on {spec.id}"
        if spec.mdp is None or spec.state_obs is None:
            raise ValueError(
                f"{field}: expected an environment with a finite MDP whose observations are known by state"
            )
        keys = [np.ascontiguousarray(obs).tobytes() for obs in spec.state_obs]
        self._state_of = {key: state for state, key in enumerate(keys)}
        self._dtype = spec.state_obs.dtype
        self._n_seeds = len(seed_list)
        n_states = len(keys)
        if len(self._state_of) < n_states:
            raise ValueError(f"{field}: the observation leaves the state open, expected one that shows it")
        if n_states > MAX_STATES:
            raise ValueError(f"{field}: {n_states:,} states, expected at most {MAX_STATES:,}")
        if config.laplacian >= n_states:
            raise ValueError(
                f"{field} with laplacian = {config.laplacian}: expected less than the number of states, {n_states}"
            )
        self._features = np.eye(n_states, dtype=np.float32)
        if config.laplacian:
            vectors = laplacian_eigenvectors(adjacency_of(spec.mdp))[:, 1 : 1 + config.laplacian]
            self._features = (vectors * np.sqrt(n_states)).astype(np.float32)
        bound = max(1.0, float(np.abs(self._features).max()))
        self.space = spaces.Box(0.0 if not config.laplacian else -bound, bound, self._features.shape[1:], np.float32)

    def make_carry(self) -> Carry:
        """Carry nothing."""
        return ()

    def see_actions(self, carry: Carry, actions: Array) -> None:
        """Do nothing: actions do not count."""

    def encode(self, obs: Array, carry: Carry) -> Array:
        """Look the features float32 [S, F] of obs [S, *obs] up."""
        rows = np.ascontiguousarray(obs, self._dtype)
        return self._features[[self._state_of[row.tobytes()] for row in rows]]

    def features(self, obs: Array) -> Array | None:
        """Look the features [S, B, F] of obs [B, *obs] up."""
        return np.repeat(self.encode(obs, ())[None], self._n_seeds, axis=0)

    def code_panels(self, index: int, seen: Seen) -> tuple[Panel, ...]:
        """Make panels of the state that one seed is in, and of its features where they are no one-hot."""
        key = np.ascontiguousarray(seen.obs, self._dtype).tobytes()
        said = TextPanel("true state", {"state": f"{self._state_of[key]} of {len(self._features)}"})
        n_states, n_features = self._features.shape
        if n_features == n_states:
            return (said,)
        return (said, code_bars(seen.features), *code_plane(seen.recent))

    def learn(self, obs: Array, clock: int) -> bool:
        """Learn nothing."""
        return False

    def frozen(self) -> TrueState:
        """Return itself: it never changes."""
        return self

    def state(self) -> State:
        """Return an empty state."""
        return {}

    def restore(self, state: State) -> None:
        """Do nothing."""


@dataclass(frozen=True)
class TrueStateComponent:
    """Settings of the lookup, until the environment is known."""

    config: Config

    def encoder(self, spec: EnvSpec, seed_list: Sequence[int]) -> TrueState:
        """Make the lookups of an environment's states."""
        return TrueState(spec, seed_list, self.config)


def make(config: Config) -> TrueStateComponent:
    """Make the component for an agent."""
    return TrueStateComponent(config)
