"""Host of a sitting: a session, its record in the lab, and what the person is compared with.

A user interface asks it for actions and snapshots, and knows nothing of stores; see :class:`Host`.
"""

from __future__ import annotations

from typing import Any

from simulator.config.play import PlayConfig
from simulator.core.snapshots import PlaySnapshot, ScoreLevel
from simulator.play import log
from simulator.play.actions import action_keys, idle_action
from simulator.play.session import ActionOutcome, PlaySession, next_seed
from simulator.store.run_store import Store


class Host:
    """One sitting of a person, from its first episode to its last.

    Args:
        store: the lab.
        config: the settings of the sitting.
        session: its first episode, just begun.
        episodes: complete episodes after which it is over; 0: the person ends it.
        pace: steps per second in real time; None: it waits for every action.
        label: name of it for people.
    """

    def __init__(
        self,
        store: Store,
        config: PlayConfig,
        session: PlaySession,
        episodes: int = 0,
        pace: float | None = None,
        label: str = "",
    ) -> None:
        self.session = session
        self.config = config
        self.pace = pace
        self.wanted = episodes
        self.n_done = 0
        self._store = store
        self._said = str(getattr(session, "opening", ""))
        self._refused = False
        self._idle = idle_action(session.spec, session.scene())
        place = log.place_of(config)
        self._taken = log.seeds_in(store, config.name, place)
        self._returns = [one.total for one in log.episodes_in(store, config.name, place)]
        self._references = log.references_of(session.spec) if config.env else log.References(None, None, None)
        self._agents = log.agents_in(store, config)
        self._sitting = log.Sitting(store, config, self._references, label)
        self.id = self._sitting.run

    @property
    def over(self) -> bool:
        """True where all episodes that were wanted are done."""
        return bool(self.wanted) and self.n_done >= self.wanted

    def act(self, action: Any) -> ActionOutcome:
        """Take an action; an episode that ends by it is stored before this returns.

        Raises:
            ValueError: the environment or the opponent failed; one line.
            StoreFailure: the disk refused the episode.
        """
        outcome = self.session.act(action)
        self._said = outcome.refused or outcome.said
        self._refused = bool(outcome.refused)
        if self.session.ended and not outcome.refused:
            episode = self.session.episode()
            self._sitting.add(episode)
            self._returns.append(episode.total)
            self.n_done += 1
        return outcome

    def begin(self) -> None:
        """Begin the next episode, of the next seed; one that is not over is left, and noted as such."""
        self._leave()
        self._taken.add(self.session.seed)
        seed = next_seed(self._taken, self.config.first_seed)
        self._said = self.session.begin(seed)
        self._refused = False

    def idle(self) -> Any:
        """Return the action of doing nothing, which is taken in real time while no key is held; None: there is none."""
        return self._idle

    def close(self) -> bool:
        """End the sitting; return whether it has an episode, for one without any leaves no record."""
        self._leave()
        return self._sitting.close()

    def snapshot(self) -> PlaySnapshot:
        """Return what a person sees."""
        session = self.session
        scene = session.scene()
        return PlaySnapshot(
            id=self.id,
            env=self.config.place,
            name=f"human:{self.config.name}",
            opponent=self.config.against,
            scene=scene,
            seed=session.seed,
            episode=self.n_done,
            episodes=self.wanted,
            steps=session.steps,
            total=session.total,
            second=session.second,
            last_reward=session.last_reward,
            ended=session.ended,
            said=self._said,
            refused=self._refused,
            actions=action_keys(session.spec, scene, session.legal()),
            levels=self._levels(),
            pace=self.pace,
            over=self.over,
        )

    def _leave(self) -> None:
        if self.session.steps and not self.session.ended:
            self._sitting.abandon(self.session.seed)

    def _levels(self) -> tuple[ScoreLevel, ...]:
        """Return what a return is compared with, the highest first, and the person's own mean."""
        named = zip(("optimum", "random play", "solved from"), self._references, strict=True)
        levels = [ScoreLevel(name, value) for name, value in named if value is not None]
        levels += [ScoreLevel(f"{one.run} {one.agent}", one.score, one.low, one.high) for one in self._agents]
        if n := len(self._returns):
            own = log.score_of(self._returns)
            name = f"you, mean of {n}{' (few)' * own['few']}"
            levels.append(ScoreLevel(name, own["mean"], own["low"], own["high"]))
        return tuple(sorted(levels, key=lambda level: -level.value))
