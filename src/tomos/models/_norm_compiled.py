"""Instance normalisation and what follows it as machine code, channels last: each value is read
twice and written once on the way there, and no more on the way back.

The only module of this room that imports numba; `_instance_norm` imports it where it is installed.
Values come as bits, float32 in uint32 or bfloat16 in uint16, and are worked on as float32 in blocks
that stay in the processor's cache, in runs of many places at once, so that short rows do not keep
its wide registers empty. The sums of blocks are added in their order, whatever the threads.
Letters: B cases, P places, F maps, K blocks of a case; R a run: F repeated for several places.
"""

from __future__ import annotations

from typing import Any

import numba
import numpy as np

RUN = 1 << 9  # values of a run, about
RUNS = 1 << 4  # runs of a block


def places_of(maps: int) -> tuple[int, int]:
    """How many places a block has, and how many a run."""
    run = max(1, RUN // maps)
    return run * RUNS, run


def _jit(function):
    # "contract": a product and a sum rounded once; "nsz": the sign of a zero does not matter.
    settings: dict[str, Any] = {"nogil": True, "fastmath": {"contract", "nsz"}}
    try:
        return numba.njit(cache=True, **settings)(function)
    except RuntimeError:  # no folder that the machine code could be kept in
        return numba.njit(**settings)(function)


@_jit
def _load(bits, values):
    """Bits -> `values`, the bits of float32."""
    if bits.itemsize == 4:
        for i in range(bits.size):
            values[i] = bits[i]
    else:
        for i in range(bits.size):
            values[i] = np.uint32(bits[i]) << np.uint32(16)


@_jit
def _store(values, bits):
    """The other way, to the nearest, and the even one of two."""
    if bits.itemsize == 4:
        for i in range(bits.size):
            bits[i] = values[i]
    else:
        for i in range(bits.size):
            v = values[i]
            odd = (v >> np.uint32(16)) & np.uint32(1)
            bits[i] = (v + np.uint32(0x7FFF) + odd) >> np.uint32(16)


@_jit
def _folded(sums_R, out_F):
    """Sums of a run's places -> those of its maps."""
    maps = out_F.size
    out_F[:] = 0
    for i in range(0, sums_R.size, maps):
        for f in range(maps):
            out_F[f] += sums_R[i + f]


@_jit
def _repeated(one_F, out_R):
    maps = one_F.size
    for i in range(0, out_R.size, maps):
        out_R[i : i + maps] = one_F


@_jit
def moments(x_BPF, run, mean_BKF, square_BKF, first, last):
    """Of the blocks `first` to before `last` of all cases: mean, and squares about it summed up."""
    _, places, maps = x_BPF.shape
    blocks, rows, width = mean_BKF.shape[1], run * RUNS, run * maps
    bits = np.empty(rows * maps, np.uint32)
    values = bits.view(np.float32)
    mean, sums = np.empty(width, np.float32), np.empty(width, np.float32)
    for at in range(first, last):
        b, k = at // blocks, at % blocks
        n = min(rows, places - k * rows)
        _load(x_BPF[b, k * rows : k * rows + n].reshape(-1), bits)
        sums[:] = 0
        for start in range(0, n * maps, width):
            part = values[start : min(start + width, n * maps)]
            for j in range(part.size):
                sums[j] += part[j]
        _folded(sums, mean_BKF[b, k])
        mean_BKF[b, k] /= np.float32(n)
        _repeated(mean_BKF[b, k], mean)
        sums[:] = 0
        for start in range(0, n * maps, width):
            part = values[start : min(start + width, n * maps)]
            for j in range(part.size):
                far = part[j] - mean[j]
                sums[j] += far * far
        _folded(sums, square_BKF[b, k])


@_jit
def gathered(mean_BKF, square_BKF, rows, places, eps, mean_BF, rate_BF):
    """Mean and 1 / sqrt(variance + eps) of each map (Chan, Golub, LeVeque 1979)."""
    cases, blocks, maps = mean_BKF.shape
    for b in range(cases):
        for f in range(maps):
            mean, square, seen = 0.0, 0.0, 0.0
            for k in range(blocks):
                n = float(min(rows, places - k * rows))
                far = mean_BKF[b, k, f] - mean
                whole = seen + n
                mean += far * n / whole
                square += square_BKF[b, k, f] + far * far * seen * n / whole
                seen = whole
            mean_BF[b, f] = mean
            rate_BF[b, f] = 1.0 / np.sqrt(square / places + eps)


@_jit
def applied(x_BPF, y_BPF, factors, slope, run, blocks, first, last):
    """y = t, or `slope` t where t < 0, with t = (x - m) a + b; `factors` (B, 3, R) m, a, b."""
    _, places, maps = x_BPF.shape
    rows, width = run * RUNS, run * maps
    bits = np.empty(rows * maps, np.uint32)
    values = bits.view(np.float32)
    for at in range(first, last):
        b, k = at // blocks, at % blocks
        n = min(rows, places - k * rows)
        m, a, shift = factors[b, 0], factors[b, 1], factors[b, 2]
        _load(x_BPF[b, k * rows : k * rows + n].reshape(-1), bits)
        for start in range(0, n * maps, width):
            part = values[start : min(start + width, n * maps)]
            for j in range(part.size):
                t = (part[j] - m[j]) * a[j] + shift[j]
                part[j] = t if t > 0 else t * slope
        _store(bits, y_BPF[b, k * rows : k * rows + n].reshape(-1))


@_jit
def pulls(x_BPF, g_BPF, factors, slope, run, sums_2BKF, first, last):
    """Of each block the sums of h and of h (x - m), with h = g, or `slope` g where t < 0."""
    _, places, maps = x_BPF.shape
    blocks, rows, width = sums_2BKF.shape[2], run * RUNS, run * maps
    bits, pull_bits = np.empty(rows * maps, np.uint32), np.empty(rows * maps, np.uint32)
    values, pull = bits.view(np.float32), pull_bits.view(np.float32)
    one, two = np.empty(width, np.float32), np.empty(width, np.float32)
    for at in range(first, last):
        b, k = at // blocks, at % blocks
        n = min(rows, places - k * rows)
        m, a, shift = factors[b, 0], factors[b, 1], factors[b, 2]
        _load(x_BPF[b, k * rows : k * rows + n].reshape(-1), bits)
        _load(g_BPF[b, k * rows : k * rows + n].reshape(-1), pull_bits)
        one[:] = 0
        two[:] = 0
        for start in range(0, n * maps, width):
            end = min(start + width, n * maps)
            part, by = values[start:end], pull[start:end]
            for j in range(part.size):
                u, g = part[j] - m[j], by[j]
                h = g if u * a[j] + shift[j] > 0 else g * slope
                one[j] += h
                two[j] += h * u
        _folded(one, sums_2BKF[0, b, k])
        _folded(two, sums_2BKF[1, b, k])


@_jit
def back(x_BPF, g_BPF, out_BPF, factors, slope, run, blocks, first, last):
    """out = a h - c - (x - m) d; `factors` (B, 5, R) m, a, b, c, d."""
    _, places, maps = x_BPF.shape
    rows, width = run * RUNS, run * maps
    bits, pull_bits = np.empty(rows * maps, np.uint32), np.empty(rows * maps, np.uint32)
    values, pull = bits.view(np.float32), pull_bits.view(np.float32)
    for at in range(first, last):
        b, k = at // blocks, at % blocks
        n = min(rows, places - k * rows)
        m, a, shift = factors[b, 0], factors[b, 1], factors[b, 2]
        c, d = factors[b, 3], factors[b, 4]
        _load(x_BPF[b, k * rows : k * rows + n].reshape(-1), bits)
        _load(g_BPF[b, k * rows : k * rows + n].reshape(-1), pull_bits)
        for start in range(0, n * maps, width):
            end = min(start + width, n * maps)
            part, by = values[start:end], pull[start:end]
            for j in range(part.size):
                u, g = part[j] - m[j], by[j]
                h = g if u * a[j] + shift[j] > 0 else g * slope
                part[j] = a[j] * h - c[j] - u * d[j]
        _store(bits, out_BPF[b, k * rows : k * rows + n].reshape(-1))
