"""Workers in this process, or in processes of one thread each. Ray is in its own file.

All workers take tasks and return answers; the same task gives the same bits in all of them.
"""

from __future__ import annotations

import json
import os
import queue
import subprocess
import sys
import tempfile
import threading
import time
from contextlib import suppress
from selectors import EVENT_READ, DefaultSelector
from typing import IO, Any

from simulator.core import registry
from simulator.core.files.escaping import shortened
from simulator.tournaments.cell_runner import JobSpec
from simulator.tournaments.workers.base import ONE_THREAD, Answer, Workers
from simulator.tournaments.workers.process import answer

MAX_PROCESSES = 4_096  # processes
# By the place of this distribution, and not the working folder, which may hold a simulator.py.
_WORKER = "import sys; sys.path.append(sys.argv[1]); from simulator.tournaments.workers.process import main; main()"
STOP_TIMEOUT = 15.0  # seconds that a worker has to stop in good order


class Here:
    """Runs cells in this process, one at a time, in a thread."""

    n = 1

    def __init__(self) -> None:
        self._answers: queue.Queue[Answer] = queue.Queue()
        self._stop = threading.Event()
        self._thread = threading.Thread()

    def start(self, task: JobSpec) -> None:
        """See :class:`Workers`."""
        self._stop = stop = threading.Event()

        def play() -> None:
            try:
                result = answer(task, stop)
            except BaseException as error:  # whatever it is, the host waits for an answer
                result = {"died": f"{type(error).__name__}: {error}"}
            if not stop.is_set():
                self._answers.put(Answer(task.key, **result))

        self._thread = threading.Thread(target=play, daemon=True)
        self._thread.start()

    def wait(self, seconds: float) -> list[Answer]:
        """See :class:`Workers`."""
        with suppress(queue.Empty):
            return [self._answers.get(timeout=seconds)]
        return []

    def kill(self, key: str) -> None:
        """See :class:`Workers`. A thread ends at its next poll."""
        self.close()

    def close(self) -> None:
        """See :class:`Workers`."""
        self._stop.set()
        if self._thread.is_alive():
            self._thread.join(STOP_TIMEOUT)


class _Process:
    """A worker process, its task and its latest message."""

    def __init__(self) -> None:
        self.errors = tempfile.TemporaryFile()
        self.process: subprocess.Popen[bytes] = subprocess.Popen(
            [sys.executable, "-P", "-c", _WORKER, str(registry.ROOT)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self.errors,
            env={**os.environ, **ONE_THREAD},
        )
        self.task: JobSpec | None = None
        self._rest = b""

    @property
    def answers(self) -> IO[bytes]:
        """Return the worker's stdout."""
        assert self.process.stdout is not None
        return self.process.stdout

    def send(self, message: dict[str, Any]) -> None:
        """Send a line to the worker; a dead worker is noticed on reading."""
        assert self.process.stdin is not None
        with suppress(OSError, ValueError):
            self.process.stdin.write(json.dumps(message).encode() + b"\n")
            self.process.stdin.flush()

    def hear(self) -> Answer | None:
        """Return the worker's answer if it is complete, or that the worker died."""
        got = os.read(self.answers.fileno(), 1 << 20)
        if not got:
            task = self.task
            self.task = None
            return Answer(task.key if task else "", died=self._last_words())
        self._rest += got
        if not self._rest.endswith(b"\n"):
            return None
        message = json.loads(self._rest)
        self._rest = b""
        self.task = None
        return Answer(**message)

    def end(self, seconds: float = 0.0) -> None:
        """Stop the worker, by force if it takes too long."""
        with suppress(OSError):
            assert self.process.stdin is not None
            self.process.stdin.close()
        with suppress(subprocess.TimeoutExpired):
            self.process.wait(seconds)
        self.process.kill()
        self.process.wait()
        self.answers.close()
        self.errors.close()

    def _last_words(self) -> str:
        code = self.process.wait()
        self.errors.seek(0)
        lines = self.errors.read()[-4000:].decode(errors="replace").strip().splitlines()
        said = f": {' '.join(lines[-1].split())[:200]}" if lines and code >= 0 else ""
        return f"its worker was killed by signal {-code}" if code < 0 else f"its worker ended with code {code}{said}"


class Processes:
    """Worker processes of this machine, started when they are first needed."""

    def __init__(self, n: int) -> None:
        self.n = n
        self._idle: list[_Process] = []
        self._busy: list[_Process] = []
        self._selector = DefaultSelector()

    def start(self, task: JobSpec) -> None:
        """See :class:`Workers`."""
        worker = self._idle.pop() if self._idle else self._hire()
        worker.task = task
        self._busy.append(worker)
        worker.send(task._asdict())

    def wait(self, seconds: float) -> list[Answer]:
        """See :class:`Workers`."""
        answers = [self._heard(key.data) for key, _ in self._selector.select(seconds)]
        return [answer for answer in answers if answer is not None and answer.key]

    def kill(self, key: str) -> None:
        """See :class:`Workers`."""
        for worker in self._busy:
            if worker.task is not None and worker.task.key == key:
                self._dismiss(worker)
                return

    def close(self) -> None:
        """See :class:`Workers`."""
        for worker in self._busy:
            worker.send({"stop": True})
        until = time.monotonic() + STOP_TIMEOUT
        while self._busy and time.monotonic() < until:
            self.wait(0.1)
        for worker in [*self._busy, *self._idle]:
            self._dismiss(worker)
        self._selector.close()

    def _hire(self) -> _Process:
        worker = _Process()
        self._selector.register(worker.answers, EVENT_READ, worker)
        return worker

    def _heard(self, worker: _Process) -> Answer | None:
        message = worker.hear()
        if message is None:
            return None
        if message.died:
            self._dismiss(worker)
        elif worker in self._busy:
            self._busy.remove(worker)
            self._idle.append(worker)
        return message

    def _dismiss(self, worker: _Process) -> None:
        self._selector.unregister(worker.answers)
        for group in (self._busy, self._idle):
            if worker in group:
                group.remove(worker)
        worker.end()


def workers_of(text: str, n_cells: int) -> Workers:
    """Make the workers of ``--workers``: a number, ``ray`` or ``ray://ADDRESS``; 0: a process per core.

    Raises:
        ValueError: it names none; one line.
    """
    if check_place(text) == "ray":
        from simulator.tournaments.workers.ray import RayWorkers

        return RayWorkers(text.removeprefix("ray").removeprefix("://"))
    n = min(int(text) or os.cpu_count() or 1, n_cells)
    return Processes(n) if n > 1 else Here()


def check_place(text: str) -> str:
    """Check that ``--workers`` names ``ray`` or a number of ``processes``.

    Raises:
        ValueError: it names neither; one line.
    """
    if text == "ray" or text.startswith("ray://"):
        return "ray"
    if not text.isdecimal() or int(text) > MAX_PROCESSES:
        raise ValueError(
            f"--workers {shortened(text)}: expected a number of processes up to {MAX_PROCESSES:,}, ray, or ray://ADDRESS"
        )
    return "processes"
