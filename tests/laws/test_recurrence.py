"""Tests of recurrences inside agents: each law for every recurrence in both agents, by name.

The laws are the bugs that public implementations had: a state reset by the wrong end, or at every call of an
evaluation; sequences that cross an end; a target network that skips the first observation; other states in training
than in acting; padding in means; two layers mixed up.
"""

from __future__ import annotations

from functools import partial
from itertools import pairwise

import numpy as np
import pytest
import torch

from simulator.checks import agents as agent_laws
from simulator.checks.comparison import same
from simulator.core import registry, rng
from simulator.core.jit import set_threads
from simulator.trainer import Trainer
from tests.helpers.recurrence import CELLS
from tests.laws import recurrences as by_hand
from tests.laws.players import session
from tests.laws.recurrences import AGENTS, BURN_IN, LENGTH, MIXED, PROBE, RECURRENCES, STARTS, play, probe, twin

TOLERANCE = 2e-5
NOISY = {**MIXED, "noise": 3.0}
each = pytest.mark.parametrize("name", RECURRENCES)
each_in_both = pytest.mark.parametrize(("agent", "name"), [(agent, name) for agent in AGENTS for name in RECURRENCES])


def test_every_recurrence_has_a_twin_of_torch_for_these_laws():
    assert set(RECURRENCES) == set(CELLS)


# Acting.


@each_in_both
@pytest.mark.parametrize("layers", [1, 2])
def test_acting_equals_the_unrolled_episode_and_resets_after_an_end_and_nowhere_else(agent, name, layers):
    one = probe(agent, name, seeds=2, layers=layers, **_no_update(agent))
    modules = [twin(name, by_hand.network(one.agent), i) for i in range(2)]
    log = play(one, 100)
    assert log.ended[:, 0].sum() != log.terminated[:, 0].sum() > 5
    for i in range(2):
        begins = log.begins(i)
        expected = []
        for start, stop in zip(begins, [*begins[1:], 100], strict=True):
            if stop > start:
                expected.append(by_hand.unrolled(modules[i], log.inputs(i, start, stop)).detach())
        np.testing.assert_allclose(log.outputs[:, i], torch.cat(expected), atol=TOLERANCE)
        is_zero = ~log.state[:, i].any(axis=1)
        np.testing.assert_array_equal(np.flatnonzero(is_zero), begins[begins < 100])


def _no_update(agent):
    return {"learning_starts": 10_000} if agent == "dqn" else {"episodes_per_update": 1_000, "max_episode_steps": 12}


# Training of dqn.


@each
def test_dqn_stores_sequences_that_cross_no_end_with_the_states_that_acting_had(name):
    one = probe("dqn", name, seeds=2, **_no_update("dqn"))
    log = play(one, 150)
    replay = by_hand.learner_of(one.agent).state.replay
    for i in range(2):
        expected = by_hand.sequences(log, i)
        assert replay.n_added[i] == len(expected) > 40
        assert sum(not sequence.begins_episode for sequence in expected) > 10
        for slot, (start, n, terminated, begins_episode) in enumerate(expected):
            stop = start + n
            assert not log.ended[start : stop - 1, i].any()
            assert replay.length[i, slot] == n
            assert replay.terminated[i, slot] == terminated
            np.testing.assert_array_equal(replay.obs[i, slot, :n], log.obs[start:stop, i])
            np.testing.assert_array_equal(replay.obs[i, slot, n], log.final_obs[stop - 1, i])
            np.testing.assert_array_equal(replay.action[i, slot, :n], log.action[start:stop, i])
            np.testing.assert_array_equal(replay.reward[i, slot, :n], log.reward[start:stop, i])
            np.testing.assert_array_equal(replay.state[i, slot], log.state[start, i])
            last = (-1, 0.0) if begins_episode else (log.action[start - 1, i], log.reward[start - 1, i])
            assert (replay.last_action[i, slot], replay.last_reward[i, slot]) == last


@each
@pytest.mark.parametrize("layers", [1, 2])
def test_dqn_trains_at_the_values_that_acting_had(name, layers):
    one = probe("dqn", name, layers=layers)
    log = play(one, STARTS)  # the last step trains, with the weights of all steps before
    batch = by_hand.learner_of(one.agent).state.batch
    stored = by_hand.sequences(log, 0)
    first = 0
    for b, slot in enumerate(batch.indices[0]):
        start, n = stored[slot].start, stored[slot].length
        assert batch.end[0, b] == first + n + 1
        np.testing.assert_allclose(
            batch.online_outputs[0, first : first + n], log.outputs[start : start + n, 0], atol=TOLERANCE
        )
        first += n + 1


