"""The layers that make nets safe for any size, and the switches of the nets."""

import subprocess
import sys

import pytest
import torch
import torch.nn.functional as F

from tomos import models
from tomos.models import resnet
from tomos.models._net import AvgPool, BlurPool, GridPool, MaxPool, StochasticDepth
from tomos.types import SettingsError


@pytest.mark.parametrize("size", [(7, 7), (17, 23), (1, 28), (3, 2), (64, 33)])
@pytest.mark.parametrize("grid", [(7, 7), (1, 1), (4, 6)])
def test_grid_pool_is_adaptive_average_pooling(size, grid):
    x = torch.randn(2, 3, *size)
    torch.testing.assert_close(GridPool(grid)(x), F.adaptive_avg_pool2d(x, grid))


def test_windows_shrink_to_small_pictures_and_change_nothing_else():
    x = torch.tensor([[[[1.0, 5.0, 2.0]]]])
    assert MaxPool(2)(x).tolist() == [[[[5.0]]]]
    assert AvgPool(2)(x).tolist() == [[[[3.0]]]]
    big = torch.randn(1, 2, 13, 10)
    assert torch.equal(MaxPool(3, 2, 1)(big), F.max_pool2d(big, 3, 2, 1))
    assert torch.equal(MaxPool(3, 2, ceil_mode=True)(big), F.max_pool2d(big, 3, 2, ceil_mode=True))
    assert torch.equal(AvgPool(2)(big), F.avg_pool2d(big, 2))


def test_blur_pool_keeps_a_flat_picture_and_spreads_a_point():
    blur = BlurPool(1)
    assert torch.equal(blur(torch.ones(1, 1, 5, 5)), torch.ones(1, 1, 3, 3))
    point = torch.zeros(1, 1, 5, 5)
    point[..., 2, 2] = 16.0
    assert blur(point)[0, 0].tolist() == [[0, 0, 0], [0, 4, 0], [0, 0, 0]]
    point = torch.zeros(1, 1, 5, 5)
    point[..., 1, 1] = 16.0  # between four samples: each takes a sixteenth
    assert blur(point)[0, 0, :2, :2].tolist() == [[1, 1], [1, 1]]


def test_stochastic_depth_drops_whole_pictures_while_training_only():
    torch.manual_seed(0)
    layer, x = StochasticDepth(0.25), torch.ones(4000, 2, 1, 1)
    kept = layer.train()(x)
    assert kept.unique().tolist() == pytest.approx([0.0, 1 / 0.75])
    assert torch.equal(kept[:, 0], kept[:, 1])
    assert float(kept.mean()) == pytest.approx(1, abs=0.03)
    assert layer.eval()(x) is x


@pytest.mark.parametrize(("stem", "side"), [("imagenet", 2), ("medium", 4), ("small", 8)])
@pytest.mark.parametrize("name", ["resnet18", "densenet121"])
def test_stems_fit_the_size_of_the_picture(name, stem, side):
    with torch.device("meta"):
        net = models.build(name, 1, 2, stem=stem)
    assert models.describe(net, (64, 64)).maps[1:] == (side, side)


@pytest.mark.parametrize(
    "options",
    [
        {"se": True},
        {"antialias": True, "stem": "imagenet"},
        {"stochastic_depth": 0.5, "dropout": 0.5},
        {"zero_init": True},
        {"stem": "medium", "width": 8, "blocks": [1, 2]},
    ],
)
def test_every_switch_of_resnet_learns(options):
    torch.manual_seed(0)
    net = models.build("resnet_small", 1, 2, **{"width": 4, "blocks": (1, 1), **options})
    before = [p.clone() for p in net.parameters()]
    optimiser = torch.optim.SGD(net.parameters(), 0.1)
    x, y = torch.randn(16, 1, 20, 20), torch.arange(16) % 2
    for _ in range(3):
        optimiser.zero_grad()
        F.cross_entropy(net(x), y).backward()
        optimiser.step()
    moved = [not torch.equal(a, b) for a, b in zip(before, net.parameters(), strict=True)]
    assert all(moved)


def test_blocks_start_as_identity_with_zero_init():
    net = models.build("resnet_small", 1, 2, width=4, blocks=(1,), zero_init=True).eval()
    x = torch.rand(1, 4, 8, 8)
    assert torch.equal(net.layer1(x), x)


def test_a_perceptron_is_one_linear_map_of_the_pixels():
    net = models.build("perceptron", 1, 2, size=(4, 4))
    x = torch.randn(3, 1, 4, 4)
    torch.testing.assert_close(net(x), x.flatten(1) @ net.head.weight.T + net.head.bias)


# The custom net


def build(*layers, **options):
    return models.build("custom", 2, 3, layers=list(layers), **options)


