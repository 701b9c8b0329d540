"""What is taught: one file a task, `classify` and `segment`, with the same functions."""

from __future__ import annotations

import importlib
from collections.abc import Iterator, Sequence
from typing import Any, Protocol, cast

import numpy as np
import torch
from torch import Tensor, nn

from tomos.plan.schema import Plan


class Shown(Protocol):
    """One epoch of a lesson: `cases` positions, each with what is shown there."""

    cases: int

    def batches(self, parts: Sequence[np.ndarray]) -> Iterator[tuple[Tensor, Tensor]]:
        """Pictures and targets at these positions, one batch a part, in order."""
        ...


class Lesson(Protocol):
    """What the epochs of one network show, a function of its seed and the epoch's number, and how
    wrong the network is."""

    def epoch(self, number: int) -> Shown: ...
    def loss(self, learner: Any, x: Tensor, target: Tensor) -> Tensor:
        """0-d: the sum over the batch's cases."""
        ...


class Judged(Protocol):
    """An epoch on the validation part.

    refined  the figure that is to become small
    values   (N,) the same case by case
    """

    @property
    def refined(self) -> float: ...
    @property
    def values(self) -> np.ndarray: ...
    def figures(self) -> dict[str, float | None]:
        """What the log shows; None where there is no number."""
        ...


class Subject(Protocol):
    """How a task is taught. `data` is the task's own form of cases to learn from."""

    def check(self, plan: Plan, data: Any, part: str) -> list[str]:
        """Refuse data that the plan cannot be carried out on (DatasetError, PlanError); what is
        merely odd comes back in words. `part` is "train" or "val"."""
        ...

    def placed(self, plan: Plan, data: Any, device: torch.device) -> Any:
        """The data where they can be shown from: on the device, in memory, or on disk."""
        ...

    def lesson(self, plan: Plan, data: Any, learner: Any, placed: Any) -> Lesson: ...
    def validated(self, plan: Plan, net: nn.Module, data: Any, placed: Any) -> Judged: ...
    def cases(self, plan: Plan, data: Any) -> int:
        """How many an epoch shows."""
        ...

    def size(self, data: Any) -> list[int]:
        """What tells other data of another size from these."""
        ...

    def made(self, plan: Plan, cases: int) -> Any:
        """Random data of a plan's shape: as fast or slow as real ones."""
        ...


def of(plan: Plan) -> Subject:
    return cast(Subject, importlib.import_module(f"tomos.train.{plan.task}"))
