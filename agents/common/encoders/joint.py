"""Encoders inside the agent's networks, where the agent's gradient trains them.

With ``stop_gradient`` off the layers between a pattern and its code, and their standardization, are the first layers of
the agent's torch networks. The agent sees patterns, keeps them, and differentiates its loss through head and code. With
``learn`` beside this joins both losses as Yarats et al. 2021 do.

* Beforehand the code learns from random play as ever; then all networks of the agent begin with its weights.
* Beside the agent the code takes its own steps in turn with the agent's: on the first network, whose weights it takes
  over before and gives back after every step. Both keep an optimizer of their own.
* Target and average follow the first network as they follow it anyway.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from gymnasium import spaces

from agents.common.encoders.codes import CodeEncoder
from agents.common.encoders.encoded import Carry, Seen, code_bars, code_plane
from agents.common.encoders.patterns import PatternAdapter
from simulator.core.protocols import Array, State
from simulator.core.scene import Panel

_MAX_RECENT = 64  # observations whose codes are shown


class JointEncoder:
    """S encoders whose layers are in an agent's networks; see :class:`agents.common.encoders.encoded.Encoder`.

    Args:
        encoder: collects observations, and lets the code learn from them.
        code: the maps, by networks.
        adapter: between observations and patterns.
        field: the setting that asks for it, for errors.
    """

    def __init__(self, encoder: CodeEncoder, code: Any, adapter: PatternAdapter, field: str) -> None:
        self._encoder = encoder
        self._code = code
        self._adapter = adapter
        self._networks: Sequence[Any] = ()
        self.field = f"{field} with stop_gradient = false"
        self.space = spaces.Box(-1.0, 1.0, (adapter.n,), np.float32)
        self.n_collected = encoder.n_collected
        self.n_outputs: int = code.n_features

    @property
    def first_layers(self) -> JointEncoder:
        """Return itself, for the agent's networks."""
        return self

    def build(self) -> Any:
        """Build the layers of one seed; their weights are zeros until :meth:`attach`."""
        return self._code.build_layers()

    def attach(self, networks: Sequence[Any]) -> None:
        """Write the weights to networks of S seeds whose first module the layers are."""
        self._networks = networks
        self._give(networks)

    def _give(self, networks: Sequence[Any]) -> None:
        values = {**self._code.code_weights(), **self._encoder.standardization()}
        for network in networks:
            network.set_parameters({_place(name): value for name, value in values.items()})

    def _take(self) -> None:
        trained = self._networks[0].parameters()
        self._code.set_code_weights({name: trained[_place(name)] for name in self._code.code_weights()})

    def make_carry(self) -> Carry:
        """Carry nothing."""
        return ()

    def see_actions(self, carry: Carry, actions: Array) -> None:
        """Do nothing: actions do not count."""

    def encode(self, obs: Array, carry: Carry) -> Array:
        """Compute the patterns float32 [S, N] of obs [S, *obs]."""
        return self._adapter.encode(obs)

    def features(self, obs: Array) -> Array | None:
        """Compute the patterns [S, B, N] of obs [B, *obs]."""
        return np.repeat(self._adapter.encode(obs)[None], self._code.n_seeds, axis=0)

    def learn(self, obs: Array, clock: int) -> bool:
        """Let the code learn, from the weights that the agent's gradient left; patterns never change."""
        learns = self._encoder.learns_at(clock)
        if learns:
            self._take()
        self._encoder.learn(obs, clock)
        if learns:
            self._give(self._networks if clock <= self.n_collected else self._networks[:1])
        return False

    def code_panels(self, index: int, seen: Seen) -> tuple[Panel, ...]:
        """Make panels of the code of one seed's observation by the weights in the agent's first network."""
        trained = self._networks[0].seed_parameters(index)
        named = {name: trained[_place(name)] for name in self._code.code_weights()}
        recent = seen.recent[-_MAX_RECENT:] if len(seen.recent) else seen.features[None]
        codes = self._code.codes_of_seed(recent, named)
        standardized = (codes - trained[_place("mean")]) * trained[_place("scale")]
        return (
            code_bars(standardized[-1]),
            *code_plane(standardized),
            *self._encoder.restored_panels(index, recent[-1], codes[-1]),
        )

    def frozen(self) -> JointEncoder:
        """Return itself: patterns never change."""
        return self

    def state(self) -> State:
        """Return the code with its optimizers, and the observations that are yet to be learned from."""
        return self._encoder.state()

    def restore(self, state: State) -> None:
        """Continue from ``state``; the agent restores its networks."""
        self._encoder.restore(state)


def _place(name: str) -> str:
    """Return the name of a weight in a network whose first module the layers are."""
    return "0." + name.replace(".", "_")
