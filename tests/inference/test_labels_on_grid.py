"""From scores on a prepared grid to labels on the scan's: as if the scores of the whole scan were
interpolated and then compared.

The reference is scipy in float64, from the two affines alone. Where the two best classes are closer
than rounding, float32 may choose either; such voxels are counted and are few.
"""

import itertools
import tracemalloc

import numpy as np
import pytest
from scipy import ndimage

from tomos.inference.decision import Ask
from tomos.inference.grids import Grid, between
from tomos.inference.labelling import labels_on_grid, memory
from tomos.transforms.prepare import Chain
from tomos.types import GeometryError, Image, PackageError, SettingsError

pytestmark = pytest.mark.fast


def smooth(classes, size, seed=0, width=1.5):
    """(K, ...) scores with regions of several voxels, as a network gives them."""
    noise = np.random.default_rng(seed).standard_normal((classes, *size))
    scores = ndimage.gaussian_filter(noise, (0, *[width] * len(size)))
    return (scores / scores.std() * 3).astype(np.float32)


def oblique():
    """An affine in the patient: turned by 0.3 about one axis and 0.2 about another."""
    a, b = 0.3, 0.2
    turn = np.array([[np.cos(a), -np.sin(a), 0], [np.sin(a), np.cos(a), 0], [0, 0, 1]])
    turn = turn @ np.array([[1, 0, 0], [0, np.cos(b), -np.sin(b)], [0, np.sin(b), np.cos(b)]])
    affine = np.eye(4)
    affine[:3, :3], affine[:3, 3] = turn * [2.0, 0.7, 0.9], [-40, 17, 230]
    return affine


def grids(size, scan_size, order=(0, 1, 2), flips=(1, 1, 1), start=None, scale=None):
    """Prepared and scan grid: prepared index a = start + scale * (index of scan axis order[a]).

    Without `start` and `scale` the prepared grid spans the scan: half a pixel stays half a pixel.
    """
    change = np.eye(4)
    change[:3, :3] = 0
    for axis, own in enumerate(order):
        step = size[axis] / scan_size[own] if scale is None else scale[axis]
        offset = 0.5 * step - 0.5 if start is None else start[axis]
        if flips[axis] < 0:  # the first of the scan is the last of the prepared
            offset, step = size[axis] - 1 - offset, -step
        change[axis, own], change[axis, 3] = step, offset
    scan = oblique()
    return Grid(size, scan @ np.linalg.inv(change)), Grid(scan_size, scan)


def reference(scores, prepared, scan):
    """Labels, and how far the best score is above the second, in float64."""
    index = np.indices(scan.size).reshape(3, -1)
    change = np.linalg.inv(prepared.affine) @ scan.affine
    where = np.round(change[:3, :3] @ index + change[:3, 3:], 8)
    top = np.array(prepared.size)[:, None] - 1
    inside = ((where >= -0.5) & (where <= top + 0.5)).all(axis=0)
    whole = np.stack(
        [ndimage.map_coordinates(s.astype(float), where, order=1, mode="nearest") for s in scores]
    )
    ordered = np.sort(whole, axis=0)
    margin = np.where(inside, ordered[-1] - ordered[-2], np.inf)
    labels = np.where(inside, whole.argmax(axis=0), 0)
    return labels.reshape(scan.size), margin.reshape(scan.size)


def assert_same(found, scores, prepared, scan):
    labels, margin = reference(scores, prepared, scan)
    differ = found != labels
    assert (margin[differ] < 1e-5).all(), f"{differ.sum()} differ, by {margin[differ].max()}"
    assert differ.mean() < 1e-3
    assert len(np.unique(labels)) > 1  # it could have failed


def slabs(scores, rows=3):
    """In pieces whose memory is used again, as `stitched` gives them."""
    buffer = np.empty((len(scores), rows, *scores.shape[2:]), np.float32)
    for start in range(0, scores.shape[1], rows):
        part = scores[:, start : start + rows]
        buffer[:, : part.shape[1]] = part
        yield buffer[:, : part.shape[1]]
        buffer[...] = np.nan


