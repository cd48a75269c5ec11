"""How many of 20 stored digits the samples of generative memories show, over 16 seeds.

The generative adversarial network plain, with minibatch features, with unrolled steps, and with both, beside every
other memory that generates; 1,000 samples a seed at the end of the training.
"""

from __future__ import annotations

import contextlib
import io
import json as codec
from typing import Any

from simulator.commands import main as engram
from simulator.reporting import generation
from simulator.reporting.tables import print_tables

BOTH = "gan_unrolled_features=gan-unrolled"
MEMORIES = ("gan-plain", "gan", "gan-unrolled", BOTH, "vae", "adversarial_autoencoder", "rbm", "deep_belief")
WORDS = (
    *("boltzmann", "autoregressive", "digits", "--patterns", "20", "--seeds", "16", "--samples", "1000"),
    *("--moments", "1", "--memory.gan_unrolled_features.minibatch-features", "6", "--json"),
    *("--memory.gan_unrolled.updates", "2000", "--memory.gan_unrolled_features.updates", "2000"),  # as the others
)
MEASURES = ("modes", "novel", "distance")


def main(json: bool) -> dict[str, Any]:
    """Run the study; means with their intervals by memory and measure, beside uniform draws and held-out patterns."""
    printed = io.StringIO()
    with contextlib.redirect_stdout(printed):
        code = engram.main(["generate", *MEMORIES, *WORDS])
    if code:
        raise RuntimeError(f"engram generate: exit code {code}")
    data = codec.loads(printed.getvalue())
    if not json:
        print_tables([generation.table(data)])
    ends = {memory["memory"]: memory["moments"][-1] for memory in data["memories"]}
    ends |= {"stored patterns, drawn uniformly": data["uniform"], "held-out patterns": data["held_out"]}
    return {measure: {name: end[measure] for name, end in ends.items()} for measure in MEASURES}
