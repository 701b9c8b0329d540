"""`tomos train`: a plan carried out -> RUN with weights, model.tomos, metrics.json, report.html."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from tomos import config, datasets
from tomos.datasets import Learnable
from tomos.plan import Plan, learned
from tomos.types import PlanError, Progress, Silent
from tomos.workflows import classifying, segmenting
from tomos.workflows.job import PLAN, Done, Job
from tomos.workflows.plan import (
    HEADER,
    check_wishes,
    chosen_device,
    make_plan,
    needs_torch,
    opened_for,
    overridden,
)


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
    opened = opened_for(dataset, fold, seed, progress)
    run = Path(out) if out else Path("runs") / (opened.info.name + _suffix(fold))
    config.writable_or_raise(run)
    can = datasets.learnable(opened, accept_leak, progress)
    wishes = {"minutes": minutes, "seed": seed, "recipe": recipe, "device": device}
    plan = _plan(run, opened, can, plan_file, overrides, resume, progress, wishes)
    part = datasets.FOLD if fold else "test" if len(opened.split("test")) else "val"
    job = Job(run, opened, can, plan, part, resume, _device(device, plan.budget.device), progress)
    way = segmenting if plan.task == "segment" else classifying
    return way.carry_out(job)


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


def _fits(plan: Plan, can: Learnable, where: Path) -> None:
    if plan.classes != can.train.classes:
        raise PlanError(
            f"{where}: the plan is for the classes {', '.join(plan.classes)}, the data set has "
            f"{', '.join(can.train.classes)}; make a new plan with: tomos plan"
        )
    if plan.roles != can.train.roles:
        wanted, has = (", ".join(roles) or "one" for roles in (plan.roles, can.train.roles))
        raise PlanError(
            f"{where}: the plan is for the images {wanted} of every case, the data set has {has}; "
            "make a new plan with: tomos plan"
        )
    if plan.dataset.checksum != learned(can.train, can.val):
        raise PlanError(
            f"{where}: the cases to learn from are not those the plan was made for; make a new "
            "plan with: tomos plan"
        )


def _device(wish: str, planned: str) -> str:
    return planned if wish == "auto" else chosen_device(wish)
