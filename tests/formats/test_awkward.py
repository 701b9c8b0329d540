"""The awkward pile against a table that GDCM and DCMTK made (`make_awkward.py`), not our reader."""

import csv
from pathlib import Path

import pytest

from tomos import formats
from tomos.formats import inspect
from tomos.types import FormatError

TABLE = list(csv.DictReader(Path(__file__).with_name("awkward.csv").open(encoding="utf-8")))


@pytest.fixture(scope="module")
def pile(shared):
    folder = shared / "dicom" / "awkward"
    if not folder.is_dir():
        pytest.skip(f"needs the real data in {folder}")
    return folder


@pytest.fixture(scope="module")
def answers(pile):
    """What our reader says of every file: its facts, or the refusal as text."""
    found = {}
    for row in TABLE:
        try:
            found[row["path"]] = inspect(pile / row["path"])
        except FormatError as error:
            found[row["path"]] = str(error)
    return found


def test_the_table_covers_the_pile(pile):
    names = {p.relative_to(pile).as_posix() for p in pile.rglob("*") if p.is_file()}
    assert names == {row["path"] for row in TABLE}


def test_what_holds_an_image_is_read_and_the_rest_refused(answers):
    held = [row["path"] for row in TABLE if row["expect"] == "image"]
    read = [path for path in held if isinstance(answers[path], dict)]
    assert len(read) >= 0.7 * len(held), sorted(set(held) - set(read))
    accepted = [
        row["path"]
        for row in TABLE
        if row["expect"] == "refused" and isinstance(answers[row["path"]], dict)
    ]
    assert not accepted


def test_what_is_read_is_what_others_read(answers):
    wrong = []
    for row in TABLE:
        got = answers[row["path"]]
        if row["expect"] == "refused" or isinstance(got, str):
            continue
        near = float(row["tolerance"]) + 1e-6 * abs(float(row["max"]))
        same = "x".join(map(str, got["shape"])) == row["shape"] and got["unit"] == row["unit"]
        for end in ("min", "max"):
            same = same and abs(got[end] - float(row[end])) <= near
        if not same:
            wrong.append((row, got["shape"], got["unit"], got["min"], got["max"]))
    assert not wrong


def test_a_refusal_names_the_file_and_a_reason(answers):
    for row in TABLE:
        if isinstance(answers[row["path"]], str):
            assert row["path"] in answers[row["path"]]
            assert len(answers[row["path"]].split(row["path"])[-1]) > 20


def test_index_files_are_no_images(pile):
    with pytest.raises(FormatError, match="DICOMDIR"):
        formats.read(pile / "pydicom_test_files/test_files/dicomdirtests/DICOMDIR")
