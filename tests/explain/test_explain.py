"""Every method points at the blob; without torch the map is the one torch gives."""

import subprocess
import sys

import numpy as np
import pytest
import toy

from tomos import config, explain, package
from tomos.explain._heat import enlarge, overlay, to_unit
from tomos.inference import Predictor
from tomos.types import Image, Origin, PackageError, SettingsError

METHODS = config.names("tomos.explain")
CORNERS = {"top left": (0, 0), "top right": (0, 1), "bottom left": (1, 0), "bottom right": (1, 1)}


def blob(corner: tuple[int, int], size=(32, 32), seed=0) -> np.ndarray:
    """(1, Y, X) in 0..1: a bright ball in the middle of one quarter, a little noise elsewhere."""
    y, x = np.indices(size)
    at = [(0.25 + 0.5 * side) * length for side, length in zip(corner, size, strict=True)]
    ball = np.exp(-(np.hypot(y - at[0], x - at[1]) ** 2) / (2 * (size[0] / 12) ** 2))
    noise = np.random.default_rng(seed).uniform(0, 0.05, size)
    return np.clip(ball + noise, 0, 1)[None].astype(np.float32)


def quarter(heat: np.ndarray) -> tuple[int, int]:
    """The quarter of the picture that holds most of the heat."""
    y, x = heat.shape[0] // 2, heat.shape[1] // 2
    parts = {(i, j): heat[i * y : (i + 1) * y, j * x : (j + 1) * x].sum()
             for i in (0, 1) for j in (0, 1)}  # fmt: skip
    return max(parts, key=lambda place: parts[place])


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    """Brightness of a 32 x 32 picture speaks for the class "bright"."""
    path = tmp_path_factory.mktemp("explain") / "m.tomos"
    manifest = toy.manifest(
        input={"channels": 1, "size": (32, 32)},
        prepare=(
            {"step": "resize", "size": [32, 32]},
            {"step": "normalise", "kind": "range"},
        ),
    )
    package.write(path, manifest, [toy.bright(size=(32, 32))])
    return path


@pytest.fixture(scope="module")
def predictor(model, tmp_path_factory):
    return Predictor(model, threads=1, cache=tmp_path_factory.mktemp("cache"))


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("corner", CORNERS.values(), ids=CORNERS)
def test_every_method_points_at_the_blob(predictor, method, corner):
    if config.plugin("tomos.explain", method).NEEDS_TORCH:
        pytest.importorskip("torch")
    pixels = np.round(blob(corner) * 255).astype(np.uint8)
    heat = explain.heatmap(predictor, Image(pixels, value_range=(0, 255)), "bright", method)
    assert heat.pixels.shape == (1, 32, 32)
    assert heat.pixels.min() >= 0
    assert heat.pixels.max() == pytest.approx(1, abs=1e-3)
    assert quarter(heat.pixels[0]) == corner


@pytest.mark.parametrize("method", METHODS)
def test_the_map_lies_on_the_images_own_grid(predictor, method):
    """A picture three times as high as the network takes, with millimetres of its own."""
    if config.plugin("tomos.explain", method).NEEDS_TORCH:
        pytest.importorskip("torch")
    affine = np.diag([1.0, 0.2, 0.3, 1.0])
    pixels = np.round(blob((1, 0), (96, 64)) * 255).astype(np.uint8)
    image = Image(pixels, affine, "detector", value_range=(0, 255), origin=Origin(path="x"))
    heat = explain.heatmap(predictor, image, "bright", method)
    assert heat.pixels.shape == (1, 96, 64)
    assert heat.spacing == image.spacing
    assert heat.frame == "detector"
    assert quarter(heat.pixels[0]) == (1, 0)


@pytest.mark.parametrize("method", METHODS)
def test_other_weights_give_another_map(method, tmp_path):
    """Sanity check of Adebayo et al. 2018 (arXiv:1810.03292): a map that stays the same under
    random weights explains the picture, not the network."""
    if config.plugin("tomos.explain", method).NEEDS_TORCH:
        pytest.importorskip("torch")
    rng = np.random.default_rng(0)
    linear = np.array([[-1.0, -1, -1], [1, 1, 1]])
    random = toy.graph(rng.normal(0, 1, (3, 1, 3, 3)), linear, np.zeros(2), (32, 32))
    heats = []
    for name, graph in (("a", toy.bright(size=(32, 32))), ("b", random)):
        path = tmp_path / f"{name}.tomos"
        package.write(path, toy.manifest(input={"channels": 1, "size": (32, 32)}), [graph])
        predictor = Predictor(path, threads=1, cache=tmp_path)
        image = Image(blob((0, 1)) - 0.3, value_range=(0, 1))
        heats.append(explain.heatmap(predictor, image, "bright", method).pixels.ravel())
    assert np.corrcoef(heats)[0, 1] < 0.9


