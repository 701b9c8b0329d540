"""A model that reads several images a case: every way to give them, and what is refused."""

import csv
import json

import numpy as np
import pytest
import several

from tomos import datasets, formats
from tomos.cli import main
from tomos.inference import MaskPredictor
from tomos.types import FormatError, PackageError
from tomos.workflows.given import given
from tomos.workflows.judging_masks import beside, judge
from tomos.workflows.predict import predict


@pytest.fixture
def model(tmp_path, monkeypatch):
    pytest.importorskip("onnx")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return several.model_file(tmp_path / "m.tomos")


@pytest.fixture
def pairs(tmp_path):
    return several.cases(tmp_path / "imagesTs")


def table(path, pairs, columns=("case", "image:t1", "image:t2")):
    with path.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(columns)
        writer.writerows([f"patient {k}", *map(str, pair)] for k, pair in enumerate(pairs))
    return path


def masks(folder, names):
    return [formats.read(folder / f"{name}.nii.gz").pixels[0] for name in names]


def dataset(tmp_path, pairs):
    """A data set of the pairs with the true masks."""
    rows = []
    for k, (one, two) in enumerate(pairs):
        like = formats.read(one)
        path = tmp_path / f"mask{k}.nii.gz"
        formats.write_nifti(like.with_pixels(several.truth(k)[None]), path)
        rows.append([f"case {k}", one, two, path, "test"])
    with (tmp_path / "given.csv").open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["case", "image:t1", "image:t2", "mask", "split"])
        writer.writerows(rows)
    datasets.import_folder(
        tmp_path / "given.csv", tmp_path / "set", target="mask", classes=["ball"]
    )
    return tmp_path / "set"


def test_what_lies_in_the_second_image_alone_is_found(model, pairs, tmp_path):
    joined = formats.joined(map(str, pairs[1]))
    found = predict(model, [joined], tmp_path / "out")
    assert not found[0].error and found[0].input == joined
    assert np.array_equal(masks(tmp_path / "out", ["p1"])[0], several.truth(1))
    backwards = predict(model, [formats.joined(map(str, pairs[1][::-1]))], tmp_path / "back")
    assert not backwards[0].error
    assert not np.array_equal(masks(tmp_path / "back", ["p1"])[0], several.truth(1))


def test_files_folders_tables_and_data_sets_give_the_same_answers(model, pairs, tmp_path):
    files = [str(path) for pair in pairs for path in pair]
    ways = {
        "files": (files, ["p0", "p1", "p2"]),
        "folder": ([tmp_path / "imagesTs"], ["p0", "p1", "p2"]),
        "table": ([table(tmp_path / "t.csv", pairs)], ["patient-0", "patient-1", "patient-2"]),
        "set": ([dataset(tmp_path, pairs)], ["case-0", "case-1", "case-2"]),
    }
    for way, (inputs, names) in ways.items():
        found = predict(model, inputs, tmp_path / way)
        assert [one.error for one in found] == ["", "", ""], way
        for k, mask in enumerate(masks(tmp_path / way, names)):
            assert np.array_equal(mask, several.truth(k)), way


def test_volumes_of_one_file_are_a_case(model, pairs, tmp_path):
    nib = pytest.importorskip("nibabel")
    both = [nib.load(path) for path in pairs[2]]
    values = np.stack([np.asarray(each.dataobj) for each in both], axis=-1)
    nib.save(nib.Nifti1Image(values, both[0].affine), tmp_path / "both.nii.gz")
    predict(model, [tmp_path / "both.nii.gz"], tmp_path / "out")
    assert np.array_equal(masks(tmp_path / "out", ["both"])[0], several.truth(2))


def test_numbers_in_names_are_those_of_the_data_set_that_was_learned(tmp_path, monkeypatch, pairs):
    pytest.importorskip("onnx")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    # Learned with --reference t1 from a set that had t2 first: x_0001 is t1.
    model = several.model_file(tmp_path / "m.tomos", files=(1, 0))
    for one, two in pairs:
        middle = one.with_name("swap.nii.gz")
        one.rename(middle), two.rename(one), middle.rename(two)
    predict(model, [tmp_path / "imagesTs"], tmp_path / "out")
    assert np.array_equal(masks(tmp_path / "out", ["p0"])[0], several.truth(0))


def test_a_case_fails_alone_and_by_name(model, pairs, tmp_path):
    pairs[0][1].unlink()
    pairs[1][0].write_text("no image")
    several.scan(tmp_path / "imagesTs" / "alone.nii.gz", 0, 2)
    # What is no image in a folder is passed over, here as for a model of one image.
    found = predict(model, [tmp_path / "imagesTs"])
    alone, first, second, third = found
    assert "this model reads 2 images a case: t1, t2; got 1" in alone.error
    assert first.error.endswith("p0: this model reads 2 images a case: t1, t2; t2 is missing")
    assert "t1 is missing" in second.error and not third.error
    read = predict(model, [formats.joined(map(str, pairs[1]))])[0]
    assert "p1_0000.nii.gz: expected DICOM" in read.error


