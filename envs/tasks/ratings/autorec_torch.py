"""AutoRec: an autoencoder of the ratings of an item, whose loss is over seen ratings alone (Sedhain et al. 2015).

h(r) = W g(V r + b) + c with a logistic g; the loss is sum over seen (r - h(r))^2 + weight_decay / 2 (|V|^2 + |W|^2)
(their equation 2, the variant I-AutoRec). Departures: ratings are less the means of user and item, unseen ones 0; one
step of Adam on all items at a time.
"""

from __future__ import annotations

from math import sqrt
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor

from simulator.core.protocols import Array

if TYPE_CHECKING:
    from envs.tasks.ratings import Config


def autorec(ratings: Array, seen: Array, means: Array, config: Config, stream: np.random.Generator) -> Array:
    """Train on seen ratings [U, I] and predict all of them, float64 [U, I]."""
    x = torch.tensor(np.where(seen, ratings - means, 0.0).T, dtype=torch.float32)  # [I, U]
    mask = torch.tensor(seen.T)
    n_users = x.shape[1]
    weights = [
        _normal(stream, (n_users, config.hidden), 1.0 / sqrt(n_users)),
        torch.zeros(config.hidden, requires_grad=True),
        _normal(stream, (config.hidden, n_users), 1.0 / sqrt(config.hidden)),
        torch.zeros(n_users, requires_grad=True),
    ]
    optimizer = torch.optim.Adam(weights, lr=config.learning_rate, fused=True)
    for _ in range(config.updates):
        optimizer.zero_grad()
        loss = masked_loss(reconstruct(weights, x), x, mask)
        loss = loss + 0.5 * config.weight_decay * (weights[0].square().sum() + weights[2].square().sum())
        loss.backward()
        optimizer.step()
    with torch.no_grad():
        return means + reconstruct(weights, x).numpy().T.astype(np.float64)


def reconstruct(weights: list[Tensor], x: Tensor) -> Tensor:
    """Compute W g(V r + b) + c of rows x [I, U]."""
    encode, encode_bias, decode, decode_bias = weights
    return torch.sigmoid(x @ encode + encode_bias) @ decode + decode_bias


def masked_loss(output: Tensor, x: Tensor, mask: Tensor) -> Tensor:
    """Return the sum of squared errors where the mask is true; elsewhere it has neither value nor gradient."""
    return torch.where(mask, output - x, torch.zeros(())).square().sum()


def _normal(stream: np.random.Generator, shape: tuple[int, int], std: float) -> Tensor:
    return torch.tensor(std * stream.standard_normal(shape), dtype=torch.float32, requires_grad=True)
