"""Binary STL: 80 bytes of text, a count, and 50 bytes a triangle, little endian.

It has no unit; millimetres are the custom. 3D Slicer takes the frame from the text, else LPS.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence

import numpy as np

from tomos.formats._mesh import Mesh

TEXT = b"Tomos, millimetres, SPACE=RAS"  # may not begin with "solid": that is the text form
TRIANGLE = np.dtype([("normal", "<f4", 3), ("corners", "<f4", (3, 3)), ("attribute", "<u2")])


def content(meshes: Sequence[Mesh]) -> bytes:
    """The file of the first of `meshes`."""
    mesh = meshes[0]
    records = np.zeros(len(mesh.faces), TRIANGLE)
    corners = mesh.vertices[mesh.faces]
    normals = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
    length = np.linalg.norm(normals, axis=1, keepdims=True)
    records["normal"] = normals / np.where(length > 0, length, 1)
    records["corners"] = corners
    return TEXT.ljust(80, b"\0") + struct.pack("<I", len(records)) + records.tobytes()
