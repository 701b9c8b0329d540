"""A model of masks over HTTP: how much there is of every label, and the files to fetch."""

import io
import threading
import time
import zipfile

import httpx
import numpy as np
import pytest

from tomos import formats
from tomos.serve import masks
from tomos.serve.desk import Limits
from tomos.types import Mask

SIZE = (12, 20, 22)


@pytest.fixture(scope="module")
def volume(mask_model):
    return mask_model.ball(SIZE)


@pytest.fixture(scope="module")
def scan(mask_model, volume, tmp_path_factory):
    """The volume as a .nii.gz."""
    return mask_model.write_nifti(tmp_path_factory.mktemp("scan") / "scan.nii.gz", volume)


@pytest.fixture(scope="module")
def slices(mask_model, volume, tmp_path_factory):
    """The volume as the files of a CT series."""
    return mask_model.write_series(tmp_path_factory.mktemp("series"), volume)


def labels(pixels: np.ndarray) -> np.ndarray:
    """What the network must say: 1 above 100, 2 above 200."""
    return (pixels > 100).astype(np.uint8) + (pixels > 200)


def sent(talk, path, model="solid", **wishes):
    files = {"file": (path.name, path.read_bytes())}
    answer = talk.post("/api/read", params={"model": model, **wishes}, files=files)
    assert answer.status_code == 200, answer.text
    return answer.json()


def fetched(talk, answer, form, tmp_path, ending):
    response = talk.get(answer["prediction"]["files"][form])
    assert response.status_code == 200
    path = tmp_path / f"{form}{ending}"
    path.write_bytes(response.content)
    return path


def test_the_models_say_what_they_are(talk):
    flat, solid = talk.get("/api/models").json()["models"]
    assert (flat["kind"], flat["input"]["size"]) == ("mask", [32, 32])
    assert solid["input"]["size"] == [16, 16, 16]
    assert solid["mask"]["doubt"] == {"bright": [0.5, 2.0]}
    assert [each["finding"] for each in solid["classes"]] == [True, True]


def test_a_picture_and_its_mask(talk, mask_model, tmp_path):
    pixels = mask_model.ball((50, 70)).astype(np.uint8)
    path = tmp_path / "cells.png"
    path.write_bytes(formats.png_bytes(pixels))
    answer = sent(talk, path, "flat")
    amounts = answer["prediction"]["targets"]["mask"]["mask"]
    expected = labels(pixels)
    assert answer["mask"]["unit"] == "voxels"
    for value, name in enumerate(mask_model.CLASSES, 1):
        assert amounts[name]["voxels"] == (expected == value).sum()
        assert amounts[name]["expected"] == pytest.approx(amounts[name]["voxels"], rel=0.01)
    assert answer["prediction"]["verdict"] == "finding"
    assert set(answer["prediction"]["files"]) == {"mask", "doubt"}
    mask = formats.read(fetched(talk, answer, "mask", tmp_path, ".png"))
    assert np.array_equal(mask.pixels[0], expected)
    doubt = formats.read(fetched(talk, answer, "doubt", tmp_path, ".nii.gz"))
    assert doubt.pixels.size == pixels.size
    assert "volume" not in answer["mask"]


def test_that_there_is_no_heat_map_is_said_with_its_reason(talk, scan):
    answer = sent(talk, scan)
    assert answer["maps"] == [] and "takes minutes; tomos explain" in answer["no_map"]
    assert "no_map" not in sent(talk, scan, heat=False)


def test_a_volume_its_amounts_and_its_files(talk, scan, volume, tmp_path):
    answer = sent(talk, scan)
    amounts = answer["prediction"]["targets"]["mask"]["mask"]
    assert answer["mask"]["unit"] == "ml"
    assert amounts["bright"]["ml"] == pytest.approx((volume > 200).sum() / 1000)
    assert amounts["bright"]["expected"] == pytest.approx(amounts["bright"]["ml"], rel=0.01)
    path = fetched(talk, answer, "mask", tmp_path, ".nii.gz")
    mask = formats.read_mask(path, formats.read(scan), None)
    assert mask.names == ("grey", "bright")
    assert np.array_equal(mask.labels, labels(volume))
    doubt = formats.read(fetched(talk, answer, "doubt", tmp_path, ".nii.gz")).pixels
    assert doubt.max() < 30  # nothing lies near an edge between two labels
    saved = talk.get(answer["prediction"]["files"]["mask"]).headers["content-disposition"]
    assert 'filename="scan-mask.nii.gz"' in saved


