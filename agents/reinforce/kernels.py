"""The compiled pieces of REINFORCE around torch networks: what comes before and after their products, over G seeds."""

from __future__ import annotations

import numpy as np

from agents.common.networks.optimizers import apply_update, clip_grad_norm
from agents.reinforce.episodes import best, draw, policy_slopes, weigh
from agents.reinforce.gradient import VALUE, returns_to_go, squared_gradient
from simulator.core.jit import jit


@jit
def draw_all(hand, rule, seen, drawn):
    """Actions float32 [S, D] drawn by the outputs ``hand.y`` at what was kept, ``seen`` [S, K]."""
    for i in range(len(drawn)):
        draw(hand, rule, i, seen[i], drawn[i])


@jit
def best_all(hand, rule, seen, chosen):
    """The best actions, float32 [S, D]."""
    for i in range(len(chosen)):
        best(hand, rule, i, seen[i], chosen[i])


@jit
def value_all(episodes, rule, full, given, out):
    """Returns, and the gradient of half the mean squared error of the values, of the seeds that are ``full`` [G].

    Args:
        episodes: the batches.
        rule: the settings.
        full: bool [G].
        given: what follows an episode's last step, float64 [G, E]; values float32 [G, T].
        out: returns float64 [G, T], dL/d(value) float32 [G, T], losses float64 [G]; written.
    """
    (tail, value), (returns, slopes, losses) = given, out
    for i in range(len(full)):
        losses[i] = 0.0
        n = episodes.n_rows[i] if full[i] else 0
        if n:
            returns_to_go(episodes.reward[i, :n], episodes.end[i], tail[i], rule.gamma, returns[i])
        if rule.baseline == VALUE:
            for row in range(n):
                slope, part = squared_gradient(value[i, row], returns[i, row], 1.0 / n)
                slopes[i, row] = slope
                losses[i] += part


@jit
def policy_all(episodes, hand, rule, full, given, out):
    """Gradients of the policy's loss in the seeds that are ``full`` [G].

    Args:
        episodes: the batches.
        hand: what drew the actions.
        rule: the settings.
        full: bool [G].
        given: returns float64 [G, T], values float32 [G, T], outputs float32 [G, T * out].
        out: advantages float64 [G, T], dL/d(outputs) float32 [G, T * out], dL/d(log std) float64 [G, D], losses
            float64 [G, 3], of which the policy's and the mean entropy; written.
    """
    (returns, value, y), (advantage, dy, std_slope, loss) = given, out
    for i in range(len(full)):
        if full[i]:
            n = episodes.n_rows[i]
            weigh(episodes, rule, i, (returns[i], value[i], advantage[i]))
            arrays = (y[i], dy[i], advantage[i], std_slope[i])
            part, more = policy_slopes(episodes, hand, rule, (i, 0, n), arrays)
            loss[i, 0], loss[i, 2] = part, more / n


@jit
def std_all(optimizer, log_std, gradient, sound, share):
    """One step of the log std float32 [G, D] along ``gradient``, in the seeds that are ``sound`` [G]."""
    for i in range(len(sound)):
        if sound[i] and np.isfinite(clip_grad_norm(optimizer, gradient[i])):
            apply_update(optimizer, i, log_std[i], gradient[i], share)