def test_gradient_maps_of_random_weights_are_others(predictor):
    """The check itself, and without torch: test_checks.py."""
    pytest.importorskip("torch")
    images = [Image(np.round(blob(c) * 255).astype(np.uint8)) for c in CORNERS.values()]
    images = [image.with_pixels(image.pixels, value_range=(0, 255)) for image in images]
    found = explain.sanity(predictor, images, "bright", "gradcam")
    assert found.shape == (4,)
    assert found.max() < 0.95


@pytest.mark.parametrize("name", ["resnet_small", "custom"])
def test_cam_without_torch_is_the_cam_of_torch(name, tmp_path):
    torch = pytest.importorskip("torch")
    from tomos import models

    torch.manual_seed(0)
    net = models.build(name, 1, 3).eval()
    assert net.linear is not None
    x = torch.rand(3, 1, 32, 32)
    target = np.array([0, 2, 1])
    with torch.no_grad():
        alone = torch.einsum("bfyx,kf->bkyx", net.maps(x), net.linear.weight).numpy()
    expected = (alone - alone.mean(axis=1, keepdims=True))[np.arange(3), target]
    path = tmp_path / "m.tomos"
    manifest = toy.manifest(
        classes=({"name": "a"}, {"name": "b"}, {"name": "c"}),
        input={"channels": 1, "size": (32, 32)},
        operating_point={},
    )
    package.write(path, manifest, [models.to_onnx(net, x)])
    predictor = Predictor(path, threads=1, cache=tmp_path)
    ours = explain.maps("cam", predictor.network, x.numpy(), target)
    assert ours == pytest.approx(to_unit(enlarge(expected, (32, 32))), abs=1e-3)
    gradient = explain.maps("gradcam", net, x.numpy(), target)
    assert gradient == pytest.approx(ours, abs=1e-3)
    # Labels that do not exclude each other: Zhou's map as it is.
    single = explain.maps("cam", predictor.network, x.numpy(), target, "multilabel")
    plain = to_unit(enlarge(alone[np.arange(3), target], (32, 32)))
    assert single == pytest.approx(plain, abs=1e-3)
    gradient = explain.maps("gradcam", net, x.numpy(), target, "multilabel")
    assert gradient == pytest.approx(single, abs=1e-3)


@pytest.mark.fast
def test_what_all_classes_share_is_no_reason_for_one():
    class Net:
        outputs = ("logits", "cam")

        def __init__(self, common):
            self.common = common

        def __call__(self, inputs, wanted=()):
            found = np.zeros((1, 2, 8, 8), np.float32)
            found[0, 1, 2, 5] = 1
            return {"cam": found + self.common}

    x = np.zeros((1, 1, 32, 32), np.float32)
    background = np.random.default_rng(0).normal(0, 5, (8, 8)).astype(np.float32)
    quiet, loud = (explain.maps("cam", Net(c), x, 1) for c in (0, background))
    assert loud == pytest.approx(quiet, abs=1e-5)
    assert np.unravel_index(quiet[0].argmax(), (32, 32))[0] in (9, 10)


@pytest.mark.fast
def test_a_peak_between_two_cells_is_shown_between_them():
    cells = np.zeros((1, 8, 8), np.float32)
    cells[0, 3, 3:5] = 1
    row = enlarge(cells, (32, 32))[0, 13]
    assert row.argmax() in (15, 16) and row.max() > 1.02 * row[14 - 1]
    assert enlarge(np.full((1, 3, 5), 2.0), (7, 9)) == pytest.approx(np.full((1, 7, 9), 2.0))
    assert enlarge(np.ones((1, 1, 1)), (4, 4)) == pytest.approx(np.ones((1, 4, 4)))


