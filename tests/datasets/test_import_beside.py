"""A table of classes beside pictures that have masks of the same name."""

import numpy as np
import pytest
from PIL import Image as Picture
from small_pictures import picture, save

from tomos import datasets
from tomos.cli import main
from tomos.datasets.layouts import Request, find
from tomos.types import DatasetError

N = 20


def cells(root, ends=("bmp", "png"), mask=None):
    """001.bmp with the mask 001.png and so on; the table calls them 1, 2, ..."""
    labels = np.zeros((24, 24), np.uint8)
    labels[4:12, 6:16] = 255
    root.mkdir(parents=True)
    for k in range(1, N + 1):
        for end, pixels in zip(
            ends, (picture(k, 24)[0], labels if mask is None else mask), strict=True
        ):
            Picture.fromarray(pixels).save(root / f"{k:03d}.{end}")
    return root


def table(root, rows, head="image ID,class label"):
    (root / "types.csv").write_text("\n".join([head, *rows]) + "\n")
    return root


def numbered(root):
    return table(root, [f"{k},{'ab'[k % 2]}" for k in range(1, N + 1)])


def test_the_picture_is_taken_and_the_mask_is_told_of(tmp_path, capsys):
    root = numbered(cells(tmp_path / "cells"))
    assert main(["import", str(root), str(tmp_path / "d"), "--dry-run"]) == 0
    said = capsys.readouterr().out
    assert "layout 'table', 20 cases" in said and "001.bmp -> 'b'" in said
    assert "numbers of the table are taken for those of the files: 1 is 001" in said
    assert "20 of the images have a mask beside them, such as 001.png" in said
    assert "--layout masks" in said
    made = datasets.import_folder(root, tmp_path / "d")
    assert made.info.classes == ("a", "b") and made.info.target == "label"
    assert {case.image[-7:] for case in made.cases} == {f"{k:03d}.bmp" for k in range(1, N + 1)}
    masks = datasets.import_folder(root, tmp_path / "m", layout="masks")
    assert masks.info.target == "mask" and len(masks.cases) == N


def test_a_column_of_masks_means_the_mask(tmp_path):
    rows = [f"{k:03d},{k:03d},{'ab'[k % 2]}" for k in range(1, N + 1)]
    root = table(cells(tmp_path / "cells"), rows, "image,mask,label")
    draft = find(Request(root))
    assert draft.cases[0].image.endswith("001.bmp")
    assert draft.cases[0].targets["mask"].endswith("001.png")


def test_folders_of_pictures_and_masks_are_told_apart_too(tmp_path):
    for k in range(1, N + 1):
        save(tmp_path / "s" / "images" / f"{k}.png", picture(k, 24))
        save(tmp_path / "s" / "masks" / f"{k}.png", np.eye(24, dtype=np.uint8))
    root = numbered(tmp_path / "s")
    draft = find(Request(root, labels=root / "types.csv"))
    assert {case.image.split("/")[-2] for case in draft.cases} == {"images"}
    assert any("such as masks/1.png" in note for note in draft.notes)


@pytest.mark.parametrize(
    ("ends", "ways"),
    [
        (("bmp", "png"), ("{:03d}.bmp", "{:03d}.png")),
        (("jpg", "tif"), ("{:03d}.jpg", "{:03d}.tif")),
    ],
)
def test_what_is_no_mask_is_asked_about(tmp_path, ends, ways):
    root = numbered(cells(tmp_path / "cells", ends, mask=picture(3, 24)[0]))
    with pytest.raises(DatasetError) as caught:
        find(Request(root))
    said = str(caught.value)
    assert "types.csv, line 2, column 'image ID': '1' is the name of several files" in said
    assert all(f"--images '{way}'" in said for way in ways)
    assert find(Request(root, images=ways[1])).cases[0].image.endswith(f"001.{ends[1]}")


def test_names_alike_in_two_folders_are_offered_with_their_folder(tmp_path):
    for k in range(4):
        save(tmp_path / "s" / "left" / f"{k}.png", picture(k, 24))
        save(tmp_path / "s" / "right" / f"{k}.png", picture(k + 9, 24))
    root = table(tmp_path / "s", [f"{k}.png,{'ab'[k % 2]}" for k in range(4)], "image,label")
    with pytest.raises(DatasetError, match=r"--images 'left/\{\}' or --images 'right/\{\}'"):
        find(Request(root, labels=root / "types.csv"))
    given = Request(root, labels=root / "types.csv", images="right/{}")
    assert find(given).cases[0].image.endswith("right/0.png")


@pytest.mark.data
def test_white_blood_cells_need_no_flag(shared, tmp_path, capsys):
    source = shared / "white_blood_cells"
    assert main(["import", str(source), str(tmp_path / "d"), "--dry-run"]) == 0
    said = capsys.readouterr().out
    assert "300 cases" in said and "300 of the images have a mask beside them" in said
