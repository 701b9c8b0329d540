"""A bad picture of the right kind is answered, and the answer says what is bad about it."""

import json

import numpy as np
import pytest

from tomos.datasets import phantom
from tomos.inference import envelope, quality
from tomos.inference.envelope import Envelope, Info, Seen
from tomos.transforms.prepare import Chain
from tomos.types import Image, Window

SIDE = 64
CHAIN = Chain(({"step": "resize", "size": [SIDE, SIDE]}, {"step": "normalise", "kind": "zscore"}))


def films(n: int, seed: int) -> list[np.ndarray]:
    """Chest films of n persons, 8 bit."""
    rng = np.random.default_rng(seed)
    drawn = [phantom.film(phantom.person(rng), rng, 0, SIDE)[0] for _ in range(n)]
    return [np.round(pixels / 4095 * 255).astype(np.uint8) for pixels in drawn]


def seen(pictures: list[np.ndarray]) -> Seen:
    images = [Image(pixels[None], value_range=(0, 255)) for pixels in pictures]
    return Seen([Info.of(image) for image in images], CHAIN.many(images))


@pytest.fixture(scope="module")
def fitted():
    return envelope.fit(seen(films(250, 0)), seen(films(60, 1)))


def said(fitted, pictures: list[np.ndarray]) -> list[tuple[str, ...]]:
    """The warnings of each picture."""
    given = seen(pictures)
    judged = Envelope(*fitted, size=(SIDE, SIDE)).judge(given.infos, given.prepared)
    return [each.warnings for each in judged]


def test_usual_pictures_are_not_warned_of(fitted):
    warned = [texts for texts in said(fitted, films(300, 2)) if texts]
    assert len(warned) <= 3, warned


def blurred(pixels: np.ndarray) -> np.ndarray:
    """The mean of 5 x 5 neighbours."""
    padded = np.pad(pixels.astype(float), 2, "edge")
    window = np.lib.stride_tricks.sliding_window_view(padded, (5, 5))
    return window.mean(axis=(2, 3)).astype(np.uint8)


def noisy(pixels: np.ndarray) -> np.ndarray:
    grain = np.random.default_rng(7).normal(0, 0.35 * pixels.std(), pixels.shape)
    return np.clip(pixels + grain, 0, 255).astype(np.uint8)


def over(pixels: np.ndarray) -> np.ndarray:
    """The brightest half at the upper end of the scale."""
    return np.clip(pixels * (255 / np.median(pixels)), 0, 255).astype(np.uint8)


def under(pixels: np.ndarray) -> np.ndarray:
    """The darkest half at the lower end."""
    return np.clip(2.0 * (pixels - np.median(pixels)), 0, 255).astype(np.uint8)


def washed_out(pixels: np.ndarray) -> np.ndarray:
    return (120 + 0.1 * (pixels - pixels.mean())).astype(np.uint8)


@pytest.mark.parametrize(
    ("spoil", "words"),
    [
        (blurred, "blurred: 0."),
        (noisy, "noisy: the noise is "),
        (over, "bright parts are cut off: "),
        (under, "dark parts are cut off: "),
        (washed_out, "little contrast: the grey values span "),
    ],
)
def test_a_spoilt_picture_is_said_to_be(fitted, spoil, words):
    for texts in said(fitted, [spoil(pixels) for pixels in films(20, 3)]):
        assert any(text.startswith(words) and ", usually " in text for text in texts), texts


def test_another_modality_or_nothing_is_no_bad_picture(fitted):
    data = json.loads(json.dumps(fitted[0]))
    data["facts"]["modality"] = {"seen": ["DX"], "share": 1.0}
    given = seen([blurred(pixels) for pixels in films(2, 3)])
    judge = Envelope(data, fitted[1], (SIDE, SIDE)).judge
    slices = [Info("CT", "", False, (SIDE, SIDE), info.contrast) for info in given.infos]
    assert all(each.reasons and not each.warnings for each in judge(slices, given.prepared))
    (void,) = judge([Info(size=(SIDE, SIDE))], np.zeros((1, 1, SIDE, SIDE), np.float32))
    assert not void.warnings


