"""Two convolutions and one dense layer: conv32 - conv64 - FC512 - dropout.

After LeCun et al. 1998, "Gradient-based learning applied to document recognition",
doi:10.1109/5.726791, with ReLU, max pooling and dropout as in the digit tutorials that made this
net the usual first one. At 28 px the grid before the dense layer is the 7x7 map itself.
"""

from __future__ import annotations

from typing import Any, Literal

import torch.nn.functional as F
from pydantic import Field
from torch import Tensor, nn

from tomos.config import Settings, parse
from tomos.models._net import GridPool, MaxPool, Net, he


class Options(Settings):
    """What may be chosen.

    width    maps of the first convolution; the second has twice as many
    kernel   side of both convolutions
    grid     rows and columns that the maps are averaged to before the dense layer
    hidden   units of the dense layer
    dropout  chance that such a unit is dropped while training
    """

    width: int = Field(32, ge=1)
    kernel: Literal[1, 3, 5, 7, 9, 11] = 5
    grid: int = Field(7, ge=1, le=64)
    hidden: int = Field(512, ge=1)
    dropout: float = Field(0.5, ge=0, lt=1)


class TwoLayerCNN(Net):
    """(convolution, ReLU, max pooling) twice, then fc1, ReLU, dropout, fc2."""

    def __init__(self, channels: int, classes: int, options: Options) -> None:
        super().__init__(channels, classes, options)
        wide, side = 2 * options.width, options.kernel
        self.conv1 = nn.Conv2d(channels, options.width, side, padding=side // 2)
        self.conv2 = nn.Conv2d(options.width, wide, side, padding=side // 2)
        self.halve = MaxPool(2)
        self.grid = GridPool((options.grid, options.grid))
        self.fc1 = nn.Linear(wide * options.grid**2, options.hidden)
        self.dropout = nn.Dropout(options.dropout)
        self.fc2 = nn.Linear(options.hidden, classes)
        he(self)

    def maps(self, x_BCYX: Tensor) -> Tensor:
        x = self.halve(F.relu(self.conv1(x_BCYX)))
        return self.halve(F.relu(self.conv2(x)))

    def pool(self, maps_BFYX: Tensor) -> Tensor:
        return F.relu(self.fc1(self.grid(maps_BFYX).flatten(1)))

    def classify(self, features_BF: Tensor) -> Tensor:
        return self.fc2(self.dropout(features_BF))


def two_layer_cnn(channels: int, classes: int, **options: Any) -> TwoLayerCNN:
    return TwoLayerCNN(channels, classes, parse(Options, options, "two_layer_cnn options"))


VARIANTS = (two_layer_cnn,)


def tiny(channels: int, classes: int) -> TwoLayerCNN:
    return two_layer_cnn(channels, classes, width=4, grid=3, hidden=8)
