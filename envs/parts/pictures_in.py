"""Pictures of the user's: a .npy array, or a folder of image files, as grey from 0 to 1. Read strictly.

Image files are read by Pillow, which comes with matplotlib.
"""

from __future__ import annotations

import os
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from simulator.core.escaping import visible
from simulator.core.protocols import Array
from simulator.core.reading import DATA, DEFLATED, UnreadableError, check_size, open_file, read_npy

SUFFIXES = (".png", ".jpg", ".jpeg", ".pgm", ".ppm", ".pbm", ".bmp", ".gif", ".tif", ".tiff")
FORMATS = ("PNG", "JPEG", "PPM", "BMP", "DIB", "GIF", "TIFF")  # of Pillow; others can start programs
_WHOLE = "a whole image"
_PIXEL = 8  # bytes while it is unpacked
_RANGES = ((0.0, 1.0), (-1.0, 1.0), (0.0, 255.0), (0.0, 65535.0))
_LUMA = (0.299, 0.587, 0.114)  # red, green, blue: ITU-R BT.601


def read_pictures(path: str, size: int = 0) -> tuple[Array, Array]:
    """Pictures float32 [M, H, W] (or [M, N]) from 0 to 1, and their classes, int64 [M].

    The classes are those of the sub-folders that the files are in, in alphabetical order; -1 where there are none.

    Args:
        path: a .npy file, or a folder.
        size: pixels along a side that they are resized to; 0: as they are.

    Raises:
        ValueError: nothing there, an unreadable file, one of another size, numbers in no usual range; one line.
    """
    if os.path.isdir(path):
        return _folder(Path(path), size)
    if not os.path.exists(path):
        raise ValueError(f"{visible(path)}: no such file or folder, expected a .npy file or a folder of images")
    pictures = _array(path)
    if size and pictures.ndim == 2:
        raise ValueError(f"{path}: found {pictures.shape[1]} numbers in a row, expected height and width to resize")
    if size:
        pictures = np.stack([_resized(picture, size) for picture in pictures])
    return pictures, np.full(len(pictures), -1)


def _folder(folder: Path, size: int) -> tuple[Array, Array]:
    files = sorted(file for file in folder.rglob("*") if file.suffix.lower() in SUFFIXES and not file.is_dir())
    if not files:
        raise ValueError(f"{folder}: found no images, expected files that end in {' '.join(SUFFIXES)}")
    pictures, kept = list[Array](), 0
    for file in files:
        picture = _image(file, kept)
        pictures.append(_resized(picture, size) if size else picture)
        kept += pictures[-1].nbytes
    for file, picture in zip(files, pictures, strict=True):
        if picture.shape != pictures[0].shape:
            found, expected = ("{1} x {0}".format(*each.shape) for each in (picture, pictures[0]))
            named = f"{expected} as in {files[0].name}, or a size to resize them to"
            raise ValueError(f"{file}: found {found} pixels, expected {named}")
    classes = sorted({file.parent for file in files} - {folder})
    labels = [classes.index(file.parent) if file.parent in classes else -1 for file in files]
    return np.stack(pictures), np.array(labels, np.int64)


def _image(file: Path, before: int) -> Array:
    """One image file as grey from 0 to 1, float32 [H, W]; ``before``: bytes of the pictures that are kept already."""
    from PIL import Image

    with open_file(file, _WHOLE) as page:
        try:
            with warnings.catch_warnings(), _any_size():
                warnings.simplefilter("ignore")
                with Image.open(page, formats=FORMATS) as image:
                    _check_pixels(image, os.fstat(page.fileno()).st_size, file, before)
                    mode = image.mode
                    pixels = np.asarray(image if mode[0] in "IF" else image.convert("L"), np.float64)
        except UnreadableError:
            raise
        except Exception as error:  # a decoder can fail in every way
            reason = visible(" ".join(str(error).split())) or type(error).__name__
            raise ValueError(f"{visible(str(file))}: cannot be read: {reason}, expected {_WHOLE}") from error
    if mode == "F":
        return _from_zero(pixels, str(file))
    top = 65535.0 if mode.startswith("I") else 255.0
    return (pixels / top).clip(0.0, 1.0).astype(np.float32)


def _check_pixels(image: Any, size: int, file: Path, before: int) -> None:
    """Refuse, by its head, a picture that is not to be unpacked, or that declares more than its bytes can hold."""
    width, height = image.size
    check_size(before + width * height * _PIXEL, DATA, file, f"bytes unpacked, {width:,} x {height:,} pixels here")
    if image.format == "PNG" and width * height > 8 * DEFLATED * size:
        declared = f"{width:,} x {height:,} pixels, more than its {size:,} bytes can hold"
        raise UnreadableError(f"{visible(str(file))}: cannot be read: found {declared}, expected {_WHOLE}")


@contextmanager
def _any_size() -> Iterator[None]:
    """Pillow without its own limit of pixels: ours stands in its place."""
    from PIL import Image

    kept, Image.MAX_IMAGE_PIXELS = Image.MAX_IMAGE_PIXELS, None
    try:
        yield
    finally:
        Image.MAX_IMAGE_PIXELS = kept


def _array(path: str) -> Array:
    """The pictures of a .npy file as grey from 0 to 1, float32 [M, H, W] or [M, N]."""
    found = read_npy(path)
    coloured = found.ndim == 4 and found.shape[3] in (1, 3, 4)
    if not (found.ndim in (2, 3) or coloured) or not found.size:
        shapes = "(pictures, height, width), with 3 colours or without, or (pictures, numbers)"
        raise ValueError(f"{path}: found an array of shape {found.shape}, expected {shapes}")
    pixels = _from_zero(found, path)
    if coloured:
        pixels = (
            (pixels[..., :3] @ np.array(_LUMA, np.float32)).clip(0.0, 1.0) if found.shape[3] > 1 else pixels[..., 0]
        )
    return pixels


def _from_zero(pixels: Array, source: str) -> Array:
    """Numbers scaled to 0 to 1, from the smallest of the usual ranges that holds all of them."""
    bad = np.argwhere(~np.isfinite(pixels))
    if len(bad):
        at = tuple(int(place) for place in bad[0])
        raise ValueError(f"{source}: pixel {at} is {pixels[at]:g}, expected a finite number")
    least, greatest = float(pixels.min()), float(pixels.max())
    for low, high in _RANGES:
        if low <= least and greatest <= high:
            return ((pixels - np.float64(low)) / (high - low)).astype(np.float32)
    expected = ", ".join(f"{low:g} to {high:g}" for low, high in _RANGES)
    raise ValueError(f"{source}: found numbers from {least:g} to {greatest:g}, expected them within one of {expected}")


def _resized(picture: Array, size: int) -> Array:
    from PIL import Image

    image = Image.fromarray(np.ascontiguousarray(picture, np.float32))
    return np.asarray(image.resize((size, size), Image.Resampling.BILINEAR), np.float32).clip(0.0, 1.0)
