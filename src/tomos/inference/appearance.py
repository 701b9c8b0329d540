"""What a prepared picture looks like, as a few numbers: where it is bright, how its grain is, how
its values spread. Nothing here knows of a disease; it tells a chest film from a blood smear.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np

PLACES = 16  # the picture as PLACES x PLACES mean values
EDGES = 10  # edges are counted on EDGES x EDGES cells, at two sizes
LEVELS = 4  # of grain, each half as fine as the one before
QUANTILES = 17
SAMPLED = 64  # values are sampled on at most SAMPLED x SAMPLED pixels
WHY = {
    "placement": "bright and dark lie elsewhere",
    "edges": "edges lie elsewhere",
    "texture": "its grain is another",
    "intensity": "its grey values spread differently",
    "features": "the network sees in it what it never saw in training",
}


def describe(x_BCYX: np.ndarray, scale: float) -> dict[str, np.ndarray]:
    """View -> (B, D) float32 of prepared pictures; `scale` is the spread of training pixels.

    placement  each picture brought to mean 0 and spread 1, on a 16 x 16 grid
    edges      logarithm of the mean absolute slope on a 10 x 10 grid, at two sizes
    texture    logarithm of the mean absolute slope along X, along Y, and curvature, at four sizes
    intensity  17 quantiles a channel, and the share of its lowest and highest value
    """
    grey = x_BCYX.mean(axis=1, dtype=np.float32)
    mean = grey.mean(axis=(1, 2), keepdims=True)
    spread = grey.std(axis=(1, 2), keepdims=True)
    # The small share of `scale` keeps an empty picture from becoming amplified noise.
    alike = (grey - mean) / (spread + 0.02 * scale)
    places = _average(alike, (PLACES, PLACES)).reshape(len(grey), -1)
    return {
        "placement": places,
        "edges": _edges(alike),
        "texture": _texture(alike),
        "intensity": _intensity(x_BCYX),
    }


def empty(x_BCYX: np.ndarray, scale: float) -> np.ndarray:
    """(B,) whether a picture holds nothing: every channel a single value."""
    flat = x_BCYX.reshape(*x_BCYX.shape[:2], -1)
    return (np.ptp(flat, axis=2) < 1e-4 * scale).all(axis=1)


def _edges(x_BYX: np.ndarray) -> np.ndarray:
    columns = []
    for _ in range(2):
        slope = np.zeros_like(x_BYX)
        slope[:, :, :-1] += np.abs(np.diff(x_BYX, axis=2))
        slope[:, :-1] += np.abs(np.diff(x_BYX, axis=1))
        columns.append(np.log(0.02 + _average(slope, (EDGES, EDGES))).reshape(len(x_BYX), -1))
        y, x = x_BYX.shape[1:]
        x_BYX = _average(x_BYX, (max(1, y // 2), max(1, x // 2)))
    return np.concatenate(columns, axis=1).astype(np.float32)


def _texture(x_BYX: np.ndarray) -> np.ndarray:
    columns = []
    for level in range(LEVELS):
        y, x = x_BYX.shape[1:]
        if min(y, x) < 3:
            # Pictures that are too small for a level have nothing there, all of them alike.
            columns += [np.zeros(len(x_BYX), np.float32)] * 3
            continue
        inner = x_BYX[:, 1:-1, 1:-1]
        curve = 4 * inner - x_BYX[:, :-2, 1:-1] - x_BYX[:, 2:, 1:-1]
        curve -= x_BYX[:, 1:-1, :-2] + x_BYX[:, 1:-1, 2:]
        for slope in (np.diff(x_BYX, axis=2), np.diff(x_BYX, axis=1), curve):
            columns.append(np.log(1e-3 + np.abs(slope).mean(axis=(1, 2))))
        if level + 1 < LEVELS:
            x_BYX = _average(x_BYX, (max(1, y // 2), max(1, x // 2)))
    return np.stack(columns, axis=1).astype(np.float32)


def _intensity(x_BCYX: np.ndarray) -> np.ndarray:
    step = max(1, min(x_BCYX.shape[2:]) // SAMPLED)
    values = np.sort(
        x_BCYX[:, :, ::step, ::step].reshape(*x_BCYX.shape[:2], -1).astype(np.float32), axis=2
    )
    where = np.rint(np.linspace(0.02, 0.98, QUANTILES) * (values.shape[2] - 1)).astype(int)
    lowest = (values == values[:, :, :1]).mean(axis=2)
    highest = (values == values[:, :, -1:]).mean(axis=2)
    columns = np.concatenate([values[:, :, where], np.stack([lowest, highest], axis=2)], axis=2)
    return columns.reshape(len(values), -1).astype(np.float32)


def _average(x_BYX: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """Area averages on a grid of `size`; a pixel cut by a border counts by its parts."""
    return _shares(x_BYX.shape[1], size[0]) @ x_BYX @ _shares(x_BYX.shape[2], size[1]).T


@lru_cache(maxsize=64)
def _shares(length: int, parts: int) -> np.ndarray:
    """(parts, length) float32: how much each pixel counts in each part; rows sum to 1."""
    edges = np.linspace(0, length, parts + 1)
    pixel = np.arange(length)
    overlap = np.minimum(edges[1:, None], pixel + 1) - np.maximum(edges[:-1, None], pixel)
    shares = np.clip(overlap, 0, None)
    return (shares / shares.sum(axis=1, keepdims=True)).astype(np.float32)
