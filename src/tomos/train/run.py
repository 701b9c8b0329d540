"""A whole training run: the loop, and around it validation, stopping, saving, telling."""

from __future__ import annotations

import hashlib
import json
import time
from dataclasses import dataclass, field
from pathlib import Path

import torch
from torch import Tensor, nn

from tomos.plan.schema import Plan
from tomos.train import batches, checkpoint, guards, validate
from tomos.train import learner as learners
from tomos.train.batches import Data, Source
from tomos.train.device import machine
from tomos.train.learner import Learner
from tomos.train.logs import Board, Epoch, Log
from tomos.train.loop import Step, steps
from tomos.train.validate import Best, Validation
from tomos.types import Progress, Silent, TrainingError

SLOWER = 0.3  # factor on the learning rate after a divergence, once
OVERTIME = 1.5  # times the plan's minutes: then the run stops at the step where it is
SAVE_EVERY = 30.0  # seconds of work that a kill may cost


@dataclass(frozen=True, slots=True, eq=False)
class Trained:
    """What training leaves.

    nets     the best weights of each network of the ensemble, read back from its file; on the CPU
    epochs   the epoch, from 1, that each is from
    history  every epoch of every network
    stopped  why each ended: "finished", "early" (no better validation), "budget" (out of time)
    notes    what was odd, in sentences
    """

    nets: tuple[nn.Module, ...]
    epochs: tuple[int, ...]
    history: tuple[Epoch, ...]
    stopped: tuple[str, ...]
    notes: tuple[str, ...]


def train(
    plan: Plan,
    train_data: Data,
    val_data: Data | None,
    folder: Path,
    progress: Progress | None = None,
    *,
    resume: bool = False,
    device: str = "",
    save_every: float = SAVE_EVERY,
) -> Trained:
    """Carry out a plan: `checkpoints/`, `log.jsonl` and `events/` grow in `folder`.

    With `resume` the run goes on from the last checkpoint, to the very weights that it would have
    reached undisturbed (same machine, versions and threads); without, it starts over. At the end
    the nets are read back from `best.safetensors`. After a divergence a net is trained once more
    from its beginning at 0.3 times the rate; history and notes tell.

    device      "auto", "cpu", "cuda", ...; "" = the plan's own
    save_every  seconds of work between checkpoints, 0 = after every step

    Raises DatasetError or PlanError for what cannot be learned from, TrainingError for a divergence
    or a checkpoint that does not fit, StorageError when the disk is full (the previous checkpoint
    is whole then).
    """
    with machine(device or plan.budget.device, plan.train.threads) as place:
        job = Job.of(plan, train_data, val_data, Path(folder), progress or Silent(), place)
        job.save_every = save_every
        if not resume:
            job.start_over()
        for member in range(plan.train.members):
            if member and job.over():
                job.note(f"out of time: {member} of {plan.train.members} networks were trained")
                break
            job.member(member, resume)
    return Trained(
        nets=tuple(job.nets),
        epochs=tuple(job.epochs),
        history=tuple(job.history),
        stopped=tuple(job.stopped),
        notes=tuple(job.notes),
    )


