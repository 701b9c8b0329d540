"""A run that has gone wrong is stopped as soon as it shows."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator

from tomos.train.learner import Learner
from tomos.train.loop import Step
from tomos.types import TrainingError

EXPLODED = 20.0  # times the first losses


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
