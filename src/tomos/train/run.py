"""A whole training run: every network of the plan, one after another or side by side."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from torch import nn

from tomos.plan.schema import MOST, Plan
from tomos.train import beside, checkpoint
from tomos.train import learner as learners
from tomos.train import subject as subjects
from tomos.train.device import machine
from tomos.train.logs import Epoch, Log
from tomos.train.member import SAVE_EVERY, Member, School, overtime
from tomos.types import Progress, Silent


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
    train_data: Any,
    val_data: Any,
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
    folder, subject = Path(folder), subjects.of(plan)
    val = val_data if val_data is not None and subject.size(val_data)[0] else None
    told = Told(progress or Silent(), len(plan.networks), Log(folder / "log.jsonl"))
    with machine(device or plan.budget.device, plan.train.threads) as place:
        parts = [("train", train_data), *([] if val is None else [("val", val)])]
        checks = [(kind, data, part) for kind in plan.kinds for part, data in parts]
        found = [note for check in checks for note in subject.check(*check)]
        if val is None:
            found.append("no validation part: the last epoch is kept, and nothing stops early")
        for note in found:
            told.note(note)
        if not resume:
            _start_over(folder)
        beside_pays = plan.task == "classify" and place.type == "cpu"
        if plan.train.together > 1 and plan.train.members > 1 and beside_pays:
            stopped = beside.train(plan, train_data, val, folder, told, resume, save_every)
        else:
            school = School.of(plan, train_data, val, folder, place, save_every)
            stopped = _in_turn(school, told, resume)
        if len(stopped) < (planned := len(plan.networks)):
            told.note(f"out of time: {len(stopped)} of {planned} networks were trained")
        read = [_read_back(plan, folder, member) for member in range(len(stopped))]
    return Trained(
        nets=tuple(net for net, _ in read),
        epochs=tuple(epoch for _, epoch in read),
        history=told.log.history,
        stopped=tuple(stopped),
        notes=tuple(told.notes),
    )


def _in_turn(school: School, told: Told, resume: bool) -> list[str]:
    """Why each network ended; those that no time was left for are missing."""
    stopped: list[str] = []
    seconds = 0.0
    for number in range(school.members):
        if number and seconds > overtime(school.plan):
            break
        member = Member(school, number, told, seconds)
        stopped.append(member.learn(resume))
        seconds = member.elapsed()
    return stopped


def _start_over(folder: Path) -> None:
    """Forget an earlier run: a later `resume` must not find its checkpoints."""
    for member in range(MOST):
        checkpoint.clean(checkpoint.folder_of(folder, member), everything=True)


def _read_back(plan: Plan, folder: Path, member: int) -> tuple[nn.Module, int]:
    """What is handed on is what the file holds, not what memory does."""
    path = checkpoint.folder_of(folder, member) / "best.safetensors"
    tensors, facts = checkpoint.read(path)
    net = learners.drawn(plan.networks[member], member)
    checkpoint.load_net(net, tensors, path)
    return net.eval(), facts["epoch"]


@dataclass
class Told:
    """The `Ear` of a run: draws the progress of all networks as one, keeps log and notes.

    shares  how much of its way each network has gone, 0 to 1
    """

    progress: Progress
    members: int
    log: Log
    notes: list[str] = field(default_factory=list)
    said: set[str] = field(default_factory=set)
    shares: dict[int, float] = field(default_factory=dict)

    def say(self, text: str) -> None:
        """Once: what one network has to say, others often say, too."""
        if text not in self.said:
            self.said.add(text)
            self.progress.say(text)

    def note(self, text: str) -> None:
        if text not in self.notes:
            self.notes.append(text)
            self.progress.say(text)

    def begins(self, member: int, epochs: list[Epoch]) -> None:
        self.log.begins(member, epochs)

    def step(self, member: int, done: int, total: int, note: str) -> None:
        self.shares[member] = done / total
        whole = round(sum(self.shares.values()) * total)
        self.progress.step(whole, self.members * total, note)

    def add(self, epoch: Epoch) -> None:
        self.log.add(epoch)

    def ends(self, member: int, why: str) -> None:
        self.shares[member] = 1.0
