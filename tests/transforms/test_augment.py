"""Augmentation: what holds for every step there is, and what each one does to a picture."""

import numpy as np
import pytest
import torch

from tomos.config import names
from tomos.transforms.augment import Chain, GeometryStep
from tomos.types import SettingsError

# For every step of the folder: settings that change a picture, and settings that must not.
SETTINGS = {
    "bias_field": ({"strength": 0.5}, {"probability": 0}),
    "blur": ({"sigma": (0.5, 2)}, {"sigma": (0, 0)}),
    "brightness": ({"shift": (0.1, 0.3)}, {"shift": 0}),
    "colour": ({"hue": (10, 30)}, {"hue": 0, "saturation": (1, 1)}),
    "contrast": ({"factor": (1.2, 1.5)}, {"factor": (1, 1)}),
    "crop": ({"area": (0.4, 0.6)}, {"area": (1, 1), "ratio": (1, 1)}),
    "cutout": ({"share": (0.3, 0.5)}, {"share": (0, 0)}),
    "elastic": ({"strength": (0.03, 0.05)}, {"strength": (0, 0)}),
    "flip": ({"x": 1}, {"x": 0}),
    "gamma": ({"gamma": (1.3, 1.6)}, {"gamma": (1, 1)}),
    "ghosting": ({"strength": (0.5, 0.9)}, {"strength": (0, 0)}),
    "low_resolution": ({"zoom": (0.4, 0.6)}, {"zoom": (1, 1)}),
    "mixup": ({"alpha": 1}, {"probability": 0}),
    "motion": ({"shift": 0.2}, {"probability": 0}),
    "noise": ({"sigma": (0.1, 0.2)}, {"sigma": (0, 0)}),
    "rotate": ({"degrees": (20, 40)}, {"degrees": 0}),
    "scale": ({"factor": (1.2, 1.5)}, {"factor": (1, 1)}),
    "sharpen": ({}, {"amount": (0, 0)}),
    "shear": ({"degrees": (8, 15)}, {"degrees": 0}),
    "shift": ({"share": (0.1, 0.2)}, {"share": 0}),
}
STEPS = names("tomos.transforms.augment")
EVERYTHING = [
    {"step": n, **SETTINGS[n][0], "probability": 0.5} for n in STEPS if n not in ("mixup",)
]


def batch(n=6, channels=3, size=(24, 20), seed=0) -> torch.Tensor:
    """Smooth random pictures of positive values."""
    coarse = torch.rand((n, channels, 6, 5), generator=torch.Generator().manual_seed(seed))
    return torch.nn.functional.interpolate(coarse, size, mode="bilinear")


def chain_of(name: str, settings: dict, size=(24, 20)) -> Chain:
    return Chain([{"step": name, **settings}], size, seed=3)


@pytest.mark.parametrize("name", STEPS)
def test_a_step_changes_pictures_and_can_be_replayed(name):
    chain, x = chain_of(name, SETTINGS[name][0]), batch()
    kept = x.clone()
    numbers = chain.draw(1, 9)
    rows = [8, 1, 3, 4, 0, 2]
    y = chain.apply(x, numbers, rows)
    assert torch.equal(x, kept), "apply wrote into its input"
    assert y.shape == x.shape and y.dtype == torch.float32 and torch.isfinite(y).all()
    assert torch.equal(y, chain_of(name, SETTINGS[name][0]).apply(x, numbers, rows))
    if name != "mixup":
        assert all((a - b).abs().max() > 1e-3 for a, b in zip(x, y, strict=True))


@pytest.mark.parametrize("name", STEPS)
def test_no_strength_leaves_the_batch_as_it_is(name):
    chain, x = chain_of(name, SETTINGS[name][1]), batch()
    numbers = chain.draw(0, 6)
    assert (chain.apply(x, numbers, range(6)) - x).abs().max() <= 1e-6
    assert torch.equal(chain.mix(x, x[:, :, 0, 0], numbers, range(6))[0], x)


