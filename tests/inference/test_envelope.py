"""What a model was made for is accepted; what it was not made for is referred, with the reason."""

import json
import time

import numpy as np
import pytest

from tomos.inference import envelope
from tomos.inference.appearance import describe
from tomos.inference.envelope import Envelope, Info, Seen
from tomos.inference.gaussian import Gaussian, leading
from tomos.types import Image, Origin

pytestmark = pytest.mark.fast


def rings(n: int, seed: int, size=(32, 32)) -> np.ndarray:
    """(n, 1, Y, X): a soft bright ring about the middle, a little different each time."""
    rng = np.random.default_rng(seed)
    y, x = np.indices(size)
    centre = size[0] / 2 + rng.normal(0, 1, (n, 2, 1, 1))
    radius = size[0] / 4 + rng.normal(0, 1, (n, 1, 1))
    distance = np.hypot(y - centre[:, 0], x - centre[:, 1])
    picture = np.exp(-np.square((distance - radius) / 3))
    noise = rng.normal(0, 0.02, picture.shape)
    return (picture * rng.uniform(0.8, 1.2, (n, 1, 1)) + noise)[:, None].astype(np.float32)


def seen(x: np.ndarray, info=None) -> Seen:
    return Seen([info or Info(size=x.shape[2:])] * len(x), x)


@pytest.fixture(scope="module")
def fitted():
    return envelope.fit(seen(rings(300, 0)), seen(rings(100, 1)))


def referred(fitted, x: np.ndarray, info=None) -> float:
    given = seen(x, info)
    judged = Envelope(*fitted, size=(32, 32)).judge(given.infos, given.prepared)
    assert all(bool(j.reasons) == j.refuse for j in judged)
    return float(np.mean([j.refuse for j in judged]))


def test_new_pictures_of_the_kind_are_accepted(fitted):
    assert referred(fitted, rings(500, 2)) <= 0.03


def test_other_pictures_are_referred(fitted):
    rng = np.random.default_rng(3)
    noise = rng.normal(0.2, 0.3, (50, 1, 32, 32)).astype(np.float32)
    stripes = np.tile(np.sin(np.arange(32) / 2), (50, 1, 32, 1)).astype(np.float32)
    shifted = np.roll(rings(50, 4), 12, axis=3)
    for other in (noise, stripes, shifted, 1 - rings(50, 5), rings(50, 6) * 0.3 + 0.5):
        assert referred(fitted, other) >= 0.95


def test_an_empty_picture_says_so(fitted):
    judged = Envelope(*fitted).judge([Info(size=(32, 32))], np.full((1, 1, 32, 32), 0.4, "f4"))
    assert "empty" in judged[0].reasons[0]


def test_the_reason_names_what_is_odd(fitted):
    grain = np.random.default_rng(3).normal(0, 0.06, (1, 1, 32, 32)).astype(np.float32)
    (judgement,) = Envelope(*fitted).judge([Info(size=(32, 32))], rings(1, 7) + grain)
    assert judgement.reasons[0].startswith("unlike the pictures the model was made for")
    assert "its grey values spread differently" in judgement.reasons[0]
    assert judgement.distance > 1


def test_features_alone_can_tell():
    """Pictures alike, features far away: what a network saw and never learnt."""
    rng = np.random.default_rng(0)
    basis = rng.normal(size=(4, 20))
    features = [(rng.normal(size=(n, 4)) @ basis).astype(np.float32) for n in (300, 100, 50)]
    x = [rings(n, seed) for seed, n in enumerate((300, 100, 50))]
    parts = [
        Seen([Info(size=(32, 32))] * len(p), p, f + rng.normal(0, 0.05, f.shape).astype("f4"))
        for p, f in zip(x, features, strict=True)
    ]
    judge = Envelope(*envelope.fit(parts[0], parts[1])).judge
    assert np.mean([j.refuse for j in judge(parts[2].infos, x[2], parts[2].features)]) <= 0.06
    odd = judge(parts[2].infos, x[2], parts[2].features + 3 * rng.normal(size=20).astype("f4"))
    assert np.mean([j.refuse for j in odd]) >= 0.95
    assert "the network sees" in odd[0].reasons[0]


def test_it_survives_the_model_file(fitted):
    """Plain data in the manifest, half-precision arrays beside it, the same judgements."""
    data, arrays = fitted
    kept = {name: array.astype(np.float16).astype(np.float32) for name, array in arrays.items()}
    again = Envelope(json.loads(json.dumps(data)), kept)
    x = rings(20, 9)
    infos = [Info(size=(32, 32))] * 20
    before = [j.distance for j in Envelope(data, arrays).judge(infos, x)]
    assert [j.distance for j in again.judge(infos, x)] == pytest.approx(before, abs=0.02)


FACTS = [
    Info(modality="DX", body_part="CHEST", size=(900, 1000)),
    Info(modality="DX", body_part="CHEST", size=(1800, 1500)),
]


