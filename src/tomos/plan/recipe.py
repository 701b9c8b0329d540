"""Named recipes: plans that others have written down, kept as data beside this file.

A recipe fixes what its authors fixed and takes the rest (classes, channels, threads) from the data
and the machine. `recipes/<name>.toml` says where it comes from.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal

from pydantic import Field

from tomos.config import Settings, load
from tomos.config.plugins import did_you_mean
from tomos.plan import classify
from tomos.plan.fingerprint import Fingerprint
from tomos.plan.probe import machine, speed
from tomos.plan.schema import told
from tomos.tasks import classify as task
from tomos.types import PlanError, Words

KINDS = {"class": "单标签", "multilabel": "多标签", "ordinal": "有序等级"}
FOLDER = Path(__file__).parent / "recipes"


class Recipe(Settings):
    """size: (Y, X), empty = the pictures' own, no side longer than `longest`; fill_minutes: as many
    epochs as the budget allows, instead of the stated number; channels: 0 = as the pictures are;
    train.loss: none = the usual one of the target's kind, and the same where the stated one is for
    another kind.
    """

    source: str
    source_zh: str = ""
    kind: Literal["classify"] = "classify"
    size: tuple[int, ...] = ()
    longest: int = Field(4096, gt=0)
    channels: int = Field(0, ge=0)
    fill_minutes: bool = False
    prepare: tuple[dict[str, Any], ...] = ()
    augment: tuple[dict[str, Any], ...] = ()
    model: dict[str, Any]
    train: dict[str, Any]


def recipes() -> list[str]:
    """The names of the recipes there are."""
    return sorted(path.stem for path in FOLDER.glob("*.toml"))


def fill(
    name: str,
    fp: Fingerprint,
    minutes: float,
    seed: int,
    device: str,
    n_classes: int,
    kind: str = "class",
) -> dict[str, Any]:
    """The parts of a plan that recipe `name` gives for this data set on this machine.

    kind  of the target: "class", "multilabel", "ordinal"
    Raises PlanError for an unknown name.
    """
    if name not in recipes():
        raise PlanError(f"no recipe named {name!r}{did_you_mean(name, ['auto', *recipes()])}")
    recipe = load(Recipe, FOLDER / f"{name}.toml")
    channels = recipe.channels or classify.channels(fp)
    size = recipe.size or tuple(min(side[1], recipe.longest) for side in fp.sides)
    options = recipe.model.get("options", {})
    batch = min(recipe.train.get("batch", 32), fp.n_cases)
    pace = speed(recipe.model["name"], options, (channels, *size), n_classes, batch, device)
    epochs = recipe.train.get("epochs", 20)
    if recipe.fill_minutes:
        shown = minutes * 60 * classify.SHARE / pace.seconds
        epochs = max(1, int(shown // fp.n_cases))
    loss, why_loss = _loss(recipe.train, kind)
    train = {
        **recipe.train,
        **loss,
        "batch": batch,
        "epochs": epochs,
        "seed": seed,
        "threads": pace.threads,
        "precision": pace.precision,
        "channels_last": pace.channels_last,
    }
    steps = [{"step": "channels", "to": channels}, {"step": "resize", "size": list(size)}]
    seconds = pace.seconds * fp.n_cases * epochs
    return {
        "size": size,
        "channels": channels,
        "prepare": recipe.prepare or [*steps, {"step": "normalise", "kind": "zscore"}],
        "augment": recipe.augment,
        "model": recipe.model,
        "train": train,
        "budget": {
            "minutes": minutes,
            "seconds_per_step": round(pace.seconds, 6),
            "predicted_seconds": round(1.05 * seconds, 1),
            "predicted_memory_mb": round(pace.memory_mb),
            "machine": machine(),
            "device": device,
        },
        **told({"recipe": Words(recipe.source, recipe.source_zh) + why_loss}),
    }


def _loss(train: dict[str, Any], kind: str) -> tuple[dict[str, Any], Words]:
    """The loss settings that the recipe leaves open or cannot mean for `kind`, and why."""
    stated, usual = train.get("loss", ""), task.loss(kind)
    if stated == usual:
        return {}, Words("")
    if stated:
        from tomos.measures import losses

        if stated in losses.fitting(kind):
            return {}, Words("")
    options = {"loss": usual, "loss_options": {}} if stated else {"loss": usual}
    if not stated and kind == "class":
        return options, Words("")
    instead = (
        Words(f" instead of its {stated}", f"（而非原定的 {stated}）") if stated else Words("")
    )
    return options, Words(
        f"; the loss {usual}{instead.en}, since the target is {kind}",
        f"；损失采用 {usual}{instead.zh}，因为目标为{KINDS[kind]}",
    )
