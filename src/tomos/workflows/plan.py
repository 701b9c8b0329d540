"""`tomos plan`: from a data set to plan.toml."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from tomos import config, datasets
from tomos.datasets.leak import Learnable
from tomos.plan import Plan, make
from tomos.types import MissingExtra, Progress, Silent

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
    learnable: Learnable | None = None,
    progress: Progress | None = None,
) -> tuple[Plan, Path]:
    """Measure, choose, and write the plan to `out` (default DATASET/plan.toml)."""
    progress = progress or Silent()
    needs_torch("planning (it times the networks on this machine)")
    folder = Path(dataset)
    if learnable is None:
        learnable = datasets.learnable(datasets.open(folder), accept_leak, progress)
    made = make(
        learnable.train,
        learnable.val,
        minutes or MINUTES,
        seed,
        recipe,
        chosen_device(device),
        progress,
    )
    if overrides:
        made = config.override(made, overrides)
    path = Path(out) if out else folder / "plan.toml"
    config.save(made, path, HEADER)
    return made, path


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
