"""Encoders by networks that restore what they see: settings, and the network that fits the observations.

The networks are those of the memories: a dense autoencoder or variational autoencoder, and for images the layers of the
convolutional autoencoder. Their code is linear or normal, and its mean is the feature. This file loads no torch.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, Any, Literal

from msgspec import Meta

from agents.common.encoders.codes import CodeConfig, CodeEncoder
from agents.common.encoders.joint import JointEncoder
from agents.common.encoders.patterns import make_pattern_adapter
from simulator.core.field_types import Count, Positive
from simulator.core.protocols import EnvSpec

Width = Annotated[int, Meta(ge=1, le=65_536)]
MIN_SIDE = 4  # pixels, for a convolution


@dataclass(frozen=True)
class LearnedConfig(CodeConfig):
    """Settings that every encoder by a network has."""

    latent_dim: Width = 16
    """numbers of the code"""
    learn: Literal["beforehand", "beside", "both"] = "beforehand"
    """from the observations collected, which keeps the features as they then are; beside the agent, which collects
    nothing first and lets them drift; or both"""
    untrained: bool = False
    """the network keeps its first weights, as a control; features are still standardized by what is collected"""
    network: Literal["auto", "dense", "convolutional"] = "auto"
    """layers: dense or convolutional; auto: convolutional for images"""
    hidden: tuple[Width, ...] = (128,)
    """units of the dense layers before the code; those behind it mirror them"""
    channels: tuple[Width, ...] = (16, 16)
    """maps of the convolutions before the code, each followed by pooling to half the side"""
    stop_gradient: bool = True
    """off: the agent's gradient trains the encoder too, which becomes the first layers of its networks; with
    `untrained`, nothing else does"""
    updates: Count = 500
    """gradient updates on what is collected"""
    batch_size: Count = 32
    """observations in an update"""
    learning_rate: Positive = 2e-3
    """peak learning rate of Adam; beforehand it rises and decays to 0, beside the agent it is constant"""
    train_frequency: Count = 4
    """environment steps from one update beside the agent to the next"""
    buffer_size: Count = 5_000
    """latest observations, per seed, that updates beside the agent sample from"""


def is_convolutional(spec: EnvSpec, config: LearnedConfig, shape: tuple[int, ...], field: str) -> bool:
    """Tell whether the network has convolutions.

    Raises:
        ValueError: convolutions on what is no image, or on too small a one.
    """
    is_picture = len(shape) == 3 and min(shape[1:]) >= MIN_SIDE
    if config.network == "convolutional" and not is_picture:
        raise ValueError(
            f"{field} with network = convolutional on {spec.id}: observation space {spec.observation}, expected images "
            f"of at least {MIN_SIDE} by {MIN_SIDE} pixels"
        )
    if is_picture and config.network != "dense" and not config.channels:
        raise ValueError(f"{field} with channels = (): expected at least one layer")
    return is_picture and config.network != "dense"


def make_learned(
    spec: EnvSpec, seed_list: Sequence[int], config: Any, name: str, *, variational: bool
) -> CodeEncoder | JointEncoder:
    """Make encoders of an environment's observations.

    Args:
        spec: the environment.
        seed_list: the run's seeds.
        config: of the component.
        name: of the component, for errors.
        variational: the code is a normal distribution, and its mean the feature.

    Raises:
        ValueError: settings or observations that do not fit.
    """
    field = f"agent.encoder = {name!r}"
    adapter = make_pattern_adapter(spec, field, config.image_side)
    convolutional = is_convolutional(spec, config, adapter.shape, field)
    from agents.common.encoders.learned_torch import NetworkCode, make_network  # loads torch

    network = make_network(adapter.shape, config, variational=variational, convolutional=convolutional)
    code = NetworkCode(network, seed_list, config)
    encoder = CodeEncoder(spec, seed_list, adapter, code, config, field)
    return encoder if config.stop_gradient else JointEncoder(encoder, code, adapter, field)
