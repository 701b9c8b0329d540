"""What an outlined region's score depends on: maps point at the blob that was outlined."""

import json

import numpy as np
import pytest

from tomos import cli, config, explain, formats
from tomos.inference import MaskPredictor
from tomos.inference.carried import carried
from tomos.types import Image, Mask, Origin, SettingsError

METHODS = ("occlusion", "gradcam")
CORNERS = [(0, 0, 0), (0, 1, 1), (1, 0, 1), (1, 1, 0)]
SIDE = {2: 32, 3: 16}
UPRIGHT = np.array([[0, 0, -1.0, 0], [0, -1.0, 0, 0], [1.0, 0, 0, 0], [0, 0, 0, 1.0]])


def scene(corner, axes: int, seed: int = 0, size: int = 0):
    """(1, ...) a bright ball in the middle of one corner, a faint one in every other, and noise;
    the labels of the bright one."""
    size = size or SIDE[axes]
    grid, rng = np.indices((size,) * axes), np.random.default_rng(seed)

    def far(where):
        at = [(0.25 + 0.5 * side) * size for side in where[-axes:]]
        away = grid - np.reshape(at, (-1, *[1] * axes))
        return np.sqrt(np.square(away).sum(axis=0))

    labels = (far(corner) < size / 9).astype(np.uint8)
    pixels = rng.normal(0, 0.05, (size,) * axes) + labels
    return pixels[None].astype(np.float32), labels


def manifest(axes: int):
    from bright_masks import manifest as made

    return made(
        tile=(SIDE[axes],) * axes,
        graphs=({"file": "graphs/0.onnx", "outputs": ("logits", "features")},),
        network={"name": "unet", "options": {}},
    )


@pytest.fixture(scope="module", params=[2, 3], ids=["picture", "volume"])
def taught(request, tmp_path_factory):
    """A small U-Net taught to outline the bright ball, as a model file."""
    torch = pytest.importorskip("torch")
    from tomos import models, package
    from tomos.inference import example
    from tomos.inference.network import OnnxRuntime

    axes = request.param
    torch.manual_seed(0)
    torch.set_num_threads(1)
    net = models.build("unet", 1, 2, dims=axes, widths=[4, 8, 8], blocks=[1], decoder_blocks=[1])
    optimiser = torch.optim.Adam(net.parameters(), 0.02)
    for step in range(40):
        scenes = [scene(CORNERS[(step + k) % 4], axes, 10 * step + k) for k in range(4)]
        x = torch.from_numpy(np.stack([pixels for pixels, _ in scenes]))
        truth = torch.from_numpy(np.stack([labels for _, labels in scenes])).long()
        weights = torch.tensor([1.0, 5.0])
        loss = torch.nn.functional.cross_entropy(net(x), truth, weights)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    graph = models.to_onnx(net.eval(), torch.zeros(2, 1, *(SIDE[axes],) * axes))
    known = manifest(axes)
    made = example.make((), [OnnxRuntime(graph, "net", 1)], 1, known.input.size)
    path = tmp_path_factory.mktemp("taught") / f"{axes}.tomos"
    package.write(path, known.model_copy(update={"example": made}), [graph])
    return MaskPredictor(path, threads=1, cache=path.parent)


def image_of(pixels) -> Image:
    if pixels.ndim == 3:
        return Image(pixels, origin=Origin(path="film"))
    return Image(pixels, UPRIGHT, "patient", origin=Origin(path="scan"))


def heat_of(predictor, image, method):
    answer = predictor.predict_image(image).targets["mask"]
    assert answer.mask is not None
    return explain.mask_heatmap(predictor, image, answer.mask, "ball", method), answer.mask


def corner_of(heat: np.ndarray) -> tuple[int, ...]:
    """The corner of the array that holds most of the heat."""
    middle = np.array(heat.shape) / 2
    where = np.argwhere(heat > 0)
    left = np.zeros((2,) * heat.ndim)
    np.add.at(left, tuple((where >= middle).astype(int).T), heat[heat > 0])
    return tuple(int(side) for side in np.unravel_index(left.argmax(), left.shape))


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("corner", CORNERS)
def test_the_map_points_at_the_ball(taught, method, corner):
    axes = len(taught.manifest.input.size)
    pixels, truth = scene(corner, axes, seed=99)
    found, mask = heat_of(taught, image_of(pixels), method)
    assert (mask.labels * truth).sum() > 0.5 * truth.sum()
    heat = found.heat.pixels[0]
    assert heat.shape == truth.shape
    assert heat.min() >= 0 and heat.max() == pytest.approx(1, abs=1e-3)
    assert corner_of(heat) == corner[-axes:]
    assert found.share == 1 and 0.5 < found.score <= 1


@pytest.mark.parametrize("method", METHODS)
def test_an_image_of_several_tiles_has_a_map_in_one_piece(taught, method):
    axes = len(taught.manifest.input.size)
    scenes = [scene(corner, axes, seed=7) for corner in ((0, 0, 1), (1, 1, 0))]
    wide = np.concatenate([pixels for pixels, _ in scenes], axis=-1)
    found, _ = heat_of(taught, image_of(wide), method)
    heat = found.heat.pixels[0]
    assert heat.shape == wide.shape[1:] and found.share == 1
    # No tile holds noise alone, in which this small network may outline something.
    for (_, truth), half in zip(scenes, np.split(heat, 2, axis=-1), strict=True):
        inside, outside = half[truth > 0].mean(), half[truth == 0].mean()
        assert inside > 2 * outside and half.max() > 0.05


