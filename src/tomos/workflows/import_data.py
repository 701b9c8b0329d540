"""`tomos import`: a folder of images, a table or a container -> a data set."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from tomos import datasets
from tomos.datasets.split import parse_ratios
from tomos.types import DatasetError, Progress


def import_data(
    source: str | Path,
    dataset: str | Path,
    *,
    columns: Mapping[str, str] | None = None,
    images: str = "",
    labels: str | Path | None = None,
    patient: str = "",
    layout: str = "",
    ratios: str = "70/10/20",
    by: str = "patient",
    seed: int = 0,
    positive: str = "",
    masks: str = "",
    roi: str = "",
    classes: str = "",
    target: str = "",
    reference: str = "",
    copy: bool = False,
    dry_run: bool = False,
    progress: Progress | None = None,
) -> datasets.Imported:
    """See `tomos.datasets.import_folder`; `ratios` is text, "70/10/20".

    Raises DatasetError for an archive as source, which is not read yet.
    """
    if str(source).startswith("archive:"):
        raise DatasetError(f"{source}: an archive cannot be imported yet; export it to a folder")
    return datasets.import_folder(
        source,
        dataset,
        columns=columns,
        images=images,
        labels=labels,
        patient=patient,
        layout=layout,
        ratios=parse_ratios(ratios),
        by=by,
        seed=seed,
        positive=positive,
        masks=masks,
        roi=roi,
        classes=[name.strip() for name in classes.split(",") if name.strip()],
        target=target,
        reference=reference,
        copy=copy,
        dry_run=dry_run,
        progress=progress,
    )
