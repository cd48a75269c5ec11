"""Convolutional networks for images: the sizes of the papers, and one that fits small images.

Mnih et al. 2015 (nature): 32 8x8/4, 64 4x4/2, 64 3x3/1, 512. Mnih et al. 2013 (small): 16 8x8/4, 32 4x4/2, 256.
Young and Tian 2019 (tiny): 16 3x3/1, 128. Rectified throughout; the outputs are linear.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Literal, NamedTuple

from msgspec import Meta

if TYPE_CHECKING:
    from torch import nn

Channels = Annotated[int, Meta(ge=1, le=4_096)]
Side = Annotated[int, Meta(ge=1, le=512)]
Frames = Annotated[int, Meta(ge=1, le=64)]


@dataclass(frozen=True)
class ConvSettings:
    """A convolutional network between images and outputs."""

    kind: Literal["fitting", "nature", "small", "tiny"] = "fitting"
    """sizes by paper: Mnih 2015, Mnih 2013, Young and Tian 2019; fitting: nature from 36 x 36 pixels on, else tiny"""
    frames: Frames = 4
    """frames in a stack, the newest last"""
    channels: tuple[Channels, ...] = ()
    """filters of every convolution, in place of those of `kind`; give kernels and strides with them"""
    kernels: tuple[Side, ...] = ()
    """side of every filter, in pixels"""
    strides: tuple[Side, ...] = ()
    """step of every filter, in pixels"""
    hidden: tuple[Channels, ...] = ()
    """units of the dense layers between convolutions and outputs; empty: those of `kind`"""


class ConvLayer(NamedTuple):
    """One convolution."""

    channels: int
    kernel: int  # pixels
    stride: int  # pixels


_BODIES = {
    "nature": ((ConvLayer(32, 8, 4), ConvLayer(64, 4, 2), ConvLayer(64, 3, 1)), (512,)),
    "small": ((ConvLayer(16, 8, 4), ConvLayer(32, 4, 2)), (256,)),
    "tiny": ((ConvLayer(16, 3, 1),), (128,)),
}


class ConvSizes(NamedTuple):
    """The sizes of a convolutional network."""

    inputs: int  # frames times colours
    layers: tuple[ConvLayer, ...]
    flat: int  # units after the last convolution
    hidden: tuple[int, ...]


def make_body(settings: ConvSettings, shape: tuple[int, int, int]) -> ConvSizes:
    """Compute the sizes for frames (C, H, W).

    Raises:
        ValueError: sizes that do not go together, or an image that is too small for them.
    """
    height, width = shape[1:]
    layers, hidden = _layers(settings, min(height, width))
    least = 1
    for layer in reversed(layers):
        least = (least - 1) * layer.stride + layer.kernel
    if min(height, width) < least:
        named = "agent.conv.channels" if settings.channels else f"agent.conv.kind = {settings.kind!r}"
        raise ValueError(
            f"{named}: images of {height} x {width} pixels, expected at least {least} x {least}; "
            "'tiny' takes 3 x 3 and more"
        )
    for layer in layers:
        height, width = ((side - layer.kernel) // layer.stride + 1 for side in (height, width))
    flat = (layers[-1].channels if layers else shape[0] * settings.frames) * height * width
    return ConvSizes(shape[0] * settings.frames, layers, flat, hidden)


def _layers(settings: ConvSettings, side: int) -> tuple[tuple[ConvLayer, ...], tuple[int, ...]]:
    kind = settings.kind if settings.kind != "fitting" else ("nature" if side >= 36 else "tiny")
    layers, hidden = _BODIES[kind]
    custom = (settings.channels, settings.kernels, settings.strides)
    if any(custom):
        if len({len(values) for values in custom}) > 1:
            counts = ", ".join(str(len(values)) for values in custom)
            raise ValueError(f"agent.conv.channels, kernels, strides: {counts} layers, expected as many of each")
        layers = tuple(ConvLayer(*sizes) for sizes in zip(*custom, strict=True))
    return layers, tuple(settings.hidden) or hidden


def pass_bytes(settings: ConvSettings, shape: tuple[int, int, int]) -> int:
    """Return the memory that one stack of frames (C, H, W) takes on its way through a network and back, in bytes."""
    body = make_body(settings, shape)
    height, width = shape[1:]
    pixels = body.inputs * height * width
    units = sum(body.hidden)
    for layer in body.layers:
        height = (height - layer.kernel) // layer.stride + 1
        width = (width - layer.kernel) // layer.stride + 1
        units += layer.channels * height * width
    return 6 * pixels + 12 * units


def conv_builder(settings: ConvSettings, shape: tuple[int, int, int], n_outputs: int) -> Callable[[], nn.Module]:
    """Return the function that builds the module, [B, frames * C, H, W] bytes -> [B, n_outputs].

    Raises:
        ValueError: as :func:`make_body`, at once.
    """
    body = make_body(settings, shape)
    return lambda: _build(body, (*body.hidden, n_outputs))


def encoder_builder(settings: ConvSettings, shape: tuple[int, int, int]) -> Callable[[], nn.Module]:
    """Return the function that builds a module without outputs, [B, frames * C, H, W] bytes -> units [B, hidden[-1]].

    Raises:
        ValueError: as :func:`make_body`, at once.
    """
    body = make_body(settings, shape)

    def build() -> nn.Module:
        from torch import nn

        return nn.Sequential(*_build(body, body.hidden), nn.ReLU())

    return build


def _build(body: ConvSizes, dense_sizes: tuple[int, ...]) -> nn.Sequential:
    from torch import nn

    from agents.common.networks.modules_torch import Pixels, dense

    parts: list[nn.Module] = [Pixels()]
    channels = body.inputs
    for layer in body.layers:
        parts += [nn.Conv2d(channels, layer.channels, layer.kernel, layer.stride), nn.ReLU()]
        channels = layer.channels
    return nn.Sequential(*parts, nn.Flatten(), *dense((body.flat, *dense_sizes)))