def test_the_volume_to_show_lies_where_its_labels_do(talk, scan, volume, tmp_path):
    answer = sent(talk, scan, volume="true")
    told = answer["mask"]["volume"]
    assert told["steps"] == [1, 1, 1]
    assert told["labels"] == answer["prediction"]["files"]["mask"]
    path = tmp_path / "shown.nii.gz"
    path.write_bytes(talk.get(told["image"]).content)
    shown, source = formats.read(path), formats.read(scan)
    assert np.array_equal(shown.pixels, source.pixels)
    assert np.allclose(shown.affine, source.affine)


def test_the_picture_of_a_volume_is_an_axial_slice(talk, mask_model, tmp_path):
    """That with most of the mask. Stored with axes towards L, S, P; the ball is largest in the
    middle of S, 9 of 20.
    """
    upright = mask_model.ball((20, 12, 22))
    image = formats.read(mask_model.write_nifti(tmp_path / "a.nii.gz", upright))
    stored = np.ascontiguousarray(image.pixels[0].transpose(2, 0, 1))
    turned = image.with_pixels(stored[None], image.affine[:, [2, 0, 1, 3]])
    formats.write_nifti(turned, tmp_path / "turned.nii.gz")
    answer = sent(talk, tmp_path / "turned.nii.gz")
    assert (answer["picture"]["width"], answer["picture"]["height"]) == (22, 12)
    cut = masks.cut(turned, Mask.on(turned, labels(stored), ("grey", "bright")))
    assert np.array_equal(cut.labels, labels(upright[9]))
    assert np.array_equal(cut.image.pixels[0], upright[9])
    assert cut.image.spacing == (1, 1)


def test_a_series_of_files_and_the_same_as_zip(talk, slices, volume, tmp_path):
    files = [("file", (path.name, path.read_bytes())) for path in slices]
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        for path in reversed(slices):
            archive.write(path, f"study/{path.name}")
    bodies = [{"files": files}, {"content": packed.getvalue()}]
    like = formats.read(slices[0].parent)
    for body in bodies:
        answer = talk.post("/api/read?model=solid", **body)
        assert answer.status_code == 200, answer.text
        told = answer.json()
        assert told["image"]["unit"] == "HU" and told["image"]["size"] == list(SIZE)
        one = told["prediction"]["targets"]["mask"]["mask"]["bright"]
        assert one["ml"] == pytest.approx(one["voxels"] * 2 * 0.8**2 / 1000)
        path = fetched(talk, told, "dicom-seg", tmp_path, ".dcm")
        seg = formats.read_mask(path, like, None)
        assert seg.names == ("grey", "bright")
        assert np.array_equal(seg.labels, labels(volume))
        assert "Muster" not in answer.text and "4711" not in answer.text
    assert list(talk.service.folder.iterdir()) == []


def test_where_a_segmentation_cannot_be_written_the_mask_still_is(talk, film_model, tmp_path):
    """The film's header names no study."""
    path = film_model.write_dicom(tmp_path / "film.dcm", film_model.film(1, side=64))
    answer = sent(talk, path, "flat")
    assert set(answer["prediction"]["files"]) == {"mask", "doubt"}
    reason = answer["mask"]["left_out"]["dicom-seg"]
    assert "cannot be written for film.dcm: its header lacks" in reason
    assert "/tmp" not in reason and "tomos-serve" not in reason


def test_what_is_not_wished_for_is_not_kept(talk, scan):
    answer = sent(talk, scan, files="false", picture="false")
    assert answer["prediction"]["files"] == {}
    assert "volume" not in answer["mask"] and "picture" not in answer


