"""Residual-encoder U-Net: Isensee et al. 2024, "nnU-Net revisited", arXiv:2404.09556, the strongest
net of that comparison: residual blocks (He et al. 2015, arXiv:1512.03385) on the way down, more of
them where maps are small, and one convolution a stage on the way up. Where a block makes its input
smaller, the shortcut averages before its convolution ("ResNet-D", He et al. 2018,
arXiv:1812.01187).
"""

from __future__ import annotations

from typing import Any

from pydantic import Field
from torch import Tensor, nn

from tomos.config import parse
from tomos.models._segmenter import Segmenter
from tomos.models._spatial import Count, Shape, Stage, activation, pool, unit
from tomos.models.unet import Join

TASK = "segment"


class Options(Shape):
    """What may be chosen of a residual-encoder U-Net.

    blocks     residual blocks of each stage on the way down
    zero_init  blocks start as identity (the last norm's weight is zero)
    """

    blocks: tuple[Count, ...] = Field((1, 3, 4, 6), min_length=1)
    decoder_blocks: tuple[Count, ...] = Field((1,), min_length=1)
    zero_init: bool = False


class Residual(nn.Module):
    """Two convolutions beside a shortcut."""

    def __init__(self, shape: Shape, inside: int, stage: Stage, stride: tuple[int, ...]) -> None:
        super().__init__()
        before = pool(shape, stride, "max") if shape.down == "max" else nn.Identity()
        step = () if shape.down == "max" else stride
        self.first = nn.Sequential(before, unit(shape, inside, stage.width, stage.kernel, step))
        self.second = unit(shape, stage.width, stage.width, stage.kernel, active=False)
        self.shortcut = nn.Sequential(pool(shape, stride, "average"))
        if inside != stage.width:
            self.shortcut.append(unit(shape, inside, stage.width, active=False))
        self.act = activation(shape, stage.width)

    def forward(self, x: Tensor) -> Tensor:
        # Added in place: neither the norm nor the sum needs what was there for the way back.
        return self.act(self.second(self.first(x)).add_(self.shortcut(x)))


class ResidualUNet(Segmenter):
    """A stem, residual stages down, U-Net's joins up."""

    def __init__(self, channels: int, classes: int, options: Options) -> None:
        super().__init__(channels, classes, options)
        inside = options.widths[0]
        for index, stage in enumerate(options.stages()):
            layers, stride = nn.Sequential(), stage.stride
            if not index:
                layers.append(unit(options, channels, inside, stage.kernel))
            for _ in range(stage.blocks):
                layers.append(Residual(options, inside, stage, stride))
                inside, stride = stage.width, (1,) * options.dims
            self.encoder.append(layers)
        for coarse, fine in options.climbs():
            self.decoder.append(Join(options, coarse, fine))
        self.draw()
        for block in self.modules():
            if options.zero_init and options.norm != "none" and isinstance(block, Residual):
                nn.init.zeros_(block.second.get_parameter("norm.weight"))


def residual_unet(channels: int, classes: int, **options: Any) -> ResidualUNet:
    return ResidualUNet(channels, classes, parse(Options, options, "residual U-Net options"))


VARIANTS = (residual_unet,)


def tiny(channels: int, classes: int, **options: Any) -> ResidualUNet:
    small = {"widths": (4, 6, 8), "blocks": (1, 2, 1), "up": "interpolated"}
    return residual_unet(channels, classes, **small | options)
