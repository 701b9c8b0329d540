"""How sure a network for masks is of its voxels, set right on validation.

A network that learned for minutes is unsure everywhere, one that learned for hours too sure: the
sum of a class's probabilities is then no estimate of its volume, and its entropy no measure of
doubt. One temperature changes no label.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from tomos import datasets
from tomos.datasets import Dataset
from tomos.inference import MaskPredictor
from tomos.inference.memory import OutOfMemory
from tomos.measures.calibration import Temperature, fit_temperature
from tomos.transforms.prepare import carry_labels
from tomos.types import Case, FormatError, Progress

CASES = 10  # of the validation part, evenly spread
VOXELS = 50_000  # of each: a case counts alike, however large


def fitted(
    predictor: MaskPredictor, dataset: Dataset, cases: Sequence[Case], progress: Progress
) -> Temperature | None:
    """Of voxels drawn from validation cases, by their log loss; None where no case can be read."""
    chosen = [cases[i] for i in np.unique(np.linspace(0, len(cases) - 1, CASES).astype(int))]
    rng, logits, labels = np.random.default_rng(0), [], []
    for done, case in enumerate(chosen, 1):
        progress.step(done, len(chosen), "calibrating on validation")
        try:
            found = _voxels(predictor, dataset, case, rng)
        except (FormatError, OutOfMemory):
            continue  # it was left out of the validation part, too, or is too large to look at
        if found is not None:
            logits.append(found[0])
            labels.append(found[1])
    if not logits:
        return None
    made = fit_temperature(np.concatenate(logits), np.concatenate(labels))
    before, after = made.log_loss_before, made.log_loss_after
    return replace(
        made,
        reason=f"minimised the log loss of {sum(map(len, labels)):,} voxels of {len(labels)} "
        f"validation cases ({before:.4f} -> {after:.4f})",
    )


def _voxels(
    predictor: MaskPredictor, dataset: Dataset, case: Case, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray] | None:
    """Logits (N, K) and labels (N,) of a case; None where it is too large to hold its scores, or
    nothing of it is to be judged."""
    image = dataset.read(case)
    scores = predictor.scores(image)
    if scores is None:
        return None
    truth, inside = datasets.true_mask(dataset, case, image), datasets.region(case, image)
    labels = carry_labels(truth, scores.prepared).ravel()
    known = np.arange(labels.size)
    if inside is not None:
        known = np.flatnonzero(carry_labels(inside, scores.prepared))
    if not known.size:
        return None
    drawn = rng.choice(known, min(VOXELS, known.size), replace=False)
    return scores.logits.reshape(len(scores.logits), -1)[:, drawn].T, labels[drawn]