def test_a_volume_to_show_does_not_need_the_files(talk, scan):
    answer = sent(talk, scan, files="false", volume="true")
    assert answer["prediction"]["files"] == {}
    told = answer["mask"]["volume"]
    assert talk.get(told["image"]).status_code == talk.get(told["labels"]).status_code == 200


def test_a_result_that_was_let_go(talk, scan):
    answer = sent(talk, scan)
    address = answer["prediction"]["files"]["mask"]
    assert talk.delete(address.rsplit("/", 1)[0]).status_code == 204
    gone = talk.get(address)
    assert gone.status_code == 404
    assert "kept for 10 minutes" in gone.json()["error"]
    foreign = {"origin": "http://evil.example"}
    assert talk.delete(address.rsplit("/", 1)[0], headers=foreign).status_code == 403


def test_an_unsure_extent_is_referred(talk, mask_model, volume, tmp_path):
    """Around the bright ball of 30 voxels lie many of 195, each with 0.27 to be bright."""
    unsure = np.where(volume == 150, 195, volume).astype(np.int16)
    answer = sent(talk, mask_model.write_nifti(tmp_path / "unsure.nii.gz", unsure))
    amount = answer["prediction"]["targets"]["mask"]["mask"]["bright"]
    assert amount["expected"] > 2 * amount["ml"]
    assert answer["prediction"]["verdict"] == "refer"
    assert answer["prediction"]["reason"].startswith("bright: the network is unsure")


def test_a_picture_for_a_model_of_volumes_is_refused(talk, tmp_path):
    path = tmp_path / "flat.png"
    path.write_bytes(formats.png_bytes(np.zeros((20, 20), np.uint8)))
    files = {"file": (path.name, path.read_bytes())}
    answer = talk.post("/api/read?model=solid", files=files)
    assert answer.status_code == 422
    assert "flat.png: expected 1 channel(s) and 3 axes" in answer.json()["error"]


def test_a_volume_for_a_model_of_pictures_is_read_slice_by_slice(talk, scan, volume, tmp_path):
    answer = sent(talk, scan, "flat")
    path = fetched(talk, answer, "mask", tmp_path, ".nii.gz")
    assert np.array_equal(formats.read(path).pixels[0], labels(volume))


def test_files_that_are_no_series_are_refused(talk, slices):
    letters = [("file", (f"{n}.txt", b"Dear colleague, " * 40)) for n in range(2)]
    answer = talk.post("/api/read?model=solid", files=letters)
    assert answer.status_code == 422
    assert "0.txt and 1 more: none of these files is a DICOM image" in answer.json()["error"]


def test_the_examples_can_be_read(talk, tmp_path):
    for model, ending in (("flat", "png"), ("solid", "nii.gz")):
        example = talk.get(f"/api/models/{model}/example")
        assert example.headers["content-disposition"].endswith(f'example.{ending}"')
        path = tmp_path / f"example.{ending}"
        path.write_bytes(example.content)
        assert sent(talk, path, model)["prediction"]["verdict"]


@pytest.mark.parametrize(
    ("most", "steps"), [(5280, (1, 1, 1)), (2640, (1, 2, 1)), (700, (1, 4, 2))]
)
def test_a_large_volume_is_thinned_to_be_shown(slices, volume, tmp_path, most, steps):
    """12 x 20 x 22 voxels of 2 x 0.8 x 0.8 mm: first where they lie closest."""
    image = formats.read(slices[0].parent)
    mask = Mask.on(image, labels(volume), ("grey", "bright"))
    products, thinned = masks.shown(image, mask, tmp_path, "scan", most)
    assert thinned == steps
    kept = volume[tuple(slice(None, None, step) for step in steps)]
    for name, product in products.items():
        path = tmp_path / name
        path.write_bytes(product.content)
        back = formats.read(path)
        expected = kept if name == "shown.nii.gz" else labels(kept)
        assert np.array_equal(back.pixels[0], expected)
        assert np.allclose(back.spacing, np.multiply(image.spacing, steps))
    assert ("labels.nii.gz" in products) == (max(steps) > 1)


