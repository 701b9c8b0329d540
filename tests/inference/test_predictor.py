"""One path from addresses to predictions, checked on a model whose answer is brightness."""

import numpy as np
import pytest
import toy

from tomos import formats, package
from tomos.inference import Predictor, example, networks
from tomos.transforms.prepare import Chain
from tomos.types import Image, Origin, PackageError, SettingsError

pytestmark = pytest.mark.fast
PREPARE = ({"step": "resize", "size": [8, 8]}, {"step": "normalise", "kind": "range"})


def grey(value: int, size=(16, 16)) -> Image:
    """A picture of one brightness with a little grain."""
    grain = np.random.default_rng(value).integers(0, 9, (1, *size))
    pixels = np.clip(value + grain, 0, 255).astype(np.uint8)
    return Image(pixels, value_range=(0, 255), origin=Origin(path=f"grey {value}"))


@pytest.fixture
def model(tmp_path, cache):
    return toy.model(tmp_path / "model.tomos", prepare=PREPARE)


def png(folder, name: str, image: Image) -> str:
    path = folder / name
    formats.write_png(image, path)
    return str(path)


def test_a_bright_picture_is_a_finding_and_a_dark_one_is_none(model):
    predictor = Predictor(model, threads=1)
    bright, dark = predictor.predict_image(grey(200)), predictor.predict_image(grey(10))
    # logit(bright) is about 8 v - 2 of the mean value v in 0..1, logit(dark) nearly 0
    assert bright.targets["label"].label == "bright"
    expected = 1 / (1 + np.exp(-(8 * 204 / 255 - 2)))
    assert bright.targets["label"].scores["bright"] == pytest.approx(expected, abs=0.02)
    assert (bright.verdict, dark.verdict) == ("finding", "no finding")
    assert "at or above the threshold 0.500" in bright.reason
    assert sum(dark.targets["label"].scores.values()) == pytest.approx(1)


def test_answers_come_in_order_and_a_bad_input_does_not_stop_the_rest(model, tmp_path):
    values = np.random.default_rng(0).permutation(40) * 6
    addresses = [png(tmp_path, f"{i}.png", grey(int(v))) for i, v in enumerate(values)]
    (tmp_path / "bad.png").write_bytes(b"not a picture")
    addresses[7:7] = [str(tmp_path / "bad.png"), str(tmp_path / "missing.png")]
    predictions = list(Predictor(model, threads=1).predict(iter(addresses), batch=5))
    assert [p.input for p in predictions] == addresses
    assert [i for i, p in enumerate(predictions) if p.error] == [7, 8]
    assert "bad.png" in predictions[7].error
    assert "no such file" in predictions[8].error
    scores = [p.targets["label"].scores["bright"] for p in predictions if not p.error]
    assert (np.argsort(scores) == np.argsort(values)).all()
    assert predictions[7].to_json() == {"input": addresses[7], "error": predictions[7].error}


def test_one_by_one_and_in_batches_agree(model, tmp_path):
    predictor = Predictor(model, threads=1)
    images = [grey(v) for v in range(0, 250, 10)]
    x = Chain(PREPARE).many(images)
    one = [predictor.predict_image(image).targets["label"].scores["bright"] for image in images]
    assert predictor.probabilities(x, batch=4)[:, 1] == pytest.approx(one, abs=1e-6)
    assert predictor.features(x).shape == (25, 3)


def test_an_input_of_another_shape_is_an_error_with_both_shapes(tmp_path, cache):
    predictor = Predictor(toy.model(tmp_path / "m.tomos", prepare=PREPARE[1:]), threads=1)
    address = png(tmp_path, "a.png", grey(9))
    (prediction,) = predictor.predict([address])
    assert "(1, 16, 16)" in prediction.error
    assert "(1, 8, 8)" in prediction.error


def test_views_and_graphs_are_averaged_before_calibration(tmp_path, cache):
    graphs = [toy.bright(seed=s) for s in (0, 1)]
    parts = [{"file": f"graphs/{i}.onnx", "outputs": ("logits", "features", "cam")} for i in (0, 1)]
    manifest = toy.manifest(
        graphs=parts, views=("identity", "flip_x"), calibration={"temperature": 2.0}
    )
    package.write(tmp_path / "m.tomos", manifest, graphs)
    predictor = Predictor(tmp_path / "m.tomos", threads=1)
    x = np.random.default_rng(0).random((3, 1, 8, 8), np.float32)
    singles = [n({"image": v}, ("logits",))["logits"] for n in predictor.networks
               for v in (x, np.ascontiguousarray(x[..., ::-1]))]  # fmt: skip
    mean = np.mean(singles, axis=0)
    assert predictor.logits(x) == pytest.approx(mean, abs=1e-5)
    p = np.exp(mean / 2) / np.exp(mean / 2).sum(1, keepdims=True)
    assert predictor.probabilities(x) == pytest.approx(p, abs=1e-5)


