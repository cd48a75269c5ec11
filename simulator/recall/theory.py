"""Mean-field theory of the Hopfield network with Hebb's rule, random patterns and no self-coupling: alpha = P / N.

At temperature 0 (Amit, Gutfreund and Sompolinsky 1985, Physical Review Letters 55, equations 8 to 11; 1987, Annals of
Physics 173, section 5; Hertz, Krogh and Palmer 1991, section 2.5), N to infinity, with erf from scipy:

    m = erf(y),  y = m / sqrt(2 alpha r),  sqrt(r) = 1 / (1 - C),  C = (2 / sqrt(2 pi alpha r)) exp(-y^2)

which is one equation in y:  y (sqrt(2 alpha) + (2 / sqrt(pi)) exp(-y^2)) = erf(y). Beside y = 0 it has solutions only
up to alpha_c = .1379, where the overlap falls from m = .967 to 0 at once (a first-order jump).

One synchronous step from a stored pattern: a unit i of pattern 1 has the field N - 1 + sum over j, mu > 1 of
x_i^mu x_j^mu x_i^1 x_j^1, in units of the pattern's own sign. These (N - 1)(P - 1) terms are independent signs, so

    P(error) = P(B < ((N - 1)(P - 1) - (N - 1)) / 2),  B binomial with (N - 1)(P - 1) trials of probability 1/2

exactly (a field of 0 keeps the unit), and Phi(-sqrt(N / P)) = erfc(sqrt(1 / (2 alpha))) / 2 as the Gaussian limit.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from scipy.optimize import brentq, minimize_scalar
from scipy.special import erf, erfc
from scipy.stats import binom

MAX_Y = 30.0  # of a solution: erf is 1 long before


class Critical(NamedTuple):
    """Load up to which patterns are recalled at all, and the overlap there."""

    alpha: float
    overlap: float


def load_of(y: float) -> float:
    """Compute the load at which y solves the self-consistency equation; at its branch of small y it rises from 0."""
    root = erf(y) / y - 2.0 / np.sqrt(np.pi) * np.exp(-y * y)
    return float(0.5 * root * root)


def critical() -> Critical:
    """Compute the largest load with a solution, alpha_c."""
    peak = minimize_scalar(lambda y: -load_of(y), bounds=(0.5, 4.0), method="bounded", options={"xatol": 1e-10})
    return Critical(-float(peak.fun), float(erf(peak.x)))


def overlap(alpha: float) -> float:
    """Compute the overlap m of recall with a stored pattern at a load alpha; 0 beyond alpha_c.

    Raises:
        ValueError: a load of 0 or less.
    """
    if not alpha > 0.0:
        raise ValueError(f"alpha = {alpha}: expected a load above 0")
    peak = minimize_scalar(lambda y: -load_of(y), bounds=(0.5, 4.0), method="bounded", options={"xatol": 1e-10})
    if alpha > -peak.fun:
        return 0.0
    y_max = max(MAX_Y, 2.0 / np.sqrt(2.0 * alpha))
    return float(erf(brentq(lambda y: load_of(y) - alpha, peak.x, y_max, xtol=1e-13)))


def one_step_error(alpha: float, *, zero_diagonal: bool = True) -> float:
    """Compute the probability, for N to infinity, that a unit of a stored pattern flips in one synchronous step."""
    signal = 1.0 if zero_diagonal else 1.0 + alpha
    return float(0.5 * erfc(signal / np.sqrt(2.0 * alpha)))


def exact_one_step_error(n_patterns: int, n_units: int) -> float:
    """Compute it for P random patterns of N units exactly, without self-coupling."""
    n_terms = (n_units - 1) * (n_patterns - 1)
    # the field is N - 1 + 2 B - n_terms, an error where it is below 0
    return float(binom.cdf(np.ceil((n_terms - (n_units - 1)) / 2.0) - 1.0, n_terms, 0.5))
