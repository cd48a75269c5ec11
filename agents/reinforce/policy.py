"""How a policy network acts: drawing while it trains, greedily while it is judged."""

from __future__ import annotations

import numpy as np

from agents.common.networks.dense import Net, clone, forward_row
from agents.common.spaces import uniform_best
from agents.reinforce.border import Border
from agents.reinforce.episodes import Hand, Rule, best, draw, see
from simulator.core import rng
from simulator.core.jit import jit
from simulator.core.protocols import Array


@jit
def act_all(policy, hand, rule, seen, drawn):
    """Actions of all seeds at ``seen`` float32 [S, K], written to ``drawn`` float32 [S, D]."""
    for i in range(len(drawn)):
        see(seen[i : i + 1], rule, hand.x[i : i + 1])
        forward_row(policy, i, i, hand.x[i], hand.y[i])
        draw(hand, rule, i, seen[i], drawn[i])


@jit
def _greedy_all(policy, hand, rule, seen, chosen):
    for i in range(len(chosen)):
        see(seen[i : i + 1], rule, hand.x[i : i + 1])
        forward_row(policy, i, i, hand.x[i], hand.y[i])
        best(hand, rule, i, seen[i], chosen[i])


@jit
def _outputs_all(policy, hand, rule, seen, y):
    for i in range(y.shape[0]):
        for b in range(y.shape[1]):
            see(seen[b : b + 1], rule, hand.x[i : i + 1])
            forward_row(policy, i, i, hand.x[i], y[i, b])


class GreedyPolicy:
    """The most probable action, or the mean one; see :class:`simulator.core.protocols.Policy`.

    Args:
        policy: the networks, copied.
        hand: what draws; only its list of actions that exist is used.
        rule: the settings.
        border: how observations come in and actions go out.
        seed_list: the run's seeds, for the streams that break ties.
    """

    def __init__(self, policy: Net, hand: Hand, rule: Rule, border: Border, seed_list: list[int]) -> None:
        self._policy, self._rule, self._border = clone(policy), rule, border
        room = {"x": np.zeros_like(hand.x), "y": np.zeros_like(hand.y)}
        self._hand = hand._replace(stream=rng.pcg64_states(seed_list, "ties"), **room)
        self._chosen = np.zeros((len(seed_list), border.n_drawn), np.float32)

    def act(self, obs: Array, first: Array) -> Array:
        """The best action at obs [S, *obs]."""
        _greedy_all(self._policy, self._hand, self._rule, self._border.encode(obs), self._chosen)
        return self._border.actions(self._chosen)

    def probs(self, obs: Array) -> Array | None:
        """Uniform over the best actions, [S, B, A]; None for actions that are not numbered."""
        if not self._rule.discrete:
            return None
        seen, n_actions = self._border.encode(obs), int(self._policy.sizes[-1])
        y = np.zeros((len(self._chosen), len(seen), n_actions), np.float32)
        _outputs_all(self._policy, self._hand, self._rule, seen, y)
        return uniform_best(y, self._hand.legal_actions, seen)

    def values(self, obs: Array) -> None:
        """It has no action values."""
