"""Every real set that this stage names: one command to import, and true findings."""

import json
import time

import pytest

from tomos import datasets
from tomos.cli import main
from tomos.transforms.prepare import Chain

pytestmark = pytest.mark.data


@pytest.fixture(scope="module")
def imported(shared, tmp_path_factory):
    """`imported(source, *flags)` -> folder, each source once."""
    done = {}

    def run(source, *flags):
        if source not in done:
            folder = tmp_path_factory.mktemp("real") / "d"
            assert main(["import", str(shared / source), str(folder), *flags]) == 0
            done[source] = folder
        return done[source]

    return run


def check(folder, capsys):
    capsys.readouterr()
    code = main(["check", str(folder), "--json"])
    told = json.loads(capsys.readouterr().out)
    return code, {problem["code"]: problem for problem in told["problems"]}, told["duplicates"]


def test_pneumoniamnist(imported, capsys):
    folder = imported("medmnist/pneumoniamnist.npz")
    data = datasets.open(folder)
    assert [len(data.split(s)) for s in ("train", "val", "test")] == [4708, 524, 624]
    assert data.classes == ("normal", "pneumonia")
    code, found, twins = check(folder, capsys)
    assert code == 0 and "copies_across_split" in found and "shortcut" in found
    assert len(twins["across_split"]) == 8 and twins["near"] == []
    learn = datasets.learnable(data)
    assert len(learn.val) == 524 and {drop.twin_split for drop in learn.dropped} == {"val"}
    assert len(learn.train) == 4708 - len(learn.dropped)


def test_ten_thousand_small_pictures_are_prepared_in_seconds(imported):
    data = datasets.open(imported("medmnist/pneumoniamnist.npz"))
    chain = Chain([{"step": "channels", "to": 1}, {"step": "resize", "size": [28, 28]}])
    start = time.perf_counter()
    store = datasets.prepared(data, chain)
    took = time.perf_counter() - start
    assert store.x.shape == (5856, 1, 28, 28)
    assert took * 10_000 / 5856 < 10, "a few seconds on a free machine"


def test_breastmnist(imported, capsys):
    folder = imported("medmnist/breastmnist.npz")
    code, found, twins = check(folder, capsys)
    assert code == 1 and found["conflicting_labels"]["cases"] == ["train/115", "test/76"]
    assert twins["across_split"] == [["train/115", "test/76"]] and "test_leak" not in found
    learn = datasets.learnable(datasets.open(folder))
    assert [(d.case, d.twin) for d in learn.dropped] == [("train/115", "test/76")]
    assert len(learn.train) == 545 and len(learn.val) == 78


def test_three_class_films_show_their_source(imported, capsys):
    folder = imported("cxr_three_class")
    data = datasets.open(folder)
    assert data.classes == ("Covid-19", "No_findings", "Pneumonia") and len(data) == 787
    assert sum(bool(case.patient) for case in data.cases) == 700
    code, found, _ = check(folder, capsys)
    assert code == 0 and "patient_across_test" not in found
    assert "'Covid-19' is told best" in found["shortcut"]["message"]
    datasets.learnable(data)


def test_white_blood_cells_by_a_foreign_table(imported, capsys):
    flags = ("--column", "label=class label", "--column", "image=image ID")
    folder = imported("white_blood_cells", *flags, "--images", "{:03d}.bmp")
    data = datasets.open(folder)
    assert data.classes == ("1", "2", "3", "4", "5") and len(data) == 300
    code, found, twins = check(folder, capsys)
    assert code == 0 and "'5' has no case in val, test" in found["class_missing"]["message"]
    assert twins["exact"] == [["112", "139"]]


@pytest.mark.parametrize(("source", "n"), [("ct_chest", 1), ("mr_study_four_series", 5)])
def test_series_are_cases(imported, capsys, source, n):
    folder = imported(f"dicom/{source}")
    data = datasets.open(folder)
    assert len(data) == n and len({case.patient for case in data.cases}) == 1
    code, found, _ = check(folder, capsys)
    assert code == 0 and "no_labels" in found and "unreadable" not in found


def test_the_awkward_pile_does_not_stop_anything(imported, capsys):
    folder = imported("dicom/awkward")
    code, found, _ = check(folder, capsys)
    assert code == 1 and found["unreadable"]["cases"] and "mixed_modalities" in found


def test_volumes_of_medmnist(imported, capsys):
    code, found, _ = check(imported("medmnist/adrenalmnist3d.npz"), capsys)
    assert code == 0 and set(found) <= {"patients_unknown", "nearly_blank"}
