"""Files of `torch.save` -> tensors, without running anything that a file holds.

Two forms exist: a zip of a pickle and one member per storage (torch 1.6 and later), and the older
stream of pickles followed by the storages. `weights_only=True` of torch is no security boundary;
`tomos.models._pickle` carries out no code at all.
"""

from __future__ import annotations

import io
import mmap
import struct
import sys
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import IO, Any

import torch

from tomos.models import _pickle
from tomos.types import FormatError, LimitError, PackageError

MAX_PICKLE = 64 * 2**20
MAX_MEMBERS = 60_000

# The first pickle of the older form holds this number, the second the version of the form.
_MAGIC = 0x1950A86A20F9469CFC6C
_VERSION = 1001


def read(path: Path) -> Any:
    """What `torch.save` wrote to `path`, with torch tensors in it.

    Raises PackageError when it asks for anything but tensors and plain containers, or is damaged;
    LimitError (a FormatError) when it declares more than a weight file needs; FormatError when it
    is no such file.
    """
    path = Path(path)
    try:
        with path.open("rb") as file:
            size = path.stat().st_size
            if not size:
                raise FormatError(f"{path}: expected a file of torch.save, got an empty one")
            if file.read(4) == b"PK\x03\x04":
                return _zip(path, file, size)
            with mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
                return _stream(path, data)
    except OSError as error:
        raise FormatError(f"{path}: cannot be read ({error.strerror or error})") from error


def _zip(path: Path, file: IO[bytes], size: int) -> Any:
    _check_directory(path, file, size)
    try:
        with zipfile.ZipFile(file) as archive:
            members = _members(path, archive, size)
            root = _root(path, members)
            order = "little"
            if f"{root}byteorder" in members:
                order = archive.read(f"{root}byteorder")[:8].decode("ascii", "replace").strip()
            value = _pickle.read(io.BytesIO(archive.read(f"{root}data.pkl")), str(path))

            def storage(record: _pickle.Storage) -> bytearray:
                name = f"{root}data/{record.key}"
                if name not in members:
                    raise PackageError(f"{path}: storage {record.key!r} is missing; is it cut off?")
                return bytearray(archive.read(name))

            return _filled(path, value, storage, order)
    except (zipfile.BadZipFile, NotImplementedError, RuntimeError, EOFError) as error:
        raise PackageError(f"{path}: damaged ({error}); fetch the file again") from error


def _check_directory(path: Path, file: IO[bytes], size: int) -> None:
    """Bound the zip's directory before Python's zipfile reads it whole.

    PKWARE APPNOTE 4.3.16 (end record), 4.3.14 (its 64-bit form, 4.3.15 where that lies).
    """
    tail_size = min(size, 65_557 + 20)
    file.seek(size - tail_size)
    tail = file.read(tail_size)
    at = tail.rfind(b"PK\x05\x06")
    if at < 0 or len(tail) < at + 22:
        raise PackageError(f"{path}: a zip without its directory; is the file cut off?")
    members, directory = struct.unpack_from("<HI", tail, at + 10)
    if at >= 20 and tail[at - 20 : at - 16] == b"PK\x06\x07":
        (record,) = struct.unpack_from("<Q", tail, at - 12)
        if record > size - 56:
            raise PackageError(f"{path}: a zip whose directory lies outside it")
        file.seek(record)
        members, directory = struct.unpack_from("<QQ", file.read(56), 32)
    if members > MAX_MEMBERS or directory > MAX_MEMBERS * 400:
        raise LimitError(
            f"{path}: expected at most {MAX_MEMBERS} members, got {members} in a directory of "
            f"{directory} bytes"
        )


def _members(path: Path, archive: zipfile.ZipFile, size: int) -> dict[str, zipfile.ZipInfo]:
    """Members by name; torch stores them uncompressed, one behind the other, each once."""
    end = 0
    members: dict[str, zipfile.ZipInfo] = {}
    for info in sorted(archive.infolist(), key=lambda info: info.header_offset):
        if info.compress_type != zipfile.ZIP_STORED or info.file_size != info.compress_size:
            raise PackageError(
                f"{path}: {info.filename!r} is compressed, which torch.save never is"
            )
        if info.filename in members or info.header_offset < end:
            raise PackageError(f"{path}: {info.filename!r} overlaps another member")
        # 30 bytes of local header (APPNOTE 4.3.7), at least the name, then the data.
        end = info.header_offset + 30 + len(info.filename.encode()) + info.compress_size
        if end > size:
            raise PackageError(f"{path}: {info.filename!r} reaches behind the end of the file")
        members[info.filename] = info
    return members


