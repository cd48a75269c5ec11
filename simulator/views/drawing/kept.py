"""Surfaces that are kept because they are drawn again and again: texts, arrows, discs, maps.

The least recently used are dropped where all of them have more pixels than a limit, so that a window that is watched
for days does not grow.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Hashable
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pygame import Surface

KEY_PIXELS = 64  # that an entry counts beside its own, for its key and what holds it


class ObjectKey:
    """A key that is equal to no other one than of the same object, which lives as long as the key."""

    def __init__(self, thing: Any) -> None:
        self.thing = thing

    def __hash__(self) -> int:
        """Return the hash of the object's place."""
        return id(self.thing)

    def __eq__(self, other: object) -> bool:
        """Tell whether both stand for one object."""
        return isinstance(other, ObjectKey) and self.thing is other.thing


class KeptSurfaces:
    """Surfaces by key, the least recently used first.

    Args:
        max_pixels: of all together; the latest one is kept whatever its size.

    Attributes:
        n_pixels: of those that are kept.
    """

    def __init__(self, max_pixels: int) -> None:
        self.max_pixels = max_pixels
        self.n_pixels = 0
        self._kept: OrderedDict[Hashable, Surface] = OrderedDict()

    def get(self, key: Hashable, draw: Callable[[], Surface]) -> Surface:
        """Return the surface of a key, which is drawn where it is not kept."""
        surface = self._kept.get(key)
        if surface is not None:
            self._kept.move_to_end(key)
            return surface
        surface = draw()
        self._kept[key] = surface
        self.n_pixels += _pixels(surface)
        while self.n_pixels > self.max_pixels and len(self._kept) > 1:
            self.n_pixels -= _pixels(self._kept.popitem(last=False)[1])
        return surface

    def clear(self) -> None:
        """Drop all of them."""
        self._kept.clear()
        self.n_pixels = 0

    def __len__(self) -> int:
        """Return how many are kept."""
        return len(self._kept)


def _pixels(surface: Surface) -> int:
    return surface.get_width() * surface.get_height() + KEY_PIXELS
