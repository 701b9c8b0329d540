"""The only reader and writer of `model.tomos`: manifest, checks, limits. zip + numpy.

A model file is data: nothing in it is executed on loading. What is corrupt, larger than it
declares, made by a newer Tomos, or not inert is refused with PackageError.
"""

from __future__ import annotations

import hashlib
import io
import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from tomos.config import atomic_write, parse
from tomos.package import container, graph, signature
from tomos.package.manifest import (
    SCHEMA,
    Class,
    Code,
    Example,
    GraphPart,
    InputPart,
    Manifest,
    MaskPart,
    Network,
    OperatingPoint,
)
from tomos.types import PackageError, SettingsError

__all__ = [
    "Class",
    "Code",
    "Example",
    "GraphPart",
    "InputPart",
    "Manifest",
    "MaskPart",
    "Network",
    "OperatingPoint",
    "Package",
    "read",
    "write",
]


@dataclass(frozen=True, slots=True, eq=False)
class Package:
    """A model file that passed all checks.

    path       where it was read from
    digest     SHA-256 of the manifest, which holds that of every other member
    members    name -> bytes, everything but the manifest
    signed_by  the trusted key (hex) that signed it, "" when none was asked for
    """

    path: Path
    manifest: Manifest
    digest: str
    members: Mapping[str, bytes] = field(repr=False)
    signed_by: str = ""

    @property
    def sha256(self) -> str:
        """Of the whole file as it lies on disk now, as `sha256sum` gives it."""
        with self.path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()

    def graph(self, index: int = 0) -> bytes:
        """The ONNX model of one graph."""
        return self.members[self.manifest.graphs[index].file]

    def text(self, name: str) -> str:
        """A text member ("card.md", "licence.txt", ...), "" when there is none."""
        return self.members.get(name, b"").decode("utf-8", "replace")

    def envelope_arrays(self) -> dict[str, np.ndarray]:
        """The envelope's arrays by name, as float32."""
        return {
            name.removeprefix("envelope/").removesuffix(".npy"): _array(content, name, self.path)
            for name, content in self.members.items()
            if name.startswith("envelope/")
        }


def write(
    path: Path | str,
    manifest: Manifest,
    graphs: Sequence[bytes],
    extras: Mapping[str, bytes | str | np.ndarray] | None = None,
    key: Path | None = None,
) -> Manifest:
    """Write `model.tomos` whole or not at all; the same content gives the same bytes.

    graphs  ONNX models, in the order of `manifest.graphs`
    extras  further members: "card.md", "licence.txt", "metrics.json", "plan.toml" (text or bytes)
            and "envelope/NAME.npy" (arrays, kept as float16 where that loses little)
    key     PEM file of an Ed25519 private key to sign with

    Returns the manifest as written, checksums filled in. PackageError when the graphs are not what
    the manifest says, so that a file that cannot be read is never written.
    """
    if len(graphs) != len(manifest.graphs) or not graphs:
        raise PackageError(
            f"{path}: the manifest names {len(manifest.graphs)} graphs, {len(graphs)} were given"
        )
    members: dict[str, bytes] = {}
    for part, content in zip(manifest.graphs, graphs, strict=True):
        members[part.file] = bytes(content)
    for name, extra in (extras or {}).items():
        members[name] = _bytes(extra)
    checksums = {name: hashlib.sha256(content).hexdigest() for name, content in members.items()}
    parts = tuple(
        part.model_copy(update={"sha256": checksums[part.file]}) for part in manifest.graphs
    )
    manifest = manifest.model_copy(update={"graphs": parts, "checksums": checksums})
    head = {"manifest.json": _manifest_bytes(manifest)}
    if key is not None:
        head["signature.json"] = signature.sign(head["manifest.json"], Path(key))
    data = container.pack({**head, **members})
    _check(manifest, members, str(path))
    atomic_write(Path(path), data)
    return manifest


def read(path: Path | str, trust: Path | str | None = None) -> Package:
    """Read and check a model file; PackageError says why it is refused.

    trust  a PEM file of public keys, or a folder of them: unsigned files are then refused, too
    """
    path = _inside(Path(path))
    where = str(path)
    members = container.unpack(_file(path), where)
    raw = members.pop("manifest.json", None)
    if raw is None:
        raise PackageError(f"{where}: has no manifest.json; it is not a model file")
    mark = members.pop("signature.json", None)
    signed_by = signature.verify(raw, mark, Path(trust), where) if trust else ""
    manifest = _manifest(raw, where)
    _check(manifest, members, where)
    return Package(path, manifest, hashlib.sha256(raw).hexdigest(), members, signed_by)


def _inside(path: Path) -> Path:
    """The model file, also where a run's folder was named."""
    return path / "model.tomos" if path.is_dir() else path


