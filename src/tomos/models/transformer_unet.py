"""U-Net with a Transformer between its ways down and up, where every place sees every other: as
TransUNet (Chen et al. 2021, arXiv:2102.04306) in 2D and TransBTS (Wang et al. 2021,
arXiv:2103.04430) in 3D. Their places are numbered by learnt tables of one size; here a depthwise
convolution over the zeros of the border tells where a place lies (Chu et al. 2021,
arXiv:2102.10882), so that pictures of any size fit.
"""

from __future__ import annotations

from typing import Any

import torch.nn.functional as F
from pydantic import Field, model_validator
from torch import Tensor, nn

from tomos.config import parse
from tomos.models import unet
from tomos.models._segmenter import Segmenter
from tomos.models._spatial import Shape

TASK = "segment"


class Options(Shape):
    """What may be chosen of a U-Net with a Transformer.

    layers   of attention and two dense layers, at the coarsest size
    heads    of each attention; must divide the last of `widths`
    hidden   units of the dense layers, in multiples of that width
    """

    layers: int = Field(4, ge=1, le=24)
    heads: int = Field(8, ge=1, le=64)
    hidden: int = Field(2, ge=1, le=8)

    @model_validator(mode="after")
    def _divides(self) -> Options:
        if self.widths[-1] % self.heads:
            raise ValueError(
                f"heads: expected a number that divides the last width {self.widths[-1]}, "
                f"got {self.heads}"
            )
        return self


class Layer(nn.Module):
    """Self-attention (Vaswani et al. 2017, arXiv:1706.03762), then two dense layers, each added to
    what came in, with norms before them."""

    def __init__(self, width: int, options: Options) -> None:
        super().__init__()
        self.heads, hidden = options.heads, options.hidden * width
        self.norm1, self.norm2 = nn.LayerNorm(width), nn.LayerNorm(width)
        self.asked = nn.Linear(width, 3 * width)
        self.answer = nn.Linear(width, width)
        self.dense = nn.Sequential(nn.Linear(width, hidden), nn.GELU(), nn.Linear(hidden, width))
        self.drop = nn.Dropout(options.dropout)

    def forward(self, x_BNF: Tensor) -> Tensor:
        x_BNF = x_BNF + self.drop(self.answer(self._attend(self.norm1(x_BNF))))
        return x_BNF + self.drop(self.dense(self.norm2(x_BNF)))

    def _attend(self, x_BNF: Tensor) -> Tensor:
        parts_BNPHD = self.asked(x_BNF).unflatten(2, (3, self.heads, -1))
        query, key, value = parts_BNPHD.permute(2, 0, 3, 1, 4).unbind(0)
        return F.scaled_dot_product_attention(query, key, value).transpose(1, 2).flatten(2)


class Transformer(nn.Module):
    """Maps -> maps of the same size; their places are the words."""

    def __init__(self, width: int, options: Options) -> None:
        super().__init__()
        layer = {2: nn.Conv2d, 3: nn.Conv3d}[options.dims]
        self.places = layer(width, width, 3, padding=1, groups=width)
        self.layers = nn.Sequential(*(Layer(width, options) for _ in range(options.layers)))
        self.norm = nn.LayerNorm(width)

    def forward(self, x: Tensor) -> Tensor:
        x = x + self.places(x)
        words_BNF = self.norm(self.layers(x.flatten(2).transpose(1, 2)))
        return words_BNF.transpose(1, 2).unflatten(2, x.shape[2:])


class TransformerUNet(Segmenter):
    """U-Net's stages down, the Transformer, U-Net's joins up."""

    def __init__(self, channels: int, classes: int, options: Options) -> None:
        super().__init__(channels, classes, options)
        self.encoder = unet.down(options, channels)
        self.transformer = Transformer(options.widths[-1], options)
        for coarse, fine in options.climbs():
            self.decoder.append(unet.Join(options, coarse, fine))
        self.draw()

    def encode(self, x: Tensor) -> list[Tensor]:
        *skips, bottleneck = super().encode(x)
        return [*skips, self.transformer(bottleneck)]

    def stages(self) -> list[tuple[str, ...]]:
        groups = super().stages()
        down = len(self.encoder)
        return [*groups[:down], ("transformer",), *groups[down:]]

    def draw(self) -> None:
        super().draw()
        for layer in self.transformer.modules():
            if isinstance(layer, nn.Linear):
                nn.init.trunc_normal_(layer.weight, std=0.02)
                nn.init.zeros_(layer.bias)


def transformer_unet(channels: int, classes: int, **options: Any) -> TransformerUNet:
    return TransformerUNet(channels, classes, parse(Options, options, "Transformer U-Net options"))


VARIANTS = (transformer_unet,)


def tiny(channels: int, classes: int, **options: Any) -> TransformerUNet:
    small = {"widths": (4, 6, 8), "layers": 2, "heads": 2, "norm": "group", "groups": 2}
    return transformer_unet(channels, classes, **small | options)
