"""REINFORCE's update from top to bottom: episodes, returns, baseline, advantages, policy gradient, optimizer steps.

The loss of a batch of E episodes is ``-(1/E) sum_t (A_t log pi(a_t | s_t) + ent_coef H(pi(. | s_t)))``: a sum over
steps and a mean over episodes (Williams 1992, Machine Learning 8; Sutton and Barto 2018, equations 13.8 and 13.11). The
advantage ``A_t = G_t - b`` takes a baseline b that does not depend on the action.

Formulas work on one seed. Two loops are made of them, in the same order:

* :func:`update_seeds`, compiled, for dense networks on the CPU: batches pass through a network in chunks that stay in
  the cache, and a whole update is one call.
* :func:`update_group`, for torch networks: a dozen calls from Python per update, over one seed or all of them.

The second alone would do for both, but on a short batch a compiled update takes less time than a few dozen calls from
Python, and it needs the activations of one chunk only. Tests hold both loops to each other and to autograd.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from agents.common.exploration import Explore, argmax, choose
from agents.common.networks.dense import Net, backward, forward, forward_row, outputs_at
from agents.common.networks.optimizers import Optimizer, apply_update, clip_grad_norm
from simulator.core.jit import jit, jit_inline
from simulator.core.protocols import Array, Network, State
from simulator.core.rng_compiled import normal

BASELINES = ("none", "mean", "value")
NO_BASELINE, MEAN, VALUE = range(3)
SOFTMAX = Explore(softmax=True, start=1.0, end=1.0, decay_steps=0, exponential=False)  # at temperature 1
HALF_LOG_2_PI = 0.9189385332046727
MEMORY_ADVICE = "a smaller agent.max_episode_steps, agent.episodes_per_update or network, or fewer seeds"
CHUNK = 128  # rows that pass through a compiled network at once: they stay in the cache


class ReinforceHyperparams(NamedTuple):
    """The settings as compiled code takes them."""

    discrete_actions: bool  # sampled from a softmax; otherwise from a normal distribution
    one_hot_obs: bool  # an observation is stored as its number, and networks see a one-hot vector
    baseline: int  # NO_BASELINE, MEAN or VALUE
    bootstrap: bool
    normalize_advantages: bool
    discount_states: bool
    gamma: float
    value_steps: int  # per batch; 1 without a value network
    ent_coef: float
    max_episode_steps: int


class PolicyHead(NamedTuple):
    """Action distributions of S seeds, beside the outputs of their policy networks."""

    log_std: Array  # float32 [S, D], of Box actions
    stream: Array  # uint64 [S, 4], from which actions are sampled
    legal_actions: Array  # int64 [n_observations or 1, 1 + A]: how many actions exist, and which
    input: Array  # float32 [S, F], buffer
    output: Array  # float32 [S, out], buffer


class ReinforceState(NamedTuple):
    """Train state of S seeds beside their two networks."""

    head: PolicyHead
    std_optimizer: Optimizer
    env_steps: Array  # int64 [S]
    failed_at: Array  # int64 [S], the environment step at which a loss or a gradient was not finite, or 0
    policy_loss: Array  # float64 [S], of the latest update, like the two below
    value_loss: Array  # float64 [S]
    entropy: Array  # float64 [S], mean of the policy's over the batch


class PolicyAndValue(NamedTuple):
    """The compiled networks of S seeds, and their optimizers."""

    policy: Net
    policy_optimizer: Optimizer
    value: Net
    value_optimizer: Optimizer


# 1. Collect episodes


class EpisodeBatch(NamedTuple):
    """The episodes of every seed since its last update: up to E, one after the other in T rows.

    Seeds finish at different times: each fills a batch of its own and learns when that one is complete.
    """

    obs: Array  # [S, T, K] float32, or int64 positions of frames
    action: Array  # float32 [S, T, D], as sampled
    reward: Array  # float32 [S, T]
    end: Array  # int64 [S, E], the row behind each episode's last
    final_obs: Array  # [S, E, K], the observation after each episode's last step
    truncated: Array  # bool [S, E]
    n_rows: Array  # int64 [S]
    n_episodes: Array  # int64 [S]


def make_episode_batch(
    n_seeds: int, n_episodes: int, max_episode_steps: int, obs_dim: int, action_dim: int, obs_dtype: type = np.float32
) -> EpisodeBatch:
    """Empty batches of up to ``n_episodes`` episodes."""
    n_rows = n_episodes * max_episode_steps
    return EpisodeBatch(
        obs=np.zeros((n_seeds, n_rows, obs_dim), obs_dtype),
        action=np.zeros((n_seeds, n_rows, action_dim), np.float32),
        reward=np.zeros((n_seeds, n_rows), np.float32),
        end=np.zeros((n_seeds, n_episodes), np.int64),
        final_obs=np.zeros((n_seeds, n_episodes, obs_dim), obs_dtype),
        truncated=np.zeros((n_seeds, n_episodes), np.bool_),
        n_rows=np.zeros(n_seeds, np.int64),
        n_episodes=np.zeros(n_seeds, np.int64),
    )


def batch_row_bytes(obs_dim: int, action_dim: int) -> int:
    """Memory of one row of one seed, in bytes: its step, and its return, value and advantage in an update."""
    return 4 * (obs_dim + action_dim + 1) + 24


def save_batch(batch: EpisodeBatch) -> list[State]:
    """Copies of what is in use of every seed's batch."""
    saved = []
    for i, (n_rows, n_episodes) in enumerate(zip(batch.n_rows, batch.n_episodes, strict=True)):
        rows = {name: getattr(batch, name)[i, :n_rows].copy() for name in ("obs", "action", "reward")}
        episodes = {name: getattr(batch, name)[i, :n_episodes].copy() for name in ("end", "final_obs", "truncated")}
        saved.append(rows | episodes)
    return saved


