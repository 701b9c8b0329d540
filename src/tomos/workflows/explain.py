"""`tomos explain`: where a model looked, drawn over each image and written on its own grid."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from tomos import formats
from tomos.config.plugins import did_you_mean
from tomos.explain import Localisation, heatmap, localisation, overlay, shown
from tomos.formats import dicom
from tomos.inference import AnyPredictor, MaskPredictor, Predictor
from tomos.inference import predictor as opened
from tomos.inference.verdict import is_finding
from tomos.types import Answer, FormatError, Image, Progress, SettingsError, Silent, TomosError
from tomos.workflows.inputs import addresses, stems
from tomos.workflows.masks import Masks

FORMS = ("png", "nifti", "dicom")


@dataclass(frozen=True, slots=True)
class Explained:
    """What was written of one image; `error` stands instead when it could not be read.

    label, score  the class that the map is for, and its probability
    overlay       PNG: the map laid over the picture; None for what cannot be drawn
    localisation  how well the map points at the image's mask, None without one
    group         the patient, else the image: what a resample draws together; told to nobody
    files         "overlay" and "map" PNG, "nifti" on the image's own grid, "dicom" the overlay as a
                  secondary capture of the same study
    """

    input: str
    label: str = ""
    score: float = 0.0
    method: str = ""
    localisation: Localisation | None = None
    group: str = field(default="", repr=False)
    files: dict[str, str] = field(default_factory=dict)
    error: str = ""

    @property
    def overlay(self) -> Path | None:
        return Path(self.files["overlay"]) if "overlay" in self.files else None

    def lines(self) -> list[str]:
        if self.error:
            return [self.input, f"  not explained: {self.error}"]
        lines = [self.input, f"  {self.label} {self.score:.3f}, by {self.method}"]
        if self.localisation is not None:
            lines.append(f"  {self.localisation.line()}")
        return [*lines, *(f"  wrote {path}" for path in self.files.values())]

    def to_json(self) -> dict[str, Any]:
        if self.error:
            return {"input": self.input, "error": self.error}
        told = {
            "input": self.input,
            "label": self.label,
            "score": self.score,
            "method": self.method,
            "files": self.files,
        }
        return told | ({"localisation": self.localisation.to_json()} if self.localisation else {})


def explain(
    model: str | Path | AnyPredictor,
    inputs: Sequence[str | Path],
    out: str | Path,
    *,
    method: str = "",
    label: str = "",
    forms: Sequence[str] = FORMS[:2],
    masks: str | Path | None = None,
    threads: int = 0,
    progress: Progress | None = None,
) -> list[Explained]:
    """Maps of every image, in order, written under `out`.

    forms   what to write: "png", "nifti", "dicom" (see `Explained.files`)
    method  one of `tomos.explain.methods()`; "" is the one the model file names
    label   the class to look for; "" is what was found, else the likeliest finding
    masks   folder of masks (see `Masks`): each image that has one gets its `localisation`, which
            `workflows.masks.summary` sums up
    Raises what concerns all images (an unknown method or class, a missing library); what concerns
    one image becomes its `error`.
    """
    progress = progress or Silent()
    check_forms(forms, FORMS)
    predictor = explainable(model, threads)
    method = method or predictor.manifest.map_method
    listed = list(addresses(inputs))
    known = Masks(masks, listed) if masks else None
    done = []
    for address, stem in zip(listed, stems(listed), strict=True):
        done.append(_one(predictor, address, Path(out) / stem, method, label, forms, known))
        progress.step(len(done), len(listed), "maps")
    return done


def explainable(model: str | Path | AnyPredictor, threads: int = 0) -> Predictor:
    """A model that maps can be made of. Raises SettingsError for one whose answer is a mask."""
    found = opened(Path(model), threads=threads) if isinstance(model, str | Path) else model
    if isinstance(found, MaskPredictor):
        raise SettingsError(
            f"{found.name} outlines {', '.join(found.classes)}: its mask is the map already. How "
            "sure it is of every voxel: tomos predict --as doubt"
        )
    return found


def check_forms(forms: Sequence[str], known: Sequence[str]) -> None:
    """SettingsError for a form that is not among the known."""
    for form in forms:
        if form not in known:
            raise SettingsError(f"--as {form}: not a form{did_you_mean(form, list(known))}")


def _one(
    predictor: Predictor,
    address: str,
    base: Path,
    method: str,
    label: str,
    forms: Sequence[str],
    masks: Masks | None,
) -> Explained:
    try:
        image = formats.read(address)
        mask = masks.of(address, image) if masks else None
        answer = predictor.predict_image(image, address).targets[predictor.manifest.target]
    except TomosError as error:
        return Explained(address, error=str(error))
    name = label or asked(predictor, answer)
    heat = heatmap(predictor, image, name, method)
    points = localisation(heat.pixels[0], mask) if mask is not None else None
    files = write_map(heat, image, name, method, base, forms)
    group = image.origin.patient or address
    return Explained(address, name, answer.scores[name], method, points, group, files)


def asked(predictor: Predictor, answer: Answer) -> str:
    """The class to explain: the likeliest of what was found; where nothing was, of all findings."""
    manifest = predictor.manifest
    findings = [name for name in predictor.classes if is_finding(manifest, name)]
    called = [name for name in answer.label.split("|") if name in findings]
    return max(called or findings or predictor.classes, key=lambda name: answer.scores[name])


def write_map(
    heat: Image, image: Image, label: str, method: str, base: Path, forms: Iterable[str]
) -> dict[str, str]:
    """Write BASE-METHOD.png (overlay), BASE-METHOD-map.png, BASE-METHOD.nii.gz and .dcm, as `forms`
    asks; what -> path."""
    files: dict[str, str] = {}
    base = base.parent / f"{base.name}-{method}"
    if {"png", "dicom"} & set(forms):
        picture, flat = _plane(image, heat)
        drawn = Image(overlay(shown(picture), flat))
    if "dicom" in forms:
        path = base.parent / f"{base.name}.dcm"
        _write_dicom(drawn, image, f"{method}: {label}", path)
        files["dicom"] = str(path)
    if "png" in forms:
        eight_bit = Image(np.round(flat[None] * 255).astype(np.uint8))
        for what, each, end in (("overlay", drawn, ".png"), ("map", eight_bit, "-map.png")):
            path = base.parent / f"{base.name}{end}"
            formats.write_png(each, path)
            files[what] = str(path)
    if "nifti" in forms:
        path = base.parent / f"{base.name}.nii.gz"
        formats.write_nifti(heat, path)
        files["nifti"] = str(path)
    return files


def _write_dicom(drawn: Image, image: Image, what: str, path: Path) -> None:
    """The overlay as a secondary capture (PS3.3 A.8) that a viewer files with the image's study."""
    origin = image.origin
    derivation = f"Tomos heat map, {what}, drawn over {origin.instance or 'an image without UID'}"
    known = {
        "PatientID": origin.patient,
        "PatientSex": origin.sex,
        "PatientAge": origin.age,
        "StudyInstanceUID": origin.study,
        "BodyPartExamined": origin.body_part,
    }
    header: dict[str, Any] = {name: value for name, value in known.items() if value}
    header |= {
        "StudyDate": "",  # the study's own, which the image need not say; it is found by its UID
        "StudyTime": "",
        "Modality": "OT",
        "ImageType": ["DERIVED", "SECONDARY"],
        "SeriesDescription": f"Tomos {what}"[:64],
        "DerivationDescription": f"{derivation}. Research use only.",
    }
    if not image.is_volume:
        drawn = drawn.with_pixels(drawn.pixels, image.affine, frame=image.frame)
    dicom.write(drawn, path, header)


def _plane(image: Image, heat: Image) -> tuple[Image, np.ndarray]:
    """A picture to draw on and its map (Y, X); of a volume the slice with the most heat."""
    if not image.is_volume:
        return image, heat.pixels[0]
    if heat.size != image.size:
        raise FormatError(f"the map is {heat.size}, the volume {image.size}")
    z = int(heat.pixels[0].sum(axis=(1, 2)).argmax())
    return Image(image.pixels[:, z], window=image.window), heat.pixels[0, z]
