"""Volumes that end early, in every part of a data set: each fails alone, by its name."""

import json
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("torch")

from tomos import config, datasets, formats
from tomos.cli import main
from tomos.plan import Plan, learned
from tomos.types import Image

AFFINE = np.array([[0, 0, -1.0, 0], [0, -1.0, 0, 0], [1.0, 0, 0, 0], [0, 0, 0, 1]])
N = 20


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    """Twenty volumes with a bright block; of every part one image is cut short, and of the part
    that is learned from one mask, too. Case name -> the file that is cut short, by part."""
    root = tmp_path_factory.mktemp("unreadable")
    rng = np.random.default_rng(0)
    for folder in ("images", "masks"):
        (root / "s" / folder).mkdir(parents=True)
    for k in range(N):
        labels = np.zeros((8, 16, 16), np.uint8)
        z, y, x = rng.integers(0, 4), *rng.integers(2, 8, 2)
        labels[z : z + 4, y : y + 6, x : x + 6] = 1
        pixels = rng.normal(100 + 80 * labels, 10).astype(np.int16)
        for folder, array in (("images", pixels), ("masks", labels)):
            image = Image(array[None], AFFINE, "patient")
            formats.write_nifti(image, root / "s" / folder / f"{k:02d}.nii.gz")
    datasets.import_folder(root / "s", root / "d", ratios={"train": 50, "val": 25, "test": 25})
    opened = datasets.open(root / "d")
    bad = {part: {opened.split(part).cases[0].name: "images"} for part in ("train", "val", "test")}
    bad["train"][opened.split("train").cases[1].name] = "masks"
    for cases in bad.values():
        for name, folder in cases.items():
            path = root / "s" / folder / f"{name}.nii.gz"
            path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    return root, bad


def plan_of(folder: Path) -> Plan:
    can = datasets.learnable(datasets.open(folder))
    values = {
        "task": "segment", "kind": "mask", "target": "mask", "classes": ["foreground"],
        "size": [8, 16, 16], "spacing": [1.0, 1.0, 1.0],
        "dataset": {"name": "s", "checksum": learned(can.train, can.val), "n_train": len(can.train),
                    "n_val": len(can.val), "n_patients": N},
        "prepare": [{"step": "channels", "to": 1}, {"step": "orient"},
                    {"step": "normalise", "kind": "zscore"}],
        "model": {"name": "unet", "options": {"dims": 3, "widths": [4, 8], "strides": [1, 2]}},
        "train": {"loss": "dice_cross_entropy", "learning_rate": 1e-2, "batch": 2, "epochs": 2,
                  "patches": 8, "threads": 1},
        "budget": {"minutes": 5},
    }  # fmt: skip
    return config.parse(Plan, values, "plan")


def test_train_evaluate_predict_and_check_name_what_they_leave_out(world, capsys):
    root, bad = world
    config.save(plan_of(root / "d"), root / "plan.toml")
    args = ["train", str(root / "d"), "--plan", str(root / "plan.toml"), "-o", str(root / "run")]
    assert main(args) == 0
    said = capsys.readouterr().err
    left = {**bad["train"], **bad["val"]}
    assert said.count("left out, ") == len(left) == 3
    assert all(
        f"left out, {name}: " in said and f"{name}.nii.gz: cut short" in said for name in left
    )
    metrics = json.loads((root / "run" / "metrics.json").read_text())
    test = datasets.open(root / "d").split("test")
    assert metrics["n_cases"] == len(test) - 1
    page = (root / "run" / "report.html").read_text()
    assert all(f"{name}" in page for name in [*left, *bad["test"]])

    again = ["evaluate", str(root / "run"), str(root / "d"), "-o", str(root / "e"), "--json"]
    assert main(again) == 0
    assert json.loads(capsys.readouterr().out)["n_cases"] == len(test) - 1
    (name,) = bad["test"]
    rows = (root / "e" / "per_case.csv").read_text().splitlines()
    assert rows[-1].startswith(f"{name},") and "cut short" in rows[-1]

    files = [test.image(case) for case in test.cases]
    assert main(["predict", str(root / "run"), *files, "--json"]) == 2
    told = json.loads(capsys.readouterr().out)["predictions"]
    assert ["error" in each for each in told] == [True, *[False] * (len(files) - 1)]
    assert f"{name}.nii.gz: cut short" in told[0]["error"]

    assert main(["check", str(root / "d"), "-o", str(root / "c"), "--json"]) == 1
    found = {p["code"]: p for p in json.loads(capsys.readouterr().out)["problems"]}
    images = {n for part in bad.values() for n, folder in part.items() if folder == "images"}
    assert set(found["unreadable"]["cases"]) == images
    assert found["masks_unfit"]["cases"] == [n for n, f in left.items() if f == "masks"]


def test_the_plan_that_tomos_makes_passes_over_them(world):
    from tomos.plan.mask_fingerprint import mask_fingerprint

    root, bad = world
    can = datasets.learnable(datasets.open(root / "d"))
    found = mask_fingerprint(can.train, can.val)
    assert found.n_looked_at == len(can.train) - len(bad["train"])


def test_what_is_cut_short_is_no_reason_not_to_import_the_rest(world, capsys):
    root, bad = world
    assert main(["import", str(root / "s"), str(root / "again"), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["cases"] == N
    assert sum(map(len, bad.values())) == 4
