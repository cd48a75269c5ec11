"""Products and functions of stacked networks whose bits do not depend on what stands beside a seed, or a cue.

Torch and its BLAS round differently from place to place: a product takes another kernel where a matrix has one column
or few rows and when it is the only one of its batch, the last few numbers of a tensor are left to scalar code that
rounds unlike the vector code before them. Every network over all seeds multiplies, bends and learns by what is here:

* Products have their columns filled up with zeros to whole cache lines and their rows to ``ROWS``. From there on one
  kernel serves a seed alone and among others, and a row wherever it stands.
* Functions are made of those that torch rounds alike in every place (exp, tanh, log1p, logsigmoid and the basic
  operations): ``softplus``, ``sigmoid``, ``atanh`` and ``logaddexp`` of torch are not among them.
* Adam's fused step works on tensors filled up to whole vectors.

Sums along the last axis are added in one order for every row, and along an axis behind the seeds' in one order for
every seed; along the seeds' or one before it they are not.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn.functional import logsigmoid, pad
from torch.optim.adam import adam

LINE = 16  # float32 numbers in a cache line
ROWS = 16  # of a product at least
LANES = 64  # numbers that vector code takes in one turn, at most


def product(x: Tensor, w: Tensor, bias: Tensor | None = None) -> Tensor:
    """``x w + bias``, one product for each entry of the first axis.

    Args:
        x: [S, B, in].
        w: [S, in, out].
        bias: [S, 1, out].
    """
    n_rows, n_out = x.shape[1], w.shape[2]
    fan, width, rows = -x.shape[2] % LINE, -n_out % LINE, max(0, ROWS - n_rows)
    if fan or rows:
        x = pad(x, (0, fan, 0, rows))
    if fan or width:
        w = pad(w, (0, width, 0, fan))
    if bias is None:
        y = torch.bmm(x, w)
    else:
        y = torch.baddbmm(pad(bias, (0, width)) if width else bias, x, w)
    return y[:, :n_rows, :n_out] if width or rows else y


def softplus(x: Tensor) -> Tensor:
    """log(1 + exp(x))."""
    return -logsigmoid(-x)


def sigmoid(x: Tensor) -> Tensor:
    """1 / (1 + exp(-x))."""
    return logsigmoid(x).exp()


def atanh(x: Tensor) -> Tensor:
    """The number whose tanh is x."""
    return 0.5 * (torch.log1p(x) - torch.log1p(-x))


class AdamStep:
    """Adam's step over tensors of one loss, number by number (Kingma and Ba 2015): the fused kind of torch.

    Args:
        parts: what is to move, contiguous.
        momentum: share of the running direction that is kept.
    """

    def __init__(self, parts: list[Tensor], momentum: float) -> None:
        self._parts, self._momentum = parts, momentum
        self._first, self._second = ([torch.zeros_like(_filled(part)) for part in parts] for _ in range(2))
        self._counts = [torch.zeros(()) for _ in parts]

    @torch.no_grad()
    def __call__(self, slopes: list[Tensor], learning_rate: float) -> None:
        """Move the tensors, in place, by their slopes."""
        moved = [_filled(part) for part in self._parts]
        adam(
            moved,
            [_filled(slope) for slope in slopes],
            self._first,
            self._second,
            [],
            self._counts,
            lr=learning_rate,
            beta1=self._momentum,
            beta2=0.999,
            eps=1e-8,
            weight_decay=0.0,
            amsgrad=False,
            maximize=False,
            fused=True,
        )
        for part, new in zip(self._parts, moved, strict=True):
            if new is not part:
                part.copy_(new[: part.numel()].view_as(part))


def _filled(x: Tensor) -> Tensor:
    """The tensor laid out in one piece; with zeros behind where it does not fill whole vectors."""
    short = -x.numel() % LANES
    return pad(x.detach().flatten(), (0, short)) if short else x.detach().contiguous()
