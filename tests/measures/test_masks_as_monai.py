"""Figures and components equal to MONAI's, where it is installed (`pip install 'tomos[monai]'`)."""

import warnings

import numpy as np
import pytest

from tomos.measures.components import keep_largest
from tomos.measures.segmentation import measure

NAMES = ("organ", "second", "lesions")


def blobs(shape: tuple[int, ...], moved: float) -> np.ndarray:
    """Two ellipsoids and a few balls; `moved` shifts them by voxels and drops the last ball."""
    grid = np.meshgrid(*[np.arange(n, dtype=float) for n in shape], indexing="ij")
    labels = np.zeros(shape, np.uint8)

    def ball(at, radius, label):
        centre = [a * n + moved for a, n in zip(at, shape, strict=True)]
        size = [radius * n for n in shape]
        parts = zip(grid, centre, size, strict=True)
        labels[sum(((g - c) / r) ** 2 for g, c, r in parts) < 1] = label

    ball((0.35,) * len(shape), 0.3, 1)
    ball((0.8,) * len(shape), 0.3, 2)  # touches the border
    rng = np.random.default_rng(5)
    for i in range(6 - bool(moved)):
        ball(rng.uniform(0.1, 0.9, len(shape)), 0.05 + 0.01 * i, 3)
    return labels


def theirs(found: np.ndarray, truth: np.ndarray, spacing, tolerance: float) -> np.ndarray:
    """(3, K): Dice, HD95, NSD."""
    torch = pytest.importorskip("torch")
    metrics = pytest.importorskip("monai.metrics", reason="compares with MONAI")

    def hot(labels):
        return torch.from_numpy(np.stack([labels == k for k in range(4)])[None].astype(np.float32))

    one, other = hot(found), hot(truth)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        rows = [
            metrics.compute_dice(one, other, include_background=False),
            metrics.compute_hausdorff_distance(one, other, percentile=95, spacing=spacing),
            metrics.compute_surface_dice(one, other, [tolerance] * 3, spacing=spacing),
        ]
    return torch.cat(rows).double().numpy()


@pytest.mark.parametrize(
    ("shape", "spacing", "moved"),
    [
        ((40, 36, 44), (1.0, 1.0, 1.0), 1.0),
        ((24, 50, 48), (3.3, 0.7, 0.9), 2.0),
        ((40, 36, 44), (1.2, 0.8, 0.8), 9.0),  # far off: both ways to the nearest voxel
        ((90, 80), (0.5, 0.8), 3.0),
        ((90, 80), (1.0, 1.0), 14.0),
    ],
)
def test_figures_equal_monai(shape, spacing, moved):
    found, truth = blobs(shape, moved), blobs(shape, 0.0)
    expected = theirs(found, truth, spacing, tolerance=1.4)
    ours = measure(found, truth, NAMES, spacing, 1.4)
    for column, name in enumerate(NAMES):
        figures = ours[name]
        assert (figures.dice, figures.hd95, figures.nsd) == pytest.approx(
            tuple(expected[:, column]), rel=1e-6
        )


def test_figures_of_noise_equal_monai():
    found, truth = np.random.default_rng(0).integers(0, 4, (2, 12, 20, 20), dtype=np.uint8)
    expected = theirs(found, truth, (2.0, 0.6, 0.6), tolerance=0.6)
    ours = measure(found, truth, NAMES, (2.0, 0.6, 0.6), 0.6)
    seen = np.array([[f.dice, f.hd95, f.nsd] for f in ours.values()]).T
    np.testing.assert_allclose(seen, expected, rtol=1e-6)


def test_largest_components_equal_monai():
    pytest.importorskip("skimage", reason="MONAI's largest component needs scikit-image")
    transforms = pytest.importorskip("monai.transforms", reason="compares with MONAI")
    largest = transforms.KeepLargestConnectedComponent(independent=True)
    rng = np.random.default_rng(0)
    for labels in (
        blobs((30, 32, 34), 2.0),
        (rng.random((20, 21, 22)) < 0.08) * np.uint8(2),
        (rng.random((50, 60)) < 0.3) * rng.integers(1, 4, (50, 60)).astype(np.uint8),
    ):
        expected = np.asarray(largest(labels[None].copy()))[0]
        assert np.array_equal(keep_largest(labels), expected)
