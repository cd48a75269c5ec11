"""Autoencoder: the code of a network that restores what it is given, in place of the observation.

Hinton and Salakhutdinov 2006; for images convolutions (Masci et al. 2011). It learns from the observations of random
play before the agent begins, beside the agent, or both; with ``stop_gradient`` off the agent's gradient trains it too.
Classes and numbers pass dense layers of tanh, images convolutions and a linear code; the loss is the cross entropy of
every unit. With ``noise`` it restores the clean observation from a damaged one (Vincent et al. 2008).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from agents.common.encoders.codes import CodeEncoder
from agents.common.encoders.joint import JointEncoder
from agents.common.encoders.learned import LearnedConfig, make_learned
from memory.common.networks.config import Noise
from simulator.core.field_types import Share
from simulator.core.protocols import EnvSpec

SOCKETS = ("encoder",)


@dataclass(frozen=True)
class Config(LearnedConfig):
    """Settings of an autoencoder."""

    noise: Noise = "none"
    """damage of what the network is given while it learns: signs flipped, units set to 0, or normal noise"""
    noise_max: Share = 0.3
    """largest damage: share of the units, or standard deviation; each observation's is uniform below it"""


@dataclass(frozen=True)
class AutoencoderComponent:
    """An autoencoder with its settings, until the environment is known."""

    config: Config

    def encoder(self, spec: EnvSpec, seed_list: Sequence[int]) -> CodeEncoder | JointEncoder:
        """Make the encoders of an environment's observations.

        Raises:
            ValueError: settings or observations that do not fit.
        """
        return make_learned(spec, seed_list, self.config, "autoencoder", variational=False)


def make(config: Config) -> AutoencoderComponent:
    """Make the component for an agent."""
    return AutoencoderComponent(config)
