"""The formulas of the Monte Carlo policy gradient, over one seed: returns, advantages, and dL/d(outputs) of a policy.

The loss of a batch of E episodes is ``-(1/E) sum_t (A_t log pi(a_t | s_t) + entropy_bonus H(pi(. | s_t)))``: a sum over
steps, a mean over episodes (Williams 1992, Machine Learning 8; Sutton and Barto 2018, equation 13.8). The advantage
``A_t = G_t - b`` takes a baseline b that does not depend on the action.

Episodes lie one after the other: ``end`` [E] holds the row behind the last step of each.
"""

from __future__ import annotations

import numpy as np

from simulator.core.jit import jit_inline

NONE, MEAN, VALUE = 0, 1, 2  # baselines
HALF_LOG_2_PI = 0.9189385332046727


@jit_inline
def returns_to_go(reward, end, tail, gamma, out):
    """G_t = r_t + gamma G_t+1 for every row of ``out`` float64 [T]; ``tail`` [E] is what follows an episode's last."""
    first = 0
    for e in range(len(end)):
        following = tail[e]
        for back in range(end[e] - first):
            row = end[e] - 1 - back
            following = reward[row] + gamma * following
            out[row] = following
        first = end[e]


@jit_inline
def subtract_mean(advantage, end):
    """Turn returns [T] into advantages over the mean return of the batch's *other* episodes.

    The mean of all would contain the action's own consequences (leave-one-out: Kool, van Hoof and Welling 2019).
    """
    total, first = 0.0, 0
    for row in range(end[-1]):
        total += advantage[row]
    for e in range(len(end)):
        own = 0.0
        for row in range(first, end[e]):
            own += advantage[row]
        others = end[-1] - (end[e] - first)
        baseline = (total - own) / others if others else 0.0
        for row in range(first, end[e]):
            advantage[row] -= baseline
        first = end[e]


@jit_inline
def standardize(advantage, n):
    """Give the first n advantages mean 0 and standard deviation 1; equal ones become 0."""
    mean, square = 0.0, 0.0
    for row in range(n):
        mean += advantage[row] / n
    for row in range(n):
        square += (advantage[row] - mean) ** 2 / n
    for row in range(n):
        advantage[row] = (advantage[row] - mean) / (np.sqrt(square) + 1e-8)


@jit_inline
def weigh_by_age(advantage, end, gamma):
    """Multiply the advantage of step t of every episode by gamma**t (Sutton and Barto 2018, box of section 13.3)."""
    first = 0
    for e in range(len(end)):
        weight = 1.0
        for row in range(first, end[e]):
            advantage[row] *= weight
            weight *= gamma
        first = end[e]


@jit_inline
def softmax_gradient(logits, legal_actions, action, weights, dy):
    """DL/d(logits) of one step, written to ``dy`` [A]; the loss and the policy's entropy.

    Args:
        logits: [A].
        legal_actions: int64 [1 + A], how many actions exist, and which; the others have no probability.
        action: the one taken.
        weights: (advantage, entropy bonus, share of the step in the loss).
        dy: float32 [A], written.
    """
    advantage, bonus, share = weights
    highest, total, mean = -np.inf, 0.0, 0.0
    for m in range(1, 1 + legal_actions[0]):
        highest = max(highest, np.float64(logits[legal_actions[m]]))
    for m in range(1, 1 + legal_actions[0]):
        part = np.exp(logits[legal_actions[m]] - highest)
        total += part
        mean += part * (logits[legal_actions[m]] - highest)
    log_total = np.log(total)
    entropy = log_total - mean / total
    for a in range(len(dy)):
        dy[a] = np.float32(0.0)
    for m in range(1, 1 + legal_actions[0]):
        log_prob = logits[legal_actions[m]] - highest - log_total
        prob, taken = np.exp(log_prob), 1.0 if legal_actions[m] == action else 0.0
        dy[legal_actions[m]] = share * (advantage * (prob - taken) + bonus * prob * (log_prob + entropy))
    log_prob = logits[action] - highest - log_total
    return -share * (advantage * log_prob + bonus * entropy), entropy


@jit_inline
def gaussian_gradient(mean, log_std, action, weights, slopes):
    """DL/d(mean) and dL/d(log std) of one step of independent normal actions; the loss and the policy's entropy.

    Args:
        mean: [D].
        log_std: [D], the same in every state.
        action: [D], as drawn, before any clipping.
        weights: (advantage, entropy bonus, share of the step in the loss).
        slopes: dL/d(mean) float32 [D], written, and dL/d(log std) float64 [D], added to.
    """
    advantage, bonus, share = weights
    dy, dstd = slopes
    log_prob, entropy = 0.0, 0.0
    for d in range(len(dy)):
        std = np.exp(np.float64(log_std[d]))
        z = (np.float64(action[d]) - mean[d]) / std
        log_prob -= 0.5 * z * z + log_std[d] + HALF_LOG_2_PI
        entropy += log_std[d] + 0.5 + HALF_LOG_2_PI
        dy[d] = -share * advantage * z / std
        dstd[d] -= share * (advantage * (z * z - 1.0) + bonus)
    return -share * (advantage * log_prob + bonus * entropy), entropy


@jit_inline
def squared_gradient(value, target, share):
    """DL/d(value) of ``share / 2 (value - target)**2``, and that loss."""
    error = np.float64(value) - target
    return share * error, 0.5 * share * error * error
