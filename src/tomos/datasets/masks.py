"""What the masks of a data set hold: their values, and what these are called."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence

from tomos import formats
from tomos.datasets.survey import in_threads
from tomos.types import DatasetError, FormatError, Progress

MOST = 254  # labels; more values than that are a picture, not a mask
FOREGROUND = "foreground"


def values_in(addresses: Sequence[str], progress: Progress) -> dict[int, int]:
    """value -> how many of the masks hold it, 0 included. Masks that cannot be read are left to
    `check`.

    Raises DatasetError when none can be read, or they hold more values than masks do.
    """
    found: Counter[int] = Counter()
    problem, read = "", 0
    for done, (address, values) in enumerate(in_threads(_values, iter(addresses)), 1):
        progress.step(done, len(addresses), "masks looked at")
        if isinstance(values, str):
            problem = problem or values
            continue
        found.update(values)
        read += 1
        if len(found) > MOST + 1:
            raise DatasetError(
                f"{address}: more than {MOST} different values so far: this looks like a picture, "
                "not a mask; JPEG does not keep labels, save masks as PNG or NIfTI"
            )
    if not read:
        raise DatasetError(f"none of {len(addresses)} masks could be read; {problem}")
    return dict(sorted(found.items()))


def _values(address: str) -> list[int] | str:
    try:
        return formats.mask_values(address)
    except FormatError as error:
        return str(error)


def named(
    found: Mapping[int, int], classes: Sequence[str], told: Mapping[str, int]
) -> dict[str, int]:
    """Class -> value: as the source says, else the given names in the order of the values, else
    made up. Raises DatasetError where names and values do not fit.
    """
    present = [value for value in found if value != 0]
    if told:
        strange = [value for value in present if value not in told.values()]
        if strange:
            raise DatasetError(
                f"the masks hold {_listed(strange)}, which the source's own list of labels does "
                f"not name ({', '.join(f'{n} = {v}' for n, v in told.items())})"
            )
        return dict(told)
    if not present:
        raise DatasetError(
            "every mask is empty: expected labels above 0, found 0 alone, so there is nothing to "
            "learn. Are the masks in another folder? Say which with --masks FOLDER"
        )
    if not classes:
        one = len(present) == 1
        return {FOREGROUND if one else f"label {value}": value for value in present}
    if len(classes) != len(present):
        raise DatasetError(
            f"--classes names {len(classes)} labels, {', '.join(classes)}; the masks hold "
            f"{len(present)}: {_listed(present)}"
        )
    return dict(zip(classes, present, strict=True))


def _listed(values: Sequence[int]) -> str:
    shown = ", ".join(map(str, values[:8]))
    return shown + (f" and {len(values) - 8} more" if len(values) > 8 else "")
