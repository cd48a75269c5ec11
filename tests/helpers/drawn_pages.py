"""Pictures of drawings, compared with stored ones; ``ENGRAM_WRITE_PICTURES=1`` stores them anew."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest

DIFFERENT = 48  # of 255, from which a pixel counts as different
MOST_DIFFERENT = 0.01  # share of the pixels that may be: edges of letters differ between versions of SDL


def draw_page(page, scale: float = 1.0, size: tuple[int, int] = (1280, 800), pointer=None):
    """Draw a page onto a surface of so many units."""
    from simulator.views.drawing.canvas import Canvas, make_surface
    from simulator.views.drawing.colours import BACKGROUND

    canvas = Canvas(make_surface(round(size[0] * scale), round(size[1] * scale)), scale, pointer)
    canvas.fill(canvas.rect, BACKGROUND)
    page.draw(canvas, canvas.rect.inflate(-canvas.px(20), -canvas.px(16)))
    return canvas


def store_picture(pixels: np.ndarray, path: Path) -> None:
    """Write pixels, uint8 [H, W, 3], as a PNG with a palette of 256 colours, a third as large as with all of them."""
    from PIL import Image

    Image.fromarray(pixels).quantize(256, dither=Image.Dither.NONE).save(path, optimize=True)


def check_picture(canvas, path: Path) -> None:
    """Compare what was drawn with a stored PNG."""
    pygame = pytest.importorskip("pygame")
    if os.environ.get("ENGRAM_WRITE_PICTURES"):
        path.parent.mkdir(exist_ok=True)
        store_picture(pygame.surfarray.array3d(canvas.surface).swapaxes(0, 1), path)
    stored = pygame.surfarray.array3d(pygame.image.load(str(path))).astype(int)
    drawn = pygame.surfarray.array3d(canvas.surface).astype(int)
    assert drawn.shape == stored.shape
    different = (np.abs(drawn - stored) > DIFFERENT).any(axis=2)
    if different.mean() > MOST_DIFFERENT:
        pygame.image.save(canvas.surface, str(path.with_name(f"{path.stem}-drawn.png")))
    assert different.mean() <= MOST_DIFFERENT, f"{path.name}: {different.mean():.1%} of the pixels differ"


def press(page, name: str, **more) -> bool:
    """Press a key on a page."""
    pygame = pytest.importorskip("pygame")
    event = pygame.event.Event(pygame.KEYDOWN, key=pygame.key.key_code(name), mod=0, unicode="", **more)
    return page.handle(event)


def click(page, place: tuple[int, int], button: int = 1) -> bool:
    """Press a button of the mouse on a page."""
    pygame = pytest.importorskip("pygame")
    return page.handle(pygame.event.Event(pygame.MOUSEBUTTONDOWN, pos=place, button=button))
