"""ResNet: He et al. 2015, "Deep residual learning for image recognition", arXiv:1512.03385.

In the 50 and 101 layer nets the stride sits on the 3x3 convolution ("v1.5"). Parameter names and
shapes are torchvision's, so that its weight files fit. `resnet_small` is for pictures of 28-64 px.
"""

from __future__ import annotations

from typing import Any, Literal

import torch.nn.functional as F
from pydantic import Field
from torch import Tensor, nn

from tomos.config import Settings, parse
from tomos.models._net import BlurPool, MaxPool, Net, SqueezeExcite, StochasticDepth, he


class Options(Settings):
    """What may be chosen of a ResNet.

    width             maps of the first stage; each later stage has twice as many
    blocks            residual blocks in each stage
    stem              "imagenet": 7x7 stride 2 and max pooling, for 128 px and more;
                      "medium": 3x3 stride 2, for 48-128 px; "small": 3x3 stride 1, below
    dropout           chance that a feature is dropped before the last layer
    stochastic_depth  chance that the last block is skipped while training; earlier ones less
    zero_init         blocks start as identity (the last norm's weight is zero)
    se                channel attention in every block
    antialias         blur before every stride
    """

    width: int = Field(64, ge=4, le=1024)
    blocks: tuple[int, ...] = Field((2, 2, 2, 2), min_length=1, max_length=6)
    stem: Literal["imagenet", "medium", "small"] = "imagenet"
    dropout: float = Field(0.0, ge=0, lt=1)
    stochastic_depth: float = Field(0.0, ge=0, lt=1)
    zero_init: bool = False
    se: bool = False
    antialias: bool = False


