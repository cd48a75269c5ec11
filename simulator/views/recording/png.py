"""PNG: the last frame; and APNG: all frames, of each the changed rectangle, without a loss of colours.

Libraries that write APNG files hold all frames; here chunks are written as frames come, and their number at the end.
"""

from __future__ import annotations

import io
import struct
import zlib
from collections.abc import Iterator
from typing import BinaryIO

import numpy as np
from PIL import Image

from simulator.core.protocols import Array
from simulator.views.recording.changes import ChangedPart, change_between, whole

SIGNATURE = b"\x89PNG\r\n\x1a\n"
KEEP = 0  # the frame stays when the next one comes
OVER = 1  # transparent pixels leave what is below
MAX_MILLISECONDS = 65_535


class PngWriter:
    """Writes one picture: the last frame.

    Args:
        file: takes the bytes.
    """

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self._last: Array | None = None

    def add(self, frame: Array, seconds: float) -> None:
        """Show a frame, uint8 [H, W, 3], in place of the one before."""
        self._last = frame.copy()

    def close(self) -> None:
        """Write the picture."""
        assert self._last is not None, "no frame was added"
        Image.fromarray(self._last).save(self._file, "PNG", optimize=True)


class ApngWriter:
    """Writes an animation that repeats for ever.

    Args:
        file: takes the bytes; one in which earlier bytes can be written again.
    """

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self._shown: Array | None = None
        self._change: ChangedPart | None = None  # that is shown for a time not known yet
        self._seconds = 0.0  # that it is shown so far
        self._n_frames = 0
        self._n_numbered = 0  # chunks with a number in sequence
        self._control = 0  # place of the chunk with the number of frames

    def add(self, frame: Array, seconds: float) -> None:
        """Show a frame, uint8 [H, W, 3], for so long."""
        frame = frame.copy()  # its owner may draw over it
        if self._shown is None:
            self._file.write(SIGNATURE)
            self._write(b"IHDR", struct.pack(">IIBBBBB", frame.shape[1], frame.shape[0], 8, 6, 0, 0, 0))  # RGBA
            self._control = self._file.tell()
            self._write(b"acTL", struct.pack(">II", 0, 0))
            change: ChangedPart | None = whole(frame)
        else:
            change = change_between(self._shown, frame)
        if change is not None:
            self._flush()
            self._change = change
            self._shown = frame
        self._seconds += seconds

    def close(self) -> None:
        """Write the end, and the number of frames at the beginning."""
        self._flush()
        self._write(b"IEND", b"")
        end = self._file.tell()
        self._file.seek(self._control)
        self._write(b"acTL", struct.pack(">II", self._n_frames, 0))
        self._file.seek(end)

    def _flush(self) -> None:
        """Write the frame that was shown until now."""
        if self._change is None:
            return
        top, left, pixels, differs = self._change
        milliseconds = min(round(1000 * self._seconds), MAX_MILLISECONDS)
        place = (pixels.shape[1], pixels.shape[0], left, top)
        self._write(b"fcTL", struct.pack(">IIIIIHHBB", self._number(), *place, milliseconds, 1000, KEEP, OVER))
        opaque = np.where(differs, np.uint8(255), np.uint8(0))[..., None]
        image = np.concatenate([np.where(opaque, pixels, np.uint8(0)), opaque], axis=2)
        for data in _image_data(image):
            if self._n_frames == 0:
                self._write(b"IDAT", data)
            else:
                self._write(b"fdAT", struct.pack(">I", self._number()) + data)
        self._n_frames += 1
        self._change = None
        self._seconds = 0.0

    def _number(self) -> int:
        self._n_numbered += 1
        return self._n_numbered - 1

    def _write(self, kind: bytes, data: bytes) -> None:
        checksum = zlib.crc32(data, zlib.crc32(kind))
        self._file.write(struct.pack(">I", len(data)) + kind + data + struct.pack(">I", checksum))


def _image_data(image: Array) -> Iterator[bytes]:
    """Yield the contents of the IDAT chunks of an image, uint8 [h, w, 4]."""
    page = io.BytesIO()
    Image.fromarray(image).save(page, "PNG", compress_level=6)
    chunks = page.getvalue()
    at = len(SIGNATURE)
    while at < len(chunks):
        (size,) = struct.unpack_from(">I", chunks, at)
        if chunks[at + 4 : at + 8] == b"IDAT":
            yield chunks[at + 8 : at + 8 + size]
        at += 12 + size
