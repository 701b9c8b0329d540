"""`tomos predict` of masks, many at once: how many want a reader's eye, and what is no scan."""

import numpy as np
import pytest
import seg_phantom
from bright_masks import model_file

from tomos import formats
from tomos.cli import main
from tomos.types import Image, Mask

pytestmark = pytest.mark.fast
NETWORK = {"name": "unet", "options": {"dims": 3}}
AFFINE = np.array([[0, 0, -1.0, 0], [0, -1.0, 0, 0], [1.0, 0, 0, 0], [0, 0, 0, 1]])


@pytest.fixture
def model(tmp_path, monkeypatch):
    """What is brighter than a half is "ball"; unsure where that is not clear."""
    pytest.importorskip("onnx")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return model_file(tmp_path / "m.tomos", (None, None, None), tile=(8, 8, 8), network=NETWORK,
                      mask={"doubt": {"ball": [0.9, 1.1]}})  # fmt: skip


def scan(path, brightness):
    pixels = np.zeros((1, 10, 12, 14), np.float32)
    pixels[0, 3:7, 3:7, 3:7] = brightness
    pixels[0, 0, 0] = np.linspace(0, 0.2, 14)  # a scan that is not empty
    formats.write_nifti(Image(pixels, AFFINE, "patient"), path)
    return path


def said(capsys, model, *paths, code):
    assert main(["predict", str(model), *map(str, paths)]) == code
    return capsys.readouterr().out.splitlines()


def test_the_closing_line_counts_those_that_want_a_look(model, tmp_path, capsys):
    clear, dark, unsure = (
        scan(tmp_path / f"{name}.nii.gz", brightness)
        for name, brightness in (("clear", 1), ("dark", 0), ("unsure", 0.52))
    )
    cut = scan(tmp_path / "cut.nii.gz", 1)
    content = cut.read_bytes()
    cut.write_bytes(content[: len(content) // 2])
    lines = said(capsys, model, clear, cut, dark, unsure, clear, code=2)
    counted = "2 finding, 1 no finding, 1 referred to a reader, 1 failed"
    assert lines[-1] == f"5 images: {counted}"
    assert any(f"not read: {cut}" in line for line in lines)
    assert said(capsys, model, clear, dark, code=0)[-1] == "2 images: 1 finding, 1 no finding"
    assert not any("images:" in line for line in said(capsys, model, clear, code=0))


def test_a_segmentation_in_place_of_a_scan_is_told_once(model, tmp_path, capsys):
    image = seg_phantom.series(tmp_path / "ct")
    mask = Mask.on(image, seg_phantom.labels(), seg_phantom.NAMES)
    formats.write_seg(mask, image, tmp_path / "ct.seg.dcm", seg_phantom.FACTS)
    lines = said(capsys, model, tmp_path / "ct.seg.dcm", code=2)
    assert len(lines) == 2 and "expected a scan or a picture, got a segmentation" in lines[1]
    assert "give the images that it was drawn on" in lines[1]
