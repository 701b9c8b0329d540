"""Preparation: what each step does, and that geometry never parts from pixels."""

import numpy as np
import pytest

from tomos.config import names
from tomos.transforms.prepare import Chain, StackStep, carry_back, carry_points
from tomos.types import FormatError, GeometryError, Image, SettingsError, Window

pytestmark = pytest.mark.fast

# Settings for every step of the folder; a new step must be listed here to pass.
SETTINGS = {
    "border": {},
    "channels": {"to": 1},
    "crop": {"size": [50, 64]},
    "crop_body": {},
    "denoise": {},
    "even": {"window": 9},
    "normalise": {},
    "orient": {},
    "pad": {"size": [90, 100]},
    "resample": {"spacing": [0.7, 0.9]},
    "resize": {"size": [32, 32]},
    "slice": {},
    "window": {},
}
PLACE = np.array([[1, 0, 0, 5.0], [0, 0, -0.5, 40.0], [0, -0.5, 0, -30.0], [0, 0, 0, 1]])


def ball(size=(64, 80), centre=(24.0, 50.0), radius=6.0, **header) -> Image:
    """A soft bright ball on dark ground, 0.5 mm pixels, axes turned and flipped in the patient."""
    y, x = np.indices(size)
    pixels = np.exp(-(((y - centre[0]) ** 2 + (x - centre[1]) ** 2) / (2 * radius**2)))
    pixels = (10 + 200 * pixels).round().astype(np.uint8)[None]
    return Image(pixels, affine=PLACE, frame="patient", **header)


def centre_mm(image: Image) -> np.ndarray:
    """Where the ball lies in the patient, from its brightest half."""
    p = image.pixels.mean(axis=0)
    p = np.clip(p - (p.min() + p.max()) / 2, 0, None)
    index = [float((p * i).sum() / p.sum()) for i in np.indices(p.shape)]
    return image.world(np.array([0.0] * (3 - len(index)) + index))


@pytest.mark.parametrize("name", names("tomos.transforms.prepare"))
def test_every_step_keeps_the_ball_where_it_is_in_the_patient(name):
    image = ball()
    before = image.pixels.copy()
    prepared = Chain([{"step": name, **SETTINGS[name]}])(image)
    assert prepared.pixels.dtype == np.float32
    assert np.array_equal(image.pixels, before), "a step wrote into its input"
    if name != "border":  # which blanks the ball
        assert np.allclose(centre_mm(prepared), centre_mm(image), atol=0.05)


