"""The error tree.

A message says what was expected, what came, in which file, and what to do. The command line prints
it and exits with `exit_code`: 2 for bad input or settings, 1 when the data need fixing.

    TomosError
    ├── FormatError       a file is not what it claims, or is not supported
    │   ├── GeometryError its position in the patient is missing or contradicts itself
    │   └── LimitError    larger, deeper or slower than a reader accepts from outside
    ├── DatasetError      a data set cannot be used as it is
    │   └── LeakError     test data would be learned from (exit code 1)
    ├── SettingsError     an unknown or ill-typed setting or name
    │   └── PlanError     a plan that cannot be carried out
    ├── PackageError      a model file is corrupt, hostile or does not reproduce its network
    │   └── EnvelopeError an input the model was not made for
    ├── TrainingError     learning diverged or cannot go on
    ├── StorageError      the disk is full or a file cannot be written
    └── MissingExtra      an optional library is not installed
"""


class TomosError(Exception):
    """Anything Tomos refuses, in words for the person who asked."""

    exit_code = 2


class FormatError(TomosError):
    """A file is not what it claims to be, is damaged, or is of a kind that is not supported."""


class GeometryError(FormatError):
    """The place of pixels in the patient is missing, contradictory or not evenly spaced."""


class LimitError(FormatError):
    """A file declares or needs more than a reader accepts from outside."""


class DatasetError(TomosError):
    """A data set cannot be used as it is."""


class LeakError(DatasetError):
    """The same patient or picture stands on both sides of a split."""

    exit_code = 1


class SettingsError(TomosError):
    """An unknown name, an unknown setting, or a value of the wrong kind."""


class PlanError(SettingsError):
    """A plan contradicts itself or its data set."""


class PackageError(TomosError):
    """A model file is corrupt, hostile, too new, or does not give the answers it promises."""


class EnvelopeError(PackageError):
    """An input lies outside what the model was made for."""


class TrainingError(TomosError):
    """Learning diverged, or cannot go on from what is on disk."""


class StorageError(TomosError):
    """A file cannot be written: disk full, no permission."""


class MissingExtra(TomosError):
    """An optional library is needed and not installed.

    >>> str(MissingExtra("training", "torch", "train"))
    "training needs torch, which is not installed: pip install 'tomos[train]'"
    """

    def __init__(self, purpose: str, library: str, extra: str):
        super().__init__(
            f"{purpose} needs {library}, which is not installed: pip install 'tomos[{extra}]'"
        )
