"""How what was prepared of a data set is kept in DATASET/.cache.

A store is a folder named by what it depends on: each file's address, size and time of change, the
preparation, and the code that reads and prepares. It appears whole or not at all, and the oldest
are removed beyond a limit.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import shutil
import threading
import time
from collections.abc import Iterator, Sequence
from functools import cache
from pathlib import Path
from typing import Any

from tomos.datasets.survey import states
from tomos.types import StorageError

LIMIT = 20 * 2**30  # bytes of all stores in one folder
META = "meta.json"


def key(settings: Any, addresses: Sequence[str]) -> str:
    """The name of a store: of the files at `addresses`, prepared by `settings` (plain data)."""
    total = hashlib.sha256(json.dumps(settings, sort_keys=True, default=str).encode())
    total.update(_code().encode())
    total.update(states(addresses).tobytes())
    return total.hexdigest()[:32]


@cache
def _code() -> str:
    """The version of the code that decides the pixels: the sources of formats and prepare."""
    import tomos
    import tomos.formats
    import tomos.transforms.prepare

    total = hashlib.sha256(tomos.__version__.encode())
    for package in (tomos.formats, tomos.transforms.prepare):
        for root in sorted(package.__path__):
            for source in sorted(Path(root).rglob("*.py")):
                total.update(source.read_bytes())
    return total.hexdigest()


@contextlib.contextmanager
def drafted(place: Path) -> Iterator[Path]:
    """A folder to fill, which becomes `place` at the end; nothing is left where that fails.

    Raises StorageError where the disk refuses.
    """
    draft = place.with_name(f".{place.name}.{os.getpid()}.{threading.get_ident()}.part")
    try:
        draft.mkdir(parents=True)
        yield draft
        _take_place(draft, place)
    except OSError as error:
        raise StorageError(f"{place}: cannot be written ({error.strerror}); make room") from None
    finally:
        shutil.rmtree(draft, ignore_errors=True)


def _take_place(draft: Path, place: Path) -> None:
    try:
        draft.rename(place)
    except OSError:
        # Another process was quicker with the same content.
        if not (place / META).is_file():
            raise


def used(place: Path) -> None:
    """Mark a store as used now, so that it is not the oldest."""
    with contextlib.suppress(OSError):
        os.utime(place / META)


def make_room(folder: Path, limit: int, needed: int) -> None:
    """Remove the stores used longest ago until `needed` more bytes fit below `limit`."""
    if not folder.is_dir():
        return
    stores = []
    for entry in folder.iterdir():
        with contextlib.suppress(OSError):
            if entry.name.startswith(".") and time.time() - entry.stat().st_mtime > 86400:
                shutil.rmtree(entry, ignore_errors=True)  # left by a process that was killed
            elif (entry / META).is_file():
                size = sum(file.stat().st_size for file in entry.iterdir())
                stores.append(((entry / META).stat().st_mtime, size, entry))
    total = needed + sum(size for _, size, _ in stores)
    for _, size, entry in sorted(stores):
        if total <= limit:
            return
        shutil.rmtree(entry, ignore_errors=True)
        total -= size
