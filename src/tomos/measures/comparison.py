"""Two models on the same cases: paired tests. All take `groups` (patients) where that matters."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import sqrt

import numpy as np

from tomos.measures.distributions import binomial_two_sided, normal_quantile, normal_two_sided


@dataclass(frozen=True, slots=True)
class Difference:
    """First minus second, its interval and two-sided P."""

    value: float
    low: float
    high: float
    p: float
    method: str


def delong(
    positive: np.ndarray, scores: np.ndarray, groups: np.ndarray | None = None
) -> tuple[np.ndarray, np.ndarray]:
    """AUROC (M,) of M score vectors (M, N) on the same cases, and their covariance (M, M).

    DeLong et al. 1988 in the rank form of Sun and Xu 2014: O(N log N). With `groups` whose members
    are not independent, the clustered form of Obuchowski 1997, which is the same for singletons.
    NaN when either side has fewer than two cases (or groups).
    """
    positive, scores = np.asarray(positive).astype(bool), np.atleast_2d(np.asarray(scores, float))
    m, n = int(positive.sum()), int((~positive).sum())
    if min(m, n) < 2:
        return np.full(len(scores), np.nan), np.full((len(scores),) * 2, np.nan)
    inside_pos = np.stack([midranks(s[positive]) for s in scores])
    inside_neg = np.stack([midranks(s[~positive]) for s in scores])
    ranks = np.stack([midranks(s) for s in scores])
    v10 = (ranks[:, positive] - inside_pos) / n  # share of negatives below each positive
    v01 = 1 - (ranks[:, ~positive] - inside_neg) / m
    areas = v10.mean(1)
    if groups is None or len(np.unique(groups)) == len(positive):
        return areas, np.atleast_2d(np.cov(v10)) / m + np.atleast_2d(np.cov(v01)) / n
    return areas, _clustered(v10 - areas[:, None], v01 - areas[:, None], positive, groups)


def _clustered(
    v10: np.ndarray, v01: np.ndarray, positive: np.ndarray, groups: np.ndarray
) -> np.ndarray:
    """Obuchowski's covariance from centred structural components (M, m) and (M, n)."""
    _, index = np.unique(groups, return_inverse=True)
    n_groups = index.max() + 1

    def summed(values: np.ndarray, at: np.ndarray) -> np.ndarray:
        return np.stack([np.bincount(at, v, minlength=n_groups) for v in values])

    pos, neg = index[positive], index[~positive]
    a, b = summed(v10, pos), summed(v01, neg)
    m, n = v10.shape[1], v01.shape[1]
    with_pos, with_neg = len(np.unique(pos)), len(np.unique(neg))
    if min(with_pos, with_neg) < 2:
        return np.full((len(a), len(a)), np.nan)
    s10 = with_pos / (with_pos - 1) * (a @ a.T) / m
    s01 = with_neg / (with_neg - 1) * (b @ b.T) / n
    s11 = n_groups / (n_groups - 1) * (a @ b.T)
    return s10 / m + s01 / n + (s11 + s11.T) / (m * n)


def midranks(values: np.ndarray) -> np.ndarray:
    """Ranks from 1, the mean rank for ties."""
    order = np.argsort(values, kind="stable")
    rising = values[order]
    starts = np.flatnonzero(np.append(True, np.diff(rising) != 0))
    ends = np.append(starts[1:], len(values))
    ranks = np.empty(len(values))
    ranks[order] = np.repeat((starts + ends + 1) / 2, ends - starts)
    return ranks


def delong_test(
    positive: np.ndarray,
    first: np.ndarray,
    second: np.ndarray,
    groups: np.ndarray | None = None,
    level: float = 0.95,
) -> Difference:
    """Difference of two AUROCs on the same cases. Equal scores throughout: 0, P = 1."""
    areas, covariance = delong(positive, np.stack([first, second]), groups)
    value = float(areas[0] - areas[1])
    variance = float(covariance[0, 0] + covariance[1, 1] - 2 * covariance[0, 1])
    method = "DeLong, paired" + (", clustered by patient" if groups is not None else "")
    if not np.isfinite(variance):
        return Difference(value, np.nan, np.nan, np.nan, method)
    if variance <= 1e-18:
        return Difference(value, value, value, 1.0 if value == 0 else 0.0, method)
    error = sqrt(variance)
    half = normal_quantile((1 + level) / 2) * error
    return Difference(value, value - half, value + half, normal_two_sided(value / error), method)


def delong_interval(
    positive: np.ndarray,
    scores: np.ndarray,
    groups: np.ndarray | None = None,
    level: float = 0.95,
) -> tuple[float, float, float]:
    """AUROC and its interval on the logit scale, which keeps it inside 0..1."""
    areas, covariance = delong(positive, scores, groups)
    area, variance = float(areas[0]), float(covariance[0, 0])
    if not np.isfinite(variance) or not 0 < area < 1:
        return area, np.nan, np.nan
    centre = np.log(area / (1 - area))
    half = normal_quantile((1 + level) / 2) * sqrt(variance) / (area * (1 - area))
    low, high = 1 / (1 + np.exp(-(centre + np.array([-half, half]))))
    return area, float(low), float(high)


def mcnemar(first_right: np.ndarray, second_right: np.ndarray) -> tuple[int, int, float]:
    """Exact McNemar: cases only the first got right, only the second, and two-sided P.

    Cases are taken as independent; with several images a patient use `permutation`.
    """
    first_right = np.asarray(first_right).astype(bool)
    second_right = np.asarray(second_right).astype(bool)
    only_first = int((first_right & ~second_right).sum())
    only_second = int((second_right & ~first_right).sum())
    return only_first, only_second, binomial_two_sided(only_first, only_first + only_second)


def permutation(
    first: np.ndarray,
    second: np.ndarray,
    groups: np.ndarray | None = None,
    draws: int = 10_000,
    seed: int = 0,
) -> float:
    """Two-sided P that the mean of paired values (N,) (losses, hits) differs by chance alone.

    The two models swap places patient by patient. All 2^G swaps when there are at most 12
    patients that differ, else `draws` random ones, the observed one counted in (never P = 0).
    """
    difference = np.asarray(first, float) - np.asarray(second, float)
    if groups is not None:
        _, index = np.unique(groups, return_inverse=True)
        difference = np.bincount(index, difference)
    difference = difference[difference != 0]
    if not len(difference):
        return 1.0
    observed = abs(difference.sum()) * (1 - 1e-12)
    if len(difference) <= 12:
        bits = np.arange(2 ** len(difference))[:, None] >> np.arange(len(difference))
        return float((np.abs((1 - 2 * (bits & 1)) @ difference) >= observed).mean())
    rng, beyond = np.random.default_rng(seed), 0
    rows = max(1, 2_000_000 // len(difference))
    for start in range(0, draws, rows):
        signs = rng.integers(0, 2, (min(rows, draws - start), len(difference))) * 2 - 1
        beyond += int((np.abs(signs @ difference) >= observed).sum())
    return (beyond + 1) / (draws + 1)


def holm(p_values: Sequence[float]) -> list[float]:
    """P values adjusted for several tests (Holm 1979), in the order given; NaN stays NaN."""
    p = np.asarray(p_values, float)
    out = np.full(len(p), np.nan)
    known = np.flatnonzero(np.isfinite(p))
    running = 0.0
    for place, index in enumerate(known[np.argsort(p[known], kind="stable")]):
        running = max(running, min(1.0, (len(known) - place) * p[index]))
        out[index] = running
    return out.tolist()