def load_batch(batch: EpisodeBatch, saved: list[State]) -> None:
    """Fill the batches from :func:`save_batch`."""
    for i, arrays in enumerate(saved):
        for name, array in arrays.items():
            getattr(batch, name)[i, : len(array)] = array
        batch.n_rows[i] = len(arrays["reward"])
        batch.n_episodes[i] = len(arrays["end"])


@jit_inline
def write_network_input(stored, hp, x):
    """Write the network inputs [B, F] of stored observations [B, K] to ``x``: one-hot vectors, or as they are."""
    for r in range(x.shape[0]):
        if hp.one_hot_obs:
            for k in range(x.shape[1]):
                x[r, k] = np.float32(0.0)
            x[r, np.int64(stored[r, 0])] = np.float32(1.0)
        else:
            for k in range(x.shape[1]):
                x[r, k] = stored[r, k]


@jit_inline
def legal_row(legal_actions, hp, stored):
    """The row of ``legal_actions`` that lists the actions at one stored observation [K]."""
    return np.int64(stored[0]) if hp.one_hot_obs and legal_actions.shape[0] > 1 else 0


@jit_inline
def sample_action(head, hp, i, stored, action):
    """Sample an action [D] of seed i from the outputs ``head.output[i]`` at one stored observation [K]."""
    if hp.discrete_actions:
        legal_actions = head.legal_actions[legal_row(head.legal_actions, hp, stored)]
        action[0] = choose(head.stream, i, head.output[i], legal_actions, SOFTMAX, 0)
    else:
        for d in range(len(action)):
            sample = head.output[i, d] + np.exp(head.log_std[i, d]) * normal(head.stream, i)
            action[d] = sample if sample == sample else 0.0  # a seed that failed still has to act


@jit_inline
def best_action(head, hp, i, stored, action):
    """Write the most probable or the mean action [D] at the outputs ``head.output[i]``."""
    if hp.discrete_actions:
        legal_actions = head.legal_actions[legal_row(head.legal_actions, hp, stored)]
        action[0] = argmax(head.stream, i, head.output[i], legal_actions)
    else:
        for d in range(len(action)):
            action[d] = head.output[i, d] if head.output[i, d] == head.output[i, d] else np.float32(0.0)


