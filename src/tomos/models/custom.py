"""A net from a list of layers in the plan.

    [model]
    name = "custom"
    [model.options]
    init = "he"
    [[model.options.layers]]
    layer = "conv"
    out = 32

Layers come in order; the last linear layer, to the classes, is added by itself. Without a linear
layer of its own the net ends in global average pooling and that layer, and its class activation map
is exact. Initial weights: He et al. 2015, arXiv:1502.01852, or Glorot and Bengio 2010 ("Xavier").
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field
from torch import Tensor, nn

from tomos.config import Settings, parse
from tomos.models._net import AvgPool, GridPool, MaxPool, Net
from tomos.types import SettingsError


class Conv(Settings):
    """`out` maps. `padding` is in pixels, or "same": kernel // 2 times dilation, so that stride 1
    keeps the sides (of odd kernels) and no picture is too small."""

    layer: Literal["conv"]
    out: int = Field(ge=1)
    kernel: int = Field(3, ge=1)
    stride: int = Field(1, ge=1)
    padding: int | Literal["same"] = "same"
    dilation: int = Field(1, ge=1)
    groups: int = Field(1, ge=1)
    bias: bool = True


class Pool(Settings):
    """A window of `kernel` pixels every `stride` pixels (0: as the kernel); or `grid`: averages of
    so many rows and columns, whatever the size."""

    layer: Literal["pool"]
    kind: Literal["max", "average"] = "max"
    kernel: int = Field(2, ge=1)
    stride: int = Field(0, ge=0)
    padding: int = Field(0, ge=0)
    grid: tuple[int, int] | None = None


class Norm(Settings):
    """batch: over pictures and places; layer: over all maps and places of a picture; instance: over
    places; group: over places and `groups` groups of maps."""

    layer: Literal["norm"]
    kind: Literal["batch", "layer", "instance", "group"] = "batch"
    groups: int = Field(8, ge=1)


class Activation(Settings):
    """`slope` is that of the leaky ReLU below zero."""

    layer: Literal["activation"]
    kind: Literal["sigmoid", "tanh", "relu", "leaky_relu"] = "relu"
    slope: float = Field(0.01, ge=0)


class Dropout(Settings):
    """Each value is dropped with chance `p` while training."""

    layer: Literal["dropout"]
    p: float = Field(0.5, ge=0, lt=1)


class Linear(Settings):
    """`out` units. After maps, these are averaged to `grid` rows and columns first."""

    layer: Literal["linear"]
    out: int = Field(ge=1)
    grid: tuple[int, int] = (1, 1)
    bias: bool = True


Layer = Annotated[Conv | Pool | Norm | Activation | Dropout | Linear, Field(discriminator="layer")]

SMALL = tuple(
    [{"layer": "conv", "out": out}, {"layer": "norm"}, {"layer": "activation"}, {"layer": "pool"}]
    for out in (16, 32)
)


class Options(Settings):
    """What may be chosen.

    layers  tables with `layer` = "conv", "pool", "norm", "activation", "dropout" or "linear"
    init    how weights are drawn: "he", "xavier", or "default" (torch's own)
    spread  the distribution they are drawn from
    """

    layers: tuple[Layer, ...] = Field(
        tuple(table for stage in SMALL for table in stage),
        min_length=1,
        max_length=1000,
        validate_default=True,
    )
    init: Literal["he", "xavier", "default"] = "he"
    spread: Literal["normal", "uniform"] = "normal"


class Custom(Net):
    """`convolutions` on maps, then `dense` on features, then `head`."""

    def __init__(self, channels: int, classes: int, options: Options) -> None:
        super().__init__(channels, classes, options)
        self.convolutions, self.dense = nn.Sequential(), nn.Sequential()
        self._width = channels
        self.grid: GridPool | None = None
        for index, settings in enumerate(options.layers):
            self._append(index, settings)
        self.head = nn.Linear(self._width, classes)
        if self.grid is None:
            self.linear = self.head
        self._draw(options)
        self.smallest = _smallest(options.layers)

    def _append(self, index: int, settings: Any) -> None:
        where = f"custom layer {index} ({settings.layer})"
        if isinstance(settings, Linear):
            if self.grid is None:
                self.grid = GridPool(settings.grid)
                self._width *= settings.grid[0] * settings.grid[1]
            self.dense.append(nn.Linear(self._width, settings.out, settings.bias))
            self._width = settings.out
        elif self.grid is None:
            self.convolutions.append(_on_maps(settings, self._width, where))
            self._width = getattr(settings, "out", self._width)
        elif isinstance(settings, Conv | Pool):
            raise SettingsError(f"{where}: comes after a linear layer, which leaves no maps")
        else:
            self.dense.append(_on_features(settings, self._width, where))

    def _draw(self, options: Options) -> None:
        if options.init == "default":
            return
        name = {"he": "kaiming", "xavier": "xavier"}[options.init]
        draw = getattr(nn.init, f"{name}_{options.spread}_")
        for layer in self.modules():
            if isinstance(layer, nn.Conv2d | nn.Linear):
                draw(layer.weight)
                if layer.bias is not None:
                    nn.init.zeros_(layer.bias)

    def maps(self, x_BCYX: Tensor) -> Tensor:
        return self.convolutions(x_BCYX)

    def pool(self, maps_BFYX: Tensor) -> Tensor:
        if self.grid is None:
            return maps_BFYX.mean((2, 3))
        return self.dense(self.grid(maps_BFYX).flatten(1))

    def classify(self, features_BF: Tensor) -> Tensor:
        return self.head(features_BF)

    def stages(self) -> list[tuple[str, ...]]:
        bodies = [("convolutions", self.convolutions), ("dense", self.dense)]
        layers = [
            (f"{name}.{index}",)
            for name, body in bodies
            for index, layer in enumerate(body)
            if any(True for _ in layer.parameters())
        ]
        return [*layers, ("head",)]


def _on_maps(settings: Any, width: int, where: str) -> nn.Module:
    if isinstance(settings, Conv):
        if width % settings.groups or settings.out % settings.groups:
            raise SettingsError(
                f"{where}: expected groups that divide {width} and {settings.out} maps, "
                f"got {settings.groups}"
            )
        return nn.Conv2d(
            width,
            settings.out,
            settings.kernel,
            settings.stride,
            _padding(settings),
            settings.dilation,
            settings.groups,
            settings.bias,
        )
    if isinstance(settings, Pool):
        if settings.grid is not None:
            return GridPool(settings.grid)
        if 2 * settings.padding > settings.kernel:
            raise SettingsError(
                f"{where}: expected a padding of at most half the kernel of {settings.kernel}, "
                f"got {settings.padding}"
            )
        kind = {"max": MaxPool, "average": AvgPool}[settings.kind]
        return kind(settings.kernel, settings.stride or settings.kernel, settings.padding)
    if isinstance(settings, Norm):
        if settings.kind == "batch":
            return nn.BatchNorm2d(width)
        # Layer and instance normalisation are group normalisation with one group and with as many
        # as there are maps; unlike torch's own instance norm this one takes maps of one pixel.
        groups = {"layer": 1, "instance": width, "group": settings.groups}[settings.kind]
        return nn.GroupNorm(_dividing(groups, width, where), width)
    return _anywhere(settings)


def _on_features(settings: Any, width: int, where: str) -> nn.Module:
    if isinstance(settings, Norm):
        if settings.kind == "instance":
            raise SettingsError(
                f"{where}: instance norm needs maps; after a linear layer use layer"
            )
        if settings.kind == "batch":
            return nn.BatchNorm1d(width)
        if settings.kind == "layer":
            return nn.LayerNorm(width)
        return nn.GroupNorm(_dividing(settings.groups, width, where), width)
    return _anywhere(settings)


def _anywhere(settings: Activation | Dropout) -> nn.Module:
    if isinstance(settings, Dropout):
        return nn.Dropout(settings.p)
    if settings.kind == "leaky_relu":
        return nn.LeakyReLU(settings.slope)
    return {"sigmoid": nn.Sigmoid, "tanh": nn.Tanh, "relu": nn.ReLU}[settings.kind]()


def _dividing(groups: int, width: int, where: str) -> int:
    if width % groups:
        raise SettingsError(f"{where}: expected groups that divide {width} maps, got {groups}")
    return groups


def _padding(conv: Conv) -> int:
    return conv.kernel // 2 * conv.dilation if conv.padding == "same" else conv.padding


def side_after(side: int, window: int, stride: int, padding: int) -> int:
    """floor((W - F + 2P) / S) + 1: the side after a window of F pixels; below 1 = too small."""
    return (side - window + 2 * padding) // stride + 1


def _smallest(layers: tuple[Any, ...]) -> int:
    """The shortest side for which every convolution leaves at least a pixel. Pooling always does:
    its window shrinks with the picture."""
    needed = 1
    for settings in reversed(layers):
        if isinstance(settings, Pool):
            # With a shrinking window any side gives at least 1; more needs the whole formula.
            stride = settings.stride or settings.kernel
            back = (needed - 1) * stride + settings.kernel - 2 * settings.padding
            needed = 1 if settings.grid or needed == 1 else max(1, back)
        elif isinstance(settings, Conv):
            window = (settings.kernel - 1) * settings.dilation + 1
            needed = max(1, (needed - 1) * settings.stride + window - 2 * _padding(settings))
    return needed


def custom(channels: int, classes: int, **options: Any) -> Custom:
    return Custom(channels, classes, parse(Options, options, "custom model"))


VARIANTS = (custom,)


def tiny(channels: int, classes: int) -> Custom:
    kinds = ("sigmoid", "tanh", "relu", "leaky_relu")
    norms = ("batch", "layer", "instance", "group")
    layers: list[dict[str, Any]] = []
    for activation, norm in zip(kinds, norms, strict=True):
        layers += [
            {"layer": "conv", "out": 6, "bias": False},
            {"layer": "norm", "kind": norm, "groups": 3},
            {"layer": "activation", "kind": activation},
        ]
    layers += [
        {"layer": "pool", "kind": "max"},
        {"layer": "pool", "kind": "average", "kernel": 3, "stride": 1, "padding": 1},
        {"layer": "linear", "out": 8, "grid": (2, 3)},
        {"layer": "norm", "kind": "layer"},
        {"layer": "activation"},
        {"layer": "dropout"},
    ]
    return custom(channels, classes, layers=layers, init="xavier", spread="uniform")
