"""Permission to run code in files: given on the command line, never by a file.

It is no setting, so that no file can hold it: ``--trust-files``, or ``ENGRAM_TRUST_FILES=1`` for worker processes.
"""

from __future__ import annotations

import os

_VARIABLE = "ENGRAM_TRUST_FILES"


def trust_files() -> None:
    """Trust the files that are named, here and in every process that is started from here."""
    os.environ[_VARIABLE] = "1"


def trusted() -> bool:
    """Check that the files that are named may run code."""
    return os.environ.get(_VARIABLE) == "1"


def trust_environment() -> dict[str, str]:
    """Return the environment variables that pass the permission on to other machines."""
    return {_VARIABLE: "1"} if trusted() else {}
