"""Images -> masks on their own grids, written one after another: a hundred volumes at once would
not fit into memory."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

from tomos import formats
from tomos.config.plugins import did_you_mean
from tomos.inference import MaskPredictor
from tomos.types import Prediction, Progress, SettingsError, TomosError
from tomos.workflows.inputs import stems
from tomos.workflows.mask_files import FORMS, SURFACES, written

__all__ = ["FORMS", "SURFACES", "check_surfaces", "masks"]


def masks(
    predictor: MaskPredictor,
    addresses: Sequence[str],
    out: Path | None,
    forms: Sequence[str],
    progress: Progress,
    surfaces: Sequence[str] = (),
) -> Iterator[Prediction]:
    """One prediction an address, in order, its files written into `out`. The masks themselves are
    let go; an input that fails, for whatever reason, has `error` and no file.

    forms, surfaces  as `mask_files.written`; no form: "json" and "nifti"
    """
    forms = forms or ("json", "nifti")
    for done, (address, stem) in enumerate(zip(addresses, stems(addresses), strict=True), 1):
        progress.step(done, len(addresses), "images")
        try:
            image = formats.read(address)
            found = predictor.predict_image(image, address, "doubt" in forms)
            files = written(predictor, found, image, out / stem, forms, surfaces) if out else {}
        except TomosError as error:
            if getattr(error, "exit_code", 2) == 130:
                raise
            yield Prediction(address, error=str(error))
            continue
        except MemoryError:
            yield Prediction(address, error=f"{address}: not enough memory for its files")
            continue
        targets = {n: replace(a, mask=None, doubt=None) for n, a in found.targets.items()}
        yield replace(found, targets=targets, files=files)


def check_surfaces(surfaces: Sequence[str]) -> None:
    """SettingsError for a kind of file that holds no surface here."""
    for form in surfaces:
        if form not in SURFACES:
            raise SettingsError(
                f"--surfaces {form}: expected {', '.join(SURFACES)}"
                f"{did_you_mean(form, list(SURFACES))}"
            )
