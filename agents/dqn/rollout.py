"""Many steps of deep Q-learning in one compiled call: a seed acts, moves, stores and trains, then the next one does.

With the bits of the same steps taken one at a time. What a seed works on stays in the cache, nothing but the first
call is Python, and threads meet only at the end.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from agents.common.networks.dense import polyak_update
from agents.common.tabular import trace_buffers
from agents.dqn.policy import act_lane
from agents.dqn.schedule import Schedule, copies_at, pace_at, trains_at
from agents.dqn.update import Parts, push_lane, train_one
from simulator.core.jit import jit, jit_inline, parallel_for, specialize
from simulator.core.protocols import Rollout
from simulator.core.vector_batch import VectorBatch

if TYPE_CHECKING:
    from agents.dqn.learner import DenseLearner

LARGEST_PIECE = 3e9  # multiplications: about a tenth of a second
A_STEP, AN_UPDATE, A_DRAW = 1e4, 6e4, 2e3  # what else they cost, in multiplications

_trains_at, _copies_at, _pace_at = jit_inline(trains_at), jit_inline(copies_at), jit_inline(pace_at)


def play_stretch(learner: DenseLearner, env_batch: VectorBatch, n: int, schedule: Schedule, clock: int) -> Rollout:
    """Play and train for ``n`` steps after the first ``clock`` ones.

    Raises:
        ValueError: a reward or an observation that is no number.
    """
    parts = learner.parts
    reward, ended = learner.trace = trace_buffers(learner.trace, len(parts.loss), n)
    told = (reward, ended, np.zeros(len(reward), np.int64))
    if learner.enter is None:  # no type dispatch: of so many arrays it takes a third of a millisecond
        learner.enter = specialize(_stretch_block, (0, 1), parts, schedule, env_batch, clock, told)
    enter = learner.enter
    parallel_for(lambda first, last: enter((first, last), parts, schedule, env_batch, clock, told), len(reward))
    if told[2].any():
        i = int(np.argmin(np.where(told[2] > 0, told[2], n + 1)))  # the first to break down
        learner.refuse(i, env_batch.step, clock + int(told[2][i]))
    return Rollout(reward, ended, learner.metrics)


def piece_of(parts: Parts, schedule: Schedule) -> int:
    """Steps of all seeds that take about a tenth of a second, however large networks and batches are."""
    (n_seeds, n_params), drawn = parts.brain.online.params.shape, parts.batch.picked.shape[1]
    update = AN_UPDATE + drawn * (A_DRAW + 4 * n_params)
    return max(
        1,
        int(
            LARGEST_PIECE / n_seeds / (A_STEP + n_params + update * schedule.gradient_steps / schedule.train_frequency)
        ),
    )


@jit_inline
def _see(scale, obs, stored):
    """What is stored of one observation [F] of a vector; see :class:`agents.common.spaces.Inputs`."""
    for f in range(len(stored)):
        stored[f] = (obs[f] - scale[0, f]) * scale[1, f]


@jit
def _stretch_block(block, parts, schedule, env_batch, clock, told):
    """Play the seeds from ``block[0]`` to before ``block[1]``, in the room of the first of them.

    ``told`` is filled: reward and ended [S, T], and wrong [S], the first step of the stretch, counted from 1, in which
    a reward or an observation was no number.
    """
    (reward, ended, wrong), step = told, env_batch.step
    for i in range(block[0], block[1]):
        seen, led_to = parts.views[i, 0], parts.views[i, 1]
        for t in range(reward.shape[1]):
            _see(parts.scale, step.obs[i], seen)
            action = act_lane(parts.brain.online, parts.rule, parts.hand, i, seen, clock + t)
            ended[i, t] = env_batch.move(env_batch.copies, i, action, step)
            reward[i, t] = step.reward[i]
            _see(parts.scale, step.final_obs[i], led_to)
            result = (step.reward[i], step.terminated[i], step.truncated[i], led_to)
            if not push_lane(parts.replay, parts.priorities, i, seen, action, result):
                wrong[i] = t + 1
                break
            if _trains_at(schedule, clock + t + 1):
                train_one(parts, i, block[0], _pace_at(schedule, clock + t + 1))
            if _copies_at(schedule, clock + t + 1):
                polyak_update(parts.brain.target.params, parts.brain.online.params, i, 1.0)
