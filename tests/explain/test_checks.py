"""What maps are worth: do they point at the mask, and do they depend on what was learnt?"""

import json
import sys

import numpy as np
import pytest
import toy

from tomos import cli, explain, formats, package
from tomos.explain import localisation
from tomos.inference import Predictor
from tomos.types import GeometryError, Image, PackageError, SettingsError
from tomos.workflows import masks

pytestmark = pytest.mark.fast


def test_a_map_that_is_the_mask_scores_one():
    mask = np.zeros((8, 8))
    mask[2:4, 3:6] = 7
    best = localisation((mask > 0).astype(float), mask)
    assert (best.pointing, best.energy, best.average_precision) == (1, 1, 1)
    assert best.chance == pytest.approx(6 / 64)


def test_an_even_map_and_an_empty_one_score_what_chance_does():
    mask = np.zeros((10, 10), bool)
    mask[:3] = True
    for heat in (np.full((10, 10), 0.4), np.zeros((10, 10))):
        even = localisation(heat, mask)
        for score in (even.pointing, even.energy, even.average_precision, even.chance):
            assert score == pytest.approx(0.3)


def test_scores_by_hand():
    """Four pixels, 0.4 0.3 0.2 0.1, of which the second and the fourth are the finding."""
    heat, mask = np.array([[0.4, 0.3], [0.2, 0.1]]), np.array([[0, 1], [0, 1]])
    found = localisation(heat, mask)
    assert found.pointing == 0
    assert found.energy == pytest.approx(0.4)
    assert found.average_precision == pytest.approx((1 / 2 + 2 / 4) / 2)
    assert found.chance == 0.5


def test_average_precision_is_that_of_scikit_learn():
    metrics = pytest.importorskip("sklearn.metrics")
    rng = np.random.default_rng(0)
    heat = rng.random((50, 60))
    mask = rng.random((50, 60)) < 0.2 + 0.5 * heat
    expected = metrics.average_precision_score(mask.ravel(), heat.ravel())
    assert localisation(heat, mask).average_precision == pytest.approx(expected, abs=1e-3)


def test_a_mask_must_fit_and_hold_something():
    with pytest.raises(GeometryError, match=r"\(4, 4\), got \(4, 5\)"):
        localisation(np.ones((4, 4)), np.ones((4, 5)))
    with pytest.raises(GeometryError, match="empty"):
        localisation(np.ones((4, 4)), np.zeros((4, 4)))


PREPARE = (
    {"step": "resize", "size": [32, 32]},
    {"step": "normalise", "kind": "range"},
)


def film(number: int, size=(32, 32)) -> tuple[np.ndarray, np.ndarray]:
    """A dark picture with one bright ball, 8 bit, and the ball's mask; both (1, Y, X)."""
    rng = np.random.default_rng(number)
    y, x = np.indices(size)
    centre = rng.uniform(0.25, 0.75, 2) * size
    distance = np.hypot(y - centre[0], x - centre[1])
    picture = 200 * np.exp(-((distance / 4) ** 2)) + rng.uniform(0, 12, size)
    return picture.astype(np.uint8)[None], (distance < 4)[None].astype(np.uint8) * 255


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    """A model that sees brightness, six films, and the masks of five of them."""
    folder = tmp_path_factory.mktemp("checks")
    manifest = toy.manifest(input={"channels": 1, "size": (32, 32)}, prepare=PREPARE)
    rng = np.random.default_rng(0)
    filters = np.concatenate([np.eye(9)[4].reshape(1, 1, 3, 3), rng.normal(0, 1, (15, 1, 3, 3))])
    linear = np.zeros((2, 16))
    linear[1, 0] = 8
    package.write(
        folder / "m.tomos", manifest, [toy.graph(filters, linear, np.array([0, -2]), (32, 32))]
    )
    (folder / "films").mkdir()
    (folder / "masks").mkdir()
    for number in range(6):
        picture, mask = film(number)
        formats.write_png(Image(picture), folder / "films" / f"p{number}.png")
        if number == 1:
            formats.write_nifti(Image(mask), folder / "masks" / "p1.nii.gz")
        elif number < 5:
            formats.write_png(Image(mask), folder / "masks" / f"p{number}.png")
    return folder


@pytest.fixture(scope="module")
def predictor(world, tmp_path_factory):
    return Predictor(world / "m.tomos", threads=1, cache=tmp_path_factory.mktemp("cache"))


