"""Images -> masks on their own grids, written one after another: a hundred volumes at once would
not fit into memory."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

from tomos import formats
from tomos.config import atomic_write
from tomos.explain import coloured
from tomos.formats import Code, SegmentationFacts
from tomos.inference import MaskPredictor
from tomos.types import Image, Prediction, Progress, TomosError
from tomos.workflows.inputs import stems

# PS3.16 table 8-1: how DICOM writes the names of terminologies.
SCHEMES = {"SNOMED-CT": "SCT", "RadLex": "RADLEX"}
FORMS = ("json", "nifti", "png", "dicom-seg", "doubt")


def masks(
    predictor: MaskPredictor,
    addresses: Sequence[str],
    out: Path | None,
    forms: Sequence[str],
    progress: Progress,
) -> Iterator[Prediction]:
    """One prediction an address, in order, its files written into `out`. The masks themselves are
    let go; an input that fails has `error`."""
    forms = forms or ("json", "nifti")
    names = stems(addresses)
    for done, (address, stem) in enumerate(zip(addresses, names, strict=True), 1):
        progress.step(done, len(addresses), "images")
        try:
            image = formats.read(address)
            found = predictor.predict_image(image, address, "doubt" in forms)
            files = _written(predictor, found, image, out / stem, forms) if out else {}
        except TomosError as error:
            if getattr(error, "exit_code", 2) == 130:
                raise
            yield Prediction(address, error=str(error))
            continue
        targets = {n: replace(a, mask=None, doubt=None) for n, a in found.targets.items()}
        yield replace(found, targets=targets, files=files)


def _written(
    predictor: MaskPredictor, found: Prediction, image: Image, stem: Path, forms: Sequence[str]
) -> dict[str, str]:
    answer = found.targets[predictor.manifest.target]
    assert answer.mask is not None
    files: dict[str, str] = {}
    stem.parent.mkdir(parents=True, exist_ok=True)
    if "nifti" in forms:
        path = stem.with_name(stem.name + (".nii.gz" if answer.mask.is_volume else ".png"))
        formats.write_mask(answer.mask, path)
        files["mask"] = str(path)
    if "png" in forms:
        path = stem.with_name(f"{stem.name}-overlay.png")
        atomic_write(path, formats.png_bytes(coloured(image, answer.mask.labels)))
        files["overlay"] = str(path)
    if "doubt" in forms and answer.doubt is not None:
        path = stem.with_name(f"{stem.name}-doubt.nii.gz")
        grey = image.with_pixels(answer.doubt[None], value_range=(0, 255), window=None, unit="1")
        formats.write_nifti(grey, path)
        files["doubt"] = str(path)
    if "dicom-seg" in forms:
        path = stem.with_name(f"{stem.name}.seg.dcm")
        formats.write_seg(answer.mask, image, path, _facts(predictor))
        files["dicom-seg"] = str(path)
    return files


def _facts(predictor: MaskPredictor) -> SegmentationFacts:
    """What the DICOM object says of the model; codes of classes where the model file has them."""
    return SegmentationFacts(
        algorithm=predictor.name,
        version=predictor.manifest.created or "1",
        types=_codes(predictor),
        description=", ".join(predictor.classes)[:64],
    )


def _codes(predictor: MaskPredictor) -> dict[str, Code]:
    return {
        each.name: Code(code.code, SCHEMES[code.system], code.meaning or each.name)
        for each in predictor.manifest.classes
        for code in each.codes[:1]
    }
