"""Probabilities of voxels: a temperature set on validation, which changes no label."""

import numpy as np
import pytest
from bright_masks import STEEP, Bright, predictor, volume

from tomos import datasets
from tomos.formats import write_nifti
from tomos.inference.sight import probabilities
from tomos.types import PackageError, Silent
from tomos.workflows.mask_calibration import fitted


def test_labels_stay_and_the_sum_of_the_probabilities_is_that_of_cooler_logits():
    image = volume()
    image = image.with_pixels(image.pixels + np.float32(0.4))  # the dark is no longer sure
    plain = predictor().labelled(image, doubt=True)
    warm = predictor(calibration={"method": "temperature", "temperature": 4.0}).labelled(
        image, doubt=True
    )
    assert np.array_equal(plain.labels, warm.labels) and plain.labels.any()
    x = STEEP / 4 * np.stack([np.full_like(image.pixels[0], 0.5), image.pixels[0]])
    assert warm.expected == pytest.approx(probabilities(x).reshape(2, -1).sum(1), rel=1e-4)
    assert warm.expected[1] > 1.5 * plain.expected[1]
    assert warm.entropy.mean() > plain.entropy.mean()


@pytest.mark.parametrize("wrong", [0, -1.0, float("inf"), "warm"])
def test_a_temperature_that_is_none_is_refused(wrong):
    with pytest.raises(PackageError, match="expected a temperature above 0"):
        predictor(calibration={"temperature": wrong})


def test_a_network_that_is_five_times_too_sure_is_found_out(tmp_path):
    """Voxels are labelled by chance, as a logit of their brightness says; the network says five
    times as much."""
    rng = np.random.default_rng(0)
    for k in range(6):
        base = volume((16, 20, 18))
        said = rng.normal(0, 2, base.size).astype(np.float32)
        true = rng.random(base.size) < 1 / (1 + np.exp(-said))
        image = base.with_pixels((0.5 + 5 * said / STEEP).reshape(1, *base.size))
        mask = base.with_pixels(true.astype(np.uint8).reshape(1, *base.size))
        for folder, written in (("images", image), ("masks", mask)):
            (tmp_path / "s" / folder).mkdir(parents=True, exist_ok=True)
            write_nifti(written, tmp_path / "s" / folder / f"{k}.nii.gz")
    datasets.import_folder(tmp_path / "s", tmp_path / "d", classes=["ball"])
    opened = datasets.open(tmp_path / "d")
    found = fitted(predictor(Bright()), opened, opened.cases, Silent())
    assert found.temperature == pytest.approx(5, rel=0.05)
    assert found.log_loss_after < found.log_loss_before / 1.5
    assert "voxels of 6 validation cases" in found.reason
