"""The training loop, in reading order. It yields; everything else is a `for` loop around it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from tomos.measures import losses
from tomos.measures.losses.cross_entropy import shares
from tomos.plan.schema import Plan
from tomos.train import batches, optimisers, schedules
from tomos.train.batches import Data, Source
from tomos.train.device import seed_of
from tomos.train.learner import Learner
from tomos.transforms.augment import Chain
from tomos.types import PlanError


@dataclass(frozen=True, slots=True, eq=False)
class Step:
    """One step that was taken; the learner stands after it.

    epoch, index  which epoch, and which of its `of` steps, from 0; `step` of `total` from 1
    loss          mean over the cases of the step, 0-d on the device (reading it waits for it)
    """

    epoch: int
    index: int
    of: int
    step: int
    total: int
    cases: int
    loss: Tensor
    rate: float

    @property
    def ends_epoch(self) -> bool:
        return self.index + 1 == self.of


def steps(plan: Plan, data: Data, learner: Learner, source: Source | None = None) -> Iterator[Step]:
    """Take the steps that the learner has not taken yet, one for each value yielded.

    Between two values the learner may be saved, validated, or left: the same steps follow whenever
    it goes on, in this process or another. `source` holds `data.images` on the device.
    """
    train = plan.train
    source = source or Source(data.images, learner.device)
    lesson = Lesson(plan, data, learner)
    while learner.epoch < train.epochs:
        learner.to_training()
        rows = batches.order(lesson.rows, lesson.often, learner.seed, learner.epoch)
        numbers = lesson.chain.draw(learner.epoch, len(rows))
        groups = batches.grouped(train, len(rows))
        images = source.stream(rows[p] for group in groups[learner.done :] for p in group)
        for index in range(learner.done, len(groups)):
            # Dropout and the like draw from the global generator: a function of the step, too.
            torch.manual_seed(seed_of(learner.seed, learner.step, 3))
            rate = _rate(plan, learner, len(groups))
            learner.optimiser.zero_grad(set_to_none=True)
            cases, total = sum(map(len, groups[index])), torch.zeros((), device=learner.device)
            for places in groups[index]:
                x_BCYX, target = lesson.show(next(images), rows[places], numbers, places)
                with learner.autocast():
                    logits_BK = learner.forward(learner.batch(x_BCYX))
                # Over the cases of the whole step: batches summed are the large batch.
                loss = lesson.loss(logits_BK.float(), target, lesson.weights_K).sum() / cases
                learner.scaler.scale(loss).backward()
                total += loss.detach()
            _move(plan, learner, rate)
            learner.took_step(len(groups))
            step, of = learner.step, len(groups)
            yield Step((step - 1) // of, index, of, step, of * train.epochs, cases, total, rate)


class Lesson:
    """What stays the same through all epochs: the cases, the loss, the augmentation."""

    def __init__(self, plan: Plan, data: Data, learner: Learner) -> None:
        train, device = plan.train, learner.device
        options = dict(train.loss_options)
        if train.label_smoothing:
            options["smoothing"] = train.label_smoothing
        self.loss = losses.build(train.loss, plan.kind, **options)
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


def _rate(plan: Plan, learner: Learner, per_epoch: int) -> float:
    factor = schedules.factor(plan.train, learner.step, per_epoch * plan.train.epochs)
    if plan.train.schedule == "plateau":
        factor *= schedules.plateau(learner.validation, plan.train.epochs)
    return plan.train.learning_rate * learner.slower * factor


def _move(plan: Plan, learner: Learner, rate: float) -> None:
    """One step of the optimiser along the gradients that stand in the net."""
    optimisers.set_rate(learner.optimiser, rate)
    if plan.train.clip:
        learner.scaler.unscale_(learner.optimiser)
        torch.nn.utils.clip_grad_norm_(learner.net.parameters(), plan.train.clip)
    learner.scaler.step(learner.optimiser)
    learner.scaler.update()
