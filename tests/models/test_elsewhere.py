"""Networks of other libraries under our contract."""

import subprocess
import sys
import textwrap

import numpy as np
import onnxruntime
import pytest
import torch

from tomos import models
from tomos.types import MissingExtra, SettingsError

# What Tomos uses of timm, as a library of its own: tests here must not need the real one, which
# does not import beside a torch without torchvision.
FAKE_TIMM = """
import torch
from torch import nn

class Tiny(nn.Module):
    def __init__(self, in_chans, num_classes, after=None, sums=False):
        super().__init__()
        self.stem = nn.Conv2d(in_chans, 6, 3, 2)
        self.global_pool = nn.AdaptiveAvgPool2d(1)
        self.fc = nn.Linear(6, num_classes)
        self.after, self.sums = after, sums

    def forward(self, x):
        x = torch.relu(self.stem(x))
        y = self.global_pool(x).flatten(1)
        y = self.fc(y.square() if self.sums else y)
        return torch.tanh(y) if self.after else y

def is_model(name):
    return name == "tiny"

def list_models():
    return ["tiny", "large"]

def create_model(name, pretrained, **options):
    assert pretrained is False
    return Tiny(**options)
"""


@pytest.fixture
def timm(tmp_path, monkeypatch):
    (tmp_path / "timm.py").write_text(textwrap.dedent(FAKE_TIMM))
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "timm", raising=False)
    yield
    sys.modules.pop("timm", None)


def holds(net, x):
    """The contract, and the same from the exported graph."""
    net.eval()
    with torch.no_grad():
        logits, features = net(x), net.embed(x)
        torch.testing.assert_close(net.classify(features), logits)
        session = onnxruntime.InferenceSession(models.to_onnx(net, x))
        got = session.run(None, {"image": x.numpy()})
        assert np.abs(got[0] - logits.numpy()).max() < 1e-4
        assert np.abs(got[1] - features.numpy()).max() < 1e-4
        if net.linear is not None:
            cam = torch.einsum("kf,bfyx->bkyx", net.linear.weight, net.maps(x))
            assert np.abs(got[2] - cam.numpy()).max() < 1e-4
            torch.testing.assert_close(cam.mean((2, 3)) + net.linear.bias, logits)


def test_a_timm_net_keeps_the_contract(timm, tmp_path):
    net = models.build("timm:tiny", 2, 3)
    assert net.name == "timm:tiny" and net.linear is net.body.fc
    holds(net, torch.randn(2, 2, 20, 24))
    assert net.stages() == [("body.stem",), ("body.fc",)]
    torch.save(net.body.state_dict(), tmp_path / "tiny.pth")
    fit = models.load_weights(models.build("timm:tiny", 2, 3), tmp_path / "tiny.pth")
    assert not fit.fresh and not fit.unused


def test_an_exact_map_is_promised_only_where_it_is_one(timm):
    net = models.build("timm:tiny", 1, 2, sums=True)
    assert net.linear is None
    holds(net, torch.randn(2, 1, 20, 20))


def test_building_draws_no_more_chance_than_the_weights_need(timm):
    torch.manual_seed(0)
    models.build("timm:tiny", 1, 2)
    after = torch.rand(1)
    torch.manual_seed(0)
    sys.modules["timm"].Tiny(in_chans=1, num_classes=2)
    assert torch.equal(torch.rand(1), after)


def test_what_is_no_classifier_or_not_there_is_refused_in_words(timm):
    with pytest.raises(SettingsError, match="without an activation after its last layer"):
        models.build("timm:tiny", 1, 2, after="tanh")
    with pytest.raises(SettingsError, match="timm has no model 'tinny'; did you mean 'tiny'"):
        models.build("timm:tinny", 1, 2)
    with pytest.raises(SettingsError, match="refuses these options"):
        models.build("timm:tiny", 1, 2, nonsense=1)
    with pytest.raises(SettingsError, match="does not take pictures of 2x20 px"):
        models.build("timm:tiny", 1, 2)(torch.zeros(1, 1, 2, 20))


@pytest.mark.parametrize("library", ["timm", "monai"])
def test_a_library_that_is_missing_is_named(library, monkeypatch):
    monkeypatch.setitem(sys.modules, library, None)
    monkeypatch.delitem(sys.modules, "monai.networks", raising=False)
    with pytest.raises(MissingExtra, match=rf"needs {library}, which is not installed"):
        models.build(f"{library}:resnet18", 1, 2)


def test_a_timm_that_fails_to_import_is_missing_too(tmp_path, monkeypatch):
    (tmp_path / "timm.py").write_text(
        "raise RuntimeError('operator torchvision::nms does not exist')"
    )
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "timm", raising=False)
    with pytest.raises(MissingExtra, match="needs timm"):
        models.build("timm:tiny", 1, 2)


def test_monai_nets_keep_the_contract():
    pytest.importorskip("monai")
    net = models.build("monai:resnet10", 1, 3, feed_forward=True)
    assert net.linear is net.body.fc
    holds(net, torch.randn(2, 1, 32, 40))
    described = models.describe(net, (32, 40))
    assert described.parameters == sum(p.numel() for p in net.parameters())
    with pytest.raises(SettingsError, match="MONAI has no network 'resnet1O'; did you mean"):
        models.build("monai:resnet1O", 1, 2)
    with pytest.raises(SettingsError, match="refuses these options"):
        models.build("monai:resnet10", 1, 2, nonsense=1)
    with pytest.raises(SettingsError, match=r"ends in a linear layer|logits from a last linear"):
        models.build("monai:BasicUNet", 1, 2)


@pytest.mark.slow
def test_more_of_monai():
    pytest.importorskip("monai")
    for name, options in (
        ("DenseNet121", {}),
        ("EfficientNetBN", {"model_name": "efficientnet-b0"}),
        ("SEResNet50", {}),
    ):
        holds(models.build(f"monai:{name}", 1, 2, **options), torch.randn(2, 1, 64, 64))


@pytest.mark.slow
@pytest.mark.parametrize(
    "name", ["resnet18", "resnet50", "densenet121", "googlenet", "vgg11_bn", "alexnet"]
)
def test_full_sized_graphs_give_what_the_nets_give(name):
    torch.manual_seed(0)
    net = models.build(name, 1, 3)
    with torch.no_grad():
        net(torch.randn(4, 1, 64, 64))
    holds(net, torch.randn(5, 1, 64, 96))


def test_export_needs_no_compiler_of_graphs_and_little_time():
    """The first export of a process counts in the demo: it loads neither onnxscript nor sympy."""
    code = """
import sys, time, torch
torch.set_num_threads(1)
from tomos import models
net = models.build("resnet18", 1, 2)
before = time.process_time()
models.to_onnx(net, torch.zeros(1, 1, 64, 64))
assert time.process_time() - before < 10
assert "onnxscript" not in sys.modules
"""
    subprocess.run([sys.executable, "-c", code], check=True, timeout=120)
