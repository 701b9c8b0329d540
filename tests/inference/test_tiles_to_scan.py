"""The whole way: a scan prepared, run in tiles, and labelled on its own grid."""

import threading
from itertools import permutations, product

import numpy as np
import pytest
from test_labels_on_grid import grids, smooth

from tomos.inference.decision import Ask
from tomos.inference.grids import Grid
from tomos.inference.labelling import labels_on_grid
from tomos.inference.stitch import stitched
from tomos.inference.tiles import Tiling
from tomos.transforms.prepare import Chain
from tomos.types import Image, Mask, PackageError

RADIUS, SPACING = 11.0, (2.5, 0.8, 1.1)
STEPS = [{"step": "orient"}, {"step": "resample", "spacing": [1.4, 1.2, 1.0]}]


def ball(turn: np.ndarray, centre=(3.0, -2.0, 5.0)) -> Image:
    """A ball of 11 mm about a point in the patient; its rim fades over 2 mm."""
    size = (18, 50, 38)
    affine = np.eye(4)
    affine[:3, :3] = turn * SPACING
    affine[:3, 3] = np.array(centre) - affine[:3, :3] @ (np.array(size) / 2 - 0.3)
    index = np.stack(np.indices(size), axis=-1)
    away = np.linalg.norm(index @ affine[:3, :3].T + affine[:3, 3] - centre, axis=-1)
    pixels = np.clip((RADIUS - away) / 2 + 0.5, 0, 1).astype(np.float32)
    return Image(pixels[None], affine, "patient")


def bright(inputs, wanted=()):
    """A network: what is brighter than a half."""
    x = inputs["image"]
    return {"logits": np.concatenate([np.full_like(x, 0.5), x], axis=1) * 20}


def predicted(image: Image, **tiling) -> Mask:
    prepared = Chain(STEPS)(image)
    slabs = stitched(bright, prepared.pixels, 2, Tiling((16, 16, 16), **tiling))
    found = labels_on_grid(slabs, Grid.of(prepared), Grid.of(image), Ask(2))
    return Mask.on(image, found.labels, ("ball",))


def turned(about: int, angle: float) -> np.ndarray:
    turn = np.eye(3)
    rest = [axis for axis in range(3) if axis != about]
    turn[np.ix_(rest, rest)] = [
        [np.cos(angle), -np.sin(angle)],
        [np.sin(angle), np.cos(angle)],
    ]
    return turn


@pytest.mark.fast
@pytest.mark.parametrize("angles", [(0, 0), (0.3, -0.2), (0.7, 0.5)])
@pytest.mark.parametrize("air", [None, 0.0])
def test_a_ball_keeps_its_place_and_its_volume(angles, air):
    """Centre within a quarter of a voxel, volume within 2 %, however the scan lies."""
    image = ball(turned(0, angles[0]) @ turned(1, angles[1]))
    mask = predicted(image, air=air, batch=3)
    centre = np.argwhere(mask.labels).mean(axis=0)
    true = np.linalg.solve(image.affine, [3.0, -2.0, 5.0, 1])[:3]
    assert np.abs(centre - true).max() < 0.25
    volume = 4 / 3 * np.pi * RADIUS**3 / 1000
    assert mask.extents()["ball"] == pytest.approx(volume, rel=0.02)


def test_a_scan_stored_otherwise_is_labelled_alike():
    """All 48 ways to store the same volume: the same label for the same voxel."""
    image = ball(turned(0, 0.3) @ turned(2, 0.1))
    plain = predicted(image).labels
    assert plain.any()
    for order, flips in product(permutations(range(3)), product((1, -1), repeat=3)):
        step = tuple(slice(None, None, flip) for flip in flips)
        affine = image.affine.copy()
        affine[:3, :3] = image.affine[:3, list(order)] * flips
        ends = [
            n - 1 if f < 0 else 0
            for n, f in zip(np.array(image.size)[list(order)], flips, strict=True)
        ]
        affine[:3, 3] -= affine[:3, :3] @ ends
        stored = Image(
            np.ascontiguousarray(image.pixels[0].transpose(order)[step])[None], affine, "patient"
        )
        assert np.array_equal(predicted(stored).labels, plain.transpose(order)[step])


@pytest.mark.fast
def test_a_network_that_fails_leaves_no_thread_behind():
    def broken(inputs, wanted=()):
        return {"logits": np.full_like(inputs["image"], np.nan).repeat(2, axis=1)}

    threads = threading.active_count()
    slabs = stitched(broken, np.zeros((1, 40, 8, 8), np.float32), 2, Tiling((8, 8, 8), threads=2))
    grid = Grid((40, 8, 8), np.eye(4))
    with pytest.raises(PackageError, match="finite"):
        labels_on_grid(slabs, grid, grid, Ask(2, threads=2))
    assert threading.active_count() == threads and next(slabs, None) is None


@pytest.mark.parametrize("classes", [14, 118])
@pytest.mark.parametrize("size", [(12, 20, 24), (9, 13, 31), (5, 7, 9)])
def test_as_torch_interpolates_whole_scores(classes, size):
    torch = pytest.importorskip("torch")
    scores = smooth(classes, (6, 10, 12))
    whole = torch.nn.functional.interpolate(
        torch.from_numpy(scores)[None].double(), size, mode="trilinear", align_corners=False
    )[0]
    prepared, scan = grids((6, 10, 12), size)
    found = labels_on_grid([scores], prepared, scan, Ask(classes)).labels
    best = whole.topk(2, dim=0).values
    differ = torch.from_numpy(found.astype(int)) != whole.argmax(0)
    assert (best[0] - best[1])[differ].numel() < 1e-3 * differ.numel()
    assert ((best[0] - best[1])[differ] < 1e-5).all()
    assert len(np.unique(found)) > 10
