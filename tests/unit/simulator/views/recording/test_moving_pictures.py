"""Tests of GIF, APNG and PNG files: read back by a library, and written frame by frame."""

from __future__ import annotations

import gc
import io
import tracemalloc

import numpy as np
import pytest
from PIL import Image

from simulator.views.recording import gif
from simulator.views.recording.changes import change_between
from simulator.views.recording.gif import GifWriter
from simulator.views.recording.png import ApngWriter, PngWriter

WRITERS = {"gif": GifWriter, "apng": ApngWriter}


def drawing(t):
    """Draw flat shapes, one of which moves and changes its colour: uint8 [40, 61, 3]."""
    frame = np.full((40, 61, 3), 255, np.uint8)
    frame[5:20, 3:30] = (10, 20, 30)
    frame[22 : 22 + 2 * (t % 7), 4 * t % 50 : 4 * t % 50 + 6] = (40 * (t % 6), 200, 30 * (t % 8))
    return frame


def noise(t):
    """Draw a picture of all colours that changes as a whole."""
    return np.random.default_rng(t).integers(0, 256, (30, 33, 3), dtype=np.uint8)


def recorded(make, frames, seconds=0.1):
    file = io.BytesIO()
    writer = make(file)
    for frame in frames:
        writer.add(frame, seconds)
    writer.close()
    return file.getvalue()


def read(data):
    """Return the frames, [N, H, W, 3], and their times in milliseconds."""
    image = Image.open(io.BytesIO(data))
    frames, times = [], []
    for k in range(getattr(image, "n_frames", 1)):
        image.seek(k)
        frames.append(np.array(image.convert("RGB")))
        times.append(image.info.get("duration", 0))
    return np.array(frames), times


@pytest.mark.parametrize("kind", WRITERS)
def test_frames_come_back_as_they_were(kind):
    frames = [drawing(t) for t in range(20)]
    found, times = read(recorded(WRITERS[kind], frames))
    np.testing.assert_array_equal(found, frames)  # few colours: the GIF has them exactly
    assert times == [100] * 20


def test_an_apng_loses_no_colour():
    frames = [noise(t) for t in range(4)]
    np.testing.assert_array_equal(read(recorded(ApngWriter, frames))[0], frames)


def test_a_gif_whose_colours_change_has_a_palette_for_every_scene():
    shades = np.linspace(0, 255, 400).astype(np.uint8).reshape(20, 20)
    empty = np.zeros_like(shades)
    scenes = [
        np.stack([shades, empty, empty], 2),
        np.stack([empty, shades, 255 - shades], 2),
        np.stack([shades, 255 - shades, shades], 2),
    ]
    found, _ = read(recorded(GifWriter, scenes))
    assert np.abs(found.astype(int) - scenes).max() <= gif.NEAR


@pytest.mark.parametrize("kind", WRITERS)
def test_a_frame_that_stays_is_written_once(kind):
    frames = [drawing(1)] * 3 + [drawing(2)] + [drawing(3)] * 2
    found, times = read(recorded(WRITERS[kind], frames, seconds=0.07))
    np.testing.assert_array_equal(found, [drawing(1), drawing(2), drawing(3)])
    assert [time // 10 for time in times] == [21, 7, 14]


def test_times_of_a_gif_do_not_drift():
    _, times = read(recorded(GifWriter, [drawing(t) for t in range(90)], seconds=1 / 30))
    assert sum(times) == 3000
    assert set(times) == {30, 40}


@pytest.mark.parametrize("kind", WRITERS)
def test_only_what_changed_is_written(kind):
    still = np.random.default_rng(0).integers(0, 4, (100, 100, 1), dtype=np.uint8).repeat(3, axis=2) * 60
    frames = []
    for t in range(20):
        frames.append(still.copy())
        frames[-1][t, t] = (255, 0, 0)
    first, both = (len(recorded(WRITERS[kind], frames[:n])) for n in (1, 20))
    assert both - first < 19 * 400


def test_a_change_is_the_smallest_rectangle():
    before = drawing(0)
    after = before.copy()
    assert change_between(before, after) is None
    after[7, 11, 2] += 1
    after[9, 4, 0] += 1
    found = change_between(before, after)
    assert (found.top, found.left) == (7, 4)
    np.testing.assert_array_equal(np.argwhere(found.differs), [[0, 7], [2, 0]])
    np.testing.assert_array_equal(found.pixels, after[7:10, 4:12])


def test_a_png_is_the_last_frame():
    data = recorded(PngWriter, [drawing(1), drawing(2)])
    np.testing.assert_array_equal(read(data)[0], [drawing(2)])


@pytest.mark.parametrize("kind", [*WRITERS, "png"])
def test_a_frame_may_be_drawn_over_by_its_owner(kind):
    file = io.BytesIO()
    writer = {**WRITERS, "png": PngWriter}[kind](file)
    frame = drawing(1)
    writer.add(frame, 0.1)
    frame[:] = 0
    writer.close()
    np.testing.assert_array_equal(read(file.getvalue())[0], [drawing(1)])


class _Nowhere(io.RawIOBase):
    """A file that counts its bytes and keeps none."""

    def __init__(self):
        self.at = self.size = 0

    def write(self, data):
        self.at += len(data)
        self.size = max(self.size, self.at)
        return len(data)

    def tell(self):
        return self.at

    def seek(self, at, whence=0):
        self.at = at
        return at


@pytest.mark.parametrize("kind", WRITERS)
def test_frames_are_not_held(kind):
    writer = WRITERS[kind](_Nowhere())
    writer.add(noise(0), 0.1)
    for t in range(20):
        writer.add(noise(t), 0.1)
    tracemalloc.start()
    for t in range(20, 220):
        writer.add(noise(t), 0.1)
    gc.collect()
    held, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert held < 20 * noise(0).nbytes  # of 200