@pytest.mark.parametrize("kind", ["bool", "int64", "float64", "float16"])
def test_every_type_of_voxel_can_be_shown(kind, tmp_path):
    from tomos.types import Image

    pixels = np.zeros((3, 2, 3, 4), kind)
    pixels[:, 1] = 1
    if pixels.dtype.kind == "f":
        pixels[:, 0, 0, 0] = np.nan
    image = Image(pixels)
    mask = Mask.on(image, np.zeros((2, 3, 4), np.uint8), ("a",))
    content = masks.shown(image, mask, tmp_path, "x")[0]["shown.nii.gz"].content
    (tmp_path / "x.nii.gz").write_bytes(content)
    assert np.array_equal(formats.read(tmp_path / "x.nii.gz").pixels[0, 1], np.ones((3, 4)))


def test_masks_are_drawn_one_at_a_time_while_classes_go_on(reader, grey_png, live):
    drawer = type(reader)()
    drawer.name, drawer.draws, drawer.gate = "drawer", True, threading.Event()
    answers: list[int] = []
    with live([reader, drawer], Limits(workers=3)) as address:

        def post():
            body = httpx.post(f"{address}/api/read?model=drawer", content=grey_png(9), timeout=20)
            answers.append(body.status_code)

        threads = [threading.Thread(target=post) for _ in range(2)]
        for thread in threads:
            thread.start()
        assert drawer.entered.acquire(timeout=10)
        assert not drawer.entered.acquire(timeout=0.3)
        assert httpx.post(f"{address}/api/read", content=grey_png(9)).status_code == 200
        drawer.gate.set()
        for thread in threads:
            thread.join(20)
    assert answers == [200, 200]


def test_how_far_the_reading_is_can_be_asked(reader, grey_png, live):
    reader.draws, reader.gate = True, threading.Event()
    nothing = {"done": 0, "total": 0}
    with live([reader]) as address:
        assert httpx.get(f"{address}/api/progress/mine").json() == nothing
        post = threading.Thread(
            target=httpx.post,
            args=(f"{address}/api/read?watch=mine",),
            kwargs={"content": grey_png(9), "timeout": 20},
        )
        post.start()
        assert reader.entered.acquire(timeout=10)
        assert httpx.get(f"{address}/api/progress/mine").json() == {"done": 1, "total": 4}
        assert httpx.get(f"{address}/api/progress/other").json() == nothing
        reader.gate.set()
        post.join(20)
        assert httpx.get(f"{address}/api/progress/mine").json() == nothing
        refused = httpx.post(f"{address}/api/read?watch=a%20b", content=grey_png(9))
        assert refused.status_code == 400


def test_a_mask_whose_sender_has_gone_is_given_up(reader, grey_png, live):
    reader.draws, reader.gate = True, threading.Event()
    with live([reader]) as address:
        with pytest.raises(httpx.ReadTimeout):
            httpx.post(f"{address}/api/read", content=grey_png(9), timeout=0.2)
        assert reader.entered.acquire(timeout=10)
        deadline = time.monotonic() + 10
        while not reader.stop():
            assert time.monotonic() < deadline
            time.sleep(0.01)
        reader.gate.set()
        assert httpx.post(f"{address}/api/read", content=grey_png(9)).status_code == 200
    assert reader.stops == [True, False]


def test_a_mask_that_comes_too_late_is_given_up(reader, grey_png, live):
    reader.draws, reader.gate = True, threading.Event()
    with live([reader], Limits(mask_seconds=0.3, seconds=60)) as address:
        late = httpx.post(f"{address}/api/read", content=grey_png(9), timeout=20)
        assert late.status_code == 504 and "0.3 s" in late.json()["error"]
        reader.gate.set()
        assert httpx.post(f"{address}/api/read", content=grey_png(9)).status_code == 200
    assert reader.stops == [True, False]
