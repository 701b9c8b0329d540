"""Masks beside images: found by name, laid on the image's grid; what maps score against them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from tomos import formats
from tomos.explain import Localisation
from tomos.measures.intervals import Bootstrap, Interval, percentile, wilson
from tomos.types import GeometryError, Image, SettingsError
from tomos.workflows.inputs import stems

SUFFIXES = (".png", ".nii", ".nii.gz")
SCORES = ("pointing", "energy", "average_precision")


class Masks:
    """The masks of a folder: PNG or NIfTI, of which every label but 0 counts.

    A mask has the name of its image but for the ending ("p07.bmp": "p07.png"); of an image inside a
    container, that of its map ("x.npz#test/12": "x-test-12.png"). Raises SettingsError where no
    image has a mask, or two masks have one name.
    """

    def __init__(self, folder: str | Path, addresses: Sequence[str]):
        self.folder = Path(folder)
        if not self.folder.is_dir():
            raise SettingsError(f"--masks {folder}: expected a folder of masks, there is none")
        by_stem: dict[str, Path] = {}
        for path in sorted(self.folder.rglob("*")):
            if not path.name.lower().endswith(SUFFIXES):
                continue
            stem = _stem(path)
            if stem in by_stem:
                raise SettingsError(
                    f"--masks {folder}: {by_stem[stem].name} and {path.name} are both named for "
                    f"{stem}; leave one of them"
                )
            by_stem[stem] = path
        self._paths: dict[str, Path] = {}
        for address, name in zip(addresses, stems(addresses), strict=True):
            for known in (name, _stem(Path(address.partition("#")[0]))):
                if known in by_stem:
                    self._paths.setdefault(address, by_stem[known])
        if not self._paths:
            raise SettingsError(
                f"--masks {folder}: none of {len(by_stem)} masks (PNG, NIfTI) has the name of an "
                f"image, as {_stem(Path(addresses[0])) if addresses else 'image'}.png"
            )

    def of(self, address: str, image: Image) -> np.ndarray | None:
        """(Y, X) or (Z, Y, X) bool on the image's grid; None where it has no mask, or an empty one.

        Raises GeometryError for a mask of another size or place, FormatError for a damaged one and
        for what is no mask.
        """
        path = self._paths.get(address)
        if path is None:
            return None
        if Path(address).exists() and path.samefile(address):
            raise GeometryError(f"{path}: is the image itself; name the folder of its mask")
        every = {value: 1 for value in formats.mask_values(path) if value}
        mask = formats.read_mask(path, image, ("inside",), every, notes=[])
        inside = mask.labels > 0
        return inside if inside.any() else None


def _stem(path: Path) -> str:
    name = path.name.removesuffix(".gz")
    return name.rsplit(".", 1)[0] if "." in name[1:] else name


@dataclass(frozen=True, slots=True)
class Summary:
    """Mean scores over the images that have a mask, with 95 % intervals.

    chance   what a map that is even would score, in each of them
    without  images that have no mask, or an empty one
    """

    means: dict[str, Interval]
    chance: float | None
    n: int
    without: int

    def lines(self) -> list[str]:
        if not self.n:
            return ["no image was scored: none has a mask that fits it and is not empty"]
        without = f", {self.without} without a mask" if self.without else ""
        return [
            f"where the masks are ({self.n} images{without}; by chance {self.chance:.2f}):",
            f"  pointing game      {said(self.means['pointing'])}   the peak lies in the mask",
            f"  energy inside      {said(self.means['energy'])}   of all heat",
            f"  average precision  {said(self.means['average_precision'])}   over pixels",
        ]

    def to_json(self) -> dict[str, Any]:
        told: dict[str, Any] = {name: as_json(mean) for name, mean in self.means.items()}
        return {"n": self.n, "without_mask": self.without, "chance": self.chance, **told}


def summary(scores: Sequence[Localisation | None], groups: Sequence[str]) -> Summary:
    """The means over those that have one; `groups` (see `mean`) are of all images."""
    known = [(each, group) for each, group in zip(scores, groups, strict=True) if each is not None]
    own = [group for _, group in known]
    means = {name: mean([getattr(each, name) for each, _ in known], own) for name in SCORES}
    chance = round(float(np.mean([each.chance for each, _ in known])), 4) if known else None
    return Summary(means, chance, len(known), len(scores) - len(known))


def mean(values: Sequence[float] | np.ndarray, groups: Sequence[str]) -> Interval:
    """With a bootstrap over `groups`, the patient or, where none is known, the image itself.

    Where all values are 0 or all 1, which no resample changes, the interval is Wilson's.
    """
    array = np.asarray(values, float)
    if not len(array):
        return Interval(np.nan, np.nan, np.nan, method="no value is known")
    if np.all(array == 0) or np.all(array == 1):
        return wilson(float(array.sum()), len(array))
    drawn = Bootstrap(np.asarray(groups))
    if drawn.n_groups < 2:
        return Interval(float(array.mean()), np.nan, np.nan, method="one image: no interval")
    values_R = drawn.distribution(lambda counts: counts @ array / counts.sum(axis=1))
    what = "images" if drawn.n_groups == len(array) else "patients"
    how = f"bootstrap over {drawn.n_groups} {what}, {drawn.resamples:,} resamples"
    return Interval(float(array.mean()), *percentile(values_R), method=how)


def said(interval: Interval) -> str:
    """For a person."""
    if not np.isfinite(interval.low):
        return f"{interval.value:.2f} ({interval.method})"
    return f"{interval.value:.2f} ({interval.low:.2f} to {interval.high:.2f})"


def as_json(interval: Interval) -> dict[str, Any]:
    """Four digits, null for what is not known."""
    values = {"value": interval.value, "low": interval.low, "high": interval.high}
    rounded = {k: round(v, 4) if np.isfinite(v) else None for k, v in values.items()}
    return {**rounded, "method": interval.method}