def test_a_cam_of_a_flipped_view_is_turned_back(tmp_path, cache):
    plain = Predictor(toy.model(tmp_path / "a.tomos", prepare=PREPARE), threads=1)
    flipped = Predictor(
        toy.model(tmp_path / "b.tomos", prepare=PREPARE, views=("flip_x",)), threads=1
    )
    x = np.zeros((1, 1, 8, 8), np.float32)
    x[0, 0, 1, 1] = 1
    for predictor in (plain, flipped):
        cam = predictor.run(x, ("cam",))["cam"][0, 1]
        assert np.unravel_index(cam.argmax(), cam.shape) == (1, 1)


def test_the_band_around_the_threshold_is_referred(tmp_path, cache):
    point = {"thresholds": {"bright": 0.5}, "refer": {"bright": (0.4, 0.6)}}
    model = toy.model(tmp_path / "m.tomos", prepare=PREPARE, operating_point=point)
    prediction = Predictor(model, threads=1).predict_image(grey(60))
    assert prediction.verdict == "refer"
    assert "too near to the threshold 0.500" in prediction.reason


def test_a_network_of_ones_own_takes_the_same_path(model):
    """As training hands in a torch module: anything that is called with arrays."""

    class Mean:
        outputs = ("logits",)

        def __call__(self, inputs, wanted=()):
            mean = inputs["image"].mean((1, 2, 3))
            return {"logits": np.stack([-mean, mean], axis=1)}

    predictor = Predictor.of(toy.manifest(prepare=PREPARE), [Mean()])
    assert predictor.predict_image(grey(200)).targets["label"].label == "bright"
    assert predictor.features(np.zeros((1, 1, 8, 8), np.float32)) is None


def test_openvino_gives_the_same_logits(model):
    pytest.importorskip("openvino")
    x = np.random.default_rng(0).random((5, 1, 8, 8), np.float32)
    ours = Predictor(model, threads=1).run(x)
    others = Predictor(model, backend="openvino", threads=1).run(x)
    for name in ("logits", "features", "cam"):
        assert others[name] == pytest.approx(ours[name], abs=1e-4)


def test_a_wrong_name_is_answered_with_the_right_one(model):
    with pytest.raises(SettingsError, match="did you mean 'openvino'"):
        Predictor(model, backend="openvin")


def with_example(path, **changes):
    nets = networks(package.read(toy.model(path)))
    made = example.make(PREPARE, nets, 1, (12, 10), seed=3)
    return toy.model(path, prepare=PREPARE, example=made.model_copy(update=changes))


def test_the_synthetic_example_is_run_once_for_each_file(tmp_path, cache):
    path = with_example(tmp_path / "m.tomos")
    Predictor(path, threads=1)
    (marker,) = (cache / "tomos" / "verified").iterdir()
    read = package.read(path)
    predictor = Predictor(read, threads=1)
    nets = predictor.networks
    assert not example.verify_once(read, predictor.chain, nets, nets[0].runtime, None)
    marker.unlink()
    assert example.verify_once(read, predictor.chain, nets, nets[0].runtime, None)
    assert predictor.example().size == (12, 10)
    predictor.verify()


def test_a_marker_that_cannot_be_written_is_harmless(tmp_path):
    (tmp_path / "file").write_text("")
    path = with_example(tmp_path / "m.tomos")
    assert Predictor(path, threads=1, cache=tmp_path / "file").predict_image(grey(9))


def test_another_answer_than_the_stated_one_is_refused(tmp_path, cache):
    path = with_example(tmp_path / "m.tomos", logits=((0.0, 9.0),))
    with pytest.raises(PackageError, match="does not give its own answer on this machine"):
        Predictor(path, threads=1)
    path = with_example(tmp_path / "m.tomos", digest="0" * 64)
    with pytest.raises(PackageError, match="cannot be made again"):
        Predictor(path, threads=1)


def test_the_synthetic_picture_is_the_same_everywhere():
    """By whole numbers from a stream that never changes; this digest was noted once."""
    made = example.picture(0, (28, 28))
    assert made.pixels.shape == (1, 28, 28)
    assert example.digest(made).startswith("baaa558e50cecaec")


def test_a_file_with_unknown_steps_or_views_is_refused(tmp_path, cache):
    with pytest.raises(PackageError, match="os_system"):
        Predictor(toy.model(tmp_path / "m.tomos", prepare=({"step": "os_system"},)))
    with pytest.raises(PackageError, match="views"):
        Predictor(toy.model(tmp_path / "m.tomos", views=("sideways",)))
