"""Whether files from elsewhere may run code here: never by themselves, only where the command line says so.

No setting says it, so that no file can: ``--trust-files``, or ``ENGRAM_TRUST_FILES=1`` for the processes that play.
"""

from __future__ import annotations

import os

_NAME = "ENGRAM_TRUST_FILES"


def trust_files() -> None:
    """Trust the files that are named, here and in every process that is started from here."""
    os.environ[_NAME] = "1"


def trusted() -> bool:
    """Whether the files that are named may run code."""
    return os.environ.get(_NAME) == "1"


def passed_on() -> dict[str, str]:
    """What the environment of processes on other machines has to say."""
    return {_NAME: "1"} if trusted() else {}
