"""The nouns. numpy only."""

from tomos.types.case import Case
from tomos.types.errors import (
    DatasetError,
    EnvelopeError,
    FormatError,
    GeometryError,
    LeakError,
    LimitError,
    MissingExtra,
    PackageError,
    PlanError,
    SettingsError,
    StorageError,
    TomosError,
    TrainingError,
)
from tomos.types.image import Image, Origin, Part, Window
from tomos.types.mask import Mask
from tomos.types.prediction import Answer, Prediction
from tomos.types.progress import Progress, Silent
from tomos.types.words import Words

__all__ = [
    "Answer",
    "Case",
    "DatasetError",
    "EnvelopeError",
    "FormatError",
    "GeometryError",
    "Image",
    "LeakError",
    "LimitError",
    "Mask",
    "MissingExtra",
    "Origin",
    "PackageError",
    "Part",
    "PlanError",
    "Prediction",
    "Progress",
    "SettingsError",
    "Silent",
    "StorageError",
    "TomosError",
    "TrainingError",
    "Window",
    "Words",
]
