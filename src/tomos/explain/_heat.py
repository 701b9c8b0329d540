"""What all maps have in common: their size, their scale, and how they are laid over a picture."""

from __future__ import annotations

from typing import Any

import numpy as np

from tomos.types import Image


def targets(target: int | np.ndarray, count: int) -> np.ndarray:
    """(B,) int64 class indices from one index or one for each picture."""
    return np.broadcast_to(np.asarray(target, np.int64), (count,))


def against_others(scores: Any, kind: str) -> Any:
    """(B, K, ...) of all classes -> what speaks for each more than for their mean; numpy or torch.

    Softmax does not change when the logits of all classes rise together, so neither may a map: what
    every class has in common is no reason for any. The labels of "multilabel" stand for themselves.
    """
    return scores if kind == "multilabel" else scores - scores.mean(1)[:, None]


def to_unit(maps_BYX: np.ndarray) -> np.ndarray:
    """What speaks for the class: negative values become 0, the largest of each map 1."""
    kept = np.maximum(np.asarray(maps_BYX, np.float32), 0)
    peak = kept.max(axis=(1, 2), keepdims=True)
    return np.divide(kept, peak, out=np.zeros_like(kept), where=peak > 1e-12)


def enlarge(maps: np.ndarray, size: tuple[int, ...]) -> np.ndarray:
    """(B, y, x) -> (B, Y, X), or (B, z, y, x) -> (B, Z, Y, X), by cubic convolution between the
    centres of the cells.

    A finding between two cells peaks between their centres, which straight lines would not show.
    Keys 1981, doi:10.1109/TASSP.1981.1163711.
    """
    found = np.asarray(maps, np.float32)
    for axis, length in enumerate(size, 1):
        weights = _weights(found.shape[axis], length)
        found = np.moveaxis(np.tensordot(weights, found, axes=(1, axis)), 0, axis)
    return np.ascontiguousarray(found, np.float32)


def _weights(short: int, long: int) -> np.ndarray:
    """(long, short): the share of each cell in each pixel; beyond the outer centres they stay."""
    at = np.clip((np.arange(long) + 0.5) * short / long - 0.5, 0, short - 1)
    low = np.floor(at).astype(int)
    weights = np.zeros((long, short), np.float32)
    for step in (-1, 0, 1, 2):
        far = np.abs(at - (low + step))
        near = 1 - 2.5 * far**2 + 1.5 * far**3
        weight = np.where(far < 1, near, np.clip(2 - 4 * far + 2.5 * far**2 - 0.5 * far**3, -1, 0))
        cell = np.clip(low + step, 0, short - 1)
        np.add.at(weights, (np.arange(long), cell), np.where(far < 2, weight, 0))
    return weights


def overlay(picture: np.ndarray, heat: np.ndarray, strength: float = 0.6) -> np.ndarray:
    """(3, Y, X) uint8: a grey or colour picture (C, Y, X) in 0..1 under a heat map (Y, X) in 0..1.

    Where the map is 0 the picture is as it was; the colours run black, red, yellow, white.
    """
    base = np.broadcast_to(picture[:3] if len(picture) >= 3 else picture[:1], (3, *heat.shape))
    colour = np.clip(np.stack([3 * heat, 3 * heat - 1, 3 * heat - 2]), 0, 1)
    weight = strength * heat[None]
    mixed = base * (1 - weight) + colour * weight
    return np.round(np.clip(mixed, 0, 1) * 255).astype(np.uint8)


def shown(image: Image) -> np.ndarray:
    """(C, Y, X) float32 in 0..1 of a picture, through its window, else from 1st to 99th percentile
    (8-bit pictures: as they are); of several images on one grid of the first."""
    image = image.first
    pixels = image.pixels.astype(np.float32)
    if image.window is not None:
        low = image.window.centre - image.window.width / 2
        high = low + image.window.width
    elif image.pixels.dtype == np.uint8:
        low, high = 0.0, 255.0
    else:
        low, high = (float(v) for v in np.percentile(pixels, [1, 99]))
    return np.clip((pixels - low) / max(high - low, 1e-6), 0, 1)