@pytest.mark.parametrize("classes", [3, 14])
@pytest.mark.parametrize(
    "scan_size",
    [
        (14, 22, 26),  # twice as fine
        (19, 17, 31),  # finer, by no whole number
        (7, 11, 13),  # the same grid
        (4, 6, 7),  # coarser
        (7, 5, 40),  # the same, coarser and finer
        (1, 1, 1),
    ],
)
def test_finer_coarser_and_the_same(scan_size, classes):
    scores = smooth(classes, (7, 11, 13))
    prepared, scan = grids((7, 11, 13), scan_size)
    found = labels_on_grid(slabs(scores), prepared, scan, Ask(classes)).labels
    assert found.dtype == np.uint8 and found.shape == scan_size
    if scan_size != (1, 1, 1):
        assert_same(found, scores, prepared, scan)
    else:
        assert found[0, 0, 0] == scores[:, 3, 5, 6].argmax()


@pytest.mark.parametrize("order", list(itertools.permutations(range(3))))
def test_all_48_orientations(order):
    scores = smooth(5, (6, 9, 8))
    for flips in itertools.product((1, -1), repeat=3):
        prepared, scan = grids((6, 9, 8), (10, 13, 7), order, flips)
        found = labels_on_grid(slabs(scores), prepared, scan, Ask(5)).labels
        assert_same(found, scores, prepared, scan)


@pytest.mark.parametrize(
    ("scan_size", "start", "scale"),
    [
        ((20, 20, 20), (-4, -3.25, -6), (1, 0.8, 0.9)),  # the scan reaches further on every side
        ((5, 6, 4), (2, 3, 1.5), (0.5, 1, 0.25)),  # a part of the prepared grid
        ((9, 4, 9), (-1, 1, 0.5), (1, 2.5, 1)),
    ],
)
def test_what_was_cut_away_is_background(scan_size, start, scale):
    scores = smooth(4, (9, 10, 8))
    scores[0] -= 100  # never background inside
    prepared, scan = grids((9, 10, 8), scan_size, (1, 0, 2), (1, -1, 1), start, scale)
    found = labels_on_grid(slabs(scores), prepared, scan, Ask(4)).labels
    assert_same(found, scores, prepared, scan)


def test_nothing_in_common():
    prepared, scan = grids((4, 5, 6), (4, 5, 6), start=(50, 0, 0), scale=(1, 1, 1))
    ask = Ask(3, uncertainty=True)
    found = labels_on_grid([smooth(3, (4, 5, 6))], prepared, scan, ask)
    assert not found.labels.any() and found.expected.tolist() == [120, 0, 0]


def at_once(scores, size):
    """Labels by float32 interpolation of the scores of the whole scan, axis by axis."""
    for axis in (1, 3, 2):
        n_in, n_out = scores.shape[axis], size[axis - 1]
        where = np.round((np.arange(n_out) + 0.5) * n_in / n_out - 0.5, 7).clip(0, n_in - 1)
        low = np.floor(where).astype(int)
        share = (where - low).reshape([-1 if a == axis else 1 for a in range(4)])
        high = np.minimum(low + 1, n_in - 1)
        keep, share = (1 - share).astype(np.float32), share.astype(np.float32)
        scores = scores.take(low, axis) * keep + scores.take(high, axis) * share
    assert scores.dtype == np.float32
    return scores.argmax(axis=0)


@pytest.mark.parametrize("uncertainty", [False, True])
@pytest.mark.parametrize("width", [0.5, 2, 4])
@pytest.mark.parametrize("size", [(6, 25, 40), (17, 77, 90), (40, 260, 15)])
def test_equal_to_the_whole_volume_at_once(size, width, uncertainty):
    """To the bit: what is left out tile by tile, and the order of the work, change nothing."""
    scores = smooth(30, (10, 40, 70), width=width)
    prepared, scan = grids((10, 40, 70), size)
    found = labels_on_grid(slabs(scores), prepared, scan, Ask(30, uncertainty=uncertainty)).labels
    assert np.array_equal(found, at_once(scores, size)) and len(np.unique(found)) > 10


