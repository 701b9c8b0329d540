"""Images beside masks become data sets for segmentation."""

import json

import numpy as np
import pytest
from small_pictures import picture, save

from tomos import datasets
from tomos.datasets.layouts import Request, find
from tomos.datasets.masks import values_in
from tomos.types import DatasetError, SettingsError, Silent


def square(value=255, side=24):
    labels = np.zeros((side, side), np.uint8)
    labels[4:12, 6:16] = value
    return labels


def pairs(root, images="images", masks="masks", name="{:02d}.png", mask_name=None, n=10, value=255):
    for k in range(n):
        save(root / images / name.format(k), picture(k, side=24))
        save(root / masks / (mask_name or name).format(k), square(value))
    return root


def test_folders_of_images_and_masks(tmp_path):
    made = datasets.import_folder(pairs(tmp_path / "cells"), tmp_path / "d")
    opened = datasets.open(tmp_path / "d")
    assert (opened.info.task, opened.info.target, opened.kind) == ("segment", "mask", "mask")
    assert opened.classes == ("foreground",)
    assert opened.target("mask").values == {"foreground": 255}
    assert [case.name for case in opened.cases] == [f"{k:02d}" for k in range(10)]
    assert all(case.targets["mask"].endswith(f"masks/{case.name}.png") for case in opened.cases)
    assert made.counts["train"] == {"with a mask": 7}


def test_names_that_share_words_belong_together(tmp_path):
    root = pairs(
        tmp_path / "s", "images", "1st_manual", "{:02d}_training.png", "{:02d}_manual1.png"
    )
    for k in range(10):
        save(root / "mask" / f"{k:02d}_training_mask.png", np.full((24, 24), 255, np.uint8))
    draft = find(Request(root))
    assert draft.cases[3].targets["mask"].endswith("1st_manual/03_manual1.png")
    assert draft.cases[3].clinical["roi"].endswith("mask/03_training_mask.png")
    assert any("field of view" in note for note in draft.notes)


def test_nnunet_folders_tell_classes_channels_and_test_images(tmp_path):
    root = tmp_path / "Dataset001"
    for k in range(6):
        for channel in (0, 1):
            save(root / "imagesTr" / f"c{k}_{channel:04d}.png", picture(k + channel, side=24))
        save(root / "labelsTr" / f"c{k}.png", square(1 + k % 2))
    save(root / "imagesTs" / "c9_0000.png", picture(9, side=24))
    told = {"channel_names": {"0": "T1", "1": "T2"}, "labels": {"background": 0, "a": 1, "b": 2}}
    (root / "dataset.json").write_text(json.dumps(told))
    made = datasets.import_folder(root, tmp_path / "d")
    assert made.info.classes == ("a", "b")
    assert made.info.targets["mask"].values == {}
    assert list(made.cases[0].images) == ["T1", "T2"]
    assert len(made.cases) == 6
    assert any("1 test images have no mask" in note for note in made.info.provenance.notes)


def test_an_official_test_part_is_kept(tmp_path):
    root = pairs(tmp_path / "s", "train/images", "train/masks", n=8)
    pairs(root, "test/images", "test/masks", "t{:02d}.png", n=3)
    made = datasets.import_folder(root, tmp_path / "d")
    assert sum(made.counts["test"].values()) == 3
    assert set(made.counts) == {"train", "val", "test"}


