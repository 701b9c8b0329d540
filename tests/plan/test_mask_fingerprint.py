import numpy as np
import pytest

from tomos import datasets, formats
from tomos.plan.mask_fingerprint import mask_fingerprint
from tomos.workflows.import_data import import_data

SIDE = 96


@pytest.fixture(scope="module")
def found(tmp_path_factory):
    """Eight pictures of a disc of radius 20 at (48, 30), and two specks of 4 pixels."""
    source = tmp_path_factory.mktemp("discs")
    y, x = np.mgrid[:SIDE, :SIDE]
    disc = ((y - 47.5) ** 2 + (x - 29.5) ** 2 < 400).astype(np.uint8)
    disc[10:12, 70:72] = disc[80:82, 80:82] = 2
    rng = np.random.default_rng(0)
    for name in ("images", "masks"):
        (source / "in" / name).mkdir(parents=True)
    for n in range(8):
        grey = (60 * (disc > 0) + rng.integers(0, 40, disc.shape)).astype(np.uint8)
        (source / "in" / "images" / f"{n}.png").write_bytes(formats.png_bytes(grey))
        (source / "in" / "masks" / f"{n}.png").write_bytes(formats.png_bytes(disc))
    import_data(source / "in", source / "set", classes="disc,speck")
    opened = datasets.open(source / "set")
    return mask_fingerprint(opened.split("train"), opened.split("val"))


def test_how_much_how_many_and_where(found):
    disc, speck = found.labels["disc"], found.labels["speck"]
    assert (disc.cases, disc.pieces, speck.pieces, speck.piece) == (found.n_cases, 1, 2, 4)
    assert disc.median == pytest.approx(np.pi * 400, rel=0.02)
    assert disc.centre == pytest.approx((0.5, 30 / SIDE), abs=0.01)


def test_a_disc_is_half_as_thick_as_its_diameter(found):
    assert found.labels["disc"].thickness == pytest.approx(20, rel=0.05)
    assert found.labels["speck"].thickness == pytest.approx(2 * 4 / np.pi * 8 / 16, rel=0.01)


def test_how_far_a_label_lies_from_the_rest(found):
    # 60 + 0..39 against 0..39: 60 apart at a spread of 11.5; specks alike, but for the disc beside.
    disc = found.labels["disc"]
    assert disc.apart == pytest.approx(60 / 11.5, rel=0.1)
    assert 0 < disc.apart_even < disc.apart  # the inside of a disc has itself as surroundings
