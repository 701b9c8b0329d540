"""What a network is made of: layers, output sizes, parameters, multiply-adds, receptive fields.

Nothing is computed: torch's meta device carries shapes only, so that the largest net takes as long
as the smallest. The convention for work: one multiplication with its addition counts as one;
convolutions and matrix products are counted, everything else (norms, activations, pooling, adding)
is not. This is what papers call FLOPs or MACs of a net.

The theoretical receptive field of an output pixel is the side, in pixels of the picture, of the
square that can change it: with r and j the field and the spacing of the input's pixels, a window of
F pixels every S pixels gives r + (F - 1) j and j S (Dumoulin and Visin 2016, arXiv:1603.07285;
Luo et al. 2016, arXiv:1701.04128). Where ways join, the larger counts.
"""

from __future__ import annotations

import contextlib
import copy
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode

from tomos.models._net import Net
from tomos.types import SettingsError


@dataclass(frozen=True)
class Field:
    """Receptive field and spacing of neighbours, in pixels of the picture, (Y, X). None = whole."""

    side: tuple[int, int] | None
    step: tuple[int, int]


@dataclass(frozen=True)
class Row:
    """One layer, for a batch of one.

    size         of its output, (F, Y, X) or (F,)
    parameters   of its own
    multiplies   multiply-adds
    field        receptive field (Y, X) in pixels; None = the whole picture
    """

    name: str
    kind: str
    size: tuple[int, ...]
    parameters: int
    multiplies: int
    field: tuple[int, int] | None


@dataclass(frozen=True)
class Description:
    """A network for pictures of `size` (Y, X). `field`: that of its maps, None = whole or none."""

    name: str
    channels: int
    classes: int
    size: tuple[int, int]
    parameters: int
    multiplies: int
    maps: tuple[int, ...] | None
    features: int
    exact_cam: bool
    field: tuple[int, int] | None
    rows: tuple[Row, ...]


def describe(net: Net, size: tuple[int, int]) -> Description:
    """The layers of `net` on pictures of `size` (Y, X), in the order they run.

    `net` is not changed. Raises SettingsError when it cannot take this size.
    """
    ghost = copy.deepcopy(net).to("meta").eval()
    image = torch.empty(1, net.channels, *size, device="meta")
    ghost.check(image)
    rows: list[Row] = []
    ledger, again = _Ledger(image), _Ledger(image)
    with torch.no_grad():
        with _rows(ghost, ledger, rows), ledger:
            ghost(image)
        with again:
            maps = ghost.maps(image)
        features = ghost.embed(image)
    return Description(
        name=net.name,
        channels=net.channels,
        classes=net.classes,
        size=(size[0], size[1]),
        parameters=sum(p.numel() for p in net.parameters()),
        multiplies=ledger.multiplies,
        maps=None if maps is None else tuple(maps.shape[1:]),
        features=features.shape[1],
        exact_cam=net.linear is not None,
        field=None if maps is None else again.field(maps).side,
        rows=tuple(rows),
    )


