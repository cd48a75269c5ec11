"""Action values and policy that one seed of a run has learned in a finite environment, beside the exact ones."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from simulator.config.codec import of_record
from simulator.config.run import RunConfig
from simulator.core.experiment_kinds import noun_of
from simulator.core.mdp.markov_chains import reachable_from
from simulator.core.mdp.model import (
    TERMINATES,
    TRUNCATES,
    FiniteMDP,
    greedy_policy,
    policy_chain,
    policy_rows,
    transitions,
    uniform_over,
)
from simulator.core.mdp.solve import policy_evaluation, reachable, value_iteration
from simulator.core.protocols import AgentView, Array, EnvSpec
from simulator.store.run_store import Store
from simulator.training.evaluation import MAX_EXACT_ENTRIES
from simulator.training.session import MAX_PICTURE_STATES, Session


class LearnedValues(NamedTuple):
    """Action values, values and policy of one seed in every state of a finite environment."""

    run: str
    agent: str
    env: str
    seed: int
    gamma: float  # discount of all values: the agent's, or the environment's where the agent has none
    actions: tuple[str, ...]  # what each action does, [A]
    places: Array | None  # int64 [N, 2], row and column of every state on the map, where there is one
    reachable: Array  # bool [N]: an episode can come here and goes on
    met: Array  # bool [N]: the greedy policy comes here from a start
    legal: Array  # bool [N, A]
    q: Array | None  # float64 [N, A]; None: the agent has no action values
    policy: Array  # float64 [N, A], probabilities of the greedy policy
    values: Array  # float64 [N], the largest q; without q what the policy is worth
    exact_values: Array | None  # float64 [N], the largest Q*
    exact_policy: Array | None  # float64 [N, A], every best action alike
    view: AgentView  # for a map


def of_run(store: Store, run: str, seed: int | None = None) -> LearnedValues:
    """Load what a seed of a run has learned.

    Args:
        store: the lab.
        run: id of a run, or "latest".
        seed: whose; None: the first one's.

    Raises:
        ValueError: no such run or seed, nothing learned yet, or an environment without a table of states; one line.
    """
    record = store.find(run)
    if record.kind != "run":
        raise ValueError(f"--values: {record.run} is a {noun_of(record.kind)}, expected a run of an agent")
    config = of_record(RunConfig, record)
    session = Session(config)
    spec = session.env.spec
    if spec.mdp is None or spec.state_obs is None or len(spec.state_obs) > MAX_PICTURE_STATES:
        why = "has no table of states" if spec.state_obs is None else f"has {len(spec.state_obs):,} states"
        instead = f"engram export {record.run} policy.npz writes what was learned"
        raise ValueError(f"--values: {spec.id} {why}, expected at most {MAX_PICTURE_STATES:,}; {instead}")
    if seed is not None and seed not in session.seeds:
        raise ValueError(f"--seed {seed}: expected one of {', '.join(map(str, session.seeds[:8]))}")
    saved = store.newest(record.run)
    if saved is None:
        raise ValueError(f"--values: {record.run} has no checkpoint yet: nothing was learned")
    session.restore(saved.state)
    spec = session.env.spec  # cells may have changed
    if spec.mdp is None:
        raise ValueError(f"--values: {spec.id} has no table of states")
    row = 0 if seed is None else session.seeds.index(seed)
    for failure in session.failed:
        if failure.seed == session.seeds[row]:
            raise ValueError(f"--values: seed {failure.seed} failed at step {failure.step:,}: {failure.reason}")
    return _of_session(session, spec, spec.mdp, record.run, row)


def _of_session(session: Session, spec: EnvSpec, mdp: FiniteMDP, run: str, row: int) -> LearnedValues:
    policy = session.agent.policy()
    q = policy.values(spec.state_obs)
    probs = policy.probs(spec.state_obs)
    if q is None and probs is None:
        raise ValueError(f"--values: {session.config.agent} has neither action values nor probabilities of actions")
    q = None if q is None else np.where(mdp.legal, q[row], -np.inf)
    probs = None if probs is None else np.asarray(probs[row], np.float64)
    gamma = float(getattr(session.agent, "gamma", spec.gamma))
    exact_values = None
    exact_policy = None
    if mdp.legal.size <= MAX_EXACT_ENTRIES:
        try:
            best = value_iteration(mdp, gamma)
        except ValueError:  # no finite value at this discount
            pass
        else:
            exact_values = best.values
            exact_policy = greedy_policy(best)
    if q is None:
        assert probs is not None
        values = _values_of_policy(mdp, probs, gamma)
        greedy = probs
    else:
        values = np.where(mdp.legal.any(axis=1), q.max(axis=1), 0.0)
        greedy = uniform_over(mdp.legal & (q == q.max(axis=1, keepdims=True))) if probs is None else probs
    session.env.reset()
    scene = session.env.scene(0)
    names = [*scene.actions, *(f"action {a}" for a in range(len(scene.actions), mdp.legal.shape[1]))]
    return LearnedValues(
        run=run,
        agent=session.config.agent,
        env=session.config.env,
        seed=session.seeds[row],
        gamma=gamma,
        actions=tuple(names[: mdp.legal.shape[1]]),
        places=None if scene.walls is None or scene.places is None else np.asarray(scene.places),
        reachable=reachable(mdp),
        met=_met(mdp, greedy),
        legal=mdp.legal,
        q=q,
        policy=greedy,
        values=values,
        exact_values=exact_values,
        exact_policy=exact_policy,
        view=AgentView(scene, values, greedy > 0),
    )


def _met(mdp: FiniteMDP, policy: Array) -> Array:
    """Mark, bool [N], the states that a policy [N, A] acts in."""
    chain = policy_chain(policy_rows(mdp, policy), transitions(mdp, (TERMINATES, TRUNCATES)))
    return np.asarray(reachable_from(chain, mdp.start > 0))


def _values_of_policy(mdp: FiniteMDP, policy: Array, gamma: float) -> Array:
    """Compute what a policy [N, A] is worth in every state, [N]; NaN where that has no finite value."""
    try:
        return policy_evaluation(mdp, policy, gamma)
    except ValueError:
        return np.full(len(policy), np.nan)
