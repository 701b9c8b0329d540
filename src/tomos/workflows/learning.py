"""Prepared cases, as training wants them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from tomos import datasets
from tomos.datasets import Dataset, Store
from tomos.plan import Plan
from tomos.tasks import classify
from tomos.transforms.prepare import Chain
from tomos.types import Progress


@dataclass(frozen=True, slots=True, eq=False)
class LearningData:
    """images (N, C, Y, X) float32, targets as `tasks.classify.encode` makes them, groups (N,)."""

    images: np.ndarray
    targets: np.ndarray
    groups: np.ndarray

    @staticmethod
    def of(store: Store, plan: Plan) -> LearningData:
        targets = classify.encode(store.cases, plan.target, plan.classes, plan.kind)
        return LearningData(store.x, targets, store.groups)


def learning_data(part: Dataset, plan: Plan, progress: Progress) -> Any:
    """What training learns from, in the form of the plan's task."""
    chain = Chain(plan.prepare)
    if plan.task == "segment":
        return datasets.shelved(part, chain, progress=progress)
    return LearningData.of(datasets.prepared(part, chain, progress=progress), plan)
