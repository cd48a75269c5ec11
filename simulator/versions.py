"""Versions of installed distributions; a checkout that was never installed has none of its own."""

from __future__ import annotations

OURS = "engram-rl"
NOT_INSTALLED = "not installed"


def version_of(name: str) -> str:
    """Return the version of a distribution, or ``not installed``."""
    from importlib.metadata import PackageNotFoundError, version  # 20 ms, which help does not need

    try:
        return version(name)
    except PackageNotFoundError:
        return NOT_INSTALLED
