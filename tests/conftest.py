"""What all tests share: no test may fail because the machine is slow."""

from __future__ import annotations

from hypothesis import settings

settings.register_profile("engram", deadline=None)
settings.load_profile("engram")
