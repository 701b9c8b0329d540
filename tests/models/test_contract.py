"""What every network of the folder must hold, whoever wrote it: collected, not listed."""

import copy
import os
import subprocess
import sys

import onnx
import onnxruntime
import pytest
import torch

from tomos import config, models
from tomos.models._from_onnx import Replay
from tomos.types import PackageError, SettingsError

FILES = models.architectures()
SIZES = [(17, 23), (28, 28), (33, 64), (1, 28), (1, 1)]


def tiny(file, channels=1, classes=2, seed=0):
    torch.manual_seed(seed)
    return config.plugin("tomos.models", file).tiny(channels, classes)


def trained(file, channels=1, size=(20, 26)):
    """A net whose norms have seen data, so that its values are as large as in use."""
    net, noise = tiny(file, channels), torch.Generator().manual_seed(1)
    with torch.no_grad():
        for _ in range(20):
            net(torch.randn((8, channels, *size), generator=noise))
    return net.eval()


@pytest.mark.parametrize("file", FILES)
@pytest.mark.parametrize("size", SIZES, ids=lambda size: f"{size[0]}x{size[1]}")
def test_any_size_and_any_channels_give_logits_or_a_reason(file, size):
    for channels, classes in ((1, 2), (3, 1), (2, 5)):
        net = tiny(file, channels, classes).eval()
        x = torch.zeros(3, channels, *size)
        if min(size) < net.smallest:
            with pytest.raises(SettingsError, match=f"at least {net.smallest} px, got .*{size[1]}"):
                net(x)
        else:
            assert net(x).shape == (3, classes)


@pytest.mark.parametrize("file", FILES)
def test_a_foreign_number_of_channels_is_refused_in_words(file):
    with pytest.raises(SettingsError, match=r"C = 1 .*got \(2, 3, 28, 28\)"):
        tiny(file)(torch.zeros(2, 3, 28, 28))


@pytest.mark.parametrize("file", FILES)
def test_gradients_reach_every_weight(file):
    net = tiny(file, 3).train()
    noise = torch.Generator().manual_seed(0)
    for _ in range(3):  # a dropped or dead unit may miss one picture, not all
        net(torch.randn(8, 3, 28, 28, generator=noise)).square().sum().backward()
    without = [name for name, p in net.named_parameters() if p.grad is None or not p.grad.any()]
    assert not without


@pytest.mark.parametrize("file", FILES)
def test_the_steps_add_up_to_the_whole(file):
    net = trained(file)
    x = torch.randn(3, 1, 20, 26)
    with torch.no_grad():
        logits, maps, features = net(x), net.maps(x), net.embed(x)
        torch.testing.assert_close(net.classify(features), logits)
        assert features.ndim == 2
        if maps is not None:
            assert maps.ndim == 4
            torch.testing.assert_close(net.pool(maps), features)
        if net.linear is not None:
            cam = torch.einsum("kf,bfyx->bkyx", net.linear.weight, maps)
            torch.testing.assert_close(cam.mean((2, 3)) + net.linear.bias, logits)


@pytest.mark.parametrize("file", FILES)
def test_the_same_seed_gives_the_same_weights(file):
    one, two, other = tiny(file), tiny(file), tiny(file, seed=1)
    assert all(torch.equal(a, b) for a, b in zip(one.parameters(), two.parameters(), strict=True))
    assert any(
        not torch.equal(a, b) for a, b in zip(one.parameters(), other.parameters(), strict=True)
    )


@pytest.mark.parametrize("file", FILES)
def test_saved_and_loaded_is_the_same_net(file, tmp_path):
    net, fresh = trained(file), tiny(file, seed=5).eval()
    models.save_weights(net, tmp_path / "net.safetensors")
    fit = models.load_weights(fresh, tmp_path / "net.safetensors")
    assert not fit.fresh and not fit.unused and not fit.adapted
    x = torch.randn(2, 1, 20, 26)
    with torch.no_grad():
        assert torch.equal(net(x), fresh(x))


@pytest.mark.parametrize("file", FILES)
def test_every_parameter_belongs_to_one_stage(file):
    net = tiny(file)
    layers = [f"{name}." for stage in net.stages() for name in stage]
    for name, _ in net.named_parameters():
        assert sum(name.startswith(layer) for layer in layers) == 1, name
    head = [n for n, _ in net.named_parameters() if n.startswith(f"{net.stages()[-1][0]}.")]
    assert {net.get_parameter(name).shape[0] for name in head} == {net.classes}


@pytest.mark.parametrize("file", FILES)
def test_the_graph_gives_what_the_net_gives(file):
    net = trained(file)
    x = torch.randn(5, 1, 20, 26)
    before = copy.deepcopy(net.state_dict())
    data = models.to_onnx(net, x)
    assert all(torch.equal(before[k], v) for k, v in net.state_dict().items())
    session = onnxruntime.InferenceSession(data)
    expected = ["logits", "features"] + ["cam"] * (net.linear is not None)
    assert [output.name for output in session.get_outputs()] == expected
    assert [given.name for given in session.get_inputs()] == ["image"]
    for rows in (x[:1], x):
        got = dict(zip(expected, session.run(None, {"image": rows.numpy()}), strict=True))
        with torch.no_grad():
            want = {"logits": net(rows), "features": net.embed(rows)}
            if net.linear is not None:
                want["cam"] = torch.einsum("kf,bfyx->bkyx", net.linear.weight, net.maps(rows))
        for name, value in want.items():
            assert abs(got[name] - value.numpy()).max() <= 1e-4, name


