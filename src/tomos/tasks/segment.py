"""Masks: one class, or none, for every pixel or voxel.

Labels are 0 = none and i = classes[i - 1]; logits are (N, K + 1, [Z,] Y, X), "none" first.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from tomos.config.plugins import did_you_mean
from tomos.measures.components import keep_largest
from tomos.types import SettingsError

LOSS = "dice_cross_entropy"  # the file of measures/losses that fits when the plan says nothing else
NONE = "-"


def cleaned(labels: np.ndarray, classes: Sequence[str], largest: Sequence[str]) -> np.ndarray:
    """The labels with, of the classes named in `largest`, the largest connected part only.

    Raises SettingsError for a class that is not there.
    """
    for name in largest:
        if name not in classes:
            raise SettingsError(f"no class {name!r}{did_you_mean(name, list(classes))}")
    if not largest:
        return labels
    return keep_largest(labels, [list(classes).index(name) + 1 for name in largest])


def said(extents: Mapping[str, float]) -> str:
    """What was found, in words: the classes that are there, joined by "|"; "-" when none is."""
    return "|".join(name for name, extent in extents.items() if extent > 0) or NONE
