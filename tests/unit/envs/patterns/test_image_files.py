"""Tests of images from files: idx, .npy and image formats, and files that are refused."""

from __future__ import annotations

import gzip
import os
import signal
import struct
import zlib

import numpy as np
import pytest
from PIL import Image

from envs.patterns import idx, images
from envs.patterns.images import read_pictures
from simulator.core.notices import forget_notices

PIXELS = np.arange(5 * 2 * 3, dtype=np.uint8).reshape(5, 2, 3) * 8
CLASSES = np.array([3, 1, 4, 1, 5], np.uint8)


def _idx(array):
    head = struct.pack(">BBBB", 0, 0, 8, array.ndim) + struct.pack(f">{array.ndim}I", *array.shape)
    return head + array.astype(np.uint8).tobytes()


def _make(module, path, **options):
    return module.make((1,), module.Config(path=str(path), **options))


@pytest.mark.parametrize("packed", [False, True])
def test_idx_files_are_read_with_the_labels_beside_them(tmp_path, packed):
    suffix, pack = (".gz", gzip.compress) if packed else ("", bytes)
    path = tmp_path / f"train-images-idx3-ubyte{suffix}"
    path.write_bytes(pack(_idx(PIXELS)))
    (tmp_path / f"train-labels-idx1-ubyte{suffix}").write_bytes(pack(_idx(CLASSES)))
    challenge = _make(idx, path, levels="grey")
    assert (challenge.max_patterns, challenge.spec) == (5, ((2, 3), False))
    draw = challenge.draw(5, 0)
    for row, label in zip(draw.stored[0], draw.labels[0], strict=True):
        which = np.flatnonzero((np.abs(PIXELS.reshape(5, 6) / 127.5 - 1 - row) < 1e-6).all(axis=1))
        assert CLASSES[which[0]] == label


def test_idx_files_at_two_levels_without_labels(tmp_path):
    path = tmp_path / "pictures"
    path.write_bytes(_idx(PIXELS))
    draw = _make(idx, path, threshold=100.0).draw(2, 0)  # 13 numbers are up to 100: three levels of pictures
    assert draw.labels.tolist() == [[-1, -1]]
    assert set(np.unique(draw.stored)) <= {-1.0, 1.0}
    expected = np.unique(np.where(PIXELS.reshape(5, 6) > 100, 1, -1), axis=0)
    assert _make(idx, path, threshold=100.0).max_patterns == len(expected) == 3


def _bad_idx(tmp_path):
    whole = _idx(PIXELS)
    packed = gzip.compress(whole)
    labels = tmp_path / "labels"
    labels.write_bytes(_idx(CLASSES[:3]))
    return [
        (None, {}, "cannot be read: No such file or directory"),
        (b"", {}, "found the magic number 0x, expected 0x00000803"),
        (_idx(CLASSES), {}, "found the magic number 0x00000801, expected 0x00000803"),
        (b"no idx file", {}, "found the magic number 0x6e6f2069"),
        (whole[:9], {}, "found 9 bytes, expected a head of 16"),
        (whole[:-1], {}, "found 29 bytes after the head, expected 5 x 2 x 3"),
        (whole + b"x", {}, "found 31 bytes after the head"),
        (struct.pack(">BBBBIII", 0, 0, 8, 3, 0, 2, 3), {}, "found 0 bytes after the head"),
        (struct.pack(">BBBBIII", 0, 0, 8, 3, 2**31, 2**31, 9), {}, "expected 2147483648 x 2147483648 x 9"),
        (packed[:-6], {}, "cannot be read"),
        (packed[:12], {}, "cannot be read"),
        (packed[:15] + b"\0\0\0" + packed[18:], {}, "cannot be read"),
        (whole, {"labels": str(labels)}, "found 3 labels, expected 5"),
    ]


