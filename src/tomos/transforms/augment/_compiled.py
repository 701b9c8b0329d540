"""Patches out of volumes as machine code: one pass over the output, image and labels together.

The only module that imports numba; `_backend.compiled` imports it, where numba is wanted. Machine
code is kept beside this file or, where that cannot be written, in the user's cache folder, so that
only the first start compiles. The interpreter's lock is released: threads share out the lines.

A place along an axis becomes four things: the input index below it, the step to the next one (0 at
the last), the share of that one, and, where the outside counts as 0, how much of both lies inside.
"""

from __future__ import annotations

from typing import Any

import numba
import numpy as np

BORDER, ZEROS, REFLECTION = 0, 1, 2
PADDINGS = {"border": BORDER, "zeros": ZEROS, "reflection": REFLECTION}
_HALF, _ONE = np.float32(0.5), np.float32(1)


def _jit(function):
    # "contract": a product and a sum rounded once, not twice.
    settings: dict[str, Any] = {"nogil": True, "fastmath": {"contract"}}
    try:
        return numba.njit(cache=True, **settings)(function)
    except RuntimeError:  # no folder that the machine code could be kept in
        return numba.njit(**settings)(function)


@_jit
def resample(source, labels, found, control, weights, out, out_labels, padding, first, last):
    """Fill the lines Y * z + y of a patch, from `first` to before `last`.

    source, out          (C, z, y, x) values, (C, Z, Y, X) float32
    labels, out_labels   (z, y, x) and (Z, Y, X), or both empty: none
    found                (3, 4) float64: output index (x, y, z, 1) -> input index (x, y, z)
    control, weights     B-spline of the displacement: (3, gz, gy, gx) values in pixels of x, y, z,
                         and the weights (Z, gz), (Y, gy), (gx, X) of each output index; all empty:
                         no displacement
    padding              one of `PADDINGS`
    """
    rows, columns = out.shape[2:]
    base, near = np.empty(columns, np.uint32), np.empty(columns, np.uint32)
    jump, share = np.empty((3, columns), np.uint32), np.empty((3, columns), np.float32)
    inside = np.empty((2, columns), np.float32)  # how much of the value; 0 where the label is not
    made = (base, near, jump, share, inside, np.empty(columns, np.float32))
    slab = np.empty((3, *control.shape[2:]), np.float32)
    last_z = -1
    flat = source.reshape((source.shape[0], -1))
    flat_labels = labels.reshape(-1)
    for line in range(first, last):
        z, y = line // rows, line % rows
        if control.size and z != last_z:
            _collapse(control, weights[0][z], slab)
            last_z = z
        _look(found, (slab, weights[1], weights[2]), padding, (z, y), source.shape, made)
        for channel in range(out.shape[0]):
            _gather(flat[channel], base, jump, share, out[channel, z, y])
            if padding == ZEROS:
                out[channel, z, y] *= inside[0]
        if labels.size:
            _pick(flat_labels, near, out_labels[z, y])
            if padding == ZEROS:
                _blank(inside[1], out_labels[z, y])


@_jit
def _look(found, bend, padding, line, shape, made):
    """Fill what was `made` for a line (z, y): where it looks in a source of `shape`."""
    base, near, jump, share, inside, at = made
    slab, down, across = bend
    z, y = line
    base[:] = 0
    near[:] = 0
    inside[:] = 1
    stride = 1
    for axis in range(3):
        n = shape[3 - axis]
        _places(found[axis], z, y, at)
        if slab.size:
            _bend(slab[axis], down[y], across, at)
        if padding == REFLECTION:
            _reflect(at, n)
        elif padding == ZEROS:
            _fade(at, n, inside)
        _index(at, n, stride, base, near, jump[axis], share[axis])
        stride *= n


@_jit
def _places(found, z, y, at):
    """Where a line of the output looks along one axis."""
    first = np.float32(found[1] * y + found[2] * z + found[3])
    step = np.float32(found[0])
    for x in range(at.size):
        at[x] = first + step * np.float32(x)


@_jit
def _collapse(control, weights, slab):
    """Control values (3, gz, gy, gx) at one z: (3, gy, gx)."""
    slab[:] = 0
    for axis in range(3):
        for k in range(weights.size):
            if weights[k] != 0:
                slab[axis] += control[axis, k] * weights[k]


@_jit
def _bend(slab, down, across, at):
    """Add the displacement of one line: `slab` (gy, gx), `down` (gy,), `across` (gx, X)."""
    for k in range(slab.shape[1]):
        value = np.float32(0)
        for j in range(slab.shape[0]):
            value += slab[j, k] * down[j]
        weights = across[k]
        for x in range(at.size):
            at[x] += value * weights[x]


@_jit
def _reflect(at, n):
    """Mirror places at the outer edges of the first and last of n pixels."""
    period = np.float32(2 * n)
    for x in range(at.size):
        t = at[x] + _HALF
        t -= period * np.floor(t / period)
        at[x] = min(t, period - t) - _HALF


@_jit
def _fade(at, n, inside):
    """How much of a value between pixels lies inside, and whether the nearest pixel does."""
    for x in range(at.size):
        t = at[x]
        within = min(_ONE, max(np.float32(0), min(t + _ONE, np.float32(n) - t)))
        inside[0, x] *= within
        inside[1, x] *= _ONE if within >= _HALF else np.float32(0)


@_jit
def _index(at, n, stride, base, near, jump, share):
    """Places along an axis of n pixels, `stride` apart -> indices, steps and shares."""
    top = np.float32(n - 1)
    for x in range(at.size):
        t = min(max(at[x], np.float32(0)), top)
        below = np.int32(t)
        by = t - np.float32(below)
        step = np.int32(stride) if below < np.int32(n - 1) else np.int32(0)
        start = np.int32(below) * np.int32(stride)
        share[x] = by
        jump[x] = np.uint32(step)
        base[x] += np.uint32(start)
        near[x] += np.uint32(start + (step if by > _HALF else np.int32(0)))


@_jit
def _gather(values, base, jump, share, out):
    """Linear interpolation between 8 neighbours, or 4 where a line lies within a slice."""
    step_x, step_y, step_z = jump[0], jump[1], jump[2]
    u, v, w = share[0], share[1], share[2]
    if not np.any(w):
        for x in range(out.size):
            a = base[x]
            b = np.uint32(a + step_y[x])
            i = step_x[x]
            one = np.float32(values[a])
            one += u[x] * (np.float32(values[np.uint32(a + i)]) - one)
            two = np.float32(values[b])
            two += u[x] * (np.float32(values[np.uint32(b + i)]) - two)
            out[x] = one + v[x] * (two - one)
        return
    for x in range(out.size):
        a = base[x]
        b = np.uint32(a + step_y[x])
        c = np.uint32(a + step_z[x])
        d = np.uint32(b + step_z[x])
        i = step_x[x]
        one = np.float32(values[a])
        one += u[x] * (np.float32(values[np.uint32(a + i)]) - one)
        two = np.float32(values[b])
        two += u[x] * (np.float32(values[np.uint32(b + i)]) - two)
        three = np.float32(values[c])
        three += u[x] * (np.float32(values[np.uint32(c + i)]) - three)
        four = np.float32(values[d])
        four += u[x] * (np.float32(values[np.uint32(d + i)]) - four)
        one += v[x] * (two - one)
        three += v[x] * (four - three)
        out[x] = one + w[x] * (three - one)


@_jit
def _pick(labels, near, out):
    for x in range(out.size):
        out[x] = labels[near[x]]


@_jit
def _blank(inside, out):
    for x in range(out.size):
        if inside[x] == 0:
            out[x] = 0
