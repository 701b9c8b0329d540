"""What every segmentation network is: down a flight of stages, up again, logits of every place."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

from tomos.models._spatial import Shape, he, head
from tomos.types import SettingsError


class Segmenter(nn.Module):
    """A net that names every pixel (dims = 2) or voxel (dims = 3), in steps to look between.

    forward(x)            -> logits (B, K, [Z,] Y, X) at the input's size (B, C, [Z,] Y, X)
    deep(x)               -> logits of several sizes, finest first, to learn from
    features(x)           -> (B, F), the bottleneck's maps averaged over their places
    encode(x)             -> maps of every stage, finest first, the bottleneck last
    decode(maps)          -> maps of every stage on the way up, finest first
    segment(maps), pool(maps[-1])  -> logits, features from what `encode` gave

    classes  K, the background included, which is class 0
    dims     2 or 3: the axes of a picture or volume
    step     by what each side of an input must be divisible, one number an axis
    layout   torch's name of "channels last" for this net's tensors, the quickest on a processor
    options  what was chosen, as plain data: `build(name, channels, classes, **options)`

    `forward`, `deep` and `features` refuse what does not fit with SettingsError. A subclass fills
    `encoder` with stages that take the maps of the stage before, and `decoder` with joins, coarsest
    first, that take the coarser maps and those of the encoder.
    """

    name: str = ""
    options: dict[str, Any]

    def __init__(
        self, channels: int, classes: int, shape: Shape, decoded: Sequence[int] = ()
    ) -> None:
        """`decoded`: maps of each stage on the way up, finest first; () = `shape.widths`."""
        super().__init__()
        self.channels, self.classes, self.dims = channels, classes, shape.dims
        self.options = shape.model_dump(mode="json")
        strides = [stage.stride for stage in shape.stages()]
        self.step = tuple(math.prod(axis) for axis in zip(*strides, strict=True))
        self.layout = {2: torch.channels_last, 3: torch.channels_last_3d}[shape.dims]
        self.encoder, self.decoder = nn.ModuleList(), nn.ModuleList()
        widths = (decoded or shape.widths)[: shape.supervised()]
        self.heads = nn.ModuleList(head(shape, width, classes) for width in widths)

    def encode(self, x: Tensor) -> list[Tensor]:
        maps = []
        for stage in self.encoder:
            x = stage(x)
            maps.append(x)
        return maps

    def decode(self, maps: Sequence[Tensor]) -> list[Tensor]:
        *skips, x = maps
        found = []
        for join, skip in zip(self.decoder, reversed(skips), strict=True):
            x = join(x, skip)
            found.append(x)
        return found[::-1]

    def segment(self, maps: Sequence[Tensor]) -> Tensor:
        return self.heads[0](self.decode(maps)[0])

    def pool(self, bottleneck: Tensor) -> Tensor:
        return bottleneck.mean(tuple(range(2, bottleneck.ndim)))

    def forward(self, x: Tensor) -> Tensor:
        self.check(x)
        return self.segment(self.encode(x))

    def deep(self, x: Tensor) -> list[Tensor]:
        self.check(x)
        maps = self.decode(self.encode(x))
        return [layer(level) for layer, level in zip(self.heads, maps, strict=False)]

    def features(self, x: Tensor) -> Tensor:
        self.check(x)
        return self.pool(self.encode(x)[-1])

    def check(self, x: Tensor) -> None:
        """Raise SettingsError, saying what was expected, unless `x` fits this net."""
        given = tuple(int(n) for n in x.shape)
        size = given[2:]
        fits = len(size) == self.dims and given[1] == self.channels and min(given) > 0
        if fits and size == self.fitting(size):
            return
        axes = "B, C, Z, Y, X" if self.dims == 3 else "B, C, Y, X"
        problem = (
            f"model {self.name or type(self).__name__}: expected a batch ({axes}) with "
            f"C = {self.channels} and sides divisible by {self.step}, got {given}"
        )
        if not fits:
            raise SettingsError(f"{problem}; choose another size in the plan, or another model")
        below = tuple(side // step * step for side, step in zip(size, self.step, strict=True))
        sizes = [near for near in (below, self.fitting(size)) if min(near)]
        raise SettingsError(f"{problem}; the next sizes that fit: {' and '.join(map(str, sizes))}")

    def fitting(self, size: Sequence[int]) -> tuple[int, ...]:
        """The smallest size that fits and holds `size`, ([Z,] Y, X)."""
        return tuple(-(-side // step) * step for side, step in zip(size, self.step, strict=True))

    def stages(self) -> list[tuple[str, ...]]:
        """Layers by name, in groups from the picture to the head, for layer-wise learning rates and
        freezing. A parameter belongs to the layer whose name and a dot it begins with, and to one
        group only; the last group is the heads."""
        ways = [("encoder", self.encoder), ("decoder", self.decoder)]
        return [
            *((f"{name}.{index}",) for name, way in ways for index in range(len(way))),
            ("heads",),
        ]

    def renamed(self, key: str) -> str:
        """The name that a tensor of a published weight file bears here."""
        return key

    def draw(self) -> None:
        """Initial weights, from torch's global generator; called once all layers are there."""
        he(self)
