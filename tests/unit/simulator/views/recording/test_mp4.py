"""Tests of videos."""

from __future__ import annotations

import io
import sys

import numpy as np
import pytest

from simulator.views.recording import mp4


def test_a_missing_library_is_one_line(monkeypatch):
    monkeypatch.setitem(sys.modules, "av", None)
    with pytest.raises(ValueError, match=r"^mp4: PyAV is not installed, expected pip install 'engram-rl\[video\]'"):
        mp4.require_library()


def test_frames_of_odd_sizes_are_padded_and_shown_for_their_time():
    av = pytest.importorskip("av", reason="the extra video is not installed")
    file = io.BytesIO()
    writer = mp4.Mp4Writer(file, fps=10)
    for t in range(4):
        writer.add(np.full((65, 99, 3), 60 * t, np.uint8), 0.1 if t < 3 else 0.5)
    writer.close()
    with av.open(io.BytesIO(file.getvalue())) as video:
        found = [frame.to_ndarray(format="rgb24") for frame in video.decode(video=0)]
    assert {frame.shape for frame in found} == {(66, 100, 3)}
    shades = [int(frame.mean()) for frame in found]
    assert len(shades) == 8
    np.testing.assert_allclose(shades, [0, 60, 120, *[180] * 5], atol=6)
