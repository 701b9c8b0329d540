"""A plan for classes carried out: learn, pack, judge, report."""

from __future__ import annotations

from tomos import datasets
from tomos.inference import Predictor
from tomos.plan import Plan
from tomos.tasks import classify
from tomos.transforms.prepare import Chain
from tomos.types import Progress
from tomos.workflows.background import Background
from tomos.workflows.job import MODEL, Done, Job, notices, say_begin, training
from tomos.workflows.judging import judge
from tomos.workflows.learning import LearningData
from tomos.workflows.live import PAGE, Watched
from tomos.workflows.pack import add_figures, finding_of, pack
from tomos.workflows.report import report


def carry_out(job: Job) -> Done:
    """Raises DatasetError, TrainingError, PackageError, StorageError."""
    from tomos.train import train as learn

    plan, opened, progress = job.plan, job.opened, job.progress
    chain = Chain(plan.prepare)
    store = datasets.prepared(job.can.train, chain, progress=progress)
    val_store = datasets.prepared(job.can.val, chain, progress=progress)
    _say_finding(opened, plan, progress)
    say_begin(job, PAGE)
    with Watched(progress, job.run, plan, opened.info.name) as watched:
        trained = learn(
            plan,
            LearningData.of(store, plan),
            LearningData.of(val_store, plan),
            job.run,
            watched,
            resume=job.resume,
            device=job.device,
        )
    packed = pack(job.run / MODEL, plan, trained.nets, opened, store, val_store, progress)
    judged = judge(Predictor(packed.path), opened, job.part, progress=progress)
    background = Background(
        plan=plan,
        training=training(trained, plan, "log_loss", "auroc"),
        findings=datasets.check(opened, progress),
        dropped=job.can.dropped,
        skipped={**store.skipped, **val_store.skipped},
        notices=notices(job.can.notes),
    )
    judged = report(judged, job.run, background, progress)
    add_figures(packed.path, judged.metrics)
    return Done(job.run, plan, judged, trained.notes)


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
