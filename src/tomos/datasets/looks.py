"""A locked test set: every look at it is counted, in `looks.jsonl` beside the cases.

Each look at the same test cases makes the next figure a little too good (Dwork et al., Science 349,
2015), so that a report says how many there were.
"""

from __future__ import annotations

import datetime
import json
from collections.abc import Sequence
from pathlib import Path

from tomos.config import atomic_write
from tomos.datasets.dataset import Dataset, checksum
from tomos.types import Case

FILE = "looks.jsonl"


def look(dataset: Dataset, model: str, split: str = "test") -> int:
    """Count one look of `model` (its name or checksum) at a split; how many models have looked.

    The same model looking again is no new look. Cases that have changed are another test set.
    """
    cases = dataset.split(split).cases
    file = dataset.folder / FILE
    mark = checksum(cases)
    entries = _read(file)
    seen = {entry["model"] for entry in entries if entry["cases"] == mark}
    if model not in seen:
        now = datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")
        entries.append({"date": now, "model": model, "split": split, "cases": mark})
        text = "".join(json.dumps(entry, ensure_ascii=False) + "\n" for entry in entries)
        atomic_write(file, text.encode("utf-8"))
    return len(seen | {model})


def looks(dataset: Dataset, cases: Sequence[Case]) -> int:
    """How many models have looked at exactly these cases so far."""
    mark = checksum(cases)
    return len({e["model"] for e in _read(dataset.folder / FILE) if e["cases"] == mark})


def _read(file: Path) -> list[dict]:
    if not file.is_file():
        return []
    entries = []
    for line in file.read_text(encoding="utf-8").splitlines():
        try:
            entry = json.loads(line)
        except ValueError:
            continue
        if isinstance(entry, dict) and {"model", "cases"} <= entry.keys():
            entries.append(entry)
    return entries
