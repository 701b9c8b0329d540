"""`tomos run`: from a folder of images to a served model in one command; it can be resumed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from tomos.datasets.dataset import TOML
from tomos.types import Progress, Silent
from tomos.workflows.check import Checked, check
from tomos.workflows.import_data import import_data
from tomos.workflows.job import PLAN, Done
from tomos.workflows.plan import check_wishes, needs_torch
from tomos.workflows.train import train


@dataclass(frozen=True, slots=True, eq=False)
class Whole:
    """Everything a run left: the data set, the check, the model and its report."""

    folder: Path
    checked: Checked
    done: Done

    @property
    def model(self) -> Path:
        return self.done.model

    def lines(self) -> list[str]:
        return [
            *self.done.lines(),
            "",
            f"Open first:  {self.done.folder / 'report.html'}",
            f"The data:    {self.checked.html}",
            f"To use it:   tomos predict {self.model} IMAGE",
            f"To serve it: tomos serve {self.model} --open",
        ]


def run(
    source: str | Path,
    out: str | Path | None = None,
    *,
    minutes: float | None = None,
    seed: int = 0,
    recipe: str = "auto",
    device: str = "auto",
    overrides: Sequence[str] = (),
    accept_leak: str = "",
    labels: str | Path | None = None,
    patient: str = "",
    positive: str = "",
    columns: Mapping[str, str] | None = None,
    images: str = "",
    masks: str = "",
    roi: str = "",
    classes: str = "",
    target: str = "",
    reference: str = "",
    progress: Progress | None = None,
) -> Whole:
    """Import (unless SOURCE is a data set, or was imported), check, plan, train, judge, report.

    What the check finds is told and shown; only what cannot be learned from, or leaks, stops it.
    """
    progress = progress or Silent()
    needs_torch("training")
    check_wishes(minutes, recipe, overrides)
    source = Path(source)
    folder = Path(out) if out else Path(f"{source.stem}-tomos")
    dataset = source if (source / TOML).is_file() else folder / "dataset"
    if not (dataset / TOML).is_file():
        progress.say(f"importing {source}")
        import_data(
            source, dataset, labels=labels, patient=patient, positive=positive, columns=columns,
            images=images, masks=masks, roi=roi, classes=classes, target=target,
            reference=reference, seed=seed, progress=progress,
        )  # fmt: skip
    progress.say("checking")
    checked = check(dataset, folder, progress)
    for problem in checked.findings.problems:
        progress.say(f"  {problem.severity}: {problem.message}")
    here = folder / "run"
    wishes = {
        "minutes": minutes,
        "seed": seed or None,
        "recipe": recipe if recipe != "auto" else None,
    }
    _say_kept(here, {**wishes, "set": tuple(overrides) or None}, progress)
    done = train(
        dataset,
        here,
        minutes=minutes,
        seed=seed,
        recipe=recipe,
        device=device,
        overrides=() if _begun(here) else overrides,
        accept_leak=accept_leak,
        resume=_begun(here),
        progress=progress,
    )
    return Whole(folder, checked, done)


def _say_kept(here: Path, wishes: Mapping[str, object], progress: Progress) -> None:
    """A run that is gone on with keeps its plan: say so, and which flags do not count now."""
    if not _begun(here):
        return
    asked = [f"--{name}" for name, value in wishes.items() if value is not None]
    said = f"going on with {here} by its own plan"
    if asked:
        said += f" ({', '.join(asked)} would need a new one: choose another folder with -o)"
    progress.say(said)


def _begun(run_folder: Path) -> bool:
    """Whether training left something to go on from."""
    return (run_folder / PLAN).exists() and any(run_folder.glob("checkpoints/*.safetensors"))
