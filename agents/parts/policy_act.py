"""How a policy network acts: drawing while it trains, greedily while it is judged."""

from __future__ import annotations

import numpy as np

from agents.parts.explore import argmax, choose
from agents.parts.network_compiled import Net, forward_row, twin
from agents.parts.policy_border import Border
from agents.parts.policy_episodes import Hand, Rule, moves_at, see
from simulator.core import seeds
from simulator.core.compiled import compiled
from simulator.core.draws import normal
from simulator.core.protocols import Array


@compiled
def act_all(policy, hand, rule, seen, drawn):
    """Actions of all seeds at ``seen`` float32 [S, K], written to ``drawn`` float32 [S, D]."""
    for i in range(len(drawn)):
        see(seen[i : i + 1], rule, hand.x[i : i + 1])
        forward_row(policy, i, i, hand.x[i], hand.y[i])
        if rule.discrete:
            moves = hand.moves[moves_at(hand.moves, rule, seen[i])]
            drawn[i, 0] = choose(hand.stream, i, hand.y[i], moves, rule.explore, 0)
        else:
            for d in range(drawn.shape[1]):
                action = hand.y[i, d] + np.exp(hand.log_std[i, d]) * normal(hand.stream, i)
                drawn[i, d] = action if action == action else 0.0  # a broken network still has to move


@compiled
def _greedy_all(policy, hand, rule, seen, chosen):
    for i in range(len(chosen)):
        see(seen[i : i + 1], rule, hand.x[i : i + 1])
        forward_row(policy, i, i, hand.x[i], hand.y[i])
        if rule.discrete:
            moves = hand.moves[moves_at(hand.moves, rule, seen[i])]
            chosen[i, 0] = argmax(hand.stream, i, hand.y[i], moves)
        else:
            for d in range(chosen.shape[1]):
                chosen[i, d] = hand.y[i, d] if hand.y[i, d] == hand.y[i, d] else np.float32(0.0)


@compiled
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
        self._policy, self._rule, self._border = twin(policy), rule, border
        room = {"x": np.zeros_like(hand.x), "y": np.zeros_like(hand.y)}
        self._hand = hand._replace(stream=seeds.words(seed_list, "ties"), **room)
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
        listed = self._hand.moves[seen[:, 0].astype(np.int64) if len(self._hand.moves) > 1 else [0] * len(seen)]
        exists = np.zeros((len(seen), n_actions), np.bool_)
        for row, moves in zip(exists, listed, strict=True):
            row[moves[1 : 1 + moves[0]]] = True
        prefer = np.where(exists, y, -np.inf)
        best = prefer == prefer.max(axis=-1, keepdims=True)
        return best / best.sum(axis=-1, keepdims=True)

    def values(self, obs: Array) -> None:
        """It has no action values."""
