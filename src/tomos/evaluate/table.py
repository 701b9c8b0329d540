"""What evaluation starts from: cases, what is true of them, and what the model said."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Literal

import numpy as np

from tomos.types import DatasetError

Kind = Literal["class", "multilabel", "ordinal"]


@dataclass(frozen=True, slots=True, eq=False)
class Table:
    """One target of one split, case by case.

    cases          (N,) names, unique
    groups         (N,) patient of each case, else the case itself (`Case.group`)
    truth          class, ordinal: (N,) int index into `classes`, -1 = not assessed;
                   multilabel: (N, K) float 0 / 1 / NaN = not assessed
    probabilities  (N, K) calibrated, finite; rows sum to 1 unless multilabel
    classes        K names in the model's order
    positive       with two classes: the one that counts as a finding; "" = the second
    columns        name -> (N,) text or numbers: sex, age, site, device, ...; for subgroups
    addresses      (N,) where the images lie; may be empty
    patients_known False when no patient is named: every case is then its own patient
    Raises DatasetError where lengths, classes or numbers do not agree.
    """

    cases: Sequence[str]
    groups: np.ndarray
    truth: np.ndarray
    probabilities: np.ndarray
    classes: Sequence[str]
    target: str = "label"
    kind: Kind = "class"
    positive: str = ""
    dataset: str = ""
    split: str = "test"
    columns: Mapping[str, Sequence] = field(default_factory=dict)
    addresses: Sequence[str] = ()
    patients_known: bool = True

    def __post_init__(self) -> None:
        set_ = object.__setattr__
        set_(self, "groups", np.asarray(self.groups))
        set_(self, "truth", np.asarray(self.truth))
        set_(self, "probabilities", np.asarray(self.probabilities, float))
        set_(self, "classes", tuple(self.classes))
        n, k = len(self.cases), len(self.classes)
        where = f"evaluation of {self.dataset or 'a data set'}, {self.split}"
        shape = (n, k) if self.kind == "multilabel" else (n,)
        if self.probabilities.shape != (n, k) or self.truth.shape != shape or len(self.groups) != n:
            raise DatasetError(
                f"{where}: expected truth {shape}, probabilities {(n, k)} and {n} groups, got "
                f"{self.truth.shape}, {self.probabilities.shape} and {len(self.groups)}"
            )
        if not np.isfinite(self.probabilities).all():
            bad = np.flatnonzero(~np.isfinite(self.probabilities).all(1))
            raise DatasetError(
                f"{where}: {len(bad)} cases have no finite probability, first {self.cases[bad[0]]}"
            )
        if self.positive and self.positive not in self.classes:
            raise DatasetError(
                f"{where}: positive class {self.positive!r} is not in {self.classes}"
            )
        for name, values in {**self.columns, "addresses": self.addresses or self.cases}.items():
            if len(values) != n:
                raise DatasetError(f"{where}: column {name!r} has {len(values)} of {n} values")
        self._check_truth(where)

    def _check_truth(self, where: str) -> None:
        if self.kind == "multilabel":
            known = self.truth[np.isfinite(self.truth)]
            if not np.isin(known, (0, 1)).all():
                raise DatasetError(f"{where}: multilabel truth holds more than 0, 1 and NaN")
        elif self.truth.size and (self.truth.min() < -1 or self.truth.max() >= len(self.classes)):
            raise DatasetError(f"{where}: truth outside -1..{len(self.classes) - 1}")

    @property
    def is_binary(self) -> bool:
        return self.kind != "multilabel" and len(self.classes) == 2

    @property
    def positive_index(self) -> int:
        """With two classes the one that counts as a finding."""
        return self.classes.index(self.positive) if self.positive else len(self.classes) - 1

    @property
    def assessed(self) -> np.ndarray:
        """(N,) bool: whether anything is known of the case."""
        return np.isfinite(self.truth).any(1) if self.kind == "multilabel" else self.truth >= 0

    @property
    def n_patients(self) -> int:
        return len(np.unique(self.groups))

    def rows(self, mask: np.ndarray) -> Table:
        """The cases where `mask` (N,) bool holds."""
        at = np.flatnonzero(mask)
        numbers = at.tolist()
        return replace(
            self,
            cases=[self.cases[i] for i in numbers],
            groups=self.groups[at],
            truth=self.truth[at],
            probabilities=self.probabilities[at],
            columns={name: [values[i] for i in numbers] for name, values in self.columns.items()},
            addresses=[self.addresses[i] for i in numbers] if len(self.addresses) else (),
        )

    def against_rest(self, index: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Rows where class `index` is assessed (N,) bool, and there 0/1 truth and probability."""
        if self.kind == "multilabel":
            known = np.isfinite(self.truth[:, index])
            return known, self.truth[known, index] > 0, self.probabilities[known, index]
        known = self.truth >= 0
        return known, self.truth[known] == index, self.probabilities[known, index]

    def decided(self, thresholds: Mapping[str, float]) -> np.ndarray:
        """What the model decides: (N,) class index, or (N, K) bool for multilabel.

        Two classes: positive from its threshold on (0.5 when none is given). More: the most
        probable. Multilabel: each from its own threshold on.
        """
        if self.kind == "multilabel":
            limits = np.array([thresholds.get(name, 0.5) for name in self.classes])
            return self.probabilities >= limits
        if self.is_binary:
            index = self.positive_index
            limit = thresholds.get(self.classes[index], 0.5)
            return np.where(self.probabilities[:, index] >= limit, index, 1 - index)
        return self.probabilities.argmax(1)
