"""A training run as the workflows see it: what is to be done, and what was done."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from tomos import datasets
from tomos.datasets import Learnable, Note
from tomos.evaluate import Notice, Training, Words
from tomos.plan import Plan
from tomos.types import Progress

MODEL, PLAN = "model.tomos", "plan.toml"


@dataclass(frozen=True, slots=True, eq=False)
class Job:
    """A plan to be carried out on a data set. `part`: the one that the model is judged on."""

    run: Path
    opened: datasets.Dataset
    can: Learnable
    plan: Plan
    part: str
    resume: bool
    device: str
    progress: Progress


class Judged(Protocol):
    """A model on one part of a data set, whatever its task."""

    @property
    def metrics(self) -> Any: ...
    @property
    def page(self) -> Path: ...
    def to_json(self) -> dict: ...
    def lines(self) -> list[str]: ...


@dataclass(frozen=True, slots=True, eq=False)
class Done:
    """A finished run: where it lies, and how good the model is on the part it never saw."""

    folder: Path
    plan: Plan
    judged: Judged
    notes: tuple[str, ...]

    @property
    def model(self) -> Path:
        return self.folder / MODEL

    def to_json(self) -> dict:
        return self.judged.to_json()

    def lines(self) -> list[str]:
        return [*self.judged.lines(), *self.notes, f"  {self.model}"]


def say_begin(job: Job, page: str) -> None:
    plan = job.plan
    each = "; ".join(
        f"{kind.train.members} x {kind.model.name}, {kind.train.epochs} epochs"
        for kind in plan.kinds
    )
    job.progress.say(f"training: {each}, about {plan.budget.predicted_seconds / 60:.1f} minutes")
    job.progress.say(f"to watch it: {job.run / page}")


def notices(notes: Sequence[Note]) -> list[Notice]:
    """What the leak rule says; an accepted leak first of all. The report finds the rest itself."""
    told = [note for note in notes if not note.text.startswith(("Patients are", "The patient"))]
    return [Notice(Words(*note), serious="leak" in note.text.lower()) for note in told]


def training(trained: Any, plan: Plan, loss: str, score: str) -> Training:
    """The curves of the first network; all have alike ones. `loss` and `score` name the figures of
    the log that are shown of the validation part."""
    first = [epoch for epoch in trained.history if epoch.member == 0]
    judged = [epoch.validation or {} for epoch in first]
    return Training(
        losses={
            "train": [epoch.loss for epoch in first],
            "val": [values.get(loss) or float("nan") for values in judged],
        },
        scores={"val": [values.get(score) or float("nan") for values in judged]},
        score_name=score,
        best=trained.epochs[0],
        seconds=max(epoch.seconds for epoch in trained.history),
        machine=plan.budget.machine,
    )
