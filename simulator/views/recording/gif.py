"""GIF: one palette for all frames, no dither, and of every frame the changed rectangle only.

Pixels of the rectangle that did not change are transparent, in long runs that hardly take room. The palette begins
with the colours of the first frame and takes up new ones while it has room; a frame whose colours it does not have
then, such as the next scene of a game, gets one of its own. Libraries that write GIF files hold all frames.
"""

from __future__ import annotations

import struct
from typing import Any, BinaryIO

import numpy as np
from PIL import GifImagePlugin, Image

from simulator.core.protocols import Array
from simulator.views.recording.changes import ChangedPart, change_between, whole

CLEAR = 255  # entry that is transparent
N_COLOURS = 255  # the other ones
N_FREQUENT = 136  # the most frequent colours of an image are taken exactly
N_MIXED = 64  # and others by median cut, so that some entries are left for colours that come later
MAX_NEW = 16  # of one frame
SCREEN = 13  # bytes before the palette
LEAST_SECONDS = 0.02  # browsers show frames of less than this for 0.1 s
MAX_HUNDREDTHS = 65_535
NEAR = 24  # levels of a channel by which a pixel may be off
MAX_OFF = 0.001  # fraction of the changed pixels that may be further off


class GifWriter:
    """Writes a GIF that repeats for ever.

    Args:
        file: takes the bytes; one in which earlier bytes can be written again.
    """

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self._shown: Array | None = None
        self._palette: _Palette | None = None  # of all frames
        self._block = b""  # of the frame whose time is not known yet
        self._time = 0.0  # seconds, of all frames so far
        self._written = 0  # hundredths of a second, of the frames that are written

    def add(self, frame: Array, seconds: float) -> None:
        """Show a frame, uint8 [H, W, 3], for so long."""
        frame = frame.copy()  # its owner may draw over it
        if self._shown is None:
            self._palette = _Palette(frame)
            self._file.write(_header(frame.shape))
            change: ChangedPart | None = whole(frame)
        else:
            change = change_between(self._shown, frame)
        if change is not None:
            self._flush()
            self._block = self._encoded(change)
            self._shown = frame
        self._time += max(seconds, LEAST_SECONDS)

    def close(self) -> None:
        """Write the end, and the palette at the beginning."""
        self._flush()
        self._file.write(b";")
        end = self._file.tell()
        assert self._palette is not None, "no frame was added"
        self._file.seek(SCREEN)
        self._file.write(self._palette.table.tobytes())
        self._file.seek(end)

    def _flush(self) -> None:
        """Write the frame that was shown until now."""
        if not self._block:
            return
        hundredths = min(round(100 * self._time) - self._written, MAX_HUNDREDTHS)
        self._written = round(100 * self._time)
        keep_and_clear = 1 << 2 | 1
        self._file.write(struct.pack("<2sBBHBB", b"!\xf9", 4, keep_and_clear, hundredths, CLEAR, 0) + self._block)
        self._block = b""

    def _encoded(self, change: ChangedPart) -> bytes:
        """Encode the changed rectangle, with a palette of its own where that of all frames will not do."""
        palette = self._palette
        assert palette is not None
        colours = change.pixels[change.differs]  # [n, 3]
        nearest, is_off = palette.nearest(colours)
        if is_off.mean() > MAX_OFF and palette.take_up(colours[is_off]):
            nearest, is_off = palette.nearest(colours)
        own = bool(is_off.mean() > MAX_OFF)
        if own:
            palette = _Palette(change.pixels)
            nearest, _ = palette.nearest(colours)
        indices = np.full(change.differs.shape, CLEAR, np.uint8)
        indices[change.differs] = nearest
        image = Image.fromarray(indices)
        image.putpalette(palette.table.tobytes())
        return b"".join(GifImagePlugin.getdata(image, (change.left, change.top), include_color_table=own))


class _Palette:
    """A palette, at first of the colours of an image, uint8 [h, w, 3].

    Attributes:
        table: uint8 [256, 3].
    """

    def __init__(self, pixels: Array) -> None:
        image = Image.fromarray(np.ascontiguousarray(pixels))
        colours = _by_frequency(image)
        if len(colours) > N_FREQUENT + N_MIXED:
            mixed = image.quantize(N_MIXED, Image.Quantize.MEDIANCUT, dither=Image.Dither.NONE)
            colours = np.concatenate([colours[:N_FREQUENT], _table_of(mixed)])
        self.table = np.zeros((256, 3), np.uint8)
        self._n = 0  # entries that are used
        self._add(colours)

    def nearest(self, colours: Array) -> tuple[Array, Array]:
        """Return the entries nearest to colours, uint8 [n, 3], and bool [n], those that are far off."""
        image = Image.fromarray(colours[None])
        entries = np.array(image.quantize(palette=self._image, dither=Image.Dither.NONE))[0]
        entries[entries >= self._n] = 0
        wanted = _packed(colours)
        places = np.minimum(np.searchsorted(self._sorted, wanted), self._n - 1)
        has_exact = self._sorted[places] == wanted  # Pillow looks up blocks of colours
        entries[has_exact] = self._order[places[has_exact]]
        errors = np.abs(self.table[entries].astype(np.int16) - colours)
        return entries, (errors > NEAR).any(axis=1)

    def take_up(self, colours: Array) -> bool:
        """Add the most frequent ones of colours [n, 3] that differ from each other; False: there is no room."""
        room = min(N_COLOURS - self._n, MAX_NEW)
        new: list[Array] = []
        for colour in _by_frequency(Image.fromarray(colours[None])).astype(np.int16):
            if len(new) == room:
                break
            if all(np.abs(colour - other).max() > NEAR for other in new):
                new.append(colour)
        if new:
            self._add(np.array(new))
        return bool(new)

    def _add(self, colours: Array) -> None:
        self.table[self._n : self._n + len(colours)] = colours
        self._n += len(colours)
        packed = _packed(self.table[: self._n])
        self._order = np.argsort(packed, kind="stable").astype(np.uint8)
        self._sorted = packed[self._order]
        known = self.table.copy()
        known[self._n :] = known[0]
        self._image = Image.new("P", (1, 1))
        self._image.putpalette(known.tobytes())


def _by_frequency(image: Image.Image) -> Array:
    """Return the colours of an image, [n, 3], the most frequent one first."""
    counts: Any = image.getcolors(maxcolors=image.width * image.height)
    return np.array([colour for _, colour in sorted(counts, reverse=True)], np.uint8)


def _table_of(image: Image.Image) -> Array:
    """Return the palette of an image, uint8 [n, 3]."""
    return np.array(image.getpalette(), np.uint8).reshape(-1, 3)[:N_MIXED]


def _packed(colours: Array) -> Array:
    """Put the bytes of colours [n, 3] into one number each, int64 [n]."""
    return np.asarray(colours.astype(np.int64) @ np.array([1 << 16, 1 << 8, 1]))


def _header(shape: tuple[int, ...]) -> bytes:
    """Make the beginning, with an empty palette of 256 colours."""
    screen = struct.pack("<6sHHBBB", b"GIF89a", shape[1], shape[0], 0xF7, 0, 0)
    for_ever = b"!\xff\x0bNETSCAPE2.0" + struct.pack("<BBHB", 3, 1, 0, 0)
    return screen + bytes(3 * 256) + for_ever