@pytest.mark.parametrize("sign", [1, -1])
def test_scores_alike_to_the_last_bit(sign):
    """Of two classes one bit apart everywhere the lower one wins where both round to the same."""
    prepared, scan = grids((2, 3, 3), (5, 7, 8))
    ties = 0
    for value in sign * np.random.default_rng(0).uniform(1, 1000, 40).astype(np.float32):
        scores = np.full((2, 2, 3, 3), value)
        scores[0] = np.nextafter(value, np.float32(-np.inf))
        found = labels_on_grid([scores], prepared, scan, Ask(2)).labels
        assert np.array_equal(found, at_once(scores, scan.size))
        ties += (found == 0).sum()
    assert ties > 0


def test_a_class_that_wins_at_no_corner_may_win_between_them():
    """Ends of a row: 10, 9, 0 and 0, 9, 10. In the middle 5, 9, 5: the second class."""
    scores = np.array([[10, 0], [9, 9], [0, 10]], np.float32).reshape(3, 1, 1, 2)
    prepared, scan = grids((1, 1, 2), (1, 1, 20))
    found = labels_on_grid([scores], prepared, scan, Ask(3)).labels.ravel()
    # 10 - 10 t = 9 at t = 0.1; output j lies at (j + 0.5) / 10 - 0.5.
    assert found.tolist() == [0] * 6 + [1] * 8 + [2] * 6


def test_the_first_of_equal_scores_wins():
    scores = np.ones((4, 2, 3, 3), np.float32)
    scores[0] = 0
    prepared, scan = grids((2, 3, 3), (4, 6, 6))
    found = labels_on_grid([scores], prepared, scan, Ask(4)).labels
    assert (found == 1).all()


def test_many_classes_take_two_bytes():
    scores = smooth(300, (3, 4, 5), width=0.3)
    prepared, scan = grids((3, 4, 5), (6, 8, 9))
    found = labels_on_grid([scores], prepared, scan, Ask(300)).labels
    assert found.dtype == np.uint16 and found.max() > 255
    assert_same(found, scores, prepared, scan)


@pytest.mark.parametrize("classes", [254, 255, 256])
def test_where_one_byte_ends(classes):
    scores = np.zeros((classes, 1, 2, 2), np.float32)
    scores[-1] = 1
    prepared, scan = grids((1, 2, 2), (1, 2, 2))
    found = labels_on_grid([scores], prepared, scan, Ask(classes)).labels
    assert (found == classes - 1).all()


@pytest.mark.parametrize("rows", [1, 4, 30])
@pytest.mark.parametrize("size", [(17, 30), (34, 60), (50, 20)])
def test_pictures(size, rows):
    scores = smooth(4, (17, 30))
    step = np.eye(4)
    step[1, 1], step[2, 2] = 17 / size[0], 30 / size[1]
    step[:3, 3] = 0, step[1, 1] / 2 - 0.5, step[2, 2] / 2 - 0.5
    prepared, scan = Grid((17, 30), np.eye(4)), Grid(size, step)
    found = labels_on_grid(slabs(scores, rows), prepared, scan, Ask(4)).labels
    assert found.shape == size
    stood = Grid((1, 17, 30), prepared.affine), Grid((1, *size), scan.affine)
    assert_same(found[None], scores[:, None], *stood)


def test_a_slice_of_a_volume_lands_on_its_slice():
    scores = smooth(3, (6, 7))
    scores[0] -= 100
    affine = oblique()
    moved = affine.copy()
    moved[:3, 3] += 4 * affine[:3, 0]
    found = labels_on_grid([scores], Grid((6, 7), moved), Grid((9, 6, 7), affine), Ask(3)).labels
    assert np.array_equal(found[4], scores.argmax(0)) and found.any(axis=(1, 2)).sum() == 1


@pytest.mark.parametrize("uncertainty", [False, True])
def test_grids_turned_against_each_other(uncertainty):
    scores = smooth(4, (9, 11, 10), width=2.5)
    prepared, scan = grids((9, 11, 10), (12, 9, 13), (2, 0, 1), (1, -1, 1))
    a = 0.4
    turn = np.eye(4)
    turn[:2, :2] = [[np.cos(a), -np.sin(a)], [np.sin(a), np.cos(a)]]
    scan = Grid(scan.size, prepared.affine @ turn @ np.linalg.inv(prepared.affine) @ scan.affine)
    assert between(prepared, scan) is None
    found = labels_on_grid(slabs(scores), prepared, scan, Ask(4, uncertainty=uncertainty))
    assert_same(found.labels, scores, prepared, scan)
    if uncertainty:
        assert found.expected.sum() == pytest.approx(12 * 9 * 13)


