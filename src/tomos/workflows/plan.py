"""`tomos plan`: from a data set to plan.toml."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from tomos import config, datasets
from tomos.config.plugins import did_you_mean
from tomos.datasets.leak import Learnable
from tomos.datasets.split import parse_fold
from tomos.plan import WAYS, Plan, make, recipes
from tomos.plan.make_segment import BESIDES
from tomos.plan.schema import TrainPart, told
from tomos.types import MissingExtra, PlanError, Progress, Silent, Words
from tomos.types.words import plain
from tomos.workflows.learning import learning_data

SLACK = 0.1  # of the patches: less is noise of the clock
HEADER = """What training will do with this data set, and why; `tomos train` carries it out.
Edit it, or override it: tomos train DATASET --plan plan.toml --set train.epochs=50"""
MINUTES = 10.0


def make_plan(
    dataset: str | Path,
    out: str | Path | None = None,
    *,
    minutes: float | None = None,
    seed: int = 0,
    recipe: str = "auto",
    device: str = "auto",
    overrides: Sequence[str] = (),
    accept_leak: str = "",
    find_rate: bool = False,
    fold: str = "",
    learnable: Learnable | None = None,
    progress: Progress | None = None,
) -> tuple[Plan, Path]:
    """Measure, choose, and write the plan to `out` (default DATASET/plan.toml).

    fold       "2/5": the cases of train and val dealt out for that round of cross-validation
    find_rate  replace the rule's learning rate by that of a range test on the data
    """
    progress = progress or Silent()
    needs_torch("planning (it times the networks on this machine)")
    check_wishes(minutes, recipe, overrides)
    folder = Path(dataset)
    if learnable is None:
        opened = opened_for(folder, fold, seed, progress)
        learnable = datasets.learnable(opened, accept_leak, progress)
    made = make(
        learnable.train,
        learnable.val,
        MINUTES if minutes is None else minutes,
        seed,
        recipe,
        chosen_device(device),
        progress,
    )
    made = _paced(_into_memory(made))
    if find_rate:
        made = _found_rate(made, learnable, progress)
    if overrides:
        made = overridden(made, overrides)
    path = Path(out) if out else folder / "plan.toml"
    config.save(made, path, HEADER)
    return made, path


def check_wishes(minutes: float | None, recipe: str, overrides: Sequence[str]) -> None:
    """Raise SettingsError for what no data can make right, before any are looked at."""
    if minutes is not None and not 0 < minutes < float("inf"):
        raise PlanError(f"--minutes {minutes:g}: expected more than 0")
    known = [*recipes(), *WAYS]
    if recipe not in known:
        raise PlanError(f"--recipe {recipe}: no such recipe{did_you_mean(recipe, known)}")
    config.check_assignments(Plan, overrides)
    for assignment in overrides:
        key, _, name = assignment.partition("=")
        if key.strip() == "train.loss":
            config.plugin("tomos.measures.losses", name.strip(" \"'"), "loss")


def overridden(made: Plan, assignments: Sequence[str]) -> Plan:
    """The plan with settings changed, and the time foreseen for as many epochs and networks as it
    now has (of another network than the one that was timed nothing is known)."""
    changed = config.override(made, assignments)

    def shown(plan: Plan) -> float:
        return sum(_shown(kind.train) for kind in plan.kinds)

    longer = shown(changed) / shown(made)
    seconds = round(made.budget.predicted_seconds * longer, 1)
    if changed.budget != made.budget or longer == 1:
        return changed
    budget = changed.budget.model_copy(update={"predicted_seconds": seconds})
    return changed.model_copy(update={"budget": budget})


def _shown(train: TrainPart) -> int:
    each = train.epochs * (train.patches or 1)
    return each * -(-train.members // train.together)


def opened_for(dataset: str | Path, fold: str, seed: int, progress: Progress) -> datasets.Dataset:
    """The data set, split for one fold where one is named."""
    opened = datasets.open(dataset)
    if not fold:
        return opened
    return datasets.fold(opened, *parse_fold(fold), seed, progress)


def _into_memory(made: Plan) -> Plan:
    """Smaller batches, summed before each step, where the plan's would not fit into memory."""
    from tomos.train import largest_batch

    batch = made.train.batch
    room = largest_batch(made, most=batch)
    if room >= batch:
        return made
    parts = -(-batch // room)
    what = Words("patches", "个图块") if made.task == "segment" else Words("pictures", "幅图像")
    reason = Words(
        f"; {batch} {what.en} do not fit into memory, so {parts} batches of {room} are summed",
        f"；{batch} {what.zh}超出内存，因此每步累加 {parts} 个批次，每批 {room} {what.zh}",
    )
    return _changed(made, reason, [f"train.batch={room}", f"train.accumulate={parts}"])


def _paced(made: Plan) -> Plan:
    """Of masks, as many patches as whole steps leave time for: the rules time bare networks."""
    if made.task != "segment":
        return made
    from tomos.train import seconds_per_step

    # Kinds of network share the time evenly.
    share = made.budget.predicted_seconds / (BESIDES * len(made.kinds))
    first, total, words, wishes = 0.0, 0.0, Words(""), []
    for number, kind in enumerate(made.kinds):
        train, seconds = kind.train, seconds_per_step(kind)
        step = train.batch * train.accumulate
        patches = max(step, round(share / (seconds * train.epochs)) * step)
        first, total = first or seconds, total + seconds * train.epochs * patches / step
        if abs(patches - train.patches) >= SLACK * train.patches:
            slower = plain(train.patches / patches)
            words += Words(
                f"; a whole step takes {slower} times as long, so {patches} are shown an epoch",
                f"；完整一步的用时为其 {slower} 倍，因此每轮学习 {patches} 个图块",
            )
            place = f"also.{number - 1}." if number else ""
            wishes.append(f"{place}train.patches={patches}")
    if not wishes:
        return made
    budget = made.budget.model_copy(update={
        "seconds_per_step": round(first, 6),
        "predicted_seconds": round(BESIDES * total, 1),
    })  # fmt: skip
    return _changed(made.model_copy(update={"budget": budget}), words, wishes)


def _found_rate(made: Plan, learnable: Learnable, progress: Progress) -> Plan:
    from tomos.train import find_learning_rate

    progress.say("finding the learning rate")
    rate, _ = find_learning_rate(made, learning_data(learnable.train, made, progress))
    reason = Words(
        f"; the learning rate {rate:.2g} was read off a range test (Smith 2017) on these data",
        f"；学习率 {rate:.2g} 由在这些数据上的范围测试（Smith 2017）得出",
    )
    return _changed(made, reason, [f"train.learning_rate={rate:.6g}"])


def _changed(made: Plan, reason: Words, assignments: list[str]) -> Plan:
    changed = config.override(made, assignments)
    key = "train" if "train" in changed.reasons else "recipe"
    why = changed.why
    return changed.model_copy(update=told({**why, key: why.get(key, Words("")) + reason}))


def needs_torch(purpose: str) -> None:
    """Raise MissingExtra where PyTorch is not installed."""
    import importlib.util
    import sys

    blocked = "torch" in sys.modules and sys.modules["torch"] is None
    if blocked or importlib.util.find_spec("torch") is None:
        raise MissingExtra(purpose, "torch", "train")


def chosen_device(name: str) -> str:
    """The device that "auto" means here."""
    from tomos.train import device

    return str(device.choose(name))
