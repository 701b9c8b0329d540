"""Images of the kind that a model for masks was made for are segmented; others are referred."""

import json
from dataclasses import replace

import numpy as np
import pytest
from bright_masks import Bright, manifest

from tomos.inference import MaskPredictor
from tomos.inference.envelope import Info
from tomos.inference.mask_envelope import Cases, MaskEnvelope, Shape, fit, pictures
from tomos.types import Image, Origin

pytestmark = pytest.mark.fast
UPRIGHT = np.array([[0, 0, -1.0, 0], [0, -1.0, 0, 0], [1.0, 0, 0, 0], [0, 0, 0, 1.0]])


def scan(seed: int, axes: int = 3, modality: str = "MR") -> Image:
    """A soft bright ball about the middle, a little different each time, in a little noise."""
    rng = np.random.default_rng(seed)
    size = rng.integers(20, 27, axes) if axes == 3 else np.array([40, 44])
    grid = np.indices(size)
    middle = np.reshape(size / 2 + rng.normal(0, 0.7, axes), (-1, *[1] * axes))
    away = np.sqrt(np.square(grid - middle).sum(axis=0))
    ball = 1 / (1 + np.exp(away - size.min() / 4 + rng.normal(0, 0.5)))
    pixels = (ball * rng.uniform(0.9, 1.1) + rng.normal(0, 0.03, ball.shape))[None]
    kind = {"affine": UPRIGHT, "frame": "patient"} if axes == 3 else {}
    origin = Origin(path="scan", body_part="BRAIN")
    return Image(pixels.astype(np.float32), modality=modality, origin=origin, **kind)


def fitted(images):
    headers = [(Info.of(image), Shape.of(image)) for image in images]
    return fit(Cases(headers, len(images), lambda row: pictures(images[row].pixels)))


def referred(envelope, images) -> float:
    return float(np.mean([envelope.judge(image, image.pixels).refuse for image in images]))


@pytest.fixture(scope="module", params=[2, 3], ids=["pictures", "volumes"])
def world(request):
    axes = request.param
    return axes, MaskEnvelope(*fitted([scan(seed, axes) for seed in range(80)]))


def strange(image: Image, kind: str) -> Image:
    rng, x = np.random.default_rng(5), image.pixels
    made = {
        "noise": rng.normal(0.3, 0.3, x.shape),
        "shuffled": rng.permutation(x.ravel()).reshape(x.shape),
        "inverted": 1 - x,
        "stripes": np.broadcast_to(np.sin(np.arange(x.shape[-1])), x.shape),
        "two values": (x > 0.3).astype(float),
    }[kind]
    return image.with_pixels(made.astype(np.float32))


def test_new_images_of_the_kind_are_not_referred(world):
    axes, envelope = world
    assert referred(envelope, [scan(seed, axes) for seed in range(1000, 1100)]) <= 0.02


@pytest.mark.parametrize("kind", ["noise", "shuffled", "inverted", "stripes", "two values"])
def test_others_are_referred(world, kind):
    axes, envelope = world
    images = [strange(scan(seed, axes), kind) for seed in range(2000, 2020)]
    assert referred(envelope, images) >= 0.95


def test_an_empty_image_says_so(world):
    axes, envelope = world
    image = scan(0, axes)
    empty = image.with_pixels(np.full_like(image.pixels, 0.3))
    assert envelope.judge(empty, empty.pixels).reasons[-1].startswith("the picture is empty")


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({}, ""),
        ({"modality": "CT"}, "modality CT; the model was made for MR"),
        ({"modality": ""}, ""),
        ({"origin": Origin(body_part="CHEST")}, "body part CHEST; the model was made for BRAIN"),
        (
            {"affine": UPRIGHT @ np.diag([3.0, 1, 1, 1])},
            "along its length its voxels are 3 mm apart",
        ),
        (
            {"affine": UPRIGHT @ np.diag([1, 1, 2.9, 1])},
            "its width is 72 mm; the model was made for 20 to 26",
        ),
        ({"affine": UPRIGHT @ np.diag([0.3, 0.3, 0.3, 1])}, "its length is"),
    ],
)
def test_facts(change, said):
    envelope = MaskEnvelope(*fitted([scan(seed) for seed in range(12)]))
    image = replace(scan(99), **change)
    judged = envelope.judge(image, image.pixels)
    assert judged.refuse == bool(said)
    assert said in "; ".join(judged.reasons)


def test_axes_are_the_patients_however_they_are_stored():
    """Slices 3 mm apart are that along the patient's length also where they come last."""
    image = scan(0)
    turned = image.affine[:, [1, 2, 0, 3]] @ np.diag([1, 1, 3.0, 1])
    stored = image.with_pixels(image.pixels.transpose(0, 2, 3, 1), turned)
    plain = replace(image, affine=image.affine @ np.diag([3.0, 1, 1, 1]))
    assert Shape.of(stored) == Shape.of(plain)


def test_what_has_no_size_is_warned_of():
    envelope = MaskEnvelope(*fitted([scan(seed) for seed in range(12)]))
    image = replace(scan(50), frame="pixel", affine=np.eye(4))
    judged = envelope.judge(image, image.pixels)
    assert judged.warnings == ("the model was made for images of a known size in mm",)


@pytest.mark.parametrize(("n", "views"), [(4, 0), (12, 2), (25, 4)])
def test_few_cases_tell_little(n, views):
    data, arrays = fitted([scan(seed) for seed in range(n)])
    assert len(data["looks"].get("usual", {})) == views and len(arrays) == 4 * views
    assert ("too few" in data.get("reason", "")) == (n < 10)
    noise = strange(scan(99), "noise")
    assert MaskEnvelope(data, arrays).judge(noise, noise.pixels).refuse == (views > 0)


def test_a_model_without_an_envelope_refers_nothing():
    image = strange(scan(0), "noise")
    assert not MaskEnvelope({}, {}).judge(image, image.pixels).refuse


def test_the_predictor_refers_and_outlines_all_the_same():
    data, arrays = fitted([scan(seed) for seed in range(40)])
    kept = {name: array.astype(np.float16).astype(np.float32) for name, array in arrays.items()}
    known = manifest(envelope=json.loads(json.dumps(data)))
    predictor = MaskPredictor.of(known, [Bright()], threads=1, envelope=kept)
    image = scan(77)
    assert predictor.predict_image(image).verdict == "finding"
    noise = strange(image, "noise")
    for scores in (None, predictor.scores(noise)):  # as `evaluate` asks, too
        found = predictor.predict_image(noise, scores=scores)
        assert found.verdict == "refer"
        assert found.reason.startswith("unlike the pictures the model was made for")
        assert found.targets["mask"].mask.labels.any()
