"""`tomos evaluate` of masks: the tolerance of the NSD, and cases that cannot be read."""

import json
from pathlib import Path

import numpy as np
import pytest
from bright_masks import model_file
from PIL import Image as Picture

from tomos import config, datasets
from tomos.cli import main
from tomos.inference import MaskPredictor
from tomos.plan import Plan, learned
from tomos.transforms.prepare import Chain
from tomos.types import SettingsError
from tomos.workflows.judging_masks import each_tolerance, judge, tolerance_said

RANGED = [{"step": "channels", "to": 1}, {"step": "normalise", "kind": "range"}]
FILMS = 30


def write(path, pixels):
    path.parent.mkdir(parents=True, exist_ok=True)
    Picture.fromarray(pixels).save(path)


@pytest.fixture
def world(tmp_path, monkeypatch):
    """Squares; the masks are two pixels larger on each side than what is bright. A model that finds
    exactly what is bright."""
    pytest.importorskip("onnx")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    rng = np.random.default_rng(0)
    for k in range(FILMS):
        y, x = rng.integers(4, 26, 2)
        image, labels = np.zeros((2, 48, 48), np.uint8)
        image[y : y + 12, x : x + 12] = 255
        image[-1, -1] = k  # no two alike
        labels[y - 2 : y + 14, x - 2 : x + 14] = 1
        write(tmp_path / "s" / "images" / f"{k:02d}.png", image)
        write(tmp_path / "s" / "masks" / f"{k:02d}.png", labels)
    datasets.import_folder(tmp_path / "s", tmp_path / "d", classes=["ball"])
    network = {"name": "unet", "options": {"dims": 2}}
    model_file(tmp_path / "m.tomos", (None, None), tile=(16, 16), prepare=RANGED, network=network)
    return tmp_path


def evaluated(world, capsys, *more, exit_code=0):
    args = ["evaluate", str(world / "m.tomos"), str(world / "d"), "-o", str(world / "out")]
    assert main([*args, "--json", *more]) == exit_code
    told = capsys.readouterr()
    return json.loads(told.out) if not exit_code else told.err


@pytest.mark.parametrize(
    ("words", "low", "high", "mm"),
    [([], 0.0, 0.05, 1.0), (["--tolerance", "3"], 1.0, 1.0, 3.0),
     (["--tolerance", "ball=2.9"], 1.0, 1.0, 2.9)],
)  # fmt: skip
def test_what_lies_two_pixels_away_is_right_at_a_tolerance_of_three(
    world, capsys, words, low, high, mm
):
    """Corners are 2 x 1.41 = 2.83 pixels apart."""
    nsd = evaluated(world, capsys, *words)["overall"]["nsd"]
    assert low <= nsd["value"] <= high
    assert nsd["tolerance_mm"] == mm
    assert json.loads((world / "out" / "metrics.json").read_text())["overall"]["nsd"] == nsd


def test_two_models_are_compared_at_one_tolerance(world, capsys):
    model = str(world / "m.tomos")
    args = ["evaluate", model, model, str(world / "d"), "-o", str(world / "out"), "--json"]
    assert main([*args, "--tolerance", "3"]) == 0
    assert json.loads(capsys.readouterr().out)["metrics"]["nsd"]["first"]["value"] == 1


@pytest.mark.fast
@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("0", "--tolerance 0: expected mm above 0"),
        ("-1", "expected mm above 0"),
        ("nan", "expected mm above 0"),
        ("two", "expected mm, as 1.5, or one for each class, as liver=2,tumour=1"),
        ("", "expected mm, as 1.5"),
        ("1,2", "expected mm, as 1.5"),
        ("bal=1", "no class 'bal'; did you mean 'ball'"),
    ],
)
def test_what_is_no_tolerance_is_said(text, said):
    with pytest.raises(SettingsError) as refused:
        each_tolerance(("ball", "tumour"), tolerance_said(text))
    assert said in str(refused.value)


@pytest.mark.fast
def test_classes_that_are_not_named_keep_the_usual_tolerance():
    assert each_tolerance(("a", "b=c"), tolerance_said("b=c=2")) == [1.0, 2.0]
    assert each_tolerance(("a", "b"), tolerance_said("2.5")) == [2.5, 2.5]


@pytest.mark.fast
def test_a_tolerance_of_classes_is_refused(world, capsys, monkeypatch):
    import toy

    toy.model(world / "class.tomos")
    args = ["evaluate", str(world / "class.tomos"), str(world / "d"), "--tolerance", "1"]
    assert main(args) == 2
    assert "--tolerance: for the surfaces of masks" in capsys.readouterr().err


@pytest.mark.fast
def test_a_model_of_the_other_task_is_refused(world, capsys):
    import toy

    classes, masks = str(toy.model(world / "class.tomos")), str(world / "m.tomos")
    out = world / "out"
    for words, said in [
        ([classes], "the model answers 'label' (class), and the data set holds 'mask'; judge it"),
        ([classes, masks], "two models of one kind: toy tells classes and "),
        ([masks, classes], "two models of one kind: toy tells classes and "),
    ]:
        assert main(["evaluate", *words, str(world / "d"), "-o", str(out)]) == 2
        assert said in capsys.readouterr().err and not out.exists()


