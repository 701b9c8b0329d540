"""Surfaces -> files."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from tomos.formats import _glb, _obj, _stl
from tomos.formats._mesh import Mesh
from tomos.types import FormatError


def write_mesh(meshes: Mesh | Sequence[Mesh], path: str | Path) -> None:
    """Write surfaces as `.stl`, `.obj` or `.glb`, atomically.

    .stl  binary, one surface; millimetres, RAS
    .obj  a group for each; millimetres, RAS
    .glb  glTF 2.0, a node and a colour for each; metres, y up, as glTF has it
    Raises FormatError for another ending, no surface, or several in one STL.
    """
    from tomos.config import atomic_write  # pydantic comes with it: late

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
