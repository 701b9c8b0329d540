"""U-Net: Ronneberger, Fischer, Brox 2015, arXiv:1505.04597; in 3D Çiçek et al. 2016,
arXiv:1606.06650. Instance norm, leaky ReLU, strides in place of pooling and deep supervision as in
nnU-Net (Isensee et al. 2018, arXiv:1809.10486); unlike the first, convolutions keep the size.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from tomos.config import parse
from tomos.models._segmenter import Segmenter
from tomos.models._spatial import Shape, Stage, enlarge, pool, unit

TASK = "segment"


class Options(Shape):
    """What may be chosen of a U-Net: what may be chosen of every net of this form."""


def convolutions(shape: Shape, inside: int, stage: Stage) -> nn.Sequential:
    """A stage of the way down: smaller by its stride, then `stage.blocks` convolutions in all."""
    layers, stride = nn.Sequential(), stage.stride
    if shape.down == "max" and set(stride) != {1}:
        layers.append(pool(shape, stride, "max"))
        stride = ()
    for _ in range(stage.blocks):
        layers.append(unit(shape, inside, stage.width, stage.kernel, stride))
        inside, stride = stage.width, ()
    return layers


def down(shape: Shape, channels: int) -> nn.ModuleList:
    """All stages of the way down, from the picture."""
    widths = (channels, *shape.widths)
    return nn.ModuleList(
        convolutions(shape, inside, stage)
        for inside, stage in zip(widths, shape.stages(), strict=False)
    )


class Join(nn.Module):
    """A stage of the way up: coarser maps made larger, beside the skip, then convolutions."""

    def __init__(self, shape: Shape, coarse: Stage, stage: Stage) -> None:
        super().__init__()
        self.up = enlarge(shape, coarse.width, stage.width, coarse.stride)
        self.convolutions, inside = nn.Sequential(), 2 * stage.width
        for _ in range(stage.decoder_blocks):
            self.convolutions.append(unit(shape, inside, stage.width, stage.kernel))
            inside = stage.width

    def forward(self, coarse: Tensor, skip: Tensor) -> Tensor:
        # One convolution over both side by side takes as long as two whose results are added.
        x = torch.cat([self.up(coarse), skip], 1)
        for layer in self.convolutions:  # not in one call, which would keep its input to the end
            x = layer(x)
        return x


class UNet(Segmenter):
    """Convolutions at every size, down and up, with skips between equal sizes."""

    def __init__(self, channels: int, classes: int, options: Options) -> None:
        super().__init__(channels, classes, options)
        self.encoder = down(options, channels)
        for coarse, fine in options.climbs():
            self.decoder.append(Join(options, coarse, fine))
        self.draw()


def unet(channels: int, classes: int, **options: Any) -> UNet:
    return UNet(channels, classes, parse(Options, options, "U-Net options"))


VARIANTS = (unet,)


def tiny(channels: int, classes: int, **options: Any) -> UNet:
    return unet(channels, classes, **{"widths": (4, 6, 8), "down": "max"} | options)
