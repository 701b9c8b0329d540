"""glTF 2.0 in one binary file (Khronos, glTF 2.0 specification, 3 and 4).

glTF is in metres, y up, z to the front, -x to the right; so is the patient then: y to the head, z
to the front, -x to the patient's right.
"""

from __future__ import annotations

import json
import struct
from collections.abc import Sequence
from typing import Any

import numpy as np

from tomos.formats._mesh import Mesh

MAGIC, VERSION = 0x46546C67, 2
JSON, BIN = 0x4E4F534A, 0x004E4942
FLOAT, UNSIGNED = 5126, 5125
VERTICES, INDICES = 34962, 34963  # what a buffer view is for
TO_GLTF = np.array([[-1.0, 0, 0], [0, 0, 1], [0, 1, 0]])  # RAS -> glTF, a rotation
METRES = 1e-3
ABOUT = {
    "unit": "metre",
    "axes": "-x to the patient's right, y to the head, z to the front",
}


def content(meshes: Sequence[Mesh]) -> bytes:
    """The file of `meshes`, a node, mesh and material for each."""
    file = _File()
    for mesh in meshes:
        file.add(mesh)
    blob = b"".join(file.parts)
    described = {
        "asset": {"version": "2.0", "generator": "Tomos", "extras": ABOUT},
        "scene": 0,
        "scenes": [{"nodes": list(range(len(meshes)))}],
        "nodes": [{"name": mesh.name, "mesh": k} for k, mesh in enumerate(meshes)],
        "meshes": file.meshes,
        "materials": [_material(mesh) for mesh in meshes],
        "accessors": file.accessors,
        "bufferViews": file.views,
        "buffers": [{"byteLength": len(blob)}],
    }
    text = json.dumps(described, separators=(",", ":")).encode()
    text = text.ljust(-(-len(text) // 4) * 4, b" ")
    chunks = struct.pack("<II", len(text), JSON) + text
    chunks += struct.pack("<II", len(blob), BIN)
    return struct.pack("<III", MAGIC, VERSION, 12 + len(chunks) + len(blob)) + chunks + blob


class _File:
    """The buffer as it grows; every part of it is whole words of four bytes."""

    def __init__(self) -> None:
        self.parts: list[bytes] = []
        self.views: list[dict[str, Any]] = []
        self.accessors: list[dict[str, Any]] = []
        self.meshes: list[dict[str, Any]] = []
        self._length = 0

    def add(self, mesh: Mesh) -> None:
        places = (mesh.vertices @ TO_GLTF.T * METRES).astype("<f4")
        normals = (mesh.normals() @ TO_GLTF.T).astype("<f4")
        bounds = {"min": places.min(axis=0).tolist(), "max": places.max(axis=0).tolist()}
        attributes = {
            "POSITION": self._accessor(places, FLOAT, "VEC3", VERTICES, **bounds),
            "NORMAL": self._accessor(normals, FLOAT, "VEC3", VERTICES),
        }
        indices = self._accessor(mesh.faces.astype("<u4").ravel(), UNSIGNED, "SCALAR", INDICES)
        primitive = {"attributes": attributes, "indices": indices, "material": len(self.meshes)}
        self.meshes.append({"name": mesh.name, "primitives": [primitive]})

    def _accessor(
        self, values: np.ndarray, component: int, kind: str, target: int, **bounds: list[float]
    ) -> int:
        self.views.append(
            {
                "buffer": 0,
                "byteOffset": self._length,
                "byteLength": values.nbytes,
                "target": target,
            }
        )
        self.accessors.append(
            {
                "bufferView": len(self.views) - 1,
                "componentType": component,
                "count": len(values),
                "type": kind,
                **bounds,
            }
        )
        self.parts.append(values.tobytes())
        self._length += values.nbytes
        return len(self.accessors) - 1


def _material(mesh: Mesh) -> dict[str, Any]:
    colour = [_linear(part / 255) for part in mesh.colour]
    surface = {"baseColorFactor": [*colour, 1.0], "metallicFactor": 0.0, "roughnessFactor": 0.8}
    return {"name": mesh.name, "pbrMetallicRoughness": surface}


def _linear(value: float) -> float:
    """sRGB -> linear, IEC 61966-2-1: glTF colours are linear."""
    return value / 12.92 if value <= 0.04045 else ((value + 0.055) / 1.055) ** 2.4
