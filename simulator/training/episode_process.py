"""Episodes of a stored run, played in a process of their own.

Whoever watches is never held up: by an environment that hangs, by compiling, or by loading a checkpoint. A foreign
environment that closes its window closes it there.
"""

from __future__ import annotations

import dataclasses
import multiprocessing
import os
import sys
from contextlib import suppress
from multiprocessing.connection import Connection
from typing import NamedTuple

import numpy as np

from simulator.core.protocols import AgentView
from simulator.core.scene import Panel, Scene
from simulator.core.snapshots import SeedView
from simulator.core.stopping import ctrl_c_held_back, ignore_ctrl_c
from simulator.store.lab import existing
from simulator.store.run_store import Store
from simulator.training import episode_player, inside
from simulator.training.episode_player import EpisodePlayer, Moment


class Begin(NamedTuple):
    """Asks to play from the first episode on, with the newest checkpoint, and to watch a seed; None: the same one."""

    seed: int | None


class Advance(NamedTuple):
    """Asks for moments until ``n`` steps were made or an episode has ended."""

    n: int
    wall: bool  # with the scenes of all seeds
    cut: bool = False  # what the policy carries is set to zero first


class PlayedMoments(NamedTuple):
    """Moments that were played, and the scenes of all seeds at the last one, where they were asked for."""

    moments: tuple[Moment, ...]
    wall: tuple[SeedView, ...]
    is_over: bool  # nothing can be played any more: an episode was cut
    inside: tuple[Panel, ...] | None  # of the agent whose policy is played, where it began
    has_memory: bool  # the policy carries a state that can be cut
    learned: AgentView | None = None  # its values and policy, likewise; moments are sent without them


class PlayerProcessFault(NamedTuple):
    """An error, in one line, after which the process has ended."""

    line: str


class EpisodeProcess:
    """A process that plays episodes of a stored run.

    Args:
        lab: folder of the lab.
        run: id of the run.
        seed: the seed that is watched; None: the first one that has not failed.
    """

    def __init__(self, lab: str, run: str, seed: int | None = None) -> None:
        context = multiprocessing.get_context("spawn")
        self._pipe, theirs = context.Pipe()
        self._process = context.Process(target=_serve, args=(theirs, lab, run, seed), daemon=True)
        with ctrl_c_held_back():
            self._process.start()
        theirs.close()
        self._waiting = False
        self._learned = AgentView(Scene(""), None, None)
        self._scene = Scene("")

    @property
    def is_busy(self) -> bool:
        """True while an answer is awaited."""
        return self._waiting

    def ask(self, request: Begin | Advance) -> None:
        """Send a request; ``answer`` gives what comes of it."""
        try:
            self._pipe.send(request)
            self._waiting = True
        except OSError:  # the process has ended: the next answer says so
            self._waiting = True

    def answer(self) -> PlayedMoments | PlayerProcessFault | None:
        """Return the answer to the latest request, None while there is none; never waits."""
        if not self._waiting:
            return None
        try:
            if not self._pipe.poll():
                if self._process.is_alive():
                    return None
                raise EOFError
            answer: PlayedMoments | PlayerProcessFault = self._pipe.recv()
            if isinstance(answer, PlayedMoments):
                answer = self._whole(answer)
        except (EOFError, OSError):
            answer = PlayerProcessFault(f"the process that played the episodes has ended ({self._process.exitcode})")
        self._waiting = False
        return answer

    def _whole(self, played: PlayedMoments) -> PlayedMoments:
        """Give the moments what all of them share, once for all: values, policy, walls and places."""
        self._learned = played.learned or self._learned
        moments = []
        for moment in played.moments:
            self._scene = _sharing(moment.view.scene, self._scene)
            moments.append(moment._replace(view=self._learned._replace(scene=self._scene)))
        return played._replace(moments=tuple(moments), learned=None)

    def close(self) -> None:
        """End the process and let go of its pipes; any number of times."""
        with suppress(OSError):
            self._pipe.close()
        with suppress(ValueError):  # it was let go of before
            self._process.kill()
            self._process.join()
            self._process.close()


def _serve(pipe: Connection, lab: str, run: str, seed: int | None) -> None:
    """Answer requests until the other end is closed."""
    _leave_streams()
    ignore_ctrl_c()  # it is for the process that started this one
    try:
        with Store(existing(lab)) as store, suppress(EOFError, OSError):
            player = episode_player.of_run(store, run, seed)
            begun = False
            while True:
                request = pipe.recv()
                if isinstance(request, Begin):
                    if begun:  # what was loaded at the start is new enough for the first one
                        player = episode_player.of_run(
                            store, run, player.seed if request.seed is None else request.seed
                        )
                    begun = True
                    panels = inside.panels_of(player.session, player.index)
                    begun_with = _advance(player, Advance(1, wall=False))
                    pipe.send(begun_with._replace(inside=panels, learned=player.learned))
                else:
                    pipe.send(_advance(player, request))
    except Exception as error:  # of a player's own code too: the watcher says it
        with suppress(OSError):
            pipe.send(PlayerProcessFault(" ".join(str(error).split()) or type(error).__name__))
    sys.exit(0)


def _sharing(scene: Scene, before: Scene) -> Scene:
    """Return a scene with the arrays of the one before where they are equal, so that each is kept once."""
    same = {
        name: kept
        for name in ("walls", "rooms", "doors", "places", "clicks")
        if (kept := getattr(before, name)) is not None and np.array_equal(kept, getattr(scene, name))
    }
    return dataclasses.replace(scene, **same)


def _leave_streams() -> None:
    """Hold no stream of whoever watches: one that waits for their end would wait for this process too.

    An environment that hangs may outlive a watcher that was killed. What went wrong is sent as a
    :class:`PlayerProcessFault`.
    """
    nowhere = os.open(os.devnull, os.O_RDWR)
    for stream in range(3):
        os.dup2(nowhere, stream)
    os.close(nowhere)


def _advance(player: EpisodePlayer, request: Advance) -> PlayedMoments:
    if request.cut:
        player.cut_memory()
    moments: list[Moment] = []
    for _ in range(request.n):
        moment = player.step()
        if moment is None:
            break
        moments.append(moment._replace(view=AgentView(moment.view.scene, None, None)))
        if moment.ended:
            break
    wall = player.wall() if request.wall else ()
    return PlayedMoments(tuple(moments), wall, not moments, None, player.has_memory)
