"""The autoencoder memory: settings and construction."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Literal

from msgspec import Meta

from memory.common.networks.input_noise import check_noise
from simulator.core.field_types import Count, NonNegative, PartShare, Positive
from simulator.core.memories import PatternSpec

if TYPE_CHECKING:
    from memory.common.networks.memory_torch import Learned

Width = Annotated[int, Meta(ge=1, le=65_536)]


@dataclass(frozen=True)
class Config:
    """Settings of an autoencoder."""

    recall_mode: Literal["single_pass", "fixed_point", "noise_aware"] = "noise_aware"
    """recall: one pass; passes until the cue rests; or passes that add the cue's evidence to the output's log odds,
    and where a corruption says nothing of single units, as with fixed_point"""
    passes: Count = 20
    """most passes of a recall, with fixed_point and noise_aware"""
    hidden: tuple[Width, ...] = (192, 192)
    """units of the layers from the pattern to the code, which is the last; the layers back mirror them"""
    activation: Literal["relu", "sigmoid", "tanh", "linear"] = "relu"
    """what hidden units do with their input"""
    output: Literal["logistic", "linear"] = "logistic"
    """what comes out: log odds, learned by cross entropy; or the values themselves, learned by squared error"""
    tied: bool = False
    """layers back use the transposed weights of the layers down"""
    noise: Literal["none", "flip", "erase", "gaussian"] = "flip"
    """corruption to what goes in while learning: signs turned, units set to 0, normal noise added"""
    noise_least: NonNegative = 0.0
    """least corruption of a row: a share of its units, or a standard deviation"""
    noise_most: NonNegative = 0.4
    """most corruption of a row; each row has its own amount, even between both"""
    sparse: NonNegative = 0.0
    """weight of the sum of sizes of all hidden activations in the loss"""
    contractive: NonNegative = 0.0
    """weight of the squared norm of the code's derivative by the pattern in the loss"""
    code_square: NonNegative = 0.0
    """weight of the sum of squares of the code in the loss"""
    dropout: PartShare = 0.0
    """share of hidden units left out while learning"""
    pretrain: Literal["none", "autoencoders", "rbms"] = "none"
    """layers learn one by one before all learn together: not; as autoencoders; as restricted Boltzmann machines"""
    pretrain_updates: Count = 500
    """updates of every layer by itself"""
    batch: Count = 50
    """rows in an update, drawn evenly from the patterns"""
    updates: Count = 2_000
    """updates of all layers together"""
    learning_rate: Positive = 8e-3
    """step size of Adam; it falls to 0 over the updates"""


_ONE_LAYER = {"hidden": [256], "activation": "sigmoid", "noise": "none"}
PRESETS = {
    "autoencoder-settle": {
        "description": "is told nothing of the corruption",
        "memory": {"recall_mode": "fixed_point"},
    },
    "autoencoder-sparse": {"description": "few hidden units active at a time", "memory": {"sparse": 0.01}},
    "autoencoder-contractive": {
        "description": "one layer whose code hardly moves with the pattern; never shown any corruption",
        "memory": {**_ONE_LAYER, "contractive": 1.0},
    },
    "autoencoder-dropout": {"description": "hidden units left out at random", "memory": {"dropout": 0.1}},
    "autoencoder-tied": {
        "description": "the layers back are the layers down, transposed",
        "memory": {"tied": True, "activation": "tanh"},
    },
    "autoencoder-pretrained": {
        "description": "logistic layers, learned one by one as restricted Boltzmann machines first",
        "memory": {"activation": "sigmoid", "pretrain": "rbms"},
    },
}


def _check(config: Config) -> None:
    if not config.hidden:
        raise ValueError("memory.hidden = (): expected at least one layer")
    check_noise(config.noise, (config.noise_least, config.noise_most))
    if config.contractive and (len(config.hidden) > 1 or config.activation == "relu"):
        raise ValueError(
            f"memory.contractive = {config.contractive} with {len(config.hidden)} layers of {config.activation}: "
            "expected one hidden layer of sigmoid, tanh or linear units"
        )
    if config.pretrain == "rbms" and config.activation != "sigmoid":
        raise ValueError(f"memory.pretrain = rbms with activation = {config.activation}: expected sigmoid")


def make(units: PatternSpec, seed_list: Sequence[int], config: Config) -> Learned:
    """Autoencoders of patterns of any shape.

    Raises:
        ValueError: settings that do not go together.
    """
    _check(config)
    from memory.autoencoder.model_torch import Autoencoder  # loads torch
    from memory.common.networks.memory_torch import Learned

    return Learned("autoencoder", units, seed_list, config.recall_mode, Autoencoder(units, config))


if __name__ == "__main__":
    from memory.common.demo import show_memory

    show_memory("autoencoder", make, Config())
