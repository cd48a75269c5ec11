"""Match: two agents, one game, many seeds. The result is a plain dict for JSON.

Both agents of a seed have streams of their own, derived from the seed by side, so that an agent can play itself; the
game's streams are those of the seed, so that all matches of a seed have the same noise and the same ends. In a game of
turns each agent begins every other game, and seeds are played one after the other, as games differ in length.

Before a match a learner may train (``train_steps``) against a second learner of its kind, which is then discarded.
Each learns from its own side only: to an agent a trajectory is one side's, and what the other side does is its
environment.

The result:

* ``scores``, ``second`` [S]: mean payoff of the first and of the second, per round where both move at once, else per
  game; NaN where the seed failed. ``failed``: [{seed, step, reason}]. ``steps``, ``curve``: empty.
* ``facts``: ``zero_sum``; ``per``, "round" or "game"; ``floor``, ``ceiling``, ``second_floor``, ``second_ceiling``,
  what one pays either side at least and at most, with ``floor_is`` and ``ceiling_is``; ``threshold`` None; ``rounds``
  [S] or games that counted; ``wins`` [S], the fraction of points of the first side (win 1, draw 0.5), None where the
  game is not zero-sum; ``expected`` [2][S], exact payoffs per round where neither learns and both go by the last
  outcome only (memory-one), else None; ``exploitability`` [2][S] where all positions are known, else None;
  ``replaced`` [2][S], moves that did not exist.
"""

from __future__ import annotations

from collections.abc import Generator, Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np

from simulator.config.codec import PlayerEntry
from simulator.config.match import MatchConfig
from simulator.core import registry
from simulator.core.games.game import COOPERATE, RoundGame, TurnGame, is_iterated
from simulator.core.games.tree import GameTree, exploitability
from simulator.core.protocols import Array, CarryingPolicy, Policy
from simulator.core.rng import derived_seeds
from simulator.core.snapshots import MatchSnapshot, Progress
from simulator.core.stopping import RateLimiter
from simulator.matches.rounds import BLOCK, Side, Tally, TurnAgent, make_side, play_game, play_rounds, reset_rounds
from simulator.store.hosting import WorkClock
from simulator.store.run_records import NOT_FINITE

REPORT_EVERY = 0.1  # seconds
_SIDES = ("first", "second")


class MatchScores(NamedTuple):
    """Results of some seeds of a match; [S] or, for both agents, [2, S]."""

    scores: Array  # [2, S] mean payoff per round or per game; NaN where the seed failed
    wins: Array  # [S] fraction of points of the first side, draws halved
    rounds: Array  # int64 [S] rounds, or games
    replaced: Array  # [2, S] moves that did not exist
    failed_at: Array  # int64 [2, S], 0: it did not
    expected: Array | None  # [2, S] exact payoff per round
    exploitable: Array | None  # [2, S]


def play(config: MatchConfig) -> Generator[MatchSnapshot, None, None]:
    """Play a match.

    Args:
        config: its settings.

    Yields:
        Snapshots, about ten a second; the last has the phase "done" and the result of the module's docstring.

    Raises:
        ValueError: an agent that cannot play the game, or settings that do not go together; before work starts.
    """
    clock = WorkClock()
    seeds = range(config.first_seed, config.first_seed + config.seeds)
    game = checked(config)
    reports = _Reports(f"{config.first.label} - {config.second.label} in {config.game}", clock)
    if game.simultaneous:
        played = yield from _rounds(config, seeds, reports)
    else:
        parts = []
        for seed in seeds:
            part = yield from _turns(config, seed, reports)
            parts.append(part)
        played = _joined(parts)
    failed = (played.failed_at > 0).any(axis=0)
    played.scores[:, failed] = np.nan
    played.wins[failed] = np.nan
    spent = clock.read()
    result = {
        "scores": played.scores[0].tolist(),
        "second": played.scores[1].tolist(),
        "steps": [],
        "curve": [[] for _ in seeds],
        "failed": _failures(config, seeds, played.failed_at),
        "facts": facts_of(game, played),
        "seconds": spent.wall,
        "cpu_seconds": spent.cpu,
        "exact": True,
    }
    n_episodes = config.episodes * config.seeds
    yield MatchSnapshot(reports.id, "done", Progress(n_episodes, n_episodes, "episode"), spent.wall, result)


class _Reports:
    """Makes the snapshots of one match at intervals."""

    def __init__(self, match: str, clock: WorkClock) -> None:
        self.id = match
        self._clock = clock
        self._limiter = RateLimiter(REPORT_EVERY)

    def due(self, phase: str, done: int, total: int, unit: str) -> Iterator[MatchSnapshot]:
        """Yield a snapshot if it is time."""
        if self._limiter.is_due():
            yield MatchSnapshot(self.id, phase, Progress(done, total, unit), self._clock.read().wall)


