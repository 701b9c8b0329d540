"""Scores on a prepared grid -> labels on the scan's own grid, plane by plane.

Scores are interpolated linearly along each axis, pixel centres at half a pixel, and the class with
the highest score wins. Two prepared planes exist at a time, never the scores of the whole scan.
Two neighbours are mixed also where the scan is coarser than the prepared grid: a voxel gets the
label of its middle.
"""

from __future__ import annotations

from collections.abc import Generator, Iterable
from concurrent.futures import Executor, ThreadPoolExecutor
from contextlib import AbstractContextManager, closing, nullcontext
from math import prod

import numpy as np

from tomos.inference._planes import Planes
from tomos.inference._turned import Turned
from tomos.inference.decision import Ask, Labelled, Sheet
from tomos.inference.grids import Between, Grid, between
from tomos.types import PackageError, SettingsError


def labels_on_grid(
    slabs: Iterable[np.ndarray],
    prepared: Grid,
    scan: Grid,
    ask: Ask,
    chances: np.ndarray | None = None,
) -> Labelled:
    """Labels of a scan from scores on its prepared grid.

    slabs    (K, planes, Y, X), or (K, rows, X) of a picture: consecutive along the first axis and
             together as long as `prepared`, as `stitched` gives them; whole scores are one slab
    chances  (K - 1, ...) uint8 zeros on the scan's grid, which may lie on disk, to be filled with
             255 times the probability of every class but the background; needs `ask.uncertainty`
    Voxels of the scan that lie outside the prepared grid are background. Axes may be flipped and in
    any order; where the grids are truly turned or sheared against each other, all slabs are kept.
    Raises GeometryError for an affine that cannot be inverted, PackageError when the slabs have
    another shape or hold scores that are not finite.
    """
    picture = len(prepared.size) == 2
    prepared, volume = _standing(prepared), _volume(scan)
    answer = Sheet(
        np.zeros(volume.size, ask.dtype),
        np.zeros(volume.size, np.uint8) if ask.entropy else None,
        None if chances is None else _each(chances, scan, volume, ask),
    )
    with ThreadPoolExecutor(ask.workers) as pool, ended(slabs):
        work = _work((prepared, volume), ask, answer, pool)
        planes = 0
        for slab in slabs:
            scores = slab[:, :, None] if picture else slab
            planes += _checked(scores, planes, prepared, ask)
            work.add(scores)
        if planes != prepared.size[0]:
            raise PackageError(
                f"expected scores of {prepared.size[0]} planes or rows, got {planes}"
            )
        covered, expected = work.finish()
    expected[0] += prod(volume.size) - covered
    entropy = None if answer.entropy is None else answer.entropy.reshape(scan.size)
    return Labelled(
        answer.labels.reshape(scan.size), entropy, expected if ask.uncertainty else None
    )


def _each(chances: np.ndarray, scan: Grid, volume: Grid, ask: Ask) -> tuple[np.ndarray, ...]:
    expected = (ask.classes - 1, *scan.size)
    fits = chances.shape == expected and chances.dtype == np.uint8 and chances.flags.c_contiguous
    if not fits or not ask.uncertainty:
        raise SettingsError(
            f"chances: expected uint8 of shape {expected}, row by row, and uncertainty asked for, "
            f"got {chances.dtype} of shape {chances.shape}"
        )
    return tuple(chance.reshape(volume.size) for chance in chances)


def ended(slabs: Iterable[np.ndarray]) -> AbstractContextManager:
    """Slabs that end with the block: after a refusal a generator must not wait on, holding its
    memory and threads."""
    return closing(slabs) if isinstance(slabs, Generator) else nullcontext()


def memory(prepared: Grid, scan: Grid, ask: Ask) -> int:
    """Bytes that `labels_on_grid` takes at most, beside the slab it is given."""
    prepared, scan = _standing(prepared), _volume(scan)
    results = prod(scan.size) * (ask.dtype(0).itemsize + ask.entropy)
    relation = between(prepared, scan)
    if relation is None:
        return results + Turned.memory(ask, prepared)
    covered = prod(relation.covered)
    shape = (ask.classes, *prepared.size[1:])
    return results + (Planes.memory(ask, shape, relation.lines) if covered else 0)


def _standing(grid: Grid) -> Grid:
    """A picture (Y, X) as a volume whose first axis is Y, so that its rows come one by one."""
    if len(grid.size) == 3:
        return grid
    return Grid((grid.size[0], 1, grid.size[1]), grid.affine[:, [1, 0, 2, 3]])


def _volume(grid: Grid) -> Grid:
    return grid if len(grid.size) == 3 else Grid((1, *grid.size), grid.affine)


def _work(grids: tuple[Grid, Grid], ask: Ask, answer: Sheet, pool: Executor) -> _Straight | Turned:
    relation = between(*grids)
    if relation is None:
        return Turned(ask, grids, answer, pool)
    return _Straight(ask, grids[0], relation, answer, pool)


def _checked(scores: np.ndarray, planes: int, prepared: Grid, ask: Ask) -> int:
    """How many planes a slab has."""
    expected = (ask.classes, *prepared.size[1:])
    if (scores.ndim, scores.shape[0], *scores.shape[2:]) != (4, *expected):
        raise PackageError(
            f"expected scores of {ask.classes} classes on planes of {prepared.size[1:]}, got an "
            f"array of shape {scores.shape}"
        )
    if planes + scores.shape[1] > prepared.size[0]:
        raise PackageError(
            f"expected scores of {prepared.size[0]} planes or rows, got more: {planes} and "
            f"{scores.shape[1]}"
        )
    return scores.shape[1]


class _Straight:
    """Axes run along each other: planes come and go."""

    def __init__(self, ask: Ask, prepared: Grid, relation: Between, answer: Sheet, pool: Executor):
        self._out = answer.seen(relation.view)
        self._line, y, x = relation.lines
        self._covered = prod(relation.covered)
        self._runs = self._line.runs() if self._covered else np.zeros((0, 4), np.int64)
        shape = (ask.classes, *prepared.size[1:])
        self._planes = Planes(ask, shape, y, x, pool) if self._covered else None
        self._z, self._classes = 0, ask.classes

    def add(self, scores: np.ndarray) -> None:
        """The next prepared planes (K, planes, Y, X)."""
        for at in range(scores.shape[1]):
            self._next(scores[:, at])

    def finish(self) -> tuple[int, np.ndarray]:
        """How many voxels were covered, and what is expected of them."""
        nothing = np.zeros(self._classes)
        return self._covered, nothing if self._planes is None else self._planes.expected

    def _next(self, plane: np.ndarray) -> None:
        """Take a plane (K, Y, X), and write the outputs that waited for it alone."""
        z, self._z = self._z, self._z + 1
        if self._planes is None or not (self._runs[:, :2] == z).any():
            return
        self._planes.keep(z % 2, plane)
        for low, high, first, last in self._runs[self._runs[:, 1] == z].tolist():
            rows = slice(first, last)
            self._planes.write((low % 2, high % 2), self._line, rows, self._out)
