"""AUROC intervals: our bootstrap against the usual loop over scikit-learn's roc_auc_score.

Both score the very same resamples, and their values are compared first. Then they take turns, the
loop on a part of its resamples (its cost is proportional to their number), and the medians count.

    python benchmarks/bootstrap.py [--out FILE] [--rounds 5]
"""

from __future__ import annotations

import argparse
import os
import statistics
import sys
import time

from _record import goal, keep

os.environ.setdefault("OMP_NUM_THREADS", "1")

import numpy as np
from sklearn.metrics import roc_auc_score

from tomos.measures.comparison import delong_interval
from tomos.measures.intervals import Bootstrap, bootstrap_interval
from tomos.measures.ranking import Ranking

RESAMPLES = 1000


def cases(n: int) -> tuple[np.ndarray, np.ndarray]:
    """(N,) truth, 30 % positive, and scores of an AUROC near 0.76."""
    rng = np.random.default_rng(0)
    positive = rng.random(n) < 0.3
    return positive, rng.normal(size=n) + positive


def ours(positive: np.ndarray, scores: np.ndarray):
    """What a user calls, sorting and drawing included."""
    bootstrap = Bootstrap(np.arange(len(scores)), np.stack([positive, ~positive]), RESAMPLES)
    return bootstrap_interval(Ranking(positive, scores).auroc, bootstrap)


def usual_loop(positive: np.ndarray, scores: np.ndarray, resamples: int) -> list[float]:
    """As in many a notebook."""
    rng, values = np.random.default_rng(1), []
    for _ in range(resamples):
        rows = rng.integers(0, len(scores), len(scores))
        if len(np.unique(positive[rows])) == 2:
            values.append(roc_auc_score(positive[rows], scores[rows]))
    return values


def largest_difference(positive: np.ndarray, scores: np.ndarray, resamples: int) -> float:
    """Between our values and scikit-learn's on the same resamples."""
    counts = next(Bootstrap(np.arange(len(scores)), resamples=resamples).blocks())
    mine = Ranking(positive, scores).auroc(counts)
    rows = [np.repeat(np.arange(len(scores)), count) for count in counts]
    return max(
        abs(value - roc_auc_score(positive[row], scores[row]))
        for value, row in zip(mine, rows, strict=True)
    )


def seconds(function, *arguments) -> tuple[float, float]:
    """Wall and processor seconds of one call."""
    wall, cpu = time.perf_counter(), time.process_time()
    function(*arguments)
    return time.perf_counter() - wall, time.process_time() - cpu


def compare(n: int, rounds: int) -> dict:
    """One line of the result, at `n` cases."""
    positive, scores = cases(n)
    difference = largest_difference(positive, scores, 50)
    if difference > 1e-12:
        raise SystemExit(f"n={n}: values differ by {difference}; no speed is compared")
    part = max(10, min(RESAMPLES, 200_000 // n))
    seconds(ours, positive, scores), seconds(usual_loop, positive, scores, 5)
    turns = [
        (
            seconds(ours, positive, scores),
            seconds(usual_loop, positive, scores, part),
            seconds(delong_interval, positive, scores),
        )
        for _ in range(rounds)
    ]
    mine, loop, delong = (
        [statistics.median(turn[who][clock] for turn in turns) for clock in (0, 1)]
        for who in range(3)
    )
    loop = [value * RESAMPLES / part for value in loop]
    ratios = [t[1][0] * RESAMPLES / part / t[0][0] for t in turns]
    return {
        "n": n,
        "resamples": RESAMPLES,
        "largest_difference": difference,
        "ours_seconds": {"wall": mine[0], "cpu": mine[1]},
        "loop_seconds": {"wall": loop[0], "cpu": loop[1]},
        "delong_seconds": delong[0],
        "times_faster": statistics.median(ratios),
        "times_faster_range": [min(ratios), max(ratios)],
        "delong_times_faster": loop[0] / delong[0],
        "goal": 30 if n <= 1000 else 10,
    }


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=5)
    args = parser.parse_args()
    rows = [compare(n, args.rounds) for n in (1000, 20_000)]
    goals = [
        goal(
            f"bootstrap interval of AUROC, {row['n']:,} cases: times faster than the usual "
            "scikit-learn loop",
            row["times_faster"],
            least=row["goal"],
        )
        for row in rows
    ]
    return keep("bootstrap", {"rows": rows}, goals)


if __name__ == "__main__":
    sys.exit(main())
