"""What evaluation of masks starts from: cases, and the figures of every class in each of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Literal, get_args

import numpy as np

from tomos.measures.segmentation import LabelFigures, figure_table
from tomos.types import DatasetError
from tomos.types.prediction import Verdict

Unit = Literal["ml", "mm2", "voxels"]
MM3_OF_A_ML = 1000.0
MEANS = ("dice", "iou", "hd95", "nsd")


@dataclass(frozen=True, slots=True, eq=False)
class MaskTable:
    """One target of one split, case by case, as `measures.segmentation.measure` gave it.

    cases          (N,) names, unique
    groups         (N,) patient of each case, else the case itself (`Case.group`)
    figures        (N,) class -> its figures, every case with the same classes
    classes        K names in the data set's order; background is none of them
    columns        name -> (N,) text or numbers: sex, age, site, device, ...; for subgroups
    addresses      (N,) where the images lie; may be empty
    patients_known False when no patient is named: every case is then its own patient
    unit           of extents: "ml" of volumes, "mm2" of pictures; "voxels" where no size is known,
                   and then distances and tolerances are in voxels too
    auroc          (N,) class -> AUROC over voxels, NaN where not defined; may be empty
    verdicts       (N,) verdict and its reason; may be empty
    failed         case -> why it could not be read or predicted; these are no rows
    Raises DatasetError where lengths, classes or numbers do not agree.
    """

    cases: Sequence[str]
    groups: np.ndarray
    figures: Sequence[Mapping[str, LabelFigures]]
    classes: Sequence[str]
    target: str = "mask"
    dataset: str = ""
    split: str = "test"
    columns: Mapping[str, Sequence] = field(default_factory=dict)
    addresses: Sequence[str] = ()
    patients_known: bool = True
    unit: Unit = "ml"
    auroc: Sequence[Mapping[str, float]] = ()
    verdicts: Sequence[tuple[Verdict, str]] = ()
    failed: Mapping[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        set_ = object.__setattr__
        set_(self, "groups", np.asarray(self.groups))
        set_(self, "classes", tuple(self.classes))
        self._check_lengths()
        self._check_figures()

    @property
    def where(self) -> str:
        """The evaluation in words, for errors."""
        return f"evaluation of {self.dataset or 'a data set'}, {self.split}"

    @property
    def n_patients(self) -> int:
        return len(np.unique(self.groups))

    @property
    def tolerances(self) -> dict[str, float]:
        """Class -> tolerance of the NSD, in mm (or voxels, see `unit`)."""
        first: Mapping[str, LabelFigures] = self.figures[0] if len(self.figures) else {}
        return {name: figures.tolerance_mm for name, figures in first.items()}

    @property
    def counted(self) -> np.ndarray:
        """(N, K) bool: whether the class is in either mask of the case."""
        return (self.of("voxels_truth") > 0) | (self.of("voxels_found") > 0)

    @property
    def present(self) -> np.ndarray:
        """(N, K) bool: whether the class is in the truth."""
        return self.of("voxels_truth") > 0

    def case_mean(self, figure: str = "dice") -> np.ndarray:
        """(N,) of each case, mean over the classes that count in it; NaN where none does."""
        values, counted = self.of(figure), self.counted
        n = counted.sum(1)
        total = np.where(counted, values, 0.0).sum(1)
        return np.divide(total, n, out=np.full(len(n), np.nan), where=n > 0)

    def of(self, figure: str) -> np.ndarray:
        """(N, K) of one figure ("dice", ..., "auroc"); NaN where it is not defined."""
        shape = (len(self.cases), len(self.classes))
        if figure == "auroc":
            rows = [[case[name] for name in self.classes] for case in self.auroc]
            return np.array(rows, float).reshape(shape)
        return figure_table(self.figures, figure).reshape(shape)

    def extent(self, side: Literal["truth", "found"]) -> np.ndarray:
        """(N, K) how much of each class there is, in `unit`."""
        size = self.of(f"volume_{side}")
        return size / MM3_OF_A_ML if self.unit == "ml" else size

    def rows(self, mask: np.ndarray) -> MaskTable:
        """The cases where `mask` (N,) bool holds."""
        return self.at(np.flatnonzero(mask))

    def at(self, rows: np.ndarray) -> MaskTable:
        """The cases of these numbers, in their order."""
        numbers = np.asarray(rows).tolist()

        def chosen(values: Sequence) -> list:
            return [values[i] for i in numbers] if len(values) else []

        return replace(
            self,
            cases=chosen(self.cases),
            groups=self.groups[numbers],
            figures=chosen(self.figures),
            columns={name: chosen(values) for name, values in self.columns.items()},
            addresses=chosen(self.addresses),
            auroc=chosen(self.auroc),
            verdicts=chosen(self.verdicts),
        )

    def _check_lengths(self) -> None:
        n = len(self.cases)
        if self.unit not in get_args(Unit):
            raise DatasetError(f"{self.where}: unit is one of {get_args(Unit)}, got {self.unit!r}")
        if not self.classes:
            raise DatasetError(f"{self.where}: expected at least one class, got none")
        if len(set(self.cases)) != n:
            raise DatasetError(f"{self.where}: case names occur more than once")
        given: dict[str, Sequence | np.ndarray] = {
            **self.columns,
            "groups": self.groups,
            "figures": self.figures,
        }
        for name in ("addresses", "auroc", "verdicts"):
            if len(values := getattr(self, name)):
                given[name] = values
        for name, values in given.items():
            if len(values) != n:
                raise DatasetError(f"{self.where}: {name!r} has {len(values)} of {n} values")

    def _check_figures(self) -> None:
        tolerances = self.tolerances
        for name, found in zip(self.cases, self.figures, strict=True):
            if tuple(found) != self.classes:
                raise DatasetError(
                    f"{self.where}, case {name}: expected figures of {list(self.classes)}, got "
                    f"{list(found)}"
                )
            for label, figures in found.items():
                self._check_one(f"{name}, {label}", figures, tolerances[label])

    def _check_one(self, case: str, figures: LabelFigures, tolerance: float) -> None:
        if figures.tolerance_mm != tolerance:
            raise DatasetError(
                f"{self.where}, case {case}: its NSD was taken at a tolerance of "
                f"{figures.tolerance_mm:g}, that of the first case at {tolerance:g}; "
                "measure all cases at the same one"
            )
        values = [getattr(figures, metric) for metric in MEANS]
        if figures.counted and not np.isfinite(values).all():
            raise DatasetError(
                f"{self.where}, case {case}: expected finite figures, got "
                + ", ".join(f"{m} {v}" for m, v in zip(MEANS, values, strict=True))
            )