@jit
def record_step(batch, hp, state, obs, action, reward, terminated, truncated, final_obs):
    """Add one step of every seed that has not failed; the number of batches that are complete.

    ``obs`` and ``final_obs`` are [S, K] as stored, ``action`` float32 [S, D] as sampled, the others [S].
    """
    n_complete = 0
    for i in range(len(action)):
        state.env_steps[i] += 1
        if state.failed_at[i] == 0:
            row = batch.n_rows[i]
            episode = batch.n_episodes[i]
            for k in range(obs.shape[1]):
                batch.obs[i, row, k] = obs[i, k]
            for d in range(action.shape[1]):
                batch.action[i, row, d] = action[i, d]
            batch.reward[i, row] = reward[i]
            batch.n_rows[i] = row + 1
            length = row + 1 - (batch.end[i, episode - 1] if episode else 0)
            if terminated[i] or truncated[i] or length == hp.max_episode_steps:
                for k in range(obs.shape[1]):
                    batch.final_obs[i, episode, k] = final_obs[i, k]
                batch.end[i, episode] = row + 1
                batch.truncated[i, episode] = not terminated[i]
                batch.n_episodes[i] = episode + 1
            n_complete += batch.n_episodes[i] == batch.end.shape[1]
    return n_complete


# 2. Returns


@jit_inline
def returns_to_go(reward, end, bootstrap_value, gamma, returns):
    """Compute G_t = r_t + gamma G_t+1 for every row of ``returns`` float64 [T] (Sutton and Barto 2018, equation 3.9).

    ``bootstrap_value`` [E] is what follows the last step of an episode: 0 after a true end.
    """
    first = 0
    for e in range(len(end)):
        g = bootstrap_value[e]
        for back in range(end[e] - first):
            row = end[e] - 1 - back
            g = reward[row] + gamma * g
            returns[row] = g
        first = end[e]


# 3. Baseline and advantages


@jit_inline
def subtract_leave_one_out_mean(advantage, end):
    """Turn returns [T] into advantages over the mean return of the batch's *other* episodes.

    The mean of all would contain the action's own consequences (leave-one-out: Kool, van Hoof and Welling 2019).
    """
    total = 0.0
    for row in range(end[-1]):
        total += advantage[row]
    first = 0
    for e in range(len(end)):
        own = 0.0
        for row in range(first, end[e]):
            own += advantage[row]
        n_others = end[-1] - (end[e] - first)
        baseline = (total - own) / n_others if n_others else 0.0
        for row in range(first, end[e]):
            advantage[row] -= baseline
        first = end[e]


@jit_inline
def normalize(advantage, n):
    """Give the first n advantages mean 0 and standard deviation 1; equal ones become 0."""
    mean = 0.0
    for row in range(n):
        mean += advantage[row] / n
    variance = 0.0
    for row in range(n):
        variance += (advantage[row] - mean) ** 2 / n
    for row in range(n):
        advantage[row] = (advantage[row] - mean) / (np.sqrt(variance) + 1e-8)


@jit_inline
def discount_by_time(advantage, end, gamma):
    """Multiply the advantage of step t of every episode by gamma**t (Sutton and Barto 2018, box of section 13.3)."""
    first = 0
    for e in range(len(end)):
        weight = 1.0
        for row in range(first, end[e]):
            advantage[row] *= weight
            weight *= gamma
        first = end[e]


@jit_inline
def compute_advantages(batch, hp, i, returns, value, advantage):
    """Advantages of seed i from returns and values, float64 [T] each; ``advantage`` is written."""
    n_rows = batch.n_rows[i]
    for row in range(n_rows):
        advantage[row] = returns[row] - (value[row] if hp.baseline == VALUE else 0.0)
    if hp.baseline == MEAN:
        subtract_leave_one_out_mean(advantage, batch.end[i])
    if hp.normalize_advantages and n_rows > 1:  # a single one less its own mean is 0, from which nothing is learned
        normalize(advantage, n_rows)
    if hp.discount_states:
        discount_by_time(advantage, batch.end[i], hp.gamma)


# 4. Gradients of the two losses with respect to the networks' outputs


class PolicyLoss(NamedTuple):
    """The policy's loss, and its entropy in nats."""

    loss: float
    entropy: float