@pytest.mark.parametrize("name", ["resnet_small", "small_cnn", "densenet121", "googlenet"])
def test_a_graph_run_again_in_torch_gives_the_same_logits(name):
    torch = pytest.importorskip("torch")
    from tomos import models
    from tomos.models._from_onnx import Replay

    torch.manual_seed(0)
    net = models.build(name, 1, 2).eval()
    x = torch.rand(2, 1, 64, 64)
    replay = Replay(models.to_onnx(net, x), (1, 64, 64))
    with torch.no_grad():
        assert replay(x).numpy() == pytest.approx(net(x).numpy(), abs=1e-4)
        assert replay.classify(replay.pool(replay.maps(x))).numpy() == pytest.approx(
            net(x).numpy(), abs=1e-4
        )
        assert replay.maps(x).shape[1] == net.maps(x).shape[1]


def test_integrated_gradients_add_up():
    """Completeness: what the pixels add is s(x) - s(x0)."""
    torch = pytest.importorskip("torch")
    from tomos.explain.integrated_gradients import attribute

    torch.manual_seed(0)
    net = torch.nn.Sequential(
        torch.nn.Conv2d(1, 4, 3), torch.nn.Softplus(), torch.nn.Flatten(), torch.nn.LazyLinear(2)
    )
    x = torch.rand(2, 1, 8, 8)
    black, white = (f(x, dim=(2, 3), keepdim=True).expand_as(x) for f in (torch.amin, torch.amax))
    with torch.no_grad():
        risen = (net(x) - (net(black) + net(white)) / 2).numpy()
    expected = risen[:, 1] - risen.mean(axis=1)
    alone = attribute(net, x.numpy(), 1, "multilabel").sum(axis=(1, 2, 3))
    assert alone == pytest.approx(risen[:, 1], abs=1e-4)
    given = attribute(net, x.numpy(), 1).sum(axis=(1, 2, 3))
    assert given == pytest.approx(expected, abs=1e-4)


def test_gradient_methods_say_what_to_install(model):
    code = (
        "import sys; sys.modules['torch'] = None\n"
        "import numpy as np\nfrom tomos import explain\nfrom tomos.inference import Predictor\n"
        "from tomos.types import Image, MissingExtra\n"
        f"p = Predictor({str(model)!r}, threads=1)\n"
        "image = Image(np.zeros((1, 32, 32), np.uint8), value_range=(0, 255))\n"
        "assert explain.heatmap(p, image, 'bright', 'cam').size == (32, 32)\n"
        "try:\n    explain.heatmap(p, image, 'bright', 'gradcam')\n"
        "except MissingExtra as error:\n    assert 'tomos[train]' in str(error)\n"
        "else:\n    raise SystemExit('no error')\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)


@pytest.mark.fast
def test_names_are_answered_with_the_nearest(predictor):
    image = Image(np.zeros((1, 32, 32), np.uint8), value_range=(0, 255))
    with pytest.raises(SettingsError, match="did you mean 'gradcam'"):
        explain.heatmap(predictor, image, "bright", "gradcm")
    with pytest.raises(SettingsError, match="did you mean 'bright'"):
        explain.heatmap(predictor, image, "brigt")


@pytest.mark.fast
def test_a_network_without_cam_says_what_to_use():
    class Plain:
        outputs = ("logits",)

        def __call__(self, inputs, wanted=()):
            return {"logits": np.zeros((len(inputs["image"]), 2), np.float32)}

    with pytest.raises(PackageError, match="use occlusion"):
        explain.maps("cam", Plain(), np.zeros((1, 1, 8, 8), np.float32), 0)
    # Nothing speaks for a class whose score never changes: an empty map, not noise.
    assert not explain.maps("occlusion", Plain(), np.zeros((2, 1, 8, 8), np.float32), 0).any()


@pytest.mark.fast
def test_enlarging_keeps_the_place_of_a_cell():
    small = np.zeros((1, 8, 8), np.float32)
    small[0, 3, 4] = 1
    large = enlarge(small, (64, 64))[0]
    centre = np.array([(large * g).sum() / large.sum() for g in np.indices((64, 64))])
    assert centre == pytest.approx([(3 + 0.5) * 8 - 0.5, (4 + 0.5) * 8 - 0.5], abs=1e-4)


@pytest.mark.fast
def test_an_overlay_leaves_what_is_cold():
    picture = np.linspace(0, 1, 64, dtype=np.float32).reshape(1, 8, 8)
    heat = np.zeros((8, 8), np.float32)
    heat[0, 0] = 1
    over = overlay(picture, heat)
    assert (over[:, 0, 1:] == np.round(picture[0, 0, 1:] * 255)).all()
    assert over[0, 0, 0] > 100
