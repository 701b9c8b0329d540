"""`tomos predict`, `explain` and `describe`, as a person calls them."""

import json

import numpy as np
import pytest
import toy

from tomos import cli, formats
from tomos.types import Image

pytestmark = pytest.mark.fast
PREPARE = ({"step": "resize", "size": [8, 8]}, {"step": "normalise", "kind": "range"})


def picture(value: int, size=(16, 12)) -> Image:
    pixels = np.random.default_rng(value).integers(value, value + 9, (1, *size))
    return Image(pixels.astype(np.uint8), value_range=(0, 255))


@pytest.fixture
def world(tmp_path, cache):
    """A model, a folder of three pictures, an npz, and a file that is no picture."""
    toy.model(tmp_path / "model.tomos", {"card.md": "# Toy\nNot for patients."}, prepare=PREPARE)
    (tmp_path / "films" / "deep").mkdir(parents=True)
    for name, value in (("a", 10), ("b", 200), ("deep/c", 220)):
        formats.write_png(picture(value), tmp_path / "films" / f"{name}.png")
    (tmp_path / "films" / "notes.txt").write_text("no picture")
    rows = np.random.default_rng(0).integers(0, 255, (4, 28, 28)).astype(np.uint8)
    np.savez(tmp_path / "set.npz", train_images=rows, test_images=rows[:2])
    (tmp_path / "bad.png").write_bytes(b"\x89PNG\r\n\x1a\n broken")
    return tmp_path


def answers(capsys, *words) -> tuple[int, dict]:
    code = cli.main([*map(str, words), "--json"])
    return code, json.loads(capsys.readouterr().out)


def test_predict_json_is_as_the_design_says(world, capsys):
    code, said = answers(capsys, "predict", world / "model.tomos", world / "films")
    assert code == 0
    assert said["schema"] == 1
    assert said["model"] == "toy"
    names = [entry["input"].rsplit("/", 1)[1] for entry in said["predictions"]]
    assert names == ["a.png", "b.png", "c.png"]
    for entry, label in zip(said["predictions"], ("dark", "bright", "bright"), strict=True):
        assert entry.keys() == {"input", "targets", "verdict", "reason", "warnings", "files"}
        answer = entry["targets"]["label"]
        assert answer["label"] == label
        assert sum(answer["scores"].values()) == pytest.approx(1)


def test_a_bad_input_is_told_and_the_exit_code_is_2(world, capsys):
    inputs = [
        world / "films" / "a.png",
        world / "bad.png",
        world / "none.png",
        world / "films/b.png",
    ]
    code, said = answers(capsys, "predict", world / "model.tomos", *inputs)
    assert code == 2
    assert [entry["input"] for entry in said["predictions"]] == list(map(str, inputs))
    assert ["error" in entry for entry in said["predictions"]] == [False, True, True, False]
    assert said["predictions"][1].keys() == {"input", "error"}


def test_containers_are_opened(world, capsys):
    for given, count in (("set.npz", 6), ("set.npz#test", 2), ("set.npz#train/3", 1)):
        _, said = answers(capsys, "predict", world / "model.tomos", world / given)
        assert len(said["predictions"]) == count
    assert said["predictions"][0]["input"].endswith("set.npz#train/3")


def test_maps_and_json_are_written(world, capsys):
    out = world / "out"
    code, said = answers(
        capsys,
        "predict",
        world / "model.tomos",
        world / "films",
        "-o",
        out,
        "--as",
        "json,png,nifti",
    )
    assert code == 0
    assert json.loads((out / "predictions.json").read_text()) == said
    files = said["predictions"][2]["files"]
    assert files.keys() == {"overlay", "map", "nifti"}
    assert formats.read(files["overlay"]).pixels.shape == (3, 16, 12)
    assert formats.read(files["map"]).pixels.shape == (1, 16, 12)
    assert formats.read(files["nifti"]).pixels.shape == (1, 1, 16, 12)


def test_the_readable_form(world, capsys):
    assert cli.main(["predict", str(world / "model.tomos"), str(world / "films" / "b.png")]) == 0
    said = capsys.readouterr().out
    assert "bright 0." in said
    assert "finding: bright" in said


