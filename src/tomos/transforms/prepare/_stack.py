"""Steps that treat every picture of a stack alike, and what such steps share."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from math import gcd
from typing import Annotated, Any

import numpy as np
from pydantic import Field

from tomos.config import Settings
from tomos.types import FormatError, Image
from tomos.types.words import counted

Channel = Annotated[int, Field(ge=0)]

# Percentiles are taken from at most this many evenly spread pixels: finer than any use of them.
_SAMPLES = 2**16


class StackStep(Settings):
    """A step whose new grid depends on nothing but size and header, so that N images go at once.

    A child has `stack(x, like)`: x is (N, C, Y, X) or (N, C, Z, Y, X), the pixels of N images which
    `kin` found alike, and `like` one of them, of which only what `kin` compares may be used, and
    the affine to derive the new one. It returns the new pixels and the fields of `Image` that
    changed. It must not write into x.
    """

    def stack(self, x: np.ndarray, like: Image) -> tuple[np.ndarray, dict[str, Any]]:
        raise NotImplementedError

    def __call__(self, image: Image) -> Image:
        x, changes = self.stack(image.pixels[None], image)
        return image.with_pixels(x[0], **changes)


def of_some(
    stack: Callable[..., tuple[np.ndarray, dict[str, Any]]], only: Sequence[int]
) -> Callable[..., tuple[np.ndarray, dict[str, Any]]]:
    """The `stack` of a step for the channels `only`; the others pass as they are.

    Raises FormatError where there are no such channels.
    """

    def some(x: np.ndarray, like: Image) -> tuple[np.ndarray, dict[str, Any]]:
        picked = list(only)
        if max(picked) >= x.shape[1]:
            raise FormatError(
                f"{like.origin.path or 'image'}: expected a channel {max(picked)}, counted from 0, "
                f"got {counted(x.shape[1], 'channel')}"
            )
        out = x.astype(np.float32)
        part = np.ascontiguousarray(x[:, picked])
        out[:, picked] = stack(part, like)[0]
        return out, {"value_range": None, "window": None, "unit": "1"}

    return some


def kin(image: Image) -> tuple:
    """What must be equal for images to be prepared as one stack."""
    a = image.affine[:3, :3]
    spacing = np.round(np.sqrt((a * a).sum(axis=0)), 6).tolist()
    return (
        image.pixels.shape,
        image.pixels.dtype.str,
        image.value_range,
        image.window,
        image.unit,
        image.frame,
        image.parts,
        *spacing,
        # Only a volume's axes are turned, so only there does the direction count.
        a.round(6).tobytes() if image.is_volume else b"",
    )


def limits(image: Image) -> tuple[float, float] | None:
    """The lowest and highest value the pixels could have, None when not bounded."""
    if image.value_range is not None:
        return image.value_range
    if image.pixels.dtype.kind == "b":
        return 0.0, 1.0
    if image.pixels.dtype.kind in "iu":
        info = np.iinfo(image.pixels.dtype)
        return float(info.min), float(info.max)
    return None


def flat(x: np.ndarray) -> np.ndarray:
    """(N, ...) -> (N, P) float32."""
    return np.ascontiguousarray(x, dtype=np.float32).reshape(len(x), -1)


def percentiles(x: np.ndarray, low: float, high: float) -> tuple[np.ndarray, np.ndarray]:
    """Two percentiles (0..100) of each picture of (N, ...): arrays (N,) float32."""
    pixels = x.reshape(len(x), -1)
    step = -(-pixels.shape[1] // _SAMPLES)
    # A step that shares a factor with the width would look at the same columns again and again.
    while step > 1 and gcd(step, x.shape[-1]) > 1:
        step += 1
    found = np.percentile(pixels[:, ::step].astype(np.float32), (low, high), axis=1)
    return found[0].astype(np.float32), found[1].astype(np.float32)


def along(values: np.ndarray, x: np.ndarray) -> np.ndarray:
    """(N,) shaped so that it multiplies (N, C, ...)."""
    return values.reshape(-1, *[1] * (x.ndim - 1))
