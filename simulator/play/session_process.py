"""A session in a process of its own, for environments that draw themselves.

Gymnasium's environments shut the display when they are closed, and may hang: both stay in their process. Whoever waits
for an answer is asked again and again whether to go on waiting.
"""

from __future__ import annotations

import multiprocessing
import sys
from collections.abc import Callable
from contextlib import suppress
from multiprocessing.connection import Connection
from typing import Any, NamedTuple

from simulator.core.protocols import Array, EnvSpec
from simulator.core.scene import Scene
from simulator.core.stopping import ctrl_c_held_back, ignore_ctrl_c
from simulator.play.session import ActionOutcome, EnvSession, PlayedEpisode

ASK_SECONDS = 0.05  # between two questions whether to go on waiting
SECONDS_TO_BEGIN = 120.0  # for imports and compiling
SECONDS_TO_ANSWER = 30.0


class SessionMoment(NamedTuple):
    """A session as it is after a request."""

    spec: EnvSpec
    seed: int
    total: float
    steps: int
    last_reward: float | None
    ended: str
    scene: Scene
    legal: Array
    obs: Array
    episode: PlayedEpisode | None  # where it has ended


class SessionAnswer(NamedTuple):
    """SessionAnswer to a request: what it led to, or an error in one line."""

    outcome: ActionOutcome | None
    moment: SessionMoment | None
    error: str = ""


class SessionProcess:
    """A session that another process holds; see :class:`simulator.play.session.PlaySession`.

    Args:
        name: the environment's name.
        settings: its ``Config``.
        seed: of the first episode.
        waiting: called while an answer is awaited; whatever it raises ends the waiting.

    Raises:
        ValueError: the environment cannot be made.
    """

    second: float | None = None

    def __init__(self, name: str, settings: Any, seed: int, waiting: Callable[[], None] = lambda: None) -> None:
        context = multiprocessing.get_context("spawn")
        self._pipe, theirs = context.Pipe()
        self._process = context.Process(target=_serve, args=(theirs, name, settings, seed), daemon=True)
        with ctrl_c_held_back():
            self._process.start()
        theirs.close()
        self.waiting = waiting
        try:
            self._receive(SECONDS_TO_BEGIN)
        except BaseException:
            self.close()
            raise

    def begin(self, seed: int) -> str:
        """Begin an episode."""
        self._ask(("begin", seed))
        return ""

    def act(self, action: Any) -> ActionOutcome:
        """Take an action."""
        outcome = self._ask(("act", action))
        assert outcome is not None
        return outcome

    def legal(self) -> Array:
        """Return the legal actions."""
        return self._moment.legal

    def scene(self) -> Scene:
        """Return the scene of the moment."""
        return self._moment.scene

    def observation(self) -> Array:
        """Return what is seen."""
        return self._moment.obs

    def episode(self) -> PlayedEpisode:
        """Return the episode that has ended."""
        assert self._moment.episode is not None
        return self._moment.episode

    def close(self) -> None:
        """End the process; any number of times."""
        with suppress(OSError):
            self._pipe.close()
        self._process.kill()
        self._process.join()

    def _ask(self, request: tuple[str, Any]) -> ActionOutcome | None:
        with suppress(OSError):  # it has ended: the answer says so
            self._pipe.send(request)
        return self._receive(SECONDS_TO_ANSWER)

    def _receive(self, seconds: float) -> ActionOutcome | None:
        """Wait for the answer.

        Raises:
            ValueError: the environment failed, has ended, or does not answer; one line.
        """
        try:
            for _ in range(round(seconds / ASK_SECONDS)):
                if self._pipe.poll(ASK_SECONDS):
                    break
                self.waiting()
            else:
                raise ValueError(f"the environment did not answer within {seconds:.0f} s")
            answer: SessionAnswer = self._pipe.recv()
        except (EOFError, OSError):
            self._process.join(1.0)
            raise ValueError(f"the process of the environment has ended ({self._process.exitcode})") from None
        if answer.moment is None:
            raise ValueError(answer.error)
        self._moment = answer.moment
        self.spec = answer.moment.spec
        self.seed = answer.moment.seed
        self.total = answer.moment.total
        self.steps = answer.moment.steps
        self.last_reward = answer.moment.last_reward
        self.ended = answer.moment.ended
        return answer.outcome


def _serve(pipe: Connection, name: str, settings: Any, seed: int) -> None:
    """SessionAnswer requests until the other end is closed."""
    ignore_ctrl_c()  # it is for the process that started this one
    try:
        session = EnvSession(name, settings, seed)
        pipe.send(SessionAnswer(None, _moment_of(session)))
        while True:
            request, value = pipe.recv()
            outcome = session.act(value) if request == "act" else None
            if request == "begin":
                session.begin(value)
            pipe.send(SessionAnswer(outcome, _moment_of(session)))
    except (EOFError, OSError):
        pass
    except Exception as error:  # of a player's own code too: the person is told
        with suppress(OSError):
            pipe.send(SessionAnswer(None, None, " ".join(str(error).split()) or type(error).__name__))
    sys.exit(0)


def _moment_of(session: EnvSession) -> SessionMoment:
    return SessionMoment(
        session.spec,
        session.seed,
        session.total,
        session.steps,
        session.last_reward,
        session.ended,
        session.scene(),
        session.legal(),
        session.observation(),
        session.episode() if session.ended else None,
    )
