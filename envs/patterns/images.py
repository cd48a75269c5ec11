"""Images of the user: a .npy array, or a folder of image files, whose sub-folders are classes.

Colours become grey; transparent pixels show the background, which is white. Arrays of numbers are read as 0 to 1, -1 to
1, 0 to 255 or 0 to 65535, the first of these that holds all of them. Image files are read strictly, by Pillow, which
comes with matplotlib.
"""

from __future__ import annotations

import os
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

import numpy as np
from msgspec import Meta

from envs.common.patterns.sampling import Patterns, Pool, distinct
from simulator.core.files.escaping import MAX_PATH, shortened, visible
from simulator.core.files.reading import DATA, DEFLATED, UnreadableError, check_size, open_file, read_npy
from simulator.core.memories import PatternSpec
from simulator.core.protocols import Array
from simulator.core.stopping import raise_if_stopped

SUFFIXES = (".png", ".jpg", ".jpeg", ".pgm", ".ppm", ".pbm", ".bmp", ".gif", ".tif", ".tiff")
FORMATS = ("PNG", "JPEG", "PPM", "BMP", "DIB", "GIF", "TIFF")  # of Pillow; others can start programs
_WHOLE = "a whole image"
_PIXEL = 8  # bytes of a pixel while it is unpacked, and afterwards
_KEPT = 4
_RANGES = ((0.0, 1.0), (-1.0, 1.0), (0.0, 255.0), (0.0, 65535.0))
_SHADES = (np.arange(256) / 255.0).astype(np.float32)  # of grey in one byte
_LUMA = (0.299, 0.587, 0.114)  # red, green, blue: ITU-R BT.601


@dataclass(frozen=True)
class Config:
    """Settings of pictures."""

    path: str = ""
    """a .npy file of shape (pictures, height, width), or a folder of images"""
    size: Annotated[int, Meta(ge=0, le=1024)] = 0
    """pixels along a side that pictures are resized to; 0: as they are, and then they must agree"""
    levels: Literal["two", "grey"] = "two"
    """two: pixels are -1 or +1 by the threshold; grey: scaled to -1 to 1"""
    threshold: Annotated[float, Meta(ge=0.0, lt=1.0)] | None = None
    """fraction of white above which a pixel is +1, with levels = two; none: 0.5, but numbers between -1 and 1 are
    refused where some are below 0"""
    background: Annotated[float, Meta(ge=0.0, le=1.0)] = 1.0
    """brightness that shows through where a picture is transparent: 1 is white, 0 black"""


def files(config: Config) -> list[str]:
    """Return the files that the patterns are read from."""
    path = Path(config.path)
    paths = sorted(path.rglob("*")) if os.path.isdir(config.path) else [path]
    return [str(file) for file in paths if os.path.isfile(file)]


def make(seed_list: Sequence[int], config: Config) -> Patterns:
    """Make the pictures, in a random order for every seed.

    Raises:
        ValueError: no path, an unreadable or truncated file, sizes that differ, a pixel that is not finite, or one
            between -1 and 1 that two levels would turn into one of them unasked; one line.
    """
    if not config.path:
        raise ValueError("images: path = '': expected a .npy file or a folder of images")
    pool, shape = _pool(config)
    return Patterns("images", PatternSpec(shape, config.levels == "two"), len(pool.values), seed_list, pool.row)


def _pool(config: Config) -> tuple[Pool, tuple[int, ...]]:
    accepts_any = config.levels == "grey" or config.threshold is not None
    pictures, labels = read_pictures(config.path, config.size, config.background, signs=not accepts_any)
    threshold = 0.5 if config.threshold is None else config.threshold
    pool = Pool(pictures.reshape(len(pictures), -1), labels, config.levels, threshold, 1.0)
    return distinct("images", pool), pictures.shape[1:]


