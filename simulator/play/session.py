"""Engine of play: one episode after the other, in an environment or in a game against an opponent.

A session knows no keyboard and no screen. Every episode has a seed of its own, and is the first one of an environment,
or a game, of that seed: the n-th episode is another one than the first, and each of them can be played again.

An illegal action is refused, and the turn stays. In a game of turns the person begins the episodes of even seeds.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Generator
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Any, NamedTuple, Protocol

import numpy as np

from simulator.config import match as match_config
from simulator.config.codec import plain, table_of
from simulator.config.play import PlayConfig
from simulator.core import registry
from simulator.core.games.game import DrawnGame
from simulator.core.protocols import Array, Env, EnvSpec
from simulator.core.scene import Scene, ShowsEnds
from simulator.core.snapshots import MatchSnapshot
from simulator.external.action_check import brief, expected_action, valid_action
from simulator.matches import match
from simulator.matches.rounds import RoundObs, Side, TurnAgent, make_side, reset_rounds
from simulator.training import learned
from simulator.training.session import Session


@dataclass(frozen=True)
class PlayedEpisode:
    """One complete episode of a person.

    Attributes:
        seed: of the environment or the game, whose first episode it is.
        obs: [T, *obs] what was seen before each action.
        actions: [T, *action] what was done.
        total: the return; in a game the person's payoffs.
        terminated: a true end.
        truncated: an end by time.
        second: the opponent's payoffs; None in an environment.
    """

    seed: int
    obs: Array
    actions: Array
    total: float
    terminated: bool
    truncated: bool
    second: float | None = None


class ActionOutcome(NamedTuple):
    """Consequences of an action."""

    refused: str = ""  # why it was not taken, in one line: the turn stays; empty: it was
    reward: float = 0.0
    said: str = ""  # what else happened: the other side's answer


class PlaySession(Protocol):
    """An episode in progress, and the one after it."""

    spec: EnvSpec
    seed: int
    total: float  # return so far
    second: float | None  # the opponent's payoffs so far; None in an environment
    steps: int  # actions so far
    last_reward: float | None  # None before the first action
    ended: str  # "terminated", "truncated", or empty while the episode goes on

    def begin(self, seed: int) -> str:
        """Begin an episode, whatever came before; what the other side did first, in one line."""

    def act(self, action: Any) -> ActionOutcome:
        """Take an action.

        Raises:
            ValueError: the environment or the opponent failed; one line.
        """

    def legal(self) -> Array:
        """Return the actions that are known to be legal, bool [A]; of size 0 where actions are numbers."""

    def scene(self) -> Scene:
        """Make a scene of the moment, or of the end where the episode is over."""

    def observation(self) -> Array:
        """Return what the person sees, [*obs]."""

    def episode(self) -> PlayedEpisode:
        """Return the episode that has ended."""


class EpisodeLog:
    """Record of the current episode."""

    def __init__(self) -> None:
        self.obs: list[Array] = []
        self.actions: list[Any] = []
        self.rewards: list[float] = []

    def add(self, obs: Array, action: Any, reward: float) -> None:
        """Add one step."""
        self.obs.append(np.array(obs))
        self.actions.append(action)
        self.rewards.append(reward)

    def episode(self, session: PlaySession) -> PlayedEpisode:
        """Return the whole episode of a session that has ended."""
        obs = np.array(self.obs, session.spec.observation.dtype)
        actions = np.array(self.actions, session.spec.action.dtype)
        terminated = session.ended == "terminated"
        return PlayedEpisode(session.seed, obs, actions, session.total, terminated, not terminated, session.second)


class EnvSession:
    """A person in an environment; see :class:`PlaySession`.

    Args:
        name: the environment's name.
        settings: its ``Config``.
        seed: of the first episode, which begins at once.

    Raises:
        ValueError: the environment cannot be made.
    """

    second: float | None = None

    def __init__(self, name: str, settings: Any, seed: int) -> None:
        self._make = registry.load("envs", name).make
        self._settings = settings
        self._env: Env | None = None
        self.begin(seed)

    def close(self) -> None:
        """Close the environment, which is not needed any more."""
        close = getattr(self._env, "close", None)
        if callable(close):
            with suppress(Exception):  # foreign code
                close()

    def begin(self, seed: int) -> str:
        """Begin an episode: the first of an environment of that seed."""
        self.close()
        env: Env = self._make([seed], self._settings)
        self._env = env
        self.spec = env.spec
        self.seed = seed
        self._obs = np.array(env.reset()[0])
        self._played = EpisodeLog()
        self._end_scene: Scene | None = None
        self.total = 0.0
        self.steps = 0
        self.last_reward: float | None = None
        self.ended = ""
        return ""

    def act(self, action: Any) -> ActionOutcome:
        """Take an action; see :class:`PlaySession`."""
        assert self._env is not None
        if self.ended:
            return ActionOutcome("the episode is over")
        taken = valid_action(action, self.spec)
        if taken is None:
            return ActionOutcome(f"{brief(action)}: expected {expected_action(self.spec)}")
        legal = self.legal()
        if legal.size and not legal[taken]:
            names = self._env.scene(0).actions
            return ActionOutcome(f"{names[taken] if taken < len(names) else taken} is not possible here")
        before = None if isinstance(self._env, ShowsEnds) else self._env.scene(0)
        step = self._env.step(np.array([taken]))
        reward = float(step.reward[0])
        if not math.isfinite(reward):
            raise ValueError(f"{self.spec.id}: seed {self.seed} got the reward {reward}, expected finite rewards")
        self._played.add(self._obs, taken, reward)
        self.total += reward
        self.steps += 1
        self.last_reward = reward
        if step.terminated[0] or step.truncated[0]:
            self.ended = "terminated" if step.terminated[0] else "truncated"
            self._obs = np.array(step.final_obs[0])
            if isinstance(self._env, ShowsEnds):
                self._end_scene = self._env.last_scene(0)
            elif before is not None:
                self._end_scene = _moved(before, self.spec, self._obs)
        else:
            self._obs = np.array(step.obs[0])
        return ActionOutcome(reward=reward)

    def legal(self) -> Array:
        """Return the legal actions; all, where the environment names none."""
        space: Any = self.spec.action
        if not hasattr(space, "n"):
            return np.zeros(0, np.bool_)
        if self.spec.legal_actions is None:
            return np.ones(int(space.n), np.bool_)
        legal: Array = self.spec.legal_actions[int(self._obs)]
        return legal

    def scene(self) -> Scene:
        """Make a scene of the moment."""
        assert self._env is not None
        return self._end_scene or self._env.scene(0)

    def observation(self) -> Array:
        """Return what is seen."""
        return self._obs

    def episode(self) -> PlayedEpisode:
        """Return the episode that has ended."""
        return self._played.episode(self)


def _moved(scene: Scene, spec: EnvSpec, obs: Array) -> Scene:
    """Return the scene before a last step with its walker moved to where that led, if the observation says so."""
    if scene.places is None or spec.state_obs is None:
        return scene
    same = np.all((spec.state_obs == obs).reshape(len(spec.state_obs), -1), axis=1)
    states = np.flatnonzero(same & (scene.places[:, 0] >= 0))
    if len(states) != 1:
        return scene
    row, column = map(int, scene.places[states[0]])
    if scene.rooms is not None:
        return replace(scene, walker=row)
    marks = [mark._replace(row=row, column=column) if mark.kind == "walker" else mark for mark in scene.marks]
    return replace(scene, marks=tuple(marks))


def _begin_game(session: RoundSession | TurnSession, seed: int) -> None:
    """Set what is known of an episode of a game to nothing."""
    session.seed = seed
    session.played = EpisodeLog()
    session.end_obs = None
    session.total = 0.0
    session.second = 0.0
    session.steps = 0
    session.last_reward = None
    session.ended = ""


class RoundSession:
    """A person against an opponent who moves at the same time; the person is the first side. See ``PlaySession``.

    Args:
        config: the game.
        opponent: the second side.
    """

    seed: int
    played: EpisodeLog
    end_obs: Array | None  # after the end
    total: float
    second: float | None
    steps: int
    last_reward: float | None
    ended: str

    def __init__(self, config: PlayConfig, opponent: Side) -> None:
        self._make = registry.load("games", config.game).make
        self._settings = config.game_settings
        self._opponent = opponent
        self.begin(config.first_seed)

    def begin(self, seed: int) -> str:
        """Begin an episode."""
        self._game = self._make([seed], self._settings)
        self._seen: RoundObs = reset_rounds(self._game)
        self.spec: EnvSpec = self._game.specs[0]
        _begin_game(self, seed)
        return ""

    def act(self, action: Any) -> ActionOutcome:
        """Play a round; see :class:`PlaySession`."""
        if self.ended:
            return ActionOutcome("the episode is over")
        taken = valid_action(action, self.spec)
        if taken is None:
            return ActionOutcome(f"{brief(action)}: expected {expected_action(self.spec)}")
        first, second, began = self._seen
        answer = self._opponent.act(second, began)
        own, theirs = self._game.step(np.array([taken]), answer)
        if self._opponent.learn is not None:
            self._opponent.learn(second, answer, theirs)
        reward = float(own.reward[0])
        self.played.add(first[0], taken, reward)
        self.total += reward
        self.second = (self.second or 0.0) + float(theirs.reward[0])
        self.steps += 1
        self.last_reward = reward
        if own.terminated[0] or own.truncated[0]:
            self.ended = "terminated" if own.terminated[0] else "truncated"
            self.end_obs = np.array(own.final_obs[0])
        self._seen = RoundObs(own.obs, theirs.obs, own.terminated | own.truncated)
        return ActionOutcome(reward=reward, said=f"the other side played {_named(self.scene(), int(answer[0]))}")

    def legal(self) -> Array:
        """Return all actions: both sides move at once, and have the same ones every time."""
        return np.ones(int(self.spec.action.n), np.bool_)  # type: ignore[attr-defined]

    def scene(self) -> Scene:
        """Make a scene of the moment."""
        return _drawn(self._game, 0)

    def observation(self) -> Array:
        """Return what is seen."""
        return np.array(self._seen.first[0]) if self.end_obs is None else self.end_obs

    def episode(self) -> PlayedEpisode:
        """Return the episode that has ended."""
        return self.played.episode(self)


class TurnSession:
    """A person against an opponent, who move in turn; see :class:`PlaySession`.

    Args:
        config: the game.
        opponent: the other side.
    """

    seed: int
    played: EpisodeLog
    end_obs: Array | None  # after the end
    total: float
    second: float | None
    steps: int
    last_reward: float | None
    ended: str

    def __init__(self, config: PlayConfig, opponent: Side) -> None:
        self._make = registry.load("games", config.game).make
        self._settings = config.game_settings
        self._opponent = opponent
        self.opening = self.begin(config.first_seed)

    def begin(self, seed: int) -> str:
        """Begin a game; where the seed is odd the opponent moves first."""
        self._game = self._make([seed], self._settings)
        self._turn = self._game.reset()
        self.side = seed % 2
        self.spec: EnvSpec = self._game.specs[self.side]
        self._other = TurnAgent(self._opponent)
        _begin_game(self, seed)
        return self._answer()

    def act(self, action: Any) -> ActionOutcome:
        """Move, and let the opponent answer; see :class:`PlaySession`."""
        if self.ended:
            return ActionOutcome("the game is over")
        taken = valid_action(action, self.spec)
        if taken is None:
            return ActionOutcome(f"{brief(action)}: expected {expected_action(self.spec)}")
        seen = np.array(self._turn.obs[0])
        before = self._game.state()
        turn = self._game.step(np.array([taken]))
        if turn.replaced[0]:
            self._turn = self._game.restore(before)
            return ActionOutcome(f"{_named(self.scene(), taken)} is not possible here")
        self._turn = turn
        total = self.total
        self._pay()
        self.steps += 1
        said = "" if self.ended else self._answer()
        self.last_reward = self.total - total
        self.played.add(seen, taken, self.last_reward)
        return ActionOutcome(reward=self.last_reward, said=said)

    def _answer(self) -> str:
        """Let the opponent move while it is its turn; what it did, in one line."""
        moves: list[str] = []
        while not self.ended and int(self._turn.mover[0]) != self.side:
            move = self._other.move(self._turn.obs)
            self._turn = self._game.step(move)
            replaced = " (not possible: a random move instead)" if self._turn.replaced[0] else ""
            moves.append(f"{_named(self.scene(), int(move[0]))}{replaced}")
            self._pay()
        return f"the other side played {', '.join(moves)}" if moves else ""

    def _pay(self) -> None:
        """Add the payoffs of the latest move, and end the game where it is over."""
        reward = self._turn.reward[0]
        self.total += float(reward[self.side])
        self.second = (self.second or 0.0) + float(reward[1 - self.side])
        if paid := float(reward[1 - self.side]):
            self._other.paid(paid)
        if self._turn.terminated[0]:
            self.ended = "terminated"
            self.end_obs = np.array(self._turn.final_obs[self.side][0])
            self._other.over(self._turn.final_obs[1 - self.side])
            self._other.learn()

    def legal(self) -> Array:
        """Return the legal moves, where the game says them for every position; else all of them."""
        n = int(self.spec.action.n)  # type: ignore[attr-defined]
        scene = self.scene()
        if self.spec.legal_actions is not None:
            legal: Array = self.spec.legal_actions[int(self.observation())]
            return legal
        if scene.clicks is None:
            return np.ones(n, np.bool_)
        free = np.ones(scene.clicks.shape, np.bool_)
        for mark in scene.marks:
            free[mark.row, mark.column] = False
        return np.array([bool(free[scene.clicks == action].any()) for action in range(n)])

    def scene(self) -> Scene:
        """Make a scene of the moment."""
        return _drawn(self._game, self.side)

    def observation(self) -> Array:
        """Return what is seen."""
        return np.array(self._turn.obs[0]) if self.end_obs is None else self.end_obs

    def episode(self) -> PlayedEpisode:
        """Return the game that has ended."""
        return self.played.episode(self)


def _drawn(game: Any, side: int) -> Scene:
    return game.game_scene(0, side) if isinstance(game, DrawnGame) else Scene(game.specs[side].id)


def _named(scene: Scene, action: int) -> str:
    return scene.actions[action] if action < len(scene.actions) else str(action)


def session_of(config: PlayConfig) -> Generator[MatchSnapshot, None, PlaySession]:
    """Make the session of a sitting, its opponent trained.

    Yields:
        Snapshots of the opponent's training, about ten a second.

    Raises:
        ValueError: the environment cannot be made, or the opponent cannot play the game; one line.
    """
    if config.env:
        return EnvSession(config.env, config.env_settings, config.first_seed)
    game = registry.load("games", config.game).make([config.first_seed], config.game_settings)
    opponent = _of_run(config, game) if config.run else (yield from _named_opponent(config))
    return RoundSession(config, opponent) if game.simultaneous else TurnSession(config, opponent)


def _named_opponent(config: PlayConfig) -> Generator[MatchSnapshot, None, Side]:
    """Make an opponent of its name, trained as before a match."""
    assert config.opponent is not None
    entry = {**plain(table_of(config.opponent.name, config.opponent.settings)), "label": config.opponent.label}
    game = plain(table_of(config.game, config.game_settings))
    both = {"first": entry, "second": entry, "game": game}
    own = {"seeds": 1, "train_steps": config.train_steps, "learn": config.learn, "episodes": 2}
    settings = match_config.build({**own, **both})
    match.checked(settings)
    agent = yield from match.trained(settings, 1, [config.first_seed])
    return make_side(agent, learns=config.learn)


def _of_run(config: PlayConfig, game: Any) -> Side:
    """Make the learned policy of a stored run the opponent."""
    found = learned.read(config.run)
    learned.check_spaces(found, game.specs[1])
    session = Session(replace(found.config, threads=1, device="cpu"))
    session.agent.restore(found.agent)
    n = found.config.seeds
    return Side(learned.SeedPolicy(session.agent.policy(), config.first_seed % n, n).act, None)


def drained(making: Generator[Any, None, PlaySession]) -> PlaySession:
    """Return what a generator returns, without its snapshots."""
    while True:
        try:
            next(making)
        except StopIteration as stop:
            session: PlaySession = stop.value
            return session


def next_seed(played: Collection[int], first: int = 0) -> int:
    """Return the first seed from ``first`` on that has not been played."""
    taken = set(played)
    while first in taken:
        first += 1
    return first
