"""Which columns a table can be split by, and into what."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import pairwise

import numpy as np

from tomos.evaluate.mask_table import MaskTable
from tomos.evaluate.table import Table
from tomos.types import DatasetError

MOST_LEVELS = 8
BLANK = "not stated"


def levels(
    table: Table | MaskTable, wanted: Sequence[str] | None = None
) -> Iterator[tuple[str, str, np.ndarray]]:
    """(column, level, mask (N,) bool) for every level that holds a case.

    Numbers of more than eight values are cut at their quartiles. Of a column with more than eight
    names the seven commonest stand alone and the rest is "other". Blank is "not stated". Without
    `wanted`, a column of one level, or of names that hardly repeat (identifiers), is left out.
    """
    columns = list(table.columns) if wanted is None else list(wanted)
    for column in columns:
        if column not in table.columns:
            from tomos.config.plugins import did_you_mean

            raise DatasetError(f"no column {column!r}{did_you_mean(column, list(table.columns))}")
        texts = [_text(value) for value in table.columns[column]]
        names = _numbers(texts) or _names(texts, strict=wanted is None)
        if names is None or (wanted is None and len(set(names)) < 2):
            continue
        marks = np.array(names)
        for level in sorted(set(names), key=lambda name: (name in (BLANK, "other"), _rank(name))):
            yield column, level, marks == level


def _text(value) -> str:
    if value is None or (isinstance(value, float) and np.isnan(value)):
        return ""
    return str(value).strip()


def _rank(name: str) -> tuple[int, float, str]:
    """Order of levels: '< 40' before '40 to 57' before '>= 57', else by name."""
    parts = name.split()
    try:
        start = float(parts[-1]) if parts[0] in ("<", ">=") else float(parts[0])
    except ValueError:
        return 1, 0.0, name
    return 0, start - (parts[0] == "<") * 1e-9, name


def _numbers(texts: list[str]) -> list[str] | None:
    """Quartiles, when nearly all that is stated are numbers of more than a few values."""
    values = np.full(len(texts), np.nan)
    for i, text in enumerate(texts):
        # DICOM ages are written 063Y.
        bare = text[:-1] if len(text) == 4 and text[-1] in "Yy" else text
        try:
            values[i] = float(bare)
        except ValueError:
            continue
    stated = sum(bool(text) for text in texts)
    known = values[np.isfinite(values)]
    if not stated or len(known) < 0.9 * stated or len(np.unique(known)) <= MOST_LEVELS:
        return None
    cuts = np.unique([_round(q) for q in np.quantile(known, [0.25, 0.5, 0.75])])
    names = [f"< {cuts[0]:g}"]
    names += [f"{low:g} to {high:g}" for low, high in pairwise(cuts)]
    names.append(f">= {cuts[-1]:g}")
    place = np.searchsorted(cuts, values, side="right")
    return [names[p] if np.isfinite(v) else BLANK for p, v in zip(place, values, strict=True)]


def _round(value: float) -> float:
    return float(f"{value:.2g}")


def _names(texts: list[str], strict: bool) -> list[str] | None:
    named = [text for text in texts if text]
    n = len(set(named))
    if not named or (strict and (n > max(MOST_LEVELS, len(named) // 5) or n == len(named) > 1)):
        return None
    counts: dict[str, int] = {}
    for text in named:
        counts[text] = counts.get(text, 0) + 1
    common = sorted(counts, key=lambda name: (-counts[name], name))
    kept = set(common if len(common) <= MOST_LEVELS else common[: MOST_LEVELS - 1])
    return [BLANK if not text else (text if text in kept else "other") for text in texts]
