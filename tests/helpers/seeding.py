"""Seeds of the tests that judge learning.

``ENGRAM_TEST_FIRST_SEED=100 python -m pytest -m learning`` runs the same tests on seeds 100 and up. Bounds are set
where at least 99.9 % of fresh sets of seeds pass; the comment beside a bound says what was measured.
"""

from __future__ import annotations

import os

FIRST_SEED = int(os.environ.get("ENGRAM_TEST_FIRST_SEED", "0"))


def seed_list(n: int, first: int = 0) -> list[int]:
    """Return n seeds of a test, beginning at its own number ``first``."""
    return list(range(FIRST_SEED + first, FIRST_SEED + first + n))
