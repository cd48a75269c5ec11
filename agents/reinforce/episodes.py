"""What a Monte Carlo policy gradient remembers: the episodes of every seed since its last update, and what they say.

Seeds finish at different times: each fills a batch of its own and learns when that one is full.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from agents.common.exploration import Explore, argmax, choose
from agents.reinforce.gradient import (
    MEAN,
    VALUE,
    gaussian_gradient,
    softmax_gradient,
    standardize,
    subtract_mean,
    weigh_by_age,
)
from simulator.core.jit import jit, jit_inline
from simulator.core.protocols import Array, State
from simulator.core.rng_compiled import normal


class Rule(NamedTuple):
    """The settings as compiled code takes them."""

    discrete: bool  # actions are chosen by a softmax; otherwise drawn from a normal distribution
    one_hot: bool  # an observation is a number, and the networks see a vector with a one
    baseline: int
    bootstrap: bool
    standardized: bool
    gamma_t: bool
    gamma: float
    value_updates: int  # steps of the value network per batch; 1 where there is none
    entropy: float
    longest: int  # steps of one episode that are kept
    explore: Explore


class Episodes(NamedTuple):
    """The batch of every seed so far: up to E episodes, one after the other in T rows, of K numbers an observation."""

    obs: Array  # [S, T, K] float32, or int64 positions of frames
    action: Array  # float32 [S, T, D], as drawn
    reward: Array  # float32 [S, T]
    end: Array  # int64 [S, E], the row behind each episode's last
    final_obs: Array  # [S, E, K], what each episode's last step led to
    truncated: Array  # bool [S, E]
    n_rows: Array  # int64 [S]
    n_episodes: Array  # int64 [S]


class Hand(NamedTuple):
    """What draws actions."""

    log_std: Array  # float32 [S, D]
    stream: Array  # uint64 [S, 4]
    legal_actions: Array  # int64 [n_observations or 1, 1 + A], how many actions exist, and which
    x: Array  # float32 [S, F], room
    y: Array  # float32 [S, out], room


class Counts(NamedTuple):
    """How far every seed is."""

    clock: Array  # int64 [S], environment steps
    failed_at: Array  # int64 [S], the step at which a loss or a gradient was not finite, or 0


def make_episodes(n_seeds: int, size: tuple[int, int], widths: tuple[int, int], kind: type = np.float32) -> Episodes:
    """Empty batches.

    Args:
        n_seeds: S.
        size: (episodes, steps of one) of a batch.
        widths: the numbers of an observation and of an action.
        kind: of an observation's numbers.
    """
    (n_episodes, longest), (width, n_actions) = size, widths
    n_rows = n_episodes * longest
    return Episodes(
        obs=np.zeros((n_seeds, n_rows, width), kind),
        action=np.zeros((n_seeds, n_rows, n_actions), np.float32),
        reward=np.zeros((n_seeds, n_rows), np.float32),
        end=np.zeros((n_seeds, n_episodes), np.int64),
        final_obs=np.zeros((n_seeds, n_episodes, width), kind),
        truncated=np.zeros((n_seeds, n_episodes), np.bool_),
        n_rows=np.zeros(n_seeds, np.int64),
        n_episodes=np.zeros(n_seeds, np.int64),
    )


def metrics_of(loss: Array) -> dict[str, Array]:
    """Views of the latest losses, float64 [S, 3], by name."""
    return {name: loss[:, k] for k, name in enumerate(("loss", "value_loss", "entropy"))}


def save_episodes(episodes: Episodes) -> list[State]:
    """What is in use of every seed's batch."""
    by_row, by_episode = ("obs", "action", "reward"), ("end", "final_obs", "truncated")
    kept = []
    for i, (n_rows, n) in enumerate(zip(episodes.n_rows, episodes.n_episodes, strict=True)):
        rows = {name: getattr(episodes, name)[i, :n_rows].copy() for name in by_row}
        kept.append(rows | {name: getattr(episodes, name)[i, :n].copy() for name in by_episode})
    return kept


def load_episodes(episodes: Episodes, kept: list[State]) -> None:
    """Fill the batches from :func:`save_episodes`."""
    for i, state in enumerate(kept):
        for name, values in state.items():
            getattr(episodes, name)[i, : len(values)] = values
        episodes.n_rows[i], episodes.n_episodes[i] = len(state["reward"]), len(state["end"])


@jit_inline
def see(source, rule, x):
    """Fill the rows of ``x`` [B, F] with what a network sees of observations [B, K]."""
    for r in range(x.shape[0]):
        if rule.one_hot:
            for k in range(x.shape[1]):
                x[r, k] = np.float32(0.0)
            x[r, np.int64(source[r, 0])] = np.float32(1.0)
        else:
            for k in range(x.shape[1]):
                x[r, k] = source[r, k]


