"""GoogLeNet: Szegedy et al. 2014, "Going deeper with convolutions", arXiv:1409.4842.

With batch normalisation (Ioffe and Szegedy 2015, arXiv:1502.03167), which is why the two auxiliary
heads, an aid for training without it, are not built. Parameter names and shapes are torchvision's,
so that its weight files fit: as there, the "5x5" branch is a 3x3 convolution. Its file expects
pictures as 2 * value - 1 for values of 0..1.
"""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from pydantic import Field
from torch import Tensor, nn

from tomos.config import Settings, parse
from tomos.models._net import MaxPool, Net, he


class Options(Settings):
    """What may be chosen.

    width    maps of the first convolution; all others keep their proportion to it (of 64)
    dropout  chance that a feature is dropped before the last layer
    """

    width: int = Field(64, ge=2, le=1024)
    dropout: float = Field(0.2, ge=0, lt=1)


class Unit(nn.Module):
    """Convolution, batch norm, ReLU; sides are kept at stride 1."""

    def __init__(self, inside: int, outside: int, kernel: int, stride: int = 1) -> None:
        super().__init__()
        self.conv = nn.Conv2d(inside, outside, kernel, stride, kernel // 2, bias=False)
        self.bn = nn.BatchNorm2d(outside, eps=1e-3)

    def forward(self, x: Tensor) -> Tensor:
        return F.relu(self.bn(self.conv(x)))


class Inception(nn.Module):
    """Four ways side by side: 1x1, 1x1-3x3, 1x1-3x3, max pooling-1x1.

    maps  of the 1x1 way; then before and after each 3x3; then after the pooling
    """

    def __init__(self, inside: int, maps: tuple[int, int, int, int, int, int]) -> None:
        super().__init__()
        one, less3, three, less5, five, pooled = maps
        self.branch1 = Unit(inside, one, 1)
        self.branch2 = nn.Sequential(Unit(inside, less3, 1), Unit(less3, three, 3))
        self.branch3 = nn.Sequential(Unit(inside, less5, 1), Unit(less5, five, 3))
        self.branch4 = nn.Sequential(MaxPool(3, 1, 1), Unit(inside, pooled, 1))
        self.outside = one + three + five + pooled

    def forward(self, x: Tensor) -> Tensor:
        return torch.cat([self.branch1(x), self.branch2(x), self.branch3(x), self.branch4(x)], 1)


# Table 1 of the paper: block -> maps, in the order of `Inception`.
TABLE: dict[str, tuple[int, int, int, int, int, int]] = {
    "3a": (64, 96, 128, 16, 32, 32),
    "3b": (128, 128, 192, 32, 96, 64),
    "4a": (192, 96, 208, 16, 48, 64),
    "4b": (160, 112, 224, 24, 64, 64),
    "4c": (128, 128, 256, 24, 64, 64),
    "4d": (112, 144, 288, 32, 64, 64),
    "4e": (256, 160, 320, 32, 128, 128),
    "5a": (256, 160, 320, 32, 128, 128),
    "5b": (384, 192, 384, 48, 128, 128),
}


class GoogLeNet(Net):
    """A stem of three convolutions, nine inception blocks, global average pooling, `fc`."""

    linear: nn.Linear

    def __init__(self, channels: int, classes: int, options: Options) -> None:
        super().__init__(channels, classes, options)

        def part(maps: int) -> int:
            return max(1, maps * options.width // 64)

        self.conv1 = Unit(channels, part(64), 7, 2)
        self.maxpool1 = MaxPool(3, 2, ceil_mode=True)
        self.conv2 = Unit(part(64), part(64), 1)
        self.conv3 = Unit(part(64), part(192), 3)
        self.maxpool2 = MaxPool(3, 2, ceil_mode=True)
        inside = part(192)
        for name, (one, less3, three, less5, five, pooled) in TABLE.items():
            maps = (part(one), part(less3), part(three), part(less5), part(five), part(pooled))
            block = Inception(inside, maps)
            self.add_module(f"inception{name}", block)
            inside = block.outside
        self.maxpool3 = MaxPool(3, 2, ceil_mode=True)
        self.maxpool4 = MaxPool(2, 2, ceil_mode=True)
        self.dropout = nn.Dropout(options.dropout)
        self.fc = self.linear = nn.Linear(inside, classes)
        he(self)

    def maps(self, x_BCYX: Tensor) -> Tensor:
        x = self.maxpool1(self.conv1(x_BCYX))
        x = self.maxpool2(self.conv3(self.conv2(x)))
        for name in TABLE:
            x = self.get_submodule(f"inception{name}")(x)
            if name == "3b":
                x = self.maxpool3(x)
            elif name == "4e":
                x = self.maxpool4(x)
        return x

    def classify(self, features_BF: Tensor) -> Tensor:
        return self.fc(self.dropout(features_BF))

    def stages(self) -> list[tuple[str, ...]]:
        levels = [tuple(f"inception{name}" for name in TABLE if name[0] == n) for n in "345"]
        return [("conv1", "conv2", "conv3"), *levels, ("fc",)]


def googlenet(channels: int, classes: int, **options: Any) -> GoogLeNet:
    return GoogLeNet(channels, classes, parse(Options, options, "googlenet options"))


VARIANTS = (googlenet,)


def tiny(channels: int, classes: int) -> GoogLeNet:
    return googlenet(channels, classes, width=4)
