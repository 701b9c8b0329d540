"""The training loop, in reading order. It yields; everything else is a `for` loop around it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from tomos.plan.schema import Plan
from tomos.train import batches, optimisers, schedules
from tomos.train import subject as subjects
from tomos.train.device import seed_of
from tomos.train.learner import Learner


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


def steps(plan: Plan, data: Any, learner: Learner, placed: Any = None) -> Iterator[Step]:
    """Take the steps that the learner has not taken yet, one for each value yielded.

    Between two values the learner may be saved, validated, or left: the same steps follow whenever
    it goes on, in this process or another. `placed` is `data` where the task's `placed` put it.
    """
    train, subject = plan.train, subjects.of(plan)
    placed = placed or subject.placed(plan, data, learner.device)
    lesson = subject.lesson(plan, data, learner, placed)
    while learner.epoch < train.epochs:
        learner.to_training()
        shown = lesson.epoch(learner.epoch)
        groups = batches.grouped(train, shown.cases)
        parts = shown.batches([p for group in groups[learner.done :] for p in group])
        for index in range(learner.done, len(groups)):
            # Dropout and the like draw from the global generator: a function of the step, too.
            torch.manual_seed(seed_of(learner.seed, learner.step, 3))
            rate = _rate(plan, learner, len(groups))
            learner.optimiser.zero_grad(set_to_none=True)
            cases, total = sum(map(len, groups[index])), torch.zeros((), device=learner.device)
            for _ in groups[index]:
                # Over the cases of the whole step: batches summed are the large batch.
                loss = lesson.loss(learner, *next(parts)) / cases
                learner.scaler.scale(loss).backward()
                total += loss.detach()
            _move(plan, learner, rate)
            learner.took_step(len(groups))
            step, of = learner.step, len(groups)
            yield Step((step - 1) // of, index, of, step, of * train.epochs, cases, total, rate)


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
