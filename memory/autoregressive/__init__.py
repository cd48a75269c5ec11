"""Autoregressive memory: a masked network models the probability of every pixel given the pixels before it.

Larochelle and Murray 2011 (NADE, the neural autoregressive distribution estimator); Germain et al. 2015 (MADE, its
masked form, in which one pass gives all conditionals).

* Model: p(x) = prod_i p(x_i | x_1 ... x_{i-1}), with the logits of x_i from a network masked to the pixels before i.
* Loss: -log p(x), with flipped signs among the inputs.
* Recall: pixels are filled in in order. Known ones are held; each other one is chosen by its probability given the
  pixels before and by the evidence of the cue. A beam of restorations is kept, and the most probable is returned.
* Energy: -log p(x).

Differences from the papers: noise on the pixels before (as in scheduled sampling, Bengio et al. 2015), so that a wrong
choice does not spoil all that follow; a beam in place of a single path; Adam with a learning rate that decays to 0.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, NamedTuple

from memory.common.networks.config import TRAINING_RULES, FlipProb, LayerWidth, TrainingConfig, check_training
from memory.common.sizing import REFERENCE_UNITS, SizeRule, sized
from simulator.core.field_types import CountOfSize, Share
from simulator.core.memories import PatternSpec

if TYPE_CHECKING:
    from memory.common.networks.memory_torch import NetworkMemory


@dataclass(frozen=True)
class Config(TrainingConfig):
    """Settings of the autoregressive memory."""

    recall_mode: Literal["single_pass", "noise_aware"] = "noise_aware"
    """one pass over the pixels; single_pass: every pixel of the cue that is not 0 is wrong with probability
    `assumed_flip_prob`; noise_aware: by the cue's evidence (without evidence: as single_pass)"""
    assumed_flip_prob: FlipProb = 0.2
    """assumed probability of a pixel of the cue being wrong, where there is no evidence"""
    selection: Literal["maximise", "sample"] = "maximise"
    """maximise: beam search for the most probable restoration; sample: every restoration is sampled pixel by pixel"""
    beam_width: CountOfSize = 0
    """restorations kept along the way, of which the most probable is returned; 0: follows the number of units"""
    order: Literal["raster", "random"] = "raster"
    """order of the pixels: row by row, or a random one for every seed"""
    hidden: tuple[LayerWidth, ...] = ()
    """units of each hidden layer; (): two layers of 192 up to 64 pixels, beyond one layer of twice as many units as
    pixels, at least 384"""
    noise_max: Share = 0.2
    """maximum fraction of input pixels flipped during training; every pattern has its own, uniform from 0; multiplied
    by 64 / N where there are N > 64 pixels: as many wrong choices, not as large a part"""


class HiddenRule(NamedTuple):
    """Widths of the hidden layers.

    A unit sees the pixels up to its own place only, so that few units serve the first pixels: the layer has to be as
    wide as the picture is long. One layer keeps the beam cheap, as a pixel that is chosen is added to its inputs.
    """

    small: tuple[int, ...] = (192, 192)
    by_pixel: int = 2

    def value(self, n_units: int, n_patterns: int) -> tuple[int, ...]:
        """Return the widths for a number of pixels."""
        if n_units <= REFERENCE_UNITS:
            return self.small
        return (max(sum(self.small), self.by_pixel * n_units),)


RULES = TRAINING_RULES | {
    "learning_rate": SizeRule(5e-3),
    "hidden": HiddenRule(),
    "beam_width": SizeRule(8, by_units=0.55),
}

PRESETS = {
    "autoregressive-single-pass": {
        "description": "knows nothing of the corruption",
        "memory": {"recall_mode": "single_pass"},
    },
    "autoregressive-greedy": {"description": "keeps one restoration, pixel after pixel", "memory": {"beam_width": 1}},
}


def make(spec: PatternSpec, seed_list: Sequence[int], config: Config) -> NetworkMemory:
    """Make autoregressive memories of bipolar patterns of any shape.

    Raises:
        ValueError: continuous patterns, patterns of a single unit, or settings that contradict each other.
    """
    check_training(config)
    if not spec.is_bipolar:
        raise ValueError("autoregressive: continuous patterns, expected -1 and +1 only")
    if spec.n < 2:
        raise ValueError(f"autoregressive: patterns of {spec.n} unit, expected at least 2")
    from memory.autoregressive.model_torch import AutoregressiveNetwork  # loads torch
    from memory.common.networks.memory_torch import NetworkMemory

    def network(n_patterns: int) -> AutoregressiveNetwork:
        return AutoregressiveNetwork(spec, sized(config, RULES, spec.n, n_patterns))

    return NetworkMemory("autoregressive", spec, seed_list, config.recall_mode, network)