@pytest.mark.parametrize("steps", [[s] for s in EVERYTHING] + [EVERYTHING], ids=len)
def test_a_row_does_not_depend_on_the_rest_of_its_batch(steps):
    chain, x = Chain(steps, (24, 20), seed=1), batch(40)
    numbers = chain.draw(2, 40)
    whole = chain.apply(x, numbers, np.arange(40))
    for rows in ([7], [3, 7, 21], np.random.default_rng(0).permutation(40)):
        part = chain.apply(x[torch.as_tensor(rows)], numbers, rows)
        assert torch.allclose(part, whole[torch.as_tensor(rows)], rtol=0, atol=2e-6)


def test_numbers_are_a_function_of_seed_epoch_and_row():
    chain = Chain(EVERYTHING, (24, 20), seed=5)
    numbers = chain.draw(3, 50)
    assert numbers.shape == (50, len(chain.columns)) and numbers.dtype == np.float32
    assert np.array_equal(numbers, Chain(EVERYTHING, (24, 20), seed=5).draw(3, 50))
    assert np.array_equal(numbers[:20], chain.draw(3, 20)), "row i depends on how many there are"
    assert not np.array_equal(numbers, chain.draw(4, 50))
    assert not np.array_equal(numbers, Chain(EVERYTHING, (24, 20), seed=6).draw(3, 50))
    fewer = Chain(EVERYTHING[:1], (24, 20), seed=5)
    assert np.array_equal(numbers[:, : fewer.draw(3, 50).shape[1]], fewer.draw(3, 50))


@pytest.mark.parametrize("channels", [1, 2, 5])
@pytest.mark.parametrize("size", [(1, 1), (3, 7), (32, 17)])
def test_any_channels_and_any_size(channels, size):
    steps = [step for step in EVERYTHING if step["step"] != "colour"]
    x = batch(3, channels, size)
    chain = Chain(steps, size, seed=0)
    y = chain.apply(x, chain.draw(0, 3), range(3))
    assert y.shape == x.shape and torch.isfinite(y).all()


def test_memory_format_and_batches_of_every_length_are_kept():
    chain = Chain(EVERYTHING, (24, 20))
    numbers = chain.draw(0, 4)
    x = batch(4).contiguous(memory_format=torch.channels_last)
    y = chain.apply(x, numbers, range(4))
    assert y.is_contiguous(memory_format=torch.channels_last)
    assert torch.equal(y, chain.apply(x.contiguous(), numbers, range(4)))
    assert chain.apply(x[:0], numbers, []).shape == (0, 3, 24, 20)


# ---- where things go


def dot(y: int, x: int, size=(9, 9)) -> torch.Tensor:
    picture = torch.zeros((1, 1, *size))
    picture[0, 0, y, x] = 1
    return picture


def brightest(picture: torch.Tensor) -> tuple[int, int]:
    return tuple(int(i) for i in np.unravel_index(picture[0, 0].argmax(), picture.shape[-2:]))


@pytest.mark.parametrize(
    "step, start, end",
    [
        ({"step": "flip", "x": 1}, (2, 1), (2, 7)),
        ({"step": "flip", "x": 0, "y": 1}, (2, 1), (6, 1)),
        ({"step": "rotate", "degrees": (90, 90)}, (4, 8), (0, 4)),  # right goes to the top
        ({"step": "rotate", "degrees": (45, 45)}, (4, 7), (2, 6)),
        ({"step": "scale", "factor": (2, 2)}, (4, 6), (4, 8)),
        ({"step": "shift", "share": (2 / 9, 2 / 9)}, (3, 1), (5, 3)),
        ({"step": "shift", "share": (0.2, 0.2), "whole": True}, (3, 1), (5, 3)),
        ({"step": "shear", "degrees": (45, 45)}, (4, 5), (5, 6)),
    ],
)
def test_a_known_pixel_goes_where_it_should(step, start, end):
    chain = Chain([step], (9, 9))
    numbers = chain.draw(0, 1)
    assert brightest(chain.apply(dot(*start), numbers, [0])) == end
    assert np.allclose(chain.apply_points([[start]], numbers, [0])[0, 0], end, atol=0.5)


def test_whole_moves_do_not_interpolate():
    steps = [
        {"step": "flip", "y": 0.5},
        {"step": "rotate", "quarter_turns": True},
        {"step": "shift", "share": 0.2, "whole": True},
    ]
    chain, x = Chain(steps, (16, 16)), torch.rand((32, 1, 16, 16))
    y = chain.apply(x, chain.draw(0, 32), range(32))
    assert all(np.isin(b, a).all() for a, b in zip(x.numpy(), y.numpy(), strict=True))


