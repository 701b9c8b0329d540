"""A torch net handed to inference answers as its exported graph does."""

import numpy as np
import pytest
import torch

from tomos import models
from tomos.inference.network import OnnxRuntime
from tomos.train import TorchNetwork
from tomos.types import SettingsError


@pytest.mark.parametrize("name", ["resnet_small", "mlp"])
def test_the_outputs_are_those_of_the_exported_graph(name):
    torch.manual_seed(0)
    net = models.build(name, 1, 3, **({"width": 4} if name == "resnet_small" else {}))
    x = np.random.default_rng(0).standard_normal((5, 1, 16, 16)).astype(np.float32)
    theirs = OnnxRuntime(models.to_onnx(net, torch.from_numpy(x)), "graph", 1)
    mine = TorchNetwork(net)
    assert set(mine.outputs) == set(theirs.outputs)
    here, there = mine({"image": x}), theirs({"image": x})
    for output in mine.outputs:
        assert np.abs(here[output] - there[output]).max() < 1e-4
    assert net.training


def test_only_what_is_wanted_comes_back():
    mine = TorchNetwork(models.build("mlp", 1, 2))
    assert mine({"image": np.zeros((2, 1, 8, 8), np.float32)}, ["logits"]).keys() == {"logits"}
    with pytest.raises(SettingsError, match="expected outputs among logits, features, got 'cam'"):
        mine({"image": np.zeros((2, 1, 8, 8), np.float32)}, ["cam"])