@pytest.mark.parametrize("name", names("tomos.transforms.prepare"))
def test_many_equals_one_at_a_time(name):
    r = np.random.default_rng(0)
    images = [
        Image(r.integers(0, 255, size, dtype=np.uint8), affine=PLACE, frame="patient")
        for size in [(1, 40, 50)] * 5 + [(3, 40, 50)] * 2
    ]
    chain = Chain(
        [
            {"step": "channels", "to": 1},
            {"step": name, **SETTINGS[name]},
            {"step": "resize", "size": [24, 20]},
        ]
    )
    one = np.stack([chain(image).pixels for image in images])
    assert np.allclose(chain.many(images), one, rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("mode", ["stretch", "pad", "crop"])
@pytest.mark.parametrize("size", [(32, 32), (100, 60), (128, 160)])
def test_resize_modes_reach_the_size_and_keep_the_ball(mode, size):
    image = ball(centre=(32.0, 42.0))
    out = Chain([{"step": "resize", "size": size, "mode": mode}])(image)
    assert out.size == size
    assert np.allclose(centre_mm(out), centre_mm(image), atol=0.1)
    if mode != "stretch":  # the shape of things is kept to within half a pixel over the picture
        assert out.spacing[0] == pytest.approx(out.spacing[1], rel=0.03)


def test_shrinking_by_two_averages_and_puts_pixels_between_the_old_ones():
    image = Image(np.arange(16, dtype=np.float32).reshape(1, 4, 4))
    out = Chain([{"step": "resize", "size": [2, 2], "filter": "area"}])(image)
    assert out.pixels[0].tolist() == [[2.5, 4.5], [10.5, 12.5]]
    assert out.world(np.array([0, 0, 0])).tolist() == [0, 0.5, 0.5]
    assert out.spacing == (2, 2)


def test_shrinking_removes_what_the_new_grid_cannot_hold():
    stripes = np.tile(np.array([0, 255], np.uint8), (1, 64, 32))
    out = Chain([{"step": "resize", "size": [8, 8]}])(Image(stripes))
    assert np.ptp(out.pixels[..., 1:-1]) < 1


def test_padding_uses_the_stated_value():
    image = Image(np.full((1, 10, 20), 7, np.uint8))
    edge, zero = (
        Chain([{"step": "resize", "size": [20, 20], "mode": "pad", "fill": fill}])(image)
        for fill in ("edge", 0)
    )
    assert np.allclose(edge.pixels, 7)
    assert np.allclose(zero.pixels[0, :5], 0) and np.allclose(zero.pixels[0, 5:15], 7)


def test_a_volume_for_a_model_of_pictures_is_refused_unless_a_slice_is_asked_for():
    volume = Image(np.arange(5 * 8 * 8, dtype=np.int16).reshape(1, 5, 8, 8), affine=PLACE)
    with pytest.raises(GeometryError, match="step `slice`"):
        Chain([{"step": "resize", "size": [4, 4]}])(volume)
    out = Chain([{"step": "slice", "index": 3}])(volume)
    assert np.array_equal(out.pixels[0], volume.pixels[0, 3])
    assert np.allclose(out.world(np.array([0, 2, 5])), volume.world(np.array([3, 2, 5])))
    with pytest.raises(GeometryError, match="at least 10 slices along z, got 5"):
        Chain([{"step": "slice", "index": 9}])(volume)


def test_orient_brings_the_axes_towards_superior_posterior_left():
    affine = np.diag([2.0, 3.0, 4.0, 1.0])  # axes run towards R, A, S
    volume = Image(np.random.default_rng(0).random((1, 5, 6, 7)), affine=affine, frame="patient")
    out = Chain([{"step": "orient"}])(volume)
    assert out.size == (7, 6, 5) and out.spacing == (4, 3, 2)
    assert np.array_equal(np.sign(out.affine[:3, :3]), [[0, 0, -1], [0, -1, 0], [1, 0, 0]])
    index = np.array([6, 1, 2])
    there = np.linalg.solve(volume.affine, np.append(out.world(index), 1))[:3].round().astype(int)
    assert out.pixels[0][tuple(index)] == np.float32(volume.pixels[0][tuple(there)])


def test_grey_is_the_luma_of_bt_601_and_alpha_is_dropped():
    rgba = np.zeros((4, 1, 3), np.uint8)
    rgba[:3, 0] = np.eye(3) * 255
    rgba[3] = 9
    grey = Chain([{"step": "channels", "to": 1}])(Image(rgba)).pixels
    assert np.allclose(grey[0, 0], [76.245, 149.685, 29.07], atol=1e-3)
    assert Chain([{"step": "channels", "to": 3}])(Image(rgba)).channels == 3
    with pytest.raises(FormatError, match=r"expected 1 channel, .*got 5"):
        Chain([{"step": "channels", "to": 1}])(Image(np.zeros((5, 2, 2), np.uint8)))


@pytest.mark.parametrize(
    "function, expected",
    [  # PS3.3 C.11.2.1.2.1: c = 50, w = 101 -> 0 at -0.5, 1 at 99.5
        ("LINEAR", [0, 0.005, 0.505, 1, 1]),
        ("LINEAR_EXACT", [0.5 - 50 / 101, 0.5 - 50 / 101, 0.5, 1, 1]),
        ("SIGMOID", [0.121, 0.121, 0.5, 0.9975, 1]),
    ],
)
def test_the_window_follows_the_standard(function, expected):
    values = np.array([[[0, 0, 50, 200, 1000]]], np.int16)
    values[0, 0, 0] = -1 if function == "LINEAR" else 0
    image = Image(values, window=Window(50, 101, function))
    assert np.allclose(Chain([{"step": "window"}])(image).pixels, expected, atol=2e-3)


def test_normalise_kinds():
    image = Image(np.array([[[0, 51], [102, 255]]], np.uint8))

    def run(**settings):
        return Chain([{"step": "normalise", **settings}])(image).pixels

    z = run(kind="zscore")
    assert abs(z.mean()) < 1e-6 and z.std() == pytest.approx(1)
    assert np.allclose(run(kind="range").ravel(), [0, 0.2, 0.4, 1])
    assert np.allclose(run(kind="fixed", mean=[51], std=[51]).ravel(), [-1, 0, 1, 4])
    assert np.allclose(run(kind="imagenet").ravel()[0], -0.449 / 0.226)
    assert np.allclose(run(kind="percentile", low=0, high=100).ravel(), [0, 0.2, 0.4, 1])
    flat = Chain([{"step": "normalise"}])(Image(np.full((1, 4, 4), 1000.0)))
    assert not flat.pixels.any()
    with pytest.raises(FormatError, match="zscore or percentile"):
        Chain([{"step": "normalise", "kind": "range"}])(Image(np.zeros((1, 2, 2))))


def test_crop_body_finds_the_bright_field_and_leaves_others_whole():
    pixels = np.zeros((1, 60, 80), np.uint8)
    pixels[0, 10:50, 20:70] = 100
    box = Chain([{"step": "crop_body", "margin": 0}])(Image(pixels))
    assert box.size == (40, 50) and box.world(np.zeros(3)).tolist() == [0, 10, 20]
    assert Chain([{"step": "crop_body"}])(Image(np.ones((1, 6, 6)))).size == (6, 6)


def test_median_takes_out_a_speck_and_keeps_an_edge():
    pixels = np.zeros((1, 7, 8), np.int16)
    pixels[..., 4:] = 100
    noisy = pixels.copy()
    noisy[0, 3, 1] = 999
    assert np.array_equal(Chain([{"step": "denoise"}])(Image(noisy)).pixels, pixels)
    r = np.random.default_rng(0).random((1, 9, 9))
    out = Chain([{"step": "denoise"}])(Image(r)).pixels
    assert out[0, 4, 4] == np.float32(np.median(r[0, 3:6, 3:6]))


@pytest.mark.parametrize(
    "steps",
    [
        [{"step": "resize", "size": [32, 40]}],
        [{"step": "resize", "size": [48, 48], "mode": "pad"}],
        [{"step": "crop", "box": [[5, 60], [10, 78]]}, {"step": "resize", "size": [64, 64]}],
    ],
)
def test_a_map_comes_back_to_where_the_ball_is(steps):
    image = ball()
    prepared = Chain(steps)(image)
    back = carry_back(prepared, image)
    assert back.size == image.size
    assert np.allclose(centre_mm(back), centre_mm(image), atol=0.1)
    inside = back.pixels[0, 15:33, 41:59] - image.pixels[0, 15:33, 41:59]
    assert np.abs(inside).max() < 12  # of 200: what resampling there and back blurs
    point = np.array([0, 24.0, 50.0])
    there = carry_points(point, image, prepared)
    assert np.allclose(carry_points(there, prepared, image), point)


def test_a_map_is_blank_where_the_preparation_had_cut_away():
    image = ball()
    back = carry_back(
        Chain([{"step": "crop", "box": [[8, 40], [16, 48]]}])(image), image, outside=-1
    )
    assert (back.pixels[0, :8] == -1).all() and (back.pixels[0, :, 48:] == -1).all()
    assert np.allclose(back.pixels[0, 8:40, 16:48], image.pixels[0, 8:40, 16:48])


def test_a_map_of_one_slice_lies_in_that_slice_of_the_volume():
    volume = Image(np.random.default_rng(0).random((1, 6, 8, 9)).astype(np.float32), affine=PLACE)
    for axis, place in (("z", 4), ("y", 2), ("x", 7)):
        chain = Chain([{"step": "slice", "axis": axis, "index": place}])
        back = carry_back(chain(volume), volume)
        expected = np.zeros_like(volume.pixels)
        where = (slice(None), *(place if a == axis else slice(None) for a in "zyx"))
        expected[where] = volume.pixels[where]
        assert np.allclose(back.pixels, expected, atol=1e-6)


def test_a_turned_map_comes_back():
    image = ball()
    turned = np.rot90(image.pixels, axes=(1, 2)).astype(np.float32)
    affine = PLACE.copy()  # new (y, x) is old (x reversed, y)
    affine[:3, 1], affine[:3, 2] = -PLACE[:3, 2], PLACE[:3, 1]
    affine[:3, 3] = PLACE[:3, 3] + PLACE[:3, 2] * (image.size[1] - 1)
    for mode in ("linear", "nearest"):
        back = carry_back(image.with_pixels(turned, affine), image, mode)
        assert np.allclose(back.pixels, image.pixels, atol=1e-3)


def test_what_cannot_be_prepared_is_refused_in_words():
    with pytest.raises(SettingsError, match="did you mean 'normalise'"):
        Chain([{"step": "normalize"}])
    with pytest.raises(SettingsError, match="unknown setting 'sise'"):
        Chain([{"step": "resize", "sise": [3, 3]}])
    with pytest.raises(SettingsError, match="needs its name"):
        Chain([{"size": [3, 3]}])
    with pytest.raises(FormatError, match="NaN"):
        Chain([])(Image(np.full((1, 2, 2), np.nan)))
    with pytest.raises(GeometryError, match="resize"):
        Chain([]).many([Image(np.zeros((1, 2, 2))), Image(np.zeros((1, 3, 2)))])
    with pytest.raises(GeometryError, match="known spacing"):
        Chain([{"step": "resample", "spacing": [1, 1]}])(Image(np.zeros((1, 2, 2))))


def test_every_step_but_the_data_dependent_one_goes_in_stacks():
    chain = Chain([{"step": name, **SETTINGS[name]} for name in SETTINGS])
    loose = {
        type(s).__module__.rsplit(".")[-1] for s in chain.steps if not isinstance(s, StackStep)
    }
    assert loose == {"crop_body"}


def test_a_real_set_goes_through_in_stacks_and_singly_alike(shared):
    with np.load(shared / "medmnist" / "pneumoniamnist.npz") as file:
        pictures = file["train_images"][:500]
    images = [Image(p[None], value_range=(0.0, 255.0)) for p in pictures]
    for last in ({"step": "normalise"}, {"step": "normalise", "kind": "imagenet"}):
        chain = Chain([{"step": "channels", "to": 1}, {"step": "resize", "size": [32, 32]}, last])
        x = chain.many(images)
        assert x.shape == (500, 1, 32, 32) and x.dtype == np.float32
        assert np.allclose(x, np.stack([chain(image).pixels for image in images]), atol=1e-6)
        assert np.abs(x.mean()) < 2 and 0.2 < x.std() < 2
