"""Steps of augmentation, and the numbers that are drawn for them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from itertools import pairwise
from typing import Any

import numpy as np
import torch

from tomos.config import parse, plugin
from tomos.transforms.augment import elastic, mixup
from tomos.transforms.augment._bank import Bank
from tomos.transforms.augment._step import (
    GeometryStep,
    IntensityStep,
    Padding,
    RandomStep,
    in_pixels,
    still,
)
from tomos.types import SettingsError

# Values worked on at once: bounds the memory of a large batch; smaller parts cost more in calls
# than they save in cache misses (measured at 28, 64 and 224 px).
_AT_ONCE = 2**21


class Draws:
    """Steps, the numbers drawn for them, and what the numbers do to values and to places.

    steps  tables with the key "step"; geometry is composed in their order and carried out first, as
           one resampling, then the steps on values in their order
    size   (Y, X) or (Z, Y, X) of what comes out
    seed   with the epoch, all that chance depends on

    Raises SettingsError for an unknown step or setting, or where steps disagree on the padding.
    """

    def __init__(
        self, steps: Iterable[Mapping[str, Any]], size: tuple[int, ...], seed: int
    ) -> None:
        self.data = tuple(dict(step) for step in steps)
        self.names = tuple(str(step.get("step")) for step in self.data)
        self.steps: tuple[RandomStep, ...] = tuple(_step(step) for step in self.data)
        self.size, self.axes, self.seed = size, len(size), seed
        counts = (len(step.columns_of(self.axes)) for step in self.steps)
        self._columns = [slice(a, b) for a, b in pairwise(np.cumsum([0, *counts]).tolist())]
        self._geometry = self._of(GeometryStep)
        self._intensity = self._of(IntensityStep)
        self._bends: list[tuple[elastic.Step, slice]] = self._of(elastic.Step)
        self._mixes: list[tuple[mixup.Step, slice]] = self._of(mixup.Step)
        if len(self._bends) > 1 or len(self._mixes) > 1:
            raise SettingsError("augment: expected each of 'elastic' and 'mixup' at most once")
        self._padding = self._one_padding()
        self._bank = Bank(seed)

    @property
    def columns(self) -> tuple[str, ...]:
        """What the columns of the numbers are: "0.rotate.degrees", ..."""
        return tuple(
            f"{place}.{name}.{column}"
            for place, (name, step) in enumerate(zip(self.names, self.steps, strict=True))
            for column in step.columns_of(self.axes)
        )

    def draw(self, epoch: int, n: int) -> np.ndarray:
        """(n, columns) float32, one row a case: a function of seed, epoch and row, nothing else."""
        parts = [
            step.draw(np.random.default_rng([self.seed, epoch, place]), n, self.axes)
            for place, step in enumerate(self.steps)
        ]
        return np.concatenate(parts, axis=1) if parts else np.zeros((n, 0), np.float32)

    def _moves(self, own: np.ndarray, spacing: np.ndarray | None = None) -> np.ndarray:
        """(B, axes + 1, axes + 1): where a point goes, in pixels from the middle."""
        moves = still(len(own), self.axes)
        for step, columns in self._geometry:
            one = step.matrix(own[:, columns], self.size)
            moves = (one if spacing is None else in_pixels(one, spacing)) @ moves
        return moves

    def _changed(self, x: torch.Tensor, own: np.ndarray) -> torch.Tensor:
        """x (B, C, *size), which may be written into, after the steps on values."""
        for step, columns in self._intensity:
            numbers = own[:, columns]
            on = np.flatnonzero(numbers.any(axis=1))
            if not len(on):
                continue
            if len(on) == len(x) or step.everywhere:
                x = step.change(x, numbers, self._bank)
            else:
                index = torch.from_numpy(on).to(x.device)
                x[index] = step.change(x.index_select(0, index), numbers[on], self._bank)
        return x

    def _bend(self, own: np.ndarray) -> Callable[[np.ndarray], np.ndarray] | None:
        """Output places (B, P, axes), (x, y[, z]), -> by how much further they look; None: not."""
        if not self._bends:
            return None
        step, columns = self._bends[0]
        return lambda here: step.at(own[:, columns], here, self.size, self._bank)

    def _of(self, kind: type) -> list[tuple[Any, slice]]:
        pairs = zip(self.steps, self._columns, strict=True)
        return [(step, columns) for step, columns in pairs if isinstance(step, kind)]

    def _one_padding(self) -> Padding:
        asked = {step.padding for step, _ in self._geometry}
        if len(asked) > 1:
            raise SettingsError(
                f"augment: expected one padding for all steps that move pixels, got "
                f"{', '.join(sorted(asked))}; they are carried out as one resampling"
            )
        return asked.pop() if asked else "border"


def own_rows(numbers: np.ndarray, rows: Any, batch: Any) -> np.ndarray:
    """(B, columns): the numbers of the cases of a batch. Raises SettingsError."""
    own = numbers[np.asarray(rows, dtype=np.int64)]
    if len(own) != len(batch):
        raise SettingsError(
            f"augment: expected a row of numbers for each of {len(batch)} pictures, got {len(own)}"
        )
    return own


def at_once(x: Any) -> int:
    """How many pictures of a batch are worked on at a time."""
    if x.is_cuda or not len(x):
        return max(1, len(x))
    return max(1, _AT_ONCE // max(1, x[0].numel()))


def _step(data: Mapping[str, Any]) -> RandomStep:
    settings = dict(data)
    name = settings.pop("step", None)
    if not isinstance(name, str):
        raise SettingsError(f"an augmentation step needs its name: step = ..., got {dict(data)}")
    return parse(plugin("tomos.transforms.augment", name).Step, settings, f"augment step {name!r}")
