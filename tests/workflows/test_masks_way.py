"""The whole way for masks: import, train by a small plan, judge, predict, compare."""

import json

import numpy as np
import pytest
from PIL import Image as Picture

pytest.importorskip("torch")

from tomos import config, datasets, formats
from tomos.cli import main
from tomos.inference import MaskPredictor
from tomos.plan import Plan, learned


def write(path, pixels):
    path.parent.mkdir(parents=True, exist_ok=True)
    Picture.fromarray(pixels).save(path)


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    """A data set of 30 pictures with a bright square each, and a run on it."""
    root = tmp_path_factory.mktemp("masks")
    rng = np.random.default_rng(0)
    for k in range(30):
        labels = np.zeros((48, 48), np.uint8)
        y, x = rng.integers(4, 28, 2)
        labels[y : y + 14, x : x + 14] = 200
        image = np.clip(rng.normal(90, 20, (48, 48)) + 0.4 * labels, 0, 255).astype(np.uint8)
        write(root / "s" / "images" / f"{k:02d}.png", image)
        write(root / "s" / "masks" / f"{k:02d}.png", labels)
    datasets.import_folder(root / "s", root / "d", classes=["square"])
    config.save(plan_of(root / "d"), root / "plan.toml")
    args = ["train", str(root / "d"), "--plan", str(root / "plan.toml"), "-o", str(root / "run")]
    assert main(args) == 0
    return root


def plan_of(folder):
    can = datasets.learnable(datasets.open(folder))
    values = {
        "task": "segment",
        "kind": "mask",
        "target": "mask",
        "classes": ["square"],
        "size": [32, 32],
        "spacing": [1.0, 1.0],
        "dataset": {
            "name": "s",
            "checksum": learned(can.train, can.val),
            "n_train": len(can.train),
            "n_val": len(can.val),
            "n_patients": 24,
        },
        "prepare": [{"step": "channels", "to": 1}, {"step": "normalise", "kind": "zscore"}],
        "augment": [{"step": "flip", "x": 0.5}],
        "model": {"name": "unet", "options": {"widths": [8, 16, 32], "strides": [1, 2]}},
        "train": {
            "loss": "dice_cross_entropy", "learning_rate": 3e-3, "batch": 4, "epochs": 5,
            "patches": 24, "ema": 0.9, "threads": 1,
        },
        "budget": {"minutes": 5},
    }  # fmt: skip
    return config.parse(Plan, values, "plan")


def test_a_run_leaves_a_model_figures_and_a_report(world):
    metrics = json.loads((world / "run" / "metrics.json").read_text())
    assert metrics["task"] == "segment"
    assert metrics["overall"]["dice"]["value"] > 0.85
    low, high = (metrics["overall"]["dice"][end] for end in ("low", "high"))
    assert low <= metrics["overall"]["dice"]["value"] <= high
    page = (world / "run" / "report.html").read_text()
    assert "Dice" in page
    assert "分割" in page
    manifest = MaskPredictor(world / "run" / "model.tomos", threads=1).manifest
    assert manifest.metrics["overall"]["dice"] == metrics["overall"]["dice"]
    assert manifest.kind == "mask"


def test_a_mask_lies_on_its_own_picture(world, tmp_path, capsys):
    image = world / "s" / "images" / "03.png"
    args = ["predict", str(world / "run"), str(image), "-o", str(tmp_path), "--json"]
    assert main([*args, "--as", "json,nifti,png"]) == 0
    told = json.loads(capsys.readouterr().out)["predictions"][0]
    found = np.asarray(Picture.open(tmp_path / "03.png"))
    assert found.shape == (48, 48)
    assert told["targets"]["mask"]["mask"]["square"]["voxels"] == (found == 1).sum()
    truth = np.asarray(Picture.open(world / "s" / "masks" / "03.png")) > 0
    assert 2 * (found[truth] == 1).sum() / (found.sum() + truth.sum()) > 0.8
    assert Picture.open(tmp_path / "03-overlay.png").size == (48, 48)
    assert (tmp_path / "predictions.json").exists()


def test_a_picture_of_another_kind_is_referred(world, tmp_path, capsys):
    """Of the same size and grey, but smooth: the model file knows what it learned from."""
    write(tmp_path / "ramp.png", np.tile(np.arange(48, dtype=np.uint8) * 4, (48, 1)))
    own = world / "s" / "images" / "03.png"
    assert (
        main(["predict", str(world / "run"), str(own), str(tmp_path / "ramp.png"), "--json"]) == 0
    )
    known, ramp = json.loads(capsys.readouterr().out)["predictions"]
    assert "unlike" not in known["reason"]
    assert ramp["verdict"] == "refer"
    assert ramp["reason"].startswith("unlike the pictures the model was made for")


def test_a_larger_picture_is_read_in_tiles(world):
    predictor = MaskPredictor(world / "run" / "model.tomos", threads=1)
    image = formats.read(world / "s" / "images" / "04.png")
    small = predictor.predict_image(image).targets["mask"].mask.labels
    wide = image.with_pixels(np.tile(image.pixels, (1, 2, 3)), image.affine)
    found = predictor.predict_image(wide).targets["mask"].mask.labels
    assert found.shape == (96, 144)
    # Six of the same: about six times as much, but for what is seen across the seams.
    assert int(found.sum()) == pytest.approx(6 * int(small.sum()), rel=0.15)


def test_evaluating_again_gives_the_same_figures(world, tmp_path, capsys):
    args = ["evaluate", str(world / "run"), str(world / "d"), "-o", str(tmp_path), "--json"]
    assert main(args) == 0
    again = json.loads(capsys.readouterr().out)
    first = json.loads((world / "run" / "metrics.json").read_text())
    assert again["overall"] == first["overall"]


def test_a_model_beside_itself_differs_by_nothing(world, tmp_path, capsys):
    args = ["evaluate", str(world / "run"), str(world / "run"), str(world / "d")]
    assert main([*args, "-o", str(tmp_path), "--json"]) == 0
    rows = json.loads(capsys.readouterr().out)["metrics"]
    assert rows["dice"]["difference"]["value"] == 0
    assert (tmp_path / "comparison.html").exists()


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["predict", "RUN", "DATA/none.png"], "there is no such file"),
        (["predict", "RUN", "DATA/images/00.png", "-o", "OUT", "--as", "dicom-seg"], "not read"),
        (["predict", "RUN", "DATA/images/00.png", "--as", "dicom"], "not a form"),
        (["explain", "RUN", "DATA/images/00.png", "--method", "cam"], "for masks there"),
        (["explain", "RUN", "DATA/images/00.png", "--label", "sqare"], "mean 'square'"),
        (["evaluate", "RUN", "SET", "--prevalence", "0.1"], "for classes"),
        (["plan", "SET", "--recipe", "resnet18_fixed"], "recipes are for classes"),
    ],
)
def test_what_cannot_be_is_said(world, tmp_path, capsys, words, said):
    place = {"RUN": str(world / "run"), "SET": str(world / "d"), "OUT": str(tmp_path / "o")}
    given = [place.get(word, word.replace("DATA", str(world / "s"))) for word in words]
    assert main(given) == 2
    out = capsys.readouterr()
    assert said in out.err + out.out
    assert "Traceback" not in out.err
