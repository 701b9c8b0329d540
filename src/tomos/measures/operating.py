"""Where to say yes: a threshold on the calibrated probability, chosen on validation.

A validation part may be so easy that every threshold within a wide gap between the classes is
right equally often; the one that an arg-max happens to return is then arbitrary, and the next
hospital's scores, a little shifted, fall on its wrong side. The default rule `plateau` therefore
looks at what would happen to similar patients, not only to these: it resamples the patients,
smooths each class's scores on the logit scale, and takes the middle of all thresholds that are as
good as the best within one standard error.

Every rule gives the threshold, the plateau around it, and the reason in words.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from tomos.measures.calibration import logit, sigmoid
from tomos.measures.intervals import Bootstrap
from tomos.types import SettingsError

GRID = 801
RESAMPLES = 200
RULES = ("plateau", "smooth", "youden", "sensitivity", "cost", "half")


@dataclass(frozen=True, slots=True)
class OperatingPoint:
    """A case is called positive when its calibrated probability is at least `threshold`.

    low, high    ends of the plateau: thresholds between them are as good within one standard error
    sensitivity, specificity  of the validation cases at the threshold, as observed
    settings     what the rule was asked for: {"sensitivity": 0.95}, {"cost": 5, "prevalence": 0.1}
    """

    threshold: float
    rule: str
    reason: str
    low: float
    high: float
    sensitivity: float
    specificity: float
    n: int
    n_positive: int
    n_patients: int
    settings: tuple[tuple[str, float], ...] = ()

    def data(self) -> dict[str, Any]:
        """A plain table, for a model file; `OperatingPoint(**data)` reads it back."""
        return {**asdict(self), "settings": [list(pair) for pair in self.settings]}


@dataclass(frozen=True, slots=True, eq=False)
class _Scores:
    """Validation scores of one target: z (N,) logits, positive (N,) bool, groups (N,)."""

    z: np.ndarray
    positive: np.ndarray
    groups: np.ndarray


def choose(
    positive: np.ndarray,
    probability: np.ndarray,
    rule: str = "plateau",
    groups: np.ndarray | None = None,
    *,
    sensitivity: float = 0.95,
    cost: float = 1.0,
    prevalence: float | None = None,
    seed: int = 0,
) -> OperatingPoint:
    """Choose a threshold from validation cases: (N,) 0/1 and (N,) calibrated probabilities.

    plateau      middle of the thresholds whose expected balanced accuracy is within one standard
                 error of the best (default; does not depend on how common the finding is)
    smooth       the threshold with the best expected balanced accuracy itself
    youden       the best observed sensitivity + specificity, middle of the gap between two scores
    sensitivity  the highest threshold whose expected sensitivity is at least `sensitivity`
    cost         least expected cost: a missed finding costs `cost` false alarms, at `prevalence`
                 (that of validation when not given)
    half         0.5, which is right as far as the calibration is

    Scores may be multiplied or shifted on the logit scale: the choice moves with them.
    Raises SettingsError for an unknown rule or impossible settings.
    """
    if rule not in RULES:
        from tomos.config.plugins import did_you_mean

        raise SettingsError(f"no operating rule named {rule!r}{did_you_mean(rule, list(RULES))}")
    if not 0 < sensitivity < 1 or cost <= 0 or not (prevalence is None or 0 < prevalence < 1):
        raise SettingsError(
            "expected 0 < sensitivity < 1, cost > 0 and 0 < prevalence < 1, got "
            f"sensitivity={sensitivity}, cost={cost}, prevalence={prevalence}"
        )
    positive = np.asarray(positive).astype(bool)
    z = logit(probability)
    scores = _Scores(z, positive, np.arange(len(z)) if groups is None else np.asarray(groups))
    if not 0 < positive.sum() < len(z):
        side = "no positive" if not positive.any() else "no negative"
        reason = f"0.5, since validation holds {side} case: nothing could be chosen from it"
        return _point(scores, rule, reason, 0.0, (0.0, 0.0), ())
    if prevalence is None:
        prevalence = float(positive.mean())
    curves = _Expected(scores, seed)
    if rule == "sensitivity":
        return _at_sensitivity(scores, curves, sensitivity)
    if rule == "cost":
        return _at_cost(scores, curves, cost, prevalence)
    return _balanced(scores, curves, rule)


def _balanced(scores: _Scores, curves: _Expected, rule: str) -> OperatingPoint:
    """The rules that look at balanced accuracy: plateau, smooth, youden, half."""
    value_T, error_T = curves.of(lambda sens, spec: (sens + spec) / 2)
    best = int(value_T.argmax())
    ends = _plateau(curves.grid, value_T, error_T[best])
    span = f"{sigmoid(ends[0]):.3f} to {sigmoid(ends[1]):.3f}"
    within = f"within one standard error ({error_T[best]:.3f}) of the best expected"
    if rule == "plateau":
        reason = (
            f"every threshold from {span} is {within} balanced accuracy ({value_T[best]:.3f}) on "
            "validation patients drawn again and smoothed; the middle on the logit scale was taken"
        )
        return _point(scores, rule, reason, (ends[0] + ends[1]) / 2, ends, ())
    if rule == "smooth":
        reason = f"the best expected balanced accuracy ({value_T[best]:.3f}) on smoothed scores"
        return _point(scores, rule, reason, curves.grid[best], ends, ())
    if rule == "youden":
        at, index, gap = _youden(scores)
        reason = f"the best observed sensitivity + specificity - 1 ({index:.3f})"
        return _point(scores, rule, reason, at, gap, ())
    reason = f"0.5 of the calibrated probability; thresholds from {span} are {within} balance"
    return _point(scores, rule, reason, 0.0, ends, ())


def _at_sensitivity(scores: _Scores, curves: _Expected, wanted: float) -> OperatingPoint:
    sens_T, error_T = curves.of(lambda sens, spec: sens)
    fits = np.flatnonzero(sens_T >= wanted)
    at = int(fits[-1]) if len(fits) else 0
    near = np.flatnonzero(np.abs(sens_T - sens_T[at]) <= error_T[at])
    ends = (curves.grid[near[0]], curves.grid[near[-1]])
    reason = (
        f"the highest threshold whose expected sensitivity is at least {wanted:g} "
        f"(standard error {error_T[at]:.3f})"
    )
    return _point(scores, "sensitivity", reason, curves.grid[at], ends, (("sensitivity", wanted),))


def _at_cost(scores: _Scores, curves: _Expected, cost: float, prevalence: float) -> OperatingPoint:
    def gain(sens: np.ndarray, spec: np.ndarray) -> np.ndarray:
        return -(cost * prevalence * (1 - sens) + (1 - prevalence) * (1 - spec))

    value_T, error_T = curves.of(gain)
    best = int(value_T.argmax())
    ends = _plateau(curves.grid, value_T, error_T[best])
    reason = (
        f"the least expected cost when a missed finding costs {cost:g} false alarms and "
        f"{prevalence:.1%} of patients have it; middle of the thresholds within one standard error"
    )
    settings = (("cost", cost), ("prevalence", prevalence))
    return _point(scores, "cost", reason, (ends[0] + ends[1]) / 2, ends, settings)


class _Expected:
    """Expected sensitivity and specificity over a grid of thresholds, resample by resample."""

    def __init__(self, scores: _Scores, seed: int):
        self.floor = {side: _least_variance(scores, side) for side in (True, False)}
        self.width = {side: _bandwidth(scores, side) for side in (True, False)}
        margin = 4 * max(self.width.values())
        self.grid = np.linspace(scores.z.min() - margin, scores.z.max() + margin, GRID)
        required = np.stack([scores.positive, ~scores.positive])
        bootstrap = Bootstrap(scores.groups, required, RESAMPLES, seed)
        self.sens_RT, self.spec_RT = self._curves(scores, bootstrap)

    def _curves(self, scores: _Scores, bootstrap: Bootstrap) -> tuple[np.ndarray, np.ndarray]:
        """Kernel-smoothed, (R, T) each. Scores are first counted on the grid: cost is free of N."""
        step = self.grid[1] - self.grid[0]
        bins = np.rint((scores.z - self.grid[0]) / step).astype(np.int64)
        counts = {True: np.zeros((RESAMPLES, GRID)), False: np.zeros((RESAMPLES, GRID))}
        row = 0
        for block in bootstrap.blocks():
            for weights in block:
                for side in (True, False):
                    mine = scores.positive == side
                    counts[side][row] = np.bincount(bins[mine], weights[mine], minlength=GRID)
                row += 1
        above = {}
        for side in (True, False):
            # A logistic kernel of the bandwidth's variance: closed form, and heavier tails than
            # the normal one, which is the cautious side for scores not seen yet.
            scale = max(self.width[side] * np.sqrt(3) / np.pi, step / 4)
            kernel_TT = sigmoid((self.grid[:, None] - self.grid[None, :]) / scale)
            above[side] = (counts[side] @ kernel_TT) / counts[side].sum(1, keepdims=True)
        return above[True], 1 - above[False]

    def of(self, value: Callable[[np.ndarray, np.ndarray], np.ndarray]):
        """Mean over resamples and standard error, (T,) each, of value(sensitivity, specificity).

        `value` is linear. Cases that are separated without error show no spread in any resample,
        though n of n right is not certainty; the error is at least that of (n + 1) of (n + 2).
        """
        value_RT = value(self.sens_RT, self.spec_RT)
        one, none = np.ones(1), np.zeros(1)
        by_sens, by_spec = (
            value(one, none) - value(none, none),
            value(none, one) - value(none, none),
        )
        least = np.sqrt(by_sens**2 * self.floor[True] + by_spec**2 * self.floor[False])
        return value_RT.mean(0), np.maximum(value_RT.std(0, ddof=1), least)


def _least_variance(scores: _Scores, side: bool) -> float:
    """Variance of a proportion of which every one of the n patients was right: Laplace's rule."""
    n = len(np.unique(scores.groups[scores.positive == side]))
    return (n + 1) / (n + 2) ** 2 / n


