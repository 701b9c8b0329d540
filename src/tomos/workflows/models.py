"""`tomos models`: the networks there are, and what one is made of; by shapes, nothing computed."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tomos.types import MissingExtra, PlanError, SettingsError

if TYPE_CHECKING:
    from types import ModuleType

    from tomos.models import Net

CONVENTION = (
    "flops: multiply-adds of convolutions and matrix products for one picture, "
    "a multiplication with its addition counted once"
)


def overview(size: tuple[int, int], channels: int = 1, classes: int = 2) -> dict[str, Any]:
    """Every network of ours for pictures of `size` (Y, X), as plain data for JSON.

    Each entry: name, parameters, flops, maps (F, y, x), receptive_field (Y, X), features,
    exact_cam; or "refused" with the reason, where the net cannot take this size.
    """
    models = _models()
    listed = []
    for name in models.names():
        try:
            described = models.describe(_shape_only(name, channels, classes), size)
        except SettingsError as error:
            listed.append({"name": name, "refused": str(error)})
            continue
        listed.append(_summary(asdict(described)))
    return {**_given(size, channels, classes), "models": listed}


def describe(
    name: str, size: tuple[int, int], channels: int = 1, classes: int = 2, effective: bool = False
) -> dict[str, Any]:
    """One network, layer by layer. `name` is one of `tomos models`, `timm:...`, `monai:...`, or a
    plan (a .toml file), whose network, options, size, channels and classes are then taken.

    effective  also measure the effective receptive field, for which the net runs
    """
    models = _models()
    options: dict[str, Any] = {}
    if name.endswith(".toml"):
        name, options, size, channels, classes = _of_plan(Path(name))
    if effective or ":" in name:
        net = models.build(name, channels, classes, **options)
    else:
        net = _shape_only(name, channels, classes, **options)
    described = asdict(models.describe(net, size))
    rows = described.pop("rows")
    summary = _summary(described)
    if effective:
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


def _given(size: tuple[int, int], channels: int, classes: int) -> dict[str, Any]:
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


def _shape_only(name: str, channels: int, classes: int, **options: Any) -> Net:
    """The network without memory for its weights."""
    import torch

    with torch.device("meta"):
        return _models().build(name, channels, classes, **options)


def _of_plan(path: Path) -> tuple[str, dict[str, Any], tuple[int, int], int, int]:
    from tomos.config import load
    from tomos.plan.schema import Plan

    plan = load(Plan, path)
    if len(plan.size) != 2:
        raise PlanError(f"{path}: expected a size (Y, X), got {plan.size}")
    size = (plan.size[0], plan.size[1])
    return plan.model.name, plan.model.options, size, plan.channels, len(plan.classes)
