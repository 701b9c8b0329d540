"""Patches out of larger volumes and pictures: where voxels go, and what is looked at."""

import numpy as np
import pytest
import torch

from tomos.transforms.augment import PatchChain, Way
from tomos.types import SettingsError

GEOMETRY = [
    {"step": "flip", "x": 0.5, "y": 0.5, "z": 0.5},
    {"step": "rotate", "degrees": 40},
    {"step": "scale", "factor": (0.8, 1.2), "each_axis": True},
    {"step": "shear", "degrees": 8},
    {"step": "shift", "share": 0.1},
    {"step": "crop", "area": (0.8, 1)},
    {"step": "elastic", "strength": (0.01, 0.02), "points": 4, "probability": 0.7},
]
SIZE = (12, 16, 18)
TORCH = Way("torch")


def smooth(shape: tuple[int, ...], seed: int = 0) -> np.ndarray:
    """Smooth random values of spread 1."""
    coarse = np.random.default_rng(seed).standard_normal((1, shape[0], *[5] * (len(shape) - 1)))
    mode = {2: "bilinear", 3: "trilinear"}[len(shape) - 1]
    fine = torch.nn.functional.interpolate(torch.from_numpy(coarse), shape[1:], mode=mode)[0]
    return (fine / fine.std()).float().numpy()


def sources(n: int = 4, channels: int = 3) -> tuple[list, list, np.ndarray]:
    """Volumes of unlike sizes, masks of 3 labels, and a centre in each."""
    rng = np.random.default_rng(7)
    shapes = [(channels, 20 + i, 24 - i, 22 + 2 * i) for i in range(n)]
    images = [smooth(shape, i) for i, shape in enumerate(shapes)]
    masks = [np.digitize(image[0], [-0.3, 0.6]).astype(np.uint8) for image in images]
    centres = np.array([[rng.integers(0, length) for length in shape[1:]] for shape in shapes])
    return images, masks, centres


