"""Settings and parts of segmentation networks: each does what its description says."""

import itertools

import onnxruntime
import pytest
import torch

from tomos import config, models
from tomos.models._instance_norm import InstanceNorm
from tomos.models._spatial import Interpolation, VolumeHead
from tomos.models.attention_unet import Gate
from tomos.models.residual_unet import Options, Residual
from tomos.models.vnet import Interaction
from tomos.types import SettingsError


def small(name="unet", dims=2, **options):
    torch.manual_seed(0)
    return models.build(name, 1, 2, dims=dims, **{"widths": (4, 8), "blocks": (1,)} | options)


NORMS = ("instance", "group", "layer", "batch", "none")
ACTIVATIONS = ("leaky_relu", "relu", "prelu")
WAYS = (("strides", "transposed"), ("max", "interpolated"))


@pytest.mark.parametrize("dims", [2, 3])
@pytest.mark.parametrize(("norm", "activation"), itertools.product(NORMS, ACTIVATIONS))
def test_every_choice_learns_and_leaves_as_a_graph(norm, activation, dims):
    for down, up in WAYS:
        chosen = {"norm": norm, "activation": activation, "down": down, "up": up, "groups": 2}
        net = small(dims=dims, **chosen)
        x = torch.randn(2, 1, *(6,) * dims)
        net.deep(x)[0].square().mean().backward()
        assert all(p.grad is not None and p.grad.isfinite().all() for p in net.parameters())
        net.eval()
        session = onnxruntime.InferenceSession(models.to_onnx(net, x))
        with torch.no_grad():
            assert (
                abs(session.run(["logits"], {"image": x.numpy()})[0] - net(x).numpy()).max() < 1e-4
            )


@pytest.mark.parametrize("shape", [(2, 5, 7, 6), (3, 4, 5, 3, 4), (1, 70, 30, 31)])
@pytest.mark.parametrize("last", [False, True])
@pytest.mark.parametrize("slope", [1.0, 0.01, 0.0])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_instance_norm_is_what_it_says_with_its_slopes(shape, last, slope, dtype):
    """Against the formula in double precision, far from a mean of 0."""
    torch.manual_seed(0)
    layout = torch.channels_last if len(shape) == 4 else torch.channels_last_3d
    x = (torch.randn(shape) + 5).to(dtype)
    x = x.contiguous(memory_format=layout) if last else x
    norm = InstanceNorm(shape[1], slope=slope)
    with torch.no_grad():
        norm.weight.uniform_(0.5, 2)
        norm.bias.uniform_(-1, 1)
    pull = torch.randn(shape).to(dtype)
    found = _value_and_slopes(norm, x, norm.weight, norm.bias, pull)
    wide = [each.detach().double().requires_grad_() for each in (norm.weight, norm.bias)]

    def formula(y):
        axes = tuple(range(2, y.ndim))
        var, mean = torch.var_mean(y, axes, correction=0, keepdim=True)
        each = (1, -1) + (1,) * len(axes)
        y = (y - mean) / (var + 1e-5).sqrt() * wide[0].view(each) + wide[1].view(each)
        return torch.nn.functional.leaky_relu(y, slope)

    expected = _value_and_slopes(formula, x.double(), *wide, pull.double())
    if dtype == torch.bfloat16 and not last and slope != 1:
        # Torch rounds before it compares with zero: what lies next to it falls on either side.
        found, expected = found[:1], expected[:1]
    # Torch's own, where the maps do not lie last, has fewer digits.
    near = {torch.float32: (1e-4, 2e-5 if last else 2e-4), torch.bfloat16: (2**-8, 2**-7)}[dtype]
    for one, other in zip(found, expected, strict=True):
        assert one.dtype in (dtype, torch.float32)
        torch.testing.assert_close(one.double(), other, rtol=near[0], atol=near[1])


def test_instance_norm_gives_the_same_bits_on_any_number_of_threads():
    """Also where a block is cut short: 3 x 10,000 places."""
    x = torch.randn(3, 9, 100, 100).contiguous(memory_format=torch.channels_last)
    norm, pull, found = InstanceNorm(9, slope=0.01), torch.randn(3, 9, 100, 100), []
    before = torch.get_num_threads()
    try:
        for threads in (1, 2, 5):
            torch.set_num_threads(threads)
            found.append(_value_and_slopes(norm, x, norm.weight, norm.bias, pull))
    finally:
        torch.set_num_threads(before)
    for other in found[1:]:
        for one, two in zip(found[0], other, strict=True):
            assert torch.equal(one, two)


def _value_and_slopes(step, x, weight, bias, pull):
    x = x.detach().requires_grad_()
    y = step(x)
    return (y.detach(), *torch.autograd.grad(y, (x, weight, bias), pull))