@pytest.mark.parametrize("padding", ["border", "zeros", "reflection"])
def test_copying_and_interpolating_agree_on_what_lies_outside(padding):
    step = {"step": "shift", "padding": padding}
    x = torch.rand((1, 2, 8, 6))
    copied = Chain([{**step, "share": (0.5, 0.5)}], (8, 6))
    almost = Chain([{**step, "share": (0.500001, 0.500001)}], (8, 6))
    assert torch.allclose(
        copied.apply(x, copied.draw(0, 1), [0]), almost.apply(x, almost.draw(0, 1), [0]), atol=1e-4
    )


def test_rotation_equals_numpy_and_is_composed_in_order():
    x = torch.rand((1, 1, 8, 8))
    chain = Chain([{"step": "rotate", "degrees": (90, 90)}, {"step": "flip", "x": 1}], (8, 8))
    y = chain.apply(x, chain.draw(0, 1), [0])
    assert np.array_equal(y[0, 0], np.rot90(x[0, 0])[:, ::-1])


GEOMETRY = [
    {"step": "flip", "x": 0.5, "y": 0.5},
    {"step": "rotate", "degrees": 60},
    {"step": "scale", "factor": (0.8, 1.2), "each_axis": True},
    {"step": "shear", "degrees": 8},
    {"step": "shift", "share": 0.1},
    {"step": "crop", "area": (0.8, 1)},
    {"step": "elastic", "strength": (0.01, 0.02), "points": 4, "probability": 0.7},
]


def test_image_mask_points_and_boxes_follow_together():
    """A phantom of two unlike balls, far enough inside that none leaves the picture."""
    size, n = (96, 80), 24
    y, x = np.indices(size)
    centres = np.array([[40.0, 30.0], [56.0, 46.0]])
    mask = np.zeros(size, np.int64)
    for label, (cy, cx) in enumerate(centres, 1):
        mask[(y - cy) ** 2 + (x - cx) ** 2 <= (3 + 2 * label) ** 2] = label
    masks = torch.from_numpy(mask).expand(n, *size)
    chain = Chain([{**s, "padding": "zeros"} for s in GEOMETRY], size, seed=2)
    numbers, rows = chain.draw(0, n), np.arange(n)
    moved = chain.apply_mask(masks, numbers, rows)
    points = chain.apply_points(np.tile(centres, (n, 1, 1)), numbers, rows)
    boxes = np.array(
        [
            [c[0] - r, c[1] - r, c[0] + r + 1, c[1] + r + 1]
            for c, r in zip(centres, (5, 7), strict=True)
        ]
    )
    around = chain.apply_boxes(np.tile(boxes, (n, 1, 1)), numbers, rows)
    assert moved.dtype == masks.dtype and set(np.unique(moved)) == {0, 1, 2}
    for label in (1, 2):
        picture = chain.apply((masks == label).unsqueeze(1).float(), numbers, rows)[:, 0]
        assert ((picture > 0.5) == (moved == label)).float().mean() > 0.995
        for row in rows:
            where = np.argwhere(moved[row].numpy() == label)
            assert np.abs(where.mean(axis=0) - points[row, label - 1]).max() < 1
            box = around[row, label - 1]
            assert (where >= box[:2] - 1.5).all() and (where + 1 <= box[2:] + 1.5).all()


def test_a_bend_does_not_fold_and_points_come_out_of_it_exactly():
    chain = Chain([{"step": "elastic", "strength": (0.08, 0.08), "points": 5}], (64, 64), seed=1)
    numbers = chain.draw(0, 8)
    step = chain.steps[0]
    field = step.field(numbers, (64, 64), chain._bank, torch.device("cpu")).numpy()
    dx = 1 + np.diff(field[..., 0], axis=2)[:, :-1]
    dy = 1 + np.diff(field[..., 1], axis=1)[:, :, :-1]
    cross = np.diff(field[..., 0], axis=1)[:, :, :-1] * np.diff(field[..., 1], axis=2)[:, :-1]
    assert (dx * dy - cross > 0).all()
    at = np.tile([[20.0, 30.0], [50.0, 10.0]], (8, 1, 1))
    out = chain.apply_points(at, numbers, range(8))
    back = out[..., ::-1] + step.at(numbers, out[..., ::-1], (64, 64), chain._bank)
    assert np.abs(back[..., ::-1] - at).max() < 0.02


