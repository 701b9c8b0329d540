"""finding / no finding / refer, with the reason in words."""

from __future__ import annotations

from tomos.inference.envelope import Judgement
from tomos.package import Manifest
from tomos.tasks import classify
from tomos.types import Answer
from tomos.types.prediction import Verdict


def verdict(manifest: Manifest, answer: Answer, judgement: Judgement) -> tuple[Verdict, str]:
    """What to do with an answer.

    A reader must look ("refer") when the input is none the model was made for, or when a
    probability lies within the band around its threshold; else the label says which.
    """
    if judgement.reasons:
        return "refer", "; ".join(judgement.reasons)
    for name, (low, high) in manifest.operating_point.refer.items():
        score = answer.scores[name]
        if low < score < high:
            return "refer", (
                f"the probability of {name}, {score:.3f}, is too near to the threshold "
                f"{manifest.operating_point.thresholds.get(name, 0.5):.3f} to decide "
                f"(between {low:.3f} and {high:.3f})"
            )
    found = [name for name in answer.label.split("|") if is_finding(manifest, name)]
    if not found:
        return "no finding", _why(manifest, answer, answer.label)
    return "finding", _why(manifest, answer, "|".join(found))


def is_finding(manifest: Manifest, name: str) -> bool:
    """Whether the class `name` means that something was found: as the manifest says, else its name.

    For two classes the one with the threshold is the finding.
    """
    for each in manifest.classes:
        if each.name == name and each.finding is not None:
            return each.finding
    names, thresholds = manifest.class_names, manifest.operating_point.thresholds
    if name not in names:  # "-": nothing of a multilabel target
        return False
    if manifest.kind == "class" and len(names) == 2 and len(thresholds) == 1:
        return name in thresholds
    if manifest.kind == "ordinal":
        return name != names[0]
    return name != classify.negative(names)


def _why(manifest: Manifest, answer: Answer, label: str) -> str:
    parts = []
    for name in manifest.operating_point.thresholds:
        score, least = answer.scores[name], manifest.operating_point.thresholds[name]
        if manifest.kind != "multilabel" or name in label.split("|"):
            side = "at or above" if score >= least else "below"
            parts.append(f"{name} {score:.3f}, {side} the threshold {least:.3f}")
    if parts:
        return "; ".join(parts)
    if label in answer.scores:
        return f"{label} {answer.scores[label]:.3f} is the most probable"
    return "no class reaches its threshold"
