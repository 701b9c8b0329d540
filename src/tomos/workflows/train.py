"""`tomos train`: a plan carried out -> RUN with weights, model.tomos, metrics.json, report.html."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from tomos import config, datasets
from tomos.datasets import Learnable, Note
from tomos.evaluate import Notice, Training, Words
from tomos.inference import Predictor
from tomos.plan import Plan, learned
from tomos.tasks import classify
from tomos.transforms.prepare import Chain
from tomos.types import PlanError, Progress, Silent
from tomos.workflows.judging import Judged, judge
from tomos.workflows.learning import LearningData
from tomos.workflows.live import PAGE, Watched
from tomos.workflows.pack import add_figures, finding_of, pack
from tomos.workflows.plan import (
    HEADER,
    check_wishes,
    chosen_device,
    make_plan,
    needs_torch,
    opened_for,
    overridden,
)
from tomos.workflows.report import Background, report

MODEL, PLAN = "model.tomos", "plan.toml"


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


def train(
    dataset: str | Path,
    out: str | Path | None = None,
    *,
    plan_file: str | Path | None = None,
    minutes: float | None = None,
    seed: int = 0,
    recipe: str = "auto",
    device: str = "auto",
    overrides: Sequence[str] = (),
    accept_leak: str = "",
    resume: bool = False,
    fold: str = "",
    progress: Progress | None = None,
) -> Done:
    """Plan (unless given), learn, pack, judge, report.

    A run is judged on test, or on val where there is no test, and says so. With `fold`, "2/5", the
    cases of train and val are dealt out for that round of cross-validation (by `seed`), and the
    run is judged on the fold held out of it: the test stays locked.
    Raises LeakError, DatasetError, PlanError, TrainingError, StorageError.
    """
    progress = progress or Silent()
    needs_torch("training")
    check_wishes(minutes, recipe, overrides)
    from tomos.train import train as learn

    opened = opened_for(dataset, fold, seed, progress)
    run = Path(out) if out else Path("runs") / (opened.info.name + _suffix(fold))
    can = datasets.learnable(opened, accept_leak, progress)
    wishes = {"minutes": minutes, "seed": seed, "recipe": recipe, "device": device}
    plan = _plan(run, opened, can, plan_file, overrides, resume, progress, wishes)
    chain = Chain(plan.prepare)
    store = datasets.prepared(can.train, chain, progress=progress)
    val_store = datasets.prepared(can.val, chain, progress=progress)
    _say_finding(opened, plan, progress)
    progress.say(
        f"training: {plan.train.members} x {plan.model.name}, {plan.train.epochs} epochs, "
        f"about {plan.budget.predicted_seconds / 60:.1f} minutes"
    )
    progress.say(f"to watch it: {run / PAGE}")
    with Watched(progress, run, plan, opened.info.name) as watched:
        trained = learn(
            plan,
            LearningData.of(store, plan),
            LearningData.of(val_store, plan),
            run,
            watched,
            resume=resume,
            device=_device(device, plan.budget.device),
        )
    packed = pack(run / MODEL, plan, trained.nets, opened, store, val_store, progress)
    part = datasets.FOLD if fold else "test" if len(opened.split("test")) else "val"
    judged = judge(Predictor(packed.path), opened, part, progress=progress)
    background = Background(
        plan=plan,
        training=_training(trained, plan),
        findings=datasets.check(opened, progress),
        dropped=can.dropped,
        skipped={**store.skipped, **val_store.skipped},
        notices=_notices(can.notes),
    )
    judged = report(judged, run, background, progress)
    add_figures(packed.path, judged.metrics)
    return Done(run, plan, judged, trained.notes)


def _suffix(fold: str) -> str:
    return f"-fold{fold.replace('/', 'of')}" if fold else ""


def _plan(
    run, opened, can: Learnable, plan_file, overrides, resume: bool, progress, wishes: dict
) -> Plan:
    """The run's plan: its own when it is resumed, else the given one, else a new one."""
    here = run / PLAN
    if resume and not here.exists():
        raise PlanError(
            f"{run}: there is no run to go on with (no {PLAN}); name its folder with -o, or leave "
            "out --resume"
        )
    if resume:
        if plan_file or overrides:
            raise PlanError(
                f"{run}: a run is resumed with its own plan; leave out --plan and --set"
            )
        plan = config.load(Plan, here)
    elif plan_file:
        plan = overridden(config.load(Plan, Path(plan_file)), overrides)
        config.save(plan, here, HEADER)
    else:
        progress.say("planning")
        plan, _ = make_plan(
            opened.folder, here, learnable=can, overrides=overrides, progress=progress, **wishes
        )
    _fits(plan, can, here)
    return plan


def _say_finding(dataset: datasets.Dataset, plan: Plan, progress: Progress) -> None:
    """Where the names of two classes do not tell which is the finding, it is a guess to be said."""
    finding = finding_of(dataset, plan)
    given = dataset.target(plan.target).positive
    if finding and plan.kind == "class" and not given and not classify.negative(plan.classes):
        progress.say(
            f"of {' and '.join(plan.classes)}, {finding!r} is taken as the finding; if it is the "
            f"other, set positive under [targets.{plan.target}] in dataset.toml (or import with "
            "--positive) and train again"
        )


def _fits(plan: Plan, can: Learnable, where: Path) -> None:
    if plan.classes != can.train.classes:
        raise PlanError(
            f"{where}: the plan is for the classes {', '.join(plan.classes)}, the data set has "
            f"{', '.join(can.train.classes)}; make a new plan with: tomos plan"
        )
    if plan.dataset.checksum != learned(can.train, can.val):
        raise PlanError(
            f"{where}: the cases to learn from are not those the plan was made for; make a new "
            "plan with: tomos plan"
        )


def _notices(notes: Sequence[Note]) -> list[Notice]:
    """What the leak rule says; an accepted leak first of all. The report finds the rest itself."""
    told = [note for note in notes if not note.text.startswith(("Patients are", "The patient"))]
    return [Notice(Words(*note), serious="leak" in note.text.lower()) for note in told]


def _device(wish: str, planned: str) -> str:
    return planned if wish == "auto" else chosen_device(wish)


def _training(trained, plan: Plan) -> Training:
    """The curves of the first network; all have alike ones."""
    first = [epoch for epoch in trained.history if epoch.member == 0]
    judged = [epoch.validation or {} for epoch in first]
    return Training(
        losses={
            "train": [epoch.loss for epoch in first],
            "val": [values.get("log_loss") or float("nan") for values in judged],
        },
        scores={"val": [values.get("auroc") or float("nan") for values in judged]},
        best=trained.epochs[0],
        seconds=max(epoch.seconds for epoch in trained.history),
        machine=plan.budget.machine,
    )
