"""What a network is made of: layers, output sizes, parameters, multiply-adds, receptive fields.

Nothing is computed: torch's meta device carries shapes only, so that the largest net takes as long
as the smallest. The convention for work: one multiplication with its addition counts as one;
convolutions and matrix products are counted, everything else (norms, activations, pooling, adding)
is not. This is what papers call FLOPs or MACs of a net.

The theoretical receptive field of an output pixel is the sides, in pixels of the picture, of the
rectangle (in 3D: the box) that can change it (Luo et al. 2016, arXiv:1701.04128), of the pixel with
the largest one; how it grows says `_field`. Norms are left out, as is usual: strictly, one over the
places of a map lets every pixel change every other. So are shifts by padding that is an operation
of its own, and fields after sampling by other than whole numbers, which are "whole".
"""

from __future__ import annotations

import contextlib
import copy
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode

from tomos.models._field import Axis, Field, hull, sides
from tomos.models._net import Net
from tomos.models._segmenter import Segmenter
from tomos.types import SettingsError


@dataclass(frozen=True)
class Row:
    """One layer, for a batch of one.

    size         of its output, (F, [Z,] Y, X) or (F,)
    parameters   of its own
    multiplies   multiply-adds
    field        receptive field ([Z,] Y, X) in pixels; None = the whole picture
    """

    name: str
    kind: str
    size: tuple[int, ...]
    parameters: int
    multiplies: int
    field: tuple[int, ...] | None


@dataclass(frozen=True)
class Description:
    """A network for pictures of `size` (Y, X) or volumes (Z, Y, X), one at a time.

    maps      size of the last maps before features are pooled: a segmenter's bottleneck
    field     receptive field of a place of the maps of a classifier, of the logits of a segmenter;
              None: the whole picture, or there are no maps
    step      by what the sides must be divisible
    """

    name: str
    channels: int
    classes: int
    size: tuple[int, ...]
    parameters: int
    multiplies: int
    maps: tuple[int, ...] | None
    features: int
    exact_cam: bool
    field: tuple[int, ...] | None
    step: tuple[int, ...]
    rows: tuple[Row, ...]


def describe(net: Net | Segmenter, size: tuple[int, ...]) -> Description:
    """The layers of `net` on pictures or volumes of `size` ([Z,] Y, X), in the order they run.

    `net` is not changed. Raises SettingsError when it cannot take this size.
    """
    ghost = copy.deepcopy(net).to("meta").eval()
    image = torch.empty(1, net.channels, *size, device="meta")
    ghost.check(image)
    rows: list[Row] = []
    ledger, again = _Ledger(image), _Ledger(image)
    with torch.no_grad():
        with _rows(ghost, ledger, rows), ledger:
            logits = ghost(image)
        with again:
            maps = _maps(ghost, image)
        features = ghost.features(image) if isinstance(ghost, Segmenter) else ghost.embed(image)
    seen = ledger.field(logits) if isinstance(net, Segmenter) else again.field(maps)
    return Description(
        name=net.name,
        channels=net.channels,
        classes=net.classes,
        size=tuple(size),
        parameters=sum(p.numel() for p in net.parameters()),
        multiplies=ledger.multiplies,
        maps=None if maps is None else tuple(maps.shape[1:]),
        features=features.shape[1],
        exact_cam=isinstance(net, Net) and net.linear is not None,
        field=None if maps is None else sides(seen),
        step=net.step if isinstance(net, Segmenter) else (1, 1),
        rows=tuple(rows),
    )


def _maps(net: Net | Segmenter, image: Tensor) -> Tensor | None:
    return net.encode(image)[-1] if isinstance(net, Segmenter) else net.maps(image)


def effective_field(
    net: Net | Segmenter, size: tuple[int, ...], samples: int = 8, seed: int = 0
) -> float:
    """The side, in pixels, of the part of a picture that counts for the middle pixel of the maps of
    a classifier, of the logits of a segmenter.

    Luo et al. 2016, arXiv:1701.04128: the gradient of that pixel is averaged over pictures of
    noise; counted are the picture's pixels with at least 4.55 % of the largest gradient, and the
    side is the root of their number (in 3D the third root). Raises SettingsError when the net has
    no maps.
    """
    was_training = net.training
    net.eval()
    image = torch.randn(
        (samples, net.channels, *size), generator=torch.Generator().manual_seed(seed)
    ).to(next(net.parameters()).device)
    net.check(image)
    image.requires_grad_(True)
    maps = net(image) if isinstance(net, Segmenter) else net.maps(image)
    net.train(was_training)
    if maps is None:
        raise SettingsError(f"model {net.name}: has no maps, and so no receptive field")
    middle = maps[(slice(None), slice(None), *(side // 2 for side in maps.shape[2:]))].sum()
    (gradient,) = torch.autograd.grad(middle, image)
    strength = gradient.abs().mean((0, 1))
    return float((strength >= 0.0455 * strength.max()).sum()) ** (1 / len(size))


@contextlib.contextmanager
def _rows(net: nn.Module, ledger: _Ledger, rows: list[Row]) -> Iterator[None]:
    """Write a row for every layer without layers of its own, as it runs."""
    handles, started = [], {}

    def before(layer: nn.Module, given: Any) -> None:
        started[layer] = ledger.multiplies

    def after(name: str, layer: nn.Module, out: Any) -> None:
        if isinstance(out, Tensor):
            count = sum(p.numel() for p in layer.parameters(recurse=False))
            work, field = ledger.multiplies - started[layer], sides(ledger.field(out))
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
        self._fields: dict[int, Field] = {id(image): (Axis(),) * (image.ndim - 2)}
        self._alive = [image]

    def field(self, tensor: Tensor | None) -> Field:
        return self._fields.get(id(tensor))

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
    joined = hull(fields)
    if joined is None or out.ndim != len(joined) + 2:
        return None
    if name == "convolution":
        weight, _, stride, padding, dilation, transposed = args[1:7]
        kernel = weight.shape[2:]
        if transposed:
            return _each(Axis.spread, joined, kernel, stride, padding)
        return _each(Axis.windowed, joined, kernel, stride, padding, dilation)
    if name.startswith(("max_pool", "avg_pool")):
        given = dict(enumerate(args))
        return _each(Axis.windowed, joined, args[1], given.get(2) or args[1], given.get(3, 0))
    if name.startswith("upsample"):
        factors = [divmod(o, i) for o, i in zip(out.shape[2:], inputs[0].shape[2:], strict=True)]
        if any(rest for _, rest in factors) or "bicubic" in name:
            return None
        linear = "linear" in name
        return _each(Axis.interpolated, joined, [factor for factor, _ in factors], linear)
    same = all(a.ndim == out.ndim and a.shape[2:] == out.shape[2:] for a in inputs)
    # Another size by another operation: pooling to a grid, resampling. Its window is not known.
    return joined if same or name in _LOCAL else None


# Operations that change sides without looking further.
_LOCAL = {"replication_pad2d", "constant_pad_nd", "reflection_pad2d", "slice"}


def _each(step: Callable[..., Axis], field: tuple[Axis, ...], *given: Any) -> Field:
    """`step` along each axis; what is given is one value for all, or a list of one an axis."""
    dims = len(field)
    lists = [[v] * dims if isinstance(v, int) else [*v] * (dims // len(v)) for v in given]
    return tuple(step(axis, *values) for axis, *values in zip(field, *lists, strict=True))
