"""What every segmentation network of the folder must hold, whoever wrote it: collected."""

import copy
import io

import onnx
import onnxruntime
import pytest
import torch

from tomos import config, models
from tomos.types import SettingsError

FILES = models.architectures("segment")
SIZE = {2: (16, 24), 3: (8, 16, 12)}
both = pytest.mark.parametrize("dims", [2, 3])
every = pytest.mark.parametrize("file", FILES)


def tiny(file, dims=2, channels=1, classes=3, seed=0, **options):
    torch.manual_seed(seed)
    return config.plugin("tomos.models", file).tiny(channels, classes, dims=dims, **options)


def noise(dims, cases=2, channels=1, size=None, seed=1):
    generator = torch.Generator().manual_seed(seed)
    return torch.randn((cases, channels, *(size or SIZE[dims])), generator=generator)


def trained(file, dims, channels=1, **options):
    """A net whose norms have seen data."""
    net = tiny(file, dims, channels, **options)
    with torch.no_grad():
        for seed in range(5):
            net(noise(dims, 4, channels, seed=seed))
    return net.eval()


def test_names_tell_what_they_are_for():
    named = ["attention_unet", "residual_unet", "transformer_unet", "unet", "vnet"]
    assert models.names("segment") == FILES == named
    assert not set(named) & {*models.names(), *models.architectures()}
    assert models.task_of("unet") == "segment" and models.task_of("resnet18") == "classify"
    assert models.task_of("timm:resnet18") == "classify"
    with pytest.raises(SettingsError, match="did you mean 'unet'"):
        models.task_of("umet")
    with pytest.raises(SettingsError, match="did you mean 'residual_unet'"):
        models.build("residual_umet", 1, 2)


