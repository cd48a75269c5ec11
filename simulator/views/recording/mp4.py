"""MP4: H.264 by PyAV, which is the extra ``video``."""

from __future__ import annotations

from typing import Any, BinaryIO

import numpy as np

from simulator.core.protocols import Array

QUALITY = "20"  # of x264, from 0 (without loss) to 51: letters stay sharp


def require_library() -> Any:
    """Import PyAV.

    Raises:
        ValueError: it is not installed; one line.
    """
    try:
        import av
    except ImportError:
        raise ValueError(
            "mp4: PyAV is not installed, expected pip install 'engram-rl[video]', or a .gif or .apng"
        ) from None
    return av


class Mp4Writer:
    """Writes a video; a frame that is shown longer is repeated.

    Args:
        file: takes the bytes.
        fps: frames per second.
    """

    def __init__(self, file: BinaryIO, fps: int) -> None:
        self._av = require_library()
        self._container = self._av.open(file, "w", format="mp4")
        self._stream: Any = None
        self._fps = fps
        self._time = 0.0
        self._n_frames = 0

    def add(self, frame: Array, seconds: float) -> None:
        """Show a frame, uint8 [H, W, 3], for so long."""
        frame = _even(frame)
        if self._stream is None:
            options = {"crf": QUALITY, "preset": "veryfast"}
            self._stream = self._container.add_stream("libx264", rate=self._fps, options=options)
            self._stream.height, self._stream.width = frame.shape[:2]
            self._stream.pix_fmt = "yuv420p"
            self._stream.thread_count = 1
        self._time += seconds
        while self._n_frames < max(round(self._time * self._fps), 1):
            picture = self._av.VideoFrame.from_ndarray(frame, format="rgb24")
            picture.pts = self._n_frames
            self._container.mux(self._stream.encode(picture))
            self._n_frames += 1

    def close(self) -> None:
        """Write the end."""
        if self._stream is not None:
            self._container.mux(self._stream.encode(None))
        self._container.close()


def _even(frame: Array) -> Array:
    """Repeat the last row and column where their number is odd, which H.264 refuses."""
    height, width, _ = frame.shape
    return np.ascontiguousarray(np.pad(frame, ((0, height % 2), (0, width % 2), (0, 0)), mode="edge"))