def pictures(n: int) -> list[Image]:
    return [Image(film(number)[0], value_range=(0, 255)) for number in range(n)]


@pytest.mark.seconds
@pytest.mark.parametrize("method", ["cam", "occlusion"])
def test_maps_of_random_weights_are_others(predictor, method):
    found = explain.sanity(predictor, pictures(6), "bright", method, draws=4)
    assert found.shape == (6,)
    assert abs(found.mean()) < 0.5
    assert np.array_equal(found, explain.sanity(predictor, pictures(6), "bright", method, draws=4))


def test_a_map_that_shows_the_picture_alone_is_found_out(predictor, monkeypatch):
    """An edge detector in place of a method: the same map whatever the network is."""
    from tomos.explain import occlusion

    def edges(net, x, target, kind):
        return np.abs(np.diff(x[:, 0], axis=2, prepend=0)).astype(np.float32)

    monkeypatch.setattr(occlusion, "explain", edges)
    found = explain.sanity(predictor, pictures(3), ["bright"] * 3, "occlusion")
    assert found == pytest.approx(np.ones(3))


def test_the_check_needs_no_torch(predictor, monkeypatch):
    monkeypatch.setitem(sys.modules, "torch", None)
    monkeypatch.setitem(sys.modules, "onnx", None)
    assert np.isfinite(explain.sanity(predictor, pictures(2), "bright")).all()


def test_what_cannot_be_checked_is_refused(predictor):
    with pytest.raises(SettingsError, match="did you mean 'bright'"):
        explain.sanity(predictor, pictures(1), "brigth")
    with pytest.raises(SettingsError, match="2 images, 1 classes"):
        explain.sanity(predictor, pictures(2), ["bright"])
    with pytest.raises(SettingsError, match="0 images"):
        explain.sanity(predictor, [], "bright")
    bare = Predictor.of(predictor.manifest, predictor.networks)
    with pytest.raises(PackageError, match="needs a model file"):
        explain.sanity(bare, pictures(1), "bright")


def said(capsys, *words) -> tuple[int, dict]:
    code = cli.main([*map(str, words), "--json"])
    return code, json.loads(capsys.readouterr().out)


@pytest.mark.seconds
def test_the_command_scores_and_checks(world, capsys, tmp_path, cache):
    words = ["explain", world / "m.tomos", world / "films", "-o", tmp_path, "--as", "png"]
    words += ["--masks", world / "masks", "--sanity", "--label", "bright"]
    code, told = said(capsys, *words)
    assert code == 0
    scored = told["localisation"]
    assert (scored["n"], scored["without_mask"]) == (5, 1)
    assert scored["pointing"]["value"] == 1
    assert scored["pointing"]["low"] == pytest.approx(5 / (5 + 1.96**2), abs=1e-3), "Wilson's"
    assert 0.3 < scored["energy"]["low"] < scored["energy"]["value"] < scored["energy"]["high"] <= 1
    assert scored["chance"] == pytest.approx(np.pi * 16 / 1024, abs=0.01)
    each = [entry.get("localisation") for entry in told["explanations"]]
    assert [bool(entry) for entry in each] == [True] * 5 + [False]
    assert scored["energy"]["value"] == pytest.approx(
        np.mean([entry["energy"] for entry in each[:5]]), abs=1e-3
    )
    assert told["sanity"]["method"] == "cam" and told["sanity"]["n"] == 6
    assert abs(told["sanity"]["correlation"]["value"]) < 0.6
    assert not {"group", "patient"} & told["explanations"][0].keys()
    assert cli.main(list(map(str, words))) == 0
    text = capsys.readouterr().out
    assert "pointing game      1.00 (0.57 to 1.00)" in text
    assert "5 images, 1 without a mask; by chance 0.05" in text
    assert "near 0: the maps depend on what was learnt" in text


def test_a_mask_of_another_size_is_refused_and_the_rest_goes_on(world, capsys, tmp_path, cache):
    folder = tmp_path / "masks"
    folder.mkdir()
    formats.write_png(Image(np.ones((1, 16, 32), np.uint8)), folder / "p0.png")
    formats.write_png(Image(film(1)[1]), folder / "p1.png")
    formats.write_png(Image(np.zeros((1, 32, 32), np.uint8)), folder / "p2.png")
    code, told = said(
        capsys,
        "explain",
        world / "m.tomos",
        world / "films",
        "-o",
        tmp_path / "o",
        "--masks",
        folder,
    )
    assert code == 2
    assert "p0.png: expected a mask on the grid of" in told["explanations"][0]["error"]
    assert "but the sizes differ. Mask: 1 x 16 x 32" in told["explanations"][0]["error"]
    assert told["localisation"]["n"] == 1
    assert told["localisation"]["without_mask"] == 5, "an empty mask is nothing to point at"


