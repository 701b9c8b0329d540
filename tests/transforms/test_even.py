import numpy as np
import pytest

from tomos.transforms.prepare.even import Step, _mean
from tomos.types import Image

pytestmark = pytest.mark.fast


def test_the_mean_is_that_of_the_window_inside_the_picture():
    x = np.zeros((1, 1, 1, 9), np.float32)
    x[..., 4] = 9
    once = np.array([0, 0, 0, 3, 3, 3, 0, 0, 0])
    twice = np.array([0, 0, 1, 2, 3, 2, 1, 0, 0])
    assert once.sum() == 9 and np.allclose(_mean(x, 3)[0, 0, 0], twice)
    x[..., 4], x[..., 0] = 0, 8  # at the rim: 8 / 2, 8 / 3, then again
    first = np.array([4, 8 / 3, 0, 0])
    assert np.allclose(_mean(x, 3)[0, 0, 0, :3], [first[:2].mean(), first[:3].mean(), 8 / 9])


def test_a_line_is_seen_alike_in_bright_and_dark_light():
    y, x = np.mgrid[:128, :128]
    light = 100 + 100 * x / 127
    pixels = light * np.where(y % 16 == 8, 0.7, 1.0)
    even = Step(window=33)(Image(pixels[None].astype(np.float32))).pixels[0]
    line, rest = even[40], even[36]
    inside = slice(20, 108)
    assert (line[inside] < -2).all() and (rest[inside] > 0).all()
    assert np.abs(line[inside] / line[64] - 1).max() < 0.2
    # As it was, the line on the bright side is brighter than the rest on the dark side.
    assert pixels[40, 107] > pixels[36, 20]


def test_a_flat_picture_becomes_0_and_channels_are_apart():
    flat = Step()(Image(np.full((2, 40, 40), 7, np.uint8)))
    assert not flat.pixels.any() and flat.pixels.dtype == np.float32
    rng = np.random.default_rng(0)
    pixels = rng.standard_normal((2, 64, 64)).astype(np.float32) * np.array([1, 50])[:, None, None]
    even = Step(window=21)(Image(pixels)).pixels
    assert even[0].std() == pytest.approx(1, abs=0.1) == pytest.approx(even[1].std(), abs=0.1)