@pytest.mark.parametrize("method", METHODS)
def test_where_nothing_is_outlined_there_is_no_map(taught, method):
    axes = len(taught.manifest.input.size)
    image = image_of(np.zeros((1, *[SIDE[axes]] * axes), np.float32))
    mask = Mask.on(image, np.zeros(image.size, np.uint8), ("ball",))
    assert explain.mask_heatmap(taught, image, mask, "ball", method) is None


@pytest.mark.fast
def test_methods_of_masks_are_those_that_fit():
    assert set(explain.mask_methods()) == set(METHODS) <= set(explain.methods())
    with pytest.raises(SettingsError, match="cam explains the probability of a class"):
        explain.mask_method("cam")
    with pytest.raises(SettingsError, match="did you mean 'gradcam'"):
        explain.mask_method("gradcan")


@pytest.mark.parametrize("axes", [2, 3])
@pytest.mark.parametrize("name", ["unet", "residual_unet", "vnet", "attention_unet",
                                  "transformer_unet"])  # fmt: skip
@pytest.mark.parametrize("other", [False, True], ids=["plain", "other"])
def test_a_graph_of_masks_run_again_in_torch_gives_the_same_logits(name, axes, other):
    torch = pytest.importorskip("torch")
    from tomos import models
    from tomos.models._from_onnx import Segmenting

    torch.manual_seed(0)
    more = {"up": "interpolated", "down": "max", "norm": "batch", "activation": "prelu"}
    net = models.build(name, 1, 3, dims=axes, widths=[4, 8, 16], **(more if other else {})).eval()
    x = torch.rand(1, 1, *[16] * axes)
    again = Segmenting(models.to_onnx(net, x))
    with torch.no_grad():
        maps = again.maps(x)
        assert maps.shape == net.encode(x)[-1].shape
        assert again.logits(x, maps).numpy() == pytest.approx(net(x).numpy(), abs=1e-4)
        assert not np.allclose(again.logits(x, 0 * maps).numpy(), net(x).numpy(), atol=1e-4)


@pytest.mark.fast
def test_a_map_is_carried_onto_a_turned_scan():
    """A ramp along the patient's length, on 2 mm, is the same ramp on 1 mm and other axes."""
    values = np.zeros((8, 6, 6), np.float32)
    values[...] = np.arange(1, 9)[:, None, None]
    doubled = UPRIGHT @ np.diag([2.0, 2, 2, 1])
    prepared = Image(values[None], doubled, "patient")
    turned = UPRIGHT[:, [2, 1, 0, 3]]  # X comes first
    scan = Image(np.zeros((1, 10, 10, 15), np.float32), turned, "patient")
    found = carried(values, prepared, scan)
    assert found.shape == (10, 10, 15)
    assert found[3, 4] == pytest.approx(1 + np.arange(15) / 2)
    outside = Image(np.zeros((1, 4, 4, 40), np.float32), turned, "patient")
    assert not carried(values, prepared, outside)[..., 16:].any()
    assert not carried(0 * values, prepared, scan).any()


@pytest.mark.parametrize("method", METHODS)
def test_the_command_writes_a_map_on_the_images_own_grid(taught, tmp_path, capsys, method):
    axes = len(taught.manifest.input.size)
    pixels, _ = scene((1, 0, 1), axes, seed=3)
    image = image_of(pixels)
    if axes == 3:
        formats.write_nifti(image, tmp_path / "scan.nii")
    else:  # the network's norm makes it blind to the scale of grey
        bytes_ = np.round(np.clip(pixels, 0, 1) * 255).astype(np.uint8)
        formats.write_png(Image(bytes_), tmp_path / "scan.png")
    (given,), out = tmp_path.glob("scan.*"), tmp_path / "out"
    words = ["explain", str(taught.package.path), str(given), "-o", str(out), "--json"]
    assert cli.main([*words, *(["--method", method] if method == "gradcam" else [])]) == 0
    (told,) = json.loads(capsys.readouterr().out)["explanations"]
    assert (told["label"], told["method"]) == ("ball", method) and 0.5 < told["score"] <= 1
    heat = formats.read(told["files"]["nifti"])
    own = heat.pixels[0] if axes == 3 else heat.pixels.reshape(image.size)
    assert corner_of(own) == (1, 0, 1)[-axes:]
    if axes == 3:
        assert heat.size == image.size and np.allclose(heat.affine, image.affine)
    assert {path.name for path in out.iterdir()} == {
        f"scan-{method}{end}" for end in (".png", "-map.png", ".nii.gz")
    }


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--method", "integrated_gradients"], "for masks there are: gradcam, occlusion"),
        (["--method", "oclusion"], "did you mean 'occlusion'"),
        (["--label", "bal"], "did you mean 'ball'"),
        (["--sanity"], "is for models that name classes"),
        (["--as", "doubt"], "not a form"),
    ],
)
def test_what_does_not_fit_masks_is_said_once(taught, tmp_path, capsys, words, said):
    model = str(taught.package.path)
    assert cli.main(["explain", model, "none.png", "-o", str(tmp_path / "o"), *words]) == 2
    told = capsys.readouterr()
    assert said in told.err and "Traceback" not in told.err and not told.out
    assert config.names("tomos.explain")