def test_a_model_file_from_before_says_nothing(fitted):
    data = {name: value for name, value in fitted[0].items() if name != "quality"}
    given = seen([blurred(pixels) for pixels in films(2, 3)])
    judged = Envelope(data, fitted[1], (SIDE, SIDE)).judge(given.infos, given.prepared)
    assert not any(each.warnings for each in judged)


@pytest.mark.parametrize("data", [{"blur": 1}, {"blur": [1, 2]}, {"contrast": [1]}, {"noise": "a"}])
def test_a_damaged_file_is_refused_before_it_judges(data):
    with pytest.raises((ValueError, TypeError, AttributeError)):
        quality.Quality(data)


def test_contrast_is_compared_within_one_range_of_grey():
    """300 of 4096 levels and 60 of 256 have nothing to do with each other."""
    rng = np.random.default_rng(0)
    eight = [("255", float(share)) for share in rng.uniform(0.6, 0.9, 50)]
    data = quality.fit({}, [*eight, None, ("4095", 0.1)])
    assert list(data["contrast"]) == ["255"], "one picture of a range tells nothing"
    judge = quality.Quality(json.loads(json.dumps(data))).judge
    x = np.zeros((4, 1, 8, 8), np.float32)
    given = [("255", 0.1), ("4095", 0.1), ("255", 0.7), None]
    assert [len(texts) for texts in judge(x, given)] == [1, 0, 0, 0]
    assert judge(x, given)[0][0].startswith("little contrast: the grey values span 10% of")


def test_the_range_of_grey_is_the_one_that_is_shown():
    ramp = np.tile(np.arange(101, dtype=np.int16), (1, 101, 1))
    assert quality.contrast(Image(ramp)) is None
    assert quality.contrast(Image(ramp, value_range=(0, 200))) == ("200", pytest.approx(0.45))
    shown = Image(ramp, value_range=(0, 4095), window=Window(50, 100))
    assert quality.contrast(shown) == ("window", pytest.approx(0.9))
    # What lies beyond the window is not seen: of 5 .. 95 only 45 .. 55.
    narrow = Image(ramp, value_range=(0, 4095), window=Window(50, 10))
    assert quality.contrast(narrow) == ("window", pytest.approx(1.0))
    volume = Image(np.broadcast_to(ramp[:, None], (1, 3, 101, 101)), value_range=(0, 200))
    assert quality.contrast(volume) == ("200", pytest.approx(0.45))


def test_figures_of_known_pictures():
    """White noise is all noise and not blurred; a smooth wave the other way about; half a picture
    at one value is half cut off; nothing changes when all values are scaled and shifted."""
    rng = np.random.default_rng(0)
    y, x = np.indices((96, 96))
    noise = rng.normal(size=(96, 96))
    wave = np.sin(2 * np.pi * x / 48) + np.sin(2 * np.pi * y / 48)
    half = np.where(x < 48, 0, x)
    pictures = np.stack([noise, wave, half])[:, None].astype(np.float32)
    found = quality.measure(pictures)
    assert found["noise"][:2] == pytest.approx([1, 0], abs=0.03)
    assert found["blur"][0] < 0.3
    assert found["blur"][1] > 0.9
    assert found["lowest"][2] == pytest.approx(0.5, abs=0.02)
    assert found["highest"][0] < 0.01
    again = quality.measure(7 * pictures - 3)
    assert all(again[name] == pytest.approx(found[name], abs=1e-3) for name in found)
    small = quality.measure(np.ones((2, 3, 2, 2), np.float32))
    assert np.isnan(small["blur"]).all() and np.isnan(small["noise"]).all()


@pytest.mark.data
def test_of_held_out_ultrasound_at_most_one_in_a_hundred_is_warned_of(shared):
    breast = np.load(shared / "medmnist" / "breastmnist.npz")

    def part(name: str) -> Seen:
        images = [Image(row[None], value_range=(0, 255)) for row in breast[f"{name}_images"]]
        x = Chain(({"step": "normalise", "kind": "zscore"},)).many(images)
        return Seen([Info.of(image) for image in images], x)

    fitted = envelope.fit(part("train"), part("val"))
    test = part("test")
    judged = Envelope(*fitted, size=(28, 28)).judge(test.infos, test.prepared)
    assert np.mean([bool(each.warnings) for each in judged]) <= 0.01
