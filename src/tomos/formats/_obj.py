"""Wavefront OBJ: text, a group for each surface, indices from 1 through the whole file."""

from __future__ import annotations

from collections.abc import Sequence

from tomos.formats._mesh import Mesh

HEAD = "# Tomos, millimetres, x to the right, y to the front, z to the head. SPACE=RAS\n"


def content(meshes: Sequence[Mesh]) -> bytes:
    """The file of `meshes`, to a tenth of a micrometre."""
    parts, first = [HEAD], 1
    for mesh in meshes:
        parts.append(f"g {'_'.join(mesh.name.split()) or 'surface'}\n")
        parts.append("v %.4f %.4f %.4f\n" * len(mesh.vertices) % tuple(mesh.vertices.ravel()))
        parts.append("f %d %d %d\n" * len(mesh.faces) % tuple((mesh.faces + first).ravel()))
        first += len(mesh.vertices)
    return "".join(parts).encode()
