"""Augmentation of volumes: what holds for every step, and what each one does to values."""

import numpy as np
import pytest
import torch

from tomos.config import names
from tomos.transforms.augment import Chain, PatchChain, Way
from tomos.types import SettingsError

# For every step of the folder but mixup: settings that change a volume, and that must not.
SETTINGS = {
    "bias_field": ({"strength": 0.5}, {"probability": 0}),
    "blur": ({"sigma": (0.5, 2)}, {"sigma": (0, 0)}),
    "brightness": ({"shift": (0.1, 0.3)}, {"shift": 0}),
    "colour": ({"hue": (10, 30)}, {"hue": 0, "saturation": (1, 1)}),
    "contrast": ({"factor": (1.2, 1.5)}, {"factor": (1, 1)}),
    "crop": ({"area": (0.4, 0.6)}, {"area": (1, 1), "ratio": (1, 1)}),
    "cutout": ({"share": (0.3, 0.5)}, {"share": (0, 0)}),
    "elastic": ({"strength": (0.03, 0.05)}, {"strength": (0, 0)}),
    "flip": ({"x": 1, "y": 0.5, "z": 0.5}, {"x": 0}),
    "gamma": ({"gamma": (1.3, 1.6)}, {"gamma": (1, 1)}),
    "ghosting": ({"strength": (0.5, 0.9)}, {"strength": (0, 0)}),
    "low_resolution": ({"zoom": (0.4, 0.6)}, {"zoom": (1, 1)}),
    "motion": ({"shift": 0.2}, {"probability": 0}),
    "noise": ({"sigma": (0.1, 0.2)}, {"sigma": (0, 0)}),
    "rotate": ({"degrees": (20, 40)}, {"degrees": 0}),
    "scale": ({"factor": (1.2, 1.5)}, {"factor": (1, 1)}),
    "sharpen": ({}, {"amount": (0, 0)}),
    "shear": ({"degrees": (8, 15)}, {"degrees": 0}),
    "shift": ({"share": (0.1, 0.2)}, {"share": 0}),
}
EVERYTHING = [{"step": n, **SETTINGS[n][0], "probability": 0.5} for n in sorted(SETTINGS)]
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


