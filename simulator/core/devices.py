"""The device of torch networks: set by the host before it makes players, read by players that make networks."""

from __future__ import annotations

import sys
from importlib import import_module

from simulator.core.wording import plural

_device = "cpu"


def set_device(name: str) -> None:
    """Set the device of networks that are made from now on: ``cpu``, ``cuda`` or ``cuda:N``.

    Raises:
        ValueError: torch finds no such device here.
    """
    global _device
    if name == _device:
        return
    if name != "cpu":
        torch = import_module("torch")
        n_devices = torch.cuda.device_count() if torch.cuda.is_available() else 0
        if int(name.partition(":")[2] or 0) >= n_devices:
            available = plural(n_devices, "CUDA device") if n_devices else "no CUDA device"
            raise ValueError(
                f"device {name}: torch finds {available} here, expected cpu" + " or cuda" * (n_devices > 0)
            )
        torch.backends.cudnn.allow_tf32 = False  # float32 as in all other arithmetic
        torch.backends.cudnn.deterministic = True
    _device = name


def device() -> str:
    """Return the device of networks that are made now."""
    return _device


def hold_torch(threads: int) -> None:
    """Set torch's number of threads for one operation; does nothing if torch is not loaded."""
    torch = sys.modules.get("torch")
    if torch is not None:
        torch.set_num_threads(threads)
