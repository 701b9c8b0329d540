"""Masks there and back: written by `tomos predict`, read again to the voxel; and masks whose header
is not their image's, through `tomos check` and `tomos evaluate`."""

import json

import numpy as np
import pytest
import seg_phantom
from bright_masks import model_file, predictor, volume

from tomos import datasets, formats
from tomos.cli import main
from tomos.formats import dicom
from tomos.types import Image, Mask
from tomos.workflows.predict import predict

pytestmark = pytest.mark.fast
OBLIQUE = np.array([[0.2, 0.1, -1.1, 10], [0.3, 1.2, 0.1, -20], [2.5, -0.2, 0.3, 5], [0, 0, 0, 1]])


def square(linear: np.ndarray) -> np.ndarray:
    """The nearest axes at right angles, as long as they were."""
    turn, _, other = np.linalg.svd(linear / np.linalg.norm(linear, axis=0))
    return turn @ other * np.linalg.norm(linear, axis=0)


@pytest.mark.parametrize("turned", [False, True])
def test_nifti_there_and_back(tmp_path, turned):
    affine = OBLIQUE.copy()
    affine[:3, :3] = square(OBLIQUE[:3, :3])
    if turned:
        affine = affine[:, [1, 2, 0, 3]] * [1, -1, 1, 1]
    image = volume()
    formats.write_nifti(image.with_pixels(image.pixels, affine), tmp_path / "scan.nii.gz")
    using = predictor(prepare=[{"step": "orient"}])
    (found,) = predict(using, [tmp_path / "scan.nii.gz"], tmp_path / "out")
    image = formats.read(tmp_path / "scan.nii.gz")
    notes: list[str] = []
    back = formats.read_mask(found.files["mask"], image, None, notes=notes)
    mask = using.predict_image(image).targets["mask"].mask
    assert np.array_equal(back.labels, mask.labels) and mask.labels.any() and notes == []
    assert back.names == mask.names == ("ball",)
    np.testing.assert_allclose(formats.read(found.files["mask"]).affine, image.affine, atol=1e-5)
    assert found.targets["mask"].amounts["ball"]["voxels"] == np.count_nonzero(back.labels)


@pytest.mark.seconds
@pytest.mark.parametrize("seed", range(4))
def test_dicom_there_and_back(tmp_path, seed):
    """A CT series lying askew, its files in any order: the segmentation is that of its slices."""
    place, rng = seg_phantom.affine(seed), np.random.default_rng(seed)
    inside = rng.random((7, 16, 18)) > 0.6
    (tmp_path / "ct").mkdir()
    for z in range(7):
        at = place.copy()
        at[:3, 3] += z * place[:3, 0]
        uid = {"SOPInstanceUID": f"1.2.3.4.{z + 1}"}
        pixels = np.where(inside[z], 100, -100).astype(np.int16)[None]
        name = tmp_path / "ct" / f"{rng.integers(10**6)}.dcm"
        dicom.write(Image(pixels, at, "patient", "HU", "CT"), name, seg_phantom.SHARED | uid)
    window = {"step": "window", "source": "fixed", "centre": 0.0, "width": 200.0}
    using = predictor(tile=(4, 8, 8), prepare=[{"step": "orient"}, window])
    (found,) = predict(using, [tmp_path / "ct"], tmp_path / "out", ["dicom-seg", "nifti"])
    assert found.error == ""
    image = formats.read(tmp_path / "ct")
    truth = image.pixels[0] > 0
    assert truth.sum() == inside.sum()
    for form, names in (("dicom-seg", ("ball",)), ("mask", None)):
        back = formats.read_mask(found.files[form], image, names)
        assert np.array_equal(back.labels > 0, truth), form


# -- masks whose header is not their image's


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    """Twelve scans with their masks, those of the part "test" with headers of their own."""
    pytest.importorskip("onnx")
    root = tmp_path_factory.mktemp("headers")
    rows = ["case,patient,image,mask,split"]
    for k in range(12):
        part = "test" if k < 6 else "val" if k < 8 else "train"
        image = volume(spacing=(2.0, 1.0, 1.0))
        image = image.with_pixels(np.roll(image.pixels, k, -1))
        formats.write_nifti(image, root / f"{k}.nii")
        labels = (image.pixels[0] > 0.5).astype(np.uint8)
        mask = Mask.on(image, labels, ("ball",))
        if part == "test":
            mask = MASKS[k](mask)
        formats.write_mask(mask, root / f"{k}-mask.nii.gz")
        rows.append(f"{NAMES[k] if k < 6 else k},{k},{k}.nii,{k}-mask.nii.gz,{part}")
    (root / "cases.csv").write_text("\n".join(rows) + "\n")
    datasets.import_folder(root / "cases.csv", root / "d", classes=["ball"])
    model_file(root / "m.tomos")
    return root


def turned(mask: Mask) -> Mask:
    """The same grid: axes in another order, one of them the other way round."""
    affine = mask.affine[:, [2, 0, 1, 3]].copy()
    affine[:3, 3] += affine[:3, 0] * (mask.size[2] - 1)
    affine[:3, 0] *= -1
    return mask.with_labels(np.ascontiguousarray(mask.labels.transpose(2, 0, 1)[::-1]), affine)


def moved(voxels: float):
    def move(mask: Mask) -> Mask:
        affine = mask.affine.copy()
        affine[:3, 3] += voxels * affine[:3, 2]
        return mask.with_labels(mask.labels, affine)

    return move


def cut(mask: Mask) -> Mask:
    return mask.with_labels(mask.labels[:-1], mask.affine)


def stretched(mask: Mask) -> Mask:
    return mask.with_labels(mask.labels, mask.affine @ np.diag([1.01, 1, 1, 1]))


NAMES = ["same", "turned", "rounded", "moved", "cut", "stretched"]
MASKS = [lambda mask: mask, turned, moved(2e-4), moved(0.5), cut, stretched]


@pytest.mark.seconds
def test_a_mask_is_laid_only_where_the_grid_is_provably_the_image_s(world, capsys):
    args = ["evaluate", str(world / "m.tomos"), str(world / "d"), "-o", str(world / "out")]
    assert main([*args, "--json"]) == 0
    metrics = json.loads(capsys.readouterr().out)
    assert metrics["n_cases"] == 3
    assert metrics["overall"]["dice"]["value"] == 1, "turned back, not taken as it lies in the file"
    rows = (world / "out" / "per_case.csv").read_text().splitlines()[1:]
    assert sorted(row.split(",")[0] for row in rows[:3]) == ["rounded", "same", "turned"]
    refused = {row.split(",")[0]: row for row in rows[3:]}
    assert set(refused) == {"moved", "cut", "stretched"}
    for number, name in enumerate(NAMES):
        if name in refused:
            assert f"{number}-mask.nii.gz" in refused[name] and "Resample" in refused[name]


def test_the_check_names_what_was_repaired_and_what_does_not_fit(world, capsys):
    main(["check", str(world / "d"), "--json"])
    problems = {each["code"]: each for each in json.loads(capsys.readouterr().out)["problems"]}
    assert problems["masks_repaired"]["cases"] == ["turned"]
    assert sorted(problems["masks_unfit"]["cases"]) == ["cut", "moved", "stretched"]
