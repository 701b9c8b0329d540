"""Patches out of sources: whole voxels copied, or resampled by torch or by machine code.

A matrix `found` (axes, axes + 1) says for each output index (x, y[, z], 1) which input index it
looks at, as in `_warp`.
"""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from itertools import pairwise

import numpy as np
import torch
import torch.nn.functional as F

from tomos.transforms.augment import _backend
from tomos.transforms.augment._step import Padding, Size, fresh
from tomos.transforms.augment.elastic import basis_grid, planes

# Voxels below which a share of a patch is not worth another thread.
_SHARE = 2**15


@dataclass(frozen=True)
class Cut:
    """One patch to be made.

    image   (C, ...) any type; labels (...) or None
    found   (axes, axes + 1)
    box     (first, last + 1) voxel along each axis of all that is looked at
    whole   whether whole voxels are taken, each once
    bend    (axes, ...) control values of the displacement, as shares of the patch, or None
    """

    image: torch.Tensor
    labels: torch.Tensor | None
    found: np.ndarray
    box: tuple[tuple[int, int], ...]
    whole: bool
    bend: torch.Tensor | None

    def boxed(self) -> Cut:
        """The same patch, out of no more of the source than it looks at."""
        part = tuple(slice(low, high) for low, high in self.box)
        found = self.found.copy()
        found[:, -1] -= [low for low, _ in reversed(self.box)]
        labels = None if self.labels is None else self.labels[part]
        return replace(self, image=self.image[(slice(None), *part)], labels=labels, found=found)


def fill(
    cuts: Sequence[Cut],
    out: torch.Tensor,
    picked: torch.Tensor | None,
    padding: Padding,
    way: tuple[str, int],
) -> None:
    """Write every patch into `out` (B, C, *size) float32 and its labels into `picked` (B, *size).

    way  which backend, and how many threads machine code may take
    """
    backend = _backend.chosen(way[0], out.device)
    left = []
    for row, cut in enumerate(cuts):
        own = None if picked is None else picked[row]
        if cut.whole:
            copied(cut.image, cut.found, padding, out[row])
            if own is not None and cut.labels is not None:
                copied(cut.labels[None], cut.found, padding, own[None])
        elif backend == "torch":
            _by_torch(cut, out[row], own, padding)
        else:
            left.append((cut, out[row], own))
    if left:
        _by_machine_code(left, padding, way[1])


def copied(x: torch.Tensor, found: np.ndarray, padding: Padding, out: torch.Tensor) -> None:
    """x (C, ...) -> `out` (C, *size), where whole voxels are taken; any type."""
    axes, size = out.ndim - 1, out.shape[1:]
    whole = np.round(found).astype(np.int64)
    source = np.abs(whole[:, :axes]).argmax(axis=0)  # of output axis x, y[, z]: the input's
    flips, outside = [], []
    for axis in range(axes):
        dim, length = x.ndim - 1 - int(source[axis]), size[axes - 1 - axis]
        index = whole[source[axis], axis] * np.arange(length) + whole[source[axis], axes]
        n = x.shape[dim]
        outside.append((index < 0) | (index >= n))
        if not outside[-1].any():
            x = x.narrow(dim, int(index.min()), length)
            if whole[source[axis], axis] < 0:
                flips.append(dim)
        else:
            kept = torch.from_numpy(_inside(index, n, padding)).to(x.device)
            x = x.index_select(dim, kept)
    if flips:
        x = x.flip(flips)
    order = [x.ndim - 1 - int(source[axis]) for axis in reversed(range(axes))]
    out.copy_(x.permute(0, *order))
    if padding == "zeros":
        for axis, mask in enumerate(outside):
            if mask.any():
                blank = torch.from_numpy(np.flatnonzero(mask)).to(out.device)
                out.index_fill_(out.ndim - 1 - axis, blank, 0)


def _by_torch(cut: Cut, out: torch.Tensor, picked: torch.Tensor | None, padding: Padding) -> None:
    cut = cut.boxed()
    size = out.shape[1:]
    image = cut.image.to(out.device).float()
    place = _places(cut.found, size, out.device)
    if cut.bend is not None:
        place += planes(cut.bend[None].to(out.device), size)[0]
    if picked is not None and cut.labels is not None:
        picked.copy_(_nearest(cut.labels.to(out.device), place, padding))
    # torch's coordinate of index i of n is (2 i + 1) / n - 1 (align_corners=False).
    for axis, n in enumerate(reversed(image.shape[1:])):
        place[axis].mul_(2 / n).add_(1 / n - 1)
    grid = place.movedim(0, -1)
    out.copy_(F.grid_sample(image[None], grid[None], "bilinear", padding, align_corners=False)[0])


