"""Steps of augmentation for a batch: numbers drawn, geometry in one resampling, then values."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from itertools import pairwise
from typing import Any

import numpy as np
import torch

from tomos.config import parse, plugin
from tomos.transforms.augment import _warp as warping
from tomos.transforms.augment import elastic, mixup
from tomos.transforms.augment._bank import Bank
from tomos.transforms.augment._step import GeometryStep, IntensityStep, RandomStep
from tomos.types import SettingsError

# Values worked on at once: bounds the memory of a large batch; smaller parts cost more in calls
# than they save in cache misses (measured at 28, 64 and 224 px).
_AT_ONCE = 2**21


class Chain:
    """Random changes to batches of pictures.

    steps  tables with the key "step"; geometry is composed in their order and carried out first, as
           one resampling, then the steps on values in their order
    size   (Y, X) of the pictures that come out; larger ones going in are cropped about the middle
    seed   with the epoch, all that chance depends on

    Raises SettingsError for an unknown step or setting, or where steps disagree on the padding.
    """

    def __init__(
        self, steps: Iterable[Mapping[str, Any]], size: Iterable[int], seed: int = 0
    ) -> None:
        self.data = tuple(dict(step) for step in steps)
        self.names = tuple(str(step.get("step")) for step in self.data)
        self.steps: tuple[RandomStep, ...] = tuple(_step(step) for step in self.data)
        self.size = _size(size)
        self.seed = seed
        ends = np.cumsum([0, *(len(step.columns) for step in self.steps)]).tolist()
        self._columns = [slice(a, b) for a, b in pairwise(ends)]
        self._geometry = self._of(GeometryStep)
        self._intensity = self._of(IntensityStep)
        self._bends = [pair for pair in self._geometry if isinstance(pair[0], elastic.Step)]
        self._mixes = self._of(mixup.Step)
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
            for column in step.columns
        )

    def draw(self, epoch: int, n: int) -> np.ndarray:
        """(n, columns) float32, one row a case: a function of seed, epoch and row, nothing else."""
        parts = [
            step.draw(np.random.default_rng([self.seed, epoch, place]), n)
            for place, step in enumerate(self.steps)
        ]
        return np.concatenate(parts, axis=1) if parts else np.zeros((n, 0), np.float32)

    def apply(self, x: torch.Tensor, numbers: np.ndarray, rows: Any) -> torch.Tensor:
        """x (B, C, Y, X), whose cases are `rows` (B,) of `numbers` -> new (B, C, *size) float32.

        The memory format of x is kept.
        """
        own = _own(numbers, rows, x)
        x = x.float()
        last = x.is_contiguous(memory_format=torch.channels_last) and not x.is_contiguous()
        at_once = len(x) if x.is_cuda else max(1, _AT_ONCE // max(1, x[0].numel() if len(x) else 1))
        parts = [
            self._part(x[i : i + at_once].contiguous(), own[i : i + at_once])
            for i in range(0, len(x), at_once)
        ]
        out = parts[0] if len(parts) == 1 else torch.cat(parts) if parts else x.clone()
        return out.contiguous(memory_format=torch.channels_last) if last else out

    def apply_mask(self, mask: torch.Tensor, numbers: np.ndarray, rows: Any) -> torch.Tensor:
        """Labels (B, Y, X) of any type, moved with their pictures: new (B, *size), same type."""
        own = _own(numbers, rows, mask)
        moved = self._moved(mask.unsqueeze(1).float(), own, nearest=True)
        return moved.squeeze(1).to(mask.dtype)

    def apply_points(
        self, points: Any, numbers: np.ndarray, rows: Any, size: Iterable[int] | None = None
    ) -> np.ndarray:
        """Points (B, P, 2) as index (y, x) -> where they lie after `apply`; NaN stays NaN.

        size  (Y, X) of the pictures that went in, where it is not the chain's own
        """
        points = np.asarray(points, np.float64)
        own = _own(numbers, rows, points)
        found = self._found(own, _size(size) if size is not None else self.size)
        back = np.linalg.inv(found[:, :, :2])
        goal = points[..., ::-1]

        def straight(at: np.ndarray) -> np.ndarray:
            return (at - found[:, None, :, 2]) @ back.transpose(0, 2, 1)

        here = straight(goal)
        for step, columns in self._bends:
            assert isinstance(step, elastic.Step)
            # Output p looks at A p + t + d(p): solve for p by p <- A^-1 (goal - t - d(p)), which
            # closes in because the field cannot fold.
            for _ in range(30):
                bend = step.at(own[:, columns], here, self.size, self._bank)
                here = straight(goal - bend)
        return here[..., ::-1]

    def apply_boxes(
        self, boxes: Any, numbers: np.ndarray, rows: Any, size: Iterable[int] | None = None
    ) -> np.ndarray:
        """Boxes (B, N, 4) as (y0, x0, y1, x1), half open -> the boxes that hold them after `apply`.

        They are cut at the rim of the picture; one that left it has no area.
        """
        boxes = np.asarray(boxes, np.float64)
        t = np.linspace(0, 1, 5)
        rim = [(a, b) for a in t for b in t if a in (0, 1) or b in (0, 1)]
        corner, side = boxes[..., None, :2] - 0.5, (boxes[..., 2:] - boxes[..., :2])[..., None, :]
        points = corner + side * np.array(rim)  # (B, N, rim, 2), on the edges of pixels
        shape = points.shape
        moved = self.apply_points(points.reshape(shape[0], -1, 2), numbers, rows, size)
        moved = np.clip(moved.reshape(shape) + 0.5, 0, self.size)
        return np.concatenate([moved.min(axis=2), moved.max(axis=2)], axis=-1)

    def mix(
        self, x: torch.Tensor, targets: torch.Tensor, numbers: np.ndarray, rows: Any
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Mixed pictures (B, C, Y, X) and targets (B, K) float, where there is a step `mixup`.

        A target that is not known (NaN) in one of two pictures is not known in their mixture.
        """
        if not self._mixes or len(x) < 2:
            return x, targets
        step, columns = self._mixes[0]
        assert isinstance(step, mixup.Step)
        own = _own(numbers, rows, x)[:, columns]
        share = torch.from_numpy(own[:, 0].copy()).to(x.device)
        partner = torch.from_numpy(step.pairs(own)).to(x.device)

        def mixed(values: torch.Tensor) -> torch.Tensor:
            by = share.view(-1, *[1] * (values.ndim - 1))
            both = torch.lerp(values, values[partner], by.to(values.dtype))
            # 0 x NaN is NaN: a picture that is not mixed keeps what it knows.
            return torch.where(by > 0, both, values)

        return mixed(x), mixed(targets)

    def _part(self, x: torch.Tensor, own: np.ndarray) -> torch.Tensor:
        x = self._moved(x, own)
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

    def _moved(self, x: torch.Tensor, own: np.ndarray, nearest: bool = False) -> torch.Tensor:
        size_in = (x.shape[-2], x.shape[-1])
        found = self._found(own, size_in)
        if not self._bends:
            return warping.warp(x, found, self.size, self._padding, nearest=nearest)
        step, columns = self._bends[0]
        assert isinstance(step, elastic.Step)
        numbers = own[:, columns]
        out = x.new_empty((*x.shape[:2], *self.size))
        bent = numbers[:, 0] != 0
        for rows in (np.flatnonzero(bent), np.flatnonzero(~bent)):
            if not len(rows):
                continue
            index = torch.from_numpy(rows).to(x.device)
            field = None
            if bent[rows[0]]:
                field = step.field(numbers[rows], self.size, self._bank, x.device)
            out[index] = warping.warp(
                x.index_select(0, index), found[rows], self.size, self._padding, field, nearest
            )
        return out

    def _found(self, own: np.ndarray, size_in: tuple[int, int]) -> np.ndarray:
        moves = np.tile(np.eye(3), (len(own), 1, 1))
        for step, columns in self._geometry:
            moves = step.matrix(own[:, columns], self.size) @ moves
        return warping.look_up(moves, size_in, self.size)

    def _of(self, kind: type) -> list[tuple[Any, slice]]:
        pairs = zip(self.steps, self._columns, strict=True)
        return [(step, columns) for step, columns in pairs if isinstance(step, kind)]

    def _one_padding(self) -> Any:
        asked = {step.padding for step, _ in self._geometry}
        if len(asked) > 1:
            raise SettingsError(
                f"augment: expected one padding for all steps that move pixels, got "
                f"{', '.join(sorted(asked))}; they are carried out as one resampling"
            )
        return asked.pop() if asked else "border"


def _own(numbers: np.ndarray, rows: Any, batch: Any) -> np.ndarray:
    own = numbers[np.asarray(rows, dtype=np.int64)]
    if len(own) != len(batch):
        raise SettingsError(
            f"augment: expected a row of numbers for each of {len(batch)} pictures, got {len(own)}"
        )
    return own


def _size(size: Iterable[int]) -> tuple[int, int]:
    found = tuple(int(n) for n in size)
    if len(found) != 2 or min(found) < 1:
        raise SettingsError(f"augment: expected a size (Y, X) of whole pixels, got {found}")
    return found[0], found[1]


def _step(data: Mapping[str, Any]) -> RandomStep:
    settings = dict(data)
    name = settings.pop("step", None)
    if not isinstance(name, str):
        raise SettingsError(f"an augmentation step needs its name: step = ..., got {dict(data)}")
    return parse(plugin("tomos.transforms.augment", name).Step, settings, f"augment step {name!r}")
