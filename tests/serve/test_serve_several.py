"""A model that reads several images a case, over HTTP: which file is which, and what is refused."""

import io
import warnings
import zipfile

import numpy as np
import pytest
import several

from tomos import formats
from tomos.serve.application import create
from tomos.serve.packaged_masks import MaskReader
from tomos.serve.service import build


@pytest.fixture(scope="module")
def talk(tmp_path_factory):
    pytest.importorskip("onnx")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from starlette.testclient import TestClient

    path = several.model_file(tmp_path_factory.mktemp("model") / "m.tomos")
    with TestClient(create(build([MaskReader(path)])), base_url="http://localhost") as client:
        yield client


@pytest.fixture(scope="module")
def pair(tmp_path_factory):
    return several.cases(tmp_path_factory.mktemp("scans"), 1)[0]


def post(talk, *sent):
    """`sent`: (field, name, content) of each file."""
    files = [(field, (name, content)) for field, name, content in sent]
    return talk.post("/api/read", files=files)


def mask_of(talk, answer, tmp_path):
    assert answer.status_code == 200, answer.text
    path = tmp_path / "mask.nii.gz"
    path.write_bytes(talk.get(answer.json()["prediction"]["files"]["mask"]).content)
    return formats.read(path).pixels[0]


def test_the_model_says_what_it_reads_and_has_no_example_of_one_file(talk):
    told = talk.get("/api/models").json()["models"][0]
    assert told["input"]["roles"] == ["t1", "t2"] and not told["example"]
    assert talk.get(f"/api/models/{told['name']}/example").status_code == 404


def test_fields_called_as_the_roles_in_any_order(talk, pair, tmp_path):
    one, two = (path.read_bytes() for path in pair)
    answer = post(talk, ("t2", "b.nii.gz", two), ("t1", "a.nii.gz", one))
    assert np.array_equal(mask_of(talk, answer, tmp_path), several.truth(0))
    told = answer.json()
    assert told["image"]["roles"] == {"t1": "a.nii.gz", "t2": "b.nii.gz"}
    assert told["prediction"]["input"] == "a.nii.gz"


def test_numbers_in_names_and_else_the_order(talk, pair, tmp_path):
    one, two = (path.read_bytes() for path in pair)
    numbered = post(talk, ("file", "x_0001.nii.gz", two), ("file", "x_0000.nii.gz", one))
    assert np.array_equal(mask_of(talk, numbered, tmp_path), several.truth(0))
    ordered = post(talk, ("file", "a.nii.gz", one), ("file", "b.nii.gz", two))
    assert np.array_equal(mask_of(talk, ordered, tmp_path), several.truth(0))
    assert ordered.json()["image"]["roles"] == {"t1": "a.nii.gz", "t2": "b.nii.gz"}


def test_a_role_may_be_a_series_of_files_or_a_zip_of_them(talk, pair, tmp_path):
    from seg_phantom import series

    image = series(tmp_path / "ct")
    slices = sorted((tmp_path / "ct").glob("*"))
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        for path in slices:
            archive.write(path, path.name)
    each = [("t1", path.name, path.read_bytes()) for path in slices]
    answer = post(talk, *each, ("t2", "ct.zip", packed.getvalue()))
    assert answer.status_code == 200, answer.text
    assert answer.json()["image"]["size"] == list(image.size)
    assert answer.json()["image"]["channels"] == 2


@pytest.mark.parametrize(
    ("fields", "says"),
    [
        (["file"], "reads 2 images a case: t1, t2; got 1"),
        (["file", "file", "file"], "got 3"),
        (["t1"], "got 1"),
        (["t1", "t3"], "t3 is none of them"),
    ],
)
def test_other_files_are_refused_with_what_is_read(talk, pair, fields, says):
    content = pair[0].read_bytes()
    answer = post(talk, *((field, "scan.nii.gz", content) for field in fields))
    assert answer.status_code == 422 and says in answer.json()["error"]
    assert "fields called t1, t2" in answer.json()["error"]


def test_a_raw_body_is_one_image(talk, pair):
    answer = talk.post("/api/read", content=pair[0].read_bytes())
    assert answer.status_code == 422 and "got 1" in answer.json()["error"]


def test_what_is_wrong_with_one_of_them_is_said_by_its_own_name(talk, pair, tmp_path):
    away = several.scan(tmp_path / "away.nii.gz", 0, None)
    image = formats.read(away)
    affine = image.affine.copy()
    affine[2, 3] += 500
    formats.write_nifti(image.with_pixels(image.pixels, affine), away)
    good = pair[0].read_bytes()
    answer = post(talk, ("t1", "good.nii.gz", good), ("t2", "away.nii.gz", away.read_bytes()))
    assert answer.status_code == 422
    assert answer.json()["error"].startswith("away.nii.gz: does not overlap good.nii.gz")
    broken = post(talk, ("t1", "good.nii.gz", good), ("t2", "bad.nii.gz", b"nothing"))
    assert broken.json()["error"].startswith("bad.nii.gz: expected DICOM")