def checked(config: MatchConfig) -> Any:
    """Make one copy of the match's game, and check that both agents can play it.

    Raises:
        ValueError: an agent that cannot play the game, or settings that do not go together; one line.
    """
    game = _game(config, [config.first_seed])
    if not game.simultaneous and config.episodes % 2:
        reason = "each agent begins half of the games"
        raise ValueError(f"episodes = {config.episodes}: expected an even number in {config.game}, where {reason}")
    for side in (0, 1):
        _agent(_entries(config)[side], game.specs[side], [config.first_seed])
    return game


def _game(config: MatchConfig, seeds: Sequence[int]) -> Any:
    return registry.load("games", config.game).make(list(seeds), config.game_settings)


def _entries(config: MatchConfig) -> tuple[PlayerEntry, PlayerEntry]:
    return config.first, config.second


def _agent(entry: PlayerEntry, spec: Any, seeds: Sequence[int]) -> Any:
    return registry.load("agents", entry.name).make(spec, list(seeds), entry.settings)


def _learns(entry: PlayerEntry) -> bool:
    return getattr(registry.load("agents", entry.name).module, "TRAINABLE", True)


def trained(config: MatchConfig, side: int, seeds: Sequence[int]) -> Generator[MatchSnapshot, None, Any]:
    """Train the agent of a side as before a match; returns it.

    Args:
        config: the match.
        side: 0 or 1.
        seeds: the match's seeds.

    Yields:
        Snapshots, about ten a second.
    """
    reports = _Reports(f"{_entries(config)[side].label} in {config.game}", WorkClock())
    agent = yield from _trained(config, side, seeds, reports)
    return agent


def _trained(
    config: MatchConfig, side: int, seeds: Sequence[int], reports: _Reports
) -> Generator[MatchSnapshot, None, Any]:
    """Train the agent of a side before the match."""
    side_seeds = derived_seeds(seeds, _SIDES[side])
    entry = _entries(config)[side]
    game = _game(config, derived_seeds(side_seeds, "training"))
    agent = _agent(entry, game.specs[side], side_seeds)
    if not config.train_steps or not _learns(entry):
        return agent
    other = _agent(entry, game.specs[1 - side], derived_seeds(side_seeds, "second"))
    practise = _practise_rounds if game.simultaneous else _practise_turns
    yield from practise(game, (agent, other) if side == 0 else (other, agent), side, config.train_steps, reports)
    return agent


def _practise_rounds(
    game: RoundGame, agents: tuple[Any, Any], side: int, n: int, reports: _Reports
) -> Iterator[MatchSnapshot]:
    """Train two learners for n rounds."""
    one = make_side(agents[0], learns=True)
    two = make_side(agents[1], learns=True)
    obs = reset_rounds(game)
    done = 0
    while done < n:
        block = min(n - done, BLOCK)
        done += block
        obs = play_rounds(game, one, two, obs, block, truncate=done == n).obs
        yield from reports.due("training", done, n, "round")


def _practise_turns(
    game: TurnGame, agents: tuple[Any, Any], side: int, n: int, reports: _Reports
) -> Iterator[MatchSnapshot]:
    """Train two learners until the one of ``side`` has made n moves and the game is over; they begin in turn."""
    turn_agents = [TurnAgent(make_side(agent, learns=True)) for agent in agents]
    turn = game.reset()
    turn_agent = turn_agents[side]
    while turn_agent.moves < n:
        turn = play_game(game, turn, (turn_agents[0], turn_agents[1]))
        turn_agents.reverse()
        yield from reports.due("training", min(turn_agent.moves, n), n, "move")
    turn_agent.learn()


def _rounds(
    config: MatchConfig, seeds: Sequence[int], reports: _Reports
) -> Generator[MatchSnapshot, None, MatchScores]:
    """Play all seeds of a game of rounds, side by side."""
    first = yield from _trained(config, 0, seeds, reports)
    second = yield from _trained(config, 1, seeds, reports)
    agents = (first, second)
    game = _game(config, seeds)
    one, two = _sides(config, agents)
    tally = Tally(len(seeds), config.episodes)
    obs = reset_rounds(game)
    block = 16
    done = False
    while not done:
        played = play_rounds(game, one, two, obs, block)
        obs = played.obs
        done = tally.add(played.reward, played.ended)
        block = min(2 * block, BLOCK)
        yield from reports.due("playing", tally.n_done, config.episodes * len(seeds), "episode")
    learned = [tally.rounds + config.train_steps * _learns(entry) for entry in _entries(config)]
    failed_at = np.array([_failed_at(agent, len(seeds)) for agent in agents])
    failed_at[failed_at > learned] = 0  # after the counted episodes
    return MatchScores(
        scores=tally.total / tally.rounds,
        wins=0.5 + 0.5 * tally.lead / tally.rounds,
        rounds=tally.rounds,
        replaced=np.zeros((2, len(seeds)), np.int64),
        failed_at=failed_at,
        expected=_expected(config, game, agents),
        exploitable=None,
    )


