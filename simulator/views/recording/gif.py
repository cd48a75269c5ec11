"""GIF: one palette for all frames, no dither, and of every frame the changed rectangle only.

Pixels of the rectangle that did not change are transparent, in long runs that hardly take room. A frame whose colours
the palette does not have, such as the next scene of a game, gets a palette of its own.
"""

from __future__ import annotations

import struct
from typing import BinaryIO

import numpy as np
from PIL import GifImagePlugin, Image

from simulator.core.protocols import Array
from simulator.views.recording.changes import Change, change_between, whole

N_COLOURS = 255  # and one that is transparent
N_FREQUENT = 160  # of them the most frequent ones exactly, the others by median cut
CLEAR = 255
LEAST_SECONDS = 0.02  # browsers show frames of less than this for 0.1 s
MAX_HUNDREDTHS = 65_535
NEAR = 24  # levels of a channel by which a pixel may be off
MAX_OFF = 0.01  # fraction of the changed pixels that may be further off


class GifWriter:
    """Writes a GIF that repeats for ever.

    Args:
        file: takes the bytes.
    """

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self._shown: Array | None = None
        self._palettes: list[_Palette] = []  # the one of all frames, and the latest one of a frame
        self._block = b""  # of the frame whose time is not known yet
        self._time = 0.0  # seconds, of all frames so far
        self._written = 0  # hundredths of a second, of the frames that are written

    def add(self, frame: Array, seconds: float) -> None:
        """Show a frame, uint8 [H, W, 3], for so long."""
        if self._shown is None:
            self._palettes = [_Palette(frame)]
            self._file.write(_header(frame.shape, self._palettes[0].table))
            change: Change | None = whole(frame)
        else:
            change = change_between(self._shown, frame)
        if change is not None:
            self._flush()
            self._block = self._encoded(change)
            self._shown = frame.copy()
        self._time += max(seconds, LEAST_SECONDS)

    def close(self) -> None:
        """Write the end."""
        self._flush()
        self._file.write(b";")

    def _flush(self) -> None:
        """Write the frame that was shown until now."""
        if not self._block:
            return
        hundredths = min(round(100 * self._time) - self._written, MAX_HUNDREDTHS)
        self._written = round(100 * self._time)
        keep_and_clear = 1 << 2 | 1
        self._file.write(struct.pack("<2sBBHBB", b"!\xf9", 4, keep_and_clear, hundredths, CLEAR, 0) + self._block)
        self._block = b""

    def _encoded(self, change: Change) -> bytes:
        """Encode the changed rectangle, with a palette of its own where no other will do."""
        for palette in self._palettes:
            indices, off = palette.indices(change)
            if off <= MAX_OFF:
                break
        else:
            palette = _Palette(change.pixels)
            indices, _ = palette.indices(change)
            self._palettes[1:] = [palette]
        image = Image.fromarray(indices)
        image.putpalette(palette.table.tobytes())
        own = palette is not self._palettes[0]
        return b"".join(GifImagePlugin.getdata(image, (change.left, change.top), include_color_table=own))


class _Palette:
    """A palette of the colours of an image, uint8 [h, w, 3]."""

    def __init__(self, pixels: Array) -> None:
        image = Image.fromarray(np.ascontiguousarray(pixels))
        counts = image.getcolors(maxcolors=N_COLOURS)
        if counts is not None:
            colours = [colour for _, colour in counts]
        else:
            counts = image.getcolors(maxcolors=pixels.shape[0] * pixels.shape[1]) or []
            colours = [colour for _, colour in sorted(counts, reverse=True)[:N_FREQUENT]]
            few = image.quantize(N_COLOURS - N_FREQUENT, Image.Quantize.MEDIANCUT, dither=Image.Dither.NONE)
            colours += [tuple(few.getpalette()[3 * i : 3 * i + 3]) for i in range(N_COLOURS - N_FREQUENT)]
        self.table = np.zeros((256, 3), np.uint8)
        self.table[: len(colours)] = colours
        self.table[len(colours) :] = colours[0]
        self._image = Image.new("P", (1, 1))
        self._image.putpalette(self.table.tobytes())

    def indices(self, change: Change) -> tuple[Array, float]:
        """Return the entries nearest to the changed pixels, uint8 [h, w], and the fraction of them that is far off."""
        colours = change.pixels[change.differs]  # [n, 3]
        nearest = np.array(Image.fromarray(colours[None]).quantize(palette=self._image, dither=Image.Dither.NONE))[0]
        nearest[nearest == CLEAR] = 0
        errors = np.abs(self.table[nearest].astype(np.int16) - colours)
        indices = np.full(change.differs.shape, CLEAR, np.uint8)
        indices[change.differs] = nearest
        return indices, float((errors > NEAR).any(axis=1).mean())


def _header(shape: tuple[int, ...], table: Array) -> bytes:
    screen = struct.pack("<6sHHBBB", b"GIF89a", shape[1], shape[0], 0xF7, 0, 0)  # 256 colours
    for_ever = b"!\xff\x0bNETSCAPE2.0" + struct.pack("<BBHB", 3, 1, 0, 0)
    return screen + table.tobytes() + for_ever