UPDATES = {
    "default": {},
    "two layers": {"layers": 2},
    "plain": {"double": False, "n_step": 1, "loss": "mse"},
    "dueling": {"dueling": True, "n_step": 6},
    "proportional": {"prioritized": True, "priority": {"alpha": 0.7, "beta": 0.5}},
    "rank": {"prioritized": True, "priority": {"kind": "rank"}},
}


@each
@pytest.mark.parametrize("kind", UPDATES)
def test_dqn_updates_by_the_loss_written_by_hand(name, kind):
    settings = {"double": True, "dueling": False, "n_step": 3, "loss": "huber", **UPDATES[kind]}
    one = probe("dqn", name, **settings)
    state = by_hand.learner_of(one.agent).state
    noise = np.random.default_rng(0).standard_normal(state.target_net.params.shape)
    state.target_net.params[...] += 0.2 * noise.astype(np.float32)
    log = play(one, STARTS - 1)
    for _ in range(2):  # the second update has priorities of its own
        online, target = twin(name, state.online_net), twin(name, state.target_net)
        n = 1 if len(log.obs) == STARTS - 1 else 4
        log = by_hand.joined(log, play(one, n))
        stored = by_hand.sequences(log, 0)
        samples = [stored[slot] for slot in state.batch.indices[0]]
        assert len({sample.length for sample in samples}) > 1
        assert len({sample.begins_episode for sample in samples}) > 1
        expected = _loss(name, state, log, samples, online, target, settings)
        np.testing.assert_allclose(state.batch.loss[0], expected.loss, rtol=1e-4)
        np.testing.assert_allclose(state.online_net.gradient[0], expected.gradient, atol=TOLERANCE, rtol=1e-4)
        if settings.get("prioritized"):
            _check_priorities(state, expected.td_errors)
    if settings.get("prioritized"):
        assert len(set(state.batch.weights[0])) > 1


class _Loss:
    def __init__(self, loss, gradient, td_errors):
        self.loss, self.gradient, self.td_errors = loss, gradient, td_errors


def _loss(name, state, log, samples, online, target, settings):
    """The loss of sampled sequences, one after the other, as a loop over their steps."""
    net, gamma = state.online_net, state.replay.gamma
    terms, n_learning, td_errors = [], 0, []
    for b, (start, n, terminated, begins_episode) in enumerate(samples):
        x = log.inputs(0, start, start + n + 1)
        carry = by_hand.carry_of(name, net, log.state[start, 0])
        burn_in = 0 if begins_episode else min(BURN_IN, n - 1)
        q = by_hand.action_values(by_hand.unrolled(online, x, carry, burn_in), settings["dueling"])
        with torch.no_grad():
            q_target = by_hand.action_values(by_hand.unrolled(target, x, carry), settings["dueling"])
        errors = []
        for t in range(burn_in, n):
            after = min(t + settings["n_step"], n)
            value = sum(gamma ** (k - t) * log.reward[start + k, 0] for k in range(t, after))
            if not (after == n and terminated):
                chooser = q.detach() if settings["double"] else q_target
                value += gamma ** (after - t) * float(q_target[after, int(chooser[after].argmax())])
            error = value - q[t, log.action[start + t, 0]]
            size = error.abs()
            is_linear = settings["loss"] == "huber" and float(size.detach()) > 1.0
            terms.append(float(state.batch.weights[0, b]) * (size - 0.5 if is_linear else 0.5 * error**2))
            errors.append(float(error.detach()))
        n_learning += n - burn_in
        td_errors.append(errors)
    loss = sum(terms) / n_learning
    loss.backward()
    return _Loss(float(loss.detach()), online.flat_gradient(net), td_errors)