def test_entropy_and_expected_volume():
    """Two classes: 1 nat of log-odds is 0.731 to 0.269, of which the entropy is 0.840 bit."""
    scores = np.zeros((2, 2, 3, 4), np.float32)
    scores[1] = 1
    prepared, scan = grids((2, 3, 4), (4, 6, 8))
    found = labels_on_grid([scores], prepared, scan, Ask(2, uncertainty=True, entropy=True))
    assert (found.entropy == round(0.8404 * 255)).all() and (found.labels == 1).all()
    np.testing.assert_allclose(found.expected, [192 * 0.268941, 192 * 0.731059], rtol=1e-5)


def test_a_network_that_is_sure():
    scores = np.zeros((3, 2, 3, 4), np.float32)
    scores[2, ..., :2] = scores[1, ..., 2:] = 40
    prepared, scan = grids((2, 3, 4), (2, 3, 4))
    found = labels_on_grid([scores], prepared, scan, Ask(3, uncertainty=True, entropy=True))
    assert not found.entropy.any() and found.expected == pytest.approx([0, 12, 12])
    scores[:] = 0
    scores[1] = 40
    found = labels_on_grid([scores], prepared, scan, Ask(3, uncertainty=True, entropy=True))
    assert not found.entropy.any() and found.expected.tolist() == [0, 24, 0]


def softmax(scores):
    likely = np.exp(scores - scores.max(axis=0))
    return likely / likely.sum(axis=0)


@pytest.mark.parametrize("surety", [1, 10])
@pytest.mark.parametrize("kind", ["logits", "probabilities"])
def test_uncertainty_as_computed_at_once(kind, surety):
    """Also of a network so sure that most classes are left out in most places."""
    given = smooth(6, (7, 11, 13), width=3) * np.float32(surety)
    if kind == "probabilities":
        given = softmax(given)
    prepared, scan = grids((7, 11, 13), (13, 20, 17), (0, 2, 1), (-1, 1, 1))
    ask = Ask(6, kind, uncertainty=True, entropy=True, threads=2)
    found = labels_on_grid(slabs(given), prepared, scan, ask)
    change = np.linalg.inv(prepared.affine) @ scan.affine
    where = change[:3, :3] @ np.indices(scan.size).reshape(3, -1) + change[:3, 3:]
    whole = np.stack(
        [ndimage.map_coordinates(s.astype(float), where, order=1, mode="nearest") for s in given]
    )
    p = whole if kind == "probabilities" else softmax(whole)
    nats = -(p * np.log(np.maximum(p, 1e-200))).sum(axis=0).reshape(scan.size)
    step = np.log(6) / 255
    assert np.abs(found.entropy * step - nats).max() < 0.5 * step + 7e-4 and nats.max() > 0.5
    np.testing.assert_allclose(found.expected, p.sum(axis=1), rtol=1e-4, atol=p[0].size * 4e-5)
    assert found.expected.sum() == pytest.approx(np.prod(scan.size), rel=1e-6)
    plain = labels_on_grid([given], prepared, scan, Ask(6, kind))
    assert np.array_equal(found.labels, plain.labels) and plain.entropy is plain.expected is None
    sums = labels_on_grid([given], prepared, scan, Ask(6, kind, uncertainty=True))
    assert np.array_equal(found.labels, sums.labels) and sums.entropy is None
    np.testing.assert_allclose(found.expected, sums.expected, rtol=1e-9)


def test_threads_change_nothing():
    scores = smooth(14, (12, 30, 40))
    prepared, scan = grids((12, 30, 40), (20, 70, 90))
    one, three = (
        labels_on_grid([scores], prepared, scan, Ask(14, uncertainty=True, entropy=True, threads=n))
        for n in (1, 3)
    )
    assert np.array_equal(one.labels, three.labels) and np.array_equal(one.entropy, three.entropy)
    np.testing.assert_allclose(one.expected, three.expected, rtol=1e-9)