def effective_field(net: Net, size: tuple[int, int], samples: int = 8, seed: int = 0) -> float:
    """The side, in pixels, of the part of a picture that counts for the middle pixel of the maps.

    Luo et al. 2016, arXiv:1701.04128: the gradient of that pixel is averaged over pictures of
    noise; counted are the picture's pixels with at least 4.55 % of the largest gradient, and the
    side is the root of their number. Raises SettingsError when the net has no maps.
    """
    was_training = net.training
    net.eval()
    image = torch.randn(
        (samples, net.channels, *size), generator=torch.Generator().manual_seed(seed)
    ).to(next(net.parameters()).device)
    net.check(image)
    image.requires_grad_(True)
    maps = net.maps(image)
    net.train(was_training)
    if maps is None:
        raise SettingsError(f"model {net.name}: has no maps, and so no receptive field")
    middle = maps[:, :, maps.shape[2] // 2, maps.shape[3] // 2].sum()
    (gradient,) = torch.autograd.grad(middle, image)
    strength_YX = gradient.abs().mean((0, 1))
    return float((strength_YX >= 0.0455 * strength_YX.max()).sum()) ** 0.5


@contextlib.contextmanager
def _rows(net: nn.Module, ledger: _Ledger, rows: list[Row]) -> Iterator[None]:
    """Write a row for every layer without layers of its own, as it runs."""
    handles, started = [], {}

    def before(layer: nn.Module, given: Any) -> None:
        started[layer] = ledger.multiplies

    def after(name: str, layer: nn.Module, out: Any) -> None:
        if isinstance(out, Tensor):
            count = sum(p.numel() for p in layer.parameters(recurse=False))
            work, field = ledger.multiplies - started[layer], ledger.field(out).side
            rows.append(Row(name, type(layer).__name__, tuple(out.shape[1:]), count, work, field))

    for name, layer in net.named_modules():
        if not list(layer.children()) and not isinstance(layer, nn.Identity):
            handles.append(layer.register_forward_pre_hook(before))
            handles.append(
                layer.register_forward_hook(
                    lambda layer, given, out, name=name: after(name, layer, out)
                )
            )
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()


class _Ledger(TorchDispatchMode):
    """Counts multiply-adds of every operation that runs, and carries fields from inputs to outputs.

    Tensors are kept alive while it runs, so that an `id` names one of them only.
    """

    def __init__(self, image: Tensor) -> None:
        super().__init__()
        self.multiplies = 0
        self._fields = {id(image): Field((1, 1), (1, 1))}
        self._alive = [image]

    def field(self, tensor: Tensor) -> Field:
        return self._fields.get(id(tensor), Field(None, (1, 1)))

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        out = func(*args, **(kwargs or {}))
        first = out[0] if isinstance(out, tuple | list) and out else out
        if isinstance(first, Tensor):
            inputs = [a for a in _flat(args) if isinstance(a, Tensor) and id(a) in self._fields]
            name = func.overloadpacket.__name__
            self.multiplies += _multiplies(name, args, first)
            if inputs:
                field = _after(name, args, [self._fields[id(a)] for a in inputs], inputs, first)
                for tensor in out if isinstance(out, tuple | list) else [out]:
                    self._fields[id(tensor)] = field
                    self._alive.append(tensor)
        return out


def _flat(values: Any) -> Iterator[Any]:
    for value in values:
        if isinstance(value, list | tuple):
            yield from _flat(value)
        else:
            yield value


def _multiplies(name: str, args: tuple, out: Tensor) -> int:
    if name == "convolution":
        # Each output value sums over one filter; transposed ones spread each input value instead.
        transposed = args[6]
        return (args[0] if transposed else out).numel() * args[1][0].numel()
    if name in ("mm", "bmm"):
        return out.numel() * args[0].shape[-1]
    if name in ("addmm", "baddbmm"):
        return out.numel() * args[1].shape[-1]
    return 0


def _after(name: str, args: tuple, fields: list[Field], inputs: list[Tensor], out: Tensor) -> Field:
    """The field of an operation's output."""
    step = max(field.step for field in fields)
    if any(field.side is None for field in fields) or out.ndim != 4:
        return Field(None, step)
    joined = Field(_largest([field.side for field in fields if field.side]), step)
    if name == "convolution":
        _, weight, _, stride, _, dilation, transposed = args[:7]
        window = tuple(
            (k - 1) * d + 1 for k, d in zip(weight.shape[2:], _pair(dilation), strict=True)
        )
        return Field(None, step) if transposed else _window(joined, window, _pair(stride))
    if name in ("max_pool2d_with_indices", "avg_pool2d"):
        window = _pair(args[1])
        return _window(joined, window, _pair(args[2]) if len(args) > 2 and args[2] else window)
    same = all(a.ndim == 4 and a.shape[2:] == out.shape[2:] for a in inputs)
    # Another size by another operation: pooling to a grid, resampling. Its window is not known.
    return joined if same or name in _LOCAL else Field(None, step)


# Operations that change sides without looking further.
_LOCAL = {"replication_pad2d", "constant_pad_nd", "reflection_pad2d", "slice"}


def _window(field: Field, window: tuple[int, ...], stride: tuple[int, ...]) -> Field:
    assert field.side is not None
    (ry, rx), (jy, jx) = field.side, field.step
    side = (ry + (window[0] - 1) * jy, rx + (window[1] - 1) * jx)
    return Field(side, (jy * stride[0], jx * stride[1]))


def _largest(sides: list[tuple[int, int]]) -> tuple[int, int]:
    return (max(y for y, _ in sides), max(x for _, x in sides))


def _pair(value: Any) -> tuple[int, int]:
    values = [value] if isinstance(value, int) else list(value)
    return (values[0], values[-1])