def test_two_files_of_one_name(tmp_path):
    for k in range(6):
        save(tmp_path / "s" / f"{k:03d}.bmp", picture(k, side=24))
        save(tmp_path / "s" / f"{k:03d}.png", square(128) + square(255).T // 255 * 0)
    draft = find(Request(tmp_path / "s"))
    assert draft.layout == "masks"
    assert draft.cases[0].image.endswith("000.bmp")
    assert draft.cases[0].targets["mask"].endswith("000.png")


def test_a_folder_of_classes_called_like_nothing_else_stays_one(classes):
    assert find(Request(classes)).layout == "folders"


def test_names_are_given_in_the_order_of_values(tmp_path):
    root = pairs(tmp_path / "s", value=7)
    for k in range(5):
        save(root / "masks" / f"{k:02d}.png", square(3))
    made = datasets.import_folder(root, tmp_path / "d", classes=["small", "large"])
    assert made.info.targets["mask"].values == {"small": 3, "large": 7}
    with pytest.raises(DatasetError, match=r"names 1 labels, x; the masks hold 2: 3, 7"):
        datasets.import_folder(root, tmp_path / "e", classes=["x"])
    assert not (tmp_path / "e").exists()


def test_several_folders_of_masks_are_asked_about(tmp_path):
    root = pairs(tmp_path / "s")
    pairs(root, "images", "LobeMasks")
    with pytest.raises(DatasetError, match=r"'LobeMasks', 'masks'; say which with --masks"):
        find(Request(root))
    assert find(Request(root, masks="LobeMasks")).cases[0].targets["mask"].endswith("Masks/00.png")
    with pytest.raises(DatasetError, match=r"--masks Lobes: there is no such folder"):
        find(Request(root, masks="Lobes"))


def test_masks_that_belong_to_no_image(tmp_path):
    pairs(tmp_path / "s", name="a{:02d}.png", mask_name="x{:02d}9.png")
    with pytest.raises(DatasetError, match="no mask belongs to an image by its name"):
        find(Request(tmp_path / "s"))


@pytest.mark.parametrize(("folder", "kind"), [("images", "image"), ("masks", "mask")])
def test_two_files_for_one_case_are_asked_about(tmp_path, folder, kind):
    root = pairs(tmp_path / "s")
    save(root / folder / "03.bmp", picture(3, side=24))
    with pytest.raises(DatasetError, match=rf"{folder}/03.bmp and 03.png: expected one {kind} of"):
        datasets.import_folder(root, tmp_path / "d")
    assert not (tmp_path / "d").exists()


def test_pictures_in_place_of_masks_are_refused(tmp_path):
    root = pairs(tmp_path / "s")
    for k in range(10):
        save(root / "masks" / f"{k:02d}.png", np.arange(576, dtype=np.uint16).reshape(24, 24))
    with pytest.raises(DatasetError, match="more than 254 different values"):
        datasets.import_folder(root, tmp_path / "d")


def test_empty_masks_alone_teach_nothing(tmp_path):
    with pytest.raises(DatasetError, match=r"every mask is empty.*--masks FOLDER"):
        datasets.import_folder(pairs(tmp_path / "s", value=0), tmp_path / "d")


def test_a_table_with_masks_and_labels_learns_what_is_asked_for(tmp_path):
    root = pairs(tmp_path / "s")
    rows = [f"images/{k:02d}.png,masks/{k:02d}.png,{'ab'[k % 2]}" for k in range(10)]
    (root / "t.csv").write_text("image,mask,label\n" + "\n".join(rows) + "\n")
    plain = datasets.import_folder(root / "t.csv", tmp_path / "d")
    assert (plain.info.task, plain.info.target) == ("classify", "label")
    asked = datasets.import_folder(root / "t.csv", tmp_path / "e", target="mask")
    assert (asked.info.task, asked.info.classes) == ("segment", ("foreground",))
    with pytest.raises(SettingsError, match=r"--target masks.*did you mean 'mask'"):
        datasets.import_folder(root / "t.csv", tmp_path / "f", target="masks")


def test_a_copy_brings_masks_along(tmp_path):
    made = datasets.import_folder(pairs(tmp_path / "s"), tmp_path / "d", copy=True)
    for case in made.cases:
        assert case.targets["mask"].startswith(str(tmp_path / "d" / "images"))
    opened = datasets.open(tmp_path / "d")
    assert values_in([opened.cases[0].targets["mask"]], Silent()) == {0: 1, 255: 1}


@pytest.mark.data
def test_real_sets_are_recognised(shared):
    hippocampus = find(Request(shared / "hippocampus"))
    assert (hippocampus.layout, len(hippocampus.cases)) == ("masks", 200)
    vessels = find(Request(shared / "fundus_vessels"))
    assert len(vessels.cases) == 20
    assert all(case.clinical["roi"] for case in vessels.cases)
    lung = find(Request(shared / "lung_mr", masks="ProtonLungMasks"))
    assert [case.name for case in lung.cases] == ["0004H1", "0006H1", "0007H1", "0011H1", "0012H1"]
    cells = find(Request(shared / "white_blood_cells"), "masks")
    assert len(cells.cases) == 300
