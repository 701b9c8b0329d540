"""AlexNet: Krizhevsky, Sutskever and Hinton 2012, "ImageNet classification with deep convolutional
neural networks", in the single-column form of Krizhevsky 2014, arXiv:1404.5997.

Made for 227 px; the first convolution needs 7 px. Parameter names and shapes are torchvision's.
"""

from __future__ import annotations

from typing import Any

from pydantic import Field
from torch import Tensor, nn

from tomos.config import Settings, parse
from tomos.models._net import GridPool, MaxPool, Net


class Options(Settings):
    """What may be chosen.

    width    maps of the first convolution; the others keep their proportion to it
    hidden   units of each dense layer
    grid     rows and columns that the maps are averaged to before the dense layers
    dropout  chance that an input of a dense layer is dropped while training
    """

    width: int = Field(64, ge=1)
    hidden: int = Field(4096, ge=1)
    grid: int = Field(6, ge=1, le=64)
    dropout: float = Field(0.5, ge=0, lt=1)


class AlexNet(Net):
    """Five convolutions, three max poolings, three dense layers."""

    # 11x11 pixels of the picture and its padding of 2 on each side
    smallest = 7

    def __init__(self, channels: int, classes: int, options: Options) -> None:
        super().__init__(channels, classes, options)
        w, units = options.width, options.hidden
        self.features = nn.Sequential(
            nn.Conv2d(channels, w, 11, stride=4, padding=2),
            nn.ReLU(inplace=True),
            MaxPool(3, 2),
            nn.Conv2d(w, 3 * w, 5, padding=2),
            nn.ReLU(inplace=True),
            MaxPool(3, 2),
            nn.Conv2d(3 * w, 6 * w, 3, padding=1),
            nn.ReLU(inplace=True),
            nn.Conv2d(6 * w, 4 * w, 3, padding=1),
            nn.ReLU(inplace=True),
            nn.Conv2d(4 * w, 4 * w, 3, padding=1),
            nn.ReLU(inplace=True),
            MaxPool(3, 2),
        )
        self.grid = GridPool((options.grid, options.grid))
        self.classifier = nn.Sequential(
            nn.Dropout(options.dropout),
            nn.Linear(4 * w * options.grid**2, units),
            nn.ReLU(inplace=True),
            nn.Dropout(options.dropout),
            nn.Linear(units, units),
            nn.ReLU(inplace=True),
            nn.Linear(units, classes),
        )

    def maps(self, x_BCYX: Tensor) -> Tensor:
        return self.features(x_BCYX)

    def pool(self, maps_BFYX: Tensor) -> Tensor:
        return self.classifier[:-1](self.grid(maps_BFYX).flatten(1))

    def classify(self, features_BF: Tensor) -> Tensor:
        return self.classifier[-1](features_BF)

    def stages(self) -> list[tuple[str, ...]]:
        convolutions = [(f"features.{i}",) for i in (0, 3, 6, 8, 10)]
        return [*convolutions, ("classifier.1",), ("classifier.4",), ("classifier.6",)]


def alexnet(channels: int, classes: int, **options: Any) -> AlexNet:
    return AlexNet(channels, classes, parse(Options, options, "alexnet options"))


VARIANTS = (alexnet,)


def tiny(channels: int, classes: int) -> AlexNet:
    return alexnet(channels, classes, width=4, hidden=8, grid=2)
