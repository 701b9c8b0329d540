"""Where training runs, with how many threads, and how much memory there is."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import torch

from tomos.types import PlanError

# cuBLAS is deterministic only with a fixed workspace, asked for before the first use of CUDA.
CUBLAS = "CUBLAS_WORKSPACE_CONFIG"


def choose(name: str) -> torch.device:
    """ "auto" -> the best there is; "cpu", "cuda", "cuda:1", "mps" -> that one.

    Raises PlanError when the machine does not have it.
    """
    if name == "auto":
        if torch.cuda.is_available():
            return torch.device("cuda")
        return torch.device("mps" if torch.backends.mps.is_available() else "cpu")
    try:
        device = torch.device(name)
    except RuntimeError:
        raise PlanError(f"device: expected auto, cpu, cuda, cuda:N or mps, got {name!r}") from None
    has = {
        "cpu": True,
        "cuda": torch.cuda.is_available() and (device.index or 0) < torch.cuda.device_count(),
        "mps": torch.backends.mps.is_available(),
    }
    if not has.get(device.type, False):
        raise PlanError(
            f"device: the plan asks for {name!r}, which this machine does not have; "
            "use --device auto, or make the plan on this machine"
        )
    return device


@contextmanager
def machine(name: str, threads: int = 0) -> Iterator[torch.device]:
    """The device, with `threads` threads (0: as they are) and repeatable arithmetic, until the end.

    Numbers below 1e-38 count as zero meanwhile: on a CPU they cost a hundred times a normal number,
    and near the end of training weights are full of them.
    """
    device = choose(name)
    before = torch.get_num_threads(), torch.are_deterministic_algorithms_enabled()
    deterministic: Any = torch.utils.deterministic
    fill = deterministic.fill_uninitialized_memory
    if device.type == "cuda":
        os.environ.setdefault(CUBLAS, ":4096:8")
    if threads:
        torch.set_num_threads(threads)
    torch.use_deterministic_algorithms(True, warn_only=True)
    deterministic.fill_uninitialized_memory = False
    torch.set_flush_denormal(True)
    try:
        yield device
    finally:
        torch.set_num_threads(before[0])
        torch.use_deterministic_algorithms(before[1])
        deterministic.fill_uninitialized_memory = fill
        torch.set_flush_denormal(False)


def free_memory(device: torch.device) -> int:
    """Bytes that can still be used, on the device itself."""
    if device.type == "cuda":
        return torch.cuda.mem_get_info(device)[0]
    return min(_available(), _group_limit())


def seed_of(*numbers: int) -> int:
    """One seed out of several numbers, so that (seed, epoch, step) each change everything."""
    return int(np.random.SeedSequence(numbers).generate_state(1, np.uint64)[0] >> 1)


def _available() -> int:
    try:
        lines = Path("/proc/meminfo").read_text().splitlines()
        return 1024 * next(int(line.split()[1]) for line in lines if "MemAvailable" in line)
    except (OSError, StopIteration):
        pages = getattr(os, "sysconf", lambda name: 0)("SC_PHYS_PAGES") // 2
        return max(pages * 4096, 2 << 30)


def _group_limit() -> int:
    """What a container may still use; without one, no limit."""
    folder = Path("/sys/fs/cgroup")
    try:
        limit = int((folder / "memory.max").read_text())
        return max(0, limit - int((folder / "memory.current").read_text()))
    except (OSError, ValueError):
        return 1 << 62
