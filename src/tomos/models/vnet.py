"""V-Net: Milletari, Navab, Ahmadi 2016, arXiv:1606.04797. Stages of 5x5x5 convolutions that learn
what to add to the stage's input, convolutions in place of pooling, PReLU. The paper has no norms
(norm = "none"); with them it learns faster.

Two switches: `dense` lets each convolution of an encoder's stage see all those before it (Huang et
al. 2016, arXiv:1608.06993); `interactive` lets the maps from below and the skip weigh each other
before they are joined: the additive gate of Oktay et al. 2018 (arXiv:1804.03999), for both sides.
"""

from __future__ import annotations

from typing import Any, Literal

import torch
from pydantic import Field
from torch import Tensor, nn

from tomos.config import parse
from tomos.models._segmenter import Segmenter
from tomos.models._spatial import (
    Count,
    Shape,
    Side,
    Stage,
    activation,
    convolution,
    enlarge,
    norm,
    pool,
    unit,
)

TASK = "segment"


class Options(Shape):
    """What may be chosen of a V-Net.

    blocks          convolutions of each stage on the way down
    decoder_blocks  the same on the way up, finest first; they work on twice as many maps
    down            "strides": a convolution of side by side windows; "max": max pooling
    dense           each convolution on the way down sees all those before it in its stage
    interactive     maps from below and the skip weigh each other before they are joined
    """

    widths: tuple[Count, ...] = Field((16, 32, 64, 128, 256), min_length=2, max_length=9)
    blocks: tuple[Count, ...] = Field((1, 2, 3), min_length=1)
    decoder_blocks: tuple[Count, ...] = Field((1, 2, 3), min_length=1)
    kernels: tuple[Side | tuple[Side, ...], ...] = Field((5,), min_length=1)
    activation: Literal["leaky_relu", "relu", "prelu"] = "prelu"
    dense: bool = False
    interactive: bool = False


class Plain(nn.Module):
    """`blocks` convolutions, the last one's values added to what came in."""

    def __init__(self, shape: Shape, width: int, kernel: tuple[int, ...], blocks: int) -> None:
        super().__init__()
        self.units = nn.Sequential()
        for index in range(blocks):
            self.units.append(unit(shape, width, width, kernel, active=index < blocks - 1))
        self.act = activation(shape, width)

    def forward(self, x: Tensor) -> Tensor:
        return self.act(self.units(x) + x)


class Dense(nn.Module):
    """Convolutions that each add `width // blocks` maps to all before, then one of single places
    back to `width`, added to what came in."""

    def __init__(self, shape: Shape, width: int, kernel: tuple[int, ...], blocks: int) -> None:
        super().__init__()
        grown = max(1, width // blocks)
        self.units = nn.ModuleList(
            unit(shape, width + index * grown, grown, kernel) for index in range(blocks)
        )
        self.gather = unit(shape, width + blocks * grown, width, active=False)
        self.act = activation(shape, width)

    def forward(self, x: Tensor) -> Tensor:
        seen = x
        for layer in self.units:
            seen = torch.cat([seen, layer(seen)], 1)
        return self.act(self.gather(seen) + x)


class Interaction(nn.Module):
    """Two gates between 0 and 1 for every place, drawn from both sides: one for each side."""

    def __init__(self, shape: Shape, width: int) -> None:
        super().__init__()
        inner = max(1, width // 2)
        self.below = convolution(shape, width, inner, bias=False)
        self.beside = convolution(shape, width, inner, bias=shape.norm == "none")
        self.norm, self.act = norm(shape, inner), activation(shape, inner)
        self.gates = convolution(shape, inner, 2)

    def forward(self, up: Tensor, skip: Tensor) -> tuple[Tensor, Tensor]:
        both = self.act(self.norm(self.below(up) + self.beside(skip)))
        gates = torch.sigmoid(self.gates(both))
        return up * gates[:, :1], skip * gates[:, 1:]


class Join(nn.Module):
    """Coarser maps made larger, beside the skip, then convolutions on both."""

    def __init__(self, options: Options, inside: int, coarse: Stage, stage: Stage) -> None:
        super().__init__()
        self.up = enlarge(options, inside, stage.width, coarse.stride)
        self.interaction = Interaction(options, stage.width) if options.interactive else None
        self.body = Plain(options, 2 * stage.width, stage.kernel, stage.decoder_blocks)

    def forward(self, coarse: Tensor, skip: Tensor) -> Tensor:
        up = self.up(coarse)
        if self.interaction is not None:
            up, skip = self.interaction(up, skip)
        return self.body(torch.cat([up, skip], 1))


class VNet(Segmenter):
    """Residual stages down, residual stages of twice the maps up."""

    def __init__(self, channels: int, classes: int, options: Options) -> None:
        stages = options.stages()
        super().__init__(channels, classes, options, [2 * stage.width for stage in stages])
        inside, body = channels, Dense if options.dense else Plain
        for stage in stages:
            smaller = pool(options, stage.stride, "max") if options.down == "max" else nn.Identity()
            window = () if options.down == "max" else stage.stride
            widen = unit(options, inside, stage.width, window, window)
            layer = body(options, stage.width, stage.kernel, stage.blocks)
            self.encoder.append(nn.Sequential(smaller, widen, layer))
            inside = stage.width
        for coarse, fine in options.climbs():
            self.decoder.append(Join(options, inside, coarse, fine))
            inside = 2 * fine.width
        self.draw()


def vnet(channels: int, classes: int, **options: Any) -> VNet:
    return VNet(channels, classes, parse(Options, options, "V-Net options"))


VARIANTS = (vnet,)


def tiny(channels: int, classes: int, **options: Any) -> VNet:
    small = {"widths": (4, 6, 8), "kernels": (3,), "dense": True, "interactive": True}
    return vnet(channels, classes, **small | options)
