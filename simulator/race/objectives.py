"""Functions of two variables that optimisers are compared on, with gradients and minima in closed form.

The ravine is the quadratic by which the convergence rates of textbooks are derived (Nesterov 2004, section 2.1), turned
by 30 degrees: along its own axes, rules that scale every coordinate by itself would not meet its condition at all. The
saddle is the double well of Strogatz (1994, section 6.5). Beale: E. M. L. Beale 1958, "On an iterative method for
finding a local minimum of a function of more than one variable". Rosenbrock: H. H. Rosenbrock 1960, "An automatic
method for finding the greatest or least value of a function".
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from simulator.core.protocols import Array

CONDITION = 100.0  # of the ravine: its largest curvature over its smallest, which is 1
_COS = math.sqrt(3.0) / 2.0  # of its angle, 30 degrees
_SIN = 0.5


class Box(NamedTuple):
    """A rectangle of the plane."""

    low: tuple[float, float]
    high: tuple[float, float]


class Objective(NamedTuple):
    """A function of two variables; x is [..., 2]."""

    name: str
    formula: str
    loss: Callable[[Array], Array]  # [..., 2] -> [...]
    gradient: Callable[[Array], Array]  # [..., 2] -> [..., 2]
    minima: tuple[tuple[float, float], ...]  # all of them
    minimum: float  # of the loss
    starts: Box  # that starting points are drawn from, uniformly
    view: Box  # that pictures show


def _stack(x: Array, y: Array) -> Array:
    return np.stack((x, y), -1)


def ravine(p: Array) -> Array:
    """Compute (u^2 + 100 v^2) / 2, with u and v the coordinates turned by 30 degrees."""
    u = _COS * p[..., 0] + _SIN * p[..., 1]
    v = _COS * p[..., 1] - _SIN * p[..., 0]
    return 0.5 * (u**2 + CONDITION * v**2)


def ravine_gradient(p: Array) -> Array:
    """Compute the gradient of :func:`ravine`."""
    u = _COS * p[..., 0] + _SIN * p[..., 1]
    v = CONDITION * (_COS * p[..., 1] - _SIN * p[..., 0])
    return _stack(_COS * u - _SIN * v, _SIN * u + _COS * v)


def saddle(p: Array) -> Array:
    """Compute x^4 / 4 - x^2 / 2 + y^2 / 2, whose gradient vanishes at (0, 0) too."""
    x = p[..., 0]
    return 0.25 * x**4 - 0.5 * x**2 + 0.5 * p[..., 1] ** 2


def saddle_gradient(p: Array) -> Array:
    """Compute the gradient of :func:`saddle`."""
    x = p[..., 0]
    return _stack(x**3 - x, p[..., 1])


def beale(p: Array) -> Array:
    """Compute (1.5 - x + x y)^2 + (2.25 - x + x y^2)^2 + (2.625 - x + x y^3)^2."""
    x = p[..., 0]
    y = p[..., 1]
    return (1.5 - x + x * y) ** 2 + (2.25 - x + x * y**2) ** 2 + (2.625 - x + x * y**3) ** 2


def beale_gradient(p: Array) -> Array:
    """Compute the gradient of :func:`beale`."""
    x = p[..., 0]
    y = p[..., 1]
    a = 1.5 - x + x * y
    b = 2.25 - x + x * y**2
    c = 2.625 - x + x * y**3
    dx = 2.0 * (a * (y - 1.0) + b * (y**2 - 1.0) + c * (y**3 - 1.0))
    dy = 2.0 * x * (a + 2.0 * b * y + 3.0 * c * y**2)
    return _stack(dx, dy)


def rosenbrock(p: Array) -> Array:
    """Compute (1 - x)^2 + 100 (y - x^2)^2."""
    x = p[..., 0]
    return (1.0 - x) ** 2 + 100.0 * (p[..., 1] - x**2) ** 2


def rosenbrock_gradient(p: Array) -> Array:
    """Compute the gradient of :func:`rosenbrock`."""
    x = p[..., 0]
    off = p[..., 1] - x**2
    return _stack(-2.0 * (1.0 - x) - 400.0 * x * off, 200.0 * off)


OBJECTIVES = {
    objective.name: objective
    for objective in (
        Objective(
            name="ravine",
            formula="(u^2 + 100 v^2) / 2, u and v turned by 30 degrees",
            loss=ravine,
            gradient=ravine_gradient,
            minima=((0.0, 0.0),),
            minimum=0.0,
            starts=Box((-2.0, -2.0), (2.0, 2.0)),
            view=Box((-2.4, -2.0), (2.4, 2.0)),
        ),
        Objective(
            name="saddle",
            formula="x^4 / 4 - x^2 / 2 + y^2 / 2",
            loss=saddle,
            gradient=saddle_gradient,
            minima=((-1.0, 0.0), (1.0, 0.0)),
            minimum=-0.25,
            starts=Box((-0.01, -1.0), (0.01, 1.0)),
            view=Box((-1.6, -1.2), (1.6, 1.2)),
        ),
        Objective(
            name="beale",
            formula="(1.5 - x + x y)^2 + (2.25 - x + x y^2)^2 + (2.625 - x + x y^3)^2",
            loss=beale,
            gradient=beale_gradient,
            minima=((3.0, 0.5),),
            minimum=0.0,
            starts=Box((0.0, -1.0), (4.0, 1.0)),
            view=Box((-1.0, -1.7), (4.5, 1.7)),
        ),
        Objective(
            name="rosenbrock",
            formula="(1 - x)^2 + 100 (y - x^2)^2",
            loss=rosenbrock,
            gradient=rosenbrock_gradient,
            minima=((1.0, 1.0),),
            minimum=0.0,
            starts=Box((-2.0, -1.0), (2.0, 3.0)),
            view=Box((-2.2, -1.2), (2.2, 3.2)),
        ),
    )
}