def test_one_image_and_too_many_are_refused(model, pairs):
    using = MaskPredictor(model)
    with pytest.raises(PackageError, match=r"p0_0000.nii.gz: this model reads 2 images .*; got 1"):
        using.predict_image(formats.read(pairs[0][0]))
    three = formats.joined([*map(str, pairs[0]), str(pairs[1][0])])
    assert "got 3" in predict(using, [three])[0].error
    assert "there is no such file" in predict(using, ["absent.nii.gz"])[0].error


def test_a_model_of_one_image_refuses_several_and_is_else_as_it_was(tmp_path, monkeypatch, pairs):
    pytest.importorskip("onnx")
    from bright_masks import model_file

    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    network = {"name": "unet", "options": {"dims": 3}}
    one = MaskPredictor(model_file(tmp_path / "one.tomos", tile=(8, 8, 8), network=network))
    assert [each.address for each in given(one, pairs[0])] == [str(path) for path in pairs[0]]
    assert not predict(one, [pairs[0][0]])[0].error
    joined = predict(one, [formats.joined(map(str, pairs[0]))])[0]
    assert "this model reads one image; got 2" in joined.error


def test_another_grid_is_resampled_and_the_answer_lies_on_the_first(model, tmp_path):
    one = several.scan(tmp_path / "one.nii.gz", 1, None)
    fine = several.scan(tmp_path / "fine.nii.gz", 2, 4, step=0.5)
    found = predict(model, [formats.joined([str(one), str(fine)])], tmp_path / "out")[0]
    assert any("image 2 of 2: put on the grid of the first" in said for said in found.warnings)
    mask = formats.read(tmp_path / "out" / "one.nii.gz")
    assert mask.size == (10, 12, 14) and np.allclose(mask.affine, formats.read(one).affine)
    # The cube of 2 mm, from index 4 of half millimetres on: about voxels 2 and 3.
    assert mask.pixels[0][2:4, 2:4, 2:4].all() and mask.pixels.sum() <= 27


def test_the_way_of_evaluate_gives_what_predict_writes(model, pairs, tmp_path):
    folder = dataset(tmp_path, pairs)
    using, opened = MaskPredictor(model), datasets.open(folder)
    found = judge(using, opened, "all")
    assert found.metrics["overall"]["dice"]["value"] == 1.0
    predict(using, [folder], tmp_path / "out")
    for k, case in enumerate(opened.cases):
        mask = beside(using, opened, case).found.targets["mask"].mask
        assert np.array_equal(mask.labels, masks(tmp_path / "out", [f"case-{k}"])[0])


def test_evaluate_takes_the_images_by_their_names(model, pairs, tmp_path):
    folder = dataset(tmp_path, pairs)
    text = (folder / "dataset.toml").read_text()
    (folder / "dataset.toml").write_text(text.replace('reference = "t1"', 'reference = "t2"'))
    opened = datasets.open(folder)
    assert opened.roles == ("t2", "t1")
    assert judge(MaskPredictor(model), opened, "all").metrics["overall"]["dice"]["value"] == 1.0
    other = text.replace('"t1"', '"t3"').replace('"t2"', '"t4"')
    (folder / "dataset.toml").write_text(other)
    rows = (folder / "cases.csv").read_text()
    (folder / "cases.csv").write_text(rows.replace("image:t1", "image:t3", 1).replace(
        "image:t2", "image:t4", 1))  # fmt: skip
    with pytest.raises(Exception, match="expected the images t1, t2 of every case"):
        judge(MaskPredictor(model), datasets.open(folder), "all")


def test_a_case_without_an_image_is_told_by_evaluate(model, pairs, tmp_path):
    opened = datasets.open(dataset(tmp_path, pairs))
    first = opened.cases[0]
    del first.images["t2"]
    with pytest.raises(FormatError, match="case 0: has no image 't2'"):
        opened.read(first)
    found = judge(MaskPredictor(model), opened, "all")
    assert list(found.failed) == ["case 0"] and "has no image 't2'" in found.failed["case 0"]


def test_the_command_says_which_images_and_names_files_by_the_case(model, pairs, tmp_path, capsys):
    source = table(tmp_path / "t.csv", pairs[:1])
    assert main(["predict", str(model), str(source), "-o", str(tmp_path / "o"), "--json"]) == 0
    told = json.loads(capsys.readouterr().out)["predictions"][0]
    assert told["input"] == formats.joined(map(str, pairs[0]))
    assert told["files"]["mask"].endswith("o/patient-0.nii.gz")
    assert main(["describe", str(model)]) == 0
    assert "t1, t2 of one case; the answer lies on t1" in capsys.readouterr().out
    wrong = table(tmp_path / "w.csv", pairs[:1], ("case", "image:t1", "image:flair"))
    assert main(["predict", str(model), str(wrong)]) == 2
    assert "there is no 'image:t2'" in capsys.readouterr().err