def _root(path: Path, members: dict[str, zipfile.ZipInfo]) -> str:
    """The folder inside the zip that holds data.pkl."""
    pickles = [name for name in members if name.split("/")[1:] == ["data.pkl"]]
    if len(pickles) != 1:
        found = ", ".join(repr(name) for name in list(members)[:3])
        raise FormatError(
            f"{path}: expected one member */data.pkl, as torch.save writes, got {found or 'none'}"
        )
    root = pickles[0].removesuffix("data.pkl")
    if f"{root}constants.pkl" in members:
        raise FormatError(f"{path}: a TorchScript program, not weights; save its state_dict")
    if members[pickles[0]].file_size > MAX_PICKLE:
        raise LimitError(f"{path}: its data.pkl is over {MAX_PICKLE >> 20} MiB")
    return root


def _stream(path: Path, data: mmap.mmap) -> Any:
    """Pickles of magic number, version, facts of the machine, value, keys; then the storages."""
    if data[:1] != b"\x80":
        raise FormatError(f"{path}: expected a file of torch.save or safetensors, got neither")
    # mmap reads and seeks as a file does; its read() is bounded by what is there.
    file: Any = data
    if _pickle.read(file, str(path)) != _MAGIC:
        raise FormatError(f"{path}: a pickle that torch.save did not write; only weights are read")
    version, facts = _pickle.read(file, str(path)), _pickle.read(file, str(path))
    if version != _VERSION or not isinstance(facts, dict):
        raise PackageError(f"{path}: expected version {_VERSION} of the form, got another")
    order = "little" if facts.get("little_endian", True) else "big"
    value, keys = _pickle.read(file, str(path)), _pickle.read(file, str(path))
    runs: dict[str, tuple[int, int]] = {}
    sizes = {record.key: _bytes(record) for record in _storages(value)}
    if not isinstance(keys, list) or not all(isinstance(key, str) for key in keys):
        raise PackageError(f"{path}: damaged: expected a list of storages")
    for key in keys:
        head = data.read(8)
        count = int.from_bytes(head, "little") if len(head) == 8 else 0
        width, declared = sizes.get(key, (1, 0))
        if len(head) < 8 or count != declared or data.tell() + count * width > len(data):
            raise PackageError(f"{path}: storage {key!r} is cut off or not as declared")
        runs[key] = (data.tell(), count * width)
        data.seek(count * width, 1)

    def storage(record: _pickle.Storage) -> bytearray:
        if record.key not in runs:
            raise PackageError(f"{path}: storage {record.key!r} is missing; is it cut off?")
        start, length = runs[record.key]
        return bytearray(data[start : start + length])

    return _filled(path, value, storage, order)


def _bytes(record: _pickle.Storage) -> tuple[int, int]:
    """(bytes a value, values)."""
    return getattr(torch, record.dtype).itemsize, record.count


def _storages(value: Any) -> Iterator[_pickle.Storage]:
    if isinstance(value, _pickle.Tensor):
        yield value.storage
    elif isinstance(value, dict | list | tuple):
        for inner in value.values() if isinstance(value, dict) else value:
            yield from _storages(inner)


def _filled(
    path: Path, value: Any, storage: Callable[[_pickle.Storage], bytearray], order: str
) -> Any:
    """`value` with torch tensors for records; a storage is read once, however many views it has."""
    if order not in ("little", "big"):
        raise PackageError(f"{path}: expected little or big byte order, got {order!r}")
    read: dict[str, torch.Tensor] = {}

    def fill(inner: Any) -> Any:
        if isinstance(inner, _pickle.Tensor):
            record = inner.storage
            if record.key not in read:
                read[record.key] = _values(path, record, storage(record), order)
            values = read[record.key]
            if values.dtype != getattr(torch, record.dtype) or len(values) != record.count:
                raise PackageError(f"{path}: storage {record.key!r} is declared twice, differently")
            return values.as_strided(inner.size, inner.stride, inner.offset)
        if isinstance(inner, dict):
            return {key: fill(part) for key, part in inner.items()}
        if isinstance(inner, list | tuple):
            return type(inner)(fill(part) for part in inner)
        return inner

    return fill(value)


def _values(path: Path, record: _pickle.Storage, raw: bytearray, order: str) -> torch.Tensor:
    """The bytes of a storage as a flat tensor of its type."""
    dtype = getattr(torch, record.dtype)
    if len(raw) != record.count * dtype.itemsize:
        raise PackageError(
            f"{path}: storage {record.key!r}: expected {record.count} values of {record.dtype}, "
            f"got {len(raw)} bytes"
        )
    if not raw:
        return torch.empty(0, dtype=dtype)
    flat = torch.frombuffer(raw, dtype=torch.uint8)
    if order != sys.byteorder:
        flat = flat.view(-1, dtype.itemsize).flip(1).reshape(-1).contiguous()
    return flat.view(dtype)