@pytest.mark.parametrize(
    ("names", "match"),
    [
        ([], "none of 0 masks"),
        (["other.png"], r"none of 1 masks .* as p0.png"),
        (["p0.png", "deep/p0.nii.gz"], "both named for p0"),
    ],
)
def test_a_folder_without_masks_is_refused_before_any_work(world, tmp_path, names, match):
    for name in names:
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(b"")
    with pytest.raises(SettingsError, match=match):
        masks.Masks(tmp_path, [str(world / "films" / "p0.png")])
    with pytest.raises(SettingsError, match="there is none"):
        masks.Masks(tmp_path / "nowhere", [])


def test_an_image_is_not_its_own_mask(world):
    address = str(world / "films" / "p0.png")
    with pytest.raises(GeometryError, match="is the image itself"):
        masks.Masks(world / "films", [address]).of(address, formats.read(address))


def volume(place: tuple[int, int, int]) -> np.ndarray:
    """(1, 4, 5, 6) with one bright voxel."""
    pixels = np.zeros((1, 4, 5, 6), np.int16)
    pixels[(0, *place)] = 9
    return pixels


def test_a_mask_of_the_same_scan_may_be_stored_in_another_order(tmp_path):
    """The same voxel in the patient, once with X running left to right, once right to left, and
    once with axes exchanged."""
    affine = np.array([[0, 0, 2.0, 10], [0, 3, 0, 20], [4, 0, 0, 30], [0, 0, 0, 1]])
    image = Image(volume((1, 2, 3)), affine, "patient")
    turned = affine.copy()
    turned[:3, 2] *= -1
    turned[:3, 3] += affine[:3, 2] * 5  # index 0 is now where index 5 was
    exchanged = affine[:, [1, 0, 2, 3]]
    for name, mask in {
        "alike": image,
        "turned": Image(volume((1, 2, 2)), turned, "patient"),
        "exchanged": Image(volume((1, 2, 3)).transpose(0, 2, 1, 3).copy(), exchanged, "patient"),
    }.items():
        folder = tmp_path / name
        folder.mkdir()
        formats.write_nifti(mask, folder / "scan.nii.gz")
        inside = masks.Masks(folder, ["scan.dcm"]).of("scan.dcm", image)
        assert inside is not None and inside.shape == (4, 5, 6)
        assert np.argwhere(inside).tolist() == [[1, 2, 3]], name
    moved = affine.copy()
    moved[:3, 3] += 9
    (tmp_path / "moved").mkdir()
    formats.write_nifti(Image(volume((1, 2, 3)), moved, "patient"), tmp_path / "moved/scan.nii")
    with pytest.raises(GeometryError, match=r"expected a mask on the grid of .* come apart"):
        masks.Masks(tmp_path / "moved", ["scan.dcm"]).of("scan.dcm", image)


def test_rows_of_a_container_have_masks_by_the_name_of_their_map(tmp_path):
    for row in (0, 1):
        mask = np.zeros((1, 4, 4), np.uint8)
        mask[0, row, row] = 1
        formats.write_png(Image(mask), tmp_path / f"set-test-{row}.png")
    listed = ["set.npz#test/0", "set.npz#test/1"]
    known = masks.Masks(tmp_path, listed)
    for row, address in enumerate(listed):
        inside = known.of(address, Image(np.zeros((1, 4, 4))))
        assert inside is not None and np.argwhere(inside).tolist() == [[row, row]]


def test_a_resample_draws_patients():
    values = [0.0, 0.0, 0.0, 1.0]
    alone = masks.mean(values, ["a", "b", "c", "d"])
    together = masks.mean(values, ["a", "a", "a", "d"])
    assert alone.value == together.value == 0.25
    assert together.high == 1 and alone.high < 1
    assert "over 2 patients" in together.method and "over 4 images" in alone.method
    assert masks.mean([0.5], ["a"]).method == "one image: no interval"
