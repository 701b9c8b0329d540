"""Writing a file so that it is either the old one or the new one, whatever happens in between."""

from __future__ import annotations

import contextlib
import errno
import os
import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import BinaryIO

from tomos.types import StorageError


def atomic_write(path: Path, content: bytes | Callable[[BinaryIO], None]) -> None:
    """Write `content` (or what it writes into the open file) to `path`, whole or not at all.

    The bytes go to a neighbour file, reach the disk, and take the name in one step (POSIX rename).
    Raises StorageError, the previous file untouched, when the disk is full or not writable.
    """
    path = Path(path)
    draft = ""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, draft = tempfile.mkstemp(prefix=f".{path.name}.", suffix=".part", dir=path.parent)
        with os.fdopen(handle, "wb") as file:
            if callable(content):
                content(file)
            else:
                file.write(content)
            file.flush()
            os.fsync(file.fileno())
        os.chmod(draft, 0o666 & ~_umask())
        os.replace(draft, path)
    except OSError as error:
        _discard(draft)
        raise StorageError(_why(path, error)) from error
    except BaseException:
        _discard(draft)
        raise


def free_or_raise(folder: Path, needed: int, purpose: str) -> None:
    """Raise StorageError when fewer than `needed` bytes are free where `folder` lies."""
    there = folder
    while not there.exists():
        there = there.parent
    free = shutil.disk_usage(there).free
    if free < needed:
        raise StorageError(
            f"{folder}: {purpose} needs {needed / 1e6:.0f} MB, {free / 1e6:.0f} MB are free; "
            "make room or choose another folder"
        )


def writable_or_raise(folder: Path) -> None:
    """Raise StorageError where `folder` cannot be made or written in; makes nothing."""
    there = Path(folder)
    while not there.exists() and there != there.parent:
        there = there.parent
    if there.is_dir() and os.access(there, os.W_OK):
        return
    what = "cannot be written in" if there.is_dir() else "is a file"
    raise StorageError(
        f"{folder}: expected a folder to write in, but {there} {what}; choose another"
    )


def _discard(draft: str) -> None:
    if draft:
        with contextlib.suppress(OSError):
            os.unlink(draft)


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask


def _why(path: Path, error: OSError) -> str:
    kept = "; the previous file is whole" if path.is_file() else ""
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return f"{path}: the disk is full{kept}. Make room and run it again"
    return f"{path}: cannot be written ({error.strerror or error}){kept}; choose another folder"
