"""Many steps of deep Q-learning in one compiled call: a seed acts, moves, stores and trains, then the next one does.

With the bits of the same steps taken one at a time. What a seed works on stays in the cache, nothing but the first
call is Python, and threads meet only at the end.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from agents.parts.dense import follow
from agents.parts.dqn_act import act_lane
from agents.parts.dqn_pace import Schedule, copies_at, pace_at, trains_at
from agents.parts.dqn_update import push_lane, train_one
from agents.parts.tabular import trace_buffers
from simulator.core.compiled import compiled, lane, spread
from simulator.core.lanes import VectorLanes
from simulator.core.protocols import Trace

if TYPE_CHECKING:
    from agents.parts.dqn_learner import DenseLearner

_trains_at, _copies_at, _pace_at = lane(trains_at), lane(copies_at), lane(pace_at)


def play_stretch(learner: DenseLearner, lanes: VectorLanes, n: int, schedule: Schedule, clock: int) -> Trace:
    """Play and train for ``n`` steps after the first ``clock`` ones.

    Raises:
        ValueError: a reward or an observation that is no number.
    """
    parts = learner.parts
    reward, ended = learner.trace = trace_buffers(learner.trace, len(parts.loss), n)
    told = (reward, ended, np.zeros(len(reward), np.int64))
    spread(lambda first, last: _stretch_block((first, last), parts, schedule, lanes, clock, told), len(reward))
    for i in np.flatnonzero(told[2])[:1]:
        learner.refuse(int(i), lanes.step, clock + int(told[2][i]))
    return Trace(reward, ended, learner.metrics)


@lane
def _see(scale, obs, stored):
    """What is stored of one observation [F] of a vector; see :class:`agents.parts.observations.Inputs`."""
    for f in range(len(stored)):
        stored[f] = (obs[f] - scale[0, f]) * scale[1, f]


@compiled
def _stretch_block(block, parts, schedule, lanes, clock, told):
    """Play the seeds from ``block[0]`` to before ``block[1]``, in the room of the first of them.

    ``told`` is filled: reward and ended [S, T], and wrong [S], the first step, counted from 1, in which a reward or an
    observation was no number.
    """
    (reward, ended, wrong), step = told, lanes.step
    for i in range(block[0], block[1]):
        seen, led_to = parts.views[i, 0], parts.views[i, 1]
        for t in range(reward.shape[1]):
            _see(parts.scale, step.obs[i], seen)
            action = act_lane(parts.brain.online, parts.rule, parts.hand, i, seen, clock + t)
            ended[i, t] = lanes.move(lanes.copies, i, action, step)
            reward[i, t] = step.reward[i]
            _see(parts.scale, step.final_obs[i], led_to)
            result = (step.reward[i], step.terminated[i], step.truncated[i], led_to)
            if not push_lane(parts.replay, parts.priorities, i, seen, action, result):
                wrong[i] = t + 1
                break
            _train(parts, i, block[0], schedule, clock + t + 1)


@lane
def _train(parts, i, w, schedule, clock):
    """What seed i does after environment step ``clock``, counted from 1."""
    if _trains_at(schedule, clock):
        train_one(parts, i, w, _pace_at(schedule, clock))
    if _copies_at(schedule, clock):
        follow(parts.brain.target, parts.brain.online, i, 1.0)
