"""`tomos demo`, run as a person runs it: minutes, so it is in `make test-slow`.

How long it takes is told (`--durations`), not asserted: that depends on the machine.
"""

import json
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

pytest.importorskip("torch", reason="the demo trains: tomos[train]")

from tomos import formats

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("demo")]


@dataclass(frozen=True)
class Seen:
    """What a person has in front of them afterwards."""

    folder: Path
    code: int
    said: str
    told: str


@pytest.fixture(scope="module")
def seen(tmp_path_factory) -> Seen:
    here = tmp_path_factory.mktemp("demo")
    # The tests' own single thread is not the user's.
    own = {name: value for name, value in os.environ.items() if not name.endswith("_NUM_THREADS")}
    done = subprocess.run(
        [sys.executable, "-m", "tomos", "demo", "-o", "demo"],
        cwd=here, env=own, capture_output=True, text=True, timeout=1800,
    )  # fmt: skip
    return Seen(here / "demo", done.returncode, done.stdout, done.stderr)


def test_it_ends_well(seen):
    assert seen.code == 0, seen.told
    assert "Traceback" not in seen.told


@pytest.mark.parametrize(
    "name", ["check.html", "run/report.html", "run/model.tomos", "run/metrics.json", "new_film.dcm"]
)
def test_the_files_it_speaks_of_are_there(seen, name):
    assert (seen.folder / name).stat().st_size > 1000
    assert name.rpartition("/")[2] in seen.said or name == "run/metrics.json"


def test_the_model_is_good_on_patients_it_never_saw(seen):
    figures = json.loads((seen.folder / "run" / "metrics.json").read_text())
    assert figures["split"] == "test"
    auroc = figures["overall"]["auroc"]
    assert auroc["value"] > 0.90
    assert auroc["low"] < auroc["value"]
    assert f"AUROC {auroc['value']:.3f}" in seen.said


def test_the_new_film_is_answered(seen):
    (line,) = [line for line in seen.said.splitlines() if line.startswith("A new film, ")]
    assert line.endswith((": finding", ": no finding", ": refer"))
    assert "probability of a nodule" in seen.said


def test_the_heat_map_lies_over_the_new_film(seen):
    film = formats.read(seen.folder / "new_film.dcm")
    (overlay,) = [p for p in (seen.folder / "new_film").glob("*.png") if "-map" not in p.name]
    assert str(overlay.relative_to(seen.folder.parent)) in seen.said
    assert formats.read(overlay).pixels.shape == (3, *film.size)
    (nifti,) = (seen.folder / "new_film").glob("*.nii.gz")
    assert formats.read(nifti).pixels.max() > 0


# FAULTS.txt -> the problem that names it, and its cases.
PLANTED = {
    "one film is cut off": ("unreadable", {"DEMO0003/film1"}),
    "one film is blank": ("constant", {"DEMO0017/film9"}),
    "under one patient": ("duplicate_exact", {"DEMO0901/film1", "DEMO0901/film2"}),
    "with different labels": ("conflicting_labels", {"DEMO0902/film1", "DEMO0902/film2"}),
    "have no label": (
        "some_labels_missing",
        {"DEMO0019/film2", "DEMO0020/film1", "DEMO0020/film2"},
    ),
}


@pytest.mark.parametrize("fault", PLANTED)
def test_the_planted_faults_are_found_by_name(seen, fault):
    assert fault in (seen.folder / "FAULTS.txt").read_text()
    code, cases = PLANTED[fault]
    problems = json.loads((seen.folder / "check.json").read_text())["problems"]
    found = {problem["code"]: set(problem["cases"]) for problem in problems}
    assert cases <= found[code]
    page = (seen.folder / "check.html").read_text()
    assert all(case in page for case in cases)


def test_nothing_else_is_called_wrong(seen):
    """Every error among the findings was planted; what is only noted may be there by chance."""
    problems = json.loads((seen.folder / "check.json").read_text())["problems"]
    errors = {problem["code"] for problem in problems if problem["severity"] == "error"}
    assert errors == {"unreadable", "conflicting_labels"}
