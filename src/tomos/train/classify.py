"""Teaching to classify: pictures with a label each.

The functions are those of `tomos.train.subject`.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn

from tomos.measures import losses
from tomos.measures.losses.cross_entropy import shares
from tomos.plan.schema import Plan
from tomos.train import batches, validate
from tomos.train.batches import Data, Source
from tomos.train.learner import Learner
from tomos.train.validate import Validation
from tomos.transforms.augment import Chain
from tomos.types import DatasetError, PlanError

READ = 64 << 20  # bytes of images looked at in one go
LOOK = 2 << 30  # bytes of images looked at in all; of larger sets, evenly spaced rows


def placed(plan: Plan, data: Data, device: torch.device) -> Source:
    return Source(data.images, device, processes=plan.train.together)


def lesson(plan: Plan, data: Data, learner: Learner, source: Source) -> Lesson:
    return Lesson(plan, data, learner, source)


def validated(plan: Plan, net: nn.Module, data: Data, source: Source) -> Validation:
    train, weights = plan.train, None
    if train.balance != "none" and plan.kind != "multilabel":
        weights = batches.rare(data.targets)
    logits_NK = validate.evaluate_net(net, source, channels_last=train.channels_last)
    return validate.judge(logits_NK, data.targets, plan.kind, weights)


def size(data: Data) -> list[int]:
    return list(data.images.shape)


def cases(plan: Plan, data: Data) -> int:
    return len(batches.assessed(data.targets))


@dataclass(frozen=True, slots=True, eq=False)
class Made:
    """Random data of a plan's shape: as fast or slow as real ones."""

    images: np.ndarray
    targets: np.ndarray
    groups: np.ndarray


def made(plan: Plan, cases: int) -> Made:
    """Random data of the plan's shape."""
    rng = np.random.default_rng(0)
    images = rng.standard_normal((cases, plan.channels, *plan.size), np.float32)
    classes = len(plan.classes)
    targets: np.ndarray = np.arange(cases) % classes
    if plan.kind == "multilabel":
        targets = rng.integers(0, 2, (cases, classes)).astype(np.float32)
    return Made(images, targets, np.arange(cases))


class Lesson:
    """What stays the same through all epochs: the cases, the loss, the augmentation."""

    def __init__(self, plan: Plan, data: Data, learner: Learner, source: Source) -> None:
        train, device = plan.train, learner.device
        self.source, self.seed = source, learner.seed
        options = dict(train.loss_options)
        if train.label_smoothing:
            options["smoothing"] = train.label_smoothing
        self.error = losses.build(train.loss, plan.kind, **options)
        targets = np.asarray(data.targets)
        self.rows = batches.assessed(targets)
        self.often = batches.rare(targets) if train.balance == "sampler" else None
        dtype = np.float32 if targets.ndim == 2 else np.int64
        self.targets = torch.from_numpy(targets.astype(dtype)).to(device)
        self.weights_K = class_weights(plan, targets, device)
        mixup = {"step": "mixup", "alpha": train.mixup}
        self.chain = Chain(
            [*plan.augment, *([mixup] if train.mixup else [])], plan.size, learner.seed
        )
        self.mixes = "mixup" in self.chain.names
        self.classes, self.device = len(plan.classes), device

    def epoch(self, number: int) -> Epoch:
        return Epoch(self, number)

    def loss(self, learner: Learner, x_BCYX: Tensor, target: Tensor) -> Tensor:
        with learner.autocast():
            logits_BK = learner.forward(learner.batch(x_BCYX))
        return self.error(logits_BK.float(), target, self.weights_K).sum()

    def show(
        self, x_BCYX: Tensor, rows: np.ndarray, numbers: np.ndarray, places: np.ndarray
    ) -> tuple[Tensor, Tensor]:
        """The batch as this epoch shows it, and its targets. `places` are the batch's positions in
        the epoch: a case that is drawn twice is shown in two ways."""
        target = self.targets.index_select(0, torch.from_numpy(rows).to(self.device))
        x_BCYX = self.chain.apply(x_BCYX, numbers, places)
        if not self.mixes:
            return x_BCYX, target
        return self.chain.mix(x_BCYX, shares(target, self.classes), numbers, places)


class Epoch:
    """One showing of the cases, in an order and with changes of its own."""

    def __init__(self, lesson: Lesson, number: int) -> None:
        self.lesson = lesson
        self.rows = batches.order(lesson.rows, lesson.often, lesson.seed, number)
        self.cases = len(self.rows)
        self.numbers = lesson.chain.draw(number, self.cases)

    def batches(self, parts: Sequence[np.ndarray]) -> Iterator[tuple[Tensor, Tensor]]:
        images = self.lesson.source.stream(self.rows[places] for places in parts)
        for places, x_BCYX in zip(parts, images, strict=True):
            yield self.lesson.show(x_BCYX, self.rows[places], self.numbers, places)


def class_weights(plan: Plan, targets: np.ndarray, device: torch.device) -> Tensor | None:
    """Weights (K,) of the classes: the plan's own, or by `balance = "weights"` so that each class
    adds equally; scaled so that the mean over the cases is 1 and the learning rate keeps its sense.

    With several labels: negatives / positives of each label, at most 20, for its positive term.
    """
    if plan.train.class_weights:
        if len(plan.train.class_weights) != len(plan.classes):
            raise PlanError(
                f"train.class_weights: expected {len(plan.classes)} numbers "
                f"({', '.join(plan.classes)}), got {len(plan.train.class_weights)}"
            )
        return torch.tensor(plan.train.class_weights, device=device)
    if plan.train.balance != "weights":
        return None
    if targets.ndim == 2:
        yes, no = (targets == 1).sum(0), (targets == 0).sum(0)
        weights = np.clip(no / np.maximum(yes, 1), 0.05, 20)
    else:
        counts = np.bincount(targets[targets >= 0].astype(int), minlength=len(plan.classes))
        present = counts > 0
        weights = np.where(present, counts.sum() / (present.sum() * np.maximum(counts, 1)), 1.0)
    return torch.tensor(weights, dtype=torch.float32, device=device)


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