def read_pictures(path: str, size: int = 0, background: float = 1.0, *, signs: bool = False) -> tuple[Array, Array]:
    """Read pictures float32 [M, H, W] (or [M, N]) from 0 to 1, and their classes, int64 [M].

    The classes are those of the sub-folders that the files are in, in alphabetical order; -1 where there are none.

    Args:
        path: a .npy file, or a folder.
        size: pixels along a side that they are resized to; 0: as they are.
        background: brightness from 0 to 1 that shows through where a picture is transparent.
        signs: of an array of numbers from -1 to 1, take only these two.

    Raises:
        ValueError: nothing there, an unreadable file, one of another size, numbers in no usual range; one line.
        Stopped: a signal asked to stop; see :mod:`simulator.core.stopping`.
    """
    if os.path.isdir(path):
        return _folder(Path(path), size, background)
    if not os.path.exists(path):
        raise ValueError(
            f"{visible(shortened(path, MAX_PATH))}: no such file or folder, expected a .npy file or a folder of images"
        )
    pictures = _array(path, background, signs=signs)
    if size and pictures.ndim == 2:
        raise ValueError(f"{path}: found {pictures.shape[1]} numbers in a row, expected height and width to resize")
    if size:
        pictures = np.stack([_resized(picture, size) for picture in pictures])
    return pictures, np.full(len(pictures), -1)


def _folder(folder: Path, size: int, background: float) -> tuple[Array, Array]:
    files = sorted(file for file in folder.rglob("*") if file.suffix.lower() in SUFFIXES and not file.is_dir())
    if not files:
        raise ValueError(f"{folder}: found no images, expected files that end in {' '.join(SUFFIXES)}")
    _check_heads(files, size)
    pictures = [_resized(_image(file, background), size) if size else _image(file, background) for file in files]
    for file, picture in zip(files, pictures, strict=True):
        if picture.shape != pictures[0].shape:
            found, expected = ("{1} x {0}".format(*image.shape) for image in (picture, pictures[0]))
            named = f"{expected} as in {files[0].name}, or a size to resize them to"
            raise ValueError(f"{file}: found {found} pixels, expected {named}")
    classes = sorted({file.parent for file in files} - {folder})
    labels = [classes.index(file.parent) if file.parent in classes else -1 for file in files]
    return np.stack(pictures), np.array(labels, np.int64)


def _check_heads(files: Sequence[Path], size: int) -> None:
    """Refuse, by the heads of the files, more pictures than may be unpacked, before one of them is."""
    n_bytes = 0
    for file in files:
        raise_if_stopped()
        with _opened(file) as image:
            width, height = image.size
        _check_pixels(file, width, height, n_bytes)
        n_bytes += _KEPT * (size * size if size else width * height)


def _check_pixels(file: Path, width: int, height: int, before: int = 0) -> None:
    unit = f"bytes unpacked, {width:,} x {height:,} pixels here"
    check_size(before + width * height * _PIXEL, DATA, file, unit)


def _image(file: Path, background: float) -> Array:
    """Read one image file as grey from 0 to 1, float32 [H, W], laid on a background where it is transparent."""
    raise_if_stopped()
    with _opened(file) as image:
        _check_pixels(file, *image.size)  # again: this is the one that is unpacked
        mode = image.mode
        clear = image.info.get("transparency")
        if mode[0] not in "IF":
            return _grey_of_bytes(image, background)
        pixels = np.asarray(image).astype(np.float64)
    if mode == "F":
        return _scale_to_unit(pixels, visible(str(file)))
    through = pixels == clear if isinstance(clear, int) else np.zeros(pixels.shape, np.bool_)
    pixels /= 65535.0
    pixels[through] = background
    return pixels.clip(0.0, 1.0, out=pixels).astype(np.float32)


def _grey_of_bytes(image: Any, background: float) -> Array:
    """Return an image of bytes as grey from 0 to 1."""
    if not image.has_transparency_data:
        return _SHADES[np.asarray(image.convert("L"))]
    layers = image.convert("RGBA")
    opaque = np.asarray(layers.getchannel("A")) / np.float32(255.0)
    return _blend(_SHADES[np.asarray(layers.convert("L"))], opaque, background)


def _blend(grey: Array, opaque: Array, background: float) -> Array:
    """Blend grey pixels, opaque as given, with a background; all from 0 to 1."""
    return np.asarray(grey * opaque + np.float32(background) * (np.float32(1.0) - opaque), np.float32)