def test_instance_norm_of_a_single_place_is_its_shift():
    """While learning too, where torch's own refuses: a patch may be as small as the net's step."""
    norm = InstanceNorm(3).train()
    with torch.no_grad():
        norm.bias.copy_(torch.tensor([1.0, 2, 3]))
    for row in norm(torch.randn(2, 3, 1, 1)).flatten(1).tolist():
        assert row == pytest.approx([1, 2, 3], abs=1e-4)


def test_instance_norm_keeps_the_layout_and_its_digits_in_channels_last():
    """Torch's own, in this layout, is off by 1e-4 for a mean of 3 (and at 48^3 by 4e-4)."""
    x = (torch.randn(2, 8, 128, 128) + 3).contiguous(memory_format=torch.channels_last)
    y = InstanceNorm(8)(x)
    assert y.is_contiguous(memory_format=torch.channels_last)
    wide = x.double().contiguous()
    var, mean = torch.var_mean(wide, (2, 3), correction=0, keepdim=True)
    assert (y - (wide - mean) / (var + 1e-5).sqrt()).abs().max() < 5e-6


def test_interpolation_lies_between_the_places():
    line = torch.tensor([0.0, 4.0]).view(1, 1, 1, 2)
    assert Interpolation((1, 2))(line).flatten().tolist() == [0, 1, 3, 4]


@pytest.mark.parametrize("stride", [(2, 2), (1, 3)])
def test_interpolating_before_or_after_a_convolution_of_single_places_is_the_same(stride):
    first, second = torch.nn.Conv2d(6, 2, 1), Interpolation(stride)
    x = torch.randn(1, 6, 4, 5)
    torch.testing.assert_close(second(first(x)), first(second(x)))


def test_a_head_is_the_same_in_every_layout():
    head, x = VolumeHead(6, 3, 1), torch.randn(2, 6, 3, 4, 5)
    last = x.contiguous(memory_format=torch.channels_last_3d)
    torch.testing.assert_close(head(last), head(x))


def test_transposed_and_strided_windows_lie_side_by_side():
    """A V-Net takes sides that are just its step; nothing is padded on the way down."""
    net = small("vnet", kernels=(1,), norm="none")
    x = torch.randn(1, 1, 4, 4)
    with torch.no_grad():
        whole, part = net(x), net(x[..., :2, :2])
    torch.testing.assert_close(whole[..., :2, :2], part)


def test_residual_blocks_start_as_identity():
    net = small("residual_unet", zero_init=True, blocks=(2, 2)).eval()
    block = net.encoder[1][-1]
    assert isinstance(block, Residual)
    x = torch.rand(1, 8, 6, 6)  # above zero, where the activation changes nothing
    torch.testing.assert_close(block(x), x)
    plain = small("residual_unet", blocks=(2, 2)).encoder[1][-1]
    assert not torch.allclose(plain(x), x)


def test_a_shortcut_averages_where_its_block_makes_things_smaller():
    options = Options(widths=(4, 4), norm="none", activation="relu")
    block = Residual(options, 4, options.stages()[1], (2, 2))
    with torch.no_grad():
        for p in block.second.parameters():
            p.zero_()
        x = torch.rand(1, 4, 4, 4)
        mean = x.unflatten(2, (2, 2)).unflatten(4, (2, 2)).mean((3, 5))
        torch.testing.assert_close(block(x), mean)


def test_residual_units_sit_where_maps_are_small_unless_told():
    net = models.build("residual_unet", 1, 2, widths=(4, 4, 4, 4, 4, 4))
    blocks = [sum(isinstance(layer, Residual) for layer in stage) for stage in net.encoder]
    assert blocks == [1, 3, 4, 6, 6, 6]


def _shut(layer):
    with torch.no_grad():
        layer.weight.zero_()
        layer.bias.fill_(-100)


def test_a_shut_gate_hides_the_skip_and_an_open_one_shows_it():
    net = small("attention_unet", widths=(4, 6, 8), gate_finest=True).eval()
    gates = [layer for layer in net.modules() if isinstance(layer, Gate)]
    assert len(gates) == 2
    for gate in gates:
        _shut(gate.weight)
    with torch.no_grad():
        *skips, bottleneck = net.encode(torch.randn(1, 1, 8, 8))
        hidden = net.segment([*(torch.randn_like(skip) for skip in skips), bottleneck])
        torch.testing.assert_close(net.segment([*skips, bottleneck]), hidden)
        for gate in gates:
            gate.weight.bias.fill_(100)
        shown = net.segment([*(torch.randn_like(skip) for skip in skips), bottleneck])
        assert not torch.allclose(net.segment([*skips, bottleneck]), shown)


def test_the_finest_skip_is_not_gated_unless_told():
    assert sum(isinstance(layer, Gate) for layer in small("attention_unet").modules()) == 0
    net = small("attention_unet", gate_finest=True)
    assert sum(isinstance(layer, Gate) for layer in net.modules()) == 1


