"""What lies between two prepared planes: labels of the scan's planes there, tile by tile.

Most classes can win nowhere in a tile, and are left out of it. Between eight prepared voxels linear
interpolation stays between the lowest and the highest of their scores. So a class whose highest
corner lies below the lowest corner of another class loses in the whole cell; what loses in every
cell of a tile need not be computed there. Mostly one class is left, and the tile is its own. Where
uncertainty is asked for, it must lie so far below that its probability does not count.

Scores are sums of products in one order (z, then x, then y), each rounded by itself: no library
decides how, so labels are the same on every machine and for any number of threads.
"""

from __future__ import annotations

from concurrent.futures import Executor

import numpy as np

from tomos.inference._scratch import Scratch
from tomos.inference.decision import Ask, Decision, Sheet
from tomos.inference.grids import Line

_ROWS, _COLUMNS = 32, 64  # prepared voxels of a tile: fewer pay for the calls, more for the classes
_FINE = 4  # at most so many scan voxels of a tile for each of them, along an axis
# Classes from which on threads pay: the arrays of fewer are so small that Python, which only one
# thread may use at a time, takes longer than the sums. Where that ends was tried on two cores.
_MANY = 40


class Planes:
    """Two prepared planes, and what lies between them.

    shape  (K, Y, X) of a prepared plane
    """

    def __init__(self, ask: Ask, shape: tuple[int, ...], y: Line, x: Line, pool: Executor):
        self.ask, self.y, self.x, self.pool = ask, y, x, pool
        self._planes = np.empty((2, *shape), np.float32)
        self._bands, self._columns = y.blocks(_ROWS, _FINE), x.blocks(_COLUMNS, _FINE)
        self._workers = min(_workers(ask), len(self._bands))
        self._decisions = [Decision(ask) for _ in range(self._workers)]

    @staticmethod
    def memory(ask: Ask, shape: tuple[int, ...], lines: tuple[Line, Line, Line]) -> int:
        """Bytes at most, with scan axes `lines`."""
        classes, height, width = shape
        _, y, x = lines
        given, wide = min(height, _ROWS + 1), min(width, _COLUMNS + 1)
        rows = max(part.stop - part.start for part in y.blocks(_ROWS, _FINE))
        columns = max(part.stop - part.start for part in x.blocks(_COLUMNS, _FINE))
        bounds = 13 * given * width  # three arrays of extremes, one of what may count
        ends = 16 * given * wide + 8 * given * columns
        scores = (9 + 4 * ask.entropy + ask.dtype(0).itemsize) * rows * columns
        each = classes * (bounds + ends + scores) + 32 * rows * columns
        return 8 * classes * height * width + _workers(ask) * each

    @property
    def expected(self) -> np.ndarray:
        """(K,) voxels of each class, where uncertainty was asked for."""
        return np.sum([decision.expected for decision in self._decisions], axis=0)

    def keep(self, slot: int, plane: np.ndarray) -> None:
        """Take the plane (K, Y, X), which may be overwritten afterwards, into slot 0 or 1."""
        self._planes[slot] = plane
        self._decisions[0].check(self._planes[slot])

    def write(
        self,
        slots: tuple[int, int],
        line: Line,
        z: slice,
        out: Sheet,
    ) -> None:
        """All that is asked for of the scan's planes `z` between two slots."""
        target = out.seen(lambda whole: whole[z])
        below, above = (self._planes[slot] for slot in slots)

        def work(worker: int) -> None:
            for band in self._bands[worker :: self._workers]:
                rows = slice(self.y.low[band][0], self.y.high[band][-1] + 1)
                first = below[:, rows]
                pair = first, (first if slots[0] == slots[1] else above[:, rows])
                self._band(self._decisions[worker], pair, line.part(z), band, target)

        list(self.pool.map(work, range(self._workers)))

    def _band(self, decision: Decision, pair: tuple, z: tuple, band: slice, target: Sheet) -> None:
        """Every tile of some rows of the scan; `target`: its planes."""
        possible = _possible(pair[0], pair[1], decision)
        for tile in self._columns:
            columns = slice(self.x.low[tile][0], self.x.high[tile][-1] + 1)
            classes = _left(possible, columns)
            if len(classes) == 1:
                target.fill((slice(None), band, tile), int(classes[0]))
                decision.expected[classes[0]] += target.labels[:, band, tile].size
                continue
            ends = _picked(pair, classes, columns, decision.scratch)
            for plane, (keep, share) in enumerate(zip(z[2], z[3], strict=True)):
                between = _mixed(*ends, (keep, share), decision.scratch)
                scores = self._high(self._wide(between, tile, decision), band, decision)
                target.write((plane, band, tile), scores, classes, decision)

    def _wide(self, scores: np.ndarray, tile: slice, decision: Decision) -> np.ndarray:
        """Scores (K, rows, columns) of prepared voxels at the scan's columns."""
        low, high, keep, share = self.x.part(tile)
        ends = (low - low[0], keep), (high - low[0], share)
        return _two(scores, ends, 2, decision.scratch)

    def _high(self, scores: np.ndarray, band: slice, decision: Decision) -> np.ndarray:
        """Scores (K, rows, X) of prepared rows at the scan's rows."""
        low, high, keep, share = self.y.part(band)
        ends = (low - low[0], keep[:, None]), (high - low[0], share[:, None])
        return _two(scores, ends, 1, decision.scratch)


