"""Searching the code of a generator for the pattern that explains a cue."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn.functional import logsigmoid

from memory.common.networks.arithmetic_torch import product
from memory.common.networks.layers_torch import Adam, Pace, rate

_CUES = 256  # searched at a time


class Search(NamedTuple):
    """How to search."""

    drawn: int  # codes, of which the best are starts
    starts: int
    steps: int
    search_rate: float


def misfit(log_odds: Tensor, evidence: Tensor) -> Tensor:
    """-log p(cue | code), up to a constant of the cue, summed over units.

    Args:
        log_odds: [..., N], of +1 at every unit given the code.
        evidence: [..., N], half the log odds of +1 that the cue's unit gives by itself.
    """
    return (logsigmoid(log_odds + 2.0 * evidence) - logsigmoid(log_odds) - evidence).sum(-1)


def search(make: Callable[[Tensor], Tensor], evidence: Tensor, pool: Tensor, plan: Search) -> Tensor:
    """Codes [S, Q, H] of low misfit + |z|^2 / 2 for evidence [S, Q, N].

    Args:
        make: codes [S, B, H] -> log odds [S, B, N].
        evidence: of the cues.
        pool: drawn codes [S, D, H].
        plan: how to search.
    """
    with torch.no_grad():
        made = make(pool)
    return torch.cat([_search(make, part, (pool, made), plan) for part in torch.split(evidence, _CUES, 1)], 1)


def _search(make: Callable[[Tensor], Tensor], evidence: Tensor, drawn: tuple[Tensor, Tensor], plan: Search) -> Tensor:
    pool, made = drawn
    n_cues = evidence.shape[1]
    fit = product(evidence, torch.tanh(0.5 * made).transpose(1, 2))  # [S, Q, D]
    best = fit.topk(plan.starts, -1).indices.flatten(1)  # [S, Q * R]
    code = pool.gather(1, best.unsqueeze(-1).expand(-1, -1, pool.shape[-1])).clone()
    wanted = evidence.repeat_interleave(plan.starts, 1)

    def cost() -> Tensor:
        return misfit(make(code), wanted) + 0.5 * code.square().sum(-1)

    with torch.enable_grad():
        adam = Adam({"code": code})
        for step in range(plan.steps):
            adam.step(cost().sum(-1), rate(Pace(plan.steps, plan.search_rate), step))
    code.requires_grad_(False)
    chosen = torch.unflatten(cost(), 1, (n_cues, plan.starts)).argmin(-1, keepdim=True)  # [S, Q, 1]
    rows = torch.unflatten(code, 1, (n_cues, plan.starts))
    found: Tensor = rows.gather(2, chosen.unsqueeze(-1).expand(-1, -1, -1, rows.shape[-1]))[:, :, 0]
    return found
