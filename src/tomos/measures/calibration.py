"""Probabilities that mean what they say: scaling fitted on validation, and how far off they are.

A fitted calibration is a frozen value with `apply(logits) -> probabilities` and `data()`, the plain
table that a model file stores; `calibration(data)` reads it back. `kind` says what the logits are:
"class" (exclusive, softmax) or "multilabel" (each column by itself, sigmoid).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from tomos.measures.intervals import Interval, wilson

LOWEST, HIGHEST = 0.05, 20.0  # temperatures; beyond them the fit has nothing left to tell


def softmax(logits: np.ndarray) -> np.ndarray:
    """(N, K) -> (N, K), rows sum to 1; large logits do not overflow."""
    powers = np.exp(logits - logits.max(-1, keepdims=True))
    return powers / powers.sum(-1, keepdims=True)


def sigmoid(logits: np.ndarray | float) -> np.ndarray:
    """Elementwise 1 / (1 + exp(-x)) without overflow."""
    logits = np.asarray(logits, float)
    small = np.exp(-np.abs(logits))
    return np.where(logits >= 0, 1, small) / (1 + small)


def logit(probability: np.ndarray | float, limit: float = 1e-7) -> np.ndarray:
    """log(p / (1 - p)), p kept `limit` away from 0 and 1."""
    p = np.clip(np.asarray(probability, float), limit, 1 - limit)
    return np.log(p / (1 - p))


@dataclass(frozen=True, slots=True)
class Temperature:
    """Guo et al. 2017: logits divided by one number, which changes no order and no decision.

    shift  (K,) added afterwards, where the network learned from classes in other proportions than
           they come in: the log of the ratio (`prior_shift`); () is none
    log_loss_before, log_loss_after are those on the cases it was fitted on.
    """

    temperature: float = 1.0
    kind: str = "class"
    shift: tuple[float, ...] = ()
    reason: str = "not fitted"
    log_loss_before: float = float("nan")
    log_loss_after: float = float("nan")

    def apply(self, logits: np.ndarray) -> np.ndarray:
        """(N, K) logits -> (N, K) probabilities."""
        link = softmax if self.kind == "class" else sigmoid
        return link(np.asarray(logits, float) / self.temperature + np.array(self.shift or 0.0))

    def data(self) -> dict[str, Any]:
        return {"method": "temperature", **_json(asdict(self))}


@dataclass(frozen=True, slots=True)
class Vector:
    """One scale and one shift a class (Guo et al. 2017, vector scaling)."""

    scale: tuple[float, ...]
    shift: tuple[float, ...]
    kind: str = "class"

    def apply(self, logits: np.ndarray) -> np.ndarray:
        """(N, K) logits -> (N, K) probabilities."""
        link = softmax if self.kind == "class" else sigmoid
        return link(np.asarray(logits, float) * np.array(self.scale) + np.array(self.shift))

    def data(self) -> dict[str, Any]:
        return {"method": "vector", **asdict(self)}


@dataclass(frozen=True, slots=True)
class Isotonic:
    """A rising step-free line through pooled adjacent violators, for one score a case.

    x are logits, y probabilities; between the points it is linear, outside it is flat. It may tie
    scores that differed, so that AUROC can change a little.
    """

    x: tuple[float, ...]
    y: tuple[float, ...]

    def apply(self, logits: np.ndarray) -> np.ndarray:
        """(N,) logits -> (N,) probabilities."""
        return np.interp(np.asarray(logits, float), self.x, self.y)

    def data(self) -> dict[str, Any]:
        return {"method": "isotonic", **asdict(self)}


def calibration(data: Mapping[str, Any]) -> Temperature | Vector | Isotonic:
    """Read back what `data()` gave."""
    kinds = {"temperature": Temperature, "vector": Vector, "isotonic": Isotonic}
    rest = {key: value for key, value in data.items() if key != "method"}
    method = data.get("method")
    if method not in kinds:
        raise ValueError(f"calibration: expected one of {sorted(kinds)}, got {method!r}")
    return kinds[method](
        **{
            key: tuple(value)
            if isinstance(value, list)
            else (float("nan") if value is None else value)
            for key, value in rest.items()
        }
    )


def prior_shift(counts: Sequence[float] | np.ndarray) -> tuple[float, ...]:
    """What turns the logits of a network that saw all classes equally often, or weighted so, into
    those of the classes as they come: the log of each class's share of `counts`, with mean 0. With
    other weights, `counts` are the cases of each class over its weight.

    By Bayes' rule posteriors of two populations that differ in their priors only differ in their
    log odds by a constant: Saerens et al. 2002, doi:10.1162/089976602753284446.
    """
    logs = np.log(np.maximum(np.asarray(counts, float), 0.5))
    return tuple((logs - logs.mean()).tolist())


def fit_temperature(
    logits: np.ndarray, truth: np.ndarray, kind: str = "class", shift: Sequence[float] = ()
) -> Temperature:
    """Fit on validation logits (N, K) and truth (N,) classes or (N, K) 0/1/NaN.

    `shift` (K,) is added after the division and is not fitted.
    Minimises the mean log loss over log T in [log 0.05, log 20] by golden section: the loss is
    convex in 1/T, hence has one valley in log T. One pseudo-observation at T = 1 (a normal prior on
    log T) keeps a validation part that is separated without error from asking for T = 0. A part
    with one class only, or none, gives T = 1 and says so.
    """
    logits, target, known = _target(logits, truth, kind)
    shift, added = tuple(shift), np.array(tuple(shift) or 0.0)
    if not known.any() or not _two_sided(target, known, kind):
        return Temperature(1.0, kind, shift, "kept at 1: validation holds fewer than two classes")

    def loss(log_t: float) -> float:
        return _log_loss(logits * np.exp(-log_t) + added, target, known, kind)

    n = int(known.any(-1).sum())
    best = _golden(lambda s: loss(s) + s * s / (2 * n), np.log(LOWEST), np.log(HIGHEST))
    before, after = loss(0.0), loss(best)
    reason = f"minimised the log loss of {n} validation cases ({before:.4f} -> {after:.4f})"
    if best < np.log(LOWEST) + 0.01 or best > np.log(HIGHEST) - 0.01:
        reason += "; it ran into the bound, so look at the scores"
    return Temperature(float(np.exp(best)), kind, shift, reason, before, after)


def fit_vector(
    logits: np.ndarray, truth: np.ndarray, kind: str = "class", ridge: float = 1.0
) -> Vector:
    """Fit scale and shift by damped Newton steps; `ridge` pulls towards scale 1 and shift 0.

    The pull is that of `ridge` unit-variance normal priors, so it fades with more cases.
    """
    logits, target, known = _target(logits, truth, kind)
    n, classes = logits.shape
    start = np.concatenate([np.ones(classes), np.zeros(classes)])

    def objective(w: np.ndarray) -> float:
        z = logits * w[:classes] + w[classes:]
        return n * _log_loss(z, target, known, kind) + ridge / 2 * float(((w - start) ** 2).sum())

    w = start.copy()
    for _ in range(100):
        gradient, hessian = _newton(logits, target, known, kind, w)
        gradient += ridge * (w - start)
        step = np.linalg.solve(hessian + ridge * np.eye(len(w)), gradient)
        here, size = objective(w), 1.0
        while size > 1e-6 and objective(w - size * step) > here - 1e-4 * size * (gradient @ step):
            size /= 2
        w = w - size * step
        if np.abs(size * step).max() < 1e-9:
            break
    return Vector(tuple(w[:classes].tolist()), tuple(w[classes:].tolist()), kind)


def fit_isotonic(logits: np.ndarray, positive: np.ndarray) -> Isotonic:
    """Pool adjacent violators on (N,) logits and 0/1; one point at the mean logit of each pool.

    Each pool is pulled by one half-observation of either class, so that no probability is 0 or 1.
    """
    logits, positive = np.asarray(logits, float), np.asarray(positive, float)
    values, inverse = np.unique(logits, return_inverse=True)
    weight = np.bincount(inverse).astype(float)
    pools: list[list[float]] = []  # [cases, positives, sum of logits]
    for z, w, hits in zip(values, weight, np.bincount(inverse, positive), strict=True):
        pools.append([w, hits, z * w])
        while len(pools) > 1 and pools[-2][1] * pools[-1][0] >= pools[-1][1] * pools[-2][0]:
            last = pools.pop()
            pools[-1] = [a + b for a, b in zip(pools[-1], last, strict=True)]
    table = np.array(pools)
    y = np.maximum.accumulate((table[:, 1] + 0.5) / (table[:, 0] + 1))
    return Isotonic(tuple((table[:, 2] / table[:, 0]).tolist()), tuple(y.tolist()))


@dataclass(frozen=True, slots=True)
class Bin:
    """One point of a reliability curve: mean probability said, and what share came true."""

    said: float
    came: Interval
    n: int


def equal_mass_bins(probability: np.ndarray, bins: int = 15) -> np.ndarray:
    """Bin index (N,) so that bins hold equally many cases; equal probabilities stay together.

    There are at most `bins` bins and about ten cases or more in each.
    """
    probability = np.asarray(probability, float)
    count = max(1, min(bins, len(probability) // 10))
    cuts = np.quantile(probability, np.arange(1, count) / count)
    index = np.searchsorted(np.unique(cuts), probability, side="left")
    return np.unique(index, return_inverse=True)[1].reshape(-1)


def reliability(probability: np.ndarray, positive: np.ndarray, bins: int = 10) -> list[Bin]:
    """Reliability curve of (N,) probabilities and 0/1: equal-mass bins, Wilson intervals."""
    positive, index = np.asarray(positive, float), equal_mass_bins(probability, bins)
    out = []
    for b in range(index.max() + 1):
        inside = index == b
        came = wilson(float(positive[inside].sum()), int(inside.sum()))
        out.append(Bin(float(np.mean(np.asarray(probability)[inside])), came, int(inside.sum())))
    return out


def ece(
    probability: np.ndarray,
    positive: np.ndarray,
    bins: int = 15,
    weights: np.ndarray | None = None,
) -> float | np.ndarray:
    """Expected calibration error: mean gap between said and came over equal-mass bins.

    `weights` (R, N) gives (R,), on the bins of the whole sample. Few cases make it positive even
    for a perfect model, so read it with its interval.
    """
    probability, positive = np.asarray(probability, float), np.asarray(positive, float)
    index = equal_mass_bins(probability, bins)
    hot = (index[:, None] == np.arange(index.max() + 1)).astype(float)
    w_RN = np.ones((1, len(probability))) if weights is None else weights
    gap = np.abs(w_RN @ (hot * (probability - positive)[:, None])).sum(1)
    total = w_RN.sum(1)
    values = np.divide(gap, total, out=np.full(len(gap), np.nan), where=total > 0)
    return float(values[0]) if weights is None else values


def brier_parts(probabilities: np.ndarray, target: np.ndarray) -> np.ndarray:
    """Brier's score of each case (N,), from (N, K) or (N,) probabilities and 0/1 targets.

    Two classes: (p - y)^2 of the positive one. More: the sum over classes (Brier 1950).
    """
    parts = (np.asarray(probabilities, float) - np.asarray(target, float)) ** 2
    return parts if parts.ndim == 1 else parts.sum(1)


def log_loss(probabilities: np.ndarray, truth: np.ndarray) -> float:
    """Mean -log of the true class's probability, kept above 1e-12; (N, K) and (N,) classes."""
    chosen = np.asarray(probabilities, float)[np.arange(len(truth)), truth]
    return float(-np.log(np.clip(chosen, 1e-12, 1)).mean())