def _places(found: np.ndarray, size: Size, device: torch.device) -> torch.Tensor:
    """(axes, *size) float32: where every output voxel looks, one plane an axis: sums along whole
    planes take a tenth of the time of those over triples."""
    place = fresh((len(size), *size), torch.float32, device)
    index = [np.arange(n, dtype=np.float64) for n in reversed(size)]
    for plane, row in zip(place, found, strict=True):
        first = row[-1].reshape([1] * len(size))
        for axis in range(1, len(size)):
            first = first + (row[axis] * index[axis]).reshape(-1, *[1] * axis)
        across = torch.from_numpy((row[0] * index[0]).astype(np.float32)).to(device)
        torch.add(torch.from_numpy(first.astype(np.float32)).to(device), across, out=plane)
    return place


def _nearest(labels: torch.Tensor, place: torch.Tensor, padding: Padding) -> torch.Tensor:
    flat = torch.zeros(place.shape[1:], dtype=torch.int64, device=labels.device)
    blank = None
    stride = 1
    for axis in range(len(place)):
        n = labels.shape[labels.ndim - 1 - axis]
        at = place[axis]
        if padding == "reflection":
            at = torch.remainder(at + 0.5, 2 * n)
            at = torch.minimum(at, 2 * n - at) - 0.5
        at = at.round()
        if padding == "zeros":
            off = (at < 0) | (at >= n)
            blank = off if blank is None else blank | off
        flat += at.clamp_(0, n - 1).long() * stride
        stride *= n
    out = torch.take(labels, flat)
    return out if blank is None else out.masked_fill_(blank, 0)


def _inside(index: np.ndarray, n: int, padding: Padding) -> np.ndarray:
    if padding == "reflection":
        index = np.mod(index, 2 * n)
        index = np.where(index >= n, 2 * n - 1 - index, index)
    return np.clip(index, 0, n - 1)


Goal = tuple[Cut, torch.Tensor, torch.Tensor | None]  # what, and where image and labels go


def _by_machine_code(goals: Sequence[Goal], padding: Padding, threads: int) -> None:
    code = _backend.compiled()
    tasks = []
    for goal in goals:
        arguments = (*_arguments(*goal), code.PADDINGS[padding])
        voxels, lines = goal[1][0].numel(), goal[1][0].numel() // goal[1].shape[-1]
        shares = max(1, min(threads, voxels // _SHARE))
        ends = np.linspace(0, lines, shares + 1).astype(int).tolist()
        tasks += [(*arguments, first, last) for first, last in pairwise(ends)]
    if threads == 1 or len(tasks) == 1:
        for task in tasks:
            code.resample(*task)
        return
    with ThreadPoolExecutor(threads) as pool:
        for done in [pool.submit(code.resample, *task) for task in tasks]:
            done.result()


def _arguments(cut: Cut, out: torch.Tensor, picked: torch.Tensor | None) -> tuple:
    """What `_compiled.resample` takes but the padding and the lines. Each type of image would be
    compiled anew: what is looked at of another becomes float32."""
    ready = cut.image.dtype == torch.float32 and cut.image.is_contiguous()
    if not ready or cut.image[0].numel() >= 2**31:
        cut = cut.boxed()
    image = cut.image.float().contiguous().numpy()
    labels = goal = np.empty((0,) * len(out.shape[1:]), np.uint8)
    if picked is not None and cut.labels is not None:
        labels, goal = cut.labels.contiguous().numpy(), picked.numpy()
    found, (control, weights) = cut.found, _spline(cut.bend, out.shape[1:])
    target = out.numpy()
    if found.shape == (2, 3):  # a picture is a volume of one slice
        image, target, labels, goal = image[:, None], target[:, None], labels[None], goal[None]
        found = np.zeros((3, 4))
        found[:2, [0, 1, 3]] = cut.found
        control = np.concatenate([control, np.zeros_like(control[:1])])[:, None]
        weights = (np.ones((1, 1), np.float32), *weights)
    return image, labels, found, control, weights, target, goal


def _spline(bend: torch.Tensor | None, size: Size) -> tuple[np.ndarray, tuple[np.ndarray, ...]]:
    """Control values in voxels, and the weights of every output index; empty without a bend."""
    axes = len(size)
    if bend is None:
        empty = np.empty((0, 0), np.float32)
        return np.empty((axes, *[0] * axes), np.float32), (empty,) * axes
    lengths = np.array(size[::-1], np.float32).reshape(-1, *[1] * axes)
    weights = [basis_grid(n, bend.shape[-1] - 3) for n in size]
    return bend.numpy() * lengths, (*weights[:-1], np.ascontiguousarray(weights[-1].T))
