"""`tomos predict` of masks: surfaces, pictures of each label, and nothing half-written."""

import json

import numpy as np
import pytest
import toy
from bright_masks import STEEP, manifest, model_file, volume
from PIL import Image as Picture

from tomos import formats
from tomos.cli import main
from tomos.inference import MaskPredictor
from tomos.types import StorageError
from tomos.workflows.mask_files import file_names, label_picture
from tomos.workflows.predict import predict

pytestmark = pytest.mark.fast
ORANGE = (255, 150, 30)
RANGED = [{"step": "channels", "to": 1}, {"step": "normalise", "kind": "range"}]


class Two:
    """ "a" is what is about 0.8, "b" what is about 1."""

    outputs = ("logits",)

    def __call__(self, inputs, wanted=()):
        x = inputs["image"]
        return {"logits": -STEEP * np.abs(np.concatenate([x, x - 0.8, x - 1], axis=1))}


@pytest.fixture
def two():
    known = manifest(classes=({"name": "Lobe A/B"}, {"name": "b"}))
    return MaskPredictor.of(known, [Two()], threads=1)


@pytest.fixture
def scan(tmp_path):
    image = volume(spacing=(1.5, 1.0, 2.0))
    formats.write_nifti(image, tmp_path / "scan.nii.gz")
    return tmp_path / "scan.nii.gz"


def stl(path):
    """(F, 3, 3) corners of the triangles of a binary STL."""
    kind = np.dtype([("normal", "<f4", 3), ("corners", "<f4", (3, 3)), ("attribute", "<u2")])
    return np.frombuffer(path.read_bytes()[84:], kind)["corners"].astype(float)


def test_a_surface_of_each_label_lies_about_it_in_millimetres(two, scan, tmp_path):
    out = tmp_path / "out"
    (found,) = predict(two, [scan], out, ["nifti"], surfaces=["stl", "obj", "glb"])
    names = {"scan-Lobe-A-B.stl", "scan-b.stl", "scan.obj", "scan.glb", "scan.nii.gz"}
    assert {path.name for path in out.iterdir()} == names
    assert {path.rsplit("/")[-1] for path in found.files.values()} == names
    image = formats.read(scan)
    mask = formats.read_mask(out / "scan.nii.gz", image, None)
    for label, name in enumerate(("Lobe-A-B", "b"), 1):
        corners = stl(out / f"scan-{name}.stl")
        inside = np.argwhere(mask.labels == label)
        middle = image.world(inside).mean(axis=0)
        one, other, third = corners.transpose(1, 0, 2)
        each = np.einsum("fi,fi->f", one, np.cross(other, third)) / 6
        # Smoothing rounds corners of a box off; what is smooth is tested with the surfaces.
        assert each.sum() / 1000 == pytest.approx(mask.extents()[mask.names[label - 1]], rel=0.05)
        centroid = (each[:, None] * corners.mean(axis=1) * 0.75).sum(axis=0) / each.sum()
        np.testing.assert_allclose(centroid, middle, atol=0.1)
    text = (out / "scan.obj").read_text()
    assert sum(line.startswith(("g ", "o ")) for line in text.splitlines()) == 2


