"""What is added to the loss of a network, as pure functions of tensors; each is tested against autograd or by hand."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import Tensor


def gaussian_divergence(mean: Tensor, log_variance: Tensor) -> Tensor:
    """KL divergence of a diagonal normal law from the standard one, summed over the last axis.

    -(1/2) sum(1 + logvar - mean^2 - exp(logvar)), 0 where both agree (Kingma and Welling 2014, appendix B).
    """
    return -0.5 * (1.0 + log_variance - mean * mean - log_variance.exp()).sum(-1)


def contraction(slopes: Tensor, weights: Tensor) -> Tensor:
    """Squared Frobenius norm of the Jacobian of one layer (Rifai et al. 2011, equation 7).

    Args:
        slopes: [S, B, H], derivative of every hidden unit by its input: h (1 - h) for the logistic function.
        weights: [S, N, H].

    Returns:
        [S, B]: sum_j slope_j^2 |W_j|^2.
    """
    return (slopes.square() * weights.square().sum(1, keepdim=True)).sum(-1)


def gan_value(real: Tensor, made: Tensor) -> Tensor:
    """Value of the adversarial game from the discriminator's log odds (Goodfellow et al. 2014, equation 1).

    Args:
        real: [S, B] log odds of being real, at real rows.
        made: [S, B] the same at made ones.

    Returns:
        [S]: mean log D(real) + mean log(1 - D(made)); 2 JS - log 4 where D is the best there is.
    """
    return -((-real).exp().log1p().mean(-1) + made.exp().log1p().mean(-1))


def closeness(features: Tensor) -> Tensor:
    """How near every row is to the others of its batch (Salimans et al. 2016, section 3.2).

    Args:
        features: [S, B, F, C], C numbers for each of F features of a row.

    Returns:
        [S, B, F]: sum over the other rows of exp(-|difference|_1).
    """
    apart = (features.unsqueeze(2) - features.unsqueeze(1)).abs().sum(-1)  # [S, B, B, F]
    return (-apart).exp().sum(2) - 1.0
