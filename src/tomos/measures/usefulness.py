"""What an answer is worth to the person who gets it: predictive values and net benefit."""

from __future__ import annotations

from dataclasses import dataclass
from math import exp, log, sqrt

import numpy as np

from tomos.measures.distributions import normal_quantile
from tomos.measures.intervals import Interval


def predictive_values(
    sensitivity: np.ndarray | float, specificity: np.ndarray | float, prevalence: float
) -> tuple[np.ndarray, np.ndarray]:
    """PPV and NPV by Bayes' rule at a stated `prevalence`; NaN where nobody is called so."""
    sens, spec = np.asarray(sensitivity, float), np.asarray(specificity, float)
    hit, alarm = sens * prevalence, (1 - spec) * (1 - prevalence)
    quiet, missed = spec * (1 - prevalence), (1 - sens) * prevalence
    with np.errstate(divide="ignore", invalid="ignore"):
        return hit / (hit + alarm), quiet / (quiet + missed)


def predictive_intervals(
    matrix: np.ndarray, prevalence: float, level: float = 0.95
) -> tuple[Interval, Interval]:
    """PPV and NPV with the logit intervals of Mercaldo et al. 2007, from a (2, 2) confusion.

    Where sensitivity or specificity is 0 or 1 the interval uses counts with z^2/2 added to each
    cell, as they advise; the value stays the plain one.
    """
    matrix = np.asarray(matrix, float)
    sens, spec = matrix[1, 1] / matrix[1].sum(), matrix[0, 0] / matrix[0].sum()
    ppv, npv = (float(v) for v in predictive_values(sens, spec, prevalence))
    z = normal_quantile((1 + level) / 2)
    if {sens, spec} & {0.0, 1.0}:
        matrix = matrix + z * z / 2
        sens, spec = matrix[1, 1] / matrix[1].sum(), matrix[0, 0] / matrix[0].sum()
    positives, negatives = matrix[1].sum(), matrix[0].sum()
    errors = (
        sqrt((1 - sens) / (sens * positives) + spec / ((1 - spec) * negatives)),
        sqrt(sens / ((1 - sens) * positives) + (1 - spec) / (spec * negatives)),
    )
    centres = (
        log(sens * prevalence / ((1 - spec) * (1 - prevalence))),
        log(spec * (1 - prevalence) / ((1 - sens) * prevalence)),
    )
    out = []
    for value, centre, error in zip((ppv, npv), centres, errors, strict=True):
        low, high = (1 / (1 + exp(-(centre + side * z * error))) for side in (-1, 1))
        out.append(Interval(value, min(low, value), max(high, value), level, "logit, Mercaldo"))
    return out[0], out[1]


@dataclass(frozen=True, slots=True, eq=False)
class DecisionCurve:
    """Net benefit over threshold probabilities (T,): of the model, of treating all; none is 0."""

    thresholds: np.ndarray
    model: np.ndarray
    treat_all: np.ndarray
    prevalence: float


def net_benefit(
    positive: np.ndarray,
    probability: np.ndarray,
    thresholds: np.ndarray,
    weights: np.ndarray | None = None,
    prevalence: float | None = None,
) -> np.ndarray:
    """Vickers and Elkin 2006: true positives less the false ones at the odds of the threshold.

    (T,), or (R, T) for `weights` (R, N), in true positives per person. With `prevalence` the cases
    are weighted to it, else that of the data counts.
    """
    positive = np.asarray(positive).astype(float)
    thresholds = np.asarray(thresholds, float)
    called_NT = (np.asarray(probability, float)[:, None] >= thresholds).astype(float)
    w_RN = np.ones((1, len(positive))) if weights is None else weights
    n_pos, n_neg = w_RN @ positive, w_RN @ (1 - positive)
    share = n_pos / (n_pos + n_neg) if prevalence is None else np.full(len(w_RN), prevalence)
    sens = (w_RN @ (called_NT * positive[:, None])) / n_pos[:, None]
    false = (w_RN @ (called_NT * (1 - positive)[:, None])) / n_neg[:, None]
    odds = thresholds / (1 - thresholds)
    out = sens * share[:, None] - false * (1 - share)[:, None] * odds
    return out[0] if weights is None else out


def decision_curve(
    positive: np.ndarray,
    probability: np.ndarray,
    thresholds: np.ndarray | None = None,
    prevalence: float | None = None,
) -> DecisionCurve:
    """The curve at `thresholds` (1 % to 99 % when not given); both classes must have cases."""
    if thresholds is None:
        thresholds = np.arange(1, 100) / 100
    share = float(np.mean(positive)) if prevalence is None else prevalence
    model = net_benefit(positive, probability, thresholds, prevalence=prevalence)
    treat_all = share - (1 - share) * thresholds / (1 - thresholds)
    return DecisionCurve(np.asarray(thresholds), model, treat_all, share)
