"""Workers on Ray, on this machine or on a cluster; the host restarts cells whose task died.

Without an address Ray is started on this machine. Clients of Ray can run code in it, so that no others connect:
it listens on the loopback interface alone, asks for a random token that only processes of this user can
read, keeps its files and local sockets in a folder that only this user can enter, and starts no dashboard.

An address, ``ray://HOST:PORT`` or that in ``RAY_ADDRESS``, is the user's own cluster, used as configured. If it asks
for a token, ``RAY_AUTH_MODE=token`` and ``RAY_AUTH_TOKEN`` or ``RAY_AUTH_TOKEN_PATH`` have it. On a cluster
``engram-rl`` must be installed on every machine; a cell's checkpoints are in the temporary folder of the machine
that runs it, so a cell that Ray moves to another machine starts again.
"""

from __future__ import annotations

import logging
import os
import secrets
import shutil
import signal
import tempfile
import threading
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor, wait
from contextlib import suppress
from threading import Event
from typing import Any

from simulator.core.jit_cache.folder import folder_fault
from simulator.external.trust import trust_environment
from simulator.tournaments.cell_runner import JobSpec
from simulator.tournaments.workers.base import ONE_THREAD, Answer

QUIET = {"RAY_USAGE_STATS_ENABLED": "0", "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0"}
LOOPBACK = {"127.0.0.1", "::1"}
NEEDS = "a cluster of your own may ask for RAY_AUTH_MODE=token with RAY_AUTH_TOKEN or RAY_AUTH_TOKEN_PATH"
_NO_CLUSTER = "RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER"  # 0: Ray takes the loopback address as its own, on every system
_TRIES = "RAY_NUM_REDIS_GET_RETRIES"  # to reach a cluster, each of half a minute; Ray's own 20 take twelve minutes
_LONGEST = 20  # characters of a folder below which Ray's sockets still have names that the system takes
BRIEFLY = 0.01  # seconds


