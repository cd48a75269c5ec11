"""Worker process, ``python -m simulator.tournaments.workers.process``: runs the cells that its host sends.

One JSON object a line: tasks in, results out. If the host dies, the worker ends as soon as it notices; a cell
with a checkpoint continues from it another time.
"""

from __future__ import annotations

import json
import os
import queue
import signal
import sys
import threading
from typing import Any

from simulator.store.records import StoreError, StoreFailure
from simulator.tournaments import cell_runner


def main() -> None:
    """Run tasks until the input ends."""
    for name in ("SIGINT", "SIGHUP"):  # a terminal signals all its processes; the host decides
        if hasattr(signal, name):
            signal.signal(getattr(signal, name), signal.SIG_IGN)
    out = os.fdopen(os.dup(1), "w", buffering=1)
    os.dup2(2, 1)  # whatever players print is no answer
    tasks: queue.Queue[dict[str, Any]] = queue.Queue()
    stop = threading.Event()
    threading.Thread(target=_listen, args=(tasks, stop), daemon=True).start()
    while not stop.is_set():
        task = cell_runner.JobSpec(**tasks.get())
        print(json.dumps({"key": task.key, **answer(task, stop)}), file=out)


def answer(task: cell_runner.JobSpec, stop: threading.Event) -> dict[str, Any]:
    """Run a task; return ``{"result": ...}``, ``{"failed": reason}`` or ``{"stopped": true}``.

    ``{"died": reason}`` for reasons outside the cell: the disk, the memory, a lab that another process writes.
    """

    def tick() -> None:
        if stop.is_set():
            raise cell_runner.JobStopped

    try:
        return {"result": cell_runner.play(task, tick)}
    except cell_runner.JobStopped:
        return {"stopped": True}
    except (OSError, MemoryError, StoreError, StoreFailure) as error:
        return {"died": cell_runner.reason_of(error)}
    except Exception as error:
        if os.environ.get("ENGRAM_DEBUG"):
            raise
        return {"failed": cell_runner.reason_of(error)}


def _listen(tasks: queue.Queue[dict[str, Any]], stop: threading.Event) -> None:
    for line in sys.stdin:
        said = json.loads(line)
        if said.get("stop"):
            stop.set()
        else:
            tasks.put(said)
    os._exit(1)  # the host is gone


if __name__ == "__main__":
    main()
