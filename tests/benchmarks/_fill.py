"""A process of its own, whose peak memory is that of 16 seeds of DQN that hold 100,000 transitions each."""

from __future__ import annotations

import resource
from pathlib import Path

from simulator.config.run import build
from simulator.training.session import Session

AGENT = {"name": "dqn", "buffer_size": 100_000, "learning_starts": 100_000}


def fill() -> None:
    """Fill 16 replays of CartPole, train a little, and print this process's peak memory in megabytes."""
    session = Session(
        build({"seeds": 16, "steps": 10**6, "threads": 1, "agent": AGENT, "env": {"name": "CartPole-v1"}})
    )
    session.play(100_100)
    print(peak())


def peak() -> float:
    """Most memory that this process has held, in megabytes; getrusage would count what its parent held at the fork."""
    for line in Path("/proc/self/status").read_text("ascii").splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) / 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


if __name__ == "__main__":
    fill()