@pytest.mark.parametrize("kind", [np.float32, np.int16, np.float64, ">i2"])
@pytest.mark.parametrize("size", [(6, 8, 10), (5, 7, 9), (20, 22, 24)])
def test_numbers_of_nothing_give_the_crop_to_the_last_bit(kind, size):
    whole = (1000 * smooth((2, 20, 22, 24))).astype(kind)
    mask = np.random.default_rng(0).integers(0, 9, (20, 22, 24)).astype(np.uint8)
    chain = PatchChain(GEOMETRY, size, way=TORCH)
    numbers = np.zeros((1, len(chain.columns)), np.float32)
    centre = [10, 11, 12]
    out, picked = chain.apply([whole], [mask], numbers, [0], [centre])
    part = tuple(slice(c - n // 2, c - n // 2 + n) for c, n in zip(centre, size, strict=True))
    assert np.array_equal(out[0], whole[(slice(None), *part)].astype(np.float32))
    assert np.array_equal(picked[0], mask[part])


@pytest.mark.parametrize("padding, mode", [("border", "edge"), ("zeros", "constant")])
def test_a_patch_over_the_edge_is_padded_as_asked(padding, mode):
    whole = smooth((1, 9, 9, 9))
    mask = (whole[0] > 0).astype(np.uint8)
    chain = PatchChain([{"step": "flip", "x": 0, "padding": padding}], (8, 8, 8), way=TORCH)
    out, picked = chain.apply([whole], [mask], chain.draw(0, 1), [0], [[0, 8, 4]])
    wide, labels = np.pad(whole[0], 8, mode=mode), np.pad(mask, 8, mode=mode)
    part = tuple(slice(c + 8 - 4, c + 8 + 4) for c in (0, 8, 4))
    assert np.array_equal(out[0, 0], wide[part]) and np.array_equal(picked[0], labels[part])


@pytest.mark.parametrize(
    "padding, mode", [("border", "edge"), ("zeros", "constant"), ("reflection", "symmetric")]
)
@pytest.mark.parametrize("steps", [GEOMETRY, [{"step": "shift", "share": 0.6}]], ids=["all", "one"])
def test_a_moved_patch_over_the_edge_is_that_of_a_source_that_is_padded_before(
    padding, mode, steps
):
    whole, wide = smooth((1, 25, 25, 25)), 40
    mask = (whole[0] > 0).astype(np.uint8)
    padded = np.pad(whole, [(0, 0), *[(wide, wide)] * 3], mode=mode)
    chain = PatchChain([{**s, "padding": padding} for s in steps], SIZE, 4, way=TORCH)
    numbers, centres = chain.draw(0, 6), np.array([[2, 3, 23]] * 6)
    out, picked = chain.apply([whole] * 6, [mask] * 6, numbers, range(6), centres)
    labels = np.pad(mask, wide, mode=mode)
    again, also = chain.apply([padded] * 6, [labels] * 6, numbers, range(6), centres + wide)
    assert torch.allclose(out, again, atol=1e-4)
    assert (picked == also).float().mean() > 0.9999


def turned(degrees: float, axis: str) -> PatchChain:
    ranges = {"z": {"degrees_x": 0, "degrees_y": 0}, "y": {"degrees_x": 0}, "x": {"degrees_y": 0}}
    angle = (degrees, degrees)
    own = {"degrees": angle if axis == "z" else 0, f"degrees_{axis}": angle}
    own.pop("degrees_z", None)
    return PatchChain([{"step": "rotate", **ranges[axis], **own}], (9, 9, 9), way=TORCH)


@pytest.mark.parametrize("axis, axes", [("z", (1, 2)), ("y", (2, 0)), ("x", (0, 1))])
def test_a_quarter_turn_about_each_axis_equals_numpy(axis, axes):
    cube, chain = smooth((1, 9, 9, 9)), turned(90, axis)
    out, _ = chain.apply([cube], None, chain.draw(0, 1), [0], [[4, 4, 4]])
    assert np.array_equal(out[0, 0], np.rot90(cube[0], axes=axes))


def test_a_known_voxel_goes_where_it_should():
    cube = np.zeros((1, 9, 9, 9), np.float32)
    cube[0, 4, 4, 7] = 1  # 3 to the right
    out, _ = turned(45, "z").apply([cube], None, np.float32([[45, 0, 0]]), [0], [[4, 4, 4]])
    assert np.unravel_index(out[0, 0].argmax(), (9, 9, 9)) == (4, 2, 6)
    for step, goal in (
        ({"step": "shift", "share": (2 / 9, 2 / 9)}, None),  # leaves to the right
        ({"step": "scale", "factor": (4 / 3, 4 / 3)}, (4, 4, 8)),
        ({"step": "flip", "x": 1, "z": 1}, (4, 4, 1)),
    ):
        chain = PatchChain([{**step, "padding": "zeros"}], (9, 9, 9), way=TORCH)
        out, _ = chain.apply([cube], None, chain.draw(0, 1), [0], [[4, 4, 4]])
        if goal is None:
            assert out.max() < 1e-5
        else:
            assert np.unravel_index(out[0, 0].argmax(), (9, 9, 9)) == goal


def balls(size: tuple[int, ...], centres: np.ndarray, radii, spacing=None) -> np.ndarray:
    spacing = np.ones(len(size)) if spacing is None else np.array(spacing)
    labels = np.zeros(size, np.uint8)
    for label, (centre, radius) in enumerate(zip(centres, radii, strict=True), 1):
        away = (np.indices(size).T - centre) * spacing
        labels[((away**2).sum(axis=-1) <= radius**2).T] = label
    return labels


@pytest.mark.parametrize("size, radii", [((64, 66, 68), (6, 8)), ((280, 300), (25, 30))])
def test_image_mask_points_and_boxes_move_together(size, radii):
    """A phantom of two unlike balls, cut out of larger sources about unlike centres."""
    n, axes = 6, len(size)
    whole = np.array(size) + 20
    centres = np.array([whole // 2 + np.arange(axes) - row for row in range(n)])
    middles = np.array([whole // 2 - radii[0], whole // 2 + radii[1]])
    mask = balls(tuple(whole), middles, radii)
    chain = PatchChain([{**s, "padding": "zeros"} for s in GEOMETRY], size, 2, way=TORCH)
    numbers, rows = chain.draw(0, n), range(n)
    image = (mask[None] == np.array([1, 2]).reshape(-1, *[1] * axes)).astype(np.float32)
    out, picked = chain.apply([image] * n, [mask] * n, numbers, rows, centres)
    points = chain.apply_points(np.tile(middles, (n, 1, 1)), numbers, rows, centres)
    boxes = np.array([[*(m - r), *(m + r + 1)] for m, r in zip(middles, radii, strict=True)])
    around = chain.apply_boxes(np.tile(boxes, (n, 1, 1)), numbers, rows, centres)
    assert set(np.unique(picked)) == {0, 1, 2}
    index, compared = np.indices(size).reshape(axes, -1), 0
    for row in rows:
        for label in (1, 2):
            value = out[row, label - 1].numpy().ravel()
            where = np.argwhere(picked[row].numpy() == label)
            if (where == 0).any() or (where == np.array(size) - 1).any():
                continue  # cut off by the rim
            compared += 1
            assert np.abs(where.mean(axis=0) - index @ value / value.sum()).max() < 0.1
            # A bent ball's centroid is not quite where its middle goes.
            far = np.abs(where.mean(axis=0) - points[row, label - 1]).max()
            assert far < 0.5 + 0.05 * radii[label - 1]
            box = around[row, label - 1]
            assert (where >= box[:axes] - 1.5).all() and (where + 1 <= box[axes:] + 1.5).all()
    assert compared > n


def test_a_ball_in_millimetres_stays_a_ball_whatever_the_spacing():
    spacing, size = (4.0, 1.0, 0.8), (24, 90, 110)
    middle = np.array(size) // 2
    mask = balls(size, [middle], [30.0], spacing)
    chain = PatchChain([{"step": "rotate", "degrees": (25, 35)}], size, 1, spacing, TORCH)
    other = PatchChain([{"step": "rotate", "degrees": (25, 35)}], size, 1, way=TORCH)
    numbers = chain.draw(0, 1)
    _, picked = chain.apply([mask[None]], [mask], numbers, [0], [middle])
    assert (picked[0].numpy() != mask).mean() < 0.02
    _, slanted = other.apply([mask[None]], [mask], numbers, [0], [middle])
    assert (slanted[0].numpy() != mask).mean() > 0.05, "turning in voxels slants it"


def test_a_bend_does_not_fold_and_points_come_out_of_it_exactly():
    size = (24, 30, 36)
    chain = PatchChain([{"step": "elastic", "strength": (0.08, 0.08), "points": 5}], size, 1)
    numbers = chain.draw(0, 3)
    step = chain.steps[0]
    field = step.field(numbers, size, chain._bank, torch.device("cpu")).numpy()
    slopes = np.stack([np.gradient(field, axis=axis) for axis in (3, 2, 1)], axis=-1)
    assert (np.linalg.det(slopes + np.eye(3)) > 0).all()
    assert np.abs(field).max() > 1
    at = np.tile([[12.0, 15.0, 10.0], [6.0, 20.0, 30.0]], (3, 1, 1))
    centres = np.tile(np.array(size) // 2, (3, 1))
    out = chain.apply_points(at, numbers, range(3), centres)
    back = out[..., ::-1] + step.at(numbers, out[..., ::-1], size, chain._bank)
    assert np.abs(back[..., ::-1] - at).max() < 0.01
    index = np.array([[3, 4, 5], [20, 11, 30]])
    there = step.at(numbers, np.tile(index[:, ::-1], (3, 1, 1)), size, chain._bank)
    assert np.allclose(there, field[:, index[:, 0], index[:, 1], index[:, 2]], atol=1e-4)


@pytest.mark.parametrize("size", [(12, 16, 18), (20, 30)])
def test_every_voxel_of_a_patch_looks_where_its_points_come_from(size):
    """A source whose values are its own coordinates says where each voxel looked."""
    whole = np.array(size) * 4
    steps = [*GEOMETRY[:-1], {"step": "elastic", "strength": (0.05, 0.05)}]
    chain = PatchChain(steps, size, 5, (2.0, 1.0, 1.2)[: len(size)], TORCH)
    numbers, centres = chain.draw(0, 5), np.tile(whole // 2, (5, 1))
    ramps = np.indices(tuple(whole)).astype(np.float32)
    looked, _ = chain.apply([ramps] * 5, None, numbers, range(5), centres)
    points = looked.flatten(2).transpose(1, 2).numpy()
    assert (points.min(axis=(0, 1)) > 0).all() and (points.max(axis=(0, 1)) < whole - 1).all()
    moved = chain.apply_points(points, numbers, range(5), centres)
    assert np.abs(moved - np.indices(size).reshape(len(size), -1).T).max() < 0.01


def test_a_bend_is_as_strong_as_asked():
    size = (24, 30, 36)
    chain = PatchChain([{"step": "elastic", "strength": (0.01, 0.01), "points": 6}], size, 1)
    step, numbers = chain.steps[0], chain.draw(0, 30)
    field = step.field(numbers, size, chain._bank, torch.device("cpu"))
    assert np.allclose(field.std(dim=(0, 1, 2, 3)), 0.01 * np.array(size[::-1]), rtol=0.1)


def test_what_turns_only_in_its_plane_leaves_slices_where_they_are():
    steps = [
        {"step": "rotate", "degrees": 40, "degrees_x": 0, "degrees_y": 0},
        {"step": "shear", "in_plane": True},
        {"step": "elastic", "strength": (0.02, 0.04), "in_plane": True},
        {"step": "blur", "sigma": (1, 1), "in_plane": True},
        {"step": "low_resolution", "zoom": (0.5, 0.5), "in_plane": True},
    ]
    slices = np.arange(10, dtype=np.float32)[:, None, None] * np.ones((1, 24, 24), np.float32)
    chain = PatchChain(steps, (8, 16, 16), way=TORCH)
    out, _ = chain.apply([slices[None]], None, chain.draw(0, 1), [0], [[5, 12, 12]])
    assert torch.allclose(out[0, 0], torch.arange(1.0, 9).view(8, 1, 1), atol=1e-4)


# ---- how much of the source is needed


@pytest.mark.parametrize("padding", ["border", "zeros", "reflection"])
@pytest.mark.parametrize(
    "steps",
    [GEOMETRY, [{"step": "elastic", "strength": (0.08, 0.08)}], [{"step": "shift", "share": 0.6}]],
    ids=["all", "bend", "shift"],
)
def test_the_box_that_is_looked_at_gives_what_the_whole_source_gives(steps, padding):
    """About every second centre, the patch goes over the edge of its source."""
    sizes = np.array([(36 + row, 40, 44 - row) for row in range(8)])
    images = [smooth((1, *size), row) for row, size in enumerate(sizes)]
    masks = [(image[0] > 0).astype(np.uint8) for image in images]
    centres = np.array([size // 2 if row % 2 else size // 20 for row, size in enumerate(sizes)])
    chain = PatchChain([{**s, "padding": padding} for s in steps], SIZE, 4, way=TORCH)
    numbers, rows = chain.draw(0, 8), range(8)
    out, picked = chain.apply(images, masks, numbers, rows, centres)
    low, high = chain.looks_at(numbers, rows, centres, sizes)
    assert ((high - low).prod(axis=1) < sizes.prod(axis=1) / 2).any()
    parts = [tuple(map(slice, a, b)) for a, b in zip(low, high, strict=True)]
    small = [image[(slice(None), *part)] for image, part in zip(images, parts, strict=True)]
    labels = [mask[part] for mask, part in zip(masks, parts, strict=True)]
    again, also = chain.apply(small, labels, numbers, rows, centres - low)
    assert torch.allclose(out, again, atol=1e-4)
    assert (picked == also).float().mean() > 0.9999


@pytest.mark.parametrize("size, spacing", [((12, 16, 18), (3.0, 1.0, 1.0)), ((30, 24), None)])
def test_nothing_outside_the_margin_is_looked_at(size, spacing):
    steps = [{**step, "probability": 0.8} for step in GEOMETRY]
    chain = PatchChain(steps, size, 6, spacing)
    numbers = chain.draw(0, 3000)
    centre = np.zeros((3000, len(size)), int)
    low, high = chain.looks_at(numbers, range(3000), centre)
    start, margin = -(np.array(size) // 2), np.array(chain.margin())
    assert (low >= start - margin).all() and (high <= start + size + margin).all()
    assert (low.min(axis=0) < start).all()
    still = PatchChain([{"step": "flip"}, {"step": "noise"}], size)
    assert still.margin() == (0,) * len(size)
    assert np.array_equal(still.looks_at(still.draw(0, 1), [0], centre[:1])[0][0], start)


@pytest.mark.parametrize(
    "step, wide",
    [
        ({"step": "rotate", "degrees": 90, "degrees_x": 0, "degrees_y": 0}, (0, 5, 5)),
        ({"step": "rotate", "quarter_turns": True, "degrees_x": 0, "degrees_y": 0}, (0, 5, 5)),
        ({"step": "scale", "factor": (0.5, 2)}, (10, 10, 10)),
        ({"step": "shift", "share": 0.1}, (3, 3, 3)),
        ({"step": "elastic", "points": 5}, (2, 2, 2)),
    ],
)
def test_the_margin_of_one_step_by_hand(step, wide):
    # 21 voxels: 10 on each side of the middle one, so 14.14 to a corner of a slice.
    assert PatchChain([step], (21, 21, 21)).margin() == wide


def test_what_cannot_be_is_refused_in_words():
    chain = PatchChain([{"step": "flip"}], SIZE)
    numbers, whole = chain.draw(0, 2), smooth((1, 20, 20, 20))
    with pytest.raises(SettingsError, match=r"size \(Y, X\) or \(Z, Y, X\)"):
        PatchChain([], (8,))
    with pytest.raises(SettingsError, match="positive spacing along each of 3 axes"):
        PatchChain([], SIZE, spacing=(1, 0, 1))
    with pytest.raises(SettingsError, match=r"as many channels, got .* as number 1"):
        chain.apply([whole, smooth((2, 20, 20, 20))], None, numbers, [0, 1], [[9, 9, 9]] * 2)
    with pytest.raises(SettingsError, match="masks of the size of their sources"):
        chain.apply([whole], [whole[0, 1:] > 0], numbers, [0], [[9, 9, 9]])
    with pytest.raises(SettingsError, match="a mask for each of 1"):
        chain.apply([whole], [], numbers, [0], [[9, 9, 9]])
    with pytest.raises(SettingsError, match=r"whole numbers \(1, 3\), got float64 \(1, 3\)"):
        chain.apply([whole], None, numbers, [0], [[9.5, 2.0, 9.0]])
    with pytest.raises(SettingsError, match="row of numbers for each of 1"):
        chain.apply([whole], None, numbers, [0, 1], [[9, 9, 9]])
    with pytest.raises(SettingsError, match="did you mean 'torch'"):
        torched = PatchChain([{"step": "rotate"}], SIZE, way=Way("torh"))
        torched.apply([whole], None, torched.draw(0, 1), [0], [[9, 9, 9]])