def _target(
    logits: np.ndarray, truth: np.ndarray, kind: str
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Logits, 0/1 targets (N, K), and where truth is known (N, K); refuses what does not fit."""
    logits, truth = np.asarray(logits, float), np.asarray(truth)
    if logits.ndim != 2 or len(logits) != len(truth) or not np.isfinite(logits).all():
        raise ValueError(
            f"expected finite logits (N, K) and truth of N, got {logits.shape} and {truth.shape}"
        )
    if kind == "class":
        known = np.repeat((truth >= 0)[:, None], logits.shape[1], axis=1)
        return logits, (truth[:, None] == np.arange(logits.shape[1])).astype(float), known
    if kind != "multilabel" or truth.shape != logits.shape:
        raise ValueError(f"kind {kind!r} with truth {truth.shape}, logits {logits.shape}")
    known = np.isfinite(truth)
    return logits, np.where(known, truth, 0.0), known


def _two_sided(target: np.ndarray, known: np.ndarray, kind: str) -> bool:
    if kind == "class":
        return int((target * known).any(0).sum()) >= 2
    return bool((target[known] == 1).any() and (target[known] == 0).any())


def _log_loss(logits: np.ndarray, target: np.ndarray, known: np.ndarray, kind: str) -> float:
    if kind == "class":
        peak = logits.max(1, keepdims=True)
        total = peak[:, 0] + np.log(np.exp(logits - peak).sum(1))
        row = total - (logits * target).sum(1)
        return float(row[known[:, 0]].mean())
    loss = np.maximum(logits, 0) - logits * target + np.log1p(np.exp(-np.abs(logits)))
    return float(loss[known].sum() / max(1, known.any(1).sum()))


def _newton(
    logits: np.ndarray, target: np.ndarray, known: np.ndarray, kind: str, w: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Gradient and Hessian of the summed log loss in (scale, shift), both (2K,) long."""
    classes = logits.shape[1]
    z = logits * w[:classes] + w[classes:]
    p = softmax(z) if kind == "class" else sigmoid(z)
    error = (p - target) * known
    gradient = np.concatenate([(error * logits).sum(0), error.sum(0)])
    design = np.concatenate([logits, np.ones_like(logits)], 1)
    p2 = np.concatenate([p, p], 1) * np.concatenate([known, known], 1)
    same = np.tile(np.eye(classes), (2, 2))
    hessian = ((design * p2).T @ design) * same
    if kind == "class":
        hessian -= (design * p2).T @ (design * p2)
    else:
        hessian -= ((design * p2).T @ (design * p2)) * same
    return gradient, hessian


def _golden(function, low: float, high: float, steps: int = 80) -> float:
    """Place of the least value of a one-valley function."""
    ratio = (np.sqrt(5) - 1) / 2
    a, b = high - ratio * (high - low), low + ratio * (high - low)
    at_a, at_b = function(a), function(b)
    for _ in range(steps):
        if at_a <= at_b:
            high, b, at_b = b, a, at_a
            a = high - ratio * (high - low)
            at_a = function(a)
        else:
            low, a, at_a = a, b, at_b
            b = low + ratio * (high - low)
            at_b = function(b)
    return float((low + high) / 2)


def _json(data: dict[str, Any]) -> dict[str, Any]:
    """NaN is not JSON; None says the same."""
    return {k: None if isinstance(v, float) and v != v else v for k, v in data.items()}
