"""Occlusion: how much the class's log-odds fall when a patch is covered.

    M(y, x) = mean over the patches p that cover (y, x) of  s(x) - s(x with p covered)
    s = log p / (1 - p), p the probability of the class

A patch is covered by its surroundings: the picture blurred with a wide mean, so that no new edge or
brightness is brought in, as a grey square would. Forward passes only; needs no torch and works for
every network. About (2 GRID)^2 passes a picture.

Of an outlined region s is the sum of the log-odds over its places, and of an image at most about
`RUNS` runs of a tile are made, so that blocks are coarser in a volume than in a picture.

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
RUNS = {2: 512, 3: 64}  # of a tile of so many axes
TOGETHER = 2  # tiles, which may be as large as the network ever sees


def explain(
    net: Network, x_BCYX: np.ndarray, target: int | np.ndarray, kind: str = "class"
) -> np.ndarray:
    """maps_BYX."""
    x = np.asarray(x_BCYX, np.float32)
    chosen = targets(target, len(x))
    maps = [_one(net, picture, int(k), kind) for picture, k in zip(x, chosen, strict=True)]
    return to_unit(np.stack(maps))


def explain_mask(
    net: Network, x: np.ndarray, inside: np.ndarray, target: int, tiles: int = 1
) -> np.ndarray:
    """Of one tile x (C, [Z,] Y, X) and its outlined places: (...) float32, not scaled.

    tiles  how many the image has, which share its runs
    """
    axes = inside.ndim
    along = max(2, int((RUNS[axes] / tiles) ** (1 / axes) + 1e-9))
    blocks = list(product(*(_blocks(n, along) for n in inside.shape)))
    blurred = _surroundings(x, (along + 1) // 2)
    whole = _mask_scores(net, x[None], inside, target)[0]
    total, times = np.zeros(inside.shape, np.float32), np.zeros(inside.shape, np.float32)
    for start in range(0, len(blocks), TOGETHER):
        part = blocks[start : start + TOGETHER]
        covered = np.repeat(x[None], len(part), axis=0)
        for row, block in zip(covered, part, strict=True):
            row[(slice(None), *block)] = blurred[(slice(None), *block)]
        for block, score in zip(part, _mask_scores(net, covered, inside, target), strict=True):
            near = _near(block)
            total[block] += near * (whole - score)
            times[block] += near
    return np.maximum(total / times, 0)


def _blocks(length: int, along: int) -> list[slice]:
    """At most `along` blocks, neighbours overlapping by half, which cover a side."""
    along = min(along, length)
    side = min(length, -(-2 * length // (along + 1)))
    starts = np.unique(np.rint(np.linspace(0, length - side, along)).astype(int))
    return [slice(start, start + side) for start in starts.tolist()]


def _near(block: tuple[slice, ...]) -> np.ndarray:
    """How near each place of a block lies to its middle, above 0: few blocks would else be seen in
    the map rather than what they cover."""
    found = np.ones((1,) * len(block), np.float32)
    for axis, part in enumerate(block):
        n = part.stop - part.start
        tent = 1 - np.abs(np.arange(n) - (n - 1) / 2) / (n / 2 + 0.5)
        found = found * tent.reshape([-1 if a == axis else 1 for a in range(len(block))])
    return found.astype(np.float32)


def _mask_scores(net: Network, x: np.ndarray, inside: np.ndarray, target: int) -> np.ndarray:
    """(B,) log-odds of the class, summed over the outlined places, of tiles x (B, C, ...)."""
    given = np.ascontiguousarray(x, np.float32)
    logits = net({"image": given}, ("logits",))["logits"][:, :, inside].astype(float)
    others = np.delete(logits, target, axis=1)
    peak = others.max(axis=1)
    rest = peak + np.log(np.exp(others - peak[:, None]).sum(axis=1))
    return (logits[:, target] - rest).sum(axis=1)


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


def _surroundings(x: np.ndarray, grid: int = GRID) -> np.ndarray:
    """Means over windows of three patches, by running sums along each axis of x (C, [Z,] Y, X)."""
    for axis in range(1, x.ndim):
        length = x.shape[axis]
        radius = max(1, 3 * (-(-length // grid)) // 2)
        x = _running_mean(np.moveaxis(x, axis, -1), radius)
        x = np.moveaxis(x, -1, axis)
    return x.astype(np.float32)


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
