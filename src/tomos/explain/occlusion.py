"""Occlusion: how much the class's log-odds fall when a patch is covered.

    M(y, x) = mean over the patches p that cover (y, x) of  s(x) - s(x with p covered)
    s = log p / (1 - p), p the probability of the class

A patch is covered by its surroundings: the picture blurred with a wide mean, so that no new edge or
brightness is brought in, as a grey square would. Forward passes only; needs no torch and works for
every network. About (2 GRID)^2 passes a picture.

Zeiler, Fergus: Visualizing and Understanding Convolutional Networks. ECCV 2014, arXiv:1311.2901.
Covering by blur: Fong, Vedaldi: Interpretable Explanations of Black Boxes. ICCV 2017,
arXiv:1704.03296.
"""

from __future__ import annotations

from itertools import product

import numpy as np

from tomos.explain._heat import targets, to_unit
from tomos.inference import Network

NEEDS_TORCH = False
GRID = 7  # patches along a side; neighbours overlap by half
BATCH = 64


def explain(
    net: Network, x_BCYX: np.ndarray, target: int | np.ndarray, kind: str = "class"
) -> np.ndarray:
    """maps_BYX."""
    x = np.asarray(x_BCYX, np.float32)
    chosen = targets(target, len(x))
    maps = [_one(net, picture, int(k), kind) for picture, k in zip(x, chosen, strict=True)]
    return to_unit(np.stack(maps))


def _one(net: Network, x_CYX: np.ndarray, target: int, kind: str) -> np.ndarray:
    size = x_CYX.shape[1:]
    patches = [tuple(map(_soft, pair, size)) for pair in product(*(_patches(n) for n in size))]
    covers = np.stack([np.minimum.outer(rows, columns) for rows, columns in patches])
    blurred = _surroundings(x_CYX)
    scores = [_score(net, x_CYX[None], target, kind)]
    for start in range(0, len(covers), BATCH):
        cover = covers[start : start + BATCH, None]
        scores.append(_score(net, x_CYX * (1 - cover) + blurred * cover, target, kind))
    fall = scores[0] - np.concatenate(scores[1:])
    return np.tensordot(fall, covers, axes=(0, 0)) / np.maximum(covers.sum(axis=0), 1e-6)


def _patches(length: int) -> list[tuple[int, int]]:
    """(start, stop) of patches of a seventh of the side, every half patch, the last at the end."""
    side = max(1, -(-length // GRID))
    starts = sorted({*range(0, max(1, length - side + 1), max(1, side // 2)), length - side})
    return [(start, start + side) for start in starts]


def _soft(patch: tuple[int, int], length: int) -> np.ndarray:
    """(length,) float32: 1 in the patch, 0 outside."""
    cover = np.zeros(length, np.float32)
    cover[patch[0] : patch[1]] = 1
    return cover


def _surroundings(x_CYX: np.ndarray) -> np.ndarray:
    """Means over windows of three patches, by running sums along each axis."""
    for axis in (1, 2):
        length = x_CYX.shape[axis]
        radius = max(1, 3 * (-(-length // GRID)) // 2)
        x_CYX = _running_mean(np.moveaxis(x_CYX, axis, -1), radius)
        x_CYX = np.moveaxis(x_CYX, -1, axis)
    return x_CYX.astype(np.float32)


def _running_mean(x: np.ndarray, radius: int) -> np.ndarray:
    """Along the last axis; windows are cut at the borders."""
    total = np.concatenate([np.zeros((*x.shape[:-1], 1)), np.cumsum(x, axis=-1, dtype=float)], -1)
    at = np.arange(x.shape[-1])
    low, high = np.maximum(at - radius, 0), np.minimum(at + radius + 1, x.shape[-1])
    return (total[..., high] - total[..., low]) / (high - low)


def _score(net: Network, x_BCYX: np.ndarray, target: int, kind: str) -> np.ndarray:
    """(B,) log-odds of the class; a logit that stands alone is its own log-odds."""
    logits = net({"image": np.asarray(x_BCYX, np.float32)}, ("logits",))["logits"].astype(float)
    others = np.delete(logits, target, axis=1)
    if kind == "multilabel" or not others.shape[1]:
        return logits[:, target]
    peak = others.max(axis=1, keepdims=True)
    return logits[:, target] - (peak[:, 0] + np.log(np.exp(others - peak).sum(axis=1)))
