"""Three convolutions and one dense layer, as used to find lesions in slices of liver CT.

conv64, conv128 and conv256, each with ReLU and 2x2 max pooling, FC512 with ReLU, output. The plan
behind it is LeCun et al. 1998, doi:10.1109/5.726791; the output's sigmoid belongs to the task, so
that logits come out here as from every net.
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

    widths   maps of each convolution
    grid     rows and columns that the maps are averaged to before the dense layer
    hidden   units of the dense layer
    dropout  chance that such a unit is dropped while training
    """

    widths: tuple[int, ...] = Field((64, 128, 256), min_length=1)
    grid: int = Field(4, ge=1, le=64)
    hidden: int = Field(512, ge=1)
    dropout: float = Field(0.0, ge=0, lt=1)


class LiverCNN(Net):
    """(3x3 convolution, ReLU, max pooling) for each width, then fc1, ReLU, fc2."""

    def __init__(self, channels: int, classes: int, options: Options) -> None:
        super().__init__(channels, classes, options)
        self.convolutions = nn.Sequential()
        inside = channels
        for width in options.widths:
            self.convolutions.append(nn.Conv2d(inside, width, 3, padding=1))
            self.convolutions.append(nn.ReLU(inplace=True))
            self.convolutions.append(MaxPool(2))
            inside = width
        self.grid = GridPool((options.grid, options.grid))
        self.fc1 = nn.Linear(inside * options.grid**2, options.hidden)
        self.dropout = nn.Dropout(options.dropout)
        self.fc2 = nn.Linear(options.hidden, classes)
        he(self)

    def maps(self, x_BCYX: Tensor) -> Tensor:
        return self.convolutions(x_BCYX)

    def pool(self, maps_BFYX: Tensor) -> Tensor:
        return F.relu(self.fc1(self.grid(maps_BFYX).flatten(1)))

    def classify(self, features_BF: Tensor) -> Tensor:
        return self.fc2(self.dropout(features_BF))


def liver_cnn(channels: int, classes: int, **options: Any) -> LiverCNN:
    return LiverCNN(channels, classes, parse(Options, options, "liver_cnn options"))


VARIANTS = (liver_cnn,)


def tiny(channels: int, classes: int) -> LiverCNN:
    return liver_cnn(channels, classes, widths=(4, 6, 8), grid=2, hidden=8)