@pytest.mark.fast
def test_a_folder_that_cannot_be_is_refused_before_any_image_is_read(world, capsys):
    said = evaluated(world, capsys, "-o", str(world / "m.tomos" / "out"), exit_code=2)
    assert f"to write in, but {world / 'm.tomos'} is a file" in said
    assert "judging" not in said


def spoil(world, part):
    """Of a part: an image that ends early, one that is gone, a mask of another size, and one that
    ends early. Returns the names of these cases, and of the others."""
    opened = datasets.open(world / "d")
    cases = opened.split(part).cases
    first, second, third, fourth = cases[:4]
    for path in (opened.image(first), fourth.targets["mask"]):
        Path(path).write_bytes(Path(path).read_bytes()[:60])
    (world / "s" / "images" / f"{second.name}.png").unlink()
    write(world / "s" / "masks" / f"{third.name}.png", np.ones((30, 20), np.uint8))
    return [case.name for case in cases[:4]], [case.name for case in cases[4:]]


def test_cases_that_cannot_be_read_fail_alone_when_judged(world, capsys):
    bad, good = spoil(world, "test")
    metrics = evaluated(world, capsys)
    assert metrics["n_cases"] == len(good)
    page = (world / "out" / "report.html").read_text()
    assert all(f"{name}.png" in page for name in bad)
    rows = (world / "out" / "per_case.csv").read_text().splitlines()[1:]
    assert [row.split(",")[0] for row in rows] == good + bad
    assert all(f"{name}.png" in row for name, row in zip(bad, rows[len(good) :], strict=True))


@pytest.mark.fast
def test_the_terminal_is_told_how_many_would_be_referred(world):
    """In a grey film the network is unsure of everything around the square."""
    path, doubt = world / "unsure.tomos", {"doubt": {"ball": (0.8, 1.25)}}
    network = {"name": "unet", "options": {"dims": 2}}
    model_file(path, (None, None), tile=(16, 16), prepare=RANGED, network=network, mask=doubt)
    opened = datasets.open(world / "d")
    cases = opened.split("test").cases
    sure = judge(MaskPredictor(path, threads=1), opened, "test")
    assert not [line for line in sure.lines() if "referred" in line]
    for case in cases[:2]:
        film = world / "s" / "images" / f"{case.name}.png"
        write(film, np.maximum(np.asarray(Picture.open(film)), 125))
    judged = judge(MaskPredictor(path, threads=1), opened, "test")
    assert f"  2 of {len(cases)} would be referred to a reader" in judged.lines()


@pytest.mark.fast
def test_a_case_that_does_not_fit_into_memory_fails_alone(world):
    opened = datasets.open(world / "d")
    large, *others = opened.split("test").cases
    for folder in ("images", "masks"):
        write(world / "s" / folder / f"{large.name}.png", np.ones((600, 600), np.uint8))
    judged = judge(MaskPredictor(world / "m.tomos", threads=1, memory=2_000_000), opened, "test")
    assert list(judged.table.cases) == [case.name for case in others]
    assert list(judged.failed) == [large.name]
    why = judged.failed[large.name]
    assert f"{large.name}.png: expected" in why and "of free memory" in why


@pytest.mark.fast
def test_where_no_case_can_be_read_the_first_is_named(world, capsys):
    opened = datasets.open(world / "d")
    for case in opened.split("test").cases:
        (world / "s" / "images" / f"{case.name}.png").write_bytes(b"no picture at all")
    said = evaluated(world, capsys, exit_code=2)
    assert "no case of 'test' could be judged" in said and ".png" in said


def plan_of(folder):
    can = datasets.learnable(datasets.open(folder))
    values = {
        "task": "segment", "kind": "mask", "target": "mask", "classes": ["ball"],
        "size": [32, 32], "spacing": [1.0, 1.0],
        "dataset": {"name": "s", "checksum": learned(can.train, can.val), "n_train": len(can.train),
                    "n_val": len(can.val), "n_patients": FILMS},
        "prepare": RANGED,
        "augment": [{"step": "flip", "x": 0.5}],
        "model": {"name": "unet", "options": {"widths": [4, 8], "strides": [1, 2]}},
        "train": {"loss": "dice_cross_entropy", "learning_rate": 3e-3, "batch": 4, "epochs": 2,
                  "patches": 16, "ema": 0.9, "threads": 1},
        "budget": {"minutes": 5},
    }  # fmt: skip
    return config.parse(Plan, values, "plan")


def test_cases_that_cannot_be_read_are_left_out_when_learning(world, capsys):
    pytest.importorskip("torch")
    bad, good = spoil(world, "train")
    config.save(plan_of(world / "d"), world / "plan.toml")
    args = ["train", str(world / "d"), "--plan", str(world / "plan.toml"), "-o", str(world / "run")]
    assert main(args) == 0
    said = capsys.readouterr().err
    assert f"4 of {len(bad) + len(good)} cases could not be prepared" in said
    assert all(f"left out, {name}: " in said and f"{name}.png" in said for name in bad)
    page = (world / "run" / "report.html").read_text()
    unread = page[page.index("could not be read: ") :][:400]
    assert all(name in unread for name in bad)
    learnt = datasets.learnable(datasets.open(world / "d")).train
    shelf = datasets.shelved(learnt, Chain(RANGED))
    assert sorted(shelf.skipped) == sorted(bad)
    assert all(f"{name}.png" in why for name, why in shelf.skipped.items())