@jit_inline
def softmax_gradient(logits, legal_actions, action, advantage, ent_coef, scale, logits_grad):
    """Gradient of one step's loss with respect to the logits, written to ``logits_grad`` float32 [A].

    Args:
        logits: [A].
        legal_actions: int64 [1 + A], how many actions exist, and which; the others have no probability.
        action: the one taken.
        advantage: of the step.
        ent_coef: weight of the entropy.
        scale: factor of the step in the loss, 1/E.
        logits_grad: written.
    """
    highest = -np.inf
    for m in range(1, 1 + legal_actions[0]):
        highest = max(highest, np.float64(logits[legal_actions[m]]))
    total = 0.0
    mean = 0.0
    for m in range(1, 1 + legal_actions[0]):
        part = np.exp(logits[legal_actions[m]] - highest)
        total += part
        mean += part * (logits[legal_actions[m]] - highest)
    log_total = np.log(total)
    entropy = log_total - mean / total
    for a in range(len(logits_grad)):
        logits_grad[a] = np.float32(0.0)
    for m in range(1, 1 + legal_actions[0]):
        log_prob = logits[legal_actions[m]] - highest - log_total
        prob = np.exp(log_prob)
        taken = 1.0 if legal_actions[m] == action else 0.0
        logits_grad[legal_actions[m]] = scale * (advantage * (prob - taken) + ent_coef * prob * (log_prob + entropy))
    log_prob = logits[action] - highest - log_total
    return PolicyLoss(-scale * (advantage * log_prob + ent_coef * entropy), entropy)


@jit_inline
def gaussian_gradient(mean, log_std, action, advantage, ent_coef, scale, mean_grad, log_std_grad):
    """Gradients of one step's loss for independent normal actions, with respect to means and log standard deviations.

    Args:
        mean: [D].
        log_std: [D], the same in every state.
        action: [D], as sampled, before any clipping.
        advantage: of the step.
        ent_coef: weight of the entropy.
        scale: factor of the step in the loss, 1/E.
        mean_grad: float32 [D], written.
        log_std_grad: float64 [D], added to.
    """
    log_prob = 0.0
    entropy = 0.0
    for d in range(len(mean_grad)):
        std = np.exp(np.float64(log_std[d]))
        z = (np.float64(action[d]) - mean[d]) / std
        log_prob -= 0.5 * z * z + log_std[d] + HALF_LOG_2_PI
        entropy += log_std[d] + 0.5 + HALF_LOG_2_PI
        mean_grad[d] = -scale * advantage * z / std
        log_std_grad[d] -= scale * (advantage * (z * z - 1.0) + ent_coef)
    return PolicyLoss(-scale * (advantage * log_prob + ent_coef * entropy), entropy)


@jit_inline
def policy_gradient(batch, head, hp, i, first, n, output, advantage, output_grad, log_std_grad):
    """Sums of loss and entropy over rows ``first`` to ``first + n`` of seed i's batch; the gradients are written.

    Args:
        batch: the episodes.
        head: the log standard deviations, and the actions that exist.
        hp: the settings.
        i: the seed.
        first: row.
        n: rows.
        output: of the policy network, float32 [n * out].
        advantage: float64 [T], of the whole batch.
        output_grad: float32 [n * out], written.
        log_std_grad: float64 [D], added to.
    """
    width = head.output.shape[1]
    scale = 1.0 / batch.end.shape[1]
    loss = 0.0
    entropy = 0.0
    for r in range(n):
        y = output[r * width : (r + 1) * width]
        dy = output_grad[r * width : (r + 1) * width]
        action = batch.action[i, first + r]
        a = advantage[first + r]
        if hp.discrete_actions:
            legal_actions = head.legal_actions[legal_row(head.legal_actions, hp, batch.obs[i, first + r])]
            step = softmax_gradient(y, legal_actions, np.int64(action[0]), a, hp.ent_coef, scale, dy)
        else:
            step = gaussian_gradient(y, head.log_std[i], action, a, hp.ent_coef, scale, dy, log_std_grad)
        loss += step.loss
        entropy += step.entropy
    return PolicyLoss(loss, entropy)


class ValueLoss(NamedTuple):
    """The loss of one value, and its derivative."""

    loss: float
    grad: float


@jit_inline
def squared_error(value, target, scale):
    """``scale / 2 (value - target)**2``, and its derivative with respect to the value."""
    error = np.float64(value) - target
    return ValueLoss(0.5 * scale * error * error, scale * error)


# 5. The update, compiled: dense networks, seed by seed, chunk by chunk


class UpdateScratch(NamedTuple):
    """Buffers of one update in each row w; never part of the state."""

    x: Array  # float32 [S, CHUNK, F], a chunk of network inputs
    output_grad: Array  # float32 [S, CHUNK * widest output]
    final_value: Array  # float32 [S, 1]
    bootstrap_value: Array  # float64 [S, E]
    returns: Array  # float64 [S, T]
    value: Array  # float64 [S, T]
    advantage: Array  # float64 [S, T]
    policy_grad: Array  # float32 [S, P], summed over the chunks
    value_grad: Array  # float32 [S, P], likewise
    log_std_grad_sum: Array  # float64 [S, D], likewise
    log_std_grad: Array  # float32 [S, D]


