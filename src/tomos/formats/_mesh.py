"""A surface in space, and the files it is written to."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from tomos.types import FormatError


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


def write_mesh(meshes: Mesh | Sequence[Mesh], path: str | Path) -> None:
    """Write surfaces as `.stl`, `.obj` or `.glb`, atomically.

    .stl  binary, one surface; millimetres, RAS
    .obj  a group for each; millimetres, RAS
    .glb  glTF 2.0, a node and a colour for each; metres, y up, as glTF has it
    Raises FormatError for another ending, no surface, or several in one STL.
    """
    from tomos.config import atomic_write  # pydantic comes with it: late
    from tomos.formats import _glb, _obj, _stl

    several = [meshes] if isinstance(meshes, Mesh) else list(meshes)
    formats = {".stl": _stl.content, ".obj": _obj.content, ".glb": _glb.content}
    form = formats.get(Path(path).suffix.lower())
    if form is None:
        raise FormatError(f"{path}: surfaces are written as {', '.join(formats)}")
    if not several:
        raise FormatError(f"{path}: there is no surface to write; no label has a voxel")
    if form is _stl.content and len(several) > 1:
        raise FormatError(
            f"{path}: an STL holds one surface, got {', '.join(mesh.name for mesh in several)}; "
            "write one file each, or .obj or .glb"
        )
    atomic_write(Path(path), form(several))
