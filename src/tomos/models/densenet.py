"""DenseNet: Huang et al. 2016, "Densely connected convolutional networks", arXiv:1608.06993, with
bottlenecks and compression (DenseNet-BC).

Parameter names and shapes are torchvision's, so that its weight files fit.
"""

from __future__ import annotations

import re
from typing import Any, Literal

import torch
import torch.nn.functional as F
from pydantic import Field
from torch import Tensor, nn

from tomos.config import Settings, parse
from tomos.models._net import AvgPool, MaxPool, Net


class Options(Settings):
    """What may be chosen.

    growth   maps that each layer adds
    blocks   layers of each dense block
    width    maps of the first convolution
    stem     "imagenet": 7x7 stride 2 and max pooling, for 128 px and more;
             "medium": 3x3 stride 2, for 48-128 px; "small": 3x3 stride 1, below
    dropout  chance that a new map is dropped, and a feature before the last layer
    """

    growth: int = Field(32, ge=1, le=512)
    blocks: tuple[int, ...] = Field((6, 12, 24, 16), min_length=1, max_length=6)
    width: int = Field(64, ge=1, le=1024)
    stem: Literal["imagenet", "medium", "small"] = "imagenet"
    dropout: float = Field(0.0, ge=0, lt=1)


class Layer(nn.Module):
    """norm-ReLU-1x1-norm-ReLU-3x3: new maps from all the maps before."""

    def __init__(self, inside: int, growth: int, dropout: float) -> None:
        super().__init__()
        self.norm1 = nn.BatchNorm2d(inside)
        self.conv1 = nn.Conv2d(inside, 4 * growth, 1, bias=False)
        self.norm2 = nn.BatchNorm2d(4 * growth)
        self.conv2 = nn.Conv2d(4 * growth, growth, 3, padding=1, bias=False)
        self.dropout = nn.Dropout(dropout)

    def forward(self, x: Tensor) -> Tensor:
        y = self.conv1(F.relu(self.norm1(x)))
        y = self.conv2(F.relu(self.norm2(y)))
        return torch.cat([x, self.dropout(y)], 1)


def _block(layers: int, inside: int, options: Options) -> nn.Sequential:
    block = nn.Sequential()
    for index in range(layers):
        layer = Layer(inside + index * options.growth, options.growth, options.dropout)
        block.add_module(f"denselayer{index + 1}", layer)
    return block


def _transition(inside: int, outside: int) -> nn.Sequential:
    transition = nn.Sequential()
    transition.add_module("norm", nn.BatchNorm2d(inside))
    transition.add_module("relu", nn.ReLU(inplace=True))
    transition.add_module("conv", nn.Conv2d(inside, outside, 1, bias=False))
    transition.add_module("pool", AvgPool(2))
    return transition


class DenseNet(Net):
    """A stem, dense blocks with transitions between, norm, global average pooling, `classifier`."""

    linear: nn.Linear

    def __init__(self, channels: int, classes: int, options: Options) -> None:
        super().__init__(channels, classes, options)
        kernel, stride = {"imagenet": (7, 2), "medium": (3, 2), "small": (3, 1)}[options.stem]
        inside, last = options.width, len(options.blocks)
        self.features = nn.Sequential()
        convolution = nn.Conv2d(channels, inside, kernel, stride, kernel // 2, bias=False)
        self.features.add_module("conv0", convolution)
        self.features.add_module("norm0", nn.BatchNorm2d(inside))
        self.features.add_module("relu0", nn.ReLU(inplace=True))
        if options.stem == "imagenet":
            self.features.add_module("pool0", MaxPool(3, 2, 1))
        for index, layers in enumerate(options.blocks, 1):
            self.features.add_module(f"denseblock{index}", _block(layers, inside, options))
            inside += layers * options.growth
            if index < last:
                self.features.add_module(f"transition{index}", _transition(inside, inside // 2))
                inside //= 2
        # The number 5 is the name in the weight files, whatever the number of blocks.
        self.features.add_module("norm5", nn.BatchNorm2d(inside))
        self.dropout = nn.Dropout(options.dropout)
        self.classifier = self.linear = nn.Linear(inside, classes)
        nn.init.zeros_(self.classifier.bias)
        for layer in self.modules():
            if isinstance(layer, nn.Conv2d):
                nn.init.kaiming_normal_(layer.weight)

    def maps(self, x_BCYX: Tensor) -> Tensor:
        return F.relu(self.features(x_BCYX))

    def classify(self, features_BF: Tensor) -> Tensor:
        return self.classifier(self.dropout(features_BF))

    def stages(self) -> list[tuple[str, ...]]:
        blocks = [name for name, _ in self.features.named_children() if "block" in name]
        groups = [(f"features.{name}", f"features.transition{name[10:]}") for name in blocks]
        return [
            ("features.conv0", "features.norm0"),
            *groups[:-1],
            (f"features.{blocks[-1]}", "features.norm5"),
            ("classifier",),
        ]

    def renamed(self, key: str) -> str:
        """Published files say `denselayer1.norm.1.weight`, from a time when dots were allowed."""
        return re.sub(r"(denselayer\d+\.(?:norm|conv))\.([12])\.", r"\1\2.", key)


def _densenet(channels: int, classes: int, given: dict[str, Any], **own: Any) -> DenseNet:
    return DenseNet(channels, classes, parse(Options, own | given, "DenseNet options"))


def densenet121(channels: int, classes: int, **options: Any) -> DenseNet:
    return _densenet(channels, classes, options)


def densenet169(channels: int, classes: int, **options: Any) -> DenseNet:
    return _densenet(channels, classes, options, blocks=(6, 12, 32, 32))


VARIANTS = (densenet121, densenet169)


def tiny(channels: int, classes: int) -> DenseNet:
    return _densenet(channels, classes, {}, growth=4, blocks=(2, 2), width=8)