def make_scratch(nets: PolicyAndValue, n_episodes: int, max_episode_steps: int, action_dim: int) -> UpdateScratch:
    """Buffers for batches. Only one row per thread is ever used, and untouched memory costs nothing."""
    n_seeds = len(nets.policy.params)
    n_rows = n_episodes * max_episode_steps
    n_inputs = int(nets.policy.sizes[0])
    n_outputs = int(nets.policy.sizes[-1])
    return UpdateScratch(
        x=np.zeros((n_seeds, CHUNK, n_inputs), np.float32),
        output_grad=np.zeros((n_seeds, CHUNK * n_outputs), np.float32),
        final_value=np.zeros((n_seeds, 1), np.float32),
        bootstrap_value=np.zeros((n_seeds, n_episodes)),
        returns=np.zeros((n_seeds, n_rows)),
        value=np.zeros((n_seeds, n_rows)),
        advantage=np.zeros((n_seeds, n_rows)),
        policy_grad=np.zeros_like(nets.policy.params),
        value_grad=np.zeros_like(nets.value.params),
        log_std_grad_sum=np.zeros((n_seeds, action_dim)),
        log_std_grad=np.zeros((n_seeds, action_dim), np.float32),
    )


@jit
def update_seeds(first, last, nets, state, batch, hp, scratch, policy_lr_scale, value_lr_scale):
    """Update the seeds from ``first`` to ``last`` whose batches are complete, and empty these.

    The ``lr_scale`` are the learning rates of policy and value as fractions of their first. A seed whose loss or
    gradient is not finite fails: what is broken moves nothing.
    """
    w = first
    for i in range(first, last):
        if batch.n_episodes[i] < batch.end.shape[1]:
            continue
        _returns(nets, batch, hp, scratch, i, w)
        finite = True
        for value_step in range(hp.value_steps):
            value_loss = _value_pass(nets, batch, hp, scratch, i, w)
            finite = finite and np.isfinite(value_loss)
            if finite and value_step == 0:  # the advantages come from the values before any step
                state.value_loss[i] = value_loss
                compute_advantages(batch, hp, i, scratch.returns[w], scratch.value[w], scratch.advantage[w])
                policy = _policy_pass(nets, state, batch, hp, scratch, i, w)
                finite = np.isfinite(policy.loss)
                if finite:
                    state.policy_loss[i] = policy.loss
                    state.entropy[i] = policy.entropy
                    _apply(nets.policy_optimizer, i, nets.policy.params, scratch.policy_grad[w], policy_lr_scale)
                    if not hp.discrete_actions:
                        _apply(state.std_optimizer, i, state.head.log_std, scratch.log_std_grad[w], policy_lr_scale)
            if finite and hp.baseline == VALUE:
                _apply(nets.value_optimizer, i, nets.value.params, scratch.value_grad[w], value_lr_scale)
        if not finite:
            state.failed_at[i] = state.env_steps[i]
        batch.n_rows[i] = 0
        batch.n_episodes[i] = 0


@jit
def _returns(nets, batch, hp, scratch, i, w):
    """Compute the returns of every row; a truncated episode goes on with V of its final observation."""
    for e in range(batch.end.shape[1]):
        scratch.bootstrap_value[w, e] = 0.0
        if batch.truncated[i, e] and hp.bootstrap and hp.baseline == VALUE:
            write_network_input(batch.final_obs[i, e : e + 1], hp, scratch.x[w, :1])
            forward_row(nets.value, i, w, scratch.x[w, 0], scratch.final_value[w])
            scratch.bootstrap_value[w, e] = scratch.final_value[w, 0]
    reward = batch.reward[i, : batch.n_rows[i]]
    returns_to_go(reward, batch.end[i], scratch.bootstrap_value[w], hp.gamma, scratch.returns[w])


