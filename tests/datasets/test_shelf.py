"""Prepared cases with their masks, kept on disk."""

import numpy as np
import pytest
from small_pictures import picture, save

from tomos import datasets
from tomos.datasets.shelf import IGNORED
from tomos.transforms.prepare import Chain
from tomos.types import DatasetError

CHAIN = Chain([{"step": "channels", "to": 1}, {"step": "normalise", "kind": "zscore"}])


@pytest.fixture
def made(tmp_path):
    """Ten pictures of two sizes, each with a square of label 7 in it, and a round field of view."""
    root = tmp_path / "s"
    for k in range(10):
        side = 40 + 4 * (k % 2)
        save(root / "images" / f"{k}.png", picture(k, side=side))
        labels = np.zeros((side, side), np.uint8)
        labels[5 : 15 + k, 8:20] = 7
        save(root / "masks" / f"{k}.png", labels)
        y, x = np.mgrid[:side, :side] - side / 2
        save(root / "fov" / f"{k}.png", (255 * (y**2 + x**2 < (side / 2) ** 2)).astype(np.uint8))
    datasets.import_folder(root, tmp_path / "d", classes=["lesion"])
    return datasets.open(tmp_path / "d")


def test_a_case_comes_back_prepared_with_its_labels(made):
    shelf = datasets.shelved(made, CHAIN)
    assert (len(shelf), shelf.channels, shelf.skipped) == (10, 1, {})
    for row, case in enumerate(shelf.cases):
        image, labels = datasets.prepare_case(made, case, CHAIN)
        pixels, kept = shelf.case(row)
        assert np.array_equal(kept, labels)
        # 16 bits of the largest value.
        step = max(np.abs(image.pixels).max() / 32000, image.pixels.std() / 2000)
        assert np.abs(pixels - image.pixels).max() <= 0.501 * step
    assert set(np.unique(kept)) == {0, 1, IGNORED}


def test_a_box_is_a_part_of_the_case(made):
    shelf = datasets.shelved(made, CHAIN)
    whole, labels = shelf.case(3)
    pixels, part = shelf.box(3, (4, 6), (20, 31))
    assert np.array_equal(pixels, whole[:, 4:20, 6:31])
    assert np.array_equal(part, labels[4:20, 6:31])
    shelf.to_memory()
    again, _ = shelf.box(3, (4, 6), (20, 31))
    assert np.array_equal(again, pixels)


def test_counts_and_places_of_every_label(made):
    shelf = datasets.shelved(made, CHAIN)
    _, labels = shelf.case(4)
    assert shelf.counts[4].tolist() == [(labels == 0).sum(), (labels == 1).sum()]
    places = shelf.places(4, 1)
    assert len(places) == (labels == 1).sum()
    assert (labels[tuple(places.T)] == 1).all()


def test_a_second_look_reads_nothing_anew(made, monkeypatch):
    first = datasets.shelved(made, CHAIN)
    monkeypatch.setattr("tomos.formats.read", None)
    assert datasets.shelved(made, CHAIN).folder == first.folder


def test_other_preparation_is_another_shelf(made):
    other = Chain([*CHAIN.data[:1], {"step": "normalise", "kind": "percentile"}])
    assert datasets.shelved(made, CHAIN).folder != datasets.shelved(made, other).folder


def test_a_mask_that_cannot_be_read_leaves_its_case_out(made):
    from pathlib import Path

    Path(made.cases[2].targets["mask"]).write_bytes(b"no picture")
    shelf = datasets.shelved(made, CHAIN)
    assert list(shelf.skipped) == [made.cases[2].name]
    assert len(shelf) == 9
    _, labels = shelf.case(2)
    assert np.array_equal(labels, datasets.prepare_case(made, shelf.cases[2], CHAIN)[1])


def test_a_mask_of_another_size_is_named(made):
    from pathlib import Path

    save(Path(made.cases[0].targets["mask"]), np.zeros((9, 9), np.uint8))
    assert "9" in datasets.shelved(made, CHAIN).skipped[made.cases[0].name]


def test_without_any_mask_there_is_nothing(made):
    with pytest.raises(DatasetError, match="no case has a mask"):
        datasets.shelved(made.only([]), CHAIN)