def run(x: np.ndarray, name: str, **settings) -> np.ndarray:
    """A step on a whole volume (Z, Y, X)."""
    chain = PatchChain([{"step": name, **settings}], x.shape, way=TORCH)
    out, _ = chain.apply([x[None]], None, chain.draw(0, 1), [0], [np.array(x.shape) // 2])
    return out[0, 0].numpy()


def test_every_step_but_mixing_is_listed_here():
    assert sorted([*SETTINGS, "mixup"]) == names("tomos.transforms.augment")
    with pytest.raises(SettingsError, match="leave out 'mixup'"):
        PatchChain([{"step": "mixup"}], SIZE)


@pytest.mark.parametrize("name", sorted(SETTINGS))
def test_a_step_changes_volumes_can_be_replayed_and_writes_into_nothing(name):
    images, masks, _ = sources()
    centres = [np.array(image.shape[1:]) // 2 for image in images]
    kept = [image.copy() for image in images]
    chain = PatchChain([{"step": name, **SETTINGS[name][0]}], SIZE, 3, way=TORCH)
    numbers, rows = chain.draw(1, 9), [8, 1, 3, 4]
    assert numbers.shape == (9, len(chain.columns)) and len(set(chain.columns)) == len(
        chain.columns
    )
    out, picked = chain.apply(images, masks, numbers, rows, centres)
    assert all(np.array_equal(a, b) for a, b in zip(images, kept, strict=True))
    assert out.shape == (4, 3, *SIZE) and out.dtype == torch.float32 and torch.isfinite(out).all()
    assert picked.shape == (4, *SIZE) and picked.dtype == torch.uint8
    again = PatchChain([{"step": name, **SETTINGS[name][0]}], SIZE, 3, way=TORCH)
    assert torch.equal(out, again.apply(images, masks, numbers, rows, centres)[0])
    still = PatchChain([], SIZE, way=TORCH)
    plain, unmoved = still.apply(images, masks, still.draw(0, 4), range(4), centres)
    assert all((a - b).abs().max() > 1e-3 for a, b in zip(out, plain, strict=True))
    moves = any(step for step, _ in chain._geometry)
    assert torch.equal(picked, unmoved) != moves, "labels move with the geometry, and only then"


@pytest.mark.parametrize("name", sorted(SETTINGS))
def test_no_strength_leaves_volumes_as_they_are(name):
    images, masks, _ = sources()
    centres = [np.array(image.shape[1:]) // 2 for image in images]
    chain = PatchChain([{"step": name, **SETTINGS[name][1]}], SIZE, 3, way=TORCH)
    still = PatchChain([], SIZE, way=TORCH)
    out, picked = chain.apply(images, masks, chain.draw(0, 4), range(4), centres)
    plain, unmoved = still.apply(images, masks, still.draw(0, 4), range(4), centres)
    assert (out - plain).abs().max() <= 2e-6 and torch.equal(picked, unmoved)


def test_a_row_does_not_depend_on_the_rest_of_its_batch():
    images, masks, centres = sources(6)
    chain = PatchChain(EVERYTHING, SIZE, 1, way=TORCH)
    numbers = chain.draw(2, 6)
    out, picked = chain.apply(images, masks, numbers, range(6), centres)
    for rows in ([4], [5, 0, 3]):
        own = [images[row] for row in rows], [masks[row] for row in rows]
        part, labels = chain.apply(*own, numbers, rows, centres[rows])
        assert torch.allclose(part, out[rows], rtol=0, atol=5e-6)
        assert torch.equal(labels, picked[rows])


def test_pictures_draw_the_numbers_of_the_other_chain():
    steps = [step for step in EVERYTHING if step["step"] != "mixup"]
    patches, pictures = PatchChain(steps, (24, 20), 5), Chain(steps, (24, 20), 5)
    assert patches.columns == pictures.columns
    assert np.array_equal(patches.draw(3, 30), pictures.draw(3, 30))
    volumes = PatchChain(steps, SIZE, 5)
    assert np.array_equal(volumes.draw(3, 30)[:20], volumes.draw(3, 20))


def test_equal_sizes_may_come_as_one_array_and_none_at_all():
    images = np.stack([smooth((2, 20, 20, 20), seed) for seed in range(3)])
    masks = (images[:, 0] > 0).astype(np.int64)
    steps = [step for step in EVERYTHING if step["step"] != "colour"]
    chain = PatchChain(steps, SIZE, way=TORCH)
    numbers, centres = chain.draw(0, 3), np.full((3, 3), 10)
    out, picked = chain.apply(images, masks, numbers, range(3), centres)
    listed = chain.apply(torch.from_numpy(images), list(masks), numbers, range(3), centres)
    assert torch.equal(out, listed[0]) and torch.equal(picked, listed[1])
    assert picked.dtype == torch.int64
    nothing, none = chain.apply([], None, numbers, [], np.empty((0, 3), int))
    assert len(nothing) == 0 and none is None


# ---- what happens to values


def test_values_change_as_the_numbers_say():
    x = smooth((1, 16, 17, 18))[0] + 3
    low, high, mean = x.min(), x.max(), x.mean()
    assert np.allclose(run(x, "contrast", factor=(2, 2)), mean + 2 * (x - mean), atol=1e-4)
    assert np.allclose(run(x, "brightness", shift=(0.5, 0.5)), x + 0.5 * x.std(), atol=1e-4)
    share = (x - low) / (high - low)
    expected = low + (high - low) * share**2
    assert np.allclose(run(x, "gamma", gamma=(2, 2)), expected, atol=1e-4)
    negative = high - (high - low) * (1 - share) ** 2
    assert np.allclose(run(x, "gamma", gamma=(2, 2), inverted=True), negative, atol=1e-4)
    kept = run(x, "gamma", gamma=(2, 2), moments=True)
    assert np.allclose((kept.mean(), kept.std()), (mean, x.std()), atol=1e-4)
    assert np.corrcoef(kept.ravel(), expected.ravel())[0, 1] > 0.99999


def test_the_spread_of_a_large_volume_is_the_spread():
    x = 100 + 5 * smooth((1, 80, 90, 100))[0]
    assert np.allclose(run(x, "brightness", shift=(1, 1)) - x, x.std(), atol=1e-3)


def test_blur_spreads_a_dot_by_sigma_along_every_axis():
    x = np.zeros((21, 23, 25), np.float32)
    x[10, 11, 12] = 1
    soft = run(x, "blur", sigma=(1.5, 1.5))
    for axis, (n, middle) in enumerate(((21, 10), (23, 11), (25, 12))):
        line = soft.sum(axis=tuple(a for a in range(3) if a != axis))
        assert line.sum() == pytest.approx(1, abs=1e-5)
        assert line @ (np.arange(n) - middle) ** 2 == pytest.approx(2.25, rel=0.03)
    assert run(soft, "sharpen", amount=(1, 1)).max() > soft.max()
    narrow = np.ones((2, 3, 30), np.float32)
    assert np.allclose(run(narrow, "blur", sigma=(2, 2)), 1, atol=1e-6), "rims are continued"


def test_low_resolution_of_a_volume_is_that_of_its_slices_when_they_are_alike():
    picture = smooth((1, 30, 28))[0]
    flat = Chain([{"step": "low_resolution", "zoom": (0.6, 0.6)}], (30, 28))
    expected = flat.apply(torch.from_numpy(picture[None, None]), flat.draw(0, 1), [0])[0, 0]
    volume = np.repeat(picture[None], 12, axis=0)
    for in_plane in (True, False):
        out = run(volume, "low_resolution", zoom=(0.6, 0.6), in_plane=in_plane)
        assert np.allclose(out, expected, atol=1e-5)
    stripes = np.tile(np.float32([0, 1]), (32, 32, 16))
    assert np.allclose(run(stripes, "low_resolution", zoom=(0.5, 0.5)), 0.5, atol=1e-6)
    assert np.allclose(
        run(volume, "low_resolution", zoom=(0.1, 0.1)).mean(), volume.mean(), atol=0.1
    )


def test_a_bias_field_is_smooth_and_multiplies():
    ones = np.ones((16, 18, 20), np.float32)
    ones[0, 0, 0] = 0  # values count from the lowest
    field = np.log(run(ones, "bias_field", strength=0.2)[1:, 1:, 1:])
    assert field.std() > 0.05
    for axis in range(3):
        assert np.abs(np.diff(field, 4, axis=axis)).max() < 1e-4, "no more than third order"
        assert np.abs(np.diff(field, 1, axis=axis)).max() > 1e-3, "along every axis"
    mixed = np.diff(np.diff(np.diff(field, 1, axis=0), 1, axis=1), 2, axis=2)
    assert np.abs(mixed).max() < 1e-5, "nor with all axes together"


def test_noise_is_as_strong_as_asked_in_every_part():
    x = np.zeros((32, 32, 32), np.float32)
    x[:16] = 10  # spread 5
    added = run(x, "noise", sigma=(0.1, 0.1)) - x
    assert added[:16].std() == pytest.approx(0.5, rel=0.05)
    assert added[16:].std() == pytest.approx(0.5, rel=0.05)


def test_cutout_covers_a_box_with_the_mean():
    x = smooth((1, 10, 20, 30))[0]
    y = run(x, "cutout", share=(0.5, 0.5))
    changed = x != y
    assert changed.sum() == 5 * 10 * 15 and np.allclose(y[changed], x.mean(), atol=1e-6)
    assert all(np.ptp(axis) + 1 == n for axis, n in zip(np.nonzero(changed), (5, 10, 15)))  # noqa: B905


def test_ghosts_lie_along_one_axis_and_motion_keeps_the_mean():
    x = np.zeros((16, 16, 16), np.float32)
    x[2, 3, 5] = 1
    chain = PatchChain(
        [{"step": "ghosting", "strength": (0.5, 0.5), "ghosts": (4, 4)}], x.shape, way=TORCH
    )
    out, _ = chain.apply([x[None]] * 20, None, chain.draw(0, 20), range(20), [[8, 8, 8]] * 20)
    axes = []
    for row in out[:, 0].numpy():
        places = np.argwhere(np.abs(row) > 0.05)
        (axis,) = np.flatnonzero(np.ptp(places, axis=0))
        assert len(places) == 4 and set(np.diff(places[:, axis])) == {4}
        axes.append(int(axis))
    assert set(axes) == {0, 1, 2}
    smoothed = smooth((1, 16, 16, 16))[0] + 2
    moved = run(smoothed, "motion", shift=0.2)
    assert moved.mean() == pytest.approx(smoothed.mean(), abs=1e-5)
