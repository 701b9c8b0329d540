"""A glance at every image of a data set: in threads, streamed, and remembered in DATASET/.cache."""

from __future__ import annotations

import contextlib
import os
from collections import deque
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from hashlib import blake2b
from pathlib import Path

import numpy as np

from tomos.config import atomic_write
from tomos.datasets.dataset import container
from tomos.datasets.glance import ROW, glance
from tomos.types import FormatError, Progress, Silent, StorageError

VERSION = 1
CHUNK = 32
SMALL = 128 * 128  # pixels


@dataclass(frozen=True, eq=False)
class Survey:
    """What was seen: one row (`glance.ROW`) an address, `errors` where an image was refused."""

    addresses: tuple[str, ...]
    rows: np.ndarray
    errors: dict[int, str]

    @property
    def seen(self) -> np.ndarray:
        """(N,) bool: the image could be read."""
        return self.rows["seen"]


def survey(
    addresses: Sequence[str],
    remember: Path | None = None,
    progress: Progress | None = None,
    threads: int = 0,
) -> Survey:
    """Glance at every address. `remember` is the data set's folder; unchanged files are not reread.

    An unreadable image costs a line in `errors`, nothing else.
    """
    progress = progress or Silent()
    rows = np.zeros(len(addresses), ROW)
    rows["state"] = states(addresses)
    file = remember / ".cache" / f"survey-{VERSION}.npy" if remember else None
    known = _recall(file, rows)
    todo = np.flatnonzero(~known)
    errors: dict[int, str] = {}
    done = len(addresses) - len(todo)
    chunks = (todo[i : i + CHUNK] for i in range(0, len(todo), CHUNK))
    threads = threads or _threads([addresses[i] for i in todo[:1]])
    for chunk, found in in_threads(lambda c: [_look(addresses[i]) for i in c], chunks, threads):
        for place, seen in zip(chunk, found, strict=True):
            if isinstance(seen, str):
                errors[int(place)] = seen
            else:
                seen["state"] = rows[place]["state"]
                rows[place] = seen
        done += len(chunk)
        progress.step(done, len(addresses), "images looked at")
    if file and len(todo):
        # A folder that cannot be written to can still be looked at.
        with contextlib.suppress(StorageError):
            atomic_write(file, lambda out: np.lib.format.write_array(out, rows[rows["seen"]]))
    return Survey(tuple(addresses), rows, errors)


def _look(address: str) -> np.ndarray | str:
    from tomos import formats

    try:
        return glance(formats.read(address))
    except FormatError as error:
        return str(error)
    except FileNotFoundError:
        return f"{address}: there is no such file"
    except (OSError, ValueError, MemoryError) as error:
        return f"{address}: {type(error).__name__}: {error}"


def _threads(sample: list[str]) -> int:
    """One for pictures so small that threads would wait for each other, else 0 (one a core)."""
    seen = _look(sample[0]) if sample else ""
    return 0 if isinstance(seen, str) or int(seen["size"].prod()) > SMALL else 1


def _recall(file: Path | None, rows: np.ndarray) -> np.ndarray:
    """Fill rows whose files are as they were; (N,) bool of those."""
    known = np.zeros(len(rows), bool)
    if file is None or not file.is_file() or not len(rows):
        return known
    try:
        old = np.load(file, allow_pickle=False)
    except (OSError, ValueError, EOFError):
        return known
    if old.dtype != ROW or not len(old):
        return known
    keys, now = _keys(old), _keys(rows)
    order = np.argsort(keys)
    place = np.clip(np.searchsorted(keys, now, sorter=order), 0, len(old) - 1)
    known = keys[order[place]] == now
    rows[known] = old[order[place]][known]
    return known


def _keys(rows: np.ndarray) -> np.ndarray:
    return np.ascontiguousarray(rows["state"]).view("S16").ravel()


def states(addresses: Sequence[str]) -> np.ndarray:
    """(N, 16) uint8: a digest of each address and its file's size and time of change."""
    files: dict[str, bytes] = {}
    digests = bytearray()
    for address in addresses:
        path, member = container(address)
        if path not in files:
            files[path] = _state(Path(path))
        digests += blake2b(files[path] + member.encode(), digest_size=16).digest()
    return np.frombuffer(bytes(digests), "u1").reshape(-1, 16)


def _state(path: Path) -> bytes:
    if not path.is_dir():
        return _stat(str(path), path)
    with os.scandir(path) as entries:
        inside = sorted((entry.name, entry) for entry in entries if entry.is_file())
    parts = b"".join(_stat(name, Path(entry.path)) for name, entry in inside)
    return str(path).encode(errors="surrogateescape") + blake2b(parts).digest()


def _stat(name: str, path: Path) -> bytes:
    try:
        stat = path.stat()
    except OSError:
        return f"{name}\0missing\0".encode()
    return f"{name}\0{stat.st_size}\0{stat.st_mtime_ns}\0".encode(errors="surrogateescape")


def in_threads(work, items: Iterator, threads: int = 0) -> Iterator[tuple]:
    """(item, work(item)) in order, with a bounded number under way."""
    threads = threads or min(8, (os.cpu_count() or 1) + 1)
    with ThreadPoolExecutor(threads) as pool:
        waiting: deque[tuple[object, Future]] = deque()
        try:
            for item in items:
                waiting.append((item, pool.submit(work, item)))
                if len(waiting) > 2 * threads:
                    item, future = waiting.popleft()
                    yield item, future.result()
            while waiting:
                item, future = waiting.popleft()
                yield item, future.result()
        finally:
            for _, future in waiting:
                future.cancel()