@jit_inline
def moves_at(legal_actions, rule, seen):
    """The row of ``legal_actions`` that lists the actions at an observation [K]."""
    return np.int64(seen[0]) if rule.one_hot and legal_actions.shape[0] > 1 else 0


@jit_inline
def draw(hand, rule, i, seen, drawn):
    """Draw an action of seed i from the outputs ``hand.y[i]`` at ``seen`` [K], into ``drawn`` [D]."""
    if rule.discrete:
        legal_actions = hand.legal_actions[moves_at(hand.legal_actions, rule, seen)]
        drawn[0] = choose(hand.stream, i, hand.y[i], legal_actions, rule.explore, 0)
    else:
        for d in range(len(drawn)):
            action = hand.y[i, d] + np.exp(hand.log_std[i, d]) * normal(hand.stream, i)
            drawn[d] = action if action == action else 0.0  # a broken network still has to move


@jit_inline
def best(hand, rule, i, seen, chosen):
    """The most probable or the mean action at the outputs ``hand.y[i]``, into ``chosen`` [D]."""
    if rule.discrete:
        chosen[0] = argmax(hand.stream, i, hand.y[i], hand.legal_actions[moves_at(hand.legal_actions, rule, seen)])
    else:
        for d in range(len(chosen)):
            chosen[d] = hand.y[i, d] if hand.y[i, d] == hand.y[i, d] else np.float32(0.0)


@jit_inline
def _record_lane(episodes, rule, i, seen, drawn, step):
    """Add one step of seed i; whether its batch is complete."""
    reward, terminated, truncated, led_to = step
    row, n = episodes.n_rows[i], episodes.n_episodes[i]
    for k in range(seen.shape[1]):
        episodes.obs[i, row, k] = seen[i, k]
    for d in range(drawn.shape[1]):
        episodes.action[i, row, d] = drawn[i, d]
    episodes.reward[i, row] = reward[i]
    episodes.n_rows[i] = row + 1
    length = row + 1 - (episodes.end[i, n - 1] if n else 0)
    if terminated[i] or truncated[i] or length == rule.longest:
        for k in range(seen.shape[1]):
            episodes.final_obs[i, n, k] = led_to[i, k]
        episodes.end[i, n], episodes.truncated[i, n] = row + 1, not terminated[i]
        episodes.n_episodes[i] = n + 1
    return episodes.n_episodes[i] == episodes.end.shape[1]


@jit
def record_all(episodes, rule, counts, seen, drawn, step):
    """Add one step of every seed that goes on; how many batches are complete.

    ``seen`` is float32 [S, K], ``drawn`` float32 [S, D], ``step`` (reward, terminated, truncated, final_obs [S, K]).
    """
    complete = 0
    for i in range(len(drawn)):
        counts.clock[i] += 1
        if counts.failed_at[i] == 0:
            complete += _record_lane(episodes, rule, i, seen, drawn, step)
    return complete


@jit_inline
def weigh(episodes, rule, i, rows):
    """Advantages of seed i from ``rows``: (returns, values, advantages), float64 [T] each; the last is written."""
    returns, value, advantage = rows
    n_rows, end = episodes.n_rows[i], episodes.end[i]
    for row in range(n_rows):
        advantage[row] = returns[row] - (value[row] if rule.baseline == VALUE else 0.0)
    if rule.baseline == MEAN:
        subtract_mean(advantage, end)
    if rule.standardized and n_rows > 1:  # a single one less its own mean is 0, from which nothing is learned
        standardize(advantage, n_rows)
    if rule.gamma_t:
        weigh_by_age(advantage, end, rule.gamma)


@jit_inline
def policy_slopes(episodes, hand, rule, rows, arrays):
    """DL/d(outputs) of some rows of seed i's batch; the sums of their loss and of the policy's entropy.

    Args:
        episodes: the batches.
        hand: what drew the actions.
        rule: the settings.
        rows: (i, the first row, how many).
        arrays: outputs float32 [n * out]; their gradient, written; advantages float64 [T]; the gradient of the log
            std float64 [D], added to.
    """
    (i, first, n), (outputs, slopes, advantage, std_slope) = rows, arrays
    width, loss, entropy, share = hand.y.shape[1], 0.0, 0.0, 1.0 / episodes.end.shape[1]
    for r in range(n):
        y, dy = outputs[r * width : (r + 1) * width], slopes[r * width : (r + 1) * width]
        weights, drawn = (advantage[first + r], rule.entropy, share), episodes.action[i, first + r]
        if rule.discrete:
            legal_actions = hand.legal_actions[moves_at(hand.legal_actions, rule, episodes.obs[i, first + r])]
            part, more = softmax_gradient(y, legal_actions, np.int64(drawn[0]), weights, dy)
        else:
            part, more = gaussian_gradient(y, hand.log_std[i], drawn, weights, (dy, std_slope))
        loss += part
        entropy += more
    return loss, entropy
