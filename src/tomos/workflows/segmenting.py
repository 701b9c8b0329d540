"""A plan for masks carried out: learn, pack, judge, report."""

from __future__ import annotations

from tomos import datasets
from tomos.evaluate import Notice, Words
from tomos.inference import MaskPredictor
from tomos.plan import Plan
from tomos.transforms.prepare import Chain
from tomos.workflows.background import Background
from tomos.workflows.job import MODEL, Done, Job, notices, say_begin, training
from tomos.workflows.judging_masks import judge
from tomos.workflows.live import PAGE, Watched, kind_said
from tomos.workflows.pack import add_figures
from tomos.workflows.pack_masks import pack
from tomos.workflows.report_masks import report


def carry_out(job: Job) -> Done:
    """Raises DatasetError, TrainingError, PackageError, StorageError."""
    from tomos.train import train as learn

    plan, opened, progress = job.plan, job.opened, job.progress
    chain = Chain(plan.prepare)
    shelves = (
        datasets.shelved(job.can.train, chain, progress=progress),
        datasets.shelved(job.can.val, chain, progress=progress),
    )
    for name, why in {**shelves[0].skipped, **shelves[1].skipped}.items():
        progress.say(f"left out, {name}: {why}")
    say_begin(job, PAGE)
    with Watched(progress, job.run, plan, opened.info.name) as watched:
        trained = learn(plan, *shelves, job.run, watched, resume=job.resume, device=job.device)
    path = pack(job.run / MODEL, plan, trained.nets, opened, shelves, progress)
    judged = judge(MaskPredictor(path), opened, job.part, progress=progress)
    background = Background(
        plan=plan,
        training=training(trained, plan, "loss", "dice"),
        findings=datasets.check(opened, progress),
        dropped=job.can.dropped,
        skipped={**shelves[0].skipped, **shelves[1].skipped},
        notices=[*notices(job.can.notes), *_several(plan, len(trained.nets))],
    )
    judged = report(judged, job.run, background, progress)
    add_figures(path, judged.metrics)
    return Done(job.run, plan, judged, trained.notes)


def _several(plan: Plan, trained: int) -> list[Notice]:
    """Of a model of several kinds of network: which they are, and whose curves are shown.

    trained  networks of the plan: there may have been no time for the others
    """
    said: list[Words] = []
    for kind in plan.kinds:
        count = min(kind.train.members, trained)
        trained -= count
        said += [kind_said(kind, count)] if count else []
    if len(said) < 2:
        return []
    return [
        Notice(
            Words(
                "Several kinds of network are averaged: "
                f"{'; '.join(each.en for each in said)}. The curves of training are those of the "
                "first network.",
                f"对多种网络取平均：{'；'.join(each.zh or each.en for each in said)}。"
                "训练曲线为第一个网络的曲线。",
            ),
            serious=False,
        )
    ]
