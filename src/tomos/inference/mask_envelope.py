"""What a model for masks was made for, and whether an image is that.

As `tomos.inference.envelope` for classes: facts of the header (modality, body part, grey or
colour), and looks. Its images have sizes of their own, so in place of pixels and proportions the
extent and the spacing are compared, in millimetres along the patient's axes where these are known;
and of a volume some planes are looked at, so that it costs little beside the network. The
network's features do not take part: they would take another run over every training case, and tell
least of all views what is foreign (decision 006).

Few cases are usual where masks are drawn by hand. From `FEWEST` on the grain and the grey values
are known well enough to tell noise and other modalities, from `FEW` on where things lie, too; the
threshold is wider the fewer there are.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from tomos.inference import looks
from tomos.inference.appearance import describe, empty
from tomos.inference.envelope import ALPHA, Info, Judgement, header_facts, of_header
from tomos.transforms.prepare.orient import turns
from tomos.types import Image

FEWEST = 10  # cases; with fewer there is no telling what is usual
FEW = 20  # with fewer, only what takes few numbers to describe
SIMPLE = ("texture", "intensity")
# The threshold is that of the cases times 1 + MARGIN + SLACK / n: the largest of twenty says little
# of the next one.
MARGIN, SLACK = 0.15, 10.0
PLANES = 12  # of a volume, evenly spaced
TIMES = 2.0  # beyond which an extent or a spacing is none that was seen
AXES = {2: ("height", "width"), 3: ("length", "depth", "width")}


@dataclass(frozen=True, slots=True)
class Shape:
    """extent, spacing  along (S, P, L) of a volume whose place is known, else as it is stored: in
    mm; where no size is known (`sized`) in pixels"""

    extent: tuple[float, ...]
    spacing: tuple[float, ...]
    sized: bool

    @staticmethod
    def of(image: Image) -> Shape:
        order: Sequence[int] = range(len(image.size))
        if image.is_volume and image.frame == "patient":
            order = turns(image.affine)[0]
        spacing = tuple(image.spacing[axis] for axis in order)
        size = tuple(image.size[axis] for axis in order)
        extent = tuple(n * mm for n, mm in zip(size, spacing, strict=True))
        return Shape(extent, spacing, image.frame != "pixel")


@dataclass(frozen=True, slots=True, eq=False)
class Cases:
    """What an envelope is fitted on.

    headers  some of the images, as far as their headers are concerned
    n        prepared cases; `planes(row)` gives (P, C, Y, X) of one, as `pictures` does
    """

    headers: Sequence[tuple[Info, Shape]]
    n: int
    planes: Callable[[int], np.ndarray]


def header(image: Image) -> tuple[Info, Shape]:
    """What `fit` takes of an image; of a volume a few planes tell its grey values."""
    if not image.is_volume:
        return Info.of(image), Shape.of(image)
    planes = image.pixels[:, chosen(image.size[0])]
    return Info.of(image.with_pixels(planes, image.affine)), Shape.of(image)


def chosen(depth: int) -> np.ndarray:
    """Indices of the planes that are looked at."""
    parts = min(PLANES, depth)
    return ((np.arange(parts) + 0.5) * depth / parts).astype(int)


def pictures(prepared: np.ndarray) -> np.ndarray:
    """(C, [Z,] Y, X) -> (P, C, Y, X): a picture itself, of a volume some planes."""
    if prepared.ndim == 3:
        return prepared[None]
    return prepared[:, chosen(prepared.shape[1])].swapaxes(0, 1)


def fit(cases: Cases, alpha: float = ALPHA) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
    """The manifest's `envelope` (plain data) and its arrays, as `envelope.fit` gives them.

    alpha  share of the usual images that may be referred for their looks
    """
    facts = _facts(cases.headers)
    data: dict[str, Any] = {"facts": facts, "alpha": alpha, "n": {"train": cases.n}, "looks": {}}
    if cases.n < FEWEST:
        data["reason"] = f"{cases.n} training images are too few to know what is usual"
        return data, {}
    each = max(1, cases.n // 100)
    scale = float(np.mean([np.std(cases.planes(row)) for row in range(0, cases.n, each)])) or 1.0
    rows = [_described(cases.planes(row), scale) for row in range(cases.n)]
    names = SIMPLE if cases.n < FEW else tuple(rows[0])
    views = {name: np.concatenate([row[name] for row in rows]) for name in names}
    found, arrays = looks.fit(views, {}, alpha, np.random.default_rng(0))
    found["threshold"] *= 1 + MARGIN + SLACK / cases.n
    data["looks"] = {"scale": scale, **found}
    return data, arrays


class MaskEnvelope:
    """What `fit` gave, to judge images by; {} of a model without refers nothing."""

    def __init__(self, data: Mapping[str, Any], arrays: Mapping[str, np.ndarray]):
        self._facts = data.get("facts") or {}
        known = data.get("looks") or {}
        self._scale = float(known.get("scale", 1.0))
        self._looks = looks.Looks(known, arrays)

    def judge(self, image: Image, prepared: np.ndarray) -> Judgement:
        """Of an image and its prepared pixels (C, [Z,] Y, X)."""
        if not self._facts:
            return Judgement()
        info, shape = header(image)
        reasons, warnings = of_header(self._facts, info)
        _of_shape(self._facts, shape, reasons, warnings)
        distance, planes = 0.0, np.asarray(pictures(prepared), np.float32)
        if empty(planes, self._scale).all():
            reasons.append("the picture is empty: every pixel has the same value")
        elif self._looks:
            odd = self._looks.odd(_described(planes, self._scale), 1)
            distance = float(self._looks.distance(odd)[0])
            if not distance <= 1:
                reasons.append(self._looks.why(odd[0], distance))
        return Judgement(tuple(reasons), tuple(warnings), round(distance, 4))


def _described(planes_PCYX: np.ndarray, scale: float) -> dict[str, np.ndarray]:
    """View -> (1, D), the mean over the planes."""
    views = describe(np.asarray(planes_PCYX, np.float32), scale)
    return {name: values.mean(axis=0, keepdims=True) for name, values in views.items()}


def _facts(headers: Sequence[tuple[Info, Shape]]) -> dict[str, Any]:
    if not headers:
        return {}
    facts = header_facts([info for info, _ in headers])
    shapes = [shape for _, shape in headers]
    for unit, sized in (("mm", True), ("pixels", False)):
        own = [shape for shape in shapes if shape.sized == sized]
        if own:
            facts[unit] = {
                "extent": _limits([shape.extent for shape in own]),
                "spacing": _limits([shape.spacing for shape in own]),
            }
    return facts


def _limits(values: Sequence[tuple[float, ...]]) -> list[list[float]]:
    """(lowest, highest) along each axis."""
    axes = zip(*(value for value in values if len(value) == len(values[0])), strict=True)
    return [[round(min(axis), 4), round(max(axis), 4)] for axis in axes]


def _of_shape(
    facts: Mapping[str, Any], shape: Shape, reasons: list[str], warnings: list[str]
) -> None:
    """Adds to the reasons to refer, and to the warnings."""
    unit = "mm" if shape.sized else "pixels"
    known = facts.get(unit)
    if known is None:
        if "mm" in facts or "pixels" in facts:
            sized = "a known" if "mm" in facts else "no known"
            warnings.append(f"the model was made for images of {sized} size in mm")
        return
    if len(known["extent"]) != len(shape.extent):
        return
    names, what = AXES[len(shape.extent)], "voxels" if len(shape.extent) == 3 else "pixels"
    for name, own, (low, high) in zip(names, shape.extent, known["extent"], strict=True):
        if not low / TIMES <= own <= high * TIMES:
            reasons.append(
                f"its {name} is {own:.0f} {unit}; the model was made for {low:.0f} to {high:.0f}"
            )
    for name, own, (_, high) in zip(names, shape.spacing, known["spacing"], strict=True):
        if shape.sized and own > high * TIMES:
            reasons.append(
                f"along its {name} its {what} are {own:.2g} mm apart; the model was made for "
                f"{high:.2g} mm at most"
            )
