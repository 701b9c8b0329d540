"""The whole way for volumes by slices with their neighbours, alone and beside a network of volumes:
train by a small plan, the model file, judge, predict."""

import json

import numpy as np
import pytest

pytest.importorskip("torch")

from tomos import config, datasets, formats, package
from tomos.cli import main
from tomos.inference import MaskPredictor
from tomos.plan import Plan, learned
from tomos.types import Image

AFFINE = np.array([[0, 0, -1.0, 0], [0, -1.0, 0, 0], [4.0, 0, 0, 0], [0, 0, 0, 1]])
TRAIN = {
    "loss": "dice_cross_entropy", "learning_rate": 1e-2, "batch": 4, "epochs": 6, "patches": 64,
    "threads": 1,
}  # fmt: skip
FLAT = {
    "size": [16, 16],
    "context": 1,
    "augment": [{"step": "flip", "x": 0.5}],
    "model": {"name": "unet", "options": {"widths": [8, 16], "strides": [1, 2]}},
    "train": TRAIN,
}
DEEP = {
    "size": [4, 16, 16],
    "augment": [{"step": "flip", "x": 0.5}],
    "model": {"name": "unet", "options": {"dims": 3, "widths": [8, 16], "strides": [1, 2]}},
    "train": TRAIN,
}


def volume(pixels):
    return Image(pixels[None], AFFINE, "patient")


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    """Fifteen volumes of six slices, 4 mm apart: a body with a bright block in it."""
    root = tmp_path_factory.mktemp("slices")
    rng = np.random.default_rng(0)
    for folder in ("images", "masks"):
        (root / "s" / folder).mkdir(parents=True)
    for k in range(15):
        labels = np.zeros((6, 24, 24), np.uint8)
        z, y, x = rng.integers(0, 3), *rng.integers(2, 12, 2)
        labels[z : z + 3, y : y + 10, x : x + 10] = 1
        # A body in every slice: a network that normalises each slice would see its noise else.
        body = np.pad(np.full((6, 20, 20), 100.0), ((0, 0), (2, 2), (2, 2)))
        image = (body + 10 * rng.standard_normal(labels.shape) + 80 * labels).astype(np.int16)
        formats.write_nifti(volume(image), root / "s" / "images" / f"{k:02d}.nii.gz")
        formats.write_nifti(volume(labels), root / "s" / "masks" / f"{k:02d}.nii.gz")
    datasets.import_folder(root / "s", root / "d", classes=["block"])
    return root


def planned(world, **kinds):
    can = datasets.learnable(datasets.open(world / "d"))
    values = {
        "task": "segment",
        "kind": "mask",
        "target": "mask",
        "classes": ["block"],
        "spacing": [4.0, 1.0, 1.0],
        "dataset": {
            "name": "s",
            "checksum": learned(can.train, can.val),
            "n_train": len(can.train),
            "n_val": len(can.val),
            "n_patients": 12,
        },
        "prepare": [
            {"step": "channels", "to": 1},
            {"step": "orient"},
            {"step": "resample", "spacing": [4.0, 1.0, 1.0]},
            {"step": "normalise", "kind": "zscore"},
        ],
        "budget": {"minutes": 5},
        **kinds,
    }
    return config.parse(Plan, values, "plan")


def trained(world, name, **kinds):
    file, run = world / f"{name}.toml", world / name
    config.save(planned(world, **kinds), file)
    args = ["train", str(world / "d"), "--plan", str(file), "-o", str(run)]
    assert main(args) == 0
    return run


@pytest.mark.parametrize("name", ["flat", "both"])
def test_volumes_by_slices_and_by_both(world, tmp_path, capsys, name):
    run = trained(world, name, **(FLAT if name == "flat" else {**DEEP, "also": [FLAT]}))
    metrics = json.loads((run / "metrics.json").read_text())
    assert metrics["overall"]["dice"]["value"] > 0.7
    page, live = ((run / name).read_text() for name in ("report.html", "live.html"))
    assert "Dice on patches of validation" in live
    if name == "both":
        assert "Model, network 1" in live and "模型（网络 2）" in live
        for text in (page, live):
            assert "1 x unet, 4 x 16 x 16" in text
            assert "1 x unet, 16 x 16 pixels, 3 slices at once" in text
        assert "those of the first network" in page
    else:
        assert "network 1" not in live and "Several kinds" not in page
    read = package.read(run)
    inputs = [read.manifest.input_of(part) for part in read.manifest.graphs]
    assert [(of.size, of.context) for of in inputs] == {
        "flat": [((16, 16), 1)],
        "both": [((4, 16, 16), 0), ((16, 16), 1)],
    }[name]
    assert read.manifest.example.size == {"flat": (3, 16, 16), "both": (4, 16, 16)}[name]
    MaskPredictor(read, threads=1).verify()
    capsys.readouterr()
    again = ["evaluate", str(run), str(world / "d"), "-o", str(tmp_path / "e"), "--json"]
    assert main(again) == 0
    assert json.loads(capsys.readouterr().out)["overall"]["dice"] == metrics["overall"]["dice"]
    case = world / "s" / "images" / "03.nii.gz"
    args = ["predict", str(run), str(case), "-o", str(tmp_path / "p"), "--as", "nifti", "--json"]
    assert main(args) == 0
    told = json.loads(capsys.readouterr().out)["predictions"][0]
    truth = formats.read(world / "s" / "masks" / "03.nii.gz").pixels[0]
    count = told["targets"]["mask"]["mask"]["block"]["voxels"]
    assert count == pytest.approx(int(truth.sum()), rel=0.4)


def test_the_second_kind_can_be_left_out_by_a_wish(world):
    values = planned(world, **DEEP, also=[FLAT])
    alone = config.override(values, ["also=[]"])
    assert len(alone.networks) == 1
    longer = config.override(values, ["also.0.train.epochs=9"])
    assert [kind.train.epochs for kind in longer.kinds] == [6, 9]
