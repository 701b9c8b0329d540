"""Scores of voxels -> the label of each, and how sure it is."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from math import exp, log
from os import cpu_count
from typing import get_args

import numpy as np

from tomos.inference._scratch import Scratch
from tomos.inference.envelope import Judgement
from tomos.inference.tiles import Scores
from tomos.types import PackageError, SettingsError


@dataclass(frozen=True, slots=True)
class Ask:
    """What is wanted of the scores.

    classes      K, the background among them, first
    scores       "logits", or "probabilities", which sum to one
    uncertainty  expected extents, too; classes whose probability in some region is everywhere below
                 exp(-10) / K count as 0 there
    entropy      that of every voxel, too; a part of `uncertainty`
    threads      0: one a core
    """

    classes: int
    scores: Scores = "logits"
    uncertainty: bool = False
    entropy: bool = False
    threads: int = 0

    def __post_init__(self) -> None:
        if not 1 <= self.classes < 2**16:
            raise SettingsError(f"expected 1 to 65535 classes, got {self.classes}")
        if self.threads < 0:
            raise SettingsError(f"expected threads of 0 or more, got {self.threads}")
        if self.scores not in get_args(Scores):
            raise SettingsError(f"scores: expected one of {get_args(Scores)}, got {self.scores!r}")
        if self.entropy and not self.uncertainty:
            raise SettingsError(
                "entropy: expected uncertainty, which it is a part of, to be on, too"
            )

    @property
    def dtype(self) -> type[np.unsignedinteger]:
        """Of the labels."""
        return np.uint8 if self.classes < 2**8 else np.uint16

    @property
    def workers(self) -> int:
        return self.threads or cpu_count() or 1


@dataclass(frozen=True, slots=True, eq=False)
class Labelled:
    """A scan with a label for every voxel, on its own grid.

    labels    uint8, uint16 from 255 classes on; 0 = background, also where nothing was prepared
    entropy   uint8, None when not asked for: 0 = sure, 255 = every class as likely as the others,
              that is log(K) nats
    expected  (K,) voxels of each class as its probabilities sum up; None when not asked for
    notes     what was not as usual on the way, for a person
    shrunk    whether the network saw smaller tiles than it is used to, for want of memory
    judgement whether the image is one that the model was made for
    """

    labels: np.ndarray
    entropy: np.ndarray | None = None
    expected: np.ndarray | None = None
    notes: tuple[str, ...] = ()
    shrunk: bool = False
    judgement: Judgement = field(default_factory=Judgement)


@dataclass(frozen=True, slots=True, eq=False)
class Sheet:
    """What is written of voxels, on arrays of one shape (Z, Y, X); views of a scan's.

    labels   uint8 or uint16
    entropy  uint8, None when not asked for
    chances  uint8, one for each class but the background: 255 times its probability, 0 before
             anything is written; None when not asked for
    """

    labels: np.ndarray
    entropy: np.ndarray | None = None
    chances: tuple[np.ndarray, ...] | None = None

    def seen(self, view: Callable[[np.ndarray], np.ndarray]) -> Sheet:
        """The same part of every array."""
        return Sheet(
            view(self.labels),
            None if self.entropy is None else view(self.entropy),
            None if self.chances is None else tuple(map(view, self.chances)),
        )

    def fill(self, at: tuple, chosen: int) -> None:
        """One class for sure."""
        self.labels[at] = chosen
        if self.chances is not None and chosen:
            self.chances[chosen - 1][at] = CERTAIN

    def write(self, at: tuple, scores: np.ndarray, classes: np.ndarray, by: Decision) -> None:
        """Voxels `at` by the scores (n, ...) of the n classes that count; these are used up."""
        flat, shape = scores.reshape(len(classes), -1), scores.shape[1:]
        best = by.best(flat)
        self.labels[at] = np.take(classes, by.winners(flat, best)).reshape(shape)
        if not by.ask.uncertainty:
            return
        likely, entropy = by.surety(flat, best, classes)
        if self.entropy is not None and entropy is not None:
            self.entropy[at] = entropy.reshape(shape)
        for row, k in enumerate(classes.tolist()):
            if self.chances is not None and k:
                share = likely[row]
                share *= CERTAIN
                self.chances[k - 1][at] = np.rint(share, out=share).reshape(shape)


CERTAIN = 255  # a probability of 1
# A score is rounded nine times on its way, each time by 6e-8 at most, and so is its rival's.
_ROUNDING = np.float32(2e-6)
# Together at most exp(-10) of probability is left out: 7e-4 nats, half of what 1 of 255 stands for.
_LEFT_OUT = 10.0


class Decision:
    """Scores (K, P) of P voxels -> which class wins, and how sure that is."""

    def __init__(self, ask: Ask):
        self.ask = ask
        self.expected, self.scratch = np.zeros(ask.classes), Scratch()
        # The first of equal scores wins, as np.argmax has it: its code is the highest.
        self._codes = np.arange(ask.classes, 0, -1, dtype=ask.dtype)[:, None]

    def check(self, scores: np.ndarray) -> None:
        """PackageError when a score (K, ...) is NaN or infinite."""
        if not all(np.isfinite(np.add.reduce(one, axis=None)) for one in scores):
            raise PackageError("expected finite scores, the network gave NaN or infinity")

    def least(self, floor: np.ndarray) -> np.ndarray:
        """The score below which a class counts for nothing where another one's is `floor`."""
        least = floor - np.abs(floor) * _ROUNDING
        if not self.ask.uncertainty:
            return least
        margin = _LEFT_OUT + log(self.ask.classes)
        if self.ask.scores == "logits":
            return least - np.float32(margin)
        return np.minimum(least, np.float32(exp(-margin)))

    def best(self, scores: np.ndarray) -> np.ndarray:
        """(P,) highest of scores (n, P), which the next call overwrites."""
        return np.maximum.reduce(scores, axis=0, out=self.scratch.array("best", scores.shape[1:]))

    def winners(self, scores: np.ndarray, best: np.ndarray) -> np.ndarray:
        """(P,) row of the highest of scores (K or fewer, P)."""
        shape, array = scores.shape, self.scratch.array
        won = np.equal(scores, best, out=array("won", shape, bool))
        if self.ask.dtype is np.uint8:
            codes = won.view(np.uint8)
            codes *= self._codes[-len(scores) :]
        else:
            codes = array("codes", shape, np.uint16)
            np.multiply(won, self._codes[-len(scores) :], out=codes)
        found = np.maximum.reduce(codes, axis=0)
        return np.subtract(self.ask.dtype(len(scores)), found, out=found)

    def surety(
        self, scores: np.ndarray, best: np.ndarray, classes: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray | None]:
        """Probabilities (n, P), which the next call overwrites, of the scores (n, P) of the n
        classes that count, which are used up; and (P,) uint8 entropy where it is asked for.

        Adds to `expected`.
        """
        if self.ask.scores == "logits":
            scores -= best
        likely = self.scratch.array("likely", scores.shape) if self.ask.entropy else scores
        if self.ask.scores == "logits":
            np.exp(scores, out=likely)
        elif self.ask.entropy:
            likely[...] = scores
            np.log(np.maximum(scores, 1e-30, out=scores), out=scores)
        total = np.add.reduce(likely, axis=0, out=self.scratch.array("total", best.shape))
        if self.ask.entropy:
            scores *= likely
        likely /= total
        self.expected[classes] += np.add.reduce(likely, axis=1, dtype=np.float64)
        return likely, self._entropy(scores, total) if self.ask.entropy else None

    def _entropy(self, weighted: np.ndarray, total: np.ndarray) -> np.ndarray:
        """(P,) uint8 from p log p (n, P) of probabilities p that sum to `total`: used up, both."""
        # H = -sum q log q with q = p / total.
        mean = np.add.reduce(weighted, axis=0, out=self.scratch.array("weighted", total.shape))
        mean /= total
        nats = np.log(total, out=total)
        nats -= mean
        nats *= 255 / log(max(2, self.ask.classes))
        return np.rint(np.clip(nats, 0, 255, out=nats), out=nats).astype(np.uint8)