@jit
def _value_pass(nets, batch, hp, scratch, i, w):
    """Values of every row, and the clipped gradient of half their mean squared error.

    That loss is returned, nan where it or the gradient is not finite, and 0 without a value network.
    """
    n_rows = batch.n_rows[i] if hp.baseline == VALUE else 0
    loss = 0.0
    scratch.value_grad[w, :] = np.float32(0.0)
    first = 0
    while first < n_rows:
        n = min(CHUNK, n_rows - first)
        x = scratch.x[w, :n]
        dy = scratch.output_grad[w, :n].reshape((n, 1))
        write_network_input(batch.obs[i, first : first + n], hp, x)
        forward(nets.value, i, w, x)
        start = outputs_at(nets.value, n)
        for r in range(n):
            value = nets.value.outputs[w, start + r]
            scratch.value[w, first + r] = value
            row = squared_error(value, scratch.returns[w, first + r], 1.0 / n_rows)
            dy[r, 0] = row.grad
            loss += row.loss
        backward(nets.value, i, w, x, dy)
        _add(scratch.value_grad[w], nets.value.gradient[w])
        first += n
    return loss if np.isfinite(clip_grad_norm(nets.value_optimizer, scratch.value_grad[w])) else np.nan


@jit
def _policy_pass(nets, state, batch, hp, scratch, i, w):
    """The policy's loss and mean entropy, and the clipped gradients of the network and of the log std.

    The loss is nan where a gradient is not finite.
    """
    n_rows = batch.n_rows[i]
    width = nets.policy.sizes[-1]
    loss = 0.0
    entropy = 0.0
    scratch.policy_grad[w, :] = np.float32(0.0)
    scratch.log_std_grad_sum[w, :] = 0.0
    first = 0
    while first < n_rows:
        n = min(CHUNK, n_rows - first)
        x = scratch.x[w, :n]
        write_network_input(batch.obs[i, first : first + n], hp, x)
        forward(nets.policy, i, w, x)
        start = outputs_at(nets.policy, n)
        y = nets.policy.outputs[w, start : start + n * width]
        dy = scratch.output_grad[w, : n * width]
        log_std_grad = scratch.log_std_grad_sum[w]
        chunk = policy_gradient(batch, state.head, hp, i, first, n, y, scratch.advantage[w], dy, log_std_grad)
        backward(nets.policy, i, w, x, dy.reshape((n, width)))
        _add(scratch.policy_grad[w], nets.policy.gradient[w])
        loss += chunk.loss
        entropy += chunk.entropy
        first += n
    for d in range(scratch.log_std_grad.shape[1]):
        scratch.log_std_grad[w, d] = scratch.log_std_grad_sum[w, d]
    norm = clip_grad_norm(nets.policy_optimizer, scratch.policy_grad[w])
    if not hp.discrete_actions:
        norm += clip_grad_norm(state.std_optimizer, scratch.log_std_grad[w])
    return PolicyLoss(loss if np.isfinite(norm) else np.nan, entropy / n_rows)


@jit_inline
def _add(total, part):
    for k in range(len(total)):
        total[k] += part[k]


@jit
def _apply(optimizer, i, params, grad, lr_scale):
    """One step of an optimizer in seed i, compiled once for all three: inlined, it triples what has to be compiled."""
    apply_update(optimizer, i, params[i], grad, lr_scale)


# 6. The same update with torch networks: a group of G seeds whose batches are one tensor


