"""Cells on Ray: each a task, on this machine or on a cluster; the host takes up again what died.

Without an address a Ray of this machine is started: no dashboard, no authentication, no usage report. On a cluster
``engram-rl`` must be installed on every machine; a cell's checkpoints are in the temporary folder of whichever plays
it, so a cell that Ray moves to another machine begins again.
"""

from __future__ import annotations

import os
from contextlib import suppress
from threading import Event
from typing import Any

from simulator.tournaments.cells import Task
from simulator.tournaments.places import ONE_THREAD, Answer

QUIET = {"RAY_USAGE_STATS_ENABLED": "0", "RAY_AUTH_MODE": "disabled", "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0"}


class RayWorkers:
    """A place where cells are played; see :class:`simulator.tournaments.places.Workers`.

    Args:
        address: of a cluster; empty: one of this machine, which ends with this object. Where this process is
            connected to a Ray already, that one is used.

    Raises:
        ValueError: Ray is not installed, or nobody is at that address; one line.
    """

    def __init__(self, address: str = "") -> None:
        try:
            import ray
        except ImportError:
            raise ValueError("--workers ray: Ray is not installed, expected pip install 'engram-rl[cluster]'") from None
        self._ray, self._running = ray, dict[Any, Task]()
        self._remote_disk = bool(address)
        os.environ.update({name: value for name, value in QUIET.items() if name not in os.environ})
        self._ours = not ray.is_initialized()
        known = {"log_to_driver": False, "logging_level": "ERROR", "runtime_env": {"env_vars": ONE_THREAD}}
        try:
            if not self._ours:
                pass  # whoever started it ends it
            elif address:
                ray.init(address if address == "auto" else f"ray://{address}", **known)
            else:
                ray.init(num_cpus=os.cpu_count() or 1, include_dashboard=False, **known)
        except (ConnectionError, OSError, RuntimeError) as error:
            said = " ".join(str(error).split())[:200]
            raise ValueError(f"--workers ray{'://' * bool(address)}{address}: Ray cannot be reached: {said}") from None
        self.n = max(1, int(ray.cluster_resources().get("CPU", 1)))
        self._play = ray.remote(num_cpus=1, max_retries=0)(play_task)  # its host takes it up again, as everywhere

    def start(self, task: Task) -> None:
        """See :class:`simulator.tournaments.places.Workers`."""
        self._running[self._play.remote(tuple(task), self._remote_disk)] = task

    def wait(self, seconds: float) -> list[Answer]:
        """See :class:`simulator.tournaments.places.Workers`."""
        if not self._running:
            return []
        over, _ = self._ray.wait(list(self._running), num_returns=1, timeout=seconds)
        return [self._answer(each) for each in over]

    def kill(self, key: str) -> None:
        """See :class:`simulator.tournaments.places.Workers`."""
        for each, task in list(self._running.items()):
            if task.key == key:
                del self._running[each]
                with suppress(Exception):  # it may be over by now
                    self._ray.cancel(each, force=True)

    def close(self) -> None:
        """See :class:`~simulator.tournaments.places.Workers`; tasks go on from their checkpoints another time."""
        for task in list(self._running.values()):
            self.kill(task.key)
        if self._ours:
            self._ray.shutdown()

    def _answer(self, ref: Any) -> Answer:
        task = self._running.pop(ref)
        try:
            return Answer(task.key, **self._ray.get(ref))
        except self._ray.exceptions.RayError as error:
            return Answer(task.key, died=f"Ray: {' '.join(str(error).split())[:200]}")


def play_task(fields: tuple[Any, ...], remote_disk: bool) -> dict[str, Any]:
    """Play a task on whichever machine Ray has chosen; on a cluster its checkpoints are in a folder of that machine."""
    import hashlib
    import shutil
    import tempfile
    from pathlib import Path

    from simulator.tournaments.worker import answer

    task = Task(*fields)
    if not remote_disk:
        return answer(task, Event())
    named = Path(task.scratch)
    lab = hashlib.sha256(str(named.parent).encode()).hexdigest()[:12]  # of two labs each has its own
    folder = Path(tempfile.gettempdir()) / "engram-cells" / f"{lab}-{named.name}"
    folder.parent.mkdir(exist_ok=True)
    found = answer(task._replace(scratch=str(folder)), Event())
    if "died" not in found:
        shutil.rmtree(folder, ignore_errors=True)
    return found
