"""`tomos models`: the networks there are, and what one is made of; by shapes, nothing computed."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tomos.types import MissingExtra, SettingsError

if TYPE_CHECKING:
    from types import ModuleType

    from tomos.models import Net, Segmenter

CONVENTION = (
    "flops: multiply-adds of convolutions and matrix products for one picture, "
    "a multiplication with its addition counted once"
)


def overview(size: tuple[int, ...], channels: int = 1, classes: int = 2) -> dict[str, Any]:
    """Every network of ours for pictures of `size` (Y, X) or volumes (Z, Y, X), as plain data for
    JSON.

    Each entry: name, task, parameters, flops, maps (F, y, x), receptive_field (Y, X), features,
    exact_cam; or "refused" with the reason, where the net cannot take this size. Networks that
    segment have one output more, for the background; those that classify take pictures.
    """
    models = _models()
    listed = []
    for task in ("classify", "segment") if len(size) == 2 else ("segment",):
        for name in models.names(task):
            listed.append({**_listed(name, size, channels, classes), "task": task})
    return {**_given(size, channels, classes), "models": listed}


def _listed(name: str, size: tuple[int, ...], channels: int, classes: int) -> dict[str, Any]:
    try:
        net = _shape_only(name, channels, classes, **_dims(name, size))
        return _summary(asdict(_models().describe(net, _fitting(net, size))))
    except SettingsError as error:
        return {"name": name, "refused": str(error)}


def describe(
    name: str, size: tuple[int, ...], channels: int = 1, classes: int = 2, effective: bool = False
) -> dict[str, Any]:
    """One network, layer by layer. `name` is one of `tomos models`, `timm:...`, `monai:...`, or a
    plan (a .toml file), whose network, options, size, channels and classes are then taken.

    effective  also measure the effective receptive field, for which the net runs
    """
    models = _models()
    options: dict[str, Any] = {}
    if name.endswith(".toml"):
        name, options, size, channels, classes = _of_plan(Path(name))
    else:
        options = _dims(name, size)
    if effective or ":" in name:
        net = models.build(name, channels, _outputs(name, classes), **options)
    else:
        net = _shape_only(name, channels, classes, **options)
    size = _fitting(net, size)
    described = asdict(models.describe(net, size))
    rows = described.pop("rows")
    summary = _summary(described)
    if effective:
        if models.task_of(name) == "segment":
            raise SettingsError(f"--effective: for networks that classify, {name} segments")
        summary["effective_receptive_field"] = round(models.effective_field(net, size), 1)
    return {
        **_given(size, channels, classes),
        **summary,
        "about": models.about(name),
        "options": net.options or options,
        "layers": [
            {**row, "flops": row.pop("multiplies"), "receptive_field": row.pop("field")}
            for row in rows
        ],
    }


def _given(size: tuple[int, ...], channels: int, classes: int) -> dict[str, Any]:
    return {
        "schema": 1,
        "size": list(size),
        "channels": channels,
        "classes": classes,
        "convention": CONVENTION,
    }


def _summary(described: dict[str, Any]) -> dict[str, Any]:
    return {
        "name": described["name"],
        "size": described["size"],
        "parameters": described["parameters"],
        "flops": described["multiplies"],
        "maps": described["maps"],
        "features": described["features"],
        "exact_cam": described["exact_cam"],
        "receptive_field": described["field"],
    }


def _models() -> ModuleType:
    try:
        import torch  # noqa: F401
    except ImportError:
        raise MissingExtra("describing networks", "torch", "train") from None
    from tomos import models

    return models


def _shape_only(name: str, channels: int, classes: int, **options: Any) -> Net | Segmenter:
    """The network without memory for its weights."""
    import torch

    with torch.device("meta"):
        return _models().build(name, channels, _outputs(name, classes), **options)


def _outputs(name: str, classes: int) -> int:
    """Networks that segment have one for the background, too."""
    return classes + (_models().task_of(name) == "segment")


def _dims(name: str, size: tuple[int, ...]) -> dict[str, Any]:
    return {"dims": len(size)} if _models().task_of(name) == "segment" else {}


def _fitting(net: Net | Segmenter, size: tuple[int, ...]) -> tuple[int, ...]:
    """The next size that the net can take: tiles are of such sizes."""
    segmenter = isinstance(net, _models().Segmenter) and len(size) == net.dims
    return net.fitting(size) if segmenter else size  # type: ignore[operator]


def _of_plan(path: Path) -> tuple[str, dict[str, Any], tuple[int, ...], int, int]:
    from tomos.config import load
    from tomos.plan.schema import Plan

    plan = load(Plan, path)
    return plan.model.name, plan.model.options, plan.size, plan.inputs, len(plan.classes)
