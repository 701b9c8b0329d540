"""Attention U-Net: Oktay et al. 2018, "Attention U-Net: learning where to look for the pancreas",
arXiv:1804.03999. A U-Net whose skips are weighed, place by place, by what the coarser maps hold;
the finest skip is left as it is, as in the paper.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from tomos.config import parse
from tomos.models import unet
from tomos.models._segmenter import Segmenter
from tomos.models._spatial import Interpolation, Shape, Stage, convolution

TASK = "segment"


class Options(Shape):
    """What may be chosen of an attention U-Net.

    gate_finest  weigh the finest skip too
    """

    gate_finest: bool = False


class Gate(nn.Module):
    """Additive attention: a weight between 0 and 1 for every place of the skip.

    Both sides meet at the coarse size, where there are few places; the weight is interpolated.
    """

    def __init__(self, shape: Shape, coarse: Stage, stage: Stage) -> None:
        super().__init__()
        inner = max(1, stage.width // 2)
        window = coarse.stride
        self.skip = convolution(shape, stage.width, inner, window, window, bias=False)
        self.coarse = convolution(shape, coarse.width, inner)
        self.weight = convolution(shape, inner, 1)
        self.enlarge = Interpolation(window)

    def forward(self, coarse: Tensor, skip: Tensor) -> Tensor:
        met = torch.relu_(self.skip(skip).add_(self.coarse(coarse)))
        return skip * self.enlarge(torch.sigmoid(self.weight(met)))


class Join(nn.Module):
    """U-Net's join with its skip weighed."""

    def __init__(self, shape: Shape, coarse: Stage, stage: Stage) -> None:
        super().__init__()
        self.gate = Gate(shape, coarse, stage)
        self.join = unet.Join(shape, coarse, stage)

    def forward(self, coarse: Tensor, skip: Tensor) -> Tensor:
        return self.join(coarse, self.gate(coarse, skip))


class AttentionUNet(Segmenter):
    """A U-Net with gates in its skips."""

    def __init__(self, channels: int, classes: int, options: Options) -> None:
        super().__init__(channels, classes, options)
        self.encoder = unet.down(options, channels)
        finest = len(options.climbs()) - 1
        for index, (coarse, fine) in enumerate(options.climbs()):
            gated = options.gate_finest or index < finest
            self.decoder.append((Join if gated else unet.Join)(options, coarse, fine))
        self.draw()


def attention_unet(channels: int, classes: int, **options: Any) -> AttentionUNet:
    return AttentionUNet(channels, classes, parse(Options, options, "attention U-Net options"))


VARIANTS = (attention_unet,)


def tiny(channels: int, classes: int, **options: Any) -> AttentionUNet:
    return attention_unet(channels, classes, **{"widths": (4, 6, 8), "norm": "batch"} | options)
