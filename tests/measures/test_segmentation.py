"""The figures of whole masks: phantoms, empty masks, borders, regions of interest."""

import tracemalloc

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tomos.measures.lesions import Lesions
from tomos.measures.segmentation import figure_table, mean_over_cases, measure
from tomos.types import GeometryError, SettingsError

pytestmark = pytest.mark.fast
ONE = ("organ",)


def box(shape: tuple[int, ...], *sides: tuple[int, int]) -> np.ndarray:
    labels = np.zeros(shape, np.uint8)
    labels[tuple(slice(*side) for side in sides)] = 1
    return labels


def test_two_cubes_shifted_by_half_their_length():
    shape = (16, 8, 8)
    found, truth = box(shape, (2, 6), (2, 6), (2, 6)), box(shape, (4, 8), (2, 6), (2, 6))
    figures = measure(found, truth, ONE, (2.0, 1.0, 1.0), 4.0)["organ"]
    assert (figures.dice, figures.iou) == (0.5, 1 / 3)
    assert figures.hd95 == 4.0  # two voxels of 2 mm
    assert figures.nsd == 1.0
    assert (figures.voxels_found, figures.volume_truth) == (64, 128.0)
    assert figures.lesions == Lesions(1, 1, 1, 1)
    assert figures.counted
    closer = measure(found, truth, ONE, (2.0, 1.0, 1.0), 3.9)["organ"]
    assert 0 < closer.nsd < 1


@given(st.integers(1, 4), st.floats(0.3, 3))
@settings(max_examples=20, deadline=None)
def test_a_shifted_line_by_hand(shift, spacing):
    """A 1-voxel line moved sideways: every voxel lies `shift` voxels off."""
    found, truth = box((9, 20), (4, 5), (3, 17)), box((9, 20), (4 + shift, 5 + shift), (3, 17))
    off = shift * spacing
    below = measure(found, truth, ONE, (spacing, 1.0), off * 0.99)["organ"]
    above = measure(found, truth, ONE, (spacing, 1.0), off * 1.01)["organ"]
    assert (below.nsd, above.nsd) == (0, 1)
    assert below.hd95 == pytest.approx(off, rel=1e-6)
    assert below.dice == 0


@pytest.mark.parametrize("shape", [(12, 16), (5, 12, 16)])
def test_empty_masks(shape):
    nothing = np.zeros(shape, np.uint8)
    something = nothing.copy()
    something[..., 3:6, 3:6] = 1
    spacing = (3.0,) * len(shape)
    both = measure(nothing, nothing, ONE, spacing, 1.0)["organ"]
    assert not both.counted
    assert np.isnan([both.dice, both.iou, both.hd95, both.nsd]).all()
    for found, truth in ((nothing, something), (something, nothing)):
        one = measure(found, truth, ONE, spacing, 1.0)["organ"]
        assert (one.dice, one.iou, one.nsd) == (0, 0, 0)
        assert one.hd95 == pytest.approx(3 * np.sqrt(np.square(shape).sum()))
        assert one.counted


def test_a_mean_tells_over_how_many_cases_it_was_taken():
    nothing, something = np.zeros((4, 4), np.uint8), box((4, 4), (1, 3), (1, 3))
    cases = [
        measure(found, truth, ("organ", "lesion"), (1, 1), 1.0)
        for found, truth in ((something, something), (nothing, nothing), (nothing, something))
    ]
    table = figure_table(cases, "dice")
    assert table.shape == (3, 2)
    mean, counted = mean_over_cases(table)
    assert mean[0] == 0.5
    assert counted.tolist() == [2, 0]
    assert np.isnan(mean[1])
    means, counts = mean_over_cases(table, np.array([[2, 1, 0], [1, 0, 3], [0, 3, 0]]))
    assert means[:2, 0].tolist() == [1, 0.25]
    assert counts[:, 0].tolist() == [2, 4, 0]
    assert np.isnan(means[2, 0])


def test_identical_masks_that_touch_every_border():
    full = np.ones((6, 7, 8), np.uint16)
    figures = measure(full, full, ONE, (1, 1, 1), 0)["organ"]
    assert (figures.dice, figures.iou, figures.hd95, figures.nsd) == (1, 1, 0, 1)