@pytest.mark.parametrize("n", range(13))
def test_bad_idx_files_are_one_line_with_the_file(tmp_path, n):
    content, options, line = _bad_idx(tmp_path)[n]
    path = tmp_path / "pictures"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(ValueError) as caught:  # noqa: PT011
        _make(idx, path, **options)
    assert line in str(caught.value)
    assert str(tmp_path) in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("array", "expected"),
    [
        (np.array([[[0, 255], [51, 102]]], np.uint8), [0, 1, 0.2, 0.4]),
        (np.array([[[0, 1], [1, 0]]], np.int64), [0, 1, 1, 0]),
        (np.array([[[True, False], [True, True]]]), [1, 0, 1, 1]),
        (np.array([[[-1, 1], [0.5, 0]]]), [0, 1, 0.75, 0.5]),
        (np.array([[[0.0, 0.5], [0.25, 1.0]]], np.float32), [0, 0.5, 0.25, 1]),
        (np.array([[[0, 65535], [257, 0]]], np.uint16), [0, 1, 257 / 65535, 0]),
        (np.array([[0.0, 0.5, 0.25, 1.0]]), [0, 0.5, 0.25, 1]),
        (np.array([[[[255, 0, 0], [0, 255, 0]], [[0, 0, 255], [255] * 3]]], np.uint8), [0.299, 0.587, 0.114, 1]),
    ],
)
def test_arrays_are_scaled_from_the_range_that_holds_them(tmp_path, array, expected):
    np.save(tmp_path / "x.npy", array)
    pictures, labels = read_pictures(str(tmp_path / "x.npy"))
    np.testing.assert_allclose(pictures.ravel(), expected, atol=1e-6)
    assert labels.tolist() == [-1]
    challenge = _make(images, tmp_path / "x.npy", levels="grey")
    assert challenge.spec.shape == array.shape[1:3] if array.ndim > 2 else (4,)
    np.testing.assert_allclose(challenge.draw(1, 0).stored[0, 0], np.array(expected) * 2 - 1, atol=1e-6)
    signs = _make(images, tmp_path / "x.npy", threshold=0.5).draw(1, 0).stored[0, 0]
    np.testing.assert_array_equal(signs, np.where(np.array(expected) > 0.5, 1, -1))


@pytest.mark.parametrize("shape", [(1, 5), (1, 1, 5)])
def test_values_between_minus_one_and_one_are_bipolar_only_with_a_threshold(tmp_path, shape):
    path, whole = tmp_path / "x.npy", np.array([1, 0, -1, 0, 1])
    np.save(path, whole.reshape(shape))
    _refused(path, "is 0, expected -1 or +1: with levels = two it would become -1; levels = grey keeps it")
    assert _make(images, path, threshold=0.5).draw(1, 0).stored[0, 0].tolist() == [1, -1, -1, -1, 1]
    assert _make(images, path, threshold=0.4).draw(1, 0).stored[0, 0].tolist() == [1, 1, -1, 1, 1]
    assert _make(images, path, levels="grey").draw(1, 0).stored[0, 0].tolist() == whole.tolist()
    np.save(path, np.array([1.0, 0.25, -1, -1, 1]).reshape(shape))
    _refused(path, "is 0.25, expected -1 or +1: with levels = two it would become +1")
    np.save(path, np.array([1, -1, -1, -1, 1]).reshape(shape))
    assert _make(images, path).draw(1, 0).stored[0, 0].tolist() == [1, -1, -1, -1, 1]


def _clear_pictures():
    """Yield images, black at the left and transparent at the right, of every mode that can be transparent."""
    alpha = np.array([[255, 0], [255, 0]], np.uint8)
    for mode, black in (("RGBA", (0, 0, 0)), ("LA", (0,))):
        bands = [np.full((2, 2), value, np.uint8) for value in black]
        yield mode, Image.fromarray(np.stack([*bands, alpha], axis=2)), {}
    palette = Image.fromarray((alpha == 0).astype(np.uint8))
    palette.putpalette([0, 0, 0] * 2)
    yield "P", palette, {"transparency": 1}
    yield "L", Image.fromarray(np.array([[0, 9], [0, 9]], np.uint8)), {"transparency": 9}
    yield "RGB", Image.fromarray(np.array([[[0] * 3, [9] * 3]] * 2, np.uint8)), {"transparency": (9, 9, 9)}
    yield "I;16", Image.fromarray(np.array([[0, 9], [0, 9]], np.uint16)), {"transparency": 9}


@pytest.mark.parametrize(("mode", "image", "more"), list(_clear_pictures()), ids=lambda each: str(each)[:4])
def test_transparent_pixels_show_the_background(tmp_path, mode, image, more):
    assert image.mode == mode
    image.save(tmp_path / "x.png", **more)
    for background in (1.0, 0.0, 0.25):
        seen, _ = read_pictures(str(tmp_path), 0, background)
        np.testing.assert_allclose(seen[0], [[0.0, background]] * 2, atol=1e-3 if mode == "I;16" else 1e-6)
    assert _make(images, tmp_path).draw(1, 0).stored[0, 0].tolist() == [-1, 1, -1, 1]
    assert _make(images, tmp_path, background=0.0).draw(1, 0).stored[0, 0].tolist() == [-1] * 4


