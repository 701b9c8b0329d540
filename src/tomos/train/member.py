"""One network of a run, from its first step to its last."""

from __future__ import annotations

import hashlib
import json
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

import torch
from torch import Tensor

from tomos.plan.schema import Plan
from tomos.train import checkpoint, guards
from tomos.train import learner as learners
from tomos.train import subject as subjects
from tomos.train.learner import Learner
from tomos.train.logs import Board, Epoch
from tomos.train.loop import Step, steps
from tomos.train.subject import Judged
from tomos.train.validate import Best
from tomos.types import TrainingError

SLOWER = 0.3  # factor on the learning rate after a divergence, once
OVERTIME = 1.5  # times the plan's minutes: then the run stops at the step where it is
SAVE_EVERY = 30.0  # seconds of work that a kill may cost


class Ear(Protocol):
    """Who is told how the networks get on. `say` is for the moment, `note` for the record."""

    def say(self, text: str) -> None: ...
    def note(self, text: str) -> None: ...
    def begins(self, member: int, epochs: list[Epoch]) -> None:
        """What counts of a network so far: of a new one nothing, of a resumed one its epochs."""
        ...

    def step(self, member: int, done: int, total: int, note: str) -> None: ...
    def add(self, epoch: Epoch) -> None: ...
    def ends(self, member: int, why: str) -> None: ...


@dataclass(frozen=True, slots=True, eq=False)
class School:
    """What all networks of a run share. `placed`: the data where they can be shown from."""

    plan: Plan
    data: Any
    val: Any
    folder: Path
    device: torch.device
    placed: Any
    val_placed: Any
    save_every: float = SAVE_EVERY

    @property
    def members(self) -> int:
        return len(self.plan.networks)

    @classmethod
    def of(
        cls,
        plan: Plan,
        data: Any,
        val: Any,
        folder: Path,
        device: torch.device,
        save_every: float = SAVE_EVERY,
    ) -> School:
        subject = subjects.of(plan)
        placed = subject.placed(plan, data, device)
        val_placed = None if val is None else subject.placed(plan, val, device)
        return cls(plan, data, val, folder, device, placed, val_placed, save_every)


@dataclass
class Course:
    """How far a network has come, beside what its `Learner` holds."""

    best: Best = field(default_factory=Best)
    weights: dict[str, Tensor] | None = None  # the best ones, until they are on disk
    loss: float = 0.0
    cases: int = 0
    waiting: list[tuple[Tensor, int]] = field(default_factory=list)
    stopped: str = ""

    def add(self, step: Step) -> None:
        self.waiting.append((step.loss, step.cases))

    def collect(self) -> None:
        """Add up the losses that wait on the device; in their order, so that a resumed sum is the
        same to the last bit."""
        if self.waiting:
            losses = torch.stack([loss for loss, _ in self.waiting]).tolist()
            for loss, (_, cases) in zip(losses, self.waiting, strict=True):
                self.loss, self.cases = self.loss + loss * cases, self.cases + cases
            self.waiting.clear()

    def mean_loss(self) -> float:
        """Over the cases since it was last asked."""
        self.collect()
        loss, self.loss, cases, self.cases = self.loss, 0.0, self.cases, 0
        return loss / cases


