"""`tomos explain`: where a model looked, drawn over each image and written on its own grid."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from tomos import formats
from tomos.config.plugins import did_you_mean
from tomos.explain import heatmap, localisation
from tomos.inference import AnyPredictor, MaskPredictor, Predictor
from tomos.inference import predictor as opened
from tomos.inference.verdict import is_finding
from tomos.types import Answer, Progress, SettingsError, Silent, TomosError
from tomos.workflows import explain_masks
from tomos.workflows.explained import Explained, write_map
from tomos.workflows.given import given
from tomos.workflows.masks import Masks

FORMS = ("png", "nifti", "dicom")


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
    method  one of `tomos.explain.methods()`; "" is the one the model file names; for masks one of
            `tomos.explain.mask_methods()`; "" is "occlusion"
    label   the class to look for; "" is what was found, else the likeliest finding; for masks the
            class of which most was outlined
    masks   folder of masks (see `Masks`): each image that has one gets its `localisation`, which
            `workflows.masks.summary` sums up
    Raises what concerns all images (an unknown method or class, a missing library); what concerns
    one image becomes its `error`.
    """
    progress = progress or Silent()
    check_forms(forms, FORMS)
    predictor = opened(Path(model), threads=threads) if isinstance(model, str | Path) else model
    if isinstance(predictor, MaskPredictor):
        method = method or explain_masks.METHOD
        explain_masks.check(predictor, method, label)
    else:
        method = method or predictor.manifest.map_method
    listed = given(predictor, inputs)
    known = Masks(masks, [each.address for each in listed]) if masks else None
    done: list[Explained] = []
    for each in listed:
        address, base, wishes = each.address, Path(out) / each.stem, (method, label, forms)
        if each.error:
            one = Explained(address, error=each.error)
        elif isinstance(predictor, MaskPredictor):
            one = explain_masks.explain_one(predictor, address, base, wishes, known, progress)
        else:
            one = _one(predictor, address, base, wishes, known)
        done.append(one)
        progress.step(len(done), len(listed), "maps")
    return done


def checkable(model: AnyPredictor) -> Predictor:
    """A model whose maps `workflows.sanity` can check. Raises SettingsError for one of masks."""
    if isinstance(model, MaskPredictor):
        raise SettingsError(
            f"--sanity: is for models that name classes; {model.name} outlines "
            f"{', '.join(model.classes)}"
        )
    return model


def check_forms(forms: Sequence[str], known: Sequence[str]) -> None:
    """SettingsError for a form that is not among the known."""
    for form in forms:
        if form not in known:
            raise SettingsError(f"--as {form}: not a form{did_you_mean(form, list(known))}")


def _one(
    predictor: Predictor,
    address: str,
    base: Path,
    wishes: tuple[str, str, Sequence[str]],
    masks: Masks | None,
) -> Explained:
    """wishes  method, label, forms"""
    method, label, forms = wishes
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
