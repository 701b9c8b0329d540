"""Names and shapes that torchvision's weight files hold, as its published source states them."""

import pytest
import torch

from tomos import models

# name -> (parameters, entries of the state dictionary): the counts torchvision documents, without
# GoogLeNet's auxiliary heads.
COUNTS = {
    "alexnet": (61_100_840, 16),
    "vgg11": (132_863_336, 22),
    "vgg13": (133_047_848, 26),
    "vgg16": (138_357_544, 32),
    "vgg19": (143_667_240, 38),
    "vgg11_bn": (132_868_840, 62),
    "vgg13_bn": (133_053_736, 76),
    "vgg16_bn": (138_365_992, 97),
    "vgg19_bn": (143_678_248, 118),
    "googlenet": (6_624_904, 344),
    "resnet18": (11_689_512, 122),
    "resnet34": (21_797_672, 218),
    "resnet50": (25_557_032, 320),
    "resnet101": (44_549_160, 626),
    "densenet121": (7_978_856, 727),
    "densenet169": (14_149_480, 1015),
}
# Multiply-adds at 224 px that torchvision documents as GFLOPS.
WORK = {
    "alexnet": 0.71,
    "vgg11": 7.61,
    "vgg16": 15.47,
    "vgg19": 19.63,
    "googlenet": 1.50,
    "resnet18": 1.81,
    "resnet50": 4.09,
    "densenet121": 2.83,
}
NORM = ("weight", "bias", "running_mean", "running_var", "num_batches_tracked")


def build(name):
    with torch.device("meta"):
        return models.build(name, 3, 1000)


def norm(name):
    return {f"{name}.{part}" for part in NORM}


def affine(name):
    return {f"{name}.weight", f"{name}.bias"}


@pytest.mark.parametrize("name", COUNTS)
def test_as_many_parameters_and_tensors_as_torchvision(name):
    net = build(name)
    assert (sum(p.numel() for p in net.parameters()), len(net.state_dict())) == COUNTS[name]


@pytest.mark.parametrize("name", WORK)
def test_as_many_multiply_adds_as_torchvision(name):
    work = models.describe(build(name), (224, 224)).multiplies
    assert round(work / 1e9, 2) == WORK[name]


def resnet_names(blocks, convolutions):
    names = {"conv1.weight"} | norm("bn1") | affine("fc")
    for stage, number in enumerate(blocks, 1):
        for block in range(number):
            at = f"layer{stage}.{block}"
            for i in range(1, convolutions + 1):
                names |= {f"{at}.conv{i}.weight"} | norm(f"{at}.bn{i}")
            if block == 0 and (stage > 1 or convolutions == 3):
                names |= {f"{at}.downsample.0.weight"} | norm(f"{at}.downsample.1")
    return names


@pytest.mark.parametrize(
    ("name", "blocks", "convolutions"),
    [
        ("resnet18", (2, 2, 2, 2), 2),
        ("resnet34", (3, 4, 6, 3), 2),
        ("resnet50", (3, 4, 6, 3), 3),
        ("resnet101", (3, 4, 23, 3), 3),
    ],
)
def test_resnet_names(name, blocks, convolutions):
    assert set(build(name).state_dict()) == resnet_names(blocks, convolutions)


@pytest.mark.parametrize(
    ("name", "convolutions", "norms"),
    [
        ("vgg11", (0, 3, 6, 8, 11, 13, 16, 18), ()),
        ("vgg16", (0, 2, 5, 7, 10, 12, 14, 17, 19, 21, 24, 26, 28), ()),
        ("vgg11_bn", (0, 4, 8, 11, 15, 18, 22, 25), (1, 5, 9, 12, 16, 19, 23, 26)),
    ],
)
def test_vgg_names(name, convolutions, norms):
    names = set().union(*(affine(f"classifier.{i}") for i in (0, 3, 6)))
    names |= set().union(*(affine(f"features.{i}") for i in convolutions))
    names = names.union(*(norm(f"features.{i}") for i in norms))
    assert set(build(name).state_dict()) == names


def test_alexnet_names():
    names = set().union(*(affine(f"features.{i}") for i in (0, 3, 6, 8, 10)))
    names |= set().union(*(affine(f"classifier.{i}") for i in (1, 4, 6)))
    assert set(build("alexnet").state_dict()) == names


def test_googlenet_names():
    units = ["conv1", "conv2", "conv3"]
    for block in ("3a", "3b", "4a", "4b", "4c", "4d", "4e", "5a", "5b"):
        ways = ("branch1", "branch2.0", "branch2.1", "branch3.0", "branch3.1", "branch4.1")
        units += [f"inception{block}.{way}" for way in ways]
    names = affine("fc").union(*({f"{u}.conv.weight"} | norm(f"{u}.bn") for u in units))
    assert set(build("googlenet").state_dict()) == names


def test_densenet_names():
    names = {"features.conv0.weight"} | norm("features.norm0") | norm("features.norm5")
    names |= affine("classifier")
    for block, layers in enumerate((6, 12, 24, 16), 1):
        for layer in range(1, layers + 1):
            at = f"features.denseblock{block}.denselayer{layer}"
            for i in (1, 2):
                names |= {f"{at}.conv{i}.weight"} | norm(f"{at}.norm{i}")
        if block < 4:
            at = f"features.transition{block}"
            names |= {f"{at}.conv.weight"} | norm(f"{at}.norm")
    assert set(build("densenet121").state_dict()) == names


@pytest.mark.parametrize(
    ("name", "tensor", "shape"),
    [
        ("alexnet", "features.0.weight", (64, 3, 11, 11)),
        ("alexnet", "features.6.weight", (384, 192, 3, 3)),
        ("alexnet", "classifier.1.weight", (4096, 9216)),
        ("vgg16", "features.28.weight", (512, 512, 3, 3)),
        ("vgg16", "classifier.0.weight", (4096, 25088)),
        ("googlenet", "conv1.conv.weight", (64, 3, 7, 7)),
        ("googlenet", "inception3a.branch3.1.conv.weight", (32, 16, 3, 3)),
        ("googlenet", "inception4d.branch2.0.conv.weight", (144, 512, 1, 1)),
        ("googlenet", "inception5b.branch1.conv.weight", (384, 832, 1, 1)),
        ("resnet18", "layer2.0.downsample.0.weight", (128, 64, 1, 1)),
        ("resnet50", "layer1.0.conv1.weight", (64, 64, 1, 1)),
        ("resnet50", "layer4.0.downsample.0.weight", (2048, 1024, 1, 1)),
        ("resnet101", "layer3.22.conv2.weight", (256, 256, 3, 3)),
        ("densenet121", "features.denseblock3.denselayer24.conv1.weight", (128, 992, 1, 1)),
        ("densenet121", "features.transition3.conv.weight", (512, 1024, 1, 1)),
        ("densenet169", "features.denseblock4.denselayer32.conv2.weight", (32, 128, 3, 3)),
        ("densenet169", "classifier.weight", (1000, 1664)),
    ],
)
def test_shapes(name, tensor, shape):
    assert tuple(build(name).state_dict()[tensor].shape) == shape


def test_the_stride_of_resnet50_sits_on_the_3x3_convolution():
    block = build("resnet50").get_submodule("layer2.0")
    assert (block.conv1.stride, block.conv2.stride) == ((1, 1), (2, 2))


def test_normalisation_constants_of_googlenet():
    assert build("googlenet").get_submodule("conv1.bn").eps == 1e-3