def _bandwidth(scores: _Scores, side: bool) -> float:
    """Silverman's rule (1986, 3.31) on one class's logits, patients counted and not images."""
    z = scores.z[scores.positive == side]
    patients = len(np.unique(scores.groups[scores.positive == side]))
    spread = float(z.std())
    quartiles = np.subtract(*np.quantile(z, [0.75, 0.25])) / 1.349
    width = min(spread, quartiles) if quartiles > 0 else spread
    # One or two cases show no spread of their own; the whole sample's must do.
    floor = 0.05 * float(scores.z.std()) + 1e-6
    return max(0.9 * width * patients**-0.2, floor)


def _plateau(grid: np.ndarray, value_T: np.ndarray, tolerance: float) -> tuple[float, float]:
    """Ends of the unbroken stretch around the best threshold that is within `tolerance` of it."""
    best = int(value_T.argmax())
    bad = np.flatnonzero(value_T < value_T[best] - tolerance)
    low = bad[bad < best].max(initial=-1) + 1
    high = bad[bad > best].min(initial=len(grid)) - 1
    return float(grid[low]), float(grid[high])


def _youden(scores: _Scores) -> tuple[float, float, tuple[float, float]]:
    """Logit of the middle of the best gap, Youden's index there, and the gap's ends."""
    order = np.argsort(-scores.z, kind="stable")
    falling, hit = scores.z[order], scores.positive[order]
    ends = np.flatnonzero(np.append(np.diff(falling) != 0, True))
    sens = np.cumsum(hit)[ends] / hit.sum()
    false = np.cumsum(~hit)[ends] / (~hit).sum()
    best = int((sens - false).argmax())
    upper = float(falling[ends[best]])
    lower = float(falling[ends[best + 1]]) if best + 1 < len(ends) else upper - 1.0
    return (upper + lower) / 2, float((sens - false)[best]), (lower, upper)


def _point(
    scores: _Scores,
    rule: str,
    reason: str,
    at: float,
    ends: tuple[float, float],
    settings: tuple[tuple[str, float], ...],
) -> OperatingPoint:
    called, positive = scores.z >= at, scores.positive
    sens = called[positive].mean() if positive.any() else np.nan
    spec = (~called)[~positive].mean() if (~positive).any() else np.nan
    threshold, low, high = (float(sigmoid(v)) for v in (at, *ends))
    return OperatingPoint(
        threshold=threshold,
        rule=rule,
        reason=reason,
        low=low,
        high=high,
        sensitivity=float(sens),
        specificity=float(spec),
        n=len(positive),
        n_positive=int(positive.sum()),
        n_patients=len(np.unique(scores.groups)),
        settings=settings,
    )
