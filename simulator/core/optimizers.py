"""Update rules of gradient descent: one step of every rule as a pure function of a gradient and two moments.

A rule is written once, element by element, and runs on NumPy arrays, on tensors of torch, and on single numbers in
compiled code: networks of agents, memories and ``engram race`` all take their steps from here. The forms are those of
``torch.optim``, the seven of which the tests compare.

Robbins and Monro 1951 (SGD); Polyak 1964 (momentum); Nesterov 1983, as Sutskever et al. 2013, equations 3 and 4;
Duchi et al. 2011 (AdaGrad); Zeiler 2012, algorithm 1 (AdaDelta); Tieleman and Hinton 2012 (RMSProp); Kingma and Ba
2015, algorithm 1 (Adam).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple

import numpy as np

from simulator.core.field_types import PartShare, Positive
from simulator.core.jit import jit_implementation, jit_inline, jit_or_python

Kind = Literal["sgd", "momentum", "nesterov", "adagrad", "adadelta", "rmsprop", "adam"]
KINDS: tuple[Kind, ...] = ("sgd", "momentum", "nesterov", "adagrad", "adadelta", "rmsprop", "adam")
_SGD, _MOMENTUM, _NESTEROV, _ADAGRAD, _ADADELTA, _RMSPROP, _ADAM = range(7)
_BETA2 = {"adadelta": 0.9, "rmsprop": 0.99, "adam": 0.999}
_EPS = {"adagrad": 1e-10, "adadelta": 1e-6}


@dataclass(frozen=True)
class RuleConfig:
    """Update rule of gradient descent and its constants."""

    kind: Kind = "adam"
    """the rule"""
    beta1: PartShare = 0.9
    """decay of the running mean of gradients: momentum, nesterov and adam"""
    beta2: PartShare | None = None
    """decay of the running mean of squared gradients; none: adadelta 0.9, rmsprop 0.99, adam 0.999"""
    eps: Positive | None = None
    """added to the root of the running squares, with adadelta below it; none: 1e-8, adagrad 1e-10, adadelta 1e-6"""


def check_rule(settings: RuleConfig, place: str) -> None:
    """Refuse a constant that the rule does not have.

    Args:
        settings: the rule and its constants.
        place: of the settings, for the error: "agent.optimizer".

    Raises:
        ValueError: beta2 or eps is given, and the rule has none; one line.
    """
    for name, kinds in (("beta2", tuple(_BETA2)), ("eps", ("adagrad", *_BETA2))):
        value = getattr(settings, name)
        if value is not None and settings.kind not in kinds:
            expected = f"{', '.join(kinds[:-1])} or {kinds[-1]}"
            raise ValueError(f"{place}.{name} = {value} with kind = {settings.kind}: expected {expected}, or none")


class Rule(NamedTuple):
    """A rule and its constants, filled in."""

    kind: int  # index in KINDS
    beta1: float
    beta2: float
    eps: float


class Coefficients(NamedTuple):
    """Numbers that one step multiplies with; in compiled code float32, else floats or arrays that broadcast."""

    rate: Any  # learning rate; of Adam over 1 - beta1^t
    root_scale: Any  # of the root of the squares: Adam's 1 / sqrt(1 - beta2^t), else 1
    beta1: Any
    rest1: Any  # 1 - beta1, formed in float64: in float32, 1 - .999 is off by 5e-5
    beta2: Any
    rest2: Any
    eps: Any


class Update(NamedTuple):
    """A step, to be subtracted from the weights, and the moments after it."""

    step: Any
    first: Any
    second: Any


def rule_of(settings: RuleConfig) -> Rule:
    """Fill in the constants that are none."""
    beta2 = _BETA2.get(settings.kind, 0.0) if settings.beta2 is None else settings.beta2
    eps = _EPS.get(settings.kind, 1e-8) if settings.eps is None else settings.eps
    return Rule(KINDS.index(settings.kind), float(settings.beta1), float(beta2), float(eps))


def coefficients(rule: Rule, rate: Any, count: Any) -> Coefficients:
    """Return the numbers of a step.

    Args:
        rule: the rule.
        rate: learning rate.
        count: steps so far, this one among them; at least 1.
    """
    root_scale: Any = 1.0
    if rule.kind == _ADAM:
        rate = rate / (1.0 - rule.beta1**count)
        root_scale = 1.0 / np.sqrt(1.0 - rule.beta2**count)
    return Coefficients(rate, root_scale, rule.beta1, 1.0 - rule.beta1, rule.beta2, 1.0 - rule.beta2, rule.eps)


def update(rule: Rule, gradient: Any, first: Any, second: Any, c: Coefficients) -> Update:
    """Compute a step of a rule on arrays or tensors of one shape."""
    return FORMULAS[KINDS[rule.kind]](gradient, first, second, c)


def root(x: Any) -> Any:
    """Compute the square root of an array or a tensor, by the one notation that both have."""
    return x**0.5


@jit_implementation(root, inline=True)
def _root(x):
    return np.sqrt(x)


@jit_or_python(inline=True)
def sgd(gradient, first, second, c):
    """Step down the gradient."""
    return Update(c.rate * gradient, first, second)


@jit_or_python(inline=True)
def momentum(gradient, velocity, second, c):
    """Step along a decaying sum of gradients."""
    velocity = c.beta1 * velocity + gradient
    return Update(c.rate * velocity, velocity, second)


@jit_or_python(inline=True)
def nesterov(gradient, velocity, second, c):
    """Step along the decaying sum of gradients as it will be, the gradient again where it leads."""
    velocity = c.beta1 * velocity + gradient
    return Update(c.rate * (gradient + c.beta1 * velocity), velocity, second)


@jit_or_python(inline=True)
def adagrad(gradient, squares, second, c):
    """Divide by the root of the sum of squared gradients."""
    squares = squares + gradient * gradient
    return Update(c.rate * gradient / (root(squares) + c.eps), squares, second)


@jit_or_python(inline=True)
def adadelta(gradient, squares, step_squares, c):
    """Divide by the root of the running mean of squared gradients, and multiply by that of squared steps."""
    squares = c.beta2 * squares + c.rest2 * gradient * gradient
    step = root(step_squares + c.eps) / root(squares + c.eps) * gradient
    return Update(c.rate * step, squares, c.beta2 * step_squares + c.rest2 * step * step)


@jit_or_python(inline=True)
def rmsprop(gradient, squares, second, c):
    """Divide by the root of the running mean of squared gradients."""
    squares = c.beta2 * squares + c.rest2 * gradient * gradient
    return Update(c.rate * gradient / (root(squares) + c.eps), squares, second)


@jit_or_python(inline=True)
def adam(gradient, mean, squares, c):
    """Step along the running mean of gradients over the root of that of their squares, both without their bias."""
    mean = c.beta1 * mean + c.rest1 * gradient
    squares = c.beta2 * squares + c.rest2 * gradient * gradient
    return Update(c.rate * mean / (root(squares) * c.root_scale + c.eps), mean, squares)


FORMULAS: dict[Kind, Callable[[Any, Any, Any, Coefficients], Update]] = dict(
    zip(KINDS, (sgd, momentum, nesterov, adagrad, adadelta, rmsprop, adam), strict=True)
)


@jit_inline
def compiled_coefficients(rule, rate, count):
    """Return the numbers of a step as compiled code takes them; see :func:`coefficients`."""
    root_scale = 1.0
    if rule.kind == _ADAM:
        rate = rate / (1.0 - rule.beta1**count)
        root_scale = 1.0 / np.sqrt(1.0 - rule.beta2**count)
    return Coefficients(
        np.float32(rate),
        np.float32(root_scale),
        np.float32(rule.beta1),
        np.float32(1.0 - rule.beta1),
        np.float32(rule.beta2),
        np.float32(1.0 - rule.beta2),
        np.float32(rule.eps),
    )


@jit_inline
def apply_rule(rule, c, weights, gradient, first, second):  # noqa: C901 - one loop for each rule: LLVM vectorises them
    """Move float32 weights [P] along a gradient [P], and both moments [P] with them, in place."""
    n = len(weights)
    if rule.kind == _ADAM:
        for k in range(n):
            step, first[k], second[k] = adam(gradient[k], first[k], second[k], c)
            weights[k] -= step
    elif rule.kind == _SGD:
        for k in range(n):
            weights[k] -= sgd(gradient[k], first[k], second[k], c).step
    elif rule.kind == _MOMENTUM:
        for k in range(n):
            step, first[k], _ = momentum(gradient[k], first[k], second[k], c)
            weights[k] -= step
    elif rule.kind == _NESTEROV:
        for k in range(n):
            step, first[k], _ = nesterov(gradient[k], first[k], second[k], c)
            weights[k] -= step
    elif rule.kind == _ADAGRAD:
        for k in range(n):
            step, first[k], _ = adagrad(gradient[k], first[k], second[k], c)
            weights[k] -= step
    elif rule.kind == _RMSPROP:
        for k in range(n):
            step, first[k], _ = rmsprop(gradient[k], first[k], second[k], c)
            weights[k] -= step
    else:
        for k in range(n):
            step, first[k], second[k] = adadelta(gradient[k], first[k], second[k], c)
            weights[k] -= step
