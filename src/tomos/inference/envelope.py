"""What a model was made for, and whether an input is that.

Two kinds of test. Facts: modality and body part of the header, grey or colour, size, proportions.
Looks: five views of the picture (where it is bright, where its edges lie, its grain, its values,
the network's own features), each with a Gaussian of the training pictures. A view gives two
distances: within the directions in which training pictures vary (Mahalanobis), and outside them
(what those directions leave over), after Lee et al. 2018, arXiv:1807.03888. A header may be missing
(a PNG, an npz row): then the looks must carry it.

The ten distances are put on one scale by their spread on pictures that the Gaussians were not
fitted on (cross-fitted training pictures and validation), those beyond the usual are added up, and
one threshold is set so that about `ALPHA` of such pictures lie above it. One threshold on the sum,
not ten: a union of ten tests, each at a tenth of the share, misses what is a little odd in several
ways, which is what pictures of another kind are.

A picture of the right kind may still be a bad one: `tomos.inference.quality` warns of that.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from tomos.inference import looks, quality
from tomos.inference.appearance import describe, empty
from tomos.types import Image

ALPHA = 0.01
ALPHA_FEW = 0.0125  # cross-fitting overstates the distances of few pictures, so a little more
FEW = 1500
FEWEST = 30  # pictures; with fewer there is no telling what is usual
MOST = 4000  # pictures to fit on; more change no digit that matters
# The four ways in which a header says "plain film".
FILM = {"CR", "DX", "DR", "RG"}


@dataclass(frozen=True, slots=True)
class Info:
    """The facts of one image.

    colour    whether its channels differ
    size      (Y, X) in pixels
    contrast  its range of grey, and the share of it that it spans (`quality.contrast`)
    """

    modality: str = ""
    body_part: str = ""
    colour: bool = False
    size: tuple[int, int] = (1, 1)
    contrast: tuple[str, float] | None = None

    @staticmethod
    def of(image: Image) -> Info:
        modality = image.modality.strip().upper()
        image = image.first
        return Info(
            modality="DX" if modality in FILM else modality,
            body_part=image.origin.body_part.strip().upper(),
            colour=_is_colour(image),
            size=(image.size[-2], image.size[-1]),
            contrast=quality.contrast(image),
        )


@dataclass(frozen=True, slots=True, eq=False)
class Seen:
    """Pictures an envelope is fitted on: facts, prepared pixels (N, C, Y, X), features (N, F)."""

    infos: Sequence[Info]
    prepared: np.ndarray
    features: np.ndarray | None = None


@dataclass(frozen=True, slots=True)
class Judgement:
    """reasons: why a reader must look (none: the input is what the model was made for)

    distance  1 = at the threshold, 0 = as usual as can be
    """

    reasons: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()
    distance: float = 0.0

    @property
    def refuse(self) -> bool:
        return bool(self.reasons)


def fit(
    train: Seen, held_out: Seen | None = None, alpha: float | None = None, seed: int = 0
) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
    """Fit on training pictures, set the threshold on pictures that were not fitted on.

    held_out  validation pictures, whose features the network has not learnt; recommended
    alpha     share of the usual pictures that may be referred; None: `ALPHA`
    Returns the manifest's `envelope` (plain data) and its arrays, for `package.write(extras=...)`
    as "envelope/NAME.npy".
    """
    if alpha is None:
        alpha = ALPHA_FEW if len(train.prepared) < FEW else ALPHA
    infos = [*train.infos, *(held_out.infos if held_out else [])]
    data: dict[str, Any] = {"facts": _facts(infos), "alpha": alpha}
    if len(train.prepared) < FEWEST:
        data["looks"] = {}
        data["reason"] = f"{len(train.prepared)} training pictures are too few to know the usual"
        return data, {}
    rng = np.random.default_rng(seed)
    rows = np.sort(rng.permutation(len(train.prepared))[:MOST])
    scale = float(np.std(train.prepared[rows[:: max(1, len(rows) // 500)]])) or 1.0
    views = _views(train, rows, scale)
    others = _views(held_out, np.arange(len(held_out.prepared)), scale) if held_out else {}
    found, arrays = looks.fit(views, others, alpha, rng)
    data["quality"] = _usual_quality(train, rows, held_out, infos)
    data["looks"] = {"scale": scale, **found}
    data["n"] = {"train": len(rows), "held_out": len(held_out.prepared) if held_out else 0}
    return data, arrays


def _usual_quality(
    train: Seen, rows: np.ndarray, held_out: Seen | None, infos: Sequence[Info]
) -> dict[str, Any]:
    parts = [_in_parts(train.prepared, rows, quality.measure)]
    if held_out is not None:
        every = np.arange(len(held_out.prepared))
        parts.append(_in_parts(held_out.prepared, every, quality.measure))
    figures = {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}
    return quality.fit(figures, [info.contrast for info in infos])


class Envelope:
    """A fitted envelope, to judge inputs by. `arrays` as `Package.envelope_arrays()` gives them."""

    def __init__(self, data: Mapping[str, Any], arrays: Mapping[str, np.ndarray], size=(1, 1)):
        self._facts = data.get("facts") or {}
        known = data.get("looks") or {}
        self._quality = quality.Quality(data.get("quality") or {})
        self._size = size
        self._scale = float(known.get("scale", 1.0))
        self._looks = looks.Looks(known, arrays)

    def judge(
        self, infos: Sequence[Info], prepared: np.ndarray, features: np.ndarray | None = None
    ) -> list[Judgement]:
        """One judgement an image: prepared (B, C, Y, X), features (B, F) where the net has them."""
        void = empty(prepared, self._scale)
        odd = self._distances(prepared, features)
        bad = self._quality.judge(prepared, [info.contrast for info in infos])
        judgements = []
        for row, info in enumerate(infos):
            reasons, warnings = self._of_facts(info)
            # Another modality, or nothing at all, is no worse picture of the model's own kind.
            if not reasons and not void[row]:
                warnings += bad[row]
            distance = float(self._looks.distance(odd[row : row + 1])[0]) if odd.size else 0.0
            if void[row]:
                reasons.append("the picture is empty: every pixel has the same value")
            elif not distance <= 1:
                reasons.append(self._looks.why(odd[row], distance))
            judgements.append(Judgement(tuple(reasons), tuple(warnings), round(distance, 4)))
        return judgements

    def _distances(self, prepared: np.ndarray, features: np.ndarray | None) -> np.ndarray:
        if not self._looks:
            return np.zeros((len(prepared), 0))
        views = describe(prepared, self._scale)
        if features is not None:
            views["features"] = features
        return self._looks.odd(views, len(prepared))

    def _of_facts(self, info: Info) -> tuple[list[str], list[str]]:
        """(reasons to refer, warnings)."""
        reasons, warnings = of_header(self._facts, info)
        self._of_size(info, reasons, warnings)
        return reasons, warnings

    def _of_size(self, info: Info, reasons: list[str], warnings: list[str]) -> None:
        low, high = self._facts.get("side") or (0, np.inf)
        least = min(0.5 * low, min(self._size))
        side = min(info.size)
        text = f"{info.size[1]} x {info.size[0]} pixels, training pictures had sides of "
        text += f"{low:.0f} to {high:.0f}"
        if side < least:
            reasons.append(f"too small: {text}")
        elif side > 4 * high:
            warnings.append(f"much larger than usual: {text}")
        lowest, highest = self._facts.get("aspect") or (0, np.inf)
        aspect = info.size[1] / info.size[0]
        if not lowest / 1.5 <= aspect <= highest * 1.5:
            reasons.append(
                f"its width is {aspect:.2f} times its height, usually {lowest:.2f} to {highest:.2f}"
            )


def of_header(facts: Mapping[str, Any], info: Info) -> tuple[list[str], list[str]]:
    """(reasons to refer, warnings) by modality, body part and colour."""
    reasons: list[str] = []
    warnings: list[str] = []
    for fact, what in (("modality", "modality"), ("body_part", "body part")):
        known = facts.get(fact) or {}
        came = getattr(info, fact)
        if came and known.get("seen") and came not in known["seen"]:
            text = f"{what} {came}; the model was made for {', '.join(known['seen'])}"
            (reasons if known.get("share", 0) >= 0.5 else warnings).append(text)
    colour = facts.get("colour")
    if colour is not None and info.colour not in colour:
        names = {True: "colour", False: "grey"}
        reasons.append(
            f"a picture in {names[info.colour]}; the model was made for "
            f"{' and '.join(names[c] for c in colour)}"
        )
    return reasons, warnings


def header_facts(infos: Sequence[Info]) -> dict[str, Any]:
    """What `of_header` judges by."""
    facts: dict[str, Any] = {}
    for fact in ("modality", "body_part"):
        values = [getattr(info, fact) for info in infos]
        said = [value for value in values if value]
        # A value on fewer than one picture in a hundred is more likely a slip than a purpose.
        seen = sorted(v for v in set(said) if said.count(v) >= 0.01 * len(said))
        facts[fact] = {"seen": seen, "share": round(len(said) / len(values), 4)}
    colours = [info.colour for info in infos]
    facts["colour"] = [c for c in (False, True) if colours.count(c) >= 0.01 * len(colours)]
    return facts


def _facts(infos: Sequence[Info]) -> dict[str, Any]:
    if not infos:
        return {}
    facts = header_facts(infos)
    sides = np.array([min(info.size) for info in infos], float)
    aspects = np.array([info.size[1] / info.size[0] for info in infos])
    facts["side"] = [float(np.quantile(sides, 0.005)), float(np.quantile(sides, 0.995))]
    facts["aspect"] = [round(float(np.quantile(aspects, q)), 4) for q in (0.005, 0.995)]
    return facts


def _views(seen: Seen, rows: np.ndarray, scale: float) -> dict[str, np.ndarray]:
    """View -> (N, D) of the chosen rows."""
    views = _in_parts(seen.prepared, rows, lambda x: describe(x, scale))
    if seen.features is not None:
        views["features"] = np.asarray(seen.features[rows], np.float32)
    return views


def _in_parts(
    prepared: np.ndarray, rows: np.ndarray, what: Callable[[np.ndarray], dict[str, np.ndarray]]
) -> dict[str, np.ndarray]:
    """`what` of the chosen rows, a few at a time: `prepared` may lie on disk."""
    parts = [
        what(np.asarray(prepared[rows[start : start + 256]], np.float32))
        for start in range(0, len(rows), 256)
    ]
    return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}


def _is_colour(image: Image) -> bool:
    """Whether three channels differ by more than compression does, on more than 1 % of pixels."""
    if image.channels != 3:
        return False
    step = max(1, min(image.size[-2:]) // 256)
    pixels = image.pixels[..., ::step, ::step].astype(np.float32)
    low, high = image.value_range or (float(pixels.min()), float(pixels.max()))
    return bool((np.ptp(pixels, axis=0) > 0.06 * max(high - low, 1e-6)).mean() > 0.01)
