"""How every benchmark keeps what it found: dated, with the machine, the commit and the goals."""

from __future__ import annotations

import contextlib
import json
import os
import platform
import subprocess
from datetime import UTC, datetime
from pathlib import Path

RESULTS = Path(__file__).parent / "results"


def goal(what: str, value: float, least: float | None = None, most: float | None = None) -> dict:
    """One figure beside what it should be: at least `least`, at most `most`."""
    met = (least is None or value >= least) and (most is None or value <= most)
    bounds = {
        name: bound for name, bound in (("least", least), ("most", most)) if bound is not None
    }
    return {"what": what, "value": round(float(value), 4), **bounds, "met": bool(met)}


def keep(name: str, result: dict, goals: list[dict], path: Path | None = None) -> int:
    """Print one JSON object and write it to results/NAME.json, or `path`; 1 where a goal is missed.

    `load` is that of the last minute: on a busy machine a ratio says less.
    """
    whole = {
        "benchmark": name,
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
        "commit": commit(),
        "machine": _machine(),
        "load": round(os.getloadavg()[0], 2) if hasattr(os, "getloadavg") else None,
        "goals": goals,
        **result,
    }
    text = json.dumps(whole, indent=1)
    path = path or RESULTS / f"{name}.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text + "\n", encoding="utf-8")
    print(text)
    return 0 if all(each["met"] for each in goals) else 1


def _machine() -> dict:
    model = platform.processor() or platform.machine()
    with contextlib.suppress(OSError):
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            if line.startswith("model name"):
                model = line.partition(":")[2].strip()
                break
    return {"cpu": model, "cores": os.cpu_count(), "system": platform.system()}


def commit() -> str:
    """The commit the code was taken from, with + where files were changed since."""
    with contextlib.suppress(OSError, subprocess.CalledProcessError):
        return subprocess.check_output(
            ["git", "describe", "--always", "--dirty=+", "--exclude=*"],
            cwd=Path(__file__).parent,
            text=True,
        ).strip()
    return "unknown"
