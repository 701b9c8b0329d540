"""Two normalised convolutions and one linear layer: conv16-BN - conv32-BN - FC.

Batch normalisation after Ioffe and Szegedy 2015, arXiv:1502.03167. With `grid = 1` the net ends in
global average pooling and the linear layer, and its class activation map is exact.
"""

from __future__ import annotations

from typing import Any

import torch.nn.functional as F
from pydantic import Field
from torch import Tensor, nn

from tomos.config import Settings, parse
from tomos.models._net import GridPool, MaxPool, Net, he


class Options(Settings):
    """What may be chosen.

    width    maps of the first convolution; the second has twice as many
    grid     rows and columns that the maps are averaged to before the linear layer; 1 = global
    dropout  chance that a feature is dropped while training
    """

    width: int = Field(16, ge=1)
    grid: int = Field(7, ge=1, le=64)
    dropout: float = Field(0.0, ge=0, lt=1)


class SmallCNN(Net):
    """(3x3 convolution, batch norm, ReLU, max pooling) twice, then fc."""

    def __init__(self, channels: int, classes: int, options: Options) -> None:
        super().__init__(channels, classes, options)
        wide = 2 * options.width
        self.conv1 = nn.Conv2d(channels, options.width, 3, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(options.width)
        self.conv2 = nn.Conv2d(options.width, wide, 3, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(wide)
        self.halve = MaxPool(2)
        self.grid = GridPool((options.grid, options.grid))
        self.dropout = nn.Dropout(options.dropout)
        self.fc = nn.Linear(wide * options.grid**2, classes)
        if options.grid == 1:
            self.linear = self.fc
        he(self)

    def maps(self, x_BCYX: Tensor) -> Tensor:
        x = self.halve(F.relu(self.bn1(self.conv1(x_BCYX))))
        return self.halve(F.relu(self.bn2(self.conv2(x))))

    def pool(self, maps_BFYX: Tensor) -> Tensor:
        return self.grid(maps_BFYX).flatten(1)

    def classify(self, features_BF: Tensor) -> Tensor:
        return self.fc(self.dropout(features_BF))

    def stages(self) -> list[tuple[str, ...]]:
        return [("conv1", "bn1"), ("conv2", "bn2"), ("fc",)]


def small_cnn(channels: int, classes: int, **options: Any) -> SmallCNN:
    return SmallCNN(channels, classes, parse(Options, options, "small_cnn options"))


VARIANTS = (small_cnn,)


def tiny(channels: int, classes: int) -> SmallCNN:
    return small_cnn(channels, classes, width=4, grid=1)
