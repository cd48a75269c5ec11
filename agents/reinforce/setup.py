"""From settings to what compiled policy gradients take: the rule, what draws actions, and whether batches fit."""

from __future__ import annotations

from collections.abc import Sequence
from math import log
from typing import Any

import numpy as np

from agents.common.exploration import Explore
from agents.common.memory_check import check_fits
from agents.common.networks.dense import n_params
from agents.common.spaces import action_lists, discount, legal_rows
from agents.reinforce.border import Border
from agents.reinforce.episodes import Hand, Rule
from simulator.core import rng
from simulator.core.protocols import EnvSpec

BASELINES = ("none", "mean", "value")
UNKNOWN_LENGTH = 1_000  # steps that are kept of an episode where the environment sets no limit
ADVICE = "a smaller agent.longest, agent.episodes or network, or fewer seeds"


def make_rule(spec: EnvSpec, config: Any, border: Border) -> Rule:
    """The settings as compiled code takes them.

    Raises:
        ValueError: settings that do not go together.
    """
    if config.baseline == "mean" and config.episodes == 1:
        raise ValueError(
            "agent.episodes = 1: expected at least 2 with baseline = 'mean', the mean return of the other episodes"
        )
    return Rule(
        discrete=border.discrete,
        one_hot=border.one_hot,
        baseline=BASELINES.index(config.baseline),
        bootstrap=config.bootstrap,
        standardized=config.standardized,
        gamma_t=config.gamma_t,
        gamma=discount(spec, config.gamma),
        value_updates=config.value_updates if config.baseline == "value" else 1,
        entropy=float(config.entropy),
        longest=config.longest or spec.max_steps or UNKNOWN_LENGTH,
        explore=Explore(softmax=True, start=1.0, end=1.0, decay_steps=0, exponential=False),
    )


def make_hand(spec: EnvSpec, seed_list: Sequence[int], config: Any, border: Border) -> Hand:
    """What draws the actions of S seeds."""
    n, legal = len(seed_list), legal_rows(spec, border.n_outputs)
    log_std = np.full((n, border.n_drawn), log(config.initial_std), np.float32)
    room = (np.zeros((n, width), np.float32) for width in (border.n_inputs, border.n_outputs))
    return Hand(log_std, rng.pcg64_states(seed_list, "exploration"), action_lists(legal), *room)


def row_bytes(border: Border) -> int:
    """Memory of one step of one seed, in bytes: what is kept, and room for its return, value and advantage."""
    return 4 * (border.n_kept + border.n_drawn + 1) + 24


def check_batches(spec: EnvSpec, n_seeds: int, config: Any, border: Border, rule: Rule) -> None:
    """Refuse batches and dense networks that do not fit, before they are made.

    Raises:
        ValueError: more than is free; the line has the numbers.
    """
    weights = sum(n_params([border.n_inputs, *config.network.hidden, out]) for out in (border.n_outputs, 1))
    rows = config.episodes * rule.longest
    check_fits("reinforce", spec, n_seeds * (rows * row_bytes(border) + 20 * weights), ADVICE)