@contextmanager
def _opened(file: Path) -> Iterator[Any]:
    """Open an image of Pillow's, read its head only, and check that it declares no more than its bytes can hold.

    Raises:
        ValueError: no regular file, no image, or one that cannot be unpacked; one line.
    """
    from PIL import Image

    with open_file(file, _WHOLE) as page:
        try:
            with warnings.catch_warnings(), _any_size():
                warnings.simplefilter("ignore")
                with Image.open(page, formats=FORMATS) as image:
                    width, height = image.size
                    size = os.fstat(page.fileno()).st_size
                    if image.format == "PNG" and width * height > 8 * DEFLATED * size:
                        declared = f"{width:,} x {height:,} pixels, more than its {size:,} bytes can hold"
                        raise ValueError(f"found {declared}")
                    yield image
        except UnreadableError:
            raise
        except Exception as error:  # a decoder can fail in every way
            reason = visible(" ".join(str(error).split())) or type(error).__name__
            raise ValueError(f"{visible(str(file))}: cannot be read: {reason}, expected {_WHOLE}") from error


@contextmanager
def _any_size() -> Iterator[None]:
    """Switch off Pillow's limit of pixels: ours stands in its place."""
    from PIL import Image

    limit = Image.MAX_IMAGE_PIXELS
    Image.MAX_IMAGE_PIXELS = None
    try:
        yield
    finally:
        Image.MAX_IMAGE_PIXELS = limit


def _array(path: str, background: float, *, signs: bool) -> Array:
    """Read the pictures of a .npy file as grey from 0 to 1, float32 [M, H, W] or [M, N]."""
    array = read_npy(path)
    coloured = array.ndim == 4 and array.shape[3] in (1, 3, 4)
    if not (array.ndim in (2, 3) or coloured) or not array.size:
        shapes = "(pictures, height, width), with 3 colours or without, or (pictures, numbers)"
        raise ValueError(f"{path}: found an array of shape {array.shape}, expected {shapes}")
    pixels = _scale_to_unit(array, path)
    if signs and array.min() < 0.0:
        _check_signs(array, path)
    if not coloured:
        return pixels
    grey = (pixels[..., :3] @ np.array(_LUMA, np.float32)).clip(0.0, 1.0) if array.shape[3] > 1 else pixels[..., 0]
    return _blend(grey, pixels[..., 3], background) if array.shape[3] == 4 else grey


def _check_signs(signs: Array, path: str) -> None:
    """Refuse numbers between -1 and 1 where two levels are asked for without a threshold."""
    between = np.argwhere(np.abs(signs) != 1)
    if len(between):
        at = tuple(int(place) for place in between[0])
        turned = "+1" if signs[at] > 0 else "-1"
        advice = f"with levels = two it would become {turned}; levels = grey keeps it, and threshold = 0.5 allows it"
        raise ValueError(f"{path}: pixel {at} is {signs[at]:g}, expected -1 or +1: {advice}")


def _scale_to_unit(pixels: Array, source: str) -> Array:
    """Scale numbers to 0 to 1, from the smallest of the usual ranges that holds all of them."""
    bad = np.argwhere(~np.isfinite(pixels))
    if len(bad):
        at = tuple(int(place) for place in bad[0])
        raise ValueError(f"{source}: pixel {at} is {pixels[at]:g}, expected a finite number")
    least = float(pixels.min())
    greatest = float(pixels.max())
    for low, high in _RANGES:
        if low <= least and greatest <= high:
            return ((pixels - np.float64(low)) / (high - low)).astype(np.float32)
    expected = ", ".join(f"{low:g} to {high:g}" for low, high in _RANGES)
    raise ValueError(f"{source}: found numbers from {least:g} to {greatest:g}, expected them within one of {expected}")


def _resized(picture: Array, size: int) -> Array:
    from PIL import Image

    raise_if_stopped()
    image = Image.fromarray(np.ascontiguousarray(picture, np.float32))
    return np.asarray(image.resize((size, size), Image.Resampling.BILINEAR), np.float32).clip(0.0, 1.0)


if __name__ == "__main__":
    import sys

    from envs.common.patterns.demo import show_patterns

    show_patterns("images", make([0], Config(path="".join(sys.argv[1:]))))
