"""Is a picture worse than practically all that the model learnt from: blurred, noisy, cut off?

Blur, noise and cut-off values are measured on the prepared picture, since what a resize took away
the model never had. They do not change when all values are scaled or shifted, so it is the same
whether `normalise` came before. For contrast it is not: `normalise` gives every picture the same
spread, which hides it. So contrast is measured on the picture as it was read, against the range of
grey that the file is shown in, and compared only with training pictures of the same range: 300 of
4096 levels and 60 of 256 have nothing to do with each other.

    blur      0 (sharp) to 1: how little of the differences between neighbours another blurring
              takes away. Crété-Roffet, Dolmiere, Ladret, Nicolas: The Blur Effect: Perception and
              Estimation with a New No-Reference Perceptual Blur Metric. SPIE 6492, 2007
    noise     spread of the noise over that of the picture. Immerkær: Fast Noise Variance
              Estimation. Computer Vision and Image Understanding 64(2), 1996
    lowest    share of the pixels at the picture's lowest value: cut off, under-exposed
    highest   share of the pixels at its highest: cut off, over-exposed
    contrast  from the 5th to the 95th percentile of the grey values, as a share of the range
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from tomos.types import Image

USUAL = (0.005, 0.995)  # the quantiles of usual pictures that a warning names
SLACK = 0.25  # a limit lies that much further from the median than the outer quantile
SLACK_FEW = 3.0  # and that more, over the root of their number: few pictures hardly know their tail
LEAST = 0.1  # and at least so much (a tenth, of the odds), however alike the pictures are
FEWEST = 30  # pictures; with fewer there is no telling what is usual
SAMPLED = 64  # shares and contrast are measured on about SAMPLED x SAMPLED pixels (contrast: twice)
AT_ONCE = 1 << 18  # pixels measured together; more do not stay in the processor's cache
REACH = 2  # neighbours to either side that the blur effect averages; the paper's 4 for photographs
# Beyond these no picture is called bad, whatever the training pictures are like.
HARMLESS = {"blur": 0.4, "noise": 0.02, "lowest": 0.05, "highest": 0.05, "contrast": 0.5}
WORDS = {
    "blur": "blurred: {0:.2f} on a scale from 0 (sharp) to 1, usually {1:.2f} to {2:.2f}",
    "noise": "noisy: the noise is {0:.1%} of the spread of the grey values, "
    "usually {1:.1%} to {2:.1%}",
    "lowest": "dark parts are cut off: {0:.0%} of the pixels have the lowest value, "
    "usually {1:.0%} to {2:.0%}",
    "highest": "bright parts are cut off: {0:.0%} of the pixels have the highest value, "
    "usually {1:.0%} to {2:.0%}",
    "contrast": "little contrast: the grey values span {0:.0%} of their range, "
    "usually {1:.0%} to {2:.0%}",
}


def measure(x_BCYX: np.ndarray) -> dict[str, np.ndarray]:
    """Figure -> (B,) of prepared pictures; NaN where a picture is too small, or of one value."""
    rows = max(1, AT_ONCE // max(1, x_BCYX[:1, 0].size))
    parts = []
    for start in range(0, len(x_BCYX), rows):
        grey = x_BCYX[start : start + rows].mean(axis=1, dtype=np.float32)
        parts.append((_blur(grey), _noise(grey), *_cut_off(grey)))
    columns = map(np.concatenate, zip(*parts, strict=True))
    return dict(zip(("blur", "noise", "lowest", "highest"), columns, strict=False))


def contrast(image: Image) -> tuple[str, float] | None:
    """(the range of grey, the share of it that an image spans), None where the file names no range.

    The range is the window that the file asks for, else what it can hold, by its width: "4095".
    """
    if image.window is not None:
        low, width, name = (
            image.window.centre - image.window.width / 2,
            image.window.width,
            "window",
        )
    elif image.value_range is not None:
        low, width = image.value_range[0], image.value_range[1] - image.value_range[0]
        name = f"{width:g}"
    else:
        return None
    if not width > 0:
        return None
    thin = tuple(slice(None, None, max(1, side // (2 * SAMPLED))) for side in image.size)
    grey = image.pixels[(slice(None), *thin)].mean(axis=0, dtype=np.float32)
    dark, bright = np.percentile(grey, (5, 95))
    return name, float(np.clip((bright - low) / width, 0, 1) - np.clip((dark - low) / width, 0, 1))


def fit(
    figures: Mapping[str, np.ndarray], contrasts: Sequence[tuple[str, float] | None]
) -> dict[str, Any]:
    """Figure -> [least, most that is usual, limit] of usual pictures; contrast: one a range."""
    data: dict[str, Any] = {name: _limit(name, values) for name, values in figures.items()}
    ranges: dict[str, list[float]] = {}
    for each in contrasts:
        if each is not None:
            ranges.setdefault(each[0], []).append(each[1])
    data["contrast"] = {name: _limit("contrast", np.array(v)) for name, v in ranges.items()}
    data["contrast"] = {name: limit for name, limit in data["contrast"].items() if limit}
    return {name: limits for name, limits in data.items() if limits}


class Quality:
    """Fitted limits, to judge pictures by; `data` as `fit` gives it, {} of a model without."""

    def __init__(self, data: Mapping[str, Any]):
        known = [name for name in WORDS if name in data and name != "contrast"]
        self._limits = {name: _three(data[name]) for name in known}
        contrasts = data.get("contrast") or {}
        self._contrasts = {name: _three(values) for name, values in contrasts.items()}

    def judge(
        self, x_BCYX: np.ndarray, contrasts: Sequence[tuple[str, float] | None]
    ) -> list[list[str]]:
        """What is worse than usual of each picture, in words."""
        said: list[list[str]] = [[] for _ in contrasts]
        figures = measure(x_BCYX) if self._limits else {}
        for name, (low, high, limit) in self._limits.items():
            for row, value in enumerate(figures[name]):
                if value > limit:
                    said[row].append(WORDS[name].format(float(value), low, high))
        for row, each in enumerate(contrasts):
            if each is not None and each[0] in self._contrasts:
                low, high, limit = self._contrasts[each[0]]
                if each[1] < limit:
                    said[row].append(WORDS["contrast"].format(each[1], low, high))
        return said


def _three(values: Sequence[float]) -> tuple[float, float, float]:
    low, high, limit = map(float, values)
    return low, high, limit


def _blur(x_BYX: np.ndarray) -> np.ndarray:
    """The larger of both directions."""
    found = np.full(len(x_BYX), np.nan)
    for axis in (1, 2):
        if x_BYX.shape[axis] <= 2 * REACH + 1:
            continue
        differences = np.abs(np.diff(x_BYX, axis=axis))
        blurred = np.abs(np.diff(_running_mean(x_BYX, axis), axis=axis))
        inner = (slice(None),) * axis + (slice(REACH, -REACH),)
        differences = differences[inner]
        lost = np.maximum(differences - blurred, 0).sum(axis=(1, 2), dtype=float)
        whole = differences.sum(axis=(1, 2), dtype=float)
        kept = np.divide(whole - lost, whole, out=np.full(len(x_BYX), np.nan), where=whole > 0)
        found = np.fmax(found, kept)
    return found


def _running_mean(x_BYX: np.ndarray, axis: int) -> np.ndarray:
    """Means of 2 REACH + 1 neighbours where all of them are there."""
    length = x_BYX.shape[axis] - 2 * REACH
    before = (slice(None),) * axis
    total = sum(x_BYX[(*before, slice(i, i + length))] for i in range(2 * REACH + 1))
    return np.asarray(total) / (2 * REACH + 1)


def _noise(x_BYX: np.ndarray) -> np.ndarray:
    if min(x_BYX.shape[1:]) < 3:
        return np.full(len(x_BYX), np.nan)
    # The paper's mask is the product of (1, -2, 1) along Y and along X: edges and slopes vanish.
    rows = x_BYX[:, :-2] - 2 * x_BYX[:, 1:-1] + x_BYX[:, 2:]
    mask = rows[:, :, :-2] - 2 * rows[:, :, 1:-1] + rows[:, :, 2:]
    noise = np.sqrt(np.pi / 2) / 6 * np.abs(mask).mean(axis=(1, 2), dtype=float)
    spread = x_BYX.std(axis=(1, 2), dtype=float)
    return np.divide(noise, spread, out=np.full(len(x_BYX), np.nan), where=spread > 0)


def _cut_off(x_BYX: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Shares of pixels within a hundredth of the lowest and the highest value.

    Lowest and highest are those of all but half a percent of the pixels: a marker in the corner of
    a film is brighter than the film, cut off or not.
    """
    step = max(1, min(x_BYX.shape[1:]) // SAMPLED)
    values = np.sort(x_BYX[:, ::step, ::step].reshape(len(x_BYX), -1), axis=1)
    few = round(0.005 * (values.shape[1] - 1))
    low, high = values[:, few, None], values[:, -1 - few, None]
    near = 0.01 * (high - low)
    return (values <= low + near).mean(axis=1), (values >= high - near).mean(axis=1)


def _limit(name: str, values: np.ndarray) -> list[float]:
    """[least usual, most usual, limit], [] of too few pictures."""
    values = values[np.isfinite(values)]
    if len(values) < FEWEST:
        return []
    # All figures are shares, or nearly so: their log-odds spread evenly, and a limit stays within
    # 0..1. Of contrast little is bad, of all others much.
    worse = -1 if name == "contrast" else 1
    odds = worse * _log_odds(values)
    far = np.quantile(odds, USUAL[1])
    slack = SLACK + SLACK_FEW / np.sqrt(len(values))
    limit = worse * (far + max(slack * (far - np.median(odds)), LEAST))
    bound = min if worse < 0 else max
    low, high = np.quantile(values, USUAL)
    limits = (low, high, bound(1 / (1 + np.exp(-limit)), HARMLESS[name]))
    return [round(float(value), 4) for value in limits]


def _log_odds(values: np.ndarray) -> np.ndarray:
    inside = np.clip(values, 1e-4, 1 - 1e-4)
    return np.log(inside / (1 - inside))
