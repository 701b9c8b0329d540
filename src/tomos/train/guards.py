"""What cannot be learned from is refused before the first step, and a run that has gone wrong is
stopped as soon as it shows."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator

import numpy as np

from tomos.plan.schema import Plan
from tomos.train import batches
from tomos.train.batches import Data
from tomos.train.learner import Learner
from tomos.train.loop import Step
from tomos.types import DatasetError, PlanError, TrainingError

READ = 64 << 20  # bytes of images looked at in one go
LOOK = 2 << 30  # bytes of images looked at in all; of larger sets, evenly spaced rows
EXPLODED = 20.0  # times the first losses


def check(plan: Plan, data: Data, part: str) -> list[str]:
    """Refuse data that the plan cannot be carried out on; what is merely odd comes back in words.

    `part` is "train" or "val". Raises DatasetError, or PlanError where the plan is what is wrong.
    """
    _check_shape(plan, data.images, part)
    if len(data.images) != len(data.targets) or len(data.images) != len(data.groups):
        raise DatasetError(
            f"{part}: expected as many targets and patients as images, got {len(data.images)} "
            f"images, {len(data.targets)} targets, {len(data.groups)} patients"
        )
    notes = _check_targets(plan, np.asarray(data.targets), part)
    _check_values(data.images, part)
    return notes


def _check_shape(plan: Plan, images: np.ndarray, part: str) -> None:
    if not isinstance(images, np.ndarray) or images.dtype == object:
        sizes = {np.shape(image) for image in images}
        raise DatasetError(
            f"{part}: expected one array (N, C, Y, X), got pictures of {len(sizes)} sizes "
            f"({', '.join(str(size) for size in sorted(sizes)[:3])}, ...); "
            "put a step 'resize' or 'pad' into the plan's preparation"
        )
    expected = (plan.channels, *plan.size)
    if images.shape[1:] == expected:
        return
    why = "the data were prepared by another plan; prepare them again"
    if images.ndim == 4 and images.shape[1:] == (*plan.size, plan.channels):
        why = "the channels stand last; move them to the front (N, C, Y, X)"
    elif images.ndim == 4 and images.shape[2:] == tuple(plan.size):
        why = f"the pictures have {images.shape[1]} channels and the plan says {plan.channels}"
    raise DatasetError(
        f"{part}: expected images (N, {str(expected)[1:-1]}), got {images.shape}: {why}"
    )


def _check_targets(plan: Plan, targets: np.ndarray, part: str) -> list[str]:
    rows, classes = batches.assessed(targets), plan.classes
    if not len(rows):
        raise DatasetError(f"{part}: no case has a value for target {plan.target!r}")
    if plan.kind == "multilabel":
        seen = _check_labels(plan, targets[rows], part)
    elif targets.ndim != 1:
        raise PlanError(
            f"{part}: kind {plan.kind!r} expects one class number a case, got targets "
            f"{targets.shape}; set kind = 'multilabel' where classes stand together"
        )
    else:
        if (top := int(targets[rows].max())) >= len(classes):
            raise DatasetError(
                f"{part}: expected class numbers 0..{len(classes) - 1} "
                f"({', '.join(classes)}), got {top}"
            )
        seen = np.bincount(targets[rows].astype(int), minlength=len(classes))
        if part == "train" and (seen > 0).sum() < 2:
            raise DatasetError(
                f"{part}: all {len(rows)} cases are {classes[int(seen.argmax())]!r}; "
                "a classifier needs cases of at least two classes"
            )
    notes = []
    if missing := [name for name, n in zip(classes, seen, strict=True) if not n]:
        notes.append(f"{part}: no case of {', '.join(missing)}; it cannot be learned or judged")
    if left := len(targets) - len(rows):
        notes.append(f"{part}: {left} of {len(targets)} cases are not assessed and stay out")
    return notes


def _check_labels(plan: Plan, targets: np.ndarray, part: str) -> np.ndarray:
    if targets.ndim != 2 or targets.shape[1] != len(plan.classes):
        raise DatasetError(
            f"{part}: kind 'multilabel' expects targets (N, {len(plan.classes)}), "
            f"got {targets.shape}"
        )
    known = targets[~np.isnan(targets)]
    if ((known != 0) & (known != 1)).any():
        raise DatasetError(
            f"{part}: labels are 0, 1 or not assessed, got {known[(known != 0) & (known != 1)][0]}"
        )
    yes, no = (targets == 1).sum(0), (targets == 0).sum(0)
    if part == "train" and not ((yes > 0) & (no > 0)).any():
        raise DatasetError(
            f"{part}: every label has one value throughout; a label can be learned only from cases "
            "with it and cases without it"
        )
    return yes


def _check_values(images: np.ndarray, part: str) -> None:
    row_bytes = max(1, images[:1].nbytes)
    count = min(len(images), max(1, LOOK // row_bytes))
    rows = np.linspace(0, len(images) - 1, count).astype(int)
    for few in np.array_split(rows, -(-count * row_bytes // READ)):
        # A sum is not finite when a value is not: one pass, no array of flags.
        sums = images[few].reshape(len(few), -1).sum(1, dtype=np.float64)
        if not np.isfinite(sums).all():
            row = int(few[np.flatnonzero(~np.isfinite(sums))[0]])
            raise DatasetError(
                f"{part}: the prepared picture in row {row} holds NaN or infinity; run "
                "`tomos check` on the data set, or change the step that "
                "made it (a division by no spread?)"
            )


class Diverged(TrainingError):
    """The loss is no number any more, or has exploded."""


def watched(steps: Iterable[Step], learner: Learner, every: int = 1) -> Iterator[Step]:
    """The same steps. Raises Diverged when the loss is NaN or infinite, or when its running mean is
    20 times the first loss (or 20 nats, when that is more: small losses may jump).

    `every`: look at the loss at each n-th step only; a look waits for the accelerator.
    """
    for step in steps:
        if step.step % every == 0 or step.ends_epoch:
            loss = float(step.loss)
            if not math.isfinite(loss):
                raise Diverged(_told(step, f"the loss is {loss}"))
            learner.first = loss if learner.first is None else learner.first
            before = loss if learner.running is None else learner.running
            learner.running = 0.8 * before + 0.2 * loss
            if learner.running > EXPLODED * max(learner.first, 1.0):
                what = f"the loss rose from {learner.first:.3g} to {learner.running:.3g}"
                raise Diverged(_told(step, what))
        yield step


def _told(step: Step, what: str) -> str:
    return (
        f"training diverged in epoch {step.epoch + 1}, step {step.step}, at a learning rate of "
        f"{step.rate:.2g}: {what}. Lower train.learning_rate (a third of it is a good next try), "
        "lengthen train.warmup, or set train.clip=1"
    )
