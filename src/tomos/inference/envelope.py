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

from tomos.inference import quality
from tomos.inference.appearance import WHY, describe, empty
from tomos.inference.gaussian import Gaussian, cross_fitted
from tomos.types import Image

ALPHA = 0.01
ALPHA_FEW = 0.0125  # cross-fitting overstates the distances of few pictures, so a little more
FEW = 1500
EXPONENT = 1.25  # 1 adds the distances up, 2 is their Euclidean length, infinity the largest
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
    arrays: dict[str, np.ndarray] = {}
    usual: dict[str, list[float]] = {}
    own, held = [], []
    for name, values in views.items():
        gaussian = Gaussian.fit(values)
        arrays |= gaussian.arrays(name)
        folded = cross_fitted(values, rng)
        fresh = gaussian(others[name]) if name in others else folded[:0]
        median, spread = _scale(np.concatenate([folded, fresh]))
        usual[name] = [*median, *spread]
        own.append((folded - median) / spread)
        held.append((fresh - median) / spread)
    data["quality"] = _usual_quality(train, rows, held_out, infos)
    threshold = _threshold(_total(np.hstack(own)), _total(np.hstack(held)), alpha)
    data["looks"] = {"scale": scale, "usual": usual, "threshold": threshold}
    data["n"] = {"train": len(rows), "held_out": len(held[0])}
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


def _threshold(own: np.ndarray, held: np.ndarray, alpha: float) -> float:
    """The share of pictures above it is `alpha`, of all and of the held-out ones alone.

    The network's features are tighter on what it learnt from, so where the held-out pictures are
    enough to know their own tail, the larger of the two counts.
    """
    both = float(np.quantile(np.concatenate([own, held]), 1 - alpha))
    if len(held) < 1 / alpha:
        return both
    return max(both, float(np.quantile(held, 1 - alpha)))


class Envelope:
    """A fitted envelope, to judge inputs by. `arrays` as `Package.envelope_arrays()` gives them."""

    def __init__(self, data: Mapping[str, Any], arrays: Mapping[str, np.ndarray], size=(1, 1)):
        self._facts = data.get("facts") or {}
        looks = data.get("looks") or {}
        self._quality = quality.Quality(data.get("quality") or {})
        self._size = size
        self._scale = float(looks.get("scale", 1.0))
        self._limit = float(looks.get("threshold", np.inf))
        self._usual = {
            name: np.array(values, float).reshape(2, 2)
            for name, values in (looks.get("usual") or {}).items()
            if name in WHY and Gaussian.known(arrays, name)
        }
        self._gaussians = {name: Gaussian.of(arrays, name) for name in self._usual}

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
            distance = float(_total(odd[row : row + 1])[0] / self._limit) if odd.size else 0.0
            if void[row]:
                reasons.append("the picture is empty: every pixel has the same value")
            elif not distance <= 1:
                reasons.append(self._why(odd[row], distance))
            judgements.append(Judgement(tuple(reasons), tuple(warnings), round(distance, 4)))
        return judgements

    def _distances(self, prepared: np.ndarray, features: np.ndarray | None) -> np.ndarray:
        """(B, 2 a view) distances in units of their spread on usual pictures."""
        if not self._gaussians:
            return np.zeros((len(prepared), 0))
        views = describe(prepared, self._scale)
        if features is not None:
            views["features"] = features
        columns = []
        for name, gaussian in self._gaussians.items():
            median, spread = self._usual[name]
            if name in views and views[name].shape[1] == gaussian.length:
                columns.append((gaussian(views[name]) - median) / spread)
            else:
                columns.append(np.zeros((len(prepared), 2)))
        return np.hstack(columns)

    def _why(self, odd: np.ndarray, distance: float) -> str:
        by_view = odd.reshape(-1, 2).max(axis=1)
        names = list(self._gaussians)
        worst = [names[i] for i in np.argsort(-by_view) if by_view[i] > 0.8][:2] or names[:1]
        why = " and ".join(WHY[name] for name in worst)
        return (
            f"unlike the pictures the model was made for ({distance:.1f} times the distance that "
            f"is usual at most): {why}"
        )

    def _of_facts(self, info: Info) -> tuple[list[str], list[str]]:
        """(reasons to refer, warnings)."""
        reasons: list[str] = []
        warnings: list[str] = []
        for fact, what in (("modality", "modality"), ("body_part", "body part")):
            known = self._facts.get(fact) or {}
            came = getattr(info, fact)
            if came and known.get("seen") and came not in known["seen"]:
                text = f"{what} {came}; the model was made for {', '.join(known['seen'])}"
                (reasons if known.get("share", 0) >= 0.5 else warnings).append(text)
        colour = self._facts.get("colour")
        if colour is not None and info.colour not in colour:
            names = {True: "colour", False: "grey"}
            reasons.append(
                f"a picture in {names[info.colour]}; the model was made for "
                f"{' and '.join(names[c] for c in colour)}"
            )
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


def _facts(infos: Sequence[Info]) -> dict[str, Any]:
    if not infos:
        return {}
    facts: dict[str, Any] = {}
    for fact in ("modality", "body_part"):
        values = [getattr(info, fact) for info in infos]
        said = [value for value in values if value]
        # A value on fewer than one picture in a hundred is more likely a slip than a purpose.
        seen = sorted(v for v in set(said) if said.count(v) >= 0.01 * len(said))
        facts[fact] = {"seen": seen, "share": round(len(said) / len(values), 4)}
    colours = [info.colour for info in infos]
    facts["colour"] = [c for c in (False, True) if colours.count(c) >= 0.01 * len(colours)]
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


def _scale(distances: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Median, and how far above it the most distant fiftieth begins, of each column."""
    median = np.median(distances, axis=0)
    return median, np.maximum(np.quantile(distances, 0.98, axis=0) - median, 1e-3)


def _total(odd: np.ndarray) -> np.ndarray:
    """(N, D) -> (N,): the distances beyond the median, as one length."""
    return (np.maximum(odd, 0) ** EXPONENT).sum(axis=1) ** (1 / EXPONENT)


def _is_colour(image: Image) -> bool:
    """Whether three channels differ by more than compression does, on more than 1 % of pixels."""
    if image.channels != 3:
        return False
    step = max(1, min(image.size[-2:]) // 256)
    pixels = image.pixels[..., ::step, ::step].astype(np.float32)
    low, high = image.value_range or (float(pixels.min()), float(pixels.max()))
    return bool((np.ptp(pixels, axis=0) > 0.06 * max(high - low, 1e-6)).mean() > 0.01)
