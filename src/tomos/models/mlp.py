"""Perceptron, multilayer perceptron and deep dense net on the pixels themselves.

Rosenblatt 1958, "The perceptron", doi:10.1037/h0042519; Rumelhart, Hinton and Williams 1986,
"Learning representations by back-propagating errors", doi:10.1038/323533a0.

The picture is averaged (or repeated) onto a fixed grid first, so that any size fits the same
weights. There are no maps: nothing in these nets keeps its place in the picture.
"""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import torch.nn.functional as F
from pydantic import Field
from torch import Tensor, nn

from tomos.config import Settings, parse
from tomos.models._net import GridPool, Net


class Options(Settings):
    """What may be chosen of a dense net.

    size     rows and columns of the grid the picture is brought to
    hidden   units of each hidden layer
    norm     batch normalisation after each hidden layer
    dropout  chance that a hidden unit is dropped while training
    """

    size: tuple[int, int] = (28, 28)
    hidden: tuple[int, ...] = (512, 128)
    norm: bool = False
    dropout: float = Field(0.0, ge=0, lt=1)


class Dense(nn.Module):
    """One hidden layer: linear, norm, ReLU, dropout."""

    def __init__(self, inside: int, outside: int, options: Options) -> None:
        super().__init__()
        self.linear = nn.Linear(inside, outside, bias=not options.norm)
        self.norm = nn.BatchNorm1d(outside) if options.norm else nn.Identity()
        self.dropout = nn.Dropout(options.dropout)
        nn.init.kaiming_normal_(self.linear.weight, nonlinearity="relu")

    def forward(self, x_BF: Tensor) -> Tensor:
        return self.dropout(F.relu(self.norm(self.linear(x_BF))))


class MLP(Net):
    """Grid of pixels -> hidden layers -> `head`."""

    def __init__(self, channels: int, classes: int, options: Options) -> None:
        super().__init__(channels, classes, options)
        widths = [channels * options.size[0] * options.size[1], *options.hidden]
        self.grid = GridPool(options.size)
        pairs = pairwise(widths)
        self.hidden = nn.Sequential(*(Dense(*pair, options) for pair in pairs))
        self.head = nn.Linear(widths[-1], classes)

    def embed(self, x_BCYX: Tensor) -> Tensor:
        return self.hidden(self.grid(x_BCYX).flatten(1))

    def classify(self, features_BF: Tensor) -> Tensor:
        return self.head(features_BF)

    def stages(self) -> list[tuple[str, ...]]:
        return [*((f"hidden.{i}",) for i in range(len(self.hidden))), ("head",)]


def _mlp(channels: int, classes: int, given: dict[str, Any], **own: Any) -> MLP:
    return MLP(channels, classes, parse(Options, own | given, "MLP options"))


def perceptron(channels: int, classes: int, **options: Any) -> MLP:
    return _mlp(channels, classes, options, hidden=())


def mlp(channels: int, classes: int, **options: Any) -> MLP:
    return _mlp(channels, classes, options)


def dnn(channels: int, classes: int, **options: Any) -> MLP:
    deep = (1024, 512, 256, 128)
    return _mlp(channels, classes, options, hidden=deep, norm=True, dropout=0.2)


VARIANTS = (perceptron, mlp, dnn)


def tiny(channels: int, classes: int) -> MLP:
    return _mlp(channels, classes, {}, size=(7, 9), hidden=(12, 8), norm=True)