def test_half_transparent_pixels_and_arrays_of_four_channels(tmp_path):
    pixels = np.array([[[255, 255, 255, 255], [0, 0, 0, 255]], [[0, 0, 0, 51], [255, 0, 0, 0]]], np.uint8)
    Image.fromarray(pixels).save(tmp_path / "x.png")
    np.save(tmp_path / "x.npy", pixels[None])
    for path in (tmp_path, tmp_path / "x.npy"):
        seen, _ = read_pictures(str(path))
        np.testing.assert_allclose(seen[0], [[1.0, 0.0], [0.8, 1.0]], atol=1e-6)
        seen, _ = read_pictures(str(path), 0, 0.0)
        np.testing.assert_allclose(seen[0], [[1.0, 0.0], [0.0, 0.0]], atol=1e-6)


@pytest.mark.parametrize("module", [images, idx])
def test_equal_images_are_dropped_counted_and_reported_once(tmp_path, module, capsys):
    pixels = np.stack([PIXELS[0], PIXELS[4], PIXELS[0], PIXELS[0]])
    path = tmp_path / ("x.npy" if module is images else "x")
    np.save(path, pixels) if module is images else path.write_bytes(_idx(pixels))
    forget_notices()
    for _ in range(2):
        assert _make(module, path, levels="grey").max_patterns == 2
    line = f"{module.__name__.rpartition('.')[2]}: 2 of 4 pictures are equal to earlier ones and left out"
    assert capsys.readouterr().err.splitlines() == [f"{line}, 2 remain"]
    np.save(path, pixels[:2]) if module is images else path.write_bytes(_idx(pixels[:2]))
    assert _make(module, path, levels="grey").max_patterns == 2
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_is_handled_while_a_folder_is_read(tmp_path, monkeypatch, engram, number):
    (tmp_path / "p").mkdir()
    for n in range(6):
        Image.fromarray(np.full((4, 4), n, np.uint8)).save(tmp_path / "p" / f"{n}.png")
    read = list[str]()
    opened = images._opened

    def at_the_ninth(file):
        read.append(file.name)
        if len(read) == 9:  # six heads, and the third whole one
            os.kill(os.getpid(), number)
        return opened(file)

    monkeypatch.setattr(images, "_opened", at_the_ninth)
    monkeypatch.chdir(tmp_path)
    words = ["recall", "nearest_neighbor", "images", "--challenge.path", "p", "--patterns", "2", "--view", "none"]
    assert engram(*words, code=128 + number).error == f"{signal.Signals(number).name} before anything was run"
    assert len(read) == 9
    if (tmp_path / "lab").exists():
        assert "r1" not in engram("list", "runs").out


def test_a_folder_of_images_of_several_kinds_and_classes(tmp_path):
    grey = np.array([[0, 255, 128], [64, 32, 16]], np.uint8)
    for folder, name in (("cats", "a.png"), ("cats", "b.pgm"), ("dogs", "c.bmp")):
        (tmp_path / folder).mkdir(exist_ok=True)
        Image.fromarray(grey).save(tmp_path / folder / name)
    Image.fromarray(np.stack([grey] * 3, axis=2)).save(tmp_path / "d.png")
    Image.fromarray(grey.astype(np.uint16) * 257).save(tmp_path / "e.png")
    (tmp_path / "notes.txt").write_text("not an image")
    pictures, labels = read_pictures(str(tmp_path))
    np.testing.assert_allclose(pictures, np.broadcast_to(grey / 255, (5, 2, 3)), atol=1e-6)
    assert labels.tolist() == [0, 0, -1, 1, -1]  # by path: cats, d.png, dogs, e.png
    assert _make(images, tmp_path).max_patterns == 1  # they are one picture