@pytest.mark.parametrize(
    ("words", "match"),
    [
        (["predict", "none.tomos", "x.png"], "no such model file"),
        (["predict", "MODEL", "x.png", "--as", "pngg"], "--as pngg"),
        (["predict", "MODEL", "x.png", "--as", "png"], "-o DIR"),
        (["predict", "MODEL", "x.png", "--backend", "onxruntime"], "did you mean 'onnxruntime'"),
        (["explain", "MODEL", "films", "--method", "cams"], "no method of explaining named 'cams'"),
        (["explain", "MODEL", "films", "--label", "brigth"], "did you mean 'bright'"),
        (["predict", "MODEL", "x.png", "--threads", "-2"], "--threads -2: expected 0"),
        (["explain", "MODEL", "films", "--threads", "-1"], "--threads -1"),
        (["describe", "bad.png"], "something else"),
    ],
)
def test_mistakes_are_explained(world, capsys, monkeypatch, words, match):
    monkeypatch.chdir(world)
    assert cli.main([word.replace("MODEL", "model.tomos") for word in words]) == 2
    assert match in capsys.readouterr().err


def test_explain_writes_overlay_map_and_nifti(world, capsys):
    code, said = answers(
        capsys, "explain", world / "model.tomos", world / "films", world / "bad.png",
        "-o", world / "why", "--method", "occlusion",
    )  # fmt: skip
    assert code == 2
    *good, bad = said["explanations"]
    assert [entry["label"] for entry in good] == ["bright"] * 3
    assert "error" in bad
    assert len(list((world / "why").iterdir())) == 9
    heat = formats.read(good[0]["files"]["nifti"]).pixels
    assert 0 <= heat.min() <= heat.max() <= 1


def test_explain_takes_the_models_own_method(world, capsys):
    _, said = answers(
        capsys, "explain", world / "model.tomos", world / "films" / "b.png", "-o", world / "why"
    )
    assert said["explanations"][0]["method"] == "cam"


def test_names_of_files_never_collide(world, capsys):
    (world / "films" / "deep" / "a.png").write_bytes((world / "films" / "b.png").read_bytes())
    _, said = answers(
        capsys, "explain", world / "model.tomos", world / "films", "-o", world / "why"
    )
    paths = [path for entry in said["explanations"] for path in entry["files"].values()]
    assert len(paths) == len(set(paths)) == 12


def test_describe_a_model(world, capsys):
    assert cli.main(["describe", str(world / "model.tomos")]) == 0
    said = capsys.readouterr().out
    for part in ("toy", "dark, bright (finding)", "bright from a probability of 0.500",
                 "resize -> normalise", "Not for patients."):  # fmt: skip
        assert part in said
    code, said = answers(capsys, "describe", world / "model.tomos")
    assert code == 0
    one_image = {"roles": [], "files": [], "volumes": False, "context": 0}
    assert said["input"] == {"channels": 1, "size": [8, 8], **one_image}


def test_a_run_folder_is_its_model(world, capsys):
    code, said = answers(capsys, "predict", world, world / "films" / "a.png")
    assert code == 0
    assert len(said["predictions"]) == 1


def test_a_heat_map_as_dicom_belongs_to_the_images_study(world, capsys):
    from pydicom import dcmread

    film = Image(picture(200).pixels, affine=np.diag([1, 0.5, 0.5, 1.0]), frame="detector",
                 modality="DX", value_range=(0, 255))  # fmt: skip
    header = {"PatientID": "P7", "StudyInstanceUID": "2.25.77", "SOPInstanceUID": "2.25.78"}
    formats.dicom.write(film, world / "film.dcm", header)
    words = ["explain", world / "model.tomos", world / "film.dcm", "-o", world / "o"]
    code, said = answers(capsys, *words, "--as", "dicom")
    assert code == 0
    files = said["explanations"][0]["files"]
    assert list(files) == ["dicom"]
    drawn = dcmread(files["dicom"])
    assert (drawn.PatientID, drawn.StudyInstanceUID) == ("P7", "2.25.77")
    assert drawn.SOPClassUID.name == "Secondary Capture Image Storage"
    assert "2.25.78" in drawn.DerivationDescription and "DERIVED" in drawn.ImageType
    assert drawn.pixel_array.shape == (16, 12, 3)
    back = formats.read(files["dicom"])
    assert back.spacing[-2:] == pytest.approx((0.5, 0.5))
    assert cli.main([*map(str, words), "--as", "dcm"]) == 2
    assert "did you mean 'dicom'" in capsys.readouterr().err
    png = ["predict", world / "model.tomos", world / "films/a.png", "-o", world / "p"]
    code, said = answers(capsys, *png, "--as", "dicom")
    assert code == 0, "a picture without a header has its capture, too"
    assert said["predictions"][0]["files"]["dicom"].endswith(".dcm")
