"""Equal pictures by pixel hash; look-alikes by perceptual hash, confirmed on the pixels.

The search for look-alikes is O(N log N): hashes are sorted under several fixed orders of their
bits, and each is compared with its next neighbours only (bit sampling for the Hamming distance:
Indyk & Motwani, STOC 1998; sorting under permutations: Charikar, STOC 2002).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from functools import lru_cache
from pathlib import Path

import numpy as np

from tomos.datasets.glance import downscale
from tomos.datasets.survey import Survey, survey
from tomos.types import FormatError, Image, Progress

SMALLEST = 64  # px on the shorter side: below, all chest films look alike to a hash
ORDERS, NEIGHBOURS = 16, 10
# Measured on chest films: different ones are 36 bits apart or more (1 in 1000), and correlate up to
# 0.74 in detail; recompressed, rescaled or re-windowed ones are under 10 bits and above 0.97.
FAR = 32  # of 256 bits
ALIKE_THUMB, ALIKE = 0.88, 0.83
CLIP = 4.0  # median deviations: burned-in letters must not outweigh the anatomy
SIDE = 96
MOST_PAIRS = 20_000  # that are confirmed by reading the pictures again


def of_cases(
    images: Sequence[Sequence[str]],
    remember: Path | None = None,
    progress: Progress | None = None,
) -> tuple[Survey, list[list[int]]]:
    """(the survey of each case's first image, groups of cases that have a picture in common).

    images  the addresses of every case, the one that stands for it first: all are compared, and
            one that cannot be read is an error of its case
    """
    first = [addresses[0] for addresses in images]
    more = [
        (row, address)
        for row, addresses in enumerate(images)
        for address in dict.fromkeys(addresses)
        if address != first[row]
    ]
    seen = survey([*first, *(address for _, address in more)], remember, progress)
    owner = [*range(len(first)), *(row for row, _ in more)]
    groups = [sorted({owner[k] for k in group}) for group in exact(seen.rows)]
    groups = [group for group in groups if len(group) > 1]
    errors = {owner[k]: why for k, why in sorted(seen.errors.items(), reverse=True)}
    shown = Survey(tuple(first), seen.rows[: len(first)], errors)
    return shown, joined(groups) if more else groups


def exact(rows: np.ndarray) -> list[list[int]]:
    """Groups of row numbers (`glance.ROW`) with equal pixels; unread images belong to none."""
    seen = np.flatnonzero(rows["seen"])
    if not len(seen):
        return []
    keys = np.ascontiguousarray(rows["pixels"][seen]).view("S16").ravel()
    order = np.argsort(keys, kind="stable")
    starts = np.flatnonzero(keys[order][1:] != keys[order][:-1]) + 1
    groups = np.split(seen[order], starts)
    return sorted([int(row) for row in group] for group in groups if len(group) > 1)


def near(found: Survey, read: Callable[[str], Image]) -> list[list[int]]:
    """Groups of rows that look alike but are not equal: rescaled, recompressed, re-windowed, ...

    Each has at least two different pictures; of equal ones the first stands for all. Images below
    `SMALLEST` px are not judged. `read` opens the few candidates again for a closer look.
    """
    rows = found.rows
    fit = rows["seen"] & (rows["size"][:, 1:].min(axis=1) >= SMALLEST) & (rows["busy"] > 0.02)
    for group in exact(rows):
        fit[group[1:]] = False
    judged = np.flatnonzero(fit)
    pairs = judged[_candidates(rows["look"][judged])]
    pairs = pairs[_alike_thumbs(rows["thumb"], pairs)]
    if len(pairs) > MOST_PAIRS:
        distance = _distance(rows["look"], pairs)
        pairs = pairs[np.argsort(distance, kind="stable")[:MOST_PAIRS]]
    look = lru_cache(maxsize=512)(lambda row: _detail(read, found.addresses[row]))
    pairs = pairs[np.lexsort(pairs.T)]
    return joined(pair for pair in pairs.tolist() if _alike(look(pair[0]), look(pair[1])))


def joined(pairs: Iterable[Iterable[int]]) -> list[list[int]]:
    """Pairs (or groups) that share a member -> groups, sorted."""
    head: dict[int, int] = {}

    def find(item: int) -> int:
        while head.setdefault(item, item) != item:
            head[item] = head[head[item]]
            item = head[item]
        return item

    for group in pairs:
        first, *others = group
        for other in others:
            head[find(other)] = find(first)
    groups: dict[int, list[int]] = {}
    for item in sorted(head):
        groups.setdefault(find(item), []).append(item)
    return sorted(group for group in groups.values() if len(group) > 1)


def _candidates(looks: np.ndarray) -> np.ndarray:
    """(N, 4) uint64 -> (P, 2) pairs of rows at most `FAR` bits apart, first below second."""
    bits = np.unpackbits(looks.view(np.uint8), axis=1)
    pairs: set[int] = set()
    rng = np.random.default_rng(0)
    for _ in range(ORDERS):
        # 64 of the bits, drawn anew, as one sortable number
        chosen = rng.permutation(bits.shape[1])[:64]
        chosen_bits = np.ascontiguousarray(np.packbits(bits[:, chosen], axis=1))
        keys = chosen_bits.view(">u8").ravel()
        order = np.argsort(keys, kind="stable")
        for step in range(1, min(NEIGHBOURS, len(order) - 1) + 1):
            couple = np.stack([order[:-step], order[step:]], axis=1)
            couple = couple[_distance(looks, couple) <= FAR]
            couple.sort(axis=1)
            pairs.update((couple[:, 0] * len(looks) + couple[:, 1]).tolist())
    codes = np.fromiter(pairs, np.int64, len(pairs))
    codes.sort()
    return np.stack(np.divmod(codes, max(len(looks), 1)), axis=1)


def _distance(looks: np.ndarray, pairs: np.ndarray) -> np.ndarray:
    return np.bitwise_count(looks[pairs[:, 0]] ^ looks[pairs[:, 1]]).sum(axis=1, dtype=np.int64)


def _alike_thumbs(thumbs: np.ndarray, pairs: np.ndarray) -> np.ndarray:
    """(P,) bool: the 16 x 16 pictures of each pair correlate."""
    keep = np.zeros(len(pairs), bool)
    for start in range(0, len(pairs), 4096):
        part = pairs[start : start + 4096]
        keep[start : start + 4096] = _correlation(thumbs[part[:, 0]], thumbs[part[:, 1]])
    return keep


def _correlation(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    a, b = (x.reshape(len(x), -1).astype(np.float32) for x in (a, b))
    a, b = (x - x.mean(axis=1, keepdims=True) for x in (a, b))
    scale = np.sqrt((a**2).sum(axis=1) * (b**2).sum(axis=1))
    return (a * b).sum(axis=1) / np.maximum(scale, 1e-6) >= ALIKE_THUMB


def _detail(read: Callable[[str], Image], address: str) -> np.ndarray | None:
    """The fine structure of an image: 96 x 96 without what is coarser than 8 cells, unit norm.

    Two chest films agree in the coarse; only the same film agrees in ribs, tubes and letters.
    """
    try:
        pixels = read(address).pixels
    except (FormatError, OSError):
        return None
    plane = pixels.reshape(-1, *pixels.shape[-2:]).mean(axis=0, dtype=np.float32)
    grid = downscale(plane, SIDE, SIDE)
    coarse = downscale(grid, SIDE // 8, SIDE // 8)
    fine = grid - np.kron(coarse, np.ones((8, 8), np.float32))
    bound = CLIP * float(np.median(np.abs(fine)))
    fine = np.clip(fine, -bound, bound)
    fine -= fine.mean()
    return fine / max(float(np.linalg.norm(fine)), 1e-6)


def _alike(a: np.ndarray | None, b: np.ndarray | None) -> bool:
    return a is not None and b is not None and float((a * b).sum()) >= ALIKE