def test_images_are_resized_where_asked(tmp_path):
    for n, side in enumerate((4, 6)):
        board = np.zeros((side, side), np.uint8)
        board[:, : side // 2] = 255
        Image.fromarray(board if n else board.T).save(tmp_path / f"{n}.png")
    with pytest.raises(ValueError, match=r"1\.png: found 6 x 6 pixels, expected 4 x 4 as in 0\.png, or a size to"):
        _make(images, tmp_path)
    draw = _make(images, tmp_path, size=2).draw(2, 0)
    assert {tuple(row) for row in draw.stored[0].tolist()} == {(1, -1, 1, -1), (1, 1, -1, -1)}
    np.save(tmp_path / "x.npy", np.ones((1, 4, 4)))
    assert _make(images, tmp_path / "x.npy", size=2).spec.shape == (2, 2)


def _bad_pictures(folder):
    path = folder / "x.npy"
    np.save(path, np.ones((1, 2, 2)))
    whole = path.read_bytes()
    with open(folder / "objects.npy", "wb") as file:
        np.lib.format.write_array(file, np.array([None, 1], object))
    return [
        (whole[:-3], "cannot be read"),
        (whole[:20], "cannot be read"),
        (b"", "cannot be read"),
        (b"plain text", "cannot be read"),
        ((folder / "objects.npy").read_bytes(), "cannot be read: Object arrays cannot be loaded"),
    ]


@pytest.mark.parametrize("n", range(5))
def test_bad_arrays_are_one_line_with_the_file(tmp_path, n):
    content, line = _bad_pictures(tmp_path)[n]
    (tmp_path / "x.npy").write_bytes(content)
    _refused(tmp_path / "x.npy", f"x.npy: {line}")


@pytest.mark.parametrize(
    ("array", "line"),
    [
        (np.array([[[0.1, np.nan]]]), "pixel (0, 0, 1) is nan, expected a finite number"),
        (np.array([[[0.1, np.inf]]]), "pixel (0, 0, 1) is inf, expected a finite number"),
        (np.array([[[0.1, 70000.0]]]), "found numbers from 0.1 to 70000, expected them within one of 0 to 1, -1 to 1"),
        (np.array([[["a", "b"]]]), "found an array of <U1, expected numbers"),
        (np.ones(4), "found an array of shape (4,), expected (pictures, height, width)"),
        (np.ones((0, 2, 2)), "found an array of shape (0, 2, 2)"),
        (np.ones((1, 2, 2, 2)), "found an array of shape (1, 2, 2, 2)"),
    ],
)
def test_arrays_that_are_no_pictures_are_one_line(tmp_path, array, line):
    np.save(tmp_path / "x.npy", array)
    _refused(tmp_path / "x.npy", line)


@pytest.mark.parametrize("suffix", ["png", "jpg", "pgm", "bmp", "gif"])
def test_truncated_images_are_one_line_with_the_file(tmp_path, suffix):
    noise = (np.arange(64 * 64) * 2654435761 >> 7).astype(np.uint8).reshape(64, 64)
    path = tmp_path / f"x.{suffix}"
    Image.fromarray(noise).save(path)
    whole = path.read_bytes()
    for n in (0, 1, 10, len(whole) // 2):
        path.write_bytes(whole[:n])
        _refused(tmp_path, f"x.{suffix}: cannot be read")


def test_pictures_that_are_too_large_are_refused_one_by_one_and_together(tmp_path, monkeypatch):
    for n in range(3):
        Image.fromarray(np.zeros((64, 64), np.uint8)).save(tmp_path / f"{n}.png")
    monkeypatch.setenv("ENGRAM_MAX_FILE_MB", "0.03")
    _refused(tmp_path, "0.png: 32,768 bytes unpacked, 64 x 64 pixels here, expected at most 31,457 (--max-file-mb")
    monkeypatch.setenv("ENGRAM_MAX_FILE_MB", "0.05")
    _refused(tmp_path, "2.png: 65,536 bytes unpacked")
    monkeypatch.setenv("ENGRAM_MAX_FILE_MB", "0.07")
    assert _make(images, tmp_path).max_patterns == 1


def test_a_picture_that_declares_more_than_its_bytes_can_hold_is_refused_before_it_is_unpacked(tmp_path):
    Image.fromarray(np.zeros((2, 2), np.uint8)).save(tmp_path / "x.png")
    whole = (tmp_path / "x.png").read_bytes()
    head = b"IHDR" + struct.pack(">II", 9000, 9000) + whole[24:29]
    (tmp_path / "x.png").write_bytes(whole[:12] + head + struct.pack(">I", zlib.crc32(head)) + whole[33:])
    _refused(tmp_path, "x.png: cannot be read: found 9,000 x 9,000 pixels, more than its")


def test_a_file_of_another_kind_under_an_images_name_starts_no_other_program(tmp_path):
    (tmp_path / "x.png").write_bytes(
        b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 2 2\n%%EndComments\nshowpage\n%%EOF\n"
    )
    _refused(tmp_path, "x.png: cannot be read: cannot identify image file")


def test_an_image_with_a_nan_pixel_is_refused(tmp_path):
    Image.fromarray(np.array([[0.5, np.nan]], np.float32)).save(tmp_path / "x.tif")
    _refused(tmp_path, "x.tif: pixel (0, 1) is nan")


def test_no_path_no_file_no_images(tmp_path):
    _refused(tmp_path, "found no images, expected files that end in .png")
    _refused(tmp_path / "nowhere", "no such file or folder")
    for module, name in ((idx, "idx"), (images, "images")):
        with pytest.raises(ValueError, match=f"^{name}: path = '': expected "):
            module.make((1,), module.Config())
    np.save(tmp_path / "flat.npy", np.ones((2, 4)))
    _refused(tmp_path / "flat.npy", "expected height and width to resize", size=2)


def _refused(path, line, **options):
    with pytest.raises(ValueError) as caught:  # noqa: PT011
        _make(images, path, **options)
    assert line in str(caught.value)
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)
