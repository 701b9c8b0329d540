"""`tomos predict --as probability`: of each label a file on the image's own grid."""

import json

import numpy as np
import pytest
import toy
from bright_masks import STEEP, Bright, manifest, model_file, predictor, volume
from PIL import Image as Picture

from tomos import formats
from tomos.cli import main
from tomos.inference import MaskPredictor
from tomos.workflows.predict import predict

pytestmark = pytest.mark.fast
RANGED = [{"step": "channels", "to": 1}, {"step": "normalise", "kind": "range"}]


class Three:
    """ "dim" is what is about 0.8, "bright" what is about 1; "never" is nothing."""

    outputs = ("logits",)

    def __call__(self, inputs, wanted=()):
        x = inputs["image"]
        far = np.concatenate([x, x - 0.8, x - 1, np.full_like(x, 9)], axis=1)
        return {"logits": -STEEP * np.abs(far)}


def likely(x, k):
    logits = -STEEP * np.abs(np.stack([x, x - 0.8, x - 1, np.full_like(x, 9)]))
    grown = np.exp(logits - logits.max(axis=0))
    return (grown / grown.sum(axis=0))[k]


@pytest.fixture
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))


def test_each_label_has_its_probability_on_the_scans_own_grid(tmp_path):
    image = volume(spacing=(1.5, 1.0, 2.0))
    formats.write_nifti(image, tmp_path / "scan.nii.gz")
    known = manifest(classes=({"name": "Lobe A/B"}, {"name": "bright"}, {"name": "never"}))
    using, out = MaskPredictor.of(known, [Three()], threads=1), tmp_path / "out"
    (found,) = predict(using, [tmp_path / "scan.nii.gz"], out, ["probability", "nifti", "doubt"])
    names = ("Lobe-A-B", "bright", "never")
    assert {path.name for path in out.iterdir()} == {
        "scan.nii.gz", "scan-doubt.nii.gz", *(f"scan-{n}-probability.nii.gz" for n in names),
    }  # fmt: skip
    for k, name in enumerate(names, 1):
        read = formats.read(found.files[f"probability-{name}"])
        assert read.size == image.size and np.allclose(read.affine, image.affine)
        assert read.pixels[0] == pytest.approx(likely(image.pixels[0], k), abs=0.003)
    plain = predict(using, [tmp_path / "scan.nii.gz"], tmp_path / "plain", ["nifti"])
    assert plain[0].targets["mask"].amounts == found.targets["mask"].amounts
    whole = (tmp_path / "plain" / "scan.nii.gz").read_bytes()
    assert whole == (out / "scan.nii.gz").read_bytes()


def test_other_readers_see_0_to_1(tmp_path):
    nibabel = pytest.importorskip("nibabel")
    formats.write_nifti(volume(), tmp_path / "scan.nii")
    (found,) = predict(predictor(), [tmp_path / "scan.nii"], tmp_path / "out", ["probability"])
    read = nibabel.load(found.files["probability-ball"])
    assert read.get_data_dtype() == np.uint8
    values = read.get_fdata()
    expected = 1 / (1 + np.exp(-STEEP * (volume().pixels[0] - 0.5)))
    assert values.transpose(2, 1, 0) == pytest.approx(expected, abs=0.003)


def test_after_running_out_of_memory_nothing_is_left_of_the_first_try():
    class Once(Bright):
        def __call__(self, inputs, wanted=()):
            if len(self.shapes) == 3 and not self.room:
                self.room = 1
                raise MemoryError
            return super().__call__(inputs, wanted) if not self.room else self.go_on(inputs)

        def go_on(self, inputs):
            self.room = 0
            self.shapes += [()] * 9
            return Bright.__call__(self, inputs)

    image = volume()
    fresh, tried = (np.zeros((1, *image.size), np.uint8) for _ in range(2))
    predictor().predict_image(image, chances=fresh)
    predictor(Once()).predict_image(image, chances=tried)
    assert fresh.max() > 250 and (fresh == tried).all()


@pytest.fixture
def films(tmp_path, cache):
    pytest.importorskip("onnx")
    model_file(tmp_path / "film.tomos", (None, None), tile=(16, 16), prepare=RANGED,
               network={"name": "unet", "options": {"dims": 2}})  # fmt: skip
    toy.model(tmp_path / "class.tomos")
    pixels = np.zeros((24, 20), np.uint8)
    pixels[4:12, 5:9] = 255
    Picture.fromarray(pixels).save(tmp_path / "film.png")
    return tmp_path


def test_of_a_picture_it_is_a_picture(films, capsys):
    args = ["predict", str(films / "film.tomos"), str(films / "film.png"), "-o", str(films / "o")]
    assert main([*args, "--as", "probability,png", "--json"]) == 0
    files = json.loads(capsys.readouterr().out)["predictions"][0]["files"]
    assert set(files) == {"probability-ball", "overlay"}
    found = np.asarray(Picture.open(files["probability-ball"]))
    assert found.shape == (24, 20) and found.dtype == np.uint8
    assert (found[4:12, 5:9] == 255).all() and found[0, 0] == 0
    assert main([*args, "--as", "probability"]) == 0
    assert "wrote " + files["probability-ball"] in capsys.readouterr().out
    assert {path.name for path in (films / "o").iterdir()} == {
        "film-ball-probability.png", "film-overlay.png",
    }  # fmt: skip


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["class.tomos", "film.png", "-o", "out", "--as", "probability"], "not a form"),
        (["film.tomos", "film.png", "--as", "probability"], "needs a folder to write into"),
        (["film.tomos", "film.png", "-o", "out", "--as", "probabilty"], "did you mean"),
    ],
)
def test_what_cannot_be_is_said(films, monkeypatch, capsys, words, said):
    monkeypatch.chdir(films)
    assert main(["predict", *words]) == 2
    assert said in capsys.readouterr().err