def test_a_larger_picture_is_cropped_about_its_middle():
    x = torch.rand((2, 1, 12, 11))
    chain = Chain([], (8, 8))
    assert torch.equal(chain.apply(x, chain.draw(0, 2), [0, 1]), x[:, :, 2:10, 1:9])
    assert chain.apply_points([[[5, 5]]], chain.draw(0, 1), [0], (12, 11)).tolist() == [[[3, 4]]]


# ---- what happens to values


def run(x: torch.Tensor, name: str, **settings) -> torch.Tensor:
    chain = Chain([{"step": name, **settings}], x.shape[-2:], seed=0)
    return chain.apply(x, chain.draw(0, len(x)), range(len(x)))


def test_values_change_as_the_numbers_say():
    x = batch(4)
    mean, std = x.mean((1, 2, 3), keepdim=True), x.std((1, 2, 3), keepdim=True, correction=0)
    assert torch.allclose(run(x, "contrast", factor=(2, 2)), mean + 2 * (x - mean), atol=1e-5)
    assert torch.allclose(run(x, "brightness", shift=(0.5, 0.5)), x + 0.5 * std, atol=1e-5)
    low, high = x.amin((1, 2, 3), keepdim=True), x.amax((1, 2, 3), keepdim=True)
    expected = low + (high - low) * ((x - low) / (high - low)) ** 2
    assert torch.allclose(run(x, "gamma", gamma=(2, 2)), expected, atol=1e-5)


def test_noise_is_as_strong_as_asked_and_unlike_from_row_to_row():
    x = torch.zeros((3, 2, 64, 64))
    x[:, :, :32] = 10  # spread 5
    for added, sigma in (
        (run(x, "noise", sigma=(0.1, 0.1)) - x, 0.5),
        (run(x, "noise", sigma=(0.1, 0.1), relative=False) - x, 0.1),
    ):
        assert torch.allclose(added.std((1, 2, 3)), torch.tensor(sigma), rtol=0.05)
        flat = np.corrcoef(added.flatten(1).numpy())
        assert np.abs(flat - np.eye(3)).max() < 0.05


def test_a_batch_too_large_to_do_at_once_is_done_in_parts():
    chain = Chain([{"step": "rotate"}, {"step": "noise"}], (256, 256))
    x, numbers = torch.rand((40, 1, 256, 256)), chain.draw(0, 40)
    whole = chain.apply(x, numbers, range(40))
    assert torch.equal(whole[35:], chain.apply(x[35:], numbers, range(35, 40)))


def test_long_and_short_stretches_of_noise_are_the_same():
    from tomos.transforms.augment._bank import Bank

    bank, x = Bank(1), torch.zeros((3, 1, 100, 100))
    starts, strength = np.array([5.0, 9.0, 1000.0]), torch.tensor([1.0, 0.5, 2.0])
    one = bank.add(x.clone(), starts, strength)
    rows = bank.rows(starts, 10000, x.device).view_as(x) * strength.view(-1, 1, 1, 1)
    assert torch.allclose(one, rows)
    before = bank.rows(starts, 50, x.device)
    bank.rows(starts, 20000, x.device)  # needs a longer bank
    assert torch.equal(bank.rows(starts, 50, x.device), before)


def test_blur_spreads_a_dot_by_sigma_and_sharpening_undoes_some():
    picture = dot(20, 20, (41, 41))
    soft = run(picture, "blur", sigma=(2, 2))
    offset = np.arange(41) - 20
    spread = float((soft[0, 0].sum(0).numpy() * offset**2).sum())
    assert soft.sum() == pytest.approx(1, abs=1e-5) and spread == pytest.approx(4, rel=0.03)
    assert run(soft, "sharpen", amount=(1, 1)).max() > soft.max()


def test_low_resolution_keeps_the_mean_and_loses_fine_stripes():
    stripes = torch.tensor([0.0, 1.0]).repeat(16).expand(1, 1, 32, 32).clone()
    coarse = run(stripes, "low_resolution", zoom=(0.5, 0.5))
    assert torch.allclose(coarse, torch.tensor(0.5), atol=1e-6)