class Basic(nn.Module):
    """Two 3x3 convolutions beside a shortcut."""

    expansion = 1

    def __init__(self, inside: int, width: int, stride: int, drop: float, options: Options) -> None:
        super().__init__()
        blur = options.antialias and stride > 1
        self.conv1 = nn.Conv2d(inside, width, 3, 1 if blur else stride, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(width)
        self.blur = BlurPool(width) if blur else nn.Identity()
        self.conv2 = nn.Conv2d(width, width, 3, 1, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(width)
        self.se = SqueezeExcite(width) if options.se else nn.Identity()
        self.drop = StochasticDepth(drop) if drop else nn.Identity()
        self.thin = BlurPool(inside) if blur else nn.Identity()
        self.downsample = _shortcut(inside, width, stride, blur)

    def forward(self, x: Tensor) -> Tensor:
        y = self.blur(F.relu(self.bn1(self.conv1(x))))
        y = self.se(self.bn2(self.conv2(y)))
        return F.relu(self.drop(y) + self.downsample(self.thin(x)))

    def last_norm(self) -> nn.BatchNorm2d:
        return self.bn2


class Bottleneck(nn.Module):
    """1x1 to fewer maps, 3x3, 1x1 to four times as many, beside a shortcut."""

    expansion = 4

    def __init__(self, inside: int, width: int, stride: int, drop: float, options: Options) -> None:
        super().__init__()
        outside, blur = width * self.expansion, options.antialias and stride > 1
        self.conv1 = nn.Conv2d(inside, width, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(width)
        self.conv2 = nn.Conv2d(width, width, 3, 1 if blur else stride, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(width)
        self.blur = BlurPool(width) if blur else nn.Identity()
        self.conv3 = nn.Conv2d(width, outside, 1, bias=False)
        self.bn3 = nn.BatchNorm2d(outside)
        self.se = SqueezeExcite(outside) if options.se else nn.Identity()
        self.drop = StochasticDepth(drop) if drop else nn.Identity()
        self.thin = BlurPool(inside) if blur else nn.Identity()
        self.downsample = _shortcut(inside, outside, stride, blur)

    def forward(self, x: Tensor) -> Tensor:
        y = F.relu(self.bn1(self.conv1(x)))
        y = self.blur(F.relu(self.bn2(self.conv2(y))))
        y = self.se(self.bn3(self.conv3(y)))
        return F.relu(self.drop(y) + self.downsample(self.thin(x)))

    def last_norm(self) -> nn.BatchNorm2d:
        return self.bn3


def _shortcut(inside: int, outside: int, stride: int, blur: bool) -> nn.Module:
    """Nothing where shapes agree, else a 1x1 convolution; after a blur the stride is done."""
    if stride == 1 and inside == outside:
        return nn.Identity()
    convolution = Pointwise(inside, outside, 1, 1 if blur else stride, bias=False)
    return nn.Sequential(convolution, nn.BatchNorm2d(outside))


class Pointwise(nn.Conv2d):
    """A 1x1 convolution that takes every `stride`-th place before it, while it learns.

    The same values as of the convolution with a stride. oneDNN's gradient of that one writes beyond
    its memory where the maps lie channels last and are fewer than a vector holds (16 at AVX-512,
    https://github.com/uxlfoundation/oneDNN/issues/6035): training then ends in a crash.
    """

    def forward(self, x: Tensor) -> Tensor:
        if not self.training or self.in_channels >= 16 or self.stride == (1, 1):
            return super().forward(x)
        down, along = self.stride
        return F.conv2d(x[:, :, ::down, ::along], self.weight, self.bias)


class ResNet(Net):
    """A stem, stages of residual blocks `layer1`, `layer2`, ..., global average pooling, `fc`."""

    linear: nn.Linear

    def __init__(
        self, channels: int, classes: int, block: type[Basic | Bottleneck], options: Options
    ) -> None:
        super().__init__(channels, classes, options)
        kernel, stride = {"imagenet": (7, 2), "medium": (3, 2), "small": (3, 1)}[options.stem]
        self.conv1 = nn.Conv2d(
            channels, options.width, kernel, stride, padding=kernel // 2, bias=False
        )
        self.bn1 = nn.BatchNorm2d(options.width)
        self.maxpool = self._stem_pool(options)
        self._stages = len(options.blocks)
        inside, total, built = options.width, sum(options.blocks), 0
        for stage, blocks in enumerate(options.blocks):
            width, layer = options.width * 2**stage, nn.Sequential()
            for index in range(blocks):
                drop = options.stochastic_depth * (built + 1) / total
                step = 2 if stage and not index else 1
                layer.append(block(inside, width, step, drop, options))
                inside, built = width * block.expansion, built + 1
            self.add_module(f"layer{stage + 1}", layer)
        self.dropout = nn.Dropout(options.dropout)
        self.fc = self.linear = nn.Linear(inside, classes)
        self._draw(options.zero_init)

    @staticmethod
    def _stem_pool(options: Options) -> nn.Module:
        if options.stem != "imagenet":
            return nn.Identity()
        if options.antialias:
            return nn.Sequential(MaxPool(3, 1, 1), BlurPool(options.width))
        return MaxPool(3, 2, 1)

    def _draw(self, zero_init: bool) -> None:
        he(self)
        for module in self.modules():
            if zero_init and isinstance(module, Basic | Bottleneck):
                nn.init.zeros_(module.last_norm().weight)

    def maps(self, x_BCYX: Tensor) -> Tensor:
        x = self.maxpool(F.relu(self.bn1(self.conv1(x_BCYX))))
        for stage in range(self._stages):
            x = self.get_submodule(f"layer{stage + 1}")(x)
        return x

    def classify(self, features_BF: Tensor) -> Tensor:
        return self.fc(self.dropout(features_BF))

    def stages(self) -> list[tuple[str, ...]]:
        layers = [(f"layer{stage + 1}",) for stage in range(self._stages)]
        return [("conv1", "bn1"), *layers, ("fc",)]


def _resnet(
    channels: int, classes: int, block: type[Basic | Bottleneck], given: dict[str, Any], **own: Any
) -> ResNet:
    return ResNet(channels, classes, block, parse(Options, own | given, "ResNet options"))


def resnet_small(channels: int, classes: int, **options: Any) -> ResNet:
    return _resnet(channels, classes, Basic, options, width=32, blocks=(1, 1, 1), stem="small")


def resnet18(channels: int, classes: int, **options: Any) -> ResNet:
    return _resnet(channels, classes, Basic, options)


def resnet34(channels: int, classes: int, **options: Any) -> ResNet:
    return _resnet(channels, classes, Basic, options, blocks=(3, 4, 6, 3))


def resnet50(channels: int, classes: int, **options: Any) -> ResNet:
    return _resnet(channels, classes, Bottleneck, options, blocks=(3, 4, 6, 3))


def resnet101(channels: int, classes: int, **options: Any) -> ResNet:
    return _resnet(channels, classes, Bottleneck, options, blocks=(3, 4, 23, 3))


VARIANTS = (resnet_small, resnet18, resnet34, resnet50, resnet101)


def tiny(channels: int, classes: int) -> ResNet:
    return _resnet(
        channels, classes, Bottleneck, {}, width=8, blocks=(1, 1), se=True, antialias=True
    )
