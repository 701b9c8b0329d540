"""Where tiles of one size go over a prepared picture or volume, and how much each voxel counts."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import product
from math import ceil
from typing import Literal, get_args

import numpy as np

from tomos.types import SettingsError

Place = tuple[int, ...]
"""First index of a tile along each axis."""
Pad = Literal["edge", "reflect", "minimum"]
Scores = Literal["logits", "probabilities"]


def halved(batch: int) -> int:
    """Half as many tiles; 0, which gives up, after one."""
    return batch // 2


@dataclass(frozen=True, slots=True)
class Tiling:
    """How a prepared picture or volume is cut into tiles, and how they are run.

    tile     (Z, Y, X) or (Y, X); (Y, X) on a volume: slice by slice, with a network of pictures
    context  slices on each side that such a network sees of each slice, as further channels: all
             slices of a channel after another; beyond the first and the last slice they repeat
    overlap  share of a tile that the next one covers again, 0 <= overlap < 1
    batch    tiles that the network takes at once
    pad      what surrounds a picture that is smaller than a tile: its rim ("edge"), its mirror
             image ("reflect") or the lowest value of each channel ("minimum")
    air      a tile of which no voxel is above it is not run; one number, or one a channel;
             None: every tile is run
    scores   the output of the network to take: "logits", or "probabilities" where it averages some
    threads  that add tiles up; 0: one a core
    smaller  the batch to try after one that did not fit into memory; 0 gives up
    """

    tile: tuple[int, ...]
    overlap: float = 0.5
    batch: int = 1
    pad: Pad = "edge"
    air: float | tuple[float, ...] | None = None
    scores: Scores = "logits"
    threads: int = 0
    smaller: Callable[[int], int] = halved
    context: int = 0

    def __post_init__(self) -> None:
        if len(self.tile) not in (2, 3) or min(self.tile) < 1:
            raise SettingsError(
                f"expected a tile (Y, X) or (Z, Y, X) of 1 or more, got {self.tile}"
            )
        if self.context < 0 or (self.context and len(self.tile) == 3):
            raise SettingsError(
                f"expected a context of 0 slices or more, for tiles (Y, X), got {self.context} for "
                f"tiles {self.tile}"
            )
        if not 0 <= self.overlap < 1:
            raise SettingsError(f"expected an overlap of 0 or more and below 1, got {self.overlap}")
        if self.batch < 1 or self.threads < 0:
            raise SettingsError(
                f"expected a batch of 1 or more and threads of 0 or more, got {self.batch} and "
                f"{self.threads}"
            )
        for name, value, known in (("pad", self.pad, Pad), ("scores", self.scores, Scores)):
            if value not in get_args(known):
                raise SettingsError(f"{name}: expected one of {get_args(known)}, got {value!r}")


@dataclass(frozen=True, slots=True)
class Course:
    """The tiles of one picture or volume, in the order in which they are run.

    tile    with as many axes as the picture
    size    of the picture after padding
    before  rows added in front of each axis by padding
    groups  the places of the tiles that are run at once
    depth   rows along the first axis that one group reaches over, at most
    flat    the network takes slices: the first axis of a tile is one long and left out
    context  slices on each side that it sees with one
    """

    tile: tuple[int, ...]
    size: tuple[int, ...]
    before: tuple[int, ...]
    groups: tuple[tuple[Place, ...], ...]
    depth: int
    flat: bool
    context: int = 0


def course(size: Sequence[int], tiling: Tiling) -> Course:
    """The way over a prepared picture (Y, X) or volume (Z, Y, X).

    Raises SettingsError when the tile has more axes than the picture.
    """
    flat = len(tiling.tile) == len(size) - 1
    tile = (1, *tiling.tile) if flat else tiling.tile
    if len(tile) != len(size) or len(size) not in (2, 3) or min(size) < 1:
        raise SettingsError(
            f"expected a picture (Y, X) or volume (Z, Y, X) for tiles of {tiling.tile}, got one of "
            f"size {tuple(size)}"
        )
    if tiling.context and not flat:
        raise SettingsError(
            f"expected a volume (Z, Y, X), of which {tiling.context} slices on each side are seen, "
            f"got a picture of size {tuple(size)}"
        )
    whole = tuple(max(n, t) for n, t in zip(size, tile, strict=True))
    before = tuple((w - n) // 2 for w, n in zip(whole, size, strict=True))
    groups = batches(tiles(whole, tile, tiling.overlap), tiling.batch)
    depth = max(group[-1][0] + tile[0] - group[0][0] for group in groups)
    return Course(tile, whole, before, groups, depth, flat, tiling.context)


def tiles(size: Sequence[int], tile: Sequence[int], overlap: float = 0.5) -> list[Place]:
    """Places of tiles that cover `size`, evenly spaced, at least `overlap` in common.

    Ordered along the first axis, then the second, then the third. A size below the tile's counts
    as the tile's: the picture is padded.
    """
    axes = [_starts(n, t, overlap) for n, t in zip(size, tile, strict=True)]
    return list(product(*axes))


def _starts(n: int, tile: int, overlap: float) -> list[int]:
    room = n - tile
    if room <= 0:
        return [0]
    # A step of a hair over the room must not cost another tile.
    steps = max(1, ceil(room / max(1.0, tile * (1 - overlap)) - 1e-9))
    return [round(i * room / steps) for i in range(steps + 1)]


def batches(places: Sequence[Place], batch: int) -> tuple[tuple[Place, ...], ...]:
    """Consecutive places, at most `batch` of them at once.

    A batch ends where the first index changes, so that few rows are open at a time; where all tiles
    of one first index are fewer than a batch, it takes several such levels.
    """
    level = sum(place[0] == places[0][0] for place in places)
    together = level * max(1, batch // level)
    groups = []
    for start in range(0, len(places), together):
        whole = places[start : start + together]
        groups += [tuple(whole[i : i + batch]) for i in range(0, len(whole), batch)]
    return tuple(groups)


def neighbours(at: int, context: int, slices: int) -> np.ndarray:
    """(2 context + 1,) the slices, of so many, that are seen with slice `at`, itself in the middle;
    the first and the last repeat."""
    return np.clip(np.arange(at - context, at + context + 1), 0, slices - 1)


def box(place: Place, tile: Sequence[int]) -> tuple[slice, ...]:
    """The part of a padded picture under a tile."""
    return tuple(slice(p, p + t) for p, t in zip(place, tile, strict=True))


def seen(x: np.ndarray, place: Place, way: Course) -> np.ndarray:
    """What the network sees of a padded x (C, ...) under a tile: (C, ...tile); of a flat tile
    (C * slices, Y, X), all slices of a channel after another."""
    part: list[slice | np.ndarray] = [slice(None), *box(place, way.tile)]
    if not way.flat:
        return x[tuple(part)]
    if way.context:
        part[1] = neighbours(place[0], way.context, x.shape[1])
    tile = x[tuple(part)]
    return tile.reshape(-1, *tile.shape[2:])


@lru_cache(maxsize=8)
def weights(tile: tuple[int, ...]) -> np.ndarray:
    """How much each voxel of a tile counts, float32, 1 at most and never 0; read-only.

    A Gaussian about the middle with a standard deviation of an eighth of the tile along each axis
    (Isensee et al., Nature Methods 18, 2021): networks are least sure at the rim of what they see.
    At the corner of a tile it is exp(-24), far above the smallest float32.
    """
    found = np.ones((1,) * len(tile))
    for axis, n in enumerate(tile):
        away = (np.arange(n) - (n - 1) / 2) / (n / 8)
        bell = np.exp(-0.5 * away**2)
        found = found * bell.reshape([-1 if a == axis else 1 for a in range(len(tile))])
    found = np.ascontiguousarray(found / found.max(), np.float32)
    found.setflags(write=False)
    return found


def padded(x: np.ndarray, way: Course, pad: Pad) -> np.ndarray:
    """x (C, ...) in the middle of a picture of `way.size`; x itself where nothing is missing."""
    missing = [whole - n for whole, n in zip(way.size, x.shape[1:], strict=True)]
    if not any(missing):
        return x
    width = [(b, m - b) for b, m in zip(way.before, missing, strict=True)]
    if pad != "minimum":
        return np.pad(x, [(0, 0), *width], mode=pad)
    lowest = x.reshape(len(x), -1).min(axis=1)
    return np.stack([np.pad(c, width, constant_values=v) for c, v in zip(x, lowest, strict=True)])
