"""`tomos predict`: a model file and images -> predictions, and what is written of them."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from tomos import config, formats, package
from tomos.explain import heatmap
from tomos.inference import AnyPredictor, MaskPredictor, Predictor, predictor
from tomos.types import Prediction, Progress, SettingsError, Silent
from tomos.workflows import explain, predict_masks
from tomos.workflows.explain import asked
from tomos.workflows.explained import write_map
from tomos.workflows.given import given as cases
from tomos.workflows.inputs import stems

FORMS = ("json", *explain.FORMS)


def load(
    model: str | Path,
    *,
    threads: int = 0,
    backend: str = "auto",
    trust: str | Path | None = None,
) -> AnyPredictor:
    """A model file, checked and ready.

    trust  PEM file or folder of public keys: models not signed by one of them are refused
    """
    return predictor(package.read(model, trust), backend, threads)


def predict(
    model: str | Path | AnyPredictor,
    inputs: Sequence[str | Path],
    out: str | Path | None = None,
    forms: Sequence[str] = (),
    *,
    surfaces: Sequence[str] = (),
    threads: int = 0,
    progress: Progress | None = None,
) -> list[Prediction]:
    """One prediction an image, in order; an input that fails has `error`, and the rest goes on.

    inputs    files, folders, containers, addresses (see `addresses`); for a model that reads
              several images a case, cases (see `given`)
    out       folder for what `forms` asks for: "json" predictions.json, "png" an overlay and a map
              of each image, "nifti" the map on the image's own grid, "dicom" the overlay as a
              secondary capture of the image's study. Of a model for masks: "nifti" the mask (of a
              picture as PNG), "png" an overlay of all labels, "overlay" one of each label, in the
              slice where it is largest, "dicom-seg" a DICOM segmentation, "doubt" the entropy of
              every voxel, "probability" that of each label in every voxel. None given: "json",
              and the mask
    surfaces  of a model for masks, a smoothed surface of each label: "stl" a file for each, "obj"
              and "glb" one file with all of them; millimetres (glTF: metres)
    """
    progress = progress or Silent()
    using = load(model, threads=threads) if isinstance(model, str | Path) else model
    _check_forms(using, forms, out)
    _check_surfaces(using, surfaces, out)
    if out is not None:
        config.writable_or_raise(Path(out))
    given = cases(using, inputs)
    if isinstance(using, MaskPredictor):
        folder = Path(out) if out is not None else None
        found = list(predict_masks.masks(using, given, folder, forms, progress, surfaces))
        if folder is not None and "json" in (forms or ("json",)):
            _write_json(using, found, folder)
        return found
    found = []
    for prediction in using.predict(each.address for each in given):
        found.append(prediction)
        progress.step(len(found), len(given), "images")
    if out is not None:
        found = _write(using, found, Path(out), forms or ("json",), progress)
    return found


def as_json(name: str, predictions: Iterable[Prediction]) -> dict[str, Any]:
    """The object of `tomos predict --json`."""
    return {
        "schema": 1,
        "model": name,
        "predictions": [prediction.to_json() for prediction in predictions],
    }


def _check_forms(using: AnyPredictor, forms: Sequence[str], out: str | Path | None) -> None:
    known = predict_masks.FORMS if isinstance(using, MaskPredictor) else FORMS
    explain.check_forms(forms, known)
    if out is None and set(forms) - {"json"}:
        raise SettingsError(f"--as {','.join(forms)} needs a folder to write into: -o DIR")


def _check_surfaces(using: AnyPredictor, surfaces: Sequence[str], out: str | Path | None) -> None:
    if not surfaces:
        return
    predict_masks.check_surfaces(surfaces)
    asked = f"--surfaces {','.join(surfaces)}"
    if not isinstance(using, MaskPredictor):
        raise SettingsError(f"{asked}: {using.name} names classes, it outlines nothing")
    if out is None:
        raise SettingsError(f"{asked} needs a folder to write into: -o DIR")


def _write_json(using: AnyPredictor, found: Sequence[Prediction], folder: Path) -> None:
    content = json.dumps(as_json(using.name, found), indent=1, ensure_ascii=False)
    config.atomic_write(folder / "predictions.json", content.encode() + b"\n")


def _write(
    predictor: Predictor,
    predictions: list[Prediction],
    folder: Path,
    forms: Sequence[str],
    progress: Progress,
) -> list[Prediction]:
    """The predictions with the files that were written of them."""
    drawn = [form for form in forms if form != "json"]
    if drawn:
        names = stems(prediction.input for prediction in predictions)
        for place, (prediction, stem) in enumerate(zip(predictions, names, strict=True)):
            progress.step(place + 1, len(predictions), "maps")
            if prediction.error:
                continue
            answer = prediction.targets[predictor.manifest.target]
            image = formats.read(prediction.input)
            method = predictor.manifest.map_method
            label = asked(predictor, answer)
            heat = heatmap(predictor, image, label, method)
            files = write_map(heat, image, label, method, folder / stem, drawn)
            predictions[place] = replace(prediction, files=files)
    if "json" in forms:
        _write_json(predictor, predictions, folder)
    return predictions
