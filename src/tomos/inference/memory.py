"""Memory: how much may still be taken, and what is raised where it is not enough.

A process that takes more than there is may be ended by the system without a word, so what a long
piece of work needs is held against this before it starts.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

from tomos.types import TomosError

UNKNOWN = 1 << 62
PROC, GROUPS = Path("/proc"), Path("/sys/fs/cgroup")

# What runtimes say, in small letters: ONNX Runtime and OpenVINO have no class of error for it.
_SAID = ("bad_alloc", "bad allocation", "allocate memory", "out of memory", "memory exhausted",
         "smaller than requested bytes")  # fmt: skip


class OutOfMemory(TomosError):
    """What was asked for does not fit into memory."""


def is_out_of_memory(error: BaseException) -> bool:
    """Whether an error, of numpy or of a runtime, says that there is no memory left."""
    if isinstance(error, MemoryError | TomosError):
        return isinstance(error, MemoryError | OutOfMemory)
    name, text = type(error).__name__, str(error).lower()
    return name == "OutOfMemoryError" or any(said in text for said in _SAID)


def free_memory() -> int:
    """Bytes: the least of what the machine has left, what this container or job may still take, and
    what the process was allowed (`ulimit -v`). `UNKNOWN` where the system does not say."""
    return min(_of_machine(), _of_group(), _of_process())


def in_words(size: float) -> str:
    """A number of bytes for a person."""
    if size >= 2**30:
        return f"{size / 2**30:.1f} GiB"
    return f"{size / 2**20:.1f} MiB"


def held() -> int | None:
    """Bytes of memory that this process has now; None where the system does not say."""
    pages = _pages()
    return None if pages is None else pages[1] * os.sysconf("SC_PAGE_SIZE")


def _pages() -> list[int] | None:
    """Pages of address space and of memory, proc(5)."""
    try:
        return list(map(int, (PROC / "self/statm").read_text().split()[:2]))
    except (OSError, ValueError):
        return None


def _of_machine() -> int:
    try:
        lines = (PROC / "meminfo").read_text().splitlines()
        return 1024 * next(int(line.split()[1]) for line in lines if "MemAvailable" in line)
    except (OSError, StopIteration, ValueError):
        pass
    try:
        # Elsewhere only the whole is known: half of it is often there.
        return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") // 2
    except (AttributeError, OSError, ValueError):
        return UNKNOWN


def _of_process() -> int:
    try:
        import resource
    except ImportError:  # Windows
        return UNKNOWN
    limit, pages = resource.getrlimit(resource.RLIMIT_AS)[0], _pages()
    if limit == resource.RLIM_INFINITY or pages is None:
        return UNKNOWN
    return max(0, limit - pages[0] * os.sysconf("SC_PAGE_SIZE"))


def _of_group() -> int:
    """The least that a control group of this process, or one above it, has left."""
    return min((_left(folder, files) for folder, files in _groups()), default=UNKNOWN)


def _groups() -> Iterator[tuple[Path, tuple[str, str, str]]]:
    """Folders of the control groups and the names of their files: limit, use, and which number of
    memory.stat is a cache that is given back when asked for. Versions 2 and 1, cgroups(7)."""
    try:
        lines = (PROC / "self/cgroup").read_text().splitlines()
    except OSError:
        return
    for line in lines:
        _, controllers, path = line.split(":", 2)
        if controllers == "":
            root, files = GROUPS, ("memory.max", "memory.current", "inactive_file")
        elif "memory" in controllers.split(","):
            root = GROUPS / "memory"
            files = ("memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file")
        else:
            continue
        own = root / path.lstrip("/")
        yield own, files
        # In a container the path may be that of the host: then the root is the container's own.
        yield from ((above, files) for above in own.parents if above.is_relative_to(root))


def _left(folder: Path, files: tuple[str, str, str]) -> int:
    limit, used, cache = files
    try:
        most = int((folder / limit).read_text())
        now = int((folder / used).read_text())
        stat = dict(line.split() for line in (folder / "memory.stat").read_text().splitlines())
    except (OSError, ValueError):  # "max", or no such group
        return UNKNOWN
    return max(0, most - now + int(stat.get(cache, 0)))
