"""The triangles in a cell of eight voxels, for each of the 256 ways in which they are in or out.

The table of marching cubes (Lorensen and Cline, SIGGRAPH 1987), made here instead of copied, so
that what is wanted of it holds by construction: on every face of a cell the surface is decided by
that face's four corners alone, so that neighbours agree and no hole is left; where two corners that
touch at an edge only are in, they are kept apart; and no diagonal lies in a face, so that every
edge has exactly two triangles.

Corner 4z + 2y + x; edge 3 * corner + axis runs from that corner along z, y or x (0, 1, 2).
"""

from __future__ import annotations

from functools import cache, lru_cache

import numpy as np

# Corners of each face in turn, all six the same way round as seen from outside.
FACES = ((0, 4, 6, 2), (1, 3, 7, 5), (0, 1, 5, 4), (2, 6, 7, 3), (0, 2, 3, 1), (4, 5, 7, 6))
AXIS = {4: 0, 2: 1, 1: 2}  # by the difference of two corners
Triangle = tuple[int, int, int]


@cache
def triangles() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """(how many, where the first is, (T, 3) edges): for each of 256 cells, bit k = corner k is in.

    Triangles run counter-clockwise as seen from outside, z, y and x being a right-handed system.
    """
    found = [_cell(inside) for inside in range(256)]
    counts = np.array([len(cell) for cell in found])
    starts = np.concatenate([[0], np.cumsum(counts)[:-1]])
    return counts, starts, np.array([each for cell in found for each in cell])


def _cell(inside: int) -> list[Triangle]:
    after: dict[int, int] = {}
    for face in FACES:
        after |= _segments(face, inside)
    cell: list[Triangle] = []
    while after:
        first, edge = next(iter(after.items()))
        loop = [first]
        del after[first]
        while edge != first:
            loop.append(edge)
            edge = after.pop(edge)
        cell += _filled(tuple(loop))
    return cell


def _segments(face: tuple[int, ...], inside: int) -> dict[int, int]:
    """Edge -> edge: a line on the face round each run of corners that are in."""
    lines = {}
    for k in range(4):
        if not inside >> face[k] & 1 or inside >> face[k - 1] & 1:
            continue
        last = k  # the run of corners that are in begins at k
        while inside >> face[(last + 1) % 4] & 1:
            last += 1
        leaves = _edge(face[last % 4], face[(last + 1) % 4])
        lines[leaves] = _edge(face[k - 1], face[k])
    return lines


def _edge(one: int, other: int) -> int:
    return 3 * min(one, other) + AXIS[abs(one - other)]


def _filled(loop: tuple[int, ...]) -> list[Triangle]:
    """A closed line of edges -> triangles none of whose inner sides lies in a face."""
    filled = _fill(loop, len(loop))
    assert filled is not None, "every loop of a cube can be filled so"
    return list(filled)


@lru_cache(maxsize=4096)
def _fill(loop: tuple[int, ...], whole: int) -> tuple[Triangle, ...] | None:
    """Triangles of a part of a loop of `whole` edges, its first to its last; None if impossible."""
    if len(loop) < 3:
        return ()
    if len(loop) < whole and _in_a_face(loop[0], loop[-1]):
        return None
    for k in range(1, len(loop) - 1):
        left, right = _fill(loop[: k + 1], whole), _fill(loop[k:], whole)
        if left is not None and right is not None:
            return (*left, (loop[0], loop[k], loop[-1]), *right)
    return None


def _in_a_face(one: int, other: int) -> bool:
    return any(one in _edges(face) and other in _edges(face) for face in FACES)


def _edges(face: tuple[int, ...]) -> list[int]:
    return [_edge(face[k - 1], face[k]) for k in range(4)]