def test_colour_keeps_luma_and_grey_and_needs_three_channels():
    x = batch(4)
    luma = torch.tensor([0.299, 0.587, 0.114]).view(1, 3, 1, 1)
    y = run(x, "colour", hue=(90, 90), saturation=(1.2, 1.2))
    assert torch.allclose((y * luma).sum(1), (x * luma).sum(1), atol=1e-5)
    grey = x[:, :1].repeat(1, 3, 1, 1)
    assert torch.allclose(run(grey, "colour", hue=(90, 90)), grey, atol=2e-3)
    with pytest.raises(SettingsError, match="expected pictures of 3 channels, got 1"):
        run(x[:, :1], "colour")


def test_cutout_covers_a_box_with_the_mean():
    x = batch(5, 1, (20, 20))
    y = run(x, "cutout", share=(0.5, 0.5))
    for before, after in zip(x, y, strict=True):
        changed = (before != after)[0]
        assert changed.sum() == 100
        assert torch.allclose(after[:, changed], before.mean())


def test_ghosts_lie_a_part_of_the_picture_apart_and_motion_keeps_the_mean():
    picture = dot(4, 16, (32, 32))
    ghosts = run(picture, "ghosting", strength=(0.5, 0.5), ghosts=(4, 4))[0, 0]
    places = {tuple(p) for p in np.argwhere(np.abs(ghosts.numpy()) > 0.05).tolist()}
    along_y, along_x = {(4 + 8 * k, 16) for k in range(4)}, {(4, 8 * k) for k in range(4)}
    assert places in (along_y, along_x)
    x = batch(4)
    assert torch.allclose(run(x, "motion").mean((2, 3)), x.mean((2, 3)), atol=1e-5)


def test_mixup_mixes_pictures_and_targets_alike():
    x = torch.arange(6.0).view(6, 1, 1, 1).expand(6, 1, 4, 4).contiguous()
    targets = torch.eye(6)
    chain = Chain([{"step": "mixup", "alpha": 1.0, "probability": 0.8}], (4, 4), seed=4)
    numbers = chain.draw(0, 6)
    mixed, soft = chain.mix(x, targets, numbers, range(6))
    assert torch.allclose(mixed[:, 0, 0, 0], soft @ torch.arange(6.0), atol=1e-5)
    assert torch.allclose(soft.sum(1), torch.ones(6))
    assert (soft.argmax(1) == torch.arange(6)).all(), "a picture's own share is at least a half"
    unknown = targets.clone()
    unknown[0, 2] = float("nan")
    assert chain.mix(x, unknown, numbers, range(6))[1][0, 2].isnan()
    shares = Chain([{"step": "mixup", "alpha": 0.4}], (4, 4)).draw(0, 20000)[:, 0]
    v = np.random.default_rng(0).beta(0.4, 0.4, 20000)
    quantiles = (0.1, 0.3, 0.5, 0.7, 0.9)
    assert np.allclose(
        np.quantile(shares, quantiles), np.quantile(np.minimum(v, 1 - v), quantiles), atol=0.01
    )


def test_what_cannot_be_is_refused_in_words():
    with pytest.raises(SettingsError, match="did you mean 'rotate'"):
        Chain([{"step": "rotat"}], (8, 8))
    with pytest.raises(SettingsError, match="unknown setting 'degree'"):
        Chain([{"step": "rotate", "degree": 3}], (8, 8))
    with pytest.raises(SettingsError, match="one padding"):
        Chain([{"step": "flip"}, {"step": "shift", "padding": "zeros"}], (8, 8))
    with pytest.raises(SettingsError, match="a size"):
        Chain([], (8, 8, 8))
    chain = Chain([{"step": "flip"}], (8, 8))
    with pytest.raises(SettingsError, match="row of numbers for each of 2"):
        chain.apply(torch.zeros((2, 1, 8, 8)), chain.draw(0, 5), [1])
    with pytest.raises(SettingsError, match="of a cell"):
        Chain([{"step": "elastic", "strength": (0, 0.5)}], (8, 8))


def test_every_step_is_listed_here():
    assert sorted(SETTINGS) == STEPS
    assert any(isinstance(step, GeometryStep) for step in Chain(EVERYTHING, (8, 8)).steps)
