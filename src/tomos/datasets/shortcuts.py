"""How well a label can be guessed from what should not matter: size, file type, colour, border.

Pictures of one class that come from another source differ in such things, and a network learns them
instead of the disease (DeGrave, Janizek, Lee: Nature Machine Intelligence 3, 2021; Maguolo, Nanni:
Information Fusion 76, 2021). The guess is made by ridge regression on one-hot classes, classes
weighted alike, cross-validated by patient.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass

import numpy as np

FOLDS, RIDGE, RESAMPLES, MOST = 5, 1.0, 300, 20_000
FEWEST = 5  # patients in a class
# Share of the way from chance to certainty that must be exceeded, by the interval's lower end.
TELLING = 0.2


@dataclass(frozen=True)
class Shortcut:
    """Balanced accuracy of guessing the label from `clue` alone, with its 95 % interval.

    The interval is bootstrapped over patients; `chance` is 1 / number of classes. `telling` says
    that the lower end is more than a fifth of the way from chance to certainty. `recall` maps each
    label that was compared to the share of its cases that was guessed right.
    """

    clue: str
    balanced_accuracy: float
    low: float
    high: float
    chance: float
    n: int
    n_patients: int
    recall: Mapping[int, float]

    @property
    def telling(self) -> bool:
        return self.low > self.chance + TELLING * (1 - self.chance)

    def to_json(self) -> dict:
        recall = {str(label): share for label, share in self.recall.items()}
        return {**asdict(self), "recall": recall, "telling": self.telling}


def shortcuts(
    clues: Mapping[str, np.ndarray],
    labels: Sequence[int] | np.ndarray,
    groups: Sequence[int] | np.ndarray,
    seed: int = 0,
) -> list[Shortcut]:
    """Each clue's power to tell the label, the strongest first.

    clues   name -> (N, F) numbers; one that is the same everywhere is passed over
    labels  (N,) int, -1 = not assessed
    groups  (N,) int, equal for one patient: never on both sides of a fold
    Empty when fewer than two classes have at least `FEWEST` patients. Pure: same input and seed,
    same answer.
    """
    labels, groups = np.asarray(labels), np.asarray(groups)
    rows = _usable(labels, groups, seed)
    if rows is None:
        return []
    names, truth = np.unique(labels[rows], return_inverse=True)
    people = np.unique(groups[rows], return_inverse=True)[1]
    fold = _folds(truth, people, seed)
    found = []
    for name, values in clues.items():
        values = np.asarray(values, np.float64).reshape(len(labels), -1)[rows]
        values = values[:, values.std(axis=0) > 1e-9]
        if values.shape[1]:
            guess = _guess(values, truth, fold)
            found.append(_score(name, guess, truth, people, names, seed))
    return sorted(found, key=lambda shortcut: -shortcut.balanced_accuracy)


def clues(rows: np.ndarray) -> dict[str, np.ndarray]:
    """The clues in a survey's rows (`glance.ROW`): name -> (N, F)."""
    size = rows["size"].astype(np.float64)
    kind = [_one_hot(rows[name]) for name in ("format", "bits", "channels")]
    frame = rows["border"].astype(np.float64) / 255
    return {
        "picture size": np.hstack([_binned(np.log(size[:, 1])), _binned(np.log(size[:, 2]))]),
        "aspect ratio": _binned(np.log(size[:, 2] / np.maximum(size[:, 1], 1))),
        "file type and depth": np.hstack(kind),
        "colour": _binned(rows["colour"].astype(np.float64)),
        "border of the picture": np.hstack([frame, frame**2, _sides(frame)]),
    }


def _one_hot(values: np.ndarray) -> np.ndarray:
    kinds, place = np.unique(values, return_inverse=True)
    return np.eye(len(kinds))[place][:, :16]


def _binned(values: np.ndarray) -> np.ndarray:
    """A number as itself, its square, and which of eight equally full bins it lies in."""
    spread = (values - values.mean()) / (values.std() or 1.0)
    edges = np.unique(np.quantile(values, np.arange(1, 8) / 8))
    place = np.searchsorted(edges, values, side="left")
    return np.hstack([spread[:, None], spread[:, None] ** 2, np.eye(len(edges) + 1)[place]])


def _sides(frame: np.ndarray) -> np.ndarray:
    """Spread within each of the four sides: a plain black frame has none."""
    return frame.reshape(len(frame), 4, -1).std(axis=2)


def _usable(labels: np.ndarray, groups: np.ndarray, seed: int) -> np.ndarray | None:
    """Rows of classes with enough patients, at most `MOST`; None when nothing can be compared."""
    enough = [k for k in np.unique(labels[labels >= 0]) if len(set(groups[labels == k])) >= FEWEST]
    if len(enough) < 2:
        return None
    rows = np.flatnonzero(np.isin(labels, enough))
    if len(rows) > MOST:
        rows = np.sort(np.random.default_rng(seed).choice(rows, MOST, replace=False))
    return rows


def _folds(truth: np.ndarray, people: np.ndarray, seed: int) -> np.ndarray:
    """(N,) fold of each case: patients dealt out in turn, class by class."""
    first = np.zeros(people.max() + 1, np.int64)
    first[people[::-1]] = truth[::-1]
    chance = np.random.default_rng(seed).permutation(len(first))
    order = np.lexsort((chance, first))
    fold = np.empty(len(first), np.int64)
    fold[order] = np.arange(len(first)) % FOLDS
    return fold[people]


def _guess(values: np.ndarray, truth: np.ndarray, fold: np.ndarray) -> np.ndarray:
    """Out-of-fold class of each case."""
    guess = np.zeros(len(truth), np.int64)
    classes = np.eye(truth.max() + 1)
    for k in range(FOLDS):
        learn, judge = fold != k, fold == k
        if not judge.any() or not learn.any():
            continue
        mean, std = values[learn].mean(axis=0), values[learn].std(axis=0)
        x = np.hstack([(values - mean) / np.where(std > 1e-9, std, 1.0), np.ones((len(values), 1))])
        # Every class weighs the same, however rare.
        count = np.bincount(truth[learn], minlength=len(classes))
        weight = 1.0 / np.maximum(count, 1)[truth[learn]]
        scaled = x[learn] * weight[:, None]
        matrix = scaled.T @ x[learn] + RIDGE * weight.mean() * np.eye(x.shape[1])
        slopes = np.linalg.solve(matrix, scaled.T @ classes[truth[learn]])
        guess[judge] = (x[judge] @ slopes).argmax(axis=1)
    return guess


def _score(
    name: str,
    guess: np.ndarray,
    truth: np.ndarray,
    people: np.ndarray,
    labels: np.ndarray,
    seed: int,
) -> Shortcut:
    count, classes = int(people.max()) + 1, len(labels)
    right, all_ = np.zeros((count, classes)), np.zeros((count, classes))
    np.add.at(right, (people, truth), guess == truth)
    np.add.at(all_, (people, truth), 1)
    rng = np.random.default_rng(seed)
    weight = rng.multinomial(count, np.full(count, 1 / count), size=RESAMPLES)
    with np.errstate(invalid="ignore"):
        drawn = np.nanmean((weight @ right) / (weight @ all_), axis=1)
    low, high = np.nanpercentile(drawn, (2.5, 97.5))
    share = right.sum(axis=0) / all_.sum(axis=0)
    recall = {int(label): float(part) for label, part in zip(labels, share, strict=True)}
    value = float(share.mean())
    return Shortcut(name, value, float(low), float(high), 1 / classes, len(truth), count, recall)