@pytest.mark.parametrize("side", [0, 1])
def test_interactive_attention_weighs_both_sides(side):
    """With one gate shut, what comes from that side no longer counts."""
    net = small("vnet", interactive=True).eval()
    (gates,) = (layer for layer in net.modules() if isinstance(layer, Interaction))
    with torch.no_grad():
        gates.gates.weight.zero_()
        gates.gates.bias.fill_(100)
        gates.gates.bias[side] = -100
        below, skip = torch.randn(1, 4, 6, 6), torch.randn(1, 4, 6, 6)
        found = gates(below, skip)
    assert not found[side].any()
    torch.testing.assert_close(found[1 - side], (below, skip)[1 - side])


def test_dense_blocks_hand_every_map_on():
    """Two convolutions of a stage of 8 maps add 4 each: the second sees 12, the last gathers 16."""
    net = small("vnet", dense=True, blocks=(2,))
    inputs = [
        layer.in_channels for layer in net.encoder[1].modules() if hasattr(layer, "in_channels")
    ]
    assert inputs == [4, 8, 12, 16]


def test_a_place_sees_every_other_through_the_transformer_only():
    spread = {}
    for name in ("unet", "transformer_unet"):
        options = {"layers": 1, "heads": 2} if name == "transformer_unet" else {}
        net = small(name, norm="none", **options).eval()
        x = torch.randn(1, 1, 64, 64, requires_grad=True)
        (slope,) = torch.autograd.grad(net(x)[0, 1, 0, 0], x)
        spread[name] = float((slope != 0).float().mean())
    assert spread["unet"] < 0.05 and spread["transformer_unet"] == 1


def test_the_transformer_knows_where_places_lie():
    """Attention alone would give a moved picture moved answers, borders aside: here the border's
    zeros tell. A picture of one value has one answer everywhere only without them."""
    net = small("transformer_unet", layers=1, heads=2).transformer.eval()
    with torch.no_grad():
        even = net(torch.ones(1, 8, 5, 5))
        assert not torch.allclose(even[..., 0, 0], even[..., 2, 2], atol=1e-4)
        net.places.weight.zero_()
        net.places.bias.zero_()
        even = net(torch.ones(1, 8, 5, 5))
        torch.testing.assert_close(even[..., 0, 0], even[..., 2, 2])


def test_dropout_drops_whole_maps_while_training_only():
    torch.manual_seed(0)
    net = small(dropout=0.5, norm="none")
    x = torch.randn(1, 1, 8, 8)
    assert not torch.equal(net(x), net(x))
    net.eval()
    assert torch.equal(net(x), net(x))
    maps = net.train().encoder[0][0].drop(torch.ones(1, 64, 3, 3))
    assert set(maps.mean((2, 3)).unique().tolist()) == {0, 2}


@pytest.mark.parametrize("layer", ["encoder.0.0.conv", "decoder.0.up"])
def test_values_neither_grow_nor_fade_at_the_start(layer):
    """He et al.: after the activation's half is lost, a layer gives variance 1 again."""
    net = small(widths=(64, 64), norm="none")
    step = net.get_submodule(layer)
    inside = step.in_channels
    x = torch.relu(torch.randn(4, inside, 32, 32)) if inside > 1 else torch.randn(64, 1, 32, 32)
    with torch.no_grad():
        variance = float(step(x)[:, :, 1:-1, 1:-1].square().mean())
    assert variance == pytest.approx(1 if inside > 1 else 2, rel=0.35)


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        ({"kernels": (2,)}, "kernels: expected odd sides"),
        ({"strides": (2,)}, "strides: the first stage keeps the size"),
        ({"strides": (1, 2, 2)}, "strides: expected at most one for each of 2 widths, got 3"),
        ({"kernels": ((3, 3, 3),)}, r"expected 2 sides \(dims = 2\), got \(3, 3, 3\)"),
        ({"widths": (4, 0)}, "widths.*greater than or equal to 1"),
        ({"norm": "group", "groups": 3}, "groups: expected a number that divides 4 maps, got 3"),
        ({"widht": 3}, "'widht'; did you mean 'widths'"),
        ({"norm": "instanse"}, "norm"),
        ({"dims": 4}, "dims"),
    ],
)
def test_settings_that_cannot_be_are_refused_in_words(options, reason):
    with pytest.raises(SettingsError, match=reason):
        small(**options)


def test_heads_must_divide_the_width():
    with pytest.raises(
        SettingsError, match="heads: expected a number that divides the last width 8"
    ):
        small("transformer_unet", heads=3)


@pytest.mark.parametrize("file", models.architectures("segment"))
def test_every_setting_is_described(file):
    options = config.plugin("tomos.models", file).Options
    said = " ".join(each.__doc__ or "" for each in options.__mro__)
    assert [name for name in options.model_fields if name not in said] == []
