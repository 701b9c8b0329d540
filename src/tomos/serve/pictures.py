"""An image as a person sees it: the displayed picture, its exact values, and a heat map, as PNG."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from tomos.formats import png_bytes
from tomos.types import Image

LONGEST = 2048  # pixels along the longer side of a picture sent to a page
LONGEST_MAP = 512  # heat maps are smooth; the page stretches them
FAST = 1  # zlib level: 3x faster than 6 for a tenth more bytes

# Position, red, green, blue, opacity. From nothing over violet and orange to pale yellow: lightness
# rises all along, so the map reads the same in grey and for colour-blind eyes. The page's colour
# bar (web/src/styles/viewer.css) shows the same stops.
HEAT = np.array(
    [
        (0.00, 38, 12, 81, 0),
        (0.20, 80, 18, 123, 60),
        (0.45, 182, 54, 121, 150),
        (0.70, 251, 135, 97, 205),
        (0.90, 254, 206, 130, 235),
        (1.00, 252, 245, 191, 245),
    ]
)


@dataclass(frozen=True, slots=True)
class Shown:
    """A picture (H, W) as PNG; `low` and `high` are the values shown black and white.

    `step` is how many pixels of the image one pixel of the picture stands for.
    """

    png: bytes
    width: int
    height: int
    low: float
    high: float
    step: int


@dataclass(frozen=True, slots=True)
class Values:
    """Exact grey values as an RGB PNG: value = `intercept` + `slope` * (256 * red + green).

    A browser decodes 16-bit PNG to 8 bits; two 8-bit channels reach the page whole.
    """

    png: bytes
    slope: float
    intercept: float


def plane(image: Image) -> tuple[np.ndarray, int]:
    """(C, Y, X) to look at, thinned to at most LONGEST, and the thinning step.

    A volume shows its middle slice; other channel counts than 3 show the first channel,
    and several images on one grid the first image.
    """
    pixels = image.first.pixels
    if image.is_volume:
        pixels = pixels[:, pixels.shape[1] // 2]
    pixels = pixels[:3] if pixels.shape[0] == 3 else pixels[:1]
    step = thinning(pixels.shape[1:])
    return pixels[:, ::step, ::step], step


def thinning(size: Sequence[int]) -> int:
    """Every how many-th pixel of a picture of `size` (Y, X) is sent."""
    return -(-max(size) // LONGEST)


def slice_of(volume: Image, z: int) -> Image:
    """Slice `z` of a volume as a picture, where it lies."""
    affine = volume.affine.copy()
    affine[:3, 3] += z * affine[:3, 0]
    return volume.with_pixels(volume.pixels[:, z], affine=affine)


def window_of(image: Image, pixels: np.ndarray) -> tuple[float, float]:
    """The range to show: what the file asks for, else all of 8 bits, else all but the extremes."""
    if image.window is not None and image.window.width > 0:
        half = image.window.width / 2
        return image.window.centre - half, image.window.centre + half
    if pixels.dtype == np.uint8 or pixels.dtype == np.bool_:
        return 0.0, 255.0 if pixels.dtype == np.uint8 else 1.0
    thin = pixels[:, ::4, ::4] if pixels.size > 1 << 18 else pixels
    finite = thin[np.isfinite(thin)]
    if finite.size == 0:
        return 0.0, 1.0
    low, high = np.percentile(finite, (0.5, 99.5))
    return (float(low), float(high)) if high > low else (float(low), float(low) + 1.0)


def picture(image: Image) -> Shown:
    """The image in its window as 8-bit PNG, grey or colour."""
    pixels, step = plane(image)
    low, high = window_of(image, pixels)
    if pixels.dtype == np.uint8 and (low, high) == (0.0, 255.0):
        bytes_CYX = pixels
    else:
        scaled = (pixels.astype(np.float32) - low) * (255.0 / (high - low))
        bytes_CYX = np.nan_to_num(np.clip(scaled, 0, 255)).round().astype(np.uint8)
    height, width = bytes_CYX.shape[1:]
    return Shown(png_bytes(bytes_CYX, FAST), width, height, low, high, step)


def values(image: Image) -> Values | None:
    """The grey values behind `picture`; None for colour and for 8 bits, where it holds them all."""
    pixels, _ = plane(image)
    if pixels.shape[0] != 1 or pixels.dtype in (np.uint8, np.bool_):
        return None
    finite = pixels[np.isfinite(pixels)]
    low, high = (float(finite.min()), float(finite.max())) if finite.size else (0.0, 1.0)
    whole = pixels.dtype.kind in "iu" and high - low <= 65535
    slope = 1.0 if whole else max((high - low) / 65535, 1e-12)
    codes = np.nan_to_num((pixels[0].astype(np.float64) - low) / slope, posinf=65535, neginf=0)
    code = np.clip(np.rint(codes), 0, 65535).astype(np.uint16)
    halves = np.stack([code >> 8, code & 255, np.zeros_like(code)]).astype(np.uint8)
    return Values(png_bytes(halves, FAST), slope, low)


def heat_png(heat: Image) -> tuple[bytes, int, int]:
    """A map in 0..1 as a coloured RGBA PNG to lay over the picture; its bytes, width, height."""
    pixels = heat.pixels[0]
    if pixels.ndim == 3:
        pixels = pixels[pixels.shape[0] // 2]
    step = -(-max(pixels.shape) // LONGEST_MAP)
    codes = (np.clip(np.nan_to_num(pixels[::step, ::step]), 0, 1) * 255).astype(np.uint8)
    rgba = np.moveaxis(_TABLE[codes], -1, 0)
    return png_bytes(rgba, FAST), codes.shape[1], codes.shape[0]


def _table() -> np.ndarray:
    """(256, 4) uint8: colour and opacity by heat."""
    at = np.linspace(0, 1, 256)
    columns = [np.interp(at, HEAT[:, 0], HEAT[:, i]) for i in range(1, 5)]
    return np.stack(columns, axis=-1).round().astype(np.uint8)


_TABLE = _table()
