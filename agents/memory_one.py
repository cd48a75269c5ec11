"""Memory-one strategies of iterated games: tit for tat, win-stay lose-shift, and all others.

Five probabilities of cooperating: at the start, and after each outcome with one's own action first. The presets name
the well-known ones; any agent's name may be followed by settings of its own. They learn nothing. Axelrod 1984 (tit for
tat); Nowak and Sigmund 1992 (generous), 1993 (win-stay lose-shift); Press and Dyson 2012, Stewart and Plotkin 2012
(zero-determinant). Where nothing is left to chance no random number is drawn.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import astuple, dataclass

import numpy as np

from simulator.core import rng
from simulator.core.field_types import Share
from simulator.core.games.game import COOPERATE, DEFECT, is_iterated
from simulator.core.jit import jit
from simulator.core.protocols import Array, EnvSpec, Metrics, State, Step
from simulator.core.rng_compiled import uniform

TRAINABLE = False


@dataclass(frozen=True)
class Config:
    """Probabilities of cooperating in the first round and after each outcome."""

    opening: Share = 1.0
    """probability of cooperating in the first round"""
    cc: Share = 1.0
    """the same after both cooperated"""
    cd: Share = 0.0
    """the same after one cooperated and the other defected"""
    dc: Share = 1.0
    """the same after one defected and the other cooperated"""
    dd: Share = 0.0
    """the same after both defected"""


def _preset(about: str, opening: float, cc: float, cd: float, dc: float, dd: float) -> dict[str, object]:
    return {"description": about, "agent": {"opening": opening, "cc": cc, "cd": cd, "dc": dc, "dd": dd}}


PRESETS = {
    "tit-for-tat": _preset("cooperates, then does what the other did", 1.0, 1.0, 0.0, 1.0, 0.0),
    "suspicious-tit-for-tat": _preset("defects, then does what the other did", 0.0, 1.0, 0.0, 1.0, 0.0),
    "generous-tit-for-tat": _preset("tit for tat that forgives one time in three", 1.0, 1.0, 1 / 3, 1.0, 1 / 3),
    "win-stay-lose-shift": _preset("repeats what paid well and changes what did not", 1.0, 1.0, 0.0, 0.0, 1.0),
    "always-cooperate": _preset("cooperates whatever happens", 1.0, 1.0, 1.0, 1.0, 1.0),
    "always-defect": _preset("defects whatever happens", 0.0, 0.0, 0.0, 0.0, 0.0),
    "random": _preset("cooperates half of the time", 0.5, 0.5, 0.5, 0.5, 0.5),
    "joss": _preset("tit for tat that defects one time in ten instead", 0.9, 0.9, 0.0, 0.9, 0.0),
    "grim-trigger": _preset("cooperates until either side defects", 1.0, 1.0, 0.0, 0.0, 0.0),
    "extort-2": _preset("takes twice the other's gain above mutual defection", 0.0, 8 / 9, 1 / 2, 1 / 3, 0.0),
    "zd-generous-2": _preset("bears twice the other's loss below mutual cooperation", 1.0, 1.0, 1 / 8, 1.0, 1 / 4),
}


class MemoryOne:
    """S agents of one strategy; an agent and its own policy."""

    def __init__(self, cooperation: Array, seed_list: list[int], purpose: str = "exploration") -> None:
        self._cooperation = cooperation  # [5]
        self._seeds = seed_list
        self._stream = rng.pcg64_states(seed_list, purpose)

    def act(self, obs: Array, first: Array | None = None) -> Array:
        """Sample actions at obs [S], int64 [S]."""
        actions = np.empty(len(self._seeds), np.int64)
        _act_all(self._stream, self._cooperation, obs, actions)
        return actions

    def learn(self, obs: Array, actions: Array, step: Step) -> Metrics:
        """Learn nothing."""
        return {}

    def policy(self) -> MemoryOne:
        """Return the same strategy on streams of its own."""
        return MemoryOne(self._cooperation, self._seeds, "ties")

    def probs(self, obs: Array) -> Array:
        """Return the probabilities of cooperating and of defecting, [S, B, 2]."""
        p = self._cooperation[np.asarray(obs, np.int64)]
        return np.repeat(np.stack([p, 1.0 - p], axis=-1)[None], len(self._seeds), axis=0)

    def values(self, obs: Array) -> None:
        """Return None: there are no values."""

    def state(self) -> State:
        """Return the streams."""
        return {"stream": self._stream.copy()}

    def restore(self, state: State) -> None:
        """Continue from ``state``."""
        self._stream[...] = state["stream"]


def make(spec: EnvSpec, seed_list: Sequence[int], config: Config) -> MemoryOne:
    """Make players of an iterated game of two actions.

    Raises:
        ValueError: any other environment.
    """
    if not is_iterated(spec):
        spaces_text = f"observation {spec.observation}, action {spec.action}"
        raise ValueError(f"memory_one on {spec.id}: {spaces_text}, expected a side of an iterated game of two actions")
    return MemoryOne(np.array(astuple(config), np.float64), list(seed_list))


@jit
def _act_all(stream, cooperation, obs, actions):
    for i in range(len(actions)):
        p = cooperation[obs[i]]
        cooperates = uniform(stream, i) < p if 0.0 < p < 1.0 else p == 1.0
        actions[i] = COOPERATE if cooperates else DEFECT


if __name__ == "__main__":
    print("probability of cooperating at      start    CC    CD    DC    DD")
    for name, entry in PRESETS.items():
        print(f"{name:32s}" + "".join(f"{p:6.2f}" for p in astuple(Config(**entry["agent"]))))  # type: ignore[arg-type]