@pytest.mark.parametrize(
    ("info", "word"),
    [
        (Info("DX", "CHEST", False, (1000, 1000)), ""),
        (Info("", "", False, (1000, 1000)), ""),
        (Info("CT", "CHEST", False, (1000, 1000)), "modality CT; the model was made for DX"),
        (Info("DX", "HAND", False, (1000, 1000)), "body part HAND"),
        (Info("DX", "CHEST", True, (1000, 1000)), "a picture in colour; the model was made for g"),
        (Info("DX", "CHEST", False, (200, 210)), "too small: 210 x 200 pixels"),
        (Info("DX", "CHEST", False, (600, 3000)), "its width is 5.00 times its height"),
    ],
)
def test_facts(info, word):
    data, arrays = envelope.fit(Seen(FACTS * 10, np.zeros((20, 1, 224, 224), np.float32)))
    assert "too few" in data["reason"]
    x = np.random.default_rng(0).random((1, 1, 224, 224), np.float32)
    (judgement,) = Envelope(data, arrays, (224, 224)).judge([info], x)
    assert judgement.refuse == bool(word)
    assert word in "; ".join(judgement.reasons)


def test_facts_of_an_image():
    grey = np.tile(np.arange(64, dtype=np.uint8), (3, 64, 1))
    image = Image(grey, modality="CR", origin=Origin(body_part="Chest"), value_range=(0, 255))
    contrast = ("255", pytest.approx(56 / 255, abs=0.01))  # from the 5th to the 95th percentile
    assert Info.of(image) == Info("DX", "CHEST", False, (64, 64), contrast)
    colour = grey.copy()
    colour[0, :10] += 90
    assert Info.of(Image(colour, value_range=(0, 255))).colour


def test_descriptions_have_the_same_length_for_every_size():
    """And a picture that is only brighter or of more contrast has the same placement."""
    x = rings(2, 0)
    views = describe(x, 0.3)
    assert {name: v.shape[1] for name, v in views.items()} == {
        "placement": 256, "edges": 200, "texture": 12, "intensity": 19,
    }  # fmt: skip
    assert describe(5 * x + 3, 1.5)["placement"] == pytest.approx(views["placement"], abs=0.02)
    small = describe(rings(2, 0, (5, 7)), 0.3)
    assert {name: v.shape for name, v in small.items()} == {n: v.shape for n, v in views.items()}


def test_distances_of_a_known_gaussian():
    """Two directions carry all variance: along them 1 on average, outside them nothing is usual."""
    rng = np.random.default_rng(0)
    x = np.zeros((1000, 5))
    x[:, :2] = rng.normal(size=(1000, 2))
    x[:, 2:] = 1e-4 * rng.normal(size=(1000, 3))
    gaussian = Gaussian.fit(x)
    inside, _ = gaussian(x).T
    assert np.exp(inside).mean() == pytest.approx(1, abs=0.1)
    off = np.zeros((1, 5))
    off[0, 4] = 1
    assert gaussian(off)[0, 1] > gaussian(x)[:, 1].max() + 2


@pytest.mark.parametrize("shape", [(300, 80), (80, 300), (1200, 1100)])
def test_the_leading_directions_are_those_of_the_whole_covariance(shape):
    rng = np.random.default_rng(5)
    n, d = shape
    z = (rng.normal(size=(n, 60)) * 0.9 ** np.arange(60)) @ rng.normal(size=(60, d))
    z -= z.mean(axis=0)
    values, directions = leading(z)
    expected = np.linalg.svd(z, compute_uv=False) ** 2 / n
    assert np.allclose(values[:40], expected[:40], rtol=1e-6)
    assert np.allclose(directions[:40] @ directions[:40].T, np.eye(40), atol=1e-8)
    along = np.square(z @ directions[:40].T).mean(axis=0)
    assert np.allclose(along, expected[:40], rtol=1e-6)


def test_wide_features_take_no_minutes():
    """AlexNet and VGG give 4096: every fold decomposed 4096 x 4096 numbers, five minutes in all."""
    started = time.perf_counter()
    Gaussian.fit(np.random.default_rng(6).normal(size=(90, 4096)))
    assert time.perf_counter() - started < 1


@pytest.mark.seconds
@pytest.mark.data
def test_chest_films_against_breast_ultrasound(shared):
    """Real pictures of 28 x 28 pixels, no header, no features: the looks alone."""
    chest = np.load(shared / "medmnist" / "pneumoniamnist.npz")
    breast = np.load(shared / "medmnist" / "breastmnist.npz")

    def part(array):
        return seen((array[:, None] / 255).astype(np.float32))

    own = envelope.fit(part(chest["train_images"][:800]), part(chest["val_images"]))
    judge = Envelope(*own, size=(28, 28)).judge
    for pictures, low, high in ((chest["test_images"], 0, 0.02), (breast["test_images"], 0.95, 1)):
        given = part(pictures)
        share = np.mean([j.refuse for j in judge(given.infos, given.prepared)])
        assert low <= share <= high
