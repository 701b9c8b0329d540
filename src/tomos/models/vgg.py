"""VGG: Simonyan and Zisserman 2014, "Very deep convolutional networks for large-scale image
recognition", arXiv:1409.1556, configurations A, B, D and E, plain and with batch normalisation.

Parameter names and shapes are torchvision's, so that its weight files fit.
"""

from __future__ import annotations

from typing import Any

from pydantic import Field
from torch import Tensor, nn

from tomos.config import Settings, parse
from tomos.models._net import GridPool, MaxPool, Net, he


class Options(Settings):
    """What may be chosen.

    blocks   3x3 convolutions before each max pooling
    width    maps of the first block; each later one has twice as many, up to eight times
    norm     batch normalisation after each convolution
    hidden   units of each dense layer
    grid     rows and columns that the maps are averaged to before the dense layers
    dropout  chance that a unit of a dense layer is dropped while training
    """

    blocks: tuple[int, ...] = Field((2, 2, 3, 3, 3), min_length=1)
    width: int = Field(64, ge=1)
    norm: bool = False
    hidden: int = Field(4096, ge=1)
    grid: int = Field(7, ge=1, le=64)
    dropout: float = Field(0.5, ge=0, lt=1)


class VGG(Net):
    """Blocks of 3x3 convolutions, each ended by max pooling, then three dense layers."""

    def __init__(self, channels: int, classes: int, options: Options) -> None:
        super().__init__(channels, classes, options)
        self.features, inside, units = nn.Sequential(), channels, options.hidden
        for index, convolutions in enumerate(options.blocks):
            width = options.width * min(2**index, 8)
            for _ in range(convolutions):
                self.features.append(nn.Conv2d(inside, width, 3, padding=1))
                if options.norm:
                    self.features.append(nn.BatchNorm2d(width))
                self.features.append(nn.ReLU(inplace=True))
                inside = width
            self.features.append(MaxPool(2))
        self.grid = GridPool((options.grid, options.grid))
        self.classifier = nn.Sequential(
            nn.Linear(inside * options.grid**2, units),
            nn.ReLU(inplace=True),
            nn.Dropout(options.dropout),
            nn.Linear(units, units),
            nn.ReLU(inplace=True),
            nn.Dropout(options.dropout),
            nn.Linear(units, classes),
        )
        he(self)
        for layer in self.classifier:
            if isinstance(layer, nn.Linear):
                nn.init.kaiming_normal_(layer.weight, nonlinearity="relu")
                nn.init.zeros_(layer.bias)

    def maps(self, x_BCYX: Tensor) -> Tensor:
        return self.features(x_BCYX)

    def pool(self, maps_BFYX: Tensor) -> Tensor:
        return self.classifier[:-1](self.grid(maps_BFYX).flatten(1))

    def classify(self, features_BF: Tensor) -> Tensor:
        return self.classifier[-1](features_BF)

    def stages(self) -> list[tuple[str, ...]]:
        groups: list[tuple[str, ...]] = [()]
        for index, layer in enumerate(self.features):
            if isinstance(layer, MaxPool):
                groups.append(())
            elif not isinstance(layer, nn.ReLU):
                groups[-1] = (*groups[-1], f"features.{index}")
        dense = [(f"classifier.{i}",) for i in (0, 3, 6)]
        return [group for group in groups if group] + dense


def _vgg(channels: int, classes: int, given: dict[str, Any], **own: Any) -> VGG:
    return VGG(channels, classes, parse(Options, own | given, "VGG options"))


def vgg11(channels: int, classes: int, **options: Any) -> VGG:
    return _vgg(channels, classes, options, blocks=(1, 1, 2, 2, 2))


def vgg11_bn(channels: int, classes: int, **options: Any) -> VGG:
    return _vgg(channels, classes, options, blocks=(1, 1, 2, 2, 2), norm=True)


def vgg13(channels: int, classes: int, **options: Any) -> VGG:
    return _vgg(channels, classes, options, blocks=(2, 2, 2, 2, 2))


def vgg13_bn(channels: int, classes: int, **options: Any) -> VGG:
    return _vgg(channels, classes, options, blocks=(2, 2, 2, 2, 2), norm=True)


def vgg16(channels: int, classes: int, **options: Any) -> VGG:
    return _vgg(channels, classes, options)


def vgg16_bn(channels: int, classes: int, **options: Any) -> VGG:
    return _vgg(channels, classes, options, norm=True)


def vgg19(channels: int, classes: int, **options: Any) -> VGG:
    return _vgg(channels, classes, options, blocks=(2, 2, 4, 4, 4))


def vgg19_bn(channels: int, classes: int, **options: Any) -> VGG:
    return _vgg(channels, classes, options, blocks=(2, 2, 4, 4, 4), norm=True)


VARIANTS = (vgg11, vgg11_bn, vgg13, vgg13_bn, vgg16, vgg16_bn, vgg19, vgg19_bn)


def tiny(channels: int, classes: int) -> VGG:
    return _vgg(channels, classes, {}, blocks=(1, 2), width=4, hidden=8, grid=2, norm=True)
