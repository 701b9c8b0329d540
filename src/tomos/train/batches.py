"""Which cases stand in which batch, and how they come to the device.

The order of an epoch is a function of (seed, epoch) alone, so that any step can be replayed.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Protocol

import numpy as np
import torch
from torch import Tensor

from tomos.plan.schema import TrainPart
from tomos.train import device as devices

SHARE = 0.4  # of the free memory may hold the whole data set


class Data(Protocol):
    """What training learns from: prepared pictures and their targets, row by row.

    images   (N, C, Y, X) float32, in memory or memory-mapped
    targets  (N,) class numbers, -1 = not assessed; or (N, K) 0/1/NaN for "multilabel"
    groups   (N,) the patient of each row
    """

    @property
    def images(self) -> np.ndarray: ...
    @property
    def targets(self) -> np.ndarray: ...
    @property
    def groups(self) -> np.ndarray: ...


def assessed(targets: np.ndarray) -> np.ndarray:
    """The rows (M,) that have a target at all."""
    values = np.asarray(targets, dtype=np.float64)
    if values.ndim == 1:
        return np.flatnonzero(~np.isnan(values) & (values >= 0))
    return np.flatnonzero(~np.isnan(values).all(1))


def order(rows: np.ndarray, weights: np.ndarray | None, seed: int, epoch: int) -> np.ndarray:
    """The rows of one epoch, as many as there are: every row once, or, given `weights`, each row as
    often as its weight says on average.

    Weighted rows are drawn by systematic resampling: a row of weight 2.3 stands 2 or 3 times, never
    0 or 7 times as with independent draws.
    """
    rng = np.random.default_rng(devices.seed_of(seed, epoch, 1))
    shuffled = rng.permutation(rows)
    if weights is None:
        return shuffled
    ends = np.cumsum(weights[shuffled])
    ticks = (np.arange(len(rows)) + rng.random()) * ends[-1] / len(rows)
    return rng.permutation(shuffled[np.searchsorted(ends, ticks).clip(max=len(rows) - 1)])


def rare(targets: np.ndarray) -> np.ndarray:
    """Weights (N,) under which all classes come equally often; the mean over the cases is 1.

    With several labels a row weighs as the rarest of its positive labels; a row without any weighs
    as the rows without any do together.
    """
    values = np.asarray(targets, dtype=np.float64)
    if values.ndim == 1:
        label = np.where(np.isnan(values), -1, values).astype(int)
    else:
        count = np.nansum(values == 1, axis=0)
        label = np.full(len(values), values.shape[1])
        for k in np.argsort(-count, kind="stable"):
            label[values[:, k] == 1] = k
        label[np.isnan(values).all(1)] = -1
    weight = np.zeros(len(values))
    kinds, counts = np.unique(label[label >= 0], return_counts=True)
    for kind, count in zip(kinds, counts, strict=True):
        weight[label == kind] = counts.sum() / (len(kinds) * count)
    return weight


def per_step(train: TrainPart, cases: int) -> int:
    """Cases that one step of the optimiser sees: gradient descent ("gd") sees all of them."""
    return cases if train.optimiser == "gd" else min(cases, train.batch * train.accumulate)


def steps_an_epoch(train: TrainPart, cases: int) -> int:
    return len(cut(cases, per_step(train, cases)))


def grouped(train: TrainPart, cases: int) -> list[list[np.ndarray]]:
    """For each step of an epoch, the positions 0..cases-1 of each of its batches."""
    steps = cut(cases, per_step(train, cases))
    return [[step[part] for part in cut(len(step), train.batch)] for step in steps]


def cut(length: int, most: int) -> list[np.ndarray]:
    """Positions 0..length-1 in runs of at most `most`, as even as can be.

    No run is a single case when `most` is 2 or more (one run of three then stands in for 2 + 1):
    batch norm cannot learn from one vector.
    """
    parts = -(-length // most)
    if most > 1 and length > 1 and length // parts < 2:
        parts = length // 2
    return np.array_split(np.arange(length), parts)


class Source:
    """Rows of a (N, C, Y, X) array as tensors on a device.

    The whole array lies there when it takes less than 40 % of the free memory, divided by the
    `processes` that do the same at the same time; else rows are read from the array as they are
    needed, a few batches ahead, by a thread of their own.
    """

    def __init__(
        self,
        images: np.ndarray,
        device: torch.device,
        whole: bool | None = None,
        processes: int = 1,
    ) -> None:
        if whole is None:
            whole = images.nbytes * processes < SHARE * devices.free_memory(device)
        self.device, self.images = device, images
        self.whole: Tensor | None = tensor(np.asarray(images)).to(device) if whole else None

    def take(self, rows: np.ndarray) -> Tensor:
        """(B, C, Y, X) float32 on the device, rows in the order asked for."""
        if self.whole is not None:
            return self.whole.index_select(0, torch.from_numpy(rows).to(self.device))
        # In file order, since a disk reads forward; then back into the order asked for.
        forward = np.argsort(rows, kind="stable")
        picked = np.empty((len(rows), *self.images.shape[1:]), np.float32)
        picked[forward] = self.images[rows[forward]]
        return torch.from_numpy(picked).to(self.device, non_blocking=True)

    def stream(self, batches: Iterable[np.ndarray]) -> Iterator[Tensor]:
        """`take` of each, in order; read ahead when the array is not on the device."""
        if self.whole is not None:
            yield from map(self.take, batches)
            return
        with ThreadPoolExecutor(1, "tomos-read") as reader:
            waiting: deque[Future[Tensor]] = deque()
            try:
                for rows in batches:
                    waiting.append(reader.submit(self.take, rows))
                    if len(waiting) > 2:
                        yield waiting.popleft().result()
                while waiting:
                    yield waiting.popleft().result()
            finally:
                for future in waiting:
                    future.cancel()


def tensor(array: np.ndarray) -> Tensor:
    """Float32, sharing memory where that is allowed (torch does not know read-only arrays)."""
    array = np.asarray(array, dtype=np.float32)
    return torch.from_numpy(array if array.flags.writeable else array.copy())
