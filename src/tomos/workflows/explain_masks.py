"""`tomos explain` of a model for masks: what the score of one outlined label depends on."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from tomos import formats
from tomos.config.plugins import did_you_mean
from tomos.explain import localisation, mask_heatmap, mask_method
from tomos.inference import MaskPredictor
from tomos.types import Answer, MissingExtra, Progress, SettingsError, TomosError
from tomos.workflows.explained import Explained, write_map
from tomos.workflows.masks import Masks

METHOD = "occlusion"  # where none is asked for: it needs no torch


def check(predictor: MaskPredictor, method: str, label: str) -> None:
    """SettingsError for a method that does not fit masks, or a class that the model has not."""
    mask_method(method)
    if label and label not in predictor.classes:
        raise SettingsError(f"no class {label!r}{did_you_mean(label, list(predictor.classes))}")


def explain_one(
    predictor: MaskPredictor,
    address: str,
    base: Path,
    wishes: tuple[str, str, Sequence[str]],
    masks: Masks | None,
    progress: Progress,
) -> Explained:
    """wishes  method, label ("": the largest that was outlined), forms"""
    method, label, forms = wishes
    try:
        image = formats.read(address)
        told = masks.of(address, image) if masks else None
        prediction = predictor.predict_image(image, address)
        answer = prediction.targets[predictor.manifest.target]
        assert answer.mask is not None
        name = label or _largest(answer)
        found = (
            mask_heatmap(predictor, image, answer.mask, name, method, progress) if name else None
        )
        if found is None:
            what = label or ", ".join(predictor.classes)
            return Explained(address, error=f"nothing of {what} was outlined: no score to explain")
        points = localisation(found.heat.pixels[0], told) if told is not None else None
        files = write_map(found.heat, image, name, method, base, forms)
    except (SettingsError, MissingExtra):
        raise
    except TomosError as error:
        if getattr(error, "exit_code", 2) == 130:
            raise
        return Explained(address, error=str(error))
    except MemoryError:
        return Explained(address, error=f"{address}: not enough memory to explain it")
    group = image.origin.patient or address
    part = "" if found.share > 0.995 else f"the map is of {found.share:.0%} of what was outlined"
    refer = f"refer: {prediction.reason}" if prediction.verdict == "refer" else ""
    note = "; ".join(filter(None, (part, refer)))
    return Explained(address, name, found.score, method, points, group, files, note=note)


def _largest(answer: Answer) -> str:
    """The class of which most was outlined; "" where nothing was."""
    name = max(answer.amounts, key=lambda each: answer.amounts[each]["voxels"])
    return name if answer.amounts[name]["voxels"] else ""
