"""Supervised learning of sequences: S networks side by side, each on batches and weights of its own seed.

The network answers after every row of a sequence, from that row and those before it. The loss is the cross entropy of
a class, or the squared error of a number, averaged over the rows that count; the gradient flows back through the whole
sequence (Werbos 1990), is clipped by its norm and followed by Adam.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from agents.common.memory_check import free_bytes
from agents.common.networks.compiled import (
    AnyNet,
    backward,
    copy_outputs,
    episodes,
    forward,
    make_network,
    network_bytes,
)
from agents.common.networks.dense import NetworkSettings
from agents.common.networks.optimizers import OptimizerSettings, clip_and_update, make_optimizer
from agents.common.networks.recurrent import Recurrence, RecurrenceConfig, Sequences, make_recurrent_net
from simulator.core.jit import jit
from simulator.core.protocols import Array
from simulator.core.sequence_learning import LearnerSettings, SequenceShape


class SequenceLearner:
    """S networks that learn to answer after the rows of sequences.

    Args:
        recurrence: the cell; None: dense layers, which see one row.
        shape: rows and answers.
        hidden: units of the dense layers before the answer.
        seed_list: the seeds, each with weights from its own streams.
        settings: the optimiser's.
        window: rows that a dense network sees at once, the latest among them; zeros stand before the first.

    Raises:
        ValueError: the networks need more memory than there is.
    """

    def __init__(
        self,
        recurrence: Recurrence | None,
        shape: SequenceShape,
        hidden: Sequence[int],
        seed_list: Sequence[int],
        settings: LearnerSettings,
        window: int = 1,
    ) -> None:
        network = NetworkSettings(hidden=tuple(hidden), activation="tanh")
        n_bytes = network_bytes(shape.n_in * window, network, shape.n_outputs, recurrence, shape.max_rows)
        _check_memory(len(seed_list), shape.max_rows, n_bytes)
        self._window = window
        self.net: AnyNet = make_network(
            shape.n_in * window,
            network,
            shape.n_outputs,
            recurrence,
            seed_list,
            shape.max_rows,
            shape.max_sequences,
        )
        rule = OptimizerSettings(learning_rate=settings.learning_rate, max_grad_norm=settings.max_grad_norm)
        self._optimizer = make_optimizer(rule, *self.net.params.shape)
        self._n_outputs = shape.n_outputs
        self.n_params = int(self.net.params.shape[1])

    def update(self, x: Array, target: Array, weight: Array) -> Array:
        """Follow the gradient once.

        Args:
            x: float32 [S, B, T, D].
            target: [S, B, T], classes or numbers.
            weight: float32 [S, B, T], 0 where an answer does not count.

        Returns:
            The loss before, [S].
        """
        return self._pass(x, target, weight, learn=True)

    def loss(self, x: Array, target: Array, weight: Array) -> Array:
        """Return the loss [S], and leave its gradient in ``net.gradient``; see ``update``."""
        return self._pass(x, target, weight, learn=False)

    def outputs(self, x: Array) -> Array:
        """Answer after every row of x [S, B, T, D]: float32 [S, B, T, outputs]."""
        rows, end = self._rows(x)
        found = np.zeros((*rows.shape[:2], self._n_outputs), np.float32)
        _answer(self.net, rows, end, found)
        return found.reshape(*x.shape[:3], self._n_outputs)

    def _pass(self, x: Array, target: Array, weight: Array, *, learn: bool) -> Array:
        rows, end = self._rows(x)
        n_seeds, n_rows = rows.shape[:2]
        losses = np.zeros(n_seeds)
        dy = np.zeros((n_rows, self._n_outputs), np.float32)
        flat_target = np.ascontiguousarray(target, np.float64).reshape(n_seeds, n_rows)
        flat_weight = np.ascontiguousarray(weight, np.float32).reshape(n_seeds, n_rows)
        _learn(self.net, self._optimizer, rows, flat_target, flat_weight, end, dy, losses, learn)
        return losses

    def _rows(self, x: Array) -> tuple[Array, Array]:
        """Return rows [S, B * T, D * window], and the row behind the end of each sequence."""
        n_seeds, n_sequences, n_steps, n_in = x.shape
        seen = np.zeros((n_seeds, n_sequences, n_steps, self._window, n_in), np.float32)
        for back in range(min(self._window, n_steps)):
            seen[:, :, back:, self._window - 1 - back] = x[:, :, : n_steps - back]
        end = np.arange(1, n_sequences + 1, dtype=np.int64) * n_steps
        return seen.reshape(n_seeds, n_sequences * n_steps, -1), end


@jit
def _learn(net, optimizer, x, target, weight, end, dy, losses, learn):
    for i in range(x.shape[0]):
        sequences = episodes(net, end)
        forward(net, i, i, x[i], sequences)
        copy_outputs(net, i, dy)
        losses[i] = _loss_gradient(dy, target[i], weight[i])
        backward(net, i, i, x[i], dy, sequences)
        if learn:
            clip_and_update(optimizer, i, net.params[i], net.gradient[i], 1.0)


@jit
def _answer(net, x, end, out):
    for i in range(x.shape[0]):
        forward(net, i, i, x[i], episodes(net, end))
        copy_outputs(net, i, out[i])


@jit
def _loss_gradient(y, target, weight):
    """Turn answers y [T, out] into the gradient of the mean loss at them, in place; return the loss."""
    total = 0.0
    for r in range(len(weight)):
        total += weight[r]
    loss = 0.0
    for r in range(len(weight)):
        share = weight[r] / total
        if y.shape[1] == 1:
            error = y[r, 0] - target[r]
            loss += share * error * error
            y[r, 0] = np.float32(2.0 * share * error)
            continue
        largest = np.float64(y[r, 0])
        for c in range(y.shape[1]):
            largest = max(largest, np.float64(y[r, c]))
        norm = 0.0
        for c in range(y.shape[1]):
            norm += np.exp(y[r, c] - largest)
        right = np.int64(target[r])
        loss += share * (np.log(norm) + largest - y[r, right])
        for c in range(y.shape[1]):
            p = np.exp(y[r, c] - largest) / norm
            y[r, c] = np.float32(share * (p - (1.0 if c == right else 0.0)))
    return loss


def state_gradients(recurrence: Recurrence, x: Array, seed_list: Sequence[int], scale: float = 1.0) -> Array:
    """Measure how much the last output of an untrained layer depends on what was carried before.

    Args:
        recurrence: the cell; its first layer is taken.
        x: float32 [S, T, D], a sequence for each seed.
        seed_list: the seeds, which give the weights.
        scale: factor of the recurrent weights at first.

    Returns:
        Spectral norms of the Jacobian dh_T/ds_t, [S, T]: the number at t - 1 is of the last output by all that the
        cell carries after t steps (h, of an LSTM h and c), for t = 1 to T, where it is 1. Hochreiter 1991; Pascanu,
        Mikolov and Bengio 2013.
    """
    check_state_gradients(recurrence, x.shape)
    alone = recurrence._replace(settings=_alone(recurrence))
    n_seeds, n_steps, n_in = x.shape
    units = alone.settings.units
    net = make_recurrent_net(alone, n_in, (), units, True, seed_list, n_steps * units, units)
    head = net.head.first
    net.params[:, head:] = 0.0
    net.params[:, head : head + units * units] = np.eye(units, dtype=np.float32).ravel()
    weight_h = net.layers[0].n_in * net.columns
    net.params[:, weight_h : weight_h + units * net.columns] *= np.float32(scale)
    norms = np.ones((n_seeds, n_steps))
    carries = np.zeros((n_seeds, n_steps, net.carried), np.float32)
    _states(net, x, np.array([n_steps], np.int64), carries)
    for t in range(1, n_steps):
        rest = np.ascontiguousarray(np.repeat(x[:, None, t:], units, axis=1)).reshape(n_seeds, -1, n_in)
        end = np.arange(1, units + 1, dtype=np.int64) * (n_steps - t)
        dy = np.zeros((rest.shape[1], units), np.float32)
        dy[end - 1, np.arange(units)] = 1.0
        jacobian = np.zeros((n_seeds, units, net.carried), np.float32)
        carry = np.ascontiguousarray(np.repeat(carries[:, t - 1, None], units, axis=1))
        _jacobians(net, rest, dy, Sequences(end, carry[0], np.full(units, _TO_THE_CARRY)), carry, jacobian)
        norms[:, t - 1] = np.linalg.norm(jacobian.astype(np.float64), ord=2, axis=(1, 2))
    return norms


def check_state_gradients(recurrence: Recurrence, shape: tuple[int, ...]) -> None:
    """Check that :func:`state_gradients` of inputs [S, T, D] fits into memory.

    Raises:
        ValueError: it does not.
    """
    alone = recurrence._replace(settings=_alone(recurrence))
    n_seeds, n_steps, n_in = shape
    units = alone.settings.units
    n_rows = n_steps * units
    n_bytes = network_bytes(n_in, NetworkSettings(hidden=()), units, alone, n_rows)
    n_bytes += 4 * n_rows * (n_in + units) + 4 * (n_steps + 2 * units) * alone.n_carried  # rows, carries, Jacobian
    _check_memory(n_seeds, n_rows, n_bytes)


def _check_memory(n_seeds: int, n_rows: int, n_bytes: int) -> None:
    """Refuse networks of ``n_bytes`` a seed that do not fit."""
    if n_seeds * n_bytes > free_bytes():
        raise ValueError(
            f"{n_rows:,} rows at once, of {n_seeds:,} seeds, need {n_seeds * n_bytes / 2**30:,.1f} GiB and "
            f"{free_bytes() / 2**30:,.1f} GiB are free, expected shorter sequences, fewer of them or fewer seeds"
        )


_TO_THE_CARRY = -1  # burn-in with which the gradient flows back into a sequence's carry


def _alone(recurrence: Recurrence) -> RecurrenceConfig:
    return replace(recurrence.settings, layers=1, skip=False, truncate=0, trainable=True)


@jit
def _states(net, x, end, carries):
    for i in range(x.shape[0]):
        forward(net, i, i, x[i], episodes(net, end))
        for t in range(x.shape[1]):
            for k in range(net.carried):
                carries[i, t, k] = net.state[i, 0, t * net.carried + k]


@jit
def _jacobians(net, x, dy, sequences, carry, jacobian):
    for i in range(x.shape[0]):
        before = Sequences(sequences.end, carry[i], sequences.burn_in)
        forward(net, i, i, x[i], before)
        backward(net, i, i, x[i], dy, before)
        for j in range(jacobian.shape[1]):
            for k in range(net.carried):
                jacobian[i, j, k] = net.carry_grad[i, j, k]
