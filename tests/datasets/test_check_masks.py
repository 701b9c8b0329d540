"""`check` on images with masks."""

import numpy as np
import pytest
from small_pictures import picture, save

from tomos import datasets


@pytest.fixture
def build(tmp_path):
    """`build({k: mask})`: 20 pictures with a square each, some masks replaced."""

    def made(changes=None):
        root = tmp_path / "s"
        for k in range(20):
            save(root / "images" / f"{k}.png", picture(k, side=40))
            labels = np.zeros((40, 40), np.uint8)
            labels[5:15, 8:20], labels[20:30, 20:30] = 1, 2
            save(root / "masks" / f"{k}.png", labels)
        datasets.import_folder(root, tmp_path / "d", classes=["cell", "core"])
        for k, labels in (changes or {}).items():
            save(root / "masks" / f"{k}.png", labels)
        return datasets.open(tmp_path / "d")

    return made


def codes(dataset):
    return {problem.code: problem for problem in datasets.check(dataset).problems}


def test_good_masks_raise_nothing(build):
    assert not {code for code in codes(build()) if "mask" in code or "label" in code}


def test_a_mask_of_another_size_must_be_fixed(build):
    found = codes(build({3: np.ones((30, 40), np.uint8)}))["masks_unfit"]
    assert found.severity == "error"
    assert found.cases == ("3",)
    assert "掩膜" in found.chinese


def test_a_value_without_a_name_must_be_fixed(build):
    found = codes(build({3: np.full((40, 40), 9, np.uint8)}))["masks_unfit"]
    assert "9" in found.message


def test_empty_masks_and_tiny_labels_are_noted(build):
    small = np.zeros((40, 40), np.uint8)
    small[0, 0] = 2
    found = codes(build(dict.fromkeys(range(1, 20), small) | {0: np.zeros((40, 40), np.uint8)}))
    assert found["masks_empty"].cases == ("0",)
    assert "'core'" in found["label_tiny"].message
    assert found["class_missing"].severity == "error"
    assert "'cell'" in found["class_missing"].message
