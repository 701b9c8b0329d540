"""`tomos check`: look a data set over, write the page and the table of what was found."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

from tomos import datasets
from tomos.config import atomic_write
from tomos.datasets.page import page
from tomos.types import Progress, Silent


@dataclass(frozen=True)
class Checked:
    """What was found, and the two files that say so."""

    findings: datasets.Findings
    html: Path
    json: Path


def check(
    dataset: str | Path, output: str | Path | None = None, progress: Progress | None = None
) -> Checked:
    """Check the data set in the folder `dataset`; `check.html` and `check.json` go to `output`.

    `output` is the data set's own folder unless told. Raises DatasetError when there is none.
    """
    progress = progress or Silent()
    opened = datasets.open(dataset)
    findings = datasets.check(opened, progress)
    folder = Path(output) if output else opened.folder
    done = Checked(findings, folder / "check.html", folder / "check.json")
    table = json.dumps(findings.to_json(), ensure_ascii=False, indent=1) + "\n"
    atomic_write(done.json, table.encode("utf-8"))
    atomic_write(done.html, page(findings).encode("utf-8"))
    return done
