"""What every network is, and the few layers that make one safe for any size of picture."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from tomos.config import Settings
from tomos.types import SettingsError


class Net(nn.Module):
    """A classifier in named steps, so that others can look between them.

    forward(x_BCYX)  -> logits_BK
    maps(x_BCYX)     -> maps_BFYX: what the last convolution sees; None when the net has no such map
    pool(maps_BFYX)  -> features_BF
    embed(x_BCYX)    -> features_BF: pool(maps(x)), or the net's own way where there are no maps
    classify(features_BF) -> logits_BK
    linear           the last layer, set only where the net ends in global average pooling and this
                     layer: its weights on `maps` are then an exact class activation map
                     (Zhou et al. 2016, arXiv:1512.04150)
    smallest         the shortest side, in pixels, that the net can take
    options          what was chosen, as plain data: `build(name, channels, classes, **options)`

    `forward` refuses pictures of another number of channels or too small ones with SettingsError.
    Sigmoid and softmax belong to the task: logits come out.
    """

    name: str = ""
    channels: int = 0
    classes: int = 0
    smallest: int = 1
    options: dict[str, Any]
    linear: nn.Linear | None

    def __init__(self, channels: int, classes: int, options: Settings | None = None) -> None:
        super().__init__()
        self.channels, self.classes = channels, classes
        self.options = options.model_dump(mode="json") if options else {}
        self.linear = None

    def maps(self, x_BCYX: Tensor) -> Tensor | None:
        return None

    def pool(self, maps_BFYX: Tensor) -> Tensor:
        return maps_BFYX.mean((2, 3))

    def embed(self, x_BCYX: Tensor) -> Tensor:
        maps = self.maps(x_BCYX)
        if maps is None:
            raise NotImplementedError(f"{type(self).__name__} has neither maps nor its own `embed`")
        return self.pool(maps)

    def classify(self, features_BF: Tensor) -> Tensor:
        raise NotImplementedError

    def forward(self, x_BCYX: Tensor) -> Tensor:
        self.check(x_BCYX)
        return self.classify(self.embed(x_BCYX))

    def check(self, x_BCYX: Tensor) -> None:
        """Raise SettingsError, saying what was expected, unless `x` fits this net."""
        shape = tuple(int(n) for n in x_BCYX.shape)
        fits = len(shape) == 4 and shape[1] == self.channels
        if not fits or min(shape[2:]) < self.smallest:
            raise SettingsError(
                f"model {self.name or type(self).__name__}: expected a batch (B, C, Y, X) with "
                f"C = {self.channels} and sides of at least {self.smallest} px, got {shape}; "
                "choose another size in the plan, or another model"
            )

    def stages(self) -> list[tuple[str, ...]]:
        """Layers by name, in groups from the picture to the head, for layer-wise learning rates and
        freezing. A parameter belongs to the layer whose name and a dot it begins with, and to one
        group only; the last group is the head."""
        return [
            (name,)
            for name, child in self.named_children()
            if name != "linear" and any(True for _ in child.parameters())
        ]

    def renamed(self, key: str) -> str:
        """The name that a tensor of a published weight file bears here."""
        return key

    def __setattr__(self, key: str, value) -> None:
        # `linear` is a second name of a layer that is registered under its own: registering it
        # twice would write its weights twice into every file.
        if key == "linear":
            object.__setattr__(self, key, value)
        else:
            super().__setattr__(key, value)


def _within(kernel: int, side: int, padding: int) -> int:
    return min(kernel, int(side) + 2 * padding)


class MaxPool(nn.MaxPool2d):
    """Max pooling whose window shrinks to a picture that is smaller than it."""

    def forward(self, x: Tensor) -> Tensor:
        k, s, p = int(self.kernel_size), int(self.stride), int(self.padding)  # type: ignore[arg-type]
        window = [_within(k, side, p) for side in x.shape[-2:]]
        return F.max_pool2d(x, window, s, p, ceil_mode=self.ceil_mode)


class AvgPool(nn.AvgPool2d):
    """Average pooling whose window shrinks to a picture that is smaller than it."""

    def forward(self, x: Tensor) -> Tensor:
        k, s, p = int(self.kernel_size), int(self.stride), int(self.padding)  # type: ignore[arg-type]
        window = [_within(k, side, p) for side in x.shape[-2:]]
        return F.avg_pool2d(x, window, s, p)


class GridPool(nn.Module):
    """Averages of a `size` (Y, X) grid of equal parts of the picture, whatever the picture's size.

    The same values as adaptive average pooling, as two products with constant matrices: adaptive
    pooling has no ONNX operator where the sides do not divide evenly.
    """

    def __init__(self, size: tuple[int, int]) -> None:
        super().__init__()
        self.size = tuple(size)

    def forward(self, x_BFYX: Tensor) -> Tensor:
        for axis, parts in ((2, self.size[0]), (3, self.size[1])):
            side = int(x_BFYX.shape[axis])
            if side == parts:
                continue
            matrix = torch.tensor(self.parts(side, parts), dtype=x_BFYX.dtype, device=x_BFYX.device)
            x_BFYX = matrix @ x_BFYX if axis == 2 else x_BFYX @ matrix.T
        return x_BFYX

    @staticmethod
    @lru_cache(64)
    def parts(side: int, parts: int) -> list[list[float]]:
        """(parts, side): row i averages the pixels from floor(i*side/parts) up to
        ceil((i+1)*side/parts). Numbers, not a tensor: an export takes them for a constant."""
        edges = [(i * side // parts, -(-(i + 1) * side // parts)) for i in range(parts)]
        return [
            [1 / (stop - start) if start <= x < stop else 0.0 for x in range(side)]
            for start, stop in edges
        ]

    def extra_repr(self) -> str:
        return f"{self.size[0]}x{self.size[1]}"


class BlurPool(nn.Module):
    """Binomial 3x3 blur, then every second pixel: what is small does not flicker between pixels
    (Zhang 2019, arXiv:1904.11486)."""

    def __init__(self, features: int) -> None:
        super().__init__()
        line = torch.tensor([1.0, 2.0, 1.0]) / 4
        kernel = torch.outer(line, line).expand(features, 1, 3, 3).contiguous()
        self.register_buffer("kernel", kernel, persistent=False)

    def forward(self, x_BFYX: Tensor) -> Tensor:
        # The border is repeated by slices, which every runtime has, unlike this kind of padding.
        x = torch.cat([x_BFYX[:, :, :1], x_BFYX, x_BFYX[:, :, -1:]], 2)
        x = torch.cat([x[..., :1], x, x[..., -1:]], 3)
        kernel = self.get_buffer("kernel")
        return F.conv2d(x, kernel, stride=2, groups=kernel.shape[0])


class SqueezeExcite(nn.Module):
    """Channel attention: each map is weighed by what all maps hold (Hu et al. 2017,
    arXiv:1709.01507)."""

    def __init__(self, features: int, reduction: int = 16) -> None:
        super().__init__()
        inner = max(4, features // reduction)
        self.fc1 = nn.Linear(features, inner)
        self.fc2 = nn.Linear(inner, features)

    def forward(self, x_BFYX: Tensor) -> Tensor:
        weight_BF = torch.sigmoid(self.fc2(F.relu(self.fc1(x_BFYX.mean((2, 3))))))
        return x_BFYX * weight_BF[:, :, None, None]


class StochasticDepth(nn.Module):
    """While training, drop a residual branch for a whole picture with probability `p`
    (Huang et al. 2016, arXiv:1603.09382)."""

    def __init__(self, p: float) -> None:
        super().__init__()
        self.p = p

    def forward(self, x_BFYX: Tensor) -> Tensor:
        if not self.training or self.p == 0:
            return x_BFYX
        keep = 1 - self.p
        kept = torch.empty(len(x_BFYX), 1, 1, 1, device=x_BFYX.device).bernoulli_(keep)
        return x_BFYX * kept.to(x_BFYX.dtype) / keep

    def extra_repr(self) -> str:
        return f"p={self.p:g}"


def he(module: nn.Module) -> None:
    """Draw convolutions by He et al. 2015 (arXiv:1502.01852), fan out; norms start as identity."""
    for layer in module.modules():
        if isinstance(layer, nn.Conv2d):
            nn.init.kaiming_normal_(layer.weight, mode="fan_out", nonlinearity="relu")
            if layer.bias is not None:
                nn.init.zeros_(layer.bias)
