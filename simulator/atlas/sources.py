"""Sources of states: an environment under random play, a stored run's evaluation episodes, a memory's codes."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from gymnasium import spaces

from simulator.atlas.states import ExactValues, MetStates, States, chosen, flat, rooms_at
from simulator.config.atlas import AtlasConfig
from simulator.core import registry
from simulator.core.embeddings.graph import adjacency_of, successor, undirected
from simulator.core.embeddings.walks import rows_of, transitions_met
from simulator.core.mdp.markov_chains import reachable_from
from simulator.core.mdp.model import (
    GOES_ON,
    TERMINATES,
    FiniteMDP,
    expected_reward,
    policy_chain,
    transitions,
    uniform_policy,
)
from simulator.core.mdp.solve import value_iteration
from simulator.core.protocols import Array, Env, EnvSpec
from simulator.core.scene import Scene
from simulator.store.run_store import Store

if TYPE_CHECKING:
    from simulator.training.episode_player import Moment

MAX_FINITE = 2_048  # states of a finite environment that are all drawn
STEPS = 10_000  # of random play, by default
MOMENTS = 2_000  # of a run's episodes, by default
MAX_WALK = 1_000  # steps after which a walk is cut where the episode goes on


def of_env(name: str, env: Env, config: AtlasConfig, seed: int) -> States:
    """Collect the states of an environment under uniformly random play; all of them where they are finitely many.

    Args:
        name: of the environment.
        env: one copy.
        config: the settings.
        seed: of random play.

    Raises:
        ValueError: numbers that these states do not have; one line.
    """
    spec = env.spec
    if (finite := _finite(env, config.discount)) is not None:
        return _of_finite(name, env, finite, config, seed)
    met = MetStates(config.max_states)
    n_steps = config.steps or STEPS
    _random_play(env, met, n_steps, seed)
    visits = met.visits()
    vectors = _vectors_met(spec, met, config.discount)
    of = chosen(config.of, vectors, _order(spec))
    return States(
        title=f"{name}, met in {n_steps:,} steps of random play",
        kind="env",
        of=of,
        vectors=vectors[of],
        walks=met.walks,
        adjacency=_graph(met),
        steps=visits.mean_step,
        visits=visits.count,
        notes=_left_out(met),
    )


def _shows_state(spec: EnvSpec) -> bool:
    """Tell whether observations show the state, of which there are not too many."""
    assert spec.state_obs is not None
    n_states = len(spec.state_obs)
    return n_states <= MAX_FINITE and len({np.ascontiguousarray(obs).tobytes() for obs in spec.state_obs}) == n_states


class Finite(NamedTuple):
    """States of a finite environment whose observations show the state."""

    observations: Array  # [N, *obs]
    vectors: dict[str, Array]  # [N, F] by name
    chain: Array | None  # float64 [N, N], of random play until an episode ends; None where its end shows in no state
    adjacency: Array  # float64 [N, N]
    places: Array | None  # int64 [N, 2]
    exact: ExactValues | None

    def number_by_observation(self) -> dict[bytes, int]:
        """Return the number of every state, by its observation."""
        return {np.ascontiguousarray(obs).tobytes(): state for state, obs in enumerate(self.observations)}


def _finite(env: Env, gamma: float) -> Finite | None:
    """Collect the states of an environment that can be reached; None where they are not known, or not seen."""
    spec = env.spec
    mdp = spec.mdp
    if mdp is None or spec.state_obs is None or not _shows_state(spec):
        return None
    played = _without_moves_from_ends(mdp)
    met = np.flatnonzero(_reached(played))
    rows = np.ix_(met, met)
    uniform = uniform_policy(played)
    env.reset()
    scene = env.scene(0)
    vectors = {
        "observations": _observed(spec, list(spec.state_obs[met])),
        "successor": successor(policy_chain(uniform, transitions(played, (TERMINATES,))).toarray()[rows], gamma),
    }
    places = None
    if scene.places is not None and (scene.walls is not None or scene.rooms is not None):
        places = np.asarray(scene.places)[met]
        vectors["place"] = places.astype(np.float64) if scene.rooms is None else np.asarray(scene.rooms)[places[:, 0]]
    return Finite(
        observations=spec.state_obs[met],
        vectors=vectors,
        chain=_walk_chain(played, met),
        adjacency=adjacency_of(played)[rows],
        places=places,
        exact=exact_values(played, met, gamma),
    )


def _without_moves_from_ends(mdp: FiniteMDP) -> FiniteMDP:
    """Leave no action in states that play comes to only where an episode terminates, whatever would follow there."""
    goes_on = reachable_from(policy_chain(uniform_policy(mdp), transitions(mdp, (TERMINATES,))), mdp.start > 0)
    return dataclasses.replace(mdp, legal=mdp.legal & goes_on[:, None])


def _reached(played: FiniteMDP) -> Array:
    """Mark the states that play comes to, bool [N]: those that it begins in or goes on from, and where it ends."""
    reached = played.legal.any(axis=1) | (played.start > 0)
    reached[played.next[played.legal[..., None] & (played.prob > 0)]] = True
    return reached


def _walk_chain(mdp: FiniteMDP, met: Array) -> Array | None:
    """Return the chain of random play [N, N] among states ``met``, which goes nowhere from where episodes end.

    None where a state that ends an episode can also be left, so that more than the state would have to be known.
    """
    used = mdp.legal[..., None] & (mdp.prob > 0)
    over = np.zeros(len(mdp.prob), np.bool_)
    over[mdp.next[used & (mdp.end != GOES_ON)]] = True
    entered = np.zeros(len(mdp.prob), np.bool_)
    entered[mdp.next[used & (mdp.end == GOES_ON) & ~over[:, None, None]]] = True
    if (over & (entered | (mdp.start > 0))).any():
        return None
    chain = policy_chain(uniform_policy(mdp), transitions(mdp, ())).toarray()
    chain[over] = 0.0
    return np.asarray(chain[np.ix_(met, met)])


def _order(spec: EnvSpec) -> tuple[str, ...]:
    """Return what stands for a state by default: the numbers of a discrete observation tell nothing."""
    return ("successor", "observations") if isinstance(spec.observation, spaces.Discrete) else ("observations",)


def _of_finite(name: str, env: Env, finite: Finite, config: AtlasConfig, seed: int) -> States:
    met = MetStates.of_all(finite.observations)
    _random_play(env, met, config.steps or STEPS, seed)
    visits = met.visits()
    of = chosen(config.of, finite.vectors, _order(env.spec))
    env.reset()
    scene = env.scene(0)
    exact = finite.exact
    assert env.spec.mdp is not None
    return States(
        title=f"{name}, all {len(finite.observations):,} states",
        kind="env",
        of=of,
        vectors=finite.vectors[of],
        walks=met.walks,
        chain=finite.chain,
        adjacency=finite.adjacency,
        scene=None if finite.places is None else scene,
        places=finite.places,
        rooms=None if finite.places is None else rooms_at(scene, finite.places),
        values=None if exact is None else exact.values,
        actions=None if exact is None else np.where(exact.judged, exact.greedy.argmax(axis=1), -1),
        action_names=_action_names(scene, env.spec.mdp.legal.shape[1]),
        steps=visits.mean_step,
        visits=visits.count,
        exact=exact,
    )


def exact_values(mdp: FiniteMDP, met: Array, gamma: float) -> ExactValues | None:
    """Solve a finite environment, in the states numbered ``met`` [N]; None where it has no finite value.

    Nothing is chosen in states without a legal action, which have the value 0.
    """
    try:
        best = value_iteration(mdp, gamma)
    except ValueError:
        return None
    n_actions = mdp.legal.shape[1]
    rows = (met[:, None] * n_actions + np.arange(n_actions)).ravel()
    return ExactValues(
        values=best.values[met],
        greedy=best.greedy[met],
        reward=np.where(mdp.legal, expected_reward(mdp), -np.inf)[met],
        following=transitions(mdp, (TERMINATES,))[rows][:, met],
        gamma=gamma,
        judged=np.any(mdp.legal, axis=1)[met],
    )


def _random_play(env: Env, met: MetStates, n_steps: int, seed: int) -> None:
    """Let the random walk play one copy of an environment, and note what it meets."""
    player = registry.load("agents", "random_walk")
    walker = player.make(env.spec, [seed], player.Config())
    obs = env.reset()
    time = 0
    met.meet(np.asarray(obs)[0], time)
    for _ in range(n_steps):
        step = env.step(walker.act(obs))
        obs = step.obs
        time += 1
        met.meet(np.asarray(step.final_obs)[0], time)
        if step.terminated[0] or step.truncated[0]:
            met.end()
            time = 0
            met.meet(np.asarray(obs)[0], time)
        elif time % MAX_WALK == 0:
            met.end()


def _observed(spec: EnvSpec, observations: list[Array]) -> Array:
    """Return observations as rows of numbers: a discrete one as one-hot."""
    if isinstance(spec.observation, spaces.Discrete):
        return np.eye(int(spec.observation.n))[np.array([int(obs) - spec.observation.start for obs in observations])]
    return flat(observations)


def _vectors_met(spec: EnvSpec, met: MetStates, discount: float) -> dict[str, Array]:
    """Return the numbers that stand for states of which only walks are known; discrete ones have successors too."""
    vectors = {"observations": _observed(spec, met.observations)}
    if isinstance(spec.observation, spaces.Discrete):
        counts = transitions_met(met.walks, len(met.observations))
        vectors["successor"] = successor(counts / np.maximum(counts.sum(axis=1, keepdims=True), 1.0), discount)
    return vectors


def _graph(met: MetStates) -> Array | None:
    """Return the graph of steps, where states are met again and all hang together; None elsewhere."""
    from scipy.sparse.csgraph import connected_components

    n_states = len(met.observations)
    adjacency = undirected(transitions_met(met.walks, n_states))
    joined = connected_components(adjacency, directed=False)[0] == 1
    return adjacency if joined and met.visits().count.sum() >= 2 * n_states else None


def _left_out(met: MetStates) -> tuple[str, ...]:
    if not met.n_left_out:
        return ()
    return (f"{met.n_left_out:,} visits of other states are left out: --max-states {met.max_states} are drawn",)


def _action_names(scene: Scene, n_actions: int) -> tuple[str, ...]:
    names = [*scene.actions, *(f"action {a}" for a in range(len(scene.actions), n_actions))]
    return tuple(names[:n_actions])


# ---- a stored run


def of_run(store: Store, run: str, config: AtlasConfig, seed: int | None) -> States:
    """Collect the states that a stored run's policy meets in its evaluation episodes, by its newest checkpoint.

    Args:
        store: the lab.
        run: id of a run, or "latest".
        config: the settings; with what a policy carries every moment is a state, else every observation is one.
        seed: whose policy; None: the first one that has not failed.

    Raises:
        ValueError: no such run or seed, or numbers that its policy does not have; one line.
    """
    from simulator.training import episode_player

    record = store.find(run)
    player = episode_player.of_run(store, record.run, seed)
    moments: list[Moment] = []
    for moment in player:
        moments.append(moment)
        if len(moments) == (config.steps or MOMENTS):
            break
    carried = moments[0].carried
    session = player.session
    finite = _finite(session.env, config.discount)
    order = _order(session.env.spec)
    offered = [*(order if finite is None else finite.vectors), *carried]
    of = chosen(config.of, offered, ("hidden", "features", *order))
    title = (
        f"{record.run}: {session.config.agent} in {session.config.env}, seed {player.seed}, {len(moments):,} moments"
    )
    spec = session.env.spec
    names = _action_names(moments[0].view.scene, int(getattr(spec.action, "n", 0)))
    if of in carried:
        return _of_moments(title, of, moments, names, spec, config.max_states)
    met = MetStates(config.max_states)
    numbers = []
    for moment in moments:
        if moment.t == 0:
            met.end()
        numbers.append(met.meet(moment.obs, moment.t))
    visits = met.visits()
    first = np.array([numbers.index(state) for state in range(len(met.observations))])
    adjacency = _graph(met)
    if finite is None:
        vectors = _vectors_met(spec, met, config.discount)[of]
    else:
        number = finite.number_by_observation()
        rows = np.array([number[np.ascontiguousarray(obs).tobytes()] for obs in met.observations])
        vectors = finite.vectors[of][rows]
        adjacency = finite.adjacency[np.ix_(rows, rows)]
    return States(
        title=title,
        kind="run",
        of=of,
        vectors=vectors,
        walks=met.walks,
        adjacency=adjacency,
        steps=visits.mean_step,
        visits=visits.count,
        notes=_left_out(met),
        **_known([moments[i] for i in first], names, spec),
    )


def _of_moments(
    title: str, of: str, moments: list[Moment], names: tuple[str, ...], spec: EnvSpec, max_states: int
) -> States:
    """Make a state of every moment, of those that the policy acts in."""
    acted = [moment for moment in moments if moment.carried and moment.action is not None][:max_states]
    walks: list[list[int]] = []
    for state, moment in enumerate(acted):
        if moment.t == 0 or not walks:
            walks.append([])
        walks[-1].append(state)
    return States(
        title=title,
        kind="run",
        of=of,
        vectors=np.stack([np.asarray(moment.carried[of], np.float64) for moment in acted]),
        walks=rows_of([np.array(walk) for walk in walks]),
        steps=np.array([float(moment.t) for moment in acted]),
        **_known(acted, names, spec),
    )


def _known(moments: list[Moment], names: tuple[str, ...], spec: EnvSpec) -> dict[str, Any]:
    """Return what is known of moments: place, room, learned value, best action; where all is over 0 and none."""
    scene = moments[0].view.scene
    known: dict[str, Any] = {"action_names": names}
    places = np.array([_place_of(moment.view.scene) for moment in moments])
    if (scene.walls is not None or scene.rooms is not None) and (places >= 0).any():
        known |= {"scene": scene, "places": places, "rooms": rooms_at(scene, places)}
    if all(moment.values is not None for moment in moments):
        q = np.array([moment.values for moment in moments], np.float64)
        if spec.legal_actions is not None:
            q = np.where(spec.legal_actions[[int(moment.obs) for moment in moments]], q, -np.inf)
        is_over = np.array([moment.ended and not moment.truncated for moment in moments])
        known |= {"values": np.where(is_over, 0.0, q.max(axis=1)), "actions": np.where(is_over, -1, q.argmax(axis=1))}
    elif len(probs := [moment.probs for moment in moments if moment.probs is not None]) == len(moments):
        known["actions"] = np.array([np.argmax(each) for each in probs])
    elif names:  # of a policy that remembers: what it does
        known["actions"] = np.array([-1 if moment.action is None else int(moment.action) for moment in moments])
    return known


def _place_of(scene: Scene) -> tuple[int, int]:
    """Return where the walker is: row and column, or its room and 0; -1, -1 where that is not shown."""
    if scene.walls is None and scene.walker >= 0:
        return scene.walker, 0
    return next(((mark.row, mark.column) for mark in scene.marks if mark.kind == "walker"), (-1, -1))


# ---- a memory


def of_memory(
    name: str,
    memory_settings: Any,
    challenge: str,
    challenge_settings: Any,
    config: AtlasConfig,
    seed: int,
) -> States:
    """Let a memory store patterns of a challenge, and take what it makes of them.

    ``codes``: its hidden codes; ``recalled``: what it recalls of the patterns as they are; ``patterns``: themselves.

    Raises:
        ValueError: more patterns than there are or than it can store, or numbers that it does not have; one line.
    """
    patterns = registry.load("challenges", challenge).make([seed], challenge_settings)
    drawn = patterns.draw(config.patterns, 0)
    memory = registry.load("memories", name).make(patterns.spec, [seed], memory_settings)
    memory.store(drawn.stored)
    offered: Mapping[str, Any] = {
        **({"codes": memory.codes} if hasattr(memory, "codes") else {}),
        "recalled": lambda stored: memory.recall(stored).patterns,
        "patterns": lambda stored: stored,
    }
    of = chosen(config.of, offered, ("codes", "recalled"))
    vectors = np.asarray(offered[of](drawn.stored)[0], np.float64)
    energy = np.asarray(memory.energy(drawn.stored)[0], np.float64)
    classes = drawn.labels[0]
    return States(
        title=f"{name} on {config.patterns:,} {challenge}",
        kind="memory",
        of=of,
        vectors=vectors.reshape(len(vectors), -1),
        values=energy if np.isfinite(energy).all() else None,
        classes=classes if (classes >= 0).all() and len(np.unique(classes)) > 1 else None,
    )