def _workers(ask: Ask) -> int:
    return ask.workers if ask.classes >= _MANY else 1


def _two(scores: np.ndarray, ends: tuple, axis: int, scratch: Scratch) -> np.ndarray:
    """Along an axis, what lies at the one end times its share plus what lies at the other's."""
    (low, keep), (high, share) = ends
    shape = (*scores.shape[:axis], len(low), *scores.shape[axis + 1 :])
    found = scratch.array(f"along axis {axis}", shape)
    other = scratch.array(f"the other along axis {axis}", shape)
    # With "clip" numpy writes straight into `out`; no index is out of range.
    np.take(scores, low, axis=axis, out=found, mode="clip")
    found *= keep
    np.take(scores, high, axis=axis, out=other, mode="clip")
    other *= share
    found += other
    return found


def _picked(
    pair: tuple, classes: np.ndarray, columns: slice, scratch: Scratch
) -> tuple[np.ndarray, np.ndarray]:
    """Some classes (n, rows, columns) of two planes; one array where both are the same."""
    ends: list[np.ndarray] = []
    for name, plane in zip(("below", "above"), pair, strict=True):
        if plane is pair[0] and ends:
            return ends[0], ends[0]
        kept = scratch.array(name, (len(classes), plane.shape[1], columns.stop - columns.start))
        for row, k in enumerate(classes.tolist()):
            kept[row] = plane[k, :, columns]
        ends.append(kept)
    return ends[0], ends[1]


def _mixed(below: np.ndarray, above: np.ndarray, shares: tuple, scratch: Scratch) -> np.ndarray:
    keep, share = shares
    if share == 0:
        return below
    scores = np.multiply(below, keep, out=scratch.array("between", below.shape))
    scores += np.multiply(above, share, out=scratch.array("of above", below.shape))
    return scores


def _left(possible: np.ndarray, columns: slice) -> np.ndarray:
    """Classes that may count in any cell of some columns."""
    last = max(1, possible.shape[1] - 1)  # one past the last cell
    first = min(columns.start, last - 1)
    cells = possible[:, first : max(columns.stop - 1, first + 1)]
    return np.flatnonzero(np.maximum.reduce(cells, axis=1)).astype(
        np.min_scalar_type(len(possible))
    )


def _possible(below: np.ndarray, above: np.ndarray, decision: Decision) -> np.ndarray:
    """(K, X) bool: may the class count in some cell of the column, of planes (K, Y, X)?

    A cell has the number of its first column; the last column is one of cells only where it is the
    only one. Rows are looked at as one long line, which is quicker: what so lies between the end of
    a row and the beginning of the next is in the last column, too, and means nothing.
    """
    classes, height, width = below.shape
    scratch = decision.scratch
    lowest = _corners(np.minimum, below, above, scratch)
    least = decision.least(np.maximum.reduce(lowest, axis=0))
    highest = _corners(np.maximum, below, above, scratch)  # where the lowest were
    possible = scratch.array("possible", (classes, max(1, height - 1) * width), np.uint8)
    np.greater_equal(highest, least, out=possible.view(bool)[:, : len(least)])
    possible[:, len(least) :] = 0
    return np.maximum.reduce(possible.reshape(classes, -1, width), axis=1)


def _corners(
    extreme: np.ufunc, below: np.ndarray, above: np.ndarray, scratch: Scratch
) -> np.ndarray:
    """(K, cells): the extreme of each cell's corners; a single row or column is one of cells."""
    classes, height, width = below.shape
    found = below.reshape(classes, -1)
    if below is not above:
        out = scratch.array("extreme of planes", found.shape)
        found = extreme(found, above.reshape(classes, -1), out=out)
    for name, step, several in (("columns", 1, width > 1), ("rows", width, height > 1)):
        if several:
            out = scratch.array(f"extreme of {name}", (classes, found.shape[1] - step))
            found = extreme(found[:, :-step], found[:, step:], out=out)
    return found
