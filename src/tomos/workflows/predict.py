"""`tomos predict`: a model file and images -> predictions, and what is written of them."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from tomos import config, formats, package
from tomos.explain import heatmap
from tomos.inference import Predictor
from tomos.types import Prediction, Progress, SettingsError, Silent
from tomos.workflows import explain
from tomos.workflows.explain import asked, write_map
from tomos.workflows.inputs import addresses, stems

FORMS = ("json", *explain.FORMS)


def load(
    model: str | Path,
    *,
    threads: int = 0,
    backend: str = "onnxruntime",
    trust: str | Path | None = None,
) -> Predictor:
    """A model file, checked and ready.

    trust  PEM file or folder of public keys: models not signed by one of them are refused
    """
    return Predictor(package.read(model, trust), backend, threads)


def predict(
    model: str | Path | Predictor,
    inputs: Sequence[str | Path],
    out: str | Path | None = None,
    forms: Sequence[str] = ("json",),
    *,
    threads: int = 0,
    progress: Progress | None = None,
) -> list[Prediction]:
    """One prediction an image, in order; an input that fails has `error`, and the rest goes on.

    inputs  files, folders, containers, addresses (see `addresses`)
    out     folder for what `forms` asks for: "json" predictions.json, "png" an overlay and a map of
            each image, "nifti" the map on the image's own grid, "dicom" the overlay as a secondary
            capture of the image's study
    """
    progress = progress or Silent()
    _check_forms(forms, out)
    predictor = model if isinstance(model, Predictor) else load(model, threads=threads)
    listed = list(addresses(inputs))
    found: list[Prediction] = []
    for prediction in predictor.predict(listed):
        found.append(prediction)
        progress.step(len(found), len(listed), "images")
    if out is not None:
        found = _write(predictor, found, Path(out), forms, progress)
    return found


def as_json(name: str, predictions: Iterable[Prediction]) -> dict[str, Any]:
    """The object of `tomos predict --json`."""
    return {
        "schema": 1,
        "model": name,
        "predictions": [prediction.to_json() for prediction in predictions],
    }


def _check_forms(forms: Sequence[str], out: str | Path | None) -> None:
    explain.check_forms(forms, FORMS)
    if out is None and set(forms) - {"json"}:
        raise SettingsError(f"--as {','.join(forms)} needs a folder to write into: -o DIR")


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
        content = json.dumps(as_json(predictor.name, predictions), indent=1, ensure_ascii=False)
        config.atomic_write(folder / "predictions.json", content.encode() + b"\n")
    return predictions
