"""Figures that follow from the order of the scores: AUROC, average precision, ROC and PR curves.

The cases are sorted once. A bootstrap resample is then only a vector of how often each case was
drawn, and any number of resamples are scored together, without sorting again.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True, slots=True, eq=False)
class Curve:
    """Points of a curve from the strictest threshold to the laxest, at the distinct scores.

    x, y        (T,) ROC: false and true positive rate; PR: recall and precision
    thresholds  (T,) a case is positive when its score is at least this; the first may be inf
    """

    x: np.ndarray
    y: np.ndarray
    thresholds: np.ndarray


class Ranking:
    """Cases (N,) in the order of their scores; `positive` is 0/1 or bool.

    Methods take `weights` (R, N) of whole numbers: how often each case counts in each of R
    resamples, and give (R,); without weights a float. NaN where a resample holds no positive or no
    negative. Ties count one half in the AUROC (Mann and Whitney 1947), and stand or fall together
    in curves.
    """

    def __init__(self, positive: np.ndarray, scores: np.ndarray):
        positive, scores = np.asarray(positive), np.asarray(scores, float)
        if positive.ndim != 1 or positive.shape != scores.shape:
            raise ValueError(
                f"expected positive and scores (N,), got {positive.shape} and {scores.shape}"
            )
        if not np.isfinite(scores).all():
            raise ValueError(f"{(~np.isfinite(scores)).sum()} scores are not finite")
        if not np.isin(positive, (0, 1)).all():
            raise ValueError("positive must hold 0 and 1 only; leave out what was not assessed")
        self.positive = positive.astype(bool)
        self.scores = scores
        self._order = np.argsort(-scores, kind="stable")
        falling = scores[self._order]
        self._ends = (
            np.flatnonzero(np.append(np.diff(falling) != 0, True))
            if len(scores)
            else (np.zeros(0, int))
        )
        # For the AUROC: negatives by rising score, and where each positive would stand among them.
        negative = np.flatnonzero(~self.positive)
        self._negative = negative[np.argsort(scores[negative], kind="stable")]
        chosen = np.flatnonzero(self.positive)
        self._chosen = chosen[np.argsort(scores[chosen], kind="stable")]
        rising = scores[self._negative]
        self._below = np.searchsorted(rising, scores[self._chosen], side="left")
        self._up_to = np.searchsorted(rising, scores[self._chosen], side="right")
        self._ties = bool((self._below != self._up_to).any())

    def auroc(self, weights: np.ndarray | None = None) -> float | np.ndarray:
        """P(score of a positive > score of a negative) + P(equal) / 2."""
        w_RN, single = self._weights(weights)
        w_RP = w_RN.take(self._chosen, axis=1)
        # Whole numbers: summing them is six times faster than floats here, and exact.
        counted = np.zeros((len(w_RN), len(self._negative) + 1), np.int64)
        np.cumsum(w_RN.take(self._negative, axis=1), axis=1, out=counted[:, 1:])
        twice = counted.take(self._below, axis=1)
        twice += counted.take(self._up_to, axis=1) if self._ties else twice
        pairs = 2 * w_RP.sum(1, dtype=np.int64) * counted[:, -1]
        return _pack(_ratio(np.einsum("rp,rp->r", w_RP, twice), pairs), single)

    def average_precision(self, weights: np.ndarray | None = None) -> float | np.ndarray:
        """Sum of precision times the step in recall, without interpolation (as scikit-learn)."""
        w_RN, single = self._weights(weights)
        true_RT, false_RT = self._cumulated(w_RN)
        step = np.diff(true_RT, axis=1, prepend=0)
        area = (step * _ratio(true_RT, true_RT + false_RT, empty=0)).sum(1)
        return _pack(_ratio(area, w_RN[:, self.positive].sum(1)), single)

    def roc(self) -> Curve:
        """False against true positive rate, from (0, 0)."""
        true, false = (c[0] for c in self._cumulated(np.ones((1, len(self.scores)), np.int32)))
        x = _ratio(np.append(0, false), np.full(len(false) + 1, (~self.positive).sum()))
        y = _ratio(np.append(0, true), np.full(len(true) + 1, self.positive.sum()))
        return Curve(x, y, np.append(np.inf, self._thresholds()))

    def pr(self) -> Curve:
        """Recall against precision, from the highest score on."""
        true, false = (c[0] for c in self._cumulated(np.ones((1, len(self.scores)), np.int32)))
        recall = _ratio(true, np.full(len(true), self.positive.sum()))
        return Curve(recall, _ratio(true, true + false), self._thresholds())

    def roc_at(self, rates: np.ndarray, weights: np.ndarray) -> np.ndarray:
        """True positive rate (R, G) at given false positive rates (G,), for a curve's band."""
        true_RT, false_RT = self._cumulated(weights)
        out = np.empty((len(weights), len(rates)))
        for row, (true, false) in enumerate(zip(true_RT, false_RT, strict=True)):
            y = np.append(0, true) / max(true[-1], 1)
            x = np.append(0, false) / max(false[-1], 1)
            # On a vertical step the upper end counts: np.interp needs one y for one x.
            last = np.append(np.diff(x) > 0, True)
            out[row] = np.interp(rates, x[last], y[last])
        return out

    def pr_at(self, recalls: np.ndarray, weights: np.ndarray) -> np.ndarray:
        """Precision (R, G) at the strictest threshold that reaches each recall (G,)."""
        true_RT, false_RT = self._cumulated(weights)
        out = np.empty((len(weights), len(recalls)))
        for row, (true, false) in enumerate(zip(true_RT, false_RT, strict=True)):
            place = np.searchsorted(true, recalls * true[-1] - 1e-9).clip(0, len(true) - 1)
            place = np.maximum(place, np.searchsorted(true + false, 0, side="right"))
            out[row] = true[place] / (true + false)[place]
        return out

    def _cumulated(self, w_RN: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """True and false positives (R, T) when all cases down to each distinct score are called."""
        sorted_RN = w_RN.take(self._order, axis=1)
        hit = self.positive[self._order]
        true = np.cumsum(sorted_RN * hit, axis=1, dtype=np.int64).take(self._ends, axis=1)
        both = np.cumsum(sorted_RN, axis=1, dtype=np.int64).take(self._ends, axis=1)
        return true, both - true

    def _thresholds(self) -> np.ndarray:
        return self.scores[self._order][self._ends]

    def _weights(self, weights: np.ndarray | None) -> tuple[np.ndarray, bool]:
        if weights is None:
            return np.ones((1, len(self.scores)), np.int32), True
        if weights.ndim != 2 or weights.shape[1] != len(self.scores):
            raise ValueError(f"expected weights (R, {len(self.scores)}), got {weights.shape}")
        if not np.issubdtype(weights.dtype, np.integer):
            raise ValueError(f"expected counts (whole numbers) as weights, got {weights.dtype}")
        return weights, False


def auroc(positive: np.ndarray, scores: np.ndarray) -> float:
    """Area under the ROC curve of (N,) 0/1 and (N,) scores; NaN when one side is empty."""
    return float(Ranking(positive, scores).auroc())


def average_precision(positive: np.ndarray, scores: np.ndarray) -> float:
    """Average precision of (N,) 0/1 and (N,) scores; NaN without positives."""
    return float(Ranking(positive, scores).average_precision())


def macro_auroc(truth: np.ndarray, scores: np.ndarray) -> tuple[float, list[int]]:
    """Macro one-versus-rest AUROC of (N,) classes and (N, K) scores.

    Classes without cases are left out of the mean and given back, by index.
    """
    values = [auroc(truth == k, scores[:, k]) for k in range(scores.shape[1])]
    left_out = [k for k, value in enumerate(values) if np.isnan(value)]
    return (float(np.nanmean(values)) if len(left_out) < len(values) else np.nan), left_out


def _pack(values: np.ndarray, single: bool) -> float | np.ndarray:
    return float(values[0]) if single else values


def _ratio(above: np.ndarray, below: np.ndarray, empty: float = np.nan) -> np.ndarray:
    return np.divide(above, below, out=np.full(np.shape(above), empty, float), where=below != 0)
