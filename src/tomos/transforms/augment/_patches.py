"""Patches cut out of larger pictures or volumes, changed on the way, with their labels."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from tomos.transforms.augment import _backend, _cut, _places
from tomos.transforms.augment import _warp as warping
from tomos.transforms.augment._draws import Draws, at_once, own_rows
from tomos.transforms.augment._step import fresh
from tomos.types import SettingsError

# torch moves few of the unsigned types; the bits are the same.
_SIGNED = {torch.uint16: torch.int16, torch.uint32: torch.int32, torch.uint64: torch.int64}


@dataclass(frozen=True)
class Way:
    """How patches are made.

    backend  "torch" on any device, "numba" on the CPU, "auto": the quicker one there is; their
             results differ by rounding alone
    threads  of the CPU; 0: as many as torch has
    """

    backend: _backend.Backend = "auto"
    threads: int = 0


class PatchChain(Draws):
    """Random changes to patches of larger sources: one resampling takes a patch, moved, bent and
    cropped as drawn, straight out of its source.

    steps    as of `Chain`; the same names, in 3D with more numbers
    size     (Z, Y, X) or (Y, X) of the patches
    seed     with the epoch, all that chance depends on
    spacing  lengths of a voxel along each axis, in array order: turning and slanting happen in
             lengths, so that a ball stays a ball; default: all alike
    way      what computes, on how many threads

    Raises SettingsError for an unknown step or setting, or where steps disagree on the padding.
    """

    def __init__(
        self,
        steps: Iterable[Mapping[str, Any]],
        size: Iterable[int],
        seed: int = 0,
        spacing: Iterable[float] | None = None,
        way: Way | None = None,
    ) -> None:
        super().__init__(steps, _size(size), seed)
        self.spacing = _spacing(spacing, self.axes)
        self.way = way or Way()
        if self._mixes:
            raise SettingsError("augment: patches with labels cannot be mixed; leave out 'mixup'")

    def apply(
        self,
        sources: Sequence[Any],
        masks: Sequence[Any] | None,
        numbers: np.ndarray,
        rows: Any,
        centres: Any,
        device: torch.device | str | None = None,
    ) -> tuple[torch.Tensor, torch.Tensor | None]:
        """A patch of each source, and of its mask: new (B, C, *size) float32 and (B, *size).

        sources  arrays or tensors (C, z, y, x) or (C, y, x), each of its own size, of any type
        masks    labels (z, y, x) or (y, x) of each, all of one type, or None
        numbers  those of `draw`; the sources' cases are `rows` (B,) of them
        centres  (B, axes) index in each source of the voxel that a patch lies about: unmoved, it
                 begins `size // 2` before it
        device   where the result is to lie; default: where the sources lie

        Values between voxels are interpolated linearly. A voxel takes the label of the nearest: it
        never invents one, costs a tenth of interpolating each label, and differs from that only
        within half a voxel of a boundary. Raises SettingsError for what does not fit.
        """
        own = own_rows(numbers, rows, sources)
        images, labels = _checked(sources, masks, self.axes)
        device = torch.device(device) if device is not None else _device(images)
        channels = len(images[0]) if images else 0
        out = fresh((len(images), channels, *self.size), torch.float32, device)
        picked, kind = None, labels[0].dtype if labels else torch.uint8
        if labels is not None:
            labels = [mask.view(_SIGNED.get(kind, kind)) for mask in labels]
            picked = fresh((len(images), *self.size), _SIGNED.get(kind, kind), device)
        cuts = self._cuts(own, _whole(centres, len(images), self.axes), images, labels)
        with _backend.threads_of(self.way.threads) as threads:
            _cut.fill(cuts, out, picked, self._padding, (self.way.backend, threads))
            self._change(out, own)
        return out, None if picked is None else picked.view(kind)

    def looks_at(
        self, numbers: np.ndarray, rows: Any, centres: Any, sizes: Any = None
    ) -> tuple[np.ndarray, np.ndarray]:
        """(B, axes) first voxel, and one past the last, that `apply` looks at for each case.

        sizes  (B, axes) of the whole sources: the boxes are cut to what there is of them, and
               `apply` gives the same for such a box as for the whole source, with the centre
               counted from the box's first voxel
        """
        own = own_rows(numbers, rows, centres)
        centres = _whole(centres, len(own), self.axes)
        return self._boxes(self._found(own, centres), self._control(own), sizes)

    def margin(self) -> tuple[int, ...]:
        """By how many voxels a box must be larger than the patch, at each end of each axis, so that
        nothing that can be drawn looks outside it. `looks_at` says it of one case, mostly less."""
        size = np.array(self.size[::-1], np.float64)
        half = (size - 1) / 2
        far = half
        for step, _ in reversed(self._geometry):
            far = step.reach(far, self.size, self.spacing)
        for step, _ in self._bends:
            far = far + step.furthest * size
        return tuple(int(n) for n in np.ceil(far - half - 1e-6)[::-1])

    def apply_points(self, points: Any, numbers: np.ndarray, rows: Any, centres: Any) -> np.ndarray:
        """Points (B, P, axes), index in each source -> index in its patch; NaN stays NaN."""
        points = np.asarray(points, np.float64)
        own = own_rows(numbers, rows, points)
        found = self._found(own, _whole(centres, len(own), self.axes))
        return _places.follow(points, found, self._bend(own))

    def apply_boxes(self, boxes: Any, numbers: np.ndarray, rows: Any, centres: Any) -> np.ndarray:
        """Boxes (B, N, 2 axes) in each source, first corner and last, half open -> the boxes that
        hold them in its patch, cut at its rim; one that lies outside has no volume."""
        points = _places.rims(np.asarray(boxes, np.float64))
        moved = self.apply_points(
            points.reshape(len(points), -1, self.axes), numbers, rows, centres
        )
        return _places.around(moved.reshape(points.shape), self.size)

    def _found(self, own: np.ndarray, centres: np.ndarray) -> np.ndarray:
        start = centres - np.array(self.size) // 2
        return warping.look_from(self._moves(own, self.spacing), start, self.size)

    def _change(self, out: torch.Tensor, own: np.ndarray) -> None:
        """The steps on values, carried out in place."""
        step = at_once(out)
        for i in range(0, len(out), step):
            part = out[i : i + step]
            changed = self._changed(part, own[i : i + step])
            if changed is not part:
                part.copy_(changed)

    def _control(self, own: np.ndarray) -> torch.Tensor | None:
        """(B, axes, ...) control values of the displacement, 0 where a case is not bent."""
        if not self._bends:
            return None
        step, columns = self._bends[0]
        return step.control(own[:, columns], self._bank, torch.device("cpu"), self.axes)

    def _boxes(
        self, found: np.ndarray, control: torch.Tensor | None, sizes: Any
    ) -> tuple[np.ndarray, np.ndarray]:
        size = np.array(self.size[::-1])
        across = found[:, :, :-1] * (size - 1)
        low = found[:, :, -1] + np.minimum(across, 0).sum(axis=2)
        high = found[:, :, -1] + np.maximum(across, 0).sum(axis=2)
        if control is not None:
            # A B-spline lies between its control values.
            far = control.abs().flatten(2).amax(2).numpy() * size
            low, high = low - far, high + far
        low = np.floor(low + 1e-6).astype(np.int64)[:, ::-1]
        high = np.ceil(high - 1e-6).astype(np.int64)[:, ::-1] + 1
        if sizes is None:
            return low, high
        sizes = np.asarray(sizes, np.int64)
        if self._padding == "reflection":  # what lies d outside looks d inside
            low, high = np.minimum(low, 2 * sizes - high), np.maximum(high, -low)
        return np.clip(low, 0, sizes - 1), np.clip(high, 1, sizes)

    def _cuts(
        self,
        own: np.ndarray,
        centres: np.ndarray,
        images: list[torch.Tensor],
        labels: list[torch.Tensor] | None,
    ) -> list[_cut.Cut]:
        found, control = self._found(own, centres), self._control(own)
        low, high = self._boxes(found, control, _sizes(images, self.axes))
        whole = warping.exact(found)
        cuts = []
        for row, image in enumerate(images):
            bend = None
            if control is not None and control[row].any():
                bend, whole[row] = control[row], False
            mask = None if labels is None else labels[row]
            box = tuple(zip(low[row].tolist(), high[row].tolist(), strict=True))
            cuts.append(_cut.Cut(image, mask, found[row], box, bool(whole[row]), bend))
        return cuts


def _checked(
    sources: Sequence[Any], masks: Sequence[Any] | None, axes: int
) -> tuple[list[torch.Tensor], list[torch.Tensor] | None]:
    images = [_tensor(source) for source in sources]
    for row, image in enumerate(images):
        if image.ndim != axes + 1 or len(image) != len(images[0]) or not image.numel():
            raise SettingsError(
                f"augment: expected sources of {axes} axes after the channels, all with as many "
                f"channels, got {tuple(image.shape)} as number {row}"
            )
    if masks is None:
        return images, None
    labels = [_tensor(mask) for mask in masks]
    if len(labels) != len(images):
        raise SettingsError(
            f"augment: expected a mask for each of {len(images)} sources, got {len(labels)}"
        )
    for row, (image, mask) in enumerate(zip(images, labels, strict=True)):
        if mask.shape != image.shape[1:] or mask.dtype != labels[0].dtype:
            raise SettingsError(
                f"augment: expected masks of the size of their sources, all {labels[0].dtype}, got "
                f"{mask.dtype} {tuple(mask.shape)} for {tuple(image.shape)} as number {row}"
            )
    return images, labels


def _tensor(x: Any) -> torch.Tensor:
    if isinstance(x, torch.Tensor):
        return x
    x = np.asarray(x)
    # What torch cannot look into is copied: read-only, foreign byte order, reversed axes.
    if not x.flags.writeable or not x.dtype.isnative or min((0, *x.strides)) < 0:
        x = np.array(x, x.dtype.newbyteorder("="), order="C")
    return torch.from_numpy(x)


def _device(images: list[torch.Tensor]) -> torch.device:
    return images[0].device if images else torch.device("cpu")


def _sizes(images: list[torch.Tensor], axes: int) -> np.ndarray:
    sizes = [image.shape[1:] for image in images]
    return np.array(sizes, np.int64).reshape(len(images), axes)


def _whole(centres: Any, cases: int, axes: int) -> np.ndarray:
    found = np.asarray(centres)
    if found.shape != (cases, axes) or (found.dtype.kind not in "iu" and found.size):
        raise SettingsError(
            f"augment: expected the index of a voxel for each of {cases} sources, whole numbers "
            f"({cases}, {axes}), got {found.dtype} {found.shape}"
        )
    return found.astype(np.int64)


def _size(size: Iterable[int]) -> tuple[int, ...]:
    found = tuple(int(n) for n in size)
    if len(found) not in (2, 3) or min(found) < 1:
        raise SettingsError(
            f"augment: expected a size (Y, X) or (Z, Y, X) of whole voxels, got {found}"
        )
    return found


def _spacing(spacing: Iterable[float] | None, axes: int) -> np.ndarray:
    """(axes,) (x, y[, z])."""
    found = np.array([1.0] * axes if spacing is None else list(spacing), np.float64)
    if found.shape != (axes,) or not (np.isfinite(found).all() and (found > 0).all()):
        raise SettingsError(
            f"augment: expected a positive spacing along each of {axes} axes, got {found.tolist()}"
        )
    return found[::-1]