def test_each_label_is_outlined_where_it_is_largest(two, scan, tmp_path):
    (found,) = predict(two, [scan], tmp_path / "out", ["overlay"])
    assert set(found.files) == {"overlay-Lobe-A-B", "overlay-b"}
    picture = np.asarray(Picture.open(found.files["overlay-b"]))
    # 36 rows of 1 mm, 44 columns of 2 mm: square pixels, enlarged by a whole factor.
    times = picture.shape[0] // 36
    assert picture.shape == (36 * times, 88 * times, 3)
    rows, columns = np.nonzero((picture == ORANGE).all(axis=-1))
    assert (rows.min() // times, rows.max() // times) == (5, 29)
    assert (columns.min() // times, columns.max() // times) == (20, 79)


def test_a_scan_stored_otherwise_has_the_same_picture(two):
    """Axial, front up and the patient's right on the left, however the file's axes run."""
    image = volume(spacing=(1.5, 1.0, 2.0))
    found = two.predict_image(image).targets["mask"].mask
    plain = label_picture(image, found, 1)
    affine = image.affine[:, [2, 0, 1, 3]].copy()
    affine[:3, 3] += affine[:3, 0] * 43
    affine[:3, 0] *= -1
    pixels = np.ascontiguousarray(image.pixels.transpose(0, 3, 1, 2)[:, ::-1])
    stored = image.with_pixels(pixels, affine)
    assert label_picture(stored, two.predict_image(stored).targets["mask"].mask, 1) == plain


def test_where_nothing_is_found_there_is_no_surface_and_no_picture(two, tmp_path):
    image = volume()
    formats.write_nifti(image.with_pixels(0 * image.pixels), tmp_path / "dark.nii")
    out = tmp_path / "out"
    (found,) = predict(two, [tmp_path / "dark.nii"], out, ["overlay"], surfaces=["stl", "glb"])
    assert found.verdict == "no finding" and found.files == {} and not list(out.iterdir())


def test_names_of_files():
    assert file_names(["liver", "left lung", "左肺", "a/b", "A b", "???"]) == [
        "liver", "left-lung", "左肺", "a-b-4", "A-b-5", "label",
    ]  # fmt: skip


@pytest.fixture
def films(tmp_path, cache):
    """A model of pictures, one of volumes, one of classes, and inputs for them."""
    pytest.importorskip("onnx")
    model_file(tmp_path / "film.tomos", (None, None), tile=(16, 16), prepare=RANGED,
               network={"name": "unet", "options": {"dims": 2}})  # fmt: skip
    model_file(tmp_path / "scan.tomos")
    toy.model(tmp_path / "class.tomos")
    pixels = np.zeros((24, 20), np.uint8)
    pixels[4:12, 5:9] = 255
    Picture.fromarray(pixels).save(tmp_path / "film.png")
    formats.write_nifti(volume(), tmp_path / "scan.nii")
    return tmp_path


@pytest.fixture
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["scan.tomos", "scan.nii", "-o", "out", "--surfaces", "obi"], "did you mean 'obj'"),
        (["scan.tomos", "scan.nii", "--surfaces", "obj"], "needs a folder to write into: -o DIR"),
        (["class.tomos", "film.png", "-o", "out", "--surfaces", "obj"], "it outlines nothing"),
        (["film.tomos", "film.png", "-o", "out", "--surfaces", "stl"], "whose voxels have a size"),
        (
            ["scan.tomos", "scan.nii", "-o", "out", "--as", "nifti,dicom-seg"],
            "scan.nii: --as dicom-seg",
        ),
        (["scan.tomos", "film.png", "-o", "out"], "film.png: expected 1 channel(s) and 3 axes"),
    ],
)
def test_what_cannot_be_is_said_and_leaves_nothing(films, monkeypatch, capsys, words, said):
    monkeypatch.chdir(films)
    assert main(["predict", *words]) == 2
    told = capsys.readouterr()
    assert said in told.err + told.out and "Traceback" not in told.err
    left = (
        {path.name for path in (films / "out").glob("**/*")} if (films / "out").exists() else set()
    )
    assert left <= {"predictions.json"}


def test_the_command_writes_surfaces_beside_the_masks(films, capsys):
    args = ["predict", str(films / "scan.tomos"), str(films / "scan.nii"), "-o", str(films / "out")]
    assert main([*args, "--surfaces", "stl,glb", "--json"]) == 0
    files = json.loads(capsys.readouterr().out)["predictions"][0]["files"]
    assert set(files) == {"mask", "surface-ball", "surfaces-glb"}
    assert {path.name for path in (films / "out").iterdir()} == {
        "predictions.json", "scan.nii.gz", "scan-ball.stl", "scan.glb",
    }  # fmt: skip


def test_one_that_fails_leaves_the_others(films, capsys):
    (films / "broken.nii").write_bytes((films / "scan.nii").read_bytes()[:5000])
    names = ["broken.nii", "scan.nii", "film.png", "none.nii"]
    args = ["predict", str(films / "scan.tomos"), *(str(films / name) for name in names)]
    assert main([*args, "-o", str(films / "out"), "--json"]) == 2
    told = json.loads(capsys.readouterr().out)["predictions"]
    assert [each["input"] for each in told] == [str(films / name) for name in names]
    broken, scan, film, none = told
    assert scan["targets"]["mask"]["label"] == "ball"
    for each, name in ((broken, "broken.nii"), (film, "film.png"), (none, "none.nii")):
        assert name in each["error"]
    assert {p.name for p in (films / "out").iterdir()} == {"scan.nii.gz", "predictions.json"}


def test_a_folder_that_cannot_be_written_is_named(films):
    (films / "out").write_text("a file")
    using = MaskPredictor(films / "scan.tomos", threads=1)
    with pytest.raises(StorageError, match=r"out: expected a folder to write in, but .* is a file"):
        predict(using, [films / "scan.nii"], films / "out", ["nifti"])
