"""A network over tiles, and their scores put together again, a slab at a time.

Tiles are run in order along the first axis. Rows that no later tile touches are finished: divided
by their weights, handed on, and their memory used again. So the scores of a few tiles' depth exist,
never those of the whole volume.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Executor, ThreadPoolExecutor
from functools import partial
from math import prod
from os import cpu_count
from typing import Protocol, runtime_checkable

import numpy as np

from tomos.inference._adding import compiled, standing
from tomos.inference.memory import OutOfMemory, in_words, is_out_of_memory
from tomos.inference.network import Network
from tomos.inference.tiles import (
    Course,
    Place,
    Scores,
    Tiling,
    box,
    course,
    padded,
    seen,
    weights,
)
from tomos.types import PackageError, Progress, SettingsError, Silent, TomosError
from tomos.types.words import counted

# (background, every other class) where no tile was run: exp(-20) is 2e-9.
_SURE: dict[Scores, tuple[float, float]] = {"logits": (10.0, -10.0), "probabilities": (1.0, 0.0)}

_AT_ONCE = 2**15  # voxels in one product: the arrays in use stay within a core's cache
_ROWS = 32  # rows of a slab at most: what is needed to finish them stays small


class Cancelled(TomosError):
    """The person who waited asked to stop."""

    exit_code = 130


@runtime_checkable
class Event(Protocol):
    """What `threading.Event` and its kin have."""

    def is_set(self) -> bool: ...


Cancel = Event | Callable[[], bool]


def stitched(
    network: Network,
    x: np.ndarray,
    classes: int,
    tiling: Tiling,
    progress: Progress | None = None,
    cancel: Cancel | None = None,
) -> Iterator[np.ndarray]:
    """The scores of a prepared picture x (C, Y, X) or volume (C, Z, Y, X), float32, slab by slab.

    Gives arrays (K, rows, X) or (K, rows, Y, X), consecutive along the first axis of x and together
    as long as it; each is valid until the next is asked for. Voxels under no tile but empty ones
    (`tiling.air`) are background for sure: logits 10 and -10, or probabilities 1 and 0.

    network  {"image": (N, C, ...tile)} -> {tiling.scores: (N, K, ...tile)}; with a context of c
             slices, (N, C (2 c + 1), Y, X)
    classes  K, the background among them, first
    cancel   an event, or a function that says whether to stop; asked before every batch
    Raises Cancelled, OutOfMemory when tiles of this size do not fit, PackageError when the network
    gives another shape, SettingsError when tile and picture do not go together.
    """
    if classes < 1 or x.ndim < 3:
        raise SettingsError(
            f"expected 1 class or more and pixels (C, Y, X) or (C, Z, Y, X), got {classes} classes "
            f"and pixels of shape {x.shape}"
        )
    way = course(x.shape[1:], tiling)
    air = tiling.air
    if isinstance(air, tuple) and len(air) not in (1, len(x)):
        raise SettingsError(f"air: expected one value or {len(x)}, one a channel, got {air}")
    watched = _Watched(progress or Silent(), cancel, sum(map(len, way.groups)))
    runner = _Runner(network, padded(x, way, tiling.pad), classes, way, tiling)
    return _slabs(runner, x.shape[1:], watched)


def memory(size: Sequence[int], channels: int, classes: int, tiling: Tiling) -> int:
    """Bytes that `stitched` takes at most, beside x and what the network takes inside itself."""
    way = course(size, tiling)
    most = max(map(len, way.groups))
    voxels = prod(way.tile)
    rows = min(way.tile[0], max(1, _AT_ONCE // prod(way.tile[1:])))
    copy = channels * prod(way.size) if way.size != tuple(size) else 0
    row = prod(way.size[1:])
    running = most * (channels * (2 * tiling.context + 1) + classes) * voxels
    running += _threads(tiling) * rows * prod(way.tile[1:])
    # Rows that are finished have their weights, and one byte where no tile covered them.
    finishing = 5 * min(_ROWS, way.depth) * row
    return 4 * (classes * way.depth * row + copy + voxels) + max(4 * running, finishing)


def _threads(tiling: Tiling) -> int:
    return tiling.threads or cpu_count() or 1


def _slabs(runner: _Runner, size: Sequence[int], watched: _Watched) -> Iterator[np.ndarray]:
    way = runner.way
    inside = tuple(slice(b, b + n) for b, n in zip(way.before, size, strict=True))
    with ThreadPoolExecutor(_threads(runner.tiling)) as pool:
        try:
            ring = _Ring(runner.classes, way, runner.tiling, pool)
        except MemoryError:
            needed = memory(size, len(runner.x), runner.classes, runner.tiling)
            raise OutOfMemory(
                f"tiles of {way.tile} with {runner.classes} classes over {way.size} need "
                f"{in_words(needed)} beside the network; take smaller tiles"
            ) from None
        for group in way.groups:
            yield from _cut(ring.finished(group[0][0]), inside)
            watched.check()
            for places, scores in runner.run(group, watched):
                ring.add(places, scores)
                del scores  # not beside the next ones
            watched.step(len(group))
        yield from _cut(ring.finished(way.size[0]), inside)


def _cut(
    slabs: Iterator[tuple[int, np.ndarray]], inside: tuple[slice, ...]
) -> Iterator[np.ndarray]:
    """What of each slab is no padding."""
    for start, scores in slabs:
        first = max(inside[0].start - start, 0)
        last = min(inside[0].stop - start, scores.shape[1])
        if first < last:
            yield scores[(slice(None), slice(first, last), *inside[1:])]


class _Watched:
    """Progress and the wish to stop."""

    def __init__(self, progress: Progress, cancel: Cancel | None, total: int):
        self.progress = progress
        self._done, self._total = 0, total
        self._cancel = cancel

    def check(self) -> None:
        if self._cancel is None:
            return
        asked = self._cancel.is_set if isinstance(self._cancel, Event) else self._cancel
        if asked():
            raise Cancelled(f"stopped after {self._done} of {self._total} tiles, as asked")

    def step(self, tiles: int) -> None:
        self._done += tiles
        self.progress.step(self._done, self._total, "tiles")


class _Runner:
    """Tiles cut out, the empty ones left out, the others run."""

    def __init__(self, network: Network, x: np.ndarray, classes: int, way: Course, tiling: Tiling):
        self.network, self.x, self.classes = network, x, classes
        self.way, self.tiling = way, tiling
        self.batch = tiling.batch
        self._air = None if tiling.air is None else np.atleast_1d(np.asarray(tiling.air))

    def run(
        self, places: Sequence[Place], watched: _Watched
    ) -> Iterator[tuple[Sequence[Place], np.ndarray]]:
        """Places and their scores (N, K, ...tile), in batches that fit into memory."""
        todo = [place for place in places if not self._empty(place)]
        while todo:
            part = todo[: self.batch]
            try:
                scores = self._scores(part)
            except Exception as error:
                if not is_out_of_memory(error):  # each runtime has an error of its own for it
                    raise
                self.batch = min(self.tiling.smaller(len(part)), len(part) - 1)
                if self.batch < 1:
                    raise OutOfMemory(
                        f"{counted(len(part), 'tile')} of {self.way.tile} with {self.classes} "
                        "classes: not enough memory; take smaller tiles"
                    ) from None
                watched.progress.say(
                    f"{len(part)} tiles at once do not fit into memory; going on with {self.batch}"
                )
                watched.check()
                continue
            yield part, scores
            del scores
            todo = todo[len(part) :]

    def _empty(self, place: Place) -> bool:
        if self._air is None:
            return False
        tile = seen(self.x, place, self.way).reshape(len(self.x), -1)
        return bool((tile.max(axis=1) <= self._air).all())

    def _scores(self, places: Sequence[Place]) -> np.ndarray:
        way, name = self.way, self.tiling.scores
        channels = len(self.x) * (2 * way.context + 1)
        given = np.empty((len(places), channels, *way.tile[way.flat :]), np.float32)
        for row, place in zip(given, places, strict=True):
            row[...] = seen(self.x, place, way)
        scores = self.network({"image": given}, (name,))[name]
        expected = (len(places), self.classes, *given.shape[2:])
        if scores.shape != expected:
            raise PackageError(
                f"expected {name} of shape {expected} for tiles of shape {given.shape}, the "
                f"network gave {scores.shape}"
            )
        return scores[:, :, None] if way.flat else scores


class _Ring:
    """Weighted sums of the rows that later tiles may still touch; row r lies at r % depth."""

    def __init__(self, classes: int, way: Course, tiling: Tiling, pool: Executor):
        self.tile, self.depth = way.tile, way.depth
        self.sums = np.zeros((classes, way.depth, *way.size[1:]), np.float32)
        self._placed: list[Place] = []
        self.weights = weights(way.tile)
        self.done = 0
        added = sum(map(len, way.groups)) * classes * prod(way.tile)
        self._compiled = compiled(added)
        self._sure = _SURE[tiling.scores]
        self._pool, self._threads = pool, min(_threads(tiling), classes)
        rows = max(1, _AT_ONCE // prod(way.tile[1:]))
        self._blocks = [
            slice(first, min(first + rows, way.tile[0])) for first in range(0, way.tile[0], rows)
        ]

    def add(self, places: Sequence[Place], scores: np.ndarray) -> None:
        """Add the scores (N, K, ...tile) of tiles at their places."""
        self._placed += places
        self._each_class(partial(self._add, places, scores))

    def finished(self, upto: int) -> Iterator[tuple[int, np.ndarray]]:
        """(first row, scores (K, rows, ...)) of rows below `upto` that were not given before."""
        while self.done < upto:
            last = min(self.done + _ROWS, upto, self.done + self.depth - self.done % self.depth)
            rows = slice(self.done % self.depth, (last - 1) % self.depth + 1)
            sums, total = self.sums[:, rows], self._total(self.done, last)
            nowhere = total == 0
            missed = bool(nowhere.any())
            np.divide(1, total, out=total, where=~nowhere if missed else True)
            self._each_class(partial(_scale, sums, total))
            if missed:
                for k, scores in enumerate(sums):
                    scores[nowhere] = self._sure[min(k, 1)]
            yield self.done, sums
            self._each_class(partial(_clear, sums))
            self.done = last
        self._placed = [place for place in self._placed if place[0] + self.tile[0] > self.done]

    def _total(self, first: int, last: int) -> np.ndarray:
        """The sum of weights in rows first..last."""
        total = np.zeros((last - first, *self.sums.shape[2:]), np.float32)
        for place in self._placed:
            low, high = max(first, place[0]), min(last, place[0] + self.tile[0])
            if low < high:
                rest = box(place, self.tile)[1:]
                part = self.weights[low - place[0] : high - place[0]]
                total[(slice(low - first, high - first), *rest)] += part
        return total

    def _rows(self, first: int, last: int) -> list[tuple[slice, slice]]:
        """Where rows first..last lie, and which of them: in two parts where the ring closes."""
        found, row = [], first
        while row < last:
            at = row % self.depth
            n = min(last - row, self.depth - at)
            found.append((slice(at, at + n), slice(row - first, row - first + n)))
            row += n
        return found

    def _add(self, places: Sequence[Place], scores: np.ndarray, classes: range) -> None:
        """All tiles of a batch into one block of rows after another, which so stays in cache."""
        quick = self._compiled if scores.dtype == np.float32 else None
        scratch = np.empty((self._blocks[0].stop, *self.tile[1:]), np.float32)
        for k in classes:
            for block in self._blocks:
                for n, place in enumerate(places):
                    given, counts = scores[n, k, block], self.weights[block]
                    first = place[0] + block.start
                    if quick is not None:
                        lies = np.arange(first, first + len(given)) % self.depth
                        corner = place[1:] if len(place) == 3 else (0, place[1])
                        quick(*map(standing, (self.sums[k], given, counts)), lies, *corner)
                        continue
                    weighted = np.multiply(given, counts, out=scratch[: len(given)])
                    for rows, part in self._rows(first, first + len(given)):
                        sums = self.sums[k][(rows, *box(place, self.tile)[1:])]
                        np.add(sums, weighted[part], out=sums)

    def _each_class(self, work: Callable[[range], None]) -> None:
        """`work` on every class, some in each thread."""
        n = len(self.sums)
        shares = [range(i, n, self._threads) for i in range(self._threads)]
        if len(shares) == 1:
            work(shares[0])
        else:
            list(self._pool.map(work, shares))


def _scale(sums: np.ndarray, factor: np.ndarray, classes: range) -> None:
    for k in classes:
        np.multiply(sums[k], factor, out=sums[k])


def _clear(sums: np.ndarray, classes: range) -> None:
    for k in classes:
        sums[k].fill(0)
