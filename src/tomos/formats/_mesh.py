"""A surface in space."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True, slots=True, eq=False)
class Mesh:
    """Triangles.

    vertices  (V, 3) float64, RAS mm
    faces     (F, 3) indices, counter-clockwise as seen from outside
    colour    (red, green, blue) from 0 to 255
    """

    name: str
    vertices: np.ndarray
    faces: np.ndarray
    colour: tuple[int, int, int] = (200, 200, 200)

    @property
    def volume(self) -> float:
        """What a closed surface encloses, mm³ (the divergence theorem)."""
        centred = self.vertices - self.vertices.mean(axis=0)
        one, two, three = (centred[self.faces[:, k]] for k in range(3))
        return float(np.einsum("fi,fi->", one, np.cross(two, three)) / 6)

    @property
    def is_closed(self) -> bool:
        """Whether every edge has exactly two triangles, which run along it in both directions."""
        count = len(self.vertices)
        ends = self.faces.astype(np.int64), np.roll(self.faces, -1, axis=1).astype(np.int64)
        there = np.unique((ends[0] * count + ends[1]).ravel())
        back = np.unique((ends[1] * count + ends[0]).ravel())
        return there.size == self.faces.size and np.array_equal(there, back)

    def normals(self) -> np.ndarray:
        """(V, 3) outward, of length 1: the mean over a vertex's triangles, by their size."""
        one, two, three = (self.vertices[self.faces[:, k]] for k in range(3))
        areas = np.cross(two - one, three - one)
        total = np.zeros_like(self.vertices)
        for k in range(3):
            for axis in range(3):
                total[:, axis] += np.bincount(
                    self.faces[:, k], areas[:, axis], minlength=len(self.vertices)
                )
        length = np.linalg.norm(total, axis=1, keepdims=True)
        return np.divide(total, length, out=np.tile([0.0, 0.0, 1.0], (len(total), 1)),
                         where=length > 0)  # fmt: skip