@both
@every
def test_a_logit_for_every_place_and_class(file, dims):
    net = tiny(file, dims, channels=2, classes=4)
    x = noise(dims, 3, 2)
    assert net(x).shape == (3, 4, *SIZE[dims])
    assert net.features(x).shape == (3, 8)
    maps = net.encode(x)
    assert [each.shape[1] for each in maps] == [4, 6, 8]
    coarsest = tuple(n // s for n, s in zip(SIZE[dims], net.step, strict=True))
    assert maps[-1].shape[2:] == coarsest
    torch.testing.assert_close(net.segment(maps), net(x))
    torch.testing.assert_close(net.pool(maps[-1]), maps[-1].flatten(2).mean(2))


@both
@every
def test_deep_logits_halve_from_size_to_size(file, dims):
    net = tiny(file, dims, levels=2).eval()
    fine, coarse = net.deep(noise(dims))
    torch.testing.assert_close(fine, net(noise(dims)))
    assert coarse.shape == (2, 3, *(n // 2 for n in SIZE[dims]))


def test_deep_supervision_leaves_out_the_two_coarsest_sizes_unless_told():
    widths = (4, 4, 4, 4, 4)
    assert len(tiny("unet", widths=widths).deep(noise(2, size=(16, 16)))) == 3
    assert len(tiny("unet", widths=widths[:2]).deep(noise(2))) == 1
    assert len(tiny("unet", widths=widths, levels=4).deep(noise(2, size=(16, 16)))) == 4
    with pytest.raises(SettingsError, match="levels: expected less than the 5 stages, got 5"):
        tiny("unet", widths=widths, levels=5)


@every
def test_pooling_may_differ_from_axis_to_axis(file):
    """Thick slices: pooled along Z once, along Y and X twice."""
    options = {"strides": (1, (1, 2, 2), 2), "kernels": ((1, 3, 3), 3)}
    net = tiny(file, 3, **options)
    assert net.step == (2, 4, 4)
    assert [level.shape[2:] for level in net.encode(noise(3, size=(6, 8, 12)))] == [
        (6, 8, 12),
        (6, 4, 6),
        (3, 2, 3),
    ]
    assert net(noise(3, size=(6, 8, 12))).shape[2:] == (6, 8, 12)


@both
@every
def test_sides_that_do_not_fit_are_refused_with_those_that_do(file, dims):
    net = tiny(file, dims)
    wrong, sizes = (17, 22), r"\(16, 20\) and \(20, 24\)"
    if dims == 3:
        wrong, sizes = (8, *wrong), r"\(8, 16, 20\) and \(8, 20, 24\)"
    for way in (net, net.deep, net.features):
        with pytest.raises(SettingsError, match=rf"divisible by \(4, .*that fit: {sizes}"):
            way(noise(dims, size=wrong))
    assert net.fitting(wrong)[-2:] == (20, 24)
    with pytest.raises(SettingsError, match=r"fit: \(4, 4"):
        net(noise(dims, size=(3,) * dims))


@both
def test_a_foreign_form_is_refused_in_words(dims):
    net = tiny("unet", dims)
    with pytest.raises(SettingsError, match=r"C = 1 .*got \(2, 3, "):
        net(noise(dims, channels=3))
    other = noise(5 - dims)
    with pytest.raises(SettingsError, match=rf"batch \(B, C, {'Z, ' * (dims == 3)}Y, X\)"):
        net(other)


@both
@every
def test_the_way_back_reaches_every_weight(file, dims):
    net = tiny(file, dims, levels=2).train()
    for seed in range(3):
        levels = net.deep(noise(dims, 4, seed=seed))
        sum(level.square().sum() for level in levels).backward()
    without = [name for name, p in net.named_parameters() if p.grad is None or not p.grad.any()]
    assert not without


@both
@every
def test_equal_seeds_draw_equal_weights(file, dims):
    one, two, other = tiny(file, dims), tiny(file, dims), tiny(file, dims, seed=1)
    pairs = list(zip(one.parameters(), two.parameters(), other.parameters(), strict=True))
    assert all(torch.equal(a, b) for a, b, _ in pairs)
    assert any(not torch.equal(a, c) for a, _, c in pairs)


@every
def test_written_and_read_it_is_the_same_segmenter(file, tmp_path):
    net, fresh = trained(file, 3), tiny(file, 3, seed=5).eval()
    models.save_weights(net, tmp_path / "net.safetensors")
    fit = models.load_weights(fresh, tmp_path / "net.safetensors")
    assert not fit.fresh and not fit.unused and not fit.adapted
    with torch.no_grad():
        assert torch.equal(net(noise(3)), fresh(noise(3)))


@every
def test_every_weight_lies_in_one_stage_and_the_last_is_the_head(file):
    net = tiny(file, levels=2)
    stages = net.stages()
    layers = [f"{name}." for stage in stages for name in stage]
    for name, _ in net.named_parameters():
        assert sum(name.startswith(layer) for layer in layers) == 1, name
    assert stages[-1] == ("heads",)
    ways = [stage[0].partition(".")[0] for stage in stages]
    assert ways == sorted(ways, key=["encoder", "transformer", "decoder", "heads"].index)


@both
@every
def test_the_graph_takes_batches_and_sides_of_any_number(file, dims):
    net = trained(file, dims, channels=2)
    data = models.to_onnx(net, noise(dims, channels=2))
    session = onnxruntime.InferenceSession(data)
    sides = ["Z", "Y", "X"][-dims:]
    assert [given.name for given in session.get_inputs()] == ["image"]
    assert session.get_inputs()[0].shape == ["N", 2, *sides]
    assert [each.name for each in session.get_outputs()] == ["logits", "features"]
    assert session.get_outputs()[0].shape == ["N", 3, *sides]
    for cases, factor in ((1, 1), (3, 2)):
        x = noise(dims, cases, 2, tuple(factor * n for n in SIZE[dims]))
        logits, features = session.run(None, {"image": x.numpy()})
        with torch.no_grad():
            assert abs(logits - net(x).numpy()).max() <= 1e-4
            assert abs(features - net.features(x).numpy()).max() <= 1e-4


@both
@every
def test_another_runtime_gives_the_same(file, dims):
    openvino = pytest.importorskip("openvino")
    net = trained(file, dims)
    core = openvino.Core()
    model = core.read_model(io.BytesIO(models.to_onnx(net, noise(dims))))
    settings = {"INFERENCE_PRECISION_HINT": "f32", "INFERENCE_NUM_THREADS": 1}
    compiled = core.compile_model(model, "CPU", settings)
    for factor in (1, 2):
        x = noise(dims, 2, 1, tuple(factor * n for n in SIZE[dims]))
        found = compiled([x.numpy()])
        with torch.no_grad():
            assert abs(found[0] - net(x).numpy()).max() <= 1e-4
            assert abs(found[1] - net.features(x).numpy()).max() <= 1e-4


@every
def test_the_graph_is_clean_and_the_same_whatever_the_layout(file):
    net = tiny(file, 3, dropout=0.2)
    data = models.to_onnx(net, noise(3))
    last = copy.deepcopy(net).to(memory_format=net.layout)
    assert data == models.to_onnx(last, noise(3, 5).contiguous(memory_format=net.layout))
    graph = onnx.load_from_string(data)
    assert [(part.domain, part.version) for part in graph.opset_import] == [("", models.OPSET)]
    assert not {node.op_type for node in graph.graph.node} & {"Identity", "Dropout"}
    assert not any(trace in data for trace in (b".py", b"site-packages", b"/home", b"/root"))


def test_an_instance_norm_is_one_operator():
    graph = onnx.load_from_string(models.to_onnx(trained("unet", 3), noise(3))).graph
    kinds = [node.op_type for node in graph.node]
    assert kinds.count("InstanceNormalization") == 10  # two convolutions in each of five stages
    assert not {"Reshape", "Shape"} & set(kinds)


@both
@every
def test_layouts_and_half_precision_give_nearly_the_same(file, dims):
    net = trained(file, dims)
    x = noise(dims)
    with torch.no_grad():
        plain = net(x)
        with torch.autocast("cpu", torch.bfloat16):
            half = net(x)
        net.to(memory_format=net.layout)
        last = net(x.contiguous(memory_format=net.layout))
    torch.testing.assert_close(last, plain, rtol=1e-4, atol=1e-4)
    assert half.dtype == torch.bfloat16
    assert (half.float() - plain).abs().mean() < 0.1 * plain.abs().mean()


@every
def test_learning_in_channels_last_is_the_same_learning(file):
    slopes = []
    for layout in (torch.contiguous_format, torch.channels_last_3d):
        net = tiny(file, 3).to(memory_format=layout).train()
        logits = net(noise(3).contiguous(memory_format=layout))
        logits.square().mean().backward()
        slopes.append([p.grad for p in net.parameters() if p.grad is not None])
    largest = max(float(slope.abs().max()) for slope in slopes[0])
    for one, other in zip(*slopes, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-3, atol=1e-4 * largest)


@pytest.mark.parametrize("name", models.names("segment"))
def test_a_segmenter_can_be_built_again_from_its_own_options(name):
    with torch.device("meta"):
        net = models.build(name, 2, 3, dims=3, strides=(1, (1, 2, 2), 2))
        again = models.build(name, 2, 3, **net.options)
    assert net.name == name and (net.channels, net.classes, net.dims) == (2, 3, 3)
    assert again.step == net.step == (8, 16, 16)
    shapes = {key: value.shape for key, value in net.state_dict().items()}
    assert shapes == {key: value.shape for key, value in again.state_dict().items()}
