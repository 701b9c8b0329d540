"""Small tables whose figures are known or can be counted."""

import numpy as np

from tomos.evaluate import Table
from tomos.measures.calibration import sigmoid, softmax


def two_classes(n=300, seed=0, patients=None, **changes) -> Table:
    """Overlapping scores of two classes; several images a patient when `patients` is given."""
    rng = np.random.default_rng(seed)
    truth = (rng.random(n) < 0.4).astype(int)
    p = sigmoid(rng.normal(np.where(truth == 1, 1.5, -1.5), 1.5))
    groups = np.arange(n) if patients is None else rng.integers(0, patients, n)
    fields = {
        "cases": [f"case-{i}" for i in range(n)],
        "groups": np.array([f"p{g}" for g in groups]),
        "truth": truth,
        "probabilities": np.stack([1 - p, p], 1),
        "classes": ("normal", "pneumonia"),
        "dataset": "phantom",
        "columns": {
            "sex": ["F" if i % 2 else "M" for i in range(n)],
            "age": rng.integers(20, 90, n).tolist(),
            "device": ["one"] * n,
        },
    }
    return Table(**{**fields, **changes})


def three_classes(n=300, seed=0, **changes) -> Table:
    rng = np.random.default_rng(seed)
    truth = rng.integers(0, 3, n)
    logits = rng.normal(size=(n, 3)) + 1.5 * np.eye(3)[truth]
    fields = {
        "cases": [f"case-{i}" for i in range(n)],
        "groups": np.arange(n),
        "truth": truth,
        "probabilities": softmax(logits),
        "classes": ("a", "b", "c"),
        "dataset": "phantom",
    }
    return Table(**{**fields, **changes})


def labels(n=200, seed=0) -> Table:
    """Four labels, the first not assessed in fifty cases."""
    rng = np.random.default_rng(seed)
    truth = (rng.random((n, 4)) < 0.3).astype(float)
    p = sigmoid(2 * truth - 1 + rng.normal(size=truth.shape))
    truth[:50, 0] = np.nan
    names = tuple(f"label {i}" for i in range(4))
    cases = [f"case-{i}" for i in range(n)]
    return Table(cases, np.arange(n), truth, p, names, kind="multilabel", dataset="phantom")