@dataclass
class Course:
    """How far one net has come, beside what its `Learner` holds."""

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
class Job:
    """One call of `train`."""

    plan: Plan
    data: Data
    val: Data | None
    folder: Path
    progress: Progress
    device: torch.device
    source: Source
    val_source: Source | None
    notes: list[str]
    save_every: float = SAVE_EVERY
    seconds: float = 0.0  # of work before this process
    started: float = field(default_factory=time.monotonic)
    history: list[Epoch] = field(default_factory=list)
    nets: list[nn.Module] = field(default_factory=list)
    epochs: list[int] = field(default_factory=list)
    stopped: list[str] = field(default_factory=list)

    @classmethod
    def of(
        cls,
        plan: Plan,
        data: Data,
        val: Data | None,
        folder: Path,
        progress: Progress,
        device: torch.device,
    ) -> Job:
        """Check everything and bring the pictures to the device."""
        val = val if val is not None and len(val.images) else None
        found = guards.check(plan, data, "train")
        if val is not None:
            found += guards.check(plan, val, "val")
        source = Source(data.images, device)
        val_source = None if val is None else Source(val.images, device)
        job = cls(plan, data, val, folder, progress, device, source, val_source, [])
        for note in found:
            job.note(note)
        if val is None:
            job.note("no validation part: the last epoch is kept, and nothing stops early")
        return job

    def note(self, text: str) -> None:
        self.notes.append(text)
        self.progress.say(text)

    def elapsed(self) -> float:
        return self.seconds + time.monotonic() - self.started

    def over(self) -> bool:
        return self.elapsed() > OVERTIME * 60 * self.plan.budget.minutes

    def start_over(self) -> None:
        """Forget an earlier run: a later `resume` must not find its checkpoints."""
        for member in range(16):
            checkpoint.clean(checkpoint.folder_of(self.folder, member), everything=True)

    def member(self, member: int, resume: bool) -> None:
        """Train one net to its end and read its best weights back."""
        place = checkpoint.folder_of(self.folder, member)
        checkpoint.clean(place)
        course, last = Course(), place / "last.safetensors"
        if resume and last.exists():
            net = learners.drawn(self.plan, member)
            learner = learners.around(self.plan, net, self.device, member)
            self._resume(last, learner, course)
        else:
            learner = learners.new(self.plan, self.device, member)
            if learner.weights:
                self.note(learner.weights)
        log = Log(self.folder / "log.jsonl", self.history)
        if not course.stopped:
            events = self.folder / "events" / (f"member{member + 1}" if member else "")
            board = Board(events, self.progress, learner.epoch)
            try:
                course = self._taught(learner, course, log, board)
            finally:
                board.close()
        self._read_back(place / "best.safetensors", member)
        self.stopped.append(course.stopped)

    def _read_back(self, path: Path, member: int) -> None:
        """What is handed on is what the file holds, not what memory does."""
        tensors, facts = checkpoint.read(path)
        net = learners.drawn(self.plan, member)
        checkpoint.load_net(net, tensors, path)
        self.nets.append(net.eval())
        self.epochs.append(facts["epoch"])

    def _taught(self, learner: Learner, course: Course, log: Log, board: Board) -> Course:
        try:
            self._teach(learner, course, log, board)
            return course
        except guards.Diverged as error:
            if learner.slower < 1:
                raise
            self.note(f"{error} Trying once more at {SLOWER:g} times the rate.")
            self.history = [e for e in self.history if e.member != learner.member]
            log = Log(log.path, self.history)
        learner = learners.new(self.plan, self.device, learner.member, SLOWER)
        course = Course()
        self._teach(learner, course, log, board)
        return course

    def _teach(self, learner: Learner, course: Course, log: Log, board: Board) -> None:
        """The `for` loop around the loop."""
        saved, cost = time.monotonic(), 0.0
        every = 1 if self.device.type == "cpu" else 20
        taken = steps(self.plan, self.data, learner, self.source)
        for step in guards.watched(taken, learner, every):
            course.add(step)
            over = self.over()
            if step.ends_epoch or over:
                epoch = self._end_of_epoch(learner, course, step, over)
                self.history.append(epoch)
                log.add(epoch)
                board.add(epoch)
            self._tell(learner, step)
            since = time.monotonic() - saved
            pause = min(self.save_every, 10 * cost) if step.ends_epoch else self.save_every
            if since >= pause or course.stopped:
                begun = time.monotonic()
                self._save(learner, course)
                saved = time.monotonic()
                cost = saved - begun
            if course.stopped:
                return

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
            self.note(
                f"stopped at step {step.step} of {step.total}: {OVERTIME:g} times the planned "
                f"{self.plan.budget.minutes:g} minutes are over"
            )
        return Epoch(
            member=learner.member,
            epoch=step.epoch + 1,
            step=step.step,
            loss=course.mean_loss(),
            rate=step.rate,
            seconds=round(self.elapsed(), 3),
            validation=found.figures() if found else None,
            kept=kept,
            slower=learner.slower,
        )

    def _validated(self, learner: Learner) -> Validation | None:
        if self.val is None or self.val_source is None:
            return None
        train, weights = self.plan.train, None
        if train.balance != "none" and self.plan.kind != "multilabel":
            weights = batches.rare(self.val.targets)
        logits_NK = validate.evaluate_net(
            learner.best_net, self.val_source, channels_last=train.channels_last
        )
        return validate.judge(logits_NK, self.val.targets, self.plan.kind, weights)

    def _stops(self, learner: Learner, course: Course, over: bool) -> str:
        """Why the net is done, "" while it is not."""
        patience = self.plan.train.patience
        if learner.epoch >= self.plan.train.epochs:
            return "finished"
        if over:
            return "budget"
        return "early" if patience and course.best.since >= patience else ""

    def _tell(self, learner: Learner, step: Step) -> None:
        members, epochs = self.plan.train.members, self.plan.train.epochs
        note = f"epoch {step.epoch + 1}/{epochs}"
        if members > 1:
            note = f"net {learner.member + 1}/{members}, {note}"
        if self.history and self.history[-1].member == learner.member:
            note += f"  {self.history[-1].note()}"
        self.progress.step(learner.member * step.total + step.step, members * step.total, note)

    def _save(self, learner: Learner, course: Course) -> None:
        """The best weights first: a `last` that speaks of them must find them."""
        course.collect()
        place = checkpoint.folder_of(self.folder, learner.member)
        own = [epoch for epoch in self.history if epoch.member == learner.member]
        if course.weights is not None:
            about = {"epoch": course.best.epoch, "member": learner.member}
            checkpoint.write(place / "best.safetensors", course.weights, about)
            course.weights = None
        best = course.best
        facts = {
            "plan": _fingerprint(self.plan, self.data, self.val),
            "machine": _machine(self.device),
            "seconds": self.elapsed(),
            "best": {"epoch": best.epoch, "lowest": best.lowest, "since": best.since},
            "loss": course.loss,
            "cases": course.cases,
            "stopped": course.stopped,
            "history": [epoch.to_json() for epoch in own],
        }
        reference = {"best.reference": torch.from_numpy(best.reference)}
        checkpoint.save(place / "last.safetensors", learner, facts, reference)

    def _resume(self, path: Path, learner: Learner, course: Course) -> None:
        facts, more = checkpoint.restore(path, learner)
        if facts["plan"] != _fingerprint(self.plan, self.data, self.val):
            raise TrainingError(
                f"{path}: was written by another plan or for other data; "
                "start without --resume, or go on with the plan.toml beside it"
            )
        if facts["machine"] != _machine(self.device):
            self.note(
                f"resumed on {_machine(self.device)}, begun on {facts['machine']}: "
                "the weights will not be equal to the last bit"
            )
        if learner.slower < 1:
            self.note(f"learning at {learner.slower:g} times the plan's rate since a divergence")
        best = facts["best"]
        course.best = Best(best["epoch"], best["lowest"], best["since"])
        course.best.reference = more["best.reference"].numpy()
        course.loss, course.cases = facts["loss"], facts["cases"]
        course.stopped = facts["stopped"]
        self.history += [Epoch(**epoch) for epoch in facts["history"]]
        self.seconds, self.started = facts["seconds"], time.monotonic()
        if not course.stopped:
            self.progress.say(f"Going on from epoch {learner.epoch + 1}, step {learner.step + 1}")


def _fingerprint(plan: Plan, data: Data, val: Data | None) -> str:
    """Of all that decides the weights: the plan without its words and forecasts, and the data's
    size (the plan names their checksum)."""
    told = plan.model_dump(mode="json", exclude={"reasons", "budget", "fingerprint", "predict"})
    sizes = [list(data.images.shape), None if val is None else list(val.images.shape)]
    text = json.dumps([told, sizes], sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()


def _machine(device: torch.device) -> str:
    return f"{device.type}, torch {torch.__version__}, {torch.get_num_threads()} threads"