def _check_priorities(state, td_errors):
    """The priority of a sequence is .9 of its largest and .1 of its mean TD error."""
    priorities = state.priorities
    for slot, errors in dict(zip(state.batch.indices[0].tolist(), td_errors, strict=True)).items():
        size = np.abs(errors)
        expected = 0.9 * size.max() + 0.1 * size.mean() + priorities.eps
        if priorities.tree.shape[1] > 1:
            leaf = priorities.tree[0, priorities.tree.shape[1] // 2 + slot]
            np.testing.assert_allclose(leaf, expected**priorities.alpha, rtol=1e-3)
        else:
            np.testing.assert_allclose(priorities.abs_td_error[0, slot], expected, rtol=1e-3)


# Training of reinforce.


@each
@pytest.mark.parametrize("layers", [1, 2])
@pytest.mark.parametrize("truncate", [0, 3])
def test_reinforce_updates_at_the_states_that_acting_had_by_the_loss_written_by_hand(name, layers, truncate):
    unclipped = {key: {"max_grad_norm": 0.0} for key in ("optimizer", "value_optimizer")}
    one = probe("reinforce", name, layers=layers, **unclipped)
    if truncate:
        recurrence = {**by_hand.settings_of("reinforce", name, layers=layers)["recurrence"], "truncate": truncate}
        one = probe("reinforce", name, layers=layers, recurrence=recurrence, **unclipped)
    state = by_hand.learner_of(one.agent).state
    policy, value = twin(name, state.policy.net), twin(name, state.value.net)
    log = play(one, 1)
    while log.ended[:, 0].sum() < by_hand.EPISODES:
        log = by_hand.joined(log, play(one, 1))
    n_rows = len(log.obs)
    assert log.ended[:, 0].sum() != log.terminated[:, 0].sum()
    np.testing.assert_allclose(state.policy.outputs[0, :n_rows], log.outputs[:, 0], atol=TOLERANCE)
    expected = _policy_gradients(log, policy, value, state.hyper, truncate)
    np.testing.assert_allclose(state.policy.grad[0], expected[0].flat_gradient(state.policy.net), atol=1e-4, rtol=1e-4)
    np.testing.assert_allclose(state.value.grad[0], expected[1].flat_gradient(state.value.net), atol=1e-4, rtol=1e-4)


def _policy_gradients(log, policy, value, hyper, truncate):
    """Backpropagate both losses of a batch of episodes, one after the other, as loops over their steps."""
    begins = log.begins(0)
    returns, values, log_probs, entropies = [], [], [], []
    for start, stop in pairwise(begins):
        x = log.inputs(0, start, stop + 1)
        v = _in_pieces(value, x, truncate)[:, 0]
        g = 0.0 if log.terminated[stop - 1, 0] else float(v[-1].detach())
        episode = []
        for t in reversed(range(start, stop)):
            g = float(log.reward[t, 0]) + hyper.gamma * g
            episode.insert(0, g)
        returns += episode
        values.append(v[:-1])
        log_p = torch.log_softmax(_in_pieces(policy, x[:-1], truncate), dim=1)
        log_probs.append(log_p[torch.arange(stop - start), torch.tensor(log.action[start:stop, 0])])
        entropies.append(-(log_p.exp() * log_p).sum(1))
    target = torch.tensor(returns)
    v = torch.cat(values)
    advantage = target - v.detach()
    if hyper.normalize_advantages:
        advantage = (advantage - advantage.mean()) / (advantage.std(correction=0) + 1e-8)
    scored = advantage * torch.cat(log_probs) + hyper.ent_coef * torch.cat(entropies)
    (-scored.sum() / by_hand.EPISODES).backward()
    (0.5 * (v - target) ** 2).mean().backward()
    return policy, value


def _in_pieces(module, x, truncate):
    """Outputs of an episode; no gradient passes from one piece of ``truncate`` steps to the next."""
    rows = torch.tensor(x)
    carry, outputs = None, []
    for start in range(0, len(rows), truncate or len(rows)):
        part, carry = module(rows[start : start + (truncate or len(rows))], carry)
        carry = tuple(c.detach() for c in carry) if isinstance(carry, tuple) else carry.detach()
        outputs.append(part)
    return torch.cat(outputs)


# Nothing but the steps counts.


@each_in_both
def test_nothing_behind_the_rows_of_a_batch_counts(agent, name):
    clean, dirty = (probe(agent, name, prioritized=True) if agent == "dqn" else probe(agent, name) for _ in range(2))
    for one in (clean, dirty):
        play(one, STARTS - 1)
    _poison(agent, by_hand.learner_of(dirty.agent).state)
    for one in (clean, dirty):
        play(one, 60)
    states = [one.agent.state() for one in (clean, dirty)]
    if agent == "dqn":
        assert all(state["replay"].pop("transitions")["obs"] for state in states)  # behind their ends they differ
    same(*states)


def _poison(agent, state):
    """Write not-a-number everywhere but in the weights, what was stored, and the streams."""
    if agent == "dqn":
        nets, arrays = (state.online_net, state.target_net), list(state.batch)
        for slot, n in enumerate(state.replay.length[0]):
            arrays += [state.replay.obs[0, slot, n + 1 :], state.replay.reward[0, slot, n:]]
    else:
        nets, arrays = (state.policy.net, state.value.net), [state.inputs, *state.work]
        arrays += [*state.policy[2:], *state.value[2:]]
        arrays += [array[0, state.batch.n_rows[0] :] for array in state.batch[:3]]
    for array in (*arrays, *(array for net in nets for array in by_hand.scratch(net))):
        if array.dtype.kind == "f":
            array[...] = np.nan


# Evaluation.


@each_in_both
def test_an_evaluation_equals_episodes_unrolled_by_hand(agent, name):
    one = probe(agent, name, seeds=2, env=NOISY, **_no_update(agent))  # first weights choose now this, now that
    one.play(30)
    returns = one.evaluator().evaluate(one.agent, one.step).returns
    scripted, chosen = _returns(name, one, 80)
    assert chosen == {0, 1}
    np.testing.assert_allclose(returns, scripted, atol=1e-6)


def _returns(name, one, n_episodes):
    """Returns [S, E] of greedy episodes, and the actions chosen; each comes from the whole episode before it."""
    net = one.agent.policy()._net
    n_seeds = len(one.seeds)
    modules = [twin(name, net, i) for i in range(n_seeds)]
    player = registry.load("envs", PROBE)
    env = player.make(rng.derived_seeds(one.seeds, "evaluation"), one.config.env_settings)
    obs = env.reset()
    found = [[] for _ in range(n_seeds)]
    rows = [[_inputs(obs[i])] for i in range(n_seeds)]
    total = np.zeros(n_seeds)
    chosen = set()
    while min(map(len, found)) < n_episodes:
        actions = np.array([_greedy(modules[i], rows[i]) for i in range(n_seeds)])
        chosen |= set(actions.tolist())
        step = env.step(actions)
        total += step.reward
        for i in range(n_seeds):
            rows[i].append(_inputs(step.obs[i], actions[i], step.reward[i]))
            if step.terminated[i] or step.truncated[i]:
                found[i].append(total[i])
                total[i] = 0.0
                rows[i] = [_inputs(step.obs[i])]
    return np.array([row[:n_episodes] for row in found]), chosen


def _inputs(obs, last_action=-1, last_reward=0.0):
    return np.array([*obs, last_action == 0, last_action == 1, last_reward], float)


def _greedy(module, rows):
    return int(by_hand.unrolled(module, np.array(rows))[-1].argmax())


@each_in_both
def test_predict_carries_the_state_for_one_observation_and_for_a_batch(agent, name):
    settings = by_hand.settings_of(agent, name, **_no_update(agent))
    trainer = Trainer({"name": agent, **settings}, {"name": PROBE, **NOISY}, seeds=2, threads=1)
    trainer.learn(30)
    seed = trainer.seeds[1]
    module = twin(name, trainer._session.agent.policy()._net, 1)
    draw = np.random.default_rng(0)
    n_rows, n_steps = 3, 40
    obs = NOISY["noise"] * draw.standard_normal((n_steps, n_rows, 3)).astype(np.float32)
    start = draw.random((n_steps, n_rows)) < 0.2
    start[0] = True
    reward = draw.standard_normal((n_steps, n_rows)).astype(np.float32)
    rows = [[] for _ in range(n_rows)]
    state, alone = None, None
    before = np.full(n_rows, -1)
    chosen = []
    for t in range(n_steps):
        for b in range(n_rows):
            if start[t, b]:
                rows[b] = [_inputs(obs[t, b])]
            else:
                rows[b].append(_inputs(obs[t, b], before[b], reward[t, b]))
        expected = [_greedy(module, row) for row in rows]
        actions, state = trainer.predict(obs[t], state, start[t], seed=seed, reward=reward[t])
        single, alone = trainer.predict(obs[t, 0], alone, start[t, 0], seed=seed, reward=reward[t, 0])
        np.testing.assert_array_equal(actions, expected)
        assert single == expected[0]
        before = actions
        chosen += expected
    assert set(chosen) == {0, 1}
    with pytest.raises(ValueError, match="predict: state: expected what predict returned"):
        trainer.predict(obs[0], state[:1], start[0], reward=reward[0])


# Seeds, checkpoints, rollouts.


def _make(agent, name, **settings):
    return partial(
        session, agent, PROBE, env_=MIXED, agent_=by_hand.settings_of(agent, name, **settings) | _soon(agent)
    )


def _soon(agent):
    return {"learning_starts": 20, "batch_size": 8} if agent == "dqn" else {"episodes_per_update": 3}


@each_in_both
@pytest.mark.parametrize("law", agent_laws.LAWS, ids=lambda law: law.check.__name__)
def test_the_laws_of_agents_hold_with_a_recurrence(agent, name, law):
    law.check(_make(agent, name))


@each_in_both
def test_a_checkpoint_in_the_middle_of_an_episode_holds_all_that_acting_carries(agent, name):
    one, two = (_make(agent, name)(seeds=3) for _ in range(2))
    one.play(agent_laws.STEPS)
    carry = by_hand.acting(one.agent).carry
    assert carry.state.any(axis=1).any()
    two.restore(one.state())
    same(list(carry), list(by_hand.acting(two.agent).carry))


@each
def test_a_seed_does_not_depend_on_threads(name):
    try:
        one, two = (_make("dqn", name)(seeds=5, threads=threads) for threads in (1, 2))
        for session_ in (one, two):
            session_.play(60)
    finally:
        set_threads(1)
    same(one.state(), two.state())


@each
def test_the_rollout_of_dqn_has_the_bits_of_single_steps(name):
    settings = by_hand.settings_of("dqn", name) | _soon("dqn")
    fast, slow = (session("dqn", "CartPole-v1", rollouts=rollouts, agent_=settings) for rollouts in (True, False))
    for one in (fast, slow):
        one.play(200)
    same(fast.state(), slow.state())


@each
def test_a_finished_run_that_goes_on_stores_what_acting_saw(name):
    whole, resumed = (probe("dqn", name, **_no_update("dqn")) for _ in range(2))
    log = play(whole, 50)
    while log.ended[-1, 0]:
        log = by_hand.joined(log, play(whole, 1))
    state = whole.agent.state()
    state.pop("replay")
    resumed.agent.restore(state)
    resumed.env.restore(whole.env.state())
    more = play(resumed, LENGTH + 1)
    replay = by_hand.learner_of(resumed.agent).state.replay
    assert replay.last_action[0, 0] == log.action[-1, 0]
    np.testing.assert_allclose(replay.last_reward[0, 0], log.reward[-1, 0])
    np.testing.assert_array_equal(replay.state[0, 0], more.state[0, 0])


# Learning.

UNITS = {  # so few that first weights alone hold no flag
    ("dqn", "elman"): 8,
    ("dqn", "gru"): 4,
    ("dqn", "lstm"): 4,
    ("reinforce", "elman"): 8,
    ("reinforce", "gru"): 16,
    ("reinforce", "lstm"): 8,
}
SOLVED = 0.7


@pytest.mark.learning
@each_in_both
def test_a_trained_cell_solves_the_flag_probe(agent, name):
    assert _solved_seeds(agent, name, trainable=True) >= 6


@pytest.mark.learning
@pytest.mark.parametrize("agent", AGENTS)
def test_an_untrained_cell_does_not_solve_the_flag_probe(agent):
    """So that what solves it is training; nothing here differs from cell to cell but the number of units."""
    assert _solved_seeds(agent, "gru", trainable=False) <= 4


def _solved_seeds(agent, name, trainable):
    """Of 8 seeds, how many remember the flag for 8 to 11 steps of noise."""
    recurrence = {"name": name, "units": UNITS[agent, name], "trainable": trainable}
    rate = {"optimizer": {"learning_rate": 5e-3}}
    settings = {"learning_starts": 200, "batch_size": 16} if agent == "dqn" else rate
    steps = 10_000 if agent == "dqn" else 16_000
    players = {"agent_": {**settings, "recurrence": recurrence}, "env_": {"delay": 8, "spread": 3}}
    one = session(agent, PROBE, seeds=8, steps=steps, eval_episodes=50, **players)
    one.play(steps)
    return int((one.evaluator().evaluate(one.agent, steps).returns.mean(axis=1) >= SOLVED).sum())