def update_group(
    policy: Network,
    value: Network,
    network_input: Callable[[Array, Array], Array],
    state: ReinforceState,
    batch: EpisodeBatch,
    hp: ReinforceHyperparams,
    policy_lr_scale: float,
    value_lr_scale: float,
) -> None:
    """Update the seeds of a group whose batches are complete, and empty these; see :func:`update_seeds`.

    Args:
        policy: networks of G seeds, of torch: ``forward`` takes ``keep``.
        value: likewise.
        network_input: (stored observations [G, B, K], which of them are used, bool [G, B]) -> [G, B, *in].
        state: of the G seeds.
        batch: of the G seeds.
        hp: the settings.
        policy_lr_scale: learning rate of the policy as a fraction of its first.
        value_lr_scale: likewise.
    """
    complete = batch.n_episodes == batch.end.shape[1]  # [G]
    if not complete.any():
        return
    n_rows = np.where(complete, batch.n_rows, 0)
    used = np.arange(n_rows.max()) < n_rows[:, None]  # [G, T]
    has_value = hp.baseline == VALUE
    x = network_input(batch.obs[:, : used.shape[1]], used)

    bootstrap_value = np.zeros(batch.end.shape)  # [G, E]
    to_bootstrap = batch.truncated & complete[:, None]
    if has_value and hp.bootstrap and to_bootstrap.any():
        final_value = value.forward(network_input(batch.final_obs, to_bootstrap), keep=False)[..., 0]
        bootstrap_value[:] = np.where(to_bootstrap, final_value, 0.0)
    returns = np.zeros(used.shape)
    _group_returns(batch, hp, complete, bootstrap_value, returns)

    finite = complete.copy()
    for value_step in range(hp.value_steps):
        values = np.zeros(used.shape, np.float32)
        value_loss = np.zeros(len(finite))
        if has_value:
            values[:] = value.forward(x)[..., 0]
            value_grad = np.zeros((*used.shape, 1), np.float32)
            _group_value_gradient(batch, finite, values, returns, value_grad, value_loss)
            finite &= np.isfinite(value_loss)
        if value_step == 0:
            state.value_loss[finite] = value_loss[finite]
            _improve_policy(policy, x, state, batch, hp, finite, returns, values, policy_lr_scale)
        if has_value:
            finite &= np.isfinite(value.apply_gradient(value_grad, finite, value_lr_scale))
    failed = complete & ~finite
    state.failed_at[failed] = state.env_steps[failed]
    batch.n_rows[complete] = 0
    batch.n_episodes[complete] = 0


def _improve_policy(
    policy: Network,
    x: Array,
    state: ReinforceState,
    batch: EpisodeBatch,
    hp: ReinforceHyperparams,
    finite: Array,
    returns: Array,
    values: Array,
    lr_scale: float,
) -> None:
    """One step of the policy and its log std in the seeds that are ``finite`` [G]; those that fail leave it."""
    output = policy.forward(x)
    output_grad = np.zeros(output.shape, np.float32)
    log_std_grad = np.zeros(state.head.log_std.shape)
    loss = np.zeros(len(finite))
    entropy = np.zeros(len(finite))
    n = len(finite)
    flat_output = output.reshape(n, -1)
    flat_grad = output_grad.reshape(n, -1)
    advantage = np.zeros(returns.shape)
    _group_policy_gradient(
        batch, state.head, hp, finite, returns, values, advantage, flat_output, flat_grad, log_std_grad, loss, entropy
    )
    finite &= np.isfinite(loss)
    finite &= np.isfinite(policy.apply_gradient(output_grad, finite, lr_scale))
    if not hp.discrete_actions:
        _group_std_step(state.std_optimizer, state.head.log_std, log_std_grad.astype(np.float32), finite, lr_scale)
    state.policy_loss[finite] = loss[finite]
    state.entropy[finite] = entropy[finite]


@jit
def _group_returns(batch, hp, complete, bootstrap_value, returns):
    for i in range(len(complete)):
        if complete[i]:
            n_rows = batch.n_rows[i]
            returns_to_go(batch.reward[i, :n_rows], batch.end[i], bootstrap_value[i], hp.gamma, returns[i])


@jit
def _group_value_gradient(batch, finite, values, returns, value_grad, loss):
    for i in range(len(finite)):
        n_rows = batch.n_rows[i] if finite[i] else 0
        for t in range(n_rows):
            row = squared_error(values[i, t], returns[i, t], 1.0 / n_rows)
            value_grad[i, t, 0] = row.grad
            loss[i] += row.loss


@jit
def _group_policy_gradient(
    batch, head, hp, finite, returns, values, advantage, output, output_grad, log_std_grad, loss, entropy
):
    for i in range(len(finite)):
        if finite[i]:
            n_rows = batch.n_rows[i]
            compute_advantages(batch, hp, i, returns[i], values[i], advantage[i])
            total = policy_gradient(
                batch, head, hp, i, 0, n_rows, output[i], advantage[i], output_grad[i], log_std_grad[i]
            )
            loss[i] = total.loss
            entropy[i] = total.entropy / n_rows


@jit
def _group_std_step(optimizer, log_std, grad, finite, lr_scale):
    for i in range(len(finite)):
        if finite[i] and np.isfinite(clip_grad_norm(optimizer, grad[i])):
            apply_update(optimizer, i, log_std[i], grad[i], lr_scale)
