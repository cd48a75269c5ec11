"""A display that nobody sees, for every test of the window."""

from __future__ import annotations

import pytest


@pytest.fixture(autouse=True)
def _unseen_display(monkeypatch):
    pygame = pytest.importorskip("pygame")
    monkeypatch.setenv("SDL_VIDEODRIVER", "dummy")
    pygame.display.init()
    yield
    pygame.display.quit()