class RayWorkers:
    """Workers on Ray; see :class:`simulator.tournaments.workers.base.Workers`.

    Args:
        address: of a cluster; empty: that in ``RAY_ADDRESS``, or else one of this machine, which ends with this object.
            If this process is connected to Ray already, that connection is used.

    Raises:
        ValueError: Ray is not installed, cannot be reached at the address, or refuses access; one line.
    """

    def __init__(self, address: str = "") -> None:
        self._kept: dict[str, str | None] = {}  # earlier values of the environment's variables
        self._folder = ""
        self._thread = ThreadPoolExecutor(1)
        named = address or os.environ.get("RAY_ADDRESS", "").strip()
        alone = named in ("", "local")
        self._set(QUIET | ({_NO_CLUSTER: "0"} if alone else {_TRIES: os.environ.get(_TRIES, "1")}))
        try:
            import ray
        except ImportError:
            self._restore()
            raise ValueError("--workers ray: Ray is not installed, expected pip install ray") from None
        self._ray = ray
        self._running = dict[Any, JobSpec]()
        self._ours = not ray.is_initialized()
        self._remote_disk = not alone
        try:
            if self._ours:  # otherwise its owner stops it
                self._start_alone() if alone else self._connect(f"ray://{address}" if address else named)
        except (ConnectionError, OSError, RuntimeError, ValueError, ray.exceptions.RayError) as error:
            self._end()
            said = " ".join(str(error).split())[:200]
            place = "" if alone else f" at {named}"
            hint = "" if alone else f"; {NEEDS}"
            raise ValueError(f"--workers ray: Ray{place} cannot be reached: {said}{hint}") from None
        self.n = max(1, int(ray.cluster_resources().get("CPU", 1)))
        self._play = ray.remote(num_cpus=1, max_retries=0)(play_task)  # its host takes it up again, as everywhere

    def _connect(self, address: str) -> None:
        """Connect to the user's cluster, by the user's environment."""
        self._init("auto" if address == "ray://auto" else address)

    def _start_alone(self) -> None:
        """Start Ray on this machine, reachable by this user only.

        Raises:
            RuntimeError: it would listen to other machines, or accept clients without the token.
        """
        from ray._private import ray_constants
        from ray._raylet import AuthenticationMode, get_authentication_mode  # type: ignore[attr-defined]

        self._set({"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN": secrets.token_hex(32)})
        base = tempfile.gettempdir()
        self._folder = tempfile.mkdtemp(prefix="engram-", dir=base if len(base) <= _LONGEST else "/tmp")
        _read_environment()
        before = ray_constants.ENABLE_RAY_CLUSTER
        ray_constants.ENABLE_RAY_CLUSTER = False
        try:
            inner = os.path.join(os.path.realpath(self._folder), "r")  # Ray makes its own folder readable to all
            self._init("local", num_cpus=os.cpu_count() or 1, include_dashboard=False, _temp_dir=inner)
            open_to_others = self._ray.util.get_node_ip_address() not in LOOPBACK
        finally:
            ray_constants.ENABLE_RAY_CLUSTER = before
        if open_to_others or get_authentication_mode() != AuthenticationMode.TOKEN:
            raise RuntimeError(f"version {self._ray.__version__} does not keep to this machine, expected 2.60 or later")

    def _init(self, address: str, **ray_options: Any) -> None:
        """Start Ray in a thread: it takes several seconds, and replaces our signal handlers.

        One is Python's, which it sets in the main thread only; the other one, of its compiled part, writes a stack and
        ends the process with the signal. The thread stays, for the system ends Ray's processes when it does.
        """
        env_vars = ONE_THREAD | trust_environment()
        options: dict[str, Any] = {
            "log_to_driver": False,
            "logging_level": "ERROR",
            "runtime_env": {"env_vars": env_vars},
        }
        logging.getLogger("ray").setLevel(logging.ERROR)
        starting = self._thread.submit(self._ray.init, address, **options, **ray_options)
        while not starting.done():
            wait([starting], BRIEFLY)
            _take_signals_back()
        starting.result()

    def start(self, task: JobSpec) -> None:
        """See :class:`simulator.tournaments.workers.base.Workers`."""
        self._running[self._play.remote(tuple(task), self._remote_disk)] = task

    def wait(self, seconds: float) -> list[Answer]:
        """See :class:`simulator.tournaments.workers.base.Workers`."""
        if not self._running:
            return []
        finished, _ = self._ray.wait(list(self._running), num_returns=1, timeout=seconds)
        return [self._answer(ref) for ref in finished]

    def kill(self, key: str) -> None:
        """See :class:`simulator.tournaments.workers.base.Workers`."""
        for ref, task in list(self._running.items()):
            if task.key == key:
                del self._running[ref]
                with suppress(Exception):  # it may be over by now
                    self._ray.cancel(ref, force=True)

    def close(self) -> None:
        """See :class:`~simulator.tournaments.workers.base.Workers`; tasks can continue from their checkpoints."""
        for task in list(self._running.values()):
            self.kill(task.key)
        self._end()

    def _end(self) -> None:
        """Stop Ray if it was started here, and delete its files."""
        if self._ours:
            self._ray.shutdown()
        self._thread.shutdown()
        self._restore()
        if self._folder:
            _read_environment()
            shutil.rmtree(self._folder, ignore_errors=True)

    def _set(self, values: Mapping[str, str]) -> None:
        """Change the environment until ``_restore``."""
        self._kept |= {name: os.environ.get(name) for name in values if name not in self._kept}
        os.environ.update(values)

    def _restore(self) -> None:
        for name, value in self._kept.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value
        self._kept = {}

    def _answer(self, ref: Any) -> Answer:
        task = self._running.pop(ref)
        try:
            return Answer(task.key, **self._ray.get(ref))
        except self._ray.exceptions.RayError as error:
            return Answer(task.key, died=f"Ray: {' '.join(str(error).split())[:200]}")


def _take_signals_back() -> None:
    """Restore Python's signal handlers, which compiled code has replaced."""
    if threading.current_thread() is threading.main_thread():
        for number in {signal.SIGINT, signal.SIGTERM, getattr(signal, "SIGHUP", signal.SIGTERM)}:
            handler = signal.getsignal(number)
            if handler is not None:
                signal.signal(number, handler)


def _read_environment() -> None:
    """Let Ray read the environment's token settings again, which it read once when it was loaded."""
    from ray._raylet import AuthenticationTokenLoader, Config  # type: ignore[attr-defined]

    Config.initialize("")
    AuthenticationTokenLoader.instance().reset_cache()


def play_task(fields: tuple[Any, ...], remote_disk: bool) -> dict[str, Any]:
    """Run a task on the machine that Ray has chosen; on a cluster its checkpoints are in a folder there."""
    import hashlib
    import shutil
    import tempfile
    from pathlib import Path

    from simulator.tournaments.workers.process import answer

    task = JobSpec(*fields)
    if not remote_disk:
        return answer(task, Event())
    named = Path(task.scratch)
    lab = hashlib.sha256(str(named.parent).encode()).hexdigest()[:12]  # of two labs each has its own
    own = Path(tempfile.gettempdir()) / f"engram-cells-{os.getuid()}"
    own.mkdir(mode=0o700, exist_ok=True)
    if why := folder_fault(own.lstat(), alone=True):
        raise PermissionError(f"{own} {why}: checkpoints need a folder that only this user can enter")
    folder = own / f"{lab}-{named.name}"
    result = answer(task._replace(scratch=str(folder)), Event())
    if "died" not in result:
        shutil.rmtree(folder, ignore_errors=True)
    return result