@pytest.mark.parametrize("zoom", [1.0, 2.0, 2.7, 4.0, 6.5])
@pytest.mark.parametrize("n", [10, 11, 17])
def test_after_resampling_no_voxel_of_the_scan_is_missed(n, zoom):
    """Resampling rounds to whole voxels: 10 of 1 mm are 2 of 4 mm, which span but 8 mm."""
    image = Image(np.ones((1, n, n, n), np.float32), np.diag([1.0, 1, 1, 1]), "patient")
    done = Chain([{"step": "resample", "spacing": [zoom] * 3}])(image)
    scores = np.zeros((2, *done.size), np.float32)
    scores[1] = 1
    assert labels_on_grid([scores], Grid.of(done), Grid.of(image), Ask(2)).labels.all()


def test_what_a_crop_took_is_background_to_the_voxel():
    """Crop, turn, resample: the way a scan is prepared, and back."""
    affine = oblique()[:, [2, 1, 0, 3]]
    pixels = np.zeros((1, 20, 24, 22), np.float32)
    pixels[0, 3:17, 5:19, 4:20] = 1
    image = Image(pixels, affine, "patient")
    steps = [
        {"step": "crop_body", "margin": 0},
        {"step": "orient"},
        {"step": "resample", "spacing": [1.3, 1.1, 1.2]},
    ]
    done = Chain(steps)(image)
    scores = np.zeros((2, *done.size), np.float32)
    scores[1] = 1
    labels = labels_on_grid([scores], Grid.of(done), Grid.of(image), Ask(2)).labels
    assert np.array_equal(labels, pixels[0])


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_scores_that_are_not_finite(value):
    scores = smooth(3, (4, 5, 6))
    scores[1, 2, 3, 4] = value
    prepared, scan = grids((4, 5, 6), (8, 10, 12))
    with pytest.raises(PackageError, match="finite scores"):
        labels_on_grid([scores], prepared, scan, Ask(3))


def test_slabs_that_do_not_fit_together():
    prepared, scan = grids((4, 5, 6), (8, 10, 12))
    scores = smooth(3, (4, 5, 6))
    with pytest.raises(PackageError, match="scores of 4 planes or rows, got 3"):
        labels_on_grid([scores[:, :3]], prepared, scan, Ask(3))
    with pytest.raises(PackageError, match="got more: 4 and 1"):
        labels_on_grid([scores, scores[:, :1]], prepared, scan, Ask(3))
    with pytest.raises(PackageError, match=r"4 classes on planes of \(5, 6\)"):
        labels_on_grid([scores], prepared, scan, Ask(4))


def test_affines_and_settings_that_cannot_be_meant():
    flat = np.diag([0.0, 1, 1, 1])
    for prepared, scan in ((flat, np.eye(4)), (np.eye(4), flat)):
        with pytest.raises(GeometryError, match="can be inverted"):
            labels_on_grid([], Grid((2, 2, 2), prepared), Grid((2, 2, 2), scan), Ask(2))
    with pytest.raises(SettingsError, match="1 to 65535 classes, got 0"):
        Ask(0)
    with pytest.raises(SettingsError, match="uncertainty"):
        Ask(2, entropy=True)


@pytest.mark.parametrize("uncertainty, entropy", [(False, False), (True, False), (True, True)])
def test_the_memory_foreseen_bounds_the_memory_taken(uncertainty, entropy):
    """Far below the scores of the whole scan, which the usual way holds."""
    scores = smooth(20, (24, 40, 40))
    prepared, scan = grids((24, 40, 40), (96, 160, 160))
    ask = Ask(20, uncertainty=uncertainty, entropy=entropy, threads=2)
    tracemalloc.start()
    labels_on_grid([scores], prepared, scan, ask)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    foreseen = memory(prepared, scan, ask)
    assert peak < foreseen < 20 * 96 * 160 * 160 * 4 / 5
    assert peak > 0.5 * foreseen  # not beyond reason
