"""Instance normalisation (Ulyanov et al. 2016, arXiv:1607.08022), quick and exact in both layouts,
with the leaky ReLU that mostly follows it.

On a processor a network of few maps spends as long on these as on its convolutions. Torch's own
loses the layout or, as a group norm with a map a group, is slow in channels last and loses digits
on the way. There, machine code does it (numba, of the extra `train`); how much quicker that is
`benchmarks/instance_norm.py` says.
"""

from __future__ import annotations

import importlib
import importlib.util
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from itertools import pairwise
from types import ModuleType
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.autograd.function import once_differentiable

# The bits of a type as torch knows them, and as the machine code wants them.
BITS: dict[torch.dtype, tuple[torch.dtype, Any]] = {
    torch.float32: (torch.int32, np.uint32),
    torch.bfloat16: (torch.int16, np.uint16),
}
FEW = 1 << 19  # values that are done as soon as another thread is awake


class InstanceNorm(nn.Module):
    """Each map of each case to mean 0 and variance 1 over its places, then scaled and shifted; what
    is then below zero is multiplied by `slope`.

    (B, F, [Z,] Y, X) -> the same; also while training there may be one place only.
    """

    def __init__(self, features: int, eps: float = 1e-5, slope: float = 1.0) -> None:
        super().__init__()
        self.features, self.eps, self.slope = features, eps, slope
        self.weight = nn.Parameter(torch.ones(features))
        self.bias = nn.Parameter(torch.zeros(features))

    def forward(self, x: Tensor) -> Tensor:
        if x.is_cuda or torch.onnx.is_in_onnx_export():
            # One ONNX operator, and the quicker kernel of a GPU. Not nn.functional's, which refuses
            # a single place.
            given = (self.weight, self.bias, None, None, True, 0.0, self.eps, False)
            y = torch.instance_norm(x, *given)
        elif x.dtype in BITS and _channels_last(x) and _installed():
            return _Compiled.apply(x, self.weight, self.bias, self.eps, self.slope)
        else:
            y = torch.group_norm(x, self.features, self.weight, self.bias, self.eps)
        return y if self.slope == 1 else F.leaky_relu_(y, self.slope)

    def extra_repr(self) -> str:
        return f"{self.features}, eps={self.eps:g}, slope={self.slope:g}"


def _channels_last(x: Tensor) -> bool:
    layout = torch.channels_last if x.ndim == 4 else torch.channels_last_3d
    return not x.is_contiguous() and x.is_contiguous(memory_format=layout)


@cache
def _installed() -> bool:
    return importlib.util.find_spec("numba") is not None


@cache
def _code() -> ModuleType:
    """Imported when it is first needed: numba takes half a second."""
    return importlib.import_module("tomos.models._norm_compiled")


class _Compiled(torch.autograd.Function):
    """With P places, mean m, r = 1 / sqrt(var + eps), u = x - m and t = w r u + b:

    y = t, or slope t where t < 0; h = g, or slope g where t < 0;
    dL/dx = w r (h - mean(h) - u r^2 mean(h u));  dL/dw = r sum(h u);  dL/db = sum h
    """

    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor, bias: Tensor, eps: float, slope: float):
        code, x_BPF = _code(), _bits(x)
        cases, places, maps = x_BPF.shape
        rows, run = code.places_of(maps)
        blocks = -(-places // rows)
        mean, square = np.empty((2, cases, blocks, maps), np.float32)
        _shared(code.moments, (x_BPF, run, mean, square), cases * blocks)
        m, r = np.empty((2, cases, maps), np.float32)
        code.gathered(mean, square, rows, places, eps, m, r)
        w, b = (each.detach().numpy() for each in (weight, bias))
        ctx.factors = np.stack([m, r * w, np.broadcast_to(b, m.shape)], axis=1)
        ctx.rate, ctx.slope = r, np.float32(slope)
        ctx.save_for_backward(x)
        y = torch.empty_like(x)
        given = (x_BPF, _bits(y), np.tile(ctx.factors, run), ctx.slope, run, blocks)
        _shared(code.applied, given, cases * blocks)
        return y

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        code, (x,) = _code(), ctx.saved_tensors
        layout = torch.channels_last if x.ndim == 4 else torch.channels_last_3d
        pull = gradient.to(x.dtype).contiguous(memory_format=layout)
        x_BPF, g_BPF = _bits(x), _bits(pull)
        cases, places, maps = x_BPF.shape
        rows, run = code.places_of(maps)
        blocks = -(-places // rows)
        sums = np.empty((2, cases, blocks, maps), np.float32)
        given = (x_BPF, g_BPF, np.tile(ctx.factors, run), ctx.slope, run, sums)
        _shared(code.pulls, given, cases * blocks)
        straight, leaning = sums.sum(axis=2, dtype=np.float64)
        step = ctx.factors[:, 1] / places
        rest = np.stack([step * straight, step * ctx.rate**2 * leaning], axis=1)
        factors = np.tile(np.concatenate([ctx.factors, rest.astype(np.float32)], axis=1), run)
        out = torch.empty_like(x)
        _shared(
            code.back, (x_BPF, g_BPF, _bits(out), factors, ctx.slope, run, blocks), cases * blocks
        )
        slopes = [(leaning * ctx.rate).sum(axis=0), straight.sum(axis=0)]
        return out, *(torch.from_numpy(each.astype(np.float32)) for each in slopes), None, None


def _bits(x_BFYX: Tensor) -> np.ndarray:
    """(B, P, F), a row a place: the bits of what lies channels last."""
    signed, unsigned = BITS[x_BFYX.dtype]
    rows = x_BFYX.detach().movedim(1, -1).flatten(1, -2)
    return rows.view(signed).numpy().view(unsigned)


def _shared(work: Callable[..., None], given: tuple[Any, ...], blocks: int) -> None:
    """`work` on all blocks, shared out among as many threads as torch has."""
    threads = min(torch.get_num_threads(), blocks, max(1, given[0].size // FEW))
    own, *rest = pairwise(blocks * k // threads for k in range(threads + 1))
    others = [_pool(threads - 1).submit(work, *given, *part) for part in rest]
    work(*given, *own)
    for other in others:
        other.result()


@cache
def _pool(threads: int) -> ThreadPoolExecutor:
    return ThreadPoolExecutor(threads, thread_name_prefix="tomos-norm")
