"""One side of a comparison in a process of its own, so that its memory is its own.

A script calls itself: `run` starts `python SCRIPT --side NAME '{"...": ...}'`, which ends with
`answer(...)`. A peer that cannot live in our environment is run by the Python of its own.
"""

from __future__ import annotations

import json
import os
import resource
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any


def run(script: str, python: str, side: str, job: dict, threads: int) -> dict:
    """What the side answered; its messages are shown only when it failed."""
    limits = dict.fromkeys(
        ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMBA_NUM_THREADS"),
        str(threads),
    )
    command = [python, script, "--side", side, json.dumps({**job, "threads": threads})]
    done = subprocess.run(
        command, env={**os.environ, **limits}, capture_output=True, text=True, check=False
    )
    if done.returncode:
        raise SystemExit(f"{side} failed:\n{done.stderr[-3000:]}")
    return json.loads(done.stdout.strip().splitlines()[-1])


def in_turn(
    script: str, sides: dict[str, tuple[str, str, dict]], rounds: int, threads: int
) -> dict[str, list[dict]]:
    """What each side answered in each round, all sides one after the other in every round.

    sides  name -> (Python that runs it, name in the script, its job)
    """
    seen: dict[str, list[dict]] = {side: [] for side in sides}
    for _ in range(rounds):
        for side, (python, called_as, job) in sides.items():
            seen[side].append(run(script, python, called_as, job, threads))
    return seen


def called() -> tuple[str, dict] | None:
    """(side, job) in a child, None in the program that the user started."""
    if len(sys.argv) == 4 and sys.argv[1] == "--side":
        return sys.argv[2], json.loads(sys.argv[3])
    return None


def answer(**found: Any) -> None:
    """Tell the parent, with the most memory this process ever held."""
    print(json.dumps({**found, "peak_bytes": peak()}), flush=True)


def peak() -> int:
    """Bytes. Linux's own mark of this process; `ru_maxrss` would count what the parent held."""
    try:
        for line in Path("/proc/self/status").read_text().splitlines():
            if line.startswith("VmHWM"):
                return int(line.split()[1]) * 1024
    except OSError:
        pass
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def timed(work: Callable[[], Any]) -> tuple[Any, dict[str, float]]:
    """What the work gave, and its seconds: wall and processor, all threads together."""
    wall, busy = time.perf_counter(), time.process_time()
    found = work()
    return found, {"wall": time.perf_counter() - wall, "cpu": time.process_time() - busy}


def summary(rounds: list[dict]) -> dict:
    """Median and best seconds, and the largest peak, of one side's rounds."""
    walls = [one["seconds"]["wall"] for one in rounds]
    return {
        "seconds": {
            "median": round(statistics.median(walls), 4),
            "best": round(min(walls), 4),
            "all": [round(wall, 4) for wall in walls],
        },
        "cpu_seconds": round(statistics.median(one["seconds"]["cpu"] for one in rounds), 4),
        "peak_mib": round(max(one["peak_bytes"] for one in rounds) / 2**20, 1),
    }


def ratio(theirs: list[dict], ours: list[dict]) -> dict[str, float]:
    """Median over rounds of theirs to ours, which ran one after the other."""
    pairs = list(zip(theirs, ours, strict=True))
    return {
        kind: round(statistics.median(t["seconds"][kind] / o["seconds"][kind] for t, o in pairs), 2)
        for kind in ("wall", "cpu")
    }


def without_torchvision_operators() -> None:
    """Let nnU-Net be imported beside a torch without the operators torchvision was built for."""
    import torch

    library = torch.library.Library("torchvision", "DEF")
    for name in ("nms", "qnms"):
        library.define(f"{name}(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
    KEPT.append(library)  # its operators go when it does
    for name in ("raw", "preprocessed", "results"):
        os.environ.setdefault(f"nnUNet_{name}", "unused")


KEPT: list[Any] = []
