"""What a model for masks was made for, measured on the cases it learned from."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from tomos.datasets import Dataset, Shelf
from tomos.formats import read_many
from tomos.inference import mask_envelope
from tomos.inference.mask_envelope import Cases
from tomos.types import FormatError

LOOKED_AT = 40  # images whose headers are read; a volume takes seconds
MOST = 500  # prepared cases whose looks are measured


def limits(
    dataset: Dataset, shelves: Sequence[Shelf]
) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
    """The manifest's `envelope` and its arrays, for `package.write(extras=...)`.

    shelves  what was learned from, and the validation part: no network takes part, so that one
             tells as much as the other
    """
    cases = [(shelf, row) for shelf in shelves for row in range(len(shelf))]
    kept = [cases[i] for i in _spread(len(cases), MOST)]

    def planes(row: int) -> np.ndarray:
        return _planes(*kept[row])

    read = [cases[i] for i in _spread(len(cases), LOOKED_AT)]
    images = read_many(dataset.image(shelf.cases[row]) for shelf, row in read)
    headers = [mask_envelope.header(i) for i in images if not isinstance(i, FormatError)]
    return mask_envelope.fit(Cases(headers, len(kept), planes))


def _spread(n: int, most: int) -> list[int]:
    """At most `most` of n, evenly spaced."""
    return np.unique(np.linspace(0, n - 1, min(most, n)).astype(int)).tolist()


def _planes(shelf: Shelf, row: int) -> np.ndarray:
    """(P, C, Y, X) of a case, as `mask_envelope.pictures` takes them; only these are unpacked."""
    size = [int(n) for n in shelf.sizes[row]]
    if len(size) == 2:
        return shelf.case(row)[0][None]
    cuts = [
        shelf.box(row, (z, 0, 0), (z + 1, *size[1:]))[0][:, 0]
        for z in mask_envelope.chosen(size[0]).tolist()
    ]
    return np.stack(cuts)
