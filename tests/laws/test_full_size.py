"""Tests of seeds with every player's default sizes: the same bits alone, together and on two threads.

Small networks do not show a difference: BLAS kernels and vectorised functions depend on the sizes of their operands.
``python -m tests.laws.full_size`` runs whole trainings.
"""

from __future__ import annotations

import ast
from functools import partial
from pathlib import Path

import pytest
import torch

import memory
from memory.common.networks import arithmetic_torch
from tests.laws.full_size import agents, broken, memories, remembered, trained

FORBIDDEN = {"bmm", "baddbmm", "mm", "addmm", "matmul", "einsum", "linear"} | {
    *("softplus", "sigmoid", "atanh", "logaddexp", "logsumexp", "softmax", "gelu", "silu", "elu", "conv2d"),
}  # of torch: they round differently from place to place
UPDATES = 3
STEPS = 300


@pytest.mark.parametrize("name", memories())
def test_a_memory_of_default_size(name):
    assert broken(partial(remembered, name, updates=UPDATES)) == []


@pytest.mark.parametrize(("name", "env"), agents())
def test_an_agent_of_default_size(name, env):
    assert broken(partial(trained, name, env, steps=STEPS)) == []


@pytest.mark.parametrize("n_out", [1, 5, 16, 18, 192])
@pytest.mark.parametrize("n_rows", [1, 3, 33])
def test_a_product_and_its_slopes_are_those_of_a_seed_alone_and_of_a_row_alone(n_rows, n_out):
    streams = torch.Generator().manual_seed(0)
    x, w, b = (torch.randn(4, *shape, generator=streams) for shape in ((n_rows, 198), (198, n_out), (1, n_out)))

    def slopes(*parts):
        parts = [part.clone().requires_grad_() for part in parts]
        y = arithmetic_torch.product(*parts)
        return [y.detach(), *torch.autograd.grad(y.square().sum(), parts)]

    together = slopes(x, w, b)
    for i in range(4):
        alone = slopes(x[i : i + 1], w[i : i + 1], b[i : i + 1])
        assert all(torch.equal(one[0], all_[i]) for one, all_ in zip(alone, together, strict=True))
    for row in range(n_rows):
        assert torch.equal(arithmetic_torch.product(x[:, row : row + 1], w, b), together[0][:, row : row + 1])


@pytest.mark.parametrize("function", [arithmetic_torch.softplus, arithmetic_torch.sigmoid, arithmetic_torch.atanh])
def test_functions_round_alike_in_every_batch_and_are_accurate(function):
    x = torch.linspace(-0.99, 0.99, 4001) * (1.0 if function is arithmetic_torch.atanh else 40.0)
    y = function(x)
    for length in (1, 7, 17, 31, 100):
        for start in range(0, 4001 - length, 37):
            assert torch.equal(function(x[start : start + length].clone()), y[start : start + length])
    plain = {"softplus": torch.nn.functional.softplus}.get(function.__name__, getattr(torch, function.__name__, None))
    torch.testing.assert_close(y, plain(x.double()).float(), rtol=1e-5, atol=1e-6)


def test_memories_multiply_and_activate_only_by_reproducible_functions():
    """Torch's own products and functions have one user."""
    found = [
        f"{path.name}:{node.lineno} {node.attr}"
        for path in sorted(Path(memory.__file__).parent.rglob("*.py"))
        if path.name != "arithmetic_torch.py" and "torch" in path.read_text(encoding="utf-8")
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if (isinstance(node, ast.Attribute) and node.attr in FORBIDDEN and ast.unparse(node.value) != "np")
    ]
    assert found == []