@pytest.mark.parametrize("file", FILES)
def test_the_graph_runs_again_in_torch_for_gradient_maps(file):
    net = trained(file)
    x = torch.randn(3, 1, 20, 26)
    again = Replay(models.to_onnx(net, x), (1, 20, 26))
    with torch.no_grad():
        torch.testing.assert_close(again(x), net(x), rtol=1e-4, atol=1e-4)
        if net.maps(x) is not None:
            torch.testing.assert_close(again.classify(again.maps(x)), again(x))


@pytest.mark.parametrize("file", FILES)
def test_the_graph_tells_nothing_of_the_machine(file):
    net = tiny(file)
    data = models.to_onnx(net, torch.zeros(1, 1, 20, 26))
    assert data == models.to_onnx(net, torch.zeros(4, 1, 20, 26))
    graph = onnx.load_from_string(data)
    assert [(part.domain, part.version) for part in graph.opset_import] == [("", models.OPSET)]
    assert not graph.metadata_props and not graph.doc_string and not graph.functions
    for node in graph.graph.node:
        assert not node.doc_string and not node.metadata_props
        assert node.op_type not in ("Identity", "Dropout"), node.name
    for trace in (b".py", b"site-packages", b"/home", b"/root", b"/tmp"):
        assert trace not in data


@pytest.mark.parametrize("file", FILES)
def test_a_net_runs_in_half_precision_and_channels_last(file):
    net = trained(file).to(torch.bfloat16).to(memory_format=torch.channels_last)
    x = torch.randn(2, 1, 20, 26, dtype=torch.bfloat16)
    with torch.no_grad():
        assert net(x.to(memory_format=torch.channels_last)).dtype == torch.bfloat16


def test_names_are_told_apart_and_typos_helped():
    assert len(set(models.names())) == len(models.names()) >= 24
    with pytest.raises(SettingsError, match="did you mean 'resnet18'"):
        models.build("resnet81", 1, 2)
    with pytest.raises(SettingsError, match="'widht'; did you mean 'width'"):
        models.build("resnet18", 1, 2, widht=32)
    with pytest.raises(SettingsError, match="at least 1 channel and 1 class"):
        models.build("resnet18", 0, 2)


@pytest.mark.parametrize("name", models.names())
def test_a_net_can_be_built_again_from_its_own_options(name):
    with torch.device("meta"):
        net = models.build(name, 2, 3)
        again = models.build(name, 2, 3, **net.options)
    assert net.name == name and (net.channels, net.classes) == (2, 3)
    shapes = {key: value.shape for key, value in net.state_dict().items()}
    assert shapes == {key: value.shape for key, value in again.state_dict().items()}


def test_what_onnx_has_no_operator_for_is_refused():
    class Odd(models.Net):
        def embed(self, x):
            return torch.linalg.eigvals(x[:, 0] + 1j).real

        def classify(self, features):
            return features

    net = Odd(1, 4)
    net.name = "odd"
    with pytest.raises(PackageError, match="model odd: expected operators that ONNX has"):
        models.to_onnx(net, torch.randn(1, 1, 4, 4))


@pytest.mark.parametrize("file", ["resnet", "vgg", "googlenet", "small_cnn"])
def test_norms_are_folded_into_the_convolutions_before_them(file):
    graph = onnx.load_from_string(models.to_onnx(trained(file), torch.zeros(1, 1, 20, 26))).graph
    assert "BatchNormalization" not in {node.op_type for node in graph.node}


def test_the_graph_of_a_net_in_training_is_that_of_its_evaluation():
    net = tiny("resnet").train()
    models.to_onnx(net, torch.zeros(1, 1, 20, 20))
    assert net.training and all(p.grad is None for p in net.parameters())


def test_a_deep_copy_keeps_the_exact_map():
    net = copy.deepcopy(tiny("resnet"))
    assert net.linear is net.fc
    with torch.no_grad():
        net.fc.bias.fill_(7.0)
    assert sum("linear" in key for key in net.state_dict()) == 0
    assert net.linear.bias.tolist() == [7.0, 7.0]


def test_another_distribution_brings_a_net_by_an_entry_point(tmp_path):
    about = tmp_path / "othernets-1.0.dist-info"
    about.mkdir()
    (about / "METADATA").write_text("Metadata-Version: 2.1\nName: othernets\nVersion: 1.0\n")
    (about / "entry_points.txt").write_text("[tomos.models]\nother = othernets\n")
    (tmp_path / "othernets.py").write_text(
        "from tomos.models.small_cnn import small_cnn\n"
        "def other_net(channels, classes, **options):\n"
        "    return small_cnn(channels, classes, width=3, **options)\n"
        "VARIANTS = (other_net,)\n"
    )
    code = (
        "from tomos import models\n"
        "assert 'other_net' in models.names()\n"
        "assert models.build('other_net', 1, 2, grid=1).conv1.out_channels == 3\n"
    )
    path = {**os.environ, "PYTHONPATH": str(tmp_path)}
    subprocess.run([sys.executable, "-c", code], check=True, env=path, timeout=120)
