"""Steps of augmentation for a batch: numbers drawn, geometry in one resampling, then values."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
import torch

from tomos.transforms.augment import _places
from tomos.transforms.augment import _warp as warping
from tomos.transforms.augment._draws import Draws, at_once, own_rows
from tomos.types import SettingsError


class Chain(Draws):
    """Random changes to batches of whole pictures; `PatchChain` cuts patches out of larger ones.

    steps  tables with the key "step"; geometry is composed in their order and carried out first, as
           one resampling, then the steps on values in their order
    size   (Y, X) of the pictures that come out; larger ones going in are cropped about the middle
    seed   with the epoch, all that chance depends on

    Raises SettingsError for an unknown step or setting, or where steps disagree on the padding.
    """

    def __init__(
        self, steps: Iterable[Mapping[str, Any]], size: Iterable[int], seed: int = 0
    ) -> None:
        super().__init__(steps, _size(size), seed)

    def apply(self, x: torch.Tensor, numbers: np.ndarray, rows: Any) -> torch.Tensor:
        """x (B, C, Y, X), whose cases are `rows` (B,) of `numbers` -> new (B, C, *size) float32.

        The memory format of x is kept.
        """
        own = own_rows(numbers, rows, x)
        x = x.float()
        last = x.is_contiguous(memory_format=torch.channels_last) and not x.is_contiguous()
        step = at_once(x)
        parts = [
            self._part(x[i : i + step].contiguous(), own[i : i + step])
            for i in range(0, len(x), step)
        ]
        out = parts[0] if len(parts) == 1 else torch.cat(parts) if parts else x.clone()
        return out.contiguous(memory_format=torch.channels_last) if last else out

    def apply_mask(self, mask: torch.Tensor, numbers: np.ndarray, rows: Any) -> torch.Tensor:
        """Labels (B, Y, X) of any type, moved with their pictures: new (B, *size), same type."""
        own = own_rows(numbers, rows, mask)
        moved = self._moved(mask.unsqueeze(1).float(), own, nearest=True)
        return moved.squeeze(1).to(mask.dtype)

    def apply_points(
        self, points: Any, numbers: np.ndarray, rows: Any, size: Iterable[int] | None = None
    ) -> np.ndarray:
        """Points (B, P, 2) as index (y, x) -> where they lie after `apply`; NaN stays NaN.

        size  (Y, X) of the pictures that went in, where it is not the chain's own
        """
        points = np.asarray(points, np.float64)
        own = own_rows(numbers, rows, points)
        found = self._found(own, _size(size) if size is not None else self.size)
        return _places.follow(points, found, self._bend(own))

    def apply_boxes(
        self, boxes: Any, numbers: np.ndarray, rows: Any, size: Iterable[int] | None = None
    ) -> np.ndarray:
        """Boxes (B, N, 4) as (y0, x0, y1, x1), half open -> the boxes that hold them after `apply`.

        They are cut at the rim of the picture; one that left it has no area.
        """
        points = _places.rims(np.asarray(boxes, np.float64))
        moved = self.apply_points(points.reshape(len(points), -1, 2), numbers, rows, size)
        return _places.around(moved.reshape(points.shape), self.size)

    def mix(
        self, x: torch.Tensor, targets: torch.Tensor, numbers: np.ndarray, rows: Any
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Mixed pictures (B, C, Y, X) and targets (B, K) float, where there is a step `mixup`.

        A target that is not known (NaN) in one of two pictures is not known in their mixture.
        """
        if not self._mixes or len(x) < 2:
            return x, targets
        step, columns = self._mixes[0]
        own = own_rows(numbers, rows, x)[:, columns]
        share = torch.from_numpy(own[:, 0].copy()).to(x.device)
        partner = torch.from_numpy(step.pairs(own)).to(x.device)

        def mixed(values: torch.Tensor) -> torch.Tensor:
            by = share.view(-1, *[1] * (values.ndim - 1))
            both = torch.lerp(values, values[partner], by.to(values.dtype))
            # 0 x NaN is NaN: a picture that is not mixed keeps what it knows.
            return torch.where(by > 0, both, values)

        return mixed(x), mixed(targets)

    def _part(self, x: torch.Tensor, own: np.ndarray) -> torch.Tensor:
        return self._changed(self._moved(x, own), own)

    def _moved(self, x: torch.Tensor, own: np.ndarray, nearest: bool = False) -> torch.Tensor:
        found = self._found(own, tuple(x.shape[-2:]))
        if not self._bends:
            return warping.warp(x, found, self.size, self._padding, nearest=nearest)
        step, columns = self._bends[0]
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

    def _found(self, own: np.ndarray, size_in: tuple[int, ...]) -> np.ndarray:
        return warping.look_up(self._moves(own), size_in, self.size)


def _size(size: Iterable[int]) -> tuple[int, ...]:
    found = tuple(int(n) for n in size)
    if len(found) != 2 or min(found) < 1:
        raise SettingsError(
            f"augment: expected a size (Y, X) of whole pixels, got {found}; volumes are cut out of "
            "larger ones by PatchChain"
        )
    return found
