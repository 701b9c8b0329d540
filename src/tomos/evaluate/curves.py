"""The curves of a table, with bands over patients: what the charts draw."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from tomos.evaluate.score import resampling
from tomos.evaluate.table import Table
from tomos.measures.calibration import Bin, logit, reliability
from tomos.measures.ranking import Ranking
from tomos.measures.usefulness import DecisionCurve, decision_curve, net_benefit

GRID = np.linspace(0, 1, 101)
BAND_RESAMPLES = 400
MOST_POINTS = 400


@dataclass(frozen=True, slots=True, eq=False)
class Band:
    """A 95 % band, point by point: x, low, high (G,)."""

    x: np.ndarray
    low: np.ndarray
    high: np.ndarray


@dataclass(frozen=True, slots=True, eq=False)
class ClassCurves:
    """One class against the rest. Curves are thinned to what a chart can show.

    roc, pr      (x, y) as (T,) each; `*_band` over patients
    bins         reliability points with Wilson intervals
    positive, negative  logits of the cases of this class and of the others, for distributions
    decision     net benefit, with its band
    """

    name: str
    n: int
    n_positive: int
    roc: tuple[np.ndarray, np.ndarray]
    roc_band: Band
    pr: tuple[np.ndarray, np.ndarray]
    pr_band: Band
    bins: list[Bin]
    positive: np.ndarray
    negative: np.ndarray
    decision: DecisionCurve
    decision_band: Band


def class_curves(table: Table, index: int, seed: int = 0) -> ClassCurves | None:
    """Curves of class `index` against the rest; None when either side has no case.

    The decision curve is that of these cases: the probabilities were calibrated where the finding
    is about as common, and a net benefit at another prevalence would need others.
    """
    known, positive, p = table.against_rest(index)
    if not 0 < positive.sum() < len(positive):
        return None
    ranking = Ranking(positive, p)
    bootstrap = resampling(table.rows(known), BAND_RESAMPLES, seed)
    decision = decision_curve(positive, p)
    roc_RG, pr_RG, benefit_RG = [], [], []
    for w_RN in bootstrap.blocks():
        roc_RG.append(ranking.roc_at(GRID, w_RN))
        pr_RG.append(ranking.pr_at(GRID, w_RN))
        benefit_RG.append(net_benefit(positive, p, decision.thresholds, w_RN))
    roc, pr = ranking.roc(), ranking.pr()
    z = logit(p, 1e-4)
    return ClassCurves(
        name=table.classes[index],
        n=len(positive),
        n_positive=int(positive.sum()),
        roc=_thinned(roc.x, roc.y),
        roc_band=_band(GRID, roc_RG),
        pr=_thinned(pr.x, pr.y),
        pr_band=_band(GRID, pr_RG),
        bins=reliability(p, positive),
        positive=z[positive],
        negative=z[~positive],
        decision=decision,
        decision_band=_band(decision.thresholds, benefit_RG),
    )


def _band(x: np.ndarray, blocks: list[np.ndarray]) -> Band:
    low, high = np.nanquantile(np.concatenate(blocks), [0.025, 0.975], axis=0)
    return Band(x, low, high)


def _thinned(x: np.ndarray, y: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Fewer points, the corners of long steps kept before those of short ones."""
    if len(x) <= MOST_POINTS:
        return x, y
    size = np.abs(np.diff(x, prepend=x[0])) + np.abs(np.diff(y, prepend=y[0]))
    place = np.floor(np.cumsum(size) / size.sum() * (MOST_POINTS - 1))
    kept = np.unique(np.append(np.flatnonzero(np.diff(place, prepend=-1)), len(x) - 1))
    return x[kept], y[kept]