def test_a_custom_net_is_what_its_list_says():
    net = build(
        {"layer": "conv", "out": 4, "kernel": 5, "stride": 2, "padding": 1},
        {"layer": "norm", "kind": "group", "groups": 2},
        {"layer": "activation", "kind": "leaky_relu", "slope": 0.2},
        {"layer": "pool", "kind": "average", "kernel": 2},
        {"layer": "linear", "out": 6, "grid": [2, 2]},
        {"layer": "activation", "kind": "tanh"},
    )
    text = [str(layer) for layer in (*net.convolutions, *net.dense)]
    assert text[0] == "Conv2d(2, 4, kernel_size=(5, 5), stride=(2, 2), padding=(1, 1))"
    assert text[1].startswith("GroupNorm(2, 4") and text[2] == "LeakyReLU(negative_slope=0.2)"
    assert text[3].startswith("AvgPool(kernel_size=2")
    assert text[4].startswith("Linear(in_features=16, out_features=6") and text[5] == "Tanh()"
    assert net.linear is None and net(torch.zeros(2, 2, 20, 20)).shape == (2, 3)
    # floor((W - F + 2P) / S) + 1: (20 - 5 + 2) // 2 + 1 = 9, then (9 - 2) // 2 + 1 = 4
    sizes = [row.size for row in models.describe(net, (20, 20)).rows]
    assert sizes[0] == (4, 9, 9) and sizes[3] == (4, 4, 4)


def test_without_dense_layers_the_map_is_exact():
    net = build({"layer": "conv", "out": 4}, {"layer": "activation"})
    assert net.linear is net.head


def test_the_smallest_picture_is_known():
    net = build(
        {"layer": "conv", "out": 2, "kernel": 5, "padding": 0},
        {"layer": "pool", "kernel": 2},
        {"layer": "conv", "out": 2, "kernel": 3, "padding": 0},
    )
    # 3 pixels before the last convolution, 6 before the pooling, 10 before the first
    assert net.smallest == 10
    assert net(torch.zeros(1, 2, 10, 10)).shape == (1, 3)
    with pytest.raises(SettingsError, match="at least 10 px"):
        net(torch.zeros(1, 2, 9, 10))


@pytest.mark.parametrize(
    ("init", "spread", "spread_is"),
    [
        # Glorot: variance 2 / (fan in + fan out); He: 2 / fan in; fans are maps x 9
        ("xavier", "normal", (2 / (100 * 9 + 200 * 9)) ** 0.5),
        ("xavier", "uniform", (2 / (100 * 9 + 200 * 9)) ** 0.5),
        ("he", "normal", (2 / (100 * 9)) ** 0.5),
        ("he", "uniform", (2 / (100 * 9)) ** 0.5),
    ],
)
def test_initial_weights_have_the_published_spread(init, spread, spread_is):
    torch.manual_seed(0)
    conv = {"layer": "conv", "out": 200}
    net = models.build("custom", 100, 2, layers=[conv], init=init, spread=spread)
    weight = net.convolutions[0].weight
    assert float(weight.detach().std()) == pytest.approx(spread_is, rel=0.02)
    assert not net.convolutions[0].bias.any()


def test_instance_and_layer_norm_do_what_they_are_called():
    x = torch.randn(2, 2, 5, 5) * 3 + 1
    kinds = {
        kind: build({"layer": "norm", "kind": kind, "groups": 2}).maps(x).detach()
        for kind in ("layer", "instance")
    }
    torch.testing.assert_close(kinds["instance"], F.instance_norm(x))
    torch.testing.assert_close(kinds["layer"], F.layer_norm(x, x.shape[1:]))


@pytest.mark.parametrize(
    ("layers", "reason"),
    [
        ([], "at least 1 item"),
        ([{"layer": "convolution", "out": 3}], "layers.0"),
        ([{"layer": "conv"}], "layers.0.conv.out"),
        ([{"layer": "conv", "out": 3, "stirde": 2}], "did you mean|unknown setting"),
        ([{"layer": "linear", "out": 3}, {"layer": "conv", "out": 3}], "after a linear layer"),
        ([{"layer": "norm", "kind": "group", "groups": 3}], "divide 2 maps, got 3"),
        ([{"layer": "conv", "out": 3, "groups": 2}], "divide 2 and 3 maps, got 2"),
        ([{"layer": "pool", "kernel": 2, "padding": 2}], "at most half the kernel"),
        ([{"layer": "linear", "out": 4}, {"layer": "norm", "kind": "instance"}], "needs maps"),
    ],
)
def test_lists_that_make_no_net_are_refused_in_words(layers, reason):
    with pytest.raises(SettingsError, match=reason):
        build(*layers)


def test_a_pointwise_step_is_the_same_while_it_learns():
    layer = resnet.Pointwise(8, 12, 1, 2, bias=False)
    x = torch.randn(2, 8, 9, 7)
    assert torch.allclose(layer.train()(x), layer.eval()(x), atol=1e-6)


NARROW = """
import torch
from tomos.models import resnet
layer = resnet.Pointwise(8, 16, 1, 2, bias=False).to(memory_format=torch.channels_last)
x = torch.randn(11, 8, 28, 28).contiguous(memory_format=torch.channels_last)
for _ in range(60):
    beside = [torch.randn(37 * n + 5) for n in range(1, 40)]
    layer(x).square().sum().backward()
    with torch.autocast("cpu", torch.bfloat16):
        y = layer(x)
    y.float().square().sum().backward()
    del beside
"""


def test_narrow_maps_channels_last_learn_without_a_crash():
    # A process of its own: what oneDNN's issue 6035 writes to ends in an abort, with a plain
    # convolution here in each of five runs on a processor with AVX-512.
    done = subprocess.run([sys.executable, "-c", NARROW], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
