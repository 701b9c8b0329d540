"""Settings and layers of nets that work on pictures (B, F, Y, X) or volumes (B, F, Z, Y, X)."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import Annotated, Any, Literal, TypeVar

import torch
import torch.nn.functional as F
from pydantic import Field, model_validator
from torch import Tensor, nn

from tomos.config import Settings
from tomos.models._instance_norm import InstanceNorm
from tomos.types import SettingsError

T = TypeVar("T")
Count = Annotated[int, Field(ge=1)]
Side = Annotated[int, Field(ge=1, le=15)]


class Shape(Settings):
    """What may be chosen of every net that goes down a flight of stages and up again.

    A list that is shorter than `widths` goes on with its last entry; those of blocks may be longer.
    A side is one number, or a list of one an axis, as in [1, 3, 3] for slices that lie far apart.

    dims            2 for pictures, 3 for volumes; neighbouring slices are channels of a 2D net
    widths          maps of each stage, finest first; as many stages as there are widths
    blocks          convolutions (or residual blocks) of each stage on the way down
    decoder_blocks  the same on the way up, finest first
    kernels         side of the convolutions of each stage; odd
    strides         by how much each stage makes its input smaller; the first keeps the size
    levels          stages of the way up that give logits to learn from (deep supervision), finest
                    first; 0: all but those of the two coarsest sizes (nnU-Net, arXiv:1809.10486)
    norm            over what values are normalised: each map of a case, `groups` groups of its
                    maps, all of its maps ("layer"), the batch, or "none"
    groups          of maps, for norm = "group"; must divide every width
    activation      what follows a norm; "prelu" learns its slope below zero for each map
    down            "strides": the first convolution of a stage steps; "max": max pooling before it
    up              "transposed": a convolution that spreads each place over its stride;
                    "interpolated": linear, between the places
    dropout         chance that a whole map is dropped after a convolution while training
    """

    dims: Literal[2, 3] = 2
    widths: tuple[Count, ...] = Field((32, 64, 128, 256, 320), min_length=2, max_length=9)
    blocks: tuple[Count, ...] = Field((2,), min_length=1)
    decoder_blocks: tuple[Count, ...] = Field((2,), min_length=1)
    kernels: tuple[Side | tuple[Side, ...], ...] = Field((3,), min_length=1)
    strides: tuple[Side | tuple[Side, ...], ...] = Field((1, 2), min_length=1)
    levels: int = Field(0, ge=0)
    norm: Literal["instance", "group", "layer", "batch", "none"] = "instance"
    groups: int = Field(8, ge=1)
    activation: Literal["leaky_relu", "relu", "prelu"] = "leaky_relu"
    down: Literal["strides", "max"] = "strides"
    up: Literal["transposed", "interpolated"] = "transposed"
    dropout: float = Field(0.0, ge=0, lt=1)

    @model_validator(mode="after")
    def _fits(self) -> Shape:
        most = len(self.widths)
        for name, sides in (("kernels", self.kernels), ("strides", self.strides)):
            if len(sides) > most:
                raise ValueError(
                    f"{name}: expected at most one for each of {most} widths, got {len(sides)}"
                )
            for side in sides:
                if not isinstance(side, int) and len(side) != self.dims:
                    raise ValueError(
                        f"{name}: expected {self.dims} sides (dims = {self.dims}), got {side}"
                    )
        stages = self.stages()
        if any(side % 2 == 0 for stage in stages for side in stage.kernel):
            raise ValueError(f"kernels: expected odd sides, got {self.kernels}")
        if set(stages[0].stride) != {1}:
            raise ValueError(f"strides: the first stage keeps the size, got {self.strides[0]}")
        if self.levels >= most:
            raise ValueError(f"levels: expected less than the {most} stages, got {self.levels}")
        return self

    def stages(self) -> list[Stage]:
        """The stages in full, finest first."""
        return [
            Stage(
                width,
                _entry(self.blocks, index),
                _entry(self.decoder_blocks, index),
                _sides(_entry(self.kernels, index), self.dims),
                _sides(_entry(self.strides, index), self.dims),
            )
            for index, width in enumerate(self.widths)
        ]

    def climbs(self) -> list[tuple[Stage, Stage]]:
        """Each stage with the next finer one, coarsest first."""
        return [(coarse, fine) for fine, coarse in reversed(list(pairwise(self.stages())))]

    def supervised(self) -> int:
        """How many stages of the way up give logits."""
        return self.levels or max(1, len(self.widths) - 2)


@dataclass(frozen=True)
class Stage:
    """Maps of one size: how many, and how they are made from those of the finer stage.

    kernel, stride  one number an axis
    """

    width: int
    blocks: int
    decoder_blocks: int
    kernel: tuple[int, ...]
    stride: tuple[int, ...]


def _entry(values: tuple[T, ...], index: int) -> T:
    return values[min(index, len(values) - 1)]


def _sides(value: int | tuple[int, ...], dims: int) -> tuple[int, ...]:
    return (value,) * dims if isinstance(value, int) else value


def convolution(
    shape: Shape,
    inside: int,
    outside: int,
    kernel: tuple[int, ...] = (),
    stride: tuple[int, ...] = (),
    bias: bool = True,
) -> nn.Module:
    """A convolution that keeps the size but for its stride; without a kernel, of single places."""
    layer: Any = {2: nn.Conv2d, 3: nn.Conv3d}[shape.dims]
    kernel, stride = kernel or (1,) * shape.dims, stride or (1,) * shape.dims
    # Windows that lie side by side cover all and need no border.
    padding = tuple(0 if k == s else k // 2 for k, s in zip(kernel, stride, strict=True))
    return layer(inside, outside, kernel, stride, padding, bias=bias)


SLOPES = {"leaky_relu": 0.01, "relu": 0.0}


def norm(shape: Shape, width: int, active: bool = False) -> nn.Module:
    """What `shape` normalises `width` maps by, with the activation if it is to be `active` and can
    be part of it (`joined`). Raises SettingsError for groups that do not fit."""
    if shape.norm == "instance":
        return InstanceNorm(width, slope=SLOPES[shape.activation] if active else 1.0)
    if shape.norm == "batch":
        return {2: nn.BatchNorm2d, 3: nn.BatchNorm3d}[shape.dims](width)
    if shape.norm == "none":
        return nn.Identity()
    groups = 1 if shape.norm == "layer" else shape.groups
    if width % groups:
        raise SettingsError(f"groups: expected a number that divides {width} maps, got {groups}")
    return nn.GroupNorm(groups, width)


def joined(shape: Shape) -> bool:
    """Whether norm and activation are one step."""
    return shape.norm == "instance" and shape.activation in SLOPES


def activation(shape: Shape, width: int) -> nn.Module:
    """In place where it can be: the norm before it needs its own input only."""
    if shape.activation == "prelu":
        return nn.PReLU(width)
    # Not after nn.Identity: what a convolution was given must stay as it is.
    inplace = shape.norm != "none"
    if shape.activation == "relu":
        return nn.ReLU(inplace)
    return nn.LeakyReLU(SLOPES["leaky_relu"], inplace)


def unit(
    shape: Shape,
    inside: int,
    outside: int,
    kernel: tuple[int, ...] = (),
    stride: tuple[int, ...] = (),
    active: bool = True,
) -> nn.Sequential:
    """Convolution, dropout, norm and, unless `active` is false, activation."""
    made = nn.Sequential()
    made.add_module(
        "conv", convolution(shape, inside, outside, kernel, stride, shape.norm == "none")
    )
    if shape.dropout:
        made.add_module("drop", {2: nn.Dropout2d, 3: nn.Dropout3d}[shape.dims](shape.dropout))
    made.add_module("norm", norm(shape, outside, active and joined(shape)))
    if active and not joined(shape):
        made.add_module("act", activation(shape, outside))
    return made


def pool(shape: Shape, stride: tuple[int, ...], kind: Literal["max", "average"]) -> nn.Module:
    """Windows beside one another; nothing where the stride is 1."""
    if set(stride) == {1}:
        return nn.Identity()
    layers: dict[tuple[str, int], Any] = {
        ("max", 2): nn.MaxPool2d,
        ("max", 3): nn.MaxPool3d,
        ("average", 2): nn.AvgPool2d,
        ("average", 3): nn.AvgPool3d,
    }
    return layers[kind, shape.dims](stride)


def enlarge(shape: Shape, inside: int, outside: int, stride: tuple[int, ...]) -> nn.Module:
    """Maps larger by `stride`, by the way that `shape.up` names."""
    if shape.up == "transposed":
        layer: Any = {2: nn.ConvTranspose2d, 3: nn.ConvTranspose3d}[shape.dims]
        return layer(inside, outside, stride, stride)
    # First to fewer maps, while they are small: the two steps give the same in either order.
    return nn.Sequential(convolution(shape, inside, outside), Interpolation(stride))


class Interpolation(nn.Module):
    """Linear interpolation to maps that are larger by a whole number an axis."""

    def __init__(self, factor: tuple[int, ...]) -> None:
        super().__init__()
        self.factor = tuple(float(side) for side in factor)
        self.mode = {2: "bilinear", 3: "trilinear"}[len(factor)]

    def forward(self, x: Tensor) -> Tensor:
        return F.interpolate(x, scale_factor=self.factor, mode=self.mode, align_corners=False)

    def extra_repr(self) -> str:
        return "x".join(f"{side:g}" for side in self.factor)


class VolumeHead(nn.Conv3d):
    """A convolution of single places to few maps: in channels last it is a matrix product, ten
    times as quick as torch's convolution (13 against 150 ms for 32 -> 3 maps of 64^3, one core)."""

    def forward(self, x_BFZYX: Tensor) -> Tensor:
        last = x_BFZYX.is_contiguous(memory_format=torch.channels_last_3d)
        if x_BFZYX.is_cuda or not last or x_BFZYX.is_contiguous():
            return super().forward(x_BFZYX)
        rows = F.linear(x_BFZYX.movedim(1, -1), self.weight.flatten(1), self.bias)
        return rows.movedim(-1, 1)


def head(shape: Shape, inside: int, classes: int) -> nn.Module:
    """Maps -> logits of every place."""
    return (nn.Conv2d if shape.dims == 2 else VolumeHead)(inside, classes, 1)


def he(net: nn.Module) -> None:
    """Draw convolutions by He et al. 2015 (arXiv:1502.01852), fan in; biases start at nothing."""
    for layer in net.modules():
        if isinstance(layer, nn.Conv2d | nn.Conv3d):
            nn.init.kaiming_normal_(layer.weight, a=0.01)
        elif isinstance(layer, nn.ConvTranspose2d | nn.ConvTranspose3d):
            # Its windows lie side by side: each output sees one place of every map.
            nn.init.normal_(layer.weight, std=(2 / layer.in_channels) ** 0.5)
        else:
            continue
        if layer.bias is not None:
            nn.init.zeros_(layer.bias)
