"""How sure a figure is: bootstrap over patients, Wilson, spread over seeds.

A resample draws patients, not images: images of one patient say nearly the same, and drawing them
one by one would promise more than the data hold. A resample is kept as counts (how often each case
was drawn), so that figures which need sorted scores are sorted once (see `ranking`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from math import sqrt

import numpy as np

from tomos.measures.distributions import normal_quantile, t_quantile

Statistic = Callable[[np.ndarray], np.ndarray]
BLOCK = 300_000  # counts held at once: about 4 MB with what they are made from, near the processor


@dataclass(frozen=True, slots=True)
class Interval:
    """A figure and its interval. NaN ends mean that no interval can be given.

    method    in words: "bootstrap over 57 patients, 1,000 resamples", "Wilson", ...
    """

    value: float
    low: float
    high: float
    level: float = 0.95
    method: str = ""


class Bootstrap:
    """Resamples of the groups (patients), the same ones every time it is asked.

    groups     (N,) what is drawn together, usually the patient
    required   (C, N) bool: every resample holds at least one case of each row (of each class);
               a resample that lacks one is drawn again, and `redrawn` counts how many were.
               When more than half would lack one, groups are drawn within strata of equal
               membership instead, `stratified` says so, and nothing need be drawn again
    """

    def __init__(
        self,
        groups: np.ndarray,
        required: np.ndarray | None = None,
        resamples: int = 1000,
        seed: int = 0,
    ):
        groups = np.asarray(groups)
        if groups.ndim != 1 or not groups.size:
            raise ValueError(f"expected groups (N,) with at least one case, got {groups.shape}")
        _, first, inverse = np.unique(groups, return_index=True, return_inverse=True)
        rank = np.argsort(np.argsort(first))  # number groups as they come: singletons stay put
        self.group = rank[inverse]
        self.n_groups = len(first)
        self.n_cases = len(groups)
        self.resamples, self.seed = resamples, seed
        members = np.zeros((0, self.n_cases), bool) if required is None else np.asarray(required)
        self.required = members[members.any(1)].astype(float)
        self.strata = self._strata() if self._chance_whole() < 0.5 else None
        self._check = np.array([self._holders(row) < 64 for row in self.required], bool)
        self.redrawn = 0

    @property
    def stratified(self) -> bool:
        return self.strata is not None

    @property
    def method(self) -> str:
        """What was done, in words."""
        words = f"bootstrap over {self.n_groups:,} patients, {self.resamples:,} resamples"
        if self.stratified:
            return f"{words}, stratified by class"
        if self.redrawn:
            return f"{words}, {self.redrawn:,} drawn again for want of a class"
        return words

    def blocks(self) -> Iterator[np.ndarray]:
        """Counts (r, N) int32, `resamples` rows in all; the same at every call."""
        bits = np.random.SFC64(self.seed)
        rows = max(1, min(self.resamples, BLOCK // max(self.n_cases, self.n_groups)))
        self.redrawn = 0
        for start in range(0, self.resamples, rows):
            yield self._whole(bits, min(rows, self.resamples - start))

    def distribution(self, statistic: Statistic) -> np.ndarray:
        """`statistic` of every resample: (R, ...) from a function of counts (r, N) -> (r, ...)."""
        return np.concatenate([np.asarray(statistic(block)) for block in self.blocks()])

    def leave_one_out(self) -> Iterator[np.ndarray]:
        """Counts (r, N) that leave out one group each, for the jackknife."""
        rows = max(1, BLOCK // self.n_cases)
        for start in range(0, self.n_groups, rows):
            left = np.arange(start, min(start + rows, self.n_groups))
            yield (self.group != left[:, None]).astype(np.int32)

    def _whole(self, bits: np.random.BitGenerator, rows: int) -> np.ndarray:
        block = self._draw(bits, rows)
        if self.stratified or not self._check.any():
            return block  # none of 64 patients drawn: chance below exp(-64)
        rare = self.required[self._check].T
        for _ in range(200):
            lacking = np.flatnonzero((block @ rare == 0).any(1))
            if not len(lacking):
                return block
            self.redrawn += len(lacking)
            block[lacking] = self._draw(bits, len(lacking))
        raise RuntimeError("resamples lack a class after 200 draws")  # chance below 2**-200

    def _draw(self, bits: np.random.BitGenerator, rows: int) -> np.ndarray:
        if self.strata is None:
            counts = _counts(bits, rows, self.n_groups)
        else:
            counts = np.empty((rows, self.n_groups), np.int32)
            for members in self.strata:
                counts[:, members] = _counts(bits, rows, len(members))
        return counts if self.n_groups == self.n_cases else counts.take(self.group, axis=1)

    def _chance_whole(self) -> float:
        """About how likely a plain resample holds every required row."""
        chance = 1.0
        for row in self.required:
            chance *= 1 - (1 - self._holders(row) / self.n_groups) ** self.n_groups
        return chance

    def _holders(self, row: np.ndarray) -> int:
        return len(np.unique(self.group[row > 0]))

    def _strata(self) -> list[np.ndarray]:
        member = np.zeros((self.n_groups, len(self.required)), bool)
        for column, row in enumerate(self.required):
            member[self.group[row > 0], column] = True
        _, stratum = np.unique(member, axis=0, return_inverse=True)
        stratum = stratum.reshape(-1)
        return [np.flatnonzero(stratum == s) for s in range(stratum.max() + 1)]


def _counts(bits: np.random.BitGenerator, rows: int, n: int) -> np.ndarray:
    """(rows, n) int32: how often each of n is drawn in n draws with replacement."""
    raw = bits.random_raw((rows * n + 1) // 2).view(np.uint32)[: rows * n].reshape(rows, n)
    # 32 bits times n, upper half: uniform but for n / 2**32, a third of the time of `integers`.
    drawn = ((raw.astype(np.uint64) * np.uint64(n)) >> np.uint64(32)).astype(np.int64)
    if n <= 4096:  # short rows: one count over all of them saves the calls
        drawn += (np.arange(rows) * n)[:, None]
        flat = np.bincount(drawn.ravel(), minlength=rows * n)
        return flat.reshape(rows, n).astype(np.int32)
    out = np.empty((rows, n), np.int32)
    for row in range(rows):
        out[row] = np.bincount(drawn[row], minlength=n)
    return out


def bootstrap_interval(
    statistic: Statistic, bootstrap: Bootstrap, level: float = 0.95, bca: bool = False
) -> Interval:
    """Percentile interval of a scalar `statistic`, or BCa (Efron 1987).

    statistic  counts (r, N) -> (r,); its value on the data themselves is that of all ones
    """
    value = float(np.asarray(statistic(np.ones((1, bootstrap.n_cases), np.int32)))[0])
    values = bootstrap.distribution(statistic)
    if not bca:
        low, high = percentile(values, level)
        return Interval(value, low, high, level, bootstrap.method)
    jackknife = np.concatenate([np.asarray(statistic(b)) for b in bootstrap.leave_one_out()])
    low, high = _bca(value, values, jackknife, level)
    return Interval(value, low, high, level, bootstrap.method + ", BCa")


def percentile(values: np.ndarray, level: float = 0.95) -> tuple[float, float]:
    """The central share `level` of resampled values (R,); undefined ones are left out."""
    known = values[np.isfinite(values)]
    if len(known) < 20:
        return np.nan, np.nan
    low, high = np.quantile(known, [(1 - level) / 2, (1 + level) / 2])
    return float(low), float(high)


def _bca(
    value: float, values: np.ndarray, jackknife: np.ndarray, level: float
) -> tuple[float, float]:
    from statistics import NormalDist

    normal, known = NormalDist(), values[np.isfinite(values)]
    if len(known) < 20 or np.ptp(known) == 0:
        return percentile(values, level)
    below = ((known < value).sum() + (known <= value).sum()) / (2 * len(known))
    bias = normal.inv_cdf(float(np.clip(below, 1e-6, 1 - 1e-6)))
    left = np.nanmean(jackknife) - jackknife
    spread = 6 * np.nansum(left**2) ** 1.5
    skew = np.nansum(left**3) / spread if spread else 0.0
    ends = []
    for p in ((1 - level) / 2, (1 + level) / 2):
        z = bias + normal.inv_cdf(p)
        ends.append(normal.cdf(bias + z / (1 - skew * z)))
    low, high = np.quantile(known, ends)
    return float(low), float(high)


def wilson(successes: float, trials: float, level: float = 0.95) -> Interval:
    """Wilson's score interval (1927) of a proportion; NaN without trials."""
    if trials <= 0:
        return Interval(np.nan, np.nan, np.nan, level, "Wilson")
    z, p = normal_quantile((1 + level) / 2), successes / trials
    middle = p + z * z / (2 * trials)
    half = z * sqrt(p * (1 - p) / trials + z * z / (4 * trials * trials))
    scale = 1 + z * z / trials
    low, high = max(0.0, (middle - half) / scale), min(1.0, (middle + half) / scale)
    # Rounding must not move an end off the bound that the proportion itself touches.
    low, high = (0.0 if successes == 0 else low), (1.0 if successes == trials else high)
    return Interval(p, low, high, level, "Wilson")


def perfect_auroc(pairs: int, level: float = 0.95) -> Interval:
    """Interval of an AUROC of exactly 1, where every resample says 1 as well.

    pairs  the smaller number of positive and negative patients: that many disjoint pairs were
           all in order, an exact binomial statement. Its lower end is ((1 - level) / 2)^(1/pairs).
    """
    if pairs < 1:
        return Interval(np.nan, np.nan, np.nan, level, "exact, disjoint pairs")
    return Interval(1.0, ((1 - level) / 2) ** (1 / pairs), 1.0, level, "exact, disjoint pairs")


def seed_spread(values: np.ndarray, level: float = 0.95) -> tuple[Interval, float]:
    """Mean over seeds with its t interval, and the standard deviation (n - 1)."""
    values = np.asarray(values, float)
    n = len(values)
    if n < 2:
        mean = float(values.mean()) if n else np.nan
        return Interval(mean, np.nan, np.nan, level, f"{n} seed"), np.nan
    mean, deviation = float(values.mean()), float(values.std(ddof=1))
    half = t_quantile((1 + level) / 2, n - 1) * deviation / sqrt(n)
    return Interval(mean, mean - half, mean + half, level, f"t, {n} seeds"), deviation