def _turns(config: MatchConfig, seed: int, reports: _Reports) -> Generator[MatchSnapshot, None, MatchScores]:
    """Play one seed of a game of turns."""
    first = yield from _trained(config, 0, [seed], reports)
    second = yield from _trained(config, 1, [seed], reports)
    agents = (first, second)
    game = _game(config, [seed])
    n = config.episodes
    n_before = (seed - config.first_seed) * n
    turn_agents = [TurnAgent(side) for side in _sides(config, agents)]
    turn = game.reset()
    for number in range(n):
        turn = play_game(
            game, turn, (turn_agents[1], turn_agents[0]) if number % 2 else (turn_agents[0], turn_agents[1])
        )
        yield from reports.due("playing", n_before + number + 1, config.seeds * n, "episode")
    exploitable = None
    if game.tree is not None:
        probs = [position_probs(agent.policy(), game.tree) for agent in agents]
        known = [prob for prob in probs if prob is not None]
        if len(known) == len(probs):
            exploitable = np.array([exploitability(game.tree, prob) for prob in known])
    return MatchScores(
        scores=np.array([[turn_agent.total] for turn_agent in turn_agents]) / n,
        wins=0.5 + 0.5 * np.array([turn_agents[0].lead]) / n,
        rounds=np.array([n]),
        replaced=np.array([[turn_agent.replaced] for turn_agent in turn_agents]),
        failed_at=np.array([_failed_at(agent, 1) for agent in agents]),
        expected=None,
        exploitable=exploitable,
    )


def _sides(config: MatchConfig, agents: Sequence[Any]) -> tuple[Side, Side]:
    learns = [config.learn and _learns(entry) for entry in _entries(config)]
    return make_side(agents[0], learns=learns[0]), make_side(agents[1], learns=learns[1])


def _failed_at(agent: Any, n_seeds: int) -> Array:
    return np.array(getattr(agent, "failed_at", np.zeros(n_seeds, np.int64)))


def _expected(config: MatchConfig, game: RoundGame, agents: Sequence[Any]) -> Array | None:
    """Compute the exact payoffs [2, S] of two memory-one agents that do not learn."""
    still = not config.learn or not any(_learns(entry) for entry in _entries(config))
    if not still or not all(is_iterated(spec) for spec in game.specs):
        return None
    probs = [agent.policy().probs(np.arange(5)) for agent in agents]
    if any(prob is None for prob in probs):
        return None
    payoffs = game.expected(*(prob[..., COOPERATE] for prob in probs))
    return None if payoffs is None else np.array(payoffs)


def position_probs(policy: Policy, tree: GameTree) -> Array | None:
    """Compute a policy's action probabilities in every position of a game, [1, N, A]; None where the past counts.

    Asked for its probabilities, or where it has none for its move in each position, as the first of an episode. What it
    gives to moves that do not exist is spread over those that do, as the game spreads it.
    """
    if isinstance(policy, CarryingPolicy) and policy.carried() is not None:
        return None
    probs = policy.probs(tree.obs)
    if probs is None:
        chosen = [int(policy.act(tree.obs[i : i + 1], np.ones(1, np.bool_))[0]) for i in range(len(tree.obs))]
        probs = np.eye(tree.legal.shape[1])[chosen][None]
    legal_probs = np.where(tree.legal, probs, 0.0)
    free = tree.legal / tree.legal.sum(axis=1, keepdims=True)
    lost = np.where(tree.legal, 0.0, probs).sum(axis=-1, keepdims=True)
    return legal_probs + lost * free


def _joined(parts: Sequence[MatchScores]) -> MatchScores:
    """Join the results of seeds that were played one after the other."""
    columns = zip(*parts, strict=True)
    return MatchScores._make(None if column[0] is None else np.concatenate(column, axis=-1) for column in columns)


def facts_of(game: Any, played: MatchScores) -> dict[str, Any]:
    """Return the ``facts`` of a match's result; see the module's docstring."""
    per = "round" if game.simultaneous else "game"
    zero_sum = game.zero_sum
    (floor, ceiling), (second_floor, second_ceiling) = game.bounds
    return {
        "zero_sum": zero_sum,
        "per": per,
        "floor": floor,
        "ceiling": ceiling,
        "second_floor": second_floor,
        "second_ceiling": second_ceiling,
        "floor_is": f"lowest payoff of a {per}",
        "ceiling_is": f"highest payoff of a {per}",
        "threshold": None,
        "rounds": played.rounds.tolist(),
        "wins": played.wins.tolist() if zero_sum else None,
        "expected": None if played.expected is None else played.expected.tolist(),
        "exploitability": None if played.exploitable is None else played.exploitable.tolist(),
        "replaced": played.replaced.tolist(),
    }


def _failures(config: MatchConfig, seeds: Sequence[int], failed_at: Array) -> list[dict[str, Any]]:
    return [
        {"seed": seed, "step": int(failed_at[side, i]), "reason": f"{entry.label}: {NOT_FINITE}"}
        for i, seed in enumerate(seeds)
        for side, entry in enumerate(_entries(config))
        if failed_at[side, i]
    ]
