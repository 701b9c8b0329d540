"""Classification: how a label cell becomes a target, how logits become an answer.

Kinds of target
    class       one of K, no order            target (N,) int, -1 = not assessed
    multilabel  any of K                      target (N, K) float 0/1, NaN = not assessed
    ordinal     one of K, in order (grades)   target (N,) int, -1 = not assessed
Logits are (N, K) for every kind; for "ordinal" the loss, not the network, knows of the order.

Cells of a multilabel column: "mass|effusion" lists what is present, the other classes are absent;
"-" = all absent; "?mass" = mass was not assessed; blank = nothing was assessed.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Literal

import numpy as np

from tomos.config.plugins import did_you_mean
from tomos.measures.calibration import calibration as read_calibration
from tomos.measures.calibration import sigmoid, softmax
from tomos.types import Answer, Case, DatasetError, SettingsError

Kind = Literal["class", "multilabel", "ordinal"]
KINDS = ("class", "multilabel", "ordinal")
# The file of measures/losses that fits each kind when the plan says nothing else.
LOSS = {"class": "cross_entropy", "multilabel": "bce", "ordinal": "ordinal"}
NONE, UNKNOWN = "-", "?"
# Names of a class that says "nothing was found", compared in small letters without punctuation.
NEGATIVE = {
    *("normal", "negative", "healthy", "benign", "control", "controls", "absent", "clear"),
    *("none", "no", "nofinding", "nofindings"),
    *("正常", "阴性", "健康", "良性", "无", "未见异常", "无异常"),
}


def loss(kind: str) -> str:
    """The name of the usual loss for a kind of target. Raises SettingsError."""
    return LOSS[_known(kind)]


def encode(
    cases: Iterable[Case], target: str, classes: Sequence[str], kind: str = "class"
) -> np.ndarray:
    """Label cells -> the target array of `kind` (see above).

    Raises DatasetError, with the case, for a word that is none of `classes`.
    """
    place = {name: k for k, name in enumerate(classes)}
    if _known(kind) != "multilabel":
        return np.array([_index(case, target, place) for case in cases], np.int64)
    rows = [_presence(case, target, place) for case in cases]
    return np.array(rows, np.float32).reshape(len(rows), len(place))


def probabilities(
    logits: np.ndarray, kind: str = "class", calibration: Mapping[str, Any] | None = None
) -> np.ndarray:
    """Logits (..., K) -> probabilities (..., K), float64.

    `calibration` is the plain table of `tomos.measures.calibration` ({"method": "temperature",
    "temperature": 1.3}, "vector"); none leaves the logits as they are. Rows of "class" and
    "ordinal" sum to 1. Raises SettingsError for logits that are not finite.
    """
    logits = np.asarray(logits, np.float64)
    if not np.isfinite(logits).all():
        raise SettingsError("expected finite logits, got NaN or infinity: the model is damaged")
    link = sigmoid if _known(kind) == "multilabel" else softmax
    if not calibration:
        return link(logits)
    # Ordinal logits are calibrated as classes; the order is not touched by one temperature.
    plain = "multilabel" if kind == "multilabel" else "class"
    fitted = read_calibration({"method": "temperature", **calibration, "kind": plain})
    return fitted.apply(logits)


def decode(
    scores: np.ndarray,
    classes: Sequence[str],
    kind: str = "class",
    thresholds: Mapping[str, float] | None = None,
) -> Answer:
    """Calibrated probabilities (K,) of one case -> its answer at the operating point.

    thresholds  class -> lowest probability that calls it.
        class, two classes: one entry, that of the positive class; none = the more probable one
        class, more:  the most probable; with entries, the one furthest above its threshold (by
                      ratio), so that a rare class may win at a low probability
        ordinal:      the median class, the highest grade that is reached with half the probability
                      (0.5, or the entry of each grade: P(at least this grade) >= threshold)
        multilabel:   every class at or above its threshold (0.5), joined by "|"; "-" when none
    Raises SettingsError for thresholds of unknown classes.
    """
    scores = np.asarray(scores, np.float64)
    if scores.shape != (len(classes),):
        raise SettingsError(f"expected {len(classes)} scores, one a class, got {scores.shape}")
    thresholds = dict(thresholds or {})
    for name in thresholds:
        if name not in classes:
            raise SettingsError(
                f"a threshold for an unknown class {name!r}{did_you_mean(name, list(classes))}"
            )
    named = {name: float(score) for name, score in zip(classes, scores, strict=True)}
    return Answer(scores=named, label=_label(named, _known(kind), thresholds))


def decide(
    scores: np.ndarray,
    classes: Sequence[str],
    kind: str = "class",
    thresholds: Mapping[str, float] | None = None,
) -> list[str]:
    """The labels of many cases, (N, K) probabilities; see `decode`."""
    return [decode(row, classes, kind, thresholds).label for row in np.asarray(scores)]


def negative(classes: Sequence[str]) -> str:
    """The class whose name says that nothing was found ("normal", "No finding", "阴性"), else "".

    "" too when several names say so, or all do.
    """
    found = [name for name in classes if _says_nothing(name)]
    return found[0] if len(found) == 1 and len(classes) > 1 else ""


def positive(classes: Sequence[str]) -> str:
    """The finding of two classes: the one that is not `negative`, else the second. "" otherwise."""
    if len(classes) != 2:
        return ""
    nothing = negative(classes)
    return classes[0] if nothing == classes[1] else classes[1]


def _known(kind: str) -> str:
    if kind not in KINDS:
        raise SettingsError(f"classification has no kind {kind!r}{did_you_mean(kind, list(KINDS))}")
    return kind


def _index(case: Case, target: str, place: Mapping[str, int]) -> int:
    cell = case.targets.get(target, "")
    return place[_one_of(cell, case, place)] if cell else -1


def _presence(case: Case, target: str, place: Mapping[str, int]) -> list[float]:
    cell = case.targets.get(target, "")
    if not cell:
        return [np.nan] * len(place)
    row = [0.0] * len(place)
    for word in cell.split("|") if cell != NONE else []:
        name = word.strip()
        unknown = name.startswith(UNKNOWN) and name not in place
        row[place[_one_of(name.removeprefix(UNKNOWN) if unknown else name, case, place)]] = (
            np.nan if unknown else 1.0
        )
    return row


def _one_of(name: str, case: Case, place: Mapping[str, int]) -> str:
    if name not in place:
        raise DatasetError(
            f"case {case.name!r}: label {name!r} is no class{did_you_mean(name, list(place))}"
        )
    return name


def _label(scores: Mapping[str, float], kind: str, thresholds: Mapping[str, float]) -> str:
    if kind == "multilabel":
        called = [name for name, p in scores.items() if p >= thresholds.get(name, 0.5)]
        return "|".join(called) or NONE
    if kind == "ordinal":
        return _grade(scores, thresholds)
    if len(scores) == 2 and len(thresholds) == 1:
        (name, threshold) = next(iter(thresholds.items()))
        other = next(c for c in scores if c != name)
        return name if scores[name] >= threshold else other
    if not thresholds:
        return max(scores, key=lambda name: scores[name])
    return max(scores, key=lambda name: scores[name] / max(thresholds.get(name, 0.5), 1e-9))


def _grade(scores: Mapping[str, float], thresholds: Mapping[str, float]) -> str:
    """The highest grade g with P(at least g) at or above its threshold; the lowest always holds."""
    names = list(scores)
    at_least = np.cumsum(list(scores.values())[::-1])[::-1]
    for name, p in zip(names[:0:-1], at_least[:0:-1], strict=True):
        if p >= thresholds.get(name, 0.5) - 1e-12:
            return name
    return names[0]


def _says_nothing(name: str) -> bool:
    """Whether every part of a name is a word for "nothing": "normal, benign" is, "abnormal" not."""
    parts = [part for part in name.lower().replace("/", ",").split(",") if part.strip()]
    plain = ["".join(letter for letter in part if letter.isalnum()) for part in parts]
    return bool(plain) and all(part in NEGATIVE for part in plain)
