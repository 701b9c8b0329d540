"""Sizes, parameters, multiply-adds and receptive fields, against figures made by hand."""

import json

import pytest
import torch

from tomos import models
from tomos.cli import main
from tomos.types import SettingsError


def custom(*layers, channels=1):
    return models.build("custom", channels, 2, layers=list(layers))


def test_a_row_by_hand():
    net = custom(
        {"layer": "conv", "out": 8, "kernel": 3},
        {"layer": "pool", "kernel": 2},
        {"layer": "conv", "out": 4, "kernel": 5, "stride": 2, "bias": False},
        channels=3,
    )
    first, pool, second, head = models.describe(net, (28, 20)).rows
    assert (first.size, first.parameters) == ((8, 28, 20), 8 * 3 * 9 + 8)
    assert first.multiplies == 28 * 20 * 8 * 3 * 9
    assert (pool.size, pool.parameters, pool.multiplies) == ((8, 14, 10), 0, 0)
    # (14 - 5 + 4) // 2 + 1 = 7; (10 - 5 + 4) // 2 + 1 = 5
    assert (second.size, second.parameters) == ((4, 7, 5), 4 * 8 * 25)
    assert second.multiplies == 7 * 5 * 4 * 8 * 25
    assert (head.parameters, head.multiplies, head.field) == (4 * 2 + 2, 4 * 2, None)
    # 3, then 3 + 1 = 4 every 2 pixels, then 4 + 4 * 2 = 12
    assert [row.field for row in (first, pool, second)] == [(3, 3), (4, 4), (12, 12)]


def test_groups_and_dilation_by_hand():
    net = custom({"layer": "conv", "out": 4, "groups": 2, "dilation": 3}, channels=2)
    row = models.describe(net, (10, 10)).rows[0]
    assert row.parameters == 4 * 1 * 9 + 4 and row.multiplies == 100 * 4 * 9
    assert row.field == (7, 7)


@pytest.mark.parametrize(
    ("name", "field"), [("alexnet", 195), ("vgg16", 212), ("vgg19", 268), ("resnet18", 435)]
)
def test_receptive_fields_as_published(name, field):
    with torch.device("meta"):
        net = models.build(name, 3, 1000)
    assert models.describe(net, (224, 224)).field == (field, field)


def test_the_field_is_what_changes_the_map():
    """A changed pixel outside the stated field changes nothing; inside, at its edge, it does."""
    torch.manual_seed(0)
    net = models.build("resnet_small", 1, 2, width=4, blocks=(1, 1)).eval()
    field = models.describe(net, (64, 64)).field
    x = torch.randn(1, 1, 64, 64, requires_grad=True)
    (gradient,) = torch.autograd.grad(net.maps(x)[..., 16, 16].sum(), x)
    rows = torch.nonzero(gradient[0, 0].any(1)).flatten()
    assert int(rows[-1] - rows[0]) + 1 == field[0]


def test_attention_sees_the_whole_picture():
    net = models.build("resnet_small", 1, 2, width=4, se=True)
    assert models.describe(net, (28, 28)).field is None


def test_the_effective_field_is_smaller_than_the_theoretical_one():
    torch.manual_seed(0)
    net = models.build("resnet_small", 1, 2, width=4)
    side = models.effective_field(net, (40, 40))
    assert 3 < side < models.describe(net, (40, 40)).field[0]
    assert side == models.effective_field(net, (40, 40))
    assert net.training
    with pytest.raises(SettingsError, match="has no maps"):
        models.effective_field(models.build("mlp", 1, 2), (28, 28))


def test_describing_changes_nothing_and_refuses_what_the_net_refuses():
    net = models.build("alexnet", 1, 2, width=2, hidden=4)
    models.describe(net, (33, 64))
    assert net.training and not any(p.is_meta for p in net.parameters())
    with pytest.raises(SettingsError, match="at least 7 px"):
        models.describe(net, (5, 64))


def test_the_command_lists_every_net(capsys):
    assert main(["models", "--json", "--size", "6,40"]) == 0
    listed = json.loads(capsys.readouterr().out)
    assert listed["schema"] == 1 and listed["size"] == [6, 40]
    found = {model["name"]: model for model in listed["models"]}
    assert list(found) == [*models.names(), *models.names("segment")]
    assert found["unet"]["task"] == "segment" and found["resnet18"]["task"] == "classify"
    # Tiles are of sizes that fit: 6 x 40 becomes 16 x 48.
    assert found["unet"]["size"] == [16, 48]
    assert "at least 7 px" in found["alexnet"]["refused"]
    assert found["vgg19"]["parameters"] > 100_000_000 and found["vgg19"]["flops"] > 0
    assert found["mlp"]["maps"] is None and found["resnet18"]["exact_cam"]


def test_volumes_are_for_networks_that_segment(capsys):
    assert main(["models", "--json", "--size", "16,32,16"]) == 0
    listed = json.loads(capsys.readouterr().out)["models"]
    assert [model["name"] for model in listed] == models.names("segment")
    assert main(["models", "unet", "--size", "16,32,16", "--classes", "3"]) == 0
    # Three classes and the background.
    assert "4x16x32x16" in capsys.readouterr().out


def test_the_command_shows_one_net_to_a_person(capsys):
    assert main(["models", "small_cnn", "--size", "28", "--classes", "3", "--effective"]) == 0
    text = capsys.readouterr().out
    assert "for pictures of 28x28 px, 1 channel, 3 classes" in text
    assert "conv1" in text and "16x28x28" in text and "113 k" in text
    assert "effective receptive field" in text and "arXiv:1502.03167" in text


def test_the_command_describes_the_net_of_a_plan(tmp_path, capsys):
    from tomos.config import save
    from tomos.plan.schema import BudgetPart, DatasetPart, ModelPart, Plan

    plan = Plan(
        classes=("a", "b", "c"),
        channels=2,
        size=(32, 20),
        dataset=DatasetPart(name="d", checksum="", n_train=1, n_val=1, n_patients=1),
        prepare=(),
        model=ModelPart(name="resnet_small", options={"width": 8}),
        budget=BudgetPart(minutes=1),
    )
    save(plan, tmp_path / "plan.toml")
    assert main(["models", str(tmp_path / "plan.toml"), "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert (found["size"], found["channels"], found["classes"]) == ([32, 20], 2, 3)
    assert found["options"]["width"] == 8 and found["layers"][0]["size"] == [8, 32, 20]


@pytest.mark.parametrize(
    ("words", "reason"),
    [
        (["rsnet18"], "did you mean 'resnet18'"),
        (["resnet18", "--size", "0"], "--size: expected pixels"),
        (["resnet18", "--size", "2,3,4,5"], "--size: expected pixels"),
        (["resnet18", "--size", "2,3,4"], "expected a batch (B, C, Y, X)"),
        (["none.toml"], "none.toml"),
        (["alexnet", "--size", "3"], "at least 7 px"),
    ],
)
def test_the_command_refuses_in_words(words, reason, capsys):
    assert main(["models", *words]) == 2
    assert reason in capsys.readouterr().err