@pytest.mark.parametrize("kind", [bool, np.uint8, np.uint16, np.uint32, np.uint64])
def test_any_unsigned_type(kind):
    found, truth = box((9, 9), (1, 5), (1, 5)), box((9, 9), (2, 6), (1, 5))
    expected = measure(found, truth, ONE, (1, 1), 0.5)
    assert measure(found.astype(kind), truth.astype(kind), ONE, (1, 1), 0.5) == expected


def test_more_labels_than_a_byte_holds():
    truth = np.arange(400, dtype=np.uint16).reshape(20, 20)
    names = [str(i) for i in range(1, 400)]
    figures = measure(truth, truth, names, (1, 1), 0)
    assert len(figures) == 399
    assert all(each.dice == 1 and each.voxels_truth == 1 for each in figures.values())


def test_outside_the_roi_nothing_counts():
    rng = np.random.default_rng(0)
    truth = box((20, 20), (4, 16), (4, 16))
    roi = np.zeros((20, 20), bool)
    roi[:, :10] = True
    found = truth.copy()
    found[:, 10:] = rng.integers(0, 2, (20, 10))
    figures = measure(found, truth, ONE, (1, 1), 0, roi)["organ"]
    assert (figures.dice, figures.hd95, figures.nsd) == (1, 0, 1)
    assert figures.voxels_truth == 12 * 6
    assert measure(found, truth, ONE, (1, 1), 0)["organ"].dice < 1


def test_the_labels_do_not_disturb_each_other():
    rng = np.random.default_rng(1)
    found, truth = rng.integers(0, 4, (2, 7, 8, 9), dtype=np.uint8)
    together = measure(found, truth, ("a", "b", "c"), (2, 1, 1), 1.0)
    for label, name in enumerate("abc", 1):
        one, other = (found == label), (truth == label)
        assert measure(one, other, (name,), (2, 1, 1), 1.0)[name] == together[name]


def test_a_tolerance_for_each_label():
    found, truth = box((9, 9), (3, 4), (1, 8)), box((9, 9), (5, 6), (1, 8))
    found[8], truth[7] = 2, 2
    figures = measure(found, truth, ("a", "b"), (1, 1), [2.0, 0.5])
    assert (figures["a"].nsd, figures["b"].nsd) == (1, 0)
    assert (figures["a"].tolerance_mm, figures["b"].tolerance_mm) == (2.0, 0.5)


def test_a_small_organ_in_a_large_scan_needs_little_memory():
    """A distance map of the scan in float64 would be 64 MB."""
    shape = (200, 200, 200)
    found, truth = box(shape, (90, 110), (90, 110), (90, 110)), box(shape, *[(92, 112)] * 3)
    tracemalloc.start()
    measure(found, truth, ONE, (1, 1, 1), 1.0)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 24e6


@pytest.mark.parametrize(
    ("change", "error", "words"),
    [
        ({"found": np.zeros((4, 5), np.uint8)}, GeometryError, "one grid"),
        ({"found": np.zeros((4, 4))}, GeometryError, "found: expected labels"),
        ({"truth": np.full((4, 4), 3, np.uint8)}, GeometryError, "up to 1, got 3"),
        ({"spacing": (1, 1, 1)}, GeometryError, "2 lengths"),
        ({"spacing": (0, 1)}, GeometryError, "above 0"),
        ({"roi": np.ones((4, 4), np.uint8)}, GeometryError, "roi: expected bool"),
        ({"tolerance_mm": -1.0}, SettingsError, "0 or more"),
        ({"tolerance_mm": [1.0, 2.0]}, SettingsError, "one for each label"),
    ],
)
def test_what_does_not_fit_is_refused_in_words(change, error, words):
    good = {
        "found": np.zeros((4, 4), np.uint8),
        "truth": np.zeros((4, 4), np.uint8),
        "labels": ONE,
        "spacing": (1, 1),
        "tolerance_mm": 1.0,
    }
    with pytest.raises(error, match=words):
        measure(**{**good, **change})