@dataclass
class Member:
    """One network being trained. `seconds`: of the run's work before this object was made."""

    school: School
    number: int
    ear: Ear
    seconds: float = 0.0
    started: float = field(default_factory=time.monotonic)
    history: list[Epoch] = field(default_factory=list)
    plan: Plan = field(init=False)

    def __post_init__(self) -> None:
        # Its own: kinds of network may differ.
        self.plan = self.school.plan.networks[self.number]

    @property
    def place(self) -> Path:
        return checkpoint.folder_of(self.school.folder, self.number)

    def elapsed(self) -> float:
        return self.seconds + time.monotonic() - self.started

    def over(self) -> bool:
        return self.elapsed() > overtime(self.plan)

    def learn(self, resume: bool) -> str:
        """Train to the end; its best weights lie in `best.safetensors` then. Why it ended."""
        checkpoint.clean(self.place)
        course, last = Course(), self.place / "last.safetensors"
        device = self.school.device
        if resume and last.exists():
            net = learners.drawn(self.plan, self.number)
            learner = learners.around(self.plan, net, device, self.number)
            self._resume(last, learner, course)
        else:
            learner = learners.new(self.plan, device, self.number)
            if learner.weights:
                self.ear.note(learner.weights)
        self.ear.begins(self.number, self.history)
        if not course.stopped:
            course.stopped = self._watched(learner, course)
        self.ear.ends(self.number, course.stopped)
        return course.stopped

    def _watched(self, learner: Learner, course: Course) -> str:
        events = self.school.folder / "events" / (f"member{self.number + 1}" if self.number else "")
        board = Board(events, self.ear.say, learner.epoch)
        try:
            return self._taught(learner, course, board)
        finally:
            board.close()

    def _taught(self, learner: Learner, course: Course, board: Board) -> str:
        """Learn, and after a divergence once more from the beginning."""
        try:
            return self._teach(learner, course, board)
        except guards.Diverged as error:
            if learner.slower < 1:
                raise
            self.ear.note(f"{error} Trying once more at {SLOWER:g} times the rate.")
        self.history = []
        self.ear.begins(self.number, [])
        again = learners.new(self.plan, self.school.device, self.number, SLOWER)
        return self._teach(again, Course(), board)

    def _teach(self, learner: Learner, course: Course, board: Board) -> str:
        """The `for` loop around the loop."""
        school, saved, cost = self.school, time.monotonic(), 0.0
        every = 1 if school.device.type == "cpu" else 20
        taken = steps(self.plan, school.data, learner, school.placed)
        for step in guards.watched(taken, learner, every):
            course.add(step)
            over = self.over()
            if step.ends_epoch or over:
                epoch = self._end_of_epoch(learner, course, step, over)
                self.history.append(epoch)
                self.ear.add(epoch)
                board.add(epoch)
            self._tell(step)
            since = time.monotonic() - saved
            pause = min(school.save_every, 10 * cost) if step.ends_epoch else school.save_every
            if since >= pause or course.stopped:
                begun = time.monotonic()
                self._save(learner, course)
                saved = time.monotonic()
                cost = saved - begun
            if course.stopped:
                break
        return course.stopped

    def _end_of_epoch(self, learner: Learner, course: Course, step: Step, over: bool) -> Epoch:
        """Validate, decide what to keep and whether to go on."""
        found = self._validated(learner)
        if found:
            learner.validation.append(found.refined)
        kept = course.best.keep(step.epoch + 1, found.values if found else None)
        if kept:
            weights = learner.best_net.state_dict()
            course.weights = {n: t.detach().to("cpu", copy=True) for n, t in weights.items()}
        course.stopped = self._stops(learner, course, over)
        if course.stopped == "budget":
            self.ear.note(
                f"stopped at step {step.step} of {step.total}: {OVERTIME:g} times the planned "
                f"{self.plan.budget.minutes:g} minutes are over"
            )
        return Epoch(
            member=self.number,
            epoch=step.epoch + 1,
            step=step.step,
            loss=course.mean_loss(),
            rate=step.rate,
            seconds=round(self.elapsed(), 3),
            validation=found.figures() if found else None,
            kept=kept,
            slower=learner.slower,
        )

    def _validated(self, learner: Learner) -> Judged | None:
        school = self.school
        if school.val is None:
            return None
        subject = subjects.of(self.plan)
        return subject.validated(self.plan, learner.best_net, school.val, school.val_placed)

    def _stops(self, learner: Learner, course: Course, over: bool) -> str:
        """Why the net is done, "" while it is not."""
        patience = self.plan.train.patience
        if learner.epoch >= self.plan.train.epochs:
            return "finished"
        if over:
            return "budget"
        return "early" if patience and course.best.since >= patience else ""

    def _tell(self, step: Step) -> None:
        members, epochs = self.school.members, self.plan.train.epochs
        note = f"epoch {step.epoch + 1}/{epochs}"
        if members > 1:
            note = f"net {self.number + 1}/{members}, {note}"
        if self.history:
            note += f"  {self.history[-1].note()}"
        self.ear.step(self.number, step.step, step.total, note)

    def _save(self, learner: Learner, course: Course) -> None:
        """The best weights first: a `last` that speaks of them must find them."""
        course.collect()
        if course.weights is not None:
            about = {"epoch": course.best.epoch, "member": self.number}
            checkpoint.write(self.place / "best.safetensors", course.weights, about)
            course.weights = None
        best, school = course.best, self.school
        facts = {
            "plan": _fingerprint(self.plan, school.data, school.val),
            "machine": _machine(school.device),
            "seconds": self.elapsed(),
            "best": {"epoch": best.epoch, "lowest": best.lowest, "since": best.since},
            "loss": course.loss,
            "cases": course.cases,
            "stopped": course.stopped,
            "history": [epoch.to_json() for epoch in self.history],
        }
        reference = {"best.reference": torch.from_numpy(best.reference)}
        checkpoint.save(self.place / "last.safetensors", learner, facts, reference)

    def _resume(self, path: Path, learner: Learner, course: Course) -> None:
        facts, more = checkpoint.restore(path, learner)
        if facts["plan"] != _fingerprint(self.plan, self.school.data, self.school.val):
            raise TrainingError(
                f"{path}: was written by another plan or for other data; "
                "start without --resume, or go on with the plan.toml beside it"
            )
        if facts["machine"] != _machine(self.school.device):
            self.ear.note(
                f"resumed on {_machine(self.school.device)}, begun on {facts['machine']}: "
                "the weights will not be equal to the last bit"
            )
        if learner.slower < 1:
            self.ear.note(
                f"learning at {learner.slower:g} times the plan's rate since a divergence"
            )
        best = facts["best"]
        course.best = Best(best["epoch"], best["lowest"], best["since"])
        course.best.reference = more["best.reference"].numpy()
        course.loss, course.cases = facts["loss"], facts["cases"]
        course.stopped = facts["stopped"]
        self.history = [Epoch(**epoch) for epoch in facts["history"]]
        self.seconds, self.started = facts["seconds"], time.monotonic()
        if not course.stopped:
            self.ear.say(f"Going on from epoch {learner.epoch + 1}, step {learner.step + 1}")


def overtime(plan: Plan) -> float:
    """Seconds of work after which a run is stopped."""
    return OVERTIME * 60 * plan.budget.minutes


def _fingerprint(plan: Plan, data: Any, val: Any) -> str:
    """Of all that decides the weights: the plan without its words and forecasts, and the data's
    size (the plan names their checksum)."""
    words = {"reasons", "reasons_zh", "budget", "fingerprint", "predict"}
    told = plan.model_dump(mode="json", exclude=words)
    # Which networks are trained at the same time changes none of them.
    del told["train"]["together"]
    size = subjects.of(plan).size
    sizes = [size(data), None if val is None else size(val)]
    text = json.dumps([told, sizes], sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()


def _machine(device: torch.device) -> str:
    return f"{device.type}, torch {torch.__version__}, {torch.get_num_threads()} threads"
