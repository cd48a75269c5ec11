"""The compiled pieces of deep Q-learning around a network of any kind: what comes before and after its products."""

from __future__ import annotations

from agents.common.exploration import argmax, choose, scheduled
from agents.common.replay.buffer import expand, fill_of
from agents.common.replay.prioritized import draw
from agents.dqn.policy import roam
from agents.dqn.targets import Rule, action_values, row_at
from agents.dqn.update import gradients, revise_all, targets
from simulator.core.jit import jit


@jit
def draw_all(stored, batch, beta, mask):
    """Draw a batch for every seed of ``mask`` [S]."""
    replay, priorities, streams = stored
    for i in range(len(mask)):
        if mask[i]:
            draw(priorities, streams, i, (fill_of(replay, i), beta), batch.picked[i], batch.weights[i])


@jit
def gather_all(replay, rule: Rule, batch):
    """The drawn observations of vectors and classes as a network's inputs, into ``batch.x`` and ``batch.following``."""
    for i in range(batch.picked.shape[0]):
        for j in range(batch.picked.shape[1]):
            at = batch.picked[i, j]
            expand(replay.obs[i, at], rule.n_classes, batch.x[i, j])
            expand(replay.following[i, at], rule.n_classes, batch.following[i, j])


@jit
def places_all(replay, batch, least, places):
    """Where the frames of the drawn transitions are, int64 [S, 2 B]: of the observations, then of what they led to."""
    n = batch.picked.shape[1]
    for i in range(batch.picked.shape[0]):
        for j in range(n):
            at = batch.picked[i, j]
            places[i, j] = max(replay.obs[i, at, 0], least[i])
            places[i, n + j] = max(replay.following[i, at, 0], least[i])


@jit
def slopes_all(stored, rule: Rule, batch, outputs, told):
    """dL/d(outputs) [S, B, out] into ``batch.dy`` and losses into ``told[1]`` [S], for the seeds of ``told[0]`` [S].

    ``outputs`` [S, B * out] are the target's and the online network's at what followed, and the online one's here.
    """
    (replay, _, _), (valued, chosen, here), (mask, loss) = stored, outputs, told
    for i in range(len(mask)):
        if mask[i]:
            targets((valued[i], chosen[i]), replay, rule, batch, i, i)
            loss[i] = gradients(here[i], replay, rule, batch, i, i)


@jit
def revise_everywhere(stored, batch, mask):
    """TD errors become priorities in the seeds of ``mask`` [S]."""
    replay, priorities, _ = stored
    for i in range(len(mask)):
        if mask[i]:
            revise_all(priorities, batch, fill_of(replay, i), i, i)


@jit
def roam_all(rule: Rule, seen, draws, actions):
    """Random actions [S] where exploration wants them, else -1; how many are still to be chosen."""
    streams, explore, clock, habit = draws
    now, left = scheduled(explore, clock), 0
    for i in range(len(actions)):
        legal_actions = rule.legal_actions[row_at(rule, seen[i])]
        actions[i] = -1 if explore.softmax else roam(streams, i, legal_actions, now, habit)
        left += actions[i] < 0
    return left


@jit
def settle_all(outputs, rule: Rule, seen, draws, actions):
    """Choose where ``roam_all`` did not, from a network's outputs [S, out] at stored observations ``seen`` [S, F]."""
    streams, explore, clock, q = draws
    for i in range(len(actions)):
        if actions[i] < 0:
            legal_actions = rule.legal_actions[row_at(rule, seen[i])]
            action_values(outputs[i], rule.dueling, q)
            if explore.softmax:
                actions[i] = choose(streams, i, q, legal_actions, explore, clock)
            else:
                actions[i] = argmax(streams, i, q, legal_actions)