def _file(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            # Not the most there may be: the whole of what is asked for is taken at once.
            data = file.read(min(container.LARGEST_TOTAL, os.fstat(file.fileno()).st_size + 1))
    except FileNotFoundError:
        raise PackageError(f"{path}: there is no such model file") from None
    except OSError as error:
        raise PackageError(f"{path}: cannot be read ({error.strerror})") from None
    if len(data) == container.LARGEST_TOTAL:
        raise PackageError(f"{path}: larger than the 4 GiB a model file may be")
    return data


def _manifest_bytes(manifest: Manifest) -> bytes:
    data = manifest.model_dump(mode="json", exclude_none=True)
    try:
        return (json.dumps(data, indent=1, ensure_ascii=False, allow_nan=False) + "\n").encode()
    except ValueError as error:
        raise PackageError(f"the manifest holds a number that is not finite: {error}") from None


def _manifest(raw: bytes, where: str) -> Manifest:
    try:
        data = json.loads(raw, parse_constant=_refuse_constant)
    except (ValueError, RecursionError) as error:
        raise PackageError(f"{where}: its manifest is not readable ({error})") from None
    number = data.get("schema") if isinstance(data, dict) else None
    if isinstance(number, int) and not isinstance(number, bool) and number > SCHEMA:
        raise PackageError(
            f"{where}: made by a newer Tomos (schema {number}, this one reads up to {SCHEMA}); "
            "update with: pip install -U tomos"
        )
    try:
        return parse(Manifest, data, where)
    except (SettingsError, RecursionError) as error:
        raise PackageError(f"{error}; the file is damaged or was changed") from None


def _refuse_constant(text: str):
    raise ValueError(f"{text} is not a number")


def _check(manifest: Manifest, members: Mapping[str, bytes], where: str) -> None:
    """Members against the checksums, graphs against the manifest, arrays against their headers."""
    if set(members) != set(manifest.checksums):
        odd = sorted(set(members) ^ set(manifest.checksums))
        raise PackageError(f"{where}: manifest and content disagree about {', '.join(odd)}")
    for name, content in members.items():
        if hashlib.sha256(content).hexdigest() != manifest.checksums[name]:
            raise PackageError(f"{where}: {name} is not the file that was packed (SHA-256 differs)")
        if name.endswith(".npy"):
            _array(content, name, where)
    named = {part.file for part in manifest.graphs}
    if not named or named != {name for name in members if name.startswith("graphs/")}:
        raise PackageError(f"{where}: the manifest names graphs {sorted(named)}, others are there")
    for part in manifest.graphs:
        if part.sha256 != manifest.checksums[part.file]:
            raise PackageError(f"{where}: the manifest gives {part.file} two checksums")
        at = f"{where}: {part.file}"
        given = manifest.input_of(part)
        size = (given.taken, *given.size)
        # A net for masks answers for every place of a tile.
        places = len(given.size) if manifest.kind == "mask" else 0
        graph.check(members[part.file], at, size, part.outputs, (manifest.outputs, places))
    if manifest.example and len(manifest.example.logits) != len(manifest.graphs):
        raise PackageError(f"{where}: the example needs one answer for each graph")


def _bytes(extra: bytes | str | np.ndarray) -> bytes:
    if isinstance(extra, str):
        return extra.encode()
    if not isinstance(extra, np.ndarray):
        return bytes(extra)
    stream = io.BytesIO()
    extra = np.ascontiguousarray(extra)
    with np.errstate(over="ignore"):  # too large for half precision: `fits` says so
        half = extra.astype(np.float16)
    fits = np.isfinite(half).all() and np.allclose(half, extra, rtol=1e-2, atol=1e-6)
    np.lib.format.write_array(stream, half if fits else extra.astype(np.float32), version=(1, 0))
    return stream.getvalue()


def _array(content: bytes, name: str, where: Path | str) -> np.ndarray:
    """A .npy member as float32. Only plain float arrays whose size is that of their bytes."""
    stream = io.BytesIO(content)
    try:
        if np.lib.format.read_magic(stream) != (1, 0):
            raise ValueError("unknown version")
        shape, fortran, kind = np.lib.format.read_array_header_1_0(stream, max_header_size=1000)
        body = content[stream.tell() :]
        if kind not in (np.float16, np.float32) or fortran or min(shape, default=0) < 0:
            raise ValueError(f"{kind} {shape}, fortran order {fortran}")
        array = np.frombuffer(body, kind).reshape(shape).astype(np.float32)
    except (ValueError, TypeError, SyntaxError, RecursionError, MemoryError) as error:
        raise PackageError(f"{where}: {name} is not a plain array ({error})") from None
    if not np.isfinite(array).all():
        raise PackageError(f"{where}: {name} holds values that are not finite")
    return array
