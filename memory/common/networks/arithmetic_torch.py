"""Matrix products, functions and optimizers for stacked networks, with bits that depend on no neighbour.

A seed must give the same bits alone and among other seeds, and a cue the same bits alone and among other cues. Torch
does not promise that. Its BLAS takes another kernel for a matrix with one column or few rows, and for a batch of one
matrix. Its vectorized functions leave the last few numbers of a tensor to scalar code, which rounds differently. All
networks with a seed axis therefore compute with what is defined here:

* Products have their columns padded with zeros to whole cache lines, and their rows to ``MIN_ROWS``. From there on one
  kernel serves a seed alone and among others, and a row at any position.
* Functions are built from those that round the same at every position (exp, tanh, log1p, logsigmoid and basic
  arithmetic). Torch's ``softplus``, ``sigmoid``, ``atanh`` and ``logaddexp`` are not among them.
* Optimizers work on tensors padded to whole vectors: Adam by torch's fused step, the other rules by
  :mod:`simulator.core.optimizers`.

Sums along the last axis, and along any axis behind the seed axis, are added in the same order for every row or seed.
Sums along the seed axis or an axis before it are not.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import logsigmoid, pad
from torch.optim.adam import adam

from simulator.core.optimizers import RuleConfig, coefficients, rule_of
from simulator.core.optimizers import update as rule_update
from simulator.core.protocols import State

CACHE_LINE = 16  # float32 numbers
MIN_ROWS = 16  # of a product
VECTOR = 64  # numbers that vectorized code processes at once, at most
ADAM = RuleConfig()


def product(x: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    """Compute ``x weight + bias``, one product for each entry of the first axis.

    Args:
        x: [S, B, in].
        weight: [S, in, out].
        bias: [S, 1, out].

    Returns:
        [S, B, out].
    """
    n_rows = x.shape[1]
    n_out = weight.shape[2]
    extra_in = -x.shape[2] % CACHE_LINE
    extra_out = -n_out % CACHE_LINE
    extra_rows = max(0, MIN_ROWS - n_rows)
    if extra_in or extra_rows:
        x = pad(x, (0, extra_in, 0, extra_rows))
    if extra_in or extra_out:
        weight = pad(weight, (0, extra_out, 0, extra_in))
    if bias is None:
        y = torch.bmm(x, weight)
    else:
        y = torch.baddbmm(pad(bias, (0, extra_out)) if extra_out else bias, x, weight)
    return y[:, :n_rows, :n_out] if extra_out or extra_rows else y


def softplus(x: Tensor) -> Tensor:
    """Compute log(1 + exp(x))."""
    return -logsigmoid(-x)


def sigmoid(x: Tensor) -> Tensor:
    """Compute 1 / (1 + exp(-x))."""
    return logsigmoid(x).exp()


def atanh(x: Tensor) -> Tensor:
    """Compute the inverse of tanh."""
    return 0.5 * (torch.log1p(x) - torch.log1p(-x))


class Optimizer:
    """An update rule over stacked weights, element by element.

    Args:
        weights: contiguous tensors by name, updated in place; they require gradients from now on.
        settings: the rule and its constants.
    """

    def __init__(self, weights: dict[str, Tensor], settings: RuleConfig = ADAM) -> None:
        self._rule = rule_of(settings)
        self._is_adam = settings.kind == "adam"
        self._names = list(weights)
        self._weights = [weight.requires_grad_() for weight in weights.values()]
        self._firsts = [torch.zeros_like(_padded(weight)) for weight in self._weights]  # moments, as each rule has them
        self._seconds = [torch.zeros_like(_padded(weight)) for weight in self._weights]
        self._step_counts = [torch.zeros((), device=weight.device) for weight in self._weights]

    def minimize(self, loss: Tensor, learning_rate: float) -> None:
        """Take one step down the gradient of the losses [S]; no other weights than the optimizer's change."""
        gradients = torch.autograd.grad(loss.sum(), self._weights)
        with torch.no_grad():
            updated = [_padded(weight) for weight in self._weights]
            padded_gradients = [_padded(gradient) for gradient in gradients]
            if self._is_adam:
                self._fused_adam(updated, padded_gradients, learning_rate)
            else:
                self._apply_rule(updated, padded_gradients, learning_rate)
            for weight, new in zip(self._weights, updated, strict=True):
                if new is not weight:
                    weight.copy_(new[: weight.numel()].view_as(weight))

    def _fused_adam(self, weights: list[Tensor], gradients: list[Tensor], learning_rate: float) -> None:
        """Move the weights by torch's own step, which is twice as fast as the formula on tensors."""
        adam(
            weights,
            gradients,
            self._firsts,
            self._seconds,
            [],
            self._step_counts,
            lr=learning_rate,
            beta1=self._rule.beta1,
            beta2=self._rule.beta2,
            eps=self._rule.eps,
            weight_decay=0.0,
            amsgrad=False,
            maximize=False,
            fused=True,
        )

    def _apply_rule(self, weights: list[Tensor], gradients: list[Tensor], learning_rate: float) -> None:
        for at, (weight, gradient) in enumerate(zip(weights, gradients, strict=True)):
            self._step_counts[at] += 1.0
            c = coefficients(self._rule, learning_rate, 1)  # the count is Adam's alone
            moved = rule_update(self._rule, gradient, self._firsts[at], self._seconds[at], c)
            weight -= moved.step
            self._firsts[at] = moved.first
            self._seconds[at] = moved.second

    def state(self) -> State:
        """Return the moments of every weight, in its shape, and the number of steps."""
        saved: State = {"steps": int(self._step_counts[0])}
        for name, weight, first, second in zip(self._names, self._weights, self._firsts, self._seconds, strict=True):
            moments = [moment.flatten()[: weight.numel()].view_as(weight).cpu().numpy() for moment in (first, second)]
            saved[name] = np.stack(moments, axis=1)
        return saved

    def restore(self, state: State) -> None:
        """Continue from ``state``."""
        for step_count in self._step_counts:
            step_count.fill_(state["steps"])
        for name, *moments in zip(self._names, self._firsts, self._seconds, strict=True):
            for moment, saved in zip(moments, np.moveaxis(state[name], 1, 0), strict=True):
                moment.flatten()[: saved.size] = torch.tensor(saved, device=moment.device).flatten()


def _padded(x: Tensor) -> Tensor:
    """Return the tensor in contiguous memory, flattened and padded with zeros unless it fills whole vectors."""
    missing = -x.numel() % VECTOR
    return pad(x.detach().flatten(), (0, missing)) if missing else x.detach().contiguous()
