"""Laws of agents: legal actions, finite numbers, seeds that do not meet, a state that is whole."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from simulator.checks.comparison import differences, state_of_seed
from simulator.checks.laws import Law, LawBroken
from simulator.core.protocols import Array
from simulator.store import checkpoints
from simulator.training.non_finite import arrays_with_nan
from simulator.training.session import Session

STEPS = 150  # of training
MakeSession = Callable[..., Session]  # keywords seeds, first_seed, rollouts; the agent in its environment, untrained


def acts_in_the_space_and_learns_finite_numbers(make: MakeSession) -> None:
    """Play 60 steps of 4 seeds: actions are in the space, metrics and what was learned finite, metrics one per seed.

    Raises:
        LawBroken: one is not.
    """
    session = make(seeds=4)
    space = session.env.spec.action
    obs = session.env.observe()
    for t in range(60):
        actions = session.agent.act(obs)
        if np.shape(actions) != (4, *(space.shape or ())):
            raise LawBroken("act", f"it gave the shape {np.shape(actions)}, expected {(4, *(space.shape or ()))}")
        for i in range(4):
            if not space.contains(actions[i]):
                raise LawBroken("act", f"seed number {i} chose {actions[i]} in step {t}, expected one of {space}")
        step = session.env.step(actions)
        for name, values in session.agent.learn(obs.copy(), actions, step).items():
            if np.shape(values) != (4,) or not np.isfinite(values).all():
                expected = "expected a finite number for each of 4 seeds"
                raise LawBroken("learn", f"{name} is {values} in step {t}, {expected}")
        obs = step.obs.copy()
    policy = session.agent.policy()
    for name, table in (("values", policy.values(obs)), ("probs", policy.probs(obs))):
        if table is not None and (np.isnan(table) | (table == np.inf)).any():
            raise LawBroken(name, f"it gave {_first_bad(np.asarray(table))} after 60 steps, expected finite numbers")
    if found := next(arrays_with_nan(session.agent.state()), None):
        raise LawBroken("learn", f"{found} holds NaN after 60 steps, expected finite numbers in what was learned")


def _first_bad(table: Array) -> str:
    """Format the first number that is NaN or infinite; -inf stands for an action that does not exist."""
    return f"{table[np.isnan(table) | (table == np.inf)][0]}"


def acts_legally(make: MakeSession) -> None:
    """Play 60 steps of 4 seeds: every action exists at its observation, by ``spec.legal_actions``.

    Raises:
        LawBroken: one does not.
    """
    session = make(seeds=4)
    legal = session.env.spec.legal_actions
    if legal is None:
        return
    obs = session.env.observe()
    for t in range(60):
        actions = session.agent.act(obs)
        for i in range(4):
            if not legal[obs[i], actions[i]]:
                exist = np.flatnonzero(legal[obs[i]]).tolist()
                expected = f"expected one that exists at observation {obs[i]}: {exist} (spec.legal_actions)"
                raise LawBroken("act", f"seed number {i} chose {actions[i]} in step {t}, {expected}")
        step = session.env.step(actions)
        session.agent.learn(obs.copy(), actions, step)
        obs = step.obs.copy()


def policy_is_the_same_each_time(make: MakeSession) -> None:
    """Ask for the policy twice: both act alike, and its probabilities are of what it does.

    Raises:
        LawBroken: they do not.
    """
    session = make(seeds=4)
    session.play(100)
    first = np.ones(4, np.bool_)
    obs = session.env.observe()
    one, two = (session.agent.policy().act(obs, first) for _ in range(2))
    if not np.array_equal(one, two):
        expected = "expected fresh streams: the same each time at the same step"
        raise LawBroken("policy", f"two policies of one step chose {one} and {two}, {expected}")
    seen = session.env.spec.state_obs
    probs = None if seen is None else session.agent.policy().probs(seen)
    if seen is None or probs is None:
        return
    shape = (4, len(seen), session.env.spec.action.n)
    if probs.shape != shape or not np.allclose(probs.sum(axis=-1), 1.0):
        expected = f"expected {shape}, which add up to 1 over actions"
        raise LawBroken("policy().probs", f"probabilities of shape {probs.shape}, {expected}")
    policy = session.agent.policy()
    for state in range(0, len(seen), 7):
        actions = policy.act(np.repeat(seen[state : state + 1], 4, axis=0), first)
        if not (probs[np.arange(4), state, actions] > 0).all():
            raise LawBroken("policy().act", f"it chose {actions} in state {state}, to which probs gives 0")


def training_is_the_same_again(make: MakeSession) -> None:
    """Train two alike: both end in the same state, to the bit.

    Raises:
        LawBroken: they do not.
    """
    one, two = (_trained(make(seeds=3)).agent.state() for _ in range(2))
    if found := next(differences(one, two), None):
        expected = "expected the same bits: all randomness from the seed's own stream"
        raise LawBroken("act", f"the same training again: {found} after {STEPS} steps; {expected}")


def poisoned_rewards_leave_the_others_alone(make: MakeSession) -> None:
    """Give one seed rewards of a million: the other seeds end in the same state, to the bit.

    Raises:
        LawBroken: they do not.
    """
    clean, dirty = (make(seeds=3, rollouts=False) for _ in range(2))
    step_of_env = dirty.env.step

    def poisoned(actions: Any) -> Any:
        step = step_of_env(actions)
        step.reward[1] = 1e6
        return step

    dirty.env.step = poisoned
    states = [_trained(session).agent.state() for session in (clean, dirty)]
    for i in (0, 2):
        one, two = (state_of_seed(state, i, 3) for state in states)
        if found := next(differences(one, two), None):
            expected = "expected the same bits: no statistic over seeds"
            raise LawBroken("learn", f"seed {i}, where seed 1 got other rewards: {found}; {expected}")


def evaluation_changes_nothing(make: MakeSession) -> None:
    """Train two alike and evaluate one between: both end in the same state.

    Raises:
        LawBroken: they do not, or an evaluation that is made again comes out differently.
    """
    watched, left = (make(seeds=3) for _ in range(2))
    evaluator = watched.evaluator()
    returns = np.zeros(0)
    for _ in range(3):
        for session in (watched, left):
            session.play(40)
        returns = evaluator.evaluate(watched.agent, watched.step).returns
    if found := next(differences(watched.state(), left.state()), None):
        said = f"an evaluation changed the learner: {found}; expected a copy, or one that draws from streams of its own"
        raise LawBroken("policy", said)
    again = watched.evaluator().evaluate(watched.agent, watched.step).returns
    if not np.array_equal(returns, again, equal_nan=True):
        raise LawBroken("policy", "the same evaluation came out differently, expected the same returns")


def seeds_together_equal_seeds_alone(make: MakeSession) -> None:
    """Train seeds 0 to 3 together, and 0 and 3 alone: states and evaluations are the same, to the bit.

    Raises:
        LawBroken: they are not.
    """
    together = _trained(make(seeds=4))
    for i in (0, 3):
        alone = _trained(make(seeds=1, first_seed=i))
        one = state_of_seed(alone.state(), 0, 1)
        found = next(differences(one, state_of_seed(together.state(), i, 4)), None)
        if found:
            said = f"seed {i} alone and among 4 seeds: {found} after {STEPS} steps"
            expected = "expected the same bits: no sum over seeds, all randomness from the seed's own stream"
            raise LawBroken("learn", f"{said}; {expected}")
        returns = [s.evaluator().evaluate(s.agent, STEPS).returns for s in (alone, together)]
        if not np.array_equal(returns[0][0], returns[1][i], equal_nan=True):
            raise LawBroken("policy", f"seed {i} is evaluated differently alone, expected the same returns")


def continues_from_a_checkpoint(make: MakeSession) -> None:
    """Train, write the state as a checkpoint does, restore it in a new agent, and train on: the bits of one training.

    Raises:
        LawBroken: the state cannot be stored, or is not whole.
    """
    whole, first, second = (make(seeds=3) for _ in range(3))
    whole.play(2 * STEPS)
    first.play(STEPS)
    try:
        stored = checkpoints.unpacked(checkpoints.packed(first.state()))
    except RuntimeError as error:
        raise LawBroken("state", str(error)) from error
    second.restore(stored)
    if not second.exact:
        raise LawBroken("restore", "the environment could not be restored, expected the same episode")
    if found := next(differences(first.agent.state(), second.agent.state()), None):
        raise LawBroken("restore", f"{found} after restore, expected the state that was given to it")
    second.play(STEPS)
    if found := next(differences(whole.state(), second.state()), None):
        expected = "expected the bits of an uninterrupted training: state has to hold all that changes, streams too"
        raise LawBroken("state", f"resumed after {STEPS} steps: {found}; {expected}")


def _trained(session: Any) -> Any:
    session.play(STEPS)
    return session


LAWS = (
    Law("act gives actions, learn finite numbers", "act", acts_in_the_space_and_learns_finite_numbers, True),
    Law("act gives actions that exist at the observation", "act", acts_legally),
    Law("the same seed trains the same again", "act", training_is_the_same_again, True),
    Law("policy is the same each time, and does what it says", "policy", policy_is_the_same_each_time),
    Law("evaluation changes nothing", "policy", evaluation_changes_nothing),
    Law("seeds together equal seeds alone", "learn", seeds_together_equal_seeds_alone),
    Law("other rewards in one seed leave the others alone", "learn", poisoned_rewards_leave_the_others_alone),
    Law("a resumed training equals an uninterrupted one", "state", continues_from_a_checkpoint),
)
