"""Tests of the objectives: gradients by autograd and by differences, minima in closed form."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy.optimize import approx_fprime

from simulator.race.objectives import OBJECTIVES, ravine

POINTS = np.random.Generator(np.random.PCG64(1)).uniform(-2.0, 2.0, (3, 5, 2))


@pytest.fixture(params=OBJECTIVES.values(), ids=OBJECTIVES)
def objective(request):
    return request.param


def test_gradients_are_those_of_autograd_and_of_differences(objective):
    points = torch.tensor(POINTS, requires_grad=True)
    stack = np.stack
    try:
        np.stack = torch.stack  # the objectives are arithmetic, which tensors have too
        objective.loss(points).sum().backward()
    finally:
        np.stack = stack
    found = objective.gradient(POINTS)
    assert found.shape == POINTS.shape
    np.testing.assert_allclose(found, points.grad.numpy(), rtol=1e-12, atol=1e-12)
    differences = approx_fprime(POINTS[0, 0], objective.loss, 1e-7)
    np.testing.assert_allclose(found[0, 0], differences, rtol=1e-4, atol=1e-4)


def test_minima_are_minima(objective):
    minima = np.array(objective.minima)
    np.testing.assert_allclose(objective.loss(minima), objective.minimum, atol=1e-15)
    np.testing.assert_allclose(objective.gradient(minima), 0.0, atol=1e-12)
    assert (objective.loss(POINTS) > objective.minimum).all()


def test_the_ravine_has_curvatures_1_and_100():
    unit = np.eye(2)
    mixed = ravine(unit[0] + unit[1]) - ravine(unit[0]) - ravine(unit[1])
    hessian = [[2.0 * ravine(unit[0]), mixed], [mixed, 2.0 * ravine(unit[1])]]
    np.testing.assert_allclose(np.linalg.eigvalsh(hessian), [1.0, 100.0])
